"""What the zoo says about one test function, and about a family of them that scales with a dimension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice

Vector = tuple[float, ...]
Value = float | Vector
Interval = tuple[float, float]

MOST_DIMENSIONS = 1000


@dataclass(frozen=True, slots=True)
class ZooEntry:
    """One test function, ready to become a problem.

    Attributes:
        name: what a user types.
        expression: the loss, in gdrepl's expression language.
        start: parameter -> start value; descent has a non-zero gradient there.
        domain: where the function is usually studied, for people.
        bounds: parameter -> interval worth plotting; a vector's interval holds for each of its components.
        minima: where the least value in the domain is taken; empty when it is taken nowhere.
        minimum: the least value, or None when there is none.
        source: who published it.
        description: what it teaches about gradient descent, in one line.
        constants: the other names in the expression.
    """

    name: str
    expression: str
    start: Mapping[str, Value]
    domain: str
    bounds: Mapping[str, Interval]
    minima: tuple[Mapping[str, Value], ...]
    minimum: float | None
    source: str
    description: str
    constants: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """A test function of one vector `x` of any dimension n; whatever changes with n is a function of n.

    Attributes:
        expression: a template, in which {n} stands for the dimension and {last} for n - 1.
        start: the components of the start, repeated as often as needed.
        bounds: n -> the interval of each component.
        minima: n -> where the least value is taken.
        minimum: n -> the least value.
        least: the smallest dimension that makes sense.
        default: the dimension when none is asked for.
    """

    name: str
    expression: str
    start: Vector
    bounds: Callable[[int], Interval]
    minima: Callable[[int], tuple[Vector, ...]]
    minimum: Callable[[int], float]
    source: str
    description: str
    least: int = 1
    default: int = 2
    constants: Mapping[str, Value] = field(default_factory=dict)

    def of(self, dimension: int) -> ZooEntry:
        """The member of the family with `dimension` components."""
        low, high = self.bounds(dimension)
        return ZooEntry(
            name=self.name,
            expression=self.expression.format(n=dimension, last=dimension - 1),
            start={"x": tuple(islice(cycle(self.start), dimension))},
            domain=f"{low:g} <= x[i] <= {high:g}",
            bounds={"x": (low, high)},
            minima=tuple({"x": place} for place in self.minima(dimension)),
            minimum=self.minimum(dimension),
            source=self.source,
            description=self.description,
            constants=dict(self.constants),
        )


def within(low: float, high: float) -> Callable[[int], Interval]:
    """The same interval in every dimension."""
    return lambda n: (low, high)


def everywhere(component: float) -> Callable[[int], tuple[Vector, ...]]:
    """One minimum, with the same value in every component."""
    return lambda n: ((component,) * n,)


def each(value: float) -> Callable[[int], float]:
    """A least value that each dimension adds to."""
    return lambda n: value * n


def zero(n: int) -> float:
    """The least value of most test functions."""
    return 0.0
