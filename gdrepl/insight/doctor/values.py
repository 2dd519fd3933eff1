"""Checks of numbers that leave what a float can hold, or what a function is defined for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdrepl.engine.events import Explosion
from gdrepl.engine.snapshot import Array
from gdrepl.insight.doctor.finding import SEVERE, Finding, said
from gdrepl.insight.doctor.seen import Seen
from gdrepl.insight.doctor.walk import Operation, first_broken, first_broken_backwards, is_broken
from gdrepl.insight.saying import described

LOGARITHMS = ("log", "log1p")
EXPONENTIALS = ("exp", "expm1", "sinh", "cosh")
BOUNDED = ("sqrt", "asin", "acos", "/", "//", "%")
"""Functions that are not defined, or infinite, for some finite numbers."""
_STEEP = Explosion().norm
"""The size of a derivative above which the event explosion calls a gradient exploded."""
_LARGE = 2.0**24
"""What an exponential must be above to be called large: float32 has no digit for a 1 beside it."""


def log_domain(seen: Seen) -> Finding | None:
    """A logarithm of 0 or less, here or after the coming update."""
    return _outside(seen, "log-domain", lambda operation: operation.name in LOGARITHMS)


def other_domain(seen: Seen) -> Finding | None:
    """A root, quotient or power of a number for which there is none, here or after the coming update."""
    return _outside(seen, "domain", lambda operation: operation.name in BOUNDED or _is_undefined_power(operation))


def exploding_exponent(seen: Seen) -> Finding | None:
    """An exponential that overflows or makes something else overflow, or through which the gradient has exploded."""
    broken = _first(seen.broke, _is_overflown_exponential)
    if broken is not None and seen.broken is not None:
        return _exponent(*broken, f"overflows {seen.problem.dtype} at step {seen.broken.step}")
    large = next((each for each in seen.broke if _is_large(each) and first_broken(seen.broke) is not None), None)
    if large is not None and seen.broken is not None:
        return _exponent(large, _largest(large), f"makes a value overflow {seen.problem.dtype} at step {seen.broken.step}")
    for operations, when in ((seen.walked, "here"), (seen.steepest, "where the gradient was largest")):
        steep = max((each for each in operations if _is_large(each)), key=_through, default=None)
        if steep is not None and _through(steep) > _STEEP:
            return _exponent(steep, _largest(steep), f"makes the gradient {said(_through(steep))} {when}")
    coming = _first(seen.ahead, _is_overflown_exponential) if is_broken(seen.ahead) else None
    return None if coming is None else _exponent(*coming, "overflows with the coming update")


def overflow(seen: Seen) -> Finding | None:
    """A value that is too large for the type, which no exponential and no bound of a function explains."""
    found = first_broken(seen.broke) if seen.broken is not None else None
    if found is None or seen.broken is None:
        return None
    operation = found[0]
    if _is_exponential(operation) or operation.name in (*LOGARITHMS, *BOUNDED) or _is_undefined_power(operation):
        return None
    largest = max(float(np.abs(value).max(initial=0.0)) for _, value in operation.inputs)
    told = f"{described(operation.text)} overflows {seen.problem.dtype} at step {seen.broken.step}: it is of {said(largest)}"
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
    found = _first(seen.broke, chosen)
    if found is not None and seen.broken is not None:
        return _domain(name, "why", *found, f"at step {seen.broken.step}")
    found = _first(seen.ahead, chosen) if is_broken(seen.ahead) else None
    return None if found is None else _domain(name, "explain", *found, "with the coming update")


def _first(operations: tuple[Operation, ...], chosen: Callable[[Operation], bool]) -> tuple[Operation, int] | None:
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


def _domain(name: str, deeper: str, operation: Operation, place: int, when: str) -> Finding:
    text, value = operation.inputs[-1] if operation.name in ("/", "//", "%") else operation.inputs[0]
    number = _element(value, operation.value, place)
    shown = f"{operation.name}({described(text)})" if operation.name.isalnum() else described(operation.text)
    of = f"of {said(number)}" if operation.name.isalnum() else f"where {described(text)} is {said(number)}"
    return Finding(name, SEVERE, f"{shown} {of} {when}", deeper, {"input": number})


def _exponent(operation: Operation, place: int, what: str) -> Finding:
    text, value = operation.inputs[-1] if operation.name == "**" else operation.inputs[0]
    number = _element(value, operation.value, place)
    shown = f"{operation.name}({described(text)})" if operation.name != "**" else described(operation.text)
    return Finding("exploding-exponent", SEVERE, f"{shown} of {said(number)} {what}", "bt", {"input": number})


def _is_exponential(operation: Operation) -> bool:
    """A function that grows as e**x does; also a power whose exponent depends on the parameters."""
    if operation.name == "**":
        return len(operation.passed) > 1 and operation.passed[1] is not None
    return operation.name in EXPONENTIALS


def _is_overflown_exponential(operation: Operation) -> bool:
    return _is_exponential(operation) and bool(np.isinf(operation.value).any())


def _is_large(operation: Operation) -> bool:
    """Whether an exponential is finite, and so large that a 1 beside it is lost in rounding."""
    if not _is_exponential(operation):
        return False
    largest = float(np.abs(operation.value).max(initial=0.0))
    return bool(np.isfinite(largest)) and largest > _LARGE


def _largest(operation: Operation) -> int:
    return int(np.argmax(np.abs(operation.value)))


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
