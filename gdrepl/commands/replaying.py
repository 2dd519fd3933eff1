"""Running a recording again: for replay, which compares, and for resume, which goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from gdrepl.commands import all as _all
from gdrepl.commands.line import parts
from gdrepl.commands.loading import data_places, start_from_header, unknown_records
from gdrepl.commands.registry import registry
from gdrepl.commands.saving import real_path, records, save_as, versions
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.commands.values import changed_data
from gdrepl.errors import CommandError, GdreplError, SessionFileError
from gdrepl.recording.compare import MOST_MISMATCHES, Mismatch, Tolerance, compare_records
from gdrepl.recording.files import read_bytes
from gdrepl.recording.format import UNDERWAY, Document, Record, decode, line_of, whole_of
from gdrepl.recording.jsonl import comments
from gdrepl.recording.machine import machine
from gdrepl.recording.numbers import dumps

_ = _all  # importing it registers the commands


@dataclass(frozen=True, slots=True)
class Replay:
    """How one file's replay went.

    Attributes:
        file: as named.
        status: match, mismatch or unreadable.
        mismatches: the first twenty; `more` tells that there are others.
        message: why it is unreadable, or how it matches: bit for bit, or within a tolerance.
        line: where it is unreadable; 0 stands for the whole file.
        commands: how many were run.
        updated: True when the file was rewritten.
    """

    file: str
    status: str
    mismatches: tuple[Mismatch, ...] = ()
    more: bool = False
    message: str = ""
    commands: int = 0
    updated: bool = False
    line: int = 0

    @property
    def exit_status(self) -> int:
        """0 match, 1 mismatch, 2 unreadable."""
        return {"match": 0, "mismatch": 1}.get(self.status, 2)


def replay_file(path: Path, update: bool = False) -> Replay:
    """Run a session file again and compare every result and every point; with `update`, write what came out in its place."""
    try:
        content = read_bytes(path)
        document = decode(content, strict=False)
        serious = [damage for damage in document.damage if damage.kind not in ("checksum", "digest")]
        if serious:
            raise SessionFileError(serious[0].message, serious[0].line)
        session = session_of(document, data_places(document.header, path))
        tolerances = _tolerances(document.header)
        # what no rewriting of this file could cure
        mismatches = [*_changed_data(session, document.header), *_rerun(session, document.records)]
        updated = update and not mismatches
        tolerance = tolerances[0]
        if not mismatches:
            tolerance, mismatches = _compare(document.records, plain_records(session), tolerances)
        mismatches = [*_changed_lines(document, mismatches), *mismatches]
        updated = updated and bool(mismatches or document.damage or not tolerance.is_exact)
        if updated:
            session.files = {real_path(path): hashlib.sha256(content).hexdigest()}
            session.extra_records = list(unknown_records(document.records))
            save_as(session, path, comments(content))
    except GdreplError as error:
        return Replay(str(path), "unreadable", message=error.message, line=getattr(error, "line", 0))
    how = "bit for bit" if tolerance.is_exact else f"within rtol {tolerance.rtol:g}, atol {tolerance.atol:g}"
    status = "mismatch" if mismatches and not updated else "match"
    more, shown = len(mismatches) > MOST_MISMATCHES, tuple(mismatches[:MOST_MISMATCHES])
    return Replay(str(path), status, shown, more, "" if mismatches else how, len(session.events), updated)


def _changed_lines(document: Document, mismatches: Iterable[Mismatch]) -> Iterator[Mismatch]:
    """The lines that differ from what was written, unless a value in them is named already."""
    named = {mismatch.line for mismatch in mismatches}
    lines = {damage.line for damage in document.damage if damage.kind == "checksum"}
    for line in sorted(lines or {damage.line for damage in document.damage}):
        if line not in named:
            yield Mismatch(line, "file", "checksum", None, "the line as written", "another")


def _changed_data(session: Session, record: Record) -> Iterator[Mismatch]:
    """Data files of the header that are not what they were, or not there."""
    for name, then, now in changed_data(session.start.origins, session.seed, session.folders):
        found = "no such file" if now is None else now.sha256
        yield Mismatch(record.line, f"'const {name} = {then.text}'", "sha256", None, then.sha256, found)


def session_of(document: Document, folders: Iterable[Path]) -> Session:
    """A new session that begins as the document's header says.

    Raises:
        SessionFileError: the header describes no start.
    """
    session = Session(Setup(folders=tuple(folders)))
    try:
        session.adopt(start_from_header(document.header))
    except SessionFileError:
        raise
    except GdreplError as error:
        raise SessionFileError(error.message, document.header.line, error.hint) from error
    return session


def _rerun(session: Session, all_records: Iterable[Record]) -> Iterable[Mismatch]:
    """Run the recorded commands; yields a mismatch, the last, when one fails that did not fail then."""
    for record in all_records:
        if record.kind != "command":
            continue
        line, result = recorded_command(record)
        error = rerun(session, line, result)
        if error is not None:
            yield Mismatch(record.line, f"'{line[:60]}'", "result", None, result.get("type"), f"error: {error.message}")
            return


def recorded_command(record: Record) -> tuple[str, Mapping[str, Any]]:
    """The line and the result of a command record.

    Raises:
        SessionFileError: it lacks one of them.
    """
    line, result = record.body.get("line"), record.body.get("result")
    if not isinstance(line, str) or not isinstance(result, Mapping):
        raise SessionFileError("a command record needs a line and a result", record.line)
    return line, result


def rerun(session: Session, line: str, result: Mapping[str, Any]) -> GdreplError | None:
    """Run one recorded command, interrupted where it was interrupted then; returns its error, if any."""
    inner = result.get("stepped")  # stepi tells of the updates on its way
    result = inner if isinstance(inner, Mapping) else result
    stops = result.get("stops")
    interrupted = isinstance(stops, list) and any(
        isinstance(stop, Mapping) and stop.get("kind") == "interrupt" for stop in stops
    )
    taken = result.get("taken")
    session.executor.follows = False  # the commands of its stops were recorded one by one
    asks, session.confirm = session.confirm, lambda question: True  # what an older gdrepl did without asking
    session.debugger.interrupt_after = taken if interrupted and isinstance(taken, int) and taken >= 0 else None
    try:
        for outcome in session.execute(line):
            if outcome.error is not None:
                return outcome.error
    finally:
        session.debugger.interrupt_after = None
        session.executor.follows, session.confirm = True, asks
    return None


def run_cut_off(document: Document) -> tuple[str, int] | None:
    """The line of the run in which the process that wrote a journal was killed, and the updates noted of it.

    Raises:
        SessionFileError: the note is none.
    """
    last = document.records[-1] if document.records else None
    if document.closed or last is None or last.kind != UNDERWAY:
        return None
    try:
        line, taken = line_of(last.body.get("line")), whole_of(last.body.get("taken"))
        if not _is_one_run(line):
            raise ValueError(f"'{line[:60]}' is no run")
    except ValueError as error:
        raise SessionFileError(f"a note of a run: {error}", last.line) from None
    return (line, taken) if taken else None


def only_asks(line: str) -> bool:
    """Whether a recorded line is a question that left nothing behind but its result."""
    try:
        return len(list(parts(line))) == 1 and registry.split(line)[0].asks
    except CommandError:
        return False


def _is_one_run(line: str) -> bool:
    try:
        return len(list(parts(line))) == 1 and registry.split(line)[0].runs
    except CommandError:
        return False


def rerun_cut_off(session: Session, line: str, taken: int) -> GdreplError | None:
    """Make a run again up to where it was cut off, as if it had been interrupted there; returns its error, if any."""
    return rerun(session, line, {"taken": taken, "stops": [{"kind": "interrupt"}]})


def plain_records(session: Session) -> list[tuple[str, Mapping[str, Any]]]:
    """The session's records as a reader of the file would get them."""
    return [(kind, json.loads(dumps(body))) for kind, body in records(session)]


def _compare(
    wanted: Sequence[Record], got: Sequence[tuple[str, Mapping[str, Any]]], tolerances: Sequence[Tolerance]
) -> tuple[Tolerance, list[Mismatch]]:
    """The first tolerance within which all agrees; else the last, with the mismatches."""
    mismatches: list[Mismatch] = []
    for tolerance in tolerances:
        mismatches = list(islice(compare_records(wanted, got, tolerance), MOST_MISMATCHES + 1))
        if not mismatches:
            return tolerance, []
    return tolerances[-1], mismatches


def _tolerances(record: Record) -> list[Tolerance]:
    """Bits where versions and machine are the same; what the header allows elsewhere, on another processor after the bits."""
    now, then = {**versions(), **machine()}, record.body.get("versions", {})
    same = isinstance(then, Mapping) and all(now[name] == then.get(name) for name in ("tensorflow", "keras"))
    older = not isinstance(then, Mapping) or then.get("gdrepl") != now["gdrepl"]
    alike = same and record.body.get("platform") == now["platform"]
    if alike and record.body.get("processor") == now["processor"]:
        return [Tolerance(older=older)]
    allowed = record.body.get("tolerance", {})
    try:
        tolerance = Tolerance(float(allowed["rtol"]), float(allowed["atol"]), older)
    except (KeyError, TypeError, ValueError):
        raise SessionFileError("the header lacks a tolerance", record.line) from None
    return [Tolerance(older=older), tolerance] if alike else [tolerance]
