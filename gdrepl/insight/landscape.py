"""The loss at many places of a line or a plane through a point, in one call; compiled once for each problem."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import numpy as np

from gdrepl.engine import backend
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.errors import ProblemError

_MOST_KEPT = 8


class Landscape:
    """The loss of one problem, in the problem's own type, at points that are given in float64 and rounded once."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._shapes = {name: value.shape for name, value in problem.parameters.items()}
        self._losses: Any = None

    def losses(self, at: Array, ways: Array, places: Array) -> Array:
        """The loss at `at` + `places` @ `ways`, shape (m,).

        Args:
            at: shape (n,), float64, all parameters laid end to end.
            ways: shape (k, n), float64, the directions.
            places: shape (m, k), float64, how far to go along each.

        Raises:
            ProblemError: TensorFlow cannot compute it.
        """
        backend.load()
        import tensorflow as tf

        try:
            if self._losses is None:
                self._losses = self._compiled(tf)
            return frozen(self._losses(*(tf.constant(each, tf.float64) for each in (at, ways, places))).numpy())
        except tf.errors.OpError as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ProblemError(
                f"the loss cannot be computed along a line: {first[:160]}", "print loss shows it here"
            ) from error

    def _compiled(self, tf: Any) -> Any:
        spec = [tf.TensorSpec(shape, tf.float64) for shape in ((None,), (None, None), (None, None))]
        with backend.traced_for_good():
            return tf.function(self._mapped, autograph=False).get_concrete_function(*spec)

    def _mapped(self, at: Any, ways: Any, places: Any) -> Any:
        import tensorflow as tf

        sizes = [math.prod(shape) for shape in self._shapes.values()]

        def loss(place: Any) -> Any:
            point = tf.cast(at + tf.linalg.matvec(ways, place, transpose_a=True), self._problem.dtype)
            parts = zip(self._shapes.items(), tf.split(point, sizes))
            return self._problem.loss_of({name: tf.reshape(part, shape) for (name, shape), part in parts})

        return tf.map_fn(loss, places, fn_output_signature=self._problem.dtype)


_kept: OrderedDict[tuple[object, ...], Landscape] = OrderedDict()


def landscape_of(problem: Problem) -> Landscape:
    """The landscape of a problem, those of the latest ones kept: tracing takes a tenth of a second."""
    found = _kept.pop(problem.program_key, None) or Landscape(problem)
    _kept[problem.program_key] = found
    while len(_kept) > _MOST_KEPT:
        _kept.popitem(last=False)
    return found


def grid(first: Array, second: Array) -> Array:
    """All pairs of places along two directions, shape (len(second) * len(first), 2), the first one changing fastest."""
    across, up = np.meshgrid(first, second)
    return np.column_stack([across.reshape(-1), up.reshape(-1)])
