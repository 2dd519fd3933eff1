"""Values: what print shows, here and over past steps, and the convenience values that are kept."""

from __future__ import annotations

import numpy as np

from gdrepl.commands.results import KeptValues, Printed
from gdrepl.display import numbers
from gdrepl.display.points import equation
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, safe, table

_ROWS_BESIDE = 4  # header, the line that tells of what is left out, the prompt and the line typed


def printed(result: Printed, style: Style) -> list[Line]:
    """`$1: x + 1 = 4`; a small matrix row by row; over steps a table."""
    name = f"${result.number}: {result.expression}" if result.number else result.expression
    if result.steps:
        return _over(name, result, style)
    whole = numbers.show(result.value, style.precision).split("\n")
    if len(whole) == 1 and result.value.ndim == 2 and whole[0].startswith("["):
        whole = [*whole, ""]  # one row is drawn like several
    if len(whole) == 1:
        return [equation(name, result.value, style)]
    head = f"{safe(name, style.ascii_only)} = {numbers.shape_of(result.value.shape)}"
    return [*prose(head, style, then="  "), *([("  ", ""), (row, "bold")] for row in whole if row)]


def _over(name: str, result: Printed, style: Style) -> list[Line]:
    """Steps and values, as many as the screen has room for; the first and the last are always among them."""
    count = len(result.steps)
    room = max(2, style.height - _ROWS_BESIDE)
    places = np.unique(np.linspace(0, count - 1, min(count, room)).round().astype(np.intp))
    room_across = max(4, style.width - len(str(result.steps[-1])) - 4)
    rows: list[list[Span]] = [
        [(str(result.steps[place]), ""), (numbers.fit(result.value[place], room_across, style.precision), "bold")]
        for place in places
    ]
    lines = [*prose(name, style, then="  "), *table(rows, style)]
    if len(places) < count:
        lines += prose(f"{len(places)} of {count} steps are shown; every N takes fewer", style, "dim", first="  ", then="  ")
    return lines


def kept_values(result: KeptValues, style: Style) -> list[Line]:
    """The convenience values, a line each."""
    lines: list[Line] = []
    for name, value in result.values:
        if value is None:
            lines += prose(f"{name}: too large to be kept", style, "dim", then="  ")
        else:
            lines.append(equation(name, value, style))
    return lines or prose("no values yet: print EXPRESSION makes $1, set $name = EXPRESSION one by name", style, then="  ")
