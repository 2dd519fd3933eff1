"""The loss at many places of a line or a plane through a point, in one call; compiled once for each problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdrepl.engine import backend
from gdrepl.engine.latest import Latest
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.errors import ProblemError
from gdrepl.insight.wide import parted

_LARGE = 10_000
"""Numbers of a problem from which on compiling pays: a plane takes 1,681 losses."""


class Landscape:
    """The loss of one problem, in the problem's own type, at points that are given in float64 and rounded once.

    Args:
        problem: whose loss.
        engine: by which it is computed where it is large; compiling a small one would take longer than it saves.
    """

    def __init__(self, problem: Problem, engine: str) -> None:
        self._problem = problem
        self._shapes = {name: value.shape for name, value in problem.parameters.items()}
        self._jit = engine == "xla" and problem.numbers_in_all > _LARGE
        self._losses: dict[int, Any] = {}

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
            function = self._losses.get(len(ways)) or self._compiled(tf, len(ways))
            return frozen(function(*(tf.constant(each, tf.float64) for each in (at, ways, places))).numpy())
        except tf.errors.OpError as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ProblemError(
                f"the loss cannot be computed along a line: {first[:160]}", "print loss shows it here"
            ) from error

    def _compiled(self, tf: Any, count: int) -> Any:
        numbers = self._problem.numbers
        spec = [tf.TensorSpec(shape, tf.float64) for shape in ((numbers,), (count, numbers), (None, count))]
        with backend.traced_for_good():
            traced = tf.function(self._mapped, autograph=False, jit_compile=self._jit).get_concrete_function(*spec)
        self._losses[count] = traced
        return traced

    def _mapped(self, at: Any, ways: Any, places: Any) -> Any:
        import tensorflow as tf

        def loss(place: Any) -> Any:
            moves = [step * way for step, way in zip(tf.unstack(place), tf.unstack(ways))]
            point = tf.cast(sum(moves, at), self._problem.dtype)
            return self._problem.loss_of(parted(point, self._shapes))

        return tf.map_fn(loss, places, fn_output_signature=self._problem.dtype)


_kept: Latest[tuple[object, ...], Landscape] = Latest(4)


def landscape_of(problem: Problem, engine: str) -> Landscape:
    """The landscape of a problem, those of the latest ones kept: tracing takes a tenth of a second."""
    return _kept.get((engine, *problem.program_key), lambda: Landscape(problem, engine))


def grid(first: Array, second: Array) -> Array:
    """All pairs of places along two directions, shape (len(second) * len(first), 2), the first one changing fastest."""
    across, up = np.meshgrid(first, second)
    return np.column_stack([across.reshape(-1), up.reshape(-1)])
