"""A session: the debugger, what was typed, and the way of a line from text to result, recording and journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gdrepl.commands.blocks import END, Block
from gdrepl.commands.definitions import Definitions
from gdrepl.commands.following import is_silent, lines_after
from gdrepl.commands.kept import Kept, values_in
from gdrepl.commands.line import Part, parts
from gdrepl.commands.meant import assigned, meant
from gdrepl.commands.own import Own
from gdrepl.commands.registry import Command, command_word, registry
from gdrepl.commands.results import Displayed, Listed, SessionInfo, Sourced, Stepped
from gdrepl.commands.setup import Setup, Start
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.moves import Move
from gdrepl.engine.problem import as_array
from gdrepl.engine.programs import Programs
from gdrepl.engine.snapshot import Array, Stop, frozen
from gdrepl.engine.stops import DELETE, Display, StopPoint
from gdrepl.engine.triggers import Occurs
from gdrepl.errors import CommandError, ConfirmationNeeded, ExpressionError, GdreplError, did_you_mean
from gdrepl.expression import Expression
from gdrepl.insight.evidence import evidence
from gdrepl.recording.numbers import result_to_json

MAX_SOURCE_DEPTH = 10
_CHANGING = (
    *("_debugger", "_start", "header_body", "events", "extra_records", "files", "folders"),
    *("definitions", "displays", "next_display", "seed", "own", "kept", "shown"),
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
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A recorded command and its result as JSON."""

    line: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Script:
    """What a command returns that asks for lines to be run next; a quiet one does not say how many were run."""

    name: str
    lines: tuple[str, ...]
    quiet: bool = False


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


def _place(here: str, inner: str) -> str:
    """Where an error stands: the line that was reached from outside, and the innermost one."""
    return f"{here}, {inner.rpartition(', ')[2]}" if inner else here


def _too_deep(script: Script) -> CommandError:
    what = f"{script.name} calls itself, or others," if script.quiet else "source is nested"
    return CommandError(f"{what} more than {MAX_SOURCE_DEPTH} {'deep' if script.quiet else 'files deep'}")


class Session:
    """What the commands work on.

    Attributes:
        setup: what the session started with, as given.
        events: the recorded commands with their results, in order.
        on_event: called with each event before its command is acknowledged; the journal hangs here.
        on_ready: called when the debugger was built, in the thread that built it.
        on_reload: called after another session was loaded into this one.
        own: the commands and aliases made by define and alias.
        kept: the convenience values, $1 and $name.
        block: the block whose lines are being read, or None.
        confirm: asks the person at the terminal whether to go on; None where nobody can be asked.
        displays: the expressions shown at every stop.
        shown: their values at the last stop, by number.
        follows: whether the commands of a stop run after it; a replay runs what was recorded of them instead.
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
        self.on_ready: Callable[[], None] = lambda: None
        self.prepare: Callable[[Debugger], None] = lambda debugger: None
        self.own = Own()
        self.kept = Kept()
        self.block: Block | None = None
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
        self._depth = 0
        self.follows = True
        self._following = False
        self._held: tuple[StopPoint, ...] = ()
        self._pending: tuple[StopPoint, ...] = ()
        self._moves = 0

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
            *("on_event", "on_ready", "on_reload", "prepare", "confirm", "setup", "block", "follows"),
            *("_building", "_depth", "_following", "_moves"),
        )
        for name, value in vars(other).items():
            if name not in kept:
                setattr(self, name, value)
        assert self._debugger is not None
        self.prepare(self._debugger)

    # Executing

    def execute(self, line: str, place: str = "") -> Iterator[Outcome]:
        """Run one line: commands joined by `;;`, each recorded before it is handed out; the first error ends the line.

        The lines of a block are kept until its `end` comes, and give no outcome before that.

        Args:
            place: where the line stands, for errors that name it later.
        """
        for part in parts(line):
            if not part.text or part.is_comment:
                continue
            for outcome in self._take(part, place):
                yield outcome
                if outcome.error is not None:
                    return

    def _take(self, part: Part, place: str) -> Iterator[Outcome]:
        block = self.block
        if block is None:
            yield from self._execute_one(self.own.expand(part.text), place)
        elif block.ended_by(part):
            self.block = None
            yield from self._execute_one(block.first, place, block)
        else:
            self.block = block.with_line(part.text, self.own.opens_block(part.text))

    def _execute_one(self, text: str, place: str, block: Block | None = None) -> Iterator[Outcome]:
        self._held = ()
        try:
            result = self._result(text, place, block)
        except ConfirmationNeeded as error:
            yield from self._ask_first(error, text, place)
            return
        except GdreplError as error:
            if not error.hint:  # w = normal(2) is read as whatis
                error.hint = assigned(text, self.complete_names(), self._settable())
            yield Outcome(text, error=error)
            return
        if isinstance(result, Script):
            yield from self._run_script(result, text)
        elif not isinstance(result, Block):
            held, self._held = self._held, ()
            yield Outcome(text if block is None else block.text, result, silent=self.follows and is_silent(held))
            self._pending = held
            if self.follows and not self._following:
                yield from self._follow()

    def _ask_first(self, needed: ConfirmationNeeded, text: str, place: str) -> Iterator[Outcome]:
        """What comes of a line that needs a yes: without anybody to ask, the error that says how to say it."""
        if not self.settings.confirm:
            yield from self._execute_one(needed.line, place)
        elif self.confirm is None:
            yield Outcome(text, error=needed)
        elif self.confirm(needed.question):
            yield from self._execute_one(needed.line, place)
        else:
            yield Outcome(text, error=CommandError("not confirmed: nothing has changed"))

    def _follow(self) -> Iterator[Outcome]:
        """Run the commands of the stops that ended a run.

        The first line that runs or moves ends them; the commands of what it stops at follow.
        """
        self._following = True
        try:
            while self._pending:
                held, self._pending = self._pending, ()
                for line, place in lines_after(held):
                    moves = self._moves
                    for outcome in self.execute(line, place):
                        yield replace(outcome, place=(outcome.place or place) if outcome.error is not None else "")
                        if outcome.error is not None:
                            return
                    if self._moves != moves:
                        break
        finally:
            self._following, self._pending = False, ()

    def _result(self, text: str, place: str, block: Block | None) -> Any:
        """What a line gives: a result, a script to run next, or a block of which this was the first line."""
        word = command_word(text)
        if word in self.own.defined:
            return Script(word, self.own.lines_of(word, text[len(word) :]), quiet=True)
        command, rest = self._split(text)
        if command.block and block is None:
            command.parse(rest, self)  # what is wrong in the first line is told before the others are typed
            self.block = Block(command, rest, place=place)
            return self.block
        if block is not None:
            block.check()
        return self._all_or_nothing(command, rest, block) if not command.instant else self._instantly(command, rest, block)

    @property
    def open_block(self) -> str:
        """The first line of the block whose lines are being read; empty when there is none."""
        return self.block.first if self.block is not None else ""

    def drop_block(self) -> Outcome | None:
        """Give up the block that is being read; the error that says so, or None when there is none."""
        block, self.block = self.block, None
        return None if block is None else Outcome(block.first, error=block.unfinished(), place=block.place)

    def _instantly(self, command: Command, rest: str, block: Block | None) -> Any:
        """Run a command that needs no debugger; it changes nothing but what the user has made."""
        own, count = self.own, len(self.events)
        try:
            return self._call(command, rest, block)
        except BaseException:
            self.own = own
            del self.events[count:]
            raise

    def _all_or_nothing(self, command: Command, rest: str, block: Block | None) -> Any:
        """Run a command and record it; when it fails, also by an interrupt, the session is as it was."""
        before, count = self.debugger, len(self.events)
        undo, settings, kept = before.undo(), replace(self.settings), {name: getattr(self, name) for name in _CHANGING}
        try:
            result = self._call(command, rest, block)
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

    def _call(self, command: Command, rest: str, block: Block | None) -> Any:
        lines = {} if block is None else {"lines": block.lines}
        result = command.function(self, **command.parse(rest, self), **lines)
        if not command.instant:
            self.debugger.places = self.debugger.places.visit(self.debugger.position)
        if command.recorded:
            self._record(f"{command.name} {rest}".strip() if block is None else block.text, result)
        return result

    def _split(self, text: str) -> tuple[Command, str]:
        if text == END:
            raise CommandError("there is no block that 'end' could end", "define NAME begins one")
        try:
            return registry.split(text)
        except CommandError as error:
            near = did_you_mean(command_word(text), self.own.names())
            error.hint = near or meant(text, self.complete_names(), self._settable()) or error.hint
            raise

    def _settable(self) -> list[str]:
        return list(registry.commands["set"].parameters[0].argument.complete(self))

    def _record(self, text: str, result: Any) -> None:
        if isinstance(result, VIEWS):
            return
        event = Event(text, result_to_json(result, recorded=True))
        self.events.append(event)
        self.on_event(event)

    def _run_script(self, script: Script, text: str) -> Iterator[Outcome]:
        """Run the lines of a script; an error names it and the line. At the end stands how many commands were run."""
        if self._depth >= MAX_SOURCE_DEPTH:
            yield Outcome(text, error=_too_deep(script))
            return
        count = 0
        self._depth += 1
        try:
            for number, line in enumerate(script.lines, 1):
                here = f"{script.name} line {number}"
                for outcome in self.execute(line, here):
                    count += 1
                    yield replace(outcome, place=_place(here, outcome.place) if outcome.error is not None else "")
                    if outcome.error is not None:
                        return
            unfinished = self.drop_block()
        finally:
            self._depth -= 1
            self.block = None  # one that was begun in the script
        if unfinished is not None:
            yield unfinished
        elif not script.quiet:
            yield Outcome(text, Sourced(script.name, count))

    # What several commands need

    def stepped(self, move: Move) -> Stepped:
        """A move as a result, with the displays at the point arrived at."""
        debugger, last_finite = self.debugger, None
        self._held = move.held
        self._moves += 1
        if any(stop.kind == "non-finite" for stop in move.stops) and debugger.step > debugger.branch.start:
            before = debugger.snapshot_at(debugger.step - 1)
            last_finite = before.point() if before.is_finite() else None
        branch = debugger.position.branch
        stops = tuple(self._with_evidence(stop) for stop in move.stops)
        return Stepped(move.taken, move.point, stops, move.before, branch, self.at_a_stop(), last_finite, notes=move.notes)

    def _with_evidence(self, stop: Stop) -> Stop:
        """The stop of an event with what it saw here; the first of its numbers is noted as the value seen."""
        debugger = self.debugger
        item = next((item for item in self._held if item.id == stop.number), None)
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
                shown.append(Displayed(display.id, display.expression.text, self.debugger.ask(display.expression)))
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
        return self.debugger.ask(expression, others=self.others(expression))

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
