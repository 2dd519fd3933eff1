"""The gradient beside differences of the loss."""

from __future__ import annotations

import math

from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table
from gdrepl.insight.differences import STEPS, USUAL
from gdrepl.insight.gradient_check import Compared, GradientCheck

_ROOM = 64  # cells from where all columns have room


def checked(result: GradientCheck, style: Style) -> list[Line]:
    """The verdict, the numbers that agree the least, and notes."""
    lines = prose(_verdict(result), style, "bold" if result.ok else "error", then="  ")
    if result.worst:
        shown = result.worst if not result.ok else result.worst[:1]
        head = "worst" if len(shown) == 1 else "worst first"
        lines += prose(f"{head}, by differences in {result.wide}:", style, "dim", then="  ")
        lines += table(_rows(shown, style), style, shrink=(0,))
    lines += prose(_how(result), style, "dim", first="  ", then="  ")
    for note in result.notes:
        lines += prose(note, style, first="  ", then="    ")
    return lines


def _verdict(result: GradientCheck) -> str:
    at = f" at step {result.step}"
    if not result.worst:
        return f"the gradient{at} could not be compared with anything"
    if result.ok:
        return f"the gradient{at} is right: error {_short(result.worst_error)} of at most {_short(result.worst[0].tolerance)}"
    off = f", off by {_short(result.worst_error)}" if math.isfinite(result.worst_error) else ""
    return f"the gradient{at} is wrong: {result.coordinate}{off}, tolerance {_short(result.worst[0].tolerance)}"


def _rows(shown: tuple[Compared, ...], style: Style) -> list[list[Span]]:
    wide = style.width >= _ROOM
    names = ["", "gradient", "difference", "error", *(["tolerance", "step h"] if wide else [])]
    rows: list[list[Span]] = [[(name, "dim") for name in names]]
    for one in shown:
        digits = min(style.column_digits, 7)
        cells = [one.coordinate, *(numbers.show(each, digits) for each in (one.gradient, one.difference))]
        cells += [_short(each) for each in (one.error, *((one.tolerance, one.step_size) if wide else ()))]
        rows.append([(cell, "bold" if place == 1 else "") for place, cell in enumerate(cells)])
    return rows


def _short(value: float) -> str:
    return numbers.show(value, 2)


def _how(result: GradientCheck) -> str:
    of = f"{result.checked} of {result.numbers} numbers moved by themselves"
    if result.checked == result.numbers:
        of = f"all {result.numbers} numbers moved by themselves" if result.numbers > 1 else "its one number moved"
    along = f", all together along {result.directions} directions" if result.directions else ""
    return f"{of}{along}; {len(USUAL)} to {len(STEPS)} step sizes each"
