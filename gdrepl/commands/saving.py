"""A session as the records of a session file."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdrepl import __version__
from gdrepl.commands.saving_own import kept_record, own_to_plain, shown_record
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Start
from gdrepl.commands.stop_info import stop_to_plain
from gdrepl.commands.values import data_folder
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.problem import Origin, Problem
from gdrepl.engine.rows import Columns
from gdrepl.engine.segment import Segment
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.engine.timeline import Position
from gdrepl.recording.columns import columns_to_records
from gdrepl.recording.files import explain, write_atomically
from gdrepl.recording.format import Encoder
from gdrepl.recording.machine import machine
from gdrepl.recording.numbers import to_json

TOLERANCE = {"float32": {"rtol": 1e-3, "atol": 1e-5}, "float64": {"rtol": 1e-6, "atol": 1e-10}}
FOLDERS = "folders"
"""The member of a header that names folders in which data is looked for: in a journal all of them, in a session file those in
which data was found that does not lie beside it, as they are reached from there."""


def header(start: Start) -> dict[str, Any]:
    """The header of a session that began from `start`: its identity, and the versions it ran with."""
    return {
        "problem": _problem_to_plain(start.problem),
        "optimizer": start.spec.to_plain(),
        "dtype": start.problem.dtype,
        "engine": start.engine,
        "seed": start.seed,
        "variables": _leftover(start.variables, start.problem.parameters),
        "constants": _leftover(start.constants, start.problem.constants),
        **_origins_left(start),
        **({"settings": dict(start.settings)} if start.settings else {}),
        "versions": versions(),
        **machine(),
        "tolerance": TOLERANCE[start.problem.dtype],
    }


def _origins_left(start: Start) -> dict[str, Any]:
    """Where the values came from that the problem does not read; nothing where there are none."""
    left = {name: origin for name, origin in start.origins.items() if name not in start.problem.origins}
    return {"origins": _origins_to_plain(left)} if left else {}


def versions() -> dict[str, str]:
    """The versions that bits depend on; asks the installed packages' metadata, so nothing is imported."""
    return {"gdrepl": __version__, **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}}


def records(session: Session) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(kind, body) of everything after the header: commands, then the timeline, then where we stand."""
    extra = list(session.extra_records)
    for number, (kind, body) in enumerate(_own_records(session)):
        while extra and extra[0][0] <= number:
            yield extra[0][1], extra.pop(0)[2]
        yield kind, body
    for _, kind, body in extra:
        yield kind, body


def _own_records(session: Session) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for event in session.events:
        yield "command", {"line": event.line, "result": event.result}
    debugger = session.debugger
    segments = debugger.timeline.segments()
    problems: list[Problem] = []
    for segment in segments:
        if segment.recipe.problem not in problems:
            problems.append(segment.recipe.problem)
            yield "problem", {"id": len(problems), **_problem_to_plain(segment.recipe.problem)}
    for segment in segments:
        yield from _segment_records(debugger, segment, problems.index(segment.recipe.problem) + 1)
    for branch in debugger.timeline.branches.values():
        stretches = [[stretch.segment.id, stretch.last] for stretch in branch.stretches]
        yield (
            "branch",
            {"name": branch.name, "parent": branch.parent, "fork_step": branch.fork_step, "stretches": stretches},
        )
    yield from kept_record(session)
    yield from shown_record(session)
    if session.events and debugger.places.whole:
        visited = [_position_to_plain(place) for place in debugger.places.items]
        yield "places", {"visited": visited, "index": debugger.places.index}
    yield "state", _state(session)


def _segment_records(debugger: Debugger, segment: Segment, problem: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    recipe = segment.recipe
    yield (
        "segment",
        {
            "id": segment.id,
            "problem": problem,
            "optimizer": recipe.spec.to_plain(),
            "engine": recipe.engine,
            "label": segment.label,
            "start": _snapshot_to_plain(segment.start),
            "tip": _snapshot_to_plain(segment.tip),
        },
    )
    if segment.last > segment.start.step:
        first = segment.start.step + 1
        columns = _flat(segment.columns(first, debugger.past.rows(segment, first, segment.last)))
        for body in columns_to_records(first, columns):
            yield "points", {"segment": segment.id, **body}


def _flat(columns: Columns) -> dict[str, Array]:
    """By their names in the file: loss, learning_rate, parameters.NAME and gradient.NAME."""
    named = {"loss": columns.loss, "learning_rate": columns.learning_rate}
    named |= {f"parameters.{name}": value for name, value in columns.parameters.items()}
    return named | {f"gradient.{name}": value for name, value in columns.gradient.items()}


def _problem_to_plain(problem: Problem) -> dict[str, Any]:
    return {
        "name": problem.name,
        "loss": problem.loss.text,
        "dtype": problem.dtype,
        "parameters": to_json(dict(problem.parameters)),
        "constants": to_json(dict(problem.constants)),
        "origins": _origins_to_plain(problem.origins),
    }


def _origins_to_plain(origins: Mapping[str, Origin]) -> dict[str, Any]:
    return {name: {"text": origin.text, "sha256": origin.sha256} for name, origin in origins.items()}


def _snapshot_to_plain(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "step": snapshot.step,
        "parameters": to_json(dict(snapshot.parameters)),
        "slots": [{"dtype": str(slot.dtype), "value": to_json(slot)} for slot in snapshot.slots],
        "loss": to_json(snapshot.loss),
        "gradient": to_json(dict(snapshot.gradient)),
        "learning_rate": to_json(snapshot.learning_rate),
    }


def _state(session: Session) -> dict[str, Any]:
    debugger = session.debugger
    position, definitions, problem = debugger.position, session.definitions, debugger.problem
    undefined = [name for name in (*problem.parameters, *problem.constants) if name not in definitions.values()]
    return {
        "branch": position.branch,
        "index": position.index,
        "step": position.step,
        "stops": [stop_to_plain(item) for item in debugger.stops],
        "next_stop": debugger.stops.next_id,
        "displays": [{"id": item.id, "expression": item.expression.text} for item in session.displays],
        "next_display": session.next_display,
        "max_steps": debugger.max_steps,
        "history_limit": session.settings.history_limit,
        "print_precision": session.settings.print_precision,
        "seed": session.seed,
        "variables": _leftover(definitions.variables, problem.parameters),
        "constants": _leftover(definitions.constants, problem.constants),
        "origins": _origins_to_plain(
            {name: origin for name, origin in definitions.origins.items() if problem.origins.get(name) != origin}
        ),
        **({"undefined": undefined} if undefined else {}),
        **own_to_plain(session),
        **_marks(debugger),
        **({"phase": debugger.inside.made} if debugger.inside.made else {}),
    }


def _position_to_plain(position: Position) -> list[Any]:
    return [position.branch, position.index, position.step]


def _marks(debugger: Debugger) -> dict[str, Any]:
    """The checkpoints, and what else of the tree is not as it is at the beginning; nothing where all is."""
    marks = debugger.checkpoints
    plain = [{"id": item.id, "name": item.name, "position": _position_to_plain(item.position)} for item in marks]
    free = debugger.timeline.first_free
    return {
        **({"checkpoints": plain} if plain else {}),
        **({"next_checkpoint": marks.next_id} if marks.next_id > 1 else {}),
        **({"first_free_branch": free} if free > 1 else {}),
    }


def _leftover(values: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the problem does not hold itself, or holds in fewer digits than were typed or drawn."""
    plain = {name: to_json(value) for name, value in values.items()}
    # By name: the order in which they were defined is not kept by everything that a session goes through.
    return {name: plain[name] for name in sorted(plain) if name not in used or plain[name] != to_json(used[name])}


def save_as(session: Session, path: Path, comments: Sequence[tuple[int, str]] = ()) -> Path | None:
    """Write the session whole to `path`; returns where another session's file that was there is kept, if one was.

    Args:
        comments: lines to put between, each behind so many others.

    Raises:
        SessionFileError: it cannot be written; what was there stays.
    """
    encoder, place = Encoder(), real_path(path)
    body = {**(session.header_body or header(session.start)), **_data_folders(session, place.parent)}
    lines = [encoder.header(body), *(encoder.record(kind, body) for kind, body in records(session)), encoder.end()]
    last = len(lines)
    for behind, comment in reversed(comments):
        lines.insert(min(behind, last), comment)
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    kept = keep_aside(path, {session.files.get(place), digest.hexdigest()})
    write_atomically(path, lines)
    session.files = {**session.files, place: digest.hexdigest()}
    return kept


def real_path(path: Path) -> Path:
    """Where `path` leads, whether it is there or not.

    Raises:
        SessionFileError: it cannot be told, as in a folder that was removed.
    """
    try:
        return Path(os.path.realpath(path))
    except OSError as error:
        raise explain("write", path, error) from error


def keep_aside(path: Path, known: Collection[str | None]) -> Path | None:
    """Copy the file that is at `path` to `path~`, unless its SHA-256 is known; returns the copy."""
    copy = path.with_name(path.name + "~")
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() in known:
                return None
        shutil.copyfile(path, copy)
        shutil.copymode(path, copy)
    except OSError as error:
        raise explain("write", copy, error) from error
    return copy


def _data_folders(session: Session, here: Path) -> dict[str, list[str]]:
    """The folders of data files other than `here`, as they are reached from it; nothing where there are none."""
    segments = session.debugger.timeline.segments()
    origins = [session.start.origins, session.definitions.origins, *(segment.recipe.problem.origins for segment in segments)]
    reached = set()
    for origin in {origin for table in origins for origin in table.values()}:
        folder = data_folder(origin, session.folders)
        if folder is not None and folder.resolve() != here:
            reached.add(Path(os.path.relpath(folder.resolve(), here)).as_posix())
    return {FOLDERS: sorted(reached)} if reached else {}
