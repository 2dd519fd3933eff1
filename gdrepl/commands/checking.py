"""check grad: the gradient against differences of the loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.session import Session
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError, did_you_mean
from gdrepl.insight.coordinates import Names, example_of, parse_selection
from gdrepl.insight.gradient_check import GradientCheck, check_gradient

_WHAT = "grad"
_EXAMPLE = "for example check grad, or check grad W[0:3] for some numbers of it"


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What is to be checked: the gradient of the numbers at these flat places, or of all."""

    places: Array | None = None


def parse_check(text: str, session: Session) -> Checked:
    """`grad`, `grad W` or `grad W[0:3]`."""
    word, _, rest = text.partition(" ")
    if word != _WHAT:
        near = did_you_mean(word, [_WHAT, "gradient"])
        raise CommandError(f"'{text[:40]}' cannot be checked", "check grad" if not near else _EXAMPLE)
    return Checked(_places(rest.strip(), session.debugger.problem) if rest.strip() else None)


def _places(text: str, problem: Problem) -> Array:
    """Where the numbers that `W[0:3]` selects stand among all parameters laid end to end."""
    example = f"for example check grad, or check grad {example_of(problem.parameters)} for some numbers of it"
    chosen = parse_selection(text, problem.parameters, example)
    names = Names({name: value.shape for name, value in problem.parameters.items()})
    return np.unique(names.start(chosen.parameter) + chosen.places)


def _after(session: Session, head: str) -> Iterable[str]:
    return session.debugger.problem.parameters if head.split() == [_WHAT] else ()


What = Annotated[Checked, Argument("what", parse_check, lambda session: [_WHAT], rest=True, after=_after)]


@registry.command("check", group="insight", repeats=True, syntax="grad [PARAMETER[INDEX]]")
def check(session: Session, what: What) -> GradientCheck:
    """Compare the gradient with differences of the loss, number by number.

    The loss is computed in float64, whatever the problem's type, at x + h and x - h, and (f(x+h) - f(x-h))/(2h) is set beside
    the gradient that the next update uses. Up to nineteen steps h are tried for each number; the best is that which the next
    larger one confirms, and no smaller one contradicts beyond its own rounding. The tolerance is 8 times what that step may
    be off, and what rounding in the problem's type may do to the gradient, which is measured by making each operation wrong
    by half a unit of its last place.

    Of more than 400 numbers some are moved by themselves, the largest of the gradient and others at random, and all of them
    together along a few directions. `check grad W[0:3]` looks at a choice of your own.

    At a kink, as of abs at 0, no gradient is the right one: the slopes on both sides are told, and what lies between passes.

    Sources: Press et al., Numerical Recipes, section 5.7; Gill, Murray & Wright, Practical Optimization, section 8.6; for the
    rounding D. S. Parker, Monte Carlo Arithmetic, 1997.

    Example: check grad
    """
    return check_gradient(session.debugger, what.places, session.seed)
