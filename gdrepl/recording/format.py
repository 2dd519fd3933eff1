"""The line format of a session file, version 1: text to records and back, without files.

Line 1 is the header, then one event a line, then the end record:

    {"gdrepl":1,"kind":"header",...,"sum":"0a1b2c3d"}
    {"n":1,"kind":"command",...,"sum":"..."}
    {"n":2,"kind":"end","counts":{"command":1},"digest":"...","sum":"..."}

`n` counts from 1. `sum` is the CRC-32 of the line's text without that member, which is always the last one. `digest` is the
SHA-256 of all lines before the end record with their newlines. Blank lines and lines that begin with `#` are skipped and enter
neither. A file written by hand may leave out `n`, `sum` and `digest`: what is not there is not checked.
"""

from __future__ import annotations

import copy
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gdrepl.errors import SessionFileError
from gdrepl.recording import jsonl
from gdrepl.recording.jsonl import Line, lines_of, parse_line
from gdrepl.recording.numbers import dumps

VERSION = 1
SUFFIX = ".gds"
KINDS = ("command", "problem", "segment", "points", "branch", "values", "shown", "places", "state")
"""The kinds of events that this version knows; others are kept as they are."""
UNDERWAY = "run"
"""Of journals alone: the line of a run that is not done yet, and `taken`, the updates that it has made, 0 when it was given up.
The record of the command follows it, unless the process was killed before."""
NO_END = "the file ends early: there is no end record"

_RESERVED = ("gdrepl", "n", "kind", "sum")
_SUM_BEGINS, _SUM_ENDS = b',"sum":"', b'"}'
_SUM_LENGTH = len(_SUM_BEGINS) + 8 + len(_SUM_ENDS)


@dataclass(frozen=True, slots=True)
class Record:
    """One line that says something; `line` counts from 1, `body` is without gdrepl, n, kind and sum."""

    kind: str
    body: Mapping[str, Any]
    line: int


def text_of(value: object) -> str:
    """A member of a record that must be a text.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def whole_of(value: object) -> int:
    """A member of a record that must be a whole number from 0, of at most 63 bits.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"{value!r:.40} is not a whole number")
    return value


def line_of(value: object) -> str:
    """A member of a record that must be one line of text, as somebody may have typed it.

    Raises:
        ValueError: it is none.
    """
    text = text_of(value)
    if not text.strip() or any(character < " " and character != "\t" for character in text):
        raise ValueError("a line of a command is one line of text")
    return text


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong at a line of a file that can be read all the same.

    Attributes:
        kind: "end" (there is no end record), "torn" (the last line), "checksum" of a line, "digest" of the whole, "structure".
    """

    line: int
    message: str
    kind: str = "structure"

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """A session file that was read.

    Attributes:
        header: the first record; its body holds no version.
        records: the events in their order, of known and unknown kinds, without header and end record.
        closed: True when an end record is there and its digest, where it has one, agrees.
        damage: empty when the file was read strictly.
        version: of the format.
    """

    header: Record
    records: tuple[Record, ...]
    closed: bool
    damage: tuple[Damage, ...]
    version: int = VERSION


class Encoder:
    """Records to lines: header first, then events, then the end record. Each line ends with a newline.

    Raises:
        RuntimeError: a call out of that order, which is a bug.
        ValueError, TypeError: a body that JSON cannot hold, or that uses a reserved name. The encoder is as before.
        SessionFileError: a line over 64 MiB. The encoder is as before.
    """

    def __init__(self) -> None:
        self._state = "new"
        self._last = 0
        self._counts: Counter[str] = Counter()
        self._digest = hashlib.sha256()

    @classmethod
    def resume(cls, data: bytes) -> Encoder:
        """The encoder that goes on after `data`, whole lines of a file without an end record.

        Raises:
            SessionFileError: the file is damaged, or has an end record.
        """
        document = decode(data, strict=False)
        if document.closed:
            raise SessionFileError("the file has an end record, so nothing can be added")
        for damage in document.damage:
            if damage.kind != "end":
                raise SessionFileError(damage.message, line=damage.line)
        encoder = cls()
        encoder._state = "open"
        encoder._counts.update(record.kind for record in document.records)
        encoder._last = len(document.records)
        for line in lines_of(data):
            encoder._digest.update(line.text + b"\n")
        return encoder

    def copy(self) -> Encoder:
        """An encoder in the same state, to come back to."""
        other = copy.copy(self)
        other._counts = self._counts.copy()
        other._digest = self._digest.copy()
        return other

    def header(self, body: Mapping[str, Any]) -> str:
        """Line 1."""
        self._expect("new")
        line = self._line({"gdrepl": VERSION, "kind": "header"}, body)
        self._state = "open"
        self._digest.update(line.encode())
        return line

    def record(self, kind: str, body: Mapping[str, Any]) -> str:
        """An event, numbered."""
        self._expect("open")
        if not kind or kind in ("header", "end"):
            raise ValueError(f"an event cannot be of kind {kind!r}")
        line = self._line({"n": self._last + 1, "kind": kind}, body)
        self._last += 1
        self._counts[kind] += 1
        self._digest.update(line.encode())
        return line

    def end(self) -> str:
        """The last line."""
        self._expect("open")
        body = {"counts": dict(self._counts), "digest": self._digest.hexdigest()}
        line = self._line({"n": self._last + 1, "kind": "end"}, body)
        self._state = "ended"
        return line

    def _expect(self, state: str) -> None:
        if self._state != state:
            raise RuntimeError(f"the encoder is {self._state}, not {state}")

    def _line(self, start: dict[str, Any], body: Mapping[str, Any]) -> str:
        for name in _RESERVED:
            if name in body:
                raise ValueError(f"a body cannot have a member {name!r}")
        text = dumps({**start, **body})
        data = text.encode()
        if len(data) + _SUM_LENGTH > jsonl.MOST_BYTES_A_LINE:
            raise SessionFileError(f"a {start['kind']} of {len(data) >> 20} MiB is too large for a session file")
        return f'{text[:-1]},"sum":"{_checksum(data)}"}}\n'


def decode(source: str | bytes, strict: bool = True) -> Document:
    """Read a session file, dispatching by its version.

    When not strict, damage that leaves the rest readable (a checksum, a gap in the numbers, a digest, a missing end, a torn
    last line) is collected in the document.

    Raises:
        SessionFileError: at the first damage when strict; always for a line that cannot be read, a missing header or a
            version that is not readable here.
    """
    data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    lines = list(lines_of(data))
    if not lines:
        raise SessionFileError("the file is empty", hint="a session file begins with a header line")
    header = parse_line(lines[0], hint="a session file begins with a header line")
    version = header.get("gdrepl")
    if header.get("kind") != "header" or type(version) is not int:
        raise SessionFileError("this is no header, so this is no session file of gdrepl", line=lines[0].number)
    if version not in READERS:
        known = ", ".join(map(str, READERS))
        raise SessionFileError(
            f"format version {str(version)[:20]} is not readable here; versions readable: {known}",
            line=lines[0].number,
            hint="a newer gdrepl may read it",
        )
    return READERS[version](header, lines, strict)


class _Reader1:
    """Reads format version 1, line after line."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.damage: list[Damage] = []
        self.records: list[Record] = []
        self.digest = hashlib.sha256()
        self.last = 0
        self.unnumbered = 0
        self.ended = False
        self.closed = False

    def read(self, header: dict[str, Any], lines: list[Line]) -> Document:
        first = self._record(lines[0], header)
        for place, line in enumerate(lines[1:], 2):
            self._event(line, torn_is_damage=not self.strict and place == len(lines))
        if not self.ended:
            self._report(lines[-1].number, NO_END, "end")
        return Document(first, tuple(self.records), self.closed, tuple(self.damage))

    def _report(self, line: int, message: str, kind: str = "structure") -> None:
        if self.strict:
            raise SessionFileError(message, line=line)
        self.damage.append(Damage(line, message, kind))

    def _event(self, line: Line, torn_is_damage: bool) -> None:
        try:
            value = parse_line(line)
        except SessionFileError:
            if not torn_is_damage:
                raise
            self._report(line.number, "this last line is torn", "torn")
            return
        if self.ended:
            self.closed = False
            self._report(line.number, "this line comes after the end record")
        self._sequence(line, value)
        kind = value.get("kind")
        if kind == "end":
            self._end(line, value)
            return
        record = self._record(line, value)
        if kind == "header":
            self._report(line.number, "this is a second header")
        else:
            self.records.append(record)

    def _record(self, line: Line, value: dict[str, Any]) -> Record:
        """A header or an event, with its checksum looked at."""
        kind = value.get("kind")
        if not isinstance(kind, str) or not kind:
            raise SessionFileError('"kind" must be a word', line=line.number)
        self._checksum(line, value)
        self.digest.update(line.text + b"\n")
        body = {name: item for name, item in value.items() if name not in _RESERVED}
        return Record(kind, body, line.number)

    def _checksum(self, line: Line, value: dict[str, Any]) -> None:
        if "sum" not in value:
            return
        if not isinstance(value["sum"], str):
            raise SessionFileError('"sum" must be a string', line=line.number)
        text, tail = line.text[:-_SUM_LENGTH] + b"}", line.text[-_SUM_LENGTH:]
        if tail != _SUM_BEGINS + _checksum(text).encode() + _SUM_ENDS:
            self._report(line.number, "this line was changed after it was written (its checksum differs)", "checksum")

    def _sequence(self, line: Line, value: dict[str, Any]) -> None:
        """Lines without a number may stand between numbered ones, in the place of numbers or beside them."""
        if "n" not in value:
            self.unnumbered += 1
            return
        number = value["n"]
        if type(number) is not int or number < 1:
            raise SessionFileError('"n" must be a whole number from 1', line=line.number)
        if number <= self.last:
            self._report(line.number, f"event {number} is out of order: it comes after {self.last}")
        elif number > self.last + 1 + self.unnumbered:
            self._report(line.number, _gap(self.last + 1, number))
        self.last, self.unnumbered = number, 0

    def _end(self, line: Line, value: dict[str, Any]) -> None:
        self._checksum(line, value)
        self.ended = self.closed = True
        if "counts" in value and value["counts"] != Counter(record.kind for record in self.records):
            self._report(line.number, "the counts of the end record do not match the lines before it")
        if "digest" in value and value["digest"] != self.digest.hexdigest():
            self.closed = False
            self._report(line.number, "the digest of the end record does not match the lines before it", "digest")
        if "digest" in value and "sum" not in value:  # else one changed byte in the name "sum" would pass unseen
            self._report(line.number, "the end record has a digest but no checksum", "checksum")


def _gap(first: int, number: int) -> str:
    if number == first + 1:
        return f"event {first} is missing: {first - 1} is followed by {number}"
    return f"events {first} to {number - 1} are missing: {first - 1} is followed by {number}"


def _read_1(header: dict[str, Any], lines: list[Line], strict: bool) -> Document:
    return _Reader1(strict).read(header, lines)


# A later version adds a module of its own and a line here; what was ever written stays readable.
READERS: dict[int, Callable[[dict[str, Any], list[Line], bool], Document]] = {1: _read_1}


def _checksum(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"
