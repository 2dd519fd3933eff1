"""Each number of a gradient held against the slope found by differences: how far it is off, and up to where it may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.insight.differences import STEPS, USUAL, Numbers, Slopes, Truths, slopes
from gdrepl.insight.probing import Probe
from gdrepl.insight.wide import WIDE

SAFETY, FLOOR = 8.0, 1e-7
"""The tolerance is so many times the error that a difference has by its own account, and this part of it at least."""
_SURE = 1e-4  # of a slope: with so small a tolerance the usual steps are enough
_TINY = 1e-8  # a number so much smaller than what it is moved by is tried once more with steps of its own size


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """The gradient laid end to end, shape (n,), as it comes from several places.

    Attributes:
        engine: of the point, by the compiled program.
        wide: by the tape in float64.
        own: by the tape in the problem's dtype.
        blur, wide_blur: how far rounding may move `engine` and `wide`.
        at_kinks: the part of a slope that may be lost where it is not known what rounding does.
    """

    engine: Numbers
    wide: Numbers
    own: Numbers
    blur: Numbers
    wide_blur: Numbers
    at_kinks: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What came of each probe: the difference, how far off the gradients are, and up to where they may be; shape (P,).

    `compared` is False where the loss has no one slope to compare with. `ratio` is the larger error over its tolerance.
    """

    places: Array
    found: Slopes
    error: Numbers
    tolerance: Numbers
    ratio: Numbers
    formula_off: Truths
    compared: Truths


def judged_at(probe: Probe, places: Array, sizes: Numbers, gradients: Gradients) -> Judged:
    """A few steps for each number; all of them, and steps of its own size, for those that ask for it."""
    found = slopes(probe.along_numbers(places, sizes[places], USUAL))
    judged = _judge(places, found, gradients)
    settled = judged.compared & (judged.ratio <= 1) & ~found.kink & ~found.one_sided
    settled &= SAFETY * found.error <= _SURE * np.abs(found.slope)
    rows = np.flatnonzero(~settled)
    if len(rows):
        found = _with(found, rows, slopes(probe.along_numbers(places[rows], sizes[places[rows]], STEPS)))
        judged = _judge(places, found, gradients)
    own_size = np.abs(probe.point[places].astype(WIDE))
    again = (judged.ratio > 1) & judged.compared & (own_size > 0) & (own_size < _TINY * sizes[places])
    if not again.any():
        return judged
    # A number next to 0 may be small for a reason: x*log(x) at 1e-300 changes within steps of that size.
    rows = np.flatnonzero(again)
    closer = slopes(probe.along_numbers(places[rows], own_size[rows], STEPS))
    better = closer.error < 0.1 * np.abs(closer.slope)
    return _judge(places, _with(found, rows[better], closer, better), gradients)


def _with(found: Slopes, rows: Array, other: Slopes, chosen: Truths | slice = slice(None)) -> Slopes:
    """`found` with the `chosen` ones of another in place of `rows`."""
    merged = {name: getattr(found, name).copy() for name in Slopes.__slots__}
    for name, column in merged.items():
        column[rows] = getattr(other, name)[chosen]
    return Slopes(**merged)


def _judge(places: Array, found: Slopes, gradients: Gradients) -> Judged:
    engine, wide = gradients.engine[places], gradients.wide[places]
    with np.errstate(all="ignore"):
        difference = SAFETY * found.error + FLOOR * np.abs(found.slope)
        tolerance, wide_tolerance = difference + gradients.blur[places], difference + gradients.wide_blur[places]
        # What rounding moves at a kink is which side of it one stands on, and both are allowed.
        beside = gradients.at_kinks * np.fmax(np.abs(found.low), np.abs(found.high))
        tolerance, wide_tolerance = (np.where(found.kink, beside, each) for each in (tolerance, wide_tolerance))
        error = _distance(engine, found)
        ratio, formula = error / tolerance, _distance(wide, found) / wide_tolerance
    compared = ~found.endless & np.isfinite(found.slope)
    broken = np.isnan(engine) | (np.isinf(engine) & compared)
    overflow = np.isinf(engine) & np.isfinite(wide) & np.isinf(gradients.own[places])
    compared = (compared | broken) & ~overflow
    ratio = np.where(broken, np.inf, np.fmax(ratio, formula))
    formula_off = (formula > 1) | ~np.isfinite(wide)
    return Judged(places, found, np.where(broken, np.inf, error), tolerance, ratio, formula_off, compared)


def _distance(gradient: Numbers, found: Slopes) -> Numbers:
    """How far a gradient is from the slope; at a kink from what lies between the slopes on both sides."""
    outside = np.fmax(np.fmax(found.low - gradient, gradient - found.high), 0.0)
    return np.where(found.kink, outside, np.abs(gradient - found.slope))
