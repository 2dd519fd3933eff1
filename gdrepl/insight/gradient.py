"""Where a gradient comes from: the loss as a chain of sub-expressions, each with its value and d loss / d it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.expression import evaluate
from gdrepl.expression.functions import STATIC
from gdrepl.insight.wide import as_tensors

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


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One place of the loss where a number that depends on a parameter stands: a sub-expression, or a parameter's name.

    Attributes:
        node: of the loss' tree; the same text at two places is two nodes.
        value: its value at the point.
        adjoint: d loss / d value by the paths through this very place, shaped like value, by `tf.GradientTape`; 0 where no path
            leads to it, as inside a condition.
    """

    node: ast.expr
    value: Array
    adjoint: Array


def observed(problem: Problem, parameters: Mapping[str, Array]) -> tuple[Observed, ...]:
    """Every place of the loss that depends on a parameter, in the order in which they are computed: the loss is the last."""
    import tensorflow as tf

    seen: list[tuple[ast.expr, Any]] = []
    tensors = as_tensors(parameters)
    with tf.GradientTape() as tape:
        tape.watch(list(tensors.values()))

        def observe(node: ast.expr, tensor: Any) -> Any:
            if not tensor.dtype.is_floating or not depends(node, parameters):
                return tensor
            here = tf.identity(tensor)  # so that each use of a parameter has a gradient of its own
            tape.watch(here)
            seen.append((node, here))
            return here

        loss = evaluate(problem.loss, {**problem.tensors(), **tensors}, problem.dtype, observe)
    adjoints = tape.gradient(loss, [tensor for _, tensor in seen], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tuple(
        Observed(node, frozen(tensor.numpy()), frozen(adjoint.numpy())) for (node, tensor), adjoint in zip(seen, adjoints)
    )


def values_of(problem: Problem, parameters: Mapping[str, Array]) -> dict[int, Array]:
    """The value of every sub-expression, conditions too, by the identity of its node, in the order of computation."""
    values: dict[int, Array] = {}

    def observe(node: ast.expr, tensor: Any) -> Any:
        values[id(node)] = tensor.numpy()
        return tensor

    evaluate(problem.loss, {**problem.tensors(), **as_tensors(parameters)}, problem.dtype, observe)
    return values


def chain(problem: Problem, parameters: Mapping[str, Array]) -> tuple[Term, ...]:
    """The sub-expressions of the loss that depend on a parameter, outermost first; at most 12, without the loss itself."""
    places = reversed(observed(problem, parameters))
    inner = [each for each in places if each.node is not problem.loss.tree and not isinstance(each.node, ast.Name)]
    return tuple(Term(ast.unparse(each.node), each.value, each.adjoint) for each in inner[:MOST_TERMS])


def depends(node: ast.expr, parameters: Collection[str]) -> bool:
    """Whether a parameter is named in a sub-expression."""
    return any(isinstance(child, ast.Name) and child.id in parameters for child in ast.walk(node))


def operands(node: ast.expr) -> tuple[ast.expr, ...]:
    """The sub-expressions that a node is computed of and may pass a gradient to: no conditions, and nothing read as a shape."""
    match node:
        case ast.BinOp(left=left, right=right):
            return (left, right)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return (operand,)
        case ast.List(elts=elements):
            return tuple(elements)
        case ast.Subscript(value=value):
            return (value,)
        case ast.Call(func=ast.Name(id="where"), args=[_, first, second]):
            return (first, second)
        case ast.Call(func=ast.Name(id=name), args=arguments) if name not in STATIC:
            return tuple(arguments)
    return ()
