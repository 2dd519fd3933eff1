"""Commands for session files and scripts: save, load, source."""

from __future__ import annotations

import os
from pathlib import Path

from gdrepl.commands.arguments import FilePath
from gdrepl.commands.loading import restore
from gdrepl.commands.registry import registry
from gdrepl.commands.results import Done, Loaded, Saved
from gdrepl.commands.saving import save_as
from gdrepl.commands.session import Session
from gdrepl.commands.values import changed_data
from gdrepl.errors import CommandError, SessionFileError
from gdrepl.recording.files import read_bytes
from gdrepl.recording.format import decode

SUFFIX = ".gds"


def with_suffix(path: Path) -> Path:
    """`path`, with .gds added when it has no suffix."""
    return path if path.suffix else path.with_name(path.name + SUFFIX)


@registry.command("save", group="files", recorded=False)
def save(session: Session, path: FilePath) -> Saved:
    """Write the session to FILE (.gds).

    All commands with their results, every branch with its points, and the stops are in it. The file appears whole or not at
    all. `load` goes on from it bit for bit, `gdrepl replay` and pytest run it again.

    Example: save hill
    """
    target = with_suffix(path)
    save_as(session, target)
    return Saved(str(target), len(session.events), session.debugger.timeline.points())


@registry.command("load", group="files", recorded=False)
def load(session: Session, path: FilePath) -> Loaded:
    """Go on from the session in FILE, bit for bit.

    Branches, stops, displays and the place where it stood come back. The session in force is given up; its journal keeps it.

    Example: load hill
    """
    target = path if os.path.exists(path) else with_suffix(path)
    content = read_bytes(target)  # its errors name the file
    try:
        restore(session, decode(content))
    except SessionFileError as error:
        error.message = f"{target}: {error.message}"
        raise
    folder = target.resolve().parent
    if folder not in session.folders:
        session.folders = (*session.folders, folder)
    debugger = session.debugger
    notes = [
        f"{name}: the file of {then.text} {'has changed' if now else 'cannot be read'}; the session's values are used"
        for name, then, now in changed_data(session.origins, session.seed, session.folders)
    ]
    return Loaded(str(target), len(session.events), len(debugger.timeline.branches), debugger.point(), tuple(notes))


@registry.command("source", group="files", recorded=False)
def source(session: Session, path: FilePath) -> Done:
    """Run the commands in FILE, a line each.

    Lines that begin with # are comments. An error names file and line, and ends it.

    Example: source steps.gd
    """
    raise CommandError("source is run line by line")  # the session does so before it comes here


__all__ = ["SUFFIX", "load", "save", "source", "with_suffix"]
