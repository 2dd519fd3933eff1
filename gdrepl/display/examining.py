"""The numbers of a tensor: with their indices, as a matrix, or summed up with a histogram."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table
from gdrepl.engine.snapshot import Array
from gdrepl.insight.coordinates import index_text
from gdrepl.insight.examine import Bin, Examined, Spread

_BESIDE = 3  # rows: the heading, the prompt and the line typed
_LONGEST = 24  # characters of a number
_INDENT, _GAP = 2, 2
_LEAST_BAR, _MOST_BAR = 4, 40


def examined(result: Examined, style: Style) -> list[Line]:
    """The numbers where they fit on the screen or were counted, else what is to be said of them."""
    head = f"{result.expression}: {numbers.shape_of(result.shape)}, {result.dtype}"
    if result.values is not None:
        lines = _numbers(result, result.values, style)
        if result.count is not None or result.spread is None or len(lines) <= style.height - _BESIDE:
            return [*prose(head, style, then="  "), *lines]
    assert result.spread is not None  # a value without numbers has it
    size = math.prod(result.shape)
    lines = [*prose(f"{head}, {size} numbers", style, then="  "), *_spread(result.spread, style)]
    return [*lines, *_histogram(result.spread, style)]


# --- numbers ------------------------------------------------------------------------------------------------------------


def _numbers(result: Examined, values: Array, style: Style) -> list[Line]:
    if not values.size:
        return [[("  no numbers", "dim")]]
    cells = list(result.bits) or [_formatted(value, result.format, style) for value in values.reshape(-1)]
    if not result.shape:
        return [[("  ", ""), (cells[0], "bold")]]
    if result.count is None and values.ndim > 1:
        return _matrix(values.shape, cells, style)
    shape = result.shape if result.count is not None else values.shape
    return _list(shape, cells, style)


def _formatted(value: object, letter: str, style: Style) -> str:
    """One number in a format; what is no float is whole, and written so."""
    if letter == "g" or not isinstance(value, np.floating) or not np.isfinite(value):
        return numbers.show(value, style.column_digits)
    digits = max(0, style.column_digits - 1)
    fixed = f"{float(value):.{digits}f}" if letter == "f" and abs(float(value)) < 10.0**_LONGEST else ""
    return fixed if fixed and len(fixed) <= _LONGEST else f"{float(value):.{digits}e}"


def _list(shape: tuple[int, ...], cells: Sequence[str], style: Style) -> list[Line]:
    """One number a line with its index, or several a line behind the index of the first, where they are many."""
    labels = _labels(shape, len(cells))
    widest, label = max(map(len, cells)), max(map(len, labels))
    each = 1
    if len(cells) > style.height - _BESIDE:
        each = max(1, (style.width - _INDENT - label) // (widest + _GAP))
    rows: list[list[Span]] = []
    for start in range(0, len(cells), each):
        row = [cell.rjust(widest) for cell in cells[start : start + each]]
        rows.append([(labels[start], "dim"), *((cell, "bold") for cell in row)])
    return table(rows, style)


def _labels(shape: tuple[int, ...], count: int) -> list[str]:
    places = np.unravel_index(np.arange(count), shape) if shape else (np.arange(count),)
    return [index_text(index) for index in zip(*places)]


def _matrix(shape: tuple[int, ...], cells: Sequence[str], style: Style) -> list[Line]:
    """Rows along the last axis, each behind its index; columns that do not fit go on below."""
    columns = shape[-1]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    labels = [index_text(index) for index in np.ndindex(shape[:-1])]
    widths = [max(len(str(place)), *(len(row[place]) for row in rows)) for place in range(columns)]
    lines: list[Line] = []
    for first, last in _blocks(widths, style.width - _INDENT - max(map(len, labels))):
        chosen = range(first, last)
        header: list[Span] = [("", ""), *((str(place).rjust(widths[place]), "dim") for place in chosen)]
        block = [
            [(label, "dim"), *((row[place].rjust(widths[place]), "bold") for place in chosen)]
            for label, row in zip(labels, rows)
        ]
        lines += table([header, *block], style)
    return lines


def _blocks(widths: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    """From where to where the columns go that stand side by side; at least one."""
    first, used = 0, 0
    for place, width in enumerate(widths):
        if place > first and used + width + _GAP > room:
            yield first, place
            first, used = place, 0
        used += width + _GAP
    yield first, len(widths)


# --- many numbers -------------------------------------------------------------------------------------------------------


def _spread(spread: Spread, style: Style) -> list[Line]:
    facts: list[list[Span]] = []
    for name, value, at in (("min", spread.min, spread.min_at), ("max", spread.max, spread.max_at)):
        if value is not None:
            facts.append([(name, "dim"), (_number(value, style), "bold"), (f"at {index_text(at)}" if at else "", "")])
    for name, value in (("mean", spread.mean), ("std", spread.std)):
        if value is not None:
            facts.append([(name, "dim"), (_number(value, style), "bold"), ("", "")])
    lines = table(facts, style)
    counts = [("zeros", spread.zeros), ("NaN", spread.nan), ("+Inf", spread.inf), ("-Inf", spread.minus_inf)]
    wrong = spread.nan + spread.inf + spread.minus_inf
    text = ", ".join(f"{name} {count}" for name, count in counts)
    return lines + prose(text, style, "error" if wrong else "", first="  ", then="  ")


def _number(value: float, style: Style) -> str:
    return numbers.show(value, style.column_digits)


def _histogram(spread: Spread, style: Style) -> list[Line]:
    """A bar a bin, as many cells long as it holds numbers beside the fullest."""
    if not spread.histogram:
        return [[("  all finite numbers are equal", "dim")]] if spread.min is not None else []
    names = [_range(one, style) for one in spread.histogram]
    most = max(one.count for one in spread.histogram)
    beside = max(map(len, names)) + len(str(most)) + _INDENT + 2 * _GAP
    room = min(_MOST_BAR, max(_LEAST_BAR, style.width - beside))
    rows: list[list[Span]] = [
        [(name, ""), (_bar(one.count, most, room, style), ""), (str(one.count).rjust(len(str(most))), "bold")]
        for name, one in zip(names, spread.histogram)
    ]
    return table(rows, style)


def _range(one: Bin, style: Style) -> str:
    digits = min(3, style.column_digits)
    low, high = numbers.show(one.low, digits), numbers.show(one.high, digits)
    if one.low == one.high:
        return numbers.show(one.low, style.column_digits)
    return f"{low} to {high}"


def _bar(count: int, most: int, room: int, style: Style) -> str:
    cells = max(1, round(room * count / most)) if count else 0
    return (("#" if style.ascii_only else "█") * cells).ljust(room)
