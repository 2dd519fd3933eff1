"""The latest updates as numbers: how the loss went, and what each update did along its own direction.

Along an update u from one point to the next the loss has the slope g.u at its beginning and h.u at its end, g and h being the
gradients there. From these two alone come the mean curvature along it, and how far the lowest point of that line lay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import accumulation
from gdrepl.engine.rows import Columns
from gdrepl.engine.snapshot import Array, Snapshot, norms
from gdrepl.engine.timeline import Branch, Stretch
from gdrepl.insight.wide import flat

WINDOW = 200
"""Updates that are looked back on: what went on longer ago says little of what goes on now."""

_FEWEST = 3
"""Updates of which a share can be told."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The latest updates since the latest edit, in float64; those that only gather gradients are left out.

    Attributes:
        steps: of its n + 1 points, shape (n + 1,).
        losses: at the points, shape (n + 1,).
        gradient_norms: of the whole gradient at the points, shape (n + 1,).
        rates: the learning rate of each update, shape (n,).
        slopes, ends: of the last m updates, g.u before and after each, shape (m,); m is n where the parameters are recorded
            whole, else 1, or 0 where nothing ran.
        lengths: |u| of those, shape (m,).
        turns: the cosine between each of them and the one before, shape (m - 1,).
        latest: the last update, all parameters end to end; empty where nothing ran.
        places: the parameters end to end at each point, shape (n + 1, numbers); empty where they are not recorded whole.
        still: how many of the last updates changed no parameter.
    """

    steps: Array
    losses: Array
    gradient_norms: Array
    rates: Array
    slopes: Array
    ends: Array
    lengths: Array
    turns: Array
    latest: Array
    places: Array
    still: int

    def __len__(self) -> int:
        return len(self.rates)

    def reaches(self, last: int = WINDOW) -> Array:
        """How many times each update would have led to the lowest point along it, by the mean curvature; infinite where it has
        none. Below 1 it went past that point, below 1/2 to a higher loss than it came from."""
        slopes, ends = self.slopes[-last:], self.ends[-last:]
        with np.errstate(all="ignore"):
            reaches = -slopes / (ends - slopes)
        return np.where((ends > slopes) & (slopes < 0), reaches, np.where(slopes < 0, np.inf, 0.0))

    def overshot(self, last: int = WINDOW) -> float:
        """The share of the last updates that began downhill and led beyond twice the way to the lowest point."""
        reaches = self.reaches(last)
        return _share((self.slopes[-last:] < 0) & (reaches < 0.5))

    def uphill(self, last: int = WINDOW) -> float:
        """The share of the last updates that began against the slope."""
        return _share(self.slopes[-last:] > 0)

    def against(self, last: int = WINDOW) -> float:
        """The same; where the slopes are not known, the share after which the loss was higher."""
        return self.uphill(last) if len(self.slopes) == len(self) else self.rises(last)

    def turned(self, last: int = WINDOW) -> float:
        """The share of the last updates that turned back on the one before."""
        return _share(self.turns[-last:] < 0)

    def rises(self, last: int = WINDOW) -> float:
        """The share of the last updates after which the loss was higher."""
        return _share(np.diff(self.losses)[-last:] > 0)


def _share(held: Array) -> float:
    """The part of some updates of which something holds; 0 where they are too few to tell."""
    return float(np.mean(held)) if len(held) >= _FEWEST else 0.0


def path_to(debugger: Debugger, step: int) -> Path:
    """The path to `step` of the way that led to where the debugger stands."""
    way = _way(debugger)
    first = max(_settled_since(way, step), step - WINDOW * accumulation(debugger.spec))
    columns = debugger.past.columns(way, first, step)
    if not columns.norms:
        places, gradients = _whole(columns)
        return _path(columns, places, gradients, places)
    segment = way.stretches[way.index_of(step)].segment
    known = [debugger.past.reach(segment, each) for each in range(max(first, step - 1), step + 1)]
    places, gradients = (np.stack([flat(each) for each in table]) for table in _tables(known))
    return _path(columns, places, gradients, np.empty((0, 0)))


def finite_until(debugger: Debugger) -> int | None:
    """The last step up to here at which loss and gradient are finite; None where they never were."""
    here, way = debugger.step, _way(debugger)
    last, size = here, WINDOW
    while last >= way.start:
        columns = debugger.past.columns(way, max(way.start, last - size + 1), last)
        found = np.flatnonzero(np.isfinite(columns.loss) & np.isfinite(_gradient_norms(columns)))
        if len(found):
            return int(columns.step[found[-1]])
        last, size = last - size, size * 8
    return None


def _way(debugger: Debugger) -> Branch:
    """The branch in force up to where we stand."""
    branch, index = debugger.branch, debugger.position.index
    here = Stretch(branch.stretches[index].segment, debugger.step)
    return replace(branch, stretches=[*branch.stretches[:index], here])


def _settled_since(way: Branch, step: int) -> int:
    """The step of the latest edit up to `step`, or the first one: what was before it went by other rules."""
    index = way.index_of(step)
    while index and not way.stretches[index].segment.label:
        index -= 1
    return way.stretches[index].segment.start.step


def _tables(known: Sequence[Snapshot]) -> tuple[list[Mapping[str, Array]], list[Mapping[str, Array]]]:
    return [each.parameters for each in known], [each.gradient for each in known]


def _whole(columns: Columns) -> tuple[Array, Array]:
    """Parameters and gradients, each of shape (points, numbers)."""
    places, slopes = (
        np.concatenate([np.asarray(value, np.float64).reshape(len(columns), -1) for value in table.values()], axis=1)
        for table in (columns.parameters, columns.gradient)
    )
    return places, slopes


def _gradient_norms(columns: Columns) -> Array:
    sizes = [np.abs(value) if name in columns.norms else norms(value) for name, value in columns.gradient.items()]
    return norms(np.stack(sizes, axis=1))


def _path(columns: Columns, places: Array, gradients: Array, kept: Array) -> Path:
    """Points and updates; where all places are known, an update that changed nothing is left out with the point behind it."""
    with np.errstate(all="ignore"):
        moves = np.diff(places, axis=0)
        moved = np.asarray(moves.any(axis=1))
        before, after, moves = gradients[:-1][moved], gradients[1:][moved], moves[moved]
        lengths = norms(moves) if len(moves) else np.empty(0)
        along = (moves[1:] * moves[:-1]).sum(axis=1) / (lengths[1:] * lengths[:-1]) if len(moves) > 1 else np.empty(0)
        slopes, ends = (before * moves).sum(axis=1), (after * moves).sum(axis=1)
    whole = len(kept) == len(columns)
    points = np.concatenate([[True], moved]) if whole else np.ones(len(columns), np.bool_)
    return Path(
        columns.step[points],
        columns.loss[points].astype(np.float64),
        _gradient_norms(columns)[points],
        columns.learning_rate[:-1][points[1:]].astype(np.float64),
        slopes,
        ends,
        lengths,
        along,
        moves[-1] if len(moves) else np.empty(0),
        kept[points] if whole else kept,
        _still(moved),
    )


def _still(moved: Array) -> int:
    """How many of the last updates moved nothing."""
    found = np.flatnonzero(moved)
    return len(moved) - int(found[-1]) - 1 if len(found) else len(moved)
