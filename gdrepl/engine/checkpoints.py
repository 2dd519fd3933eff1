"""Checkpoints: places that have a number and a name, so that one can go back to them. Immutable values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gdrepl.engine.timeline import Position
from gdrepl.errors import CommandError, did_you_mean


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A place to go back to.

    Attributes:
        id: its number, from 1, never used again.
        name: what a user calls it; no branch is called so.
        position: where it is; what is true there is the timeline's, which keeps it or computes it again.
    """

    id: int
    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints in the order of their numbers."""

    items: tuple[Checkpoint, ...] = ()
    next_id: int = 1

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return [item.name for item in self.items]

    def add(self, name: str, position: Position) -> Checkpoints:
        """The collection with one more, numbered `next_id`."""
        return Checkpoints((*self.items, Checkpoint(self.next_id, name, position)), self.next_id + 1)

    def find(self, word: str) -> Checkpoint:
        """The checkpoint of that number or name.

        Raises:
            CommandError: there is none.
        """
        for item in self.items:
            if word in (item.name, str(item.id)):
                return item
        listed = ", ".join(f"{item.id} {item.name}" for item in self.items)[:100]
        hint = did_you_mean(word, self.names) or (f"checkpoints: {listed}" if listed else "checkpoint makes one here")
        raise CommandError(f"there is no checkpoint '{word[:40]}'", hint)

    def without(self, ids: tuple[int, ...]) -> Checkpoints:
        """The collection without those of the numbers `ids`."""
        return replace(self, items=tuple(item for item in self.items if item.id not in ids))

    def changed(self, change: Callable[[Position], Position | None]) -> Checkpoints:
        """Each at the place that `change` makes of its own; those of which it makes None are dropped."""
        moved = [(item, change(item.position)) for item in self.items]
        return replace(self, items=tuple(replace(item, position=place) for item, place in moved if place is not None))
