"""Where a debugger stands on its timeline, and how it goes along what was recorded and adds to it; nothing is run here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

from gdrepl.engine.phases import PHASES
from gdrepl.engine.segment import Recipe, Segment
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.engine.timeline import Branch, Position, Stretch, Timeline


class Here:
    """A position of a timeline, and the snapshot there.

    Attributes:
        timeline: all that was ever run.
        position: where we stand on it.
        snapshot: all that is true there.
        phase: how many phases of the update from there are made; 0 between two updates.
        given_up: of updates that were begun by phases and left, a line each, until somebody says so.
    """

    def __init__(self, timeline: Timeline, recipe: Recipe, start: Snapshot) -> None:
        """Begin `timeline` with the snapshot of a step 0."""
        self.timeline = timeline
        self.position = timeline.begin(recipe, start, "start")
        self.snapshot = start
        self.phase = 0
        self.given_up: tuple[str, ...] = ()

    @property
    def branch(self) -> Branch:
        """The branch in force."""
        return self.timeline.branches[self.position.branch]

    @property
    def segment(self) -> Segment:
        """The segment in force."""
        return self.branch.stretches[self.position.index].segment

    @property
    def recipe(self) -> Recipe:
        """The problem, optimizer and engine in force."""
        return self.segment.recipe

    @property
    def step(self) -> int:
        """The step we stand at."""
        return self.snapshot.step

    def stretches(self) -> list[Stretch]:
        """The stretches of the branch in force up to the one that we stand on."""
        return self.branch.stretches[: self.position.index + 1]

    def arrived(self) -> Branch:
        """The branch in force up to the point that the latest update led to, which an edit of this step may have changed."""
        index, stretches = self.position.index, self.branch.stretches
        while index and stretches[index].segment.start.step == self.step:
            index -= 1
        return replace(self.branch, stretches=[*stretches[:index], Stretch(stretches[index].segment, self.step)])

    def undo(self) -> Callable[[], None]:
        """A function that brings us back to where we stand now, on the timeline as it is now."""
        position, snapshot, undo = self.position, self.snapshot, self.timeline.undo()
        phase, given_up = self.phase, self.given_up

        def back() -> None:
            undo()
            self.position, self.snapshot = position, snapshot
            self.phase, self.given_up = phase, given_up

        return back

    # Standing elsewhere

    def stand(self, position: Position, snapshot: Snapshot) -> None:
        """Stand at a position, of which `snapshot` is what is true there; an update that was begun is given up."""
        if self.phase:
            up_to = f"the update from step {self.step}, begun up to {PHASES[self.phase - 1]}, is given up"
            self.phase, self.given_up = 0, (*self.given_up, up_to)
        self.position, self.snapshot = position, snapshot

    def begin(self, recipe: Recipe, start: Snapshot, label: str, parent: str | None = None) -> None:
        """Stand at the step 0 of a new branch; `parent` is the branch that it begins again, if it does."""
        self.stand(self.timeline.begin(recipe, start, label, parent), start)

    def fork(self, name: str = "") -> str:
        """Stand at this very point of a new branch that shares all up to here; returns its name."""
        self.position = self.timeline.fork(self.position, name)
        return self.position.branch

    def edit(self, recipe: Recipe, snapshot: Snapshot, label: str) -> None:
        """Stand at an edited snapshot of this step, from which another segment goes on."""
        self.stand(self.timeline.edit(self.position, recipe, snapshot, label), snapshot)

    # Going on

    def enter_next_stretch(self) -> int:
        """At the end of a stretch go on to the next one; returns how many recorded steps of the stretch lie ahead."""
        stretches = self.branch.stretches
        while self.step == stretches[self.position.index].last and self.position.index + 1 < len(stretches):
            self.position = replace(self.position, index=self.position.index + 1)
            self.snapshot = self.segment.start
        return stretches[self.position.index].last - self.step

    def leave_before_edit(self) -> tuple[str, ...]:
        """Where we stand before an edit of this very step, go on without it: on a branch of our own; returns a note of it."""
        left = self.position
        later = (stretch.segment for stretch in self.branch.stretches[left.index + 1 :])
        at_this_step = itertools.takewhile(lambda segment: segment.start.step == left.step, later)
        # A branch that goes on with a shared segment begins one that changes nothing.
        if all(self.recipe.same_as(each.recipe) and self.snapshot.same_as(each.start) for each in at_this_step):
            return ()
        made = self.fork()
        return (f"on branch {made}, from before the edit at step {left.step} of {left.branch}",)

    def walk(self, arrived: Snapshot) -> None:
        """Go on to a later step of the stretch: an update that was begun is finished by that."""
        self.phase = 0
        self.stand(replace(self.position, step=arrived.step), arrived)

    def extend(self, rows: Array, arrived: Snapshot) -> None:
        """Add the rows of new steps to the branch, and stand at the last of them."""
        self.phase = 0
        if self.segment.last != self.step or self._shared(self.segment):
            # another branch went on with this segment: ours goes on with a new one of the same recipe
            self.edit(self.recipe, self.snapshot, "")
        self.segment.extend(rows, arrived)
        self.branch.stretches[-1].last = arrived.step
        self.walk(arrived)

    def _shared(self, segment: Segment) -> bool:
        return any(
            branch.name != self.branch.name and any(stretch.segment is segment for stretch in branch.stretches)
            for branch in self.timeline.branches.values()
        )
