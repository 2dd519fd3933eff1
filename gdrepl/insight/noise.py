"""How far the rounding of a floating-point type can move a loss and its gradient.

Each operation of the loss is made wrong by up to half a unit of the last place, at random, and the loss and its gradient
computed anew: what they move by is what rounding may do to them, cancellation included (Monte Carlo arithmetic: D. S. Parker,
"Monte Carlo Arithmetic", UCLA CSD-970002, 1997; before it the CESTAC method of M. La Porte and J. Vignes, 1974).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.expression import evaluate
from gdrepl.insight.wide import flat, is_expression

_LEAST = 2.0**-50
"""Less than this float64 cannot make an operation wrong by; what is moved is taken in proportion."""
_FEW, _MANY = 20_000, 1_000_000
Tensor = Any


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """What rounding moves: the loss, and each number of the gradient, shape (n,)."""

    loss: float
    gradient: Array


def rounding(problem: Problem, parameters: Mapping[str, Array], dtype: str) -> Rounding:
    """What the rounding of `dtype` does to the loss at a point; `problem` and `parameters` are of float64.

    The loss of a problem that is no expression is one operation: what can be moved of it are its parameters.
    """
    import tensorflow as tf

    given = {name: tf.constant(value) for name, value in parameters.items()}
    loss, gradient = _one(problem, given, None)
    widest, moved = np.zeros_like(gradient), 0.0
    unit = float(np.finfo(dtype).eps) / 2
    used = max(unit, _LEAST)
    size = problem.numbers_in_all
    for seed in range(3 if size <= _FEW else 2 if size <= _MANY else 1):
        other_loss, other = _one(problem, given, _Blur(tf, problem, used, seed))
        with np.errstate(all="ignore"):
            moved = float(np.fmax(moved, abs(other_loss - loss)))
            widest = np.fmax(widest, np.abs(other - gradient))
    widest = np.where(np.isfinite(widest), widest, 0.0)
    return Rounding(moved * unit / used, widest * (unit / used))


def _one(problem: Problem, given: Mapping[str, Tensor], blur: _Blur | None) -> tuple[float, Array]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(list(given.values()))
        if blur is None:
            loss = problem.loss_of(given)
        elif is_expression(problem):
            loss = evaluate(problem.loss, {**problem.tensors(), **given}, problem.dtype, blur.observe)
        else:
            loss = problem.loss_of({name: blur.blurred(value) for name, value in given.items()})
    gradient = tape.gradient(loss, dict(given), unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return float(loss), flat({name: each.numpy() for name, each in gradient.items()}, problem.dtype)


class _Blur:
    """Makes operations wrong; the same seed does it in the same way. TensorFlow's own generators stay as they are."""

    def __init__(self, tf: Any, problem: Problem, unit: float, seed: int) -> None:
        self._tf = tf
        self._unit = unit
        self._chance = np.random.default_rng(seed)
        self._exact = frozenset(_powers(problem.loss.tree))

    def blurred(self, tensor: Tensor) -> Tensor:
        """`tensor` with each number off by up to the unit of itself."""
        noise = self._chance.random(tuple(tensor.shape), np.float32).astype(np.float64)
        return tensor * self._tf.constant(1 + self._unit * (2.0 * noise - 1), tensor.dtype)

    def observe(self, node: ast.expr, tensor: Tensor) -> Tensor:
        """What `evaluate` asks of each sub-expression: names are exact, and so is what a power is raised to."""
        exact = isinstance(node, ast.Name | ast.UnaryOp | ast.Subscript | ast.List) or id(node) in self._exact
        if exact or not tensor.dtype.is_floating:
            return tensor
        if isinstance(node, ast.Constant) and float(np.float32(float(tensor))) == float(tensor):
            return tensor
        return self.blurred(tensor)


def _powers(tree: ast.expr) -> list[int]:
    """What stands to the right of **: a negative number to a power that is no longer whole would be NaN."""
    rights = [node.right for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)]
    return [id(inner) for right in rights for inner in ast.walk(right)]
