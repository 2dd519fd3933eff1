"""A run forward: the compiled program is called in chunks, each is added to the timeline or compared with it, until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gdrepl.engine import endings
from gdrepl.engine.asking import Asking
from gdrepl.engine.checks import Checks
from gdrepl.engine.here import Here
from gdrepl.engine.lookout import Lookout, Memories
from gdrepl.engine.moves import Move, Progress
from gdrepl.engine.past import Past
from gdrepl.engine.program import Advance, Program
from gdrepl.engine.programs import Programs
from gdrepl.engine.snapshot import Stop
from gdrepl.engine.stops import StopPoint
from gdrepl.errors import ExpressionError, ProblemError


@dataclass(frozen=True, slots=True, eq=False)
class Workings:
    """What a run needs of a debugger, forwards or backwards."""

    here: Here
    past: Past
    programs: Programs
    memories: Memories
    checks: Checks
    asking: Asking


class Run:
    """One run.

    Args:
        lookout: the stops that may end it.
        count: how many updates were asked for; None where a stop is to end it.
        most: the most updates that it may make.
        cut: after how many updates it is taken for interrupted, when a recording is replayed.
    """

    def __init__(self, workings: Workings, lookout: Lookout, count: int | None, most: int, cut: int | None = None) -> None:
        self._workings = workings
        self._here = workings.here
        self._lookout = lookout
        self._count = count
        self._allowed = most if cut is None else min(most, cut)
        self._cut = cut
        # Decided once a run, not once a chunk: where chunks end depends on the clock.
        self._through = count is not None and not workings.here.snapshot.is_finite()
        self._taken = 0

    def make(self, progress: Callable[[Progress], None]) -> Move:
        """Run to the end; `progress` is called after each chunk.

        Raises:
            ProblemError, ExpressionError: the program cannot run.
            RecordingDiffersError: a step came out differently than it was recorded.
        """
        here, interrupt, timeline = self._here, self._workings.past.interrupt, self._here.timeline
        before, began, stops = here.snapshot, time.perf_counter(), list[Stop]()
        notes = (*self._note_of_start(), *here.leave_before_edit())
        while self._taken < self._allowed and not stops and not interrupt.is_set():
            stops = self._go_on()
            timeline.trim()
            loss, seconds = float(here.snapshot.loss), time.perf_counter() - began
            progress(Progress(self._taken, self._allowed, here.step, loss, seconds))
        if self._through and not here.snapshot.is_finite():
            stops.append(endings.non_finite(here.snapshot))
        here.enter_next_stretch()
        interrupted = interrupt.is_set() or (self._cut is not None and self._taken >= self._cut)
        interrupt.clear()
        stops += endings.ending(self._taken, self._count, bool(stops), interrupted)
        return Move(before.point(), here.snapshot.point(), self._taken, tuple(stops), notes, self._lookout.held)

    def _note_of_start(self) -> tuple[str, ...]:
        if self._count is not None or self._here.snapshot.is_finite():
            return ()
        return ("it begins where a value is not finite: a run of a given count goes on, and goto goes back",)

    def _go_on(self) -> list[Stop]:
        """Advance by one call of the program; returns the stops that ended it."""
        here, checks, lookout = self._here, self._workings.checks, self._lookout
        recorded = here.enter_next_stretch()
        broken = checks.broken(lookout.items, here.recipe)
        items = lookout.without(item for item, _ in broken)
        wanted = self._allowed - self._taken
        try:
            program, advance = self._advanced(items, 1 if broken else min(wanted, recorded) if recorded else wanted)
        except (ProblemError, ExpressionError):
            if not checks.engine_refuses(items, here.recipe, here.snapshot):
                raise
            return self._go_on()
        self._taken += advance.taken
        self._arrive(program, advance, recorded > 0)
        lookout.take(items, advance.seen, self._workings.asking.watched)
        stops = [endings.broken(item, why) for item, why in broken]
        stops += [endings.held(item, here.step, self._workings.asking) for item in lookout.held]
        stops += [Stop("until", None, each.text) for each in lookout.until if lookout.until_held]
        stops += [] if advance.finite or self._through else [endings.non_finite(here.snapshot)]
        return stops

    def _advanced(self, items: list[StopPoint], wanted: int) -> tuple[Program, Advance]:
        """One call of the program that looks out for `items`, for as many of the updates `wanted` as are quickly made."""
        here, memories, lookout = self._here, self._workings.memories, self._lookout
        triggers = lookout.triggers(items)
        memory = memories.at(here.stretches(), here.snapshot, triggers) if triggers else []
        program = self._workings.programs.get(here.recipe, triggers)
        program.load(here.snapshot)
        size = program.pace.begin(wanted)
        advance = program.advance(size, self._through, orders=lookout.orders(items, memory))
        program.pace.end(advance.taken)
        return program, advance

    def _arrive(self, program: Program, advance: Advance, recorded: bool) -> None:
        """Stand where the program is; the steps on the way are new, or compared with those recorded."""
        here, arrived = self._here, program.capture()
        self._workings.memories.keep(arrived, program, advance.seen.memory)
        if recorded:
            self._workings.past.compare(here.segment, here.step + 1, advance.rows)
            here.walk(arrived)
        else:
            here.extend(advance.rows, arrived)
