"""Help, lists, and the results that are a line or two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from rich.cells import cell_len

from gdrepl.commands.results import Changed, Done, HelpList, HelpPage, Listed, OwnCommands, Quit, Saved, Sourced
from gdrepl.display import numbers
from gdrepl.display.series import counted
from gdrepl.display.style import Style
from gdrepl.display.tables import origin
from gdrepl.display.text import Line, pad, prose, safe, wrap

_PROSE_CELLS = 100  # longer lines are hard to read, however wide the terminal


def help_page(result: HelpPage, style: Style) -> list[Line]:
    """Usage, what it does, and an example."""
    short = f"   ({', '.join(result.short)})" if result.short else ""
    lines: list[Line] = [[(result.usage or result.name, "bold"), (short, "dim")]]
    lines += prose(result.summary, style) if result.summary else []
    if result.text:
        lines += [[], *paragraphs(result.text, style)]
    if result.example:
        lines += [[], *prose(f"example: {result.example}", style, then="  ")]
    return lines


def paragraphs(text: str, style: Style) -> list[Line]:
    """Docstring text: paragraphs are filled again, indented lines and items of lists stay lines of their own."""
    lines: list[Line] = []
    current: list[str] = []
    for raw in [*text.split("\n"), ""]:
        apart = raw[:1].isspace() or raw.startswith(("- ", "* "))
        if current and (apart or not raw.strip()):
            lines += _filled(" ".join(current), style)
            current = []
        if apart:
            indent = " " * (len(raw) - len(raw.lstrip()))
            whole = safe(raw.rstrip(), style.ascii_only)
            hanging = prose(raw.strip(), style, first=indent, then=indent + "  ")
            lines += [[(whole, "")]] if cell_len(whole) <= style.width else hanging
        elif raw.strip():
            current.append(raw.strip())
        elif lines and lines[-1]:
            lines.append([])
    return lines[:-1] if lines and not lines[-1] else lines


def _filled(text: str, style: Style) -> list[Line]:
    return [[(line, "")] for line in wrap(safe(text, style.ascii_only), min(style.width, _PROSE_CELLS))]


def own_commands(result: OwnCommands, style: Style) -> list[Line]:
    """What define and alias have made, as it would be typed."""
    lines: list[Line] = []
    for name, own in result.defined.items():
        lines.append([(f"define {name}", "bold")])
        lines += [line for text in own for line in prose(text, style, first="  ", then="    ")]
        lines.append([("end", "bold")])
    for name, text in result.aliases.items():
        lines += prose(f"alias {name} = {text}", style, then="  ")
    return lines or prose("none yet: define NAME makes a command, alias NAME = COMMAND a short name", style, then="  ")


def help_list(result: HelpList, style: Style) -> list[Line]:
    """The commands by group."""
    if result.brief:
        return _names_by_group(result, style)
    usages = [usage for _, commands in result.groups for usage, _ in commands]
    lines: list[Line] = []
    for group, commands in result.groups:
        lines += [[(group, "bold")], *_two_columns(commands, _left_cells(usages, style), style)]
    return lines


def _names_by_group(result: HelpList, style: Style) -> list[Line]:
    """A line for each group, so that the whole of it fits on a screen."""
    cells = max(len(group) for group, _ in result.groups)
    lines: list[Line] = []
    for group, commands in result.groups:
        names = prose(" ".join(usage.split()[0] for usage, _ in commands), replace(style, width=style.width - cells - 2))
        heads = [(pad(group, cells), "bold"), *([(" " * cells, "")] * (len(names) - 1))]
        lines += [[head, ("  ", ""), *line] for head, line in zip(heads, names)]
    return [*lines, *prose(result.note, style, "dim")]


def listed(result: Listed, style: Style) -> list[Line]:
    """Names with a few words each."""
    lines = prose(result.title, style, "bold", then="  ") if result.title else []
    lines += _two_columns(result.items, _left_cells([name for name, _ in result.items], style), style)
    return lines + (prose(result.note, style, "dim", then="  ") if result.note else [])


def _left_cells(names: list[str], style: Style) -> int:
    """Room for the names: for all but the long ones, since one long usage must not push all summaries aside."""
    most = style.width * 3 // 10
    sizes = [len(safe(name, style.ascii_only)) for name in names]
    return max([size for size in sizes if size <= most], default=min(most, max(sizes, default=0)))


def _two_columns(items: tuple[tuple[str, str], ...], cells: int, style: Style) -> list[Line]:
    """Names on the left, words wrapped on the right; a long name has a line of its own."""
    hanging = " " * (cells + 4)
    lines: list[Line] = []
    for name, words in items:
        name = safe(name, style.ascii_only)
        described = [line[1] for line in prose(words, style, first=hanging)] if words else []
        if len(pad(name, cells)) > cells:
            lines += prose(name, style, first="  ", then="    ")
            lines += [[(hanging, ""), line] for line in described]
            continue
        first, *rest = described or [("", "")]
        lines += [[(f"  {pad(name, cells)}  ", ""), first], *([(hanging, ""), line] for line in rest)]
    return lines


def changed(result: Changed, style: Style) -> list[Line]:
    """`lr: 1 -> 0.1`, and notes."""
    before, after = (_value(value, style) for value in (result.before, result.after))
    came = origin(result.origin, result.sha256)
    name = safe(result.name, style.ascii_only)
    if result.before is None and isinstance(result.after, np.ndarray):  # it is new; a hyperparameter was none before
        lines = prose(f"{name}: {after}", style, then="  ")
    elif len(name) + len(before) + len(after) + 6 <= style.width:
        lines = [[(f"{name}: {before} {style.arrow} ", ""), (after, "bold")]]
    else:
        lines = [
            *prose(f"{name}: {before}", style, then="  "),
            *prose(f"{style.arrow} {after}", style, first="  ", then="     "),
        ]
    notes = [note for note in (came, *result.notes) if note]
    return lines + [line for note in notes for line in prose(note, style, "dim", first="  ", then="    ")]


def _value(value: object, style: Style) -> str:
    """What was set, as one line; text is harmless in it."""
    if isinstance(value, str):
        return safe(value, style.ascii_only)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return numbers.fit(value, max(8, style.width - 8), style.precision, style.ellipsis)


def done(result: Done, style: Style) -> list[Line]:
    """A line, or a few."""
    return [line for text in result.text.split("\n") for line in prose(text, style, then="  ")] if result.text else []


def saved(result: Saved, style: Style) -> list[Line]:
    """Where the session went and what it holds."""
    what = f"{counted(result.commands, 'command')}, {counted(result.points, 'point')}"
    lines = prose(f"saved {result.path}: {what}", style, then="  ")
    return lines + [line for note in result.notes for line in prose(note, style, "dim", first="  ", then="    ")]


def sourced(result: Sourced, style: Style) -> list[Line]:
    """That a script came to its end."""
    return prose(f"{result.name}: {counted(result.commands, 'command')}", style, "dim", then="  ")


def quit_(result: Quit, style: Style) -> list[Line]:
    """Nothing."""
    return []
