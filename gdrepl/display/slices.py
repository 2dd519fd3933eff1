"""A slice of the loss: what is true along it in a few lines, and the curve or the contours."""

from __future__ import annotations

import numpy as np

from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table
from gdrepl.engine.snapshot import Array
from gdrepl.insight.chart import Chart, Series, spans_decades
from gdrepl.insight.contours import levels, outline
from gdrepl.insight.slicing import Along, Sliced

_DIGITS = 4
_LEVEL_COLORS = ("blue", "cyan", "green", "orange", "magenta", "gray")
_HERE, _NEXT = 2, 3
_WHOLE = 0.999
"""The part of an update that lies in a slice from which on it counts as lying in it."""
_OUTSIDE = 0.5
"""How far the quadratic is drawn above and below the curve, as a part of what that spans."""


def sliced(result: Sliced, style: Style) -> list[Line]:
    """Where it was cut, and what is here, at the next update and by the quadratic."""
    lines: list[Line] = []
    for number, along in enumerate(result.directions):
        start = f"from step {result.step}: the loss along {along.name}" if number == 0 else f"  and along {along.name}"
        lines += prose(f"{start}{_unit(along)}", style, then="  ")
    rows: list[list[Span]] = [[("", ""), ("at", "dim"), ("loss", "dim"), ("", "")]]
    here = [along.origin for along in result.directions]
    rows.append([("here", ""), (_at(here), "bold"), (_show(result.loss, style.precision), ""), (_derivatives(result), "dim")])
    reached = [along.next for along in result.directions]
    rows.append([("next", ""), (_at(reached), "bold"), (_show(result.next_loss, style.precision), ""), (_lies(result), "dim")])
    rows += _lowest(result)
    lines += table(rows, style, shrink=[3])
    for note in (*result.notes, *_unseen(result)):
        lines += prose(note, style, first="  ", then="  ")
    return lines


def _unit(along: Along) -> str:
    return f", where 1 is {_show(along.unit)}, {along.says}" if along.says else ""


def _show(value: float | Array, digits: int = _DIGITS) -> str:
    return numbers.show(value, digits)


def _at(places: list[float]) -> str:
    return ", ".join(_show(place) for place in places)


def _derivatives(result: Sliced) -> str:
    """The slope and the curvature along each direction."""
    return "; ".join(f"slope {_show(along.slope)}, curvature {_show(along.curvature)}" for along in result.directions)


def _lies(result: Sliced) -> str:
    if result.share is None:
        return "it does not move"
    if result.share >= _WHOLE:
        return ""
    where = "this line" if len(result.directions) == 1 else "this plane"
    return f"{_show(100 * result.share, 2)}% of it lies in {where}"


def _lowest(result: Sliced) -> list[list[Span]]:
    """The lowest point of the quadratic, where it has one."""
    found = lowest(result)
    if found is None:
        return [[("quadratic", ""), ("none", "bold"), ("", ""), ("not curved upwards: it has no lowest point", "dim")]]
    moves, loss = found
    at = [along.origin + move for along, move in zip(result.directions, moves)]
    return [[("quadratic", ""), (_at(at), "bold"), (_show(loss), ""), ("its lowest point", "dim")]]


def lowest(result: Sliced) -> tuple[list[float], float] | None:
    """How far from here the quadratic is lowest, in the units of each direction, and its value there; None where nowhere."""
    slopes = np.array([along.slope for along in result.directions])
    matrix = np.diag([along.curvature for along in result.directions])
    if len(slopes) == 2:
        matrix[0, 1] = matrix[1, 0] = result.cross
    if not np.isfinite(matrix).all() or not (np.linalg.eigvalsh(matrix) > 0).all():
        return None
    moves = np.linalg.solve(matrix, -slopes)
    return moves.tolist(), float(result.loss) + float(slopes @ moves) / 2


def _unseen(result: Sliced) -> list[str]:
    """Which marks lie outside of what is drawn."""
    marks = {"here": [along.origin for along in result.directions], "next": [along.next for along in result.directions]}
    return [f"{name} lies outside of the chart" for name, places in marks.items() if not _inside(result, places)]


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
        Series("quadratic", places, np.where(inside, quadratic, np.nan), "line", "blue", sampled=True),
        *_marks(result, [along.origin], [along.next], [result.loss], [result.next_loss]),
    ]
    return Chart("", _axis(along), "loss", tuple(series), bool(finite.min() > 0) and spans_decades(finite))


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
        series.append(Series(_show(level, 3), *outline(across, up, losses, level), "outline", color, sampled=True))
    if first.slope or second.slope:
        lines = outline(across, up, result.quadratic, float(result.loss))
        series.append(Series("quadratic, as high as here", *lines, "outline", "yellow", sampled=True))
    marks = _marks(result, [first.origin], [first.next], [np.asarray(second.origin)], [np.asarray(second.next)])
    return Chart("", _axis(first), _axis(second), (*series, *marks))
