"""The stack of frames as a result: what each frame is, what stands out, and whether it accounts for the gradient in use."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, norm
from gdrepl.insight import saying
from gdrepl.insight.born import birth
from gdrepl.insight.frames import Link, links_at
from gdrepl.insight.marks import NOT_FINITE, Mark, marks
from gdrepl.insight.summary import Summary, Value, brief

_ROUNDING = {"float32": 1e-3, "float64": 1e-9}
"""How far, as a share of the largest path, engines may be apart by the order in which they round."""
_MOST_PATHS = 6


@dataclass(frozen=True, slots=True, eq=False)
class StackFrame:
    """One frame.

    Attributes:
        index: its number; 0 is the loss, and each operation stands before its operands.
        expression: the sub-expression, as it stands in the loss.
        value: what it comes to at the point.
        local: d parent / d it: by elements where the operation works element by element, else a gradient or a Jacobian. None
            for the loss.
        gradient: d loss / d it by the path through this frame: the gradient of the parent times `local`.
        parent: the number of the operation that it is an operand of; None for the loss.
        depth: how many operations there are from the loss to it.
        uses: at how many places of the loss the same sub-expression stands.
        total: d loss / d it by all of these, where there are several.
        start, end: the columns of the loss that it stands at, from 0, the end not included.
        mark: "vanishes", "blows up" or "not finite", in the first frame of a way down where it is so.
        reason: why.
    """

    index: int
    expression: str
    value: Value
    local: Value | None
    gradient: Value
    parent: int | None
    depth: int
    uses: int
    total: Value | None = field(metadata=OPTIONAL)
    start: int
    end: int
    mark: str = field(default="", metadata=OPTIONAL)
    reason: str = field(default="", metadata={**OPTIONAL, **SAID})


@dataclass(frozen=True, slots=True, eq=False)
class Frame(StackFrame):
    """The frame in force.

    Attributes:
        step: the step whose point it is.
        loss: the text of the loss.
        count: how many frames there are.
        parent_expression, parent_gradient: of the operation that it is an operand of; empty and None for the loss.
    """

    step: int = 0
    loss: str = ""
    count: int = 0
    parent_expression: str = field(default="", metadata=OPTIONAL)
    parent_gradient: Value | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class Listing:
    """The loss, and where the frame in force stands in it: from column `start`, counted from 0, to before column `end`."""

    loss: str
    index: int
    expression: str
    start: int
    end: int
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class Backtrace:
    """The chain rule as a stack of frames.

    Attributes:
        frames: those that were asked for, by rising number.
        step: the step whose point it is.
        loss: the text of the loss.
        count: how many frames there are in all.
        gradient: name -> d loss / d parameter as the paths add up to.
        agrees: whether that is the gradient that the next update will use, but for rounding.
        current: the number of the frame in force.
        full: whether all that is known of each frame is wanted.
        notes: what adds up, and what does not.
    """

    frames: tuple[StackFrame, ...]
    step: int
    loss: str
    count: int
    gradient: Mapping[str, Value]
    agrees: bool
    current: int = 0
    full: bool = field(default=False, metadata=OPTIONAL)
    notes: tuple[str, ...] = field(default=(), metadata=SAID)


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """All frames at a point, with what adds up."""

    links: tuple[Link, ...]
    frames: tuple[StackFrame, ...]
    sums: Mapping[str, Array]
    agrees: bool
    notes: tuple[str, ...]


def stack(debugger: Debugger) -> Stack:
    """The frames where the debugger stands, held against the gradient in force."""
    problem, here = debugger.problem, debugger.snapshot()
    links = links_at(problem, here)
    finite = all(np.isfinite(each.value).all() for each in links)
    seen = marks(links, None if finite else birth(problem, here.parameters))
    shared = _shared(links)
    frames = tuple(_frame(link, shared[_key(link)], seen.get(link.index)) for link in links)
    sums = sums_by_parameter(links, here.parameters)
    doubts = list(_doubts(links, sums, here.gradient, problem.dtype, seen, debugger.recipe.engine))
    return Stack(links, frames, sums, not doubts, (*_told_shared(links, shared), *doubts))


def sums_by_parameter(links: Sequence[Link], parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Name -> the sum of the gradients of all frames that are that parameter: d loss / d parameter."""
    found = {name: [link.gradient for link in links if link.expression == name] for name in parameters}
    return {name: _sum(paths) if paths else np.zeros_like(parameters[name]) for name, paths in found.items()}


def _sum(paths: Sequence[Array]) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.sum(np.stack(paths).astype(np.float64), axis=0)).astype(paths[0].dtype)


def _frame(link: Link, uses: Sequence[Link], mark: Mark | None) -> StackFrame:
    local = link.local
    told: Value | None = None
    if local is not None:
        told = Summary(local.shape, local.norm) if local.value is None else brief(local.value)
    return StackFrame(
        link.index,
        link.expression,
        brief(link.value),
        told,
        brief(link.gradient),
        link.parent,
        link.depth,
        len(uses),
        brief(_sum([each.gradient for each in uses])) if len(uses) > 1 else None,
        link.start,
        link.end,
        mark.kind if mark else "",
        mark.reason if mark else "",
    )


# --- what adds up -------------------------------------------------------------------------------------------------------


def _key(link: Link) -> str:
    """Equal for frames that are the same expression, however it is typed."""
    return ast.dump(link.node)


def _shared(links: Sequence[Link]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for link in links:
        found.setdefault(_key(link), []).append(link)
    return found


def _told_shared(links: Sequence[Link], shared: Mapping[str, Sequence[Link]]) -> Iterator[str]:
    """What is used several times; not what is so only because it stands in something that is."""
    for uses in shared.values():
        parents = {_key(links[each.parent]) for each in uses if each.parent is not None}
        inside = len(parents) == 1 and len(shared[next(iter(parents))]) == len(uses)
        if len(uses) > 1 and not inside:
            yield f"{saying.described(uses[0].expression)} is used {len(uses)} times; the paths add up: {_added(uses)}"


def _added(uses: Sequence[Link]) -> str:
    total = _sum([each.gradient for each in uses])
    terms = [saying.array(each.gradient) for each in uses[:_MOST_PATHS]]
    if total.ndim and terms[0].startswith("norm"):
        norms = " and ".join(saying.number(norm(each.gradient)) for each in uses[:_MOST_PATHS])
        return f"norms {norms}{' ...' if len(uses) > _MOST_PATHS else ''}, together {saying.number(norm(total))}"
    more = " + ..." if len(uses) > _MOST_PATHS else ""
    return f"{' + '.join(terms).replace('+ -', '- ')}{more} = {saying.array(total)}"


def _doubts(
    links: Sequence[Link],
    sums: Mapping[str, Array],
    gradient: Mapping[str, Array],
    dtype: str,
    seen: Mapping[int, Mark],
    engine: str,
) -> Iterator[str]:
    """Where the paths do not add up to the gradient in force."""
    for name, used in gradient.items():
        paths = [link.gradient for link in links if link.expression == name]
        apart = _apart(used, sums[name], paths, dtype)
        if apart.any():
            place = saying.first(apart)
            told = saying.element(name, place)
            yield (
                f"the {engine} engine's gradient of {told} is {saying.number(used[place])}, the paths add up to "
                f"{saying.number(sums[name][place])}: more than rounding{_because(links, seen, name)}"
            )


def _apart(used: Array, added: Array, paths: Sequence[Array], dtype: str) -> Array:
    """Which numbers differ by more than rounding explains, which grows with the largest of the paths."""
    with np.errstate(all="ignore"):
        one, other = used.astype(np.float64), added.astype(np.float64)
        scale = np.abs(np.stack(paths).astype(np.float64)).max(axis=0) if paths else np.abs(other)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        return np.asarray(~same & ~(np.abs(one - other) <= _ROUNDING[dtype] * np.maximum(scale, np.abs(one))))


def _because(links: Sequence[Link], seen: Mapping[int, Mark], name: str) -> str:
    marked = [index for index, mark in seen.items() if mark.kind == NOT_FINITE and _leads_to(links, index, name)]
    return f" (frame {marked[0]}: {seen[marked[0]].reason})" if marked else ""


def _leads_to(links: Sequence[Link], index: int, name: str) -> bool:
    return any(isinstance(child, ast.Name) and child.id == name for child in ast.walk(links[index].node))
