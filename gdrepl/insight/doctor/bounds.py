"""Between which numbers the loss can lie, whatever the parameters are: interval arithmetic over its expression.

An interval holds every element of a value. It may be wider than need be, since a name that stands twice is taken for two
(R. E. Moore, Interval Analysis, 1966). So what it excludes is impossible, to the last digits;
what it allows need not be possible.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.expression import FUNCTIONS, NAMED_CONSTANTS, Expression

INF = math.inf


class Interval(NamedTuple):
    """All numbers from `low` to `high`; either may be infinite."""

    low: float
    high: float


ALL = Interval(-INF, INF)


def bounds(loss: Expression, constants: Mapping[str, Array]) -> Interval:
    """What the loss lies between, for any parameters."""
    with np.errstate(all="ignore"):
        return _of(loss.tree, {name: Interval(float(value.min()), float(value.max())) for name, value in constants.items()})


def _of(node: ast.expr, known: Mapping[str, Interval]) -> Interval:
    match node:
        case ast.Constant(value=int() | float() as value):
            return Interval(float(value), float(value))
        case ast.Name(id=name):
            exact = NAMED_CONSTANTS.get(name)
            return known.get(name, ALL if exact is None else Interval(exact, exact))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _of(operand, known)
            return Interval(-inner.high, -inner.low)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _of(operand, known)
        case ast.BinOp():
            return _binary(node, known)
        case ast.Subscript(value=value):
            return _of(value, known)
        case ast.List(elts=elements):
            return _hull([_of(element, known) for element in elements])
        case ast.Compare() | ast.BoolOp():
            return Interval(0.0, 1.0)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name, arguments, known)
    return ALL


def _binary(node: ast.BinOp, known: Mapping[str, Interval]) -> Interval:
    left, right = _of(node.left, known), _of(node.right, known)
    same = ast.dump(node.left) == ast.dump(node.right)
    match node.op:
        case ast.Add():
            return _add(left, right)
        case ast.Sub():
            return Interval(0.0, 0.0) if same else _add(left, Interval(-right.high, -right.low))
        case ast.Mult():
            return _square(left) if same else _times(left, right)
        case ast.Div() if right.low > 0 or right.high < 0:
            return _times(left, Interval(1 / right.high, 1 / right.low))
        case ast.Div() if (right.low == 0) != (right.high == 0):
            ends = (0.0 if math.isinf(right.high) else 1 / right.high, INF) if right.low == 0 else (-INF, 1 / right.low)
            return _times(left, Interval(*ends))
        case ast.Pow() if right.low == right.high:
            return _power(left, right.low)
        case ast.Pow() if left.low >= 0:
            return Interval(0.0, INF)
        case ast.MatMult():
            return _summed(_square(left) if same else _times(left, right))
    return ALL


def _add(one: Interval, other: Interval) -> Interval:
    return Interval(one.low + other.low, one.high + other.high)


def _times(one: Interval, other: Interval) -> Interval:
    products = [a * b if a and b else 0.0 for a in one for b in other]  # 0 times an end that is infinite is 0
    return Interval(min(products), max(products))


def _square(inner: Interval) -> Interval:
    size = _absolute(inner)
    return Interval(_raised(size.low, 2), _raised(size.high, 2))


def _power(base: Interval, exponent: float) -> Interval:
    if exponent == int(exponent) and exponent > 0:
        if exponent % 2 == 0:
            size = _square(base)
            return Interval(_raised(size.low, exponent / 2), _raised(size.high, exponent / 2))
        return Interval(_raised(base.low, exponent), _raised(base.high, exponent))
    if base.low >= 0:
        ends = sorted([_raised(base.low, exponent), _raised(base.high, exponent)])
        return Interval(ends[0], ends[1])
    return Interval(0.0, INF) if exponent % 2 == 0 else ALL


def _raised(base: float, exponent: float) -> float:
    try:
        return float(base**exponent)
    except ZeroDivisionError:
        return INF
    except OverflowError:
        return INF if base > 0 or exponent % 2 == 0 else -INF


def _summed(inner: Interval) -> Interval:
    """The sum of an unknown number of elements, of one at least."""
    return Interval(inner.low if inner.low >= 0 else _far(inner.low), inner.high if inner.high <= 0 else _far(inner.high))


def _far(end: float) -> float:
    """The end of a sum of any number of elements; finite elements are finitely many, which is all that is asked of it."""
    return end if math.isinf(end) else math.copysign(_MANY * abs(end), end)


_MANY = 1e8
"""More elements than an array of a problem may hold."""


def _monotone(function: Callable[[float], float], outside: float = -INF) -> Callable[[Interval], Interval]:
    def image(inner: Interval) -> Interval:
        return Interval(_at(function, inner.low, outside), _at(function, inner.high, outside))

    return image


def _at(function: Callable[[float], float], point: float, outside: float) -> float:
    try:
        return function(point)
    except OverflowError:
        return INF if point > 0 else -INF
    except ValueError:
        return outside


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(0.5 * x))


def _softplus(x: float) -> float:
    return x if x > 700 else math.log1p(math.exp(x))


def _cosh(inner: Interval) -> Interval:
    size = _absolute(inner)
    return _monotone(math.cosh)(size)


def _absolute(inner: Interval) -> Interval:
    low = 0.0 if inner.low <= 0 <= inner.high else min(abs(inner.low), abs(inner.high))
    return Interval(low, max(abs(inner.low), abs(inner.high)))


def _same(inner: Interval) -> Interval:
    return inner


def _fixed(low: float, high: float) -> Callable[[Interval], Interval]:
    return lambda inner: Interval(low, high)


_IMAGES: Mapping[str, Callable[[Interval], Interval]] = {
    "sin": _fixed(-1.0, 1.0),
    "cos": _fixed(-1.0, 1.0),
    "asin": _fixed(-math.pi / 2, math.pi / 2),
    "acos": _fixed(0.0, math.pi),
    "atan": _monotone(math.atan),
    "sinh": _monotone(math.sinh),
    "cosh": _cosh,
    "tanh": _monotone(math.tanh),
    "exp": _monotone(math.exp),
    "expm1": _monotone(math.expm1),
    "log": _monotone(math.log),
    "log1p": _monotone(math.log1p),
    "sqrt": _monotone(math.sqrt, 0.0),
    "square": _square,
    "abs": _absolute,
    "sign": _fixed(-1.0, 1.0),
    "floor": lambda inner: Interval(inner.low - 1, inner.high),
    "sigmoid": _monotone(_sigmoid),
    "softplus": _monotone(_softplus),
    "erf": _monotone(math.erf),
    "relu": lambda inner: Interval(max(inner.low, 0.0), max(inner.high, 0.0)),
    "softmax": _fixed(0.0, 1.0),
    "logsumexp": lambda inner: Interval(inner.low, _far(abs(inner.high)) if math.isfinite(inner.high) else inner.high),
    "norm": lambda inner: _summed(_absolute(inner)),
    "sum": _summed,
    "mean": _same,
    "transpose": _same,
    "stop_gradient": _same,
    "prod": lambda inner: Interval(0.0, INF) if inner.low >= 0 else ALL,
}


def _call(name: str, arguments: list[ast.expr], known: Mapping[str, Interval]) -> Interval:
    inner = [_of(argument, known) for argument in arguments]
    if name in ("max", "maximum"):
        return Interval(max(each.low for each in inner), max(each.high for each in inner)) if len(inner) > 1 else inner[0]
    if name in ("min", "minimum"):
        return Interval(min(each.low for each in inner), min(each.high for each in inner)) if len(inner) > 1 else inner[0]
    if name == "clip":
        value, low, high = inner
        return Interval(min(max(value.low, low.low), high.high), min(max(value.high, low.low), high.high))
    if name == "where":
        return _hull(inner[1:])
    if name == "dot":
        same = ast.dump(arguments[0]) == ast.dump(arguments[1])
        return _summed(_square(inner[0]) if same else _times(inner[0], inner[1]))
    if name in _IMAGES and name in FUNCTIONS:
        return _IMAGES[name](inner[0])
    return Interval(0.0, INF) if name in ("size", "arange") else ALL


def _hull(parts: list[Interval]) -> Interval:
    return Interval(min(each.low for each in parts), max(each.high for each in parts))
