"""What `info` and `delete` say and do of checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from gdrepl.commands.arguments import parse_ids
from gdrepl.commands.line import YES
from gdrepl.commands.registry import Argument
from gdrepl.commands.results import CheckpointInfo, Checkpoints, Done
from gdrepl.commands.session import Session
from gdrepl.commands.stop_arguments import complete_stop_ids, parse_stop_ids
from gdrepl.engine.checkpoints import Checkpoint
from gdrepl.errors import CommandError


def info_checkpoints(session: Session) -> Checkpoints:
    """Every checkpoint, for `info checkpoints`."""
    return Checkpoints(tuple(_info(session, item) for item in session.debugger.checkpoints))


def _info(session: Session, item: Checkpoint) -> CheckpointInfo:
    debugger, place = session.debugger, item.position
    segment = debugger.timeline.branch(place.branch).stretches[place.index].segment
    point = segment.columns(place.step, debugger.past.rows(segment, place.step, place.step))
    here, text = place == debugger.position, segment.recipe.spec.text()
    return CheckpointInfo(item.id, item.name, place.branch, place.step, point.loss[0], here, text)


# --- forgetting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deletion:
    """What `delete` is to delete: stops, all of them where none is named, or checkpoints; `yes` says that all may go."""

    stops: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] = ()
    yes: bool = False


EVERY_STOP = Deletion()


def parse_deletion(text: str, session: Session) -> Deletion:
    """Numbers of stops, `--yes` for all of them, or `checkpoint` and numbers or names of those."""
    word, _, rest = text.partition(" ")
    if word not in ("checkpoint", "checkpoints", "cp"):
        words = text.split()
        named = " ".join(each for each in words if each != YES)
        return Deletion(parse_stop_ids(named, session), yes=YES in words)
    checkpoints = session.debugger.checkpoints
    ids: list[int] = []
    for each in rest.replace(",", " ").split():
        found = (each,) if each in checkpoints.names else map(str, parse_ids(each, session) if each[0].isdecimal() else (each,))
        ids += [checkpoints.find(name).id for name in found]
    if not ids:
        raise CommandError("delete checkpoint needs an ID", "info checkpoints lists them; for example delete checkpoint 1")
    return Deletion(checkpoints=tuple(dict.fromkeys(ids)))


def _deletable(session: Session) -> Iterable[str]:
    return ["checkpoint", *complete_stop_ids(session), YES]


def _more_deletable(session: Session, head: str) -> Iterable[str]:
    if head.split()[0].startswith("checkpoint"):
        return list(session.debugger.checkpoints.names)
    return complete_stop_ids(session)


Deletable = Annotated[Deletion, Argument("ids", parse_deletion, _deletable, rest=True, after=_more_deletable)]


def forget_checkpoints(session: Session, ids: tuple[int, ...]) -> Done:
    """Delete checkpoints that there are."""
    session.debugger.checkpoints = session.debugger.checkpoints.without(ids)
    return Done(f"{len(ids)} checkpoint{'s' if len(ids) != 1 else ''} deleted")
