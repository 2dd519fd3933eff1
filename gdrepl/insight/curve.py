"""The loss as a curve over a problem's only number, with the points visited on it."""

from __future__ import annotations

import numpy as np

from gdrepl.engine import backend
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.insight.chart import Chart, Series

SAMPLES = 400


def interval(visited: Array, landmarks: tuple[float, ...] = ()) -> tuple[float, float]:
    """An interval that holds the points visited and the landmarks, with a margin of a fifth on each side."""
    finite = visited[np.isfinite(visited)].astype(np.float64)
    points = np.concatenate([finite, np.asarray(landmarks, np.float64)])
    if not len(points):
        return -1.0, 1.0
    low, high = float(points.min()), float(points.max())
    span = min(high - low, 1e300) or 2 * max(1.0, abs(low))
    return low - 0.2 * span, high + 0.2 * span


def sample(problem: Problem, low: float, high: float, count: int = SAMPLES) -> tuple[Array, Array]:
    """The loss at `count` evenly spaced values of the problem's only number: (values, losses), each of shape (count,)."""
    import tensorflow as tf

    (name, start), *_ = problem.parameters.items()
    values = np.linspace(low, high, count).astype(problem.dtype)
    one = tf.function(lambda x: problem.loss_of({name: tf.reshape(x, start.shape)}), autograph=False)
    with backend.traced_for_good():
        return values, tf.map_fn(one, tf.constant(values)).numpy()


def curve_chart(problem: Problem, low: float, high: float) -> Chart:
    """The curve alone."""
    (name, _), *_ = problem.parameters.items()
    curve = Series("loss", *sample(problem, low, high), "line", "green", sampled=True)
    return Chart(f"loss = {problem.loss.text[:50]}", name, "loss", (curve,))


def visited(values: Array, losses: Array, first: str, last: str) -> tuple[Series, ...]:
    """Points on the curve, in the order visited: in blue, the first and the last in red and with labels of their own."""
    series = [Series("visited", values[1:-1], losses[1:-1], "points", "blue", 0)] if len(values) > 2 else []
    series.append(Series(first, values[:1], losses[:1], "points", "red", 1))
    if len(values) > 1:
        series.append(Series(last, values[-1:], losses[-1:], "points", "red", 2))
    return tuple(series)
