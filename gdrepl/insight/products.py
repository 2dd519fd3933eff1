"""Products of a loss's Hessian with a vector, compiled once for each problem, in float64 whatever the problem's own type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrepl.engine import backend
from gdrepl.engine.latest import Latest
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.errors import ExpressionError, ProblemError
from gdrepl.insight.wide import WIDE, flat, parted, widened

if TYPE_CHECKING:  # the views of what comes of this need no debugger
    from gdrepl.engine.debugger import Debugger

Tick = Callable[[int], None]
"""Called before each product with the number of those made; what it raises ends the work."""


def until_interrupted(debugger: Debugger) -> Tick:
    """A tick that ends the work when the debugger is interrupted."""

    def tick(made: int) -> None:
        debugger.interrupt.heed(f"interrupted after {made} products of the Hessian")

    return tick


class Products:
    """The gradient and the Hessian-vector product of one problem.

    By reverse mode twice: the gradient of <gradient, v> (Pearlmutter 1994, "Fast exact multiplication by the Hessian"), at the
    cost of a few gradients, without the matrix.

    Attributes:
        numbers: how many numbers the parameters hold.
        shapes: name -> shape.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = widened(problem)
        self.numbers = problem.numbers
        self.shapes = {name: value.shape for name, value in problem.parameters.items()}
        self._first: Any = None
        self._second: Any = None
        self._latest: tuple[bytes, Array] | None = None

    def flat(self, parameters: Mapping[str, Array]) -> Array:
        """Parameters, in whatever order they are named, as one vector in the problem's own order."""
        return flat({name: parameters[name] for name in self.shapes})

    def gradient(self, parameters: Mapping[str, Array]) -> Array:
        """The gradient, shape (n,).

        Raises:
            ProblemError: TensorFlow cannot compute it.
        """
        return self.loss_and_gradient(parameters)[1]

    def loss_and_gradient(self, parameters: Mapping[str, Array]) -> tuple[float, Array]:
        """The loss, and the gradient of shape (n,).

        Raises:
            ProblemError: TensorFlow cannot compute them.
        """
        if self._first is None:
            self._first = self._compiled(self._flat_gradient, 1)
        loss, gradient = self._guarded(self._first, self.flat(parameters))
        return float(loss), gradient

    def product(self, at: Array, vector: Array) -> Array:
        """Hessian times `vector`; both arguments of shape (n,), float64.

        Raises:
            ProblemError: TensorFlow cannot compute it.
        """
        if self._second is None:
            self._second = self._compiled(self._of_product, 2)
        (product,) = self._guarded(self._second, at, vector)
        return product

    def matrix(self, parameters: Mapping[str, Array], tick: Tick) -> Array:
        """The whole Hessian, shape (n, n), by a product for each number; the latest one is kept.

        Raises:
            ProblemError: TensorFlow cannot compute it.
        """
        at = self.flat(parameters)
        if self._latest is not None and self._latest[0] == at.tobytes():
            return self._latest[1]
        rows = np.empty((self.numbers, self.numbers))
        for place, unit in enumerate(np.eye(self.numbers)):
            tick(place)
            rows[place] = self.product(at, unit)
        self._latest = (at.tobytes(), frozen(rows + 0.0))  # no minus before a zero
        return self._latest[1]

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

    def _guarded(self, function: Any, *vectors: Array) -> list[Array]:
        import tensorflow as tf

        try:
            return [each.numpy() for each in function(*(tf.constant(vector, tf.float64) for vector in vectors))]
        except tf.errors.OpError as error:
            raise _refusal(error) from error

    def _flat_gradient(self, at: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        loss, gradient = self._problem.loss_and_gradient(parted(tf.cast(at, self._problem.dtype), self.shapes))
        return loss, tf.cast(tf.concat([tf.reshape(each, [-1]) for each in gradient.values()], 0), WIDE)

    def _of_product(self, at: Any, vector: Any) -> tuple[Any]:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(at)
            along = tf.reduce_sum(self._flat_gradient(at)[1] * vector)
        return (tape.gradient(along, at, unconnected_gradients=tf.UnconnectedGradients.ZERO),)


def _refusal(error: Exception) -> ProblemError:
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ProblemError(f"the second derivatives of this loss cannot be computed: {first[:160]}", "grad shows the first ones")


_kept: Latest[tuple[object, ...], Products] = Latest(4)


def products_of(problem: Problem) -> Products:
    """The products of a problem, those of the latest ones kept: tracing takes a tenth of a second."""
    return _kept.get(problem.program_key, lambda: Products(problem))
