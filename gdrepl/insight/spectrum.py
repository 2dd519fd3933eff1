"""Eigenvalues and eigenvectors of a Hessian: all of them for a few hundred numbers, beyond that those at both ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.insight.products import Tick, products_of

MOST_EXACT = 300
"""Numbers up to which the whole matrix is made: so many products, and a decomposition of some 50 ms."""
ENDS = 3
"""Eigenvalues that are looked for at each end of a larger one."""
_TOLERANCES = ((1e-6, 12), (1e-4, 6), (1.0, 2))
"""For Lanczos: the residual allowed, as a part of the largest eigenvalue, and the restarts that may be spent on it.

The error of an eigenvalue goes with the square of its residual. Where so many restarts, of some twenty products each, do not
do, less is asked for; the last takes what there is, and the residual that is shown tells."""
_CHEAP = 10_000
"""Numbers up to which three times as many restarts are spent."""
_BASIS = 24
"""Vectors that Lanczos keeps, fewer of those that are so large that they would fill the memory."""
_MEMORY = 2**26
"""Numbers that they may hold together."""
_BEYOND = 1.25
"""How far both ends are shifted, in sizes of the matrix."""
_SAME = 1e-9
"""Eigenvalues so close, as a part of the largest, are one: any basis of their vectors is right, so one is chosen by rule."""
_TIE = 1e-6

Apply = Callable[[Array], Array]


def no_tick(made: int) -> None:
    """For who neither shows progress nor interrupts."""


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Eigenvalues of a symmetric matrix, largest first.

    Attributes:
        values: shape (k,), float64; all n of them, or those at both ends.
        vectors: shape (k, n), unit length, in the order of `values`; the largest number of each is positive.
        residuals: |A v - value v| of each, shape (k,).
        exact: whether these are all, of the whole matrix.
        asymmetry: the largest |A - A^T| as a part of the largest |A|; 0 where the matrix was not made.
        products: Hessian-vector products that it took.
    """

    values: Array
    vectors: Array
    residuals: Array
    exact: bool
    asymmetry: float
    products: int

    @property
    def size(self) -> float:
        """The largest |eigenvalue|."""
        return float(np.max(np.abs(self.values)))

    @property
    def is_finite(self) -> bool:
        """Whether there is a spectrum at all."""
        return bool(np.isfinite(self.values).all())

    def signs(self) -> Array:
        """1, 0 or -1 for each value: what its own error, or rounding, could explain is 0."""
        least = 1e-10 if self.exact else 1e-7
        noise = np.maximum(np.where(self.exact, 0.0, self.residuals), least * self.size)
        return np.where(np.abs(self.values) <= noise, 0, np.sign(self.values)).astype(np.int64)


def spectrum(
    problem: Problem,
    parameters: Mapping[str, Array],
    scale: Array | None = None,
    ends: int = ENDS,
    tick: Tick = no_tick,
) -> Spectrum:
    """The spectrum of S H S at `parameters`, H the Hessian of the loss and S the diagonal matrix of `scale` (by default 1).

    Args:
        problem: whose loss.
        parameters: name -> array, where.
        scale: shape (n,), positive; P**-0.5 makes it the Hessian as an optimizer with the denominators P sees it.
        ends: how many values at each end, beyond `MOST_EXACT` numbers.
        tick: called before each product.

    Where the Hessian is not finite, all values are NaN.

    Raises:
        ProblemError: the loss has no second derivatives that TensorFlow knows.
    """
    with np.errstate(all="ignore"):  # what overflows is found not to be finite
        return _spectrum(problem, parameters, scale, ends, tick)


def _spectrum(problem: Problem, parameters: Mapping[str, Array], scale: Array | None, ends: int, tick: Tick) -> Spectrum:
    products = products_of(problem)
    if products.numbers <= MOST_EXACT:
        matrix = products.matrix(parameters, tick)
        return _exact(matrix if scale is None else matrix * scale * scale[:, None])
    at, made = products.flat(parameters), 0

    def apply(vector: Array) -> Array:
        nonlocal made
        tick(made)
        made += 1
        return products.product(at, vector) if scale is None else scale * products.product(at, scale * vector)

    values, vectors, residuals = _ends(apply, products.numbers, ends)
    return Spectrum(values, vectors, residuals, False, 0.0, made)


def _exact(matrix: Array) -> Spectrum:
    size = len(matrix)
    if not np.isfinite(matrix).all():
        return not_finite(size)
    largest = float(np.max(np.abs(matrix)))
    asymmetry = float(np.max(np.abs(matrix - matrix.T))) / largest if largest > 0 else 0.0
    symmetric = matrix / 2 + matrix.T / 2
    values, columns = np.linalg.eigh(symmetric)
    values, vectors = values[::-1], canonical(values[::-1], columns.T[::-1])
    residuals = np.linalg.norm(vectors @ symmetric - values[:, None] * vectors, axis=1)
    return Spectrum(values + 0.0, vectors, residuals, True, asymmetry, size)


def not_finite(size: int) -> Spectrum:
    """Of a matrix of so many rows with something in it that is not finite."""
    nothing = np.full(1, np.nan)
    return Spectrum(nothing, np.full((1, size), np.nan), nothing, size <= MOST_EXACT, 0.0, 0)


def canonical(values: Array, vectors: Array) -> Array:
    """The eigenvectors that a rule chooses, whatever a library made of signs and of equal eigenvalues; rows, as given.

    Of each the largest number is positive. Those of equal eigenvalues are, one after the other, what the subspace holds of the
    coordinate of which it holds most.
    """
    chosen, close = vectors.copy(), _SAME * float(np.max(np.abs(values), initial=0.0))
    begin = 0
    for end in range(1, len(values) + 1):
        if end < len(values) and abs(values[end] - values[end - 1]) <= close:
            continue
        if end - begin > 1:
            chosen[begin:end] = _basis(chosen[begin:end])
        begin = end
    return np.array([_turned(vector) for vector in chosen]) + 0.0  # no minus before a zero


def _basis(rows: Array) -> Array:
    left, made = rows.copy(), []
    for _ in range(len(rows)):
        held = np.sum(np.square(left), axis=0)
        place = int(np.argmax(held >= held.max() * (1 - _TIE)))
        vector = left[:, place] @ left
        vector /= np.linalg.norm(vector)
        made.append(vector)
        left = left - np.outer(left @ vector, vector)
    return np.array(made)


def _turned(vector: Array) -> Array:
    sizes = np.abs(vector)
    place = int(np.argmax(sizes >= sizes.max() * (1 - _TIE)))
    return vector if vector[place] >= 0 else -vector


def _ends(apply: Apply, size: int, ends: int) -> tuple[Array, Array, Array]:
    """Values, vectors and residuals at both ends, largest first, by the implicitly restarted Lanczos method of ARPACK.

    Lehoucq, Sorensen & Yang 1998, "ARPACK users' guide". It takes a residual for small enough when it is a part of the
    eigenvalue's own size, which those near 0 would never come to: both ends are shifted away from 0. They are by more than the
    size of the matrix: what takes the starting vector to 0, as a multiple of the identity shifted by just its size does, is
    refused.
    """
    start = np.random.default_rng(0).standard_normal(size)
    shift = _BEYOND * _rough_size(apply, start)
    if not np.isfinite(shift):
        none = not_finite(size)
        return none.values, none.vectors, none.residuals
    if shift == 0:  # nothing is curved: any vectors will do
        vectors = np.eye(2, size)
        return np.zeros(2), vectors, np.zeros(2)
    top, upper = _largest(lambda vector: apply(vector) + shift * vector, size, ends, start)
    bottom, lower = _largest(lambda vector: shift * vector - apply(vector), size, ends, start)
    values = np.concatenate([top - shift, (shift - bottom)[::-1]])
    vectors = np.concatenate([upper, lower[::-1]])
    vectors = np.array([_turned(vector) for vector in vectors])
    residuals = np.array([np.linalg.norm(apply(vector) - value * vector) for value, vector in zip(values, vectors)])
    return values, vectors, residuals


def _rough_size(apply: Apply, start: Array) -> float:
    """The size of the largest eigenvalue, seldom less than half of it: by the power method."""
    vector, size = start / np.linalg.norm(start), 0.0
    for _ in range(10):
        vector = apply(vector)
        size = float(np.linalg.norm(vector))
        if not np.isfinite(size) or size == 0:
            return size
        vector = vector / size
    return size


def _largest(apply: Apply, size: int, count: int, start: Array) -> tuple[Array, Array]:
    """The `count` largest eigenvalues and their vectors as rows, largest first."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    operator: Any = LinearOperator((size, size), matvec=lambda vector: apply(vector.reshape(-1)), dtype=np.float64)
    basis = max(2 * count + 2, min(_BASIS, _MEMORY // size))
    for tolerance, restarts in _TOLERANCES:
        most = 3 * restarts if size <= _CHEAP else restarts
        try:
            values, columns = eigsh(operator, k=count, which="LA", v0=start, ncv=basis, tol=tolerance, maxiter=most)
        except ArpackNoConvergence as error:  # what settled is where the next try begins
            start = start if not error.eigenvectors.size else start / np.linalg.norm(start) + error.eigenvectors.sum(axis=1)
            continue
        order = np.argsort(values)[::-1]
        return values[order], columns.T[order]
    raise AssertionError("any vector satisfies the last tolerance")
