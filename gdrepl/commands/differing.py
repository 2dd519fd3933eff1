"""The diff command: two branches side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from gdrepl.commands.arguments import complete_branches
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Diff, LossPair, SettingPair
from gdrepl.commands.session import Session
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.snapshot import Array
from gdrepl.engine.timeline import Branch
from gdrepl.errors import CommandError
from gdrepl.insight.chart import Chart, Series
from gdrepl.insight.over import corners, recorded
from gdrepl.insight.parting import parting_step, steps_to_show

MOST_EDITS = 4
_STRETCHES = 50
"""Of so many stretches of a branch a chart here keeps the corners: it is recorded, and need not fill files."""
_TWO_DECADES = 100


@dataclass(frozen=True, slots=True)
class DiffWish:
    """Which branches to compare, from what difference on they part, and whether to draw them."""

    a: str
    b: str
    tolerance: float = 0.0
    plot: bool = False


def parse_diff(text: str, session: Session) -> DiffWish:
    """`A [B] [tol=NUMBER] [plot]`."""
    timeline, here = session.debugger.timeline, session.debugger.position.branch
    names, tolerance, plot = [], 0.0, False
    for word in text.split():
        if word.startswith("tol="):
            tolerance = _tolerance(word.removeprefix("tol="))
        elif word == "plot":
            plot = True
        else:
            names.append(timeline.branch(word).name)
    if not 1 <= len(names) <= 2:
        raise CommandError("diff compares two branches", "diff A B, or diff A with the one in force")
    a, b = names if len(names) == 2 else (names[0], here)
    if a == b:
        others = [name for name in timeline.branches if name != a]
        hint = f"for example diff {a} {others[0]}" if others else "there is no other branch: branch begins one"
        raise CommandError(f"{a} does not differ from itself", hint)
    return DiffWish(a, b, tolerance, plot)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < np.inf:
        raise CommandError(f"'{text[:40]}' is not a tolerance", "give a number from 0, such as tol=1e-6")
    return value


def _after(session: Session, head: str) -> Iterable[str]:
    given = head.split()
    return [name for name in [*complete_branches(session), "plot", "tol="] if name not in given]


Compared = Annotated[DiffWish, Argument("branches", parse_diff, complete_branches, rest=True, after=_after)]


@registry.command("diff", group="branches", repeats=True, syntax="A [B] [tol=T] [plot]")
def diff(session: Session, what: Compared) -> Diff:
    """Compare branch A with B, or with the branch in force.

    It tells the settings at their ends that differ, the first step where the paths part, and the losses side by side from
    there on. Any bit of the loss or of a parameter is a difference; with tol=1e-6 only |a - b| > 1e-6 * (1 + |a|) is one.
    With `plot` it draws both losses, too. Of different problems that is compared which has the same name and shape.

    Example: diff main b1
    """
    debugger = session.debugger
    a, b = (debugger.timeline.branch(name) for name in (what.a, what.b))
    parted = parting_step(debugger, a, b, what.tolerance)
    first, last = max(a.start, b.start), min(a.end, b.end)
    start = parted[0] if parted else last
    losses = tuple(
        LossPair(step, _loss(debugger, a, step), _loss(debugger, b, step)) for step in steps_to_show(start, a.end, b.end)
    )
    name, chart = parted[1] if parted else "", _chart(debugger, a, b, start) if what.plot else None
    notes = (*_problems(a, b), *_edits(a, b), *_edits(b, a))
    pairs = tuple(_settings(a, b))
    return Diff(a.name, b.name, pairs, what.tolerance, first, last, parted[0] if parted else None, name, losses, notes, chart)


def _loss(debugger: Debugger, branch: Branch, step: int) -> Array | None:
    if not branch.start <= step <= branch.end:
        return None
    return np.asarray(debugger.columns(step, step, branch.name).loss[0])


def _settings(a: Branch, b: Branch) -> Iterator[SettingPair]:
    """What differs of the problems, engines and optimizers at the ends of two branches."""
    one, other = (branch.stretches[-1].segment.recipe for branch in (a, b))
    texts = [
        ("loss", one.problem.loss.text, other.problem.loss.text),
        ("dtype", one.problem.dtype, other.problem.dtype),
        ("engine", one.engine, other.engine),
        ("optimizer", one.spec.name, other.spec.name),
        ("lr", _rate(one.spec), _rate(other.spec)),
    ]
    here, there = one.spec.hyperparameters, other.spec.hyperparameters
    texts += [(name, str(here[name]), str(there[name])) for name in here if name in there]
    yield from (SettingPair(name, first, second) for name, first, second in texts if first != second)
    here_too = {name for name in one.problem.constants if name in other.problem.constants}
    for name in sorted(here_too):
        values = one.problem.constants[name], other.problem.constants[name]
        if values[0].shape != values[1].shape or not np.array_equal(*values, equal_nan=True):
            yield SettingPair(name, *(_constant(value) for value in values))


def _rate(spec: OptimizerSpec) -> str:
    return spec.schedule.text() if spec.schedule is not None else str(spec.learning_rate)


def _constant(value: Array) -> str:
    if value.ndim == 0:
        return str(value)
    return f"{'x'.join(map(str, value.shape))} numbers, sum {value.sum():.7g}"


def _problems(a: Branch, b: Branch) -> Iterator[str]:
    one, other = (branch.stretches[-1].segment.recipe.problem for branch in (a, b))
    if one.program_key == other.program_key:
        return
    same = [name for name, value in one.parameters.items() if name in other.parameters]
    same = [name for name in same if one.parameters[name].shape == other.parameters[name].shape]
    yield f"the problems differ: only {', '.join(['the loss', *same])} can be compared"


def _edits(branch: Branch, other: Branch) -> Iterator[str]:
    """What was set on a branch and not on the other one."""
    shared = {stretch.segment.id for stretch in other.stretches}
    segments = [stretch.segment for stretch in branch.stretches[1:]]
    edits = [each for each in segments if each.id not in shared and each.label]
    for segment in edits[:MOST_EDITS]:
        yield f"on {branch.name} at step {segment.start.step}: {segment.label}"
    if len(edits) > MOST_EDITS:
        yield f"on {branch.name}: {len(edits) - MOST_EDITS} more"


def _chart(debugger: Debugger, a: Branch, b: Branch, start: int) -> Chart:
    """Both losses from the step on where they part, with one before it."""
    series = []
    for branch in (a, b):
        first = max(branch.start, min(start - 1, branch.end))
        steps, losses = recorded(debugger, ["loss"], first, branch.end, branch.name)
        kept = corners(losses, max(1, len(losses) // _STRETCHES))
        series.append(Series(branch.name, steps[kept], losses[kept], sampled=len(kept) < len(losses)))
    values = np.concatenate([each.y[np.isfinite(each.y)] for each in series])
    log = bool(len(values)) and bool(values.min() > 0) and bool(values.max() > _TWO_DECADES * values.min())
    return Chart(f"loss of {a.name} and {b.name}", "step", "loss", tuple(series), log)
