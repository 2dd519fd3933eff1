"""The curvature of a loss where the descent stands: the eigenvalues of its Hessian, and what kind of point they make it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, norm
from gdrepl.insight import saying
from gdrepl.insight.coordinates import Names
from gdrepl.insight.kinks import kinks_at
from gdrepl.insight.products import Tick, products_of
from gdrepl.insight.spectrum import ENDS, Spectrum, no_tick, not_finite, spectrum
from gdrepl.insight.wide import flat, unflattened

MINIMUM, MAXIMUM, SADDLE, FLAT, NOT_STATIONARY = "minimum", "maximum", "saddle", "flat", "not stationary"
MOST_WRITTEN = 8
"""Rows up to which the matrix itself is told."""
MOST_VECTORS = 16
"""Numbers up to which all eigenvectors are told."""
MOST_NAMED = 5
"""Coordinates of a direction that are told, the largest."""
REST = 1e-4
"""The norm of the gradient up to which a point is at rest: what it is for the futures of `whatif`, too."""
_ROUNDINGS = 4
_KINKED = frozenset({"abs", "relu", "max", "min", "maximum", "minimum", "clip", "where", "sign", "floor", "norm"})
_FAR = 1e-2
_SYMMETRIC = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """An eigenvector by the coordinates that it has most of.

    Attributes:
        eigenvalue: the curvature along it.
        coordinates: `W[0, 1]` -> its part of the vector of unit length, largest first.
    """

    eigenvalue: float
    coordinates: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Hessian:
    """The second derivatives of the loss at a step, in float64.

    Attributes:
        eigenvalues: largest first, shape (k,): v1 belongs to the first. All of them, or the extreme ones at both ends.
        condition: the largest |eigenvalue| over the smallest; infinite where one is 0, None where not all are known and they
            are not all positive or all negative.
        kind: minimum, maximum, saddle, flat (the eigenvalues do not decide), or not stationary.
        definiteness: positive definite, negative semidefinite, indefinite, zero, ...
        step: where.
        numbers: how many numbers the parameters hold.
        gradient_norm, tolerance: the norm of the gradient, and up to which a point is stationary.
        exact: whether the whole matrix was made.
        residuals: |H v - eigenvalue v| of each eigenvalue; recordings leave it out, since it is rounding.
        products: Hessian-vector products that it took; another processor may need one more.
        escape: of a stationary point, the directions of negative curvature, most negative first, along which the loss falls
            away on both sides; at most three.
        directions: where not all vectors are told, those of the three largest and of the three smallest eigenvalues.
        coordinates: names of the columns of `vectors` and `matrix`.
        vectors: eigenvectors of unit length as rows, in the order of `eigenvalues`, of a small problem.
        matrix: the Hessian of a very small problem.
        notes: what else is to be known, a line each.
    """

    eigenvalues: Array
    condition: float | None
    kind: str
    definiteness: str
    step: int
    numbers: int
    gradient_norm: float
    tolerance: float
    exact: bool
    residuals: Array = field(metadata=SAID)
    products: int = field(metadata=SAID)
    escape: tuple[Direction, ...] = field(default=(), metadata=OPTIONAL)
    directions: tuple[Direction, ...] = field(default=(), metadata=OPTIONAL)
    coordinates: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    vectors: Array | None = field(default=None, metadata=OPTIONAL)
    matrix: Array | None = field(default=None, metadata=OPTIONAL)
    notes: tuple[str, ...] = field(default=(), metadata={**OPTIONAL, **SAID})


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """The two ends of the spectrum, for whoever walks along them.

    Attributes:
        values: shape (2,): the largest eigenvalue, and the smallest (most negative) one.
        vectors: for each of them its eigenvector of unit length, name -> array, float64.
        residuals: |H v - value v| of each, shape (2,).
    """

    values: Array
    vectors: tuple[Mapping[str, Array], Mapping[str, Array]]
    residuals: Array


def extremes(problem: Problem, parameters: Mapping[str, Array], tick: Tick = no_tick) -> Extremes:
    """The largest and the smallest eigenvalue of the Hessian at `parameters`; both are the same for a problem of one number.

    All values are NaN where the Hessian is not finite.

    Raises:
        ProblemError: the loss has no second derivatives that TensorFlow knows.
    """
    found = spectrum(problem, parameters, ends=1, tick=tick)
    shapes = products_of(problem).shapes
    first, last = (unflattened(found.vectors[place], shapes) for place in (0, -1))
    return Extremes(found.values[[0, -1]], (first, last), found.residuals[[0, -1]])


def hessian(problem: Problem, parameters: Mapping[str, Array], step: int = 0, tick: Tick = no_tick) -> Hessian:
    """The Hessian of the loss at `parameters`, exactly for up to 300 numbers, else its extreme eigenvalues.

    Stationary is a point whose gradient has a norm of at most 1e-4, or of what rounding the parameters to the problem's type
    can make of it at this curvature, if that is more.

    Args:
        problem: whose loss.
        parameters: name -> array, where.
        step: the step they belong to, for the result.
        tick: called before each product; what it raises ends the work.

    Raises:
        ProblemError: the loss has no second derivatives that TensorFlow knows.
    """
    products = products_of(problem)
    loss, gradient = products.loss_and_gradient(parameters)
    found = spectrum(problem, parameters, tick=tick) if np.isfinite(loss) else not_finite(products.numbers)
    tolerance = _stationary(problem, parameters, found)
    small = found.exact and found.is_finite
    written = small and products.numbers <= MOST_WRITTEN
    told = small and products.numbers <= MOST_VECTORS
    names = tuple(map(Names(products.shapes).of, range(products.numbers))) if told else ()
    size = norm(gradient)
    kind = _kind(found, size <= tolerance) if found.is_finite else NOT_STATIONARY
    return Hessian(
        found.values,
        _condition(found),
        kind,
        _definiteness(found),
        step,
        products.numbers,
        size,
        tolerance,
        found.exact,
        found.residuals,
        found.products,
        tuple(direction(found, place, products.shapes) for place in _downhill(found)) if kind != NOT_STATIONARY else (),
        () if told else tuple(direction(found, place, products.shapes) for place in _outer(found)),
        names,
        found.vectors if told else None,
        products.matrix(parameters, tick) if written else None,
        tuple(_notes(problem, parameters, found, gradient, kind)),
    )


def direction(found: Spectrum, place: int, shapes: Mapping[str, tuple[int, ...]]) -> Direction:
    """One eigenvector by its largest coordinates."""
    return Direction(float(found.values[place]), largest_coordinates(found.vectors[place], shapes))


def largest_coordinates(vector: Array, shapes: Mapping[str, tuple[int, ...]], most: int = MOST_NAMED) -> dict[str, float]:
    """`W[0, 1]` -> number, for the largest numbers of a vector of all parameters, but none below a hundredth of the first."""
    sizes = np.abs(vector)
    order = np.argsort(-np.round(sizes, 9), kind="stable")[:most]
    places = [int(place) for place in order if sizes[place] >= 0.01 * sizes[order[0]]]
    names = Names(shapes)
    return {names.of(place): float(vector[place]) for place in places}


def _stationary(problem: Problem, parameters: Mapping[str, Array], found: Spectrum) -> float:
    """The norm of the gradient up to which a point is stationary."""
    if not found.is_finite:
        return REST
    rounding = float(np.finfo(problem.dtype).eps) * norm(flat(parameters))
    return max(REST, _ROUNDINGS * found.size * rounding)


def _downhill(found: Spectrum) -> list[int]:
    """The places of the negative eigenvalues, the most negative first."""
    if not found.is_finite:
        return []
    return [int(place) for place in np.flatnonzero(found.signs() < 0)[::-1][:ENDS]]


def _outer(found: Spectrum) -> list[int]:
    """The places of the eigenvalues at both ends."""
    count = len(found.values) if found.is_finite else 0
    return [place for place in range(count) if place < ENDS or place >= count - ENDS]


def _condition(found: Spectrum) -> float | None:
    if not found.is_finite:
        return None
    signs, sizes = found.signs(), np.abs(found.values)
    if found.exact:
        return float("inf") if 0 in signs else float(sizes.max() / sizes.min())
    if signs[0] == signs[-1] != 0:
        return float(sizes.max() / min(sizes[0], sizes[-1]))
    return None


def _definiteness(found: Spectrum) -> str:
    if not found.is_finite:
        return "not finite"
    signs = set(found.signs().tolist())
    if {1, -1} <= signs:
        return "indefinite"
    if signs == {0}:
        return "zero"
    word = "positive" if 1 in signs else "negative"
    return f"{word} {'semidefinite' if 0 in signs else 'definite'}"


def _kind(found: Spectrum, stationary: bool) -> str:
    if not stationary:
        return NOT_STATIONARY
    kinds = {"positive definite": MINIMUM, "negative definite": MAXIMUM, "indefinite": SADDLE}
    return kinds.get(_definiteness(found), FLAT)


def _notes(problem: Problem, parameters: Mapping[str, Array], found: Spectrum, gradient: Array, kind: str) -> Iterator[str]:
    if not found.is_finite:
        yield "the loss or its second derivatives are not finite here"
        return
    signs = found.signs()
    flat_ones = int(np.sum(signs == 0))
    if kind == FLAT:
        yield from _of_flat(found, flat_ones)
    kinks = sorted(called(problem) & _KINKED)
    at_kink = list(kinks_at(problem, parameters)) if kinks else []
    if at_kink:
        yield f"{at_kink[0]}: there the loss has no second derivative, whatever the eigenvalues say"
    elif kinks and flat_ones:
        yield f"the loss reads {', '.join(kinks)}: at a kink and on its straight sides the second derivative is taken as 0"
    if "stop_gradient" in called(problem):
        yield "what stop_gradient holds is a constant for the second derivatives, too, though it moves with the parameters"
    if found.asymmetry > _SYMMETRIC:
        yield f"H is not symmetric, by {saying.number(found.asymmetry, 1)} of its size: the gradient is that of no loss"
    if kind == MINIMUM and found.exact:
        far = norm((found.vectors @ gradient) / found.values)
        if far > _FAR:
            yield f"by the local quadratic its lowest point is still {saying.number(far, 3)} away"


def _of_flat(found: Spectrum, flat_ones: int) -> Iterator[str]:
    if found.size == 0:
        yield "the loss has no curvature here at all"
        return
    if not found.exact and np.abs(found.values[-1]) <= found.residuals[-1] > 1e-7 * found.size:
        yield f"the smallest eigenvalue is known to {found.residuals[-1]:.1g} only, which leaves its sign open"
        return
    ways = f"{flat_ones} of the {len(found.values)} eigenvalues are 0" if found.exact else "the smallest eigenvalue is 0"
    other = "rises" if found.signs().max() > 0 else "falls"
    yield f"{ways}: along those higher derivatives decide, or a valley floor runs there; along the others it {other}"


def called(problem: Problem) -> set[str]:
    """The functions that the loss calls."""
    calls = (node.func for node in ast.walk(problem.loss.tree) if isinstance(node, ast.Call))
    return {function.id for function in calls if isinstance(function, ast.Name)}
