"""What a session is, in NumPy alone: plain gradient descent with momentum, with every state of every branch kept.

It is as simple as it can be: nothing is shared, thinned, recomputed or undone. Its numbers are float32, rounded at each
operation as a processor without fused multiply-add does, so they are the debugger's to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

F = np.float32
LOSS = "(x-3)**2 + 4*(y+1)**2"
START = {"x": 7.0, "y": 2.0}


@dataclass(frozen=True)
class State:
    """What is true at one step; `velocity` and `iteration` are the optimizer's own."""

    step: int
    x: np.float32
    y: np.float32
    rate: np.float32
    momentum: float
    velocity: tuple[np.float32, np.float32] = (F(0), F(0))
    iteration: int = 0

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


@dataclass
class Model:
    """All branches by name, and where we stand."""

    rate: float
    momentum: float
    lines: dict[str, Line] = field(default_factory=dict)
    branch: str = "main"
    at: int = 0

    def __post_init__(self) -> None:
        self.lines["main"] = Line(None, 0, [self._first(F(self.rate), self.momentum)])

    @staticmethod
    def _first(rate: np.float32, momentum: float) -> State:
        return State(0, F(START["x"]), F(START["y"]), rate, momentum)

    @property
    def line(self) -> Line:
        return self.lines[self.branch]

    @property
    def here(self) -> State:
        return self.line.states[self.at]

    def copy(self) -> Model:
        """What `save` writes."""
        new = Model(self.rate, self.momentum)
        new.lines = {name: replace(line, states=list(line.states)) for name, line in self.lines.items()}
        new.branch, new.at = self.branch, self.at
        return new

    def run(self, count: int) -> None:
        for _ in range(count):
            if self.here.step == self.line.end:
                others = [line for name, line in self.lines.items() if name != self.branch]
                if any(state is self.here for line in others for state in line.states):
                    self.edit()  # a branch that goes on from a shared state has one of its own there
                self.line.states.append(self.here.next())
            self.goto(self.branch, self.here.step + 1)

    def goto(self, branch: str, step: int) -> None:
        self.branch = branch
        self.at = self.line.place(step)

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
        return next(name for number in range(1, 1000) if (name := f"b{number}") not in self.lines)

    def edit(self, **changes: object) -> None:
        """Change what is true here; in the past of a branch this begins another."""
        if self.at != len(self.line.states) - 1:
            self.fork(self.free_name())
        self.line.states.append(replace(self.here, **changes))
        self.at += 1

    def run_again(self, count: int) -> None:
        name, here = self.free_name(), self.here
        self.lines[name] = Line(self.branch, 0, [self._first(here.rate, here.momentum)])
        self.branch, self.at = name, 0
        self.run(count)
