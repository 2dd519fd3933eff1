"""An expression over many steps of a branch, from the recorded columns where they hold what it reads.

A long span is read in pieces, and of each piece only what a chart can show is kept: hundreds of millions of steps would not
fit into memory as columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gdrepl.engine import backend
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
    debugger: Debugger, expression: Expression, first: int, last: int, branch: str, steps: Array | None = None
) -> tuple[Array, Array]:
    """(steps, values) of `expression` on a branch: int64 of shape (n,) and values of shape (n, ...).

    What was recorded comes whole up to a million steps; of those beyond, the first and last, the lowest and the highest of
    some 4,000 stretches, and whatever is not finite. Of anything else the steps of `spread_steps`.

    Args:
        steps: those to take, rising, in place of all that.

    Raises:
        CommandError: the branch has no such steps, or is another one than that in force where only that can be asked.
        ExpressionError: it cannot be computed.
    """
    plain = _is_recorded(debugger, expression)
    if plain and steps is None and first <= last:
        all_steps, values = recorded(debugger, [expression.text], first, last, branch)
        return all_steps, values
    if steps is None:
        steps = spread_steps(debugger, [expression], first, last, branch)
    if not len(steps):
        return steps, np.empty(0)
    if needs_snapshots(debugger, expression):
        return steps, _by_snapshots(debugger, expression, steps, branch)
    found = []
    for start, columns in _pieces(debugger, int(steps[0]), int(steps[-1]), branch, before=1 if expression.history else 0):
        chosen = steps[(steps >= start) & (steps <= columns.step[-1])] - columns.step[0]
        found.append(_column(columns, expression.text)[chosen] if plain else _by_columns(debugger, expression, columns, chosen))
    return steps, np.concatenate(found)


def spread_steps(debugger: Debugger, expressions: Sequence[Expression], first: int, last: int, branch: str) -> Array:
    """The steps at which all the expressions are taken, int64 of shape (n,).

    At most 4,000, or 400 where one reads what the columns do not hold (slots, and parameters recorded as norms): the first
    half as they come, since a descent is fastest there, the rest evenly. Up to a million where all were recorded themselves.
    Where one asks for the point before, the first step of the branch is left out.
    """
    history = any(expression.history for expression in expressions)
    low = max(first, debugger.timeline.branch(branch).start + (1 if history else 0))
    if any(needs_snapshots(debugger, expression) for expression in expressions):
        most = MOST_SNAPSHOTS
    else:
        most = PIECE if all(_is_recorded(debugger, expression) for expression in expressions) else MOST_POINTS
    return _spread(max(0, last - low + 1), most) + low


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
    if stride >= PIECE:
        return Columns.joined([debugger.columns(step, step) for step in range(first, last + 1, stride)])
    size = PIECE // stride * stride
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
    return not needs_snapshots(debugger, expression) and _names_column(debugger, expression)


def _names_column(debugger: Debugger, expression: Expression) -> bool:
    return expression.text in ("loss", "lr", "step") or expression.text in debugger.problem.parameters


def _column(columns: Columns, name: str) -> Array:
    return {"loss": columns.loss, "lr": columns.learning_rate, "step": columns.step, **columns.parameters}[name]


def _spread(length: int, most: int) -> Array:
    if length <= most:
        return np.arange(length, dtype=np.int64)
    half = most // 2
    return np.unique(np.concatenate([np.arange(half), np.linspace(half, length - 1, most - half).astype(np.int64)]))


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
    mapped = tf.function(lambda indices: tf.map_fn(value, indices, fn_output_signature=problem.dtype), autograph=False)
    with backend.traced_for_good():
        return np.asarray(mapped(tf.constant(chosen)).numpy())


def _tensors(tf: Any, columns: Columns) -> dict[str, Any]:
    tensors = {name: tf.constant(value) for name, value in columns.parameters.items()}
    tensors |= {"grad " + name: tf.constant(value) for name, value in columns.gradient.items()}
    steps = tf.constant(columns.step)
    return {**tensors, "loss": tf.constant(columns.loss), "lr": tf.constant(columns.learning_rate), "step": steps}


def _by_snapshots(debugger: Debugger, expression: Expression, steps: Array, branch: str) -> Array:
    if branch != debugger.position.branch:
        raise CommandError(f"'{expression.text[:40]}' can be asked of the branch in force only", "go to the other branch first")
    try:
        return np.stack([debugger.ask(expression, int(step)) for step in steps])
    except ValueError:
        raise ExpressionError("the shape changes from step to step", expression.text) from None
