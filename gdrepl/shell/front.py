"""One session from its first command to its last: -c and -x first, then the prompt or plain lines."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable
from pathlib import Path

from gdrepl.commands import all as _all
from gdrepl.commands.session import Session
from gdrepl.display.style import Style
from gdrepl.errors import GdreplError
from gdrepl.shell.keeper import Keeper
from gdrepl.shell.lines import INTERRUPTED, LineRunner
from gdrepl.shell.screen import is_dumb, style_from
from gdrepl.shell.signals import Signals
from gdrepl.shell.startup import INIT, init_lines

_ = _all  # importing it registers the commands


def run_session(session: Session, options: argparse.Namespace, keeper: Keeper) -> int:
    """Run a session as the options say; returns the exit status."""
    if sys.stdin is None:  # closed, as under some job schedulers
        sys.stdin = io.StringIO()
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    prompting = at_terminal and not options.batch and not options.json

    def style() -> Style:
        return style_from(options, session.settings.print_precision)

    signals = Signals()
    runner = LineRunner(session, style, signals, as_json=options.json, echo=options.echo, stop_on_error=not prompting)
    try:
        with signals.installed():
            status = _run(runner, session, options, prompting)
        if status != INTERRUPTED:
            keeper.close()
        return status
    except BrokenPipeError:
        keeper.close()
        raise
    except SystemExit as ending:
        if ending.code == 1:  # rich's own way to say that nobody reads our output any more
            keeper.close()
        raise
    finally:
        keeper.abandon()


def _run(runner: LineRunner, session: Session, options: argparse.Namespace, prompting: bool) -> int:
    if getattr(options, "init", False):
        status = _run_init(runner, prompting)
        if status is not None:
            return status
        _keep_own(session)
    for option, text in options.inputs or []:
        status = runner.run(text.split("\n") if option == "-c" else [f"source {text}"], numbered=False)
        if status is not None:
            return status
    if options.batch and (options.inputs or sys.stdin.isatty()):
        # Even without a command a start that cannot be built is wrong usage.
        return (runner.end() or 0) if options.inputs else runner.check_start()
    if prompting and not is_dumb():
        from gdrepl.shell.prompt import run_prompt

        return run_prompt(session, runner.style, runner.signals, history_file())
    if prompting:
        status = runner.run_terminal()
    else:
        status = runner.run(_piped_lines())
        status = runner.end() if status is None else status
    if status is None and not session.ready and not prompting:
        return runner.check_start()  # nothing was typed, and yet what was asked for may be wrong
    return 0 if status is None else status


def _run_init(runner: LineRunner, prompting: bool) -> int | None:
    """Run init.gd; returns the exit status where an error in it ends the session, as one of any other line would."""
    lines: tuple[str, ...] = ()
    trouble = None
    try:
        lines = init_lines()
    except GdreplError as error:
        trouble = error
    if prompting and (lines or trouble):
        print("\r     \r", end="", flush=True)  # the prompt that stands there early comes again behind them
    return runner.run_init(INIT, lines) if trouble is None else runner.fail(f"source {INIT}", trouble)


def _keep_own(session: Session) -> None:
    """Make the commands and aliases of init.gd again in each session that is loaded, unless it has some called so."""
    made, before = session.own, session.on_reload

    def again() -> None:
        before()
        for line in made.as_lines(session.own.names()):
            for _ in session.execute(line):  # a name that means something else by now is left out
                pass

    session.on_reload = again


def _piped_lines() -> Iterable[str]:
    """Standard input, less a byte order mark; what is not UTF-8 in it becomes a question mark that no command has."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    for number, line in enumerate(sys.stdin):
        yield line.removeprefix("\ufeff") if number == 0 else line


def history_file() -> Path | None:
    """Where the typed lines are remembered, or None without a home."""
    from gdrepl.errors import SessionFileError
    from gdrepl.recording.journal import journal_folder

    try:
        return journal_folder().parent / "history"
    except SessionFileError:
        return None
