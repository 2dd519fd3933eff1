"""Two branches side by side, and the checkpoints."""

from __future__ import annotations

from gdrepl.commands.results import CheckpointMade, Checkpoints, Diff, LossPair
from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table, without_columns
from gdrepl.engine.snapshot import Array


def diff(result: Diff, style: Style, most_lines: int | None = None) -> list[Line]:
    """Where the paths part, the settings that differ, and the losses from there on.

    Where `most_lines` are too few, losses between the first and the last are left out: a chart below shows them.
    """
    lines = prose(_parting(result), style, "bold", then="  ")
    if result.settings:
        header: list[Span] = [(word, "dim") for word in ("setting", result.a, result.b)]
        rows: list[list[Span]] = [[(each.name, ""), (each.a, ""), (each.b, "")] for each in result.settings]
        lines += table([header, *rows], style, shrink=(1, 2))
    else:
        lines += prose("the settings at their ends are the same", style, then="  ")
    lines += [line for note in result.notes for line in prose(note, style, "dim", first="  ", then="    ")]
    of = "" if style.narrow else "loss of "
    header = [(word, "dim") for word in ("step", *(f"{of}{name}" for name in (result.a, result.b)))]
    shown = result.losses if most_lines is None else _spread(result.losses, max(2, most_lines - len(lines) - 1))
    losses = [[(str(each.step), ""), (_loss(each.a, style), ""), (_loss(each.b, style), "")] for each in shown]
    title: list[Line] = [[("losses", "dim")]] if style.narrow else []
    return [*lines, *title, *table([header, *losses], style)]


def _parting(result: Diff) -> str:
    """The first line: where they part, or how far they are the same."""
    within = f" by more than {result.tolerance:g} of its size" if result.tolerance else ""
    if result.step is None:
        same = f"the same within {result.tolerance:g}" if result.tolerance else "the same, bit for bit,"
        return f"{result.a} and {result.b} are {same} from step {result.first} to {result.last}"
    return f"{result.a} and {result.b} part at step {result.step}: {result.name} differs{within}"


def _spread(losses: tuple[LossPair, ...], most: int) -> list[LossPair]:
    """At most `most` of them, 2 or more: the first, the last, and some evenly between."""
    count = min(most, len(losses))
    return [losses[place * (len(losses) - 1) // max(1, count - 1)] for place in range(count)]


def _loss(value: Array | None, style: Style) -> str:
    return "-" if value is None else numbers.show(value, style.column_digits)


def checkpoints(result: Checkpoints, style: Style) -> list[Line]:
    """Number, name, place and loss of each; `*` where we stand at it.

    On a narrow screen optimizer, branch and loss give way, in this order.
    """
    if not result.checkpoints:
        return [[("no checkpoints", "")]]
    header: list[Span] = [(word, "dim") for word in ("  Num", "name", "branch", "step", "loss", "optimizer")]
    rows: list[list[Span]] = [
        [
            (f"{'*' if each.current else ' '} {each.id}", "bold" if each.current else ""),
            *((text, "") for text in (each.name, each.branch, str(each.step), numbers.show(each.loss, style.column_digits))),
            (each.optimizer.replace("learning_rate=", "lr="), ""),
        ]
        for each in result.checkpoints
    ]
    shown, _ = without_columns([header, *rows], style, drop=(5, 2, 4), shrink=(1, 5), indent=0)
    return table(shown, style, indent=0, shrink=(len(header) - 1,) if len(shown[0]) == len(header) else (1,))


def checkpoint_made(result: CheckpointMade, style: Style) -> list[Line]:
    """Its number, its name, and where it is."""
    return prose(f"checkpoint {result.id}: {result.name}, step {result.step} of {result.branch}", style, then="  ")
