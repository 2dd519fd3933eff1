"""What a session is, in NumPy alone: plain gradient descent with momentum, with every state of every branch kept.

It is as simple as it can be: nothing is shared, thinned, recomputed or undone. Its numbers are float32, rounded at each
operation as a processor without fused multiply-add does, so they are the debugger's to the bit.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

F = np.float32
LOSS = "(x-3)**2 + 4*(y+1)**2"
START = {"x": 7.0, "y": 2.0}


@dataclass(frozen=True)
class State:
    """What is true at one step; `velocity` and `iteration` are the optimizer's own.

    `run` is the number of the unbroken run that it is a step of; an edit begins one.
    """

    step: int
    x: np.float32
    y: np.float32
    rate: np.float32
    momentum: float
    velocity: tuple[np.float32, np.float32] = (F(0), F(0))
    iteration: int = 0
    run: int = 0

    @property
    def loss(self) -> np.float32:
        a, b = self.x - F(3), self.y + F(1)
        return a * a + F(4) * (b * b)

    @property
    def gradient(self) -> tuple[np.float32, np.float32]:
        return F(2) * (self.x - F(3)), F(8) * (self.y + F(1))

    def next(self) -> State:
        """After one update as Keras makes it: the rate is inside the velocity."""
        u, v = (F(self.momentum) * old - slope * self.rate for old, slope in zip(self.velocity, self.gradient))
        return replace(self, step=self.step + 1, x=self.x + u, y=self.y + v, velocity=(u, v), iteration=self.iteration + 1)

    def same_as(self, other: State) -> bool:
        """Whether both have the same future, to the bit."""
        one, two = ([np.asarray(each).tobytes() for each in state.numbers().values()] for state in (self, other))
        return one == two and self.momentum == other.momentum

    def numbers(self) -> dict[str, np.ndarray]:
        """All of it, as a snapshot names it."""
        slots = [np.int64(self.iteration), self.rate, *self.velocity]
        gradient = dict(zip(("grad x", "grad y"), self.gradient))
        return {"x": self.x, "y": self.y, "loss": self.loss, "rate": self.rate, **gradient, "slots": slots}


@dataclass
class Line:
    """One branch: every state that was visited on it, those before an edit too."""

    parent: str | None
    fork_step: int
    states: list[State]

    @property
    def end(self) -> int:
        return self.states[-1].step

    def place(self, step: int) -> int:
        """Where the last state of that step is."""
        return max(place for place, state in enumerate(self.states) if state.step == step)


Place = tuple[str, int]
"""A branch, and which of its states."""


@dataclass
class Model:
    """All branches by name, where we stand and how many phases in, the places visited, and the checkpoints by name."""

    rate: float
    momentum: float
    lines: dict[str, Line] = field(default_factory=dict)
    branch: str = "main"
    at: int = 0
    runs: int = 1
    first_free: int = 1
    places: list[Place] = field(default_factory=lambda: [("main", 0)])
    visiting: int = 0
    checkpoints: dict[str, Place] = field(default_factory=dict)
    made: int = 0
    phase: int = 0

    def __post_init__(self) -> None:
        if not self.lines:
            self.lines["main"] = Line(None, 0, [self._first(F(self.rate), self.momentum)])

    def _first(self, rate: np.float32, momentum: float) -> State:
        self.runs += 1
        return State(0, F(START["x"]), F(START["y"]), rate, momentum, run=self.runs)

    @property
    def line(self) -> Line:
        return self.lines[self.branch]

    @property
    def here(self) -> State:
        return self.line.states[self.at]

    def copy(self) -> Model:
        """What `save` writes."""
        lines = {name: replace(line, states=list(line.states)) for name, line in self.lines.items()}
        return replace(self, lines=lines, places=list(self.places), checkpoints=dict(self.checkpoints))

    # Running and moving

    def run(self, count: int) -> None:
        self._leave_before_edit()
        for _ in range(count):
            if self.here.step == self.line.end:
                self._extend()
            self.goto(self.branch, self.here.step + 1)

    def _leave_before_edit(self) -> None:
        later = [state for state in self.line.states[self.at + 1 :] if state.step == self.here.step]
        if not all(self.here.same_as(state) for state in later):
            self.fork(self.free_name())

    def _extend(self) -> None:
        others = [line for name, line in self.lines.items() if name != self.branch]
        self.at = len(self.line.states) - 1
        if any(state.run == self.here.run for line in others for state in line.states):
            self.edit()  # a branch that goes on from a run that others have too begins one of its own
        self.line.states.append(self.here.next())

    def goto(self, branch: str, step: int) -> None:
        self.stand((branch, self.lines[branch].place(step)))

    def stand(self, place: Place) -> None:
        self.branch, self.at = place
        self.phase = 0

    def run_again(self, count: int) -> None:
        name, here = self.free_name(), self.here
        self.lines[name] = Line(self.branch, 0, [self._first(here.rate, here.momentum)])
        self.stand((name, 0))
        self.run(count)

    def visit(self) -> None:
        """A command has left us here."""
        if (self.branch, self.at) != self.places[self.visiting]:
            self.places = [*self.places[: self.visiting + 1], (self.branch, self.at)]
            self.visiting += 1

    def turn(self, count: int) -> None:
        """Back and forward through the places."""
        self.visiting = min(max(self.visiting + count, 0), len(self.places) - 1)
        self.stand(self.places[self.visiting])

    def mark(self, name: str) -> None:
        """A checkpoint."""
        self.made += 1
        self.checkpoints[name] = (self.branch, self.at)

    # Editing, and the tree

    def edit(self, **changes: object) -> None:
        """Change what is true here; in the past of a branch this begins another."""
        if self.at != len(self.line.states) - 1:
            self.fork(self.free_name())
        self.runs += 1
        self.line.states.append(replace(self.here, run=self.runs, **changes))
        self.at += 1
        self.phase = 0

    def fork(self, name: str) -> None:
        """A branch from here; its parent is the eldest of ours that has this very state from before we left it."""
        owner = self.branch
        while True:
            line = self.lines[owner]
            parent = self.lines.get(line.parent or "")
            shared = parent is not None and self.at < len(parent.states) and parent.states[self.at] is self.here
            if not shared or self.here.step > line.fork_step:
                break
            owner = line.parent or ""
        self.lines[name] = Line(owner, self.here.step, self.line.states[: self.at + 1])
        self.branch = name

    def free_name(self) -> str:
        return next(name for number in range(self.first_free, 1000) if (name := f"b{number}") not in self.lines)

    def rename(self, old: str, new: str) -> None:
        self.lines = {new if name == old else name: line for name, line in self.lines.items()}
        for line in self.lines.values():
            line.parent = new if line.parent == old else line.parent
        self.branch = new if self.branch == old else self.branch
        self._tell(lambda place: (new, place[1]) if place[0] == old else place)
        self._retire(old)

    def delete(self, name: str) -> None:
        gone = self.lines.pop(name)
        children = {each: line for each, line in self.lines.items() if line.parent == name}
        kin = [each for each, line in children.items() if line.states[0] is gone.states[0]]
        heir = kin[0] if gone.parent is None and kin else None
        left = self.lines[heir].fork_step if heir else 0
        for each, line in children.items():
            if heir is None:
                line.parent, line.fork_step = gone.parent, min(line.fork_step, gone.fork_step)
            elif each == heir or each not in kin:
                line.parent, line.fork_step = None, 0
            else:
                line.parent, line.fork_step = heir, min(line.fork_step, left)
        self._tell(lambda place: None if place[0] == name else place)
        self._retire(name)

    def _retire(self, name: str) -> None:
        """A number that a branch had by itself is not given again."""
        if re.fullmatch(r"b\d+", name):
            self.first_free = max(self.first_free, int(name[1:]) + 1)

    def _tell(self, change: Callable[[Place], Place | None]) -> None:
        """The places and checkpoints after a change of the tree; none of the places twice in a row."""
        here = (self.branch, self.at)
        before = [place for each in self.places[: self.visiting] if (place := change(each)) is not None]
        after = [place for each in self.places[self.visiting + 1 :] if (place := change(each)) is not None]
        kept = [place for place, _ in itertools.groupby([*before, here])]
        rest = [place for place, _ in itertools.groupby([here, *after])][1:]
        self.places, self.visiting = [*kept, *rest], len(kept) - 1
        marks = {name: change(place) for name, place in self.checkpoints.items()}
        self.checkpoints = {name: place for name, place in marks.items() if place is not None}
