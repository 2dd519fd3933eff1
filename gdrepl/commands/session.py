"""A session: the debugger, what was typed, and all that the commands have made beside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gdrepl.commands.definitions import Definitions
from gdrepl.commands.executing import Executor
from gdrepl.commands.kept import Kept, values_in
from gdrepl.commands.outcomes import Outcome
from gdrepl.commands.own import Own
from gdrepl.commands.results import Displayed, Listed, SessionInfo, Stepped
from gdrepl.commands.setup import Setup, Start
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.moves import Move, Progress
from gdrepl.engine.problem import as_array
from gdrepl.engine.programs import Programs
from gdrepl.engine.snapshot import Array, Stop, frozen
from gdrepl.engine.stops import DELETE, Display, StopPoint
from gdrepl.engine.triggers import Occurs
from gdrepl.errors import ExpressionError
from gdrepl.expression import Expression
from gdrepl.insight.evidence import evidence
from gdrepl.recording.numbers import result_to_json

_CHANGING = (
    *("_debugger", "_start", "header_body", "events", "extra_records", "files", "folders"),
    *("definitions", "displays", "next_display", "seed", "own", "kept", "shown"),
)
"""What commands put something else in place of."""
VIEWS = (Listed, SessionInfo)
"""Results that say nothing of the descent: they are not recorded."""


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
    confirm: bool = True

    def take(self, settings: Mapping[str, int | bool]) -> None:
        """Begin with these, named as `set` names them; max-steps is the debugger's."""
        for name, value in settings.items():
            if name != "max-steps":
                setattr(self, name.replace("-", "_"), value)


def _same(one: Array | None, other: Array | None) -> bool:
    """Whether two values are the same, to the bit; None stands for one that could not be computed."""
    if one is None or other is None:
        return one is other
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


class Session:
    """What the commands work on.

    Attributes:
        setup: what the session started with, as given.
        executor: what runs lines here.
        events: the recorded commands with their results, in order.
        on_event: called with each event before its command is acknowledged; the journal hangs here.
        on_progress: called after each chunk of a run, with the line of its command and how it is getting on.
        on_given_up: called when a run failed, and all that it did was undone.
        on_ready: called when the debugger was built, in the thread that built it.
        on_reload: called after another session was loaded into this one.
        own: the commands and aliases made by define and alias.
        kept: the convenience values, $1 and $name.
        confirm: asks the person at the terminal whether to go on; None where nobody can be asked.
        displays: the expressions shown at every stop.
        shown: their values at the last stop, by number.
        folders: where data files and scripts are looked for.
        programs: the compiled programs, which a session that is loaded into this one goes on with.
        files: the session files that this session saved or loaded, each with the SHA-256 of what was in it then.
    """

    def __init__(self, setup: Setup, programs: Programs | None = None) -> None:
        self.setup = setup
        self.executor = Executor(self)
        self.programs = programs or Programs()
        self.events: list[Event] = []
        self.extra_records: list[tuple[int, str, Mapping[str, Any]]] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        self.on_reload: Callable[[], None] = lambda: None
        self.on_progress: Callable[[str, Progress], None] = lambda line, progress: None
        self.on_given_up: Callable[[], None] = lambda: None
        self.on_ready: Callable[[], None] = lambda: None
        self.prepare: Callable[[Debugger], None] = lambda debugger: None
        self.own = Own()
        self.kept = Kept()
        self.confirm: Callable[[str], bool] | None = None
        self.displays: tuple[Display, ...] = ()
        self.next_display = 1
        self.shown: Mapping[int, Array | None] = {}
        self.settings = Settings()
        self.settings.take(setup.settings)
        self.files: dict[Path, str] = {}
        self.folders: tuple[Path, ...] = setup.folders
        self.definitions = Definitions()
        self.seed = setup.seed
        self.header_body: dict[str, Any] | None = None
        self._start: Start | None = None
        self._debugger: Debugger | None = None
        self._building = threading.Lock()

    # The debugger, built when it is first needed

    @property
    def debugger(self) -> Debugger:
        """The debugger; the first use loads TensorFlow and builds it.

        Raises:
            GdreplError: what the session should start with is wrong.
        """
        with self._building:
            built = self._debugger is None
            if built:
                self.adopt(self.setup.build())
        if built:
            self.on_ready()
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
        self.settings.take(start.settings)
        history_bytes = self.settings.history_limit * 2**20
        debugger = Debugger(start.problem, start.spec, start.engine, history_bytes, self.programs)
        debugger.max_steps = int(start.settings.get("max-steps", debugger.max_steps))
        self.prepare(debugger)
        self._start, self._debugger = start, debugger
        self.seed = start.seed
        self.definitions = Definitions(start.variables, start.constants, start.origins).at(start.problem)
        return debugger

    def take_over(self, other: Session) -> None:
        """Become what `other` is; callbacks and terminal stay ours."""
        kept = (
            "on_event",
            "on_ready",
            "on_reload",
            "on_progress",
            "on_given_up",
            "prepare",
            "confirm",
            "setup",
            "executor",
            "_building",
        )
        for name, value in vars(other).items():
            if name not in kept:
                setattr(self, name, value)
        assert self._debugger is not None
        self.prepare(self._debugger)

    def execute(self, line: str, place: str = "") -> Iterator[Outcome]:
        """Run one line: commands joined by `;;`, each recorded before it is handed out; the first error ends the line.

        The lines of a block are kept until its `end` comes, and give no outcome before that.

        Args:
            place: where the line stands, for errors that name it later.
        """
        return self.executor.execute(line, place)

    def undo(self) -> Callable[[], None]:
        """A function that puts the whole session back as it is now."""
        count, settings = len(self.events), replace(self.settings)
        kept = {name: getattr(self, name) for name in _CHANGING}
        undo = self._debugger.undo() if self._debugger is not None else lambda: None

        def back() -> None:
            undo()
            for name, value in kept.items():
                setattr(self, name, value)
            self.settings = settings
            del self.events[count:]

        return back

    def record(self, text: str, result: Any) -> None:
        """Note a command and its result, here and in the journal; results that say nothing of the descent are left out."""
        if not isinstance(result, VIEWS):
            event = Event(text, result_to_json(result, recorded=True))
            self.events.append(event)
            self.on_event(event)

    # What several commands need

    def stepped(self, move: Move) -> Stepped:
        """A move as a result, with the displays at the point arrived at."""
        debugger, last_finite = self.debugger, None
        self.executor.arrived(move)
        if any(stop.kind == "non-finite" for stop in move.stops) and debugger.step > debugger.branch.start:
            before = debugger.snapshot_at(debugger.step - 1)
            last_finite = before.point() if before.is_finite() else None
        branch = debugger.position.branch
        stops = tuple(self._with_evidence(stop, move.held) for stop in move.stops)
        return Stepped(move.taken, move.point, stops, move.before, branch, self.at_a_stop(), last_finite, notes=move.notes)

    def _with_evidence(self, stop: Stop, held: tuple[StopPoint, ...]) -> Stop:
        """The stop of an event with what it saw here; the first of its numbers is noted as the value seen."""
        debugger = self.debugger
        item = next((item for item in held if item.id == stop.number), None)
        if item is None or not isinstance(item.trigger, Occurs):
            return stop
        found = evidence(debugger, item.trigger.event)
        if item.afterwards != DELETE:
            seen = frozen(next(iter(found.numbers.values())))
            debugger.stops = debugger.stops.changed(replace(debugger.stops.get(item.id), seen=seen))
        return replace(stop, evidence=found)

    def displayed(self) -> tuple[Displayed, ...]:
        """The displays with their values here; what cannot be computed says so."""
        shown = []
        for display in self.displays:
            try:
                shown.append(Displayed(display.id, display.expression.text, self.debugger.inside.look(display.expression)))
            except ExpressionError as error:
                shown.append(Displayed(display.id, display.expression.text, None, error.message))
        return tuple(shown)

    def at_a_stop(self) -> tuple[Displayed, ...]:
        """The displays here, each marked when it is another value than at the stop before."""
        shown = self.displayed()
        before, self.shown = self.shown, {one.id: one.value for one in shown}
        return tuple(replace(one, changed=one.id in before and not _same(before[one.id], one.value)) for one in shown)

    def ask(self, expression: Expression) -> Array:
        """The value of an expression here; it may read what waits for a loss and convenience values, too."""
        return self.debugger.inside.look(expression, self.others(expression))

    def others(self, expression: Expression) -> dict[str, Array]:
        """What an expression reads that no problem holds: what waits for a loss, and convenience values."""
        dtype = self.debugger.problem.dtype
        waiting = {name: as_array(value, dtype, name) for name, value in self.waiting().items() if name in expression.names}
        return {**waiting, **values_in(self, expression)}

    def waiting(self) -> dict[str, Any]:
        """The values of the variables and constants that no loss reads yet."""
        return self.definitions.waiting(self.debugger.problem).values()

    def complete_names(self) -> list[str]:
        """Parameters and constants, for Tab."""
        if not self.ready:
            return self.setup.names()
        return [*self.debugger.problem.parameters, *self.debugger.problem.constants, *self.waiting()]
