"""Any recorded step again, bit for bit: from the nearest snapshot kept, run forward, and compared with its recording."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gdrepl.engine.flag import Flag
from gdrepl.engine.live_optimizer import SlotName
from gdrepl.engine.moves import RecordingDiffersError
from gdrepl.engine.optimizer import accumulation
from gdrepl.engine.programs import Programs
from gdrepl.engine.rows import Columns
from gdrepl.engine.segment import Segment, start_row
from gdrepl.engine.snapshot import Array, Snapshot, same_numbers
from gdrepl.engine.timeline import Branch, Timeline


class Past:
    """Reads the timeline; what was dropped from it is computed again by the programs that computed it first.

    Attributes:
        interrupt: put up, from any thread or handler, it ends a long computation with an error that changes nothing.
    """

    def __init__(self, timeline: Timeline, programs: Programs) -> None:
        self._timeline = timeline
        self._programs = programs
        self.interrupt = Flag()

    def reach(self, segment: Segment, step: int) -> Snapshot:
        """A step of a segment: from the nearest snapshot, run forward; compared with its recording."""
        start = segment.nearest(step)
        if start.step == step:
            return start
        program = self._programs.get(segment.recipe)
        program.load(start)
        left, last = step - start.step, np.empty(0)
        while left > 0:
            advance = program.advance(program.pace.begin(left), through=True, last_only=True)
            program.pace.end(advance.taken)
            left -= advance.taken
            last = advance.rows[-1]
            if left > 0:
                self.interrupt.heed(f"interrupted on the way to step {step}")
        recorded = segment.row(step)
        if recorded is not None and not same_numbers(recorded, last):
            raise _differs(segment, step)
        snapshot = program.capture()
        segment.keep(snapshot)
        self._timeline.trim()
        return snapshot

    def beyond(self, segment: Segment, snapshot: Snapshot) -> Snapshot:
        """Where one more update of the program of `segment` leads from `snapshot`; nobody keeps it, and nothing is changed.

        Raises:
            ProblemError: the program cannot run.
        """
        program = self._programs.get(segment.recipe)
        program.load(snapshot)
        program.advance(1, through=True, last_only=True)
        return program.capture()

    def slots(self, segment: Segment, snapshot: Snapshot) -> Mapping[SlotName, Array]:
        """The optimizer's variables in a snapshot of `segment`, by name, in Keras' order."""
        return dict(zip(self._programs.get(segment.recipe).slot_names, snapshot.slots))

    def used_gradient(self, segment: Segment, snapshot: Snapshot) -> Mapping[str, Array]:
        """The gradient that the update from a snapshot of `segment` uses: where they are gathered, the mean of them."""
        steps = accumulation(segment.recipe.spec)
        if steps == 1:
            return snapshot.gradient
        slots = self.slots(segment, snapshot)
        with np.errstate(all="ignore"):  # what overflows here did so in the update, too
            return {
                name: (value + slots[SlotName("gradient_accumulator", name)]) / steps
                for name, value in snapshot.gradient.items()
            }

    def columns(self, branch: Branch, first: int, last: int) -> Columns:
        """The points of `first` to `last` of a branch."""
        parts = [segment.columns(low, self.rows(segment, low, high)) for segment, low, high in branch.pieces(first, last)]
        self._timeline.trim()
        return Columns.joined(parts) if parts else branch.stretches[-1].segment.no_columns()

    def rows(self, segment: Segment, first: int, last: int) -> Array:
        """The rows of `first` to `last` of a segment, shape (n, width); dropped ones are computed again."""
        parts = [start_row(segment)[None]] if first <= segment.start.step <= last else []
        for block in segment.overlapping(first, last):
            if block.rows is None:
                self.interrupt.heed(f"interrupted while steps {first} to {last} were computed again")
                segment.refill(block, self._recompute(segment, block.first, block.count))
            assert block.rows is not None
            parts.append(block.rows[max(first - block.first, 0) : min(last + 1 - block.first, block.count)])
        return np.concatenate(parts)

    def compare(self, segment: Segment, first: int, rows: Array) -> None:
        """Hold rows computed again against their recording, bit for bit."""
        for block in segment.overlapping(first, first + len(rows) - 1):
            if block.rows is None:
                continue
            low, high = max(first, block.first), min(first + len(rows), block.first + block.count)
            old, new = block.rows[low - block.first : high - block.first], rows[low - first : high - first]
            if not same_numbers(old, new):
                different = next(index for index in range(len(old)) if not same_numbers(old[index], new[index]))
                raise _differs(segment, low + different)

    def _recompute(self, segment: Segment, first: int, count: int) -> Array:
        program = self._programs.get(segment.recipe)
        program.load(self.reach(segment, first - 1))
        return program.advance(count, through=True).rows


def _differs(segment: Segment, step: int) -> RecordingDiffersError:
    engine = segment.recipe.engine
    return RecordingDiffersError(
        f"step {step} came out differently than it was recorded by the {engine} engine",
        "the eager engine repeats itself everywhere: --engine eager" if engine != "eager" else "",
    )
