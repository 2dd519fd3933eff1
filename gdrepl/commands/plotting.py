"""The plot command: what to draw, from which points; the drawing itself is display's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from gdrepl.commands.arguments import check_span, complete_expression, parse_step
from gdrepl.commands.kept import with_digits
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Plotted
from gdrepl.commands.session import Session
from gdrepl.commands.setup import zoo_entry_of
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import Array, norms
from gdrepl.engine.timeline import Branch
from gdrepl.errors import CommandError, ExpressionError, did_you_mean
from gdrepl.expression import Expression
from gdrepl.insight.chart import Chart, Series
from gdrepl.insight.curve import curve_chart, interval, visited
from gdrepl.insight.over import needs_snapshots, over_steps, recorded, spread_steps

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


_OPTIONS = (
    ("log", re.compile(r"(?:^|\s)log$")),
    ("from", re.compile(r"(?:^|\s)from\s+(\S+)(?:\s+to\s+(\S+))?$")),
    ("to", re.compile(r"(?:^|\s)to\s+(\S+)$")),
    ("vs", re.compile(r"(?:^|\s)vs\s+((?:(?!\svs\s).)+)$")),
)
_UNFINISHED = re.compile(r"\s(vs|from|from\s+\S+\s+to)$")


def parse_wish(text: str, session: Session) -> Wish:
    """`loss`, `x vs loss`, `norm(grad) from 10 to 50 log`, the options in any order."""
    found: dict[str, re.Match[str]] = {}
    text = with_digits(session, text.strip())
    while True:
        unfinished = _UNFINISHED.search(f" {text}")
        if unfinished:
            needs = "an expression" if unfinished[1] == "vs" else "a step"
            raise CommandError(
                f"'{unfinished[1]}' needs {needs} after it", "for example plot loss vs x, plot loss from 10 to 50"
            )
        option = next(((name, match) for name, pattern in _OPTIONS if (match := pattern.search(text))), None)
        if option is None or option[0] in found:
            break
        found[option[0]] = option[1]
        text = text[: option[1].start()].rstrip()
    first, last = found["from"].groups() if "from" in found else (None, None)
    last = found["to"][1] if "to" in found else last
    over = found["vs"][1] if "vs" in found else ""
    return Wish(text, over, _step(first, session), _step(last, session), "log" in found)


def _step(text: str | None, session: Session) -> int | None:
    return max(0, parse_step(text, session)) if text else None


def _choices(session: Session) -> list[str]:
    return ["loss", "grad", "lr", "curve", *complete_expression(session)]


def _after(session: Session, head: str) -> list[str]:
    return [*(word for word in ("vs", "from", "to", "log") if word not in head.split()), *_choices(session)]


What = Annotated[Wish, Argument("what", parse_wish, _choices, rest=True, after=_after)]


@registry.command("plot", "pl", group="data", recorded=False, repeats=True, syntax="[WHAT] [vs EXPR] [from A] [to B] [log]")
def plot(session: Session, what: What | None = None) -> Plotted:
    """Draw a chart in the terminal.

    Alone it chooses: for a problem of one number the loss as a curve over it, with the points visited in blue, the start and
    the current point in red; otherwise the loss over the steps. `plot curve` draws the curve alone, `plot to 0` the curve with
    the start. WHAT is loss, grad, lr or any expression; it is drawn over the steps, or over another expression with `vs`, all
    branches overlaid, each from where it left another. `from A to B` takes a part of the steps, and `log` makes the y axis
    logarithmic: plot norm(grad) vs loss from 10 to 50 log.

    Example: plot loss log
    """
    wish = what or Wish()
    debugger = session.debugger
    if wish.what == "" and wish.over:
        wish = replace(wish, what="loss")
    if wish.what in ("", "curve"):
        if debugger.problem.numbers == 1:
            return Plotted(_curve(session, wish))
        if wish.what == "curve":
            numbers = debugger.problem.numbers
            raise CommandError(
                f"a curve needs a problem of one number; this one has {numbers}", "plot loss draws it over the steps"
            )
        wish = replace(wish, what="loss")
    return Plotted(_over_branches(debugger, wish))


def _curve(session: Session, wish: Wish) -> Chart:
    debugger, problem = session.debugger, session.debugger.problem
    name, branch = next(iter(problem.parameters)), debugger.branch
    first = branch.start if wish.first is None else wish.first
    here = debugger.step if first <= debugger.step else branch.end
    last = here if wish.last is None else min(wish.last, branch.end)
    check_span(first, last, branch)
    _, values, losses = recorded(debugger, [name, "loss"], first, last, branch.name)
    values = values.reshape(len(values))
    entry = zoo_entry_of(problem)
    minima = [float(np.ravel(minimum[name])[0]) for minimum in entry.minima if name in minimum] if entry else []
    chart = replace(curve_chart(problem, *interval(values, tuple(minima))), log=wish.log)
    if wish.what == "curve" and wish.first is None and wish.last is None:
        return chart
    ends = ("start" if first == branch.start else f"step {first}", "current" if last == debugger.step else f"step {last}")
    note = "" if np.isfinite(losses[-1]) else f"{ends[1]}: {name} = {values[-1]:.7g}, loss = {losses[-1]}, not drawn"
    return replace(chart, series=(*chart.series, *visited(values, losses, *ends)), note=note)


def _over_branches(debugger: Debugger, wish: Wish) -> Chart:
    text = "norm(grad)" if wish.what == "grad" and debugger.problem.numbers > 1 else wish.what
    y = _parse(debugger, text)
    x = _parse(debugger, wish.over) if wish.over else None
    alone = any(needs_snapshots(debugger, each) for each in (y, x) if each is not None)
    branches, left_out = _to_draw(debugger, wish, alone)
    series: list[Series] = []
    for branch, first, last in branches:
        series += _branch_series(debugger, branch.name, y, x, first, last, branch.name if len(branches) > 1 else "")
    y_label = _label(text)
    title = f"{y_label} over {wish.over or 'steps'}"
    why = "it needs more than what was recorded" if alone else f"the chart holds {MOST_BRANCHES} branches"
    note = f"not drawn, as {why}: {', '.join(left_out)}" if left_out else ""
    return Chart(title, wish.over or "step", y_label, tuple(series), wish.log, note)


def _parse(debugger: Debugger, text: str) -> Expression:
    try:
        return debugger.parse(text)
    except ExpressionError as error:
        if len(text.split()) > 1 and not error.hint:
            near = did_you_mean(text.split()[-1], ("vs", "from", "to", "log"))
            error.hint = near or "what follows WHAT is vs EXPR, from A, to B or log"
        raise


def _to_draw(debugger: Debugger, wish: Wish, alone: bool) -> tuple[list[tuple[Branch, int, int]], list[str]]:
    """The branches of the problem in force that have steps to draw, each with the first and last, and those left out.

    What a branch shares with one that is drawn too is not drawn again: it would only hide that one. Where there are too many,
    the one in force and those that it came from are drawn, then the latest. `alone` asks for the one in force only.
    """
    here, same = debugger.branch, debugger.problem.program_key
    span = (max(wish.first or 0, here.start), here.end if wish.last is None else min(wish.last, here.end))
    check_span(*span, here)
    all_branches = debugger.timeline.branches
    known = {
        name: branch for name, branch in all_branches.items() if branch.stretches[-1].segment.recipe.problem.program_key == same
    }
    spans = _spans(known, known, wish)
    if alone:
        return [(here, *span)], [name for name in spans if name != here.name]
    chosen = [name for name in [*_line_of(here, all_branches), *reversed(spans)] if name in spans]
    chosen = list(dict.fromkeys(chosen))[:MOST_BRANCHES]
    drawn = _spans({name: known[name] for name in known if name in chosen}, known, wish)
    return list(drawn.values()), [name for name in spans if name not in chosen]


def _spans(drawn: Mapping[str, Branch], known: Mapping[str, Branch], wish: Wish) -> dict[str, tuple[Branch, int, int]]:
    """The first and last step to draw of each branch; none of a branch whose steps in the range another one draws."""
    spans = {}
    for name, branch in drawn.items():
        first, last = branch.fork_step, branch.end if wish.last is None else min(wish.last, branch.end)
        ancestor = known.get(branch.parent or "")
        while ancestor is not None and ancestor.name not in drawn:
            first, ancestor = min(first, ancestor.fork_step), known.get(ancestor.parent or "")
        first = max(wish.first or 0, branch.start if ancestor is None else first)
        if first <= last:
            spans[name] = (branch, first, last)
    return spans


def _line_of(branch: Branch, branches: Mapping[str, Branch]) -> list[str]:
    """The branch, the one it began from at last, and those between, nearest first."""
    line = [branch.name]
    while branch.parent and branch.parent in branches and branch.parent not in line:
        branch = branches[branch.parent]
        line.append(branch.name)
    return [line[0], line[-1], *line[1:-1]]


def _label(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _branch_series(
    debugger: Debugger, branch: str, y: Expression, x: Expression | None, first: int, last: int, label: str
) -> list[Series]:
    """Steps of a branch as a series, or as one for each component of a short vector."""
    steps = None if x is None else spread_steps(debugger, [y, x], first, last, branch)
    across, values = over_steps(debugger, y, first, last, branch, steps)
    thinned = len(across) < last - first  # of what is left out nobody knows how much could be drawn
    if x is not None and len(across):
        across = _one(x, over_steps(debugger, x, first, last, branch, steps)[1])
    return [
        Series(" ".join(part for part in (label, name) if part), across, column, sampled=thinned)
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
        name = expression.text if re.fullmatch(r"[\w.]+", expression.text) else f"({_label(expression.text)})"
        return [(f"{name}[{place}]", flat[:, place]) for place in range(flat.shape[1])]
    return [("norm", norms(flat))]


def _one(expression: Expression, values: Array) -> Array:
    if values.ndim > 1 and values[0].size != 1:
        raise ExpressionError("the x axis needs one number", expression.text, 0, "for example norm(w) or w[0]")
    return values.reshape(len(values))
