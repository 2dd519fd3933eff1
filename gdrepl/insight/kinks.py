"""Operations of a loss that stand at a kink or a jump of theirs: abs at 0, a tie of max, clip at its limit."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.insight.gradient import values_of
from gdrepl.insight.wide import WIDE, cast_to, is_expression, widened

_NEAR = 1e-7
"""The part of the numbers at hand below which a difference is taken for none: float32 values are seldom closer."""
_MOST = 3


def kinks_at(problem: Problem, parameters: Mapping[str, Array]) -> Iterator[str]:
    """A line for each operation of an expression that stands at a kink, at most a few; none for a loss of another kind."""
    if not is_expression(problem):
        return
    values = values_of(widened(problem), cast_to(WIDE, parameters))
    told = 0
    for node in ast.walk(problem.loss.tree):
        says = _of(node, values)
        if says and told < _MOST:
            told += 1
            yield f"{ast.unparse(node)[:60]} {says}"


def _of(node: ast.AST, values: Mapping[int, Array]) -> str:
    """How a node stands at a kink; empty where it does not."""
    if isinstance(node, ast.Compare):
        sides = [values[id(side)] for side in (node.left, *node.comparators) if id(side) in values]
        return f"stands at its border{_times(_equal(*sides[:2]))}" if len(sides) > 1 and _equal(*sides[:2]).any() else ""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return ""
    arguments = [values[id(argument)] for argument in node.args if id(argument) in values]
    kind = _KINDS.get(node.func.id)
    return kind(arguments) if kind is not None and len(arguments) == len(node.args) else ""


def _at_zero(arguments: Sequence[Array]) -> str:
    hits = _equal(arguments[0], np.zeros(()))
    return f"turns at 0{_times(hits)}" if hits.any() else ""


def _norm(arguments: Sequence[Array]) -> str:
    return "turns at 0" if not arguments[0].any() else ""


def _tie(extreme: Callable[[Array], Any]) -> Callable[[Sequence[Array]], str]:
    def kind(arguments: Sequence[Array]) -> str:
        if len(arguments) == 1:
            hits = _equal(arguments[0], np.asarray(extreme(arguments[0])))
            return f"is a tie of {int(hits.sum())}" if hits.sum() > 1 else ""
        hits = _equal(arguments[0], arguments[1])
        return f"is a tie{_times(hits)}" if hits.any() else ""

    return kind


def _clip(arguments: Sequence[Array]) -> str:
    hits = _equal(arguments[0], arguments[1]) | _equal(arguments[0], arguments[2])
    return f"stands at its limit{_times(hits)}" if hits.any() else ""


def _jump(arguments: Sequence[Array]) -> str:
    hits = _equal(arguments[0], np.round(arguments[0]))
    return f"jumps here{_times(hits)}" if hits.any() else ""


_KINDS: Mapping[str, Callable[[Sequence[Array]], str]] = {
    "abs": _at_zero,
    "relu": _at_zero,
    "sqrt": _at_zero,
    "sign": lambda arguments: _at_zero(arguments).replace("turns", "jumps"),
    "floor": _jump,
    "norm": _norm,
    "max": _tie(np.max),
    "maximum": _tie(np.max),
    "min": _tie(np.min),
    "minimum": _tie(np.min),
    "clip": _clip,
}


def _equal(one: Array, other: Array) -> Array:
    """Where two arrays hold the same number, but for a rounding; 0 has the numbers around it for a measure."""
    largest = max(float(np.max(np.abs(one), initial=0.0)), float(np.max(np.abs(other), initial=0.0)))
    near = np.maximum(np.abs(one), np.abs(other)) if np.any(other) else np.asarray(largest)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(one - other) <= _NEAR * near)


def _times(hits: Array) -> str:
    return f" in {int(hits.sum())} of {hits.size}" if hits.size > 1 else ""
