"""A line that begins with no command: what its writer may have meant."""

from __future__ import annotations

import re
from collections.abc import Collection

from gdrepl.errors import ExpressionError
from gdrepl.expression import POINT_NAMES, parse

_ASSIGNED = re.compile(r"([A-Za-z_]\w*)\s*(=|\s)\s*([^\s=].*)")


def meant(line: str, names: Collection[str]) -> str:
    """What to type in place of `x`, `2*x`, `x = 3` or `lr 0.1`; empty when it looks like none of these.

    Args:
        line: as typed.
        names: the parameters and constants that are known.
    """
    try:
        parse(line, names, at_point=True)
        return f"print {line[:60]} shows its value"
    except ExpressionError:
        pass
    assigned = _ASSIGNED.fullmatch(line)
    if assigned is None:
        return ""
    name, sign, value = assigned.groups()
    if name in names or name in POINT_NAMES:
        return f"set {name} {value[:60]} changes it"
    return f"var {name} = {value[:60]} defines it" if sign == "=" else ""
