"""The command that looks along lines and planes through the current point: slice."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from gdrepl.commands.kept import with_digits
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.session import Session
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import parse_value
from gdrepl.insight.slicing import Sliced, slices
from gdrepl.insight.ways import GRAD, NEXT, UPDATE

_EXAMPLE = "for example slice grad, slice v1 v2, slice x from -2 to 2"
_NAME = re.compile(r"-?[A-Za-z_]\w*(?:\[[^\]]*\])?")
_RANGE = re.compile(r"(?:^|\s)from\s+(\S+)\s+to\s+(\S+)$")
_STRAY = re.compile(r"(?:^|\s)(from|to)(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Cut:
    """What to look along: one or two names of directions, and the first and last place of each, None to choose them."""

    names: tuple[str, ...] = (GRAD,)
    ends: tuple[float, float] | None = None


def parse_cut(text: str, session: Session) -> Cut:
    """`grad`, `v1 v2`, `W[0, 1] from -2 to 2`.

    Raises:
        CommandError: it is no direction, there are more than two, or the range does not rise.
    """
    text = with_digits(session, text.strip())
    found = _RANGE.search(text)
    ends = _ends(found[1], found[2]) if found else None
    text = text[: found.start()].strip() if found else text
    if _STRAY.search(text) and not {"from", "to"} & set(session.debugger.problem.parameters):
        raise CommandError("a range is from A to B, two numbers", _EXAMPLE)
    names = _NAME.findall(text)
    left = _NAME.sub("", text).strip()
    if left:
        raise CommandError(f"'{text[:40]}' is not a direction", _EXAMPLE)
    if len(names) > 2:
        raise CommandError(f"a slice has one or two directions, not {len(names)}", _EXAMPLE)
    return Cut(tuple(name.removeprefix("-") for name in names) or (GRAD,), ends)


def _ends(low: str, high: str) -> tuple[float, float]:
    first, last = (_number(each) for each in (low, high))
    if not first < last:
        raise CommandError(f"the range must rise: {high[:20]} is not above {low[:20]}", _EXAMPLE)
    return first, last


def _number(text: str) -> float:
    try:
        value = parse_value(text)
    except ExpressionError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CommandError(f"'{text[:40]}' is not a number", _EXAMPLE)
    return float(value)


def _choices(session: Session) -> Iterable[str]:
    parameters = session.debugger.problem.parameters if session.ready else {}
    coordinates = [name for name, value in parameters.items() if value.ndim == 0]
    return [GRAD, UPDATE, NEXT, "v1", "vmin", *coordinates]


def _after(session: Session, head: str) -> Iterable[str]:
    words = head.split()
    return [] if "from" in words else [*(_choices(session) if len(words) < 2 else []), "from"]


Directions = Annotated[Cut, Argument("direction", parse_cut, _choices, rest=True, after=_after)]


@registry.command("slice", group="insight", repeats=True, syntax="[DIRECTION [DIRECTION]] [from A to B]")
def slice_(session: Session, what: Directions = Cut()) -> Sliced:
    """Draw the loss along a line through the current point, or on a plane as contours.

    DIRECTION is
      grad        against the gradient
      update      along the last update; `next` along the coming one
      v1, v2 ...  along an eigenvector of the Hessian, v1 that of the largest eigenvalue;
                  vmin that of the smallest, the way out of a saddle
      x, W[0, 1]  along a coordinate, whose own values are then on the axis;
                  a parameter of two numbers alone is the plane of both
    Alone it is along grad. Two directions, as in `slice v1 v2`, span a plane, the second made orthogonal to the first. A place
    on the axis is counted in steps from here: 1 is as long as the next update, or for `update` as the last one. `from A to B`
    chooses the ends, in what the axis counts; else they are twice as far as the lowest point of the quadratic, but 2 steps at
    least and 10 at most.

    The triangle is the current point, the square the next update: its loss is that of the whole update, wherever it leads.
    Where that is not into the slice, its shadow is marked, and how much of it lies in the slice is told. The dashed quadratic
    is what gradient and Hessian foretell: loss + slope*s + curvature*s**2/2. Where it parts from the curve, the step is too
    long for what is known here; a square beyond its lowest point has overshot. On a plane, the line where it is as high as the
    loss here is drawn. Losses that are not finite are gaps; the axis is logarithmic where losses span decades.

    Losses are computed in the problem's own type, slope and curvature in float64 by Hessian-vector products (Pearlmutter 1994,
    Fast exact multiplication by the Hessian). Slices as such are those of Li et al., Visualizing the Loss Landscape of Neural
    Nets (2018).

    Example: slice grad from -2 to 2
    """
    return slices(session.debugger, what.names, what.ends)
