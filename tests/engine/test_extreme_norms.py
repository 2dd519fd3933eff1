"""Events on norms near the ends of float64, where squares overflow or vanish, against arithmetic that takes no squares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.events import make_event
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import make_problem
from gdrepl.engine.program import ENGINES
from gdrepl.engine.triggers import Occurs


def fires(
    event: str, given: dict[str, float], loss: str, start: Mapping[str, Any], rate: float, engine: str = "xla", **options: Any
) -> int | None:
    """The first step up to 60 at which it fires by plain gradient descent; None where it does not."""
    dtype = options.pop("dtype", "float64")
    debugger = Debugger(make_problem(loss, start, dtype=dtype), OptimizerSpec.make("sgd", options, rate), engine)
    debugger.stops = debugger.stops.add(Occurs(make_event(event, given)))
    return debugger.step if debugger.run(60).held else None


def test_the_limits_lie_where_squares_are_lost() -> None:
    vanished, overflown = 1e-170 * 1e-170, 1e200 * 1e200
    assert (vanished, overflown) == (0.0, float("inf"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("tol", "step"), [(0.0, None), (1e-171, None), (0.999e-170, None), (1.001e-170, 1), (1e-100, 1)])
def test_convergence_on_a_slope_of_1e_minus_170(tol: float, step: int | None, engine: str) -> None:
    assert fires("convergence", {"tol": tol}, "1e-170*x", {"x": 1.0}, 0.5, engine) == step


@pytest.mark.parametrize("engine", ENGINES)
def test_convergence_to_a_gradient_of_exactly_0(engine: str) -> None:
    assert fires("convergence", {"tol": 0.0}, "x**2/2", {"x": 1.0}, 1.0, engine) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_convergence_of_a_gradient_that_halves_at_each_step(engine: str) -> None:
    wanted = next(k for k in range(60) if 1e-165 * 0.5**k <= 1e-168)
    assert fires("convergence", {"tol": 1e-168}, "x**2/2", {"x": 1e-165}, 0.5, engine) == wanted


@pytest.mark.parametrize("engine", ENGINES)
def test_explosion_above_1e200(engine: str) -> None:
    # The slope 1e180 x by rate 4e-180 multiplies x by -3.
    wanted = next(k for k in range(60) if 1e180 * 3.0**k > 1e200)
    assert fires("explosion", {"norm": 1e200}, "1e180*x**2/2", {"x": 1.0}, 4e-180, engine) == wanted


@pytest.mark.parametrize("engine", ENGINES)
def test_explosion_of_many_parameters_together(engine: str) -> None:
    wanted = next(k for k in range(60) if 5e180 * 3.0**k > 1e200)
    start = {"v": [3.0, 0.0], "w": [4.0] + [0.0] * 99}
    assert fires("explosion", {"norm": 1e200}, "1e180*(sum(v**2) + sum(w**2))/2", start, 4e-180, engine) == wanted


@pytest.mark.parametrize(("event", "threshold"), [("explosion", "norm"), ("update-ratio", "high")])
def test_a_limit_that_no_float32_comes_to_is_none(event: str, threshold: str) -> None:
    assert fires(event, {threshold: 1e200}, "x**2/2", {"x": 1.0}, 4.0, dtype="float32") is None


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("rtol", "step"), [(1e-7, 1), (1.001e-10, 1), (0.999e-10, None)])
def test_vanishing_beside_a_loss_of_1e_minus_160(rtol: float, step: int | None, engine: str) -> None:
    found = fires("vanishing", {"rtol": rtol}, "1e-160 + 1e-170*x", {"x": 0.0}, 0.5, engine)
    assert found == step


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("norm", "step"), [(1.001e190, 1), (0.999e190, None)])
def test_vanishing_below_a_norm_of_1e190(norm: float, step: int | None, engine: str) -> None:
    found = fires("vanishing", {"rtol": 1.0, "norm": norm}, "1e300 + 1e190*x", {"x": 0.0}, 1e-190, engine)
    assert found == step


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("high", "step"), [(0.999e205, 1), (1.001e205, None)])
def test_an_update_of_1e205_times_its_parameter(high: float, step: int | None, engine: str) -> None:
    found = fires("update-ratio", {"high": high}, "1e90*x", {"x": 1e-115}, 1.0, engine)
    assert found == step


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("low", "step"), [(1.001e-190, 1), (0.999e-190, None)])
def test_an_update_of_1e_minus_190_of_its_parameter(low: float, step: int | None, engine: str) -> None:
    # The second number moves, by 1e-190; the norm is that of the first, which stays.
    found = fires("update-ratio", {"low": low}, "1e-190*v[1]", {"v": [1.0, 1e-180]}, 1.0, engine)
    assert found == step


@pytest.mark.parametrize(
    ("x", "slope", "step"), [(1e130, 1e140, None), (1e-130, 1e-110, None), (1e-110, 1e-90, 1), (1e110, 1e125, 1)]
)
def test_beyond_1e120_and_its_inverse_a_parameter_has_no_ratio(x: float, slope: float, step: int | None) -> None:
    assert fires("update-ratio", {}, f"{slope!r}*x", {"x": x}, 1.0) == step


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm"])
@pytest.mark.parametrize(("limit", "step"), [(1.001e-170, None), (0.999e-170, 1)])
def test_clipping_at_1e_minus_170(limit: float, step: int | None, name: str, engine: str) -> None:
    assert fires("clip", {}, "1e-170*x", {"x": 1.0}, 0.5, engine, **{name: limit}) == step


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("event", "given"),
    [
        ("explosion", {"norm": 1e200}),
        ("explosion", {"norm": 1e-200}),
        ("convergence", {"tol": 1e200}),
        ("vanishing", {"norm": 1e200}),
    ],
)
def test_nan_is_neither_above_nor_below(event: str, given: dict[str, float], engine: str) -> None:
    # log of a negative number at step 1; before it nothing is looked at.
    assert fires(event, given, "x*log(x)", {"x": 1.0}, 2.0, engine) is None
