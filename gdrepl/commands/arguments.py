"""How the arguments of commands are written: each kind parses, validates and completes itself."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from gdrepl.commands.framing import FRAME_VALUES
from gdrepl.commands.kept import (
    check_values,
    is_value,
    parse_question,
    parse_with_values,
    values_in,
    whole_in,
    with_digits,
)
from gdrepl.commands.naming import ENDS
from gdrepl.commands.registry import Argument, registry
from gdrepl.engine.checkpoints import Checkpoint
from gdrepl.engine.scopes import value_in
from gdrepl.errors import CommandError, ExpressionError, did_you_mean
from gdrepl.expression import FUNCTIONS, NAMED_CONSTANTS, POINT_FUNCTIONS, POINT_NAMES, Expression, Scope
from gdrepl.insight.lowest import lowest_step
from gdrepl.recording.numbers import shortest

if TYPE_CHECKING:
    from gdrepl.commands.session import Session
    from gdrepl.engine.timeline import Branch

MOST_STEPS = 10**12


def parse_count(text: str, session: Session) -> int:
    """A whole number from 1, also as 1_000, 1e6 or 2*$n."""
    number = whole_value(text, session)
    if number is None or not 1 <= number <= MOST_STEPS:
        raise CommandError(f"'{text[:40]}' is not a number of steps", "type a whole number from 1, such as 10, 1e6 or 2*$n")
    return number


def whole_value(text: str, session: Session) -> int | None:
    """The whole number that is typed, that a value stands for, or that an expression of numbers and values gives, as in gdb.

    It is computed in float64, a float32 value as it is printed: 10*$a is 1 where $a is 0.1. None for anything else.

    Raises:
        CommandError, ExpressionError: a value is unknown, or what comes out is one number but not a whole one.
    """
    number = whole_number(whole_in(session, text) if is_value(text) else text)  # a value alone has all its digits
    if number is not None:
        return number
    check_values(session, text)
    try:
        expression = parse_with_values(session, text, ())
        known = values_in(session, expression)
        values = {name: shortest(each) if each.dtype == np.float32 else each for name, each in known.items()}
        value = value_in(expression, Scope({}), "float64", values)
    except ExpressionError:
        return None
    if value.ndim or value.dtype == bool or not np.isfinite(value) or isinstance(expression.tree, ast.Constant):
        return None
    if value != np.floor(value):
        raise CommandError(f"'{text[:40]}' is {value}, not a whole number", "floor(...) is the next whole number below")
    return int(value)


def parse_step(text: str, session: Session, of: Branch | None = None) -> int:
    """A step of the branch in force or of another one: a number, `start`, `end`, or from where we stand, as +5 and -5."""
    branch, here = of or session.debugger.branch, session.debugger.step
    text = whole_in(session, text)
    if text in ("start", "end"):
        return branch.start if text == "start" else branch.end
    number = whole_number(text)
    if number is None:
        raise CommandError(f"'{text[:40]}' is not a step", "type a step such as 40, or start, end, +5, -5")
    if text[0] == "-" and here + number < branch.start:
        raise CommandError(f"{-number} back from step {here} is before step {branch.start}", "start is the first step")
    return here + number if text[0] in "+-" else number


@dataclass(frozen=True, slots=True)
class Place:
    """A step, of a branch or of the one in force; or a checkpoint, which is there."""

    step: int
    branch: str | None = None
    checkpoint: Checkpoint | None = None


def parse_place(text: str, session: Session) -> Place:
    """A step as `parse_step` reads it, `min`, a checkpoint, a branch (its end), BRANCH:STEP or BRANCH:min."""
    debugger = session.debugger
    text = whole_in(session, text)
    name, colon, step = text.partition(":")
    if name in debugger.timeline.branches:
        return _place_on(name, step, session)
    if colon:
        debugger.timeline.branch(name)
    if text == "min":
        return Place(lowest_step(debugger, debugger.branch))
    if text in debugger.checkpoints.names:
        checkpoint = debugger.checkpoints.find(text)
        return Place(checkpoint.position.step, checkpoint.position.branch, checkpoint)
    if whole_number(text) is not None or text in ENDS:
        return Place(parse_step(text, session))
    near = did_you_mean(text, [*debugger.timeline.branches, *debugger.checkpoints.names]) or did_you_mean(text, ENDS)
    listed = f"branches: {', '.join(debugger.timeline.branches)[:60]}"
    hint = near or f"type a step such as 40, or start, end, min, +5, -5; {listed}"
    raise CommandError(f"'{text[:40]}' is neither a step nor a branch", hint)


def _place_on(name: str, step: str, session: Session) -> Place:
    """A step of the branch `name`: its end where none is given."""
    branch = session.debugger.timeline.branches[name]
    if step == "min":
        return Place(lowest_step(session.debugger, branch), name)
    if step in ("", "end", "start"):
        return Place(branch.start if step == "start" else branch.end, name)
    number = whole_number(step)
    if number is None:
        raise CommandError(f"'{step[:40]}' is not a step", f"for example {name}:40, or {name} alone for its end")
    return Place(number, name)


def check_span(first: int, last: int, branch: Branch) -> None:
    """See that steps `first` to `last` of a branch are some.

    Raises:
        CommandError: they are none.
    """
    if first > branch.end:
        raise CommandError(f"there is no step {first}", f"{branch.name} has {branch.start} to {branch.end}")
    if first > last:
        raise CommandError(f"there are no steps {first} to {last}", "give the earlier step first")


def whole_number(text: str) -> int | None:
    """A whole number as people write it: 1000, 1_000 or 1e3; None for anything else."""
    plain = text.replace("_", "")
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        value = float(plain)
        return int(value) if value == int(value) else None
    except (ValueError, OverflowError):
        return None


def parse_condition(text: str, session: Session) -> Expression:
    """A truth value of a point, with or without a leading `if`."""
    word, _, rest = text.partition(" ")
    if word == "if" or text.startswith("if("):
        text = rest if word == "if" else text[2:]
    return session.debugger.condition(with_digits(session, text))


def parse_ids(text: str, session: Session) -> tuple[int, ...]:
    """Numbers of breakpoints or displays, separated by blanks or commas; 2-4 is 2, 3 and 4."""
    ids: list[int] = []
    for word in whole_in(session, text).replace(",", " ").split():
        first, dash, last = word.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(word) > 12:
            raise CommandError(f"'{word[:40]}' is not a number", "numbers are listed by info break and info display")
        ids += range(int(first), min(int(last or first), int(first) + 1000) + 1)
    return tuple(dict.fromkeys(ids))


def complete_expression(session: Session) -> Iterable[str]:
    """Names and functions."""
    slots = session.debugger.slots() if session.ready else {}
    named = dict.fromkeys(f"slot.{name}" for name, owner in slots if owner is not None)
    kept = [f"${name}" for name in dict.fromkeys([*session.kept.named, *FRAME_VALUES])]
    return [
        *session.complete_names(),
        *kept,
        *POINT_NAMES,
        *POINT_FUNCTIONS,
        *FUNCTIONS,
        *NAMED_CONSTANTS,
        *(named or ["slot."]),
    ]


def complete_files(session: Session) -> Iterable[str]:
    """A mark: the shell completes the names of files, which depend on what is typed of one."""
    return ()


def complete_steps(session: Session) -> Iterable[str]:
    """The ends, and where we stand."""
    return ["start", "end", *([str(session.debugger.step)] if session.ready else [])]


def _numbers(session: Session) -> Iterable[str]:
    return ["1", "10", "100", "1000"]


def complete_values(session: Session, head: str) -> Iterable[str]:
    """Convenience values, in a count that is computed."""
    return [f"${name}" for name in session.kept.named]


def _stop_ids(session: Session) -> Iterable[str]:
    return [str(item.id) for item in session.debugger.stops] if session.ready else []


def _display_ids(session: Session) -> Iterable[str]:
    return [str(item.id) for item in session.displays]


def complete_branches(session: Session) -> Iterable[str]:
    """The branches."""
    return list(session.debugger.timeline.branches) if session.ready else []


def _places(session: Session) -> Iterable[str]:
    marks = session.debugger.checkpoints.names if session.ready else []
    return [*complete_steps(session), "min", *complete_branches(session), *marks]


def plain(text: str, session: Session) -> str:
    """The text itself."""
    return text


def parse_path(text: str, session: Session) -> Path:
    """A file; ~ is the home folder."""
    try:
        path = Path(text.strip("\"'")).expanduser()
        name = os.fsencode(path)
    except (RuntimeError, ValueError):  # ~nobody, or what no file can be called
        name = b""
    if name in (b"", b".") or b"\0" in name or path.name in ("", ".."):
        raise CommandError(f"'{text[:40]}' is not the name of a file", "for example hill.gds")
    return path


Count = Annotated[int, Argument("count", parse_count, _numbers, rest=True, after=complete_values)]
Step = Annotated[int, Argument("step", parse_step, complete_steps)]
Where = Annotated[Place, Argument("step", parse_place, _places)]
Condition = Annotated[
    Expression,
    Argument(
        "condition",
        parse_condition,
        lambda session: ["if", *complete_expression(session)],
        rest=True,
        after=lambda session, head: complete_expression(session),
    ),
]
StopIds = Annotated[tuple[int, ...], Argument("ids", parse_ids, _stop_ids, rest=True)]
DisplayIds = Annotated[tuple[int, ...], Argument("ids", parse_ids, _display_ids, rest=True)]
Ask = Annotated[
    Expression,
    Argument(
        "expression", lambda text, session: session.debugger.parse(with_digits(session, text)), complete_expression, rest=True
    ),
]
Question = Annotated[
    Expression,
    Argument("expression", lambda text, session: parse_question(session, text), complete_expression, rest=True),
]
LossText = Annotated[
    str,
    Argument(
        "expression",
        lambda text, session: with_digits(session, text.removeprefix("=").lstrip()),
        complete_expression,
        rest=True,
    ),
]
ABranch = Annotated[str, Argument("name", lambda text, session: session.debugger.timeline.branch(text).name, complete_branches)]
FilePath = Annotated[Path, Argument("file", parse_path, complete_files, rest=True)]
CommandName = Annotated[
    str,
    Argument("command", plain, lambda session: ["all", *registry.commands, *session.own.names(), *sorted(TOPICS)], rest=True),
]
Word = Annotated[str, Argument("word", plain, rest=True)]

TOPICS = (
    "branches",
    "expressions",
    "functions",
    "optimizers",
    "problems",
    "schedules",
    "scripts",
    "sessions",
    "stability",
    "stops",
    "time",
)
"""Help topics that are not commands."""
