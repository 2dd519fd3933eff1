"""The bytes of a session file as JSON objects, a line each, whatever its version."""

from __future__ import annotations

import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gdrepl.errors import SessionFileError

MOST_BYTES_A_LINE = 64 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its newline; `number` counts from 1, as editors do."""

    number: int
    text: bytes

    @property
    def is_comment(self) -> bool:
        """True for a line that says nothing: a blank one, or one that begins with #."""
        return not self.text or self.text.startswith(b"#") or self.text.isspace()


def lines_of(data: bytes) -> Iterator[Line]:
    """The lines that say something."""
    return (line for line in _all_lines(data) if not line.is_comment)


def comments(data: bytes) -> list[tuple[int, str]]:
    """The other lines, each with the number of lines before it that say something: (number, line with its newline)."""
    found, before = [], 0
    for line in _all_lines(data):
        if line.is_comment:
            found.append((before, line.text.decode("utf-8", "replace") + "\n"))
        else:
            before += 1
    return found


def _all_lines(data: bytes) -> Iterator[Line]:
    """Every line; an editor's byte order mark and CR are dropped."""
    for number, raw in enumerate(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), 1):
        yield Line(number, raw.removesuffix(b"\n").removesuffix(b"\r"))


def parse_line(line: Line, hint: str = "") -> dict[str, Any]:
    """One line as an object.

    Raises:
        SessionFileError: it is too long, nested too deep, not UTF-8, not JSON, or not an object.
    """
    if len(line.text) > MOST_BYTES_A_LINE:
        raise SessionFileError(f"longer than {MOST_BYTES_A_LINE >> 20} MiB", line=line.number)
    try:
        decoder = _CAREFUL if _LARGE.search(line.text) else _DECODER
        value = decoder.decode(line.text.decode())
    except RecursionError:
        raise SessionFileError("nested too deep", line=line.number) from None
    except ValueError as error:  # not UTF-8, not JSON, a number of thousands of digits, or refused by a hook
        raise SessionFileError(f"not readable as JSON: {_reason(error)}", line=line.number, hint=hint) from None
    if not isinstance(value, dict):
        raise SessionFileError("wanted a JSON object in braces", line=line.number, hint=hint)
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "this is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the name {twice[:40]!r} is there twice")
    return members


def _refuse(constant: str) -> Any:
    raise ValueError(f'{constant} must be the string "{constant}"')


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:40]} is too large")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
_CAREFUL = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
"""Looks at each number; ten times as slow, and needed where one may be too large: nothing could write it again."""
_LARGE = re.compile(rb"[eE]\+?\d{3}|\d{309}")
