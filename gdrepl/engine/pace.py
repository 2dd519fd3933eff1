"""How many updates to ask of a program at once, so that whoever asks hears of Ctrl-C in time."""

from __future__ import annotations

import time


class Pace:
    """Sizes for calls that take about 30 ms each: it begins with one update."""

    def __init__(self, goal: float = 0.03) -> None:
        self.goal = goal
        self.size = 1
        self._began = 0.0

    def begin(self, wanted: int) -> int:
        """The size of the next chunk, at most `wanted`."""
        self._began = time.perf_counter()
        return min(self.size, wanted)

    def end(self, taken: int) -> None:
        """Learn from the chunk that just ended, which made `taken` updates."""
        took = time.perf_counter() - self._began
        if took > self.goal * 1.5:
            self.size = max(1, min(self.size, int(taken * self.goal / took)))
        elif took < self.goal / 2 and taken >= self.size:  # a chunk that ended early was no test of its size
            self.size *= 16 if took < self.goal / 20 else 2
