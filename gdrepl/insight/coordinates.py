"""Which numbers of the parameters are shown: all of a few, the ones that moved most of many, or those that were asked for."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.errors import CommandError, did_you_mean

FEW = 6
"""Numbers of a parameter up to which all of them are shown."""
LARGEST = 4
"""Of a parameter that has more: those that moved most."""
MOST = 24
"""Of all parameters together."""
MOST_NAMED, MOST_ASKED = 12, 64
"""Of a parameter that was asked for, and of a slice of one."""
_LONGEST = 200


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Numbers of one parameter: their places in it as a flat array; `whole` where it was named without an index."""

    parameter: str
    places: Array
    whole: bool = False


def parse_selection(text: str, parameters: Mapping[str, Array]) -> Selection:
    """`W`, `W[3]`, `W[0:3, :]`, `W[-1][2]`: a parameter, or a part of one.

    Raises:
        CommandError: it is none, or no number lies there.
    """
    example = f"for example {_example(parameters)}"
    try:
        tree = ast.parse(text[:_LONGEST].strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise CommandError(f"'{text[:40]}' is not a parameter or a part of one", example) from None
    indices = []
    while isinstance(tree, ast.Subscript):
        indices.append(tree.slice)
        tree = tree.value
    if not isinstance(tree, ast.Name):
        raise CommandError(f"'{text[:40]}' is not a parameter or a part of one", example)
    if tree.id not in parameters:
        hint = did_you_mean(tree.id, parameters) or f"parameters: {', '.join(parameters)[:60]}"
        raise CommandError(f"there is no parameter '{tree.id[:40]}'", hint)
    value = parameters[tree.id]
    places = np.arange(value.size).reshape(value.shape)
    try:
        for index in reversed(indices):
            places = np.asarray(places[_index(index)])
    except (IndexError, ValueError, TypeError):
        shape = f"has shape {value.shape}" if value.shape else "is one number"
        raise CommandError(f"'{text[:40]}' is no part of {tree.id}, which {shape}", example) from None
    if not places.size:
        raise CommandError(f"'{text[:40]}' has no number", example)
    return Selection(tree.id, places.reshape(-1), whole=not indices)


def _example(parameters: Mapping[str, Array]) -> str:
    name, value = max(parameters.items(), key=lambda pair: pair[1].ndim)
    return f"{name}[{', '.join(['0:2', *[':'] * (value.ndim - 1)])}]" if value.ndim else name


def _index(node: ast.expr) -> Any:
    if isinstance(node, ast.Tuple):
        return tuple(_index(each) for each in node.elts)
    if isinstance(node, ast.Slice):
        return slice(*(None if each is None else _whole(each) for each in (node.lower, node.upper, node.step)))
    return _whole(node)


def _whole(node: ast.expr) -> int:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_whole(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    raise TypeError("an index is a whole number")


def chosen_places(before: Snapshot, after: Snapshot, wanted: Selection | None) -> Mapping[str, Array]:
    """parameter -> the places of its numbers that are shown, at most 24 together; those that are wanted up to 64."""
    if wanted is not None:
        name = wanted.parameter
        moved = _moved(before.parameters[name], after.parameters[name])[wanted.places]
        kept = np.argsort(-moved, kind="stable")[: MOST_NAMED if wanted.whole else MOST_ASKED]
        kept = kept if wanted.whole and len(kept) < len(moved) else np.sort(kept)
        return {name: wanted.places[kept]}
    chosen: dict[str, Array] = {}
    room = MOST
    for name, value in before.parameters.items():
        if value.size <= FEW:
            places = np.arange(value.size)
        else:
            places = np.argsort(-_moved(value, after.parameters[name]), kind="stable")[:LARGEST]
        if room:
            chosen[name] = places[:room]
            room -= len(chosen[name])
    return chosen


def _moved(before: Array, after: Array) -> Array:
    """How far each number moved; one that is not finite any more moved farthest."""
    with np.errstate(all="ignore"):
        moved = np.abs(after.astype(np.float64) - before.astype(np.float64)).reshape(-1)
    return np.where(np.isnan(moved), np.inf, moved)


def labels(name: str, shape: tuple[int, ...], places: Array) -> tuple[str, ...]:
    """What the numbers at `places` are called: `x`, `W[0, 3]`."""
    if not shape:
        return (name,) * len(places)
    return tuple(f"{name}[{', '.join(str(int(each)) for each in np.unravel_index(place, shape))}]" for place in places)
