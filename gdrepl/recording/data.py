"""Columns of numbers from CSV files, with the digest by which a replay notices a changed file."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gdrepl.engine.snapshot import Array, frozen
from gdrepl.errors import CommandError, did_you_mean

MAX_BYTES = 256 * 2**20


_SEPARATORS = {";": "semicolons", "\t": "tabs"}


def folder_of(name: str, folders: Sequence[Path]) -> Path | None:
    """The first of `folders` that holds the file `name`, or None."""
    return next((folder for folder in folders if os.path.isfile(folder / os.path.expanduser(name))), None)


def find_data(name: str, folders: Sequence[Path]) -> Path:
    """The first of `folders` that holds `name`; an absolute name stands for itself.

    Raises:
        CommandError: none does.
    """
    if not name.strip():
        raise CommandError("the name of the file is empty", 'for example csv("points.csv", x, y)')
    folder = folder_of(name, folders)
    if folder is not None:
        return folder / os.path.expanduser(name)
    if any(os.path.isdir(folder / os.path.expanduser(name)) for folder in folders):
        raise CommandError(f"{name} is a folder, not a file", 'for example csv("points.csv", x, y)')
    raise CommandError(f"there is no file {name}", f"looked in {', '.join(str(folder) for folder in folders)}")


def read_csv(path: Path, columns: Sequence[str] = ()) -> tuple[Array, str]:
    """Read columns of a CSV file: (numbers, SHA-256 of the file in hex).

    Args:
        path: a file in UTF-8, separated by commas; its first line names the columns, unless it is made of numbers.
        columns: names, or numbers from 0; none means all. One column gives shape (rows,), several (rows, columns).

    Raises:
        CommandError: the file cannot be read or is separated by something else, a column is unknown or there twice, a row
            is longer than the first or lacks a column asked for, or a cell is not a number (its row is named).
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CommandError(f"{path.name} is larger than {MAX_BYTES // 2**20} MB")
        content = path.read_bytes()
        every = csv.reader(io.StringIO(content.decode("utf-8-sig")))
        rows = [row for row in every if len(row) > 1 or any(cell.strip() for cell in row)]
    except OSError as error:
        raise CommandError(f"cannot read {path.name}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path.name} is not a CSV file in UTF-8: {error}") from None
    if not rows:
        raise CommandError(f"{path.name} is empty")
    _check_separator(rows[0], path.name)
    header = [] if all(_is_number(cell) for cell in rows[0]) else [cell.strip() for cell in rows[0]]
    body = rows[1:] if header else rows
    places = [_place(column.strip(), header, len(rows[0]), path.name) for column in columns] or list(range(len(rows[0])))
    _check_lengths(rows, path.name)
    numbers = [[_cell(row, place, line, path.name) for place in places] for line, row in enumerate(body, 2 if header else 1)]
    if not numbers:
        raise CommandError(f"{path.name} has a header and no rows")
    array = np.array(numbers, np.float64)
    return frozen(array[:, 0] if len(places) == 1 else array), hashlib.sha256(content).hexdigest()


def _check_separator(first: Sequence[str], name: str) -> None:
    for separator, plural in _SEPARATORS.items():
        if len(first) == 1 and separator in first[0]:
            raise CommandError(f"{name} is separated by {plural}", "only commas are read: x,y in the first line, then 1.5,2")


def _check_lengths(rows: Sequence[Sequence[str]], name: str) -> None:
    """Refuse rows with more cells than the first: their numbers would be read under the wrong names, or not at all."""
    width = len(rows[0])
    for line, row in enumerate(rows, 1):
        if any(cell.strip() for cell in row[width:]):
            hint = "numbers are written 1.5, not 1,5; columns are separated by commas"
            raise CommandError(f"{name} row {line} has {len(row)} columns, not {width}", hint)


def _place(column: str, header: Sequence[str], width: int, name: str) -> int:
    if list(header).count(column) > 1:
        places = [str(place) for place, each in enumerate(header) if each == column]
        raise CommandError(f"{name} has several columns '{column}'", f"name one by its number: {' or '.join(places)}")
    if column in header:
        return list(header).index(column)
    if column.isdecimal() and len(column) < 10 and int(column) < width:
        return int(column)
    alike = [each for each in header if each.lower() == column.lower()]
    hint = f"did you mean '{alike[0]}'?" if alike else did_you_mean(column, header)
    hint = hint or f"columns: {', '.join(header) or f'0 to {width - 1}'}"
    raise CommandError(f"{name} has no column '{column}'", hint)


def _cell(row: Sequence[str], place: int, line: int, name: str) -> float:
    try:
        return _number(row[place])
    except IndexError:
        raise CommandError(f"{name} row {line} has {len(row)} columns, not {place + 1}") from None
    except ValueError:
        cell = row[place].strip()
        wrong = f"'{cell[:20]}' is not a number" if cell else "a cell is empty"
        raise CommandError(f"{name} row {line}: {wrong}", "mend the file, or name other columns") from None


def _number(cell: str) -> float:
    """A cell as a number; 1_000 is one in Python and in no table.

    Raises:
        ValueError: it is none.
    """
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True
