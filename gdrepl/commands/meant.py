"""A line that begins with no command: what its writer may have meant."""

from __future__ import annotations

import re
from collections.abc import Collection

from gdrepl.engine import zoo
from gdrepl.errors import CommandError
from gdrepl.expression import check_name, parse, parse_value

_ASSIGNED = re.compile(r"([A-Za-z_][\w-]*(?:\[[^\]]*\])?)(\s*=\s*|\s+)([-+]?[\w(\[.].*)")
_ASSIGNS = re.compile(r"[A-Za-z_]\w*(\[[^\]]*\])?(\s*=(?!=)|\s+[-+]?\.?\d[\w.+-]*$)")
"""A name, and behind it = or a number alone."""
_MOST = 200


def meant(line: str, names: Collection[str], settable: Collection[str]) -> str:
    """What to type in place of `x`, `2*x`, `x = 3`, `lr 0.1` or `rosenbrock`; empty when it looks like none of these.

    Args:
        line: as typed.
        names: the parameters and constants that are known.
        settable: what `set` can change.
    """
    if len(line) > _MOST:
        return ""
    if line.startswith("$"):
        return f"set {line} sets it" if "=" in line.replace("==", "") else f"print {line} shows its value"
    if line.split()[0] in zoo.names():
        return f"problem {line} puts it in force"
    if _reads(line, names):
        return f"print {line} shows its value"
    return assigned(line, names, settable)


def yielded(line: str, names: Collection[str], settable: Collection[str]) -> str:
    """What to type in place of a line that begins with a command, where that is a name, too: `x`, `x - 3`, `x = 3`.

    Empty when the line is the command's own.
    """
    if len(line) > _MOST:
        return ""
    if _reads(line, names):
        return f"print {line} shows its value"
    return assigned(line, names, settable) if _ASSIGNS.match(line) else ""


def assigned(line: str, names: Collection[str], settable: Collection[str]) -> str:
    """What to type in place of `x = 3` or `lr 0.1`; empty when it looks like neither."""
    match = _ASSIGNED.fullmatch(line[:_MOST])
    if match is None:
        return ""
    name, sign, value = match.groups()
    if name.partition("[")[0] in settable:
        return f"set {name} {value} changes it"
    if name in names:
        return f"const {name} = {value} defines it anew"
    return f"var {name} = {value} defines it" if "=" in sign and _defines(name, value) else ""


def _reads(line: str, names: Collection[str]) -> bool:
    try:
        parse(line, names, at_point=True)
    except CommandError:
        return False
    return True


def _defines(name: str, value: str) -> bool:
    try:
        check_name(name)
        parse_value(value, allow_call=True)
    except CommandError:
        return False
    return True
