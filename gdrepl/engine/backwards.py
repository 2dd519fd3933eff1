"""The way back to where a stop last held: recorded steps are walked again in pieces, the last piece first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gdrepl.engine import endings
from gdrepl.engine.lookout import Lookout
from gdrepl.engine.moves import Move
from gdrepl.engine.program import Seen
from gdrepl.engine.running import Workings
from gdrepl.engine.snapshot import Stop
from gdrepl.engine.stops import StopPoint, Stops
from gdrepl.engine.timeline import Position, Stretch
from gdrepl.errors import CommandError


class Backwards:
    """One way back over the branch in force."""

    def __init__(self, workings: Workings, lookout: Lookout) -> None:
        self._workings = workings
        self._here = workings.here
        self._past = workings.past
        self._programs = workings.programs
        self._memories = workings.memories
        self._lookout = lookout

    def make(self, stops: Stops) -> tuple[Move, Stops]:
        """Go to the latest earlier step at which a stop held, or to the start; returns the move, and `stops` after it.

        Raises:
            CommandError: it was interrupted.
        """
        here, lookout, checks = self._here, self._lookout, self._workings.checks
        for index in range(here.position.index, -1, -1):
            stretches = here.branch.stretches[: index + 1]
            segment, last = stretches[-1].segment, min(stretches[-1].last, here.step - 1)
            if last <= segment.start.step:
                continue
            broken = checks.broken(lookout.items, segment.recipe)
            if broken:
                return self._arrive(last, tuple(endings.broken(*each) for each in broken)), stops
            found = self.latest(stretches, last, lookout, lookout.items) if lookout.items else None
            if found is not None:
                return self._stopped(index, found, stops)
        start = Stop("start", None, "the start: no stop held on the way")
        return self._arrive(here.branch.start, (start,)), lookout.noted(stops, here.step, lambda item: None)

    def _stopped(self, index: int, found: int, stops: Stops) -> tuple[Move, Stops]:
        """Go to step `found` of a stretch, where the stops of the lookout held."""
        here, lookout, asking, before = self._here, self._lookout, self._workings.asking, self._here.snapshot
        segment = here.branch.stretches[index].segment
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

    def latest(self, stretches: Sequence[Stretch], last: int, lookout: Lookout, items: Sequence[StopPoint]) -> int | None:
        """The latest step of the last of `stretches`, up to step `last`, at which one of `items` stops; None where none does.

        A step counts that an update of this stretch led to. `lookout` takes what was seen.

        Raises:
            CommandError: it was interrupted.
        """
        segment = stretches[-1].segment
        triggers = lookout.triggers(items)
        program = self._programs.get(segment.recipe, triggers)
        least = 64 + 4 * max((trigger.horizon() for trigger in triggers), default=0)  # what memory costs is walked, too
        while last > segment.start.step:
            if self._past.interrupt.is_set():
                self._past.interrupt.clear()
                raise CommandError(f"interrupted on the way back, at step {last}", "nothing has changed")
            left = last - segment.start.step
            first = last - max(program.pace.begin(left), min(left, least))
            found = self._in_piece(stretches, first, last, lookout, items)
            program.pace.end(last - first)
            if found is not None and self._stops(stretches, first, found, lookout, items):
                return found
            last = first if found is None else found - 1
        return None

    def _in_piece(
        self, stretches: Sequence[Stretch], first: int, last: int, lookout: Lookout, items: Sequence[StopPoint]
    ) -> int | None:
        seen = self._walk(stretches, first, last, lookout, items)
        return first + seen.latest if seen.latest else None

    def _stops(
        self, stretches: Sequence[Stretch], first: int, found: int, lookout: Lookout, items: Sequence[StopPoint]
    ) -> bool:
        """Whether what held at `found` stops us there, rather than being ignored this time."""
        seen = self._walk(stretches, first, found, lookout, items)
        ignore = [lookout.ignore[item.id] for item in items]
        fired = tuple(held and not times for held, times in zip(seen.held, ignore))
        left = tuple(times - (held and times > 0) for held, times in zip(seen.held, ignore))
        lookout.ignore |= {item.id: times for item, times in zip(items, left)}
        return lookout.take(items, replace(seen, hits=tuple(map(int, seen.held)), fired=fired, ignore=left), lambda item: None)

    def _walk(self, stretches: Sequence[Stretch], first: int, last: int, lookout: Lookout, items: Sequence[StopPoint]) -> Seen:
        segment, triggers = stretches[-1].segment, lookout.triggers(items)
        start = self._past.reach(segment, first)
        memory = self._memories.at(stretches, start, triggers)
        program = self._programs.get(segment.recipe, triggers)
        program.load(start)
        return program.advance(last - first, True, True, lookout.orders(items, memory, halting=False)).seen
