"""The settings that a session may begin with: named as `set` names them, checked, and written to its header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gdrepl.errors import CommandError, did_you_mean

RANGES: Mapping[str, tuple[int, int]] = {
    "max-steps": (1, 10**12),
    "history-limit": (1, 1_000_000),
    "print-precision": (1, 17),
}
"""The whole numbers that each may be."""
CONFIRM = "confirm"


def check_preference(name: str, value: Any) -> int | bool:
    """The value of a setting, if it is one.

    Raises:
        CommandError: there is no such setting, or it cannot be that.
    """
    if name == CONFIRM:
        if value in ("on", "off"):
            return bool(value == "on")
        if not isinstance(value, bool):
            raise CommandError(f"confirm cannot be {value!r:.40}", "it is true or false")
        return value
    if name not in RANGES:
        known = [*RANGES, CONFIRM]
        raise CommandError(f"there is no {name[:40]}", did_you_mean(name, known) or f"there are {', '.join(known)}")
    low, high = RANGES[name]
    if type(value) is not int or not low <= value <= high:
        raise CommandError(f"{name} cannot be {value!r:.40}", f"it is a whole number from {low} to {high}")
    return value
