"""What an explanation comes to against what happened: the worst error, and how much of it rounding may have made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gdrepl.engine.live_optimizer import SlotName
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.insight.coordinates import labels
from gdrepl.insight.rounding import Rounded, ulps, unit
from gdrepl.insight.sheet import AVERAGE, GLOBAL_NORM, Book

MOST_ULPS = 4.0
"""Units in the last place that an explanation may be off, without a word of why."""


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
        slot = self.slot.replace("_", " ")
        if not self.parameter:
            return slot
        [label] = labels(self.parameter, before.parameters[self.parameter].shape, np.asarray([self.place]))
        return f"{slot} of {label}" if slot else label

    def responsible(self, book: Book) -> str:
        """The term whose bound grows most over those before it; `book` has measured them at the place of the worst error."""
        name, most, known = "", 1.0, 1.0
        for term, bound in self._leading_here(book):
            if bound > most * known:
                name, most = term, bound / known
            known = max(known, bound) if np.isfinite(bound) else known
        last = "" if self.slot else "subtraction that makes the parameter"
        return last if last and self.tolerance > most * known else name

    def _leading_here(self, book: Book) -> Iterator[tuple[str, float]]:
        """The terms that the worst number depends on, each with its bound."""
        of_gradient = self.slot not in ("", AVERAGE) and self.parameter != ""  # bias corrections are in no slot
        for parameter, term, bound in book.bounds:
            if parameter == self.parameter or (not parameter and (not of_gradient or term == GLOBAL_NORM)):
                yield term, bound
            if of_gradient and (parameter, term) == (self.parameter, self.slot):
                return


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
    worst = (False, -1.0, SlotName("", ""), 0, MOST_ULPS)
    outcomes = [(SlotName("", name), value, actual[name]) for name, value in parameters.items()]
    for name, value, true in [*outcomes, *((name, value, arrived[name]) for name, value in slots.items())]:
        if not true.size:
            continue
        with np.errstate(over="ignore"):
            rounded = _spread(value.exact, true).astype(true.dtype)
        float64 = max(float64, float(ulps(true, rounded).max()))
        off = ulps(true, _spread(value.native, true)).reshape(-1)
        place, failed, allowed = int(np.argmax(off)), False, MOST_ULPS
        if off[place] > MOST_ULPS:
            place, failed, allowed = _judged(value, true, off)
        accounts = accounts and not failed
        worst = max(worst, (failed, float(off[place]), name, place, allowed), key=lambda each: each[:2])
    _, off_by, slot, place, tolerance = worst
    return Account(accounts, max(off_by, 0.0), float64, slot.slot, slot.parameter or "", place, tolerance)


def _spread(value: Array, like: Array) -> Array:
    return value if np.shape(value) == like.shape else np.broadcast_to(value, like.shape)


def _judged(value: Rounded, true: Array, off: Array) -> tuple[int, bool, float]:
    """Of the numbers more than 4 ULPs off: the place of the worst, whether rounding cannot have made it, and what it may make.

    Those that rounding cannot have made come first.
    """
    beyond = np.flatnonzero(off > MOST_ULPS)
    exact, bound = (_spread(each, true).reshape(-1)[beyond] for each in (value.exact, value.bound))
    actual = true.reshape(-1)[beyond]
    with np.errstate(all="ignore"):
        within = np.isfinite(bound) & (np.abs(actual.astype(np.float64) - exact) <= bound)
        tolerance = bound / unit(actual)
    worst = int(np.argmax(np.where(within & ~within.all(), -1.0, off[beyond])))
    allowed = MOST_ULPS if np.isnan(tolerance[worst]) else max(float(tolerance[worst]), MOST_ULPS)
    return int(beyond[worst]), not bool(within.all()), allowed
