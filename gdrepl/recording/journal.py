"""The journal: a session file that is appended to as the session goes on, so that a crash loses nothing acknowledged.

One `os.write` an event reaches the kernel before the command is acknowledged, so it outlives the process; an fsync once a
second bounds what a power cut can take.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gdrepl.errors import SessionFileError
from gdrepl.recording.files import Lock, explain, is_locked, read_bytes, sync_folder
from gdrepl.recording.format import SUFFIX, Encoder

SECONDS_BETWEEN_SYNCS = 1.0
_TAIL = 64 << 10
_CHECKSUM = re.compile(rb'"sum":"[0-9a-f]{8}"\}\Z')


class Journal:
    """An open journal, locked by this process. Make one with `create` or `reopen`."""

    def __init__(self, path: Path, lock: Lock, descriptor: int, encoder: Encoder, size: int) -> None:
        self.path = path
        self._lock = lock
        self._descriptor = descriptor
        self._encoder = encoder
        self._size = size
        self._synced = time.monotonic()

    @classmethod
    def create(cls, folder: Path, header_body: Mapping[str, Any]) -> Journal:
        """A new journal in `folder`, which is made when it is not there; both are for their owner only.

        Raises:
            SessionFileError: the folder or the file cannot be made, or the header not written. No file stays behind.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise explain("make the folder", folder, error) from error
        path, lock, descriptor = _new_file(folder)
        journal = cls(path, lock, descriptor, Encoder(), 0)
        try:
            journal._add(lambda encoder: encoder.header(header_body))
            journal.sync()
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            journal.abandon()
            raise
        sync_folder(folder)
        return journal

    @classmethod
    def reopen(cls, path: Path) -> Journal:
        """Go on with a journal that was not closed; a torn last line, which nobody was told of, is cut off.

        A last line that lacks nothing but its newline is whole.

        Raises:
            SessionFileError: it is locked, closed or damaged otherwise, or cannot be opened. The file is untouched.
        """
        lock = Lock(path)
        lock.acquire()
        try:
            data = read_bytes(path)
            whole, encoder = _whole_lines(data)
            descriptor = _open_at(path, min(len(whole), len(data)))
            _write_all(descriptor, whole[len(data) :])
        except BaseException:
            lock.release()
            raise
        return cls(path, lock, descriptor, encoder, len(whole))

    @property
    def is_open(self) -> bool:
        """False after `close`, `abandon` or a failed write."""
        return self._descriptor >= 0

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        """Write one event; when this returns, the event outlives the process. Does nothing when the journal is not open.

        Raises:
            SessionFileError: the write failed. The journal then ends before this event, and is not open any more.
            ValueError, TypeError: `kind` or `body` cannot be written. The journal is as before.
        """
        if not self.is_open:
            return
        self._add(lambda encoder: encoder.record(kind, body))
        if time.monotonic() - self._synced >= SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Make all that was appended last through a power cut.

        Raises:
            SessionFileError: the disk reports an error. The journal is not open any more.
        """
        if not self.is_open:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._failed(error) from error
        self._synced = time.monotonic()

    def close(self) -> None:
        """Write the end record and unlock. Does nothing when the journal is not open.

        Raises:
            SessionFileError: the end record cannot be written. The journal is unlocked all the same.
        """
        if not self.is_open:
            return
        try:
            self._add(lambda encoder: encoder.end())
            self.sync()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go without an end record, so that `open_journals` finds it."""
        if self.is_open:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.release()

    def _add(self, encode: Callable[[Encoder], str]) -> None:
        """Write one line, or leave file and encoder as they were: an interrupt may come between any two statements."""
        before = self._encoder.copy()
        try:
            data = encode(self._encoder).encode()
            _write_all(self._descriptor, data)
            self._size += len(data)
        except BaseException as error:
            self._encoder = before
            with contextlib.suppress(OSError):  # what stays of the line is a torn last line, which readers expect
                os.ftruncate(self._descriptor, self._size)
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise

    def _failed(self, error: OSError) -> SessionFileError:
        self.abandon()
        told = explain("write the journal", self.path, error)
        return SessionFileError(f"{told.message}; the session goes on without a journal", hint=told.hint)


def journal_folder() -> Path:
    """`$XDG_STATE_HOME/gdrepl/journal`, or `~/.local/state/gdrepl/journal`.

    Raises:
        SessionFileError: there is no home folder.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(state):  # the XDG rules: a relative path is to be ignored
        return Path(state) / "gdrepl" / "journal"
    try:
        return Path.home() / ".local" / "state" / "gdrepl" / "journal"
    except RuntimeError:
        raise SessionFileError("there is no home folder for the journal", hint="set XDG_STATE_HOME") from None


def open_journals(folder: Path) -> Iterator[Path]:
    """The journals that are neither closed nor locked by a live process, newest first."""
    for path in _newest_first(folder):
        with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
            last = _last_line(path)
            if last and not _is_end(last) and not is_locked(path):
                yield path


def damage_of(path: Path) -> str:
    """Why a journal cannot be gone on with, in a line; empty when it can."""
    try:
        _whole_lines(read_bytes(path))
    except SessionFileError as error:
        return error.message
    return ""


def prune(folder: Path, keep: int = 20) -> list[Path]:
    """Remove all but the newest `keep` of the closed journals; returns those removed. Open journals always stay.

    Raises:
        ValueError: `keep` is negative.
    """
    if keep < 0:
        raise ValueError(f"cannot keep {keep} journals")
    closed = [path for path in _newest_first(folder) if _is_closed(path)]
    removed = []
    for path in closed[keep:]:
        with contextlib.suppress(OSError):  # another gdrepl may prune at the same time
            path.unlink()
            removed.append(path)
    return removed


def _new_file(folder: Path) -> tuple[Path, Lock, int]:
    """A name that is free, locked before the file is there, so that no other process can take it for a crashed one.

    Raises:
        SessionFileError: the file cannot be made.
    """
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    number = 0
    while True:
        path = folder / (f"{stem}-{number}{SUFFIX}" if number else f"{stem}{SUFFIX}")
        number += 1
        if path.exists():
            continue
        lock = Lock(path)
        lock.acquire()
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            return path, lock, os.open(path, flags, 0o600)
        except FileExistsError:
            lock.release()
        except OSError as error:
            lock.release()
            raise explain("write the journal", path, error) from error


def _whole_lines(data: bytes) -> tuple[bytes, Encoder]:
    """The lines of a journal that are whole, and the encoder that goes on after them.

    Raises:
        SessionFileError: it is closed, or damaged otherwise than at its end.
    """
    lines = data[: data.rfind(b"\n") + 1]
    if _CHECKSUM.search(data):  # which ends the line that lacks its newline
        with contextlib.suppress(SessionFileError):
            return data + b"\n", Encoder.resume(data + b"\n")
    return lines, Encoder.resume(lines)


def _open_at(path: Path, size: int) -> int:
    """Open for appending after the first `size` bytes, cutting off the rest.

    Raises:
        SessionFileError: the file cannot be opened or cut.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError as error:
        raise explain("write the journal", path, error) from error
    try:
        os.ftruncate(descriptor, size)
    except OSError as error:
        os.close(descriptor)
        raise explain("write the journal", path, error) from error
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    """One write; more only when the kernel took a part, as it does when the disk fills up or a signal comes."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _newest_first(folder: Path) -> list[Path]:
    """By the time of the last write, then by name."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(found, reverse=True)]


def _is_closed(path: Path) -> bool:
    try:
        return _is_end(_last_line(path))
    except OSError:
        return False


def _last_line(path: Path) -> bytes:
    """The last line, or its last 64 KiB, which no end record comes near; empty when not even the header is whole."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    if size <= _TAIL and b"\n" not in tail:
        return b""
    return tail.removesuffix(b"\n").rpartition(b"\n")[2]


def _is_end(line: bytes) -> bool:
    """The last line alone tells, so that the start of gdrepl need not read every journal."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # torn, or the end of a very long line
        return False
    return isinstance(value, dict) and value.get("kind") == "end"
