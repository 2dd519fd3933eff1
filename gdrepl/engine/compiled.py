"""Functions of tensors as an engine runs them: traced once and compiled at the first call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gdrepl.engine import backend
from gdrepl.engine.problem import Problem

Tensor = Any
PointFunction = Callable[[Sequence[Tensor]], tuple[Tensor, list[Tensor]]]


def compiled(function: Callable[..., Any], engine: str) -> Callable[..., Any]:
    """`function` as this engine runs it; traced once, at the first call, for the types of that call's arguments."""
    if engine == "eager":
        return function
    import tensorflow as tf

    nest = tf.nest
    concrete: list[Any] = []

    def call(*arguments: Any) -> Any:
        # A concrete function does not look at the types of its arguments anew, which is half the cost of a step. It takes
        # them flat: nested ones it first refuses, with a message that prints each of them, and then accepts.
        flat = nest.flatten(arguments)
        if not concrete:

            def flattened(*tensors: Any) -> Any:
                return function(*nest.pack_sequence_as(arguments, tensors))

            traced = tf.function(flattened, jit_compile=engine == "xla", autograph=False)
            with backend.traced_for_good():
                concrete.append(traced.get_concrete_function(*flat))
        return concrete[0](*flat)

    return call


def point_function(problem: Problem, engine: str) -> PointFunction:
    """Loss and gradient at parameters, in the order of the problem's own, compiled by themselves.

    It is kept with the problem: every optimizer and every set of stops begins from the same one, and to compile it takes a
    quarter as long as to compile a loop.
    """
    kept: dict[str, PointFunction] = problem.__dict__.setdefault("_points", {})
    if engine not in kept:
        kept[engine] = compiled(partial(_point, problem), engine)
    return kept[engine]


def _point(problem: Problem, parameters: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    loss, gradient = problem.loss_and_gradient(dict(zip(problem.parameters, parameters)))
    return loss, list(gradient.values())
