"""A session file's summary, read without TensorFlow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gdrepl.commands.results import Branches, BranchInfo, Listed, SessionInfo
from gdrepl.errors import SessionFileError
from gdrepl.recording.files import read_bytes
from gdrepl.recording.format import Document, decode, text_of


def show_file(path: Path) -> tuple[SessionInfo, Branches, Listed]:
    """What a session file holds: facts, branches and commands. Damage is told, not refused.

    Raises:
        SessionFileError: it is no session file.
    """
    document = decode(read_bytes(path), strict=False)
    try:
        return _facts(path, document), _branches(document), _commands(document)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise SessionFileError(f"a record is not in order: {error}") from error


def _facts(path: Path, document: Document) -> SessionInfo:
    body = document.header.body
    counts = Counter(record.kind for record in document.records)
    points = sum(record.body["count"] for record in document.records if record.kind == "points")
    # A segment that an edit or a branch began starts at a point of the one before it.
    roots = {record.body["stretches"][0][0] for record in document.records if record.kind == "branch"}
    rate = body["optimizer"]["learning_rate"]
    facts: dict[str, Any] = {
        "file": str(path),
        "format": document.version,
        "loss": text_of(body["problem"]["loss"]),
        "optimizer": f"{body['optimizer']['name']}, learning rate {rate if not isinstance(rate, Mapping) else rate['name']}",
        "dtype": text_of(body["dtype"]),
        "engine": text_of(body["engine"]),
        "seed": body["seed"],
        "versions": ", ".join(f"{name} {version}" for name, version in body["versions"].items()),
        "commands": counts["command"],
        "points": points + len(roots),
        "closed": document.closed,
    }
    if document.damage:
        facts["damage"] = "; ".join(str(damage) for damage in document.damage[:3])
    return SessionInfo(facts)


def _branches(document: Document) -> Branches:
    segments = {record.body["id"]: record.body for record in document.records if record.kind == "segment"}
    problems = {record.body["id"]: record.body for record in document.records if record.kind == "problem"}
    state: Mapping[str, Any] = next((record.body for record in reversed(document.records) if record.kind == "state"), {})
    listed = []
    for record in document.records:
        if record.kind != "branch":
            continue
        body = record.body
        tip, last = body["stretches"][-1]
        problem = problems[segments[tip]["problem"]]
        loss = float(segments[tip]["tip"]["loss"]) if segments[tip]["tip"]["step"] == last else float("nan")
        listed.append(
            BranchInfo(
                text_of(body["name"]),
                None if body["parent"] is None else text_of(body["parent"]),
                int(body["fork_step"]),
                int(segments[body["stretches"][0][0]]["start"]["step"]),
                int(last),
                np.asarray(loss, text_of(problem["dtype"])),
                state.get("branch") == body["name"],
                text_of(segments[tip]["optimizer"]["name"]),
                text_of(problem["loss"]),
            )
        )
    return Branches(tuple(listed))


def _commands(document: Document) -> Listed:
    commands = [record.body for record in document.records if record.kind == "command"]
    return Listed("commands", tuple((str(body["line"]), str(body["result"].get("type", ""))) for body in commands))
