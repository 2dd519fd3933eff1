"""Where a gradient comes from: the loss as a chain of sub-expressions, each with its value and d loss / d it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.expression import evaluate

MOST_TERMS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One link of the chain from the loss to a parameter.

    Attributes:
        expression: the sub-expression, as Python writes it.
        value: its value at the point.
        adjoint: d loss / d value, shaped like value, by `tf.GradientTape`.
    """

    expression: str
    value: Array
    adjoint: Array


def chain(problem: Problem, parameters: Mapping[str, Array]) -> tuple[Term, ...]:
    """The sub-expressions of the loss that depend on a parameter, outermost first; at most 12, without the loss itself."""
    import tensorflow as tf

    seen: list[tuple[ast.expr, Any]] = []
    tensors = {name: tf.constant(value) for name, value in parameters.items()}
    with tf.GradientTape() as tape:
        tape.watch(list(tensors.values()))

        def observe(node: ast.expr, tensor: Any) -> Any:
            if tensor.dtype.is_floating and _depends(node, parameters) and not isinstance(node, ast.Name):
                tape.watch(tensor)
                seen.append((node, tensor))
            return tensor

        loss = evaluate(problem.loss, {**problem.tensors(), **tensors}, problem.dtype, observe)
    inner = [(node, tensor) for node, tensor in reversed(seen) if node is not problem.loss.tree][:MOST_TERMS]
    adjoints = tape.gradient(loss, [tensor for _, tensor in inner], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tuple(
        Term(ast.unparse(node), frozen(tensor.numpy()), frozen(adjoint.numpy()))
        for (node, tensor), adjoint in zip(inner, adjoints)
    )


def _depends(node: ast.expr, parameters: Mapping[str, Array]) -> bool:
    return any(isinstance(child, ast.Name) and child.id in parameters for child in ast.walk(node))
