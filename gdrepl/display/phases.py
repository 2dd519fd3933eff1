"""Phases: what each made, before and after; and what the update came to where it was finished."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdrepl.commands.results import Phased
from gdrepl.display import numbers
from gdrepl.display.points import displayed, stepped
from gdrepl.display.series import counted
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, crop, prose, safe, table
from gdrepl.insight.phases import Change, Made

_LEAST_FOR_CHANGE, _LEAST_FOR_BOTH = 60, 36  # cells below which the change, and the value before, are not shown
_CHANGE_CELLS = 17
_LINES_BESIDE = 3  # the line typed, the next prompt, and one to spare
_WHAT = {
    "forward": "the loss at these parameters",
    "backward": "the gradient",
    "clip": "the gradient as it is used",
    "decay": "parameters less weight decay",
    "moments": "the optimizer's slots",
    "apply": "the parameters",
    "constraint": "averages, constraint, iteration",
}


def phased(result: Phased, style: Style) -> list[Line]:
    """Where we are gone back to, the phases, the update that was finished, and the displays."""
    finished = stepped(result.stepped, style) if result.stepped is not None else []
    shown = displayed(result.displays, style)
    notes = [line for note in result.notes for line in prose(note, style, "dim", then="  ")]
    begun = [one for one in result.made if result.stepped is not None and one.step == result.step]
    ended = [one for one in result.made if one not in begun]
    room = style.height - _LINES_BESIDE - len(finished) - len(shown) - len(notes) - (result.back is not None)
    rows = _rows_each(result.made, room, style)
    lines = [line for one in ended for line in _phase(one, rows, style)]
    lines += [*finished, *(line for one in begun for line in _phase(one, rows, style))]
    return [*_gone_back(result, style), *lines, *notes, *shown]


def _gone_back(result: Phased, style: Style) -> list[Line]:
    if result.back is None and (result.made or result.stepped is not None):
        return []
    place: Line = [(f"step {result.step}", "bold"), (f", behind {result.phase}" if result.phase else "", "")]
    if result.back is None:
        return [place]
    return [[("back to ", ""), *place, (f"   {counted(result.back, 'phase')}", "dim")]]


def _rows_each(phases: Sequence[Made], room: int, style: Style) -> int:
    """How many rows each phase may have, so that all fit a screen of so many lines; at least one."""
    most = max((len(one.changes) for one in phases), default=1)
    while most > 1 and sum(len(_heading(one, most, style)) + min(len(one.changes), most) for one in phases) > room:
        most -= 1
    return most


def _phase(one: Made, most: int, style: Style) -> list[Line]:
    return [*_heading(one, most, style), *_rows(one.changes[:most], style)]


def _heading(one: Made, most: int, style: Style) -> list[Line]:
    """The name of a phase, by which rule it did something or why nothing; and how many of its values are shown, if not all."""
    some = f" ({most} of {len(one.changes)} shown)" if len(one.changes) > most else ""
    place = safe(f"{one.step}+{one.phase}", style.ascii_only)
    [first, *rest] = prose(f"{place}   {one.note or _WHAT.get(one.phase, '')}{some}", style, then="  ")
    text = first[-1][0]
    return [[(text[: len(place)], "bold"), (text[len(place) :], "")], *rest]


def _rows(changes: Sequence[Change], style: Style) -> list[Line]:
    """A table of what was and what is; what was computed for the first time has no value before."""
    if not changes:
        return []
    names = [_name(one) for one in changes]
    fresh = all(one.before is None for one in changes)
    most = style.width * 2 // 3 if fresh else style.width // 3  # a sub-expression of the loss is as long as it is
    cells = min(max(len(safe(name, style.ascii_only)) for name in names), most)
    with_before = not fresh and style.width >= _LEAST_FOR_BOTH
    with_change = with_before and style.width >= _LEAST_FOR_CHANGE
    room = style.width - cells - 2 * (4 if with_before else 2) - len(style.arrow) - (_CHANGE_CELLS if with_change else 0)
    room = max(4, room // 2 if with_before else room)
    usual = min(style.precision + 5, room)  # so that the columns of phases stand under each other
    rows: list[list[Span]] = []
    for name, one in zip(names, changes):
        row: list[Span] = [(crop(name, cells, style.ellipsis), "")]
        after = _value(one, one.after, room, style)
        if with_before:
            before = "" if one.before is None else _value(one, one.before, room, style)
            row += [(before.ljust(usual), ""), (style.arrow, "dim")]
            after = after.ljust(usual)
        row.append((after, "bold"))
        rows.append([*row, (_difference(one, style), "")] if with_change else row)
    return table(rows, style)


def _name(one: Change) -> str:
    return one.name.removeprefix("slot.")


def _value(one: Change, value: object, room: int, style: Style) -> str:
    """A value; of a large one its norm, and that it is one."""
    label = "norm " if one.shape else ""
    return label + numbers.fit(value, room - len(label), style.precision, style.ellipsis)


def _difference(one: Change, style: Style) -> str:
    """What was added, or its norm where that is many numbers."""
    if one.before is None:
        return ""
    delta = numbers.difference(one.after, one.before)
    size = one.size if one.shape else None if not delta.shape else float(np.sqrt(np.sum(np.square(delta.astype(np.float64)))))
    if size is None:
        return numbers.signed(delta, style.precision)
    label = "|d| " if style.ascii_only else "|Δ| "
    return label + numbers.fit(size, _CHANGE_CELLS - len(label), style.precision) if np.isfinite(size) else ""
