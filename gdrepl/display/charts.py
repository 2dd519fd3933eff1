"""Charts as text. The only module that imports plotext, and the only way to it.

plotext 6.1 aborts the process on a NaN in a line and eats gigabytes on a line far outside its limits. So it is handed
nothing but places from 0 to 1 and ready tick labels, for the canvas and its two axes alone; title, names and legend are
laid out here, since plotext counts a wide character as one column and its legend box hides the data.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from rich.cells import cell_len, set_cell_size

from gdrepl.display.axis import Axis, Tick, fit
from gdrepl.display.series import Drawable, Indices, cells, drawable, left_out, thin_line, thin_points, why_nothing
from gdrepl.insight.chart import Chart, Series

LEAST_WIDTH, LEAST_HEIGHT = 10, 5
MOST_WIDTH, MOST_HEIGHT = 500, 200  # no terminal is larger, and plotext takes some hundred bytes a cell
_LEAST_BODY = 4  # two rows of canvas, the x axis and its labels
_CYCLE = ("green", "magenta", "cyan", "orange", "blue", "red")
_POINT_GLYPHS, _ASCII_POINT_GLYPHS = "•◆▲■○◇", "o@#%&O"
_LINE_GLYPHS = ".+x*=~:,"  # where there is no braille, or no colour to tell two braille lines apart; none is a mark's
_TO_ASCII = str.maketrans("─│┌┐└┘├┤┬┴┼", "-|+++++++++")
# The C++ kernel behind plotext makes no promise about threads, and ctypes lets go of the GIL.
_LOCK = Lock()


@dataclass(frozen=True, slots=True)
class _Screen:
    """What is drawn on: `width` and `height` in cells, and what it can show."""

    width: int
    height: int
    color: bool
    ascii_only: bool

    def line(self, text: str) -> str:
        """Any text as one printable line, cut to the width."""
        text = _printable(text[: 8 * self.width], self.ascii_only).rstrip()
        if cell_len(text) <= self.width:
            return text
        mark = "~" if self.ascii_only else "…"
        return set_cell_size(text, self.width - 1).rstrip() + mark

    def centred(self, text: str) -> str:
        """Any text as one line, in the middle."""
        text = self.line(text)
        return " " * ((self.width - cell_len(text)) // 2) + text


@dataclass(frozen=True, slots=True)
class _Pen:
    """How a series is drawn: `marker` is "braille" or one character, `color` a name that plotext knows."""

    marker: str
    color: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """The axes of a body, the ticks of the y axis, and how many cells the canvas has."""

    x_axis: Axis
    y_axis: Axis
    y_ticks: list[Tick]
    columns: int
    rows: int


def draw(chart: Chart, width: int = 80, height: int = 22, color: bool = True, ascii_only: bool = False) -> str:
    """The chart as lines of text, never wider than `width` cells, never more than `height` lines.

    Args:
        chart: any values of any size; non-finite ones are gaps, and a line under the chart counts them.
        width, height: of the room there is. In less than 10 by 5 stands one line that asks for more.
        color: False gives text without escape codes, in which glyphs tell the series apart.
        ascii_only: every character is ASCII, those of labels too.

    Returns:
        The lines joined by newlines, none at the end; a single line that says why when there is nothing to draw.
    """
    width, height = min(width, MOST_WIDTH), min(height, MOST_HEIGHT)
    screen = _Screen(width, height, color, ascii_only)
    if width < 1 or height < 1:
        return ""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return screen.line(f"a chart needs {LEAST_WIDTH}x{LEAST_HEIGHT}")
    drawables = [drawable(series, chart.log, chart.log_x) for series in chart.series]
    if not any(one.x.size for one in drawables):
        return screen.line(why_nothing(drawables, chart.x_label, chart.y_label or "the chart"))
    axes = fit([one.x for one in drawables], chart.log_x), fit([one.y for one in drawables], chart.log)
    pens = _pens(chart.series, screen)
    with _LOCK:
        notes = [note for note in (chart.note, left_out(drawables)) if note]
        labels = [one.label for one in chart.series]
        header, footer = _around(chart, axes, _entries(drawables, pens, labels), notes, screen)
        frame = _frame(axes, height - len(header) - len(footer), screen)
        labels = _with_what_hides(drawables, pens, labels, frame)
        header, footer = _around(chart, axes, _entries(drawables, pens, labels), notes, screen)
        body = _body(drawables, pens, _frame(axes, height - len(header) - len(footer), screen), screen)
    return "\n".join([*header, *body, *footer])


def _pens(series: Sequence[Series], screen: _Screen) -> list[_Pen]:
    """A glyph and a colour for each series; a colour asked for by one is not given to another."""
    taken = {one.color for one in series}
    free = [color for color in _CYCLE if color not in taken] or list(_CYCLE)
    points = _ASCII_POINT_GLYPHS if screen.ascii_only else _POINT_GLYPHS
    counts = {"line": 0, "points": 0, "free": 0}
    pens = []
    for one in series:
        kind = "points" if one.style == "points" else "line"
        rank = counts[kind]
        if one.style == "points":
            marker = points[(one.marker if one.marker >= 0 else rank) % len(points)]
        elif not screen.ascii_only and (screen.color or rank == 0):
            marker = "braille"
        else:
            marker = _LINE_GLYPHS[rank % len(_LINE_GLYPHS)]
        pens.append(_Pen(marker, one.color or free[counts["free"] % len(free)]))
        counts[kind] += 1
        counts["free"] += not one.color
    return pens


def _entries(drawables: list[Drawable], pens: list[_Pen], labels: list[str]) -> list[tuple[str, bool, _Pen]]:
    """Label, whether it is a line, and pen of each series of which something is drawn."""
    whole = zip(drawables, pens, labels)
    return [(label, one.series.style != "points", pen) for one, pen, label in whole if one.x.size]


def _with_what_hides(drawables: list[Drawable], pens: list[_Pen], labels: list[str], frame: _Frame) -> list[str]:
    """The labels; that of a single point which cannot be seen says under which other one it lies."""
    said, above = list(labels), dict[int, str]()
    for place in reversed(range(len(drawables))):
        one = drawables[place]
        if one.series.style != "points" or not one.x.size:
            continue
        u, v = frame.x_axis.place(one.x), frame.y_axis.place(one.y)
        taken = (cells(u, frame.columns) * frame.rows + cells(v, frame.rows)).tolist()
        if len(taken) == 1 and taken[0] in above and labels[place]:
            said[place] = f"{labels[place]} (under {above[taken[0]]})"
        above = {**dict.fromkeys(taken, pens[place].marker), **above}
    return said


def _around(
    chart: Chart, axes: tuple[Axis, Axis], drawn: list[tuple[str, bool, _Pen]], notes: list[str], screen: _Screen
) -> tuple[list[str], list[str]]:
    """The lines above and below the body, as many as there is room for: what the reader would miss most comes first."""
    spare = screen.height - _LEAST_BODY
    x_axis, y_axis = axes
    note = [screen.line(text) for text in notes][: max(0, spare)]
    header = _header(y_axis.name(chart.y_label), chart.title, screen)[: spare - len(note)]
    name = x_axis.name(chart.x_label)
    named = [screen.centred(name)][: spare - len(note) - len(header)] if name else []
    rows = min(spare - len(note) - len(header) - len(named), max(1, screen.height // 5))
    return header, [*named, *_legend(drawn, rows, screen), *note]


def _header(name: str, title: str, screen: _Screen) -> list[str]:
    """The name of the y axis above that axis, and the title in the middle where it fits."""
    name, title = screen.line(name), screen.line(title)
    middle = screen.centred(title)
    gap = cell_len(middle) - cell_len(title) - cell_len(name)
    if not name or not title:
        return [name or middle] if name or title else []
    return [name + " " * gap + title if gap >= 2 else screen.line(f"{name}  {title}")]


def _legend(drawn: list[tuple[str, bool, _Pen]], rows: int, screen: _Screen) -> list[str]:
    """Glyph and label of each labelled series that is drawn, packed into at most `rows` lines."""
    lines: list[str] = []
    used = screen.width
    for text, is_line, pen in drawn:
        label = _printable(text[: 8 * screen.width], screen.ascii_only).strip()
        if not label:
            continue
        glyph = "──" if pen.marker == "braille" else pen.marker * 2 if is_line else pen.marker
        entry = screen.line(f"  {glyph} {label}")
        room = cell_len(entry)
        entry = entry.replace(glyph, _painted(glyph, pen.color, screen), 1)
        if used + room <= screen.width:
            lines[-1] += entry
            used += room
        else:
            lines.append(entry)
            used = room
    return lines[: max(0, rows)]


def _painted(text: str, color: str, screen: _Screen) -> str:
    import plotext

    return str(plotext.colorize(text, color).string()) if screen.color else text


def _frame(axes: tuple[Axis, Axis], height: int, screen: _Screen) -> _Frame:
    """How a body of `height` lines is laid out."""
    x_axis, y_axis = axes
    rows = height - 2
    tick_count = max(1, rows // 3)
    y_axis = y_axis.rounded(tick_count)
    y_ticks = y_axis.ticks(tick_count)
    if max((len(tick.label) for tick in y_ticks), default=0) > screen.width // 2:
        y_ticks = []
    columns = screen.width - 1 - max((len(tick.label) for tick in y_ticks), default=0)
    return _Frame(x_axis, y_axis, y_ticks, columns, rows)


def _body(drawables: list[Drawable], pens: list[_Pen], frame: _Frame, screen: _Screen) -> list[str]:
    """The canvas with its axes and tick labels. The caller holds the lock."""
    figure = _figure(screen.width, frame.rows + 2)
    _set_ticks(figure, 0, _x_ticks(frame.x_axis, frame.columns))
    _set_ticks(figure, 1, frame.y_ticks)
    # Points after lines, so that they stay visible on top.
    for one, pen in sorted(zip(drawables, pens), key=lambda pair: pair[0].series.style == "points"):
        if one.x.size:
            _stroke(figure, one, pen, frame)
    lines = str(figure.build().string(colorless=not screen.color)).splitlines()
    if screen.ascii_only:
        lines = [line.translate(_TO_ASCII) for line in lines]
    return [line.rstrip() for line in lines]


def _figure(width: int, height: int) -> Any:
    """A fresh figure, so that nothing is left behind by the last chart, nor taken from a figure of the user's own.

    plotext is imported here because that takes as long as the prompt may. `limit` comes before the size, which would
    otherwise be cut to the terminal's.
    """
    import plotext

    figure = type(plotext.figure)(type(plotext.terminal)().limit(False, False))
    figure.plot_size(width, height)
    figure.theme("colorless")  # the default paints a white background over the user's terminal
    figure.axes(False, axis=[0, 1], side=1)
    return figure


def _set_ticks(figure: Any, axis: int, ticks: list[Tick]) -> None:
    ruler = figure.ruler(axis, 0)
    ruler.lim(0, 1)
    ruler.ticks([tick.position for tick in ticks], [tick.label for tick in ticks])


def _x_ticks(axis: Axis, columns: int) -> list[Tick]:
    """As many ticks as leave two blanks between their labels."""
    for count in range(max(1, columns // 8), 0, -1):
        ticks = axis.ticks(count)
        if sum(len(tick.label) + 2 for tick in ticks) <= columns + 2:
            return ticks
    return []


def _stroke(figure: Any, one: Drawable, pen: _Pen, frame: _Frame) -> None:
    """Draw one series, thinned to what can be seen on a canvas of columns x rows."""
    import plotext

    u, v = frame.x_axis.place(one.x), frame.y_axis.place(one.y)
    piece: Indices | None = None
    match one.series.style:
        case "line":
            kept, piece = thin_line(u, v, one.piece, frame.columns)
        case "outline":
            kept, piece = np.arange(u.size), one.piece
        case _:
            kept = thin_points(u, v, frame.columns, frame.rows)
    signal = figure.signal(u[kept].tolist(), v[kept].tolist(), marker=plotext.marker(pen.marker, pen.color))
    if piece is not None:
        signal.lines(True)
        for gap in np.flatnonzero(np.diff(piece)) + 1:
            signal.line(int(gap), False)
    figure.draw(signal)


def _printable(text: str, ascii_only: bool) -> str:
    """Text without anything that moves the cursor, hides or turns what follows; blanks of any kind become spaces."""
    if ascii_only:
        text = unicodedata.normalize("NFKD", text)
    return "".join(_plain(character, ascii_only) for character in text)


def _plain(character: str, ascii_only: bool) -> str:
    category = unicodedata.category(character)
    if character.isspace():
        return " "
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":  # joiners, direction marks and emoji selectors have no width
        return ""
    if "🇦" <= character <= "🇿":  # half a flag: terminals disagree on its width
        return chr(ord("A") + ord(character) - ord("🇦"))
    if category.startswith("C") or (ascii_only and not character.isascii()):
        return "" if ascii_only and category == "Mn" else "?"
    return character
