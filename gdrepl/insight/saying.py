"""Numbers and places of arrays in sentences."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from gdrepl.engine.snapshot import Array, norm
from gdrepl.insight.coordinates import index_text

_MOST_LISTED = 4
_DIGITS = 7


def number(value: object, digits: int = _DIGITS) -> str:
    """One number in up to so many digits, as one would type it: 3.5, 12300, -3.2e-7, inf."""
    rounded = float(f"{float(np.asarray(value)):.{digits}g}") + 0.0  # no minus before a zero
    text = f"{rounded:.{max(digits, _DIGITS)}g}"
    mantissa, exponent_sign, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent_sign else text


def array(value: Array) -> str:
    """A number, a short vector, or the norm of anything larger."""
    if value.ndim == 0:
        return number(value)
    if value.ndim == 1 and value.size <= _MOST_LISTED:
        return f"[{' '.join(map(number, value))}]"
    return f"norm {number(norm(value))}"


def element(expression: str, place: tuple[int, ...], node: ast.expr | None = None) -> str:
    """The name of one number of a value: `x`, `x[3]`, `(x - 1)[0, 2]`; `node` is its tree, None for a name or a call."""
    bare = not place or node is None or isinstance(node, ast.Name | ast.Call | ast.Subscript | ast.List)
    return f"{expression if bare else f'({expression})'}{index_text(place)}"


def first(found: Array) -> tuple[int, ...]:
    """The place of the first true value of an array that has one."""
    return tuple(int(index) for index in np.argwhere(found)[0])


def at(value: Array, place: tuple[int, ...]) -> Array:
    """The number of an operand that belongs to a place of the result, which is of its shape or wider by broadcasting."""
    if value.ndim == 0:
        return value
    own = place[len(place) - value.ndim :]
    return np.asarray(value[tuple(0 if size == 1 else index for index, size in zip(own, value.shape))])


def own_place(value: Array, place: tuple[int, ...]) -> tuple[int, ...]:
    """Where `at` reads."""
    own = place[len(place) - value.ndim :] if value.ndim else ()
    return tuple(0 if size == 1 else index for index, size in zip(own, value.shape))


def operation(node: ast.expr) -> str:
    """What an operation is called: the name of its function, or its sign; of a number that is written out, `number`."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name
        case ast.BinOp(op=operator):
            return SIGNS[type(operator)]
        case ast.UnaryOp():
            return "-"
        case ast.Subscript():
            return "[]"
        case ast.Constant():
            return "number"
    return ""


SIGNS: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
}


def described(expression: str) -> str:
    """An expression, short enough for a sentence."""
    return expression if len(expression) <= 40 else expression[:37] + "..."
