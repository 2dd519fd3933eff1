"""The tree of branches, each under the one it left."""

from __future__ import annotations

from collections.abc import Iterator

from gdrepl.commands.results import Branches, BranchInfo
from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table, without_columns

_GLYPHS = {True: ("|- ", "`- ", "|  ", "   "), False: ("├─ ", "└─ ", "│  ", "   ")}
_KEPT = 3  # columns: branch, steps, loss
_DEEPEST = 8  # levels drawn; what is deeper stands at the eighth, so that the names stay on the screen


def branches(result: Branches, style: Style) -> list[Line]:
    """Name, steps from where it left its parent, their number, last loss, and optimizer with its rate, of each branch.

    `*` stands at the current one, and the loss function where there are several. On a narrow screen the length goes first,
    which the steps tell, then optimizer and loss function; where branch, steps and loss do not fit in a line, each takes two.
    """
    if not result.branches:
        return [[("no branches", "")]]
    several = len({branch.loss for branch in result.branches}) > 1
    words = ("  branch", "steps", "length", "loss", "optimizer", "loss function")
    rows = [[(word, "dim") for word in words]]
    rows += [[*_row(branch, indent, style), (branch.loss, "")] for branch, indent in _walk(result.branches, style.ascii_only)]
    rows = rows if several else [row[:-1] for row in rows]
    shown, fit = without_columns(rows, style, drop=(2, 4, 5), shrink=(4, 5) if several else (4,), indent=0)
    return table(shown, style, indent=0, shrink=range(_KEPT, len(shown[0]))) if fit else _stacked(shown[1:], style)


def _stacked(rows: list[list[Span]], style: Style) -> list[Line]:
    """The name of each branch as the tree has it, and its steps and loss below."""
    lines: list[Line] = []
    for name, (steps, _), (loss, _) in rows:
        lines += [[name], *prose(f"{steps}, loss {loss}", style, first="    ", then="    ")]
    return lines


def _row(branch: BranchInfo, indent: str, style: Style) -> list[Span]:
    name = f"{'* ' if branch.current else '  '}{indent}{branch.name}"
    first = branch.fork_step if branch.parent is not None else branch.start
    cells = [f"{first}..{branch.end}", str(branch.end - first), numbers.show(branch.final_loss, style.column_digits)]
    cells.append(branch.optimizer.replace("learning_rate=", "lr="))  # as `set optimizer` takes it, too
    return [(name, "bold" if branch.current else ""), *((cell, "") for cell in cells)]


def _walk(all_branches: tuple[BranchInfo, ...], ascii_only: bool) -> Iterator[tuple[BranchInfo, str]]:
    """Each branch once, with the lines drawn before its name; parents first, children in the order given."""
    names = {branch.name for branch in all_branches}
    children: dict[str, list[BranchInfo]] = {}
    for branch in all_branches:
        children.setdefault(_parent(branch, names), []).append(branch)
    tee, corner, bar, blank = _GLYPHS[ascii_only]
    # A stack of its own, since a tree of a thousand branches may be a thousand deep.
    # After the roots all others wait too: in a file from a stranger they may form a circle without a root.
    waiting = [(branch, "", "") for branch in reversed([*children.get("", []), *all_branches])]
    seen: set[str] = set()
    while waiting:
        branch, before, joint = waiting.pop()
        if branch.name in seen:
            continue
        seen.add(branch.name)
        yield branch, (before + joint)[-3 * _DEEPEST :]
        inner = "" if not joint and not before else before + (bar if joint == tee else blank)
        own = children.get(branch.name, []) if branch.name else []
        waiting += [(child, inner, corner if child is own[-1] else tee) for child in reversed(own)]


def _parent(branch: BranchInfo, names: set[str]) -> str:
    """The name of the parent, or nothing when there is none that is listed."""
    return branch.parent if branch.parent in names and branch.parent != branch.name else ""
