"""`gdrepl replay` and `gdrepl show`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gdrepl.commands.files import with_suffix
from gdrepl.commands.replaying import Replay, replay_file
from gdrepl.commands.showing import show_file
from gdrepl.display.series import counted
from gdrepl.errors import SessionFileError
from gdrepl.recording.numbers import dumps, result_to_json, to_json
from gdrepl.shell.lines import refuse
from gdrepl.shell.screen import error_line, style_from


def replay_files(files: Sequence[Path], as_json: bool, update: bool) -> int:
    """Replay each file; the status is the worst of theirs."""
    if update and os.environ.get("CI"):
        print("gdrepl: --update is refused when CI is set: a recording is renewed by a person", file=sys.stderr)
        return 2
    worst = 0
    for file in files:
        replay = replay_file(file if file.exists() else with_suffix(file), update)
        print(dumps(_to_json(replay)) if as_json else _text(replay, update), flush=True)
        worst = max(worst, replay.exit_status)
    return worst


def _to_json(replay: Replay) -> dict[str, object]:
    plain = to_json(replay)
    assert isinstance(plain, dict)
    return plain


def _text(replay: Replay, update: bool) -> str:
    if replay.status == "unreadable":
        return replay.message if replay.file in replay.message else f"{replay.file}: cannot be read: {replay.message}"
    if replay.updated:
        return f"{replay.file}: rewritten ({counted(len(replay.mismatches), 'difference')})"
    if replay.mismatches:
        refused = ", and is left as it was: rewriting would not mend this" if update else ""
        return "\n".join([f"{replay.file}: does not match{refused}", *(f"  {mismatch}" for mismatch in replay.mismatches)])
    kept = ", left as it is" if update else ""
    return f"{replay.file}: matches {replay.message} ({counted(replay.commands, 'command')}){kept}"


def show(options: argparse.Namespace) -> int:
    """Print the summary of a session file."""
    style = style_from(options)
    try:
        results = show_file(options.file if options.file.exists() else with_suffix(options.file))
    except SessionFileError as error:
        error.message = error.message if str(options.file) in error.message else f"{options.file}: {error.message}"
        if options.json:
            return refuse(error, as_json=True)
        print(error_line(error.message, style), file=sys.stderr)
        return 2
    if options.json:
        for result in results:
            print(dumps(result_to_json(result)))
        return 0
    from gdrepl.display.views import make_console, render

    console = make_console(sys.stdout, style)
    for result in results:
        console.print(render(result, style))
    return 0
