"""Where a branch was lowest, and how high it has been."""

from __future__ import annotations

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import Array
from gdrepl.engine.timeline import Branch
from gdrepl.errors import CommandError
from gdrepl.insight.over import PIECE


def lowest_step(debugger: Debugger, branch: Branch) -> int:
    """The step of the lowest finite loss of a branch, the earliest of equals.

    Raises:
        CommandError: no loss of the branch is finite.
    """
    best, found = np.inf, None
    for first in range(branch.start, branch.end + 1, PIECE):
        losses = debugger.columns(first, min(first + PIECE - 1, branch.end), branch.name).loss
        place = lowest(losses)
        if place is not None and losses[place] < best:
            best, found = losses[place], first + place
    if found is None:
        raise CommandError(f"no loss of branch {branch.name} is finite", "goto start goes to its beginning")
    return found


def highest_until(debugger: Debugger, branch: Branch, last: int) -> float:
    """The highest finite loss of a branch from its start to step `last`; minus infinity where none is finite."""
    best = -np.inf
    for first in range(branch.start, last + 1, PIECE):
        losses = debugger.columns(first, min(first + PIECE - 1, last), branch.name).loss
        best = max(best, float(np.max(losses, where=np.isfinite(losses), initial=-np.inf)))
    return best


def lowest(losses: Array) -> int | None:
    """The index of the lowest finite of `losses`, shape (n,), the first of equals; None where none is finite."""
    finite = np.isfinite(losses)
    return int(np.argmin(np.where(finite, losses, np.inf))) if finite.any() else None
