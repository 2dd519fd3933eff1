"""`gdrepl replay` and `gdrepl show`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gdrepl.commands.files import session_file
from gdrepl.commands.replaying import Replay, replay_file
from gdrepl.commands.showing import show_file
from gdrepl.display.series import counted
from gdrepl.errors import CommandError, SessionFileError
from gdrepl.recording.format import SUFFIX
from gdrepl.recording.numbers import dumps, result_to_json, to_json
from gdrepl.shell.lines import refuse
from gdrepl.shell.screen import style_from


def replay_files(files: Sequence[Path], as_json: bool, update: bool) -> int:
    """Replay each file; the status is the worst of theirs."""
    if update and os.environ.get("CI"):
        return refuse(CommandError("--update is refused when CI is set: a recording is renewed by a person"), as_json)
    worst = 0
    for empty in (file for file in files if os.path.isdir(file) and not any(_each([file]))):
        worst = refuse(SessionFileError(f"there are no session files ({SUFFIX}) in {empty}"), as_json)
    for file in _each(files):
        replay = replay_file(file, update)
        print(dumps(_to_json(replay)) if as_json else _text(replay, update), flush=True)
        worst = max(worst, replay.exit_status)
    return worst


def _each(files: Sequence[Path]) -> Iterator[Path]:
    """The files, and for a folder the session files in it."""
    for file in files:
        if os.path.isdir(file):
            yield from sorted(path for path in file.rglob(f"*{SUFFIX}") if path.is_file())
        else:
            yield session_file(file)


def _to_json(replay: Replay) -> dict[str, object]:
    plain = to_json(replay)
    assert isinstance(plain, dict)
    return plain


def _text(replay: Replay, update: bool) -> str:
    if replay.status == "unreadable":
        return replay.message if replay.file in replay.message else f"{replay.file}: cannot be read: {replay.message}"
    listed = [f"  {mismatch}" for mismatch in replay.mismatches] + (["  and more"] if replay.more else [])
    if replay.updated:
        return "\n".join([f"{replay.file}: rewritten", *listed])
    if replay.mismatches:
        refused = ", and is left as it was: rewriting would not mend this" if update else ""
        return "\n".join([f"{replay.file}: does not match{refused}", *listed])
    kept = ", left as it is" if update else ""
    return f"{replay.file}: matches {replay.message} ({counted(replay.commands, 'command')}){kept}"


def show(options: argparse.Namespace) -> int:
    """Print the summary of a session file."""
    style = style_from(options)
    try:
        results = show_file(session_file(options.file))
    except SessionFileError as error:
        error.message = error.message if str(options.file) in error.message else f"{options.file}: {error.message}"
        return refuse(error, options.json)
    status = int("damage" in results[0].facts)
    if options.json:
        for result in results:
            print(dumps(result_to_json(result)))
        return status
    from gdrepl.display.views import make_console, render

    console = make_console(sys.stdout, style)
    for result in results:
        console.print(render(result, style))
    return status
