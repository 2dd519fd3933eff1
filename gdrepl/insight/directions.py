"""A gradient of many numbers, along directions that move all of them; and which number is to blame where one disagrees."""

from __future__ import annotations

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.insight.differences import STEPS, Numbers, slopes
from gdrepl.insight.probing import Probe

_MANY = 1_000_000


def count_of_directions(size: int) -> int:
    """Fewer where the loss takes long."""
    return 2 if size > _MANY else 4


def along_directions(
    probe: Probe, sizes: Numbers, gradient: Numbers, count: int, chance: np.random.Generator, tolerances: tuple[float, float]
) -> Array:
    """The places that are to blame for a slope that disagrees with the gradient, one for each such direction.

    The first direction is uphill in every number, so that nothing cancels; the others have signs at random.

    Args:
        sizes: what each number is moved in proportion to; 0 for those that stay.
        gradient: what the slopes are compared with, shape (n,).
        tolerances: times the error of the slope, and the part of it that are let pass.
    """
    safety, floor = tolerances
    blamed = []
    for number in range(count):
        signs = np.where(gradient >= 0, 1.0, -1.0) if number == 0 else chance.choice([-1.0, 1.0], len(sizes))
        direction = signs * sizes
        found = slopes(probe.along_direction(direction, STEPS))
        terms = gradient * direction
        along, blur = float(np.sum(terms)), 1e-12 * float(np.sum(np.abs(terms)))
        if found.endless[0] or not np.isfinite(found.slope[0]):
            continue
        if found.kink[0]:
            off = max(float(found.low[0]) - along, along - float(found.high[0]))
            tolerance = floor * max(abs(float(found.low[0])), abs(float(found.high[0])))
        else:
            off = abs(along - float(found.slope[0]))
            tolerance = safety * float(found.error[0]) + floor * abs(float(found.slope[0]))
        if off > tolerance + blur:
            blamed.append(_culprit(probe, direction, gradient, float(found.step[0])))
    return np.unique(np.asarray(blamed, np.int64))


def _culprit(probe: Probe, direction: Numbers, gradient: Numbers, step: float) -> int:
    """The number found by moving halves of those that are left, and keeping the half that disagrees the more."""
    places = np.flatnonzero(direction)
    while len(places) > 1:
        halves = np.array_split(places, 2)
        off = []
        for half in halves:
            part = np.zeros_like(direction)
            part[half] = direction[half]
            values = probe.along_direction(part, np.array([step]))
            slope = float((values.after[0, 0] - values.before[0, 0]) / (2 * step))
            off.append(abs(slope - float(gradient[half] @ direction[half])))
        places = halves[int(np.nan_to_num(off[1], nan=np.inf) > np.nan_to_num(off[0], nan=np.inf))]
    return int(places[0])
