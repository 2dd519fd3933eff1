"""Keeps a session's journal: each command is written before it is acknowledged, whatever happens to the process later."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from gdrepl.commands.saving import FOLDERS, header
from gdrepl.commands.session import Event, Session
from gdrepl.engine.moves import Progress
from gdrepl.errors import SessionFileError
from gdrepl.recording.format import UNDERWAY
from gdrepl.recording.journal import Journal, journal_folder, prune

SECONDS_BETWEEN_NOTES = 2.0
"""How much of a run a killed process may lose."""


class Keeper:
    """The journal of one session; it is created with the first command worth keeping."""

    def __init__(self, session: Session, journal: Journal | None = None) -> None:
        self._session = session
        self._journal = journal
        self._broken = False
        self._held: list[Event] = []
        self._noted, self._noted_at = "", 0.0
        self._lock = threading.RLock()
        session.on_ready = self.release
        session.on_event = self.keep
        session.on_reload = self.begin_again
        session.on_progress = self.note_run
        session.on_given_up = self.forget_run

    def keep(self, event: Event) -> None:
        """Write one event. A journal that cannot be written is told of once; the session goes on without it.

        Before the session knows its start there is no header to begin the journal with: the event waits for that.
        """
        with self._lock:
            self._noted, self._noted_at = "", 0.0
            self._held.append(event)
            if self._session.ready:
                self.release()

    def release(self) -> None:
        """Write the events that have waited."""
        with self._lock:
            held, self._held = self._held, []
            if held:
                self._write([_command(event) for event in held])

    def _write(self, records: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Append to the journal, which begins with the first record."""
        with self._lock:
            if self._broken:
                return
            try:
                if self._journal is None:
                    self._create()
                assert self._journal is not None
                for kind, body in records:
                    self._journal.append(kind, body)
            except SessionFileError as error:
                self._broken = True
                print(f"warning: {error.message}", file=sys.stderr)

    def note_run(self, line: str, progress: Progress) -> None:
        """Write every few seconds how far a run has come, which is what is kept of it when the process is killed.

        The line and a number are enough, since the run can be made again.
        """
        if progress.seconds - self._noted_at >= SECONDS_BETWEEN_NOTES:
            self._noted, self._noted_at = line, progress.seconds
            self._write([(UNDERWAY, {"line": line, "taken": progress.taken})])

    def forget_run(self) -> None:
        """The run that was noted failed, or was given up: it must not be made again."""
        line, self._noted, self._noted_at = self._noted, "", 0.0
        if line:
            self._write([(UNDERWAY, {"line": line, "taken": 0})])

    def begin_again(self) -> None:
        """Another session was loaded: close this journal and write the loaded commands into a new one."""
        self.close()
        self._journal = None
        if self._session.events:
            self._write([_command(event) for event in self._session.events])

    def sync(self) -> None:
        """Make what was written outlast a power cut."""
        if self._journal is not None:
            with contextlib.suppress(SessionFileError):
                self._journal.sync()

    def close(self) -> None:
        """Write the end record: the session ended of its own accord."""
        if self._journal is not None:
            with contextlib.suppress(SessionFileError):
                self._journal.close()

    def abandon(self) -> None:
        """Leave the journal open for `gdrepl resume`: the session was ended from outside."""
        if self._journal is not None:
            self._journal.abandon()

    def _create(self) -> None:
        folder = journal_folder()
        body = self._session.header_body or header(self._session.start)
        self._journal = Journal.create(folder, {**body, **_folders(self._session)})
        prune(folder)


def _command(event: Event) -> tuple[str, Mapping[str, Any]]:
    return "command", {"line": event.line, "result": event.result}


def _folders(session: Session) -> dict[str, list[str]]:
    """Where the session looks for data files, since `gdrepl resume` may be typed elsewhere; `save` leaves it out."""
    try:
        folders = [str(folder.resolve()) for folder in session.folders]
        "".join(folders).encode()
    except (OSError, UnicodeEncodeError):  # one was removed meanwhile, or its name is no text
        return {}
    return {FOLDERS: list(dict.fromkeys(folders))}
