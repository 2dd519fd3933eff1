"""Where two paths part: the first step at which their losses or parameters are no longer the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.rows import Columns
from gdrepl.engine.snapshot import Array
from gdrepl.engine.timeline import Branch
from gdrepl.insight.over import PIECE

MOST_STEPS_SHOWN = 10


def parting_step(debugger: Debugger, a: Branch, b: Branch, tolerance: float) -> tuple[int, str] | None:
    """(step, name) where branches `a` and `b` part; None when they do not as far as both of them go.

    What has the same name and shape in both is compared, the loss first. A parameter recorded as its norm is compared by that.
    """
    last = min(a.end, b.end)
    for first in range(_together_until(a, b), last + 1, PIECE):
        debugger.interrupt.heed(f"interrupted at step {first} of {a.name} and {b.name}")
        one, other = (debugger.columns(first, min(first + PIECE - 1, last), branch.name) for branch in (a, b))
        found = first_parting(_named(one), _named(other), tolerance)
        if found is not None:
            return first + found[0], found[1]
    return None


def _together_until(a: Branch, b: Branch) -> int:
    """A step up to which both are on the same segments, or the start: what lies before needs no comparing."""
    together = max(a.start, b.start)
    for one, other in zip(a.stretches, b.stretches):
        if one.segment is not other.segment:
            break
        together = min(one.last, other.last)
        if one.last != other.last:
            break
    return together


def _named(columns: Columns) -> dict[str, Array]:
    return {"loss": columns.loss, **columns.parameters}


def first_parting(a: Mapping[str, Array], b: Mapping[str, Array], tolerance: float) -> tuple[int, str] | None:
    """(index, name) of the first row at which columns of the same name and shape, (n, ...), differ.

    Without a tolerance any bit is a difference; with one |a - b| > tolerance * (1 + |a|) is, and a number on one side where
    none is on the other. What is not finite agrees with the same only. Of several columns the first one is named.
    """
    found: tuple[int, str] | None = None
    for name in a:
        if name not in b or a[name].shape != b[name].shape:
            continue
        differs = apart(a[name], b[name], tolerance).reshape(len(a[name]), -1).any(axis=1)
        if differs.any() and (found is None or int(differs.argmax()) < found[0]):
            found = int(differs.argmax()), name
    return found


def apart(a: Array, b: Array, tolerance: float) -> Array:
    """Which numbers of two arrays of the same shape differ, bool of that shape; see `first_parting`."""
    one, other = (np.asarray(values, np.float64) for values in (a, b))
    same = (one == other) & (np.signbit(one) == np.signbit(other)) | (np.isnan(one) & np.isnan(other))
    if tolerance == 0:
        return np.asarray(~same)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(one - other) <= tolerance * (1 + np.abs(one))
    return np.asarray(~(same | (one == other) | (near & np.isfinite(one) & np.isfinite(other))))


def steps_to_show(start: int, a_end: int, b_end: int) -> list[int]:
    """At most ten steps, rising: `start`, some between it and the earlier end, and both ends."""
    between = np.linspace(start, min(a_end, b_end), MOST_STEPS_SHOWN - 1).round().astype(int).tolist()
    return sorted({*between, a_end, b_end})
