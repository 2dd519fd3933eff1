"""Numbers with a bound on what rounding may do to them: the bound holds against exact fractions, and it is not wide."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from gdrepl.insight.rounding import Rounded, ulps

F32 = np.dtype(np.float32)
EPS = float(np.finfo(F32).eps)
OPERATIONS: dict[str, tuple[Callable[..., Rounded], Callable[..., Fraction]]] = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "-": (lambda a, b: a - b, lambda a, b: a - b),
    "*": (lambda a, b: a * b, lambda a, b: a * b),
    "/": (lambda a, b: a / b, lambda a, b: a / b),
}


def of(value: object) -> Rounded:
    return Rounded.of(value, F32)


def test_the_bound_holds_for_any_chain_of_operations_against_fractions() -> None:
    at_random = random.Random(4)
    wide = 0
    for _ in range(400):
        value, exact = of(start := float(np.float32(at_random.uniform(-2, 2)))), Fraction(start)
        for _ in range(8):
            name = at_random.choice("+-*/")
            other = float(np.float32(at_random.uniform(0.5, 2) * at_random.choice([-1, 1])))
            value, exact = OPERATIONS[name][0](value, of(other)), OPERATIONS[name][1](exact, Fraction(other))
        assert abs(Fraction(float(value.native)) - exact) <= Fraction(float(value.bound))
        assert abs(Fraction(float(value.exact)) - exact) <= Fraction(float(value.bound)) / 1000
        wide += bool(value.bound > 64 * EPS * max(2.0, abs(float(value.exact))))
    assert wide < 40  # where something cancels; a bound that is always wide would hold, too


def test_a_difference_that_cancels_has_a_bound_of_many_ulps() -> None:
    third = of(1.0) / of(3.0)
    left = third * 3.0 - 1.0
    assert float(left.bound) >= abs(float(left.native) - float(left.exact))
    assert float(left.bound) > 4 * np.spacing(np.float32(abs(float(left.native)) or 1e-9))


@pytest.mark.parametrize("value", [1e-38, 3e-20, 0.1, 2.0, 1e30])
def test_the_bound_of_a_root_holds_in_decimals(value: float) -> None:
    square = of(value) * of(0.1)
    exact = Fraction(float(np.float32(value))) * Fraction(float(np.float32(0.1)))
    root, bound = Fraction(float(square.sqrt().native)), Fraction(float(square.sqrt().bound))
    assert max(root - bound, Fraction(0)) ** 2 <= exact <= (root + bound) ** 2


def test_a_root_of_what_may_be_less_than_zero_is_bounded_and_one_of_what_is_is_not() -> None:
    nothing = of(1.0) / of(3.0) * 3.0 - 1.0
    assert np.isfinite((nothing + 1e-9).sqrt().bound)
    with np.errstate(invalid="ignore"):
        assert np.isinf((nothing - 1e-3).sqrt().bound) or np.isnan((nothing - 1e-3).sqrt().exact)


def test_a_quotient_by_what_may_be_zero_has_no_bound() -> None:
    with np.errstate(all="ignore"):
        assert np.isinf((of(1.0) / (of(1.0) / of(3.0) * 3.0 - 1.0)).bound)


def test_a_product_that_is_put_to_zero_is_within_its_bound() -> None:
    tiny = of(1e-25) * of(1e-15)
    assert abs(float(tiny.exact)) <= float(tiny.bound)  # a processor may give 0


def test_a_power_is_near_and_its_bound_grows_with_the_exponent() -> None:
    for exponent in (1.0, 7.0, 200.0, 5000.0):
        power = of(0.999).power(exponent)
        exact = Fraction(float(np.float32(0.999))) ** int(exponent)
        assert abs(Fraction(float(power.native)) - exact) <= Fraction(float(power.bound))


def test_the_sum_of_many_numbers_holds_in_whatever_order() -> None:
    values = np.random.default_rng(1).normal(size=3000).astype(np.float32)
    total = of(values).total()
    exact = float(sum(map(Fraction, values.tolist())))
    for order in (values, np.sort(values), values[::-1]):
        running = np.float32(0)
        for each in order:
            running += each
        assert abs(float(running) - exact) <= float(total.bound)


def test_a_sign_that_rounding_decides_says_so() -> None:
    nothing = of(1.0) / of(3.0) * 3.0 - 1.0
    assert float(nothing.sign().bound) == 2
    assert float(of(-3.0).sign().bound) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ulps_count_the_numbers_between(dtype: type) -> None:
    one = np.asarray([1.0, -2.5, 1e30, 0.0], dtype)
    other = one
    for _ in range(3):
        other = np.nextafter(other, np.asarray(np.inf, dtype))
    found = ulps(one, other)
    assert found[:3].tolist() == [3, pytest.approx(3, abs=1.5), 3]
    assert found[3] == 3


def test_ulps_of_what_is_not_finite() -> None:
    values = np.asarray([np.nan, np.inf, -np.inf, np.nan, 1, np.inf], np.float32)
    others = np.asarray([np.nan, np.inf, np.inf, 1, np.nan, 1], np.float32)
    assert ulps(values, others).tolist() == [0, 0, np.inf, np.inf, np.inf, np.inf]
