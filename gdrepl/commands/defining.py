"""Commands that say what is to be minimized: var, const, loss, problem."""

from __future__ import annotations

from typing import Annotated, Any

from gdrepl.commands.arguments import LossText, plain
from gdrepl.commands.assignment import Assignment, parse_definition
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Begun, Changed
from gdrepl.commands.session import Session
from gdrepl.commands.setup import zoo_problem
from gdrepl.commands.values import read_value
from gdrepl.engine import zoo
from gdrepl.engine.problem import Problem, as_array, make_problem
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import check_name
from gdrepl.insight.shapes import stretched

Definition = Annotated[
    Assignment, Argument("name = value", parse_definition, lambda session: session.complete_names(), rest=True)
]


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
