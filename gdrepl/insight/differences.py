"""The slope of a function of one number, from its values at a ladder of step sizes; and what keeps it from having one.

A central difference (f(x+h) - f(x-h))/(2h) is off by h**2 times a third derivative, and by the noise of f over h: a large step
is wrong by the first, a small one by the second, and the best lies between (W. H. Press et al., "Numerical Recipes", section
5.7; P. E. Gill, W. Murray & M. H. Wright, "Practical Optimization", 1981, section 8.6). Where it lies depends on the function,
so many steps are tried, and each is judged by the others: the next larger one tells how much of h**2 is left, and no smaller
one may contradict it beyond its own noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]

RATIO = 8.0
STEPS = RATIO ** -np.arange(-5.0, 14.0)
"""The step sizes tried, in units of the size of the number that is moved: from 32768 times it down to 2e-12 of it."""

USUAL = STEPS[7:11]
"""Those among which the best one mostly is, so that most numbers need no others."""

_ALIKE = 1.7  # gaps of a kink differ by less from one step to the next; those of a smooth function by `RATIO`
_SEEN = 8.0  # times the noise, from where a difference is taken for real
_GROWS = 1.25  # slopes that grow by more at each smaller step have no limit in sight
_FALLS = 1 / 4  # of what a slope moves from one step to the next while its error falls as it should, by `RATIO` at least
_LEAST, _SAFE = 3, 4.0  # steps that show the noise, and how much more of it others may have
_COARSEST = 1e-6  # of f: a change that is larger is no rounding of float64
_LAST = 6  # how many of the smallest steps decide whether one side of the function is there at all


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """A function f beside a point, for each of P probes; the J steps fall in size.

    Attributes:
        here: f at the point, shape (P,).
        after, before: f at the point plus and minus a step, shape (P, J).
        up, down: those steps, as they came out after rounding; > 0, or NaN where rounding left nothing. Shape (P, J).
        noise: how far a value of f may be off by rounding at most, shape (P, J).
        rounding: how far at least: that of its last bits. Shape (P, J).
    """

    here: Numbers
    after: Numbers
    before: Numbers
    up: Numbers
    down: Numbers
    noise: Numbers
    rounding: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """What the values of f tell of its slope, for each probe; all of shape (P,).

    Attributes:
        slope: the best estimate; NaN where there is none.
        error: how far it may be off.
        step: the step that gave it.
        low, high: the slopes on both sides of a kink; NaN elsewhere.
        kink: True where the slopes on both sides differ however small the step.
        endless: True where the slope grows without end as the step shrinks: a jump, or an infinite slope.
        one_sided: True where f is finite on one side only.
    """

    slope: Numbers
    error: Numbers
    step: Numbers
    low: Numbers
    high: Numbers
    kink: Truths
    endless: Truths
    one_sided: Truths


def slopes(values: Values) -> Slopes:
    """Judge each probe by itself."""
    with np.errstate(all="ignore"):
        return _slopes(values)


def _slopes(values: Values) -> Slopes:
    noise = _noise(values)
    ahead, ahead_noise = (values.after - values.here[:, None]) / values.up, 2 * noise / values.up
    behind, behind_noise = (values.here[:, None] - values.before) / values.down, 2 * noise / values.down
    across = values.up + values.down
    central = _best((values.after - values.before) / across, 2 * noise / across, across / 2, RATIO**2)
    # Where one side is missing at every small step, the other one has to do.
    there, back = _is_there(ahead), _is_there(behind)
    only = np.where(there, ahead, behind), np.where(there, ahead_noise, behind_noise), np.where(there, values.up, values.down)
    one_sided = there.ravel() != back.ravel()
    slope, error, step = np.where(one_sided, _best(*only, RATIO), central)
    low, high = _sides(ahead, behind, ahead_noise + behind_noise)
    endless = np.zeros(len(slope), bool)
    for side, blur in ((ahead, ahead_noise), (behind, behind_noise)):
        endless |= np.array([_is_endless(*each) for each in zip(side, 2 * _SEEN * blur)], bool)
    return Slopes(slope, error, step, low, high, ~np.isnan(low) & ~endless, endless, one_sided)


def _noise(values: Values) -> Numbers:
    """The noise of f along this probe, which is less than its bound where what is rounded does not depend on the number moved.

    At the smallest steps f is a straight line, and what is left of f(x+h) - 2 f(x) + f(x-h) is noise. Steps that f does not
    feel tell nothing of it: they may be what rounding has made of a slope. That they are there tells how coarse f is: the bound
    of a loss of Python's own, in which nothing can be moved but its parameters, knows nothing of 1 + x**2 inside a logarithm.
    """
    here = values.here[:, None]
    bent = np.abs(values.after - 2 * here + values.before)
    felt = (values.after != here) & (values.before != here) & np.isfinite(bent)
    noise = values.noise.copy()
    for row in range(len(noise)):
        last = np.flatnonzero(felt[row])[-_LEAST:]
        if len(last) == _LEAST:
            seen = np.fmax(_SAFE * bent[row, last].max(), values.rounding[row])
            noise[row] = np.where(felt[row], np.fmin(seen, noise[row]), noise[row])
    return np.fmax(noise, _grain(values)[:, None])


def _grain(values: Values) -> Numbers:
    """The least that f changes by where smaller steps change nothing, shape (P,); 0 where that is no rounding but flat."""
    moved = np.fmax(np.abs(values.after - values.here[:, None]), np.abs(values.before - values.here[:, None]))
    least = np.where(moved > 0, moved, np.inf).min(axis=1)
    grain = np.isfinite(least) & (moved == 0).any(axis=1) & (least <= _COARSEST * np.abs(values.here))
    return np.where(grain, least, 0.0)


def _is_there(side: Numbers) -> Truths:
    """Whether a side has a value at one of the smallest steps, shape (P, 1)."""
    return np.asarray(np.isfinite(side[:, -_LAST:]).any(1, keepdims=True))


def _best(slope: Numbers, noise: Numbers, step: Numbers, shrinks: float) -> Numbers:
    """Slope, error and step of the best of J steps, shape (3, P).

    Args:
        shrinks: by what the error of the formula falls from one step to the next smaller one.
    """
    count, steps = slope.shape
    slope = np.where(np.isfinite(slope), slope, np.nan)
    noise = np.where(np.isnan(slope), np.nan, noise)
    moved = np.abs(np.diff(slope, axis=1, prepend=np.nan))
    falls = moved[:, 1:] <= _FALLS * moved[:, :-1]  # elsewhere its error is no power of the step yet
    left = moved.copy()
    left[:, 1:][falls] /= shrinks - 1
    error = np.full((count, steps), np.inf)
    for place in range(1, steps):
        smaller = np.abs(slope[:, place, None] - slope[:, place + 1 :]) - noise[:, place + 1 :]
        contradicted = np.fmax.reduce(smaller, axis=1, initial=0.0)
        error[:, place] = noise[:, place] + left[:, place] + contradicted
    error = np.where(np.isnan(error), np.inf, error)
    chosen, rows = np.argmin(error, axis=1), np.arange(count)
    known = np.isfinite(error[rows, chosen])
    found = np.stack([slope[rows, chosen], error[rows, chosen], step[rows, chosen]])
    return np.where(known, found, np.array([[np.nan], [np.inf], [np.nan]]))


def _sides(ahead: Numbers, behind: Numbers, noise: Numbers) -> tuple[Numbers, Numbers]:
    """The slopes on both sides of a kink, the lower one first; NaN where there is none."""
    found = np.full((2, len(ahead)), np.nan)
    for row, (one, other, blur) in enumerate(zip(behind, ahead, noise)):
        place = _kink(other - one, _SEEN * blur)
        if place is not None:
            found[:, row] = sorted((one[place], other[place]))
    return found[0], found[1]


def _kink(gap: Numbers, blur: Numbers) -> int | None:
    """The smallest step at which both sides differ as they do at all steps that could tell; None where they need not.

    What a smooth function lacks at a step it lacks `RATIO` times less at the next smaller one; what a kink does is the same.
    """
    seen = np.flatnonzero(np.abs(gap) > blur)
    for last in seen[::-1]:
        could_tell = np.flatnonzero(blur < np.abs(gap[last]) / 2)
        if not len(could_tell) or could_tell[-1] > last or last < 2:
            continue
        ratios = gap[last] / gap[last - 2 : last]
        return int(last) if bool(np.all((ratios > 1 / _ALIKE) & (ratios < _ALIKE))) else None
    return None


def _is_endless(side: Numbers, blur: Numbers) -> bool:
    """Whether slopes at falling steps, those that noise leaves standing, grow without end.

    A smaller step that would have shown such a slope, and does not, is their end.
    """
    seen = np.flatnonzero(np.abs(side) > blur)[-4:]
    resolved = side[seen]
    last = np.abs(resolved)
    if len(last) < 4 or not bool(np.isfinite(last).all()) or len(set(np.sign(resolved))) > 1:
        return False
    if bool(np.any(blur[seen[-1] + 1 :] < last[-1] / 2)):
        return False
    return bool(np.all(last[1:] > _GROWS * last[:-1]))


def steps_of(sizes: Any, steps: Numbers = STEPS) -> Numbers:
    """The steps to try for numbers of these sizes, shape (P, J)."""
    return np.multiply.outer(np.asarray(sizes, np.float64), steps)
