"""The triggers inside the compiled loop: what a call of it is told of them, what it carries of them, and what they saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import filterfalse
from typing import Any

import numpy as np

from gdrepl.engine import bits
from gdrepl.engine.events import Shapes
from gdrepl.engine.reading import Reading
from gdrepl.engine.snapshot import Array
from gdrepl.engine.triggers import Trigger

Tensor = Any


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """What a call of the loop is told about its triggers.

    Attributes:
        ignore: for each trigger, how many times it may hold without ending the loop.
        memory: what the triggers remember where the program is: `Program.blank_memory` or what an `Advance` handed back.
        given: the values that each trigger is handed, by `Trigger.given`.
        halting: False lets the loop run on where they hold, and only notes it.
    """

    ignore: Sequence[int]
    memory: list[list[Any]]
    given: list[list[Any]]
    halting: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the triggers saw in one call of the loop.

    Attributes:
        held: for each, whether it held at the last point.
        fired: for each, whether that ended the loop: it held and was not to be ignored any more.
        hits: for each, at how many of the points it held; counted while they halt.
        ignore: for each, how many more times it is to be ignored.
        at: after which update each held, shape (updates, triggers); None while they halt.
        memory: what they remember there.
    """

    held: tuple[bool, ...] = ()
    fired: tuple[bool, ...] = ()
    hits: tuple[int, ...] = ()
    ignore: tuple[int, ...] = ()
    at: Array | None = None
    memory: list[list[Any]] = field(default_factory=list)


class Watch:
    """The triggers of one program.

    The loop carries which of them hold, and the truth values that they remember, as the bits of whole numbers, which stay in
    registers: a vector of truth values would cost as much as the updates, and each one by itself as much as an event.
    """

    def __init__(self, tf: Any, triggers: Sequence[Trigger]) -> None:
        self._tf = tf
        self.triggers = tuple(triggers)
        self.words = -(-len(self.triggers) // bits.WORD)
        """How many numbers the bits take."""

    def __bool__(self) -> bool:
        return bool(self.triggers)

    def blank_memory(self, shapes: Shapes) -> list[list[Array]]:
        """What the triggers remember where nothing lies behind."""
        return [trigger.blank(shapes) for trigger in self.triggers]

    def plain_orders(self, shapes: Shapes) -> Orders:
        """Nothing lies behind, and nothing is to be ignored."""
        return Orders([0] * len(self.triggers), self.blank_memory(shapes), [trigger.given() for trigger in self.triggers])

    def tensors(self, orders: Orders) -> tuple[Any, ...]:
        """What the loop is handed: the memory of the triggers, and what they are given; () where there are none."""
        if not self:
            return ()
        memory, given = self._tf.nest.map_structure(self._tf.convert_to_tensor, (orders.memory, orders.given))
        return memory, given

    # Inside the loop

    def begins(self, watched: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the loop carries: the words of bits, and the memory of the triggers; () where there are none."""
        return ([self._tf.constant(0, self._tf.int64)] * self.words, *self._folded(watched[0])) if self else ()

    def look(self, reading: Reading, carried: tuple[Any, ...], watched: tuple[Any, ...]) -> tuple[Any, ...]:
        """The same after one update, of which `reading` has both points."""
        memory = self._unfolded(carried, watched)
        looked = [trigger.look(reading, *each) for trigger, *each in zip(self.triggers, memory, watched[1])]
        return bits.packed(self._tf, [holds for holds, _ in looked]), *self._folded([memory for _, memory in looked])

    def ends(self, carried: tuple[Any, ...], watched: tuple[Any, ...]) -> tuple[list[Tensor], list[list[Tensor]]]:
        """The words of bits, and the memory of the triggers, of what the loop carried to its end."""
        return (carried[0], self._unfolded(carried, watched)) if self else ([], [])

    def _folded(self, memory: list[list[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
        """The memory as the loop carries it: its truth values as words of bits, and the other tensors."""
        flat = self._tf.nest.flatten(memory)
        return bits.packed(self._tf, list(filter(_is_flag, flat))), list(filterfalse(_is_flag, flat))

    def _unfolded(self, carried: tuple[Any, ...], watched: tuple[Any, ...]) -> list[list[Tensor]]:
        """The memory that `_folded` folded, in the shape of that which the loop was handed."""
        template = self._tf.nest.flatten(watched[0])
        flags = iter(bits.unpacked(self._tf, carried[1], sum(map(_is_flag, template))))
        others = iter(carried[2])
        flat = [next(flags if _is_flag(each) else others) for each in template]
        return self._tf.nest.pack_sequence_as(watched[0], flat)  # type: ignore[no-any-return]

    def holds(self, carried: tuple[Any, ...]) -> Tensor:
        """Whether a trigger holds, shape ()."""
        words = carried[0]
        result = words[0] != 0
        for word in words[1:]:
            result |= word != 0
        return result

    # After a call of it

    def seen(self, last: Seen, words: Sequence[int], memory: list[list[Any]], noted: Array | None) -> Seen:
        """What was seen with one more call, at whose end the bits are `words`.

        Args:
            noted: the words after each update, shape (updates, words), where the loop was not to halt.
        """
        held = tuple(bool(words[place // bits.WORD] >> place % bits.WORD & 1) for place in range(len(self.triggers)))
        if noted is not None:
            at = self._unpacked(noted)
            return replace(last, held=held, memory=memory, at=at if last.at is None else np.concatenate([last.at, at]))
        fired = tuple(holds and not times for holds, times in zip(held, last.ignore))
        hits = tuple(count + holds for count, holds in zip(last.hits, held))
        ignore = tuple(times - (holds and times > 0) for times, holds in zip(last.ignore, held))
        return replace(last, held=held, fired=fired, hits=hits, ignore=ignore, memory=memory)

    def _unpacked(self, noted: Array) -> Array:
        places = np.arange(len(self.triggers))
        return (noted[:, places // bits.WORD] >> (places % bits.WORD) & 1).astype(np.bool_)


def _is_flag(tensor: Tensor) -> bool:
    return bool(tensor.dtype == "bool") and tensor.shape.rank == 0
