"""The loss as a stack of frames, from the loss down to its parameters: the chain rule, one operation a frame.

The gradient of a frame is the product of the local derivatives on the way from the loss to it (reverse accumulation:
S. Linnainmaa, "Taylor expansion of the accumulated rounding error", BIT 16, 1976; A. Griewank and A. Walther, "Evaluating
Derivatives", SIAM, 2008).
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.expression.functions import STATIC
from gdrepl.insight.gradient import Observed, observed, operands
from gdrepl.insight.local import Local, local_derivatives

_MOST_KEPT = 100_000
"""Numbers of a problem up to which its frames are kept between questions."""


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One place of the loss that passes a gradient on.

    Attributes:
        index: its number; the loss is 0, and each operation stands before its operands.
        node: of the loss' tree.
        expression: its text, as it was typed.
        parent: the number of the operation that it is an operand of; None for the loss.
        depth: how many operations there are from the loss to it.
        value: what it comes to.
        local: d parent / d it; None for the loss.
        gradient: d loss / d it by the path through this place, shaped like value.
    """

    index: int
    node: ast.expr
    expression: str
    parent: int | None
    depth: int
    value: Array
    local: Local | None
    gradient: Array

    @property
    def start(self) -> int:
        """The column of the loss at which its text begins."""
        return self.node.col_offset

    @property
    def end(self) -> int:
        """The column behind its text."""
        return self.node.end_col_offset or 0

    @property
    def is_name(self) -> bool:
        """Whether it is a parameter, below which there is nothing."""
        return isinstance(self.node, ast.Name)


@dataclass(frozen=True, slots=True)
class _Place:
    node: ast.expr
    parent: int | None
    depth: int


def links(problem: Problem, parameters: Mapping[str, Array]) -> tuple[Link, ...]:
    """The frames of the loss at `parameters` (name -> array), each operation before its operands."""
    import tensorflow as tf

    found = {id(each.node): each for each in observed(problem, parameters)}
    places = list(_places(problem.loss.tree, found))
    names = {**problem.tensors(), **{name: tf.constant(value) for name, value in parameters.items()}}
    locals_: dict[int, Local] = {}
    for place in places:
        below = _below(place.node, found)
        if below:
            derivatives = local_derivatives(place.node, [(node, found[id(node)].value) for node in below], names, problem.dtype)
            locals_ |= {id(node): local for node, local in zip(below, derivatives)}
    return tuple(
        Link(
            index,
            place.node,
            text_of(problem.loss.text, place.node) if index else problem.loss.text,
            place.parent,
            place.depth,
            found[id(place.node)].value,
            locals_.get(id(place.node)),
            found[id(place.node)].adjoint,
        )
        for index, place in enumerate(places)
    )


def _places(tree: ast.expr, found: Mapping[int, Observed]) -> Iterator[_Place]:
    waiting, index = [_Place(tree, None, 0)], 0
    while waiting:
        place = waiting.pop()
        yield place
        below = _below(place.node, found)
        waiting += [_Place(node, index, place.depth + 1) for node in reversed(below)]
        index += 1


def _below(node: ast.expr, found: Mapping[int, Observed]) -> list[ast.expr]:
    return [each for each in operands(node) if id(each) in found and not _reads_a_shape(each)]


def _reads_a_shape(node: ast.expr) -> bool:
    """Whether a node is a number that parameters give by how many they are, and not by what they are."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STATIC


def text_of(text: str, node: ast.expr) -> str:
    """A sub-expression as it stands in the loss, without brackets around it."""
    return text[node.col_offset : node.end_col_offset]


def links_at(problem: Problem, snapshot: Snapshot) -> tuple[Link, ...]:
    """The frames at a snapshot, kept for the questions that follow unless they are large; their arrays are read-only."""
    large = problem.numbers_in_all > _MOST_KEPT
    return links(problem, snapshot.parameters) if large else _kept(problem, snapshot)


@functools.lru_cache(maxsize=2)
def _kept(problem: Problem, snapshot: Snapshot) -> tuple[Link, ...]:
    return links(problem, snapshot.parameters)
