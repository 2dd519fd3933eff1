"""Renaming and deleting branches: the tree, and all that speaks of its branches, stay in step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.timeline import Position
from gdrepl.errors import CommandError


def rename_branch(debugger: Debugger, old: str, new: str) -> None:
    """Call branch `old` by the name `new`.

    Raises:
        CommandError: there is no such branch, or one that is called `new`.
    """
    debugger.timeline.rename(old, new)

    def renamed(position: Position) -> Position:
        return replace(position, branch=new) if position.branch == old else position

    debugger.position = renamed(debugger.position)
    _tell(debugger, renamed)


def check_deletable(debugger: Debugger, name: str) -> None:
    """See that branch `name` may be deleted.

    Raises:
        CommandError: there is no such branch, or it is the one in force.
    """
    debugger.timeline.branch(name)
    if name == debugger.position.branch:
        others = [each for each in debugger.timeline.branches if each != name]
        hint = f"switch {others[0]} leaves it first" if others else "it is the only one there is"
        raise CommandError(f"{name} is the branch in force", hint)


def delete_branch(debugger: Debugger, name: str) -> None:
    """Forget a branch, with its places and checkpoints, and the steps that no other branch has.

    Raises:
        CommandError: it may not be deleted.
    """
    check_deletable(debugger, name)
    debugger.timeline.delete(name, debugger.past.reach)
    _tell(debugger, lambda position: position if position.branch != name else None)


def _tell(debugger: Debugger, change: Callable[[Position], Position | None]) -> None:
    debugger.places = debugger.places.changed(change, debugger.position)
    debugger.checkpoints = debugger.checkpoints.changed(change)
