"""What a stop waits for: a condition, a change of a value, or an event. Values, each with its look inside the compiled loop."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from gdrepl.engine.events import Event, Memory, Shapes, in_full
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.reading import Reading
from gdrepl.engine.snapshot import Array
from gdrepl.errors import ExpressionError
from gdrepl.expression import Expression, Scope, evaluate

Tensor = Any


class Trigger(Protocol):
    """What ends a run, as `Program` asks it.

    Attributes:
        kind: breakpoint, watchpoint, event or until.
        text: as a user reads it.
        key: equal for triggers that compile to the same.
        expressions: what must be known at a point to look.
    """

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def key(self) -> Hashable: ...
    @property
    def expressions(self) -> tuple[Expression, ...]: ...

    def horizon(self) -> int:
        """How many updates back its memory reaches; 0 when it remembers nothing."""

    def blank(self, shapes: Shapes) -> list[Array]:
        """Its memory where nothing lies behind."""

    def given(self) -> list[Array]:
        """Values that are handed to each look, so that they are no part of what is compiled."""

    def look(self, reading: Reading, memory: Memory, given: list[Tensor]) -> tuple[Tensor, Memory]:
        """Whether it holds after this update, shape (), and its memory for the next."""


@dataclass(frozen=True, slots=True)
class Holds:
    """A condition holds at a point."""

    condition: Expression
    kind: str = "breakpoint"

    @property
    def text(self) -> str:
        """The condition."""
        return self.condition.text

    @property
    def key(self) -> Hashable:
        """By its text."""
        return "holds", self.condition.text

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The condition."""
        return (self.condition,)

    def horizon(self) -> int:
        """Nothing is remembered."""
        return 0

    def blank(self, shapes: Shapes) -> list[Array]:
        """Nothing."""
        return []

    def given(self) -> list[Array]:
        """Nothing."""
        return []

    def look(self, reading: Reading, memory: Memory, given: list[Tensor]) -> tuple[Tensor, Memory]:
        """The truth of the condition."""
        return check_condition(evaluate(self.condition, reading.after, reading.dtype), self.condition), memory


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """The value of an expression is another than at the point before, or has moved by `by` from `anchor`.

    Attributes:
        expression: of any shape.
        by: how far a number of it must have moved; None takes any change. NaN and NaN are the same.
        anchor: with `by`, the value when it was set or last held.
    """

    expression: Expression
    by: float | None = None
    anchor: Array | None = None

    @property
    def kind(self) -> str:
        """A watchpoint."""
        return "watchpoint"

    @property
    def text(self) -> str:
        """The expression, and by how much."""
        return self.expression.text if self.by is None else f"{self.expression.text} by {in_full(self.by)}"

    @property
    def key(self) -> Hashable:
        """The anchor is part of it by its shape and type alone."""
        kind = None if self.anchor is None else (self.anchor.shape, str(self.anchor.dtype))
        return "changes", self.expression.text, self.by, kind

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expression."""
        return (self.expression,)

    def horizon(self) -> int:
        """A value that asks for the point before itself cannot be asked of that one: it is remembered."""
        return 1 if self._remembers else 0

    @property
    def _remembers(self) -> bool:
        return self.by is None and self.expression.history

    def blank(self, shapes: Shapes) -> list[Array]:
        """No value is known, which its number of lookings tells; the value follows once its shape is known."""
        return [np.zeros((), np.int32), np.zeros(())] if self._remembers else []

    def given(self) -> list[Array]:
        """The anchor."""
        return [] if self.by is None or self.anchor is None else [self.anchor]

    def look(self, reading: Reading, memory: Memory, given: list[Tensor]) -> tuple[Tensor, Memory]:
        """Whether the value has changed."""
        tf = reading.tf
        now = evaluate(self.expression, reading.after, reading.dtype)
        if self.by is not None:
            if given[0].shape != now.shape:
                text = f"its shape was {tuple(given[0].shape)} when it was set, and is {tuple(now.shape)} here"
                raise ExpressionError(text, self.expression.text, 0)
            moved = tf.abs(_wide(tf, now) - tf.cast(given[0], tf.float64))
            return tf.reduce_any(moved >= self.by), memory
        if self._remembers:
            if now.shape.rank != 0:
                raise ExpressionError("only one number can be watched that reads prev or update", self.expression.text, 0)
            known, last = memory
            return (known > 0) & _differ(tf, _wide(tf, now), last), [tf.ones_like(known), _wide(tf, now)]
        last = evaluate(self.expression, reading.before, reading.dtype)
        return tf.reduce_any(_differ(tf, now, last)), memory


@dataclass(frozen=True, slots=True)
class Occurs:
    """An event begins to hold."""

    event: Event

    @property
    def kind(self) -> str:
        """An event."""
        return "event"

    @property
    def text(self) -> str:
        """Its name, and the thresholds that are not the usual ones."""
        return self.event.text()

    @property
    def key(self) -> Hashable:
        """All its thresholds."""
        return self.event

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """None."""
        return ()

    def horizon(self) -> int:
        """As far as the event's."""
        return self.event.horizon()

    def blank(self, shapes: Shapes) -> list[Array]:
        """It did not hold before, and what the event remembers."""
        return [np.zeros((), np.bool_), *self.event.blank(shapes)]

    def given(self) -> list[Array]:
        """Nothing."""
        return []

    def look(self, reading: Reading, memory: Memory, given: list[Tensor]) -> tuple[Tensor, Memory]:
        """Whether the event holds now, and did not before."""
        held_before, *last = memory
        holds, rest = self.event.look(reading, last)
        if self.event.of_updates and reading.applied is not None:
            where, applied = reading.tf.where, reading.applied
            holds = where(applied, holds, held_before)
            rest = [where(applied, new, old) for new, old in zip(rest, last)]
        return holds & ~held_before, [holds, *rest]


@dataclass(frozen=True, slots=True, eq=False)
class Guarded:
    """Another trigger, where a condition holds too."""

    trigger: Trigger
    condition: Expression

    @property
    def kind(self) -> str:
        """That of the trigger."""
        return self.trigger.kind

    @property
    def text(self) -> str:
        """The trigger's, and the condition."""
        return f"{self.trigger.text} if {self.condition.text}"

    @property
    def key(self) -> Hashable:
        """Both."""
        return "guarded", self.trigger.key, self.condition.text

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Of both."""
        return (*self.trigger.expressions, self.condition)

    def horizon(self) -> int:
        """That of the trigger."""
        return self.trigger.horizon()

    def blank(self, shapes: Shapes) -> list[Array]:
        """That of the trigger."""
        return self.trigger.blank(shapes)

    def given(self) -> list[Array]:
        """That of the trigger."""
        return self.trigger.given()

    def look(self, reading: Reading, memory: Memory, given: list[Tensor]) -> tuple[Tensor, Memory]:
        """Whether both hold."""
        held, memory = self.trigger.look(reading, memory, given)
        return held & check_condition(evaluate(self.condition, reading.after, reading.dtype), self.condition), memory


def _wide(tf: Any, value: Tensor) -> Tensor:
    return tf.cast(value, tf.float64)


def _differ(tf: Any, one: Tensor, other: Tensor) -> Tensor:
    """Where two values differ; NaN and NaN do not."""
    differ = tf.not_equal(one, other)
    if one.dtype == "bool":
        return differ
    return differ & ~(tf.math.is_nan(one) & tf.math.is_nan(other))


def check_condition(value: Tensor, condition: Expression) -> Tensor:
    """Return `value` if it is one truth value.

    Raises:
        ExpressionError: it is a number, or has more than one element.
    """
    if value.dtype != "bool":
        raise ExpressionError(
            "this is a number, not a condition", condition.text, 0, "compare it, for example loss < 1e-3 or step == 50"
        )
    if value.shape.rank != 0:
        raise ExpressionError("this condition has many truth values", condition.text, 0, "wrap it in all(...) or any(...)")
    return value


def try_out(trigger: Trigger, scope: Scope, spec: OptimizerSpec, dtype: str) -> None:
    """Look once at a point as if it were two, so that whatever is wrong with the trigger is told now.

    Raises:
        ExpressionError: it cannot be computed there.
    """
    import tensorflow as tf

    names = {name: tf.convert_to_tensor(value) for name, value in scope.names.items()}
    gradient = {name: tf.convert_to_tensor(value) for name, value in scope.gradient.items()}
    here = replace(scope, names=names, gradient=gradient, previous=None)
    blank = [tf.constant(value) for value in trigger.blank({name: tuple(value.shape) for name, value in gradient.items()})]
    reading = Reading(tf, here, replace(here, previous=here), spec, dtype)
    trigger.look(reading, blank, [tf.constant(value) for value in trigger.given()])
