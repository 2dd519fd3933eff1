"""The interactive prompt: reads a line, runs it, shows the result, and is never lost to a Ctrl-C or a bug."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style as Colors

from gdrepl.commands.ahead import needs_debugger, repeatable
from gdrepl.commands.line import END, is_yes
from gdrepl.commands.outcomes import Outcome
from gdrepl.commands.results import Quit
from gdrepl.commands.session import Session
from gdrepl.display.style import Style
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.moves import Progress
from gdrepl.errors import GdreplError
from gdrepl.shell.complete import LineCompleter
from gdrepl.shell.crash import internal_error
from gdrepl.shell.highlight import COLORS, PLAIN, LineLexer
from gdrepl.shell.history import QuietHistory
from gdrepl.shell.keys import interrupted_ahead, make_bindings
from gdrepl.shell.loader import Loader
from gdrepl.shell.output import make_output
from gdrepl.shell.progress import Activity
from gdrepl.shell.signals import Signals
from gdrepl.shell.status import prompt_text, status

CANNOT_START = 2
_LEAVE = " Ctrl-D or quit leaves"


def run_prompt(session: Session, style_of: Callable[[], Style], signals: Signals, history_file: Path | None) -> int:
    """Read and run lines until the user leaves.

    Args:
        session: what the commands work on; its debugger is built in a thread if it is not yet.
        style_of: how results are drawn now; asked for each of them, since a terminal may be resized.
        signals: their handlers, installed already.
        history_file: where the lines are remembered; None forgets them at the end.

    Returns:
        The status to exit with: 0, or 2 when what the session should start with is wrong.

    Raises:
        SystemExit: SIGTERM or SIGHUP came. What is to be closed is closed by the caller's `finally`.
    """
    return _Shell(session, style_of, signals, history_file).run()


class _Shell:
    """One prompt and what happens between two lines."""

    def __init__(self, session: Session, style_of: Callable[[], Style], signals: Signals, history_file: Path | None) -> None:
        self.session = session
        self.style_of = style_of
        self.signals = signals
        self.history = QuietHistory(history_file) if history_file is not None else None
        self.prompt = self._make_prompt()
        self.loader = Loader(session, self.prompt.app.invalidate)
        self._activity: Activity | None = None
        self._repeat = ""
        self._notice = ""
        self._follow_debuggers()
        session.confirm = self._confirm

    # Setting up

    def _make_prompt(self) -> PromptSession[str]:
        prompt: PromptSession[str] = PromptSession(
            lambda: [("class:gd.prompt", prompt_text(self.session))],
            history=self.history or InMemoryHistory(),
            auto_suggest=AutoSuggestFromHistory(),
            completer=LineCompleter(self.session),
            complete_while_typing=False,
            lexer=LineLexer(self.session.complete_names, self._own_commands),
            bottom_toolbar=self._bottom_line,
            enable_suspend=True,
            key_bindings=make_bindings(self._on_idle_interrupt, lambda: self.session.executor.block is not None),
            output=make_output(),
        )
        # TensorFlow must not delay the first prompt, so its loading begins once that is on the screen.
        prompt.app.after_render += lambda _: self.loader.start()
        return prompt

    def _follow_debuggers(self) -> None:
        """Watch the debugger there is, and each one that another problem or session brings."""
        before = self.session.prepare

        def prepare(debugger: Debugger) -> None:
            before(debugger)
            self._watch(debugger)

        self.session.prepare = prepare
        if self.session.ready:
            self._watch(self.session.debugger)

    def _watch(self, debugger: Debugger) -> None:
        self.signals.watch(debugger, self._on_progress)

    def _on_progress(self, progress: Progress) -> None:
        if self._activity is not None:
            self._activity.update(progress)

    def _on_idle_interrupt(self) -> None:
        self._notice = _LEAVE

    def _bottom_line(self) -> str:
        if self.prompt.default_buffer.text:
            self._notice = ""
        return self._notice or status(self.session, self.loader, self.prompt.output.get_size().columns)

    def _own_commands(self) -> list[str]:
        return [*self.session.own.names(), *([END] if self.session.executor.block is not None else [])]

    # The loop

    def run(self) -> int:
        """Read and run until somebody leaves; returns the status."""
        self._write("\r")  # over the prompt that stood there early
        with self.signals.prompting():
            try:
                return self._loop()
            finally:
                # SIGTERM in the first milliseconds of a prompt finds prompt_toolkit not ready to clean up behind itself.
                with contextlib.suppress(OSError):
                    self.prompt.app.renderer.erase()

    def _loop(self) -> int:
        while True:
            try:
                text = self._read()
            except (EOFError, KeyboardInterrupt) as ending:  # the latter within a block
                unfinished = self.session.executor.drop_block()
                if unfinished is not None:
                    self._show(unfinished)
                elif isinstance(ending, EOFError):
                    return 0
                continue
            for line in text.splitlines() or [""]:
                left = self._execute(line)
                if left is not None:
                    return left

    def _read(self) -> str:
        """One line; several when they were made so by hand."""
        self._notice = ""
        color = self.style_of().color
        self.prompt.style = Colors.from_dict(
            {**(COLORS if color else PLAIN), "auto-suggestion": "ansibrightblack" if color else "dim"}
        )
        self.prompt.color_depth = None if color else ColorDepth.DEPTH_1_BIT
        text = self.prompt.prompt(pre_run=self.signals.prompt_begins)
        trouble = self.history.take_trouble() if self.history is not None else None
        if trouble:
            self._show(Outcome("", error=GdreplError(trouble)))
        return text

    def _execute(self, line: str) -> int | None:
        """Run one line; returns the status when it ends the session."""
        line = line.strip() or self._repeat
        self._repeat = repeatable(self.session, line)
        try:
            if interrupted_ahead(self.prompt.app.input) or self.signals.came_early():
                raise KeyboardInterrupt
            if needs_debugger(self.session, line) and not self._wait_for_debugger(line):
                return CANNOT_START
            return self._run(line)
        except KeyboardInterrupt:
            self._give_up()
        except Exception as error:
            self._show_plainly(internal_error(error, line))
        return None

    def _run(self, line: str) -> int | None:
        with self.signals.command(), self._show_activity("working", 0.5) as activity:
            for outcome in self.session.execute(line):
                if self.signals.ending:  # it is in the journal; nobody may be there to read it
                    return None
                with activity.aside(), self.signals.waiting():
                    self._show(outcome)
                if isinstance(outcome.result, Quit):
                    return 0
                if self.signals.interrupted:  # what follows on the line, in the script or in the paste was meant, too
                    clear_typeahead(self.prompt.app.input)
                    if not outcome.tells_of_interrupt:
                        self._write("\r\x1b[Kinterrupted\n")
                    break
                self.signals.forget()
        return None

    def _wait_for_debugger(self, line: str) -> bool:
        """Wait until the session can run commands; False when it never will, which is then said."""
        self.loader.start()
        with self.signals.waiting(), self._show_activity("loading TensorFlow", 0.2):
            self.loader.done.wait()
        error = self.loader.error
        if error is None or self.session.ready:
            return True
        self._show_plainly(error if isinstance(error, GdreplError) else internal_error(error, line))
        return False

    def _give_up(self) -> None:
        self.signals.forget()
        clear_typeahead(self.prompt.app.input)
        still = "" if self.loader.done.is_set() else ": TensorFlow is still loading"
        self._write(f"\r\x1b[Kinterrupted{still}\n")

    def _confirm(self, question: str) -> bool:
        """Ask in the middle of a command; what was typed or pasted ahead is the answer. Ctrl-C gives the command up."""
        aside = self._activity.aside() if self._activity is not None else contextlib.nullcontext()
        ask: PromptSession[str] = PromptSession(output=make_output())
        with aside, self.signals.prompting():
            try:
                return is_yes(ask.prompt(f"{question}? (y or n) "))
            except EOFError:
                return False

    # Showing

    @contextlib.contextmanager
    def _show_activity(self, label: str, after: float) -> Iterator[Activity]:
        with Activity(label, sys.stdout, lambda: self.style_of().width, after) as activity:
            self._activity = activity
            try:
                yield activity
            finally:
                self._activity = None

    def _show(self, outcome: Outcome) -> None:
        if outcome.silent:
            return
        from gdrepl.display import views  # rich takes a tenth of a second, which the first prompt does not wait for

        if self.signals.interrupted:
            self._write("\r\x1b[K")  # the ^C that the terminal has echoed
        style = self.style_of()
        console = views.make_console(sys.stdout, style)
        if outcome.error is not None:
            console.print(views.render_error(outcome.error, style, outcome.place))
        else:
            console.print(views.render(outcome.result, style))

    def _show_plainly(self, error: GdreplError) -> None:
        """An error whose drawing must not fail again."""
        try:
            self._show(Outcome("", error=error))
        except Exception:
            self._write(f"error: {error.message}\n{error.hint}\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stdout.write(text)
            sys.stdout.flush()
