"""An expression over many steps of a branch, from the recorded columns where they hold what it reads.

A long span is read in pieces, and of each piece only what a chart can show is kept: hundreds of millions of steps would not
fit into memory as columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.rows import Columns
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import Expression, Scope, evaluate

MOST_POINTS = 4_000
MOST_SNAPSHOTS = 400
PIECE = 1_000_000
"""How many steps are read at once, and how many are kept whole."""


def over_steps(
    debugger: Debugger, expression: Expression, first: int, last: int, branch: str, spread: bool = False
) -> tuple[Array, Array]:
    """(steps, values) of `expression` on a branch: int64 of shape (n,) and values of shape (n, ...).

    What was recorded comes whole up to a million steps; of those beyond, the first and last, the lowest and the highest of
    some 4,000 stretches, and whatever is not finite. Of anything else 4,000 steps evenly spread; 400 for what the columns do
    not hold (slots, and parameters recorded as norms). Where it asks for the point before, the first step of the branch is
    left out.

    Args:
        spread: of what was recorded, too, take the steps that any other expression would have.

    Raises:
        CommandError: the branch has no such steps, or is another one than that in force where only that can be asked.
        ExpressionError: it cannot be computed.
    """
    low = max(first, debugger.timeline.branch(branch).start + (1 if expression.history else 0))
    if low > last:
        return np.empty(0, np.int64), np.empty(0)
    if needs_snapshots(debugger, expression):
        return _by_snapshots(debugger, expression, low, last, branch)
    if _is_recorded(debugger, expression) and not spread:
        steps, values = recorded(debugger, [expression.text], low, last, branch)
        return steps, values
    chosen = _spread(last - low + 1, MOST_POINTS) + low
    found = [
        _by_columns(debugger, expression, columns, chosen[(chosen >= start) & (chosen <= columns.step[-1])] - columns.step[0])
        for start, columns in _pieces(debugger, low, last, branch, before=1 if expression.history else 0)
    ]
    return chosen, np.concatenate(found)


def needs_snapshots(debugger: Debugger, expression: Expression) -> bool:
    """Whether an expression reads what the columns do not hold, so that it can be asked of the branch in force only."""
    layout = debugger.segment.layout
    norms = {name for name in layout.shapes if not layout.whole(name)}
    return expression.slots or (bool(norms) and bool(expression.names & {*norms, "grad", "update"}))


def recorded(debugger: Debugger, names: Sequence[str], first: int, last: int, branch: str) -> tuple[Array, ...]:
    """The steps, and the values of each name (loss, lr, step or a parameter) at them.

    Of more than a million steps the first million, and of the rest what a line of the first name needs.
    """
    steps, found = [], []
    size = -(-(last - first + 1) // MOST_POINTS)
    for start, columns in _pieces(debugger, first, last, branch):
        values = [_column(columns, name) for name in names]
        kept = slice(None) if start == first else corners(values[0], size)
        steps.append(columns.step[kept])
        found.append([value[kept] for value in values])
    return np.concatenate(steps), *(np.concatenate(parts) for parts in zip(*found))


def every(debugger: Debugger, first: int, last: int, stride: int) -> Columns:
    """Each `stride`-th point of `first` to `last` of the branch in force, from the first on."""
    size = max(1, PIECE // stride) * stride
    starts = range(first, last + 1, size)
    return Columns.joined([debugger.columns(start, min(start + size - 1, last)).every(stride) for start in starts])


def corners(values: Array, size: int) -> Array:
    """Indices, rising: of each stretch of `size` values the first, last, lowest and highest, and all that are not finite.

    For values of shape (n, ...) the lowest and highest of each component.
    """
    flat = values.reshape(len(values), -1)
    whole = len(flat) // size * size
    starts = np.arange(0, whole, size)
    found = [starts, starts + size - 1, np.arange(whole, len(flat)), np.flatnonzero(~np.isfinite(flat).all(axis=1))]
    for component in flat.T if whole else ():
        stretches = component[:whole].reshape(-1, size)
        finite = np.isfinite(stretches)
        found.append(starts + np.where(finite, stretches, np.inf).argmin(axis=1))
        found.append(starts + np.where(finite, stretches, -np.inf).argmax(axis=1))
    return np.unique(np.concatenate(found)).astype(np.int64)


def _pieces(debugger: Debugger, first: int, last: int, branch: str, before: int = 0) -> Iterator[tuple[int, Columns]]:
    """The columns of `first` to `last`, PIECE steps at a time, with the first step of each; `before` steps more ahead of it."""
    for start in range(first, last + 1, PIECE):
        yield start, debugger.columns(start - before, min(start + PIECE - 1, last), branch)


def _is_recorded(debugger: Debugger, expression: Expression) -> bool:
    return expression.text in ("loss", "lr", "step") or expression.text in debugger.problem.parameters


def _column(columns: Columns, name: str) -> Array:
    return {"loss": columns.loss, "lr": columns.learning_rate, "step": columns.step, **columns.parameters}[name]


def _spread(length: int, most: int) -> Array:
    return np.unique(np.linspace(0, length - 1, min(length, most)).astype(np.int64))


def _by_columns(debugger: Debugger, expression: Expression, columns: Columns, chosen: Array) -> Array:
    """The values at the places `chosen` of `columns`, which hold the point before each where the expression asks for it."""
    import tensorflow as tf

    problem = debugger.problem

    def scope(index: Any) -> Scope:
        names = {name: tf.gather(tensors[name], index) for name in tensors if not name.startswith("grad ")}
        gradient = {name: tf.gather(tensors["grad " + name], index) for name in columns.gradient}
        return Scope({**problem.tensors(), **names}, gradient)

    def value(index: Any) -> Any:
        here = scope(index)
        if expression.history:
            here = Scope(here.names, here.gradient, {}, scope(index - 1))
        return tf.cast(evaluate(expression, here, problem.dtype), problem.dtype)

    tensors = _tensors(tf, columns)
    values = tf.function(lambda indices: tf.map_fn(value, indices, fn_output_signature=problem.dtype), autograph=False)(
        tf.constant(chosen)
    )
    return np.asarray(values.numpy())


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
