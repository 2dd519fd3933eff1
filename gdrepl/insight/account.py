"""What an explanation comes to against what happened: the worst error, and how much of it rounding may have made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gdrepl.engine.live_optimizer import SlotName
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.insight.coordinates import labels
from gdrepl.insight.rounding import Rounded, ulps
from gdrepl.insight.sheet import Book

MOST_ULPS = 4.0
"""Units in the last place that an explanation may be off, without a word of why."""
_CARRIES = 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """How well an explanation accounts for what happened.

    Attributes:
        accounts: whether it does.
        worst: the worst error of what is computed in the problem's dtype, in ULPs.
        worst_float64: the same of what is computed in float64.
        slot: where the worst error is; empty for the parameter itself.
        parameter: of which parameter, or empty.
        place: at which of its numbers, flat.
        tolerance: in ULPs, what rounding may do there, where the error asks for it; else 4. Infinite where nothing can be said.
    """

    accounts: bool
    worst: float
    worst_float64: float
    slot: str
    parameter: str
    place: int
    tolerance: float

    def where(self, before: Snapshot) -> str:
        """The place of the worst error as people call it."""
        if not self.parameter:
            return self.slot
        [label] = labels(self.parameter, before.parameters[self.parameter].shape, np.asarray([self.place]))
        return f"{self.slot} of {label}" if self.slot else label

    def responsible(self, book: Book) -> str:
        """The term whose bound grows most over those before it; `book` is written at the place of the worst error."""
        name, most, known = "", 1.0, _CARRIES
        for term in book.terms:
            if term.bound is None or not term.bound.size or (term.parameter and term.parameter != self.parameter):
                continue
            bound = float(np.max(term.bound))
            if np.isfinite(bound) or name == "":
                grown = bound / known
                if grown > most:
                    name, most = term.name, grown
            known = max(known, bound if np.isfinite(bound) else known)
        return name if most > self.tolerance / known else "the last subtraction"


def account(
    parameters: Mapping[str, Rounded],
    actual: Mapping[str, Array],
    slots: Mapping[SlotName, Rounded],
    arrived: Mapping[SlotName, Array],
) -> Account:
    """Hold what was computed to what happened, number by number.

    A number accounts for itself within 4 ULPs of the computation in the problem's dtype, or where it is no farther from that
    in float64 than rounding may bring it.
    """
    accounts, float64 = True, 0.0
    worst = (-1.0, -1.0, SlotName("", ""), 0, MOST_ULPS)
    outcomes = [(SlotName("", name), value, actual[name]) for name, value in parameters.items()]
    for name, value, true in [*outcomes, *((name, value, arrived[name]) for name, value in slots.items())]:
        shape = true.shape
        off = ulps(true, np.broadcast_to(value.native, shape)).reshape(-1)
        far = ulps(true, _rounded(value.exact, true.dtype, shape)).reshape(-1)
        float64 = max(float64, float(np.max(far, initial=0.0)))
        if not len(off):
            continue
        beyond = np.flatnonzero(off > MOST_ULPS)
        failed, tolerance = beyond, np.full(len(beyond), MOST_ULPS)
        if len(beyond):
            tolerance = _tolerated(value, true, beyond)
            failed = beyond[~_within(value, true, beyond)]
        place = int(failed[np.argmax(off[failed])]) if len(failed) else int(np.argmax(off))
        allowed = float(tolerance[np.searchsorted(beyond, place)]) if off[place] > MOST_ULPS else MOST_ULPS
        accounts = accounts and not len(failed)
        worst = max(worst, (float(len(failed) > 0), float(off[place]), name, place, allowed), key=lambda each: each[:2])
    _, off_by, slot, place, tolerance_there = worst
    return Account(accounts, max(off_by, 0.0), float64, slot.slot, slot.parameter or "", place, tolerance_there)


def _rounded(exact: Array, dtype: np.dtype[np.floating], shape: tuple[int, ...]) -> Array:
    with np.errstate(all="ignore"):
        return np.broadcast_to(exact.astype(dtype), shape)


def _within(value: Rounded, true: Array, places: Array) -> Array:
    """Whether what happened at `places` is no farther from float64 than rounding may bring it."""
    exact, bound, actual = _at(value, true, places)
    with np.errstate(all="ignore"):
        return np.asarray(np.isfinite(bound) & (np.abs(actual - exact) <= bound))


def _tolerated(value: Rounded, true: Array, places: Array) -> Array:
    """The bound on rounding at `places`, in ULPs of what happened."""
    _, bound, actual = _at(value, true, places)
    kind = np.finfo(true.dtype)
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(np.abs(actual.astype(true.dtype)), kind.tiny)).astype(np.float64)
        return np.where(np.isnan(bound / unit), np.inf, np.maximum(bound / unit, MOST_ULPS))


def _at(value: Rounded, true: Array, places: Array) -> tuple[Array, Array, Array]:
    full = Rounded(*(np.broadcast_to(each, true.shape) for each in (value.native, value.exact, value.bound)))
    taken = full.at(places)
    return taken.exact, taken.bound, true.reshape(-1)[places].astype(np.float64)
