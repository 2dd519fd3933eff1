"""The tree of all that was ever run: branches made of stretches of segments. Data only; nothing is run here.

A segment is one unbroken run of one program from a snapshot. An edit ends a segment and begins another at the same step.
Branches that share a past share its segments: a branch is a list of stretches, each a segment and the last of its steps that
is on the branch.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gdrepl.engine.segment import Recipe, Segment
from gdrepl.engine.snapshot import Snapshot
from gdrepl.errors import CommandError, did_you_mean

FIRST = "main"
"""What the first branch is called."""
_AUTOMATIC = re.compile(r"b([1-9]\d{0,15})")


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
    """All branches, and the memory that their history may take.

    Attributes:
        first_free: the number from which branches that nobody named are named; those of deleted branches lie below it.
    """

    def __init__(self, limit_bytes: int = 256 * 2**20) -> None:
        self.limit_bytes = limit_bytes
        self.branches: dict[str, Branch] = {}
        self.first_free = 1
        self._next_segment = 1

    def branch(self, name: str) -> Branch:
        """The branch of that name.

        Raises:
            CommandError: there is none.
        """
        if name not in self.branches:
            raise CommandError(f"there is no branch '{name}'", did_you_mean(name, self.branches) or "info branches lists them")
        return self.branches[name]

    @property
    def is_bare(self) -> bool:
        """True while nothing was run, and no branch was made or named."""
        return [*self.branches] == [FIRST] and all(segment.last == segment.start.step for segment in self.segments())

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
        self._check_free(chosen)
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
        """A function that forgets whatever is added from now on, and brings back the branches that are taken away.

        Only the last segment of a branch can grow, so it is cheap. What was dropped to save memory stays dropped.
        """
        branches, number, limit, free = dict(self.branches), self._next_segment, self.limit_bytes, self.first_free
        ends = [(branch, len(branch.stretches), branch.end, branch.stretches[-1].segment.tip) for branch in branches.values()]

        def undo() -> None:
            self.branches, self._next_segment, self.limit_bytes, self.first_free = branches, number, limit, free
            for branch, count, last, tip in ends:
                del branch.stretches[count:]
                branch.stretches[-1].last = last
                if branch.stretches[-1].segment.tip is not tip:
                    branch.stretches[-1].segment.cut(tip)

        return undo

    def rename(self, old: str, new: str) -> None:
        """Call branch `old` by the name `new`.

        Raises:
            CommandError: there is no branch `old`, or there is a branch `new`.
        """
        self.branch(old)
        self._check_free(new)
        renamed = (
            replace(branch, name=new) if name == old else replace(branch, parent=new) if branch.parent == old else branch
            for name, branch in self.branches.items()
        )
        self.branches = {branch.name: branch for branch in renamed}
        self._retire(old)

    def delete(self, name: str, reach: Callable[[Segment, int], Snapshot]) -> None:
        """Forget a branch: segments that no other has are gone, and those that others have in part are cut to that part.

        Branches and segments are replaced, never changed, so that `undo` brings all back. What left the branch hangs on its
        parent from now on. Where it had none, the first of those that share its past becomes the parent of the others.

        Args:
            reach: gives the snapshot of a step of a segment, which becomes the tip of the part that is kept.
        """
        gone = self.branch(name)
        left = [_rehung(branch, gone, self._heir(gone)) for branch in self.branches.values() if branch is not gone]
        cut: dict[int, Segment] = {}
        for stretch in gone.stretches:
            segment = stretch.segment
            lasts = [other.last for branch in left for other in branch.stretches if other.segment is segment]
            if lasts and max(lasts) < segment.last:
                cut[segment.id] = segment.up_to(reach(segment, max(lasts)))
        self.branches = {branch.name: _with_segments(branch, cut) for branch in left}
        self._next_segment = max(segment.id for segment in self.segments()) + 1  # as it will be once this is saved and loaded
        self._retire(name)

    def _heir(self, gone: Branch) -> Branch | None:
        """The child of a root that is gone to which the others come, since it shares their past; None where it was no root."""
        if gone.parent in self.branches:
            return None
        first = gone.stretches[0].segment
        children = (branch for branch in self.branches.values() if branch.parent == gone.name)
        return next((branch for branch in children if branch.stretches[0].segment is first), None)

    def _retire(self, name: str) -> None:
        """See that no branch is named so again but by hand."""
        number = _AUTOMATIC.fullmatch(name)
        if number:
            self.first_free = max(self.first_free, int(number[1]) + 1)

    def _check_free(self, name: str) -> None:
        if name in self.branches:
            raise CommandError(f"there is a branch '{name}' already", f"goto {name} goes to it")

    def free_name(self) -> str:
        """`main`, then b1, b2, ..."""
        if not self.branches:
            return FIRST
        number = self.first_free
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


def _rehung(branch: Branch, gone: Branch, heir: Branch | None) -> Branch:
    """`branch` in a tree without `gone`."""
    if branch.parent != gone.name:
        return branch
    if heir is None:
        return replace(branch, parent=gone.parent, fork_step=min(branch.fork_step, gone.fork_step))
    if branch is heir or branch.stretches[0].segment is not heir.stretches[0].segment:
        return replace(branch, parent=None, fork_step=0)
    return replace(branch, parent=heir.name, fork_step=min(branch.fork_step, heir.fork_step))


def _with_segments(branch: Branch, cut: Mapping[int, Segment]) -> Branch:
    """`branch` with the segments of `cut` in place of those of the same numbers."""
    if not any(stretch.segment.id in cut for stretch in branch.stretches):
        return branch
    return replace(branch, stretches=[Stretch(cut.get(each.segment.id, each.segment), each.last) for each in branch.stretches])
