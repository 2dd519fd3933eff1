"""Breakpoints, watchpoints, catchpoints and displays: immutable values, and the numbered collection that holds the stops."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gdrepl.engine.snapshot import Array
from gdrepl.engine.triggers import Changes, Guarded, Holds, Trigger
from gdrepl.errors import CommandError, did_you_mean
from gdrepl.expression import Expression, parse

KEEP, DISABLE, DELETE = "keep", "disable", "delete"
"""What becomes of a stop once it has stopped a run: it stays, is switched off (`enable once`), or goes (`tbreak`)."""


@dataclass(frozen=True, slots=True, eq=False)
class StopPoint:
    """Stops a run at the first step where its trigger holds.

    Attributes:
        id: its number, from 1, never used again.
        trigger: what it waits for.
        condition: what must hold too, or None; a breakpoint's own condition is its trigger.
        name: what a user calls it; "" for none.
        enabled: False leaves it in place but silent.
        afterwards: what becomes of it when it stops a run, one of KEEP, DISABLE, DELETE.
        hits: how often it held in a run while it was enabled, ignored times included.
        ignore: how many more of those it lets pass.
        commands: the lines to run when it stops a run.
        seen: the value that it saw when it last stopped a run, or None.
        seen_at: the step of that, or None.
    """

    id: int
    trigger: Trigger
    condition: Expression | None = None
    name: str = ""
    enabled: bool = True
    afterwards: str = KEEP
    hits: int = 0
    ignore: int = 0
    commands: tuple[str, ...] = ()
    seen: Array | None = None
    seen_at: int | None = None

    @property
    def kind(self) -> str:
        """breakpoint, watchpoint or event."""
        return self.trigger.kind

    @property
    def whole(self) -> Trigger:
        """The trigger with the condition."""
        return self.trigger if self.condition is None else Guarded(self.trigger, self.condition)

    @property
    def text(self) -> str:
        """What it waits for, as typed."""
        return self.whole.text

    @property
    def watched(self) -> Expression | None:
        """The expression whose value is worth seeing when it stops a run: of a comparison its left side."""
        expression = next(iter(self.trigger.expressions), None)
        if isinstance(self.trigger, Holds) and expression is not None and isinstance(expression.tree, ast.Compare):
            return parse(ast.unparse(expression.tree.left), at_point=True)
        return expression

    def under(self, condition: Expression | None) -> StopPoint:
        """The same with another condition; None takes it away.

        Raises:
            CommandError: it is a breakpoint, which is nothing without one.
        """
        if not isinstance(self.trigger, Holds):
            return replace(self, condition=condition)
        if condition is None:
            raise CommandError(f"breakpoint {self.id} is nothing without its condition", f"delete {self.id} takes it away")
        return replace(self, trigger=Holds(condition))

    def after_stopping(self, step: int, seen: Array | None) -> StopPoint:
        """The same once it has stopped a run at `step`, where its expression was `seen`."""
        trigger = self.trigger
        if isinstance(trigger, Changes) and trigger.by is not None and seen is not None:
            trigger = replace(trigger, anchor=seen)
        enabled = self.enabled and self.afterwards != DISABLE
        afterwards = KEEP if self.afterwards == DISABLE else self.afterwards
        return replace(self, trigger=trigger, enabled=enabled, afterwards=afterwards, seen=seen, seen_at=step)


@dataclass(frozen=True, slots=True)
class Display:
    """An expression shown at every stop."""

    id: int
    expression: Expression


@dataclass(frozen=True, slots=True)
class Stops:
    """The stops in the order of their numbers."""

    items: tuple[StopPoint, ...] = ()
    next_id: int = 1

    def __iter__(self) -> Iterator[StopPoint]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def add(self, trigger: Trigger | Expression, temporary: bool = False, name: str = "") -> Stops:
        """The collection with one more stop, numbered `next_id`; a condition makes a breakpoint.

        Raises:
            CommandError: another one has that name.
        """
        if name and any(item.name == name for item in self.items):
            raise CommandError(f"there is a stop called '{name}' already", "info break lists the names")
        waits_for = Holds(trigger) if isinstance(trigger, Expression) else trigger
        item = StopPoint(self.next_id, waits_for, name=name, afterwards=DELETE if temporary else KEEP)
        return Stops((*self.items, item), self.next_id + 1)

    def get(self, id: int) -> StopPoint:
        """The stop of that number.

        Raises:
            CommandError: there is none.
        """
        self._check((id,))
        return next(item for item in self.items if item.id == id)

    def number_of(self, name: str) -> int:
        """The number of the stop of that name.

        Raises:
            CommandError: there is none.
        """
        for item in self.items:
            if item.name == name:
                return item.id
        named = [item.name for item in self.items if item.name]
        hint = did_you_mean(name, named) or "give numbers, as info break lists them"
        raise CommandError(f"there is no stop called '{name[:40]}'", hint)

    def without(self, ids: tuple[int, ...] = ()) -> Stops:
        """The collection without `ids`, or empty when none is given.

        Raises:
            CommandError: there is no such stop.
        """
        self._check(ids)
        return replace(self, items=tuple(item for item in self.items if ids and item.id not in ids))

    def enabled(self, on: bool, ids: tuple[int, ...] = (), once: bool = False) -> Stops:
        """The collection with `ids` (or all) switched on or off; with `once` until they stop a run.

        Raises:
            CommandError: there is no such stop.
        """

        def switched(item: StopPoint) -> StopPoint:
            afterwards = DISABLE if once else KEEP if item.afterwards == DISABLE else item.afterwards
            return replace(item, enabled=on, afterwards=afterwards)

        self._check(ids)
        return self._map(lambda item: switched(item) if not ids or item.id in ids else item)

    def changed(self, item: StopPoint) -> Stops:
        """The collection with `item` in place of the one of its number."""
        self._check((item.id,))
        return self._map(lambda each: item if each.id == item.id else each)

    def counted(self, hits: Mapping[int, int], ignore: Mapping[int, int]) -> Stops:
        """The collection after a run in which each id of `hits` held so often, and is to be ignored `ignore` more times."""
        if not any(hits.values()):
            return self
        return self._map(
            lambda item: replace(item, hits=item.hits + hits[item.id], ignore=ignore[item.id]) if item.id in hits else item
        )

    def anchored(self, anchors: Mapping[int, Array]) -> Stops:
        """The collection with other values from which `watch by` goes on, by number."""

        def moved(item: StopPoint) -> StopPoint:
            if item.id in anchors and isinstance(item.trigger, Changes):
                return replace(item, trigger=replace(item.trigger, anchor=anchors[item.id]))
            return item

        return self._map(moved) if anchors else self

    def stopped(self, step: int, seen: Mapping[int, Array | None]) -> Stops:
        """The collection after the ids of `seen` stopped a run at `step`: those that are for once are switched off, or gone."""
        done = self._map(lambda item: item.after_stopping(step, seen[item.id]) if item.id in seen else item)
        return replace(done, items=tuple(item for item in done.items if not (item.id in seen and item.afterwards == DELETE)))

    def _map(self, change: Callable[[StopPoint], StopPoint]) -> Stops:
        return replace(self, items=tuple(change(item) for item in self.items))

    def _check(self, ids: Sequence[int]) -> None:
        known = [item.id for item in self.items]
        for wanted in ids:
            if wanted not in known:
                listed = ", ".join(map(str, known)) or "none"
                raise CommandError(f"there is no stop {wanted}", f"info break lists them: {listed}")
