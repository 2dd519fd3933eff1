"""The values that an expression may read at a point, and its value there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.program import Program
from gdrepl.engine.snapshot import Array, Snapshot, frozen
from gdrepl.expression import Expression, Scope, evaluate, is_count


def scope_of(snapshot: Snapshot, program: Program, problem: Problem) -> Scope:
    """What is true at a snapshot that `program` made, for expressions of `problem`; without the point before it."""
    names = {
        **problem.constants,
        **snapshot.parameters,
        "loss": snapshot.loss,
        "lr": snapshot.learning_rate,
        "step": np.asarray(snapshot.step, np.int64),
    }
    return Scope(names, snapshot.gradient, _slots(program, snapshot.slots))


def any_scope(program: Program) -> Scope:
    """Values of the shapes that a program has, with a point before: to see whether something can be computed."""
    problem = program.problem
    names = {**problem.constants, **problem.parameters, "step": np.asarray(1, np.int64)}
    names |= {name: np.ones((), problem.dtype) for name in ("loss", "lr")}
    slots = _slots(program, tuple(each.value for each in program.optimizer.variables))
    here = Scope(names, dict(problem.parameters), slots)
    return replace(here, previous=here)


def _slots(program: Program, values: tuple[Array, ...]) -> dict[tuple[str, str | None], Array]:
    return {(name.slot, name.parameter): value for name, value in zip(program.slot_names, values)}


def value_in(expression: Expression, scope: Scope, dtype: str, others: Mapping[str, object] | None = None) -> Array:
    """The value of an expression in a scope; `others` are the values of further names, here and at the point before."""
    if others:
        before = scope.previous
        if before is not None:
            before = replace(before, names={**others, **before.names})
        scope = replace(scope, names={**others, **scope.names}, previous=before)
    value = evaluate(expression, scope, number_type(expression, dtype)).numpy()
    return frozen(value.astype(np.int64) if is_count(expression.tree) else value)


def number_type(expression: Expression, dtype: str) -> str:
    """The type in which an expression of a problem of `dtype` is computed.

    A count of steps is exact up to 2**53 as float64; as float32 up to 2**24, which a second of running passes.
    """
    return "float64" if is_count(expression.tree) or expression.names == {"step"} else dtype
