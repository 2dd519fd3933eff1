"""why: where a value that is not finite came from, or why a run ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gdrepl.commands.registry import registry
from gdrepl.commands.session import Session
from gdrepl.engine.debugger import Debugger
from gdrepl.errors import ProblemError
from gdrepl.insight.cause import Why
from gdrepl.insight.nonfinite import bad_slots
from gdrepl.insight.products import until_interrupted
from gdrepl.insight.stability import RateLimit, rate_limit
from gdrepl.insight.why import why as why_not_finite

_RUNS = ("step", "finish", "stepi", "continue", "until", "advance", "run", "reverse-step", "reverse-continue")
"""The commands that run along steps and stop, as they are recorded."""


@registry.command("why", group="insight", repeats=True, asks=True)
def why(session: Session) -> Why:
    """Say where a value that is not finite came from, or else why the last run ended.

    It goes to the first step of the branch that is not finite, and walks the loss there to the first operation whose output is
    not finite while its inputs are. Where the loss is finite and its gradient is not, it names the derivative, such as that of
    a square root at 0; where a parameter is not, it names the slot or the update that overflowed. What led there is told, too:
    the last finite parameters, the rate, the norms of the last five updates, and whether the rate was above the stability
    limit of the local quadratic (`help stability`). Nothing is run again from the start, and we stay where we are.

    A NaN is kept by nearly all that is computed from it, so the first one is the cause (IEEE 754-2019, section 6.2). How a rate
    above the limit makes a descent grow: Y. Nesterov, "Lectures on Convex Optimization", 2018, section 1.2.

    Example: why
    """
    found = why_not_finite(session.debugger, _limit_at)
    return found if found is not None else _all_is_finite(session)


def _limit_at(debugger: Debugger, step: int) -> RateLimit | None:
    """The stability limit of the learning rate at a step; None where the loss has no second derivatives."""
    try:
        return rate_limit(debugger, step, until_interrupted(debugger))
    except ProblemError:
        return None


def _all_is_finite(session: Session) -> Why:
    debugger = session.debugger
    branch = debugger.branch
    notes = [*_last_stop(session)]
    for slot, name in bad_slots(debugger.slots()):
        told = f"slot.{slot}({name})" if name is not None else f"slot.{slot}"
        notes.append(f"{told} is not finite: updates that divide by it are 0; print {told} shows it")
    finite = f"every loss and gradient of branch {branch.name} is finite, steps {branch.start} to {branch.end}"
    elsewhere = [name for name, other in debugger.timeline.branches.items() if not other.stretches[-1].segment.tip.is_finite()]
    others = [
        f"branch {name} ends in a value that is not finite: goto {name}, then why" for name in elsewhere if name != branch.name
    ]
    purpose = f"{finite}; why tells where one that is not came from, and why a run ended"
    return Why(debugger.step, "", "", {}, notes=(*notes, *others, finite if notes else purpose))


def _last_stop(session: Session) -> Iterator[str]:
    """Why the last run ended, from what was recorded of it."""
    for event in reversed(session.events):
        ran = event.result if event.result.get("type") == "Stepped" else event.result.get("stepped")  # or updates of phases
        if isinstance(ran, Mapping) and event.line.partition(" ")[0] in _RUNS:
            stops, point = ran.get("stops"), ran.get("point")
            told = [_told(stop) for stop in stops if isinstance(stop, Mapping)] if isinstance(stops, list | tuple) else []
            if told and isinstance(point, Mapping):
                yield f"'{event.line}' ended at step {point.get('step')}: {'; '.join(told)}"
            return


def _told(stop: Mapping[str, Any]) -> str:
    """One reason why a run ended, in words; what a stranger has put in its place is told as it is."""
    kind, text = str(stop.get("kind", "")), str(stop.get("text", ""))
    if kind == "count":
        return f"{text}, as asked"
    if kind == "start" and text:
        return text
    if kind == "event":
        return f"catchpoint {stop.get('number')}, {text}{_seen(stop.get('evidence'))}"
    name = kind if stop.get("id") is None else f"{kind} {stop['id']}"
    called = f" ({stop['name']})" if stop.get("name") else ""
    return f"{name}{called}{f', {text}' if text else ''}"


def _seen(evidence: Any) -> str:
    """The numbers that an event decided by."""
    numbers = evidence.get("numbers") if isinstance(evidence, Mapping) else None
    if not isinstance(numbers, Mapping) or not numbers:
        return ""
    return f" ({', '.join(f'{name} {value}' for name, value in numbers.items())})"
