"""When a branch stopped being finite: the first such step, and when a slot of the optimizer did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.rows import Columns
from gdrepl.engine.snapshot import Array

_PIECE = 65_536
"""How many steps are looked at at once."""

SlotKey = tuple[str, str | None]


def first_not_finite(debugger: Debugger) -> int | None:
    """The step at which the branch in force stopped being finite; None where it never did.

    Where we stand at a point that is not finite, that is the first of the points in a row of which it is one. Where we stand at
    a finite one, it is the next such step ahead, or else the first of the latest such row behind us.
    """
    here, branch = debugger.step, debugger.branch
    if not debugger.snapshot().is_finite():
        return _begins(debugger, here)
    ahead = _find(debugger, _upwards(here + 1, branch.end), bad=True)
    if ahead is not None:
        return ahead
    behind = _find(debugger, _downwards(branch.start, here - 1), bad=True)
    return None if behind is None else _begins(debugger, behind)


def _begins(debugger: Debugger, step: int) -> int:
    """The first of the points in a row up to `step` that are not finite."""
    start = debugger.branch.start
    before = _find(debugger, _downwards(start, step - 1), bad=False)
    return start if before is None else before + 1


def _upwards(first: int, last: int) -> Iterable[tuple[int, int, int]]:
    return ((low, min(low + _PIECE - 1, last), 1) for low in range(first, last + 1, _PIECE))


def _downwards(first: int, last: int) -> Iterable[tuple[int, int, int]]:
    return ((max(high - _PIECE + 1, first), high, -1) for high in range(last, first - 1, -_PIECE))


def _find(debugger: Debugger, pieces: Iterable[tuple[int, int, int]], *, bad: bool) -> int | None:
    """The first step, in the order of the pieces, that is finite or not."""
    for low, high, way in pieces:
        found = _not_finite(debugger, debugger.columns(low, high))[::way]
        if (found == bad).any():
            return (low if way > 0 else high) + way * int(np.argmax(found == bad))
    return None


def _not_finite(debugger: Debugger, columns: Columns) -> Array:
    """Which points are not finite, shape (n,)."""
    count = len(columns.step)
    bad, unsure = ~np.isfinite(columns.loss), np.zeros(count, bool)
    for name, values in columns.gradient.items():
        here = ~np.isfinite(values.reshape(count, -1)).all(axis=1)
        if name in columns.norms:  # a norm may be too large for its dtype where no number of the gradient is
            unsure |= here
        else:
            bad |= here
    for place in np.flatnonzero(unsure & ~bad):
        bad[place] = not debugger.snapshot_at(int(columns.step[place])).is_finite()
    return bad


def slots_at(debugger: Debugger, step: int) -> Mapping[SlotKey, Array]:
    """(slot, parameter or None) -> value, at a step of the branch in force."""
    if step == debugger.step:
        return debugger.slots()
    return {key: np.asarray(value) for key, value in debugger.scope_at(step, debugger.branch, False).slots.items()}


def bad_slots(slots: Mapping[SlotKey, Array]) -> list[SlotKey]:
    """The slots that are not finite, in Keras' order."""
    return [key for key, value in slots.items() if value.dtype.kind == "f" and not np.isfinite(value).all()]


def slot_overflowed(debugger: Debugger, key: SlotKey, last: int) -> int:
    """The step of the latest stretch at which a slot stopped being finite, which it is not at `last`; the slots stay so."""
    branch = debugger.branch
    low = branch.stretches[branch.index_of(last)].segment.start.step
    if key in bad_slots(slots_at(debugger, low)):
        return low
    while last - low > 1:
        middle = (low + last) // 2
        low, last = (low, middle) if key in bad_slots(slots_at(debugger, middle)) else (middle, last)
    return last
