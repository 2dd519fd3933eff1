"""What a run looks out for, and what its triggers remember of the steps before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from gdrepl.engine.optimizer import accumulation
from gdrepl.engine.past import Past
from gdrepl.engine.program import Program
from gdrepl.engine.programs import Programs
from gdrepl.engine.segment import Segment
from gdrepl.engine.snapshot import Array, Snapshot, same_numbers
from gdrepl.engine.stops import StopPoint, Stops
from gdrepl.engine.timeline import Stretch
from gdrepl.engine.triggers import Changes, Holds, Trigger
from gdrepl.engine.watch import Orders, Seen
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import Expression


class Lookout:
    """The enabled stops of one run, and perhaps a condition of its own, `until`.

    Attributes:
        items: the stops that are looked out for.
        until: that condition, alone, or nothing.
        hits: stop number -> how often it held in this run.
        ignore: stop number -> how many more times it is to be ignored.
        anchors: stop number -> the value at a hit that was ignored, from which `watch by` goes on.
        held: the stops that ended the run; empty while it goes on.
        until_held: whether `until` ended it.
    """

    def __init__(self, stops: Iterable[StopPoint], until: Expression | None = None) -> None:
        self.items = tuple(stops)
        self.until = (Holds(until, "until"),) if until is not None else ()
        self.anchors: dict[int, Array] = {}
        self.hits = {item.id: 0 for item in self.items}
        self.ignore = {item.id: item.ignore for item in self.items}
        self.held: tuple[StopPoint, ...] = ()
        self.until_held = False

    def without(self, broken: Iterable[StopPoint]) -> list[StopPoint]:
        """The stops that can be looked out for where `broken` cannot."""
        ids = {item.id for item in broken}
        return [item for item in self.items if item.id not in ids]

    def triggers(self, items: Sequence[StopPoint]) -> tuple[Trigger, ...]:
        """What a program of these stops is compiled with."""
        return (*(item.whole for item in items), *self.until)

    def orders(self, items: Sequence[StopPoint], memory: list[list[Any]], halting: bool = True) -> Orders:
        """What a program of these stops is told."""
        ignore = [self.to_pass(item) for item in items]
        given = [[self.anchors[item.id]] if item.id in self.anchors else item.whole.given() for item in items]
        return Orders([*ignore, *(0 for _ in self.until)], memory, [*given, *([] for _ in self.until)], halting)

    def to_pass(self, item: StopPoint) -> int:
        """How many hits of a stop need not be looked at: each one of `watch by` must be, as it measures anew from there."""
        return 0 if is_anchored(item) else self.ignore[item.id]

    def take(self, items: Sequence[StopPoint], seen: Seen, value: Callable[[StopPoint], Array | None]) -> bool:
        """Note what a program of these stops saw; returns whether that ended the run. `value` tells what a stop watches now."""
        held = []
        for item, hits, ignore, fired in zip(items, seen.hits, seen.ignore, seen.fired):
            self.hits[item.id] += hits
            if fired and is_anchored(item) and self.ignore[item.id] > 0:
                self.ignore[item.id] -= 1
                self._anchor(item, value(item))
                continue
            if not is_anchored(item):
                self.ignore[item.id] = ignore
            if fired:
                held.append(self._current(item))
        self.held = tuple(held)
        self.until_held = any(seen.fired[len(items) :])
        return bool(held) or self.until_held

    def noted(self, stops: Stops, step: int, watched: Callable[[StopPoint], Array | None]) -> Stops:
        """`stops` after the run: its hits counted, and the values noted that those saw which ended it at `step`."""
        seen = {item.id: watched(item) for item in self.held}
        return stops.counted(self.hits, self.ignore).anchored(self.anchors).stopped(step, seen)

    def _current(self, item: StopPoint) -> StopPoint:
        if item.id in self.anchors and isinstance(item.trigger, Changes):
            return replace(item, trigger=replace(item.trigger, anchor=self.anchors[item.id]))
        return item

    def _anchor(self, item: StopPoint, value: Array | None) -> None:
        if value is not None:
            self.anchors[item.id] = value


def is_anchored(item: StopPoint) -> bool:
    """Whether a stop is a `watch by`, which measures from the value at its last hit."""
    return isinstance(item.trigger, Changes) and item.trigger.by is not None


class Memories:
    """What triggers remember where the debugger stands.

    It is decided by the recorded steps before, and not by how they were run: the last memory is kept as long as the run goes
    on where it ended, and elsewhere the steps before are walked again, as many as the triggers look back on, but not beyond
    a point at which a parameter was set or another problem began.
    """

    def __init__(self, past: Past, programs: Programs) -> None:
        self._past = past
        self._programs = programs
        self._kept: tuple[Snapshot, Program, list[list[Any]]] | None = None

    def at(self, stretches: Sequence[Stretch], snapshot: Snapshot, triggers: Sequence[Trigger]) -> list[list[Any]]:
        """The memory of `triggers` at `snapshot`, a step of the last of `stretches`."""
        program = self._programs.get(stretches[-1].segment.recipe, triggers)
        back = max((trigger.horizon() for trigger in triggers), default=0)
        if back and self._kept is not None and self._kept[0] is snapshot and self._kept[1] is program:
            return self._kept[2]
        memory = program.blank_memory()
        for segment, first, last in self._behind(stretches, snapshot.step, back):
            memory = self._walked(segment, first, last, triggers, memory)
        return memory

    def keep(self, snapshot: Snapshot, program: Program, memory: list[list[Any]]) -> None:
        """Remember the memory of a program that arrived at `snapshot`."""
        self._kept = (snapshot, program, memory) if memory else None

    def begins(self, stretches: Sequence[Stretch], step: int, back: int) -> int:
        """The first step that is looked back on from `step`."""
        pieces = self._behind(stretches, step, back)
        return pieces[0][1] if pieces else step

    def _behind(self, stretches: Sequence[Stretch], step: int, back: int) -> list[tuple[Segment, int, int]]:
        """(segment, from, to) of the `back` updates before `step` that may be looked back on, in order."""
        pieces: list[tuple[Segment, int, int]] = []
        last = step
        back *= max(accumulation(stretch.segment.recipe.spec) for stretch in stretches)
        for index in range(len(stretches) - 1, -1, -1):
            segment = stretches[index].segment
            first = max(segment.start.step, step - back)
            if first < last:
                pieces.insert(0, (segment, first, last))
            if first > segment.start.step or index == 0 or not self._goes_on(stretches[index - 1], segment):
                break
            last = first
        return pieces

    def _goes_on(self, before: Stretch, segment: Segment) -> bool:
        """Whether a segment has the problem and the parameters with which the one before it ended."""
        if segment.recipe.problem.program_key != before.segment.recipe.problem.program_key:
            return False
        end = self._past.reach(before.segment, before.last).parameters
        return all(same_numbers(value, end[name]) for name, value in segment.start.parameters.items())

    def _walked(
        self, segment: Segment, first: int, last: int, triggers: Sequence[Trigger], memory: list[list[Any]]
    ) -> list[list[Any]]:
        """The memory after one more piece; a piece in which the triggers mean nothing leaves them with a blank one."""
        places = [place for place, each in enumerate(triggers) if each.horizon()]
        remembering = [triggers[place] for place in places]
        program = self._programs.get(segment.recipe, remembering)
        program.load(self._past.reach(segment, first))
        orders = Orders(
            [0] * len(places), [memory[place] for place in places], [each.given() for each in remembering], halting=False
        )
        left, walked = last - first, orders.memory
        try:
            while left:
                count = program.pace.begin(left)
                walked = program.advance(count, through=True, last_only=True, orders=replace(orders, memory=walked)).seen.memory
                program.pace.end(count)
                left -= count
                if left and self._past.interrupt.is_set():
                    raise CommandError("interrupted while the steps before were looked at again", "nothing has changed")
        except ExpressionError:
            return self._programs.get(segment.recipe, triggers).blank_memory()
        new = dict(zip(places, walked))
        return [new.get(place, each) for place, each in enumerate(memory)]
