"""Commands that ask: whatis, grad, history, info."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from gdrepl.commands.arguments import Question, check_span
from gdrepl.commands.curvature import info_lr
from gdrepl.commands.kept import whole_in
from gdrepl.commands.marks import info_checkpoints
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import (
    Branches,
    BranchInfo,
    ConstantInfo,
    Described,
    Displays,
    Gradient,
    History,
    KeptValues,
    Listed,
    OptimizerInfo,
    OwnCommands,
    ParameterInfo,
    ProblemInfo,
    SessionInfo,
    SlotInfo,
    Stops,
    Variables,
)
from gdrepl.commands.session import Session
from gdrepl.commands.setup import zoo_entry_of
from gdrepl.commands.stop_info import stop_info
from gdrepl.engine import optimizer, zoo
from gdrepl.engine.events import EVENTS
from gdrepl.engine.schedule import schedule_catalogue
from gdrepl.engine.snapshot import norm_of_all
from gdrepl.engine.timeline import Branch
from gdrepl.errors import CommandError, did_you_mean
from gdrepl.expression import Expression
from gdrepl.insight.gradient import chain
from gdrepl.insight.over import every

SHOWN_BY_DEFAULT = 20
MOST_LISTED = 1_000_000


@registry.command("whatis", group="data", repeats=True)
def whatis(session: Session, expression: Question) -> Described:
    """Say what EXPRESSION is, its shape and its dtype.

    Example: whatis x
    """
    value = session.ask(expression)
    return Described(expression.text, _kind(session, expression), tuple(value.shape), str(value.dtype))


def _kind(session: Session, expression: Expression) -> str:
    problem = session.debugger.problem
    if expression.text in problem.parameters:
        return "parameter"
    if expression.text in problem.constants:
        return "constant"
    if expression.text in session.waiting():
        return "waiting for a loss that reads it"
    return "value at a point" if expression.names & {"loss", "lr", "step", "grad", "update"} else "expression"


@registry.command("grad", group="insight", repeats=True)
def grad(session: Session) -> Gradient:
    """Show the gradient here, and where it comes from.

    It is the one that the next update will use. d loss / d parameter is computed by tf.GradientTape. The chain below it
    lists the sub-expressions of the loss, outermost first: the value of each, and d loss / d that value.

    Example: grad
    """
    debugger = session.debugger
    point = debugger.point()
    size = norm_of_all(point.gradient)
    terms = chain(debugger.problem, point.parameters)
    return Gradient(point.gradient, size, point.step, point.loss, debugger.problem.loss.text, point.parameters, terms)


@dataclass(frozen=True, slots=True)
class Range:
    """Which points: from, to (None is the end), and each how-manieth."""

    first: int | None = None
    last: int | None = None
    every: int = 1


_RANGE = re.compile(
    r"(?:(?P<first>(?:-?\d{1,15})?):(?P<last>(?:-?\d{1,15})?)|(?P<count>\d{1,15}))?\s*(?:every\s+(?P<every>\d{1,15}))?"
)


def parse_range(text: str, session: Session) -> Range:
    """`20`, `10:50`, `10:`, `:50`, `-5:` (from 5 before the end), `0:200 every 20`, `every 10`."""
    match = _RANGE.fullmatch(whole_in(session, text.strip()))
    if match is None or (match["every"] is not None and int(match["every"]) < 1):
        raise CommandError(f"'{text[:40]}' is not a range of steps", "type 20, 10:50, 10: or 0:200 every 20")
    every = int(match["every"] or 1)
    end = session.debugger.branch.end
    if match["count"]:
        if int(match["count"]) < 1:
            raise CommandError("no points were asked for", "type a number of points from 1, such as 20")
        return Range(max(0, end - int(match["count"]) + 1), end, every)
    if match["first"] is None:
        return Range(0, end, every)
    first, last = int(match["first"] or 0), int(match["last"] or end)
    return Range(max(0, end + 1 + first) if match["first"][:1] == "-" else first, end + last if last < 0 else last, every)


def _after_range(session: Session, head: str) -> Iterable[str]:
    return () if "every" in head else ("every",)


Steps = Annotated[Range, Argument("range", parse_range, lambda session: ["0:", "every 10"], rest=True, after=_after_range)]


@registry.command("history", group="data", recorded=False, repeats=True)
def history(session: Session, steps: Steps | None = None) -> History:
    """List points: the last 20, 10:50, 0:200 every 20.

    They are the points of the branch in force. `history 5` and `history -5:` list the last 5.

    Example: history 0:10 every 5
    """
    debugger = session.debugger
    branch = debugger.branch
    chosen = steps or Range(max(branch.start, branch.end - SHOWN_BY_DEFAULT + 1), branch.end)
    first, last = max(chosen.first or 0, branch.start), min(branch.end if chosen.last is None else chosen.last, branch.end)
    check_span(first, last, branch)
    if (last - first) // chosen.every >= MOST_LISTED:
        coarser = -(-(last - first + 1) // 1000)
        raise CommandError(f"steps {first} to {last} are too many to list", f"history {first}:{last} every {coarser}")
    columns = every(debugger, first, last, chosen.every)
    points = {
        "step": columns.step,
        "loss": columns.loss,
        "parameters": columns.parameters,
        "gradient": columns.gradient,
        "learning_rate": columns.learning_rate,
    }
    return History(points, branch.name, tuple(sorted(columns.norms)))


def _info_problem(session: Session) -> ProblemInfo:
    debugger = session.debugger
    problem, here = debugger.problem, debugger.point()
    entry = zoo_entry_of(problem)
    first = debugger.branch.stretches[0].segment.start.parameters
    parameters = tuple(
        ParameterInfo(name, value.shape, first.get(name, value), here.parameters[name])
        for name, value in problem.parameters.items()
    )
    constants = []
    for name, value in problem.constants.items():
        origin = problem.origins.get(name)
        constants.append(ConstantInfo(name, value.shape, value, origin.text if origin else "", origin.sha256 if origin else ""))
    facts = (problem.name, problem.loss.text, problem.dtype, debugger.recipe.engine, parameters, tuple(constants))
    if entry is None:
        return ProblemInfo(*facts)
    return ProblemInfo(*facts, entry.description, entry.domain, entry.minimum, entry.minima, entry.source)


def _info_optimizer(session: Session) -> OptimizerInfo:
    debugger = session.debugger
    spec = debugger.spec
    slots = tuple(SlotInfo(slot, parameter, value) for (slot, parameter), value in debugger.slots().items())
    schedule = spec.schedule.text() if spec.schedule else None
    return OptimizerInfo(spec.name, spec.text(), debugger.point().learning_rate, schedule, spec.hyperparameters, slots)


def _info_variables(session: Session) -> Variables:
    info = _info_problem(session)
    return Variables(info.parameters, info.constants)


def _info_break(session: Session) -> Stops:
    return Stops(tuple(stop_info(session, item) for item in session.debugger.stops))


def _info_branches(session: Session) -> Branches:
    debugger = session.debugger
    return Branches(tuple(_branch_info(session, branch) for branch in debugger.timeline.branches.values()))


def _branch_info(session: Session, branch: Branch) -> BranchInfo:
    debugger = session.debugger
    tip = branch.stretches[-1]
    if tip.last == tip.segment.last:
        loss, rate = tip.segment.tip.loss, tip.segment.tip.learning_rate
    else:
        end = debugger.columns(tip.last, tip.last, branch.name)
        loss, rate = end.loss[-1], end.learning_rate[-1]
    recipe = tip.segment.recipe
    current = branch.name == debugger.position.branch
    text = recipe.spec.text()
    return BranchInfo(
        branch.name,
        branch.parent,
        branch.fork_step,
        branch.start,
        branch.end,
        loss,
        current,
        text,
        recipe.problem.loss.text,
        rate,
    )


def _info_display(session: Session) -> Displays:
    return Displays(session.displayed())


def _info_values(session: Session) -> KeptValues:
    kept = session.kept
    printed = [(f"${number}", value) for number, value in kept.numbered()]
    return KeptValues((*printed, *((f"${name}", value) for name, value in kept.named.items())))


def _info_commands(session: Session) -> OwnCommands:
    return OwnCommands(session.own.defined, session.own.aliases)


def _info_session(session: Session) -> SessionInfo:
    debugger = session.debugger
    segments = debugger.timeline.segments()
    held = [segment.nbytes() for segment in segments]
    waiting = session.waiting()
    return SessionInfo(
        {
            "branch": debugger.position.branch,
            "step": debugger.step,
            "branches": len(debugger.timeline.branches),
            "points": debugger.timeline.points(),
            "commands": len(session.events),
            "engine": debugger.recipe.engine,
            "dtype": debugger.problem.dtype,
            "seed": session.seed,
            "max-steps": debugger.max_steps,
            "confirm": "on" if session.settings.confirm else "off",
            "history-limit (MB)": session.settings.history_limit,
            "history in use (MB)": round(sum(map(sum, held)) / 2**20, 3),
            **({"waiting for a loss": ", ".join(waiting)} if waiting else {}),
        }
    )


def _info_optimizers(session: Session) -> Listed:
    usable = [(name, ", ".join(["learning_rate", *optimizer.settable(name)])) for name in sorted(optimizer.catalogue())]
    skipped = [f"{name} ({reason})" for name, reason in optimizer.unavailable().items()]
    return Listed("optimizers of this Keras", tuple(usable), f"not usable here: {', '.join(skipped)}")


def _info_schedules(session: Session) -> Listed:
    names = [
        (name, kind.__doc__.strip().splitlines()[0] if kind.__doc__ else "") for name, kind in schedule_catalogue().items()
    ]
    return Listed(
        "learning-rate schedules of this Keras", tuple(names), "set lr exponential_decay(0.1, decay_steps=100, decay_rate=0.9)"
    )


def _info_problems(session: Session) -> Listed:
    entries = [(name, zoo.entry(name).description) for name in zoo.names()]
    return Listed("problems of the zoo", tuple(entries), "problem NAME puts one in force; some take dim=N")


def _info_events(session: Session) -> Listed:
    entries = []
    for name, kind in EVENTS.items():
        given = ", ".join(f"{key}={value:g}" for key, value in kind().thresholds().items())
        entries.append((name, f"{kind().definition()}{f'   ({given})' if given else ''}"))
    return Listed(
        "events that catch knows", tuple(entries), "catch plateau patience=20 sets a threshold, catch all catches every event"
    )


def _info_settings(session: Session) -> Listed:
    debugger, chosen = session.debugger, session.settings
    values = {
        "max-steps": debugger.max_steps,
        "history-limit": f"{chosen.history_limit} MB",
        "print-precision": chosen.print_precision,
        "confirm": "on" if chosen.confirm else "off",
        "engine": debugger.recipe.engine,
        "dtype": debugger.problem.dtype,
        "seed": session.seed,
    }
    return Listed("settings", tuple((name, str(value)) for name, value in values.items()), "set NAME VALUE changes one")


INFO: Mapping[str, Callable[[Session], Any]] = {
    "problem": _info_problem,
    "optimizer": _info_optimizer,
    "lr": info_lr,
    "variables": _info_variables,
    "break": _info_break,
    "branches": _info_branches,
    "checkpoints": info_checkpoints,
    "display": _info_display,
    "commands": _info_commands,
    "session": _info_session,
    "settings": _info_settings,
    "events": _info_events,
    "values": _info_values,
    "optimizers": _info_optimizers,
    "schedules": _info_schedules,
    "problems": _info_problems,
}
_OTHER_NAMES = {
    "breakpoints": "break",
    "b": "break",
    "stops": "break",
    "locals": "variables",
    "vars": "variables",
    "opt": "optimizer",
    "learning_rate": "lr",
    "rate": "lr",
}


def parse_topic(text: str, session: Session) -> str:
    """A topic of info, a short form of one, or a unique prefix."""
    if text in INFO or text in _OTHER_NAMES:
        return _OTHER_NAMES.get(text, text)
    near = sorted((topic for topic in INFO if topic.startswith(text)), key=len)
    if near and all(topic.startswith(near[0]) for topic in near):  # "optimizer" stands for itself beside "optimizers"
        return near[0]
    if near:
        raise CommandError(f"'{text}' could be {', '.join(near)}", "type more of it")
    raise CommandError(f"info knows nothing of '{text[:40]}'", did_you_mean(text, INFO) or f"topics: {', '.join(INFO)}")


Topic = Annotated[str, Argument("what", parse_topic, lambda session: list(INFO))]


@registry.command("info", "i", group="data", repeats=True)
def info(session: Session, what: Topic | None = None) -> Any:
    """Show all about WHAT.

    WHAT is problem, optimizer, lr, variables, break, branches, checkpoints, display, values, commands or session, or one of
    the lists events, optimizers, schedules and problems, which tell what there is to choose from. `info lr` compares the
    learning rate with the one up to which the optimizer is stable here: see `help stability`.

    Example: info optimizer
    """
    if what is None:
        raise CommandError("info of what?", f"topics: {', '.join(INFO)}")
    return INFO[what](session)
