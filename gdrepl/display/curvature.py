"""The curvature: the eigenvalues of a Hessian with their directions, and the limit of the learning rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table, without_columns
from gdrepl.insight.chart import Chart, Series
from gdrepl.insight.curvature import Hessian
from gdrepl.insight.stability import RateLimit

_DIGITS = 5
_MOST_ROWS = 8
"""Eigenvalues up to which each has a line; of more, those at both ends."""
_AT_ENDS = 3
_LEAST_DRAWN = 9
_PARTS = 2
"""Digits of the parts of a direction."""
_TERMS = 4


def hessian(result: Hessian, style: Style) -> list[Line]:
    """The kind of point, the numbers it is judged by, the matrix of a small problem, the eigenvalues."""
    many = f", {result.numbers} numbers" if result.numbers > _MOST_ROWS else ""
    head = f"hessian at step {result.step}: {result.kind}, {result.definiteness}{many}"
    lines = [*prose(head, style, "bold", then="  "), *_facts(result, style)]
    if result.matrix is not None and len(result.matrix) > 1:
        lines += _matrix(result, style)
    if np.isfinite(result.eigenvalues).all():
        lines += _eigenvalues(result, style)
    for number, each in enumerate(result.escape, 1):
        name = "escape" if len(result.escape) == 1 else f"escape {number}"
        lines += prose(f"{name}: down both ways along {combination(each.coordinates)}", style, first="  ", then="    ")
    return [*lines, *_notes(result.notes, style)]


def _facts(result: Hessian, style: Style) -> list[Line]:
    gradient = f"{numbers.show(result.gradient_norm, _DIGITS)} in norm; stationary up to {numbers.show(result.tolerance, 1)}"
    rows = [("gradient", gradient)]
    if result.condition is not None and result.numbers > 1:
        rows.append(("condition", numbers.show(result.condition, _DIGITS)))
    if not result.exact:
        rows.append(("by Lanczos", f"{result.products} products, residuals up to {numbers.show(np.max(result.residuals), 1)}"))
    return table([[(name, "dim"), (text, "")] for name, text in rows], style, wrapped=True)


def _matrix(result: Hessian, style: Style) -> list[Line]:
    """The matrix below the names of its columns; where these have no room, below their numbers."""
    assert result.matrix is not None
    digits, names = 5 if len(result.matrix) <= 4 else 3, result.coordinates
    cells = [[numbers.show(number, digits) for number in row] for row in result.matrix]
    rows = _headed(cells, names, names)
    if not without_columns(rows, style, drop=())[1]:
        places = [str(place) for place in range(1, len(names) + 1)]
        rows = _headed(cells, places, [f"{place} {name}" for place, name in zip(places, names)])
    return table(rows, style, shrink=(0,))


def _headed(cells: Sequence[Sequence[str]], above: Sequence[str], before: Sequence[str]) -> list[list[Span]]:
    head: list[Span] = [("", ""), *((name, "dim") for name in above)]
    return [head, *([(name, "dim"), *((cell, "") for cell in row)] for name, row in zip(before, cells))]


def _eigenvalues(result: Hessian, style: Style) -> list[Line]:
    """A line for each, or for those at both ends; the last column is where it points."""
    count, values = len(result.eigenvalues), result.eigenvalues
    shown = list(range(count)) if count <= _MOST_ROWS else [*range(_AT_ENDS), *range(count - _AT_ENDS, count)]
    along, names = _along(result), _names(result)
    rows: list[list[Span]] = []
    for place in shown:
        row: list[Span] = [(names[place], "dim"), (numbers.show(values[place], _DIGITS + 1), "bold")]
        row += [] if result.exact else [(f"+- {numbers.show(result.residuals[place], 1)}", "dim")]
        rows.append([*row, (combination(along[place], _TERMS if result.exact else 2) if place in along else "", "")])
    if result.numbers > len(shown):
        rows.insert((len(shown) + 1) // 2, [(style.ellipsis, "dim"), (f"{result.numbers - len(shown)} more", "dim")])
    return table(rows, style, shrink=[len(rows[-1]) - 1])


def _names(result: Hessian) -> list[str]:
    """v1, v2 ...; at the lower end of what is not whole they are counted from the last."""
    count = len(result.eigenvalues)
    if result.exact:
        return [f"v{place + 1}" for place in range(count)]
    upper = (count + 1) // 2
    lower = [f"v{result.numbers - count + place + 1}" for place in range(upper, count)]
    return [*(f"v{place + 1}" for place in range(upper)), *lower]


def _along(result: Hessian) -> dict[int, Mapping[str, float]]:
    """Place of an eigenvalue -> the coordinates of its vector."""
    count = len(result.eigenvalues)
    if result.vectors is not None:
        return {place: dict(zip(result.coordinates, row.tolist())) for place, row in enumerate(result.vectors)}
    if len(result.directions) == count:
        return {place: each.coordinates for place, each in enumerate(result.directions)}
    outer = [place for place in range(count) if place < _AT_ENDS or place >= count - _AT_ENDS]
    return {place: each.coordinates for place, each in zip(outer, result.directions)}


def combination(coordinates: Mapping[str, float], most: int = _TERMS) -> str:
    """A direction as it is written: `0.94 x + 0.34 y`, the largest parts first, with dots where there are more."""
    largest = max((abs(part) for part in coordinates.values()), default=0.0)
    parts = [(name, part) for name, part in coordinates.items() if abs(part) >= 0.01 * largest]
    parts.sort(key=lambda each: -round(abs(each[1]), 6))
    text = ""
    for name, part in parts[:most]:
        size = numbers.show(abs(part), _PARTS)
        sign = ("-" if part < 0 else "") if not text else (" - " if part < 0 else " + ")
        text += f"{sign}{name if size == '1' else f'{size} {name}'}"
    whole = sum(part * part for _, part in parts[:most])
    return text if whole > 0.99 or not text else f"{text} + ..."


def hessian_chart(result: Hessian) -> Chart | None:
    """The eigenvalues by size on a log axis, those of either sign by themselves; None for few, or of some alone."""
    values = np.asarray(result.eigenvalues, np.float64)
    if not result.exact or len(values) < _LEAST_DRAWN or not np.isfinite(values).all() or not np.any(values):
        return None
    places = np.arange(1, len(values) + 1)
    series = [
        Series(label, places[chosen], np.abs(values[chosen]), "points", color, marker)
        for label, chosen, color, marker in (("positive", values > 0, "blue", 0), ("negative", values < 0, "red", 1))
        if np.any(chosen)
    ]
    zeros = int(np.sum(values == 0))
    return Chart("", "v", "|eigenvalue|", tuple(series), True, f"{zeros} are 0" if zeros else "")


def limit(result: RateLimit, style: Style) -> list[Line]:
    """How far the rate is from its limit, what that is made of, and what to try."""
    head = f"learning rate at step {result.step}: "
    if result.ratio is not None:
        times = round(result.ratio) if 100 <= result.ratio < 1e6 else result.ratio
        said = f"{numbers.show(times, 3)}x the limit"
        lines = prose(f"{head}{said}: {result.verdict}", style, "bold" if result.ratio > 1 else "", then="  ")
    else:
        lines = prose(f"{head}{result.optimizer} has no limit here", style, then="  ")
    rows = [(name, text) for name, text in _of_limit(result)]
    lines += table([[(name, "dim"), (text, "")] for name, text in rows], style, wrapped=True)
    return [*lines, *_notes(result.notes, style)]


def _of_limit(result: RateLimit) -> Iterator[tuple[str, str]]:
    yield "rate", numbers.show(result.rate, _DIGITS)
    if result.limit is not None:
        yield "limit", f"{numbers.show(result.limit, _DIGITS)}   {result.rule}"
    if result.eigenvalue is not None:
        of = "of P^-1/2 H P^-1/2, what the optimizer sees of the Hessian" if "_P" in result.rule else "of the Hessian"
        smallest = f", smallest {numbers.show(result.lowest, _DIGITS)}" if result.lowest != result.eigenvalue else ""
        name = "lambda_P" if "_P" in result.rule else "lambda"
        yield name, f"{numbers.show(result.eigenvalue, _DIGITS)}{smallest}, {of}"
    if result.direction:
        yield "v1", combination(result.direction)
    if result.suggested is not None:
        yield "try", f"set lr {numbers.show(result.suggested, 2)}   {result.reason}"


def _notes(notes: Sequence[str], style: Style) -> list[Line]:
    return [line for note in notes for line in prose(note, style, "dim", first="  ", then="    ")]
