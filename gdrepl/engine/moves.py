"""What a run or a jump of the debugger hands back, and how a long one is getting on."""

from __future__ import annotations

from dataclasses import dataclass

from gdrepl.engine.snapshot import Point, Stop
from gdrepl.engine.stops import StopPoint
from gdrepl.errors import GdreplError


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """What a run or a jump did: the point left, the point arrived at, the signed number of steps between, and why it ended.

    `notes` are for the user; `held` are the stops that ended it, as they were then.
    """

    before: Point
    point: Point
    taken: int
    stops: tuple[Stop, ...]
    notes: tuple[str, ...] = ()
    held: tuple[StopPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How a long run is getting on, for whoever shows it: `total` is the most updates that it may make."""

    taken: int
    total: int
    step: int
    loss: float
    seconds: float


class RecordingDiffersError(GdreplError):
    """A step computed again is not what was recorded: this engine does not repeat itself on this machine."""
