"""History: points as aligned columns, made quickly for ten thousand of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gdrepl.commands.results import History
from gdrepl.display import numbers
from gdrepl.display.points import gradient_name
from gdrepl.display.style import Style
from gdrepl.display.text import Line, safe
from gdrepl.engine.snapshot import Array, norms

_MOST_COMPONENTS = 4
_SAMPLE = 100
_GAP = "  "
Column = tuple[str, Array]


def history(result: History, style: Style) -> list[Line]:
    """A header and a line for each point; when all does not fit, first digits, then components, then columns give way."""
    points = result.points
    if not len(points["step"]):
        return [[("no points yet", "dim")]]
    few = min(style.precision, 4)
    tries = ((True, style.precision), (True, few), (False, style.precision), (False, few))
    for number, (whole, precision) in enumerate(tries, 1):
        columns = _columns(points, result.norms, whole)
        every = max(1, len(points["step"]) // _SAMPLE)
        sample = _text_columns([(title, values[::every]) for title, values in columns], style, precision)
        if number < len(tries) and _width(sample) > style.width:  # the whole is no narrower than a part of it
            continue
        texts = _text_columns(columns, style, precision)
        if _width(texts) <= style.width:
            break
    return _lines(_that_fit(texts, style.width), style)


def _columns(points: Mapping[str, Any], norms: tuple[str, ...], whole: bool) -> list[Column]:
    """Names and numbers, each of shape (n,)."""
    columns: list[Column] = [("step", np.asarray(points["step"]))]
    for name, values in points["parameters"].items():
        columns += _of_one(name, np.asarray(values), name in norms, whole)
    columns.append(("loss", np.asarray(points["loss"])))
    gradient = points["gradient"]
    for name, values in gradient.items():
        columns += _of_one(gradient_name(name, gradient), np.asarray(values), name in norms, whole)
    rate = np.asarray(points["learning_rate"])
    if len(rate) and not np.array_equal(rate, np.broadcast_to(rate[0], rate.shape), equal_nan=True):
        columns.append(("lr", rate))
    return columns


def _of_one(title: str, values: Array, is_norm: bool, whole: bool) -> Iterator[Column]:
    """A scalar as it is, a few components side by side, anything larger as its norm."""
    if values.ndim == 1:
        yield (f"norm({title})" if is_norm else title), values
        return
    flat = values.reshape(len(values), -1)
    if values.ndim == 2 and whole and flat.shape[1] <= _MOST_COMPONENTS:
        for index in range(flat.shape[1]):
            yield f"{title}[{index}]", flat[:, index]
        return
    yield f"norm({title})", norms(flat)


def _text_columns(columns: list[Column], style: Style, precision: int) -> list[list[str]]:
    """Each column as its title and its numbers, all of one width."""
    ready = []
    for title, values in columns:
        cells = [safe(title, style.ascii_only), *(numbers.show(value, precision) for value in values)]
        width = max(map(len, cells))
        ready.append([cell.rjust(width) for cell in cells])
    return ready


def _width(columns: list[list[str]]) -> int:
    return sum(len(column[0]) + len(_GAP) for column in columns)


def _that_fit(columns: list[list[str]], width: int) -> list[list[str]]:
    """As many columns as there is room for; a narrow screen says that there are more."""
    if _width(columns) <= width:
        return columns
    while len(columns) > 1 and _width(columns) + 5 > width:
        columns = columns[:-1]
    return [*columns, ["...", *[""] * (len(columns[0]) - 1)]]


def _lines(columns: list[list[str]], style: Style) -> list[Line]:
    header, *rows = (_GAP + _GAP.join(cells) for cells in zip(*columns))
    return [[(header, "dim")], *([(row, "")] for row in rows)]
