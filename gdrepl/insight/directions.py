"""A gradient of many numbers, along directions that move all of them; and which number is to blame where one disagrees."""

from __future__ import annotations

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.insight.differences import STEPS, USUAL, Numbers, Slopes, slopes
from gdrepl.insight.probing import Probe

_MANY = 1_000_000
_SAFETY, _FLOOR = 8.0, 1e-9
"""The tolerance: so many times the error of a slope by its own account, and this part of it, so that one number stands out."""
_SURE = 1e-5
_SUMMED = 1e-13  # of all that is added up: what rounding may take from a long sum


def count_of_directions(size: int) -> int:
    """Fewer where the loss takes long."""
    return 2 if size > _MANY else 4


def along_directions(probe: Probe, sizes: Numbers, gradient: Numbers, count: int, chance: np.random.Generator) -> Array:
    """The places that are to blame for a slope that disagrees with the gradient, one for each such direction.

    The first direction is uphill in every number, so that nothing cancels; the others have signs at random.

    Args:
        sizes: what each number is moved in proportion to; 0 for those that stay.
        gradient: what the slopes are compared with, shape (n,).
    """
    blamed = []
    for number in range(count):
        signs = np.where(gradient >= 0, 1.0, -1.0) if number == 0 else chance.choice([-1.0, 1.0], len(sizes))
        direction = signs * sizes
        terms = gradient * direction
        along, blur = float(np.sum(terms)), _SUMMED * float(np.sum(np.abs(terms)))
        for steps in (USUAL, STEPS):
            found = slopes(probe.along_direction(direction, steps))
            off, tolerance = _off(found, along)
            if off <= tolerance + blur and tolerance <= _SURE * abs(along):
                break
        if off > tolerance + blur:
            blamed.append(_culprit(probe, direction, gradient, float(found.step[0])))
    return np.unique(np.asarray(blamed, np.int64))


def _off(found: Slopes, along: float) -> tuple[float, float]:
    """How far a slope is from what the gradient says, and up to where it may be; a kink has room between its sides."""
    slope, low, high = float(found.slope[0]), float(found.low[0]), float(found.high[0])
    if found.endless[0] or not np.isfinite(slope):
        return 0.0, np.inf
    if found.kink[0]:
        return max(low - along, along - high, 0.0), _FLOOR * max(abs(low), abs(high))
    return abs(along - slope), _SAFETY * float(found.error[0]) + _FLOOR * abs(slope)


def _culprit(probe: Probe, direction: Numbers, gradient: Numbers, step: float) -> int:
    """The number found by moving halves of those that are left, and keeping the half that disagrees the more."""
    places = np.flatnonzero(direction)
    lack = _lack(probe, direction, gradient, places, step)
    while len(places) > 1:
        halves = np.array_split(places, 2)
        first = _lack(probe, direction, gradient, halves[0], step)
        places = halves[int(abs(lack - first) > abs(first))]  # what the one half does not lack, the other does
        lack = lack - first if places is halves[1] else first
    return int(places[0])


def _lack(probe: Probe, direction: Numbers, gradient: Numbers, places: Array, step: float) -> float:
    """What the slope has that the gradient has not, where only `places` are moved."""
    part = np.zeros_like(direction)
    part[places] = direction[places]
    values = probe.along_direction(part, np.array([step]))
    slope = float((values.after[0, 0] - values.before[0, 0]) / (2 * step))
    return slope - float(gradient[places] @ direction[places])
