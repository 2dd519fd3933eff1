"""The numbers of a tensor: the first ones, all of a few, or what is to be said of many."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, frozen

WHOLE = 400
"""A value of up to so many numbers is given whole."""
_FEW = 16  # of which nothing need be said but the numbers themselves
_BINS, _BINS_A_SIGN = 10, 5
_SAMPLE = 1000
_CROWDED, _DECADES = 0.6, 3
"""Where one of the bins holds more than this part of numbers that spread over so many decades, bins by decades tell more."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """How many numbers lie from `low` up to `high`; in bins by size the end that is nearer to 0 does not belong to it."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Spread:
    """What is to be said of many numbers; all but the counts speak of the finite ones.

    Attributes:
        min, max: None where no number is finite.
        min_at, max_at: the index where each stands first.
        mean, std: the mean, and the root of the mean squared distance from it.
        zeros, nan, inf, minus_inf: how many numbers are 0, NaN, +Inf and -Inf.
        scale: of the histogram: `values` where there are only a few different ones, `linear`, or `decades` for bins by size.
        histogram: the bins, from the least numbers to the greatest; none where all finite numbers are equal.
    """

    min: float | None
    min_at: tuple[int, ...]
    max: float | None
    max_at: tuple[int, ...]
    mean: float | None
    std: float | None
    zeros: int
    nan: int
    inf: int
    minus_inf: int
    scale: str
    histogram: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """A value looked at.

    Attributes:
        expression: as typed.
        shape, dtype: of the whole value.
        format: of the numbers: g as print shows them, f fixed, e with an exponent, x the bits.
        count: how many numbers were asked for, laid end to end; None for the value in its shape.
        values: the numbers, of shape (count,) or of the value's own; None for more than `WHOLE` that nobody counted.
        bits: of each of `values`, laid end to end, where those were asked for; recordings have the values.
        spread: what is to be said of more than a few.
    """

    expression: str
    shape: tuple[int, ...]
    dtype: str
    format: str
    count: int | None = field(default=None, metadata=OPTIONAL)
    values: Array | None = field(default=None, metadata=OPTIONAL)
    bits: tuple[str, ...] = field(default=(), metadata={**OPTIONAL, **SAID})
    spread: Spread | None = field(default=None, metadata=OPTIONAL)


def examine(expression: str, value: Array, count: int | None = None, format: str = "g") -> Examined:
    """Look at a value of any shape: at its first `count` numbers, or at all of it."""
    values = None
    if count is not None:
        values = frozen(value.reshape(-1)[:count])
    elif value.size <= WHOLE:
        values = frozen(value)
    bits = bits_of(values) if format == "x" and values is not None else ()
    told = spread(value) if count is None and value.size > _FEW else None
    return Examined(expression, value.shape, str(value.dtype), format, count, values, bits, told)


def bits_of(values: Array) -> tuple[str, ...]:
    """The bits of each number in hexadecimal digits, the sign first: neighbours among floats differ by 1."""
    width = values.dtype.itemsize
    whole = np.ascontiguousarray(values).reshape(-1).view(f"u{width}")
    return tuple(f"0x{number:0{2 * width}x}" for number in whole.tolist())


def spread(value: Array) -> Spread:
    """What is to be said of the numbers of `value`, of any shape and type of number."""
    with np.errstate(all="ignore"):
        numbers = value.astype(np.float64).reshape(-1)
    is_finite = np.isfinite(numbers)
    finite = numbers if is_finite.all() else numbers[is_finite]
    zeros, nan = int(np.sum(numbers == 0)), int(np.sum(np.isnan(numbers)))
    inf, minus_inf = int(np.sum(np.isposinf(numbers))), int(np.sum(np.isneginf(numbers)))
    if not finite.size:
        return Spread(None, (), None, (), None, None, zeros, nan, inf, minus_inf, "linear", ())
    low, high = float(finite.min()) + 0.0, float(finite.max()) + 0.0  # -0 is 0 here
    at = [_index(int(np.argmax(numbers == each)), value.shape) for each in (low, high)]
    scale, bins = _histogram(finite, low, high)
    mean, std = _mean_and_deviation(finite, low, high)
    return Spread(low, at[0], high, at[1], mean, std, zeros, nan, inf, minus_inf, scale, bins)


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(part) for part in np.unravel_index(place, shape))


def _mean_and_deviation(finite: Numbers, low: float, high: float) -> tuple[float, float]:
    """In units of the largest number, so that no sum or square of finite ones overflows."""
    unit = max(-low, high, abs(low)) or 1.0
    scaled = finite / unit
    return float(scaled.mean() * unit), float(scaled.std() * unit)


def _histogram(finite: Numbers, low: float, high: float) -> tuple[str, tuple[Bin, ...]]:
    if low == high:
        return "linear", ()
    if len(np.unique(finite[:_SAMPLE])) <= _BINS:
        values, times = np.unique(finite, return_counts=True)
        if len(values) <= _BINS:
            return "values", tuple(Bin(float(value) + 0.0, float(value) + 0.0, int(n)) for value, n in zip(values, times))
    half = finite / 2  # the distance from the least to the greatest float64 is none
    counts, edges = np.histogram(half, _BINS, (low / 2, high / 2)) if high / 2 - low / 2 > 0 else (np.zeros(0), np.zeros(0))
    sizes = np.abs(finite[finite != 0])
    crowded = counts.max(initial=0) > _CROWDED * finite.size
    if len(counts) and not (crowded and sizes.max() >= sizes.min() * 10.0**_DECADES):
        return "linear", tuple(Bin(2 * float(a), 2 * float(b), int(n)) for a, b, n in zip(edges, edges[1:], counts))
    return "decades", _by_decades(finite)


def _by_decades(finite: Numbers) -> tuple[Bin, ...]:
    """Bins by size on both sides of 0; the innermost ones take all that is smaller."""
    positive, negative = finite[finite > 0], -finite[finite < 0]
    most = _BINS_A_SIGN if positive.size and negative.size else _BINS
    zeros = int(finite.size - positive.size - negative.size)
    below = [Bin(-one.high, 0.0 - one.low, one.count) for one in reversed(_sizes(negative, most))]
    return (*below, *([Bin(0.0, 0.0, zeros)] if zeros else []), *_sizes(positive, most))


def _sizes(sizes: Numbers, most: int) -> list[Bin]:
    """Bins of positive numbers by decades, a few decades each where there are many; from the small ones up."""
    if not sizes.size:
        return []
    powers = np.log10(sizes)
    top, bottom = int(np.ceil(powers.max())), int(np.floor(np.quantile(powers, 0.001)))
    each = max(1, -(-(top - bottom) // most))
    edges = [top - each * number for number in range(max(1, -(-(top - bottom) // each)), -1, -1)]
    places = np.clip(np.searchsorted(edges, powers, side="left"), 1, len(edges) - 1)
    counts = np.bincount(places, minlength=len(edges))[1:]
    lows = [0.0, *(_power(edge) for edge in edges[1:-1])]
    return [Bin(low, _power(high), int(count)) for low, high, count in zip(lows, edges[1:], counts)]


def _power(exponent: int) -> float:
    """A power of ten, the nearest float64."""
    return float(f"1e{exponent}") if exponent <= 308 else float(np.finfo(np.float64).max)
