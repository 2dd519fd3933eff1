"""What comes of a line: outcomes, and what a command returns that asks for more lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gdrepl.errors import GdreplError


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One command that was executed: its text, and its result or the error."""

    command: str
    result: Any = None
    error: GdreplError | None = None
    place: str = ""
    silent: bool = False

    @property
    def tells_of_interrupt(self) -> bool:
        """Whether it is that of a run or a question which Ctrl-C ended, and which says so."""
        if self.error is not None:
            return "interrupted" in str(self.error)
        return not self.silent and any(stop.kind == "interrupt" for stop in getattr(self.result, "stops", ()))


@dataclass(frozen=True, slots=True)
class Script:
    """What a command returns that asks for lines to be run next; a quiet one does not say how many were run."""

    name: str
    lines: tuple[str, ...]
    quiet: bool = False
