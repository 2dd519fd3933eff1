"""Commands that go to what was already: goto, back, forward, checkpoint, restart."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from gdrepl.commands.arguments import MOST_STEPS, Where, complete_values, whole_value
from gdrepl.commands.naming import check_checkpoint_name, checkpoint_name
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import CheckpointMade, Stepped
from gdrepl.commands.session import Session
from gdrepl.engine.checkpoints import Checkpoint
from gdrepl.engine.moves import Move
from gdrepl.engine.snapshot import Stop
from gdrepl.errors import CommandError


@registry.command("goto", group="time", repeats=True)
def goto(session: Session, step: Where) -> Stepped:
    """Stand at STEP, at start, end or min, bit for bit.

    `min` is the step of the lowest loss. A number with a sign is counted from here: goto -5. The name of a branch goes to its
    end, BRANCH:STEP and BRANCH:min to a step of it, the name of a checkpoint to that; what was in force there is in force
    again.

    Example: goto 0
    """
    place, debugger = step, session.debugger
    if place.checkpoint is not None:
        return _restart(session, place.checkpoint)
    left = debugger.position.branch
    move = debugger.goto(place.step, place.branch)
    branch = debugger.branch
    stops = []
    if place.step == branch.start:
        stops.append(Stop("start", None, "the start"))
    if place.step == branch.end:
        stops.append(Stop("end", None, f"the end of {branch.name}"))
    if not stops:
        stops.append(Stop("count", None, f"step {place.step}"))
    return _arrived(session, replace(move, stops=tuple(stops)), left)


def _arrived(session: Session, move: Move, left: str) -> Stepped:
    """A jump as a result; one from another branch names that."""
    result = session.stepped(move)
    return replace(result, came_from=left if left != session.debugger.position.branch else "")


def parse_places(text: str, session: Session) -> int:
    """How many places, a whole number from 1, also as 2*$n."""
    number = whole_value(text, session)
    if number is None or not 1 <= number <= MOST_STEPS:
        hint = "type a whole number from 1, such as back 2; goto 0 goes to step 0"
        raise CommandError(f"'{text[:40]}' is not a number of places", hint)
    return number


HowFar = Annotated[int, Argument("count", parse_places, lambda session: ["1", "2", "3"], rest=True, after=complete_values)]


@registry.command("back", "ba", group="time", repeats=True)
def back(session: Session, count: HowFar = 1) -> Stepped:
    """Go back through the places visited.

    As the button of a browser does: a place is where a command left us, on whatever branch, also before an edit. COUNT goes
    back several at once. forward returns; a new move forgets what lay ahead. reverse-step goes back by steps.

    Example: back 2
    """
    left = session.debugger.position.branch
    return _arrived(session, session.debugger.turn(-count), left)


@registry.command("forward", group="time", repeats=True)
def forward(session: Session, count: HowFar = 1) -> Stepped:
    """Return through the places that back has left.

    Example: forward
    """
    left = session.debugger.position.branch
    return _arrived(session, session.debugger.turn(count), left)


def parse_new_checkpoint(text: str, session: Session) -> str:
    """A name for a new checkpoint."""
    word, _, rest = text.partition(" ")
    if word == "delete":
        raise CommandError("checkpoint only makes one", f"delete checkpoint {rest.strip() or '1'} deletes it")
    if rest:
        raise CommandError(f"checkpoint does not take '{rest[:40]}'", f"its name is one word: {text.replace(' ', '-')[:40]}")
    return check_checkpoint_name(text, session)


CheckpointName = Annotated[str, Argument("name", parse_new_checkpoint, rest=True)]
ACheckpoint = Annotated[
    Checkpoint,
    Argument(
        "id or name",
        lambda text, session: session.debugger.checkpoints.find(text),
        lambda session: session.debugger.checkpoints.names if session.ready else [],
    ),
]


@registry.command("checkpoint", "cp", group="time")
def checkpoint(session: Session, name: CheckpointName | None = None) -> CheckpointMade:
    """Mark this place, to come back by restart.

    It is a place in the timeline, with all that is true here, the optimizer's slots too. Without NAME it is called cp1, cp2 and
    so on. info checkpoints lists them, delete checkpoint ID forgets one, and goto NAME goes there as well. The memory for it
    counts into history-limit; where that is too little, restart computes the place again, to the same bits.

    Example: checkpoint before-lr
    """
    made = session.debugger.mark(name or checkpoint_name(session))
    return CheckpointMade(made.id, made.name, made.position.branch, made.position.step)


@registry.command("restart", group="time", syntax="ID")
def restart(session: Session, which: ACheckpoint) -> Stepped:
    """Go back to checkpoint ID, or to one by its name.

    All is as it was there, bit for bit. Where something was set at that very step later on, it is not in force, and going on
    begins a new branch.

    Example: restart 1
    """
    return _restart(session, which)


def _restart(session: Session, which: Checkpoint) -> Stepped:
    left = session.debugger.position.branch
    move = session.debugger.stand(which.position)
    stop = Stop("count", None, f"checkpoint {which.id}, {which.name}")
    return _arrived(session, replace(move, stops=(stop,)), left)
