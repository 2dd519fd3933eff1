"""The way back to where a stop last held: recorded steps are walked again, once, in pieces, the last piece first.

A piece is walked forwards, as only that is possible, and which stops held at which of its steps is noted. The notes are then
read from the latest step back, so that the first hits to be ignored are the latest ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdrepl.engine import endings
from gdrepl.engine.lookout import Lookout, is_anchored
from gdrepl.engine.moves import Move
from gdrepl.engine.running import Workings
from gdrepl.engine.segment import Segment
from gdrepl.engine.snapshot import Array, Stop
from gdrepl.engine.stops import StopPoint, Stops
from gdrepl.engine.timeline import Position, Stretch
from gdrepl.engine.watch import Seen
from gdrepl.errors import CommandError

_LEAST = 256
"""Steps of the shortest piece: so many lie between two snapshots at least, and to walk them costs less than to begin."""


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """The steps of a piece at which stops held, rising, shape (n,), and which ones held there, shape (n, stops)."""

    steps: Array
    held: Array

    def since(self, step: int) -> list[int]:
        """How often each stop held from `step` on."""
        counts: list[int] = self.held[self.steps >= step].sum(axis=0).tolist()
        return counts

    def latest_but(self, times: int, place: int) -> int | None:
        """The step of the latest hit of the stop at `place` when the `times` latest are passed over; None for none."""
        found = self.steps[self.held[:, place]]
        return int(found[-1 - times]) if len(found) > times else None


class Backwards:
    """One way back over the branch in force."""

    def __init__(self, workings: Workings, lookout: Lookout) -> None:
        self._workings = workings
        self._here = workings.here
        self._past = workings.past
        self._lookout = lookout

    def make(self, stops: Stops) -> tuple[Move, Stops]:
        """Go to the latest earlier step at which a stop held, or to the start; returns the move, and `stops` after it.

        Raises:
            CommandError: it was interrupted; the flag is still up, and we may stand elsewhere.
        """
        here, lookout, checks = self._here, self._lookout, self._workings.checks
        for index in range(here.position.index, -1, -1):
            stretches = here.branch.stretches[: index + 1]
            segment, last = stretches[-1].segment, min(stretches[-1].last, here.step - 1)
            if last <= segment.start.step:
                continue
            broken = checks.broken(lookout.items, segment.recipe)
            if broken:
                return self._without_a_hit(last, tuple(endings.broken(*each) for each in broken), stops)
            found = self._latest(stretches, last) if lookout.items else None
            if found is not None:
                return self._stopped(index, found, stops)
        start = Stop("start", None, "the start: no stop held on the way")
        return self._without_a_hit(here.branch.start, (start,), stops)

    def _without_a_hit(self, step: int, told: tuple[Stop, ...], stops: Stops) -> tuple[Move, Stops]:
        """Go to a step at which nothing held; hits on the way there were ignored."""
        return self._arrive(step, told), self._lookout.noted(stops, step, lambda item: None)

    def _stopped(self, index: int, found: int, stops: Stops) -> tuple[Move, Stops]:
        """Go to step `found` of a stretch, where the stops of the lookout held."""
        here, lookout, asking, before = self._here, self._lookout, self._workings.asking, self._here.snapshot
        segment = here.branch.stretches[index].segment
        self._past.reach(segment, found - 1)  # before we move: values are asked for there, which would hide an interrupt
        here.stand(Position(here.branch.name, index, found), self._past.reach(segment, found))
        told = tuple(endings.held(item, found, asking) for item in lookout.held)
        noted = lookout.noted(stops, found, asking.watched)
        move = self._arrive(found, told)  # an edit of this step came after what held
        return replace(move, before=before.point(), taken=found - before.step, held=lookout.held), noted

    def _arrive(self, step: int, told: tuple[Stop, ...]) -> Move:
        """Stand at a step of the branch as `goto` does, after an edit of it."""
        here, before = self._here, self._here.snapshot
        index = here.branch.index_of(step)
        here.stand(Position(here.branch.name, index, step), self._past.reach(here.branch.stretches[index].segment, step))
        return Move(before.point(), here.snapshot.point(), step - before.step, told)

    def _latest(self, stretches: Sequence[Stretch], last: int) -> int | None:
        """The latest step of the last of `stretches`, up to `last`, at which a stop is not to be ignored; None for none.

        A step counts that an update of this stretch led to. The lookout takes what was seen.
        """
        segment = stretches[-1].segment
        while last > segment.start.step:
            first = self._piece_begins(segment, last)
            hits = self._walked(stretches, first, last)
            found = self._next(hits)
            if found is not None and self._take(hits, found, segment):
                return found
            if found is None:
                self._take(hits, first + 1, segment)
            last = first if found is None else found - 1  # a value to measure from has moved: what lies before is seen anew
        return None

    def _next(self, hits: _Hits) -> int | None:
        """The latest step of a piece at which a stop ends the way, or one is ignored from which `watch by` measures on."""
        passed = self._lookout.to_pass
        steps = [hits.latest_but(passed(item), place) for place, item in enumerate(self._lookout.items)]
        return max((step for step in steps if step is not None), default=None)

    def _take(self, hits: _Hits, step: int, segment: Segment) -> bool:
        """Let the lookout take the hits from `step` on; whether one of them ends the way there."""
        items, passed = self._lookout.items, self._lookout.to_pass
        counts = hits.since(step)
        held = hits.held[hits.steps == step].any(axis=0).tolist()
        fired = tuple(holds and count > passed(item) for item, holds, count in zip(items, held, counts))
        ignore = tuple(max(0, passed(item) - count) for item, count in zip(items, counts))
        seen = Seen(tuple(held), fired, tuple(counts), ignore)

        def value(item: StopPoint) -> Array | None:
            return None if item.watched is None else self._workings.asking.value_on(segment, step, item.watched)

        return self._lookout.take(items, seen, value)

    def _piece_begins(self, segment: Segment, last: int) -> int:
        """A step with a snapshot from which a piece up to `last` is walked in some 30 ms, or as soon as one can."""
        triggers = self._lookout.triggers(self._lookout.items)
        size = _LEAST + 4 * max(trigger.horizon() for trigger in triggers)  # what memory costs is walked, too
        once = not any(is_anchored(item) and self._lookout.ignore[item.id] for item in self._lookout.items)
        if once:
            size = max(size, self._workings.programs.get(segment.recipe, triggers).pace.size)
        wanted = max(segment.start.step, last - size)
        first = segment.nearest(wanted).step
        while not once and wanted - first > size:  # it is walked again for each such hit: leave snapshots on the way to it
            first = self._past.reach(segment, (first + wanted + 1) // 2).step
        return first

    def _walked(self, stretches: Sequence[Stretch], first: int, last: int) -> _Hits:
        """What held at the steps after `first` up to `last`.

        Raises:
            CommandError: it was interrupted.
        """
        segment, lookout, interrupt = stretches[-1].segment, self._lookout, self._past.interrupt
        triggers = lookout.triggers(lookout.items)
        start = self._past.reach(segment, first)
        orders = lookout.orders(lookout.items, self._workings.memories.at(stretches, start, triggers), halting=False)
        program = self._workings.programs.get(segment.recipe, triggers)
        program.load(start)
        found, step = [_Hits(np.empty(0, np.int64), np.empty((0, len(triggers)), np.bool_))], first
        while step < last:
            if interrupt.is_set():
                raise CommandError(f"interrupted on the way back, at step {last}", "nothing has changed")
            advance = program.advance(program.pace.begin(last - step), True, True, orders)
            program.pace.end(advance.taken)
            orders, at = replace(orders, memory=advance.seen.memory), advance.seen.at
            assert at is not None
            places = np.flatnonzero(at.any(axis=1))
            found.append(_Hits(step + 1 + places, at[places]))
            step += advance.taken
        return _Hits(np.concatenate([each.steps for each in found]), np.concatenate([each.held for each in found]))
