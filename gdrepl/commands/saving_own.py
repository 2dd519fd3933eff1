"""What a session's user has made and kept, as members of a session file and back: commands, aliases, values, settings.

A file has them only where there are some: older ones have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gdrepl.commands.kept import MOST_NUMBERS, MOST_VALUES, Kept
from gdrepl.commands.own import Own, check_own_name
from gdrepl.commands.session import Session
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError
from gdrepl.recording.format import line_of, whole_of
from gdrepl.recording.numbers import typed_from_json, typed_to_json

VALUES = "values"
"""The kind of the record of the convenience values."""
SHOWN = "shown"
"""The kind of the record of what the displays showed last, from which the first stop after a load tells what changed."""


def own_to_plain(session: Session) -> dict[str, Any]:
    """The members of a state record."""
    own, confirm = session.own, session.settings.confirm
    members = {
        "defined": {name: list(lines) for name, lines in own.defined.items()},
        "aliases": dict(own.aliases),
        "confirm": None if confirm else False,
    }
    return {name: value for name, value in members.items() if value not in ({}, None)}


def restore_own(session: Session, body: Mapping[str, Any]) -> None:
    """The members of a state record back into a session; what has become the name of a command is left out."""
    defined = {name: _lines(lines) for name, lines in body.get("defined", {}).items()}
    aliases = {name: line_of(text) for name, text in body.get("aliases", {}).items()}
    session.own = Own(_free(defined), _free(aliases))
    confirm = body.get("confirm", True)
    if not isinstance(confirm, bool):
        raise ValueError("confirm is true or false")
    session.settings.confirm = confirm


def _lines(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("the lines of a command are a list")
    return tuple(line_of(line) for line in value)


def _free(table: Mapping[str, Any]) -> dict[str, Any]:
    free = {}
    for name, value in table.items():
        try:
            free[check_own_name(name)] = value
        except CommandError:
            continue
    return free


def kept_record(session: Session) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The record of the convenience values, if there are any."""
    kept = session.kept
    if kept.last or kept.named:
        named = {name: typed_to_json(value) for name, value in kept.named.items()}
        yield VALUES, {"last": kept.last, "printed": [typed_to_json(value) for value in kept.printed], "named": named}


def restore_kept(body: Mapping[str, Any]) -> Kept:
    """The convenience values of a record.

    Raises:
        KeyError, ValueError, TypeError: it is not in order.
    """
    printed, last = tuple(_value_from_plain(value) for value in body["printed"]), body["last"]
    if isinstance(last, bool) or not isinstance(last, int) or not len(printed) <= last or len(printed) > MOST_VALUES:
        raise ValueError(f"there cannot be {len(printed)} values of {last}")
    kept = Kept(printed, last)
    for name, plain in body["named"].items():
        value = _value_from_plain(plain)
        if value is None:
            raise ValueError(f"${name[:40]} has no value")
        kept = kept.with_named(name, value)
    return kept


def shown_record(session: Session) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The record of what the displays showed last: of all of them, since one that is loaded without it knows of none."""
    ids = [display.id for display in session.displays]
    if ids and all(id in session.shown for id in ids):
        values = [(id, session.shown[id]) for id in ids]
        plain = [{"id": id, "value": typed_to_json(value)} for id, value in values if not _is_large(value)]
        yield SHOWN, {"displays": plain}


def restore_shown(session: Session, body: Mapping[str, Any]) -> Mapping[int, Array | None]:
    """What the displays of a session showed last, of a record.

    Raises:
        KeyError, ValueError, TypeError: it is not in order.
    """
    ids = {display.id for display in session.displays}
    shown: dict[int, Array | None] = {}
    for each in body["displays"]:
        id = whole_of(each["id"])
        if id not in ids or id in shown:
            raise ValueError(f"there is no display {id}, or it is there twice")
        shown[id] = _value_from_plain(each["value"])
    return shown


def _is_large(value: Array | None) -> bool:
    return value is not None and value.size > MOST_NUMBERS


def _value_from_plain(plain: Any) -> Array | None:
    value = typed_from_json(plain)
    if value is not None and _is_large(value):
        raise ValueError(f"a value of {value.size} numbers; {MOST_NUMBERS} are kept")
    return value
