"""print: an expression here, at a past step, or over past steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from gdrepl.commands.arguments import (
    Place,
    complete_branches,
    complete_expression,
    parse_count,
    parse_place,
    parse_step,
    whole_number,
)
from gdrepl.commands.kept import parse_question
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Printed
from gdrepl.commands.session import Session
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.engine.timeline import Branch
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import Expression
from gdrepl.insight.hindsight import values_at

MOST_STEPS = 10_000

_AT = re.compile(r"(?P<what>.*\S)\s+at\s+(?P<place>\S+)")
_OVER = re.compile(r"(?P<what>.*\S)\s+over\s+(?P<span>\S+)(?:\s+every\s+(?P<every>\S+))?")
_UNFINISHED = re.compile(r".*\s(?P<word>at|over|every)(\s.*)?")


@dataclass(frozen=True, slots=True)
class Question:
    """An expression, and the steps to ask it at: one place, or from `first` to `last` of `branch`; neither is here."""

    expression: Expression
    place: Place | None = None
    first: int | None = None
    last: int | None = None
    every: int = 1
    branch: str | None = None


def parse_print(text: str, session: Session) -> Question:
    """`EXPR`, `EXPR at STEP`, or `EXPR over A:B every N`, `over BRANCH`, `over BRANCH:A:B`."""
    over, at = _OVER.fullmatch(text), _AT.fullmatch(text)
    if over is not None:
        return _over(over, session)
    if at is not None:
        return Question(parse_question(session, at["what"]), parse_place(at["place"], session))
    try:
        return Question(parse_question(session, text))
    except ExpressionError as error:
        unfinished = _UNFINISHED.fullmatch(text)
        if unfinished is not None:
            error.hint = "for example print x at 40, print x over 0:100 every 10"
        raise


def _over(over: re.Match[str], session: Session) -> Question:
    name, low, high = _span(over["span"], session)
    branch = session.debugger.timeline.branch(name or session.debugger.position.branch)
    first = parse_step(low, session, branch) if low else branch.start
    last = parse_step(high, session, branch) if high else branch.end
    every = parse_count(over["every"], session) if over["every"] else 1
    return Question(parse_question(session, over["what"]), None, first, last, every, branch.name)


def _span(text: str, session: Session) -> tuple[str, str, str]:
    """Branch, first and last step of `A:B`, `BRANCH` or `BRANCH:A:B`; empty where they are not given."""
    parts = text.split(":")
    if len(parts) == 2 and parts[0] not in session.debugger.timeline.branches:
        return "", parts[0], parts[1]
    if len(parts) not in (1, 3) or whole_number(text) is not None:
        raise CommandError(f"'{text[:40]}' is not a range of steps", "for example print x over 0:40, print x over main:0:40")
    return parts[0], *(parts[1:] if len(parts) == 3 else ("", ""))


def _after(session: Session, head: str) -> Sequence[str]:
    if head.split()[-1:] == ["over"]:
        return list(complete_branches(session))
    words = [word for word in ("at", "over", "every") if word not in head.split()]
    return [*complete_expression(session), *words]


What = Annotated[Question, Argument("expression", parse_print, complete_expression, rest=True, after=_after)]


@registry.command("print", "p", group="data", repeats=True, syntax="EXPRESSION [at STEP | over [BRANCH:]A:B [every N]]")
def print_(session: Session, question: What) -> Printed:
    """Compute EXPRESSION at this point, or at past ones.

    It may use the parameters and constants, loss, lr, step, grad(x), update(x), prev(...), slot.NAME and the functions of
    `help expressions`; also what var and const have defined and no loss reads yet.

    `print E at 40` and `print E over 0:100 every 10` compute at past steps what nobody recorded, to the last bit as it was
    there; we stay where we are. STEP is as in goto. The steps are those of the branch in force; `over BRANCH` and
    `over BRANCH:0:100` are those of another one.

    Each value is kept: $1 is the first, $ the last, $$ the one before, $$3 the third before. The last 1000 values of up to
    10000 numbers each are kept; `info values` lists them, `set $name = EXPR` gives one a name. In a stop, a display or a loss
    a value is put in as it is when that is set.

    Example: print norm(grad)
    """
    expression = question.expression
    steps: list[int] = []
    if question.first is not None and question.last is not None:
        branch = _branch_of(session, question.branch)
        steps = _steps(session, question.first, question.last, question.every, branch)
        value = _stacked(expression, _values(session, expression, steps, branch))
    elif question.place is not None:
        branch = _branch_of(session, question.place.branch)
        value = _values(session, expression, [question.place.step], branch)[0]
    else:
        value = session.ask(expression)
    session.kept = session.kept.with_printed(value)
    return Printed(expression.text + _where(session, question), value, tuple(steps), session.kept.last)


def _where(session: Session, question: Question) -> str:
    """What to say of where it was asked; the steps of a range stand beside it."""
    place = question.place
    branch = question.branch if place is None else place.branch
    elsewhere = branch if branch != session.debugger.position.branch else None
    if place is not None:
        return f" at {elsewhere}:{place.step}" if elsewhere else f" at {place.step}"
    return f" over {elsewhere}" if elsewhere else ""


def _branch_of(session: Session, name: str | None) -> Branch:
    """The branch of that name, or the one in force.

    Raises:
        CommandError: it is of another problem than that in force.
    """
    debugger = session.debugger
    branch = debugger.timeline.branch(name or debugger.position.branch)
    if branch.stretches[-1].segment.recipe.problem.program_key != debugger.problem.program_key:
        raise CommandError(f"branch {branch.name} is of another problem", f"goto {branch.name}, then print")
    return branch


def _range(session: Session, first: int, last: int, branch: Branch) -> str:
    """A range as it is typed behind `over`."""
    return f"{first}:{last}" if branch is session.debugger.branch else f"{branch.name}:{first}:{last}"


def _steps(session: Session, first: int, last: int, every: int, branch: Branch) -> list[int]:
    if first > last:
        raise CommandError(f"there are no steps {first} to {last}", "give the earlier step first")
    branch.holding(first)
    branch.holding(last)
    count = (last - first) // every + 1
    if count > MOST_STEPS:
        coarser = -(-(last - first + 1) // 1_000)
        raise CommandError(
            f"steps {first} to {last} are {count} to compute; {MOST_STEPS} are allowed",
            f"over {_range(session, first, last, branch)} every {coarser}",
        )
    return list(range(first, last + 1, every))


def _values(session: Session, expression: Expression, steps: Sequence[int], branch: Branch) -> list[Array]:
    try:
        return values_at(session.debugger, expression, steps, branch, session.others(expression))
    except ExpressionError as error:
        if steps[0] == branch.start and "no point before" in error.message:
            later = branch.start + 1
            error.hint = (
                f"over {_range(session, later, max(later, steps[-1]), branch)} leaves step {branch.start} out"
                if len(steps) > 1
                else f"at {later} is the first step with one before it"
            )
        raise


def _stacked(expression: Expression, values: Sequence[Array]) -> Array:
    try:
        return frozen(np.stack(values))
    except ValueError:
        raise ExpressionError("the shape changes from step to step", expression.text) from None
