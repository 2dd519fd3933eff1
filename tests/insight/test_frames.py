"""The chain rule as frames: what they hold is held against complex steps, closed forms and the gradient in use."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.engine.programs import Programs
from gdrepl.insight.backtrace import Stack, stack, sums_by_parameter
from gdrepl.insight.frames import Link, links
from gdrepl.insight.gradient import chain
from gdrepl.insight.summary import Summary

PROGRAMS = Programs(most=20)


def stacked(loss: str, parameters: Mapping[str, object], constants: Mapping[str, object] | None = None, **more) -> Stack:
    """The frames at the start values, by the eager engine unless another one is asked for."""
    engine = more.pop("engine", "eager")
    problem = make_problem(loss, parameters, constants, **more)
    return stack(Debugger(problem, OptimizerSpec.make("sgd", {}, 0.1), engine, programs=PROGRAMS))


def marked(here: Stack) -> dict[str, tuple[str, str]]:
    return {frame.expression: (frame.mark, frame.reason) for frame in here.frames if frame.mark}


# --- random expressions -------------------------------------------------------------------------------------------------

UNARY = ("sin", "cos", "tanh", "exp", "square", "sigmoid")
NUMPY = {
    **{name: getattr(np, name) for name in ("sin", "cos", "tanh", "exp", "square", "log", "sqrt", "sum")},
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "mean": np.mean,
    "dot": np.dot,
    "prod": np.prod,
    "logsumexp": lambda z: np.log(np.sum(np.exp(z))),
    "softmax": lambda z: np.exp(z) / np.sum(np.exp(z)),
    "transpose": np.transpose,
}
START = {"x": 0.7, "y": -0.4, "v": [0.3, -0.8, 0.5], "W": [[0.2, -0.1, 0.4], [0.6, 0.3, -0.5]]}
CONSTANTS = {"a": 1.3, "u": [0.5, 0.25, -1.0]}


def scalar(chance: random.Random, depth: int) -> str:
    if depth == 0:
        return chance.choice(["x", "y", "x", "a", "v[1]", "W[0, 2]", "0.5"])
    kind = chance.randrange(6)
    if kind == 0:
        return f"{chance.choice(UNARY)}({scalar(chance, depth - 1)})"
    if kind == 1:
        return f"{chance.choice(['sum', 'mean', 'prod', 'logsumexp'])}({vector(chance, depth - 1)})"
    if kind == 2:
        return f"dot({vector(chance, depth - 1)}, {vector(chance, depth - 1)})"
    if kind == 3:
        return f"({scalar(chance, depth - 1)})**{chance.choice(['2', '3'])}"
    if kind == 4:
        return f"({scalar(chance, depth - 1)})/(2 + square({scalar(chance, depth - 1)}))"
    return f"({scalar(chance, depth - 1)} {chance.choice('+-*')} {scalar(chance, depth - 1)})"


def vector(chance: random.Random, depth: int) -> str:
    if depth == 0:
        return chance.choice(["v", "u", "W[1]", "v*x", "-v"])
    kind = chance.randrange(5)
    if kind == 0:
        return f"{chance.choice([*UNARY, 'softmax'])}({vector(chance, depth - 1)})"
    if kind == 1:
        return f"(transpose(W) @ (W @ {vector(chance, depth - 1)}))"
    if kind == 2:
        return f"[x, {scalar(chance, depth - 1)}, y]"
    return f"({vector(chance, depth - 1)} {chance.choice('+-*')} {chance.choice([vector, scalar])(chance, depth - 1)})"


def by_complex_steps(loss: str) -> dict[str, np.ndarray]:
    """The gradient by NumPy alone: the imaginary part of f(x + ih) over h (W. Squire and G. Trapp, SIAM Review 40, 1998)."""
    tiny, found = 1e-30, {}
    start = {name: np.asarray(value, np.complex128) for name, value in START.items()}
    constants = {name: np.asarray(value) for name, value in CONSTANTS.items()}
    for name, value in start.items():
        slopes = np.zeros(value.shape)
        for place in np.ndindex(value.shape):
            moved = value.copy()
            moved[place] += tiny * 1j
            names = {**NUMPY, **constants, **start, name: moved}
            with np.errstate(all="ignore"):
                slopes[place] = (
                    np.imag(eval(loss.replace("[x,", "np.array([x,").replace(", y]", ", y])"), {"np": np}, names)) / tiny
                )
        found[name] = slopes
    return found


@pytest.fixture(scope="module")
def random_problems() -> list[Problem]:
    chance = random.Random(20)
    made: list[Problem] = []
    while len(made) < 12:
        loss = " + ".join(scalar(chance, 4) for _ in range(2))
        if {"x", "v"} <= set(loss) and len(loss) < 1000:
            made.append(make_problem(loss, START, CONSTANTS, "float64"))
    return made


def test_the_paths_add_up_to_the_gradient_that_complex_steps_give(random_problems):
    for problem in random_problems:
        found = sums_by_parameter(links(problem, problem.parameters), problem.parameters)
        wanted = by_complex_steps(problem.loss.text)
        for name, value in found.items():
            np.testing.assert_allclose(value, wanted[name], rtol=1e-9, atol=1e-12 * (1 + np.abs(value).max()), err_msg=name)


def test_the_gradient_of_a_frame_is_that_of_its_parent_times_the_local_derivative(random_problems):
    told = 0
    for problem in random_problems:
        frames = links(problem, problem.parameters)
        for link in frames[1:]:
            if link.local.value is not None:
                wanted = product(frames[link.parent], link)
                scale = np.abs(frames[link.parent].gradient).max() * np.abs(link.local.value).max()
                np.testing.assert_allclose(link.gradient, wanted, rtol=1e-9, atol=1e-12 * scale)
                told += 1
    assert told > 250


def product(parent: Link, link: Link) -> np.ndarray:
    """Gradient of the parent times Jacobian, by NumPy."""
    local = link.local
    if not local.elementwise:
        return np.tensordot(parent.gradient, local.value, parent.gradient.ndim)
    wide = parent.gradient * local.value
    while wide.ndim > link.value.ndim:
        wide = wide.sum(axis=0)
    shared = tuple(axis for axis, size in enumerate(link.value.shape) if size == 1 != wide.shape[axis])
    return wide.sum(axis=shared, keepdims=True)


def test_values_are_those_of_the_expression_by_itself(random_problems):
    problem = random_problems[0]
    names = {**NUMPY, **{name: np.asarray(value) for name, value in {**START, **CONSTANTS}.items()}}
    for link in links(problem, problem.parameters):
        text = link.expression.replace("[x,", "np.array([x,").replace(", y]", ", y])")
        np.testing.assert_allclose(link.value, eval(text, {"np": np}, names), rtol=1e-12)


# --- the shape of the stack ---------------------------------------------------------------------------------------------


def test_the_first_problem_is_three_frames():
    here = stacked("(x-50)**2", {"x": 3.0})
    told = [(f.index, f.expression, float(f.value), f.local, float(f.gradient), f.parent) for f in here.frames]
    assert told == [
        (0, "(x-50)**2", 2209.0, None, 1.0, None),
        (1, "x-50", -47.0, np.float32(-94), -94.0, 0),
        (2, "x", 3.0, np.float32(1), -94.0, 1),
    ]
    assert here.agrees
    assert here.notes == ()


def test_each_operation_stands_before_its_operands_and_marks_its_own_text():
    loss = "(1 - x)**2 + 100*(y - x**2)**2"
    here = stacked(loss, {"x": -1.2, "y": 1.0})
    assert [frame.depth for frame in here.frames] == [0, 1, 2, 3, 1, 2, 3, 4, 4, 5]
    for frame in here.frames:
        assert loss[frame.start : frame.end] == frame.expression
        assert frame.parent is None or here.frames[frame.parent].depth == frame.depth - 1


def test_paths_through_a_parameter_that_is_used_several_times_add_up_and_say_so():
    # d/dx of (x - 50)**2, of 2x and of x
    here = stacked("(x - 50)**2 + 2*x + x", {"x": 3.0})
    assert here.notes == ("x is used 3 times; the paths add up: -94 + 2 + 1 = -91",)
    paths = [frame for frame in here.frames if frame.expression == "x"]
    assert [(float(frame.gradient), frame.uses, float(frame.total)) for frame in paths] == [
        (-94, 3, -91), (2, 3, -91), (1, 3, -91),
    ]  # fmt: skip


def test_an_expression_that_stands_twice_is_told_once_and_not_what_it_is_made_of():
    here = stacked("sin(x - 1)*sin(x-1)", {"x": 2.0})
    slope = math.sin(1.0) * math.cos(1.0)
    (note,) = here.notes
    assert note.startswith("sin(x - 1) is used 2 times; the paths add up: ")
    assert float(here.frames[-1].total) == pytest.approx(2 * slope, rel=1e-6)


def test_what_is_inside_a_condition_or_read_as_a_shape_is_no_frame():
    here = stacked("sum(where(x > 1, x, 2*x)) + size(x)", {"x": [0.5, 3.0]})
    assert [frame.expression for frame in here.frames] == [
        "sum(where(x > 1, x, 2*x)) + size(x)", "sum(where(x > 1, x, 2*x))", "where(x > 1, x, 2*x)", "x", "2*x", "x",
    ]  # fmt: skip
    assert np.asarray(here.sums["x"]).tolist() == [2, 1]


def test_large_values_are_summed_up_and_the_jacobian_of_a_product_has_its_norm():
    rows, columns, inner = 12, 6, 11
    left = np.random.default_rng(1).normal(size=(rows, inner)).astype(np.float32)
    here = stacked("sum((X @ W)**2)", {"W": np.ones((inner, columns)).tolist()}, {"X": left.tolist()})
    weights = here.frames[-1]
    assert weights.expression == "W"
    # d (X @ W)[i, j] / d W[k, l] is X[i, k] where j = l, and 0 elsewhere
    assert weights.local.shape == (rows, columns, inner, columns)
    assert weights.local.norm == pytest.approx(math.sqrt(columns) * np.linalg.norm(left), rel=1e-6)
    wanted = 2 * left.T @ (left @ np.ones((inner, columns)))
    assert isinstance(weights.gradient, Summary)
    assert weights.gradient.norm == pytest.approx(np.linalg.norm(wanted), rel=1e-5)
    assert weights.gradient.shape == (inner, columns)


def test_the_jacobian_of_a_product_by_its_left_factor_has_the_norm_of_the_right_one_for_each_row():
    right = np.random.default_rng(2).normal(size=(9, 4)).astype(np.float32)
    here = stacked("sum((W @ X)**2)", {"W": np.ones((7, 9)).tolist()}, {"X": right.tolist()})
    # d (W @ X)[i, j] / d W[k, l] is X[l, j] where i = k, and 0 elsewhere
    assert here.frames[-1].local.shape == (7, 4, 7, 9)
    assert here.frames[-1].local.norm == pytest.approx(math.sqrt(7) * np.linalg.norm(right), rel=1e-6)


def test_grad_lists_the_same_walk_outermost_first(rosenbrock):
    terms = chain(rosenbrock, rosenbrock.parameters)
    told = {frame.expression.replace("**", " ** "): frame for frame in links(rosenbrock, rosenbrock.parameters)}
    assert terms[0].expression == "100 * (y - x ** 2) ** 2"
    assert float(terms[-1].adjoint) == float(told["1 - x"].gradient)


# --- what stands out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "start", "expression", "mark", "reason"),
    [
        ("(sigmoid(x) - 2)**2", 40.0, "x", "vanishes", "sigmoid saturated: local derivative"),
        ("(tanh(x) - 2)**2", 20.0, "x", "vanishes", "tanh saturated: local derivative 0"),
        ("sum(relu(x)) + 5", [-1.0, -2.0, -3.0], "x", "vanishes", "relu off: derivative 0 in 3 of 3"),
        ("clip(x, 0, 1) + 2", 5.0, "x", "vanishes", "clip holds it at a bound"),
        ("stop_gradient(x) + 1", 5.0, "x", "vanishes", "stop_gradient"),
        ("floor(x)", 5.5, "x", "vanishes", "floor is flat"),
        ("1e-12*x + 1", 5.0, "x", "vanishes", "the other factor is 1e-12"),
        ("1e-4*(1e-5*x) + 1", 5.0, "x", "vanishes", "multiply to 1e-9"),
        ("1e-5*sigmoid(x) + 1", 7.0, "x", "vanishes", "sigmoid saturated: local derivative 0.0009102"),
        ("sigmoid(9*sigmoid(9*sigmoid(x))) + 1", 9.0, "9*sigmoid(x)", "vanishes", "sigmoid saturated: local derivative 0.0001"),
        ("(x - 1)**2 + 1", 1.0, "x - 1", "vanishes", "x - 1 is 0"),
        ("1/x", 1e-9, "x", "blows up", "local derivative -1e18 where x = 1e-9"),
        ("sum(sqrt(x))", [4.0, 0.0], "x", "not finite", "d sqrt(x) / d x[1] is inf where x[1] = 0"),
        ("log(x)", -3.2e-4, "log(x)", "not finite", "log(x) is nan: x = -0.00032"),
        ("exp(sum(x))", [80.0, 90.0], "exp(sum(x))", "not finite", "exp(sum(x)) is inf: sum(x) = 170"),
    ],
)  # fmt: skip
def test_a_frame_that_stands_out_is_marked_with_the_reason(loss, start, expression, mark, reason):
    told = marked(stacked(loss, {"x": start}))
    assert list(told) == [expression]
    assert told[expression][0] == mark
    assert reason in told[expression][1]


@pytest.mark.parametrize(
    "loss", ["(x - 50)**2", "1e6*x**2 + 1e9", "mean(x*[1, 2, 3])", "1e-9*(x - 3)**2", "exp(x)/exp(x + 1) + x"]
)
def test_nothing_stands_out_in_a_healthy_loss(loss):
    assert marked(stacked(loss, {"x": 2.0})) == {}


def test_where_the_paths_do_not_add_up_to_the_gradient_in_use_it_is_told_with_the_frame():
    loss = "sum(where(x > 0, sqrt(x), 0*x) + (x-1)**2)"
    here = stacked(loss, {"x": [1.0, 0.5, 0.0]}, engine="xla")
    assert not here.agrees
    assert "the xla engine's gradient of x[2] is nan, the paths add up to -2" in here.notes[-1]
    (sqrt,) = [frame for frame in here.frames if frame.mark == "not finite"]
    assert here.frames[sqrt.parent].expression == "sqrt(x)"
    assert sqrt.reason.startswith("0*inf: d sqrt(x) / d x[2] is inf where x[2] = 0")
    assert f"(frame {sqrt.index}: 0*inf" in here.notes[-1]


def test_an_infinite_slope_that_a_gradient_reaches_is_told_before_one_that_none_does():
    here = stacked("sum(where(m > 0, sqrt(x), 0*x))", {"x": [0.0, 0.0]}, {"m": [-1.0, 1.0]})
    (reason,) = [frame.reason for frame in here.frames if frame.mark == "not finite"]
    assert reason == "d sqrt(x) / d x[1] is inf where x[1] = 0"


def test_a_constant_part_that_is_not_finite_is_marked_in_the_frame_that_holds_it():
    told = marked(stacked("sum(log(a)*x)", {"x": [1.0, 2.0]}, {"a": [1.0, -2.0]}))
    assert told["log(a)*x"] == ("not finite", "log(a)[1] is nan: a[1] = -2")


def test_a_gradient_in_use_that_is_another_one_is_told(monkeypatch):
    problem = make_problem("(x - 50)**2", {"x": 3.0})
    debugger = Debugger(problem, OptimizerSpec.make("sgd", {}, 0.1), "eager", programs=PROGRAMS)
    wrong = replace(debugger.snapshot(), gradient={"x": np.float32(-94.5)})
    monkeypatch.setattr(debugger, "snapshot", lambda: wrong)
    (note,) = stack(debugger).notes
    assert note == "the eager engine's gradient of x is -94.5, the paths add up to -94: more than rounding"


def test_asking_changes_nothing(start_debugger: Callable[..., Debugger], rosenbrock, assert_same_bits):
    debugger = start_debugger(rosenbrock, engine="eager", rate=0.001)
    debugger.run(3)
    before, points = debugger.snapshot(), debugger.timeline.points()
    stack(debugger)
    assert_same_bits(debugger.snapshot(), before)
    assert debugger.timeline.points() == points
