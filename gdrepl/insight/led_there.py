"""What led to a value that is not finite: the last finite point, the updates from there, and the limit of their rate."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import Snapshot, norm_of_all
from gdrepl.insight import saying
from gdrepl.insight.cause import LimitAt, Why
from gdrepl.insight.summary import briefly

LOOKED_BACK = 5
"""How many updates are told of."""
_GROWING = 1.05
"""The factor from update to update from which on it is told."""


def with_the_way(debugger: Debugger, told: Why, before: Snapshot, after: Snapshot, limit_at: LimitAt) -> Why:
    """The same with what led from the last finite point, `before`, to the first that is not, `after`."""
    norms = tuple(_norms(debugger, after))
    told = replace(
        told,
        last_finite=before.step,
        parameters=briefly(before.parameters),
        learning_rate=before.learning_rate,
        updates=norms,
        growth=_growth(norms),
    )
    told = _with_limit(debugger, told, limit_at)
    return replace(told, notes=(*told.notes, *_way(told)))


def _norms(debugger: Debugger, after: Snapshot) -> Iterator[float]:
    """The norms of the updates that led to a point, the last five, as far as they are finite."""
    first = max(debugger.branch.start, after.step - LOOKED_BACK)
    points = [debugger.snapshot_at(step).parameters for step in range(first, after.step)] + [after.parameters]
    for one, other in itertools.pairwise(points):
        with np.errstate(all="ignore"):
            size = norm_of_all({name: other[name].astype(np.float64) - value for name, value in one.items()})
        if np.isfinite(size):
            yield size


def _growth(norms: Sequence[float]) -> float | None:
    if len(norms) < 2 or not norms[0] or not norms[-1]:
        return None
    return float(np.exp((np.log(norms[-1]) - np.log(norms[0])) / (len(norms) - 1)))


def _with_limit(debugger: Debugger, told: Why, limit_at: LimitAt) -> Why:
    assert told.last_finite is not None
    found = limit_at(debugger, told.last_finite)
    if found is None or found.limit is None or found.ratio is None:
        return told
    rate, limit, times = saying.number(told.learning_rate), saying.number(found.limit), saying.number(found.ratio, 3)
    over = f"the rate {rate} was {times} times the stability limit {limit} at step {told.last_finite} ({found.rule})"
    means = "such a descent diverges" if found.ratio > 1 else "the rate alone does not explain it"
    return replace(told, limit=found.limit, ratio=found.ratio, notes=(*told.notes, f"{over}: {means}"))


def _way(told: Why) -> Iterator[str]:
    """The way there, and what to do next, in words."""
    if told.updates:
        norms = ", ".join(f"{saying.number(size, 3)}" for size in told.updates)
        many = len(told.updates) > 1
        grew = (
            f": each {saying.number(told.growth, 3)} times the one before"
            if told.growth is not None and told.growth > _GROWING
            else ""
        )
        yield f"the last {f'{len(told.updates)} updates' if many else 'update'} had the norm{'s' if many else ''} {norms}{grew}"
    yield f"goto {told.last_finite} goes to the last finite step: bt and info lr look around there, whatif lr tries other rates"
