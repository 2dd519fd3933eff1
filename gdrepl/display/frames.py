"""The chain rule: the stack of frames, one frame, and the loss with the frame in force marked."""

from __future__ import annotations

from collections.abc import Sequence

from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, crop, prose, safe, table, without_columns
from gdrepl.insight.backtrace import Backtrace, Frame, Listing, StackFrame
from gdrepl.insight.summary import Summary, Value

_MOST_CELLS, _MOST_IN_A_COLUMN = 26, 17
"""Of a value that has a line for itself, and of one in the table."""
_DEEPEST = 12
"""The depth from which on frames are indented no further."""
_LEAST_ROWS = 4
_HERE = ">"


def backtrace(result: Backtrace, style: Style) -> list[Line]:
    """The frames as a table, what stands out in them, and what adds up."""
    title = f"step {result.step}, {_counted(result.count)} from the loss to its parameters"
    lines = prose(title, style, "dim", then="  ")
    if result.full:
        for frame in result.frames:
            lines += _whole(frame, style, result.frames)
    else:
        marked = [frame for frame in result.frames if frame.mark]
        below = [line for frame in marked for line in _marked(frame, style)]
        notes = [line for note in result.notes for line in prose(note, style, then="  ")]
        room = max(_LEAST_ROWS, style.height - 5 - len(below) - len(notes))
        shown = _chosen(result, room)
        lines += _table(result, shown, style)
        if len(shown) < len(result.frames):
            missing = f"{len(shown)} of {len(result.frames)} frames; bt full shows all, bt -{room} the last {room}"
            lines += prose(missing, style, "dim", first="  ", then="  ")
        return [*lines, *below, *notes]
    return [*lines, *(line for note in result.notes for line in prose(note, style, then="  "))]


def _counted(count: int) -> str:
    return f"{count} frame{'s' if count != 1 else ''}"


def _chosen(result: Backtrace, room: int) -> Sequence[StackFrame]:
    """As many frames as there is room for: that in force, those that stand out, and those nearest to the loss."""
    if len(result.frames) <= room:
        return result.frames
    ranked = sorted(result.frames, key=lambda frame: (frame.index != result.current, not frame.mark, frame.depth, frame.index))
    return sorted(ranked[:room], key=lambda frame: frame.index)


def _table(result: Backtrace, shown: Sequence[StackFrame], style: Style) -> list[Line]:
    """A row for each frame; on a narrow screen the local derivative goes first, then the value."""
    if not shown:
        return []
    digits, cells = style.column_digits, min(_MOST_IN_A_COLUMN, style.width // 4)
    rows: list[list[Span]] = [[(word, "dim") for word in ("", "", "value", "d parent/d it", "d loss/d it")]]
    for frame in shown:
        here = frame.index == result.current and result.count > 1
        row = [f"{_HERE if here else ' '}{frame.index}", " " * min(frame.depth, _DEEPEST) + frame.expression]
        row += [_fit(value, cells, digits, style) for value in (frame.value, frame.local, frame.gradient)]
        role = "error" if frame.mark else "bold" if here else ""
        rows.append([*((cell, role) for cell in row[:2]), *((cell, role) for cell in row[2:])])
    kept, _ = without_columns(rows, style, drop=(3, 2), shrink=(1,), indent=0)
    return table(kept, style, indent=0, shrink=(1,))


def told(value: Value | None, cells: int, style: Style) -> str:
    """A value in at most so many cells; of a large one its shape and norm."""
    return _fit(value, cells, style.precision, style)


def _fit(value: Value | None, cells: int, digits: int, style: Style) -> str:
    if value is None:
        return ""
    if isinstance(value, Summary):
        return _summed_up(value, cells, digits, style)
    return numbers.fit(value, cells, digits, style.ellipsis)


def _summed_up(value: Summary, cells: int, digits: int, style: Style) -> str:
    """Shape and norm, with fewer digits where there is no room; then the norm alone."""
    bad = f"{value.not_finite} not finite" if value.not_finite else ""
    for count in range(digits, min(2, digits - 1), -1):
        norm = f"norm {numbers.show(value.norm, count)}" if value.norm is not None else ""
        text = " ".join(part for part in (str(value.shape), bad, norm) if part)
        if len(text) <= cells:
            return text
    return crop(bad or norm or str(value.shape), cells, style.ellipsis)


def _marked(frame: StackFrame, style: Style) -> list[Line]:
    """What stands out in a frame, a line of its own."""
    what = frame.mark if frame.reason.startswith(frame.mark) else f"{frame.mark}: {frame.reason}"
    return prose(f"#{frame.index} {what}", style, "error", then="   ")


# --- one frame ----------------------------------------------------------------------------------------------------------


def frame(result: Frame, style: Style) -> list[Line]:
    """One frame, and where it stands in the loss."""
    lines = _whole(result, style, (), result.parent_expression, result.parent_gradient)
    if result.index or result.count == 1:
        lines += [[("", "")], *pointed_at(result.loss, result.start, result.end, style)]
    return lines


def _whole(
    one: StackFrame, style: Style, others: Sequence[StackFrame], parent: str = "", upstream: Value | None = None
) -> list[Line]:
    """All that is known of a frame, in equations."""
    above = next((other for other in others if other.index == one.parent), None)
    if above is not None:
        parent, upstream = above.expression, above.gradient
    text = safe(one.expression, style.ascii_only)
    room = max(8, style.width - 4 - len(str(one.index)))
    shown = _fit(one.value, min(_MOST_CELLS, room // 2), style.precision, style)
    head = crop(text, max(1, room - len(shown) - 3), style.ellipsis)
    lines: list[Line] = [[(f"#{one.index}  ", "dim"), (head, "bold"), (" = ", ""), (shown, "bold")]]
    rows: list[list[Span]] = []
    if one.local is not None:
        rows.append(_equation(f"d parent/d it (#{one.parent})", one.local, parent, style))
    product = f"{_short(upstream, style)} * {_short(one.local, style)}" if _are_numbers(upstream, one.local) else ""
    rows.append(_equation("d loss/d it", one.gradient, product, style, "= "))
    if one.total is not None:
        rows.append(_equation(f"by all {one.uses} paths", one.total, "", style))
    kept, _ = without_columns(rows, style, drop=(2,), indent=4)
    lines += table(kept, style, indent=4)
    return [*lines, *(_marked(one, style) if one.mark else [])]


def _equation(name: str, value: Value, beside: str, style: Style, before: str = "of ") -> list[Span]:
    cells = min(_MOST_CELLS, style.width // 3)
    words = before + safe(beside, style.ascii_only) if beside else ""
    room = max(8, style.width - 34 - _MOST_CELLS // 2)
    return [(name, ""), (_fit(value, cells, style.precision, style), "bold"), (crop(words, room, style.ellipsis), "dim")]


def _are_numbers(*values: Value | None) -> bool:
    return all(value is not None and not isinstance(value, Summary) and value.ndim == 0 for value in values)


def _short(value: Value | None, style: Style) -> str:
    return _fit(value, 14, style.precision, style)


# --- the loss -----------------------------------------------------------------------------------------------------------


def listing(result: Listing, style: Style) -> list[Line]:
    """The loss, with the frame in force marked below it."""
    title = f"frame {result.index} of the loss at step {result.step}"
    return [*prose(title, style, "dim", then="  "), *pointed_at(result.loss, result.start, result.end, style)]


def pointed_at(loss: str, start: int, end: int, style: Style) -> list[Line]:
    """A text with marks under a part of it; one that is too long goes on below, around the part where it takes many lines."""
    text, room = safe(loss, style.ascii_only), max(8, style.width - 2)
    pieces = [(first, text[first : first + room]) for first in range(0, len(text), room)]
    most = max(2, style.height // 2 - 2)
    begins = min(start // room, max(0, len(pieces) - most))
    begins = max(0, min(begins - 1, len(pieces) - most)) if len(pieces) > most else 0
    lines: list[Line] = []
    for first, piece in pieces[begins : begins + most]:
        lines.append([("  ", ""), (piece, "")])
        low, high = max(start, first), min(end, first + len(piece))
        if low < high:
            lines.append([("  " + " " * (low - first), ""), ("^" * (high - low), "bold")])
    if len(pieces) > most:
        lines += prose(f"lines {begins + 1} to {begins + most} of {len(pieces)}", style, "dim", first="  ", then="  ")
    return lines
