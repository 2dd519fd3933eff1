"""Commands for session files and scripts: save, load, source."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gdrepl.commands.arguments import FilePath, complete_files, parse_path
from gdrepl.commands.loading import restore
from gdrepl.commands.outcomes import Script
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Done, Loaded, Saved
from gdrepl.commands.saving import keep_aside, real_path, save_as
from gdrepl.commands.session import Session
from gdrepl.commands.stop_script import commands_of
from gdrepl.commands.values import changed_data
from gdrepl.errors import CommandError, SessionFileError
from gdrepl.recording.files import read_bytes, write_atomically
from gdrepl.recording.format import SUFFIX, decode


def with_suffix(path: Path) -> Path:
    """`path`, with .gds added when it has no suffix."""
    return path if path.suffix else path.with_name(path.name + SUFFIX)


def session_file(path: Path) -> Path:
    """The file that `path` names for reading: with .gds added, as `save` does, unless only one without it is there."""
    if not path.name:
        raise SessionFileError(f"'{path}' is not the name of a file", hint="for example hill.gds")
    named = with_suffix(path)
    return path if os.path.exists(path) and not os.path.exists(named) else named


@dataclass(frozen=True, slots=True)
class Target:
    """A file to write the session to, or the stops alone."""

    path: Path
    stops: bool = False


_STOPS = re.compile(r"stops\s+(\S.*)")


def parse_target(text: str, session: Session) -> Target:
    """FILE, or `stops FILE`."""
    if text.strip() == "stops":
        raise CommandError("save stops needs FILE", "save stops FILE writes them; save ./stops is a session of that name")
    stops = _STOPS.fullmatch(text)
    return Target(parse_path(stops[1] if stops else text, session), stops is not None)


SaveTarget = Annotated[Target, Argument("file", parse_target, complete_files, rest=True)]


@registry.command("save", group="files", recorded=False, syntax="FILE | save stops FILE")
def save(session: Session, target: SaveTarget) -> Saved | Done:
    """Write the session to FILE (.gds), or the stops to a script.

    All commands with their results, every branch with its points, and the stops are in it. The file appears whole or not at
    all; one of another session that was there is kept as FILE~. `load` goes on from it bit for bit, `gdrepl replay` and pytest
    run it again.

    `save stops FILE` writes the stops and displays as commands that `source` reads back (.gd).

    Example: save hill
    """
    if target.stops:
        return _save_stops(session, target.path)
    path = with_suffix(target.path)
    kept = save_as(session, path)
    notes = (f"what was there is {kept.name} now",) if kept is not None else ()
    return Saved(str(path), len(session.events), session.debugger.timeline.points(), notes)


def _save_stops(session: Session, path: Path) -> Done:
    path = path if path.suffix else path.with_name(f"{path.name}.gd")
    if path.suffix == SUFFIX:
        raise CommandError(f"{path.name} would be a session file, and stops are written as a script", "for example stops.gd")
    lines = commands_of(session.debugger.stops, session.displays)
    if not lines:
        raise CommandError("there are no stops and no displays to save", "break if loss < 1e-3 sets a stop")
    kept = keep_aside(path, {hashlib.sha256(b"".join(f"{line}\n".encode() for line in lines)).hexdigest()})
    write_atomically(path, [f"{line}\n" for line in lines])
    aside = f"; what was there is {kept.name} now" if kept is not None else ""
    return Done(f"saved {path}: {len(lines)} line{'s' if len(lines) != 1 else ''}{aside}")


@registry.command("load", group="files", recorded=False)
def load(session: Session, path: FilePath) -> Loaded:
    """Go on from the session in FILE, bit for bit.

    Branches, stops, displays and the place where it stood come back. The session in force is given up; its journal keeps it.

    Example: load hill
    """
    target = session_file(path)
    content = read_bytes(target)  # its errors name the file
    try:
        restore(session, decode(content), target)
    except SessionFileError as error:
        error.message = f"{target}: {error.message}"
        raise
    session.files = {real_path(target): hashlib.sha256(content).hexdigest()}
    debugger = session.debugger
    notes = [
        f"{name}: the file of {then.text} {'has changed' if now else 'cannot be read'}; the session's values are used"
        for name, then, now in changed_data(session.definitions.origins, session.seed, session.folders)
    ]
    notes += [f"inside the update from here, behind {debugger.inside.phase}"] if debugger.inside.made else []
    return Loaded(str(target), len(session.events), len(debugger.timeline.branches), debugger.point(), tuple(notes))


@registry.command("source", group="files", recorded=False)
def source(session: Session, path: FilePath) -> Script:
    """Run the commands in FILE, a line each.

    Lines that begin with # are comments. An error names file and line, and ends it.

    Example: source steps.gd
    """
    if path.suffix == SUFFIX:
        raise CommandError(f"{path.name} is a session file, not a script", f"load {path.name} goes on from it")
    try:
        return Script(path.name, tuple(read_bytes(path).decode("utf-8-sig").splitlines()))
    except SessionFileError as error:
        raise CommandError(error.message, error.hint) from error
    except UnicodeDecodeError:
        raise CommandError(f"cannot read {path}: it is not text in UTF-8") from None
