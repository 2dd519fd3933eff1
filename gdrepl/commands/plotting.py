"""The plot command: what to draw, from which points; the drawing itself is display's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from gdrepl.commands.arguments import complete_expression
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Plotted
from gdrepl.commands.session import Session
from gdrepl.commands.setup import zoo_entry_of
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import Expression
from gdrepl.insight.chart import Chart, Series
from gdrepl.insight.curve import curve_chart, interval
from gdrepl.insight.over import check_span, over_steps

MOST_COMPONENTS = 6
MOST_BRANCHES = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What to plot: `what` over `over` (empty is the step), from step to step, with a log axis or not."""

    what: str = ""
    over: str = ""
    first: int | None = None
    last: int | None = None
    log: bool = False


_LOG = re.compile(r"\s+log$|^log$")
_FROM = re.compile(r"(?:^|\s+)from\s+(\S+)(?:\s+to\s+(\S+))?$")
_VS = re.compile(r"\s+vs\s+")
_UNFINISHED = re.compile(r"\s(vs|from|from\s+\S+\s+to)$")


def parse_wish(text: str, session: Session) -> Wish:
    """`loss`, `x vs loss`, `norm(grad) from 10 to 50 log` ..."""
    text, log = _cut(_LOG, text)
    text, limits = _cut(_FROM, text)
    first, last = (limits[1], limits[2]) if limits else (None, None)
    unfinished = _UNFINISHED.search(f" {text.strip()}")
    if unfinished:
        needs = "an expression" if unfinished[1] == "vs" else "a step"
        raise CommandError(f"'{unfinished[1]}' needs {needs} after it", "for example plot loss vs x, plot loss from 10 to 50")
    what, *over = _VS.split(text.strip(), maxsplit=1)
    return Wish(what.strip(), over[0].strip() if over else "", _step(first, session), _step(last, session), log is not None)


def _cut(pattern: re.Pattern[str], text: str) -> tuple[str, re.Match[str] | None]:
    match = pattern.search(text)
    return (text[: match.start()] if match else text), match


def _step(text: str | None, session: Session) -> int | None:
    if text is None:
        return None
    ends = {"start": 0, "end": session.debugger.branch.end}
    if text in ends:
        return ends[text]
    if not text.isdigit() or len(text) > 15:
        raise CommandError(f"'{text[:40]}' is not a step", "for example plot loss from 10 to 50")
    return int(text)


def _choices(session: Session) -> list[str]:
    return ["loss", "grad", "lr", "curve", *complete_expression(session)]


What = Annotated[Wish, Argument("what", parse_wish, _choices, rest=True)]


@registry.command("plot", "pl", group="data", recorded=False, syntax="[WHAT]")
def plot(session: Session, what: What | None = None) -> Plotted:
    """Draw a chart in the terminal.

    Alone it chooses: for a problem of one number the loss as a curve over it, with the points visited in blue, the start and
    the current point in red; otherwise the loss over the steps. `plot curve` draws the curve alone. WHAT is loss, grad, lr or
    any expression; it is drawn over the steps, or over another expression with `vs`, all branches overlaid. `from A to B`
    takes a part of the steps, and `log` makes the y axis logarithmic: plot norm(grad) vs loss from 10 to 50 log.

    Example: plot loss log
    """
    wish = what or Wish()
    debugger = session.debugger
    if wish.what in ("", "curve"):
        if debugger.problem.numbers == 1:
            return Plotted(_curve(session, wish))
        if wish.what == "curve":
            numbers = debugger.problem.numbers
            raise CommandError(
                f"a curve needs a problem of one number; this one has {numbers}", "plot loss draws it over the steps"
            )
        wish = Wish("loss", wish.over, wish.first, wish.last, wish.log)
    return Plotted(_over_branches(debugger, wish))


def _curve(session: Session, wish: Wish) -> Chart:
    debugger, problem = session.debugger, session.debugger.problem
    name = next(iter(problem.parameters))
    last = debugger.step if wish.last is None else min(wish.last, debugger.branch.end)
    first = min(wish.first or 0, last)
    check_span(first, last)
    columns = debugger.columns(first, last)
    values = columns.parameters[name].reshape(len(columns))
    entry = zoo_entry_of(problem)
    minima = [float(np.ravel(minimum[name])[0]) for minimum in entry.minima if name in minimum] if entry else []
    low, high = interval(values, tuple(minima))
    shown = wish.what == ""
    chart = curve_chart(problem, low, high, values if shown else None, columns.loss if shown else None)
    return Chart(chart.title, chart.x_label, chart.y_label, chart.series, wish.log)


def _over_branches(debugger: Debugger, wish: Wish) -> Chart:
    text = "norm(grad)" if wish.what == "grad" and debugger.problem.numbers > 1 else wish.what
    y = debugger.parse(text)
    x = debugger.parse(wish.over) if wish.over else None
    same = debugger.problem.program_key
    branches = [
        branch
        for branch in debugger.timeline.branches.values()
        if branch.stretches[-1].segment.recipe.problem.program_key == same
    ][-MOST_BRANCHES:]
    drawn = {branch.name for branch in branches}
    series: list[Series] = []
    for branch in branches:
        if branch is not debugger.branch and (y.slots or (x is not None and x.slots)):
            continue
        # What it shares with a branch that is drawn too would only hide that one.
        begins = branch.fork_step if branch.parent in drawn else branch.start
        series += _branch_series(debugger, branch.name, y, x, wish, branch.name if len(branches) > 1 else "", begins)
    y_label = _label(text)
    return Chart(f"{y_label} over {wish.over or 'steps'}", wish.over or "step", y_label, tuple(series), wish.log)


def _label(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _branch_series(
    debugger: Debugger, branch: str, y: Expression, x: Expression | None, wish: Wish, label: str, begins: int
) -> list[Series]:
    """A branch from step `begins` on, as a series, or one for each component of a short vector."""
    end = debugger.timeline.branch(branch).end
    first, last = wish.first or 0, end if wish.last is None else min(wish.last, end)
    if wish.first is not None and branch == debugger.position.branch and first > last:
        raise CommandError(
            f"there are no steps {first} to {last if wish.last is None else wish.last}", f"{branch} has 0 to {end}"
        )
    first = max(first, begins)
    if first > last:
        return []
    steps, values = over_steps(debugger, y, first, last, branch)
    if x is None:
        return [
            Series(" ".join(part for part in (label, name) if part), steps, column) for name, column in _components(y, values)
        ]
    x_steps, x_values = over_steps(debugger, x, first, last, branch)
    common, left, right = np.intersect1d(steps, x_steps, return_indices=True)
    across = _one(x, x_values)[right]
    del common
    return [
        Series(" ".join(part for part in (label, name) if part), across, column[left])
        for name, column in _components(y, values)
    ]


def _components(expression: Expression, values: Array) -> list[tuple[str, Array]]:
    """One column for a number; one each for a short vector; the norm for more."""
    if values.ndim <= 1:
        return [("", values)]
    flat = values.reshape(len(values), -1)
    if flat.shape[1] == 1:
        return [("", flat[:, 0])]
    if flat.shape[1] <= MOST_COMPONENTS:
        name = expression.text if expression.text.isidentifier() else ""
        return [(f"{name}[{place}]", flat[:, place]) for place in range(flat.shape[1])]
    return [("norm", np.sqrt(np.sum(np.square(flat.astype(np.float64)), axis=1)))]


def _one(expression: Expression, values: Array) -> Array:
    if values.ndim > 1 and values[0].size != 1:
        raise ExpressionError("the x axis needs one number", expression.text, 0, "for example norm(w) or w[0]")
    return values.reshape(len(values))
