"""A problem: named parameters with their start values, constants, and a loss of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from gdrepl.engine import backend
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.errors import CommandError, ExpressionError, ProblemError
from gdrepl.expression import Expression, check_name, evaluate, parse

DTYPES = ("float32", "float64")
MAX_NUMBERS = 10_000_000
_MOST_SOUND = 1000
_SOUND: set[tuple[object, ...]] = set()
"""The keys of problems whose loss was seen to be one number: whoever loads or replays sessions makes them again and again."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: the text that made it and, for a file, the SHA-256 of its bytes."""

    text: str
    sha256: str = ""


@dataclass(frozen=True, eq=False)
class Problem:
    """Parameters and a loss of them, checked: the loss is one number and every name in it has a value.

    Attributes:
        loss: the expression to be made small.
        parameters: name -> start value; float32 or float64, any shape. Only those that the loss reads.
        constants: name -> value, of the same dtype. Only those that the loss reads.
        dtype: float32 or float64.
        name: the zoo's name, or empty.
        origins: name -> where its value came from, for those that were not typed as plain numbers.
    """

    loss: Expression
    parameters: Mapping[str, Array]
    constants: Mapping[str, Array]
    dtype: str = "float32"
    name: str = ""
    origins: Mapping[str, Origin] = field(default_factory=dict)

    @property
    def program_key(self) -> tuple[object, ...]:
        """What a compiled program depends on: everything but the start values, and whose way the loss is computed in."""
        shapes = tuple((name, value.shape) for name, value in self.parameters.items())
        return (type(self), self.loss.text, self.dtype, shapes, self._constants_digest)

    @property
    def numbers(self) -> int:
        """How many numbers the parameters hold together."""
        return sum(value.size for value in self.parameters.values())

    @property
    def numbers_in_all(self) -> int:
        """How many numbers the parameters and the constants hold together."""
        return self.numbers + sum(value.size for value in self.constants.values())

    @cached_property
    def _constants_digest(self) -> str:
        digest = hashlib.sha256()
        for name, value in self.constants.items():
            digest.update(f"{name}{value.shape}".encode())
            digest.update(value.tobytes())
        return digest.hexdigest()

    def tensors(self) -> Mapping[str, Any]:
        """The constants as tensors, made once."""
        cached = self.__dict__.get("_tensors")
        if cached is None:
            import tensorflow as tf

            with tf.init_scope():
                cached = {name: tf.constant(value) for name, value in self.constants.items()}
            self.__dict__["_tensors"] = cached
        return cached

    def loss_of(self, parameters: Mapping[str, Any]) -> Any:
        """The loss, a tensor of shape (), at `parameters` (name -> tensor); works inside a tf.function."""
        return evaluate(self.loss, {**self.tensors(), **parameters}, self.dtype)

    def loss_and_gradient(self, parameters: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The loss and, for each parameter, d loss / d parameter by `tf.GradientTape` (0 where it does not depend on it)."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(list(parameters.values()))
            loss = self.loss_of(parameters)
        gradient = tape.gradient(loss, dict(parameters), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, gradient


def make_problem(
    loss: str,
    parameters: Mapping[str, object],
    constants: Mapping[str, object] | None = None,
    dtype: str = "float32",
    name: str = "",
    origins: Mapping[str, Origin] | None = None,
) -> Problem:
    """Check a problem and build it.

    Parameters and constants that the loss does not read are left out of it.

    Raises:
        ExpressionError: the loss is not an expression, or reads a name that has no value.
        ProblemError: the loss is not one number, reads no parameter, or shapes do not fit.
        CommandError: a value is not made of numbers, or a name cannot be one.
    """
    if dtype not in DTYPES:
        raise CommandError(f"unknown dtype '{dtype}'", "float32 or float64")
    constants = constants or {}
    for given in [*parameters, *constants]:
        check_name(given)
        if given in parameters and given in constants:
            raise CommandError(f"{given} is given as a parameter and as a constant", "leave one of them out")
    expression = parse(loss, [*parameters, *constants])
    used = expression.names
    problem = Problem(
        expression,
        MappingProxyType({key: as_array(value, dtype, key) for key, value in parameters.items() if key in used}),
        MappingProxyType({key: as_array(value, dtype, key) for key, value in constants.items() if key in used}),
        dtype,
        name,
        MappingProxyType({key: value for key, value in (origins or {}).items() if key in used}),
    )
    _check(problem)
    return problem


def as_array(value: object, dtype: str, name: str = "the value") -> Array:
    """`value` (a number, nested lists of numbers or an array) as a read-only array of `dtype`.

    Raises:
        CommandError: rows differ in length, something is not a number, or there are too many numbers.
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu" or array.size == 0:
            raise ValueError
        with np.errstate(over="ignore"):
            converted = frozen(array.astype(dtype))
    except (ValueError, TypeError, OverflowError):
        raise CommandError(f"{name} is not made of numbers", "for example 3.0, [0.1, -0.2] or [[1, 2], [3, 4]]") from None
    if converted.size > MAX_NUMBERS:
        raise CommandError(f"{name} has {converted.size} numbers; {MAX_NUMBERS} are allowed")
    if np.isinf(converted).any() and not np.isinf(array.astype("float64")).any():
        raise CommandError(f"{name} holds a number too large for {dtype}", "start with --dtype float64")
    return converted


def _check(problem: Problem) -> None:
    """Evaluate the loss once, so that nothing wrong with it waits until the first step; of equal problems only the first."""
    if problem.program_key in _SOUND:
        return
    if not problem.parameters:
        hint = "it needs one, such as (x - 50)**2 with var x = 3.0"
        raise ProblemError(f"the loss {problem.loss.text[:60]} reads no parameter", hint)
    backend.load()
    import tensorflow as tf

    try:
        loss = problem.loss_of({name: tf.constant(value) for name, value in problem.parameters.items()})
    except ExpressionError:
        raise
    except tf.errors.ResourceExhaustedError:
        raise ProblemError("the loss does not fit into memory") from None
    if loss.dtype == tf.bool:
        raise ProblemError("the loss is a condition, not a number", "a loss is one number, such as mean((X @ w - y)**2)")
    if loss.shape.rank != 0:
        shape = tuple(loss.shape)
        raise ProblemError(f"the loss has shape {shape}; it must be one number", "wrap it in sum(...) or mean(...)")
    if len(_SOUND) >= _MOST_SOUND:
        _SOUND.clear()
    _SOUND.add(problem.program_key)
