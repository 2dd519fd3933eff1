"""x: the numbers of a value, as gdb's x shows memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from gdrepl.commands.arguments import complete_expression
from gdrepl.commands.kept import parse_question
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.session import Session
from gdrepl.errors import CommandError
from gdrepl.expression import Expression
from gdrepl.insight.examine import Examined, examine

MOST = 10_000
FORMATS = "gfex"

_FORMAT = re.compile(r"/(\S*)\s*(.*)", re.DOTALL)
_LETTERS = re.compile(r"(\d*)([a-z]?)")
_HINT = "for example x/5 W, x/5x W for its bits, x W[0:3, :]"


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked at: an expression, how many numbers of it, and in which format."""

    expression: Expression
    count: int | None
    format: str


def parse_look(text: str, session: Session) -> Look:
    """`W`, `/5 W`, `/x W` or `/5e W`."""
    match = _FORMAT.fullmatch(text)
    if match is None:
        return Look(parse_question(session, text), None, "g")
    count, letter = _parsed_format(match[1])
    if not match[2]:
        raise CommandError("x needs EXPRESSION", _HINT)
    return Look(parse_question(session, match[2]), count, letter)


def _parsed_format(text: str) -> tuple[int | None, str]:
    match = _LETTERS.fullmatch(text)
    if match is None or not text or (match[2] and match[2] not in FORMATS):
        hint = "a count and a letter: f fixed, e with an exponent, x the bits, g as print shows it"
        raise CommandError(f"'/{text[:20]}' is not a format", hint)
    count = int(match[1][:9]) if match[1] else None
    if count is not None and not 1 <= count <= MOST:
        raise CommandError(f"x shows 1 to {MOST} numbers, not {match[1][:20]}", "x EXPRESSION sums up a large value")
    return count, match[2] or "g"


What = Annotated[Look, Argument("expression", parse_look, complete_expression, rest=True)]


@registry.command("x", group="data", repeats=True, yields=True, syntax="[/COUNT[FORMAT]] EXPRESSION")
def examine_(session: Session, what: What) -> Examined:
    """Look at the numbers of EXPRESSION, as gdb's x looks at memory.

    `x/5 W` shows the first five numbers with their indices, row after row; `x W[0:3, :]` a part laid out as a matrix; `x W`
    all of a small value. Of a large one it tells shape, type, least and greatest number and where they stand, mean, standard
    deviation, how many are 0, NaN or infinite, and a histogram: in equal bins, or by decades where the sizes spread over many.

    A letter behind the count is the format: f fixed, e with an exponent, g as print shows it, x the bits in hexadecimal digits,
    in which neighbouring floats differ by 1. EXPRESSION is as in print: x grad(W), x/10 X @ w - y, x slot.momentum(W).

    Where a parameter is called x, lines such as `x` and `x - 3` are that; print shows them.

    Example: x/5 grad
    """
    value = session.ask(what.expression)
    return examine(what.expression.text, value, what.count, what.format)
