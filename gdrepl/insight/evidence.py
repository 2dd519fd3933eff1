"""Why an event fired: the numbers that decided, the steps they were read at, and what to look at next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine import events
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.events import Event
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.rows import Columns
from gdrepl.engine.snapshot import Array, Evidence, Snapshot, norm, norm_of_all

Numbers = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Looked:
    """What is looked at.

    Attributes:
        columns: the points up to the one that the latest update led to.
        before, after: the snapshots around that update.
        used: the gradient that it used.
        spec: the optimizer that made it.
    """

    columns: Columns
    before: Snapshot
    after: Snapshot
    used: Mapping[str, Array]
    spec: OptimizerSpec


def evidence(debugger: Debugger, event: Event) -> Evidence:
    """The evidence for an event that fired where the debugger stands: the latest update is its last.

    An edit of this very step came after the event, and is not looked at.
    """
    here, way = debugger.step, debugger.arrived()
    first = debugger.looked_back_to(event.span())
    if not event.of_updates:
        first = max(first, here - event.span())  # where gradients are gathered, that went back by as many applied updates
    segment = way.stretches[-1].segment
    before, after = (debugger.past.reach(segment, step) for step in (here - 1, here))
    used = debugger.past.used_gradient(segment, before)
    looked = Looked(debugger.past.columns(way, first, here), before, after, used, segment.recipe.spec)
    return Evidence(first, here, _NUMBERS[type(event)](event, looked), event.definition(), event.next)


def _sizes(values: Mapping[str, Array]) -> dict[str, float]:
    return {name: norm(value) for name, value in values.items()}


def _non_finite(event: Event, looked: Looked) -> Numbers:
    point, last = looked.after, looked.before
    counts = {f"grad({name}) not finite": int((~np.isfinite(value)).sum()) for name, value in point.gradient.items()}
    return {"loss": point.loss, "loss before": last.loss, **{name: count for name, count in counts.items() if count}}


def _divergence(event: Event, looked: Looked) -> Numbers:
    assert isinstance(event, events.Divergence)
    losses, lowest = looked.columns.loss.astype(np.float64), int(np.argmin(looked.columns.loss))
    present = looked.columns.step[-1] // event.window * event.window  # where the present block begins
    earlier = losses[(looked.columns.step >= present - event.window) & (looked.columns.step < present)]
    high = float(earlier.max()) if len(earlier) else float(losses[0])
    grown = {"times": losses[-1] / high} if high > 0 else {}
    return {
        "loss": looked.columns.loss[-1],
        "highest before": high,
        **grown,
        "lowest at step": int(looked.columns.step[lowest]),
    }


def _explosion(event: Event, looked: Looked) -> Numbers:
    size, before = norm_of_all(looked.after.gradient), norm_of_all(looked.before.gradient)
    return {"norm(grad)": size, "before": before, "loss": looked.columns.loss[-1]}


def _vanishing(event: Event, looked: Looked) -> Numbers:
    sizes = _sizes(looked.after.gradient)
    smallest = min(sizes, key=lambda name: sizes[name])
    ratio = sizes[smallest] / abs(float(looked.columns.loss[-1]))
    return {
        f"norm(grad({smallest})) / |loss|": ratio,
        f"norm(grad({smallest}))": sizes[smallest],
        "loss": looked.columns.loss[-1],
    }


def _plateau(event: Event, looked: Looked) -> Numbers:
    assert isinstance(event, events.Plateau)
    losses = looked.columns.loss.astype(np.float64)[:-1]  # the step at which it is seen belongs to the next block
    before, lowest = losses[: -event.patience].min(initial=np.inf), losses[-event.patience :].min()
    size = norm_of_all(looked.after.gradient)
    return {"came down by": before - lowest, "lowest before": before, "lowest": lowest, "norm(grad)": size}


def _oscillation(event: Event, looked: Looked) -> Numbers:
    columns = looked.columns
    changes = np.sign(np.diff(columns.loss.astype(np.float64)))
    changes = changes[changes != 0]  # updates that only gather gradients change nothing
    told: Numbers = {"turns of the loss": int((changes[1:] * changes[:-1] < 0).sum()), "lr": columns.learning_rate[-1]}
    if columns.norms:  # of a parameter that is recorded as a norm the direction of the steps is not at hand
        return told
    values = np.concatenate([value.reshape(len(value), -1) for value in columns.parameters.values()], axis=1)
    moved = np.diff(values.astype(np.float64), axis=0)
    moved = moved[moved.any(axis=1)]
    return {"turns of the step": int(((moved[1:] * moved[:-1]).sum(axis=1) < 0).sum()), **told}


def _overshoot(event: Event, looked: Looked) -> Numbers:
    losses = looked.columns.loss
    return {"rose by": float(losses[-1]) - float(losses[-2]), "loss before": losses[-2], "loss": losses[-1]}


def _dead(event: Event, looked: Looked) -> Numbers:
    assert isinstance(event, events.Dead)
    found: Numbers = {}
    for name, value in looked.after.gradient.items():
        if name in looked.columns.norms:
            found[f"zeros in grad({name})"] = int((value == 0).sum())
        else:
            last = looked.columns.gradient[name][-event.patience :]
            found[f"zeros in grad({name})"] = int((last == 0).all(axis=0).sum())
    return {name: count for name, count in found.items() if count}


def _update_ratio(event: Event, looked: Looked) -> Numbers:
    assert isinstance(event, events.UpdateRatio)
    before, after = looked.before.parameters, looked.after.parameters
    sizes = _sizes(before)
    moved = _sizes({name: after[name].astype(np.float64) - value for name, value in before.items()})
    ratios = {name: moved[name] / size for name, size in sizes.items() if size > 0}
    outside = [name for name, ratio in ratios.items() if not event.low <= ratio <= event.high]
    # The loop compares squares: what it found just outside may lie on the limit here.
    told = outside or [min(ratios, key=lambda name: min(abs(ratios[name] - event.low), abs(ratios[name] - event.high)))]
    found: Numbers = {}
    for name in told:
        found |= {f"ratio of {name}": ratios[name], f"norm(update({name}))": moved[name], f"norm({name})": sizes[name]}
    return found


def _convergence(event: Event, looked: Looked) -> Numbers:
    return {"norm(grad)": norm_of_all(looked.after.gradient), "loss": looked.columns.loss[-1]}


def _clip(event: Event, looked: Looked) -> Numbers:
    largest = max(float(np.abs(value).max(initial=0.0)) for value in looked.used.values())
    return {"norm(grad) used": norm_of_all(looked.used), "largest number": largest, **events.clip_limit(looked.spec)}


def _rate_change(event: Event, looked: Looked) -> Numbers:
    return {"lr": looked.columns.learning_rate[-1], "before": looked.columns.learning_rate[-2]}


_NUMBERS: Mapping[type[Event], Callable[[Event, Looked], Numbers]] = {
    events.NonFinite: _non_finite,
    events.Divergence: _divergence,
    events.Explosion: _explosion,
    events.Vanishing: _vanishing,
    events.Plateau: _plateau,
    events.Oscillation: _oscillation,
    events.Overshoot: _overshoot,
    events.Dead: _dead,
    events.UpdateRatio: _update_ratio,
    events.Convergence: _convergence,
    events.Clip: _clip,
    events.RateChange: _rate_change,
}
