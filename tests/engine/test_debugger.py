"""The debugger as a library: runs and why they end, edits, questions, and failures that change nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.moves import Progress, RecordingDiffersError
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.engine.programs import Programs
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.engine.snapshot import Stop
from gdrepl.engine.stops import Stops
from gdrepl.errors import CommandError, ExpressionError, GdreplError, ProblemError

Start = Callable[..., Debugger]
SameBits = Callable[[Any, Any], None]


def kinds(stops: tuple[Stop, ...]) -> list[str]:
    return [stop.kind for stop in stops]


def outline(debugger: Debugger) -> list[Any]:
    """All that a failing command must leave alone: where we stand, every branch, and every recorded row."""
    timeline = debugger.timeline
    branches = [
        (b.name, b.parent, b.fork_step, [(s.segment.id, s.last) for s in b.stretches]) for b in timeline.branches.values()
    ]
    rows = [
        (segment.id, segment.last, segment.label, debugger.past.rows(segment, segment.start.step, segment.last).tobytes())
        for segment in timeline.segments()
    ]
    return [debugger.position, debugger.snapshot(), branches, rows, debugger.stops]


# ------------------------------------------------------------------------------------- against NumPy, the whole way


def tutorial_in_numpy(p: np.ndarray) -> tuple[float, np.ndarray]:
    return float((p[0] - 50) ** 2), np.array([2 * (p[0] - 50)])


def rosenbrock_in_numpy(p: np.ndarray) -> tuple[float, np.ndarray]:
    x, y = p
    slope = np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])
    return float((1 - x) ** 2 + 100 * (y - x**2) ** 2), slope


def sgd(g: np.ndarray, s: dict[str, Any], t: int, rate: float) -> np.ndarray:
    s["v"] = 0.875 * s.get("v", 0.0) - rate * g
    return s["v"]


def adam(g: np.ndarray, s: dict[str, Any], t: int, rate: float) -> np.ndarray:
    s["m"] = 0.875 * s.get("m", 0.0) + 0.125 * g
    s["v"] = 0.96875 * s.get("v", 0.0) + 0.03125 * g**2
    return -rate * np.sqrt(1 - 0.96875**t) / (1 - 0.875**t) * s["m"] / (np.sqrt(s["v"]) + 2.0**-20)


def rmsprop(g: np.ndarray, s: dict[str, Any], t: int, rate: float) -> np.ndarray:
    s["v"] = 0.875 * s.get("v", 0.0) + 0.125 * g**2
    return -rate * g / np.sqrt(s["v"] + 2.0**-20)


# Powers of two where Keras casts a constant through float32.
RULES = {
    "sgd": (sgd, {"momentum": 0.875}, 1e-4),
    "adam": (adam, {"beta_1": 0.875, "beta_2": 0.96875, "epsilon": 2.0**-20}, 0.1),
    "rmsprop": (rmsprop, {"rho": 0.875, "epsilon": 2.0**-20}, 0.01),
}
PLACES = {
    "tutorial": ("(x - 50)**2", {"x": 0.0}, tutorial_in_numpy),
    "rosenbrock": ("(1 - x)**2 + 100*(y - x**2)**2", {"x": -1.2, "y": 1.0}, rosenbrock_in_numpy),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rule", RULES)
def test_every_column_agrees_with_a_descent_in_numpy(rule: str, place: str, start_debugger: Start) -> None:
    update, hyperparameters, rate = RULES[rule]
    text, begin, loss_and_gradient = PLACES[place]
    debugger = start_debugger(make_problem(text, begin, dtype="float64"), rule, hyperparameters, rate)
    debugger.run(60)
    columns = debugger.columns(0, 60)
    p, state = np.array(list(begin.values())), {}
    for k in range(61):
        loss, gradient = loss_and_gradient(p)
        assert columns.step[k] == k
        assert columns.learning_rate[k] == rate
        np.testing.assert_allclose(columns.loss[k], loss, rtol=1e-9, err_msg=f"loss at step {k}")
        np.testing.assert_allclose([columns.parameters[name][k] for name in begin], p, rtol=1e-9, err_msg=f"step {k}")
        np.testing.assert_allclose([columns.gradient[name][k] for name in begin], gradient, rtol=1e-7, err_msg=f"step {k}")
        p = p + update(gradient, state, k + 1, rate)


# ------------------------------------------------------------------------------------------------------- runs


def test_after_two_hundred_steps_the_history_holds_two_hundred_and_one_points(start_debugger: Start) -> None:
    debugger = start_debugger()
    move = debugger.run(200)
    columns = debugger.columns(0, 10**9)
    assert (len(columns), columns.step[0], columns.step[-1]) == (201, 0, 200)
    assert (move.taken, move.before.step, move.point.step, kinds(move.stops)) == (200, 0, 200, ["count"])


def test_point_k_holds_loss_and_gradient_at_the_parameters_of_step_k(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(10)
    columns = debugger.columns(0, 10)
    x = columns.parameters["x"]
    np.testing.assert_allclose(columns.loss, (x - 50) ** 2, rtol=1e-6)
    np.testing.assert_allclose(columns.gradient["x"], 2 * (x - 50), rtol=1e-6)
    np.testing.assert_allclose(x[1:], x[:-1] - np.float32(0.1) * columns.gradient["x"][:-1], rtol=1e-6)


def test_step_a_hundred_times_is_step_100(start_debugger: Start, rosenbrock: Problem, assert_same_bits: SameBits) -> None:
    single, whole = (start_debugger(rosenbrock, "nadam", {}, 0.01) for _ in range(2))
    for _ in range(100):
        single.run(1)
    whole.run(100)
    assert_same_bits(single.snapshot(), whole.snapshot())
    assert single.columns(0, 100).loss.tobytes() == whole.columns(0, 100).loss.tobytes()


def test_a_run_of_no_steps_stands_still(start_debugger: Start) -> None:
    debugger = start_debugger()
    move = debugger.run(0)
    assert (move.taken, debugger.step, kinds(move.stops)) == (0, 0, ["count"])


def test_a_breakpoint_stops_at_its_step_is_counted_and_does_not_hold_the_run_up_again(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.stops = debugger.stops.add(debugger.condition("step == 7 or step == 9"))
    move = debugger.run(100)
    assert (debugger.step, move.stops) == (7, (Stop("breakpoint", 1, "step == 7 or step == 9"),))
    assert debugger.run(100).point.step == 9
    assert debugger.run(100).point.step == 109
    assert [item.hits for item in debugger.stops] == [2]


def test_all_reasons_of_a_stop_are_told(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.stops = debugger.stops.add(debugger.condition("step == 5")).add(debugger.condition("x > 30"))
    move = debugger.run(5, until=debugger.parse("loss < 300"))
    assert [(stop.kind, stop.id) for stop in move.stops] == [
        ("breakpoint", 1),
        ("breakpoint", 2),
        ("until", None),
        ("count", None),
    ]


def test_a_temporary_breakpoint_stops_once_and_a_disabled_one_never(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.stops = debugger.stops.add(debugger.condition("x > 10"), temporary=True).add(debugger.condition("x > 20"))
    debugger.stops = debugger.stops.enabled(False, (2,))
    assert kinds(debugger.run(50).stops) == ["breakpoint"]
    assert [item.id for item in debugger.stops] == [2]
    assert kinds(debugger.run(50).stops) == ["count"]


def test_a_condition_may_compare_with_the_point_before_at_the_first_step_already(start_debugger: Start) -> None:
    debugger = start_debugger(rate=1.5)  # too large: the loss rises from the first step
    move = debugger.run(10, until=debugger.parse("loss > prev(loss) and update(x) > 0 and prev(step) == 0"))
    assert (move.taken, kinds(move.stops)) == (1, ["until"])


def test_a_run_without_a_count_ends_at_the_cap(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.max_steps = 30
    assert (debugger.run().taken, kinds(debugger.run().stops)) == (30, ["max-steps"])


def test_a_loss_that_overflows_stops_the_run_there_with_the_point_before_it_on_record(start_debugger: Start) -> None:
    debugger = start_debugger(rate=10.0)  # x - 50 is multiplied by -19 each step
    move = debugger.run(1000)
    assert kinds(move.stops) == ["non-finite"]
    assert move.stops[0].text == "loss is inf"
    losses = debugger.columns(0, debugger.step).loss
    assert np.isfinite(losses[:-1]).all()
    wanted = next(k for k in range(99) if 2500 * 361.0**k > float(np.finfo(np.float32).max))
    assert debugger.step == wanted
    assert np.isfinite(debugger.goto(debugger.step - 1).point.loss)


def test_one_can_step_on_from_nan_and_back_out_of_it(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger = start_debugger(make_problem("x*log(x)", {"x": 1.0}), rate=2.0)
    start = debugger.snapshot()
    move = debugger.run(5)
    assert (move.taken, move.stops) == (1, (Stop("non-finite", None, "loss is nan, grad(x) is nan"),))
    assert kinds(debugger.run(5).stops) == ["non-finite", "count"]  # a run of a given length goes on through it, and says so
    assert debugger.run().taken == 1  # one without does not burn a million steps of NaN
    debugger.back(1)
    debugger.back(6)
    assert_same_bits(debugger.snapshot(), start)
    assert [debugger.run(1).point.step for _ in range(6)] == [1, 2, 3, 4, 5, 6]  # compared with the recording, NaN and all
    assert list(debugger.timeline.branches) == ["main"]


def test_a_run_from_nan_over_finite_to_nan_ends_at_the_same_step_however_it_is_cut_up(
    start_debugger: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem("log(stop_gradient(x)) + x**2", {"x": -1.0})  # with rate 1: -1, 1, -1, ...
    ends = []
    for chunk in (1, 2, 7, 1000):
        debugger = start_debugger(problem, rate=1.0)
        pace = debugger._program(debugger.recipe).pace
        monkeypatch.setattr(pace, "begin", lambda wanted, chunk=chunk: min(chunk, wanted))  # else the clock decides
        ends.append((debugger.run(20).taken, debugger.step))
    assert len(set(ends)) == 1


# -------------------------------------------------------------------------------------------------- interrupts


def test_an_interrupt_from_another_thread_ends_an_endless_run_at_a_whole_step(
    start_debugger: Start, assert_same_bits: SameBits
) -> None:
    debugger, running = start_debugger(optimizer="adam"), threading.Event()
    debugger.max_steps = 10**12
    debugger.progress = lambda progress: running.set()

    def press_ctrl_c() -> None:
        running.wait(60)
        debugger.interrupt.set()

    thread = threading.Thread(target=press_ctrl_c)
    thread.start()
    move = debugger.run()
    thread.join()
    assert kinds(move.stops) == ["interrupt"]
    assert not debugger.interrupt.is_set()
    again = start_debugger(optimizer="adam")
    again.run(move.taken)
    assert_same_bits(debugger.snapshot(), again.snapshot())


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_an_interrupt_between_two_chunks_loses_nothing(chunks: int, start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger = start_debugger()
    seen: list[Progress] = []

    def progress(now: Progress) -> None:
        seen.append(now)
        if len(seen) == chunks:
            debugger.interrupt.set()

    debugger.progress = progress
    move = debugger.run(10**9)
    assert (kinds(move.stops), len(seen)) == (["interrupt"], chunks)
    assert move.taken == seen[-1].taken == debugger.step == debugger.branch.end
    again = start_debugger()
    again.run(move.taken)
    assert_same_bits(debugger.snapshot(), again.snapshot())


def test_progress_tells_the_most_updates_that_the_run_may_make(start_debugger: Start) -> None:
    debugger = start_debugger()
    seen: list[Progress] = []
    debugger.progress = seen.append
    debugger.max_steps = 500
    debugger.run(1)
    debugger.run()
    assert [(now.taken, now.total) for now in (seen[0], seen[-1])] == [(1, 1), (500, 500)]


def test_an_interrupt_at_the_last_step_of_a_count_is_a_count(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.progress = lambda progress: debugger.interrupt.set()
    assert kinds(debugger.run(1).stops) == ["count"]
    assert debugger.run(1).taken == 1  # and does not spoil the next run


def test_a_replayed_interrupt_ends_the_run_after_the_same_number_of_steps(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.interrupt_after = 12
    move = debugger.run(100)
    assert (move.taken, kinds(move.stops)) == (12, ["interrupt"])


# ------------------------------------------------------------------------------------------------------- edits


def test_a_parameter_set_here_changes_this_point_and_no_other(start_debugger: Start) -> None:
    debugger = start_debugger(optimizer="sgd", hyperparameters={"momentum": 0.5})
    debugger.run(5)
    velocity = debugger.slots()["momentum", "x"]
    debugger.set_parameter("x", np.float32(7))
    point = debugger.point()
    assert (point.step, point.parameters["x"], point.loss, point.gradient["x"]) == (5, 7, 43**2, -86)
    assert debugger.slots()["momentum", "x"] == velocity
    assert debugger.columns(0, 5).parameters["x"][[0, 5]].tolist() == [0, 7]


def test_a_learning_rate_set_here_is_used_by_the_next_update(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(2)
    x = float(debugger.point().parameters["x"])
    debugger.set_learning_rate(0.25)
    assert (debugger.spec.learning_rate, float(debugger.point().learning_rate)) == (0.25, 0.25)
    debugger.run(1)
    assert float(debugger.point().parameters["x"]) == pytest.approx(x + 0.5 * (50 - x), rel=1e-6)


def test_a_hyperparameter_that_adds_a_slot_keeps_the_others_and_the_rate(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.set_learning_rate(0.125)
    debugger.run(4)
    debugger.set_hyperparameter("momentum", 0.5)
    slots = debugger.slots()
    assert (int(slots["iteration", None]), float(slots["learning_rate", None]), float(slots["momentum", "x"])) == (4, 0.125, 0)
    debugger.run(1)
    before = debugger.columns(4, 4)
    assert float(debugger.slots()["momentum", "x"]) == -0.125 * before.gradient["x"][0]
    debugger.set_hyperparameter("nesterov", True)
    assert float(debugger.slots()["momentum", "x"]) == -0.125 * before.gradient["x"][0]


def test_another_optimizer_starts_with_new_slots_at_the_same_point(start_debugger: Start) -> None:
    debugger = start_debugger(optimizer="adam")
    debugger.run(6)
    here = debugger.snapshot()
    debugger.set_optimizer(OptimizerSpec.make("rmsprop", {}, 0.5))
    now = debugger.snapshot()
    assert (now.step, now.parameters, now.loss) == (6, here.parameters, here.loss)
    assert float(debugger.slots()["velocity", "x"]) == 0
    assert (debugger.spec.name, float(now.learning_rate)) == ("RMSprop", 0.5)


def test_a_schedule_comes_into_force_at_the_iteration_reached_and_goes_again(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(3)
    debugger.set_learning_rate(ScheduleSpec.make("piecewise_constant_decay", ([4], [0.25, 0.125])))
    debugger.run(3)
    assert debugger.columns(0, 6).learning_rate.tolist() == pytest.approx([0.1, 0.1, 0.1, 0.25, 0.25, 0.125, 0.125])
    debugger.set_learning_rate(0.5)
    debugger.run(1)
    assert float(debugger.point().parameters["x"]) == pytest.approx(50)
    debugger.goto(4)
    assert debugger.spec.schedule is not None
    debugger.goto(2)
    assert debugger.spec.learning_rate == pytest.approx(0.1)


def test_an_edit_under_a_schedule_leaves_the_schedule(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.set_learning_rate(ScheduleSpec.make("exponential_decay", (0.1, 10, 0.5)))
    debugger.run(10)
    debugger.set_hyperparameter("momentum", 0.5)
    debugger.set_parameter("x", np.float32(1))
    assert debugger.spec.schedule is not None
    assert float(debugger.point().learning_rate) == pytest.approx(0.05)


def test_another_engine_goes_on_from_here_and_is_remembered(start_debugger: Start, rosenbrock: Problem) -> None:
    debugger = start_debugger(rosenbrock, "adam", {}, 0.01)
    debugger.run(5)
    debugger.set_engine("eager")
    debugger.run(3)
    assert debugger.recipe.engine == "eager"
    debugger.goto(4)
    assert debugger.recipe.engine == "xla"
    debugger.run(4)  # walks back into the eager steps, compared bit for bit
    assert (debugger.recipe.engine, debugger.step, list(debugger.timeline.branches)) == ("eager", 8, ["main"])


def test_an_average_begun_late_does_not_pull_the_parameters_to_zero(start_debugger: Start) -> None:
    """Keras' moving average starts from the parameters at iteration 0; begun at a later one it must not start from zeros."""
    debugger = start_debugger()
    debugger.run(30)
    here = float(debugger.point().parameters["x"])
    debugger.set_hyperparameter("ema_overwrite_frequency", 1)
    debugger.set_hyperparameter("use_ema", True)
    debugger.run(1)
    assert float(debugger.point().parameters["x"]) == pytest.approx(here, rel=0.02)


def test_run_begins_again_from_the_start_values_with_the_optimizer_as_set_now(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(5)
    debugger.set_parameter("x", np.float32(7))
    debugger.set_learning_rate(0.25)
    debugger.run(5)
    debugger.restart()
    assert (debugger.step, debugger.position.branch, debugger.branch.parent) == (0, "b1", "main")
    assert float(debugger.point().parameters["x"]) == 0
    assert debugger.spec.learning_rate == 0.25
    debugger.run(1)
    assert float(debugger.point().parameters["x"]) == 25
    assert debugger.goto(10, "main").point.step == 10


def test_another_problem_replaces_a_timeline_without_steps_and_branches_from_one_with(
    start_debugger: Start, rosenbrock: Problem
) -> None:
    debugger = start_debugger()
    debugger.set_parameter("x", np.float32(3))
    debugger.set_problem(rosenbrock)
    assert list(debugger.timeline.branches) == ["main"]
    debugger.run(3)
    debugger.set_problem(make_problem("sum(v**2)", {"v": [1.0, 2.0]}))
    debugger.run(2)
    assert list(debugger.timeline.branches) == ["main", "b1"]
    assert debugger.columns(0, 2).parameters["v"].shape == (3, 2)
    debugger.goto(2, "main")
    assert list(debugger.problem.parameters) == ["x", "y"]
    assert len(debugger.columns(0, 3)) == 4


def test_a_breakpoint_that_cannot_be_computed_for_another_problem_ends_runs_there_and_is_told(
    start_debugger: Start, rosenbrock: Problem
) -> None:
    debugger = start_debugger(rosenbrock)
    for text in ("y > -99", "loss < 1e-9", "x > 99"):
        debugger.stops = debugger.stops.add(debugger.condition(text))
    debugger.run(1)
    debugger.set_problem(make_problem("x**2", {"x": 1.0}))
    told = "breakpoint 1 (y > -99) will stop runs here: unknown name 'y'; disable 1 lets them pass"
    assert debugger.warnings() == (told,)
    move = debugger.run(2)
    assert (move.taken, [(stop.id, stop.error) for stop in move.stops]) == (1, [(1, "unknown name 'y'")])
    debugger.stops = debugger.stops.enabled(False, (1,))
    assert (debugger.run(2).taken, debugger.warnings()) == (2, ())
    debugger.stops = debugger.stops.enabled(True, (1,))
    debugger.goto(1, "main")
    move = debugger.run(2)
    assert (move.taken, [(stop.id, stop.error) for stop in move.stops]) == (1, [(1, "")])


# ---------------------------------------------------------------------------------------------------- questions


def test_asking_reads_any_step_of_the_branch_and_changes_nothing(start_debugger: Start) -> None:
    debugger = start_debugger(hyperparameters={"momentum": 0.5})
    debugger.run(10)
    debugger.goto(6)
    before = outline(debugger)
    x = debugger.columns(0, 10).parameters["x"]
    assert debugger.ask(debugger.parse("x - prev(x)"), 8) == x[8] - x[7]
    assert debugger.ask(debugger.parse("update(x)"), 3) == x[3] - x[2]
    assert debugger.ask(debugger.parse("slot.momentum(x)"), 3) == pytest.approx(x[3] - x[2], rel=1e-5)
    assert debugger.ask(debugger.parse("step")) == 6
    after = outline(debugger)
    assert after == before


@pytest.mark.parametrize("text", ["x", "loss + 1", "[x, 2] > 1", "oops > 1", "x >", "slot.velocity(x) > 1"])
def test_what_cannot_be_a_condition_is_refused_when_it_is_set(text: str, start_debugger: Start) -> None:
    with pytest.raises(ExpressionError):
        start_debugger().condition(text)


# ------------------------------------------------------------------------------- failing commands change nothing


def refused(debugger: Debugger, error: type[GdreplError], action: Callable[[], object]) -> GdreplError:
    """The error of `action`, which must be one line and leave everything as it was, ready to go on."""
    before = outline(debugger)
    with pytest.raises(error) as caught:
        action()
    assert "\n" not in caught.value.message + caught.value.hint
    assert outline(debugger) == before
    return caught.value


@pytest.mark.parametrize("engine", ["xla", "eager"])
def test_a_breakpoint_ends_a_run_at_the_first_step_after_its_slot_is_gone(engine: str, start_debugger: Start) -> None:
    debugger = start_debugger(optimizer="adam", engine=engine)
    debugger.stops = debugger.stops.add(debugger.condition("slot.velocity(x) < -1"))
    debugger.run(3)
    debugger.set_optimizer(OptimizerSpec.make("sgd", {}, 0.1))
    debugger.stops = debugger.stops.enabled(False)
    debugger.run(3)
    debugger.stops = debugger.stops.enabled(True)
    debugger.goto(0)
    move = debugger.run(5)  # three steps that watch it, and one that cannot
    assert move.taken == 4
    [stop] = move.stops
    assert (stop.id, stop.error) == (1, "the optimizer has no slot 'velocity'")


def test_a_condition_to_run_until_that_loses_its_slot_fails_without_a_step(start_debugger: Start) -> None:
    debugger = start_debugger(optimizer="adam")
    debugger.run(3)
    debugger.set_optimizer(OptimizerSpec.make("sgd", {}, 0.1))
    debugger.run(3)
    debugger.goto(0)
    until = debugger.condition("slot.velocity(x) < -1")
    error = refused(debugger, ExpressionError, lambda: debugger.run(None, until))
    assert "the optimizer has no slot 'velocity'" in error.message


@pytest.mark.parametrize(
    "action",
    [
        lambda d: d.goto(99),
        lambda d: d.goto(-1),
        lambda d: d.goto(1, "nowhere"),
        lambda d: d.fork("main"),
        lambda d: d.set_engine("cuda"),
        lambda d: d.set_hyperparameter("momentum", 2.0),
        lambda d: d.set_hyperparameter("momentun", 0.5),
        lambda d: d.set_learning_rate(-1.0),
        lambda d: d.set_optimizer(OptimizerSpec.make("adan")),
        lambda d: d.ask(d.parse("x[0]")),
        lambda d: d.ask(d.parse("x"), 99),
    ],
)
def test_a_refused_command_changes_nothing(action: Callable[[Debugger], object], start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(5)
    debugger.goto(3)
    refused(debugger, CommandError, lambda: action(debugger))


@pytest.mark.parametrize(
    "error", [NotImplementedError("no kernel"), KeyboardInterrupt(), MemoryError()], ids=["refused", "ctrl-c", "memory"]
)
@pytest.mark.parametrize("engine", ["eager"])
def test_an_exception_inside_the_loss_leaves_everything_as_it_was(
    error: BaseException, engine: str, start_debugger: Start, monkeypatch: pytest.MonkeyPatch, assert_same_bits: SameBits
) -> None:
    debugger = start_debugger(engine=engine, hyperparameters={"momentum": 0.5})
    debugger.run(4)
    debugger.goto(2)
    debugger.set_learning_rate(0.05)
    before = outline(debugger)
    whole, calls = Problem.loss_and_gradient, iter(range(1, 100))

    def failing(problem: Problem, parameters: Any) -> Any:
        if next(calls) == 3:
            raise error
        return whole(problem, parameters)

    monkeypatch.setattr(Problem, "loss_and_gradient", failing)
    with pytest.raises(ProblemError if isinstance(error, NotImplementedError) else type(error)):
        debugger.run(10)
    monkeypatch.undo()
    assert outline(debugger) == before
    debugger.run(10)
    undisturbed = start_debugger(engine=engine, hyperparameters={"momentum": 0.5})
    undisturbed.run(2)
    undisturbed.set_learning_rate(0.05)
    undisturbed.run(10)
    assert_same_bits(debugger.snapshot(), undisturbed.snapshot())


def test_an_exception_after_some_chunks_leaves_everything_as_it_was(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(4)
    debugger.fork("twin")
    before = outline(debugger)

    def progress(now: Progress) -> None:
        if now.taken > 300:
            raise KeyboardInterrupt

    debugger.progress = progress
    with pytest.raises(KeyboardInterrupt):
        debugger.run(10**6)
    assert outline(debugger) == before


def test_a_step_that_comes_out_differently_than_recorded_is_named_and_changes_nothing(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(10)
    debugger.goto(2)
    rows = debugger.segment.blocks[0].rows
    assert rows is not None
    rows[6, 0] = np.nextafter(rows[6, 0], np.float32(np.inf))  # the loss of step 7, in its last bit
    error = refused(debugger, RecordingDiffersError, lambda: debugger.run(8))
    assert "step 7 came out differently" in error.message
    assert debugger.run(4).point.step == 6
    refused(debugger, RecordingDiffersError, lambda: debugger.goto(7))


# -------------------------------------------------------------------------------------------------------- problems


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("v", ProblemError, "the loss has shape (2,); it must be one number"),
        ("x > 1", ProblemError, "the loss is a condition, not a number"),
        ("sum(v + u)", ExpressionError, "shapes (2,) and (3,) do not fit together"),
        ("u @ v", ExpressionError, "shapes (3,) and (2,) do not fit together"),
        ("v[2]", ExpressionError, "the index [2] does not fit the shape (2,)"),
        ("x + zz", ExpressionError, "unknown name 'zz'"),
        ("c + 1", ProblemError, "the loss c + 1 reads no parameter"),
        ("3", ProblemError, "the loss 3 reads no parameter"),
        ("x +", ExpressionError, "not an expression"),
    ],
)
def test_a_bad_loss_is_one_line_and_leaves_the_problem_in_force(
    text: str, error: type[GdreplError], message: str, start_debugger: Start
) -> None:
    debugger = start_debugger()
    debugger.run(2)
    parameters = {"x": 1.0, "v": [1.0, 2.0], "u": [1.0, 2.0, 3.0]}
    raised = refused(debugger, error, lambda: debugger.set_problem(make_problem(text, parameters, {"c": 2.0})))
    assert message in raised.message
    assert debugger.run(1).point.step == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [([1, [2, 3]], "x is not made of numbers"), ("abc", "x is not made of numbers"), ([], "x is not made of numbers"),
     (True, "x is not made of numbers"), (1j, "x is not made of numbers"), (1e39, "x holds a number too large for float32")],
)  # fmt: skip
def test_a_value_that_is_not_numbers_is_refused(value: object, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        make_problem("sum(x)", {"x": value})
    assert caught.value.message == message


def test_numbers_are_float32_by_default_and_float64_on_request(start_debugger: Start) -> None:
    for dtype in ("float32", "float64"):
        problem = make_problem("(x - 50)**2 + c", {"x": 0}, {"c": 1}, **({"dtype": dtype} if dtype == "float64" else {}))
        debugger = start_debugger(problem, "adam")
        debugger.run(3)
        snapshot = debugger.snapshot()
        floats = [*snapshot.parameters.values(), *snapshot.gradient.values(), *snapshot.slots[1:], snapshot.loss]
        assert {str(value.dtype) for value in floats} == {dtype}
        assert debugger.columns(0, 3).loss.dtype == dtype


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(CommandError, match="unknown dtype 'float16'"):
        make_problem("x", {"x": 1.0}, dtype="float16")


def test_what_the_loss_does_not_read_is_left_out() -> None:
    problem = make_problem("x + c", {"x": 1.0, "y": 2.0}, {"c": 1.0, "d": 2.0})
    assert (list(problem.parameters), list(problem.constants)) == (["x"], ["c"])


def test_problems_that_differ_in_data_only_do_not_share_a_program(start_debugger: Start) -> None:
    first = make_problem("sum((x - c)**2)", {"x": 0.0}, {"c": [1.0, 2.0]})
    second = make_problem("sum((x - c)**2)", {"x": 0.0}, {"c": [1.0, 3.0]})
    assert [float(start_debugger(problem).point().loss) for problem in (first, second)] == [5, 10]
    assert first.program_key == replace(first).program_key


class Halved(Problem):
    def loss_of(self, parameters: Any) -> Any:
        return super().loss_of(parameters) / 2


def test_a_loss_of_the_same_text_that_is_computed_otherwise_has_a_program_of_its_own(start_debugger: Start) -> None:
    plain = make_problem("(x - 3)**2", {"x": 0.0})
    halved = Halved(**{each.name: getattr(plain, each.name) for each in fields(plain)})
    programs = Programs()
    spec = OptimizerSpec.make("sgd", {}, 0.1)
    assert [float(Debugger(each, spec, "eager", programs=programs).point().loss) for each in (plain, halved)] == [9, 4.5]


def test_gradient_accumulation_moves_at_every_third_step_only(start_debugger: Start) -> None:
    debugger = start_debugger(hyperparameters={"gradient_accumulation_steps": 3})
    debugger.run(6)
    x = debugger.columns(0, 6).parameters["x"].tolist()
    assert x == pytest.approx([0, 0, 0, 10, 10, 10, 18])
    debugger.goto(4)
    debugger.run(2)  # from within an accumulation, compared with the recording
    assert debugger.step == 6


# ---------------------------------------------------------------------------------------------------- very many steps

FAR = 2**24  # the last whole number up to which float32 counts by ones


@pytest.fixture(scope="module")
def walked_far(start_debugger: Start) -> Debugger:
    """A debugger that has gone a few steps beyond: made once, since so many updates take a second."""
    debugger = start_debugger(rate=1e-9)
    debugger.run(FAR + 9)
    return debugger


@pytest.fixture
def far(walked_far: Debugger) -> Debugger:
    """The same, two steps before, with nothing armed."""
    walked_far.stops = Stops()
    walked_far.goto(FAR - 2)
    return walked_far


@pytest.mark.parametrize("count", ["step", "slot.iteration"])
def test_counts_are_exact_where_float32_no_longer_counts_by_ones(count: str, far: Debugger) -> None:
    far.stops = far.stops.add(far.condition(f"{count} == {FAR + 3}"))
    assert far.run(9).taken == 5
    value = far.ask(far.parse(count))
    assert (int(value), value.dtype.kind) == (FAR + 3, "i")


@pytest.mark.parametrize("text", ["step == {0}", "step > {0} - 1", "prev(step) == {0} - 1 and loss > -1", "step % {0} == 0"])
def test_a_breakpoint_on_a_step_is_exact_however_far(text: str, far: Debugger) -> None:
    move = far.run(100, far.condition(text.format(FAR + 3)))
    assert (far.step, kinds(move.stops)) == (FAR + 3, ["until"])
    assert far.ask(far.parse("step")).dtype == np.int64
    assert far.ask(far.parse("step")) == FAR + 3
    assert far.ask(far.parse("step + 1")) == FAR + 4


def test_a_step_is_compared_exactly_by_the_other_engines_too(start_debugger: Start) -> None:
    debugger = start_debugger(engine="eager")
    debugger.run(2)
    move = debugger.run(5, debugger.condition("step == 4 and x == x"))
    assert (debugger.step, kinds(move.stops)) == (4, ["until"])
