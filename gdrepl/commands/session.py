"""A session: the debugger, what was typed, and the way of a line from text to result, recording and journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gdrepl.commands.definitions import Definitions
from gdrepl.commands.line import parts
from gdrepl.commands.meant import assigned, meant
from gdrepl.commands.registry import Command, registry
from gdrepl.commands.results import Displayed, Listed, SessionInfo, Sourced, Stepped
from gdrepl.commands.setup import Setup, Start
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.moves import Move
from gdrepl.engine.problem import as_array
from gdrepl.engine.programs import Programs
from gdrepl.engine.snapshot import Array
from gdrepl.engine.stops import Display
from gdrepl.errors import CommandError, ConfirmationNeeded, ExpressionError, GdreplError
from gdrepl.expression import Expression
from gdrepl.recording.numbers import result_to_json

MAX_SOURCE_DEPTH = 10
_CHANGING = (
    *("_debugger", "_start", "header_body", "events", "extra_records", "files", "folders"),
    *("definitions", "displays", "next_display", "seed"),
)
"""What commands put something else in place of."""
VIEWS = (Listed, SessionInfo)
"""Results that say nothing of the descent: they are not recorded."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One command that was executed: its text, and its result or the error."""

    command: str
    result: Any = None
    error: GdreplError | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A recorded command and its result as JSON."""

    line: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Script:
    """What a command returns that asks for lines to be run next."""

    name: str
    lines: tuple[str, ...]


@dataclass(slots=True)
class Settings:
    """What `set` can change beside the optimizer and the parameters."""

    history_limit: int = 256
    print_precision: int = 7
    confirm: bool = True


class Session:
    """What the commands work on.

    Attributes:
        setup: what the session started with, as given.
        events: the recorded commands with their results, in order.
        on_event: called with each event before its command is acknowledged; the journal hangs here.
        on_reload: called after another session was loaded into this one.
        confirm: asks the person at the terminal whether to go on; None where nobody can be asked.
        displays: the expressions shown at every stop.
        folders: where data files and scripts are looked for.
        programs: the compiled programs, which a session that is loaded into this one goes on with.
        files: the session files that this session saved or loaded, each with the SHA-256 of what was in it then.
    """

    def __init__(self, setup: Setup, programs: Programs | None = None) -> None:
        self.setup = setup
        self.programs = programs or Programs()
        self.events: list[Event] = []
        self.extra_records: list[tuple[int, str, Mapping[str, Any]]] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        self.on_reload: Callable[[], None] = lambda: None
        self.prepare: Callable[[Debugger], None] = lambda debugger: None
        self.confirm: Callable[[str], bool] | None = None
        self.displays: tuple[Display, ...] = ()
        self.next_display = 1
        self.settings = Settings()
        self.files: dict[Path, str] = {}
        self.folders: tuple[Path, ...] = setup.folders
        self.definitions = Definitions()
        self.seed = setup.seed
        self.header_body: dict[str, Any] | None = None
        self._start: Start | None = None
        self._debugger: Debugger | None = None
        self._building = threading.Lock()
        self._depth = 0

    # The debugger, built when it is first needed

    @property
    def debugger(self) -> Debugger:
        """The debugger; the first use loads TensorFlow and builds it.

        Raises:
            GdreplError: what the session should start with is wrong.
        """
        with self._building:
            if self._debugger is None:
                self.adopt(self.setup.build())
        assert self._debugger is not None
        return self._debugger

    @property
    def built(self) -> Debugger | None:
        """The debugger if it is built; takes no lock, so that signal handlers may ask."""
        return self._debugger

    @property
    def ready(self) -> bool:
        """True when the debugger is built."""
        return self._debugger is not None

    @property
    def start(self) -> Start:
        """The checked start of this session."""
        _ = self.debugger
        assert self._start is not None
        return self._start

    def adopt(self, start: Start) -> Debugger:
        """Begin anew from `start`."""
        history_bytes = self.settings.history_limit * 2**20
        debugger = Debugger(start.problem, start.spec, start.engine, history_bytes, self.programs)
        self.prepare(debugger)
        self._start, self._debugger = start, debugger
        self.seed = start.seed
        self.definitions = Definitions(start.variables, start.constants, start.origins).at(start.problem)
        return debugger

    def take_over(self, other: Session) -> None:
        """Become what `other` is; callbacks and terminal stay ours."""
        kept = ("on_event", "on_reload", "prepare", "confirm", "setup", "_building", "_depth")
        for name, value in vars(other).items():
            if name not in kept:
                setattr(self, name, value)
        assert self._debugger is not None
        self.prepare(self._debugger)

    # Executing

    def execute(self, line: str) -> Iterator[Outcome]:
        """Run one line: commands joined by `;;`, each recorded before it is handed out; the first error ends the line."""
        for part in parts(line):
            if not part.text or part.is_comment:
                continue
            for outcome in self._execute_one(part.text):
                yield outcome
                if outcome.error is not None:
                    return

    def _execute_one(self, text: str) -> Iterator[Outcome]:
        try:
            command, rest = self._split(text)
            result = self._instantly(command, rest) if command.instant else self._all_or_nothing(command, rest)
        except ConfirmationNeeded as error:
            yield from self._ask_first(error, text)
            return
        except GdreplError as error:
            if not error.hint:  # w = normal(2) is read as whatis
                error.hint = assigned(text, self.complete_names(), self._settable())
            yield Outcome(text, error=error)
            return
        if isinstance(result, Script):
            yield from self._run_script(result, text)
        else:
            yield Outcome(text, result)

    def _ask_first(self, needed: ConfirmationNeeded, text: str) -> Iterator[Outcome]:
        """What comes of a line that needs a yes: without anybody to ask, the error that says how to say it."""
        if self.confirm is None:
            yield Outcome(text, error=needed)
        elif self.confirm(needed.question):
            yield from self._execute_one(needed.line)
        else:
            yield Outcome(text, error=CommandError("not confirmed: nothing has changed"))

    def _instantly(self, command: Command, rest: str) -> Any:
        """Run a command that needs no debugger, and changes nothing."""
        return command.function(self, **command.parse(rest, self))

    def _all_or_nothing(self, command: Command, rest: str) -> Any:
        """Run a command and record it; when it fails, also by an interrupt, the session is as it was."""
        before, count = self.debugger, len(self.events)
        undo, settings, kept = before.undo(), replace(self.settings), {name: getattr(self, name) for name in _CHANGING}
        try:
            result = command.function(self, **command.parse(rest, self))
            self.debugger.places = self.debugger.places.visit(self.debugger.position)
            if command.recorded:
                self._record(f"{command.name} {rest}".strip(), result)
        except BaseException:
            undo()
            for name, value in kept.items():
                setattr(self, name, value)
            self.settings = settings
            del self.events[count:]
            raise
        if self._debugger is not before:
            self.on_reload()
        return result

    def _split(self, text: str) -> tuple[Command, str]:
        try:
            return registry.split(text)
        except CommandError as error:
            error.hint = meant(text, self.complete_names(), self._settable()) or error.hint
            raise

    def _settable(self) -> list[str]:
        return list(registry.commands["set"].parameters[0].argument.complete(self))

    def _record(self, text: str, result: Any) -> None:
        if isinstance(result, VIEWS):
            return
        event = Event(text, result_to_json(result))
        self.events.append(event)
        self.on_event(event)

    def _run_script(self, script: Script, text: str) -> Iterator[Outcome]:
        """Run the lines of a script; an error names it and the line. At the end stands how many commands were run."""
        if self._depth >= MAX_SOURCE_DEPTH:
            yield Outcome(text, error=CommandError(f"source is nested more than {MAX_SOURCE_DEPTH} files deep"))
            return
        count = 0
        self._depth += 1
        try:
            for number, line in enumerate(script.lines, 1):
                for outcome in self.execute(line):
                    count += 1
                    place = outcome.place or f"{script.name} line {number}"
                    yield replace(outcome, place=place if outcome.error is not None else "")
                    if outcome.error is not None:
                        return
        finally:
            self._depth -= 1
        yield Outcome(text, Sourced(script.name, count))

    # What several commands need

    def stepped(self, move: Move) -> Stepped:
        """A move as a result, with the displays at the point arrived at."""
        debugger, last_finite = self.debugger, None
        if any(stop.kind == "non-finite" for stop in move.stops) and debugger.step > debugger.branch.start:
            before = debugger.snapshot_at(debugger.step - 1)
            last_finite = before.point() if before.is_finite() else None
        branch = debugger.position.branch
        return Stepped(move.taken, move.point, move.stops, move.before, branch, self.displayed(), last_finite, notes=move.notes)

    def displayed(self) -> tuple[Displayed, ...]:
        """The displays with their values here; what cannot be computed says so."""
        shown = []
        for display in self.displays:
            try:
                shown.append(Displayed(display.id, display.expression.text, self.debugger.ask(display.expression)))
            except ExpressionError as error:
                shown.append(Displayed(display.id, display.expression.text, None, error.message))
        return tuple(shown)

    def ask(self, expression: Expression) -> Array:
        """The value of an expression here; it may read what waits for a loss, too."""
        dtype = self.debugger.problem.dtype
        waiting = {name: as_array(value, dtype, name) for name, value in self.waiting().items() if name in expression.names}
        return self.debugger.ask(expression, others=waiting)

    def waiting(self) -> dict[str, Any]:
        """The values of the variables and constants that no loss reads yet."""
        return self.definitions.waiting(self.debugger.problem).values()

    def complete_names(self) -> list[str]:
        """Parameters and constants, for Tab."""
        if not self.ready:
            return self.setup.names()
        return [*self.debugger.problem.parameters, *self.debugger.problem.constants, *self.waiting()]
