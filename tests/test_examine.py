"""x: what is told of numbers, against Python's own arithmetic and struct."""

from __future__ import annotations

import math
import statistics
import struct

import numpy as np
import pytest

from gdrepl.insight.examine import WHOLE, Spread, bits_of, examine, spread

DRAWN = np.random.default_rng(5).standard_normal(2_000)


def counted(found: Spread) -> int:
    return sum(one.count for one in found.histogram)


@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300])
def test_the_summary_is_that_of_pythons_statistics(scale):
    numbers = (DRAWN * scale).reshape(40, 50)
    found, listed = spread(numbers), [float(each) / scale for each in numbers.reshape(-1)]
    assert found.mean == pytest.approx(statistics.fmean(listed) * scale)
    assert found.std == pytest.approx(statistics.pstdev(listed) * scale)
    assert (found.min, found.max) == (numbers.min(), numbers.max())
    assert numbers[found.min_at] == numbers.min()
    assert numbers[found.max_at] == numbers.max()
    assert (found.zeros, found.nan, found.inf, found.minus_inf) == (0, 0, 0, 0)


def test_what_is_not_finite_is_counted_and_left_out_of_the_rest():
    found = spread(np.array([[np.nan, 0.0, np.inf], [-np.inf, -np.inf, 4.0]], np.float32))
    assert (found.zeros, found.nan, found.inf, found.minus_inf) == (1, 1, 1, 2)
    assert (found.min, found.min_at, found.max, found.max_at) == (0, (0, 1), 4, (1, 2))
    assert (found.mean, found.std) == (2, 2)
    nothing = spread(np.array([np.nan, np.inf]))
    assert (nothing.min, nothing.mean, nothing.min_at, nothing.histogram) == (None, None, (), ())


@pytest.mark.parametrize(
    ("numbers", "scale"),
    [
        (DRAWN, "linear"),
        (np.exp(6 * DRAWN), "decades"),
        (np.concatenate([np.exp(6 * DRAWN), -np.exp(9 * DRAWN), np.zeros(3)]), "decades"),
        (DRAWN > 0.5, "values"),
        (np.floor(3 * np.clip(DRAWN, 0, 1)), "values"),
        (np.array([-1.7e308, 1.7e308, *DRAWN * 1e307]), "linear"),
        (np.array([5e-324, 1e308, *np.linspace(1, 2, 20)]), "decades"),
    ],
)
def test_every_finite_number_is_in_the_one_bin_that_holds_it(numbers, scale):
    found = spread(numbers)
    assert found.scale == scale
    assert counted(found) == numbers.size
    assert 1 < len(found.histogram) <= 11
    plain = numbers.astype(np.float64)
    for place, one in enumerate(found.histogram):
        if scale == "linear":
            last = place == len(found.histogram) - 1
            inside = (plain >= one.low) & ((plain <= one.high) if last else (plain < one.high))
        elif one.low == one.high:
            inside = plain == one.low
        else:
            inside = (plain > one.low) & (plain <= one.high) if one.high > 0 else (plain >= one.low) & (plain < one.high)
        assert abs(int(inside.sum()) - one.count) <= (1 if scale == "linear" else 0)
    assert all(one.high <= other.low for one, other in zip(found.histogram, found.histogram[1:]))


def test_numbers_that_are_all_the_same_have_no_histogram():
    assert spread(np.full(50, 3.0)).histogram == ()


@pytest.mark.parametrize("number", [1.0, -0.0, 0.1, math.pi, 5e-324, math.inf, -1e30])
def test_bits_are_those_of_struct(number):
    assert bits_of(np.array([number])) == (f"0x{struct.unpack('>Q', struct.pack('>d', number))[0]:016x}",)
    single = np.float32(number)
    assert bits_of(np.array(single)) == (f"0x{struct.unpack('>I', struct.pack('>f', single))[0]:08x}",)


def test_the_bits_of_neighbours_differ_by_one():
    one = np.float32(1.5)
    first, second = (int(bits_of(np.array(each))[0], 16) for each in (one, np.nextafter(one, np.float32(2))))
    assert second - first == 1


def test_a_small_value_is_given_whole_and_a_large_one_is_not():
    small, large = examine("w", np.zeros((4, 100))), examine("w", np.zeros(WHOLE + 1))
    assert small.values is not None
    assert small.values.shape == (4, 100)
    assert (large.values, large.count) == (None, None)
    assert examine("w", np.zeros(3)).spread is None


def test_a_count_takes_the_first_numbers_row_after_row():
    found = examine("w", np.arange(12.0).reshape(3, 4), 6)
    assert found.values is not None
    assert found.values.tolist() == [0, 1, 2, 3, 4, 5]
    assert (found.shape, found.count, found.spread) == ((3, 4), 6, None)
    assert examine("w", np.arange(3.0), 10).values.tolist() == [0, 1, 2]
