"""Plain lines in, plain lines or JSON out: for pipes, -c, -x, --batch and dumb terminals."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from gdrepl.commands.ahead import needs_debugger, repeatable
from gdrepl.commands.line import is_yes
from gdrepl.commands.outcomes import Outcome
from gdrepl.commands.results import Done, Quit
from gdrepl.commands.session import Session
from gdrepl.display.style import Style
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.moves import Progress
from gdrepl.errors import ExpressionError, GdreplError, one_line
from gdrepl.recording.numbers import dumps, result_to_json
from gdrepl.shell.crash import internal_error
from gdrepl.shell.progress import Activity
from gdrepl.shell.signals import Signals
from gdrepl.shell.status import prompt_text

INTERRUPTED = 130


class LineRunner:
    """Executes lines and prints what comes of them."""

    def __init__(
        self,
        session: Session,
        style: Callable[[], Style],
        signals: Signals,
        *,
        as_json: bool,
        echo: bool,
        stop_on_error: bool,
    ) -> None:
        self.session = session
        self.style = style
        self.signals = signals
        self.as_json = as_json
        self.echo = echo
        self.stop_on_error = stop_on_error
        self._activity: Activity | None = None
        self._place = ""
        self._init = ""
        self._prompting = self._told = self._below = False
        session.prepare = self._watch
        if session.built is not None:
            self._watch(session.built)

    def run(self, lines: Iterable[str], numbered: bool = True) -> int | None:
        """Run the lines; returns the exit status when the session is over, else None."""
        for number, line in enumerate(lines, 1):
            self._place = f"{self._init} line {number}".lstrip() if numbered else ""
            status = self._line(line)
            if status is not None:
                return status
        return None

    def run_init(self, name: str, lines: Iterable[str]) -> int | None:
        """Run the lines of the start-up file. An error is told and ends it; at a prompt the session goes on.

        What was merely done is not told, and in JSON no result is: nobody asked for it.
        """
        was, self.stop_on_error, self._init = self.stop_on_error, True, name
        try:
            status = self.run(lines)
            status = self.end() if status is None else status
            return None if status == 1 and not was else status
        finally:
            self.session.executor.drop_block()
            self.stop_on_error, self._init = was, ""

    def fail(self, command: str, error: GdreplError) -> int | None:
        """Say why `command`, which nobody typed, cannot be done; returns the exit status where that ends the session."""
        self._show(Outcome(command, error=error))
        return 1 if self.stop_on_error else None

    def end(self) -> int | None:
        """Say so when the input ends within a block; returns the exit status where that ends the session, else None."""
        unfinished = self.session.executor.drop_block()
        if unfinished is None:
            return None
        self._show(unfinished)
        return 1 if self.stop_on_error else None

    def check_start(self) -> int:
        """Build the session though nothing asks for it yet: 0, or 2 when what it should start with is wrong."""
        try:
            _ = self.session.debugger
        except GdreplError as error:
            self._show(Outcome("", error=error))
            return 2
        return 0

    def run_terminal(self) -> int | None:
        """Prompt and read plain lines from a terminal that can do no more; an empty line repeats as it does in gdb."""
        last = ""
        self.session.confirm, self._prompting = self._confirm, True
        while True:
            try:
                line = input(prompt_text(self.session))
            except EOFError:
                print()
                if self.session.executor.block is None:
                    return 0
                self.end()
                continue
            except KeyboardInterrupt:
                print()
                self.end()
                continue
            line = line.strip() or last
            last, self._told, self._below = repeatable(self.session, line), False, False
            status = self.run([line], numbered=False)
            if status == INTERRUPTED:
                if not self._told:
                    self._leave_echo()
                    print("interrupted")
                continue
            if status is not None:
                return status

    def _confirm(self, question: str) -> bool:
        """Ask in the middle of a command; Ctrl-C gives the command up."""
        with self._activity.aside() if self._activity is not None else contextlib.nullcontext(), self.signals.waiting():
            try:
                return is_yes(input(f"{question}? (y or n) "))
            except EOFError:
                print()
                return False

    def _line(self, line: str) -> int | None:
        text = line.rstrip("\r\n")
        if self.echo and not self.as_json and not self._init:
            print(f"{'>' if self.session.executor.block is not None else '(gd)'} {text}", flush=True)
        with Activity("working", sys.stdout, lambda: self.style().width, after=0.5) as activity:
            self._activity = None if self.as_json else activity
            try:
                return self._build_and_execute(text)
            except KeyboardInterrupt:
                return INTERRUPTED

    def _build_and_execute(self, text: str) -> int | None:
        if not self.session.ready and needs_debugger(self.session, text):
            try:
                _ = self.session.debugger
            except GdreplError as error:
                self._show(Outcome("", error=error))  # it is the start that is wrong, not this line
                return 2
        try:
            with self.signals.command():
                return self._execute(text)
        except OSError:
            raise  # nobody reads any more, or nothing can be written; commands have errors of their own for their files
        except Exception as error:
            self._show(Outcome(text, error=internal_error(error, text)))
            return 1 if self.stop_on_error else None

    def _execute(self, text: str) -> int | None:
        for outcome in self.session.execute(text, self._place):
            if self.signals.ending:  # it is in the journal; nobody may be there to read it
                return INTERRUPTED
            with self.signals.waiting():
                self._show(outcome)
            if isinstance(outcome.result, Quit):
                return 0
            if outcome.error is not None and self.stop_on_error:
                return 1
            if self.signals.interrupted:  # what follows on the line was meant, too
                self._told = outcome.tells_of_interrupt
                return INTERRUPTED
            self.signals.forget()
        return None

    def _show(self, outcome: Outcome) -> None:
        if self._init:
            if outcome.error is None and (self.as_json or isinstance(outcome.result, Done)):
                return
            outcome = replace(outcome, place=outcome.place or self._place) if outcome.error is not None else outcome
        if self.as_json:
            print(dumps(_to_json(outcome)), flush=True)
            return
        if outcome.silent:
            return
        with self._activity.aside() if self._activity is not None else contextlib.nullcontext():
            if self._prompting and self.signals.interrupted:
                self._leave_echo()
            self._draw(outcome)

    def _leave_echo(self) -> None:
        """Go below the ^C that the terminal has echoed, once a line."""
        if not self._below:
            print()
        self._below = True

    def _draw(self, outcome: Outcome) -> None:
        from gdrepl.display.views import make_console, render, render_error

        style = self.style()
        if outcome.error is None:
            make_console(sys.stdout, style).print(render(outcome.result, style))
            sys.stdout.flush()
        else:
            sys.stdout.flush()
            make_console(sys.stderr, style).print(render_error(outcome.error, style, outcome.place))
            sys.stderr.flush()

    def _watch(self, debugger: Debugger) -> None:
        self.signals.watch(debugger, self._on_progress)

    def _on_progress(self, progress: Progress) -> None:
        if self._activity is not None:
            self._activity.update(progress)


def refuse(error: GdreplError, as_json: bool) -> int:
    """Say why a command of the command line cannot be done at all; returns its status."""
    if as_json:
        print(dumps(_to_json(Outcome("", error=error))), flush=True)
    else:
        told = [one_line(text) for text in (f"gdrepl: {error.message}", error.hint) if text]
        print(*told, sep="\n  ", file=sys.stderr)
    return 2


def _to_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is None:
        return {"command": outcome.command, "result": result_to_json(outcome.result)}
    error = outcome.error
    message = f"{outcome.place}: {error.message}" if outcome.place else error.message
    told: dict[str, object] = {"type": type(error).__name__, "message": message, "hint": error.hint}
    if isinstance(error, ExpressionError) and error.text:
        told |= {"expression": error.text, "column": error.column + 1}  # columns count from 1, as editors do
    return {"command": outcome.command, "error": told}
