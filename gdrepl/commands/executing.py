"""The way of a line: from text to command, result, recording, and what follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gdrepl.commands.blocks import Block
from gdrepl.commands.following import is_silent, lines_after
from gdrepl.commands.line import END, Part, parts, takes_the_line
from gdrepl.commands.meant import assigned, meant, yielded
from gdrepl.commands.outcomes import Outcome, Script
from gdrepl.commands.registry import Command, command_word, registry
from gdrepl.commands.results import Sourced
from gdrepl.engine.moves import Move, Progress
from gdrepl.engine.stops import StopPoint
from gdrepl.errors import CommandError, ConfirmationNeeded, GdreplError, did_you_mean

if TYPE_CHECKING:
    from gdrepl.commands.session import Session

_ASSIGNS = re.compile(r"\w+\s*=(?!=)")

MAX_SOURCE_DEPTH = 10
MOST_MOVES = 10_000
"""How often the commands of stops may run on or move, one after the other, before that is taken for an endless loop."""


class Executor:
    """Runs lines in a session.

    Attributes:
        block: the block whose lines are being read, or None.
        follows: whether the commands of a stop run after it; a replay runs what was recorded of them instead.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.block: Block | None = None
        self.follows = True
        self._depth = 0
        self._following = False
        self._held: tuple[StopPoint, ...] = ()
        self._pending: tuple[StopPoint, ...] = ()
        self._moves = 0
        self._updates = 0

    def arrived(self, move: Move) -> None:
        """A command has moved."""
        self._held = move.held
        self._moves += 1
        self._updates += abs(move.taken)

    def execute(self, line: str, place: str = "") -> Iterator[Outcome]:
        """Run one line: commands joined by `;;`, each recorded before it is handed out; the first error ends the line.

        The lines of a block are kept until its `end` comes, and give no outcome before that.

        Args:
            place: where the line stands, for errors that name it later.
        """
        for part in (part for each in line.split("\n") for part in self._parts(each)):  # a recorded block may have several
            if not part.text or part.is_comment:
                continue
            for outcome in self._take(part, place):
                yield outcome
                if outcome.error is not None:
                    return

    def _parts(self, line: str) -> Iterator[Part]:
        """The commands of a line; an alias of a command that goes on to the end of the line does so, too."""
        for part in parts(line):
            word = command_word(self._session.own.expand(part.word))
            if word != part.word and takes_the_line(word):
                yield from parts(self._session.own.expand(part.word) + line[part.start + len(part.indent) + len(part.word) :])
                return
            yield part

    def _take(self, part: Part, place: str) -> Iterator[Outcome]:
        block = self.block
        if block is None:
            yield from self._execute_one(self._session.own.expand(part.text), place)
        elif block.ended_by(part):
            self.block = None
            yield from self._execute_one(block.first, place, block)
        else:
            self.block = block.with_line(part.text, self._session.own.opens_block(part.text))

    def _execute_one(self, text: str, place: str, block: Block | None = None) -> Iterator[Outcome]:
        self._held, moves = (), self._moves
        try:
            result = self._result(text, place, block)
        except ConfirmationNeeded as error:
            yield from self._ask_first(error, text, place)
            return
        except GdreplError as error:
            if not error.hint or _ASSIGNS.match(text):  # w = normal(2) is read as backtrace
                error.hint = assigned(text, self._session.complete_names(), self._settable()) or error.hint
            yield Outcome(text, error=error)
            return
        if isinstance(result, Script):
            yield from self._run_script(result, text)
        elif not isinstance(result, Block):
            held, self._held = self._held, ()
            yield Outcome(text if block is None else block.text, result, silent=self.follows and is_silent(held))
            if self.follows and self._moves != moves:
                self._pending = held
            if self.follows and not self._following:
                yield from self._follow()

    def _ask_first(self, needed: ConfirmationNeeded, text: str, place: str) -> Iterator[Outcome]:
        """What comes of a line that needs a yes: without anybody to ask, the error that says how to say it."""
        if not self._session.settings.confirm:
            yield from self._execute_one(needed.line, place)
        elif self._session.confirm is None:
            yield Outcome(text, error=needed)
        elif self._session.confirm(needed.question):
            yield from self._execute_one(needed.line, place)
        else:
            yield Outcome(text, error=CommandError("not confirmed: nothing has changed"))

    def _follow(self) -> Iterator[Outcome]:
        """Run the commands of the stops that ended a run.

        The first line that runs or moves ends them; the commands of what it stops at follow.
        """
        self._following = True
        moves_before, updates_before = self._moves, self._updates
        try:
            while self._pending:
                held, self._pending = self._pending, ()
                moves, updates = self._moves - moves_before, self._updates - updates_before
                if moves >= MOST_MOVES or updates >= self._session.debugger.max_steps:
                    yield Outcome("commands", error=_endless(moves, updates))
                    return
                for line, place in lines_after(held):
                    moves = self._moves
                    for outcome in self.execute(line, place):
                        yield replace(outcome, place=(outcome.place or place) if outcome.error is not None else "")
                        if outcome.error is not None:
                            return
                    if self._moves != moves:
                        break
                unfinished = self.drop_block()
                if unfinished is not None:
                    yield unfinished
                    return
        finally:
            self._following, self._pending, self.block = False, (), None

    def _result(self, text: str, place: str, block: Block | None) -> Any:
        """What a line gives: a result, a script to run next, or a block of which this was the first line."""
        word = command_word(text)
        if word in self._session.own.defined:
            return Script(word, self._session.own.lines_of(word, text[len(word) :]), quiet=True)
        command, rest = self._split(text)
        if command.block and block is None:
            command.parse(rest, self._session)  # what is wrong in the first line is told before the others are typed
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
        undo = self._session.undo()
        try:
            return self._call(command, rest, block)
        except BaseException as error:
            undo()
            if command.runs and not isinstance(error, SystemExit):  # a session that is ended may be gone on with
                self._session.on_given_up()
            raise

    def _all_or_nothing(self, command: Command, rest: str, block: Block | None) -> Any:
        """Run a command and record it; when it fails, also by an interrupt, the session is as it was."""
        before = self._session.debugger
        result = self._instantly(command, rest, block)
        if self._session.debugger is not before:
            self._session.on_reload()
        return result

    def _call(self, command: Command, rest: str, block: Block | None) -> Any:
        session, lines = self._session, {} if block is None else {"lines": block.lines}
        arguments = command.parse(rest, session)
        with self._telling(_recorded(command, rest)) if command.runs else nullcontext():
            result = command.function(session, **arguments, **lines)
        if not command.instant:
            result = _with_notes(result, session.debugger.inside.take_given_up())
            session.debugger.places = session.debugger.places.visit(session.debugger.position)
        if command.recorded:
            session.record(_recorded(command, rest) if block is None else block.text, result)
        return result

    @contextmanager
    def _telling(self, line: str) -> Iterator[None]:
        """Inside, the session hears how far the run of a line has come."""
        debugger, told = self._session.debugger, self._session.debugger.progress

        def progress(now: Progress) -> None:
            told(now)
            self._session.on_progress(line, now)

        debugger.progress = progress
        try:
            yield
        finally:
            debugger.progress = told

    def _split(self, text: str) -> tuple[Command, str]:
        if text == END:
            raise CommandError("there is no block that 'end' could end", "define NAME begins one")
        try:
            command, rest = registry.split(text)
        except CommandError as error:
            near = did_you_mean(command_word(text), self._session.own.names())
            error.hint = near or meant(text, self._session.complete_names(), self._settable()) or error.hint
            raise
        other = yielded(text, self._session.complete_names(), self._settable()) if command.yields else ""
        if other:
            raise CommandError(f"'{text[:40]}' is not a line of the command {command.name}", other)
        return command, rest

    def _settable(self) -> list[str]:
        return list(registry.commands["set"].parameters[0].argument.complete(self._session))

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


def _recorded(command: Command, rest: str) -> str:
    """A line as it is recorded: by the command's full name."""
    return f"{command.name} {rest}".strip()


def _with_notes(result: Any, notes: tuple[str, ...]) -> Any:
    """A result that tells of updates that were given up, if it is one that has notes."""
    return replace(result, notes=(*result.notes, *notes)) if notes and hasattr(result, "notes") else result


def _place(here: str, inner: str) -> str:
    """Where an error stands: the line that was reached from outside, and the innermost one."""
    return f"{here}, {inner.rpartition(', ')[2]}" if inner else here


def _endless(moves: int, updates: int) -> CommandError:
    told = f"the commands of stops went on by themselves {moves} times, over {updates} steps"
    return CommandError(told, f"they end after {MOST_MOVES} times, or max-steps updates (set max-steps)")


def _too_deep(script: Script) -> CommandError:
    what = f"{script.name} calls itself, or others," if script.quiet else "source is nested"
    hint = f"help {script.name} shows its lines" if script.quiet else "a script must not source itself"
    return CommandError(f"{what} more than {MAX_SOURCE_DEPTH} {'deep' if script.quiet else 'files deep'}", hint)
