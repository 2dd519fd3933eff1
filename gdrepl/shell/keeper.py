"""Keeps a session's journal: each command is written before it is acknowledged, whatever happens to the process later."""

from __future__ import annotations

import contextlib
import sys
import threading

from gdrepl.commands.saving import FOLDERS, header
from gdrepl.commands.session import Event, Session
from gdrepl.errors import SessionFileError
from gdrepl.recording.journal import Journal, journal_folder, prune


class Keeper:
    """The journal of one session; it is created with the first command worth keeping."""

    def __init__(self, session: Session, journal: Journal | None = None) -> None:
        self._session = session
        self._journal = journal
        self._broken = False
        self._held: list[Event] = []
        self._lock = threading.RLock()
        session.on_ready = self.release
        session.on_event = self.keep
        session.on_reload = self.begin_again

    def keep(self, event: Event) -> None:
        """Write one event. A journal that cannot be written is told of once; the session goes on without it.

        Before the session knows its start there is no header to begin the journal with: the event waits for that.
        """
        with self._lock:
            self._held.append(event)
            if self._session.ready:
                self.release()

    def release(self) -> None:
        """Write the events that have waited."""
        with self._lock:
            held, self._held = self._held, []
            if self._broken or not held:
                return
            try:
                if self._journal is None:
                    self._create(held)
                else:
                    for event in held:
                        self._journal.append("command", {"line": event.line, "result": event.result})
            except SessionFileError as error:
                self._broken = True
                print(f"warning: {error.message}", file=sys.stderr)

    def begin_again(self) -> None:
        """Another session was loaded: close this journal and write the loaded commands into a new one."""
        self.close()
        self._journal = None
        if not self._broken and self._session.events:
            try:
                self._create(self._session.events)
            except SessionFileError as error:
                self._broken = True
                print(f"warning: {error.message}", file=sys.stderr)

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

    def _create(self, events: list[Event]) -> None:
        folder = journal_folder()
        body = self._session.header_body or header(self._session.start)
        self._journal = Journal.create(folder, {**body, **_folders(self._session)})
        for event in events:
            self._journal.append("command", {"line": event.line, "result": event.result})
        prune(folder)


def _folders(session: Session) -> dict[str, list[str]]:
    """Where the session looks for data files, since `gdrepl resume` may be typed elsewhere; `save` leaves it out."""
    try:
        folders = [str(folder.resolve()) for folder in session.folders]
        "".join(folders).encode()
    except (OSError, UnicodeEncodeError):  # one was removed meanwhile, or its name is no text
        return {}
    return {FOLDERS: list(dict.fromkeys(folders))}
