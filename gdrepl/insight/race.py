"""Futures that are tried aside from where the debugger stands, and how each of them ended; nothing is changed by asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.events import Divergence
from gdrepl.engine.moves import Progress
from gdrepl.engine.snapshot import Array, Point, norm_of_all
from gdrepl.engine.stops import Stops
from gdrepl.engine.timeline import Timeline
from gdrepl.errors import CommandError
from gdrepl.expression import Expression

REST = 1e-4
"""The norm of the gradient up to which a point is at rest; also the part of the first norm that counts as rest."""
GROWN = Divergence()
"""The event whose factor and least rise a future is measured by, against the loss that it began with."""
MOST_POINTS = 60
"""Points that a thinned future keeps."""
CONVERGED, DIVERGED, MOVING = "converged", "diverged", "moving"

Act = Callable[[], object]
"""Changes and runs of a debugger; the runs go on from what the changes made."""


@dataclass(frozen=True, slots=True, eq=False)
class Future:
    """One future.

    Attributes:
        first: the step it began at; its runs made len(losses) - 1 updates from there.
        losses: the loss at each of its steps, shape (n,), the first one after its first changes.
        norms: the norm of the whole gradient at its first point and at its last one.
        finite: False when the loss or gradient of its last point is not finite.
        highest: the highest loss on the way to where it was asked for: what lies below was passed before.
        branch: the branch it was kept as, or "".
    """

    first: int
    losses: Array
    norms: tuple[float, float]
    finite: bool
    highest: float = -np.inf
    branch: str = ""

    @property
    def outcome(self) -> str:
        """Diverged, converged or moving, as its end decides.

        Diverged: a value is not finite, or the last loss is above the limit. Converged: the last gradient's norm is at most
        1e-4, or a ten-thousandth of the first one. A future that begins and ends at rest has converged, however its losses
        compare.
        """
        begun, ended = self.norms
        if not self.finite:
            return DIVERGED
        if max(begun, ended) > REST and self.losses[-1] > self.limit:
            return DIVERGED
        return CONVERGED if ended <= max(REST, REST * begun) else MOVING

    @property
    def limit(self) -> np.float64:
        """The loss above which it has grown as the event divergence has it, from its first one, and above all on the way there.

        Close to a minimum ten times the first loss is next to nothing, and a lively future passes it: hence the way there.
        """
        return np.float64(max(GROWN.limit(float(self.losses[0])), self.highest))  # which may be too large for float32

    @property
    def diverged_at(self) -> int | None:
        """The first step where its loss was above the limit, or a value was not finite; None when it has not diverged.

        However long a future that diverges runs on, this step stays.
        """
        if self.outcome != DIVERGED:
            return None
        beyond = np.flatnonzero(~(self.losses <= self.limit))  # NaN is beyond, too
        return self.first + (int(beyond[0]) if len(beyond) else self.updates)  # else the gradient ended it

    @property
    def updates(self) -> int:
        """Updates made; a value that is not finite ended it."""
        return len(self.losses) - 1

    def updates_to(self, loss: float | Array) -> int | None:
        """Updates until its loss was at most `loss`; None when it never was."""
        reached = np.flatnonzero(self.losses <= loss)
        return int(reached[0]) if len(reached) else None

    def thinned(self) -> tuple[Array, Array]:
        """Some of its steps, evenly spread, with both ends; and their losses."""
        places = np.unique(np.linspace(0, len(self.losses) - 1, MOST_POINTS).round().astype(np.int64))
        return self.first + places, self.losses[places]


def aside(debugger: Debugger, act: Act, keep: str = "", highest: float = -np.inf) -> Future:
    """What comes of `act` from here, on a branch of its own and with no stop armed; then we stand where we stood.

    Args:
        act: what changes and runs the debugger.
        keep: the name under which the branch stays; empty undoes it.
        highest: the highest loss on the way here, above which a future has diverged.

    Raises:
        GdreplError: what `act` raises, and CommandError when it was interrupted; nothing is changed then.
    """
    undo, stops, place, here = debugger.undo(), debugger.stops, debugger.position, debugger.snapshot()
    known, made = set(debugger.timeline.branches), debugger.inside.made
    try:
        debugger.stops = Stops()
        first = debugger.step
        name = debugger.fork(keep)
        act()
        ended = debugger.position.branch
        first = 0 if ended != name else first  # `run` begins again
        future = replace(_measured(debugger, first), highest=highest)
        _refuse_interrupt(debugger)
    except BaseException:
        undo()
        raise
    if not keep:
        undo()
        return future
    _keep_only(debugger.timeline, known, name, ended)
    debugger.stops = stops
    debugger.stand(place, here)
    debugger.inside.made = made
    return replace(future, branch=name)


class Runs:
    """The runs of several futures as one, of which progress tells as a whole and which an interrupt ends together.

    Args:
        count: how many runs there will be.
    """

    def __init__(self, debugger: Debugger, count: int) -> None:
        self._debugger = debugger
        self._left = count
        self._latest = Progress(0, 0, 0, 0.0, 0.0)

    def run(self, count: int | None, until: Expression | None = None) -> None:
        """As `Debugger.run`; where a value is not finite, nothing is run any more.

        Raises:
            CommandError: it was interrupted.
        """
        debugger = self._debugger
        if debugger.snapshot().is_finite():
            before, told = self._latest, debugger.progress

            def progress(now: Progress) -> None:
                taken, total = before.taken + now.taken, before.taken + now.total * self._left
                self._latest = Progress(taken, total, now.step, now.loss, before.seconds + now.seconds)
                told(self._latest)
                _refuse_interrupt(debugger)  # the run itself forgets one that comes with its last update

            debugger.progress = progress
            try:
                move = debugger.run(count, until)
            finally:
                debugger.progress = told
            if any(stop.kind == "interrupt" for stop in move.stops):
                raise _interrupted()
        self._left -= 1


def _refuse_interrupt(debugger: Debugger) -> None:
    if debugger.interrupt.is_set():
        raise _interrupted()


def _interrupted() -> CommandError:
    return CommandError("whatif was interrupted", "nothing has changed")


def _measured(debugger: Debugger, first: int) -> Future:
    branch = debugger.branch
    begun, ended = debugger.snapshot_at(first).point(), debugger.point()
    losses = debugger.columns(first, debugger.step, branch.name).loss
    return Future(first, losses, (_norm(begun), _norm(ended)), ended.is_finite())


def _norm(point: Point) -> float:
    """The norm of the gradient of all parameters together; infinite where it is not finite."""
    whole = norm_of_all(point.gradient)
    return whole if np.isfinite(whole) else float("inf")


def _keep_only(timeline: Timeline, known: set[str], name: str, ended: str) -> None:
    """Of the branches that were made, keep the one that it ended on, as `name`."""
    made, kept = timeline.branches[name], timeline.branches[ended]
    branches = {each: branch for each, branch in timeline.branches.items() if each in known}
    kept.parent = made.parent
    kept.name = name
    timeline.branches = {**branches, name: kept}
