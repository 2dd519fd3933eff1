"""check grad: right gradients pass at every scale, wrong ones of a user's own making are caught, kinks are told."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gdrepl.commands.outcomes import Outcome
from gdrepl.engine import zoo
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.errors import CommandError
from gdrepl.insight.backtrace import stack
from gdrepl.insight.gradient_check import GradientCheck, check_gradient
from gdrepl.insight.noise import rounding
from gdrepl.insight.products import Products

SPEC = OptimizerSpec.make("sgd", {}, 0.1)
DTYPES = ("float32", "float64")


def debugger(problem: Problem, engine: str = "eager") -> Debugger:
    return Debugger(problem, SPEC, engine)


def checked(loss: str, start: dict[str, Any], dtype: str = "float32", constants: dict[str, Any] | None = None) -> GradientCheck:
    return check_gradient(debugger(make_problem(loss, start, constants, dtype)), None, 0)


@dataclass(frozen=True, eq=False)
class Custom(Problem):
    """A loss whose gradient is declared by hand: that of one parameter is multiplied, in some places, by a factor."""

    name_of: str = ""
    factors: Any = field(default=None)

    def loss_of(self, parameters: Any) -> Any:
        import tensorflow as tf

        @tf.custom_gradient
        def declared(x: Any) -> Any:
            return tf.identity(x), lambda upstream: upstream * tf.constant(self.factors, x.dtype)

        return super().loss_of({**parameters, self.name_of: declared(parameters[self.name_of])})


def planted(problem: Problem, name: str, factor: float, place: tuple[int, ...] | None = None) -> Problem:
    factors = np.ones(problem.parameters[name].shape)
    factors[place if place is not None else ...] = factor
    fields = (problem.loss, problem.parameters, problem.constants, problem.dtype)
    return Custom(*fields, name_of=name, factors=factors)


# --- right gradients ----------------------------------------------------------------------------------------------------


RIGHT = {
    "large x": ("(x - 1e8)**2 + sin(x)", {"x": 1.5e8}),
    "small x": ("(x*1e8 - 2)**4", {"x": 1e-8}),
    "large loss": ("1e30*cos(x)", {"x": 1.0}),
    "small loss": ("1e-30*cos(x)", {"x": 1.0}),
    "cancellation": ("(x + 1e8 - 1e8 - 2)**2", {"x": 1.0}),
    "sizes far apart": ("sum(x**2) + x[0]*x[1]", {"x": [1e8, 1e-8, 0.0, 1.0]}),
    "next to the edge": ("x*log(x) + sqrt(x)", {"x": 1e-6}),
    "saturated": ("sigmoid(40*x)**2 + y**2", {"x": 1.0, "y": 0.3}),
    "at the minimum": ("(x - 0.1)**2 + (y - 0.3)**2", {"x": 0.1, "y": 0.3}),
    "flat": ("0*x + 3", {"x": 2.0}),
    "between steps": ("floor(x)*y + y**2", {"x": 2.5, "y": 1.5}),
    "a net": ("mean((tanh(X @ W + b) @ v - 1)**2)", {"W": [[0.1, -0.4], [0.7, 0.2]], "b": [0.0, 0.0], "v": [1.0, -2.0]}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_gradient_passes(name, dtype):
    loss, start = RIGHT[name]
    constants = {"X": [[1.0, 2.0], [0.5, -1.0], [3.0, 0.1]]} if "X" in loss else {}
    found = checked(loss, start, dtype, constants)
    assert found.ok, found
    assert found.worst_error <= found.worst[0].tolerance
    assert found.checked == found.numbers == sum(np.size(value) for value in start.values())


@pytest.mark.parametrize(("function", "seed", "scale"), [("tanh", 3, 4.0), ("sigmoid", 6, 6.0)])
def test_a_net_of_saturated_units_gives_no_false_alarm(function, seed, scale):
    # XLA's tanh is up to 5 units of the last place off, so that 1 - tanh**2 of a unit that is saturated has few right digits.
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(200, 6))
    start = {
        "W": 2 * scale * chance.normal(size=(6, 16)),
        "V": 2 * scale * chance.normal(size=(16, 8)),
        "u": chance.normal(size=8),
    }
    loss = f"mean(({function}({function}(X @ W) @ V) @ u - y)**2)"
    there = debugger(make_problem(loss, start, {"X": x, "y": x @ np.arange(6.0)}, "float32"), "xla")
    found = check_gradient(there, None, 0)
    assert found.ok, found
    assert stack(there).agrees


def places(name: str, count: int, chance: np.random.Generator) -> list[dict[str, Any]]:
    """The start of a test function, and random points of its domain, some of them whole numbers, or far away or near 0."""
    entry = zoo.entry(name)
    found = [dict(entry.start)]
    for number in range(count):
        scale = chance.choice([1, 1, 1e-8, 1e4]) if number else 1
        point = {key: chance.uniform(*entry.bounds[key], np.shape(value)) * scale for key, value in entry.start.items()}
        found.append({key: np.round(value) if number % 3 == 1 else value for key, value in point.items()})
    return found


ROUNDS = int(os.environ.get("GDREPL_GRADIENT_ROUNDS", "0"))
"""Set it for more random points of every test function: 20 takes half an hour."""
SOME = zoo.names() if ROUNDS else ("absolute", "brown_badly_scaled", "bukin6", "michalewicz", "salomon", "saturated_neuron")


@pytest.mark.parametrize("name", SOME)
def test_the_zoo_gives_no_false_alarm(name):
    chance = np.random.default_rng(len(name))
    entry = zoo.entry(name)
    for number, point in enumerate(places(name, ROUNDS or 2, chance)):
        there = debugger(make_problem(entry.expression, point, entry.constants, DTYPES[number % 2]))
        if np.isfinite(there.point().loss):
            found = check_gradient(there, None, 0)
            assert found.ok, (point, found)


# --- wrong gradients ----------------------------------------------------------------------------------------------------

LEAST_SQUARES = ("mean((X @ W - Y)**2)", {"W": [[0.5, -0.2], [1.0, 2.0], [0.0, 0.3]]})
DATA = {"X": [[1.0, 2.0, -1.0], [0.3, 0.1, 2.0], [-1.0, 1.0, 1.0]], "Y": [[1.0, 2.0], [0.0, 1.0], [2.0, -1.0]]}


@pytest.mark.parametrize(("dtype", "factor"), [("float32", 1.01), ("float64", 1.001), ("float32", -1.0), ("float64", 0.0)])
def test_a_wrong_number_is_caught_and_named(dtype, factor):
    problem = planted(make_problem(*LEAST_SQUARES, DATA, dtype), "W", factor, (2, 1))
    found = check_gradient(debugger(problem), None, 0)
    assert (found.ok, found.coordinate) == (False, "W[2, 1]")
    x, w, y = (np.asarray(each) for each in (DATA["X"], LEAST_SQUARES[1]["W"], DATA["Y"]))
    true = 2 * x.T @ (x @ w - y) / y.size
    assert found.worst[0].difference == pytest.approx(true[2, 1], rel=1e-6)
    assert found.worst[0].gradient == pytest.approx(factor * true[2, 1], rel=1e-5, abs=1e-12)
    assert "the gradient that the loss declares is not its slope" in found.notes[0]


@pytest.mark.parametrize("name", ["rosenbrock", "ackley", "branin"])
def test_wrong_gradients_in_the_zoo_are_caught(name):
    entry = zoo.entry(name)
    for dtype, factor in zip(DTYPES, (1.01, 1.001)):
        problem = make_problem(entry.expression, entry.start, entry.constants, dtype)
        assert not check_gradient(debugger(planted(problem, next(iter(entry.start)), factor)), None, 0).ok


@pytest.mark.parametrize("scale", ["1", "1e-20", "1e12"])
def test_what_cancels_inside_a_loss_of_pythons_own_is_no_wrong_gradient_and_hides_none(scale):
    problem = make_problem(f"sum(log(1 + w**2))*{scale}", {"w": [1e-4, -2e-4, 3e-5]}, dtype="float64")
    assert check_gradient(debugger(planted(problem, "w", 1.0)), None, 0).ok
    found = check_gradient(debugger(planted(problem, "w", 1.01, (1,))), None, 0)
    assert (found.ok, found.coordinate) == (False, "w[1]")


def test_a_gradient_that_the_engine_alone_has_wrong_is_told_so():
    there = debugger(make_problem("x**2 + y", {"x": 3.0, "y": 1.0}))
    snapshot = there.snapshot()
    snapshot.gradient["x"].setflags(write=True)
    snapshot.gradient["x"][...] = 6.1
    found = check_gradient(there, None, 0)
    assert (found.ok, found.coordinate) == (False, "x")
    assert "it is the eager engine that differs" in found.notes[0]


def test_a_nan_beside_a_finite_loss_is_wrong():
    problem = planted(make_problem("sum((x - 1)**2)", {"x": [1.0, 0.5, 0.0]}), "x", np.nan, (2,))
    found = check_gradient(debugger(problem), None, 0)
    assert (found.ok, found.coordinate, found.worst_error) == (False, "x[2]", np.inf)
    assert "the gradient is nan" in found.notes[0]


# --- kinks, jumps and edges ---------------------------------------------------------------------------------------------

KINKS = {
    "abs(x - 3) + y**2": "abs(x - 3) turns at 0",
    "relu(x - 3)*2 + y": "relu(x - 3) turns at 0",
    "max(x, 3) + y**2": "max(x, 3) is a tie",
    "min([x, 3, 4]) + y": "min([x, 3, 4]) is a tie of 2",
    "clip(x, 0, 3) + y**2": "clip(x, 0, 3) stands at its limit",
    "where(x < 3, x, 2*x - 3) + y": "x < 3 stands at its border",
    "norm([x - 3, 0*y]) + y**2": "norm([x - 3, 0 * y]) turns at 0",
}


@pytest.mark.parametrize("loss", KINKS)
def test_a_kink_is_told_and_no_error(loss):
    found = checked(loss, {"x": 3.0, "y": 0.5})
    assert found.ok, found
    assert found.kinks == ("x",)
    assert found.coordinate == "y"
    assert found.notes[0].startswith("kink at x: slopes ")
    assert KINKS[loss] in found.notes


def test_a_gradient_outside_of_the_slopes_of_a_kink_is_wrong():
    problem = make_problem("2*max(x, 3) + abs(x - 3)", {"x": 3.0})  # slopes -1 and 3
    assert check_gradient(debugger(planted(problem, "x", 1.5)), None, 0).ok
    assert not check_gradient(debugger(planted(problem, "x", 2.5)), None, 0).ok


def test_parts_that_cancel_at_a_kink_leave_a_gradient_that_is_wrong():
    found = checked("relu(x) - relu(-x)", {"x": 0.0})  # x, whose slope is 1; each part gives 0
    assert (found.ok, found.kinks) == (False, ())
    assert (found.worst[0].gradient, found.worst[0].difference) == (0, pytest.approx(1))


@pytest.mark.parametrize(
    ("loss", "told"), [("floor(x) + y**2", "floor(x) jumps here"), ("sign(x - 3) + y**2", "sign(x - 3) jumps at 0")]
)
def test_a_jump_is_not_compared(loss, told):
    found = checked(loss, {"x": 3.0, "y": 1.0})
    assert (found.ok, found.coordinate) == (True, "y")
    assert told in found.notes
    assert "the loss jumps at x, or its slope is infinite there: not compared" in found.notes


def test_at_the_edge_differences_are_to_one_side():
    found = checked("sqrt(x)*x**2 + 3*x", {"x": 0.0}, "float64")
    assert found.ok
    assert found.notes == ("the loss is finite on one side of x only: differences to that side",)


def test_what_rounding_has_swallowed_is_told():
    found = checked("1e20 + x + (1e15 + y)", {"x": 1.0, "y": 1.0}, "float64")
    assert found.ok
    assert "is lost in rounding" in found.notes[0]
    assert checked("x*0 + 1", {"x": 2.0}).notes == ("the loss is flat here: gradient and differences are 0",)
    found = checked("(x + 1e8 - 1e8)**2", {"x": 1.0})
    assert found.notes == ("rounding of float32 makes d loss/d x 0; in float64 it is 2",)


def test_where_the_loss_is_not_finite_there_is_nothing_to_compare():
    with pytest.raises(CommandError, match="the loss is nan here"):
        checked("log(x)", {"x": -1.0})
    beyond = debugger(make_problem("1/x", {"x": 0.0}))
    beyond.run(1)  # by an infinite gradient to infinity, where the loss is 0
    with pytest.raises(CommandError, match="x is not finite here"):
        check_gradient(beyond, None, 0)


@pytest.mark.filterwarnings("error")
def test_an_infinite_slope_gives_no_warning_and_is_not_compared():
    found = checked("sqrt(x - 2)", {"x": 2.0})
    assert (found.ok, found.coordinate) == (True, "")


def test_what_stop_gradient_leaves_out_is_told_beside_the_difference():
    found = checked("stop_gradient(x)*x", {"x": 3.0})
    assert (found.ok, found.worst[0].gradient, found.worst[0].difference) == (False, 3, pytest.approx(6))
    assert any("stop_gradient" in note for note in found.notes)


# --- many numbers -------------------------------------------------------------------------------------------------------


def test_of_many_numbers_some_are_moved_by_themselves_and_all_along_directions():
    there = debugger(many())
    found = check_gradient(there, None, 0)
    assert found.ok
    assert (found.numbers, found.directions) == (5_001, 4)
    assert 4 <= found.checked <= 66
    chosen = check_gradient(there, np.arange(3), 0)
    assert (chosen.checked, chosen.directions) == (3, 0)


def test_one_wrong_number_among_many_is_found_and_named():
    found = check_gradient(debugger(planted(many(), "w", 1.5, (3217,)), "graph"), None, 0)
    assert (found.ok, found.coordinate) == (False, "w[3217]")


def many() -> Problem:
    w = np.random.default_rng(0).standard_normal(5_000)
    return make_problem("mean(sin(w)**2) + 0.001*sum(w**2)*b", {"w": w, "b": 0.5})


# --- asking changes nothing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_check_changes_nothing_and_comes_out_the_same_again(factor, assert_same_bits):
    there = debugger(planted(make_problem(*LEAST_SQUARES, DATA), "W", factor))
    there.run(3)
    before, segments = there.snapshot(), list(there.timeline.segments())
    first, second = (check_gradient(there, None, 0) for _ in range(2))
    assert first.worst == second.worst or repr(first) == repr(second)
    assert_same_bits(there.snapshot(), before)
    assert list(there.timeline.segments()) == segments


def test_an_interrupted_check_says_so_and_changes_nothing(assert_same_bits):
    there = debugger(make_problem("sum(x**2)", {"x": [1.0, 2.0]}))
    before = there.snapshot()
    there.interrupt.set()
    with pytest.raises(CommandError, match="interrupted"):
        check_gradient(there, None, 0)
    assert not there.interrupt.is_set()
    assert_same_bits(there.snapshot(), before)
    assert check_gradient(there, None, 0).ok


@dataclass(frozen=True, eq=False)
class Narrow(Problem):
    """A loss that takes float32 only."""

    def loss_of(self, parameters: Any) -> Any:
        import tensorflow as tf

        return tf.reduce_sum(parameters["x"] * tf.constant([1.0, 2.0])) ** 2


def test_a_loss_of_one_type_only_is_checked_in_it():
    problem = make_problem("sum(x)", {"x": [3.0, 4.0]})
    narrow = Narrow(problem.loss, problem.parameters, problem.constants)
    found = check_gradient(debugger(narrow), None, 0)
    assert (found.ok, found.wide) == (True, "float32")
    assert [each.gradient for each in sorted(found.worst, key=lambda one: one.coordinate)] == [22, 44]
    assert Products(narrow).matrix(problem.parameters, lambda made: None).tolist() == [[2, 4], [4, 8]]


def test_an_interrupt_is_heeded_while_roundings_are_tried_and_told_once():
    there = debugger(make_problem("x**2", {"x": 2.0}, None, "float64"))
    there.interrupt.set()
    with pytest.raises(CommandError, match="interrupted") as caught:
        rounding(there.problem, there.point().parameters, "float64", there.interrupt)
    assert not there.interrupt.is_set()
    assert Outcome("check grad", error=caught.value).tells_of_interrupt
    assert not Outcome("check grad", error=CommandError("the loss is nan here")).tells_of_interrupt
