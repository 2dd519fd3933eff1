"""One operation of a loss by itself: its derivative with respect to each of its operands, where they are.

An operation is computed once more on what its operands came to, so that nothing below it is computed again.
"""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine.snapshot import Array, frozen, norm
from gdrepl.expression import Expression, evaluate

MOST_OF_A_MATRIX = 64
"""Numbers up to which the derivative of one vector by another is worked out whole."""

_NOT_ELEMENT_BY_ELEMENT = frozenset({"softmax", "logsumexp", "norm", "dot", "sum", "mean", "prod", "transpose"})

Tensor = Any


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    """d operation / d operand.

    Attributes:
        value: the numbers. Where the operation works element by element they have the shape of what it gives: each is the
            derivative of that element by the operand's own. Where it gives one number they have the operand's shape. Otherwise
            it is the Jacobian, whose shape is that of what it gives followed by that of the operand; None when it has too many
            numbers to be worked out.
        shape: of the numbers, also where there is no value.
        norm: the root of the sum of their squares; None where nobody has worked it out.
        elementwise: whether each number belongs to one element of what the operation gives.
    """

    value: Array | None
    shape: tuple[int, ...]
    norm: float | None
    elementwise: bool


def is_elementwise(node: ast.expr) -> bool:
    """Whether each element of what an operation gives depends on one element of each operand alone."""
    match node:
        case ast.BinOp(op=operator):
            return not isinstance(operator, ast.MatMult)
        case ast.UnaryOp():
            return True
        case ast.Call(func=ast.Name(id="max" | "min"), args=arguments):
            return len(arguments) > 1
        case ast.Call(func=ast.Name(id=name)):
            return name not in _NOT_ELEMENT_BY_ELEMENT
    return False


def local_derivatives(
    node: ast.expr, places: Sequence[tuple[ast.expr, Array]], names: Mapping[str, Tensor], dtype: str
) -> list[Local]:
    """The derivative of an operation by each of `places`, its operands with their values.

    Args:
        node: the operation, a node of the loss' tree.
        places: those operands that depend on a parameter.
        names: the values of all names that the other operands read.
        dtype: of the problem.
    """
    import tensorflow as tf

    blanks = [tf.constant(value) for _, value in places]
    expression = _with_blanks(node, [operand for operand, _ in places])
    elementwise = is_elementwise(node)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(blanks)
        wide = blanks
        if elementwise:  # one derivative for each element, also of an operand that many elements share
            shape = evaluate(expression, _named(names, blanks), dtype).shape
            wide = [tf.broadcast_to(blank, shape) for blank in blanks]
        result = evaluate(expression, _named(names, wide), dtype)
        flat = tf.reshape(result, [-1])
        rows = [flat[place] for place in range(len(flat))] if len(flat) <= MOST_OF_A_MATRIX else []
    zero = tf.UnconnectedGradients.ZERO
    if elementwise or result.shape.rank == 0:
        return [_whole(each.numpy(), elementwise) for each in tape.gradient(result, wide, unconnected_gradients=zero)]
    found = []
    for blank in blanks:
        shape = (*result.shape, *blank.shape)
        if rows and math.prod(shape) <= MOST_OF_A_MATRIX:
            lines = [tape.gradient(row, blank, unconnected_gradients=zero).numpy() for row in rows]
            found.append(_whole(np.stack(lines).reshape(shape), False))
        else:
            found.append(Local(None, shape, _norm_in_product(expression.tree, blank, _named(names, blanks), dtype), False))
    return found


def _whole(value: Array, elementwise: bool) -> Local:
    return Local(frozen(value), value.shape, norm(value), elementwise)


def _norm_in_product(tree: ast.expr, operand: Tensor, names: Mapping[str, Tensor], dtype: str) -> float | None:
    """The norm of d (A @ B) / d operand: each row of A meets the whole of B, and each column of B the whole of A."""
    if not isinstance(tree, ast.BinOp):
        return None
    left, right = (evaluate(Expression("", side), names, dtype) for side in (tree.left, tree.right))
    if isinstance(tree.left, ast.Name) and names.get(tree.left.id) is operand:
        return math.sqrt(math.prod(left.shape[:-1])) * norm(right.numpy())
    return math.sqrt(math.prod(right.shape[1:])) * norm(left.numpy())


def _named(names: Mapping[str, Tensor], blanks: Sequence[Tensor]) -> dict[str, Tensor]:
    return {**names, **{_blank(place): blank for place, blank in enumerate(blanks)}}


def _blank(place: int) -> str:
    """A name that no user can give: theirs do not begin with an underscore."""
    return f"_{place}"


def _with_blanks(node: ast.expr, gone: Sequence[ast.expr]) -> Expression:
    """The operation with a name in place of each operand of `gone`; the rest of it stays as it is written."""
    names = {id(operand): ast.Name(_blank(place), ast.Load()) for place, operand in enumerate(gone)}
    made = copy.copy(node)
    for field, value in ast.iter_fields(node):
        if isinstance(value, list):
            setattr(made, field, [names.get(id(each), each) for each in value])
        elif id(value) in names:
            setattr(made, field, names[id(value)])
    for name in names.values():
        ast.copy_location(name, node)
    return Expression(ast.unparse(made), made)
