"""The tree of all that was ever run: branches made of stretches of segments. Data only; running is the debugger's.

A segment is one unbroken run of one program from a snapshot. An edit ends a segment and begins another at the same step.
Branches that share a past share its segments: a branch is a list of stretches, each a segment and the last of its steps that
is on the branch.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem
from gdrepl.engine.rows import Columns, Layout
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.errors import CommandError, did_you_mean

BLOCK = 65_536
_SPACING = 256
_SMALL_BYTES = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """What a segment runs: the problem, the optimizer and the engine."""

    problem: Problem
    spec: OptimizerSpec
    engine: str


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


@dataclass(slots=True, eq=False)
class Stretch:
    """A segment, and the last of its steps that is on the branch."""

    segment: Segment
    last: int


@dataclass(slots=True, eq=False)
class Branch:
    """One future.

    Attributes:
        name: what a user calls it.
        parent: the branch it left, or None for one that begins at a step 0 of its own.
        fork_step: the step at which it left.
        stretches: from step 0 to its end.
    """

    name: str
    parent: str | None
    fork_step: int
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def start(self) -> int:
        """Its first step, 0."""
        return self.stretches[0].segment.start.step

    @property
    def end(self) -> int:
        """Its last step."""
        return self.stretches[-1].last

    def holding(self, step: int) -> Branch:
        """This branch, if it has `step`.

        Raises:
            CommandError: it has no such step.
        """
        if not self.start <= step <= self.end:
            hint = f"'advance {step}' runs on to it" if step > self.end else ""
            raise CommandError(f"branch {self.name} has steps {self.start} to {self.end}, not {step}", hint)
        return self

    def index_of(self, step: int) -> int:
        """Which stretch holds `step`; at the step of an edit, the one after the edit."""
        starts = [stretch.segment.start.step for stretch in self.stretches]
        return bisect.bisect_right(starts, step) - 1

    def pieces(self, first: int, last: int) -> Iterator[tuple[Segment, int, int]]:
        """(segment, from, to) in order, covering each step of `first` to `last` once."""
        for index, stretch in enumerate(self.stretches):
            end = self.stretches[index + 1].segment.start.step - 1 if index + 1 < len(self.stretches) else stretch.last
            low, high = max(first, stretch.segment.start.step), min(last, end)
            if low <= high:
                yield stretch.segment, low, high


@dataclass(frozen=True, slots=True)
class Position:
    """Where the debugger stands: a branch, one of its stretches, and a step of it."""

    branch: str
    index: int
    step: int


class Timeline:
    """All branches, and the memory that their history may take."""

    def __init__(self, limit_bytes: int = 256 * 2**20) -> None:
        self.limit_bytes = limit_bytes
        self.branches: dict[str, Branch] = {}
        self._next_segment = 1

    def branch(self, name: str) -> Branch:
        """The branch of that name.

        Raises:
            CommandError: there is none.
        """
        if name not in self.branches:
            raise CommandError(f"there is no branch '{name}'", did_you_mean(name, self.branches) or "info branches lists them")
        return self.branches[name]

    def segments(self) -> list[Segment]:
        """Every segment once, in the order of their numbers."""
        found = {stretch.segment.id: stretch.segment for branch in self.branches.values() for stretch in branch.stretches}
        return [found[id] for id in sorted(found)]

    def points(self) -> int:
        """How many points were visited; an edit is at a point, and makes none."""
        roots = {branch.stretches[0].segment.id for branch in self.branches.values()}
        return len(roots) + sum(segment.last - segment.start.step for segment in self.segments())

    def begin(self, recipe: Recipe, start: Snapshot, label: str, parent: str | None = None) -> Position:
        """A branch with a step 0 of its own; `parent` is the branch that it begins again, if it does."""
        name = self.free_name()
        self.branches[name] = Branch(name, parent, 0, [Stretch(self._segment(recipe, start, label), start.step)])
        return Position(name, 0, start.step)

    def fork(self, position: Position, name: str = "") -> Position:
        """A branch that shares everything up to `position` with the branch there."""
        parent = self._owner(position)
        chosen = name or self.free_name()
        if chosen in self.branches:
            raise CommandError(f"there is a branch '{chosen}' already", f"goto {chosen} goes to it")
        shared = [Stretch(stretch.segment, stretch.last) for stretch in parent.stretches[: position.index + 1]]
        shared[-1].last = position.step
        self.branches[chosen] = Branch(chosen, parent.name, position.step, shared)
        return Position(chosen, position.index, position.step)

    def _owner(self, position: Position) -> Branch:
        """The branch that the step belongs to: an ancestor of the branch we stand on, where that still shared it."""
        branch = self.branches[position.branch]
        segment = branch.stretches[position.index].segment
        while branch.parent in self.branches:
            parent = self.branches[branch.parent]
            if position.index >= len(parent.stretches) or parent.stretches[position.index].segment is not segment:
                break
            if position.step > branch.fork_step:
                break
            branch = parent
        return branch

    def edit(self, position: Position, recipe: Recipe, start: Snapshot, label: str) -> Position:
        """Begin a segment at `position` with an edited snapshot; away from the end of a branch this forks it first."""
        branch = self.branches[position.branch]
        if position.step != branch.end or position.index != len(branch.stretches) - 1:
            position = self.fork(position)
            branch = self.branches[position.branch]
        branch.stretches.append(Stretch(self._segment(recipe, start, label), start.step))
        return Position(branch.name, len(branch.stretches) - 1, start.step)

    def undo(self) -> Callable[[], None]:
        """A function that forgets whatever is added from now on, and brings back what is taken away."""
        branches, number = dict(self.branches), self._next_segment
        ends = [(branch, list(branch.stretches), branch.end) for branch in branches.values()]
        tips = [(segment, segment.tip) for segment in self.segments()]

        def undo() -> None:
            self.branches, self._next_segment = branches, number
            for branch, stretches, last in ends:
                branch.stretches[:] = stretches
                branch.stretches[-1].last = last
            for segment, tip in tips:
                if segment.tip is not tip:
                    segment.cut(tip)

        return undo

    def free_name(self) -> str:
        """`main`, then b1, b2, ..."""
        if not self.branches:
            return "main"
        number = 1
        while f"b{number}" in self.branches:
            number += 1
        return f"b{number}"

    def add_segment(self, segment: Segment) -> None:
        """Note a segment made elsewhere (by loading), so that later numbers follow it."""
        self._next_segment = max(self._next_segment, segment.id + 1)

    def trim(self) -> None:
        """Bring the history within its limit: thin the snapshots, then drop the oldest rows. All can be computed again."""
        segments = self.segments()
        while True:
            sizes = [segment.nbytes() for segment in segments]
            over = sum(map(sum, sizes)) - self.limit_bytes
            if over <= 0:
                return
            if sum(size[0] for size in sizes) > self.limit_bytes // 2:
                largest = max(zip(sizes, segments), key=lambda pair: pair[0][0])[1]
                if largest.thin():
                    continue
            if not _drop_rows(segments, over):
                return

    def _segment(self, recipe: Recipe, start: Snapshot, label: str) -> Segment:
        segment = Segment(self._next_segment, recipe, start, label)
        self._next_segment += 1
        return segment


def _drop_rows(segments: list[Segment], over: int) -> bool:
    dropped = 0
    for segment in segments:
        dropped += segment.drop_rows(over - dropped)
    return dropped > 0
