"""The places visited, as the back and forward buttons of a browser know them: an immutable value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from gdrepl.engine.timeline import Position

MOST_PLACES = 200
"""How many are kept; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where commands left us, in order, and which of these places we stand at.

    Attributes:
        items: at least one, at most `MOST_PLACES`; never the same one twice in a row.
        index: into `items`.
        whole: False where places before the first one were visited that nobody kept, as in a file of an earlier gdrepl.

    Raises:
        ValueError: there is no such item.
    """

    items: tuple[Position, ...]
    index: int = 0
    whole: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.index < len(self.items):
            raise ValueError(f"place {self.index} of {len(self.items)}")

    @property
    def current(self) -> Position:
        """The place we stand at."""
        return self.items[self.index]

    def visit(self, position: Position) -> Places:
        """The places after a command left us at `position`: what lay ahead is forgotten, unless we did not move."""
        if position == self.current:
            return self
        items = (*self.items[: self.index + 1], position)[-MOST_PLACES:]
        return replace(self, items=items, index=len(items) - 1)

    def turned(self, count: int) -> Places:
        """`count` places on, or back where it is negative, as far as there are any."""
        return replace(self, index=min(max(self.index + count, 0), len(self.items) - 1))

    def changed(self, change: Callable[[Position], Position | None], here: Position) -> Places:
        """Each place as `change` makes it; those of which it makes None are dropped. We stand at `here`."""
        before = _distinct(filter(None, map(change, self.items[: self.index])))
        after = _distinct(filter(None, map(change, self.items[self.index + 1 :])))
        while before and before[-1] == here:
            before.pop()
        while after and after[0] == here:
            after.pop(0)
        return replace(self, items=(*before, here, *after), index=len(before))


def _distinct(positions: Iterable[Position]) -> list[Position]:
    """Without those that follow one that is the same."""
    found: list[Position] = []
    for position in positions:
        if not found or position != found[-1]:
            found.append(position)
    return found
