"""Norms inside the compiled loop, held against limits by their squares: a square root costs as much as a small update.

In float64 the square of a number above 1e154 overflows, and that of one below 1e-162 vanishes. So where a limit is extreme, the
numbers are scaled by a power of two that brings it near 1: what is lost then is far from the limit, and on the right side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from gdrepl.expression import folded

Tensor = Any
_USUAL = 1e-20, 1e20
"""Limits that are squared as they are."""
_FAR, _BACK = 1e140, 2.0**600
"""A limit that only the loop knows is brought back by so much where it, or its inverse, is above 1e140."""
_SQUARABLE = 1e150
"""The square of this, many times over, is finite; and it is far above any limit that is scaled."""


class Sizes:
    """The norms of several arrays, each and of all their numbers together; what nobody asks for is not computed.

    Args:
        tf: TensorFlow.
        values: name -> array.
        dtype: of the problem that the numbers belong to.
    """

    def __init__(self, tf: Any, values: Mapping[str, Tensor], dtype: str) -> None:
        self._tf = tf
        self._values = values
        self._dtype = dtype
        self._scaled: dict[float, Mapping[str, Tensor]] = {}

    @cached_property
    def squares(self) -> Mapping[str, Tensor]:
        """Name -> sum of squares, float64 of shape ()."""
        return self.scaled(1.0)

    def scaled(self, scale: float) -> Mapping[str, Tensor]:
        """Name -> sum of squares of the array times `scale`; computed once for each scale."""
        if scale not in self._scaled:
            self._scaled[scale] = self._sums(None if scale == 1.0 else scale)
        return self._scaled[scale]

    def above(self, limit: float) -> Tensor:
        """Whether the norm of all together is above a limit, shape (); False for NaN."""
        scale = scale_near(limit)
        return self._tf.add_n(list(self.scaled(scale).values())) > (limit * scale) ** 2

    def at_most(self, limit: float) -> Tensor:
        """Whether the norm of all together is at most a limit; False for NaN, too."""
        scale = scale_near(limit)
        return self._tf.add_n(list(self.scaled(scale).values())) <= (limit * scale) ** 2

    def each_above(self, limit: float) -> list[Tensor]:
        """Whether each norm is above a limit."""
        scale = scale_near(limit)
        return [square > (limit * scale) ** 2 for square in self.scaled(scale).values()]

    def each_below(self, limit: Tensor) -> list[Tensor]:
        """Whether each norm is below a limit that only the loop knows, float64 of shape ()."""
        where, square = self._tf.where, self._tf.square
        if self._dtype != "float64":  # all numbers are far from the ends of float64, and their sums may be known already
            return [each < square(limit) for each in self.squares.values()]
        one = self._tf.ones_like(limit)
        scale = where(limit < 1 / _FAR, _BACK * one, where(limit > _FAR, one / _BACK, one))
        return [each < square(limit * scale) for each in self._sums(scale).values()]

    def _sums(self, scale: Any) -> Mapping[str, Tensor]:
        tf = self._tf
        wide = {name: tf.cast(value, tf.float64) for name, value in self._values.items()}
        if scale is not None:
            # The minimum keeps XLA from squaring the scale by itself, which would be 0 or infinite.
            wide = {name: tf.minimum(scale * tf.abs(value), _SQUARABLE) for name, value in wide.items()}
        return {name: folded(tf, tf.square(value)) for name, value in wide.items()}


def scale_near(limit: float) -> float:
    """What norms near `limit`, a number from 0, are multiplied by before they are squared: 1, or a power of two."""
    if _USUAL[0] <= limit <= _USUAL[1]:
        return 1.0
    exponent = math.frexp(limit)[1] if limit else -1000
    return math.ldexp(1.0, max(-1000, min(1000, -exponent)))
