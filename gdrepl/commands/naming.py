"""What branches and checkpoints may be called: `goto` must tell them from steps, and from one another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gdrepl.errors import CommandError

if TYPE_CHECKING:
    from gdrepl.commands.session import Session

ENDS = ("start", "end", "min")
"""The steps that have names."""
_WORDS = ("rename", "delete")
_AUTOMATIC = re.compile(r"main|b\d+")


def check_branch_name(name: str, session: Session) -> str:
    """Return `name` if a branch may be called so.

    Raises:
        CommandError: it may not, or a checkpoint is called so.
    """
    _check(name, "branch", "try-2")
    if name in session.debugger.checkpoints.names:
        raise CommandError(f"there is a checkpoint '{name}' already", "goto must tell them apart: give another name")
    return name


def check_checkpoint_name(name: str, session: Session) -> str:
    """Return `name` if a checkpoint may be called so.

    Raises:
        CommandError: it may not, or a branch or another checkpoint is called so.
    """
    _check(name, "checkpoint", "before-lr")
    if _AUTOMATIC.fullmatch(name):
        raise CommandError(f"'{name[:40]}' cannot be the name of a checkpoint", "branches are called so; try before-lr")
    for kind, names in (
        ("branch", session.debugger.timeline.branches),
        ("checkpoint", session.debugger.checkpoints.names),
    ):
        if name in names:
            raise CommandError(f"there is a {kind} '{name}' already", f"goto {name} goes to it; give another name")
    return name


def checkpoint_name(session: Session) -> str:
    """cp and the number that the next checkpoint gets; a later one where that is taken."""
    number = session.debugger.checkpoints.next_id
    taken = {*session.debugger.checkpoints.names, *session.debugger.timeline.branches}
    while f"cp{number}" in taken:
        number += 1
    return f"cp{number}"


def _check(name: str, kind: str, example: str) -> None:
    """See that `name` is made of letters, digits, _, - and dots, and that neither `goto` nor a command takes it for its own."""
    wrong = f"'{name[:40]}' cannot be the name of a {kind}"
    if name in ENDS or not name[:1].isalpha():
        raise CommandError(wrong, f"goto would take it for a step; begin with a letter: {example}")
    if name in _WORDS:
        raise CommandError(wrong, f"it is a word of the commands {kind} and delete; try {example}")
    if not name.isascii() or not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or len(name) > 40:
        raise CommandError(wrong, f"use letters, digits, - and _, such as {example}")
