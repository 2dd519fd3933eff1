"""Going on with a session from its journal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from shutil import get_terminal_size

from gdrepl.commands.files import session_file
from gdrepl.commands.loading import data_places, event_of
from gdrepl.commands.replaying import only_asks, recorded_command, rerun, rerun_cut_off, run_cut_off, session_of
from gdrepl.commands.session import Session
from gdrepl.errors import GdreplError, SessionFileError, one_line
from gdrepl.recording.compare import Tolerance, compare_bodies
from gdrepl.recording.files import read_bytes
from gdrepl.recording.format import Record, decode
from gdrepl.recording.journal import Journal, damage_of, journal_folder, open_journals
from gdrepl.recording.numbers import dumps
from gdrepl.shell.keeper import Keeper
from gdrepl.shell.progress import Activity


def resume_session(file: Path | None, quiet: bool) -> tuple[Session, Keeper]:
    """The session of a journal, its commands run again, and the keeper that goes on with the journal.

    Raises:
        GdreplError: there is none, or it cannot be gone on with; the message names the file.
    """
    path = session_file(file) if file is not None else _latest()
    try:
        return _resume(path, quiet)
    except GdreplError as error:
        error.message = f"{path}: {error.message}" if str(path) not in error.message else error.message
        raise


def _latest() -> Path:
    """The newest journal that was not closed; one that is damaged is told of and left where it is."""
    for path in open_journals(journal_folder()):
        damage = damage_of(path)
        if not damage:
            return path
        print(one_line(f"warning: {path} is left out: {damage}"), file=sys.stderr)
    raise SessionFileError(
        "there is no journal of a session that was not closed", hint="load at the prompt opens saved sessions"
    )


def _resume(path: Path, quiet: bool) -> tuple[Session, Keeper]:
    document = decode(read_bytes(path), strict=False)
    if document.closed:  # it stays as it is, and a journal of its own goes on from there
        session, _ = _rerun(path)
        keeper = Keeper(session)
        keeper.begin_again()
    else:
        journal = Journal.reopen(path)
        try:
            session, cut_off = _rerun(path)
        except BaseException:
            journal.abandon()
            raise
        keeper = Keeper(session, journal)
        if cut_off:
            keeper.keep(session.events[-1])
            _tell_of_cut_off(session)
    for damage in document.damage:
        if damage.kind != "end":  # a journal that was not closed has none
            print(f"warning: {damage}{', and left out' if damage.kind == 'torn' else ''}", file=sys.stderr)
    if not quiet:
        from gdrepl.display.numbers import show
        from gdrepl.display.series import counted

        point = session.debugger.point()
        where = f"step {point.step}, loss {show(point.loss, session.settings.print_precision)}"
        print(f"resumed {one_line(path.name)}: {counted(len(session.events), 'command')}, {where}", file=sys.stderr)
    return session, keeper


def _rerun(path: Path) -> tuple[Session, bool]:
    """The session with the commands run again, and whether the last of them was cut off, so that the journal lacks it."""
    document = decode(read_bytes(path), strict=False)
    with Activity(f"running the commands of {path.name} again", sys.stderr, lambda: get_terminal_size().columns) as activity:
        session = session_of(document, data_places(document.header, path))
        session.debugger.progress = activity.update
        for record in document.records:
            if record.kind != "command":
                continue
            line, result = recorded_command(record)
            if only_asks(line):
                session.events.append(event_of(record))
                continue
            error = rerun(session, line, result)
            if error is not None:
                raise SessionFileError(f"'{line[:60]}' fails now: {error.message}", record.line, error.hint)
            _warn_of_difference(session, record, activity)
        cut_off = run_cut_off(document)
        if cut_off is not None:
            error = rerun_cut_off(session, *cut_off)
            if error is not None:
                raise SessionFileError(f"'{cut_off[0][:60]}', which was cut off, fails now: {error.message}", hint=error.hint)
    return session, cut_off is not None


def _tell_of_cut_off(session: Session) -> None:
    line, taken = session.events[-1].line, session.events[-1].result["taken"]
    told = f"'{line[:60]}' was cut off: {taken} of its steps are kept, of the last seconds before it none"
    print(one_line(f"warning: {told}"), file=sys.stderr)


def _warn_of_difference(session: Session, record: Record, activity: Activity) -> None:
    """Tell of a result that came out differently.

    Raises:
        SessionFileError: it was read from a data file that is another one now; what follows would be another session.
    """
    event = session.events[-1]
    got = json.loads(dumps({"line": event.line, "result": event.result}))
    differences = list(compare_bodies(record, got, Tolerance()))
    if any(difference.field == "sha256" for difference in differences) or (differences and "csv" in event.line):
        hint = "put the file back as it was; to give the session up, remove its journal"
        raise SessionFileError(f"'{event.line[:60]}' finds another file than the session did", record.line, hint)
    if differences:
        with activity.aside():
            print(f"warning: {differences[0]}", file=sys.stderr)
