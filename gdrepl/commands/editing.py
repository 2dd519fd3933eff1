"""The command that changes what is being run: set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np

from gdrepl.commands.arguments import parse_count, whole_number
from gdrepl.commands.assignment import Assignment, parse_setting
from gdrepl.commands.kept import check_value_name, parse_question, whole_in, with_digits
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Changed
from gdrepl.commands.session import Session
from gdrepl.commands.values import is_call, is_schedule, make_schedule, make_spec
from gdrepl.engine import optimizer
from gdrepl.engine.problem import make_problem
from gdrepl.engine.program import ENGINES
from gdrepl.errors import CommandError, ExpressionError, did_you_mean
from gdrepl.expression import FUNCTIONS, POINT_FUNCTIONS, Call, parse_call, parse_value


def _settable(session: Session) -> list[str]:
    names = ["lr", "learning_rate", "optimizer", *SETTINGS]
    if session.ready:
        names += [*session.debugger.problem.parameters, *optimizer.settable(session.debugger.spec.name)]
    return names


Setting = Annotated[Assignment, Argument("what value", parse_setting, _settable, rest=True)]


@registry.command("set", group="editing")
def set_(session: Session, what: Setting) -> Changed:
    """Change lr, optimizer, a parameter, a setting.

    `set lr 0.1`, `set lr cosine_decay(0.1, decay_steps=100)`, `set optimizer adam(beta_1=0.8)`, `set clipnorm 1`,
    `set x 7`, `set w[0] 3`, and the settings max-steps, history-limit (MB), print-precision,
    confirm (on or off), engine, dtype and seed. Within history-limit lie the points and snapshots of all branches, those of
    checkpoints too; what does not fit is computed again when it is asked for. info session shows how much is in use.
    `set $name = EXPR` keeps a value for later expressions: print x - $name. It is no change of what is being run.
    Any other change is an event of the timeline: going back across it restores what was in force then, and a change made in
    the past begins a new branch. A new optimizer begins with new slots and keeps the learning rate unless it is given one.

    Example: set lr 0.1
    """
    if what.name.startswith("$"):
        return _set_value(session, what)
    if what.name in session.debugger.problem.parameters:
        return _set_parameter(session, what)
    if what.index:
        raise CommandError(
            f"there is no parameter '{what.name}'", f"parameters: {', '.join(session.debugger.problem.parameters)}"
        )
    if what.name in ("lr", "learning_rate"):
        return _set_rate(session, what.value)
    if what.name == "optimizer":
        return _set_optimizer(session, what.value)
    if what.name in SETTINGS:
        return SETTINGS[what.name](session, whole_in(session, what.value))
    if what.name in optimizer.settable(session.debugger.spec.name):
        return _set_hyperparameter(session, what.name, what.value)
    for word, waiting in (("var", session.definitions.variables), ("const", session.definitions.constants)):
        if what.name in waiting:
            hint = f"type {word} {what.name} = {what.value[:40]}"
            raise CommandError(f"'{what.name}' is no parameter of the problem in force", hint)
    raise _nothing_to_set(session, what.name)


def _nothing_to_set(session: Session, name: str) -> CommandError:
    """Why `name` cannot be set: it belongs to other optimizers, or is misspelt."""
    own = session.debugger.spec.name
    owners = [kind for kind in sorted(optimizer.catalogue()) if name in optimizer.settable(kind)]
    if owners:
        listed = f"{', '.join(owners[:4])}{' and others' if len(owners) > 4 else ''}"
        hint = f"{listed} {'have it' if len(owners) > 1 else 'has it'}: set optimizer {owners[0].lower()}({name}=...)"
        return CommandError(f"{own} has no {name}", hint)
    lists = "info variables lists the parameters, info optimizer its hyperparameters"
    hint = did_you_mean(name.lower(), _settable(session)) or lists
    return CommandError(f"there is nothing to set called '{name[:40]}'", hint)


def _label(what: str, value: str) -> str:
    return f"set {what} {value}"


def _set_parameter(session: Session, what: Assignment) -> Changed:
    debugger, branch = session.debugger, session.debugger.position.branch
    before = debugger.point().parameters[what.name]
    _refuse_non_finite(what.name, what.value)
    given = session.ask(parse_question(session, what.value))
    if given.dtype == bool:
        raise CommandError(f"{what.name} is a number, not a condition")
    if not np.isfinite(given).all():
        raise CommandError(f"{what.name}{what.index} would be {given}", "give a finite number, such as 7")
    value = np.array(before)
    target = value[_index(what, value)] if what.index else value
    if given.shape not in ((), np.shape(target)):
        raise CommandError(
            f"{what.name}{what.index} has shape {np.shape(target)}, the value {given.shape}",
            "give the same shape, or one number",
        )
    value[_index(what, value) if what.index else ...] = given
    debugger.set_parameter(what.name, value, _label(what.name + what.index, what.value))
    return Changed(what.name + what.index, before, debugger.point().parameters[what.name], _branch_note(session, branch))


def _set_value(session: Session, what: Assignment) -> Changed:
    name = check_value_name(what.name[1:])
    if what.index:
        raise CommandError(f"set ${name} whole", f"for example set ${name} = {what.value[:40]}")
    before = session.kept.named.get(name)
    value = session.ask(parse_question(session, what.value))
    session.kept = session.kept.with_named(name, value)
    return Changed(f"${name}", before, value)


def _refuse_non_finite(name: str, text: str) -> None:
    if text.strip().lstrip("+-").lower() in ("inf", "infinity", "nan"):
        raise CommandError(f"{name} must be finite, not {text.strip()[:20]}", f"for example set {name} 0.1")


def _index(what: Assignment, array: Any) -> tuple[Any, ...]:
    inner = what.index[1:-1]
    try:
        places = tuple(slice(*(int(n) if n.strip() else None for n in part.split(":"))) if ":" in part else int(part)
                       for part in inner.split(","))  # fmt: skip
        array[places]
    except (ValueError, IndexError, TypeError):
        raise CommandError(
            f"the index {what.index} does not fit {what.name} of shape {array.shape}",
            f"for example set {what.name}[0] 3" if array.shape else f"set {what.name} 3",
        ) from None
    return places


def _branch_note(session: Session, before: str) -> tuple[str, ...]:
    """Say so when a change made on branch `before` began a new one."""
    branch = session.debugger.branch
    return () if branch.name == before else (f"on branch {branch.name}, from step {branch.fork_step} of {branch.parent}",)


def _set_rate(session: Session, value: str) -> Changed:
    debugger, branch = session.debugger, session.debugger.position.branch
    before = debugger.spec.rate
    _refuse_non_finite("lr", value)
    if is_schedule(value):
        raise CommandError(f"{value} needs arguments", "for example exponential_decay(0.1, decay_steps=100, decay_rate=0.9)")
    if is_call(value) and value.split("(")[0].strip() not in (*FUNCTIONS, *POINT_FUNCTIONS):
        debugger.set_learning_rate(make_schedule(parse_call(value)), _label("lr", value))
    else:
        debugger.set_learning_rate(_number(session, value), _label("lr", value))
    return Changed("lr", _shown_rate(before), _shown_rate(debugger.spec.rate), _branch_note(session, branch))


def _shown_rate(rate: Any) -> Any:
    return rate if isinstance(rate, float) else rate.text()


def _number(session: Session, text: str) -> float:
    """A number as typed, or what an expression such as lr/10 gives here."""
    try:
        value = parse_value(text)
    except ExpressionError:
        asked = session.ask(parse_question(session, text))
        if asked.shape != () or asked.dtype == bool:
            raise CommandError(f"'{text[:40]}' is not one number") from None
        return float(str(asked))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CommandError(f"'{text[:40]}' is not a number", "for example 0.1 or lr/10")
    return float(value)


def _set_optimizer(session: Session, value: str) -> Changed:
    debugger, branch = session.debugger, session.debugger.position.branch
    before = debugger.spec
    spec = make_spec(value, before.rate)
    debugger.set_optimizer(spec, _label("optimizer", value))
    return Changed(
        "optimizer",
        before.text(),
        debugger.spec.text(),
        ("its slots are new", *_schedule_note(session), *_branch_note(session, branch), *debugger.warnings()),
    )


def _schedule_note(session: Session) -> tuple[str, ...]:
    """Say so when the learning rate is that of the beginning of a schedule: it counts the optimizer's own updates."""
    debugger = session.debugger
    rate = str(debugger.point().learning_rate)  # in its own digits
    return () if debugger.spec.schedule is None else (f"its schedule begins with it: lr is {rate}",)


def _set_hyperparameter(session: Session, name: str, value: str) -> Changed:
    debugger, branch = session.debugger, session.debugger.position.branch
    before = debugger.spec.hyperparameters[name]
    parsed = parse_value(with_digits(session, value), allow_call=True)
    debugger.set_hyperparameter(name, parsed.name if isinstance(parsed, Call) else parsed, _label(name, value))
    return Changed(name, before, debugger.spec.hyperparameters[name], _branch_note(session, branch))


def _whole(name: str, text: str, low: int, high: int) -> int:
    """A whole number that a setting may be.

    Raises:
        CommandError: it is none, or outside of low to high.
    """
    number = whole_number(text)
    if number is None or not low <= number <= high:
        raise CommandError(f"{name} cannot be '{text[:40]}'", f"{name} is a whole number from {low} to {high}")
    return number


def _set_max_steps(session: Session, value: str) -> Changed:
    before, session.debugger.max_steps = session.debugger.max_steps, parse_count(value, session)
    return Changed("max-steps", before, session.debugger.max_steps)


def _set_history_limit(session: Session, value: str) -> Changed:
    megabytes = _whole("history-limit", value.removesuffix("MB").strip(), 1, 1_000_000)
    before, session.settings.history_limit = session.settings.history_limit, megabytes
    session.debugger.timeline.limit_bytes = megabytes * 2**20
    session.debugger.timeline.trim()
    return Changed("history-limit", before, megabytes)


def _set_precision(session: Session, value: str) -> Changed:
    digits = _whole("print-precision", value, 1, 17)
    before, session.settings.print_precision = session.settings.print_precision, digits
    return Changed("print-precision", before, digits)


def _set_engine(session: Session, value: str) -> Changed:
    debugger, branch = session.debugger, session.debugger.position.branch
    if value not in ENGINES:
        raise CommandError(f"unknown engine '{value[:40]}'", ", ".join(ENGINES))
    before = debugger.recipe.engine
    debugger.set_engine(value, _label("engine", value))
    notes = ("engines differ in the last bits",) if value != before else ()
    return Changed("engine", before, value, (*notes, *_branch_note(session, branch)))


def _set_dtype(session: Session, value: str) -> Changed:
    problem = session.debugger.problem
    if value == problem.dtype:
        return Changed("dtype", value, value)
    typed = session.definitions.at(problem)
    new = make_problem(problem.loss.text, typed.variables, typed.constants, value, problem.name, typed.origins)
    session.debugger.set_problem(new, _label("dtype", value))
    return Changed("dtype", problem.dtype, value, ("begun again at step 0", *session.debugger.warnings()))


def _set_confirm(session: Session, value: str) -> Changed:
    if value not in ("on", "off"):
        raise CommandError(f"confirm cannot be '{value[:40]}'", "confirm is on or off")
    before, session.settings.confirm = session.settings.confirm, value == "on"
    return Changed("confirm", "on" if before else "off", value)


def _set_seed(session: Session, value: str) -> Changed:
    number = _whole("seed", value, 0, 2**63 - 1)
    before, session.seed = session.seed, number
    return Changed("seed", before, number, ("normal() and uniform() draw from it from now on",))


SETTINGS: Mapping[str, Callable[[Session, str], Changed]] = {
    "max-steps": _set_max_steps,
    "history-limit": _set_history_limit,
    "print-precision": _set_precision,
    "engine": _set_engine,
    "dtype": _set_dtype,
    "seed": _set_seed,
    "confirm": _set_confirm,
}
