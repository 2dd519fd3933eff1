"""Frozen values of the engine, in NumPy alone: what is true at a step, and why a run ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_LARGE = 1e150
OPTIONAL: Mapping[str, Any] = {"optional": True}
"""The metadata of a member that JSON leaves out where it is empty."""
SAID: Mapping[str, Any] = {"recorded": False}
"""The metadata of a member that recordings leave out, since it is said in words that may change."""


def frozen(array: object) -> Array:
    """A read-only copy of `array` as a NumPy array."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


def same_numbers(one: Array, other: Array) -> bool:
    """Whether two arrays of one dtype and shape hold the same bits; a NaN is a NaN, whose other bits no file keeps."""
    if one.tobytes() == other.tobytes():
        return True
    bits = f"u{one.dtype.itemsize}"
    return bool(np.all((one.view(bits) == other.view(bits)) | (np.isnan(one) & np.isnan(other))))


def norms(rows: Array) -> Array:
    """The square root of the sum of squares of each row, float64 of shape (n,); `rows` has shape (n, ...).

    Rows whose squares would overflow, or vanish, are scaled by their largest number; all others stay as they are, to the bit.
    """
    numbers = np.abs(rows.astype(np.float64)).reshape(len(rows), math.prod(rows.shape[1:]))
    largest = numbers.max(axis=1, initial=0.0)
    extreme = np.isfinite(largest) & (largest > 0) & ((largest > _LARGE) | (largest < 1 / _LARGE))
    scale = np.where(extreme, largest, 1.0)
    return np.asarray(scale * np.sqrt(np.sum(np.square(numbers / scale[:, None]), axis=1)))


def norm(array: Array) -> float:
    """The norm of one array of any shape."""
    return float(norms(np.asarray(array)[None])[0])


def norm_of_all(arrays: Mapping[str, Array]) -> float:
    """The norm of all numbers of some arrays together: that of a whole gradient."""
    return norm(np.concatenate([np.asarray(array).reshape(-1) for array in arrays.values()]))


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """What is true at one step.

    Attributes:
        step: updates applied since the start (a count, not an epoch).
        loss: the loss AT these parameters, shape ().
        parameters: name -> array; shape and dtype as the problem declares them.
        gradient: name -> array, d loss / d parameter, shaped like its parameter; update `step` uses it.
        learning_rate: the rate update `step` will use, shape ().
    """

    step: int
    loss: Array
    parameters: Mapping[str, Array]
    gradient: Mapping[str, Array]
    learning_rate: Array

    def is_finite(self) -> bool:
        """Whether the loss and every number of the gradient is finite."""
        return bool(np.isfinite(self.loss)) and all(bool(np.isfinite(value).all()) for value in self.gradient.values())


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that is needed to go on from one step, bit for bit.

    Attributes:
        step: updates applied since the start, >= 0 (a count, not an epoch).
        parameters: name -> array; shape and dtype as the problem declares them.
        slots: optimizer variables in Keras' own order: iteration (int64, shape ()), learning rate (float, shape ())
            unless it is a schedule, then moments shaped like their parameter. Never empty: the optimizer is
            built before step 0.
        loss: the loss at these parameters, shape ().
        gradient: name -> array, the gradient at these parameters, which the next update uses.
        learning_rate: the rate that the next update uses, shape ().

    Arrays are read-only copies: no live tf.Variable leaves the engine.

    Raises:
        ValueError: step is negative.
    """

    step: int
    parameters: Mapping[str, Array]
    slots: tuple[Array, ...]
    loss: Array
    gradient: Mapping[str, Array]
    learning_rate: Array

    def __post_init__(self) -> None:
        if self.step < 0:
            raise ValueError(f"step {self.step} is negative")

    def point(self) -> Point:
        """The part of this snapshot that a person looks at."""
        return Point(self.step, self.loss, self.parameters, self.gradient, self.learning_rate)

    def is_finite(self) -> bool:
        """Whether the loss and every number of the gradient is finite."""
        return self.point().is_finite()

    def same_as(self, other: Snapshot) -> bool:
        """Whether both are of one step, and hold the same bits."""
        one, two = (
            [*each.parameters.values(), *each.slots, each.loss, *each.gradient.values(), each.learning_rate]
            for each in (self, other)
        )
        return self.step == other.step and len(one) == len(two) and all(a.tobytes() == b.tobytes() for a, b in zip(one, two))

    def nbytes(self) -> int:
        """Bytes held by the arrays, plus a flat charge for the objects around them."""
        arrays = [*self.parameters.values(), *self.gradient.values(), *self.slots]
        return sum(array.nbytes for array in arrays) + 120 * len(arrays) + 400


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Why an event fired: what was looked at, and where to look next.

    Attributes:
        first, last: the steps that were looked at.
        numbers: name -> number, those that decide first.
        definition: when the event fires.
        next: what a user may look at or try next.
    """

    first: int
    last: int
    numbers: Mapping[str, Any]
    definition: str = field(metadata=SAID)
    next: str = field(metadata=SAID)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ended.

    Attributes:
        kind: count, breakpoint, watchpoint, event, until, interrupt, non-finite, max-steps, start or end.
        id: the number of the stop that a user set, the name of an event, or None.
        text: the condition, or a short account for people.
        number: the number of the stop that caught an event.
        name: what its user calls the stop.
        before, after: the values of what is watched.
        error: why the condition cannot be computed, which ended the run.
        evidence: of an event.
    """

    kind: str
    id: int | str | None = None
    text: str = ""
    number: int | None = field(default=None, metadata=OPTIONAL)
    name: str = field(default="", metadata=OPTIONAL)
    before: Array | None = field(default=None, metadata=OPTIONAL)
    after: Array | None = field(default=None, metadata=OPTIONAL)
    error: str = field(default="", metadata=OPTIONAL)
    evidence: Evidence | None = field(default=None, metadata=OPTIONAL)
