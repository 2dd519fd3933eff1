"""All numbers as people read them: the shortest digits that mean the same, at most `precision` of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np

from gdrepl.engine.snapshot import Array, norm

MOST_LISTED = 6
"""A vector of up to this many numbers is listed whole."""
_MOST_ROWS, _MOST_COLUMNS = 6, 6
_LEAST_DIGITS = 3
_PLAIN_FROM = -4  # 0.0001 is written out, 1e-5 is not


def show(value: object, precision: int = 7) -> str:
    """Any number, array, truth value or None as text.

    A scalar or a vector is one line; a small matrix is one line a row; anything larger is one line that sums it up.
    """
    if value is None or isinstance(value, str):
        return str(value)
    array = np.asarray(value)
    if array.ndim == 0:
        return _scalar(array[()], precision)
    if array.ndim == 1:
        return _vector(array, precision)
    if array.ndim == 2 and 0 < array.shape[0] <= _MOST_ROWS and 0 < array.shape[1] <= _MOST_COLUMNS:
        return _matrix(array, precision)
    return summary(array, precision)


def fit(value: object, width: int, precision: int = 7, ellipsis: str = "...") -> str:
    """Any value on one line of at most `width` characters: fewer digits first, then fewer numbers, then the norm."""
    text = ""
    for text in _ever_shorter(value, precision):
        if len(text) <= width:
            return text
    return text[: max(0, width - len(ellipsis))] + ellipsis[: max(0, width)]


def _ever_shorter(value: object, precision: int) -> Iterator[str]:
    """One line each; what comes first says the most."""
    array = np.asarray(value)
    digits = [precision, *(fewer for fewer in (5, 4, _LEAST_DIGITS) if fewer < precision)]
    if value is None or array.ndim == 0:
        yield from (show(value, n) for n in digits)
        return
    if array.ndim == 1:
        yield from (_vector(array, n) for n in digits)
        yield from (_elided(array, 1, n) for n in digits)
    else:
        yield from (summary(array, n) for n in digits)
    if array.size and _is_number(array):
        size = norm(array)
        if array.ndim > 1:
            yield from (f"{array.shape} norm {_scalar(size, n)}" for n in digits)
        yield from (f"norm {_scalar(size, n)}" for n in digits)


def signed(value: object, precision: int = 7) -> str:
    """A difference: with its sign, `0` for none, empty when there is no saying."""
    array = np.asarray(value)
    number = float(array)
    if not math.isfinite(number):
        return ""
    if number == 0:
        return "0"
    text = _scalar(array[()], precision)
    return text if text.startswith("-") else f"+{text}"


def difference(after: Array, before: Array) -> Array:
    """after - before in their own dtype, rounded once; Inf and NaN as they come."""
    with np.errstate(all="ignore"):
        return np.asarray(after.astype(np.float64) - before.astype(np.float64)).astype(after.dtype)


def shape_of(shape: tuple[int, ...]) -> str:
    """`scalar`, or `shape (3, 4)`."""
    return f"shape {shape}" if shape else "scalar"


def summary(array: Array, precision: int = 7) -> str:
    """An array in one line: `shape (3, 4), min -1 max 2, norm 3.5`."""
    return ", ".join([shape_of(array.shape), *spread(array, precision)])


def spread(array: Array, precision: int = 7) -> list[str]:
    """What is to be said of many numbers: how many are not finite, least and greatest, norm."""
    parts = []
    if array.size and _is_number(array):
        numbers = array.astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        if finite.size < numbers.size:
            parts.append(f"{numbers.size - finite.size} not finite")
        if finite.size:
            parts.append(f"min {_scalar(finite.min(), precision)} max {_scalar(finite.max(), precision)}")
            parts.append(f"norm {_scalar(norm(finite), precision)}")
    return parts


def _is_number(array: Array) -> bool:
    """True for what has a norm; can_cast lets in bfloat16, which NumPy knows only as a void type."""
    return array.dtype.kind in "iuf" or (array.dtype.kind == "V" and np.can_cast(array.dtype, np.float64))


def _vector(array: Array, precision: int) -> str:
    if array.size <= MOST_LISTED:
        return f"[{_joined(array, precision)}]" if array.size else "[] (0)"
    return _elided(array, 2, precision)


def _elided(array: Array, ends: int, precision: int) -> str:
    """The first and last numbers, and how many there are."""
    if array.size <= 2 * ends:
        return f"[{_joined(array, precision)}]"
    return f"[{_joined(array[:ends], precision)} ... {_joined(array[-ends:], precision)}] ({array.size})"


def _joined(array: Array, precision: int) -> str:
    return " ".join(_scalar(number, precision) for number in array)


def _matrix(array: Array, precision: int) -> str:
    cells = [[_scalar(number, precision) for number in row] for row in array]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join(f"[{' '.join(cell.rjust(width) for cell, width in zip(row, widths))}]" for row in cells)


def _scalar(value: Any, precision: int) -> str:
    """One number; whole numbers of an integer type keep all their digits."""
    if isinstance(value, (bool, np.bool_, int, np.integer, str)):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    if not math.isfinite(number):
        return str(number)
    precision = max(1, precision)
    if number == math.trunc(number) and abs(number) < 10.0 ** min(precision, 15):
        return f"{number:.0f}"
    digits = _shortest(value)
    # The shortest digits are taken as they are: rounding the exact number to as many may give another one's.
    return _digits(Decimal(str(value)), digits, precision) if digits <= precision else _digits(number, precision, precision)


def _shortest(value: Any) -> int:
    """How many significant digits tell this number from all others of its type: 1 for a float32 of 0.1."""
    digits = str(value).lower().partition("e")[0].lstrip("-").replace(".", "")
    return max(1, len(digits.strip("0")))


def _digits(number: float | Decimal, digits: int, precision: int) -> str:
    """`number` rounded to so many digits; plain where that is short, else with an exponent such as 1e-30."""
    mantissa, _, exponent = f"{number:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if _PLAIN_FROM <= power < precision:
        text = f"{number:.{max(0, digits - 1 - power)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{power}"
