"""How a point lies in a row of numbers, and columns of points read from such rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from gdrepl.engine.snapshot import Array, norm
from gdrepl.expression import folded

WHOLE = 64
"""Parameters of up to this many numbers are recorded whole with their gradients, larger ones as norms."""
_LOSS, _RATE = 0, 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Row = loss, the learning rate of a schedule, each parameter (whole, or its norm), each gradient (whole, or its norm).

    Attributes:
        shapes: parameter -> shape.
        dtype: of every number of the row.
        scheduled: True when the learning rate follows a schedule. A plain one is the same in every row, and left out.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtype: str
    scheduled: bool

    @classmethod
    def of(cls, parameters: Mapping[str, Array], dtype: str, scheduled: bool) -> Layout:
        """The layout for these parameters."""
        return cls(MappingProxyType({name: value.shape for name, value in parameters.items()}), dtype, scheduled)

    def whole(self, name: str) -> bool:
        """True when parameter `name` is recorded whole."""
        return _size(self.shapes[name]) <= WHOLE

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self._first + 2 * sum(_size(shape) if self.whole(name) else 1 for name, shape in self.shapes.items())

    @property
    def _first(self) -> int:
        """Where the parameters begin."""
        return 2 if self.scheduled else 1

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.width * np.dtype(self.dtype).itemsize

    def row(self, tf: Any, loss: Any, rate: Any, parameters: Mapping[str, Any], gradient: Mapping[str, Any]) -> tuple[Any, Any]:
        """The row of a point as a tensor, shape (width,), and whether its loss and gradient are finite."""
        norms = {name: _norm(tf, gradient[name]) for name in gradient if not self.whole(name)}  # float64
        numbers = [loss, rate] if self.scheduled else [loss]
        numbers += [value if self.whole(name) else _norm(tf, value) for name, value in parameters.items()]
        numbers += [norms.get(name, value) for name, value in gradient.items()]
        numbers = [tf.cast(number, self.dtype) for number in numbers]
        finite = tf.math.is_finite(loss)
        for name, value in gradient.items():
            # The norm of float32 numbers is in float64, where no square overflows: it is finite exactly when they all are.
            if name in norms and self.dtype == "float32":
                finite &= tf.math.is_finite(norms[name])
            else:
                finite &= tf.reduce_all(tf.math.is_finite(value))
        return tf.concat([tf.reshape(number, [-1]) for number in numbers], 0), finite

    def rate(self, row: Array, plain: Array) -> Array:
        """The learning rate of the point of a row, shape (), when a plain one is `plain`."""
        return row[_RATE] if self.scheduled else plain

    def columns(self, first_step: int, rows: Array, plain_rate: Array) -> Columns:
        """Read rows, shape (n, width), as columns; without a schedule the learning rate is `plain_rate`."""
        parameters: dict[str, Array] = {}
        gradient: dict[str, Array] = {}
        place = self._first
        for target in (parameters, gradient):
            for name, shape in self.shapes.items():
                size = _size(shape) if self.whole(name) else 1
                part = rows[:, place : place + size]
                target[name] = part.reshape(len(rows), *shape) if self.whole(name) else part[:, 0]
                place += size
        steps = np.arange(first_step, first_step + len(rows), dtype=np.int64)
        norms = frozenset(name for name in self.shapes if not self.whole(name))
        rate = rows[:, _RATE] if self.scheduled else np.broadcast_to(plain_rate.astype(self.dtype), len(rows))
        return Columns(steps, rows[:, _LOSS], parameters, gradient, rate, norms)

    def point_row(self, loss: Array, rate: Array, parameters: Mapping[str, Array], gradient: Mapping[str, Array]) -> Array:
        """The row of a point that is already at hand as arrays, shape (width,)."""
        numbers = [loss, rate] if self.scheduled else [loss]
        for values in (parameters, gradient):
            numbers += [value if self.whole(name) else np.asarray(norm(value)) for name, value in values.items()]
        with np.errstate(over="ignore"):  # a norm may be too large for float32 where no number of the array is
            return np.concatenate([np.asarray(number).astype(self.dtype).reshape(-1) for number in numbers])


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Points as columns, n points long.

    Attributes:
        step: int64, shape (n,).
        loss: shape (n,).
        parameters: name -> shape (n, *shape of the parameter), or (n,) for one that is recorded as a norm.
        gradient: like parameters.
        learning_rate: shape (n,).
        norms: the names that are recorded as norms.
    """

    step: Array
    loss: Array
    parameters: Mapping[str, Array]
    gradient: Mapping[str, Array]
    learning_rate: Array
    norms: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.step)

    @staticmethod
    def joined(parts: Sequence[Columns]) -> Columns:
        """One or more parts, of the same parameters, one after the other."""
        first = parts[0]
        if len(parts) == 1:
            return first
        return Columns(
            np.concatenate([part.step for part in parts]),
            np.concatenate([part.loss for part in parts]),
            {name: np.concatenate([part.parameters[name] for part in parts]) for name in first.parameters},
            {name: np.concatenate([part.gradient[name] for part in parts]) for name in first.gradient},
            np.concatenate([part.learning_rate for part in parts]),
            first.norms,
        )

    def every(self, stride: int) -> Columns:
        """Each `stride`-th point, from the first on."""
        keep = slice(None, None, stride)  # copied, so that the rest need not stay in memory
        return Columns(
            self.step[keep].copy(),
            self.loss[keep].copy(),
            {name: value[keep].copy() for name, value in self.parameters.items()},
            {name: value[keep].copy() for name, value in self.gradient.items()},
            self.learning_rate[keep].copy(),
            self.norms,
        )


def _norm(tf: Any, value: Any) -> Any:
    """The norm as float64, shape ()."""
    return tf.sqrt(folded(tf, tf.square(tf.cast(value, tf.float64))))


def _size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)
