"""Slopes from values alone, against derivatives worked out by hand; and what is no slope is told as what it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from gdrepl.insight.differences import STEPS, USUAL, Slopes, Values, slopes, steps_of

EPS = np.finfo(np.float64).eps


def probe(function: Callable, point: float, size: float | None = None, steps: np.ndarray = STEPS) -> Slopes:
    """The slope of a function of NumPy at a point, its values taken for exact to two units of the last place."""
    step = steps_of([size or abs(point)], steps)
    high, low = point + step, point - step
    with np.errstate(all="ignore"):
        here, after, before = function(np.array([point])), function(high), function(low)
        largest = np.fmax(np.fmax(np.abs(after), np.abs(before)), np.abs(here)[:, None])
        noise = 4 * EPS * np.where(np.isfinite(largest), largest, np.abs(here)[:, None])
    up, down = (np.where(each > 0, each, np.nan) for each in (high - point, point - low))
    return slopes(Values(here, after, before, up, down, 8 * noise, noise))


SMOOTH = {
    "a parabola": (lambda x: (x - 50) ** 2, 3.0, None, -94.0),
    "a cube at its turn": (lambda x: x**3, 0.0, 1.0, 0.0),
    "a high power": (lambda x: np.sin(x) ** 20, 1.3, None, 20 * math.sin(1.3) ** 19 * math.cos(1.3)),
    "many periods away": (np.sin, 1e8, None, math.cos(1e8)),
    "a large factor": (lambda x: 1e30 * np.cos(x), 1.0, None, -1e30 * math.sin(1)),
    "a small factor": (lambda x: 1e-300 * np.cos(x), 1.0, None, -1e-300 * math.sin(1)),
    "beside a large number": (lambda x: 1e9 + x**2, 1.0, None, 2.0),
    "close to the edge": (np.log, 1e-8, 1.0, 1e8),
    "steep": (lambda x: np.tanh(1e6 * x), 0.0, 1.0, 1e6),
    "flat but steep elsewhere": (lambda x: np.exp(-100 * x), 1.0, None, -100 * math.exp(-100)),
    "between two jumps": (np.floor, 2.5, None, 0.0),
    "beside a kink": (lambda x: np.abs(x - 1e-5), 0.0, 1.0, -1.0),
    "like a kink from afar": (lambda x: np.sqrt(1 + x * x), 0.0, 100.0, 0.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_slope_is_the_derivative_within_the_error_told(name):
    function, point, size, wanted = SMOOTH[name]
    found = probe(function, point, size)
    assert abs(found.slope[0] - wanted) <= 2 * found.error[0]
    assert found.error[0] <= 3e-4 * abs(wanted) + 1e-9 * (size or 1)
    assert (found.kink[0], found.endless[0], found.one_sided[0]) == (False, False, False)


@pytest.mark.parametrize("slope", [1.0, 1e-8, 1e30])
def test_the_usual_steps_are_enough_for_what_is_usual(slope):
    found = probe(lambda x: slope * np.sin(x), 1.0, steps=USUAL)
    assert abs(found.slope[0] - slope * math.cos(1)) <= 8 * found.error[0] <= 1e-5 * slope


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (np.abs, -1, 1),
        (lambda x: np.maximum(x, 0), 0, 1),
        (lambda x: np.maximum(x, 3 * x), 1, 3),
        (lambda x: np.clip(x, -5, 0) + x**2, 0, 1),
        (lambda x: 7 - 2 * np.abs(x) + np.sin(x), -1, 3),
        (lambda x: np.abs(3 * (x + 0.1) - 0.3), -3, 3),  # a rounding away from it
    ],
)
def test_a_kink_has_a_slope_on_each_side(function, low, high):
    found = probe(function, 0.0, 1.0)
    assert found.kink[0]
    assert (found.low[0], found.high[0]) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    "function", [np.sign, np.floor, np.cbrt, lambda x: np.sqrt(np.abs(x)), lambda x: np.where(x < 0, 0, 5)]
)
def test_a_jump_and_an_infinite_slope_are_endless(function):
    found = probe(function, 0.0, 1.0)
    assert found.endless[0]
    assert not found.kink[0]


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
def test_a_step_of_the_function_that_lies_aside_is_no_jump_here(distance):
    found = probe(lambda x: np.tanh(50 * x), distance, distance)
    assert (found.endless[0], found.slope[0]) == (False, pytest.approx(50 / np.cosh(50 * distance) ** 2, abs=1e-12))


def test_at_the_edge_of_the_domain_the_slope_is_that_of_the_side_that_is_there():
    found = probe(lambda x: np.sqrt(x) * x + 3 * x, 0.0, 1.0)
    assert found.one_sided[0]
    assert found.slope[0] == pytest.approx(3, abs=1e-5)
    found = probe(lambda x: np.where(x > 2, np.nan, x**2), 2.0)
    assert (found.one_sided[0], found.slope[0]) == (True, pytest.approx(4, rel=1e-6))


def test_where_nothing_is_finite_nothing_is_told():
    found = probe(lambda x: np.where(x == 1, 5.0, np.nan), 1.0)
    assert np.isnan(found.slope[0])
    assert found.error[0] == np.inf


def test_a_slope_that_rounding_has_swallowed_has_an_error_as_large_as_itself():
    found = probe(lambda x: 1e20 + x, 1.0)
    assert found.error[0] > 0.1


def test_each_probe_is_judged_by_itself():
    steps = steps_of([1.0, 1.0])
    both = Values(
        np.zeros(2), np.stack([steps[0], np.abs(steps[1])]), np.stack([-steps[0], np.abs(steps[1])]),
        steps, steps, np.full(steps.shape, 1e-16), np.full(steps.shape, 1e-16),
    )  # fmt: skip
    found = slopes(both)
    assert found.kink.tolist() == [False, True]
    assert found.slope[0] == 1
