"""What `why` answers: where the first value that is not finite came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import OPTIONAL, SAID, Array
from gdrepl.insight.stability import RateLimit
from gdrepl.insight.summary import Value

LimitAt = Callable[[Debugger, int], RateLimit | None]
"""The stability limit of the learning rate at a step of the branch in force; None where nobody knows one."""


@dataclass(frozen=True, slots=True, eq=False)
class Why:
    """Where the first value that is not finite came from.

    Attributes:
        step: the first step that is not finite, or at which a slot of the optimizer is not; where we stand, when every step is.
        operation: what made it of finite inputs: a function or sign of the loss, or "update"; empty where every step is finite.
        expression: the operation as it stands in the loss, of one element where it works by elements; for a gradient the
            derivative; for an update the slot or the parameter.
        inputs: text -> value: what it was computed of.
        notes: the same in words, what led there, and what to look at next.
        kind: "value", "gradient" or "update", "start" where the problem begins so, "edit" where an edit made it, or "".
        output: what came out.
        last_finite: the last finite step, from which an update led there; None where there is none.
        parameters: at the last finite step.
        learning_rate: of the update from there.
        updates: the norms of the last five updates that were finite, oldest first.
        growth: by how much each of them was larger than the one before, as a geometric mean; None where that says nothing.
        limit: the stability limit of the rate at the last finite step; None where there is none.
        ratio: rate over limit.
        loss: the text of the loss; `start` and `end` are the columns at which the operation stands in it.
    """

    step: int
    operation: str
    expression: str
    inputs: Mapping[str, Value]
    notes: tuple[str, ...] = field(default=(), metadata=SAID)
    kind: str = ""
    output: Array | None = field(default=None, metadata=OPTIONAL)
    last_finite: int | None = field(default=None, metadata=OPTIONAL)
    parameters: Mapping[str, Value] = field(default_factory=dict)
    learning_rate: Array | None = field(default=None, metadata=OPTIONAL)
    updates: tuple[float, ...] = ()
    growth: float | None = field(default=None, metadata=OPTIONAL)
    limit: float | None = field(default=None, metadata=OPTIONAL)
    ratio: float | None = field(default=None, metadata=OPTIONAL)
    loss: str = ""
    start: int = 0
    end: int = 0
