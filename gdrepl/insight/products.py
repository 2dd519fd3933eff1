"""Products of a loss's Hessian with a vector, compiled once for each problem, in float64 whatever the problem's own type.

A Hessian in float32 is no better than its seventh digit, of which an ill-conditioned problem keeps none for its small
eigenvalues. A number of float32 is one of float64, too: so the loss is looked at exactly where the descent stands, by finer
arithmetic.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from gdrepl.engine import backend
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.errors import ExpressionError, ProblemError

Tick = Callable[[int], None]
"""Called before each product with the number of those made; what it raises ends the work."""
_MOST_KEPT = 8


def in_float64(problem: Problem) -> Problem:
    """The same problem, computed in float64: constants that were read as float32 keep their values."""
    if problem.dtype == "float64":
        return problem
    wide = {name: np.asarray(value, np.float64) for name, value in problem.parameters.items()}
    constants = {name: np.asarray(value, np.float64) for name, value in problem.constants.items()}
    return replace(problem, parameters=MappingProxyType(wide), constants=MappingProxyType(constants), dtype="float64")


def flat(arrays: Mapping[str, Array]) -> Array:
    """Named arrays end to end, in their order, as one float64 vector."""
    return np.concatenate([np.asarray(array, np.float64).reshape(-1) for array in arrays.values()])


def unflattened(vector: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """A vector of all numbers as name -> array."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), np.split(vector, ends[:-1]))}


class Products:
    """The gradient and the Hessian-vector product of one problem.

    By reverse mode twice: the gradient of <gradient, v> (Pearlmutter 1994, "Fast exact multiplication by the Hessian"), at the
    cost of a few gradients, without the matrix.

    Attributes:
        numbers: how many numbers the parameters hold.
        shapes: name -> shape.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = in_float64(problem)
        self.numbers = problem.numbers
        self.shapes = {name: value.shape for name, value in problem.parameters.items()}
        self._gradient: Any = None
        self._product: Any = None
        self._latest: tuple[bytes, Array] | None = None

    def gradient(self, parameters: Mapping[str, Array]) -> Array:
        """The gradient, shape (n,).

        Raises:
            ProblemError: TensorFlow cannot compute it.
        """
        return self._at(flat(parameters))

    def product(self, at: Array, vector: Array) -> Array:
        """Hessian times `vector`; both arguments of shape (n,), float64.

        Raises:
            ProblemError: TensorFlow cannot compute it.
        """
        return self._times(at, vector)

    def matrix(self, parameters: Mapping[str, Array], tick: Tick) -> Array:
        """The whole Hessian, shape (n, n), by a product for each number; the latest one is kept.

        Raises:
            ProblemError: TensorFlow cannot compute it.
        """
        at = flat(parameters)
        if self._latest is not None and self._latest[0] == at.tobytes():
            return self._latest[1]
        rows = np.empty((self.numbers, self.numbers))
        for place, unit in enumerate(np.eye(self.numbers)):
            tick(place)
            rows[place] = self.product(at, unit)
        rows.setflags(write=False)
        self._latest = (at.tobytes(), rows)
        return rows

    def _at(self, at: Array) -> Array:
        if self._gradient is None:
            self._gradient = self._compiled(self._flat_gradient, 1)
        return np.asarray(self._guarded(self._gradient, at))

    def _times(self, at: Array, vector: Array) -> Array:
        if self._product is None:
            self._product = self._compiled(self._of_product, 2)
        return np.asarray(self._guarded(self._product, at, vector))

    def _compiled(self, function: Any, arguments: int) -> Any:
        backend.load()
        import tensorflow as tf

        spec = [tf.TensorSpec((self.numbers,), tf.float64)] * arguments
        with backend.traced_for_good():
            return self._traced(tf, tf.function(function, autograph=False), spec)

    def _traced(self, tf: Any, function: Any, spec: list[Any]) -> Any:
        try:
            return function.get_concrete_function(*spec)
        except ExpressionError:
            raise
        except (tf.errors.OpError, LookupError, ValueError, TypeError, NotImplementedError) as error:
            raise _refusal(error) from error

    def _guarded(self, function: Any, *vectors: Array) -> Any:
        import tensorflow as tf

        try:
            return function(*(tf.constant(vector, tf.float64) for vector in vectors)).numpy()
        except tf.errors.OpError as error:
            raise _refusal(error) from error

    def _flat_gradient(self, at: Any) -> Any:
        import tensorflow as tf

        sizes = [math.prod(shape) for shape in self.shapes.values()]
        parts = zip(self.shapes.items(), tf.split(at, sizes))
        _, gradient = self._problem.loss_and_gradient({name: tf.reshape(part, shape) for (name, shape), part in parts})
        return tf.concat([tf.reshape(each, [-1]) for each in gradient.values()], 0)

    def _of_product(self, at: Any, vector: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(at)
            along = tf.reduce_sum(self._flat_gradient(at) * vector)
        return tape.gradient(along, at, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _refusal(error: Exception) -> ProblemError:
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ProblemError(f"the second derivatives of this loss cannot be computed: {first[:160]}", "grad shows the first ones")


_kept: OrderedDict[tuple[object, ...], Products] = OrderedDict()


def products_of(problem: Problem) -> Products:
    """The products of a problem, those of the latest ones kept: tracing takes a tenth of a second."""
    found = _kept.pop(problem.program_key, None) or Products(problem)
    _kept[problem.program_key] = found
    while len(_kept) > _MOST_KEPT:
        _kept.popitem(last=False)
    return found
