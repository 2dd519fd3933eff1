"""The functions of the expression language, as a table: name -> how many arguments, what it does, how TensorFlow does it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gdrepl.expression.sums import total

Tensor = Any


@dataclass(frozen=True, slots=True)
class Function:
    """One function: `build(tf, *tensors)` makes its tensor; `least` to `most` arguments."""

    usage: str
    help: str
    build: Callable[..., Tensor]
    least: int = 1
    most: int = 1

    def arity(self) -> str:
        """How many arguments it takes, in words."""
        if self.least == self.most:
            return f"{self.least} argument{'s' if self.least != 1 else ''}"
        return f"{self.least} to {self.most} arguments"


NAMED_CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}

STATIC = frozenset({"size", "arange"})
"""Functions whose argument or result is a whole number known before anything runs; `evaluate` treats them itself."""


_LEAST = {"float32": 2.0**-126, "float64": 2.0**-1022}
"""The least number of each type that is not taken for 0."""


def _dot(tf: Any, a: Tensor, b: Tensor) -> Tensor:
    return total(tf, a * b)


def _norm(tf: Any, x: Tensor) -> Tensor:
    # Numbers whose squares would overflow, or vanish, are scaled by the largest; all others by 1, which changes no bit.
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(x)))
    too_large = (largest > math.sqrt(x.dtype.max / max(1, x.shape.num_elements() or 1))) & tf.math.is_finite(largest)
    too_small = (largest > 0) & (largest < math.sqrt(_LEAST[x.dtype.name]))
    scale = tf.where(too_large | too_small, largest, tf.ones_like(largest))
    # The square root of a sum of squares has no gradient at 0, where the norm has a kink: there the subgradient 0 is used.
    squares = total(tf, tf.square(x / scale))
    positive = squares > 0
    return scale * tf.where(positive, tf.sqrt(tf.where(positive, squares, tf.ones_like(squares))), squares)


def _mean(tf: Any, x: Tensor) -> Tensor:
    return total(tf, x) / x.shape.num_elements()


def _clip(tf: Any, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return tf.minimum(tf.maximum(x, low), high)


def _reduction(name: str) -> Callable[..., Tensor]:
    return lambda tf, x: getattr(tf, f"reduce_{name}")(x)


def _extreme(name: str, pairwise: str) -> Callable[..., Tensor]:
    def build(tf: Any, *values: Tensor) -> Tensor:
        if len(values) == 1:
            return getattr(tf, f"reduce_{name}")(values[0])
        result = values[0]
        for value in values[1:]:
            result = getattr(tf, pairwise)(result, value)
        return result

    return build


def _math(name: str) -> Callable[..., Tensor]:
    return lambda tf, x: getattr(tf.math, name)(x)


def _elementwise(name: str, help: str, tensorflow_name: str = "") -> tuple[str, Function]:
    return name, Function(f"{name}(x)", help, _math(tensorflow_name or name))


FUNCTIONS: Mapping[str, Function] = dict(
    [
        _elementwise("sin", "sine, of radians"),
        _elementwise("cos", "cosine, of radians"),
        _elementwise("tan", "tangent, of radians"),
        _elementwise("asin", "inverse sine"),
        _elementwise("acos", "inverse cosine"),
        _elementwise("atan", "inverse tangent"),
        _elementwise("sinh", "hyperbolic sine"),
        _elementwise("cosh", "hyperbolic cosine"),
        _elementwise("tanh", "hyperbolic tangent"),
        _elementwise("exp", "e to the power x"),
        _elementwise("expm1", "exp(x) - 1, accurate near 0"),
        _elementwise("log", "natural logarithm"),
        _elementwise("log1p", "log(1 + x), accurate near 0"),
        _elementwise("sqrt", "square root"),
        _elementwise("square", "x times x"),
        _elementwise("abs", "absolute value"),
        _elementwise("sign", "-1, 0 or 1"),
        _elementwise("floor", "largest whole number not above x"),
        _elementwise("sigmoid", "1/(1 + exp(-x))"),
        _elementwise("softplus", "log(1 + exp(x))"),
        _elementwise("erf", "error function"),
        ("relu", Function("relu(x)", "max(x, 0)", lambda tf, x: tf.nn.relu(x))),
        ("softmax", Function("softmax(x)", "exp(x)/sum(exp(x)) along the last axis", lambda tf, x: tf.nn.softmax(x))),
        ("logsumexp", Function("logsumexp(x)", "log(sum(exp(x)))", lambda tf, x: tf.reduce_logsumexp(x))),
        ("norm", Function("norm(x)", "square root of the sum of squares", _norm)),
        ("dot", Function("dot(a, b)", "sum of the products", _dot, 2, 2)),
        ("sum", Function("sum(x)", "sum of all numbers", total)),
        ("mean", Function("mean(x)", "mean of all numbers", _mean)),
        ("prod", Function("prod(x)", "product of all numbers", _reduction("prod"))),
        ("max", Function("max(x) or max(a, b)", "largest number, or larger of each pair", _extreme("max", "maximum"), 1, 8)),
        ("min", Function("min(x) or min(a, b)", "smallest number, or smaller of each pair", _extreme("min", "minimum"), 1, 8)),
        ("maximum", Function("maximum(a, b)", "larger of each pair", lambda tf, a, b: tf.maximum(a, b), 2, 2)),
        ("minimum", Function("minimum(a, b)", "smaller of each pair", lambda tf, a, b: tf.minimum(a, b), 2, 2)),
        ("clip", Function("clip(x, low, high)", "x held between low and high", _clip, 3, 3)),
        ("where", Function("where(condition, a, b)", "a where it holds, else b", lambda tf, c, a, b: tf.where(c, a, b), 3, 3)),
        ("all", Function("all(condition)", "true when it holds everywhere", lambda tf, c: tf.reduce_all(c))),
        ("any", Function("any(condition)", "true when it holds somewhere", lambda tf, c: tf.reduce_any(c))),
        ("isfinite", Function("isfinite(x)", "true where x is neither NaN nor infinite", lambda tf, x: tf.math.is_finite(x))),
        ("transpose", Function("transpose(W)", "rows and columns exchanged", lambda tf, x: tf.transpose(x))),
        ("stop_gradient", Function("stop_gradient(x)", "x, taken as a constant", lambda tf, x: tf.stop_gradient(x))),
        ("size", Function("size(x)", "how many numbers x holds", lambda tf, x: tf.size(x))),
        ("arange", Function("arange(n)", "the vector 0, 1, ... n-1", lambda tf, n: tf.range(n))),
    ]
)

TRUTH_ARGUMENTS: Mapping[str, tuple[int, ...]] = {"where": (0,), "all": (0,), "any": (0,)}
"""Which arguments of which function are conditions rather than numbers."""
