"""An expression over many steps of a branch, from the recorded columns where they hold what it reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.rows import Columns
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import Expression, Scope, evaluate

MOST_STEPS_AT_ONCE = 20_000_000
"""Of more, the columns would fill the memory of a small machine: about 150 bytes a step."""

MOST_POINTS = 4_000
MOST_SNAPSHOTS = 400


def check_span(first: int, last: int) -> None:
    """See that the columns of these steps fit into memory.

    Raises:
        CommandError: they are too many.
    """
    if last - first >= MOST_STEPS_AT_ONCE:
        hint = f"take a part of them: plot loss from {last - MOST_STEPS_AT_ONCE + 1} to {last}"
        raise CommandError(f"{last - first + 1} steps are too many at once", hint)


def over_steps(debugger: Debugger, expression: Expression, first: int, last: int, branch: str) -> tuple[Array, Array]:
    """(steps, values) of `expression` on a branch: int64 of shape (n,) and values of shape (n, ...).

    At most 4,000 steps, evenly spread; 400 for what the columns do not hold (slots, and parameters recorded as norms). Where
    it asks for the point before, the first step of the branch is left out.

    Raises:
        CommandError: the branch has no such steps, or is another one than that in force where only that can be asked.
        ExpressionError: it cannot be computed.
    """
    low = max(first, debugger.timeline.branch(branch).start + (1 if expression.history else 0))
    if low > last:
        return np.empty(0, np.int64), np.empty(0)
    check_span(low, last)
    simple = _recorded(debugger, expression, low, last, branch)
    if simple is not None:
        return simple
    columns = debugger.columns(low - (1 if expression.history else 0), last, branch)
    if expression.slots or _reads_norms(expression, columns):
        return _by_snapshots(debugger, expression, low, last, branch)
    return _by_columns(debugger, expression, columns)


def _recorded(debugger: Debugger, expression: Expression, first: int, last: int, branch: str) -> tuple[Array, Array] | None:
    """The column itself, when the expression is its name."""
    if expression.text not in ("loss", "lr", "step") and expression.text not in debugger.problem.parameters:
        return None
    columns = debugger.columns(first, last, branch)
    named = {"loss": columns.loss, "lr": columns.learning_rate, "step": columns.step, **columns.parameters}
    return None if expression.text in columns.norms else (columns.step, named[expression.text])


def _reads_norms(expression: Expression, columns: Columns) -> bool:
    return bool(columns.norms) and bool(expression.names & (columns.norms | {"grad", "update"}))


def _spread(length: int, most: int) -> Array:
    return np.unique(np.linspace(0, length - 1, min(length, most)).astype(np.int64))


def _by_columns(debugger: Debugger, expression: Expression, columns: Columns) -> tuple[Array, Array]:
    import tensorflow as tf

    offset = 1 if expression.history else 0
    chosen = _spread(len(columns) - offset, MOST_POINTS) + offset
    problem = debugger.problem

    def scope(index: Any) -> Scope:
        names = {name: tf.gather(tensors[name], index) for name in tensors if not name.startswith("grad ")}
        gradient = {name: tf.gather(tensors["grad " + name], index) for name in columns.gradient}
        return Scope({**problem.tensors(), **names}, gradient)

    def value(index: Any) -> Any:
        here = scope(index)
        if offset:
            here = Scope(here.names, here.gradient, {}, scope(index - 1))
        return tf.cast(evaluate(expression, here, problem.dtype), problem.dtype)

    tensors = _tensors(tf, columns)
    values = tf.function(lambda indices: tf.map_fn(value, indices, fn_output_signature=problem.dtype), autograph=False)(
        tf.constant(chosen)
    )
    return columns.step[chosen], values.numpy()


def _tensors(tf: Any, columns: Columns) -> dict[str, Any]:
    tensors = {name: tf.constant(value) for name, value in columns.parameters.items()}
    tensors |= {"grad " + name: tf.constant(value) for name, value in columns.gradient.items()}
    steps = tf.constant(columns.step)
    return {**tensors, "loss": tf.constant(columns.loss), "lr": tf.constant(columns.learning_rate), "step": steps}


def _by_snapshots(debugger: Debugger, expression: Expression, first: int, last: int, branch: str) -> tuple[Array, Array]:
    if branch != debugger.position.branch:
        raise CommandError(f"'{expression.text[:40]}' can be asked of the branch in force only", "go to the other branch first")
    steps = _spread(last - first + 1, MOST_SNAPSHOTS) + first
    try:
        return steps, np.stack([debugger.ask(expression, int(step)) for step in steps])
    except ValueError:
        raise ExpressionError("the shape changes from step to step", expression.text) from None
