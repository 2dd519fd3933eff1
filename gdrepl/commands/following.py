"""The lines that follow a stop: what `commands` has given to the stops that ended a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gdrepl.engine.stops import StopPoint
from gdrepl.engine.triggers import Occurs

SILENT = "silent"


def is_silent(held: Iterable[StopPoint]) -> bool:
    """Whether the stops that ended a run, if any, all want nothing to be shown of it."""
    firsts = [item.commands[:1] for item in held]
    return bool(firsts) and all(first == (SILENT,) for first in firsts)


def called(item: StopPoint) -> str:
    """A stop as it is called to a user: `catchpoint 2`."""
    return f"{'catchpoint' if isinstance(item.trigger, Occurs) else item.kind} {item.id}"


def lines_after(held: Iterable[StopPoint]) -> Iterator[tuple[str, str]]:
    """(line, place) of the commands of these stops, in order; the place names a line in errors."""
    for item in held:
        for number, line in enumerate(item.commands, 1):
            if not (number == 1 and line == SILENT):
                yield line, f"commands of {called(item)}, line {number}"
