"""A slice of the loss: what is true along it in a few lines, and the curve or the contours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, prose, table, without_columns
from gdrepl.engine.snapshot import Array
from gdrepl.insight.chart import Chart, Series, spans_decades
from gdrepl.insight.contours import levels, outline
from gdrepl.insight.slicing import Along, Sliced

_DIGITS = 4
_LEVEL_DIGITS = 16
"""As many as a level has: it was rounded to few."""
_LEVEL_COLORS = ("blue", "cyan", "green", "orange", "magenta", "gray")
_HERE, _NEXT = 2, 3
_ROUNDED = 8
"""Units of the last place of the loss here, below which the lowest value of the quadratic is what rounding left of 0."""
_WHOLE = 0.999
"""The part of an update that lies in a slice from which on it counts as lying in it."""
_DASH = 9
_OUTSIDE = 0.5
"""How far the quadratic is drawn above and below the curve, as a part of what that spans."""


def sliced(result: Sliced, style: Style) -> list[Line]:
    """Where it was cut, and what is here, at the next update and by the quadratic.

    On a narrow screen the unit goes first, then the curvature, the slope, and the lowest point of the quadratic.
    """
    names = " and ".join(along.name for along in result.directions)
    lines = prose(f"from step {result.step}: the loss along {names}{_units(result)}", style, then="  ")
    rows = [[(word, "dim") for word in ("", "here", "next", "lowest", "slope", "curvature", "1 is")]]
    bottom = lowest(result)
    for place, along in enumerate(result.directions):
        low = "none" if bottom is None else _show(along.origin + bottom[0][place])
        numbers_of = (along.origin, along.next, low, along.slope, along.curvature, along.unit)
        rows.append([(along.name, ""), *((_show(each), "") for each in numbers_of)])
    low = "" if bottom is None else _show(bottom[1])
    losses = [_show(result.loss, style.precision), _show(result.next_loss, style.precision), low, "", "", ""]
    rows.append([("loss", ""), *((each, "bold") for each in losses)])
    kept, _ = without_columns(rows, style, drop=(6, 5, 4, 3), shrink=[0])
    lines += table(kept, style, shrink=[0])
    for note in (*_said(result, bottom is not None), *result.notes):
        lines += prose(note, style, first="  ", then="  ")
    return lines


def _units(result: Sliced) -> str:
    says = dict.fromkeys(along.says for along in result.directions if along.says)
    return f"; 1 is {', or '.join(says)}" if says else ""


def _show(value: float | str | Array, digits: int = _DIGITS) -> str:
    return numbers.show(value, digits)


def _said(result: Sliced, has_lowest: bool) -> Iterator[str]:
    """What the numbers do not say."""
    where = "line" if len(result.directions) == 1 else "plane"
    if result.share is None:
        yield "the next update does not move"
    elif result.share < _WHOLE:
        yield f"{_show(100 * result.share, 2)}% of the next update's length lies in this {where}; its loss is that of the whole"
    if not has_lowest:
        yield f"the quadratic has no lowest point on this {where}: it is not curved upwards"
    marks = {"here": [along.origin for along in result.directions], "next": [along.next for along in result.directions]}
    outside = [name for name, places in marks.items() if not _inside(result, places)]
    if outside:
        yield f"outside of the chart: {' and '.join(outside)}"


def lowest(result: Sliced) -> tuple[list[float], float] | None:
    """How far from here the quadratic is lowest, in the units of each direction, and its value there; None where nowhere."""
    slopes = np.array([along.slope for along in result.directions])
    matrix = np.diag([along.curvature for along in result.directions])
    if len(slopes) == 2:
        matrix[0, 1] = matrix[1, 0] = result.cross
    if not np.isfinite(matrix).all() or not (np.linalg.eigvalsh(matrix) > 0).all():
        return None
    moves = np.linalg.solve(matrix, -slopes)
    value = float(result.loss) + float(slopes @ moves) / 2
    told = abs(value) > _ROUNDED * float(np.finfo(result.loss.dtype).eps) * abs(float(result.loss))
    return moves.tolist(), value if told else 0.0


def _inside(result: Sliced, places: list[float]) -> bool:
    return all(each[0] <= place <= each[-1] for each, place in zip(result.places, places))


# --- charts -------------------------------------------------------------------------------------------------------------


def slice_chart(result: Sliced) -> Chart | None:
    """The curve, or the contours; None where no loss is finite."""
    if not np.isfinite(result.losses).any():
        return None
    return _curve(result) if len(result.directions) == 1 else _plane(result)


def _curve(result: Sliced) -> Chart:
    [along], [places] = result.directions, result.places
    losses = result.losses.astype(np.float64)
    finite = losses[np.isfinite(losses)]
    room = _OUTSIDE * float(finite.max() - finite.min())
    quadratic = result.quadratic
    inside = (quadratic >= finite.min() - room) & (quadratic <= finite.max() + room)
    series = [
        Series("loss", places, losses, "line", "green", sampled=True),
        Series("quadratic", places, np.where(inside & _dashes(len(places)), quadratic, np.nan), "line", "blue", sampled=True),
        *_marks(result, [along.origin], [along.next], [result.loss], [result.next_loss]),
    ]
    return Chart("", _axis(along), "loss", tuple(series), bool(finite.min() > 0) and spans_decades(finite))


def _dashes(count: int) -> Array:
    """Which places of a dashed line are drawn, so that the line below it is seen between them."""
    return np.asarray(np.arange(count) // _DASH % 2 == 0)


def _axis(along: Along) -> str:
    return f"along {along.name}" if along.says else along.name


def _marks(result: Sliced, here: list[float], reached: list[float], up: list[Array], next_up: list[Array]) -> list[Series]:
    """The current point and the next update, those of them that lie inside; `up` is where they lie on the y axis."""
    marks = []
    if _inside(result, [along.next for along in result.directions]) and np.isfinite(float(next_up[0])):
        whole = result.share is None or result.share >= _WHOLE
        label = "next" if whole or len(result.directions) == 1 else "next (its shadow)"
        marks.append(Series(label, np.array(reached[:1]), np.array([float(next_up[0])]), "points", "red", _NEXT))
    if _inside(result, [along.origin for along in result.directions]):
        marks.append(Series("current", np.array(here[:1]), np.array([float(up[0])]), "points", "red", _HERE))
    return marks


def _plane(result: Sliced) -> Chart:
    first, second = result.directions
    (across, up), losses = result.places, result.losses.astype(np.float64)
    series = []
    for level, color in zip(levels(losses), _LEVEL_COLORS):
        series.append(Series(_show(level, _LEVEL_DIGITS), *outline(across, up, losses, level), "outline", color, sampled=True))
    if first.slope or second.slope:
        lines = outline(across, up, result.quadratic, float(result.loss))
        series.append(Series("quadratic, as high as here", *lines, "outline", "yellow", sampled=True))
    marks = _marks(result, [first.origin], [first.next], [np.asarray(second.origin)], [np.asarray(second.next)])
    return Chart("", _axis(first), _axis(second), (*series, *marks))
