"""What was recorded against what came out now: typed results and points, field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gdrepl.errors import one_line
from gdrepl.recording.format import KINDS, Record
from gdrepl.recording.numbers import NON_FINITE

MOST_MISMATCHES = 20
_NOTHING: tuple[object, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two floats may be apart: |wanted - got| <= atol + rtol*|wanted|; both 0 asks for the same bits.

    `older` tells that the recording is of another gdrepl, to whose results a later one may have added members.
    """

    rtol: float = 0.0
    atol: float = 0.0
    older: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether the same bits are asked for."""
        return self.rtol == self.atol == 0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between a recording and its replay.

    Attributes:
        line: in the file, from 1.
        command: the command of that line, or the kind of record.
        field: the path of the value, such as point.loss.
        step: the step it belongs to, or None.
        wanted: what was recorded.
        got: what came out.
    """

    line: int
    command: str
    field: str
    step: int | None
    wanted: Any
    got: Any

    def __str__(self) -> str:
        if self.field == "checksum":
            return f"line {self.line} was changed after it was written (its checksum differs)"
        step = f", step {self.step}" if self.step is not None else ""
        wanted, got = _brief(self.wanted), _brief(self.got)
        return one_line(f"line {self.line}, {self.command}{step}, field {self.field}: recorded {wanted}, now {got}")


def _brief(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def compare_records(
    wanted: Sequence[Record], got: Sequence[tuple[str, Mapping[str, Any]]], tolerance: Tolerance
) -> Iterator[Mismatch]:
    """Differences between the records of a file and those that its replay makes, kind by kind, in the file's order."""
    new: dict[str, list[Mapping[str, Any]]] = {}
    for kind, body in got:
        new.setdefault(kind, []).append(body)
    places: dict[str, int] = {}
    last_line = 1
    for record in wanted:
        last_line = record.line
        if record.kind not in new and record.kind not in KINDS:
            continue  # kept for whoever wrote it
        place = places.get(record.kind, 0)
        places[record.kind] = place + 1
        bodies = new.get(record.kind, [])
        if place >= len(bodies):
            yield Mismatch(record.line, _name(record), "record", _first_step(record.body), "a record", None)
        else:
            yield from compare_bodies(record, bodies[place], tolerance)
    for kind, bodies in new.items():
        if kind not in places:
            continue  # a journal, or a file written by hand, holds the commands alone
        for body in bodies[places.get(kind, 0) :]:
            yield Mismatch(last_line, kind, "record", _first_step(body), None, f"one more {kind} record")


def compare_bodies(record: Record, got: Mapping[str, Any], tolerance: Tolerance) -> Iterator[Mismatch]:
    """Differences of one record."""
    body = record.body
    if record.kind == "points" and "columns" in body and body.get("from") == got.get("from"):
        rest, other_rest = ({name: value for name, value in each.items() if name != "columns"} for each in (body, got))
        for field, _, one, other in _differences(rest, other_rest, tolerance, ""):
            yield Mismatch(record.line, "points", field, body["from"], one, other)
        for field, index, one, other in _differences(body["columns"], got["columns"], tolerance, ""):
            column, _, inside = field.partition("[")
            step = body["from"] + (index if index is not None else 0)
            inner = inside.partition("]")[2]
            yield Mismatch(record.line, "points", f"{column}{inner}", step, one, other)
        return
    if record.kind == "command":  # its line was run as it stands; it is recorded in full, which it need not have been then
        body, got = ({name: value for name, value in each.items() if name != "line"} for each in (body, got))
    for field, _, one, other in _differences(body, got, tolerance, ""):
        yield Mismatch(record.line, _name(record), field.removeprefix("result."), _step_at(body, field), one, other)


def _name(record: Record) -> str:
    return f"'{str(record.body.get('line'))[:60]}'" if record.kind == "command" else record.kind


def _first_step(body: Mapping[str, Any]) -> int | None:
    step = body.get("from")
    return step if isinstance(step, int) else _step_of(body)


def _step_of(body: Mapping[str, Any]) -> int | None:
    """The step that a command's result speaks of."""
    result = body.get("result")
    if not isinstance(result, Mapping):
        return None
    point = result.get("point")
    step = point.get("step") if isinstance(point, Mapping) else result.get("step")
    return step if isinstance(step, int) else None


def _step_at(body: Mapping[str, Any], field: str) -> int | None:
    """The step of a field of a command's result: that of the point it lies in, if it lies in one."""
    inner = field.removeprefix("result.").partition(".")[0]
    result = body.get("result")
    point = result.get(inner) if isinstance(result, Mapping) else None
    step = point.get("step") if isinstance(point, Mapping) else None
    return step if isinstance(step, int) else _step_of(body)


def _differences(wanted: Any, got: Any, tolerance: Tolerance, field: str) -> Iterator[tuple[str, int | None, Any, Any]]:
    """(path, index in the outermost list, wanted, got) of every leaf that differs.

    What only the new side has is no difference where it says nothing: a later gdrepl may tell more than that of the file.
    """
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        told = [key for key in got if key not in wanted and got[key] not in _NOTHING and not tolerance.older]
        for key in [*wanted, *told]:
            path = f"{field}.{key}" if field else str(key)
            if key not in got or key not in wanted:
                yield path, None, wanted.get(key), got.get(key)
            else:
                yield from _differences(wanted[key], got[key], tolerance, path)
    elif isinstance(wanted, list | tuple) and isinstance(got, list | tuple):
        if len(wanted) != len(got):
            yield f"{field} (length)", None, len(wanted), len(got)
            return
        for index, (one, other) in enumerate(zip(wanted, got)):
            for path, _, first, second in _differences(one, other, tolerance, f"{field}[{index}]"):
                yield path, index, first, second
    elif not same(wanted, got, tolerance):
        yield field, None, wanted, got


def same(wanted: Any, got: Any, tolerance: Tolerance) -> bool:
    """True when two JSON leaves agree; floats within the tolerance, everything else exactly, the sign of zero included."""
    if isinstance(wanted, bool) or isinstance(got, bool) or wanted is None or got is None:
        return wanted is got
    if tolerance.is_exact:
        return type(wanted) is type(got) and repr(wanted) == repr(got)
    first, second = _float(wanted), _float(got)
    if first is None or second is None:
        return bool(wanted == got)
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return first == second or abs(first - second) <= tolerance.atol + tolerance.rtol * abs(first)


def _float(value: Any) -> float | None:
    """The float that a leaf stands for; integers are counts and stay exact."""
    if isinstance(value, float):
        return value
    return float(NON_FINITE[value]) if isinstance(value, str) and value in NON_FINITE else None
