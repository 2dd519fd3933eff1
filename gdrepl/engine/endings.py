"""Why a run ended, in the words of `Stop`."""

from __future__ import annotations

import numpy as np

from gdrepl.engine.asking import Asking
from gdrepl.engine.snapshot import Snapshot, Stop
from gdrepl.engine.stops import StopPoint
from gdrepl.engine.triggers import Changes, Occurs


def ending(taken: int, count: int | None, stopped: bool, interrupted: bool) -> list[Stop]:
    """What ended a run of `count` updates after `taken`, beyond the stops."""
    if count is not None and taken >= count:
        return [Stop("count", None, f"{count} step{'s' if count != 1 else ''}")]
    if stopped:
        return []
    if interrupted:
        return [Stop("interrupt", None, f"after {taken} steps")]
    return [Stop("max-steps", None, f"after {taken} steps (set max-steps)")]


def non_finite(snapshot: Snapshot) -> Stop:
    """Which values of a point are not finite."""
    names = [] if np.isfinite(snapshot.loss) else [f"loss is {snapshot.loss}"]
    if not np.isfinite(snapshot.learning_rate):  # the cause of the rest
        names.insert(0, f"the learning rate is {snapshot.learning_rate}")
    for name, value in snapshot.gradient.items():
        if not np.isfinite(value).all():
            names.append(f"grad({name}) is {value if value.ndim == 0 else 'not finite'}")
    return Stop("non-finite", None, ", ".join(names))


def held(item: StopPoint, step: int, asking: Asking) -> Stop:
    """A stop that held at `step`, where we stand; of a watchpoint with the value before and after."""
    trigger = item.trigger
    if isinstance(trigger, Occurs):
        return Stop("event", trigger.event.name, item.text, item.id, item.name)
    if not isinstance(trigger, Changes):
        return Stop(item.kind, item.id, item.text, name=item.name)
    before = asking.value_or_none(trigger.expression, step - 1) if trigger.by is None else trigger.anchor
    return Stop(item.kind, item.id, item.text, None, item.name, before, asking.value_or_none(trigger.expression))


def broken(item: StopPoint, why: str) -> Stop:
    """A stop that cannot be computed."""
    return Stop(item.kind, item.id, item.text, name=item.name, error=why)
