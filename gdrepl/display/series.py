"""Series made ready to draw, in NumPy alone: gaps found, the rest counted, a million points thinned to a screenful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdrepl.display.axis import Floats, real
from gdrepl.insight.chart import Series

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Drawable:
    """The part of a series that can be drawn.

    Attributes:
        series: where it comes from.
        x, y: shape (n,), float64, all finite, above 0 on a log axis; the order of the series.
        piece: shape (n,), int, rising: neighbours of one piece had no gap between them.
        nan, infinite: how many points were left out for a NaN, or else an Inf, in x or y.
        not_positive: how many finite ones were left out as <= 0 on a log axis.
    """

    series: Series
    x: Floats
    y: Floats
    piece: Indices
    nan: int
    infinite: int
    not_positive: int


def drawable(series: Series, log: bool, log_x: bool = False) -> Drawable:
    """Split a series at what cannot be drawn, and count that."""
    x, y = real(series.x), real(series.y)
    finite = np.isfinite(x) & np.isfinite(y)
    keep: NDArray[np.bool_] = finite & ((y > 0) | (not log)) & ((x > 0) | (not log_x))
    if keep.all():
        return Drawable(series, x, y, np.zeros(x.size, dtype=np.intp), 0, 0, 0)
    nan = np.isnan(x) | np.isnan(y)
    piece = np.cumsum(~keep, dtype=np.intp)[keep]  # a gap raises the count, so what lies beyond it has another number
    nans, kept, finites = int(nan.sum()), int(keep.sum()), int(finite.sum())
    return Drawable(series, x[keep], y[keep], piece, nans, x.size - finites - nans, finites - kept)


def cells(places: Floats, count: int) -> Indices:
    """The column (or row) of each place: 0..1 -> 0..count-1, ends at the centres of the outermost, as plotext has it."""
    return np.asarray(0.5 + (count - 1) * places, dtype=np.intp)


def thin_points(u: Floats, v: Floats, columns: int, rows: int) -> Indices:
    """Indices, rising, of one point for each cell that has any: the others would hide behind it.

    Shapes (n,) for u and v, places from 0 to 1; at most columns * rows indices.
    """
    cell = cells(u, columns) * rows + cells(v, rows)
    first = np.full(columns * rows, -1, dtype=np.intp)
    first[cell[::-1]] = np.arange(u.size - 1, -1, -1)  # of equal indices the last assignment stays
    return np.sort(first[first >= 0])


def thin_line(u: Floats, v: Floats, piece: Indices, columns: int) -> tuple[Indices, Indices]:
    """About 4 * columns points that draw the same line: their indices, rising, and the piece of each.

    Shapes (n,) for u, v and piece; u and v are places from 0 to 1. The lowest and the highest point are always among them.
    Of each run, which is what stays in one column without a gap, the first, last, lowest and highest point draw the same
    line as all of it. A line that goes to and fro makes more runs than there are columns: up to four times as many are
    kept, then buckets of equal length take their place.
    """
    most_runs = 4 * columns
    if u.size <= most_runs:
        return np.arange(u.size), piece
    moved = np.diff(cells(u, columns)) != 0
    gap = np.diff(piece) != 0
    starts = _starts(moved | gap)
    if starts.size > most_runs:
        # A gap narrower than a column cannot be seen, and a thousand of them must not turn the line into dots.
        piece = np.concatenate([[0], np.cumsum(moved & gap)])
        starts = _starts(moved)
    if starts.size > most_runs:
        starts = np.linspace(0, u.size, columns, endpoint=False).astype(np.intp)
    kept = _corners(v, starts)
    return kept, piece[kept]


def _starts(new_run: NDArray[np.bool_]) -> Indices:
    return np.concatenate([[0], np.flatnonzero(new_run) + 1])


def _corners(v: Floats, starts: Indices) -> Indices:
    """The first, last, lowest and highest index of each run; `starts` rises from 0."""
    ends = np.append(starts[1:], v.size)
    run = np.repeat(np.arange(starts.size), ends - starts)
    found = [starts, ends - 1]
    for extreme in (np.minimum, np.maximum):
        hits = np.flatnonzero(v == extreme.reduceat(v, starts)[run])
        found.append(hits[np.diff(run[hits], prepend=-1) != 0])
    return np.unique(np.concatenate(found))


def counted(number: int, thing: str, things: str = "") -> str:
    """`1 value`, `3 values`."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def left_out(drawables: list[Drawable]) -> str:
    """What was not drawn, as one sentence; empty when all was."""
    drawables = [one for one in drawables if not one.series.sampled]
    non_finite = sum(one.nan + one.infinite for one in drawables)
    not_positive = sum(one.not_positive for one in drawables)
    parts = [counted(non_finite, "non-finite value")] if non_finite else []
    parts += [f"{counted(not_positive, 'value')} <= 0"] if not_positive else []
    return f"{' and '.join(parts)} not drawn" if parts else ""


def why_nothing(drawables: list[Drawable], x_name: str, y_name: str) -> str:
    """Why no series has anything to draw, by the name of the axis that is to blame."""
    across = [np.isfinite(real(one.series.x)) for one in drawables]
    name = x_name if any(each.size for each in across) and not any(each.any() for each in across) else y_name
    totals: dict[str, Any] = {
        "NaN": sum(one.nan for one in drawables),
        "Inf": sum(one.infinite for one in drawables),
        "<= 0": sum(one.not_positive for one in drawables),
    }
    reasons = ", ".join(f"{number} {kind}" for kind, number in totals.items() if number)
    if not reasons:
        return f"nothing to draw: {name} has no values yet"
    if totals["<= 0"]:
        return f"nothing to draw: no {name} above 0 for a log axis ({reasons})"
    return f"nothing to draw: {name} has no finite value ({reasons})"
