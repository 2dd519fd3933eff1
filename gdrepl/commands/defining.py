"""Commands that say what is to be minimized: var, const, loss, problem."""

from __future__ import annotations

from typing import Annotated

from gdrepl.commands.arguments import LossText, plain
from gdrepl.commands.assignment import Assignment, parse_definition
from gdrepl.commands.definitions import Definitions, converted
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Begun, Changed
from gdrepl.commands.session import Session
from gdrepl.commands.setup import zoo_problem
from gdrepl.commands.values import read_value
from gdrepl.engine import zoo
from gdrepl.engine.problem import Problem, as_array, make_problem
from gdrepl.errors import CommandError
from gdrepl.expression import check_name
from gdrepl.insight.shapes import stretched

Definition = Annotated[
    Assignment, Argument("name = value", parse_definition, lambda session: session.complete_names(), rest=True)
]


@registry.command("var", group="editing")
def var(session: Session, what: Definition) -> Begun | Changed:
    """Define a parameter and its start value.

    A value is a number, lists, normal(3, 4), uniform(3), zeros(3) or ones(2, 2). Random values come from the session's
    seed. A parameter that the loss in force reads begins the problem again at step 0; another one waits for the next
    `loss`.

    Example: var x = 3.0
    """
    return _define(session, what, "var")


@registry.command("const", group="editing")
def const(session: Session, what: Definition) -> Begun | Changed:
    """Define a constant, for instance columns of a CSV.

    A value is as in `var`, or csv("points.csv", x, y). One column is a vector, several are a matrix with a row for each
    line. The file's SHA-256 is kept, so that a replay notices a changed file.

    Example: const a = 1.5
    """
    return _define(session, what, "const")


def _define(session: Session, what: Assignment, word: str) -> Begun | Changed:
    problem = session.debugger.problem
    define = Definitions.variable if word == "var" else Definitions.constant
    check_name(what.name)
    if what.index:
        raise CommandError(f"define {what.name} whole", f"set {what.name}{what.index} changes one number")
    value, origin = read_value(what.value, what.name, session.seed, session.folders)
    array = as_array(value, problem.dtype, what.name)
    before = session.definitions
    if word == "const" and [*problem.parameters] == [what.name]:
        hint = f"var {what.name} = {what.value[:40]} sets where it starts"
        raise CommandError(f"{what.name} is the only parameter of the loss in force", hint)
    if what.name in problem.loss.names:
        after = define(before.at(problem), what.name, value, origin)
        return _begin(session, _problem_of(problem.loss.text, after, problem.dtype, problem.name), f"{word} {what.name}", after)
    session.definitions = define(before, what.name, value, origin)
    was = converted((before.variables if word == "var" else before.constants).get(what.name), problem.dtype)
    notes = (f"waits for a loss that reads {what.name}",)
    return Changed(what.name, was, array, notes, origin.text if origin else "", origin.sha256 if origin else "")


def _problem_of(loss: str, definitions: Definitions, dtype: str, name: str = "") -> Problem:
    read = definitions.as_read_by(loss)
    return make_problem(loss, read.variables, read.constants, dtype, name, read.origins)


@registry.command("loss", group="editing")
def loss(session: Session, expression: LossText) -> Begun:
    """Put another loss in force.

    It is an expression of the parameters (var) and constants (const) that gives one number. It begins a new branch at step
    0; the old branches are kept, but for a first one on which nothing was run or marked. A loss that cannot be computed
    changes nothing.

    Example: loss (x - 50)**2
    """
    old = session.debugger.problem
    definitions = session.definitions.at(old)
    return _begin(session, _problem_of(expression, definitions, old.dtype), f"loss {expression}", definitions)


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
    old = session.debugger.problem
    new = zoo_problem(word, options, old.dtype)
    return _begin(session, new, f"problem {name}", session.definitions.waiting(old).at(new))


def _begin(session: Session, problem: Problem, label: str, definitions: Definitions) -> Begun:
    debugger, before = session.debugger, session.definitions
    debugger.set_problem(problem, label)
    session.definitions = definitions
    notes = [*debugger.warnings()]
    read = problem.loss.names - set(problem.parameters)
    notes += [f"{name} is a constant now" for name in before.variables if name in read]
    notes += stretched(problem)
    return Begun(problem.loss.text, problem.name, debugger.point(), debugger.position.branch, tuple(notes))
