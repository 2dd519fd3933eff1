"""One unbroken run of one program from a snapshot: the rows of its points, and the snapshots kept of it.

Rows, and kept snapshots but the first, are a cache within a limit that the timeline holds: what is dropped is computed again.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem
from gdrepl.engine.rows import Columns, Layout
from gdrepl.engine.snapshot import Array, Snapshot

BLOCK = 65_536
_SPACING = 256
_SMALL_BYTES = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """What a segment runs: the problem, the optimizer and the engine."""

    problem: Problem
    spec: OptimizerSpec
    engine: str

    def same_as(self, other: Recipe) -> bool:
        """Whether both run the same."""
        same = self.problem.program_key == other.problem.program_key
        return same and self.spec.key == other.spec.key and self.engine == other.engine


@dataclass(slots=True, eq=False)
class Block:
    """Rows of consecutive steps, of which the first `count` count; `rows` is None while they are dropped."""

    first: int
    count: int
    rows: Array | None


class Segment:
    """One unbroken run.

    Attributes:
        id: its number, from 1, in the order of beginning.
        recipe: what runs.
        start: the snapshot it began from, after the edit that began it.
        label: the command that began it, as typed.
        tip: the snapshot at its last step.
    """

    def __init__(self, id: int, recipe: Recipe, start: Snapshot, label: str) -> None:
        self.id = id
        self.recipe = recipe
        self.start = start
        self.label = label
        self.tip = start
        self.layout = Layout.of(recipe.problem.parameters, recipe.problem.dtype, recipe.spec.schedule is not None)
        self.blocks: list[Block] = []
        self._kept: dict[int, Snapshot] = {start.step: start}
        self._kept_steps = [start.step]
        self._kept_bytes = start.nbytes()
        self._row_bytes = 0

    @property
    def last(self) -> int:
        """The last step that was run."""
        return self.tip.step

    def extend(self, rows: Array, tip: Snapshot) -> None:
        """Take the rows of the steps that follow `last`, and the snapshot at the end of them.

        A long array is kept as it is: its memory becomes the segment's own.
        """
        step = self.last + 1
        if len(rows) >= BLOCK // 2:
            self.blocks.append(Block(step, len(rows), rows))
            self._row_bytes += rows.nbytes
        else:
            self._append(step, rows)
        self.tip = tip
        if tip.step - self._kept_steps[-1] >= _SPACING:
            self.keep(tip)

    def keep(self, snapshot: Snapshot) -> None:
        """Hold on to `snapshot`, so that its neighbours are quick to reach."""
        if snapshot.step not in self._kept:
            bisect.insort(self._kept_steps, snapshot.step)
            self._kept[snapshot.step] = snapshot
            self._kept_bytes += snapshot.nbytes()

    def nearest(self, step: int) -> Snapshot:
        """The latest snapshot at or before `step`, which lies in this segment."""
        if step == self.last:
            return self.tip
        return self._kept[self._kept_steps[bisect.bisect_right(self._kept_steps, step) - 1]]

    def row(self, step: int) -> Array | None:
        """The recorded row of `step`, or None when it is dropped."""
        if step == self.start.step:
            return start_row(self)
        for block in reversed(self.blocks):
            if block.first <= step < block.first + block.count:
                return None if block.rows is None else block.rows[step - block.first]
        return None

    def columns(self, first: int, rows: Array) -> Columns:
        """Read rows of this segment, of which the first is that of step `first`, as columns."""
        return self.layout.columns(first, rows, self.start.learning_rate)

    def no_columns(self) -> Columns:
        """The columns of no point."""
        return self.columns(0, np.empty((0, self.layout.width), self.layout.dtype))

    def overlapping(self, first: int, last: int) -> Iterator[Block]:
        """The blocks that hold steps of `first` to `last`."""
        for block in self.blocks:
            if block.first <= last and first < block.first + block.count:
                yield block

    def nbytes(self) -> tuple[int, int]:
        """Bytes of the kept snapshots and of the rows."""
        return self._kept_bytes, self._row_bytes

    def refill(self, block: Block, rows: Array) -> None:
        """Give a block the rows that it had dropped."""
        block.rows = rows
        self._row_bytes += rows.nbytes

    def drop_rows(self, wanted: int) -> int:
        """Drop rows, those of the oldest blocks first, until `wanted` bytes are free; returns how many are.

        A small last block stays: if it went after each single step, every step would become a block of its own.
        """
        dropped = 0
        for block in self.blocks:
            last = block is self.blocks[-1]
            if block.rows is not None and dropped < wanted and not (last and block.rows.nbytes < _SMALL_BYTES):
                dropped += block.rows.nbytes
                block.rows = None
        self._row_bytes -= dropped
        return dropped

    def cut(self, tip: Snapshot) -> None:
        """Forget the steps after `tip`, which was the tip when they were run."""
        self.tip = tip
        while self.blocks and self.blocks[-1].first > tip.step:
            self.blocks.pop()
        if self.blocks:
            self.blocks[-1].count = min(self.blocks[-1].count, tip.step - self.blocks[-1].first + 1)
        self._row_bytes = sum(block.rows.nbytes for block in self.blocks if block.rows is not None)
        while self._kept_steps[-1] > tip.step:
            self._kept_bytes -= self._kept.pop(self._kept_steps.pop()).nbytes()

    def up_to(self, tip: Snapshot) -> Segment:
        """A segment of its own that ends at `tip`, a step of this one; this one stays as it is, and may be thrown away."""
        shorter = Segment(self.id, self.recipe, self.start, self.label)
        shorter.tip = tip
        for block in self.overlapping(self.start.step + 1, tip.step):
            count = min(block.count, tip.step - block.first + 1)
            rows = block.rows if block.rows is None or len(block.rows) == count else block.rows[:count].copy()
            shorter.blocks.append(Block(block.first, count, rows))
        shorter._row_bytes = sum(block.rows.nbytes for block in shorter.blocks if block.rows is not None)
        for step in self._kept_steps:
            if step <= tip.step:
                shorter.keep(self._kept[step])
        return shorter

    def thin(self) -> bool:
        """Drop every second kept snapshot but the first; False when there is nothing left to drop."""
        dropped = self._kept_steps[1::2]
        for step in dropped:
            self._kept_bytes -= self._kept.pop(step).nbytes()
        self._kept_steps = self._kept_steps[::2]
        return bool(dropped)

    def _append(self, step: int, rows: Array) -> None:
        while len(rows):
            block = self._open_block(step)
            taken = rows[: BLOCK - block.count]
            self._row_bytes += _append(block, taken)
            step += len(taken)
            rows = rows[len(taken) :]

    def _open_block(self, step: int) -> Block:
        if not self.blocks or self.blocks[-1].count >= BLOCK or self.blocks[-1].rows is None:
            self.blocks.append(Block(step, 0, np.empty((0, self.layout.width), self.layout.dtype)))
        return self.blocks[-1]


def _append(block: Block, rows: Array) -> int:
    """Add rows to a block whose array may have room to spare; returns by how many bytes it grew."""
    assert block.rows is not None
    before = block.rows.nbytes
    needed = block.count + len(rows)
    if needed > len(block.rows):
        grown = np.empty((min(BLOCK, max(needed, 2 * len(block.rows), 64)), rows.shape[1]), rows.dtype)
        grown[: block.count] = block.rows[: block.count]
        block.rows = grown
    block.rows[block.count : needed] = rows
    block.count = needed
    return block.rows.nbytes - before


def start_row(segment: Segment) -> Array:
    """The row of a segment's start, made from its snapshot."""
    start = segment.start
    return segment.layout.point_row(start.loss, start.learning_rate, start.parameters, start.gradient)
