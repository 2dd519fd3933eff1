"""A bug of gdrepl: one line for the user, the traceback in a file, and the session goes on."""

from __future__ import annotations

import os
import platform
import traceback
from datetime import datetime
from pathlib import Path

from gdrepl import __version__
from gdrepl.errors import GdreplError, SessionFileError
from gdrepl.recording.journal import journal_folder


def internal_error(error: BaseException, line: str) -> GdreplError:
    """Write the traceback of `error` to a new file; returns the line to show, which says where it is."""
    first = (str(error).splitlines() or [""])[0][:120]
    message = f"internal error: {type(error).__name__}{': ' if first else ''}{first}; please report"
    try:
        return GdreplError(message, f"the traceback is in {_write(error, line)}")
    except (OSError, SessionFileError) as trouble:  # no disk, no home
        return GdreplError(message, f"the traceback could not be written: {trouble}")


def _write(error: BaseException, line: str) -> Path:
    folder = journal_folder().parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"crash-{datetime.now():%Y%m%d-%H%M%S-%f}-{os.getpid()}.txt"
    head = f"gdrepl {__version__}, Python {platform.python_version()}, {platform.platform()}\ncommand: {line}\n\n"
    text = head + "".join(traceback.format_exception(error))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path
