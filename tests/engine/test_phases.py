"""Inside one update: seven phases are one step, bit for bit, and each tells what Keras itself has at that place."""

from __future__ import annotations

import numpy as np
import pytest

from gdrepl.engine import live_optimizer
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec, catalogue, settable
from gdrepl.engine.phases import PHASES
from gdrepl.engine.problem import make_problem
from gdrepl.engine.programs import Programs
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.engine.schedule import floatx as keras_floats
from gdrepl.engine.snapshot import Snapshot
from gdrepl.engine.stops import Stops
from gdrepl.engine.walking import advance, retreat
from gdrepl.errors import CommandError, ProblemError
from gdrepl.insight.phases import made

PROGRAMS = Programs(most=100)
WHOLE = len(PHASES)


@pytest.fixture(scope="module")
def layer():
    """A matrix and a vector: Muon and Adafactor treat the two otherwise."""
    points, answers = [[1.0, 2.0], [-1.0, 0.5], [0.25, -2.0]], [[1.0, 0.0], [0.5, -1.0], [2.0, 1.0]]
    return make_problem(
        "sum((X @ W + b - T)**2)", {"W": [[0.5, -0.25], [1.0, 0.75]], "b": [0.1, -0.2]}, {"X": points, "T": answers}
    )


def usable(name: str, **wanted: object) -> dict[str, object]:
    """Those of the hyperparameters that an optimizer has."""
    return {key: value for key, value in wanted.items() if key in settable(name)}


OPTIONS = {"clipnorm": 0.5, "weight_decay": 0.03, "use_ema": True, "ema_momentum": 0.75}
OVERWRITTEN = {**OPTIONS, "ema_overwrite_frequency": 2}
GATHERED = {"clipvalue": 0.125, "weight_decay": 0.03, "loss_scale_factor": 8.0, "gradient_accumulation_steps": 2}


def start(problem, name="sgd", options=None, rate=0.05, engine="eager") -> Debugger:
    return Debugger(problem, OptimizerSpec.make(name, options, rate), engine, programs=PROGRAMS)


def by_phases(debugger: Debugger, updates: int) -> None:
    for _ in range(updates * WHOLE):
        advance(debugger, 1)


def rows(debugger: Debugger) -> list[bytes]:
    columns = debugger.columns(0, debugger.step)
    arrays = [columns.loss, columns.learning_rate, *columns.parameters.values(), *columns.gradient.values()]
    return [np.asarray(each).tobytes() for each in arrays]


def check_alike(phased: Debugger, whole: Debugger, updates: int, assert_same_bits) -> None:
    """Both go on, the one by phases, the other by steps; snapshots, points and segments must be the same."""
    for _ in range(updates):
        by_phases(phased, 1)
        whole.run(1)
        assert_same_bits(phased.snapshot(), whole.snapshot())
    assert rows(phased) == rows(whole)
    for one, other in zip(phased.timeline.segments(), whole.timeline.segments(), strict=True):
        assert (one.start.step, one.last, [b.count for b in one.blocks]) == (
            other.start.step,
            other.last,
            [b.count for b in other.blocks],
        )
    assert phased.position == whole.position


@pytest.mark.parametrize("name", ["sgd", "adam", "muon"])
def test_so_they_are_when_compiled(name, layer, assert_same_bits):
    given = usable(name, clipnorm=0.5, weight_decay=0.03)
    check_alike(start(layer, name, given, engine="xla"), start(layer, name, given, engine="xla"), 2, assert_same_bits)


def heard(spec: OptimizerSpec, before: Snapshot) -> dict[str, dict[str, np.ndarray]]:
    """What Keras' own `apply` hands to `update_step` for each parameter, and what that leaves: gradient, before, after."""
    import tensorflow as tf

    variables = {name: tf.Variable(value, name=name) for name, value in before.parameters.items()}
    optimizer = live_optimizer.build(spec, list(variables.values()), "float32")
    live_optimizer.restore(optimizer, before.slots)
    found: dict[str, dict[str, np.ndarray]] = {}
    step = optimizer.update_step

    def listening(gradient, variable, learning_rate):
        at = found.setdefault(next(name for name, each in variables.items() if each is variable), {})
        at["gradient"], at["before"] = gradient.numpy(), variable.numpy()
        step(gradient, variable, learning_rate)
        at["after"] = variable.numpy()

    optimizer.update_step = listening
    scale = spec.hyperparameters.get("loss_scale_factor") or 1.0
    with keras_floats("float32"):
        optimizer.apply([tf.constant(each * np.float32(scale)) for each in before.gradient.values()], list(variables.values()))
    return found


# Whether the gradient is gathered and averages overwrite is decided for all optimizers alike, in Keras' base class.
CASES = [(name, OPTIONS) for name in catalogue()]
CASES += [(name, options) for name in ("sgd", "nadam", "muon") for options in (OVERWRITTEN, GATHERED)]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_seven_phases_are_one_step_and_each_tells_what_keras_hands_on_there(name, options, layer, assert_same_bits):
    given = usable(name, **options)
    debugger, other = start(layer, name, given), start(layer, name, given)
    applied = []
    for _ in range(2):
        update, wanted = debugger.inside.update, heard(debugger.recipe.spec, debugger.snapshot())
        applied.append(update.applied)
        assert bool(wanted) == update.applied
        for parameter, at in wanted.items():
            np.testing.assert_array_equal(update.state(3).gradient[parameter], at["gradient"])
            np.testing.assert_array_equal(update.state(4).parameters[parameter], at["before"])
            np.testing.assert_array_equal(update.state(6).parameters[parameter], at["after"])
        check_alike(debugger, other, 1, assert_same_bits)
    assert applied == ([True, True] if "gradient_accumulation_steps" not in options else [False, True])


def test_the_numbers_of_a_momentum_update_are_those_of_the_closed_form(tutorial):
    # gradient -100 clipped to -10; x 0 decays to 0; v = 0.5*0 + 0.25*10; then -94 ... by hand for the second update
    options = {"momentum": 0.5, "clipnorm": 10.0, "weight_decay": 0.5}
    debugger = start(tutorial, "sgd", options, 0.25)
    by_phases(debugger, 1)
    update = debugger.inside.update
    told = {each.phase: {c.name: (c.before, c.after) for c in each.changes} for each in (made(update, p) for p in range(WHOLE))}
    assert told == {
        "forward": {"loss": (None, 47.5**2), "x - 50": (None, -47.5)},
        "backward": {"grad(x)": (None, -95)},
        "clip": {"grad(x)": (-95, -10)},
        "decay": {"x": (2.5, 2.1875)},  # 2.5 * (1 - 0.5 * 0.25)
        "moments": {"slot.momentum(x)": (2.5, 3.75)},  # 0.5 * 2.5 + 0.25 * 10
        "apply": {"x": (2.1875, 5.9375)},
        "constraint": {"slot.iteration": (1, 2)},
    }


def test_the_moving_average_overwrites_in_the_last_phase_alone(tutorial):
    options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}
    debugger = start(tutorial, "sgd", options, 0.25, engine="xla")
    debugger.run(1)  # x 0 -> 25, and the average is that
    update = debugger.inside.update
    assert update.state(6).parameters["x"] == 37.5
    last = {each.name: (each.before, each.after) for each in made(update, 6).changes}
    assert last == {"x": (37.5, 31.25), "slot.average(x)": (25, 31.25), "slot.iteration": (1, 2)}
    debugger.run(1)
    assert debugger.snapshot().parameters["x"] == 31.25


def test_a_gathering_update_says_that_it_is_not_applied_and_the_next_takes_the_mean(tutorial):
    debugger = start(tutorial, "sgd", {"gradient_accumulation_steps": 2, "clipvalue": 85.0}, 0.1)
    told = [made(debugger.inside.update, place) for place in range(WHOLE)]
    assert "gradient 1 of 2 is only gathered" in told[2].note
    assert "not applied" in told[5].note
    assert [[each.name for each in one.changes] for one in told[2:]] == [
        [], [], ["slot.gradient_accumulator(x)"], [], ["slot.iteration"]
    ]  # fmt: skip
    debugger.run(1)
    debugger.set_parameter("x", np.float32(10))  # else both gradients are the same
    update = debugger.inside.update
    (clipped,) = made(update, 2).changes
    assert (clipped.before, clipped.after) == (-80, -85)  # the mean with -100 is -90
    assert update.state(6).parameters["x"] == 18.5
    debugger.run(1)
    assert debugger.snapshot().parameters["x"] == 18.5


def test_a_schedule_moves_in_the_last_phase(tutorial):
    schedule = ScheduleSpec.make("exponential_decay", [], {"initial_learning_rate": 0.5, "decay_steps": 1, "decay_rate": 0.5})
    debugger = Debugger(tutorial, OptimizerSpec.make("sgd", None, schedule), "eager", programs=PROGRAMS)
    (_, rate) = made(debugger.inside.update, 6).changes
    assert (rate.name, rate.before, rate.after) == ("lr", 0.5, 0.25)


def test_asking_changes_nothing(layer, assert_same_bits):
    debugger = start(layer, "adam", OPTIONS)
    debugger.run(1)
    before, points, position = debugger.snapshot(), debugger.timeline.points(), debugger.position
    told = [made(debugger.inside.update, place) for place in range(WHOLE)]
    assert [each.phase for each in told] == list(PHASES)
    assert debugger.snapshot() is before
    assert (debugger.timeline.points(), debugger.position, debugger.inside.made) == (points, position, 0)
    again = start(layer, "adam", OPTIONS)
    again.run(2)
    debugger.run(1)
    assert_same_bits(debugger.snapshot(), again.snapshot())


def test_numbers_that_are_not_finite_pass_through_all_phases(assert_same_bits):
    problem = make_problem("sqrt(x)", {"x": 0.5})
    phased, whole = start(problem, rate=4.0), start(problem, rate=4.0)
    check_alike(phased, whole, 2, assert_same_bits)
    assert not phased.snapshot().is_finite()
    assert np.isnan(made(phased.inside.update, 5).changes[0].after)


def test_a_large_parameter_is_told_by_norms():
    problem = make_problem("sum((w - 1)**2)", {"w": np.zeros(100)})
    debugger = start(problem, "sgd", {"momentum": 0.5}, 0.25)
    (gradient,) = made(debugger.inside.update, 1).changes
    assert (gradient.shape, gradient.before, gradient.after) == ((100,), None, 20)
    (applied,) = made(debugger.inside.update, 5).changes
    assert (applied.before, applied.after, applied.size) == (0, 5, 5)


# --- going on, back and away --------------------------------------------------------------------------------------------


def test_step_counts_the_update_that_is_begun_as_its_first(tutorial, assert_same_bits):
    one, other = start(tutorial), start(tutorial)
    advance(one, 4)
    assert (one.step, one.inside.place) == (0, "0+decay")
    one.run(3)
    other.run(3)
    assert (one.inside.made, one.step) == (0, 3)
    assert one.inside.take_given_up() == ()
    assert_same_bits(one.snapshot(), other.snapshot())
    assert rows(one) == rows(other)


def test_so_it_does_where_the_future_is_recorded_which_is_walked_again(tutorial, assert_same_bits):
    debugger = start(tutorial)
    debugger.run(3)
    end = debugger.snapshot()
    debugger.goto(1)
    advance(debugger, 6)
    move = debugger.run(2)
    assert (move.taken, move.notes, debugger.inside.take_given_up(), debugger.inside.place) == (2, (), (), "3")
    assert_same_bits(debugger.snapshot(), end)
    assert (debugger.timeline.points(), len(debugger.timeline.branches)) == (4, 1)


def test_many_phases_run_whole_updates_and_begin_the_next(tutorial, assert_same_bits):
    one, other = start(tutorial), start(tutorial)
    advance(one, 2)
    walk = advance(one, 2 * WHOLE + 3)
    other.run(2)
    assert one.inside.place == "2+moments"
    assert [place for _, place in walk.made] == [0, 1, 2, 3, 4]
    assert walk.move is not None
    assert walk.move.taken == 2
    assert_same_bits(one.snapshot(), other.snapshot())


def test_a_stop_holds_at_the_end_of_an_update_and_ends_the_phases(tutorial):
    debugger = start(tutorial, rate=0.1)
    debugger.stops = Stops().add(debugger.condition("step == 1"))
    walk = advance(debugger, WHOLE + 3)
    assert walk.move is not None
    assert [stop.kind for stop in walk.move.stops] == ["breakpoint", "count"]
    assert debugger.inside.place == "1"
    assert [place for _, place in walk.made] == list(range(WHOLE))


def test_phases_go_back_into_earlier_updates_and_end_at_the_start(tutorial, assert_same_bits):
    debugger, other = start(tutorial, "adam", None, 1.0), start(tutorial, "adam", None, 1.0)
    debugger.run(2)
    advance(debugger, 3)
    assert retreat(debugger, 2) == 2
    assert debugger.inside.place == "2+forward"
    assert retreat(debugger, 3) == 3
    assert debugger.inside.place == "1+moments"
    other.run(2)
    advance(debugger, 2)
    assert_same_bits(debugger.snapshot(), other.snapshot())
    assert debugger.timeline.points() == 3
    assert retreat(debugger, 1000) == 2 * WHOLE
    assert debugger.inside.place == "0"
    assert debugger.inside.take_given_up() == ()


@pytest.mark.parametrize(
    "leave",
    [
        lambda debugger: debugger.goto(1),
        lambda debugger: debugger.goto(2),
        lambda debugger: debugger.back(1),
        lambda debugger: debugger.reverse(),
        lambda debugger: debugger.restart(),
        lambda debugger: debugger.set_learning_rate(0.2),
        lambda debugger: debugger.set_parameter("x", np.float32(7)),
    ],
    ids=["goto", "goto-here", "back", "reverse", "run", "set-lr", "set-x"],
)
def test_whatever_moves_or_changes_gives_up_the_update_and_says_so(leave, tutorial, assert_same_bits):
    debugger, other = start(tutorial), start(tutorial)
    for each in (debugger, other):
        each.run(2)
    advance(debugger, 6)
    leave(debugger)
    leave(other)
    assert debugger.inside.take_given_up() == ("the update from step 2, begun up to apply, is given up",)
    assert debugger.inside.made == 0
    assert_same_bits(debugger.snapshot(), other.snapshot())


def test_a_branch_keeps_the_update_that_is_begun(tutorial):
    debugger = start(tutorial)
    advance(debugger, 6)
    debugger.fork("other")
    assert (debugger.inside.place, debugger.position.branch) == ("0+apply", "other")
    assert debugger.inside.look(debugger.parse("x")) == debugger.inside.look(debugger.parse("update(x)")) == 5
    assert debugger.ask(debugger.parse("x")) == 0
    advance(debugger, 1)
    assert debugger.ask(debugger.parse("x")) == 5


def test_what_fails_leaves_the_phases_as_they_are(tutorial, monkeypatch, assert_same_bits):
    debugger = start(tutorial)
    advance(debugger, 4)
    before = debugger.snapshot()
    monkeypatch.setattr("gdrepl.engine.program.Program.advance", refuse)
    for count in (2, 3, WHOLE):
        with pytest.raises(ProblemError):
            advance(debugger, count)
        assert debugger.inside.place == "0+decay"
        assert debugger.snapshot() is before
    with pytest.raises(CommandError):
        debugger.goto(5)
    assert debugger.inside.place == "0+decay"


def refuse(*arguments, **named):
    raise ProblemError("the engine refuses the loss")
