"""Checks of the gradient on its way through the loss: where it is switched off, worn down, or never comes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdrepl.engine.events import Vanishing
from gdrepl.engine.snapshot import Array, norm
from gdrepl.insight.doctor.finding import NOTE, SEVERE, WARNING, Finding, said
from gdrepl.insight.doctor.rates import STANDING, is_slow, needed
from gdrepl.insight.doctor.seen import Seen
from gdrepl.insight.doctor.walk import Operation
from gdrepl.insight.saying import described

SWITCHES = ("relu", "max", "maximum", "min", "minimum", "clip", "where")
"""Functions that pass a gradient on or not at all."""
SQUASHERS = ("sigmoid", "tanh", "erf", "softmax", "atan")
"""Functions that flatten out for large numbers."""
STEPS = ("sign", "floor", "stop_gradient", "//", "%")
"""Functions through which no gradient goes."""
_WORN = 0.05
"""The part of a gradient that a squasher lets through at its best, below which it is saturated: a sigmoid beyond 3, tanh beyond
2.2."""


def dead_relu(seen: Seen) -> Finding | None:
    """Parameters whose gradient is exactly 0 behind a switch that is off."""
    if seen.at_the_bottom or not seen.walked:
        return None
    off = [operation for operation in _behind(seen, SWITCHES) if _let_through(operation) == 0.0]
    dead, whole = _dead_numbers(seen)
    partly = [operation for operation in _behind(seen, SWITCHES) if _has_closed(operation)]
    if not off and not (dead and partly):
        return None
    operation = (off or partly)[0]
    total = seen.problem.numbers
    share = f"{dead} of {total} numbers have a gradient of exactly 0"
    severity = SEVERE if off or whole else WARNING if 2 * dead >= total else NOTE
    closed = "is off everywhere" if off else "is off in part"
    told = f"{described(operation.text)} {closed}: {share}"
    return Finding("dead-relu", severity, told, "bt", {"dead": dead, "numbers": total})


def saturation(seen: Seen) -> Finding | None:
    """A sigmoid, tanh or the like so far out that hardly any gradient comes through, and a descent that is slow."""
    if seen.at_the_bottom or seen.arrived or not is_slow(seen):
        return None
    for operation in _behind(seen, SQUASHERS):
        through = _let_through(operation)
        if through is not None and through < _WORN:
            told = f"{described(operation.text)} is saturated: at most {said(through, 2)} of a gradient comes through"
            return Finding("saturation", SEVERE if needed(seen) > STANDING else WARNING, told, "bt", {"through": through})
    return None


def no_gradient(seen: Seen) -> Finding | None:
    """Parameters that the loss does not depend on, as far as derivatives tell."""
    if seen.at_the_bottom or not seen.walked:
        return None
    steps = [operation for operation in _behind(seen, STEPS) if _let_through(operation) == 0.0]
    names = [name for name, value in seen.at.gradient.items() if not np.any(value)]
    if not steps or not names:
        return None
    told = f"the gradient of {', '.join(names)} is 0: none comes through {described(steps[0].text)}"
    return Finding("no-gradient", SEVERE, told, "bt", {"parameters": len(names)})


def vanishing(seen: Seen) -> Finding | None:
    """A parameter whose gradient is next to nothing beside the loss, as the event vanishing has it."""
    event = Vanishing()
    limit = min(event.rtol * abs(seen.loss), event.norm)
    sizes = {name: norm(value) for name, value in seen.at.gradient.items()}
    weak = [name for name, size in sizes.items() if size < limit and not _is_curved(seen, name)]
    if not weak or seen.arrived or not seen.is_finite:
        return None
    ratio = sizes[weak[0]] / abs(seen.loss)
    told = f"the gradient of {weak[0]} is {said(ratio, 2)} of the loss"
    return Finding("vanishing", NOTE, told, "bt", {"ratio": ratio})


def _is_curved(seen: Seen, name: str) -> bool:
    """Whether the loss bends along a parameter, so that its gradient may be small because it stands at its lowest."""
    if seen.curvature is None or not seen.curvature.exact:
        return False
    first = sum(value.size for other, value in _before(seen, name))
    part = seen.curvature.vectors[:, first : first + seen.at.parameters[name].size]
    rows = part.T @ (seen.curvature.values[:, None] * seen.curvature.vectors)
    return bool(np.abs(rows).max(initial=0.0) > Vanishing().rtol * seen.curvature.size)


def _before(seen: Seen, name: str) -> Iterator[tuple[str, Array]]:
    for other, value in seen.at.parameters.items():
        if other == name:
            return
        yield other, value


def _behind(seen: Seen, names: tuple[str, ...]) -> Iterator[Operation]:
    """The operations of these names that a gradient arrives at, outermost first."""
    for operation in reversed(seen.walked):
        if operation.name in names and operation.adjoint is not None and np.any(operation.adjoint):
            yield operation


def _let_through(operation: Operation) -> float | None:
    """The largest gradient that leaves for its operands over the largest that arrives; None where it has no moving operand."""
    passed = [float(np.abs(each).max(initial=0.0)) for each in operation.passed if each is not None]
    if not passed or operation.adjoint is None:
        return None
    return max(passed) / float(np.abs(operation.adjoint).max())


def _has_closed(operation: Operation) -> bool:
    return any(each is not None and bool(np.any(each == 0)) for each in operation.passed)


def _dead_numbers(seen: Seen) -> tuple[int, bool]:
    """How many numbers of the gradient are exactly 0, and whether all of a parameter are."""
    zeros = {name: int(np.sum(value == 0)) for name, value in seen.at.gradient.items()}
    return sum(zeros.values()), any(count == seen.at.gradient[name].size for name, count in zeros.items())
