"""Where a value that is not finite comes up: the first operation of a loss, or of its gradient, whose inputs are finite."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.insight import saying
from gdrepl.insight.frames import Link, text_of
from gdrepl.insight.gradient import depends, operands, values_of
from gdrepl.insight.local import is_elementwise
from gdrepl.insight.taken import Place, taken


@dataclass(frozen=True, slots=True, eq=False)
class Birth:
    """Where a value that is not finite comes up.

    Attributes:
        node: the operation.
        place: the element of what it gives that is meant, the first that is not finite.
        expression: its text, of one element where it works element by element on arrays.
        operation: its name or sign.
        output: what it gave there.
        inputs: text -> value; the numbers that it was computed of.
    """

    node: ast.expr
    place: tuple[int, ...]
    expression: str
    operation: str
    output: Array
    inputs: Mapping[str, Array]

    def told(self) -> str:
        """`log(x) is nan: x = -0.00032`."""
        given = ", ".join(f"{name} = {saying.array(value)}" for name, value in self.inputs.items())
        return f"{self.expression} is {saying.number(self.output)}{': ' if given else ''}{given}"


def birth(problem: Problem, parameters: Mapping[str, Array], below: Collection[str] = ()) -> Birth | None:
    """An operation that makes what is not finite of what is, and by which the loss is not, where it is not; None for none.

    Args:
        below: where the loss is finite, the parameters of which one must be in it; empty for any.
    """
    values = values_of(problem, parameters)
    found = _chosen(problem.loss.tree, values, below)
    if found is None:
        return None
    chosen, place = found
    output, text = values[id(chosen)], problem.loss.text
    name = saying.element(text_of(text, chosen), place if is_elementwise(chosen) else (), chosen)
    inputs = _inputs(text, chosen, values, place)
    return Birth(chosen, place, name, saying.operation(chosen), np.asarray(output[place]), inputs)


def inputs_at(problem: Problem, born: Birth, parameters: Mapping[str, Array]) -> Mapping[str, Array]:
    """The inputs of the same operation at other parameters of the same shapes."""
    return _inputs(problem.loss.text, born.node, values_of(problem, parameters), born.place)


def _inputs(text: str, node: ast.expr, values: Mapping[int, Array], place: tuple[int, ...]) -> dict[str, Array]:
    """What an operation is computed of, but for numbers that are written out; of one element where it works by elements."""
    below = [(each, values[id(each)]) for each in operands(node) if id(each) in values and not isinstance(each, ast.Constant)]
    if not is_elementwise(node):
        return {text_of(text, each): value for each, value in below}
    return {
        saying.element(text_of(text, each), saying.own_place(value, place), each): saying.at(value, place)
        for each, value in below
    }


def _chosen(tree: ast.expr, values: Mapping[int, Array], below: Collection[str]) -> tuple[ast.expr, Place] | None:
    """The operation to name, and the element of it.

    Where the loss itself is not finite, that is one by whose values it is not: the way goes down by the elements that were
    taken, past those that an index or a condition leaves out.
    """
    if np.isfinite(values[id(tree)]).all():
        bad = (node for node in ast.walk(tree) if isinstance(node, ast.expr) and _is_bad(node, values))
        first = (node for node in bad if not any(_is_bad(each, values) for each in operands(node)))
        node = next((node for node in first if not below or depends(node, below)), None)
        return None if node is None else (node, saying.first(~np.isfinite(values[id(node)])))
    at: tuple[ast.expr, Place] = (tree, ())
    while found := taken(*at, values):
        at = found
    return at


def _is_bad(node: ast.expr, values: Mapping[int, Array]) -> bool:
    return id(node) in values and not np.isfinite(values[id(node)]).all()


# --- on the way back ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class SlopeBirth:
    """Where a gradient that is not finite comes up, between two frames whose values are finite.

    Attributes:
        link: the operand by which the derivative is taken.
        place: the element of it.
        operation: the name or sign of what it is an operand of.
        expression: the derivative, such as `d sqrt(x) / d x[2]`.
        output: the derivative there; where that is finite, its product with the gradient that reaches it.
        inputs: text -> value: the operand, and the gradient that reaches it.
        masked: whether no gradient reaches it: 0 times infinity is NaN in plain arithmetic, and 0 for some engines.
    """

    link: Link
    place: tuple[int, ...]
    operation: str
    expression: str
    output: Array
    inputs: Mapping[str, Array]
    masked: bool

    def told(self) -> str:
        """`d sqrt(x) / d x[2] is inf where x[2] = 0`."""
        name, value = next(iter(self.inputs.items()))
        told = f"{self.expression} is {saying.number(self.output)} where {name} = {saying.array(value)}"
        return f"0*inf: {told}, and no gradient reaches it: the product is nan" if self.masked else told


def slope_birth(link: Link, parent: Link) -> SlopeBirth | None:
    """What makes the gradient of a frame not finite, or would in plain arithmetic, where that of its parent is; or None."""
    known = (parent.gradient, parent.value, link.value)  # a value that is not finite is told of as such
    if link.local is None or not all(np.isfinite(each).all() for each in known):
        return None
    local = link.local.value
    if local is not None and not np.isfinite(local).all():
        return _steep(link, parent, local)
    if np.isfinite(link.gradient).all():
        return None
    place = saying.first(~np.isfinite(link.gradient))
    return _slope(link, parent, place, link.gradient[place], None)


def _steep(link: Link, parent: Link, local: Array) -> SlopeBirth:
    assert link.local is not None
    bad = ~np.isfinite(local)
    if not link.local.elementwise and parent.gradient.ndim:  # a Jacobian: the elements of the operand come last
        place = saying.first(bad)[parent.gradient.ndim :]
        return _slope(link, parent, place, local[bad][0], None)
    upstream = np.broadcast_to(parent.gradient, local.shape)
    masked = bad & (upstream == 0)
    reached = bad & ~masked
    place = saying.first(reached if reached.any() else masked)
    return _slope(link, parent, saying.own_place(link.value, place), local[place], upstream[place])


def _slope(link: Link, parent: Link, place: tuple[int, ...], output: Any, upstream: Any) -> SlopeBirth:
    name = saying.element(saying.described(link.expression), place, link.node)
    inputs = {name: np.asarray(link.value[place])}
    if upstream is not None:
        inputs[f"d loss / d {saying.described(parent.expression)}"] = np.asarray(upstream)
    slope = f"d {saying.described(parent.expression)} / d {name}"
    expression = slope if upstream is not None else f"d loss / d {name}"
    masked = upstream is not None and not upstream
    return SlopeBirth(link, place, saying.operation(parent.node), expression, np.asarray(output), inputs, bool(masked))
