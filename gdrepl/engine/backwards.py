"""The latest earlier step at which a stop held: recorded steps are walked again in pieces, the last piece first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gdrepl.engine.lookout import Lookout, Memories
from gdrepl.engine.past import Past
from gdrepl.engine.program import Seen
from gdrepl.engine.programs import Programs
from gdrepl.engine.stops import StopPoint
from gdrepl.engine.timeline import Stretch
from gdrepl.errors import CommandError


class Backwards:
    """Searches one branch."""

    def __init__(self, past: Past, programs: Programs, memories: Memories) -> None:
        self._past = past
        self._programs = programs
        self._memories = memories

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
