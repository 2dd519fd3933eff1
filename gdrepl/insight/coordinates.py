"""Numbers of the parameters: what each is called, which of them a text such as `W[0:3, :]` means, and which are shown."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsInt

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


# --- names --------------------------------------------------------------------------------------------------------------


def index_text(index: Iterable[SupportsInt]) -> str:
    """An index as Python writes it: `[3]`, `[0, 3]`; empty for a number that has none."""
    text = ", ".join(str(int(each)) for each in index)
    return f"[{text}]" if text else ""


def labels(name: str, shape: tuple[int, ...], places: Iterable[int] | Array) -> tuple[str, ...]:
    """What the numbers at `places` of a parameter are called: `x`, `W[0, 3]`."""
    return tuple(name + index_text(np.unravel_index(int(place), shape) if shape else ()) for place in places)


class Names:
    """What the numbers of all parameters are called that are laid end to end.

    Args:
        shapes: name -> shape, in the order in which they are laid.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shapes = list(shapes.items())
        self._ends = np.cumsum([math.prod(shape) for shape in shapes.values()])

    def owners(self, places: Array | Sequence[int]) -> Array:
        """The number of the parameter that each place belongs to."""
        return np.searchsorted(self._ends, places, side="right")

    def start(self, parameter: str) -> int:
        """The place of the first number of a parameter."""
        number = [name for name, _ in self._shapes].index(parameter)
        return int(self._ends[number - 1]) if number else 0

    def of(self, place: int) -> str:
        """`x`, `w[3]` or `W[3, 1]`."""
        name, shape = self._shapes[int(self.owners([place])[0])]
        return labels(name, shape, [place - self.start(name)])[0]


# --- what was asked for -------------------------------------------------------------------------------------------------


def parse_selection(text: str, parameters: Mapping[str, Array], hint: str) -> Selection:
    """`W`, `W[3]`, `W[0:3, :]`, `W[-1][2]`: a parameter, or a part of one.

    Raises:
        CommandError: it is none, or no number lies there; `hint` tells what to type instead.
    """
    try:
        tree = ast.parse(text[:_LONGEST].strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise CommandError(f"'{text[:40]}' is not a parameter or a part of one", hint) from None
    indices = []
    while isinstance(tree, ast.Subscript):
        indices.append(tree.slice)
        tree = tree.value
    if not isinstance(tree, ast.Name):
        raise CommandError(f"'{text[:40]}' is not a parameter or a part of one", hint)
    if tree.id not in parameters:
        near = did_you_mean(tree.id, parameters) or f"parameters: {', '.join(parameters)[:60]}"
        raise CommandError(f"there is no parameter '{tree.id[:40]}'", near)
    value = parameters[tree.id]
    places = np.arange(value.size).reshape(value.shape)
    try:
        for index in reversed(indices):
            places = np.asarray(places[_index(index)])
    except (IndexError, ValueError, TypeError):
        shape = f"has shape {value.shape}" if value.shape else "is one number"
        raise CommandError(f"'{text[:40]}' is no part of {tree.id}, which {shape}", hint) from None
    if not places.size:
        raise CommandError(f"'{text[:40]}' has no number", hint)
    return Selection(tree.id, places.reshape(-1), whole=not indices)


def example_of(parameters: Mapping[str, Array]) -> str:
    """A part of one of them, such as `W[0:2, :]`."""
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


# --- what is shown ------------------------------------------------------------------------------------------------------


def chosen_places(before: Snapshot, after: Snapshot, wanted: Selection | None) -> Mapping[str, Array]:
    """parameter -> the places of its numbers that are shown, at most 24 together; those that are wanted up to 64."""
    if wanted is not None:
        name = wanted.parameter
        moved = _moved(before.parameters[name], after.parameters[name])[wanted.places]
        kept = _largest(moved, MOST_NAMED if wanted.whole else MOST_ASKED)
        kept = kept if wanted.whole and len(kept) < len(moved) else np.sort(kept)
        return {name: wanted.places[kept]}
    chosen: dict[str, Array] = {}
    room = MOST
    for name, value in before.parameters.items():
        places = np.arange(value.size) if value.size <= FEW else _largest(_moved(value, after.parameters[name]), LARGEST)
        if room:
            chosen[name] = places[:room]
            room -= len(chosen[name])
    return chosen


def _moved(before: Array, after: Array) -> Array:
    """How far each number moved; one that is not finite any more moved farthest."""
    with np.errstate(all="ignore"):
        moved = np.abs(after.astype(np.float64) - before.astype(np.float64)).reshape(-1)
    return np.where(np.isnan(moved), np.inf, moved)


def _largest(values: Array, count: int) -> Array:
    """The places of the largest numbers, the largest first, and of equals the first: a whole sort of a million is slow."""
    candidates = np.arange(values.size)
    if values.size > count:
        candidates = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]
