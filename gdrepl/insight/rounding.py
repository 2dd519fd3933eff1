"""Numbers computed three times at once: in the problem's dtype, in float64, and as a bound on what rounding may have done.

The bound is Wilkinson's running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.3):
each operation carries on the errors of what it is given, and adds its own. One epsilon for each operation is twice what IEEE
754 asks for, since XLA divides by way of reciprocals and takes constants together, and float64 itself is rounded too.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from gdrepl.engine.snapshot import Array

_POWER_ROUNDINGS = 4.0
"""Epsilons that a power may be wrong by, beside those that its exponent multiplies."""

_SPARE = 8.0
"""Times the root of the count of numbers: the epsilons that their sum may be off."""


class Rounded:
    """A number or an array of them.

    Attributes:
        native: computed in the problem's dtype, one operation after the other as Keras has them.
        exact: the same in float64.
        bound: float64, by how much a computation in the problem's dtype may be away from `exact`, whatever the order of its
            operations and however XLA fuses them; infinite where nothing can be said. It broadcasts to the shape of `exact`.

    NumPy's warnings about what overflows are to be switched off around them: `np.errstate(all="ignore")`.
    """

    __slots__ = ("bound", "exact", "native")

    def __init__(self, native: Array, exact: Array, bound: Array) -> None:
        self.native = native
        self.exact = exact
        self.bound = bound

    @classmethod
    def of(cls, value: object, dtype: np.dtype[np.floating]) -> Rounded:
        """A value that is known: a constant as the dtype rounds it, or what a snapshot holds."""
        native = np.asarray(value, dtype)
        return cls(native, native.astype(np.float64), np.zeros(()))

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The problem's dtype."""
        return self.native.dtype

    def _with(self, other: Rounded | float) -> Rounded:
        return other if isinstance(other, Rounded) else Rounded.of(other, self.dtype)

    def _made(self, native: Array, exact: Array, bound: Array | float, roundings: float | Array = 1.0) -> Rounded:
        """The outcome of an operation, its own rounding added to the `bound` of what it was given."""
        size = np.abs(exact)
        epsilon, tiny = _limits(self.native.dtype)
        # Processors may put zero in place of what is less than the least normal number.
        low = bool(np.size(size)) and not size.min() >= tiny
        lost = np.where((size < tiny) & ((size > 0) | (bound > 0)), tiny, 0.0) if low else 0.0
        size *= roundings * epsilon
        return Rounded(native, exact, size + bound if _is_none(lost) else size + bound + lost)

    def __add__(self, other: Rounded | float) -> Rounded:
        it = self._with(other)
        return self._made(self.native + it.native, self.exact + it.exact, self.bound + it.bound)

    def __sub__(self, other: Rounded | float) -> Rounded:
        it = self._with(other)
        return self._made(self.native - it.native, self.exact - it.exact, self.bound + it.bound)

    def __rsub__(self, other: float) -> Rounded:
        return self._with(other) - self

    def __mul__(self, other: Rounded | float) -> Rounded:
        it = self._with(other)
        bound: Array | float = 0.0
        if not _is_none(it.bound):
            bound = (np.abs(self.exact) + self.bound) * it.bound
        if not _is_none(self.bound):
            bound = bound + np.abs(it.exact) * self.bound
        return self._made(self.native * it.native, self.exact * it.exact, bound)

    def __truediv__(self, other: Rounded | float) -> Rounded:
        it = self._with(other)
        quotient = self.exact / it.exact
        if _is_none(it.bound):
            return self._made(self.native / it.native, quotient, self.bound / np.abs(it.exact))
        least = np.abs(it.exact) - it.bound
        bound = np.where(least > 0, (self.bound + np.abs(quotient) * it.bound) / least, np.inf)
        return self._made(self.native / it.native, quotient, bound)

    def __rtruediv__(self, other: float) -> Rounded:
        return self._with(other) / self

    def __neg__(self) -> Rounded:
        return Rounded(-self.native, -self.exact, self.bound)

    def __abs__(self) -> Rounded:
        return Rounded(np.abs(self.native), np.abs(self.exact), self.bound)

    def sqrt(self) -> Rounded:
        """The square root. A number that may be less than zero counts as one that is not: NaN is within no bound."""
        root = np.sqrt(self.exact)
        near = self.bound / (root + np.sqrt(np.maximum(self.exact - self.bound, 0.0)))
        far = np.where(self.exact >= 0, np.sqrt(self.exact + self.bound), np.inf)
        bound = np.where(self.bound == 0, 0.0, np.where(self.exact > self.bound, near, far))
        return self._made(np.sqrt(self.native), root, bound)

    def squared(self) -> Rounded:
        """The square."""
        return self * self

    def power(self, exponent: float) -> Rounded:
        """This to a power, both not negative; one number by way of the C library in float64, and rounded once."""
        it = self._with(exponent)
        slope = np.abs(np.where(self.bound > 0, it.exact * np.power(self.exact, it.exact - 1), 0.0))
        steep = np.abs(np.where(self.exact > 0, it.exact * np.log(np.where(self.exact > 0, self.exact, 1.0)), 0.0))
        exact = np.power(self.exact, it.exact)
        return self._made(_power(self.native, it.native), exact, slope * self.bound, _POWER_ROUNDINGS * (1 + steep))

    def maximum(self, other: Rounded | float) -> Rounded:
        """The greater of both; NaN where one of them is, as in NumPy."""
        it = self._with(other)
        bound = np.maximum(self.bound, it.bound)
        return Rounded(np.maximum(self.native, it.native), np.maximum(self.exact, it.exact), bound)

    def minimum(self, other: Rounded | float) -> Rounded:
        """The lesser of both; NaN where one of them is."""
        return -(-self).maximum(-self._with(other))

    def clipped(self, limit: float) -> Rounded:
        """What lies between `-limit` and `limit`, and the nearer of the two for the rest."""
        return self.minimum(limit).maximum(-limit)

    def sign(self) -> Rounded:
        """-1, 0 or 1; where rounding may decide which, the bound says so."""
        bound = np.where((np.abs(self.exact) <= self.bound) & (self.bound > 0), 2.0, 0.0)
        return Rounded(np.sign(self.native), np.sign(self.exact), bound)

    def total(self) -> Rounded:
        """The sum of all its numbers, added up in whatever order.

        Of many numbers the errors do not all go one way: the bound then grows with the root of their count, as Higham & Mary
        have it (A New Approach to Probabilistic Rounding Error Analysis, 2019), with room to spare.
        """
        carried = np.sum(np.broadcast_to(self.bound, self.exact.shape))
        count = max(1, np.size(self.exact))
        own = min(count - 1, _SPARE * math.sqrt(count)) * _limits(self.dtype)[0] * np.sum(np.abs(self.exact))
        return self._made(np.sum(self.native, dtype=self.dtype), np.sum(self.exact), carried + own)

    def at(self, places: Array) -> Rounded:
        """Those at some places of the flat array; one number stands for all of them."""
        if not np.shape(self.exact):
            return Rounded(*(np.broadcast_to(each, places.shape) for each in (self.native, self.exact, self.bound)))
        bound = self.bound if np.shape(self.bound) == self.exact.shape else np.broadcast_to(self.bound, self.exact.shape)
        bound = bound.reshape(-1)[places]
        return Rounded(self.native.reshape(-1)[places], self.exact.reshape(-1)[places], bound)


def _is_none(bound: Array | float) -> bool:
    """Whether there is no error at all, of whatever number."""
    return not np.ndim(bound) and bound == 0


@functools.cache
def _limits(dtype: np.dtype[np.floating]) -> tuple[float, float]:
    """The distance from 1 to the next number, and the least normal number."""
    limits = np.finfo(dtype)
    return float(limits.eps), float(limits.tiny)


def _power(base: Array, exponent: Array) -> Array:
    if base.shape or exponent.shape:
        return np.power(base, exponent)
    try:
        return np.asarray(math.pow(float(base), float(exponent)), base.dtype)
    except (OverflowError, ValueError):
        return np.power(base, exponent)


def ulps(actual: Array, wanted: Array) -> Array:
    """How many units in the last place of `actual` lie between the two, float64; infinite where only one of them is NaN.

    The unit of what is less than the least normal number is that of this one, since it may be put to zero.
    """
    if np.array_equal(actual, wanted):
        return np.zeros(np.shape(actual))
    with np.errstate(all="ignore"):
        apart = np.abs(actual.astype(np.float64) - wanted.astype(np.float64)) / unit(actual)
    same = (actual == wanted) | (np.isnan(actual) & np.isnan(wanted))
    return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))


def unit(value: Array) -> Array:
    """The unit in the last place of each number, float64."""
    return np.asarray(np.spacing(np.maximum(np.abs(value), np.finfo(value.dtype).tiny)), np.float64)
