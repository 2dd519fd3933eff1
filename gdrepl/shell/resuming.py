"""Going on with a session from its journal."""

from __future__ import annotations

import sys
from pathlib import Path

from gdrepl.commands.replaying import recorded_command, rerun, session_of
from gdrepl.commands.session import Session
from gdrepl.errors import GdreplError, SessionFileError
from gdrepl.recording.compare import Tolerance, compare_bodies
from gdrepl.recording.files import read_bytes
from gdrepl.recording.format import NO_END, decode
from gdrepl.recording.journal import Journal, journal_folder, latest_open
from gdrepl.recording.numbers import dumps
from gdrepl.shell.keeper import Keeper


def resume_session(file: Path | None, quiet: bool) -> tuple[Session | None, Keeper]:
    """The session of a journal, its commands run again, and the keeper that goes on with the journal; None when that fails."""
    try:
        path = file or latest_open(journal_folder())
        if path is None:
            raise SessionFileError(
                "there is no journal of a session that was not closed", hint="load at the prompt opens saved sessions"
            )
        return _resume(path, quiet)
    except GdreplError as error:
        print(f"gdrepl: {error.message}", *([error.hint] if error.hint else []), sep="\n  ", file=sys.stderr)
        return None, None  # type: ignore[return-value]


def _resume(path: Path, quiet: bool) -> tuple[Session, Keeper]:
    document = decode(read_bytes(path), strict=False)
    if document.closed:  # it stays as it is, and a journal of its own goes on from there
        session = _rerun(path)
        keeper = Keeper(session)
        keeper.begin_again()
    else:
        journal = Journal.reopen(path)
        try:
            session = _rerun(path)
        except BaseException:
            journal.abandon()
            raise
        keeper = Keeper(session, journal)
    for damage in document.damage:
        if damage.message != NO_END:  # a journal that was not closed has none
            print(f"warning: {damage}", file=sys.stderr)
    if not quiet:
        from gdrepl.display.numbers import show

        point = session.debugger.point()
        where = f"step {point.step}, loss {show(point.loss, session.settings.print_precision)}"
        print(f"resumed {path.name}: {len(session.events)} commands, {where}", file=sys.stderr)
    return session, keeper


def _rerun(path: Path) -> Session:
    document = decode(read_bytes(path), strict=False)
    session = session_of(document, [Path(), path.resolve().parent])
    for record in document.records:
        if record.kind != "command":
            continue
        line, result = recorded_command(record)
        error = rerun(session, line, result)
        if error is not None:
            raise SessionFileError(f"'{line[:60]}' fails now: {error.message}", record.line, error.hint)
        _warn_of_difference(session, record)
    return session


def _warn_of_difference(session: Session, record: object) -> None:
    import json

    from gdrepl.recording.format import Record

    assert isinstance(record, Record)
    event = session.events[-1]
    got = json.loads(dumps({"line": event.line, "result": event.result}))
    difference = next(compare_bodies(record, got, Tolerance()), None)
    if difference is not None:
        print(f"warning: {difference}", file=sys.stderr)
