"""Going on and back by phases of an update; where an update ends, it is made as every other one is."""

from __future__ import annotations

from dataclasses import dataclass

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.moves import Move
from gdrepl.engine.phases import PHASES, Update
from gdrepl.errors import CommandError


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A walk by phases.

    Attributes:
        made: the phases that were made, each as its update and its place in `PHASES`: those of the update that was finished and
            of the one that is begun. Where several updates were finished, of the latter alone.
        move: how the updates were run that were finished; None where none was.
    """

    made: tuple[tuple[Update, int], ...]
    move: Move | None = None


def advance(debugger: Debugger, count: int) -> Walk:
    """Make `count` phases; a stop that holds at the end of an update ends it there.

    Raises:
        CommandError: it was interrupted before the first update was finished.
        ProblemError, ExpressionError: the program cannot run.
    """
    update, begun = debugger.inside.update, debugger.inside.made
    whole, rest = divmod(begun + count, len(PHASES))
    if not whole:
        return Walk(_begin(debugger, begun, rest))
    move = debugger.run(whole)
    if not move.taken:
        raise CommandError("interrupted before the update was finished", "nothing has changed")
    ended = tuple((update, place) for place in range(begun, len(PHASES))) if whole == 1 else ()
    if any(stop.kind != "count" for stop in move.stops):
        return Walk(ended, move)
    return Walk((*ended, *_begin(debugger, 0, rest)), move)


def _begin(debugger: Debugger, begun: int, rest: int) -> tuple[tuple[Update, int], ...]:
    update = debugger.inside.update
    update.state(rest)  # what cannot be computed is told before anything has changed
    debugger.inside.made = rest
    return tuple((update, place) for place in range(begun, rest))


def retreat(debugger: Debugger, count: int) -> int:
    """Go `count` phases back, also into earlier updates, or to the start of the branch; returns how many it were.

    Raises:
        ProblemError: the program cannot run.
    """
    here = debugger.step * len(PHASES) + debugger.inside.made
    target = max(here - count, debugger.branch.start * len(PHASES))
    step, phase = divmod(target, len(PHASES))
    if step != debugger.step:
        debugger.goto(step)
    _begin(debugger, phase, phase)
    return here - target
