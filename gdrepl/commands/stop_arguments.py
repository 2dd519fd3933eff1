"""How stops are written: conditions with a name, what is watched and by how much, events with thresholds, numbers and names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from gdrepl.commands.arguments import complete_expression, complete_values, parse_condition, whole_value
from gdrepl.commands.kept import whole_in, with_digits
from gdrepl.commands.registry import Argument
from gdrepl.engine.events import EVENTS, Event, make_event
from gdrepl.engine.triggers import Changes, Holds, Occurs, Trigger
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import Expression, parse_value

if TYPE_CHECKING:
    from gdrepl.commands.session import Session

_NAME = re.compile(r"(.*?)\s+as(?:\s+(\S+))?\s*", re.DOTALL)
_IF = re.compile(r"(.*?)(?:^|\s)if(?:\s|(?=\())(.*)", re.DOTALL)
_BY = re.compile(r"(.*?\S)\s+by(?:\s+(\S.*))?", re.DOTALL)
_THRESHOLD = re.compile(r"([A-Za-z][\w-]*)\s*=\s*(\S+)")


@dataclass(frozen=True, slots=True)
class StopWish:
    """The stops to set: their triggers, the condition that must hold too, and the name."""

    triggers: tuple[Trigger, ...]
    condition: Expression | None = None
    name: str = ""


def is_name(text: str) -> bool:
    """Whether a stop can be called so."""
    return len(text) <= 40 and re.fullmatch(r"[A-Za-z][\w-]*", text) is not None


def _named(text: str) -> tuple[str, str]:
    """A text, and the name behind its last `as`."""
    match = _NAME.fullmatch(text)
    if match is None:
        return text, ""
    name = match[2] or ""
    if name in ("all", "once", "checkpoint", "checkpoints", "cp"):
        raise CommandError(f"'{name}' cannot be the name of a stop", "commands of stops use that word; choose another")
    if not name:
        raise CommandError("as needs a name after it", "for example as low; a name is letters, digits, - and _")
    if not is_name(name):
        raise CommandError(f"'{name[:40]}' cannot be the name of a stop", "a name is letters, digits, - and _, such as as-low")
    return match[1], name


def _guarded(text: str, session: Session) -> tuple[str, Expression | None]:
    """A text, and the condition behind its `if`."""
    match = _IF.fullmatch(text)
    return (text, None) if match is None else (match[1].strip(), parse_condition(match[2], session))


def parse_break(text: str, session: Session) -> StopWish:
    """`if loss < 1e-3`, `x > 50 as overshoot`."""
    condition, name = _named(text)
    return StopWish((Holds(parse_condition(condition, session)),), None, name)


def parse_watch(text: str, session: Session) -> StopWish:
    """`sign(x - 50)`, `norm(grad) by 0.5`, `x if step > 10 as late`."""
    text, name = _named(text)
    text, condition = _guarded(text, session)
    moved = _BY.fullmatch(text)
    by = None if moved is None else _distance(with_digits(session, moved[2] or ""))
    expression = session.debugger.parse(with_digits(session, text if moved is None else moved[1]))
    anchor = None if by is None else session.debugger.ask(expression)
    if anchor is not None and anchor.dtype == bool:
        raise CommandError("a truth value does not move by a distance", f"watch {expression.text[:40]} stops when it changes")
    trigger = Changes(expression, by, anchor)
    session.debugger.checks.check(trigger, session.debugger.recipe)
    return StopWish((trigger,), condition, name)


def _distance(text: str) -> float:
    if not text:
        raise CommandError("by needs a distance after it", "a number above 0, such as watch x by 0.5")
    if re.search(r"(^|\s)by(\s|$)", text):
        raise CommandError("by is given twice", "give one distance, such as watch x by 0.5")
    try:
        value = parse_value(text)
    except ExpressionError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise CommandError(f"'{text[:40]}' is not a distance", "by is followed by a number above 0, such as watch x by 0.5")
    return float(value)


def parse_catch(text: str, session: Session) -> StopWish:
    """`plateau patience=50 rtol=1e-4`, `divergence if step > 10 as late`, `all`."""
    text, name = _named(text)
    text, condition = _guarded(text, session)
    word, _, rest = text.partition(" ")
    given = _thresholds(with_digits(session, rest))
    if word != "all":
        _suggest_event(word)
        return StopWish((Occurs(make_event(word, given)),), condition, name)
    if given or name:
        raise CommandError("catch all takes neither thresholds nor a name", "for example catch plateau patience=20 as flat")
    caught = {item.trigger.event for item in session.debugger.stops if isinstance(item.trigger, Occurs)}
    events: list[Event] = [kind() for kind in EVENTS.values() if kind() not in caught]
    if not events:
        raise CommandError("all events are caught already", "info break lists them")
    return StopWish(tuple(Occurs(event) for event in events), condition)


SYNONYMS = {
    "non-finite": ("nan", "inf", "infinity", "infinite", "nonfinite", "non_finite", "overflow"),
    "divergence": ("diverge", "diverged", "diverges", "diverging"),
    "explosion": ("explode", "explodes", "exploding", "exploding-gradient", "blowup"),
    "vanishing": ("vanish", "vanished", "vanishes", "vanishing-gradient"),
    "plateau": ("flat", "stall", "stalled", "stuck", "stagnation"),
    "oscillation": ("oscillate", "oscillates", "oscillating", "zigzag"),
    "overshoot": ("overshot", "overshooting", "rise", "increase"),
    "dead": ("zero", "dead-coordinate", "dead-neuron"),
    "update-ratio": ("ratio", "update"),
    "convergence": ("converge", "converged", "converges", "minimum"),
    "clip": ("clipped", "clipping", "clipnorm", "clipvalue"),
    "lr-change": ("lr", "rate", "learning-rate", "learning_rate", "schedule"),
}
"""What people call the events, for a hint."""


def _suggest_event(word: str) -> None:
    """Say what an event is called that people know by another word."""
    meant = next((name for name, words in SYNONYMS.items() if word.lower() in words or word.lower() == name), word)
    if meant != word and word not in EVENTS:
        raise CommandError(f"there is no event '{word[:40]}'", f"catch {meant} stops there; info events lists all")


def _thresholds(text: str) -> dict[str, float]:
    given: dict[str, float] = {}
    rest = text.strip()
    while rest:
        match = _THRESHOLD.match(rest)
        if match is None:
            raise CommandError(
                f"'{rest[:40]}' is not a threshold", "write NAME=NUMBER, such as catch plateau patience=50 rtol=1e-4"
            )
        if match[1] in given:
            raise CommandError(f"{match[1]} is given twice", f"give it once, such as {match[1]}={match[2]}")
        given[match[1]] = _number(match[1], match[2])
        rest = rest[match.end() :].strip()
    return given


def _number(name: str, text: str) -> float:
    try:
        value = parse_value(text)
    except ExpressionError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CommandError(f"{name} cannot be '{text[:40]}'", f"give a number, such as {name}=10")
    return float(value)


def _number_of(name: str, session: Session) -> int:
    stops = session.debugger.stops
    try:
        return stops.number_of(name)
    except CommandError as error:
        named = [item.name for item in stops if item.name]
        listed = f"names: {', '.join(named[:8])}{', ...' if len(named) > 8 else ''}" if named else "no stop has a name"
        near = f"{error.hint} " if error.hint.startswith("did you mean") else ""
        error.hint = f"{near}{listed}; info break lists the numbers"
        raise


def parse_stop_ids(text: str, session: Session) -> tuple[int, ...]:
    """Numbers or names of stops, separated by blanks or commas; 2-4 is 2, 3 and 4."""
    ids: list[int] = []
    for word in whole_in(session, text).replace(",", " ").split():
        first, dash, last = word.partition("-")
        if first.isdecimal() and (not dash or last.isdecimal()) and len(word) <= 12:
            ids += range(int(first), min(int(last or first), int(first) + 1000) + 1)
        elif word[0].isalpha():
            ids.append(_number_of(word, session))
        else:
            raise CommandError(f"'{word[:40]}' is not the number of a stop", "numbers are listed by info break")
    return tuple(dict.fromkeys(ids))


def parse_stop_id(text: str, session: Session) -> int:
    """One stop."""
    ids = parse_stop_ids(text, session)
    if len(ids) != 1:
        raise CommandError(f"'{text[:40]}' is not one stop", "give one number, as info break lists them")
    return session.debugger.stops.get(ids[0]).id


def parse_switch(text: str, session: Session) -> tuple[bool, tuple[int, ...]]:
    """`once 1 2` or `1 2`."""
    word, _, rest = text.partition(" ")
    return (True, parse_stop_ids(rest, session)) if word == "once" else (False, parse_stop_ids(text, session))


def parse_times(text: str, session: Session) -> int:
    """How many times, from 0, also as 2*$n."""
    number = whole_value(text, session)
    if number is None or not 0 <= number <= 10**12:
        raise CommandError(f"'{text[:40]}' is not a number of times", "type a whole number from 0, such as 3")
    return number


def complete_stop_ids(session: Session) -> Iterable[str]:
    """Numbers and names."""
    if not session.ready:
        return []
    return [text for item in session.debugger.stops for text in (str(item.id), item.name) if text]


def _complete_condition(session: Session) -> Iterable[str]:
    return ["if", *complete_expression(session)]


def _complete_thresholds(session: Session, head: str) -> Iterable[str]:
    from dataclasses import fields

    kind = EVENTS.get(head.split()[0]) if head.split() else None
    return [*(f"{each.name}=" for each in (fields(kind) if kind else ())), "if", "as"]


BreakWish = Annotated[
    StopWish,
    Argument(
        "condition",
        parse_break,
        _complete_condition,
        rest=True,
        after=lambda session, head: [*complete_expression(session), "as"],
    ),
]
WatchWish = Annotated[
    StopWish,
    Argument(
        "expression",
        parse_watch,
        complete_expression,
        rest=True,
        after=lambda session, head: [*complete_expression(session), "by", "if", "as"],
    ),
]
CatchWish = Annotated[
    StopWish, Argument("event", parse_catch, lambda session: [*EVENTS, "all"], rest=True, after=_complete_thresholds)
]
StopIds = Annotated[tuple[int, ...], Argument("ids", parse_stop_ids, complete_stop_ids, rest=True)]
StopId = Annotated[int, Argument("id", parse_stop_id, complete_stop_ids)]
Switch = Annotated[
    tuple[bool, tuple[int, ...]],
    Argument("ids", parse_switch, lambda session: ["once", *complete_stop_ids(session)], rest=True),
]
Times = Annotated[int, Argument("times", parse_times, lambda session: ["1", "10", "100"], rest=True, after=complete_values)]
NewCondition = Annotated[
    Expression,
    Argument(
        "condition", parse_condition, _complete_condition, rest=True, after=lambda session, head: complete_expression(session)
    ),
]
