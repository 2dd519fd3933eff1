"""The lines typed before, in a file. A full disk or a forbidden folder costs one line of notice, never a traceback."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from prompt_toolkit.history import FileHistory

MOST_BYTES = 256 * 1024
"""How much of the end of the file is read: suggestions look through all of it at every key."""


class QuietHistory(FileHistory):
    """History that keeps working in memory when its file cannot be read or written, and says so once."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._trouble: str | None = None
        self._told = False

    def append_string(self, string: str) -> None:
        """Remember each line of `string` by itself, without the blank that completion may leave."""
        for line in filter(None, map(str.strip, string.splitlines())):
            if not self._loaded_strings or self._loaded_strings[0] != line:
                super().append_string(line)

    def load_history_strings(self) -> Iterable[str]:
        """The newest lines first."""
        try:
            with open(self._path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - MOST_BYTES))
                text = file.read(MOST_BYTES).decode("utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            self._note("read", error)
            return []
        return [line[1:].strip() for line in reversed(text.splitlines()) if line.startswith("+") and line[1:].strip()]

    def store_string(self, string: str) -> None:
        """Append one line to the file in a single write, so that two sessions may share it."""
        entry = f"\n# {datetime.now():%Y-%m-%d %H:%M:%S}\n+{string}\n".encode("utf-8", errors="replace")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.write(descriptor, entry) < len(entry):
                    self._note("write", OSError("the disk is full"))
            finally:
                os.close(descriptor)
        except OSError as error:
            self._note("write", error)

    def take_trouble(self) -> str | None:
        """What went wrong with the file, the first time that this is asked after it did; then None for ever."""
        if self._trouble is None or self._told:
            return None
        self._told = True
        return self._trouble

    def _note(self, action: str, error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        self._trouble = f"cannot {action} the history file {self._path}: {reason}; it is kept for this session only"
