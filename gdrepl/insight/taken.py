"""Down a loss from an element that is not finite to the element of an operand that made it so."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.expression.evaluate import index_of
from gdrepl.insight import saying
from gdrepl.insight.gradient import operands
from gdrepl.insight.local import is_elementwise

Place = tuple[int, ...]
_CHOOSE = frozenset({"max", "min", "maximum", "minimum", "clip"})


def taken(node: ast.expr, place: Place, values: Mapping[int, Array]) -> tuple[ast.expr, Place] | None:
    """The operand that made the element of `node` at `place` not finite, and which element of it; None where all are finite.

    Args:
        values: of each sub-expression, by the identity of its node.
    """
    bad = [(each, at) for each, at in _read(node, place, values) if not np.isfinite(values[id(each)][at])]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CHOOSE:
        bad = _alike(bad, values[id(node)][place], values) or bad
    return bad[0] if bad else None


def _alike(bad: Sequence[tuple[ast.expr, Place]], output: Array, values: Mapping[int, Array]) -> list[tuple[ast.expr, Place]]:
    """Those of the same kind as what was made of them: an infinity that lost against NaN is not to blame."""
    return [(each, at) for each, at in bad if np.array_equal(values[id(each)][at], output, equal_nan=True)]


def _read(node: ast.expr, place: Place, values: Mapping[int, Array]) -> Iterator[tuple[ast.expr, Place]]:
    """The elements of the operands that an element is computed of; of what mixes them the first that is not finite."""
    below = [each for each in operands(node) if id(each) in values and values[id(each)].dtype.kind == "f"]
    match node:
        case ast.Call(func=ast.Name(id="where"), args=[condition, first, second]):
            held = saying.at(values[id(condition)], place) if id(condition) in values else None
            below = [each for each in below if held is None or each is (first if held else second)]
        case ast.Call(func=ast.Name(id="transpose"), args=[whole]):
            yield whole, place[::-1]
            return
        case ast.Subscript(value=whole, slice=index):
            places = np.arange(values[id(whole)].size).reshape(values[id(whole)].shape)[index_of(index)]
            yield whole, _at(int(places[place]), values[id(whole)])
            return
        case ast.List() if place:
            below = [each for each in below if each is node.elts[place[0]]]
            yield from ((each, place[1:]) for each in below)
            return
    for each in below:
        value = values[id(each)]
        if is_elementwise(node):
            yield each, saying.own_place(value, place)
        else:
            yield from _worst(each, value, _reached(node, each, value, place), values[id(node)][place])


def _reached(node: ast.expr, operand: ast.expr, value: Array, place: Place) -> Array:
    """Which elements of an operand an element of what mixes them is computed of: of a product a row and a column."""
    reached = np.ones(value.shape, bool)
    if value.ndim == 2 and place:
        match node:
            case ast.BinOp(op=ast.MatMult(), left=left):
                line, axis = (place[0], 0) if operand is left else (place[-1], 1)
                reached &= np.expand_dims(np.arange(value.shape[axis]) == line, 1 - axis)
            case ast.Call(func=ast.Name(id="softmax")):
                reached &= (np.arange(value.shape[0]) == place[0])[:, None]
    return reached


def _worst(node: ast.expr, value: Array, reached: Array, output: Array) -> Iterator[tuple[ast.expr, Place]]:
    """The first element of the same kind as what came out, and the first that is not finite."""
    bad = reached & ~np.isfinite(value)
    for found in (bad & ((value == output) | (np.isnan(value) & np.isnan(output))), bad):
        if found.any():
            yield node, saying.first(found)


def _at(flat: int, value: Array) -> Place:
    return tuple(int(each) for each in np.unravel_index(flat, value.shape)) if value.ndim else ()
