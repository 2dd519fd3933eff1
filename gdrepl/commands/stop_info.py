"""Stops as results, and as members of the state record of a session file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gdrepl.commands.results import StopInfo
from gdrepl.commands.session import Session
from gdrepl.commands.stop_arguments import is_name
from gdrepl.engine.events import make_event
from gdrepl.engine.stops import DELETE, DISABLE, KEEP, StopPoint, Stops
from gdrepl.engine.triggers import Changes, Holds, Occurs, Trigger
from gdrepl.expression import Expression, parse
from gdrepl.recording.format import line_of, text_of, whole_of
from gdrepl.recording.numbers import typed_from_json, typed_to_json


def stop_info(session: Session, item: StopPoint) -> StopInfo:
    """One stop as `info break` lists it."""
    return StopInfo(
        item.id,
        item.kind,
        item.text,
        item.enabled,
        item.hits,
        item.ignore,
        item.afterwards == DELETE,
        session.debugger.checks.why(item, session.debugger.recipe),
        item.name,
        item.afterwards == DISABLE,
        item.seen,
        item.seen_at,
        item.commands,
    )


def stop_to_plain(item: StopPoint) -> dict[str, Any]:
    """A stop as JSON has it; what says nothing is left out."""
    extra = {
        **_trigger_to_plain(item.trigger),
        "condition": item.condition.text if item.condition is not None else None,
        "name": item.name,
        "once": item.afterwards == DISABLE,
        "ignore": item.ignore,
        "commands": list(item.commands),
        "seen": typed_to_json(item.seen),
        "seen_at": item.seen_at,
    }
    if isinstance(item.trigger, Holds):
        extra["condition"] = item.trigger.text
    plain = {"id": item.id, "enabled": item.enabled, "temporary": item.afterwards == DELETE, "hits": item.hits}
    return {**plain, **{name: value for name, value in extra.items() if value not in (None, "", False, 0, [])}}


def _trigger_to_plain(trigger: Trigger) -> dict[str, Any]:
    if isinstance(trigger, Changes):
        moved = {"by": trigger.by, "anchor": typed_to_json(trigger.anchor)} if trigger.by is not None else {}
        return {"kind": "watchpoint", "watch": trigger.expression.text, **moved}
    if isinstance(trigger, Occurs):
        return {"kind": "event", "event": trigger.event.name, "thresholds": trigger.event.thresholds()}
    return {}


def stops_from_plain(bodies: Iterable[Mapping[str, Any]], next_id: object) -> Stops:
    """All stops, and the number of the next one, checked in the same way.

    Raises:
        GdreplError, ValueError, TypeError, KeyError: one is no stop, or two have the same number or name.
    """
    stops = Stops(tuple(_stop_from_plain(body) for body in bodies), whole_of(next_id))
    ids, names = [item.id for item in stops], [item.name for item in stops if item.name]
    if any(one >= other for one, other in zip([0, *ids], [*ids, stops.next_id])):
        raise ValueError("the numbers of the stops do not rise")
    if len(set(names)) < len(names) or not all(map(is_name, names)):
        raise ValueError("two stops have one name, or one has what is no name")
    return stops


def _stop_from_plain(body: Mapping[str, Any]) -> StopPoint:
    """What `stop_to_plain` gave, checked as if a stranger had written it.

    Raises:
        GdreplError, ValueError, TypeError, KeyError: it describes no stop.
    """
    condition = _expression(body["condition"]) if body.get("condition") is not None else None
    trigger = _trigger_from_plain(body, condition)
    temporary, once = bool(body["temporary"]), bool(body.get("once", False))
    lines = body.get("commands", [])
    if not isinstance(lines, list):
        raise ValueError("the commands of a stop are a list of lines")
    seen_at = body.get("seen_at")
    return StopPoint(
        whole_of(body["id"]),
        trigger,
        None if isinstance(trigger, Holds) else condition,
        text_of(body.get("name", "")),
        bool(body["enabled"]),
        DELETE if temporary else DISABLE if once else KEEP,
        whole_of(body["hits"]),
        whole_of(body.get("ignore", 0)),
        tuple(line_of(line) for line in lines),
        typed_from_json(body.get("seen")),
        None if seen_at is None else whole_of(seen_at),
    )


def _trigger_from_plain(body: Mapping[str, Any], condition: Expression | None) -> Trigger:
    kind = body.get("kind", "breakpoint")
    if kind == "watchpoint":
        by = body.get("by")
        if by is not None and not (isinstance(by, int | float) and not isinstance(by, bool) and 0 < by < np.inf):
            raise ValueError(f"a watchpoint by {by!r}")
        anchor = typed_from_json(body["anchor"]) if by is not None else None
        if by is not None and anchor is None:
            raise ValueError("a watchpoint by a distance without a value to measure it from")
        return Changes(_expression(body["watch"]), None if by is None else float(by), anchor)
    if kind == "event":
        given = {text_of(name): float(value) for name, value in dict(body["thresholds"]).items()}
        return Occurs(make_event(text_of(body["event"]), given))
    if kind != "breakpoint" or condition is None:
        raise ValueError(f"a stop of kind {kind!r}" if kind != "breakpoint" else "a breakpoint without a condition")
    return Holds(condition)


def _expression(value: object) -> Expression:
    return parse(text_of(value), at_point=True)
