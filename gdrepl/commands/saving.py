"""A session as the records of a session file, and back."""

from __future__ import annotations

import importlib.metadata
import itertools
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gdrepl import __version__
from gdrepl.commands.session import Event, Session
from gdrepl.commands.setup import Setup, Start
from gdrepl.engine.debugger import Debugger, load_branches
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Origin, Problem, make_problem
from gdrepl.engine.rows import Layout
from gdrepl.engine.snapshot import Array, Snapshot, frozen
from gdrepl.engine.stops import Breakpoint, Display, Stops
from gdrepl.engine.timeline import Branch, Position, Recipe, Segment, Stretch
from gdrepl.errors import GdreplError, SessionFileError
from gdrepl.expression import parse
from gdrepl.recording.files import write_atomically
from gdrepl.recording.format import Document, Encoder, Record, columns_from_records, columns_to_records
from gdrepl.recording.numbers import array_from_json, to_json

TOLERANCE = {"float32": {"rtol": 1e-3, "atol": 1e-5}, "float64": {"rtol": 1e-6, "atol": 1e-10}}
KNOWN_KINDS = ("command", "problem", "segment", "points", "branch", "state")

# ------------------------------------------------------------------------------------------------------------- writing


def header(start: Start) -> dict[str, Any]:
    """The header of a session that began from `start`: its identity, and the versions it ran with."""
    return {
        "problem": _problem_to_plain(start.problem),
        "optimizer": start.spec.to_plain(),
        "dtype": start.problem.dtype,
        "engine": start.engine,
        "seed": start.seed,
        "variables": _leftover(start.variables, start.problem.parameters),
        "constants": _leftover(start.constants, start.problem.constants),
        "versions": versions(),
        "platform": platform.machine(),
        "tolerance": TOLERANCE[start.problem.dtype],
    }


def versions() -> dict[str, str]:
    """The versions that bits depend on; asks the installed packages' metadata, so nothing is imported."""
    return {"gdrepl": __version__, **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}}


def records(session: Session) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(kind, body) of everything after the header: commands, then the timeline, then where we stand."""
    extra = list(session.extra_records)
    for number, (kind, body) in enumerate(_own_records(session)):
        while extra and extra[0][0] <= number:
            yield extra[0][1], extra.pop(0)[2]
        yield kind, body
    for _, kind, body in extra:
        yield kind, body


def _own_records(session: Session) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for event in session.events:
        yield "command", {"line": event.line, "result": event.result}
    debugger = session.debugger
    segments = debugger.timeline.segments()
    problems: list[Problem] = []
    for segment in segments:
        if segment.recipe.problem not in problems:
            problems.append(segment.recipe.problem)
            yield "problem", {"id": len(problems), **_problem_to_plain(segment.recipe.problem)}
    for segment in segments:
        yield from _segment_records(debugger, segment, problems.index(segment.recipe.problem) + 1)
    for branch in debugger.timeline.branches.values():
        stretches = [[stretch.segment.id, stretch.last] for stretch in branch.stretches]
        yield (
            "branch",
            {"name": branch.name, "parent": branch.parent, "fork_step": branch.fork_step, "stretches": stretches},
        )
    yield "state", _state(session)


def _segment_records(debugger: Debugger, segment: Segment, problem: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    recipe = segment.recipe
    yield (
        "segment",
        {
            "id": segment.id,
            "problem": problem,
            "optimizer": recipe.spec.to_plain(),
            "engine": recipe.engine,
            "label": segment.label,
            "start": _snapshot_to_plain(segment.start),
            "tip": _snapshot_to_plain(segment.tip),
        },
    )
    if segment.last > segment.start.step:
        first = segment.start.step + 1
        columns = _row_columns(segment.layout, debugger.rows(segment, first, segment.last))
        for body in columns_to_records(first, columns):
            yield "points", {"segment": segment.id, **body}


def _row_columns(layout: Layout, rows: Array) -> dict[str, Array]:
    """Rows as flat columns: loss, learning_rate, parameters.NAME and gradient.NAME, norms where the rows hold norms."""
    columns = layout.columns(0, rows)
    named = {"loss": columns.loss, "learning_rate": columns.learning_rate}
    named |= {f"parameters.{name}": value for name, value in columns.parameters.items()}
    return named | {f"gradient.{name}": value for name, value in columns.gradient.items()}


def _problem_to_plain(problem: Problem) -> dict[str, Any]:
    origins = {name: {"text": origin.text, "sha256": origin.sha256} for name, origin in problem.origins.items()}
    return {
        "name": problem.name,
        "loss": problem.loss.text,
        "dtype": problem.dtype,
        "parameters": to_json(dict(problem.parameters)),
        "constants": to_json(dict(problem.constants)),
        "origins": origins,
    }


def _snapshot_to_plain(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "step": snapshot.step,
        "parameters": to_json(dict(snapshot.parameters)),
        "slots": [{"dtype": str(slot.dtype), "value": to_json(slot)} for slot in snapshot.slots],
        "loss": to_json(snapshot.loss),
        "gradient": to_json(dict(snapshot.gradient)),
        "learning_rate": to_json(snapshot.learning_rate),
    }


def _state(session: Session) -> dict[str, Any]:
    debugger = session.debugger
    position = debugger.position
    return {
        "branch": position.branch,
        "index": position.index,
        "step": position.step,
        "stops": [
            {
                "id": item.id,
                "condition": item.condition.text,
                "enabled": item.enabled,
                "temporary": item.temporary,
                "hits": item.hits,
            }
            for item in debugger.stops
        ],
        "next_stop": debugger.stops.next_id,
        "displays": [{"id": item.id, "expression": item.expression.text} for item in session.displays],
        "next_display": session.next_display,
        "max_steps": debugger.max_steps,
        "history_limit": session.settings.history_limit,
        "print_precision": session.settings.print_precision,
        "seed": session.seed,
        "variables": _leftover(session.variables, debugger.problem.parameters),
        "constants": _leftover(session.constants, debugger.problem.constants),
        "origins": {
            name: {"text": origin.text, "sha256": origin.sha256}
            for name, origin in session.origins.items()
            if name not in debugger.problem.origins
        },
    }


def _leftover(values: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the problem does not hold itself, or holds in fewer digits than were typed or drawn."""
    plain = {name: to_json(value) for name, value in values.items()}
    return {name: value for name, value in plain.items() if name not in used or value != to_json(used[name])}


def save_as(session: Session, path: Path) -> None:
    """Write the session whole to `path`.

    Raises:
        SessionFileError: it cannot be written; what was there stays.
    """
    encoder = Encoder()
    lines = [encoder.header(session.header_body or header(session.start))]
    lines += [encoder.record(kind, body) for kind, body in records(session)]
    write_atomically(path, [*lines, encoder.end()])


# ------------------------------------------------------------------------------------------------------------- reading


def start_from_header(record: Record) -> Start:
    """The start that a header describes, checked as if a stranger had typed it.

    Raises:
        SessionFileError: it describes none.
    """
    with _Reading(record):
        body = record.body
        problem = _problem_from_plain(body["problem"])
        engine, seed = _text(body["engine"]), _whole(body["seed"])
        variables, constants = dict(body.get("variables", {})), dict(body.get("constants", {}))
        spec = OptimizerSpec.from_plain(body["optimizer"])
        return Start(problem, spec, engine, seed, variables, constants, problem.origins)


def restore(session: Session, document: Document) -> None:
    """Make `session` what the file says; nothing is changed when the file is not in order.

    Raises:
        SessionFileError: with the line of what is wrong.
    """
    start = start_from_header(document.header)
    fresh = Session(Setup(folders=session.folders))
    with _Reading(document.header):
        debugger = fresh.adopt(start)
    fresh.events = [_event(record) for record in document.records if record.kind == "command"]
    fresh.header_body = dict(document.header.body)
    _restore_timeline(debugger, document)
    states = [record for record in document.records if record.kind == "state"]
    if not states:
        raise SessionFileError("the file has no state record", hint="gdrepl resume continues a journal")
    with _Reading(states[-1]):
        _restore_state(fresh, states[-1].body)
    fresh.extra_records = list(unknown_records(document.records))
    session.take_over(fresh)


def unknown_records(all_records: Iterable[Record]) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Records of unknown kinds, each with the number of known ones before it."""
    known = 0
    for record in all_records:
        if record.kind in KNOWN_KINDS:
            known += 1
        else:
            yield known, record.kind, record.body


def _event(record: Record) -> Event:
    with _Reading(record):
        return Event(_text(record.body["line"]), dict(record.body["result"]))


def _restore_timeline(debugger: Debugger, document: Document) -> None:
    problems: dict[int, Problem] = {}
    segments: dict[int, Segment] = {}
    points: dict[int, list[Record]] = {}
    tips: dict[int, tuple[Record, Snapshot]] = {}
    branches: list[Branch] = []
    for record in document.records:
        with _Reading(record):
            if record.kind == "problem":
                problems[_whole(record.body["id"])] = _problem_from_plain(record.body)
            elif record.kind == "segment":
                segment, tip = _segment(debugger, record.body, problems)
                segments[segment.id], tips[segment.id] = segment, (record, tip)
            elif record.kind == "points":
                points.setdefault(_whole(record.body["segment"]), []).append(record)
            elif record.kind == "branch":
                branches.append(_branch(record.body, segments, tips))
    for id, segment in segments.items():
        _fill(segment, points.get(id, []), *tips[id])
    if not branches:
        raise SessionFileError("the file has no branch record")
    state = next((record for record in reversed(document.records) if record.kind == "state"), document.header)
    with _Reading(state):
        load_branches(debugger, branches, _position(state.body, branches))


def _position(body: Mapping[str, Any], branches: Iterable[Branch]) -> Position:
    position = Position(_text(body["branch"]), _whole(body["index"]), _whole(body["step"]))
    stretch = {branch.name: branch for branch in branches}[position.branch].stretches[position.index]
    if not stretch.segment.start.step <= position.step <= stretch.last:
        raise ValueError(f"branch {position.branch} has no step {position.step} there")
    return position


def _segment(debugger: Debugger, body: Mapping[str, Any], problems: Mapping[int, Problem]) -> tuple[Segment, Snapshot]:
    problem = problems[_whole(body["problem"])]
    recipe = Recipe(problem, OptimizerSpec.from_plain(body["optimizer"]), _text(body["engine"]))
    start, tip = (_snapshot_from_plain(body[name], problem) for name in ("start", "tip"))
    debugger.check(recipe, start)
    debugger.check(recipe, tip)
    return Segment(_whole(body["id"]), recipe, start, _text(body["label"])), tip


def _fill(segment: Segment, points: list[Record], record: Record, tip: Snapshot) -> None:
    """Give a segment its rows; they must lead from its start to its tip."""
    if tip.step == segment.start.step and not points:
        return
    with _Reading(points[0] if points else record):
        first, columns = columns_from_records((each.body for each in points), np.dtype(segment.layout.dtype))
        rows = _rows(segment.layout, columns)
        if first != segment.start.step + 1 or len(rows) != tip.step - segment.start.step:
            raise ValueError(f"points {first} to {first + len(rows) - 1} do not lead from {segment.start.step} to {tip.step}")
        segment.extend(rows, tip)


def _rows(layout: Layout, columns: Mapping[str, Array]) -> Array:
    names = ["loss", "learning_rate", *(f"{part}.{name}" for part in ("parameters", "gradient") for name in layout.shapes)]
    if list(columns) != names:
        raise ValueError(f"the columns should be {', '.join(names)}")
    count = len(columns["loss"])
    rows = np.concatenate([columns[name].reshape(count, -1) for name in names], axis=1)
    if rows.shape[1] != layout.width:
        raise ValueError("a column has another shape than its parameter")
    return rows


def _branch(body: Mapping[str, Any], segments: Mapping[int, Segment], tips: Mapping[int, tuple[Record, Snapshot]]) -> Branch:
    stretches = [Stretch(segments[_whole(id)], _whole(last)) for id, last in body["stretches"]]
    if not stretches:
        raise ValueError("a branch needs a segment")
    for stretch in stretches:
        if not stretch.segment.start.step <= stretch.last <= tips[stretch.segment.id][1].step:
            raise ValueError(f"segment {stretch.segment.id} has no step {stretch.last}")
    for before, after in itertools.pairwise(stretches):
        if before.last != after.segment.start.step:
            raise ValueError(f"segment {after.segment.id} begins at step {after.segment.start.step}, not at {before.last}")
    return Branch(
        _text(body["name"]), None if body["parent"] is None else _text(body["parent"]), _whole(body["fork_step"]), stretches
    )


def _restore_state(session: Session, body: Mapping[str, Any]) -> None:
    debugger = session.debugger
    debugger.max_steps = _whole(body["max_steps"])
    items = tuple(
        Breakpoint(
            _whole(item["id"]),
            parse(_text(item["condition"]), at_point=True),
            bool(item["enabled"]),
            bool(item["temporary"]),
            _whole(item["hits"]),
        )
        for item in body["stops"]
    )
    debugger.stops = Stops(items, _whole(body["next_stop"]))
    session.displays = tuple(
        Display(_whole(item["id"]), debugger.parse(_text(item["expression"]))) for item in body["displays"]
    )
    session.next_display = _whole(body["next_display"])
    session.settings.history_limit = _whole(body["history_limit"])
    debugger.timeline.limit_bytes = session.settings.history_limit * 2**20
    session.settings.print_precision = _whole(body["print_precision"])
    session.seed = _whole(body["seed"])
    problem = debugger.problem
    session.variables = {**to_json(dict(problem.parameters)), **body["variables"]}
    session.constants = {**to_json(dict(problem.constants)), **body["constants"]}
    origins = {name: Origin(_text(each["text"]), _text(each["sha256"])) for name, each in body["origins"].items()}
    session.origins = {**problem.origins, **origins}


def _problem_from_plain(body: Mapping[str, Any]) -> Problem:
    origins = {name: Origin(_text(each["text"]), _text(each["sha256"])) for name, each in body["origins"].items()}
    dtype = _text(body["dtype"])
    parameters = {name: array_from_json(value, dtype) for name, value in body["parameters"].items()}
    constants = {name: array_from_json(value, dtype) for name, value in body["constants"].items()}
    return make_problem(_text(body["loss"]), parameters, constants, dtype, _text(body["name"]), origins)


def _snapshot_from_plain(body: Mapping[str, Any], problem: Problem) -> Snapshot:
    dtype = problem.dtype
    slots = []
    for slot in body["slots"]:
        if slot["dtype"] not in ("float32", "float64", "int32", "int64", "bool"):
            raise ValueError(f"a slot of dtype {slot['dtype']!r}")
        slots.append(frozen(array_from_json(slot["value"], slot["dtype"])))
    arrays = {
        part: {name: frozen(array_from_json(body[part][name], dtype)) for name in problem.parameters}
        for part in ("parameters", "gradient")
    }
    for part, values in arrays.items():
        for name, value in values.items():
            if value.shape != problem.parameters[name].shape:
                raise ValueError(f"{part} {name} has shape {value.shape}, not {problem.parameters[name].shape}")
    loss, rate = (frozen(array_from_json(body[name], dtype)) for name in ("loss", "learning_rate"))
    return Snapshot(_whole(body["step"]), arrays["parameters"], tuple(slots), loss, arrays["gradient"], rate)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


class _Reading:
    """Whatever is wrong while a record is read becomes one line that names it."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SessionFileError):
            return
        if isinstance(error, KeyError):
            raise SessionFileError(f"the {self.record.kind} record lacks {error.args[0]!r}", self.record.line) from error
        if isinstance(error, GdreplError | ValueError | TypeError | AttributeError | IndexError):
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise SessionFileError(f"the {self.record.kind} record is not in order: {reason}", self.record.line) from error
