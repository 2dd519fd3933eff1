"""An axis of a chart: any finite float64 values -> the interval 0..1, with a few short tick labels.

All extremes (1e300, denormals, a plateau in the twelfth digit, negative powers) are dealt with here, so that what draws
the chart only ever sees numbers from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Within these powers of ten plain digits are shorter than a factor in the axis name.
_PLAIN_LOW, _PLAIN_HIGH = -3, 6
# A span below this part of the values needs labels of more than six digits: subtract an offset and name it instead.
_OFFSET_SPAN = 1e-4
# A log axis never spans less, in decades, for the same reason.
_LEAST_DECADES = 1e-3
# An end this near to a round number, as a part of the span, is moved to it.
_NEAR = 0.05


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis: `position` from 0 (its low end) to 1."""

    position: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A mapping of values to 0..1.

    Attributes:
        low, high: the ends, low < high: of (value - offset) / 10**exponent, or of log10(value) when `log`.
        log: whether the axis is logarithmic (base 10); offset and exponent are then zero.
        exponent: the power of ten named beside the label.
        offset: what is subtracted from the values, named beside the label.
        whole: ticks stand at whole numbers only, as for steps.
    """

    low: float
    high: float
    log: bool = False
    exponent: int = 0
    offset: Decimal = Decimal(0)
    whole: bool = False

    def place(self, values: Floats) -> Floats:
        """Values, shape (n,), finite (and above 0 when log) -> the same shape, each clipped to 0..1."""
        if self.offset:
            values = values - float(self.offset)
        places = (np.log10(values) if self.log else _shift(values, -self.exponent)) - self.low
        places /= self.high - self.low
        return np.clip(places, 0.0, 1.0, out=places)

    def name(self, label: str) -> str:
        """The label with what was done to the values, such as `loss (1e30)`, `loss - 0.6931 (1e-9)` or `loss (log)`."""
        if self.offset:
            sign = "-" if self.offset > 0 else "+"
            label = f"{label} {sign} {_digits(abs(self.offset))}"
        factor = "(log)" if self.log else f"(1e{self.exponent})" if self.exponent else ""
        return f"{label} {factor}".strip()

    def ticks(self, count: int) -> list[Tick]:
        """About `count` ticks from low to high: rather more than fewer than two, and none when no round number is inside."""
        for finer in (1, 2, 4):
            ticks = self._ticks(max(1, count) * finer)
            if len(ticks) >= 2:
                break
        return ticks

    def _ticks(self, count: int) -> list[Tick]:
        if not self.log:
            return _linear_ticks(self.low, self.high, count, self.whole)
        decades = range(math.ceil(self.low), math.floor(self.high) + 1)
        if len(decades) < 2:
            return self._ticks_within_a_decade(count)
        step = _round_up(max(1.0, (len(decades) - 1) / count))[0]
        chosen = [decade for decade in decades if decade % round(step) == 0] or [decades[0]]
        plain = decades[0] >= _PLAIN_LOW and decades[-1] <= _PLAIN_HIGH
        labels = [f"{10.0**decade:.{max(0, -decade)}f}" if plain else f"1e{decade}" for decade in chosen]
        return [Tick(self._at(decade), label) for decade, label in zip(chosen, labels)]

    def rounded(self, count: int) -> Axis:
        """This axis with its ends moved out to the next of `count` ticks where that is near: a loss of 0.003 shows a 0."""
        if self.log:
            return self
        step, _ = _round_up((self.high - self.low) / max(1, count))
        near = _NEAR * (self.high - self.low)
        low, high = math.floor(self.low / step) * step, math.ceil(self.high / step) * step
        return replace(
            self,
            low=low if self.low - low <= near else self.low,
            high=high if high - self.high <= near else self.high,
        )

    def _ticks_within_a_decade(self, count: int) -> list[Tick]:
        base = math.floor(self.low)
        low, high = 10.0 ** (self.low - base), 10.0 ** (self.high - base)
        if high / low > 5:
            values = [(m * 10.0**power, 0) for power in (0, 1) for m in (1, 2, 5)]
        else:
            step, decimals = _round_up((high - low) / count)
            values = [(i * step, decimals) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
        ticks = [
            Tick(self._at(base + math.log10(value)), _mantissa(value, decimals, base))
            for value, decimals in values
            if low <= value <= high
        ]
        apart = 0.5 / count
        return [tick for i, tick in enumerate(ticks) if i == 0 or tick.position - ticks[i - 1].position >= apart]

    def _at(self, inner: float) -> float:
        return min(1.0, max(0.0, (inner - self.low) / (self.high - self.low)))


def fit(values: Sequence[Floats], log: bool = False) -> Axis:
    """The axis that holds all the values: several arrays of shape (n,), finite, above 0 when log, not all empty."""
    filled = [array for array in values if array.size]
    low = min(float(array.min()) for array in filled)
    high = max(float(array.max()) for array in filled)
    if log:
        return _fit_log(low, high)
    return _fit_linear(low, high, all(_whole(array[:100]) and _whole(array) for array in filled))


def _whole(values: Floats) -> bool:
    return bool(np.all(values == np.trunc(values)))


def _fit_log(low: float, high: float) -> Axis:
    low, high = math.log10(low), math.log10(high)
    if high - low < _LEAST_DECADES:
        middle = (low + high) / 2
        low, high = middle - 0.5, middle + 0.5
    return Axis(low, high, log=True)


def _fit_linear(low: float, high: float, whole: bool) -> Axis:
    largest = max(abs(low), abs(high))
    half_span = high / 2 - low / 2  # halves: high - low overflows between -1e308 and 1e308
    offset = Decimal(0)
    if 0 < 2 * half_span < _OFFSET_SPAN * largest:
        unit = Decimal((0, (1,), _exponent(2 * half_span) + 1))
        offset = Decimal(low).quantize(unit, ROUND_FLOOR)
        low, high = low - float(offset), high - float(offset)
        largest = max(abs(low), abs(high))
        whole = whole and offset == offset.to_integral_value()
    exponent = _exponent(largest) if largest else 0
    exponent = 0 if _PLAIN_LOW <= exponent <= _PLAIN_HIGH else exponent - exponent % 3
    whole = whole and exponent == 0
    low, high = (float(end) for end in _shift(np.array([low, high]), -exponent))
    if low == high:  # a constant: any room around it will do, as long as its label stays short
        room = abs(low) / 10 or 1.0
        room = max(1.0, room) if whole else room
        low, high = low - room, high + room
    return Axis(low, high, exponent=exponent, offset=offset, whole=whole)


def _shift(values: Floats, exponent: int) -> Floats:
    """values * 10**exponent; in two factors, since 10**324 overflows and a denormal needs it."""
    if not exponent:
        return values
    half = exponent // 2
    return np.asarray(values * 10.0**half * 10.0 ** (exponent - half), dtype=np.float64)


def _exponent(value: float) -> int:
    """The decimal exponent of a positive value as printed: 23 for 1e23, which in binary lies just below."""
    return int(f"{value:.12e}".partition("e")[2])


def _round_up(step: float) -> tuple[float, int]:
    """The next 1, 2 or 5 times a power of ten, and the decimals that writes it in full."""
    exponent = _exponent(step)
    for factor in (1, 2, 5, 10):
        candidate = factor * 10.0**exponent
        if candidate >= step * (1 - 1e-9):
            break
    decimals = -exponent - (1 if factor == 10 else 0)
    return candidate, max(0, decimals)


def _linear_ticks(low: float, high: float, count: int, whole: bool) -> list[Tick]:
    step, decimals = _round_up((high - low) / count)
    if whole and step < 1:
        step, decimals = 1.0, 0
    slack = 1e-9  # a round end, such as 0.3 = 3 * 0.1, must not be lost to rounding
    indices = range(math.ceil(low / step - slack), math.floor(high / step + slack) + 1)
    positions = [min(1.0, max(0.0, (index * step - low) / (high - low))) for index in indices]
    return [Tick(position, f"{index * step:.{decimals}f}") for index, position in zip(indices, positions)]


def _mantissa(value: float, decimals: int, base: int) -> str:
    """value * 10**base, in plain digits where they are short; `decimals` writes the value in full."""
    if _PLAIN_LOW <= base <= _PLAIN_HIGH:
        return f"{value * 10.0**base:.{max(0, decimals - base)}f}"
    return f"{value:.{decimals}f}e{base}"


def _digits(number: Decimal) -> str:
    """All digits of a positive decimal, without hundreds of zeros."""
    if -6 < number.adjusted() < 12:
        return f"{number:f}"
    return f"{number.normalize():e}".replace("e+", "e")


def real(array: NDArray[Any]) -> Floats:
    """Any real array as float64, shape kept; what float64 cannot hold becomes Inf, silently."""
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype=np.float64)
