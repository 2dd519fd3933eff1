"""`NAME VALUE` and `NAME = VALUE`, as `set`, `var` and `const` take them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gdrepl.commands.kept import with_digits
from gdrepl.engine import optimizer
from gdrepl.engine.problem import DTYPES
from gdrepl.engine.program import ENGINES
from gdrepl.errors import CommandError

if TYPE_CHECKING:
    from gdrepl.commands.session import Session


@dataclass(frozen=True, slots=True)
class Assignment:
    """`NAME VALUE` or `NAME = VALUE`, with an optional index as in `w[0] 3`."""

    name: str
    index: str
    value: str


_ASSIGNMENT = re.compile(r"(\$?[A-Za-z_][\w-]*)(\[[^\]]*\])?\s*(?:=(?!=)\s*|\s+|$)(.*)", re.DOTALL)


def parse_setting(text: str, session: Session) -> Assignment:
    """What to set, and a value."""
    return _parse_assignment(text, "set ")


def parse_definition(text: str, session: Session) -> Assignment:
    """A name, and a value, in which the digits of $... take its place; a file may be called so."""
    found = _parse_assignment(text, "")
    return found if "csv" in found.value else replace(found, value=with_digits(session, found.value))


def _parse_assignment(text: str, command: str) -> Assignment:
    number = re.match(r"\$\$?\d*(?![\w$])", text.strip())
    if number is not None:
        raise CommandError(f"{number.group()} is not yours to set: print does", "for example set $before = x")
    match = _ASSIGNMENT.fullmatch(text.strip())
    if match is not None and not match[3].strip():
        raise CommandError(f"{match[1]}{match[2] or ''} needs a value", _example(match[1], command))
    if match is None:
        raise CommandError(
            f"'{text[:40]}' is not a name and a value", "for example set x 3.0" if command else "for example x = 3.0"
        )
    return Assignment(match[1], match[2] or "", match[3].strip())


def _example(name: str, command: str) -> str:
    """What may be typed behind `name`."""
    if name in ("optimizer", "engine", "dtype"):
        choices = {"engine": ENGINES, "dtype": DTYPES}.get(name) or tuple(optimizer.catalogue())
        return f"{name} is one of {', '.join(choices)}"
    if name.startswith("$"):
        return f"{command}{name} = EXPRESSION"
    values = {"confirm": "off", "lr": "0.1", "max-steps": "1e6", "history-limit": "256", "print-precision": "7", "seed": "1"}
    value = values.get(name, "3.0")
    return f"for example {command}{name} {value}" if command else f"for example {name} = {value}"
