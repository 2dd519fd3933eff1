"""Results as rich renderables: one view a result class, by a literal table. Nothing here knows the debugger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from gdrepl.commands import results
from gdrepl.display import charts, diff, futures, helps, history, insights, points, printing, tables, tree
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Lines, crop, prose, safe
from gdrepl.errors import ExpressionError, GdreplError
from gdrepl.insight.chart import Chart

VIEWS: Mapping[type, Callable[[Any, Style], list[Line]]] = {
    results.Stepped: points.stepped,
    results.Begun: points.begun,
    results.Loaded: points.loaded,
    results.Gradient: points.gradient,
    results.History: history.history,
    results.Printed: printing.printed,
    results.KeptValues: printing.kept_values,
    results.Described: tables.described,
    results.Stops: tables.stops,
    results.StopSet: tables.stop_set,
    results.Displays: tables.displays,
    results.Branches: tree.branches,
    results.Checkpoints: diff.checkpoints,
    results.CheckpointMade: diff.checkpoint_made,
    results.Diff: diff.diff,
    results.ProblemInfo: tables.problem,
    results.Variables: tables.variables,
    results.OptimizerInfo: tables.optimizer,
    results.SessionInfo: tables.session,
    results.Listed: helps.listed,
    results.Changed: helps.changed,
    results.Done: helps.done,
    results.WhatIf: futures.futures,
    results.Saved: helps.saved,
    results.Sourced: helps.sourced,
    results.OwnCommands: helps.own_commands,
    results.HelpPage: helps.help_page,
    results.HelpList: helps.help_list,
    results.Quit: helps.quit_,
    **insights.VIEWS,
}
"""Charts are drawn by `charts`, since a chart comes as text with its own colours."""
_LEAST_ROWS = 10  # of a chart below a table
CHARTS: Mapping[type, insights.Below] = {
    results.WhatIf: insights.Below(futures.futures_chart, least_width=60, least_rows=8),
    **insights.CHARTS,
}


def render(result: object, style: Style) -> RenderableType:
    """What a command returned, ready to print on a console of this style.

    Raises:
        TypeError: it is of no class that a command returns.
    """
    if isinstance(result, results.Plotted):
        return _chart(result.chart, style, max(1, style.height - 2))
    view = VIEWS.get(type(result))
    if view is None:
        raise TypeError(f"there is no view of {type(result).__name__}")
    if isinstance(result, results.Diff) and result.chart is not None:
        lines = diff.diff(result, style, most_lines=style.height - 2 - _LEAST_ROWS)
        rows = max(_LEAST_ROWS, style.height - 2 - len(lines))
        return Group(Lines(lines, style), _chart(result.chart, style, rows))
    lines = view(result, style)
    room, below = style.height - 2 - len(lines), CHARTS.get(type(result))
    if below is not None and style.width >= below.least_width and room >= below.least_rows:
        chart = below.chart(result)
        if chart is not None:
            return Group(Lines(lines, style), _chart(chart, style, room))
    return Lines(lines, style)


def _chart(chart: Chart, style: Style, rows: int) -> Text:
    text = charts.draw(chart, style.width, rows, style.color, style.ascii_only)
    drawn = Text.from_ansi(text) if style.color else Text(text)
    drawn.no_wrap, drawn.overflow = True, "crop"
    return drawn


def render_error(error: GdreplError, style: Style, place: str = "") -> RenderableType:
    """An error: what is wrong, where in the expression, and what to type instead."""
    where = f"{place}: " if place else ""
    [first, *rest] = prose(f"{where}error: {error.message}", style, "error", then="  ")
    lines = [first, *rest]
    if isinstance(error, ExpressionError):
        lines += _pointed_at(error, style)
    return Lines([*lines, *(prose(error.hint, style, "dim", first="  ", then="  ") if error.hint else [])], style)


def _pointed_at(error: ExpressionError, style: Style) -> list[Line]:
    """The expression with a caret under the column, in cells, since a character may be wider than one."""
    shown, _, caret = error.caret().partition("\n")
    if not caret:
        return []
    place, room = len(caret) - 1, max(1, style.width - 2)
    text, cells = safe(shown, style.ascii_only), _cells(safe(shown[:place], style.ascii_only))
    while cells > 0 and cells >= room - len(style.ellipsis):  # a narrow screen shows what lies around the column
        cells -= _cells(text[0])
        text = text[1:]
    return [[("  ", ""), (crop(text, room, style.ellipsis), "")], [("  " + " " * cells, ""), ("^", "error")]]


def _cells(text: str) -> int:
    return Text(text).cell_len


def make_console(file: IO[str], style: Style) -> Console:
    """A console that takes these renderables as they are: no markup, no guesses, no escape codes without colour."""
    encoding = (getattr(file, "encoding", None) or "utf-8").lower().replace("-", "")
    reconfigure = getattr(file, "reconfigure", None)
    if not encoding.startswith("utf") and reconfigure is not None:
        reconfigure(errors="replace")
    return Console(
        file=file,
        width=style.width,
        height=style.height,
        color_system="256" if style.color else None,
        no_color=not style.color,
        force_jupyter=False,
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
    )


__all__ = ["VIEWS", "Style", "make_console", "render", "render_error"]
