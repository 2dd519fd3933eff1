"""Lines of text that fit the terminal, made by hand: user text is harmless in them, and nothing wraps by surprise.

A span is (text, role); a role is one of ROLES. A line is a list of spans. Views make lines, `Lines` is what rich prints.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style as RichStyle

from gdrepl.display.style import Style

Span = tuple[str, str]
Line = list[Span]

LEAST_SHRUNK = 12
"""Cells below which a column that may be cut tells too little to be kept."""

ROLES = {
    "": None,
    "bold": RichStyle(bold=True),
    "dim": RichStyle(dim=True),
    "error": RichStyle(color="red", bold=True),
}
# What our own texts use, and people in theirs; anything else becomes an escape.
_ASCII = {"→": "->", "…": "...", "—": "-", "“": '"', "”": '"', "≤": "<=", "≥": ">=", "├": "|", "└": "`", "│": "|", "─": "-"}


class Lines:
    """A renderable of ready lines, each cut to the width. Handed to rich as segments, so ten thousand cost little."""

    def __init__(self, lines: Iterable[Line], style: Style) -> None:
        self.lines = [_cut(line, style) for line in lines]
        self.color = style.color

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        end = Segment.line()
        for line in self.lines:
            for text, role in line:
                yield Segment(text, ROLES[role] if self.color else None)
            yield end


def safe(text: str, ascii_only: bool = False) -> str:
    """`text` as one line that cannot move the cursor, hide or turn what follows: such characters become escapes like \\x1b."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_harmless(character, ascii_only) for character in text)


def _harmless(character: str, ascii_only: bool) -> str:
    if character.isascii() and character.isprintable():
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    # Variation selectors and half flags are printable, but terminals disagree on the width of what they make.
    odd = "\ufe00" <= character <= "\ufe0f" or "\U0001f1e6" <= character <= "\U0001f1ff" or character >= "\U000e0100"
    if not character.isprintable() or odd:
        return character.encode("unicode_escape").decode()
    if ascii_only:
        return _ASCII.get(character) or character.encode("unicode_escape").decode()
    return character


def crop(text: str, width: int, ellipsis: str = "…") -> str:
    """`text` in at most `width` cells, with a mark where it was cut."""
    if len(text) <= width and text.isascii():
        return text
    start = text[: 8 * max(1, width)]  # zero-width characters may follow without end
    if len(start) == len(text) and cell_len(text) <= width:
        return text
    ellipsis = ellipsis[: max(0, width)]
    return set_cell_size(start, max(0, width - len(ellipsis))).rstrip() + ellipsis


def pad(text: str, width: int) -> str:
    """`text` with blanks up to `width` cells."""
    return text + " " * (width - cell_len(text))


def width_of(line: Line) -> int:
    """Cells that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def _cut(line: Line, style: Style) -> Line:
    """The line made harmless, whatever went into it, and no wider than the terminal; no blanks at its end."""
    spans = [(safe(text, style.ascii_only), role) for text, role in line]
    if sum(len(text) for text, _ in spans) > style.width or not all(text.isascii() for text, _ in spans):
        spans = _crop_spans(spans, style)
    while spans and not spans[-1][0].rstrip():
        spans.pop()
    if spans:
        spans[-1] = (spans[-1][0].rstrip(), spans[-1][1])
    return spans


def _crop_spans(spans: Line, style: Style) -> Line:
    if width_of(spans) <= style.width:
        return spans
    mark = style.ellipsis[: style.width]
    kept, room = [], style.width - len(mark)
    for text, role in spans:
        piece = crop(text, room, "")
        kept.append((piece, role))
        room -= cell_len(piece)
        if piece != text:
            break
    return [*kept, (mark, "")]


def wrap(text: str, width: int) -> list[str]:
    """Prose, safe already, as lines of at most `width` cells; a word longer than that is broken."""
    width = max(1, width)
    lines = [""]
    for word in text.split(" "):
        candidate = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(candidate) <= width:
            lines[-1] = candidate
            continue
        if lines[-1]:
            lines.append("")
        while cell_len(word) > width:
            piece = _head(word, width)
            lines[-1] = piece
            lines.append("")
            word = word[len(piece) :]
        lines[-1] = word
    return [line for line in lines if line] or [""]


def _head(word: str, width: int) -> str:
    """The longest start of a word that fits; at least one character, since otherwise breaking would never end."""
    count = min(len(word), width)
    while count > 1 and cell_len(word[:count]) > width:
        count -= 1
    return word[:count]


def prose(text: str, style: Style, role: str = "", first: str = "", then: str = "") -> list[Line]:
    """Wrapped text, of any origin, under a first and a hanging indent."""
    room = style.width - max(cell_len(first), cell_len(then))
    return [
        [(then if number else first, role), (part, role)]
        for number, part in enumerate(wrap(safe(text, style.ascii_only), room))
    ]


def table(
    rows: Sequence[Sequence[Span]],
    style: Style,
    indent: int = 2,
    shrink: Sequence[int] = (),
    gap: int = 2,
    wrapped: bool = False,
) -> list[Line]:
    """Rows of cells as aligned lines.

    When it is too wide, the columns of `shrink` give way first, then the widest; with `wrapped` the last one goes on below.
    """
    if not rows:
        return []
    count = max(map(len, rows))
    cells = [[(safe(text, style.ascii_only), role) for text, role in [*row, *[("", "")] * (count - len(row))]] for row in rows]
    widths = [max(min(cell_len(row[column][0]), style.width) for row in cells) for column in range(count)]
    widths = _shrunk(widths, style.width - indent - gap * (count - 1), [count - 1] if wrapped else shrink)
    hanging = " " * (indent + sum(widths[:-1]) + gap * (count - 1))
    lines: list[Line] = []
    for row in cells:
        text, role = row[-1]
        first, *rest = wrap(text, widths[-1]) if wrapped else [crop(text, widths[-1], style.ellipsis)]
        line: Line = [(" " * indent, "")]
        for (cell, cell_role), width in zip(row[:-1], widths):
            line += [(pad(crop(cell, width, style.ellipsis), width + gap), cell_role)]
        lines += [[*line, (first, role)], *([(hanging, ""), (more, role)] for more in rest)]
    return lines


def without_columns(
    rows: Sequence[Sequence[Span]], style: Style, drop: Sequence[int], shrink: Sequence[int] = (), indent: int = 2, gap: int = 2
) -> tuple[list[list[Span]], bool]:
    """The rows without as many columns of `drop`, in that order, as the width asks for; and whether the rest fits.

    A column of `shrink` counts as narrow as `LEAST_SHRUNK` cells, since it gives way before another one goes.
    """
    widths = [max(cell_len(safe(row[column][0], style.ascii_only)) for row in rows) for column in range(len(rows[0]))]
    needed = {column: min(width, LEAST_SHRUNK) if column in shrink else width for column, width in enumerate(widths)}
    waiting = list(drop)
    while not (fits := indent + sum(needed.values()) + gap * (len(needed) - 1) <= style.width) and waiting:
        needed.pop(waiting.pop(0), None)
    return [[row[column] for column in needed] for row in rows], fits


def _shrunk(widths: list[int], room: int, first: Sequence[int]) -> list[int]:
    """Widths that sum to at most `room`, as far as a cell for each column allows it: `first` gives way before the others."""
    widths = list(widths)
    everything = list(range(len(widths)))
    for least, chosen in ((8, [column for column in first if column < len(widths)]), (4, everything), (1, everything)):
        while sum(widths) > room and chosen:
            widest = max(chosen, key=lambda column: widths[column])
            if widths[widest] <= least:
                break
            widths[widest] -= 1
    return widths
