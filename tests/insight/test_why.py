"""Where a value that is not finite was born: by descents written down in NumPy, and by closed forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import make_problem
from gdrepl.engine.program import Program
from gdrepl.engine.programs import Programs
from gdrepl.insight import saying
from gdrepl.insight.cause import Why
from gdrepl.insight.nonfinite import bad_slots, first_not_finite, slot_overflowed
from gdrepl.insight.stability import rate_limit
from gdrepl.insight.why import why

PROGRAMS = Programs(most=30)
F = np.float32


def begun(
    loss: str, parameters: Mapping[str, object], optimizer: str = "sgd", rate: float = 0.1, engine: str = "eager"
) -> Debugger:
    spec = OptimizerSpec.make(optimizer, {}, rate)
    return Debugger(make_problem(loss, parameters), spec, engine=engine, programs=PROGRAMS)


def asked(debugger: Debugger) -> Why:
    """What is told, by the real stability limit."""
    told = why(debugger, rate_limit)
    assert told is not None
    return told


def numbers(values: Mapping[str, object]) -> dict[str, float]:
    return {name: float(np.asarray(value)) for name, value in values.items()}


# --- the value ----------------------------------------------------------------------------------------------------------


def test_a_logarithm_that_is_left_downwards_is_named_with_its_input_and_the_step():
    debugger = begun("log(x)", {"x": 0.5})
    debugger.run(20)
    x, step = F(0.5), 0
    while x > 0:
        x, step = F(x - F(0.1) * (F(1) / x)), step + 1
    told = asked(debugger)
    assert (told.step, told.operation, told.expression, told.kind) == (step, "log", "log(x)", "value")
    assert numbers(told.inputs) == {"x": float(x)}
    assert np.isnan(told.output)
    assert told.last_finite == step - 1
    assert float(np.asarray(told.learning_rate)) == F(0.1)
    assert told.loss[told.start : told.end] == "log(x)"


def test_of_arrays_the_element_is_named():
    debugger = begun("sum(sqrt(x - 1))", {"x": [[2.0, 3.0], [1.05, 4.0]]}, rate=0.2)
    debugger.run(20)
    told = asked(debugger)
    # the slope of sqrt(x - 1) is 1/(2 sqrt(x - 1)), which at 1.05 leads below 1 in one update
    assert (told.step, told.operation, told.expression) == (1, "sqrt", "sqrt(x - 1)[1, 0]")
    assert numbers(told.inputs) == {"(x - 1)[1, 0]": pytest.approx(0.05 - 0.2 / (2 * np.sqrt(0.05)), rel=1e-4)}


@pytest.mark.parametrize(
    ("loss", "start", "operation", "inputs"),
    [
        ("exp(x*x) + x", 10.0, "exp", {"x*x": 100.0}),
        ("1/(x - 2) + x", 2.0, "/", {"x - 2": 0.0}),
        ("x/(x - 2)", 2.0, "/", {"x": 2.0, "x - 2": 0.0}),
        ("log(0*x) + log(-x)", 3.0, "log", {"0*x": 0.0}),
        ("sum(exp([x, 1])**9)", 40.0, "**", {"exp([x, 1])[0]": float(np.exp(F(40.0)))}),
        ("sum([x, x]*3e38)", 3.0, "*", {"[x, x][0]": 3.0}),
        ("prod([x, x, x])", 1e20, "prod", {}),
    ],
)
def test_the_first_operation_with_finite_inputs_is_named_at_the_start(loss, start, operation, inputs):
    told = asked(begun(loss, {"x": start}))
    assert (told.step, told.kind, told.operation, told.last_finite) == (0, "start", operation, None)
    assert {name: pytest.approx(value) for name, value in inputs.items()} == {
        name: float(value) for name, value in told.inputs.items() if np.size(value) == 1
    }
    assert any("from the start" in note for note in told.notes)


def test_a_value_that_the_loss_does_not_take_is_not_blamed():
    # log(-1) is NaN, and where leaves it out; what is not finite is the quotient
    told = asked(begun("where(x > 0, log(x), x) + 1/(x + 1)", {"x": -1.0}))
    assert (told.operation, told.expression) == ("/", "1/(x + 1)")


@pytest.mark.parametrize(
    ("loss", "start", "expression"),
    [
        ("where(x[0] > 0, log(x[0]), exp(x[1]))", [-1.0, 100.0], "exp(x[1])"),
        ("sum(where(x > 0, log(x), 1/(x + 1)))", [-2.0, -1.0], "(1/(x + 1))[1]"),  # log(-2) is left out, and log(-1)
        ("sum(where(x > 0, log(x), log(-1 - x)))", [-2.0, -0.5], "log(-1 - x)[1]"),
        ("min(exp(x[0]), log(x[1]))", [100.0, -1.0], "log(x[1])"),
        ("log(x)[1] + sum(x)", [-1.0, 0.0], "log(x)[1]"),
        ("mean(log(x)[1:, 0])", [[-1.0, 2.0], [0.0, 1.0]], "log(x)[1, 0]"),
        ("transpose(log(x))[0, 1]", [[1.0, -2.0], [-1.0, -3.0]], "log(x)[1, 0]"),
        ("sum((log(x) @ [1, 2])[1:])", [[-1.0, 2.0], [1.0, 0.0]], "log(x)[1, 1]"),
        ("sum(([1, 2] @ log(x))[1:])", [[-1.0, 2.0], [1.0, 0.0]], "log(x)[1, 1]"),
        ("sum(softmax(log(x))[1])", [[-1.0, 2.0], [1.0, -3.0]], "log(x)[1, 1]"),
        ("[log(x[0]), log(x[1])][1]", [-1.0, -2.0], "log(x[1])"),
        ("1e39*sum(x)", [1.0], "1e39"),
    ],
)
def test_the_element_that_was_taken_is_named_and_not_one_that_an_index_or_a_condition_leaves_out(loss, start, expression):
    told = asked(begun(loss, {"x": start}))
    assert (told.expression, told.kind) == (expression, "start")
    assert told.operation


# --- the gradient -------------------------------------------------------------------------------------------------------


def test_a_gradient_that_is_not_finite_while_the_loss_is_names_the_derivative():
    debugger = begun("sum(sqrt(x)) + sum(x)", {"x": [1.5 * 0.25, 9.0]}, rate=0.0)
    debugger.set_parameter("x", np.asarray([4.0, 0.0], F))
    told = asked(debugger)
    assert (told.kind, told.operation, told.expression) == ("edit", "sqrt", "d sqrt(x) / d x[1]")
    assert numbers(told.inputs) == {"x[1]": 0.0, "d loss / d sqrt(x)": 1.0}
    assert np.isinf(told.output)
    assert told.notes[0] == "the loss is finite, its gradient is not"
    assert any(note.startswith("'edit' at step 0 made it so") for note in told.notes)


def test_the_derivative_is_one_of_a_parameter_whose_gradient_is_not_finite():
    # the slope of sqrt(y) is infinite, too, but where leaves it out, and the eager engine makes 0 of 0*inf
    told = asked(begun("sum(where(y > 0, sqrt(y), 0*y)) + sum(sqrt(x))", {"y": [0.0], "x": [4.0, 0.0]}))
    assert told.expression == "d sqrt(x) / d x[1]"


@pytest.mark.parametrize("loss", ["1/(1 + exp(x)) + y", "tanh(exp(x)) + where(y > 0, sqrt(y), 0*y)", "exp(-exp(x))*y"])
def test_what_overflows_on_the_way_to_a_finite_loss_is_named_when_the_gradient_is_not_finite(loss):
    told = asked(begun(loss, {"y": 0.0, "x": 100.0}))
    assert (told.kind, told.operation, told.expression) == ("start", "exp", "exp(x)")
    assert told.notes[0] == "the loss is finite, its gradient is not"
    assert numbers(told.inputs) == {"x": 100.0}


def test_nothing_times_infinity_is_told_as_such():
    told = asked(begun("sum(where(x > 0, sqrt(x), 0*x) + (x-1)**2)", {"x": [1.0, 0.5, 0.0]}, engine="xla"))
    assert (told.operation, told.expression) == ("sqrt", "d sqrt(x) / d x[2]")
    assert numbers(told.inputs) == {"x[2]": 0.0, "d loss / d sqrt(x)": 0.0}
    assert "no gradient reaches it, and 0*inf is nan in plain arithmetic" in told.notes


# --- the update ---------------------------------------------------------------------------------------------------------


def test_a_slot_that_overflows_is_named_with_the_gradient_whose_square_it_holds():
    debugger = begun("1e10*x**2*1e10", {"x": 1.0}, "adam")
    debugger.run(5)
    told = asked(debugger)
    assert (told.step, told.kind, told.operation, told.expression) == (1, "update", "update", "slot.velocity(x)")
    assert numbers(told.inputs) == {"slot.velocity(x)": 0.0, "grad(x)": float(F(2e20)), "lr": float(F(0.1))}
    assert any("beyond the largest float32" in note for note in told.notes)
    assert first_not_finite(debugger) == 2  # the loss is finite one step longer
    assert "the loss and its gradient were finite until step 1" in told.notes


def test_a_slot_that_overflowed_many_steps_before_is_followed_back():
    # Keras' RMSprop: v = rho v + (1 - rho) g**2, x -= lr g/sqrt(v + eps)
    x, v, step = F(1), F(0), 0
    with np.errstate(over="ignore"):
        while np.isfinite(v):
            g = F(-2e16) * x
            v, step = F(0.9) * v + F(0.1) * (g * g), step + 1
            x -= F(100) * g / np.sqrt(v + F(1e-7))
    assert step > 3
    debugger = begun("-1e16*x**2", {"x": 1.0}, "rmsprop", rate=100)
    debugger.run(step + 20)
    assert first_not_finite(debugger) is None  # what is divided by infinity is 0
    assert bad_slots(debugger.slots()) == [("velocity", "x")]
    assert slot_overflowed(debugger, ("velocity", "x"), debugger.step) == step


def test_a_parameter_that_overflows_in_the_update_is_named():
    debugger = begun("sum(1e15*x**2)", {"x": [1e-10, 0.1]}, "rmsprop", 1e38)
    debugger.run(3)
    told = asked(debugger)
    assert (told.step, told.kind, told.expression, told.last_finite) == (1, "update", "x[0]", 0)
    assert list(told.inputs) == ["x[0]", "grad(x)[0]", "lr"]


@pytest.mark.parametrize(
    ("hyper", "first"),
    [
        ({"global_clipnorm": 1.0}, "the clipped gradient of x"),
        ({"gradient_accumulation_steps": 4}, "the mean gradient of x"),
        ({"loss_scale_factor": 1e10}, "the scaled gradient of x"),
    ],
)
def test_of_an_update_that_overflows_the_first_term_is_told(hyper, first):
    spec = OptimizerSpec.make("sgd", hyper, 0.1)
    debugger = Debugger(make_problem("1e38*x", {"x": 1.0}), spec, engine="eager", programs=PROGRAMS)
    debugger.run(4)
    told = asked(debugger)
    assert (told.kind, told.operation, told.expression) == ("update", "update", "x")
    assert any(first in note and "too large for float32" in note for note in told.notes)


def test_float64_is_not_advised_where_it_is_in_use():
    problem = make_problem("1e200*x", {"x": 1.0}, dtype="float64")
    debugger = Debugger(problem, OptimizerSpec.make("adam", {}, 0.1), engine="eager", programs=PROGRAMS)
    debugger.run(3)
    told = asked(debugger)
    assert told.expression == "slot.velocity(x)"
    assert any("beyond the largest float64" in note and "scale the loss down" in note for note in told.notes)


# --- what led there -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def diverged() -> Debugger:
    """x - 50 is multiplied by 1 - 2*1.05 = -1.1 at each update, until its square overflows."""
    debugger = begun("(x-50)**2", {"x": 3.0}, rate=1.05, engine="xla")
    debugger.run()
    return debugger


def test_the_last_updates_their_growth_and_the_stability_limit_are_told(diverged):
    told = asked(diverged)
    assert (told.operation, told.expression) == ("**", "(x-50)**2")
    step = told.step
    distance = 47 * 1.1 ** np.arange(step + 1.0)
    assert distance[step] ** 2 > np.finfo(F).max > distance[step - 1] ** 2
    # from 47*1.1**k on one side to 47*1.1**(k + 1) on the other
    wanted = (distance[:-1] + distance[1:])[-5:]
    np.testing.assert_allclose(told.updates, wanted, rtol=1e-4)
    assert told.growth == pytest.approx(1.1, rel=1e-4)
    assert told.limit == pytest.approx(1.0, rel=1e-5)  # 2/lambda, where lambda is 2
    assert told.ratio == pytest.approx(1.05, rel=1e-5)
    assert any("1.05 times the stability limit 1 " in note and "diverges" in note for note in told.notes)


def test_it_is_the_same_from_wherever_one_stands_on_the_branch(diverged, assert_same_bits):
    told = asked(diverged)
    diverged.goto(100)
    before, points = diverged.snapshot(), diverged.timeline.points()
    again = asked(diverged)
    assert (again.step, again.expression, again.updates) == (told.step, told.expression, told.updates)
    assert_same_bits(diverged.snapshot(), before)
    assert diverged.timeline.points() == points
    diverged.goto(diverged.branch.end)


def test_nothing_is_run_again_from_the_start(diverged, monkeypatch):
    made: list[int] = []
    advance = Program.advance

    def counting(self: Program, *arguments, **more):
        done = advance(self, *arguments, **more)
        made.append(done.taken)
        return done

    monkeypatch.setattr(Program, "advance", counting)
    diverged.goto(diverged.branch.end)
    asked(diverged)
    asked(diverged)
    assert sum(made) < diverged.branch.end


def test_going_on_from_the_past_is_the_same_after_it_was_asked(diverged, assert_same_bits):
    diverged.goto(10)
    diverged.run(1)
    wanted = diverged.snapshot()
    diverged.goto(10)
    asked(diverged)
    diverged.run(1)
    assert_same_bits(diverged.snapshot(), wanted)


def test_a_run_that_went_on_through_nan_is_followed_to_its_beginning():
    debugger = begun("sqrt(x)", {"x": 0.5}, rate=0.3)
    debugger.run(20)
    first = debugger.step
    assert 1 < first < 20
    debugger.run(7)  # a run of a given count goes on
    assert not debugger.snapshot().is_finite()
    assert asked(debugger).step == first == first_not_finite(debugger)


def test_where_all_is_finite_there_is_nothing_to_tell(start_debugger: Callable[..., Debugger]):
    debugger = start_debugger(engine="eager")
    debugger.run(3)
    assert why(debugger, rate_limit) is None


@dataclass(frozen=True)
class Made:
    limit: float | None
    ratio: float | None
    rule: str = "made up"


@pytest.mark.parametrize(("ratio", "words"), [(0.2, "does not explain"), (3.0, "diverges"), (None, "")])
def test_the_limit_is_asked_at_the_last_finite_step_and_told_by_its_ratio(diverged, ratio, words):
    at: list[int] = []

    def limit_at(debugger: Debugger, step: int) -> Made:
        at.append(step)
        return Made(None if ratio is None else 1.05 / ratio, ratio)

    told = why(diverged, limit_at)
    assert told is not None
    assert at == [told.last_finite] == [told.step - 1]
    assert told.ratio == ratio
    assert (words in " ".join(told.notes)) if words else not any("limit" in note for note in told.notes)


def test_large_gradients_recorded_as_norms_are_looked_at_by_their_numbers():
    # the norm of 100 numbers of 1e38 is beyond float32, none of them is
    debugger = begun("sum(x*1e38)", {"x": [0.01] * 100}, rate=1e-42)
    debugger.run(2)
    assert debugger.snapshot().is_finite()
    assert first_not_finite(debugger) is None


def test_numbers_in_sentences_are_written_as_one_would_type_them():
    shown = [saying.number(value, 3) for value in (-3.2e-7, 0.00032, 12.5, 1e20, np.float32("inf"))]
    assert shown == ["-3.2e-7", "0.00032", "12.5", "1e20", "inf"]
