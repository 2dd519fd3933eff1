"""The stops and displays as plain commands that `source` reads back."""

from __future__ import annotations

from collections.abc import Iterable

from gdrepl.engine.stops import Breakpoint, Display


def commands_of(stops: Iterable[Breakpoint], displays: Iterable[Display]) -> list[str]:
    """The lines that make these anew. What refers to the stop just made says `$bpnum`, since its number will be another."""
    lines: list[str] = []
    for stop in stops:
        lines += _of_stop(stop)
    return [*lines, *(f"display {display.expression.text}" for display in displays)]


def _of_stop(stop: Breakpoint) -> list[str]:
    lines = [f"{'tbreak' if stop.temporary else 'break'} if {stop.condition.text}"]
    return lines if stop.enabled else [*lines, "disable $bpnum"]
