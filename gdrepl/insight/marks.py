"""What stands out in a stack of frames: where a gradient vanishes, blows up, or stops being finite, and why."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.insight import saying
from gdrepl.insight.born import Birth, slope_birth
from gdrepl.insight.frames import Link

VANISHES, BLOWS_UP, NOT_FINITE = "vanishes", "blows up", "not finite"
FAR = 1e-7
"""A gradient below this share of the loss has vanished; one above the loss divided by it has blown up."""
_HIGHEST = 1e4
"""The loss from which on a gradient is held against this, since a constant may be most of a loss."""
_SMALL = 1e-3
"""A sigmoid whose derivative is below it is saturated; a base below it is near the bottom of its power."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something of a frame that stands out: its kind, and the reason in words."""

    kind: str
    reason: str


def marks(links: Sequence[Link], born: Birth | None) -> Mapping[int, Mark]:
    """The marks by the number of the frame: of each way down from the loss the first frame where it is so.

    Args:
        links: the frames.
        born: the first operation whose value is not finite, if there is one.
    """
    found: dict[int, Mark] = {}
    above: dict[int, frozenset[str]] = {}  # the kinds that were marked on the way to a frame
    birthplace = None if born is None else _holding(links, born.node)
    loss = abs(float(links[0].value))
    for link in links:
        mark = None
        if born is not None and link.index == birthplace:
            mark = Mark(NOT_FINITE, born.told())
        elif link.parent is not None:
            mark = _mark(link, links[link.parent], loss)
        before = above[link.parent] if link.parent is not None else frozenset[str]()
        if mark is not None and mark.kind not in before:
            found[link.index] = mark
        above[link.index] = before | ({mark.kind} if mark is not None else frozenset())
    return found


def _holding(links: Sequence[Link], node: ast.AST) -> int:
    """The innermost frame that an operation is part of: itself, or one with operands that no parameter is in."""
    return max(link.index for link in links if any(child is node for child in ast.walk(link.node)))


def _mark(link: Link, parent: Link, loss: float) -> Mark | None:
    slope = slope_birth(link, parent)
    if slope is not None:
        return Mark(NOT_FINITE, slope.told())
    finite = np.isfinite(loss)
    if finite and _largest(link.gradient) > max(loss, 1.0) / FAR >= _largest(parent.gradient):
        return Mark(BLOWS_UP, _why_large(link))
    least = FAR * (min(loss, _HIGHEST) if finite and loss else 1.0)
    if _together(link.gradient) < least <= _together(parent.gradient):
        return Mark(VANISHES, _why_small(link, parent))
    return None


def _largest(gradient: Array) -> float:
    """The largest size of a number; 0 where one is not finite, which is told otherwise."""
    size = np.abs(gradient.astype(np.float64))
    return float(size.max(initial=0.0)) if np.isfinite(size).all() else 0.0


def _together(gradient: Array) -> float:
    """By how much the loss would change if each number of a value changed by 1, all in the direction that counts most."""
    return float(np.abs(gradient.astype(np.float64)).sum())


# --- large and small ----------------------------------------------------------------------------------------------------


def _why_large(link: Link) -> str:
    assert link.local is not None
    if link.local.value is None:
        return f"the gradient is up to {saying.number(_largest(link.gradient))}"
    sizes = np.abs(link.local.value)
    place = tuple(int(index) for index in np.unravel_index(int(np.argmax(sizes)), sizes.shape))
    told = f"local derivative {saying.number(link.local.value[place])}"
    if not link.local.elementwise:
        return told
    name = saying.element(saying.described(link.expression), saying.own_place(link.value, place), link.node)
    return f"{told} where {name} = {saying.number(saying.at(link.value, place))}"


_SATURATED = frozenset({"sigmoid", "tanh", "softmax", "erf"})
_FLAT = frozenset({"floor", "sign", "//"})
_CHOOSES = {
    "relu": "relu off",
    "where": "where takes the other branch",
    "clip": "clip holds it at a bound",
    "max": "max takes another",
    "min": "min takes another",
    "maximum": "maximum takes the other",
    "minimum": "minimum takes the other",
}


def _why_small(link: Link, parent: Link) -> str:
    name, local = saying.operation(parent.node), link.local
    if local is None or local.value is None:
        if local is not None and local.norm == 0:
            return f"the other factor of {name} is 0"
        return f"the gradient that comes out of {name} is {saying.number(_largest(link.gradient))}"
    largest = _largest(local.value)
    zeros, told = int((local.value == 0).sum()), f"local derivative {saying.number(largest)}"
    if name in _CHOOSES and zeros:
        return f"{_CHOOSES[name]}: derivative 0{f' in {zeros} of {local.value.size}' if local.value.ndim else ''}"
    if name == "stop_gradient":
        return "stop_gradient: it is taken as a constant"
    if name in _FLAT:
        return f"{name} is flat: derivative 0 wherever it has one"
    if name in _SATURATED and largest < _SMALL:
        return f"{name} saturated: {told}"
    if name in ("**", "square") and _is_base(link, parent) and _largest(link.value) < _SMALL:
        there = f"{saying.described(link.expression)} is {saying.array(link.value)}"
        return f"{there}, where its power has the derivative {saying.number(largest)}"
    if largest > FAR:
        return f"the local derivatives on the way multiply to {saying.number(_largest(link.gradient))}"
    return f"the other factor is {saying.number(largest)}" if name in ("*", "@") else f"{told} of {name}"


def _is_base(link: Link, parent: Link) -> bool:
    return not isinstance(parent.node, ast.BinOp) or link.node is parent.node.left
