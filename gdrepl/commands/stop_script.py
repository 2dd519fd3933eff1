"""The stops and displays as plain commands that `source` reads back."""

from __future__ import annotations

from collections.abc import Iterable

from gdrepl.engine.stops import DELETE, DISABLE, Display, StopPoint
from gdrepl.engine.triggers import Changes, Occurs


def commands_of(stops: Iterable[StopPoint], displays: Iterable[Display]) -> list[str]:
    """The lines that make these anew. What refers to the stop just made says `$bpnum`, since its number will be another."""
    lines: list[str] = []
    for stop in stops:
        lines += _of_stop(stop)
    return [*lines, *(f"display {display.expression.text}" for display in displays)]


def _of_stop(stop: StopPoint) -> list[str]:
    lines = [f"{_setting(stop)} as {stop.name}" if stop.name else _setting(stop)]
    if stop.ignore:
        lines.append(f"ignore $bpnum {stop.ignore}")
    if stop.commands:
        lines += ["commands $bpnum", *(f"  {line}" for line in stop.commands), "end"]
    if stop.afterwards == DISABLE:
        lines.append("enable once $bpnum")
    return lines if stop.enabled else [*lines, "disable $bpnum"]


def _setting(stop: StopPoint) -> str:
    """The line that sets a stop, without its name."""
    if isinstance(stop.trigger, Changes):
        return f"watch {stop.text}"
    if isinstance(stop.trigger, Occurs):
        return f"catch {stop.text}"
    return f"{'tbreak' if stop.afterwards == DELETE else 'break'} if {stop.text}"
