"""Checks of numbers that leave what a float can hold, or what a function is defined for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdrepl.engine.events import Explosion
from gdrepl.engine.snapshot import Array
from gdrepl.insight.doctor.finding import SEVERE, WARNING, Finding, said
from gdrepl.insight.doctor.seen import Seen
from gdrepl.insight.doctor.walk import Operation, first_broken, first_broken_backwards

LOGARITHMS = ("log", "log1p")
EXPONENTIALS = ("exp", "expm1", "sinh", "cosh")
BOUNDED = ("sqrt", "asin", "acos", "/", "//", "%")
"""Functions that are not defined, or infinite, for some finite numbers."""
_STEEP = Explosion().norm
"""The size of a derivative above which the event explosion calls a gradient exploded."""
_LONGEST = 40


def log_domain(seen: Seen) -> Finding | None:
    """A logarithm of 0 or less, here or after the coming update."""
    return _outside(seen, "log-domain", lambda operation: operation.name in LOGARITHMS)


def other_domain(seen: Seen) -> Finding | None:
    """A root, quotient or power of a number for which there is none, here or after the coming update."""
    return _outside(seen, "domain", lambda operation: operation.name in BOUNDED or _is_undefined_power(operation))


def exploding_exponent(seen: Seen) -> Finding | None:
    """An exponential that overflows, or that is so large that the gradient through it has exploded."""
    broken = _first(seen, seen.broke, lambda operation: _is_exponential(operation) and _overflows(operation))
    if broken is not None and seen.broken is not None:
        return _exponent(SEVERE, *broken, f"overflows {seen.problem.dtype} at step {seen.broken.step}")
    for operations, when in ((seen.walked, "here"), (seen.steepest, "where the gradient was largest")):
        steep = max(
            ((_through(each), each) for each in operations if _is_large(each, seen)), key=lambda pair: pair[0], default=None
        )
        if steep is not None and steep[0] > _STEEP:
            place = int(np.argmax(np.abs(steep[1].value)))
            return _exponent(SEVERE, steep[1], place, f"makes the gradient {said(steep[0])} {when}")
    coming = _first(seen, seen.ahead, lambda operation: _is_exponential(operation) and _overflows(operation))
    return None if coming is None else _exponent(SEVERE, *coming, "overflows with the coming update")


def overflow(seen: Seen) -> Finding | None:
    """A value that is too large for the type, which no exponential and no bound of a function explains."""
    found = first_broken(seen.broke) if seen.broken is not None else None
    if found is None or seen.broken is None:
        return None
    operation = found[0]
    if _is_exponential(operation) or operation.name in (*LOGARITHMS, *BOUNDED) or _is_undefined_power(operation):
        return None
    largest = max(float(np.abs(value).max(initial=0.0)) for _, value in operation.inputs)
    told = (
        f"{_short(operation.text)}, of numbers up to {said(largest)}, overflows {seen.problem.dtype} at step {seen.broken.step}"
    )
    return Finding("overflow", SEVERE, told, "why", {"step": seen.broken.step, "input": largest})


def non_finite(seen: Seen) -> Finding | None:
    """We stand at or behind a point whose loss or gradient is not finite."""
    if seen.broken is None:
        return None
    what = "loss" if not np.isfinite(seen.broken.loss) else "gradient"
    if not seen.is_finite:
        told = f"the {what} is not finite already at step {seen.broken.step}: nothing can come of this start"
        return Finding("non-finite", SEVERE, told, "why", {"step": seen.broken.step})
    told = f"the {what} is not finite from step {seen.broken.step} on; step {seen.at.step} is the last good one"
    return Finding("non-finite", SEVERE, told, "why", {"step": seen.broken.step})


def _outside(seen: Seen, name: str, chosen: Callable[[Operation], bool]) -> Finding | None:
    found = _first(seen, seen.broke, chosen)
    if found is not None and seen.broken is not None:
        return _domain(name, SEVERE, *found, f"at step {seen.broken.step}")
    found = _first(seen, seen.ahead, chosen)
    return None if found is None else _domain(name, WARNING, *found, "with the coming update")


def _first(seen: Seen, operations: tuple[Operation, ...], chosen: Callable[[Operation], bool]) -> tuple[Operation, int] | None:
    """The first operation that breaks, forwards or else backwards, and where; None where it is none of the chosen."""
    found = first_broken(operations)
    if found is not None:
        return found if chosen(found[0]) else None
    backwards = first_broken_backwards(operations)
    if backwards is None or not chosen(backwards[0]):
        return None
    passed = backwards[0].passed[backwards[1]]
    assert passed is not None
    return backwards[0], int(np.flatnonzero(~np.isfinite(passed).reshape(-1))[0])


def _domain(name: str, severity: str, operation: Operation, place: int, when: str) -> Finding:
    text, value = operation.inputs[-1] if operation.name in ("/", "//", "%") else operation.inputs[0]
    number = _element(value, operation.value, place)
    shown = f"{operation.name}({_short(text)})" if operation.name.isalnum() else _short(operation.text)
    of = f"of {said(number)}" if operation.name.isalnum() else f"where {_short(text)} is {said(number)}"
    return Finding(name, severity, f"{shown} {of} {when}", "why" if severity == SEVERE else "explain", {"input": number})


def _exponent(severity: str, operation: Operation, place: int, what: str) -> Finding:
    text, value = operation.inputs[-1] if operation.name == "**" else operation.inputs[0]
    number = _element(value, operation.value, place)
    shown = f"{operation.name}({_short(text)})" if operation.name != "**" else _short(operation.text)
    return Finding("exploding-exponent", severity, f"{shown} of {said(number)} {what}", "bt", {"input": number})


def _is_exponential(operation: Operation) -> bool:
    """A function that grows as e**x does; also a power whose exponent depends on the parameters."""
    if operation.name == "**":
        return len(operation.passed) > 1 and operation.passed[1] is not None
    return operation.name in EXPONENTIALS


def _overflows(operation: Operation) -> bool:
    return bool(np.isinf(operation.value).any())


def _is_large(operation: Operation, seen: Seen) -> bool:
    """Whether an exponential is so large that a 1 beside it is lost in rounding."""
    with np.errstate(invalid="ignore"):
        largest = np.abs(operation.value).max(initial=0)
        return _is_exponential(operation) and bool(largest > 1 / np.finfo(seen.problem.dtype).eps)


def _through(operation: Operation) -> float:
    """The largest derivative of the loss by the exponent."""
    passed = operation.passed[-1] if operation.passed else None
    return 0.0 if passed is None else float(np.abs(passed).max(initial=0.0))


def _is_undefined_power(operation: Operation) -> bool:
    """A power of a negative number with a broken exponent, or of 0 with a negative one."""
    if operation.name != "**" or len(operation.inputs) < 2:
        return False
    base, exponent = operation.inputs[0][1], operation.inputs[1][1]
    return bool(np.any((base < 0) & (exponent != np.floor(exponent))) or np.any((base == 0) & (exponent < 1)))


def _element(value: Array, result: Array, place: int) -> float:
    """The element of an operand that belongs to a place of the result, counted flat."""
    if value.shape == result.shape:
        return float(value.reshape(-1)[place])
    try:
        return float(np.broadcast_to(value, result.shape).reshape(-1)[place])
    except ValueError:
        return float(value.reshape(-1)[min(place, value.size - 1)])


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
