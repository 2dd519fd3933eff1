"""Breakpoints and displays: immutable values, and the numbered collections that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gdrepl.errors import CommandError
from gdrepl.expression import Expression


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """Stops a run at the first step where `condition` holds.

    Attributes:
        id: its number, from 1, never used again.
        condition: a truth value of a point.
        enabled: False leaves it in place but silent.
        temporary: True deletes it when it stops a run (`tbreak`).
        hits: how often it stopped a run.
    """

    id: int
    condition: Expression
    enabled: bool = True
    temporary: bool = False
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Display:
    """An expression shown at every stop."""

    id: int
    expression: Expression


@dataclass(frozen=True, slots=True)
class Stops:
    """The breakpoints in the order of their numbers."""

    items: tuple[Breakpoint, ...] = ()
    next_id: int = 1

    def __iter__(self) -> Iterator[Breakpoint]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def add(self, condition: Expression, temporary: bool = False) -> Stops:
        """The collection with one more breakpoint, numbered `next_id`."""
        return Stops((*self.items, Breakpoint(self.next_id, condition, temporary=temporary)), self.next_id + 1)

    def without(self, ids: tuple[int, ...] = ()) -> Stops:
        """The collection without `ids`, or empty when none is given.

        Raises:
            CommandError: there is no such breakpoint.
        """
        self._check(ids)
        return replace(self, items=tuple(item for item in self.items if ids and item.id not in ids))

    def enabled(self, on: bool, ids: tuple[int, ...] = ()) -> Stops:
        """The collection with `ids` (or all) switched on or off.

        Raises:
            CommandError: there is no such breakpoint.
        """
        self._check(ids)
        return self._map(lambda item: replace(item, enabled=on) if not ids or item.id in ids else item)

    def hit(self, ids: tuple[int, ...]) -> Stops:
        """The collection after `ids` stopped a run: counted, and the temporary ones gone."""
        counted = self._map(lambda item: replace(item, hits=item.hits + 1) if item.id in ids else item)
        return replace(counted, items=tuple(item for item in counted.items if not (item.temporary and item.id in ids)))

    def _map(self, change: Callable[[Breakpoint], Breakpoint]) -> Stops:
        return replace(self, items=tuple(change(item) for item in self.items))

    def _check(self, ids: tuple[int, ...]) -> None:
        known = [item.id for item in self.items]
        for wanted in ids:
            if wanted not in known:
                listed = ", ".join(map(str, known)) or "none"
                raise CommandError(f"there is no breakpoint {wanted}", f"breakpoints: {listed}")
