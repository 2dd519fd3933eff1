"""The command that tries rising learning rates aside: lrfind."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from gdrepl.commands.arguments import parse_count
from gdrepl.commands.kept import with_digits
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.session import Session
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import parse_value
from gdrepl.insight.rate_range import BEYOND, LEAST_RATE, MOST_RATE, RATES, LearningRateRange, range_test

_FEWEST, _MOST = 10, 1000
_EXAMPLE = "for example lrfind 1e-6 10, or lrfind 1e-6 10 in 200"
_RANGE = re.compile(r"(?:from\s+)?(?P<low>\S+)\s+(?:to\s+)?(?P<high>\S+)")
_IN = re.compile(r"(?:^|\s)in(?:\s+(?P<count>.*))?$")


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates to try: `count` of them from `low` to `high`, each the same factor above the one before, and on to `beyond`."""

    low: float = LEAST_RATE
    high: float = MOST_RATE
    count: int = RATES
    beyond: float = BEYOND


def parse_rates(text: str, session: Session) -> Rates:
    """`1e-6 10`, `1e-6 10 in 200` or `in 200`; also `from 1e-6 to 10`.

    Raises:
        CommandError: it is something else, the rates do not rise, or they are too few or too many.
    """
    text = with_digits(session, text.strip())
    option = _IN.search(text)
    count = _count(option["count"] or "", session) if option else RATES
    text = text[: option.start()].strip() if option else text
    if not text:
        return Rates(count=count)
    given = _RANGE.fullmatch(text)
    if given is None:
        raise CommandError(f"'{text[:40]}' is not a range of rates", _EXAMPLE)
    low, high = (_rate(given[name], session) for name in ("low", "high"))
    if not low < high:
        raise CommandError(f"the rates must rise: {given['high'][:20]} is not above {given['low'][:20]}", _EXAMPLE)
    return Rates(low, high, count, high)


def _count(text: str, session: Session) -> int:
    if not text:
        raise CommandError("'in' needs a number of rates after it", _EXAMPLE)
    count = parse_count(text, session)
    if not _FEWEST <= count <= _MOST:
        raise CommandError(f"lrfind tries {_FEWEST} to {_MOST} rates, not {count}", _EXAMPLE)
    return count


def _rate(text: str, session: Session) -> float:
    """A rate that the optimizer can take: above zero, also once it is rounded to the type of the problem."""
    try:
        value = parse_value(text)
    except ExpressionError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value > 0 and math.isfinite(value)):
        raise CommandError(f"'{text[:40]}' is not a learning rate", _EXAMPLE)
    dtype = session.debugger.problem.dtype
    if not float(np.finfo(dtype).tiny) <= value <= float(np.finfo(dtype).max):
        raise CommandError(f"the rate {text[:40]} is not a number that {dtype} holds", _EXAMPLE)
    return float(value)


def _choices(session: Session) -> Iterable[str]:
    return [f"{LEAST_RATE:g} {MOST_RATE:g}", "in"]


Range = Annotated[Rates, Argument("rates", parse_rates, _choices, rest=True, after=lambda session, head: ["in"])]


@registry.command("lrfind", group="insight", repeats=True, asks=True, syntax="[FROM TO] [in N]")
def lrfind(session: Session, rates: Range = Rates()) -> LearningRateRange:
    """Try rising learning rates aside, one update each, and show which of them the loss speaks for.

    A range test: from here, with the slots that are true here, 100 updates are made, the first with a rate of 1e-6, the last
    with 10, each rate the same factor above the one before; while the loss has not diverged it goes on, to 1e4 at most. Nothing
    of it stays. `lrfind 1e-4 1` has other ends, `in 200` more rates; a schedule gives way to them, and where gradients are
    accumulated each rate gets as many updates as make one.

    The chart shows the loss after each update over its rate. It begins to fall where rates are large enough to matter, and
    rises where they are too large. The test ends with a loss that has diverged: above four times the lowest so far (one below
    zero may rise by three times its size), or not finite. Two rates are suggested:
      steepest   where the lowest loss so far, smoothed over five rates, falls fastest
                 over the logarithm of the rate
      min/10     a tenth of the rate of the lowest loss, with room below what diverges
    Both are for a start: the rates before have moved the parameters already, so that what is seen at a rate is not what many
    updates at that rate do. `whatif lr 0.1 0.3` tries them for longer.

    Nothing is suggested of a loss that hardly falls, never falls, or falls so far below zero that it may have no floor. SGD and
    RMSprop keep the rate within their momentum: what they have gathered moves the parameters on at any rate, and where that
    makes much of the loss it is said.

    The test is that of Smith, Cyclical Learning Rates for Training Neural Networks (2015), the exponential rise and both
    suggestions are after fastai's LRFinder (fastai/callback/schedule.py).

    Example: lrfind 1e-4 10
    """
    return range_test(session.debugger, rates.low, rates.high, rates.count, rates.beyond)
