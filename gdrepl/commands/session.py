"""A session: the debugger, what was typed, and the way of a line from text to result, recording and journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gdrepl.commands.meant import meant
from gdrepl.commands.registry import Command, registry
from gdrepl.commands.results import Displayed, Listed, SessionInfo, Stepped
from gdrepl.commands.setup import Setup, Start
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.moves import Move
from gdrepl.engine.problem import Origin
from gdrepl.engine.stops import Display
from gdrepl.errors import CommandError, ExpressionError, GdreplError, SessionFileError
from gdrepl.recording.files import read_bytes
from gdrepl.recording.numbers import result_to_json

MAX_SOURCE_DEPTH = 10
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


@dataclass(slots=True)
class Settings:
    """What `set` can change beside the optimizer and the parameters."""

    history_limit: int = 256
    print_precision: int = 7


class Session:
    """What the commands work on.

    Attributes:
        setup: what the session started with, as given.
        events: the recorded commands with their results, in order.
        on_event: called with each event before its command is acknowledged; the journal hangs here.
        on_reload: called after another session was loaded into this one.
        displays: the expressions shown at every stop.
        folders: where data files and scripts are looked for.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.events: list[Event] = []
        self.extra_records: list[tuple[int, str, Mapping[str, Any]]] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        self.on_reload: Callable[[], None] = lambda: None
        self.prepare: Callable[[Debugger], None] = lambda debugger: None
        self.displays: tuple[Display, ...] = ()
        self.next_display = 1
        self.settings = Settings()
        self.folders: tuple[Path, ...] = setup.folders
        self.variables: dict[str, Any] = {}
        self.constants: dict[str, Any] = {}
        self.origins: dict[str, Origin] = {}
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
        debugger = Debugger(start.problem, start.spec, start.engine, self.settings.history_limit * 2**20)
        self.prepare(debugger)
        self._start, self._debugger = start, debugger
        self.seed = start.seed
        self.variables = {**start.problem.parameters, **start.variables}
        self.constants = {**start.problem.constants, **start.constants}
        self.origins = dict(start.origins)
        return debugger

    def take_over(self, other: Session) -> None:
        """Become what `other` is; callbacks and terminal stay ours."""
        kept = ("on_event", "on_reload", "prepare", "folders", "setup", "_building", "_depth")
        for name, value in vars(other).items():
            if name not in kept:
                setattr(self, name, value)
        assert self._debugger is not None
        self.prepare(self._debugger)
        self.on_reload()

    # Executing

    def execute(self, line: str) -> Iterator[Outcome]:
        """Run one line: commands joined by `;;`, each recorded before it is handed out; the first error ends the line."""
        for part in line.split(";;"):
            text = part.strip()
            if not text or text.startswith("#"):
                continue
            for outcome in self._execute_one(text):
                yield outcome
                if outcome.error is not None:
                    return

    def _execute_one(self, text: str) -> Iterator[Outcome]:
        try:
            command, rest = self._split(text)
            if command.name == "source":
                yield from self._source(command.parse(rest, self)["path"], text)
                return
            result = command.function(self, **command.parse(rest, self))
            if command.recorded:
                self._record(text, result)
        except GdreplError as error:
            yield Outcome(text, error=error)
            return
        yield Outcome(text, result)

    def _split(self, text: str) -> tuple[Command, str]:
        try:
            return registry.split(text)
        except CommandError as error:
            error.hint = meant(text, self.complete_names()) or error.hint
            raise

    def _record(self, text: str, result: Any) -> None:
        if isinstance(result, VIEWS):
            return
        event = Event(text, result_to_json(result))
        self.events.append(event)
        self.on_event(event)

    def _source(self, path: Path, text: str) -> Iterator[Outcome]:
        """Run a file of commands; an error names the file and the line."""
        if self._depth >= MAX_SOURCE_DEPTH:
            yield Outcome(text, error=CommandError(f"source is nested more than {MAX_SOURCE_DEPTH} files deep"))
            return
        try:
            lines = read_bytes(path).decode("utf-8-sig").splitlines()
        except SessionFileError as error:
            yield Outcome(text, error=CommandError(error.message, error.hint))
            return
        except UnicodeDecodeError:
            yield Outcome(text, error=CommandError(f"cannot read {path}: it is not text in UTF-8"))
            return
        self._depth += 1
        try:
            for number, line in enumerate(lines, 1):
                for outcome in self.execute(line):
                    place = outcome.place or f"{path.name} line {number}"
                    yield replace(outcome, place=place if outcome.error is not None else "")
                    if outcome.error is not None:
                        return
        finally:
            self._depth -= 1

    # What several commands need

    def stepped(self, move: Move) -> Stepped:
        """A move as a result, with the displays at the point arrived at."""
        debugger, last_finite = self.debugger, None
        if any(stop.kind == "non-finite" for stop in move.stops) and debugger.step > debugger.branch.start:
            before = debugger.snapshot_at(debugger.step - 1)
            last_finite = before.point() if before.is_finite() else None
        branch = debugger.position.branch
        return Stepped(move.taken, move.point, move.stops, move.before, branch, self.displayed(), last_finite)

    def displayed(self) -> tuple[Displayed, ...]:
        """The enabled displays with their values here; what cannot be computed says so."""
        shown = []
        for display in self.displays:
            if not display.enabled:
                continue
            try:
                shown.append(Displayed(display.id, display.expression.text, self.debugger.ask(display.expression)))
            except ExpressionError as error:
                shown.append(Displayed(display.id, display.expression.text, None, error.message))
        return tuple(shown)

    def waiting(self) -> dict[str, Any]:
        """The values of the variables and constants that no loss reads yet."""
        problem = self.debugger.problem
        defined = {**self.constants, **self.variables}
        return {name: value for name, value in defined.items() if name not in {**problem.parameters, **problem.constants}}

    def complete_names(self) -> list[str]:
        """Parameters and constants, for Tab."""
        if not self.ready:
            return self.setup.names()
        return [*self.debugger.problem.parameters, *self.debugger.problem.constants, *self.waiting()]


def find_command(line: str) -> Command | None:
    """The command of a line, or None when there is none."""
    try:
        return registry.split(line)[0]
    except CommandError:
        return None


__all__ = ["Event", "Outcome", "Session", "Settings", "find_command"]
