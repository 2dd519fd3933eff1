"""The frame in force: it is what the recorded commands say, so that a replay and a loaded session have the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError
from gdrepl.insight.backtrace import Stack, stack
from gdrepl.insight.frames import Link, links_at

if TYPE_CHECKING:
    from gdrepl.commands.session import Session

FRAME_VALUES = ("value", "local", "gradient", "frame")
"""The convenience values that the frame in force gives, unless a user has one of that name."""
_MOVED = frozenset({"Stepped", "Phased", "Begun", "Loaded"})
"""Results behind which the loss is the frame in force."""


def stack_here(session: Session) -> tuple[Stack, int]:
    """All frames where we stand, and the number of the one in force."""
    here = stack(session.debugger)
    return here, _current(session, here.links)


def frame_value(session: Session, name: str) -> Array:
    """What `$value`, `$local`, `$gradient` or `$frame` stands for.

    Raises:
        CommandError: the frame has no local derivative, or one that is too large to be worked out.
    """
    links = links_at(session.debugger.problem, session.debugger.snapshot())
    link = links[_current(session, links)]
    if name == "value":
        return link.value
    if name == "gradient":
        return link.gradient
    if name == "frame":
        return np.asarray(link.index, np.int64)
    if link.local is None:
        raise CommandError("$local has no value: the loss is an operand of nothing", "down goes to frame 1")
    if link.local.value is None:
        shape = "x".join(map(str, link.local.shape))
        raise CommandError(f"$local is a Jacobian of {shape} numbers, which is not worked out", "backtrace tells its norm")
    return link.local.value


def _current(session: Session, links: tuple[Link, ...]) -> int:
    """The frame that was chosen last at this point; a move, and another loss, choose the loss again."""
    for event in reversed(session.events):
        kind = event.result.get("type")
        if kind in _MOVED:
            return 0
        if kind == "Frame":
            index = event.result.get("index")
            if not isinstance(index, int) or not 0 <= index < len(links) or event.result.get("step") != session.debugger.step:
                return 0
            return index if links[index].expression == event.result.get("expression") else 0
    return 0
