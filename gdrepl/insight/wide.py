"""A loss in float64, whatever the problem's own dtype; and the numbers of all parameters laid end to end.

A derivative in float32 is no better than its seventh digit, of which an ill-conditioned problem keeps none for its small
eigenvalues, and a difference of losses nothing. A number of float32 is one of float64, too: so the loss is looked at exactly
where the descent stands, by finer arithmetic.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array, frozen

WIDE = "float64"


def is_expression(problem: Problem) -> bool:
    """Whether the loss is its expression, and not computed by a class of its own."""
    return type(problem).loss_of is Problem.loss_of


def widened(problem: Problem) -> Problem:
    """The same loss in float64, of the same constants; the problem itself where its loss takes no other dtype than its own."""
    if problem.dtype == WIDE:
        return problem
    wide = copy.copy(problem)  # a loss of Python's own may hold more than a problem's fields
    for made in ("_tensors", "_constants_digest", "_points"):
        wide.__dict__.pop(made, None)
    for table in ("parameters", "constants"):
        wide.__dict__[table] = {name: frozen(value.astype(WIDE)) for name, value in getattr(problem, table).items()}
    wide.__dict__["dtype"] = WIDE
    return wide if is_expression(problem) or _is_wide(wide) else problem


def _is_wide(problem: Problem) -> bool:
    try:
        loss, gradient = problem.loss_and_gradient(as_tensors(problem.parameters))
    except Exception:  # it is made for one dtype, and may say so in any way
        return False
    return loss.dtype == WIDE and all(each.dtype == WIDE for each in gradient.values())


def as_tensors(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Arrays as constants of TensorFlow."""
    import tensorflow as tf

    return {name: tf.constant(value) for name, value in arrays.items()}


def cast_to(dtype: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays in another dtype."""
    return {name: np.asarray(value, dtype) for name, value in arrays.items()}


def flat(arrays: Mapping[str, Array], dtype: str = WIDE) -> Array:
    """Named arrays end to end, in their order, as one vector."""
    return np.concatenate([np.asarray(array, dtype).reshape(-1) for array in arrays.values()])


def parted(vector: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """A tensor of all numbers end to end, as name -> tensor; works inside a tf.function."""
    import tensorflow as tf

    parts = tf.split(vector, [math.prod(shape) for shape in shapes.values()])
    return {name: tf.reshape(part, shape) for (name, shape), part in zip(shapes.items(), parts)}


def unflattened(vector: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """A vector of all numbers as name -> array."""
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), np.split(vector, ends[:-1]))}
