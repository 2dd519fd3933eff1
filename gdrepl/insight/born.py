"""The first operation of a loss whose output is not finite while its inputs are."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.expression import evaluate
from gdrepl.insight import saying
from gdrepl.insight.frames import text_of
from gdrepl.insight.gradient import operands
from gdrepl.insight.local import is_elementwise

_MOST_INPUTS = 64
"""Numbers up to which an input of an operation that is not element by element is told whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Birth:
    """Where a value that is not finite comes up.

    Attributes:
        node: the operation.
        expression: its text, of one element where it works element by element on arrays.
        operation: its name or sign.
        output: what it gave there.
        inputs: text -> value; the numbers that it was computed of.
    """

    node: ast.expr
    expression: str
    operation: str
    output: Array
    inputs: Mapping[str, Array]

    def told(self) -> str:
        """`log(x) is nan: x = -0.00032`."""
        given = ", ".join(f"{name} = {saying.array(value)}" for name, value in self.inputs.items())
        return f"{self.expression} is {saying.number(self.output)}{': ' if given else ''}{given}"


def birth(problem: Problem, parameters: Mapping[str, Array]) -> Birth | None:
    """The first operation, in the order in which they are computed, that makes what is not finite of what is; None for none."""
    import tensorflow as tf

    values: dict[int, Array] = {}
    born: list[ast.expr] = []

    def observe(node: ast.expr, tensor: Any) -> Any:
        if tensor.dtype.is_floating:
            value = values[id(node)] = tensor.numpy()
            given = [values[id(each)] for each in operands(node) if id(each) in values]
            if not np.isfinite(value).all() and all(np.isfinite(each).all() for each in given):
                born.append(node)
        return tensor

    tensors = {name: tf.constant(value) for name, value in parameters.items()}
    evaluate(problem.loss, {**problem.tensors(), **tensors}, problem.dtype, observe)
    chosen = _chosen(problem.loss.tree, values, born)
    return None if chosen is None else told_of(problem.loss.text, chosen, values)


def _chosen(tree: ast.expr, values: Mapping[int, Array], born: list[ast.expr]) -> ast.expr | None:
    """The one to name: where the loss itself is not finite, one that it is computed of by values that are not finite either."""
    if np.isfinite(values[id(tree)]).all():
        return born[0] if born else None
    node = tree
    while True:
        bad = [each for each in operands(node) if id(each) in values and not np.isfinite(values[id(each)]).all()]
        if not bad:
            return node
        node = bad[0]


def told_of(text: str, node: ast.expr, values: Mapping[int, Array], at: Array | None = None) -> Birth:
    """The account of an operation; `at` says which of its elements are meant, those that are not finite by themselves."""
    output = values[id(node)]
    found = ~np.isfinite(output) if at is None else at
    place = saying.first(found) if found.any() else (0,) * output.ndim
    below = [each for each in operands(node) if id(each) in values and not isinstance(each, ast.Constant)]
    if not is_elementwise(node):
        inputs = {text_of(text, each): values[id(each)] for each in below if values[id(each)].size <= _MOST_INPUTS}
        return Birth(node, text_of(text, node), saying.operation(node), np.asarray(output[place]), inputs)
    inputs = {}
    for each in below:
        value = values[id(each)]
        inputs[saying.element(each, text_of(text, each), saying.own_place(value, place))] = saying.at(value, place)
    name = saying.element(node, text_of(text, node), place)
    return Birth(node, name, saying.operation(node), np.asarray(output[place]), inputs)
