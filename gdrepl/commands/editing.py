"""Commands that change what is being run: set, var, const, loss, problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from gdrepl.commands.arguments import LossText, parse_count, plain
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Begun, Changed
from gdrepl.commands.session import Session
from gdrepl.commands.setup import zoo_problem
from gdrepl.commands.values import is_call, is_schedule, make_schedule, make_spec, read_value
from gdrepl.engine import optimizer, zoo
from gdrepl.engine.problem import DTYPES, Problem, as_array, make_problem
from gdrepl.engine.program import ENGINES
from gdrepl.errors import CommandError, ExpressionError, did_you_mean
from gdrepl.expression import FUNCTIONS, Call, check_name, parse_call, parse_value
from gdrepl.insight.shapes import stretched


@dataclass(frozen=True, slots=True)
class Assignment:
    """`NAME VALUE` or `NAME = VALUE`, with an optional index as in `w[0] 3`."""

    name: str
    index: str
    value: str


_ASSIGNMENT = re.compile(r"([A-Za-z_][\w-]*)(\[[^\]]*\])?\s*(?:=(?!=)\s*|\s+|$)(.*)", re.DOTALL)


def parse_setting(text: str, session: Session) -> Assignment:
    """What to set, and a value."""
    return _parse_assignment(text, "set ")


def parse_definition(text: str, session: Session) -> Assignment:
    """A name, and a value."""
    return _parse_assignment(text, "")


def _parse_assignment(text: str, command: str) -> Assignment:
    match = _ASSIGNMENT.fullmatch(text.strip())
    if match is not None and not match[3].strip():
        raise CommandError(f"{match[1]}{match[2] or ''} needs a value", _example(match[1], command))
    if match is None:
        raise CommandError(
            f"'{text[:40]}' is not a name and a value", "for example set x 3.0" if command else "for example x = 3.0"
        )
    return Assignment(match[1], match[2] or "", match[3].strip())


def _example(name: str, command: str) -> str:
    """What may be typed behind `name`."""
    if name in ("optimizer", "engine", "dtype"):
        choices = {"engine": ENGINES, "dtype": DTYPES}.get(name) or tuple(optimizer.catalogue())
        return f"{name} is one of {', '.join(choices)}"
    values = {"lr": "0.1", "max-steps": "1e6", "history-limit": "256", "print-precision": "7", "seed": "1"}
    value = values.get(name, "3.0")
    return f"for example {command}{name} {value}" if command else f"for example {name} = {value}"


def _settable(session: Session) -> list[str]:
    names = ["lr", "optimizer", *SETTINGS]
    if session.ready:
        names += [*session.debugger.problem.parameters, *optimizer.settable(session.debugger.spec.name)]
    return names


Setting = Annotated[Assignment, Argument("what value", parse_setting, _settable, rest=True)]
Definition = Annotated[
    Assignment, Argument("name = value", parse_definition, lambda session: session.complete_names(), rest=True)
]


@registry.command("set", group="editing")
def set_(session: Session, what: Setting) -> Changed:
    """Change lr, optimizer, a parameter, a setting.

    `set lr 0.1`, `set lr cosine_decay(0.1, decay_steps=100)`, `set optimizer adam(beta_1=0.8)`, `set clipnorm 1`,
    `set x 7`, `set w[0] 3`, and the settings max-steps, history-limit (MB), print-precision, engine, dtype and seed.
    A change is an event of the timeline: going back across it restores what was in force then, and a change made in the past
    begins a new branch. A new optimizer begins with new slots and keeps the learning rate unless it is given one.

    Example: set lr 0.1
    """
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
        return SETTINGS[what.name](session, what.value)
    if what.name in optimizer.settable(session.debugger.spec.name):
        return _set_hyperparameter(session, what.name, what.value)
    for word, waiting in (("var", session.variables), ("const", session.constants)):
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
    known = [*_settable(session), "learning_rate"]
    return CommandError(f"there is nothing to set called '{name[:40]}'", did_you_mean(name.lower(), known))


def _label(what: str, value: str) -> str:
    return f"set {what} {value}"


def _set_parameter(session: Session, what: Assignment) -> Changed:
    debugger, branch = session.debugger, session.debugger.position.branch
    before = debugger.point().parameters[what.name]
    _refuse_non_finite(what.name, what.value)
    given = debugger.ask(debugger.parse(what.value))
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
    if is_call(value) and value.split("(")[0].strip() not in FUNCTIONS:
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
        asked = session.debugger.ask(session.debugger.parse(text))
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
    return Changed("optimizer", before.text(), debugger.spec.text(), ("its slots are new", *_branch_note(session, branch)))


def _set_hyperparameter(session: Session, name: str, value: str) -> Changed:
    debugger, branch = session.debugger, session.debugger.position.branch
    before = debugger.spec.hyperparameters[name]
    parsed = parse_value(value, allow_call=True)
    debugger.set_hyperparameter(name, parsed.name if isinstance(parsed, Call) else parsed, _label(name, value))
    return Changed(name, before, debugger.spec.hyperparameters[name], _branch_note(session, branch))


def _whole(name: str, text: str, low: int, high: int) -> int:
    """A whole number that a setting may be.

    Raises:
        CommandError: it is none, or outside of low to high.
    """
    number = parse_value(text)
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
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
    return Changed("engine", before, value, ("engines differ in the last bits", *_branch_note(session, branch)))


def _set_dtype(session: Session, value: str) -> Changed:
    problem = session.debugger.problem
    parameters = {name: session.variables.get(name, start) for name, start in problem.parameters.items()}
    constants = {name: session.constants.get(name, constant) for name, constant in problem.constants.items()}
    new = make_problem(problem.loss.text, parameters, constants, value, problem.name, problem.origins)
    notes = session.debugger.set_problem(new, _label("dtype", value))
    return Changed("dtype", problem.dtype, value, ("begun again at step 0", *notes))


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
}


@registry.command("var", group="editing")
def var(session: Session, what: Definition) -> Any:
    """Define a parameter and its start value.

    A value is a number, lists, normal(3, 4), uniform(3), zeros(3) or ones(2, 2). Random values come from the session's
    seed. A parameter that the loss in force reads begins the problem again at step 0; another one waits for the next
    `loss`.

    Example: var x = 3.0
    """
    _ = session.debugger  # building it fills the tables below
    return _define(session, what, session.variables, session.constants)


@registry.command("const", group="editing")
def const(session: Session, what: Definition) -> Any:
    """Define a constant, for instance columns of a CSV.

    A value is as in `var`, or csv("points.csv", x, y). One column is a vector, several are a matrix with a row for each
    line. The file's SHA-256 is kept, so that a replay notices a changed file.

    Example: const a = 1.5
    """
    _ = session.debugger  # building it fills the tables below
    return _define(session, what, session.constants, session.variables)


def _define(session: Session, what: Assignment, target: dict[str, Any], other: dict[str, Any]) -> Any:
    debugger = session.debugger
    check_name(what.name)
    if what.index:
        raise CommandError(f"define {what.name} whole", f"set {what.name}{what.index} changes one number")
    value, origin = read_value(what.value, what.name, session.seed, session.folders)
    array = as_array(value, debugger.problem.dtype, what.name)
    if what.name in debugger.problem.loss.names:
        return _redefine(session, what.name, value, origin, target, other)
    before = target.get(what.name)
    other.pop(what.name, None)
    _remember(session, target, what.name, value, origin)
    notes = (f"waits for a loss that reads {what.name}",)
    sha256 = origin.sha256 if origin else ""
    was = None if before is None else as_array(before, debugger.problem.dtype)
    return Changed(what.name, was, array, notes, origin.text if origin else "", sha256)


def _redefine(session: Session, name: str, value: Any, origin: Any, target: dict[str, Any], other: dict[str, Any]) -> Begun:
    """Begin the problem in force again with another value of a name that its loss reads."""
    trial_target, trial_other = {**target, name: value}, {key: item for key, item in other.items() if key != name}
    variables, constants = (trial_target, trial_other) if target is session.variables else (trial_other, trial_target)
    origins = {key: item for key, item in session.origins.items() if key != name}
    if origin is not None:
        origins[name] = origin
    old = session.debugger.problem
    problem = make_problem(old.loss.text, variables, constants, old.dtype, old.name, origins)
    begun = _begin(session, problem, f"{'var' if target is session.variables else 'const'} {name}")
    other.pop(name, None)
    _remember(session, target, name, value, origin)
    return begun


def _remember(session: Session, target: dict[str, Any], name: str, value: Any, origin: Any) -> None:
    target[name] = value
    session.origins.pop(name, None)
    if origin is not None:
        session.origins[name] = origin


@registry.command("loss", group="editing")
def loss(session: Session, expression: LossText) -> Begun:
    """Put another loss in force.

    It is an expression of the parameters (var) and constants (const) that gives one number. It begins a new branch at step
    0; the old branches are kept. A loss that cannot be computed changes nothing.

    Example: loss (x - 50)**2
    """
    old = session.debugger.problem
    variables = {**session.variables}
    constants = {name: value for name, value in session.constants.items() if name not in variables}
    problem = make_problem(expression, variables, constants, old.dtype, origins=session.origins)
    return _begin(session, problem, f"loss {expression}")


def _zoo_options(session: Session, head: str) -> list[str]:
    return ["dim="] if zoo.dimension_free(head.split()[0]) and "dim=" not in head else []


@registry.command("problem", group="editing", syntax="NAME [dim=N]")
def problem(
    session: Session,
    name: Annotated[str, Argument("name", plain, lambda session: list(zoo.names()), rest=True, after=_zoo_options)],
) -> Begun:
    """Put a problem of the zoo in force.

    For example rosenbrock or `rastrigin dim=10`; info problems lists them. It begins a new branch at step 0; the old
    branches are kept. The optimizer and its learning rate stay.

    Example: problem rosenbrock
    """
    word, *options = name.split()
    new = zoo_problem(word, options, session.debugger.problem.dtype)
    begun = _begin(session, new, f"problem {name}")
    session.variables = dict(new.parameters)
    session.constants = dict(new.constants)
    session.origins = {}
    return begun


def _begin(session: Session, problem: Problem, label: str) -> Begun:
    debugger = session.debugger
    notes = debugger.set_problem(problem, label)
    dropped = [display for display in session.displays if not _still_means_something(session, display.expression.text)]
    session.displays = tuple(display for display in session.displays if display not in dropped)
    notes += [f"display {display.id} ({display.expression.text}) is gone" for display in dropped]
    unused = [name for name in session.variables if name not in problem.parameters and name in problem.loss.names]
    notes += [f"{name} is a constant now" for name in unused]
    notes += stretched(problem)
    return Begun(problem.loss.text, problem.name, debugger.point(), debugger.position.branch, tuple(notes))


def _still_means_something(session: Session, text: str) -> bool:
    try:
        session.debugger.parse(text)
    except ExpressionError:
        return False
    return True
