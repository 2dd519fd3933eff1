"""Directions through the point where the descent stands, by name: grad, update, next, v1, vmin, W[0, 1]."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import accumulation
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError, did_you_mean
from gdrepl.insight.coordinates import Names, labels, parse_selection
from gdrepl.insight.products import Tick
from gdrepl.insight.spectrum import ENDS, Spectrum, spectrum
from gdrepl.insight.wide import flat

GRAD, UPDATE, NEXT = "grad", "update", "next"
ACROSS = ", across"
"""Behind the name of a direction of which only the part across another one is taken."""
_ENDS = ("v1", "vmax", "vmin")
_VECTOR = re.compile(r"v(?:[1-9]\d*|min|max)")
_NEXT, _LAST = "the length of the next update", "the length of the last update"
_APART = 1e-3
"""The cosine up to which two directions count as orthogonal, as those of Lanczos are but for their residual."""
_SMALL = 1e-2
"""A unit where nothing moves: this part of the parameters' norm, or of 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A direction.

    Attributes:
        name: what it is called, such as -grad, v1 or W[0, 1].
        vector: its unit vector, all parameters laid end to end, float64 of shape (n,).
        unit: how long a step of 1 along it is, > 0.
        origin: what the place where we stand is called: 0, or the value of a coordinate.
        says: what a unit is, in words; "" for that of a coordinate.
        downhill: whether only the side it points to leads down: for a line that is drawn longer ahead than behind.
    """

    name: str
    vector: Array
    unit: float
    origin: float = 0.0
    says: str = ""
    downhill: bool = False


class Compass:
    """Finds directions at one point; what several of them need is computed once.

    Args:
        debugger: which stands there.
        names: of the directions that will be asked for.
        tick: called before each Hessian-vector product; what it raises ends the work.
    """

    def __init__(self, debugger: Debugger, names: Iterable[str], tick: Tick) -> None:
        here = debugger.snapshot()
        self._debugger = debugger
        self._only_ends = not any(_VECTOR.fullmatch(name) and name not in _ENDS for name in names)
        self._tick = tick
        self._spectrum: Spectrum | None = None
        self.at = flat(here.parameters)
        self.gradient = flat(here.gradient)
        self.next = debugger.next_move()
        self.step = flat(self.next.parameters) - self.at
        self.last = last_move(debugger)

    def way(self, name: str) -> Way:
        """The direction of a name; a parameter that is called so comes first.

        Raises:
            CommandError: there is no such direction, or it has no length here.
        """
        if name.partition("[")[0].strip() in self._debugger.problem.parameters:
            return self._coordinate(name)
        if name in (GRAD, UPDATE, NEXT):
            return {GRAD: self._downhill, UPDATE: self._along_last, NEXT: self._along_next}[name]()
        if _VECTOR.fullmatch(name):
            return self._eigenvector(name)
        known = [GRAD, UPDATE, NEXT, "v1", "vmin", *self._debugger.problem.parameters]
        hint = did_you_mean(name, known) or "directions are grad, update, next, v1, vmin, and coordinates such as x or W[0, 1]"
        raise CommandError(f"there is no direction '{name[:40]}'", hint)

    @property
    def reach(self) -> tuple[float, str]:
        """A length that suits this point, and what it is."""
        for step, says in ((self.step, _NEXT), (self.last, _LAST)):
            length = 0.0 if step is None else float(np.linalg.norm(step))
            if length > 0 and np.isfinite(length):
                return length, says
        return _SMALL * (float(np.linalg.norm(self.at)) or 1.0), "a hundredth of the parameters' norm, as nothing moves here"

    def _downhill(self) -> Way:
        vector = self._unit(-self.gradient, "the gradient")
        unit, says = self.reach
        return Way("-grad", vector, unit, says=says, downhill=True)

    def _along_last(self) -> Way:
        if self.last is None:
            raise CommandError("no update has led here", "slice next is along the coming one, slice grad along the gradient")
        vector = self._unit(self.last, "the last update")
        return Way("last update", vector, float(np.linalg.norm(self.last)), says=_LAST, downhill=True)

    def _along_next(self) -> Way:
        vector = self._unit(self.step, "the next update")
        return Way("next update", vector, float(np.linalg.norm(self.step)), says=_NEXT, downhill=True)

    def _eigenvector(self, name: str) -> Way:
        found, debugger = self._spectrum, self._debugger
        if found is None:
            ends = 1 if self._only_ends else ENDS
            found = spectrum(debugger.problem, debugger.snapshot().parameters, ends=ends, tick=self._tick)
            self._spectrum = found
        if not found.is_finite:
            raise CommandError("the second derivatives are not finite here", "slice grad needs none")
        place = {"vmin": len(found.values), "vmax": 1}.get(name) or int(name[1:])
        if place > len(found.values) and not found.exact:
            raise CommandError(f"{name} is not known: of so many numbers only the ends are", f"v1 to v{_top(found)}, and vmin")
        if place > len(found.values):
            raise CommandError(f"there is no {name} here", f"v{len(found.values)} is the last, which vmin names too")
        vector = found.vectors[place - 1]
        vector = -vector if vector @ self.gradient > 0 else vector
        unit, says = self.reach
        return Way(name, vector, unit, says=says)

    def _coordinate(self, text: str) -> Way:
        place, name = _one_number(self._debugger.problem, text)
        vector = np.zeros(len(self.at))
        vector[place] = 1.0
        return Way(name, vector, 1.0, float(self.at[place]))

    def _unit(self, vector: Array, says: str) -> Array:
        size = float(np.linalg.norm(vector))
        if not size > 0 or not np.isfinite(size):
            why = "is 0 here" if size == 0 else "is not finite here"
            raise CommandError(
                f"{says} {why}, and has no direction", "slice v1 is along the steepest curvature, slice x along x"
            )
        return vector / size


def last_move(debugger: Debugger) -> Array | None:
    """What the latest update that moved the parameters added to them, laid end to end; None where no update led here.

    An edit of this step is no part of it.
    """
    branch = debugger.arrived()
    after = flat(debugger.past.reach(branch.stretches[-1].segment, debugger.step).parameters)
    for back in range(1, accumulation(debugger.recipe.spec) + 1):
        if debugger.step - back < branch.start:
            return None
        move = after - flat(debugger.snapshot_at(debugger.step - back).parameters)
        if move.any():
            break
    return move


def _top(found: Spectrum) -> int:
    return len(found.values) // 2


def _one_number(problem: Problem, text: str) -> tuple[int, str]:
    """The number of a parameter that a text such as `W[0, 1]` means: its place among all laid end to end, and its name."""
    owner = text.partition("[")[0].strip()
    hint = f"for example slice {labels(owner, problem.parameters[owner].shape, [0])[0]}"
    chosen = parse_selection(text, problem.parameters, hint)
    if len(chosen.places) != 1:
        raise CommandError(f"{text[:40]} is {len(chosen.places)} numbers: a direction is one of them", hint)
    names = Names({name: value.shape for name, value in problem.parameters.items()})
    place = names.start(owner) + int(chosen.places[0])
    return place, names.of(place)


def spelled_out(problem: Problem, names: Sequence[str]) -> list[str]:
    """The names; a parameter of two numbers that stands alone becomes both of them, which is the plane of it."""
    value = problem.parameters.get(names[0]) if len(names) == 1 else None
    if value is None or value.size != 2:
        return list(names)
    return list(labels(names[0], value.shape, range(2)))


def across(first: Way, second: Way) -> Way:
    """The second direction made orthogonal to the first.

    Raises:
        CommandError: both are the same line.
    """
    along = float(first.vector @ second.vector)
    rest = second.vector - along * first.vector
    size = float(np.linalg.norm(rest))
    if size < 1e-6:
        others = "name another direction, such as v1 or a coordinate"
        raise CommandError(
            f"{first.name} and {second.name} are the same line",
            others if first.vector.size > 1 else "of one number there is one line: slice shows it",
        )
    if abs(along) < _APART:
        return replace(second, vector=rest / size)
    says = second.says or "a change of 1"
    return Way(f"{second.name}{ACROSS}", rest / size, second.unit, 0.0, says, second.downhill)
