"""For every optimizer: a random walk of steps, jumps, edits and branches ends in the bits of the straight run of its path."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import catalogue
from gdrepl.engine.problem import make_problem
from gdrepl.engine.timeline import Position

MOVES, LONGEST = 200, 9
VALLEY = make_problem("log(1 + (1 - x)**2 + 10*(y - x**2)**2)", {"x": -1.2, "y": 1.0})  # nothing diverges on it
Edit = tuple[str, float]


@dataclass(frozen=True)
class Here:
    """Where a walk stands, by our own account: `made` edits of the branch were made on the way."""

    branch: str
    step: int
    made: int


class Walk:
    """A walk, and an account of it that knows nothing of segments: branch -> (step, edit) in the order made."""

    def __init__(self, debugger: Debugger, seed: int) -> None:
        self.debugger = debugger
        self.chosen = random.Random(seed)
        self.edits: dict[str, list[tuple[int, Edit]]] = {"main": []}
        self.here = Here("main", 0, 0)
        self.seen: dict[Position, Here] = {debugger.position: self.here}

    def move(self) -> None:
        """One random move."""
        moves = [self.step, self.step, self.step, self.jump, self.turn, self.mark, self.edit, self.edit, self.branch]
        self.chosen.choice(moves)()
        self.seen[self.debugger.position] = self.here
        self.debugger.places = self.debugger.places.visit(self.debugger.position)

    def path(self) -> list[tuple[int, Edit]]:
        """The edits on the way to here."""
        return self.edits[self.here.branch][: self.here.made]

    def step(self) -> None:
        before = self.path()
        self.debugger.run(self.chosen.randint(1, LONGEST))
        self.arrive(before)
        self.here = self.stand(self.here.branch, self.debugger.step)

    def jump(self) -> None:
        branch = self.chosen.choice(list(self.edits))
        step = self.chosen.randint(0, self.debugger.timeline.branches[branch].end)
        self.debugger.goto(step, branch)
        self.here = self.stand(branch, step)

    def turn(self) -> None:
        self.debugger.turn(self.chosen.choice([-3, -2, -1, 1, 2]))
        self.here = self.seen[self.debugger.position]

    def mark(self) -> None:
        """What `restart` does: stand where we once stood, which may be before an edit."""
        position = self.chosen.choice(list(self.seen))
        self.debugger.stand(position)
        self.here = self.seen[position]

    def edit(self) -> None:
        before = self.path()
        edit = (self.chosen.choice(["lr", "x"]), self.chosen.uniform(0.001, 0.01))
        apply(self.debugger, edit)
        self.arrive(before)
        self.edits[self.here.branch].append((self.here.step, edit))
        self.here = self.stand(self.here.branch, self.here.step)

    def branch(self) -> None:
        before = self.path()
        self.debugger.fork()
        self.arrive(before)

    def arrive(self, before: list[tuple[int, Edit]]) -> None:
        """A move may have begun a branch, which has the past of the place that it left."""
        name = self.debugger.position.branch
        if name not in self.edits:
            self.edits[name] = before
            self.here = Here(name, self.here.step, len(before))

    def stand(self, branch: str, step: int) -> Here:
        return Here(branch, step, sum(at <= step for at, _ in self.edits[branch]))


def apply(debugger: Debugger, edit: Edit) -> None:
    name, value = edit
    if name == "lr":
        debugger.set_learning_rate(value)
    else:
        debugger.set_parameter("x", np.asarray(100 * value, np.float32))


def straight(debugger: Debugger, walk: Walk) -> Debugger:
    """The path of a walk without its detours."""
    for step, edit in walk.path():
        if step > debugger.step:
            debugger.run(step - debugger.step)
        apply(debugger, edit)
    if walk.here.step > debugger.step:
        debugger.run(walk.here.step - debugger.step)
    return debugger


@pytest.mark.parametrize("optimizer", list(catalogue()))
def test_a_random_walk_ends_in_the_bits_of_the_straight_run(
    optimizer: str, start_debugger: Callable[..., Debugger], assert_same_bits: Callable[[Any, Any], None]
) -> None:
    walk = Walk(start_debugger(VALLEY, optimizer, {}, 0.004), seed=len(optimizer))
    for number in range(1, MOVES + 1):
        walk.move()
        if number % (MOVES // 4) == 0:
            fresh = straight(start_debugger(VALLEY, optimizer, {}, 0.004), walk)
            assert (walk.debugger.step, list(fresh.timeline.branches)) == (walk.here.step, ["main"])
            assert_same_bits(walk.debugger.snapshot(), fresh.snapshot())
    assert len(walk.edits) > 10
    assert max(len(edits) for edits in walk.edits.values()) > 3
