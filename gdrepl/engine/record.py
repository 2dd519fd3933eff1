"""Memory into which the compiled loop writes a row after each update."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdrepl.engine.snapshot import Array

Tensor = Any


class Record:
    """A variable of rows that every call of a loop uses again.

    XLA updates it in place, so that a single step costs the same as with a small one, and one program serves a step and a run
    of a million.

    Args:
        capacity: the most rows of one call.
        width: numbers in a row.
        xla: whether the loop is compiled by XLA. Inside it a TensorArray made from the variable is the variable's own memory;
            elsewhere rows are assigned one by one.
    """

    def __init__(self, tf: Any, capacity: int, width: int, dtype: Any, xla: bool) -> None:
        self._tf = tf
        self._xla = xla
        self._capacity = capacity
        self._variable = tf.Variable(tf.zeros([capacity, width], dtype), trainable=False)

    def begin(self) -> Any:
        """What the loop carries of it."""
        if not self._xla:
            return ()
        return self._tf.TensorArray(self._variable.dtype, size=self._capacity).unstack(self._variable)

    def write(self, carried: Any, place: Tensor, row: Tensor) -> Any:
        """What it carries after it wrote a row."""
        if self._xla:
            return carried.write(place, row)
        # The same as self._variable[place].assign(row), which first copies the whole variable and reads the row.
        self._tf.raw_ops.ResourceScatterUpdate(resource=self._variable.handle, indices=place, updates=row)
        return carried

    def read(self, carried: Any, place: Tensor) -> Tensor:
        """A row that was written."""
        if self._xla:
            return carried.read(place)
        return self._tf.raw_ops.ResourceGather(resource=self._variable.handle, indices=place, dtype=self._variable.dtype)

    def end(self, carried: Any) -> None:
        """Keep what was written beyond the loop."""
        if self._xla:
            self._variable.assign(carried.stack())

    def rows(self, count: int) -> Array:
        """The first rows as the last call left them: a view, which the next call writes over."""
        return np.asarray(memoryview(self._variable.value()))[:count]
