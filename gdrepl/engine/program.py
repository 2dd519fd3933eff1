"""Loss, gradient and optimizer update as one compiled loop; the only code that runs updates.

One update: the optimizer applies the gradient that the point carries, the loss and gradient at the new parameters are computed,
the new point is written as one row, and the stop conditions are asked. `step` runs the same loop with count 1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gdrepl.engine import backend, optimizer
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem
from gdrepl.engine.rows import Layout
from gdrepl.engine.snapshot import Array, Snapshot, frozen
from gdrepl.errors import CommandError, ExpressionError, ProblemError
from gdrepl.expression import Expression, Scope, evaluate

ENGINES = ("xla", "graph", "eager")
_RECORD_BYTES = 4 * 2**20
_FIRST_CHUNK = {"xla": 256, "graph": 16, "eager": 1}
Tensor = Any


@dataclass(frozen=True, slots=True, eq=False)
class Advance:
    """What one call of the loop did.

    Attributes:
        parts: the points arrived at, as rows: arrays of shape (some, width of the layout), in order, each of its own memory.
        fired: for each condition, whether it held at the last point.
        finite: False when the loss or the gradient of the last point is not finite.
    """

    parts: tuple[Array, ...]
    fired: tuple[bool, ...]
    finite: bool

    @property
    def rows(self) -> Array:
        """All rows, shape (taken, width of the layout)."""
        return self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)

    @property
    def taken(self) -> int:
        """How many updates were made."""
        return sum(map(len, self.parts))


class Program:
    """One problem with one optimizer, compiled: its own variables, loaded from snapshots and captured into them."""

    def __init__(
        self, problem: Problem, spec: OptimizerSpec, engine: str = "xla", conditions: Sequence[Expression] = ()
    ) -> None:
        """Build variables and optimizer; tracing and compiling wait for the first use.

        Raises:
            CommandError: the engine is unknown.
        """
        if engine not in ENGINES:
            raise CommandError(f"unknown engine '{engine}'", "xla, graph or eager")
        backend.load()
        import tensorflow as tf

        self.tf = tf
        self.problem = problem
        self.spec = spec
        self.engine = engine
        self.conditions = tuple(conditions)
        self.layout = Layout.of(problem.parameters, problem.dtype)
        self.capacity = max(64, min(2**18, _RECORD_BYTES // self.layout.row_bytes))
        self.pace = Pace(_FIRST_CHUNK[engine])
        self.variables = {name: tf.Variable(value, name=name) for name, value in problem.parameters.items()}
        self.optimizer = optimizer.build(spec, list(self.variables.values()), problem.dtype)
        self.slot_names = optimizer.slot_names(self.optimizer, list(self.variables))
        # Points are written into one variable that every call uses again: XLA updates it in place, so that a single step costs
        # the same as with a small one, and one program serves a step and a run of a million.
        self._record = tf.Variable(tf.zeros([self.capacity, self.layout.width], problem.dtype), trainable=False)
        self._loss: Tensor = None
        self._gradient: dict[str, Tensor] = {}
        self._step = 0
        self._at: Snapshot | None = None
        self._compiled_loop = self._compile(self._loop)
        self._compiled_point = self._compile(self._point)

    def _compile(self, function: Any) -> Any:
        """`function` as this engine runs it; traced once, at the first call."""
        if self.engine == "eager":
            return function
        traced = self.tf.function(function, jit_compile=self.engine == "xla", autograph=False)
        concrete: list[Any] = []

        def call(*arguments: Any) -> Any:
            if not concrete:
                concrete.append(traced.get_concrete_function(*arguments))
            # A concrete function does not look at the types of its arguments anew, which is half the cost of a step.
            return concrete[0](*self.tf.nest.flatten(arguments))

        return call

    @property
    def rate_place(self) -> int:
        """Where in the slots the plain learning rate lies.

        Raises:
            ValueError: the rate follows a schedule.
        """
        return self.slot_names.index(("learning_rate", None))

    def fresh(self, parameters: Mapping[str, Array], step: int = 0, learning_rate: float | None = None) -> Snapshot:
        """The snapshot of `parameters` with the optimizer as Keras builds it there: new slots."""
        for name, variable in self.variables.items():
            variable.assign(parameters[name])
        new = optimizer.build(self.spec, list(self.variables.values()), self.problem.dtype)
        slots = list(optimizer.capture(new))
        if learning_rate is not None and self.spec.schedule is None:
            place = self.rate_place
            slots[place] = frozen(np.asarray(learning_rate, slots[place].dtype))
        return self.evaluated(parameters, tuple(slots), step)

    def evaluated(self, parameters: Mapping[str, Array], slots: tuple[Array, ...], step: int) -> Snapshot:
        """The snapshot of `parameters` and `slots`, its loss and gradient computed by this program's engine.

        Raises:
            ProblemError: the engine refuses the loss.
        """
        for name, variable in self.variables.items():
            variable.assign(parameters[name])
        optimizer.restore(self.optimizer, slots)
        self._at = None
        self._loss, gradient = self._guarded(None, self._compiled_point)
        self._gradient = dict(zip(self.variables, gradient))
        self._step = step
        return self.capture()

    def load(self, snapshot: Snapshot) -> None:
        """Put the program at `snapshot`; nothing is computed."""
        if snapshot is self._at:
            return
        for name, variable in self.variables.items():
            variable.assign(snapshot.parameters[name])
        optimizer.restore(self.optimizer, snapshot.slots)
        self._loss = self.tf.constant(snapshot.loss)
        self._gradient = {name: self.tf.constant(value) for name, value in snapshot.gradient.items()}
        self._step = snapshot.step
        self._at = snapshot

    def capture(self) -> Snapshot:
        """A snapshot of where the program is."""
        if self._at is None:
            rate = optimizer.current_rate(self.optimizer, self.problem.dtype)
            self._at = Snapshot(
                self._step,
                {name: frozen(variable.numpy()) for name, variable in self.variables.items()},
                optimizer.capture(self.optimizer),
                frozen(self._loss.numpy()),
                {name: frozen(value.numpy()) for name, value in self._gradient.items()},
                frozen(rate.numpy()),
            )
        return self._at

    def advance(self, count: int, armed: Sequence[bool] = (), through: bool = False) -> Advance:
        """Make up to `count` updates, fewer when an armed condition holds or, unless `through`, a value is not finite.

        Raises:
            ProblemError: the engine refuses the loss or the optimizer.
            ExpressionError: a condition cannot be computed.
        """
        before, self._at = self._at, None  # whatever happens from here on, the variables are no longer at `before`
        flags = [int(each) for each in armed] or [0] * len(self.conditions)
        parts: list[Array] = []
        left = count
        while True:
            control = self.tf.constant([min(left, self.capacity), self._step, int(through), *flags], self.tf.int64)
            status, loss, gradient, last_row = self._guarded(
                before, self._compiled_loop, control, self._loss, list(self._gradient.values())
            )
            done, finite, *fired = (int(number) for number in status.numpy())
            self._loss, self._gradient = loss, dict(zip(self.variables, gradient))
            self._step += done
            left -= done
            parts.append(self._rows(done, last_row))
            if left <= 0 or any(fired) or not (finite or through):
                break
        return Advance(tuple(parts), tuple(bool(held) for held in fired), bool(finite))

    def _rows(self, done: int, last_row: Tensor) -> Array:
        """The rows of the `done` points arrived at: all but the last were written as the point that the next turn left."""
        rows = np.empty((done, self.layout.width), self.problem.dtype)
        if done > 1:
            rows[:-1] = self._record[1:done].numpy()
        rows[-1] = last_row.numpy()
        return rows

    def _guarded(self, before: Snapshot | None, function: Any, *arguments: Any) -> Any:
        """Call into TensorFlow; what it refuses becomes one line, and the program goes back to `before`."""
        errors = self.tf.errors
        try:
            return function(*arguments)
        except ExpressionError:
            raise
        except (errors.OpError, ValueError, TypeError, NotImplementedError) as error:
            if before is not None:
                self.load(before)
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ProblemError(
                f"the {self.engine} engine cannot run this: {first[:160]}", "try another engine: --engine graph or eager"
            ) from error

    def _values(self) -> dict[str, Tensor]:
        return {name: variable.read_value() for name, variable in self.variables.items()}

    def _point(self) -> tuple[Tensor, list[Tensor]]:
        loss, gradient = self.problem.loss_and_gradient(self._values())
        return loss, list(gradient.values())

    def _loop(self, control: Tensor, loss: Tensor, gradient: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
        """The loop. `control` (int64): the count, the step we stand at, 1 to go through what is not finite, 1 for each armed.

        Each turn writes the row of the point that it leaves, from values that were carried into it: a row made from what the
        turn computes would have XLA compute that twice. For the same reason what ends the loop is asked before the next turn.

        Returns the updates made, 1 if all is finite and 1 for each condition that held, as one int64 vector, then the loss,
        the gradient and the row of the point arrived at.
        """
        tf = self.tf
        count, base, through, armed = tf.cast(control[0], tf.int32), control[1], control[2] > 0, control[3:] > 0
        xla = self.engine == "xla"
        # Inside XLA a TensorArray made from the variable is the variable's own memory; elsewhere rows are assigned one by one.
        record = tf.TensorArray(tf.as_dtype(self.problem.dtype), size=self.capacity).unstack(self._record) if xla else ()

        def ending(
            done: Tensor, loss: Tensor, gradient: list[Tensor], norms: dict[str, Tensor], previous: Any
        ) -> tuple[Tensor, Tensor]:
            named = dict(zip(self.variables, gradient))
            return self.layout.finite(tf, loss, named, norms), self._held(base, done, loss, gradient, previous, armed)

        def goes_on(
            done: Tensor, loss: Tensor, gradient: list[Tensor], norms: dict[str, Tensor], _record: Any, previous: Any
        ) -> Tensor:
            finite, held = ending(done, loss, gradient, norms, previous)
            return (done < count) & ((done == 0) | ((finite | through) & tf.logical_not(tf.reduce_any(held))))

        def update(
            done: Tensor, loss: Tensor, gradient: list[Tensor], norms: dict[str, Tensor], record: Any, _previous: Any
        ) -> tuple[Any, ...]:
            row = self._row(loss, gradient, norms)
            if xla:
                record = record.write(done, row)
            else:
                self._record[done].assign(row)
            previous = self._carried(loss, gradient)
            optimizer.apply(self.optimizer, gradient, list(self.variables.values()))
            loss, new = self.problem.loss_and_gradient(self._values())
            return done + 1, loss, list(new.values()), self.layout.norms(tf, new), record, previous

        norms = self.layout.norms(tf, dict(zip(self.variables, gradient)))
        start = (tf.constant(0), loss, gradient, norms, record, self._carried(loss, gradient))
        done, loss, gradient, norms, record, previous = self._while(goes_on, update, start)
        finite, held = ending(done, loss, gradient, norms, previous)
        if xla:
            self._record.assign(record.stack())
        status = tf.concat([[tf.cast(done, tf.int64), tf.cast(finite, tf.int64)], tf.cast(held, tf.int64)], 0)
        return status, loss, gradient, self._row(loss, gradient, norms)

    def _row(self, loss: Tensor, gradient: list[Tensor], norms: dict[str, Tensor]) -> Tensor:
        return self.layout.row(self.tf, loss, self._rate(), self._values(), dict(zip(self.variables, gradient)), norms)

    def _while(self, goes_on: Any, update: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.engine != "eager":
            return self.tf.while_loop(goes_on, update, state)  # type: ignore[no-any-return]
        while bool(goes_on(*state)):
            state = update(*state)
        return state

    def _rate(self) -> Tensor:
        return optimizer.current_rate(self.optimizer, self.problem.dtype)

    def _held(self, base: Tensor, done: Tensor, loss: Tensor, gradient: list[Tensor], previous: Any, armed: Tensor) -> Tensor:
        """Which armed conditions hold, shape (number of conditions,)."""
        tf = self.tf
        if not self.conditions:
            return tf.zeros([0], tf.bool)
        step = base + tf.cast(done, tf.int64)
        scope = self._scope(step, self._point_values(loss, gradient))
        if previous:
            scope = replace(scope, previous=self._scope(step - 1, previous))
        held = [check_condition(evaluate(each, scope, self.problem.dtype), each) for each in self.conditions]
        return tf.logical_and(tf.stack(held), armed)

    def _carried(self, loss: Tensor, gradient: list[Tensor]) -> Any:
        """What the next point's conditions may ask of this one; nothing unless one of them asks for the point before."""
        asked = any(condition.history for condition in self.conditions)
        return self._point_values(loss, gradient) if asked else ()

    def _point_values(self, loss: Tensor, gradient: list[Tensor]) -> tuple[Any, ...]:
        """Loss, rate, parameters, gradient and, if a condition reads them, slots: tensors that later updates do not change."""
        slots: list[Tensor] = []
        if any(condition.slots for condition in self.conditions):
            slots = [self.tf.identity(variable.value) for variable in self.optimizer.variables]
        return loss, self._rate(), list(self._values().values()), gradient, slots

    def _scope(self, step: Tensor, point: tuple[Any, ...]) -> Scope:
        loss, rate, values, gradient, slots = point
        step = self.tf.cast(step, self.problem.dtype)
        names = {**self.problem.tensors(), **dict(zip(self.variables, values)), "loss": loss, "lr": rate, "step": step}
        named_slots = {(name.slot, name.parameter): value for name, value in zip(self.slot_names, slots)}
        return Scope(names, dict(zip(self.variables, gradient)), named_slots)


def check_condition(value: Tensor, condition: Expression) -> Tensor:
    """Return `value` if it is one truth value.

    Raises:
        ExpressionError: it is a number, or has more than one element.
    """
    if value.dtype != "bool":
        raise ExpressionError("this is a number, not a condition", condition.text, 0, "compare it, for example loss < 1e-3")
    if value.shape.rank != 0:
        raise ExpressionError("this condition has many truth values", condition.text, 0, "wrap it in all(...) or any(...)")
    return value


class Pace:
    """How many updates to ask of a program at once, so that a call takes about 30 ms."""

    def __init__(self, size: int, goal: float = 0.03) -> None:
        self.goal = goal
        self.size = size
        self._began = 0.0

    def begin(self, wanted: int) -> int:
        """The size of the next chunk, at most `wanted`."""
        self._began = time.perf_counter()
        return min(self.size, wanted)

    def end(self, taken: int) -> None:
        """Learn from the chunk that just ended, which made `taken` updates."""
        took = time.perf_counter() - self._began
        if taken < self.size:
            return  # what a short chunk costs says little
        if took < self.goal / 2:
            self.size *= 16 if took < self.goal / 20 else 2
        elif took > self.goal * 1.5:
            self.size = max(1, int(self.size * self.goal / took))
