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
from gdrepl.engine.programs import Programs
from gdrepl.engine.triggers import Occurs

PROGRAMS = Programs(most=100)
Armed = tuple[str, Mapping[str, float]]


def fire(
    events: list[Armed], loss: str, start: Mapping[str, Any], rate: float, engine: str, last: int = 60, **options: Any
) -> list[int | None]:
    """For each event the first step up to `last` at which it fires by plain gradient descent; None where it does not.

    They are armed together, since each program of XLA's takes half a second to compile.
    """
    dtype = options.pop("dtype", "float64")
    spec = OptimizerSpec.make("sgd", options, rate)
    debugger = Debugger(make_problem(loss, start, dtype=dtype), spec, engine, programs=PROGRAMS)
    for name, given in events:
        debugger.stops = debugger.stops.add(Occurs(make_event(name, given)))
    first: dict[int, int] = {}
    while debugger.step < last and (held := debugger.run(last - debugger.step).held):
        for item in held:
            first.setdefault(item.id, debugger.step)
    return [first.get(item.id) for item in debugger.stops]


def steps_of(event: str, threshold: str, wanted: Mapping[float, int | None], *descent: Any) -> list[int | None]:
    """Where the event fires for each value of one threshold."""
    return fire([(event, {threshold: value}) for value in wanted], *descent)


def test_the_limits_lie_where_squares_are_lost() -> None:
    vanished, overflown = 1e-170 * 1e-170, 1e200 * 1e200
    assert (vanished, overflown) == (0.0, float("inf"))


@pytest.mark.parametrize("engine", ENGINES)
def test_convergence_on_a_slope_of_1e_minus_170(engine: str) -> None:
    wanted = {0.0: None, 1e-171: None, 0.999e-170: None, 1.001e-170: 1, 1e-100: 1}
    assert steps_of("convergence", "tol", wanted, "1e-170*x", {"x": 1.0}, 0.5, engine) == [*wanted.values()]


@pytest.mark.parametrize("engine", ENGINES)
def test_convergence_of_a_gradient_that_halves_at_each_step_and_of_one_that_is_exactly_0(engine: str) -> None:
    halved = next(k for k in range(60) if 1e-165 * 0.5**k <= 1e-168)
    descent = "x**2/2", {"x": 1e-165}
    assert steps_of("convergence", "tol", {1e-168: halved, 0.0: None}, *descent, 0.5, engine) == [halved, None]
    assert steps_of("convergence", "tol", {1e-168: 1, 0.0: 1}, "x**2/2", {"x": 1.0}, 1.0, engine) == [1, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_explosion_above_1e200(engine: str) -> None:
    # The slope 1e180 x by rate 4e-180 multiplies x by -3.
    wanted = next(k for k in range(60) if 1e180 * 3.0**k > 1e200)
    assert fire([("explosion", {"norm": 1e200})], "1e180*x**2/2", {"x": 1.0}, 4e-180, engine, last=60) == [wanted]


@pytest.mark.parametrize("engine", ENGINES)
def test_explosion_of_many_parameters_together(engine: str) -> None:
    wanted = next(k for k in range(60) if 5e180 * 3.0**k > 1e200)
    start = {"v": [3.0, 0.0], "w": [4.0] + [0.0] * 99}
    loss = "1e180*(sum(v**2) + sum(w**2))/2"
    assert fire([("explosion", {"norm": 1e200})], loss, start, 4e-180, engine, last=60) == [wanted]


def test_a_limit_that_no_float32_comes_to_is_none() -> None:
    events: list[Armed] = [("explosion", {"norm": 1e200}), ("update-ratio", {"high": 1e200})]
    assert fire(events, "x**2/2", {"x": 1.0}, 4.0, "xla", last=60, dtype="float32") == [None, None]


@pytest.mark.parametrize("engine", ENGINES)
def test_vanishing_beside_a_loss_of_1e_minus_160(engine: str) -> None:
    wanted = {1e-7: 1, 1.001e-10: 1, 0.999e-10: None}
    assert steps_of("vanishing", "rtol", wanted, "1e-160 + 1e-170*x", {"x": 0.0}, 0.5, engine) == [*wanted.values()]


@pytest.mark.parametrize("engine", ENGINES)
def test_vanishing_below_a_norm_of_1e190(engine: str) -> None:
    events: list[Armed] = [("vanishing", {"rtol": 1.0, "norm": norm}) for norm in (1.001e190, 0.999e190)]
    assert fire(events, "1e300 + 1e190*x", {"x": 0.0}, 1e-190, engine) == [1, None]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_update_of_1e205_times_its_parameter(engine: str) -> None:
    wanted = {0.999e205: 1, 1.001e205: None}
    assert steps_of("update-ratio", "high", wanted, "1e90*x", {"x": 1e-115}, 1.0, engine) == [*wanted.values()]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_update_of_1e_minus_190_of_its_parameter(engine: str) -> None:
    # The second number moves, by 1e-190; the norm is that of the first, which stays.
    wanted = {1.001e-190: 1, 0.999e-190: None}
    assert steps_of("update-ratio", "low", wanted, "1e-190*v[1]", {"v": [1.0, 1e-180]}, 1.0, engine) == [*wanted.values()]


@pytest.mark.parametrize(
    ("x", "slope", "step", "engine"),
    [
        (1e130, 1e140, None, "xla"),
        (1e-130, 1e-110, None, "graph"),
        (1e-110, 1e-90, 1, "xla"),
        (1e110, 1e125, 1, "graph"),
    ],
)
def test_beyond_1e120_and_its_inverse_a_parameter_has_no_ratio(x: float, slope: float, step: int | None, engine: str) -> None:
    assert fire([("update-ratio", {})], f"{slope!r}*x", {"x": x}, 1.0, engine) == [step]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm"])
def test_clipping_at_1e_minus_170(name: str, engine: str) -> None:
    # The slope is 1e-170 x, and x stays where it is: 0.999 is within the limit, 1.001 beyond it.
    for x, step in ((0.999, None), (1.001, 1)):
        assert fire([("clip", {})], "1e-170*x**2/2", {"x": x}, 0.5, engine, **{name: 1e-170}) == [step]


@pytest.mark.parametrize("engine", ENGINES)
def test_nan_is_neither_above_nor_below(engine: str) -> None:
    # log of a negative number at step 1; before it nothing is looked at.
    events: list[Armed] = [
        ("explosion", {"norm": 1e200}),
        ("explosion", {"norm": 1e-200}),
        ("convergence", {"tol": 1e200}),
        ("vanishing", {"norm": 1e200}),
    ]
    assert fire(events, "x*log(x)", {"x": 1.0}, 2.0, engine) == [None] * 4
