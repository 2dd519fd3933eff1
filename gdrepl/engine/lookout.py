"""What a run looks out for, and what its triggers remember of the steps before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gdrepl.engine.past import Past
from gdrepl.engine.program import Orders, Program, Seen
from gdrepl.engine.programs import Programs
from gdrepl.engine.snapshot import Snapshot
from gdrepl.engine.stops import StopPoint
from gdrepl.engine.timeline import Stretch
from gdrepl.engine.triggers import Holds, Trigger
from gdrepl.expression import Expression


class Lookout:
    """The enabled stops of one run, and perhaps a condition of its own, `until`.

    Attributes:
        items: the stops that are looked out for.
        until: that condition, alone, or nothing.
        hits: stop number -> how often it held in this run.
        ignore: stop number -> how many more times it is to be ignored.
        held: the stops that ended the run; empty while it goes on.
        until_held: whether `until` ended it.
    """

    def __init__(self, stops: Iterable[StopPoint], until: Expression | None = None) -> None:
        self.items = tuple(stops)
        self.until = (Holds(until, "until"),) if until is not None else ()
        self.hits = {item.id: 0 for item in self.items}
        self.ignore = {item.id: item.ignore for item in self.items}
        self.held: tuple[StopPoint, ...] = ()
        self.until_held = False

    def without(self, broken: Iterable[StopPoint]) -> Sequence[StopPoint]:
        """The stops that can be looked out for where `broken` cannot."""
        ids = {item.id for item in broken}
        return [item for item in self.items if item.id not in ids]

    def triggers(self, items: Sequence[StopPoint]) -> tuple[Trigger, ...]:
        """What a program of these stops is compiled with."""
        return (*(item.whole for item in items), *self.until)

    def orders(self, items: Sequence[StopPoint], memory: list[list[Any]], halting: bool = True) -> Orders:
        """What a program of these stops is told."""
        ignore = [*(self.ignore[item.id] for item in items), *(0 for _ in self.until)]
        return Orders(ignore, memory, [trigger.given() for trigger in self.triggers(items)], halting)

    def take(self, items: Sequence[StopPoint], seen: Seen) -> bool:
        """Note what a program of these stops saw; returns whether that ended the run."""
        for item, hits, ignore in zip(items, seen.hits, seen.ignore):
            self.hits[item.id] += hits
            self.ignore[item.id] = ignore
        self.held = tuple(item for item, fired in zip(items, seen.fired) if fired)
        self.until_held = any(seen.fired[len(items) :])
        return any(seen.fired)


class Memories:
    """What triggers remember where the debugger stands.

    It is decided by the recorded steps before, and not by how they were run: the last memory is kept as long as the run goes
    on where it ended, and elsewhere the steps before are walked again, as many as the triggers look back on.
    """

    def __init__(self, past: Past, programs: Programs) -> None:
        self._past = past
        self._programs = programs
        self._kept: tuple[Snapshot, Program, list[list[Any]]] | None = None

    def at(self, stretches: Sequence[Stretch], snapshot: Snapshot, triggers: Sequence[Trigger]) -> list[list[Any]]:
        """The memory of `triggers` at `snapshot`, a step of the last of `stretches`."""
        segment = stretches[-1].segment
        program = self._programs.get(segment.recipe, triggers)
        back = max((trigger.horizon() for trigger in triggers), default=0)
        if self._kept is not None and self._kept[0] is snapshot and self._kept[1] is program:
            return self._kept[2]
        index = len(stretches) - 1
        while index > 0 and stretches[index].segment.label == "":  # it goes on with the one before, without an edit
            index -= 1
        first = max(stretches[index].segment.start.step, snapshot.step - back)
        if back == 0 or first == snapshot.step:
            return program.blank_memory()
        holding = next(each.segment for each in reversed(stretches[index:]) if each.segment.start.step <= first)
        program.load(self._past.reach(holding, first))
        orders = Orders([0] * len(triggers), program.blank_memory(), [each.given() for each in triggers], halting=False)
        return program.advance(snapshot.step - first, through=True, last_only=True, orders=orders).seen.memory

    def keep(self, snapshot: Snapshot, program: Program, memory: list[list[Any]]) -> None:
        """Remember the memory of a program that arrived at `snapshot`."""
        self._kept = (snapshot, program, memory) if memory else None
