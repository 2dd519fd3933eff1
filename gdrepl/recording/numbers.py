"""Values to JSON and back, bit for bit: shortest digits, non-finite numbers as strings, one compact line.

JSON has no NaN and no infinity, so they are the strings "NaN", "Infinity" and "-Infinity". A float that is whole keeps its
point (`3.0`), so that a reader can tell it from an integer.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

NON_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
MOST_RANK = 32

# Powers of ten that a float64 holds exactly; dividing an exact integer by one of them is rounded once only.
_POWERS = np.array([float(f"1e{power}") for power in range(23)])
# Where the quick way to shortest digits is exact: here 8 - floor(log10(x)) lies between 0 and 22. A test compares every power
# of two in it with NumPy's digits, since there the nearest decimal need not be the shortest.
_QUICK_FROM, _QUICK_TO = 1e-13, 1e9
_FEW = 64
_BLOCK = 1 << 15


class Float32List(list[Any]):
    """Floats that each stand for a finite, not whole float32 in its shortest digits, or rows of such lists.

    A plain list to everybody else. `dumps` writes it twice as fast, since nine digits are known to be enough.
    """

    __slots__ = ()


def result_to_json(result: object, recorded: bool = False) -> dict[str, Any]:
    """A result dataclass as `{"type": ClassName, field: value, ...}`.

    A field whose metadata say `optional: True` is left out where it is empty. Set `recorded` to leave out those that say
    `recorded: False`: older recordings have none of them.

    Raises:
        TypeError: `result` is no dataclass, has a field named "type", or holds what `to_json` refuses.
    """
    fields = _dataclass_to_json(result, recorded)
    if "type" in fields:
        raise TypeError(f"a field of {type(result).__name__} is named 'type', which the class name needs")
    return {"type": type(result).__name__, **fields}


def to_json(value: object, recorded: bool = False) -> Any:
    """`value` in terms that JSON has.

    Takes None, bool, int, float, str, NumPy scalars and arrays of any rank, mappings with string keys, lists, tuples and
    dataclasses (as plain objects, without "type"; `recorded` as in `result_to_json`).

    Raises:
        TypeError: `value` or something in it is of another type.
    """
    match value:
        case None | bool():
            return value
        case np.generic() | np.ndarray():
            return array_to_json(np.asarray(value))
        case str():
            return str(value)
        case int():
            return int(value)
        case float():
            return array_to_json(np.asarray(value, np.float64))
        case Mapping():
            return {_key(key): to_json(item, recorded) for key, item in value.items()}
        case list() | tuple():
            return [to_json(item, recorded) for item in value]
        case _:
            return _dataclass_to_json(value, recorded)


def array_to_json(array: Array) -> Any:
    """An array as nested lists, or as one value when its rank is 0.

    Raises:
        TypeError: the dtype is neither bool, integer, float of up to 64 bits nor text.
    """
    if array.dtype.kind in "biuU":
        return array.tolist()
    if array.dtype == np.float32 and array.ndim < 2 and array.size <= _FEW:
        return [_one_to_json(number) for number in array] if array.ndim else _one_to_json(array[()])
    return floats_to_json(shortest(array))


def _one_to_json(number: Any) -> float | str:
    """What `floats_to_json(shortest(...))` makes of one float32, in a tenth of the time: most arrays of a session are small."""
    digits = float(str(number))
    if not math.isfinite(digits):
        return "NaN" if math.isnan(digits) else "Infinity" if digits > 0 else "-Infinity"
    return digits if np.float32(digits) == number else float(number)  # as in _shortest_by_text


def floats_to_json(digits: NDArray[np.float64], short: bool = False) -> Any:
    """Nested lists of float64 values as they are, with names for the non-finite ones.

    Set `short` for what `shortest` made of float32: then `dumps` writes it faster.
    """
    finite = np.isfinite(digits)
    if not finite.all():
        return _with_names(digits, finite)
    # %.9g drops the point of a whole float, which would read back as an integer
    if short and digits.ndim and bool((digits != np.rint(digits)).all()):
        return _marked(digits.tolist(), digits.ndim)
    return digits.tolist()


def shortest(array: Array) -> NDArray[np.float64]:
    """The float64 values whose repr is the shortest text that reads back as each float of `array`.

    Raises:
        TypeError: `array` is not of float16, bfloat16, float32 or float64.
    """
    if array.dtype == np.float64:
        return np.asarray(array, np.float64)
    with np.errstate(all="ignore"):  # casting a signalling NaN raises a warning, and nothing is wrong with writing one
        return _shortest_of_narrow(array)


def _shortest_of_narrow(array: Array) -> NDArray[np.float64]:
    if array.dtype not in (np.float32, np.float16):
        if array.dtype.name != "bfloat16":
            raise TypeError(f"a value of type {array.dtype} cannot be written to a session file")
        array = array.astype(np.float32)  # NumPy has no digits for it; each one is a float32
    flat = array.ravel()
    if flat.size <= _FEW or array.dtype == np.float16:
        return _shortest_by_text(flat).reshape(array.shape)
    blocks = [_shortest_block(flat[start : start + _BLOCK]) for start in range(0, flat.size, _BLOCK)]
    return np.concatenate(blocks).reshape(array.shape)


def array_from_json(value: object, dtype: DTypeLike) -> Array:
    """The array that `to_json` wrote, bit for bit (all NaNs become one).

    Raises:
        ValueError: `value` is ragged, nested too deep, of a wrong type, or too large for `dtype`.
    """
    wanted = np.dtype(dtype)
    if wanted.kind not in "biufV":
        raise ValueError(f"arrays of {wanted} are not read from session files")
    flat, shape, kinds = _flatten(value)
    if wanted.kind in "biu":
        return _whole_numbers(flat, kinds, wanted).reshape(shape)
    if not kinds <= {float, int, str}:
        raise ValueError(f"wanted numbers, got {_names(kinds - {float, int, str})}")
    return _floats(flat, str in kinds, wanted).reshape(shape)


TYPES = ("float32", "float64", "int64", "bool")
"""The types of the values that expressions have."""


def typed_to_json(array: Array | None) -> dict[str, Any] | None:
    """The value of an expression with its type, from which it is read back whatever reads it; None for none."""
    return None if array is None else {"dtype": str(array.dtype), "value": to_json(array)}


def typed_from_json(plain: Any) -> Array | None:
    """What `typed_to_json` gave, read-only.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    if plain is None:
        return None
    if plain["dtype"] not in TYPES:
        raise ValueError(f"a value of dtype {plain['dtype']!r:.40}")
    array = np.array(array_from_json(plain["value"], plain["dtype"]))
    array.setflags(write=False)
    return array


def dumps(value: object) -> str:
    """`value`, in terms that JSON has, as one line of compact JSON; keys stay in their order.

    Raises:
        ValueError: a NaN or an infinity that is not a string.
        TypeError: a value that JSON has no word for, or a key that is no string.
    """
    text = _dumps(value)
    if text.isascii():
        return text
    # a lone surrogate has no UTF-8, but its escape \udcXX, which this handler writes, is JSON
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _dumps(value: object) -> str:
    if isinstance(value, Float32List):
        return _float32_text(value)
    if isinstance(value, dict) and _holds_marked(value):
        return "{" + ",".join(f"{_ENCODER.encode(_key(key))}:{_dumps(item)}" for key, item in value.items()) + "}"
    return _ENCODER.encode(value)


def _holds_marked(value: dict[Any, Any]) -> bool:
    """Whether a marked list is among the members of an object, and of objects in it. All of their keys must be text."""
    found = False
    for key, item in value.items():
        _key(key)
        found |= isinstance(item, Float32List) or (isinstance(item, dict) and _holds_marked(item))
    return found


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _float32_text(values: Float32List) -> str:
    """Half the time of repr: with at most nine digits asked for, C needs no big numbers."""
    if values and isinstance(values[0], Float32List):
        return "[" + ",".join(map(_float32_text, values)) + "]"
    return "[" + (("%.9g," * len(values)) % tuple(values))[:-1] + "]"


def _marked(values: list[Any], rank: int) -> Float32List:
    return Float32List(values if rank == 1 else [_marked(row, rank - 1) for row in values])


def _with_names(digits: NDArray[np.float64], finite: NDArray[np.bool_]) -> Any:
    named = digits.astype(object)
    named[np.isnan(digits)] = "NaN"
    named[~finite & (digits > 0)] = "Infinity"
    named[~finite & (digits < 0)] = "-Infinity"
    return named.tolist()


def _dataclass_to_json(value: object, recorded: bool) -> dict[str, Any]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"a value of type {type(value).__name__} cannot be written to a session file")
    fields = [field for field in dataclasses.fields(value) if not recorded or field.metadata.get("recorded", True)]
    values = {field.name: getattr(value, field.name) for field in fields}
    left_out = {field.name for field in fields if field.metadata.get("optional") and _is_empty(values[field.name])}
    return {name: to_json(item, recorded) for name, item in values.items() if name not in left_out}


def _is_empty(value: object) -> bool:
    return value is None or value is False or (isinstance(value, str | tuple) and not value)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key must be text, not {type(key).__name__}")
    return str(key)


def _shortest_by_text(flat: Array) -> NDArray[np.float64]:
    """NumPy's own shortest digits, a microsecond or two each."""
    digits = flat.astype("U").astype(np.float64)
    # digits at the very edge of a float's interval may round away on their way through float64: then write more of them
    exact = digits.astype(flat.dtype) == flat
    return np.where(exact, digits, flat.astype(np.float64))


def _shortest_block(flat: NDArray[np.float32]) -> NDArray[np.float64]:
    """Try nine digits, which always suffice, then one fewer for as long as the same float32 comes back."""
    digits = flat.astype(np.float64)
    size = np.abs(digits)
    quick = (size >= _QUICK_FROM) & (size < _QUICK_TO)
    slow = np.isfinite(digits) & (size > 0) & ~quick
    chosen = np.flatnonzero(quick)
    digits[chosen], failed = _shortest_quick(digits[chosen], flat[chosen])
    slow[chosen[failed]] = True  # not seen, but a platform's log10 may be off by one
    if slow.any():  # a constant column repeats one value: convert it once
        values, places = np.unique(flat[slow], return_inverse=True)
        digits[slow] = _shortest_by_text(values)[places]
    return digits


def _shortest_quick(values: NDArray[np.float64], wanted: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Shortest digits, and a mask of the values for which nine digits did not come back."""
    scale = _POWERS[8 - np.floor(np.log10(np.abs(values))).astype(np.intp)]
    scaled = values * scale
    digits = np.rint(scaled) / scale
    failed = digits.astype(np.float32) != wanted
    left = np.flatnonzero(~failed)
    for drop in _POWERS[1:10]:
        candidate = np.rint(scaled[left] / drop) * drop / scale[left]
        same = candidate.astype(np.float32) == wanted[left]
        left = left[same]
        digits[left] = candidate[same]
    return digits, failed


def _flatten(value: object) -> tuple[list[Any], list[int], set[type]]:
    """The leaves of nested lists, their shape, and their types.

    Raises:
        ValueError: the lists are ragged, or nested deeper than an array can be.
    """
    level: list[Any] = [value]
    shape: list[int] = []
    kinds = {type(value)}
    while any(issubclass(kind, list) for kind in kinds):
        if not all(issubclass(kind, list) for kind in kinds) or len(set(map(len, level))) > 1:
            raise ValueError("the rows are not of one length")
        shape.append(len(level[0]))
        if len(shape) > MOST_RANK:
            raise ValueError(f"nested deeper than an array can be, which is {MOST_RANK}")
        level = level[0] if len(level) == 1 else list(itertools.chain.from_iterable(level))
        kinds = set(map(type, level))
    return level, shape, kinds


def _whole_numbers(flat: list[Any], kinds: set[type], wanted: np.dtype[Any]) -> Array:
    allowed = bool if wanted.kind == "b" else int
    if not kinds <= {allowed}:
        raise ValueError(f"wanted {wanted}, got {_names(kinds - {allowed})}")
    if flat and wanted.kind != "b" and not np.iinfo(wanted).min <= min(flat) <= max(flat) <= np.iinfo(wanted).max:
        raise ValueError(f"a number is too large for {wanted}")
    return np.array(flat, wanted)


def _floats(flat: list[Any], named: bool, wanted: np.dtype[Any]) -> Array:
    names = 0
    if named:
        names = sum(type(item) is str for item in flat)
        flat = [_named(item) if type(item) is str else item for item in flat]
    try:
        with np.errstate(all="ignore"):
            array = np.array(flat, np.float64).astype(wanted)
    except OverflowError:  # an integer of hundreds of digits
        raise ValueError(f"a number is too large for {wanted}") from None
    if np.count_nonzero(np.isfinite(array)) + names != len(flat):
        raise ValueError(f"a number is too large for {wanted}")
    return array


def _named(text: str) -> float:
    if text not in NON_FINITE:
        raise ValueError(f"wanted a number, got {text[:40]!r}")
    return NON_FINITE[text]


def _names(kinds: set[type]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))
