"""The records of a session file, checked as if a stranger had written them, back into a session."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gdrepl.commands.definitions import Definitions
from gdrepl.commands.naming import check_checkpoint_name
from gdrepl.commands.preferences import check_preference
from gdrepl.commands.printed import kept_from_events
from gdrepl.commands.saving import FOLDERS
from gdrepl.commands.saving_own import SHOWN, VALUES, restore_kept, restore_own, restore_shown
from gdrepl.commands.session import Event, Session
from gdrepl.commands.setup import Setup, Start
from gdrepl.commands.stop_info import stops_from_plain
from gdrepl.engine.checkpoints import Checkpoint, Checkpoints
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.phases import PHASES
from gdrepl.engine.places import MOST_PLACES, Places
from gdrepl.engine.problem import Origin, Problem, make_problem
from gdrepl.engine.segment import Recipe, Segment
from gdrepl.engine.snapshot import Array, Snapshot, frozen
from gdrepl.engine.stops import Display
from gdrepl.engine.timeline import Branch, Position, Stretch
from gdrepl.errors import GdreplError, SessionFileError
from gdrepl.expression import parse
from gdrepl.recording.columns import columns_from_records
from gdrepl.recording.format import KINDS, UNDERWAY, Document, Record, text_of, whole_of
from gdrepl.recording.numbers import array_from_json


def start_from_header(record: Record) -> Start:
    """The start that a header describes, checked as if a stranger had typed it.

    Raises:
        SessionFileError: it describes none.
    """
    with _Reading(record):
        body = record.body
        problem = _problem_from_plain(body["problem"])
        engine, seed = text_of(body["engine"]), whole_of(body["seed"])
        variables, constants = dict(body.get("variables", {})), dict(body.get("constants", {}))
        spec = OptimizerSpec.from_plain(body["optimizer"])
        origins = {**_origins(body.get("origins", {})), **problem.origins}
        settings = {name: check_preference(name, value) for name, value in body.get("settings", {}).items()}
        return Start(problem, spec, engine, seed, variables, constants, origins, settings)


def data_places(header: Record, file: Path) -> list[Path]:
    """Where a session of a file or journal looks for data: where it found them, then beside it, then in the folder in force."""
    named = header.body.get(FOLDERS)
    folders = [folder for folder in named if isinstance(folder, str)] if isinstance(named, list) else []
    beside = Path(os.path.realpath(file)).parent
    found = [beside / folder for folder in folders if "\0" not in folder]
    return [*(folder for folder in found if os.path.isdir(folder)), beside, Path()]


def restore(session: Session, document: Document, file: Path) -> None:
    """Make `session` what `file` says; nothing is changed when the file is not in order.

    Raises:
        SessionFileError: with the line of what is wrong.
    """
    start = start_from_header(document.header)
    folders = [*data_places(document.header, file), *session.folders]
    fresh = Session(Setup(folders=tuple(dict.fromkeys(folders))), session.programs)
    with _Reading(document.header):
        debugger = fresh.adopt(start)
    fresh.events = [event_of(record) for record in document.records if record.kind == "command"]
    fresh.header_body = {name: value for name, value in document.header.body.items() if name != FOLDERS}
    _restore_timeline(debugger, document)
    states = [record for record in document.records if record.kind == "state"]
    if not states:
        raise SessionFileError("the file has no state record", hint="gdrepl resume continues a journal")
    with _Reading(states[-1]):
        _restore_state(fresh, states[-1].body)
    for record in document.records:
        if record.kind == SHOWN:
            with _Reading(record):
                fresh.shown = restore_shown(fresh, record.body)
    values = [record for record in document.records if record.kind == VALUES]
    with _Reading(values[-1] if values else document.header):
        if values:
            fresh.kept = restore_kept(values[-1].body)
        else:
            fresh.kept = kept_from_events(fresh.events, start.problem.dtype, debugger.timeline.branches)
    debugger.places = replace(debugger.places, whole=not fresh.events)
    for record in document.records:
        if record.kind == "places":
            with _Reading(record):
                debugger.places = _places(debugger, record.body)
    fresh.extra_records = list(unknown_records(document.records))
    session.take_over(fresh)


def unknown_records(all_records: Iterable[Record]) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Records of unknown kinds, each with the number of known ones before it."""
    known = 0
    for record in all_records:
        if record.kind in KINDS:
            known += 1
        elif record.kind != UNDERWAY:
            yield known, record.kind, record.body


def event_of(record: Record) -> Event:
    """The event that a command record tells of.

    Raises:
        SessionFileError: it tells of none.
    """
    with _Reading(record):
        return Event(text_of(record.body["line"]), dict(record.body["result"]))


def _restore_timeline(debugger: Debugger, document: Document) -> None:
    problems: dict[int, Problem] = {}
    segments: dict[int, Segment] = {}
    points: dict[int, list[Record]] = {}
    tips: dict[int, tuple[Record, Snapshot]] = {}
    branches: list[Branch] = []
    for record in document.records:
        with _Reading(record):
            if record.kind == "problem":
                problems[whole_of(record.body["id"])] = _problem_from_plain(record.body)
            elif record.kind == "segment":
                segment, tip = _segment(debugger, record.body, problems)
                segments[segment.id], tips[segment.id] = segment, (record, tip)
            elif record.kind == "points":
                points.setdefault(whole_of(record.body["segment"]), []).append(record)
            elif record.kind == "branch":
                branches.append(_branch(record.body, segments, tips, [branch.name for branch in branches]))
    for id, segment in segments.items():
        _fill(segment, points.get(id, []), *tips[id])
    if not branches:
        raise SessionFileError("the file has no branch record", hint="gdrepl resume FILE runs the commands of a journal again")
    state = next((record for record in reversed(document.records) if record.kind == "state"), document.header)
    with _Reading(state):
        debugger.stand_on(branches, _position(state.body, branches))


def _position(body: Mapping[str, Any], branches: Iterable[Branch]) -> Position:
    return _checked_position([body["branch"], body["index"], body["step"]], {branch.name: branch for branch in branches})


def _checked_position(plain: Sequence[Any], branches: Mapping[str, Branch]) -> Position:
    branch, index, step = plain
    position = Position(text_of(branch), whole_of(index), whole_of(step))
    stretch = branches[position.branch].stretches[position.index]
    if not stretch.segment.start.step <= position.step <= stretch.last:
        raise ValueError(f"branch {position.branch} has no step {position.step} there")
    return position


def _segment(debugger: Debugger, body: Mapping[str, Any], problems: Mapping[int, Problem]) -> tuple[Segment, Snapshot]:
    problem = problems[whole_of(body["problem"])]
    recipe = Recipe(problem, OptimizerSpec.from_plain(body["optimizer"]), text_of(body["engine"]))
    start, tip = (_snapshot_from_plain(body[name], problem) for name in ("start", "tip"))
    debugger.check(recipe, start)
    debugger.check(recipe, tip)
    return Segment(whole_of(body["id"]), recipe, start, text_of(body["label"])), tip


def _fill(segment: Segment, points: list[Record], record: Record, tip: Snapshot) -> None:
    """Give a segment its rows; they must lead from its start to its tip."""
    if tip.step == segment.start.step and not points:
        return
    with _Reading(points[0] if points else record):
        first, columns = columns_from_records((each.body for each in points), np.dtype(segment.layout.dtype))
        rows = _rows(segment, columns)
        if first != segment.start.step + 1 or len(rows) != tip.step - segment.start.step:
            raise ValueError(f"points {first} to {first + len(rows) - 1} do not lead from {segment.start.step} to {tip.step}")
        segment.extend(rows, tip)


def _rows(segment: Segment, columns: Mapping[str, Array]) -> Array:
    layout, count = segment.layout, len(columns["loss"])
    names = ["loss", "learning_rate", *(f"{part}.{name}" for part in ("parameters", "gradient") for name in layout.shapes)]
    if list(columns) != names:
        raise ValueError(f"the columns should be {', '.join(names)}")
    if not layout.scheduled:
        names.remove("learning_rate")
        if columns["learning_rate"].tobytes() != segment.columns(0, np.empty((count, layout.width))).learning_rate.tobytes():
            raise ValueError("the learning rate is another than at the start of its segment, which has no schedule")
    rows = np.concatenate([columns[name].reshape(count, -1) for name in names], axis=1)
    if rows.shape[1] != layout.width:
        raise ValueError("a column has another shape than its parameter")
    return rows


def _branch(
    body: Mapping[str, Any],
    segments: Mapping[int, Segment],
    tips: Mapping[int, tuple[Record, Snapshot]],
    earlier: Sequence[str],
) -> Branch:
    if body["name"] in earlier or (body["parent"] is not None and body["parent"] not in earlier):
        raise ValueError(f"branch {body['name']} is there twice, or before the branch that it left")
    stretches = [Stretch(segments[whole_of(id)], whole_of(last)) for id, last in body["stretches"]]
    if not stretches:
        raise ValueError("a branch needs a segment")
    for stretch in stretches:
        if not stretch.segment.start.step <= stretch.last <= tips[stretch.segment.id][1].step:
            raise ValueError(f"segment {stretch.segment.id} has no step {stretch.last}")
    for before, after in itertools.pairwise(stretches):
        if before.last != after.segment.start.step:
            raise ValueError(f"segment {after.segment.id} begins at step {after.segment.start.step}, not at {before.last}")
    return Branch(
        text_of(body["name"]),
        None if body["parent"] is None else text_of(body["parent"]),
        whole_of(body["fork_step"]),
        stretches,
    )


def _places(debugger: Debugger, body: Mapping[str, Any]) -> Places:
    """The places visited, of which one is where we stand."""
    if len(body["visited"]) > MOST_PLACES:
        raise ValueError(f"more than {MOST_PLACES} places")
    visited = tuple(_checked_position(each, debugger.timeline.branches) for each in body["visited"])
    places = Places(visited, whole_of(body["index"]))
    if places.current != debugger.position or any(one == other for one, other in itertools.pairwise(visited)):
        raise ValueError("these are not the places that led to where the session stands")
    return places


def _checkpoints(session: Session, body: Mapping[str, Any]) -> None:
    """Take over the checkpoints: their names are checked as if they were typed, one after the other."""
    debugger = session.debugger
    items: tuple[Checkpoint, ...] = ()
    next_id = whole_of(body.get("next_checkpoint", 1))
    for item in body.get("checkpoints", ()):
        id, name = whole_of(item["id"]), check_checkpoint_name(text_of(item["name"]), session)
        if not (items[-1].id if items else 0) < id < next_id:
            raise ValueError(f"checkpoint {id} is out of its turn")
        items = (*items, Checkpoint(id, name, _checked_position(item["position"], debugger.timeline.branches)))
        debugger.checkpoints = Checkpoints(items, next_id)
    debugger.checkpoints = Checkpoints(items, next_id)
    debugger.timeline.first_free = max(1, whole_of(body.get("first_free_branch", 1)))


def _restore_state(session: Session, body: Mapping[str, Any]) -> None:
    debugger = session.debugger
    debugger.max_steps = check_preference("max-steps", body["max_steps"])
    debugger.stops = stops_from_plain(body["stops"], body["next_stop"])
    session.displays = tuple(
        Display(whole_of(item["id"]), parse(text_of(item["expression"]), at_point=True)) for item in body["displays"]
    )
    session.next_display = whole_of(body["next_display"])
    numbers = [0, *(display.id for display in session.displays), session.next_display]
    if numbers != sorted(set(numbers)):
        raise ValueError("the numbers of the displays are out of order")
    session.settings.history_limit = check_preference("history-limit", body["history_limit"])
    debugger.timeline.limit_bytes = session.settings.history_limit * 2**20
    session.settings.print_precision = check_preference("print-precision", body["print_precision"])
    session.seed = whole_of(body["seed"])
    restore_own(session, body)
    session.definitions = _definitions(body, debugger.problem)
    _checkpoints(session, body)
    phase = whole_of(body.get("phase", 0))
    if phase >= len(PHASES):
        raise ValueError(f"an update has {len(PHASES)} phases")
    debugger.inside.made = phase


def _definitions(body: Mapping[str, Any], problem: Problem) -> Definitions:
    """What was defined: the values of the problem where the session stands, but those that are others."""
    other = {*body["variables"], *body["constants"], *body.get("undefined", ())}
    own = Definitions().at(problem).without(other)
    origins = {**own.origins, **_origins(body["origins"])}
    return Definitions({**own.variables, **body["variables"]}, {**own.constants, **body["constants"]}, origins)


def _origins(body: Mapping[str, Any]) -> dict[str, Origin]:
    return {name: Origin(text_of(each["text"]), text_of(each["sha256"])) for name, each in body.items()}


def _problem_from_plain(body: Mapping[str, Any]) -> Problem:
    dtype = text_of(body["dtype"])
    parameters = {name: array_from_json(value, dtype) for name, value in body["parameters"].items()}
    constants = {name: array_from_json(value, dtype) for name, value in body["constants"].items()}
    return make_problem(text_of(body["loss"]), parameters, constants, dtype, text_of(body["name"]), _origins(body["origins"]))


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
    if loss.shape or rate.shape:
        raise ValueError("loss and learning rate are one number each")
    return Snapshot(whole_of(body["step"]), arrays["parameters"], tuple(slots), loss, arrays["gradient"], rate)


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
        if isinstance(error, GdreplError | ValueError | TypeError | AttributeError | IndexError | ArithmeticError):
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise SessionFileError(f"the {self.record.kind} record is not in order: {reason}", self.record.line) from error
