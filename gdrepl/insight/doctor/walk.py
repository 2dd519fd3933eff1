"""The loss walked at one point: each operation with its inputs, its value, and d loss / d value."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.expression import evaluate
from gdrepl.insight.frames import text_of
from gdrepl.insight.saying import SIGNS


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of the loss.

    Attributes:
        name: the function, or the sign of the operator; "" for what only passes numbers on (a list, an index).
        text: the sub-expression, as it stands in the loss.
        inputs: the operands, texts and values.
        value: what came out.
        moves: whether it depends on a parameter.
        adjoint: d loss / d value, shaped like value; None where it does not depend on a parameter.
        passed: d loss / d each operand along this operation's own path; None for an operand that depends on no parameter.
    """

    name: str
    text: str
    inputs: tuple[tuple[str, Array], ...]
    value: Array
    moves: bool
    adjoint: Array | None
    passed: tuple[Array | None, ...]


def walk(problem: Problem, parameters: Mapping[str, Array]) -> tuple[Operation, ...]:
    """The operations of the loss at `parameters`, innermost first, as they are computed."""
    import tensorflow as tf

    seen: dict[int, tuple[ast.expr, Any]] = {}
    tensors = {name: tf.constant(value) for name, value in parameters.items()}
    moving: set[int] = set()
    with tf.GradientTape() as tape:
        tape.watch(list(tensors.values()))

        def observe(node: ast.expr, tensor: Any) -> Any:
            # An identity of its own for each place, so that a name that stands twice has two gradients.
            if tensor.dtype.is_floating and _moves(node, parameters, moving):
                tensor = tf.identity(tensor)
                tape.watch(tensor)
            seen[id(node)] = (node, tensor)
            return tensor

        loss = evaluate(problem.loss, {**problem.tensors(), **tensors}, problem.dtype, observe)
    wanted = [place for place in seen if place in moving]
    adjoints = tape.gradient(loss, [seen[place][1] for place in wanted], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    gradients = {place: np.asarray(adjoint) for place, adjoint in zip(wanted, adjoints)}
    values = {place: np.asarray(tensor) for place, (_, tensor) in seen.items()}
    return tuple(
        _operation(problem.loss.text, node, values, gradients)
        for node, _ in seen.values()
        if not isinstance(node, ast.Name | ast.Constant)
    )


def _moves(node: ast.expr, parameters: Mapping[str, Array], moving: set[int]) -> bool:
    """Whether a node depends on a parameter; its operands were seen before it."""
    found = (isinstance(node, ast.Name) and node.id in parameters) or any(id(child) in moving for child in _operands(node))
    if found:
        moving.add(id(node))
    return found


def _operands(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.Call(args=arguments):
            return arguments
        case ast.Subscript(value=value):
            return [value]
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _operation(loss: str, node: ast.expr, values: Mapping[int, Array], gradients: Mapping[int, Array]) -> Operation:
    operands = [child for child in _operands(node) if id(child) in values]
    inputs = tuple((text_of(loss, child), values[id(child)]) for child in operands)
    passed = tuple(gradients.get(id(child)) for child in operands)
    adjoint = gradients.get(id(node))
    return Operation(_name(node), text_of(loss, node), inputs, values[id(node)], adjoint is not None, adjoint, passed)


def _name(node: ast.expr) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name
        case ast.BinOp(op=operator):
            return SIGNS.get(type(operator), "")
        case ast.UnaryOp(op=ast.USub()):
            return "-"
    return ""


def is_broken(operations: tuple[Operation, ...]) -> bool:
    """Whether the loss or the gradient that comes of it is not finite; what `where` leaves out does not count."""
    if not operations:
        return False
    return not _finite(operations[-1].value) or first_broken_backwards(operations) is not None


def first_broken(operations: tuple[Operation, ...]) -> tuple[Operation, int] | None:
    """The first operation whose value is not finite while its inputs are, and where in it, counted flat."""
    for operation in operations:
        value = operation.value
        if value.dtype.kind == "f" and not np.isfinite(value).all() and all(_finite(each) for _, each in operation.inputs):
            return operation, int(np.flatnonzero(~np.isfinite(value).reshape(-1))[0])
    return None


def first_broken_backwards(operations: tuple[Operation, ...]) -> tuple[Operation, int] | None:
    """The outermost operation through which a finite gradient comes out not finite, and its operand."""
    for operation in reversed(operations):
        if operation.adjoint is None or not _finite(operation.adjoint):
            continue
        for place, passed in enumerate(operation.passed):
            if passed is not None and not _finite(passed):
                return operation, place
    return None


def _finite(value: Array) -> bool:
    return value.dtype.kind != "f" or bool(np.isfinite(value).all())
