"""Where a loss stretches both sides of an operator: a column minus a row is a table, which is seldom meant."""

from __future__ import annotations

import ast
import math
from typing import Any

from gdrepl.engine.problem import Problem
from gdrepl.expression import evaluate


def stretched(problem: Problem) -> tuple[str, ...]:
    """The sub-expressions of the loss whose operands are both smaller than what comes of them, in words, innermost first."""
    import tensorflow as tf

    shapes: dict[ast.expr, tuple[int, ...]] = {}
    found = []

    def observe(node: ast.expr, tensor: Any) -> Any:
        shapes[node] = shape = tuple(tensor.shape)
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.MatMult):
            left, right = shapes[node.left], shapes.get(node.right, shape)
            if math.prod(shape) > max(math.prod(left), math.prod(right)):
                found.append(f"{ast.unparse(node)[:40]} makes {shape} of {left} and {right}")
        return tensor

    parameters = {name: tf.constant(value) for name, value in problem.parameters.items()}
    evaluate(problem.loss, {**problem.tensors(), **parameters}, problem.dtype, observe)
    return tuple(dict.fromkeys(found))
