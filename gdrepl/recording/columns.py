"""Points in columns, at most 1,000 a line, as bodies of records and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gdrepl.recording.numbers import array_from_json, array_to_json, floats_to_json, shortest

MOST_POINTS_A_LINE = 1000


def columns_to_records(
    step_from: int, columns: Mapping[str, NDArray[Any]], per_line: int = MOST_POINTS_A_LINE
) -> Iterator[dict[str, Any]]:
    """Points in columns as bodies `{"from": step, "count": points, "columns": {name: [...]}}`; none for no points.

    Raises:
        ValueError: columns of different lengths, a column of rank 0, or `per_line` outside 1 to 1000.
    """
    if not 1 <= per_line <= MOST_POINTS_A_LINE:
        raise ValueError(f"{per_line} points a line is outside 1 to {MOST_POINTS_A_LINE}")
    if any(column.ndim == 0 for column in columns.values()) or len({len(column) for column in columns.values()}) > 1:
        raise ValueError("the columns are not of one length")
    count = max(map(len, columns.values()), default=0)
    # the digits of a whole column at once: per line, NumPy's fixed cost would be most of the time
    digits = {name: shortest(column) if column.dtype.kind in "fV" else column for name, column in columns.items()}
    for start in range(0, count, per_line):
        part = slice(start, min(start + per_line, count))
        values = {name: _part_to_json(columns[name].dtype, digits[name][part]) for name in columns}
        yield {"from": step_from + start, "count": part.stop - start, "columns": values}


def _part_to_json(dtype: np.dtype[Any], digits: NDArray[Any]) -> Any:
    if dtype.kind in "fV":
        return floats_to_json(digits, short=dtype == np.float32)
    return array_to_json(digits)


def columns_from_records(
    bodies: Iterable[Mapping[str, Any]], dtypes: Mapping[str, DTypeLike] | np.dtype[Any]
) -> tuple[int, dict[str, NDArray[Any]]]:
    """Join what `columns_to_records` made: the first step, and the columns.

    `dtypes` is one dtype for all columns, or one by name.

    Raises:
        ValueError: no bodies, a gap or an overlap in the steps, columns that differ from line to line or from their count,
            a name without a dtype, or a value that is no number of its dtype.
    """
    parts: dict[str, list[NDArray[Any]]] = {}
    first = following = None
    for body in bodies:
        start, count, columns = _points(body)
        if following is None:
            first, parts = start, {name: [] for name in columns}
        elif start != following:
            raise ValueError(f"points from step {following} were expected, and these begin at {start}")
        if columns.keys() != parts.keys():
            raise ValueError("the columns differ from line to line")
        for name, values in columns.items():
            parts[name].append(_column(name, values, count, dtypes))
        following = start + count
    if first is None:
        raise ValueError("there are no points")
    return first, {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _points(body: Mapping[str, Any]) -> tuple[int, int, dict[str, Any]]:
    start, count, columns = body.get("from"), body.get("count"), body.get("columns")
    if type(start) is not int or start < 0 or type(count) is not int or not isinstance(columns, dict):
        raise ValueError('points need "from", "count" and "columns"')
    if not 1 <= count <= MOST_POINTS_A_LINE:
        raise ValueError(f"{count} points a line is outside 1 to {MOST_POINTS_A_LINE}")
    return start, count, columns


def _column(name: str, values: Any, count: int, dtypes: Mapping[str, DTypeLike] | np.dtype[Any]) -> NDArray[Any]:
    if isinstance(dtypes, Mapping) and name not in dtypes:
        raise ValueError(f"the column {name!r} has no dtype")
    wanted = dtypes[name] if isinstance(dtypes, Mapping) else dtypes
    try:
        column = array_from_json(values, wanted)
    except ValueError as error:
        raise ValueError(f"the column {name!r}: {error}") from None
    if column.ndim == 0 or len(column) != count:
        raise ValueError(f"the column {name!r} does not hold {count} points")
    return column
