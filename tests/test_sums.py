"""Long sums: as exact as the type allows, with the gradient of a sum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gdrepl.engine import backend
from gdrepl.expression import evaluate, folded, parse
from gdrepl.expression.sums import LONG

backend.load()
import tensorflow as tf  # noqa: E402  (after backend.load, which sets its environment)

SIZES = (1, 63, 64, 65, 100, 511, LONG - 1, LONG, LONG + 1, 9_973, 10_240, 100_003)


def compiled(function: Any) -> Any:
    return tf.function(function, jit_compile=True, autograph=False)


@pytest.mark.parametrize("engine", [compiled, lambda function: function], ids=["xla", "eager"])
@pytest.mark.parametrize("size", SIZES)
def test_every_number_counts_exactly_once(size: int, engine: Any) -> None:
    numbers = np.random.default_rng(size).integers(-8, 9, size)  # whole numbers: every order of adding gives the same
    assert engine(lambda x: folded(tf, x))(tf.constant(numbers, tf.float32)).numpy() == numbers.sum()


@pytest.mark.parametrize("size", SIZES)
def test_a_sum_of_squares_is_off_by_a_few_roundings(size: int) -> None:
    numbers = np.random.default_rng(size).normal(size=size).astype(np.float32)
    exact = math.fsum(float(number) ** 2 for number in numbers)
    for dtype, few in (("float32", 1e-5), ("float64", 1e-14)):
        got = float(compiled(lambda x, dtype=dtype: folded(tf, tf.square(tf.cast(x, dtype))))(tf.constant(numbers)))
        assert abs(got - exact) <= few * exact


def test_a_long_sum_of_equal_numbers_does_not_drift() -> None:
    # Added one after the other in float32, ten million times 0.1 come to 1087937.
    assert float(folded(tf, tf.fill([10_000_000], np.float32(0.1)))) == pytest.approx(1e6, rel=1e-5)


@pytest.mark.parametrize("shape", [(4,), (LONG,), (50, 60), (3_001,)], ids=str)
def test_values_and_gradients_are_those_of_the_formulas(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(5)
    x, y = generator.normal(size=shape), generator.normal(size=shape)
    formulas = {
        "sum(x*y)": (np.sum(x * y), y),
        "mean(x**2)": (np.mean(x**2), 2 * x / x.size),
        "norm(x)": (np.linalg.norm(x), x / np.linalg.norm(x)),
        "dot(x, y)": (np.sum(x * y), y),
        "sum(x)**2": (np.sum(x) ** 2, np.full(shape, 2 * np.sum(x))),
    }
    if len(shape) == 1:
        formulas["x @ y"] = (x @ y, y)
    for text, (value, gradient) in formulas.items():
        at = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(at)
            got = evaluate(parse(text, ["x", "y"]), {"x": at, "y": tf.constant(y)}, "float64")
        np.testing.assert_allclose(got.numpy(), value, rtol=1e-12)
        np.testing.assert_allclose(tape.gradient(got, at).numpy(), gradient, rtol=1e-10, atol=1e-12)


def test_a_long_sum_has_second_derivatives() -> None:
    x = tf.constant(np.linspace(-1, 1, 2 * LONG))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = evaluate(parse("sum(x**3)", ["x"]), {"x": x}, "float64")
        first = inner.gradient(loss, x)
    np.testing.assert_allclose(outer.gradient(first, x).numpy(), 6 * x.numpy(), rtol=1e-12)


def test_shapes_that_do_not_fit_are_still_refused() -> None:
    from gdrepl.errors import ExpressionError

    with pytest.raises(ExpressionError, match=r"shapes \(3,\) and \(4,\) do not fit"):
        evaluate(parse("x @ y", ["x", "y"]), {"x": tf.zeros([3]), "y": tf.zeros([4])})
