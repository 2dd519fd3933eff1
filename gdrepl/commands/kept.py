"""Convenience values, as gdb has them: $1, $, $$, $$3, $name and $bpnum; and what the frame in force gives: $value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gdrepl.commands.framing import FRAME_VALUES, frame_value
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError, ExpressionError, did_you_mean
from gdrepl.expression import MAX_LENGTH, Expression, parse
from gdrepl.recording.numbers import dumps, to_json

if TYPE_CHECKING:
    from gdrepl.commands.session import Session

MOST_VALUES = 1_000
MOST_NUMBERS = 10_000
MOST_IN_ALL = 100_000
"""How many values are kept, of how many numbers each, and how many numbers that print has shown in all."""

_TOKEN = re.compile(r"\$\$?\w*")
_INDEX = re.compile(r"\[\s*([+-]?\d{1,9}|[+-]?\d{0,9}\s*:\s*[+-]?\d{0,9})\s*\]")
"""A whole number or a slice in brackets, which selects something."""
_TYPED = re.compile(r"(?<![\w$])_\w*")
_PRINTED = re.compile(r"\$(\$?)(\d*)")
_NAMED = re.compile(r"\$([A-Za-z]\w{0,63})")
STOP_NUMBER = "bpnum"
_TAKEN = re.compile(r"arg(c|\d+)|bpnum")

_NOTHING: Mapping[str, Array] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What print has shown and what was set by name.

    Attributes:
        printed: the latest values shown by print, oldest first; None stands for one of too many numbers.
        last: the number of the latest of them; 0 when nothing was printed.
        named: the values set by name.
    """

    printed: tuple[Array | None, ...] = ()
    last: int = 0
    named: Mapping[str, Array] = field(default_factory=lambda: _NOTHING)

    def with_printed(self, value: Array) -> Kept:
        """These, and one that was printed; the oldest goes where there are too many."""
        kept = value if value.size <= MOST_NUMBERS else None
        printed = (*self.printed, kept)[-MOST_VALUES:]
        while sum(each.size for each in printed if each is not None) > MOST_IN_ALL:
            printed = printed[1:]
        return replace(self, printed=printed, last=self.last + 1)

    def with_named(self, name: str, value: Array) -> Kept:
        """These, and one by name.

        Raises:
            CommandError: it cannot be called so, or is too large.
        """
        check_value_name(name)
        if value.size > MOST_NUMBERS:
            raise CommandError(f"${name} would be {value.size} numbers", f"up to {MOST_NUMBERS} are kept")
        if len(self.named) >= MOST_VALUES and name not in self.named:
            raise CommandError(f"{MOST_VALUES} values have names already", "set one of them anew")
        return replace(self, named={**self.named, name: value})

    def numbered(self) -> Iterator[tuple[int, Array | None]]:
        """The printed values with their numbers, oldest first."""
        return zip(range(self.last - len(self.printed) + 1, self.last + 1), self.printed)

    def at(self, number: int, token: str) -> Array:
        """The printed value of a number.

        Raises:
            CommandError: there is none.
        """
        place = number - (self.last - len(self.printed) + 1)
        if not 0 <= place < len(self.printed):
            gone = 0 < number <= self.last
            why = "is no longer kept" if gone else "has no value"
            first = self.last - len(self.printed) + 1
            hint = f"there are ${first} to ${self.last}" if self.printed else "print EXPRESSION makes $1"
            raise CommandError(f"{token} {why}", hint)
        value = self.printed[place]
        if value is None:
            raise CommandError(f"{token} was too large to be kept", f"up to {MOST_NUMBERS} numbers are")
        return value


def check_value_name(name: str) -> str:
    """Return `name` if a value may be called so, which stands behind the `$`.

    Raises:
        CommandError: it is none, or is set by gdrepl itself.
    """
    if not name.isascii() or _NAMED.fullmatch(f"${name}") is None:
        raise CommandError(f"'${name[:40]}' cannot be the name of a value", "letters, digits and _, such as $before")
    if _TAKEN.fullmatch(name):
        raise CommandError(f"'${name}' is not yours to set", "choose another name, such as $before")
    return name


def look_up(session: Session, token: str) -> Array:
    """The value that `$...` stands for.

    Raises:
        CommandError: there is none.
    """
    kept = session.kept
    printed = _PRINTED.fullmatch(token)
    if printed is not None:
        back, digits = printed.groups()
        if len(digits) > 12:
            raise CommandError(f"{token[:20]} has no value", "info values lists them")
        number = int(digits or bool(back))
        return kept.at(kept.last - number if back or not digits else number, token)
    name = _NAMED.fullmatch(token)
    if name is not None and name[1] == STOP_NUMBER:
        number = session.debugger.stops.next_id - 1
        if number < 1:
            raise CommandError("$bpnum has no value: no stop was set yet", "break if loss < 1e-3 sets one")
        return np.asarray(number, np.int64)
    if name is not None and name[1] in kept.named:
        return kept.named[name[1]]
    if name is not None and name[1] in FRAME_VALUES:
        return frame_value(session, name[1])
    known = [f"${each}" for each in (*kept.named, *FRAME_VALUES)]
    hint = did_you_mean(token, known) or f"set {token[:40]} = EXPRESSION sets it, info values lists them"
    raise CommandError(f"{token[:40]} has no value", hint)


def parse_question(session: Session, text: str) -> Expression:
    """Check an expression about this point in which $... may stand, and what waits for a loss."""
    return parse_with_values(session, text, (*session.debugger.problem.parameters, *session.debugger.problem.constants))


def parse_with_values(session: Session, text: str, names: tuple[str, ...]) -> Expression:
    """The same, of a problem with these parameters and constants.

    A value is read by the name that it has with `_` in place of each `$`: no user's name begins so, and columns stay right.

    Raises:
        CommandError, ExpressionError: it is no expression, or a value is unknown.
    """
    text = text.strip()
    names = (*names, *session.waiting())
    if "$" not in text:
        return parse(text, names, at_point=True)
    typed = _TYPED.search(text)
    if typed is not None:
        raise ExpressionError(f"unknown name '{typed.group()[:40]}'", text, typed.start())
    tokens = list(_tokens(session, text))
    plain = text.replace("$", "_")
    try:
        expression = parse(plain, (*names, *(match.group().replace("$", "_") for match, _ in tokens)), at_point=True)
    except ExpressionError as error:
        if error.text == plain:
            error.text = text
        raise
    return replace(expression, text=text)


def values_in(session: Session, expression: Expression) -> dict[str, Array]:
    """The values that an expression of `parse_question` reads, by the names that it knows them by."""
    if "$" not in expression.text:
        return {}
    return {match.group().replace("$", "_"): value for match, value in _tokens(session, expression.text)}


def is_value(text: str) -> bool:
    """Whether a text is one $... and nothing else."""
    return _TOKEN.fullmatch(text) is not None


def check_values(session: Session, text: str) -> None:
    """See that each $... in a text stands for a value.

    Raises:
        ExpressionError: one does not.
    """
    for _ in _tokens(session, text):
        pass


def with_digits(session: Session, text: str) -> str:
    """`text` with the digits of each value in place of its $...: what is to stand on its own in a recording.

    Of `$v[3]` and `$v[2:5]` only the numbers that they select are put in.

    Raises:
        CommandError, ExpressionError: a value is unknown, not finite, or too long.
    """
    pieces, end = [], 0
    for match, value in _tokens(session, text):
        chosen, after = _selected(value, text, match.end())
        pieces += [text[end : match.start()], _digits(session, text[match.start() : after], chosen)]
        end = after
    found = "".join([*pieces, text[end:]])
    if pieces and len(found) > MAX_LENGTH:
        raise CommandError(
            f"with its values in place the expression has {len(found)} characters; {MAX_LENGTH} are allowed",
            "use a value of fewer numbers",
        )
    return found


def _selected(value: Array, text: str, end: int) -> tuple[Array, int]:
    """What the indices directly behind a value select of it, and where they end; those that do not fit are left for later."""
    index = _INDEX.match(text, end)
    while index is not None and value.ndim:
        bounds = [int(part) if part.strip() else None for part in index[1].split(":")]
        try:
            chosen = np.asarray(value[slice(*bounds) if len(bounds) > 1 else bounds[0]])
        except IndexError:
            break
        if not chosen.size:
            break
        value, end = chosen, index.end()
        index = _INDEX.match(text, end) if len(bounds) == 1 else None  # [1:3][0] selects of the first axis again
    return value, end


def whole_in(session: Session, text: str) -> str:
    """`text` with each $... replaced by the whole number that it stands for: `goto $step`, `delete $bpnum`.

    Raises:
        CommandError: a value is unknown, or no whole number.
    """

    def digits(match: re.Match[str]) -> str:
        value = look_up(session, match.group())
        if value.ndim or value.dtype == bool or not np.isfinite(value) or value != np.floor(value):
            raise CommandError(f"{match.group()} is not a whole number", f"print {match.group()} shows its value")
        return str(int(value))

    return _TOKEN.sub(digits, text)


def _tokens(session: Session, text: str) -> Iterator[tuple[re.Match[str], Array]]:
    for match in _TOKEN.finditer(text):
        try:
            yield match, look_up(session, match.group())
        except CommandError as error:
            raise ExpressionError(error.message, text, match.start(), error.hint) from None


def _digits(session: Session, token: str, value: Array) -> str:
    if value.dtype == bool:
        if value.ndim:
            raise CommandError(f"{token} is many truth values", "use all(...) or any(...) where it is printed")
        return "(1 > 0)" if value else "(0 > 1)"
    if not np.isfinite(value).all():
        raise CommandError(f"{token} is not finite", f"print {token} shows its value")
    exact = value.astype(np.float64) if value.dtype == np.float32 and session.debugger.problem.dtype == "float64" else value
    digits = dumps(to_json(exact))
    return f"({digits})" if digits.startswith("-") else digits
