"""The loss beside a point: in float64 whatever the problem's dtype, along single numbers and along directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gdrepl.engine import backend
from gdrepl.engine.flag import Flag
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.insight.differences import Numbers, Values, steps_of
from gdrepl.insight.wide import as_tensors, cast_to, flat, parted

_FEW = 100
"""Evaluations up to which tracing the loss costs more than it saves."""
_A_PIECE = 4_000_000
"""Numbers that may be read between two looks at the interrupt."""
_ROUNDINGS = 4
"""Roundings of the last bit by which a loss may be off though nothing in it cancels."""

Tensor = Any


def gradient_at(problem: Problem, parameters: Mapping[str, Array]) -> Array:
    """The gradient by `tf.GradientTape` alone, laid end to end, in the problem's dtype; no compiled program takes part."""
    _, gradient = problem.loss_and_gradient(as_tensors(cast_to(problem.dtype, parameters)))
    return flat({name: np.asarray(each) for name, each in gradient.items()}, problem.dtype)


class Probe:
    """Asks for the loss of a problem beside one point, some evaluations at a time, so that it can be interrupted.

    Args:
        problem: as `widened` gave it.
        parameters: the point.
        noise: how far the loss may be off by rounding at the point, beside the roundings of its last bit.
        eager: whether the loss must not be traced.
        interrupt: what ends the asking.
    """

    def __init__(self, problem: Problem, parameters: Mapping[str, Array], noise: float, eager: bool, interrupt: Flag) -> None:
        import tensorflow as tf

        self._tf = tf
        self._problem = problem
        self._shapes = {name: value.shape for name, value in parameters.items()}
        self.point = flat(parameters, problem.dtype)
        self._here = tf.constant(self.point)
        self._noise = noise
        self._eager = eager
        self._interrupt = interrupt
        self._size = problem.numbers_in_all
        self.loss = float(self._loss_at(self._here))

    def along_numbers(self, places: Array, sizes: Numbers, steps: Numbers) -> Values:
        """The loss where one number is moved, for each of `places`, by `steps` in units of these `sizes`."""
        start = self.point[places][:, None].astype(np.float64)
        high, low = (self._rounded(start + sign * steps_of(sizes, steps)) for sign in (1, -1))
        moved = np.concatenate([high, low], 1)
        where = np.broadcast_to(places[:, None], moved.shape)

        def one(item: tuple[Tensor, Tensor]) -> Tensor:
            place, value = item
            return self._loss_at(self._tf.tensor_scatter_nd_update(self._here, [[place]], [value]))

        losses = self._losses(one, where.reshape(-1).astype(np.int64), moved.reshape(-1).astype(self.point.dtype))
        return self._values(losses.reshape(moved.shape), high - start, start - low)

    def along_direction(self, direction: Array, steps: Numbers) -> Values:
        """The loss along one direction, of the point's shape, at plus and minus these steps, shape (J,)."""
        way = self._tf.constant(direction.astype(self.point.dtype))
        signed = np.concatenate([steps, -steps]).astype(self.point.dtype)
        losses = self._losses(lambda item: self._loss_at(self._here + item[1] * way), np.zeros(len(signed), np.int64), signed)
        return self._values(losses[None], steps[None], steps[None])

    def _loss_at(self, numbers: Tensor) -> Tensor:
        return self._problem.loss_of(parted(numbers, self._shapes))

    def _rounded(self, numbers: Numbers) -> Numbers:
        with np.errstate(over="ignore"):
            return numbers.astype(self.point.dtype).astype(np.float64)

    def _values(self, losses: Numbers, up: Numbers, down: Numbers) -> Values:
        after, before = np.split(losses, 2, axis=1)
        here = np.full(len(losses), self.loss)
        largest = np.fmax(np.abs(after), np.abs(before))
        largest = np.fmax(np.where(np.isfinite(largest), largest, 0.0), abs(self.loss))
        rounding = _ROUNDINGS * float(np.finfo(self.point.dtype).eps) * largest
        return Values(here, after, before, _positive(up), _positive(down), self._noise + _ROUNDINGS * rounding, rounding)

    def _losses(self, one: Callable[[tuple[Tensor, Tensor]], Tensor], places: Array, values: Array) -> Numbers:
        """The losses of many (place, value); traced where that pays, unless the loss refuses it."""
        found: list[Numbers] = []
        call = self._called_one_by_one(one) if self._eager or len(values) <= _FEW else self._called_at_once(one, places, values)
        for start, end in self._pieces(len(values)):
            found.append(call(places[start:end], values[start:end]))
        return np.concatenate(found).astype(np.float64)

    def _called_one_by_one(self, one: Callable[[tuple[Tensor, Tensor]], Tensor]) -> Callable[[Array, Array], Numbers]:
        constant = self._tf.constant
        return lambda places, values: np.array([float(one((constant(p), constant(v)))) for p, v in zip(places, values)])

    def _called_at_once(
        self, one: Callable[[tuple[Tensor, Tensor]], Tensor], places: Array, values: Array
    ) -> Callable[[Array, Array], Numbers]:
        tf = self._tf
        dtype = values.dtype.name
        signature = [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], dtype)]
        together = tf.function(
            lambda p, v: tf.map_fn(one, (p, v), fn_output_signature=tf.TensorSpec([], dtype), parallel_iterations=1),
            autograph=False,
        )
        try:
            with backend.traced_for_good():
                traced = together.get_concrete_function(*signature)
        except Exception:  # a loss of Python's own may do what cannot be traced
            return self._called_one_by_one(one)
        return lambda places, values: traced(tf.constant(places), tf.constant(values)).numpy()

    def _pieces(self, count: int) -> Iterator[tuple[int, int]]:
        piece = max(1, min(4096, _A_PIECE // self._size))
        for start in range(0, count, piece):
            self._interrupt.heed("check grad was interrupted")
            yield start, min(start + piece, count)


def _positive(steps: Numbers) -> Numbers:
    return np.where(steps > 0, steps, np.nan)
