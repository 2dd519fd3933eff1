"""What is to be said of a check of the gradient: kinks, places without a slope, and where a wrong gradient comes from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import Array
from gdrepl.insight import saying
from gdrepl.insight.coordinates import Names
from gdrepl.insight.curvature import called
from gdrepl.insight.judging import Gradients, Judged
from gdrepl.insight.kinks import kinks_at

_NAMED = 3
_NOTHING = 1e-14  # of the largest slope: what is less is rounding, and nobody misses it
_COARSE = 0.01
"""The part of a gradient from which it is told that rounding takes it."""


def notes(debugger: Debugger, names: Names, judged: Judged, gradients: Gradients, wide: str, ok: bool) -> tuple[str, ...]:
    """A line each, what is wrong first."""
    found = [*_wrong(debugger, judged, gradients, wide)] if not ok else []
    found += _kinks(debugger, names, judged, gradients)
    found += _without_slope(names, judged)
    found += _hard_to_tell(debugger, names, judged, gradients)
    if wide != "float64":
        found.append(f"the loss takes {wide} only, so that differences are as coarse as that")
    if debugger.problem.numbers > len(judged.places) and not np.isfinite(gradients.wide).all():
        found.append("the float64 gradient is not finite everywhere, so that no directions were tried")
    return tuple(found)


def _wrong(debugger: Debugger, judged: Judged, gradients: Gradients, wide: str) -> Iterator[str]:
    rows = judged.compared & (judged.ratio > 1)
    if np.isnan(gradients.engine[judged.places[rows]]).any():
        yield "the gradient is nan where the loss is finite and can be moved"
    if judged.formula_off[rows].any():
        yield f"tf.GradientTape gives it so in {wide}, too: the gradient that the loss declares is not its slope"
    else:
        yield f"tf.GradientTape in {wide} agrees with the differences: it is the {debugger.recipe.engine} engine that differs"
    if "stop_gradient" in called(debugger.problem):
        yield "the loss calls stop_gradient: differences move what it holds, the gradient leaves that out, as it is meant to"
    dtype = debugger.problem.dtype
    if debugger.problem.numbers > len(judged.places):
        yield f"the numbers listed stand for others: not all of them were moved by themselves, in {dtype}"


def _kinks(debugger: Debugger, names: Names, judged: Judged, gradients: Gradients) -> Iterator[str]:
    found = judged.found
    rows = np.flatnonzero(found.kink)
    for row in rows[:_NAMED]:
        place = judged.places[row]
        low, high, used = found.low[row], found.high[row], gradients.engine[place]
        between = "which lies between" if low <= used <= high or judged.ratio[row] <= 1 else "which does not lie between"
        sides, here = [saying.number(each, 4) for each in (low, high)], saying.number(used, 4)
        yield f"kink at {names.of(place)}: slopes {' and '.join(sides)} beside it, gradient {here}, {between}"
    if len(rows) > _NAMED:
        yield f"kinks at {len(rows) - _NAMED} more numbers"
    if len(rows) or found.endless.any():
        yield from kinks_at(debugger.problem, debugger.point().parameters)


def _without_slope(names: Names, judged: Judged) -> Iterator[str]:
    found = judged.found
    for rows, what in (
        (found.endless, "the loss jumps at {}, or its slope is infinite there: not compared"),
        (found.one_sided & ~found.endless, "the loss is finite on one side of {} only: differences to that side"),
        (~np.isfinite(found.slope) & ~found.endless, "the loss is not finite beside {}: not compared"),
        (~judged.compared & np.isfinite(found.slope) & ~found.endless, "the gradient is too large for its type at {}"),
    ):
        if rows.any():
            yield what.format(_listed(names, judged.places[rows]))


def _hard_to_tell(debugger: Debugger, names: Names, judged: Judged, gradients: Gradients) -> Iterator[str]:
    compared = judged.compared & ~judged.found.kink & (judged.ratio <= 1)
    size = np.abs(judged.found.slope)
    largest = np.nanmax(np.where(compared, size, 0.0), initial=0.0)
    if compared.any() and largest == 0 and not gradients.engine[judged.places[compared]].any():
        yield "the loss is flat here: gradient and differences are 0"
    own, wide = gradients.own[judged.places], gradients.wide[judged.places]
    with np.errstate(invalid="ignore"):
        apart = np.abs(own - wide)
    coarse = compared & (apart > _COARSE * np.abs(wide)) & (apart > 1e-6 * largest)
    if coarse.any():
        row = int(np.argmax(np.where(coarse, apart, -1.0)))
        place, dtype = judged.places[row], debugger.problem.dtype
        rounded, exact = saying.number(own[row], 6), saying.number(wide[row], 6)
        yield f"rounding of {dtype} makes d loss/d {names.of(place)} {rounded}; in float64 it is {exact}"
    lost = compared & ~coarse & (judged.tolerance > np.abs(wide)) & (np.abs(wide) > _NOTHING * largest)
    if lost.any():
        yield f"beside the loss the slope at {_listed(names, judged.places[lost])} is lost in rounding: anything would agree"


def _listed(names: Names, places: Array) -> str:
    shown = ", ".join(names.of(place) for place in places[:_NAMED])
    return f"{shown} and {len(places) - _NAMED} more" if len(places) > _NAMED else shown
