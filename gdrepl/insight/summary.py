"""Values for results: whole where they are small, else what is to be said of many numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gdrepl.engine.rows import WHOLE
from gdrepl.engine.snapshot import Array, norm


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told of an array of more than 64 numbers.

    Attributes:
        shape: of the array.
        norm: the root of the sum of squares of the finite numbers; None where nobody has worked it out.
        min, max: the least and the greatest finite number; None where there is none, or nobody has looked.
        not_finite: how many numbers are NaN or infinite.
    """

    shape: tuple[int, ...]
    norm: float | None
    min: float | None = None
    max: float | None = None
    not_finite: int = 0


Value = Array | Summary


def brief(value: Array) -> Value:
    """An array of up to 64 numbers as it is, any larger one as its summary."""
    if value.size <= WHOLE:
        return value
    numbers = value.astype(np.float64).reshape(-1)
    finite = numbers[np.isfinite(numbers)]
    least, greatest = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    return Summary(value.shape, norm(finite), least, greatest, numbers.size - finite.size)


def briefly(values: Mapping[str, Array]) -> dict[str, Value]:
    """That of each of some arrays, by name."""
    return {name: brief(value) for name, value in values.items()}
