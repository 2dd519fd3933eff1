"""The compiled loop: the same bits however it is cut up, for every optimizer, and stops at the exact step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from gdrepl.engine import backend
from gdrepl.engine import pace as pace_module
from gdrepl.engine.events import EVENTS, make_event
from gdrepl.engine.optimizer import OptimizerSpec, catalogue
from gdrepl.engine.pace import Pace
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.engine.program import Program
from gdrepl.engine.snapshot import Snapshot
from gdrepl.engine.triggers import Changes, Holds, Occurs, Trigger
from gdrepl.engine.watch import Orders
from gdrepl.errors import CommandError, ProblemError
from gdrepl.expression import parse


def never(program: Program) -> list[Trigger]:
    """Conditions that never hold, but read all that a condition can: gradients, slots, the point before."""
    parameters = list(program.problem.parameters)
    slot, owner = next(((name, owner) for name, owner in program.slot_names if owner), ("iteration", None))
    state = f"sum(slot.{slot}({owner}))" if owner else "slot.iteration"
    sums = " + ".join(f"sum(grad({name})*{name})*prev(sum(grad({name})))" for name in parameters)
    texts = ["step < 0", "loss*lr < -1e30", f"({sums})*loss + {state}*prev({state}) + norm(update) < -1e30"]
    return [Holds(parse(text, parameters, at_point=True)) for text in texts]


class Walk(NamedTuple):
    """One program, its start, and the rows of a hundred single steps from there with the snapshots at 50 and 100."""

    program: Program
    start: Snapshot
    rows: np.ndarray
    middle: Snapshot
    end: Snapshot


def walk(problem: Problem, spec: OptimizerSpec) -> Walk:
    program = Program(problem, spec)
    start = program.fresh(problem.parameters)
    rows = [program.advance(1).rows for _ in range(50)]
    middle = program.capture()
    rows += [program.advance(1).rows for _ in range(50)]
    return Walk(program, start, np.concatenate(rows), middle, program.capture())


@pytest.fixture(scope="module", params=list(catalogue()))
def walked(request: pytest.FixtureRequest, rosenbrock: Problem) -> Walk:
    return walk(rosenbrock, OptimizerSpec.make(request.param, {}, 1e-3))


def test_a_hundred_single_steps_equal_one_run_of_a_hundred(walked: Walk, assert_same_bits: Any) -> None:
    walked.program.load(walked.start)
    assert walked.program.advance(100).rows.tobytes() == walked.rows.tobytes()
    assert_same_bits(walked.program.capture(), walked.end)


def test_a_snapshot_restored_goes_on_as_if_nothing_had_been(walked: Walk, assert_same_bits: Any) -> None:
    walked.program.fresh({"x": np.float32(3.0), "y": np.float32(-7.0)})  # somewhere else, with new slots
    walked.program.advance(3)
    walked.program.load(walked.middle)
    assert walked.program.advance(50).rows.tobytes() == walked.rows[50:].tobytes()
    assert_same_bits(walked.program.capture(), walked.end)


def test_a_longer_run_begins_with_the_same_rows(walked: Walk) -> None:
    walked.program.load(walked.start)
    rows = walked.program.advance(300).rows
    assert len(rows) == 300
    assert rows[:100].tobytes() == walked.rows.tobytes()


def test_the_optimizer_moves_and_its_snapshot_is_read_only(walked: Walk) -> None:
    assert walked.end.parameters["x"] != walked.start.parameters["x"]
    with pytest.raises(ValueError, match="read-only"):
        walked.end.parameters["x"][...] = 0
    assert walked.start.parameters["x"] == np.float32(-1.2)


def watches(program: Program) -> list[Trigger]:
    """Watchpoints on all that changes."""
    names = list(program.problem.parameters)
    texts = [*(f"sum(grad({name}))" for name in names), f"prev(loss)*lr + norm(update({names[0]}))", "loss"]
    return [Changes(parse(text, names, at_point=True)) for text in texts]


def everything(program: Program) -> list[Trigger]:
    """Conditions that never hold, every event, and watchpoints."""
    return [*never(program), *(Occurs(make_event(name, {})) for name in EVENTS), *watches(program)]


def third(program: Program, which: int) -> list[Trigger]:
    """Conditions that never hold, each third event and a watchpoint beside that on the loss.

    Neighbours in the catalogue take other thirds, and so does the same optimizer on another problem: all together is armed
    for a few, since every compilation takes a second.
    """
    place = ([kind.__name__ for kind in catalogue().values()].index(program.spec.name) + which) % 3
    *others, loss = watches(program)
    events = [Occurs(make_event(name, {})) for name in list(EVENTS)[place::3]]
    return [*never(program), *events, others[place % len(others)], loss]


def assert_armed_changes_no_bit(plain: Program, start: Snapshot, rows: np.ndarray, triggers: list[Trigger]) -> Snapshot:
    """Walk from `start` with the triggers, over where they hold and from one such point to the next; returns the end."""
    armed = Program(plain.problem, plain.spec, "xla", triggers)
    armed.load(start)
    orders = Orders([0] * len(armed.triggers), armed.blank_memory(), [each.given() for each in armed.triggers], halting=False)
    advance = armed.advance(len(rows), orders=orders)
    assert advance.seen.at is not None
    assert not advance.seen.at[:, :3].any()  # the conditions
    assert advance.seen.at.any(axis=1).sum() > 50  # the loss alone changes nearly each time
    assert advance.rows.tobytes() == rows.tobytes()
    end = armed.capture()
    armed.load(start)
    parts = [armed.advance(1).rows]
    while (taken := sum(map(len, parts))) < 25:
        parts.append(armed.advance(25 - taken).rows)
    assert len(parts) > 10  # stopped midway
    assert np.concatenate(parts).tobytes() == rows[:25].tobytes()
    return end


def test_armed_conditions_events_and_watchpoints_change_no_bit(walked: Walk, assert_same_bits: Any) -> None:
    program = walked.program
    triggers = everything(program) if program.spec.name == "Adam" else third(program, 0)
    assert_same_bits(assert_armed_changes_no_bit(program, walked.start, walked.rows, triggers), walked.end)


@pytest.mark.parametrize("name", list(catalogue()))
def test_what_is_armed_changes_no_bit_of_a_regression(name: str, regression: Problem, assert_same_bits: Any) -> None:
    plain = Program(regression, OptimizerSpec.make(name, {}, 0.03125))
    start = plain.fresh(regression.parameters)
    rows = plain.advance(60).rows
    triggers = everything(plain) if name == "sgd" else third(plain, 1)
    assert_same_bits(assert_armed_changes_no_bit(plain, start, rows, triggers), plain.capture())


BUSY = {"gradient_accumulation_steps": 3, "use_ema": True, "ema_overwrite_frequency": 7, "clipnorm": 0.5, "weight_decay": 0.01}


@pytest.mark.parametrize(("name", "dtype"), [("sgd", "float64"), ("adam", "float32")])
def test_accumulation_averages_clipping_and_decay_keep_the_bits_too(name: str, dtype: str, assert_same_bits: Any) -> None:
    problem = make_problem("sum((W @ v - 1)**2) + b**2", {"W": [[0.5, -1], [2, 0.25]], "v": [1, 2], "b": 3}, dtype=dtype)
    singles = walk(problem, OptimizerSpec.make(name, BUSY, 0.01))
    singles.program.load(singles.start)
    assert singles.program.advance(100).rows.tobytes() == singles.rows.tobytes()
    singles.program.load(singles.middle)  # 50 is within an accumulation of three
    singles.program.advance(50)
    assert_same_bits(singles.program.capture(), singles.end)
    assert singles.rows.dtype == dtype


@pytest.mark.parametrize("engine", ["graph", "eager"])
def test_the_other_engines_repeat_themselves_too(engine: str, rosenbrock: Problem, assert_same_bits: Any) -> None:
    program = Program(rosenbrock, OptimizerSpec.make("rmsprop", {}, 1e-3), engine)
    start = program.fresh(rosenbrock.parameters)
    rows = np.concatenate([program.advance(1).rows for _ in range(20)])
    end = program.capture()
    program.load(start)
    assert program.advance(20).rows.tobytes() == rows.tobytes()
    assert_same_bits(program.capture(), end)


@pytest.mark.parametrize("engine", ["xla", "graph", "eager"])
def test_a_condition_stops_at_the_first_step_where_it_holds(engine: str, tutorial: Problem) -> None:
    conditions = [Holds(parse(text, ["x"], at_point=True)) for text in ("x > 30 and x < 35", "step == 9", "loss < 1")]
    program = Program(tutorial, OptimizerSpec.make("sgd", {}, 0.1), engine, conditions)
    program.fresh(tutorial.parameters)
    advance = program.advance(100)  # x = 50 - 50*0.8**step: 25.2 at 3, 29.52 at 4, 33.616 at 5
    assert (advance.taken, advance.seen.fired, advance.finite) == (5, (True, False, False), True)
    advance = program.advance(100)
    assert (advance.taken, advance.seen.fired) == (4, (False, True, False))
    assert program.capture().step == 9


def test_conditions_that_hold_together_are_all_told(tutorial: Problem) -> None:
    conditions = [Holds(parse(text, ["x"], at_point=True)) for text in ("x > 30", "step == 5", "x > 40")]
    program = Program(tutorial, OptimizerSpec.make("sgd", {}, 0.1), "graph", conditions)
    program.fresh(tutorial.parameters)
    assert program.advance(100).seen.fired == (True, True, False)


@pytest.mark.parametrize("engine", ["xla", "graph", "eager"])
def test_the_first_value_that_is_not_finite_ends_the_loop(engine: str) -> None:
    # Update k multiplies x by -19: |x| = 19**k. x**4 leaves float32 (3.4e38) where 19**(4k) does: k = 7.55, so at step 8.
    problem = make_problem("x**2*10 + stop_gradient(x**4)*0", {"x": 1.0})
    program = Program(problem, OptimizerSpec.make("sgd", {}, 1.0), engine)
    program.fresh(problem.parameters)
    advance = program.advance(100)
    assert (advance.taken, advance.finite) == (8, False)
    assert np.isfinite(advance.rows[:-1]).all()
    assert np.isnan(program.capture().loss)


def test_a_gradient_that_is_not_finite_ends_the_loop_though_the_loss_is() -> None:
    problem = make_problem(
        "sqrt(abs(x))", {"x": 4.0}
    )  # the first update, 4 - 16/(2*2), lands on 0, where the slope is not finite
    program = Program(problem, OptimizerSpec.make("sgd", {}, 16.0))
    program.fresh(problem.parameters)
    advance = program.advance(10)
    assert (advance.taken, advance.finite) == (1, False)
    assert np.isfinite(program.capture().loss)


def test_asked_to_go_through_what_is_not_finite_the_loop_goes_on() -> None:
    problem = make_problem("x*log(x)", {"x": 1.0})  # 1 - 2*(log(1) + 1) = -1, which has no logarithm
    program = Program(problem, OptimizerSpec.make("sgd", {}, 2.0))
    program.fresh(problem.parameters)
    assert program.advance(5).taken == 1
    assert program.advance(5, through=True).taken == 5
    assert program.capture().step == 6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_large_gradient_whose_norm_overflows_is_finite_as_long_as_its_numbers_are(dtype: str) -> None:
    huge = 2.0**126 if dtype == "float32" else 2.0**1022  # the norm of a hundred of these is ten times the largest float
    problem = make_problem("sum(w)*h", {"w": np.full(100, 1.0)}, {"h": huge}, dtype=dtype)
    program = Program(problem, OptimizerSpec.make("sgd", {}, 0.0))
    start = program.fresh(np_zeros(problem))
    advance = program.advance(3)
    assert start.loss == 0
    assert (advance.taken, advance.finite) == (3, True)


def np_zeros(problem: Problem) -> dict[str, np.ndarray]:
    return {name: np.zeros_like(value) for name, value in problem.parameters.items()}


def test_large_parameters_are_recorded_as_norms_and_small_ones_whole() -> None:
    problem = make_problem("sum(w**2) + sum(v**2)", {"w": np.full(65, 2.0), "v": np.full(64, 3.0)})
    program = Program(problem, OptimizerSpec.make("sgd", {}, 0.0), "graph")
    program.fresh(problem.parameters)
    columns = program.layout.columns(1, program.advance(2).rows, np.asarray(0.0))
    assert columns.norms == {"w"}
    np.testing.assert_allclose(columns.parameters["w"], np.full(2, 2 * np.sqrt(65)), rtol=1e-7)
    np.testing.assert_allclose(columns.gradient["w"], np.full(2, 4 * np.sqrt(65)), rtol=1e-7)
    assert columns.parameters["v"].shape == (2, 64)
    assert columns.gradient["v"].tolist() == [[6.0] * 64] * 2


def test_a_parameter_that_the_loss_does_not_depend_on_stays_with_gradient_zero() -> None:
    problem = make_problem("x**2 + 0*floor(y)", {"x": 1.0, "y": 5.0})
    program = Program(problem, OptimizerSpec.make("sgd", {}, 0.1), "graph")
    program.fresh(problem.parameters)
    program.advance(5)
    assert (program.capture().parameters["y"], program.capture().gradient["y"]) == (5, 0)


def test_an_unknown_engine_is_refused_with_those_there_are(tutorial: Problem) -> None:
    with pytest.raises(CommandError, match="unknown engine 'jax'") as caught:
        Program(tutorial, OptimizerSpec.make("sgd"), "jax")
    assert caught.value.hint == "xla, graph or eager"


def test_what_tensorflow_refuses_is_one_line_and_leaves_the_program_where_it_was(
    tutorial: Problem, monkeypatch: pytest.MonkeyPatch, assert_same_bits: Any
) -> None:
    program = Program(tutorial, OptimizerSpec.make("sgd", {}, 0.1), "eager")
    program.fresh(tutorial.parameters)
    program.advance(2)
    before = program.capture()
    fail_at(monkeypatch, 3, NotImplementedError("no kernel\nand a paragraph more"))
    with pytest.raises(ProblemError, match=r"^the eager engine cannot run this: no kernel$"):
        program.advance(10)
    monkeypatch.undo()
    assert program.variables["x"].numpy() == before.parameters["x"]
    assert program.optimizer.iterations.numpy() == 2
    program.load(before)
    assert_same_bits(program.capture(), before)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ZeroDivisionError()], ids=["ctrl-c", "memory", "bug"])
def test_any_other_exception_in_the_middle_of_an_eager_run_leaves_no_torn_state(
    error: BaseException, tutorial: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(tutorial, OptimizerSpec.make("sgd", {"momentum": 0.5}, 0.1), "eager")
    start = program.fresh(tutorial.parameters)
    wanted = program.advance(4).rows
    program.load(start)
    fail_at(monkeypatch, 3, error)
    with pytest.raises(type(error)):
        program.advance(4)
    monkeypatch.undo()
    program.load(start)
    assert program.advance(4).rows.tobytes() == wanted.tobytes()


def fail_at(monkeypatch: pytest.MonkeyPatch, call: int, error: BaseException) -> None:
    """Make the `call`-th evaluation of the loss from now raise `error`."""
    whole, calls = Problem.loss_and_gradient, iter(range(1, 1000))

    def failing(self: Problem, parameters: Any) -> Any:
        if next(calls) == call:
            raise error
        return whole(self, parameters)

    monkeypatch.setattr(Problem, "loss_and_gradient", failing)


def test_a_run_longer_than_the_record_is_the_sum_of_shorter_ones(tutorial: Problem, assert_same_bits: Any) -> None:
    program = Program(tutorial, OptimizerSpec.make("adam", {}, 0.01))
    start = program.fresh(tutorial.parameters)
    count = program.capacity + 300
    rows = program.advance(count).rows
    end = program.capture()
    assert (len(rows), end.step) == (count, count)
    program.load(start)
    parts = [program.advance(each).rows for each in (1000, program.capacity - 1000, 1, 299)]
    assert np.concatenate(parts).tobytes() == rows.tobytes()
    assert_same_bits(program.capture(), end)


def test_a_condition_holds_at_the_exact_step_beyond_the_record(tutorial: Problem) -> None:
    conditions = [Holds(parse("step == 262150", ["x"], at_point=True))]
    program = Program(tutorial, OptimizerSpec.make("sgd", {}, 1e-6), "xla", conditions)
    program.fresh(tutorial.parameters)
    advance = program.advance(10**6)
    assert (advance.taken, advance.seen.fired) == (262_150, (True,))


@pytest.mark.parametrize("cost", [1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 0.02, 0.1])
@pytest.mark.parametrize("engine", ["xla", "eager"])
@pytest.mark.parametrize("compiling", [0.0, 0.5])
def test_no_chunk_outlasts_the_patience_of_ctrl_c(
    cost: float, engine: str, compiling: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of our own: each step costs `cost`, each call 0.3 ms, and the first call compiles."""
    now = [0.0]
    monkeypatch.setattr(pace_module.time, "perf_counter", lambda: now[0])
    pace, took = Pace(), []
    for call in range(40):
        size = min(pace.begin(10**9), 2**18)
        took.append(3e-4 + cost * size)
        now[0] += took[-1] + (compiling if call == 0 else 0)
        pace.end(size)
    assert max(took) < max(0.3, 1.1 * cost)
    assert min(took[20:]) > 0.002  # and chunks have grown, so that the calls themselves cost little


def test_a_reciprocal_square_root_has_the_same_bits_on_every_processor() -> None:
    """An estimate of the processor's own, refined, would differ between makers, and with it RMSprop."""
    backend.load()
    import tensorflow as tf

    values = np.exp(np.random.default_rng(0).uniform(-30, 30, 10_000)).astype(np.float32)
    found = tf.function(tf.math.rsqrt, jit_compile=True)(values).numpy()
    assert found.tobytes() == (np.float32(1) / np.sqrt(values)).tobytes()  # IEEE 754 rounds both operations exactly
