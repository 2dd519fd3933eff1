"""Loss, gradient and optimizer update as one compiled loop; the only code that runs updates.

One update: the optimizer applies the gradient that the point carries, the loss and gradient at the new parameters are computed,
the new point is written as one row, and the stop conditions are asked. `step` runs the same loop with count 1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdrepl.engine import backend, optimizer
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem
from gdrepl.engine.rows import Layout
from gdrepl.engine.snapshot import Array, Snapshot, frozen
from gdrepl.engine.whole_loop import better_apart, zero_that_keeps_apart
from gdrepl.errors import CommandError, ExpressionError, ProblemError
from gdrepl.expression import Expression, Scope, evaluate

ENGINES = ("xla", "graph", "eager")
_RECORD_BYTES = 5 * 2**20
Tensor = Any


@dataclass(frozen=True, slots=True, eq=False)
class Advance:
    """What one call of the loop did.

    Attributes:
        taken: how many updates were made.
        rows: the points arrived at, shape (taken, width of the layout), or the last one alone when only that was asked for.
        fired: for each condition, whether it held at the last point.
        finite: False when the loss or the gradient of the last point is not finite.
    """

    taken: int
    rows: Array
    fired: tuple[bool, ...]
    finite: bool


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
        self.layout = Layout.of(problem.parameters, problem.dtype, spec.schedule is not None)
        self.capacity = max(64, _RECORD_BYTES // self.layout.row_bytes)
        self.pace = Pace()
        self.variables = {name: tf.Variable(value, name=name) for name, value in problem.parameters.items()}
        self.optimizer = optimizer.build(spec, list(self.variables.values()), problem.dtype)
        self.slot_names = optimizer.slot_names(self.optimizer, list(self.variables))
        # Points are written into one variable that every call uses again: XLA updates it in place, so that a single step costs
        # the same as with a small one, and one program serves a step and a run of a million.
        self._record = tf.Variable(tf.zeros([self.capacity, self.layout.width], problem.dtype), trainable=False)
        self._loss: Tensor = None
        self._gradient: dict[str, Tensor] = {}
        self._rate_here: Array = np.zeros(())
        self._step = 0
        self._at: Snapshot | None = None
        self._compiled_loop = self._compile(self._loop)
        self._compiled_point = self._compile(self._point)

    def _compile(self, function: Any) -> Any:
        """`function` as this engine runs it; traced once, at the first call."""
        if self.engine == "eager":
            return function
        nest = self.tf.nest
        concrete: list[Any] = []

        def call(*arguments: Any) -> Any:
            # A concrete function does not look at the types of its arguments anew, which is half the cost of a step. It takes
            # them flat: nested ones it first refuses, with a message that prints each of them, and then accepts.
            flat = nest.flatten(arguments)
            if not concrete:

                def flattened(*tensors: Any) -> Any:
                    return function(*nest.pack_sequence_as(arguments, tensors))

                traced = self.tf.function(flattened, jit_compile=self.engine == "xla", autograph=False)
                concrete.append(traced.get_concrete_function(*flat))
            return concrete[0](*flat)

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
        self._rate_here = self._rate().numpy()
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
        self._rate_here = snapshot.learning_rate
        self._step = snapshot.step
        self._at = snapshot

    def capture(self) -> Snapshot:
        """A snapshot of where the program is."""
        if self._at is None:
            self._at = Snapshot(
                self._step,
                {name: frozen(variable.numpy()) for name, variable in self.variables.items()},
                optimizer.capture(self.optimizer),
                frozen(self._loss.numpy()),
                {name: frozen(value.numpy()) for name, value in self._gradient.items()},
                frozen(self._rate_here),
            )
        return self._at

    def advance(self, count: int, through: bool = False, last_only: bool = False) -> Advance:
        """Make up to `count` updates, fewer when a condition holds or, unless `through`, a value is not finite.

        With `last_only` the rows but the last are not handed back, which saves their memory.

        Raises:
            ProblemError: the engine refuses the loss or the optimizer.
            ExpressionError: a condition cannot be computed.
        """
        before, self._at = self._at, None  # whatever happens from here on, the variables are no longer at `before`
        # One array for all rows: memory that is touched for the first time costs more than the updates, and less in one piece.
        rows = np.empty((1 if last_only else count, self.layout.width), self.problem.dtype)
        taken = 0
        while True:
            control = [min(count - taken, self.capacity), self._step, int(through)]
            status, loss, gradient, last_row = self._guarded(
                before,
                self._compiled_loop,
                self.tf.constant(control, self.tf.int64),
                self._loss,
                list(self._gradient.values()),
            )
            done, finite, *fired = (int(number) for number in status.numpy())
            self._loss, self._gradient = loss, dict(zip(self.variables, gradient))
            self._step += done
            if not last_only and done > 1:
                rows[taken : taken + done] = np.asarray(memoryview(self._record.value()))[:done]
            taken += done
            if taken >= count or any(fired) or not (finite or through):
                break
        rows[-1 if last_only else taken - 1] = last = last_row.numpy()
        self._rate_here = self.layout.rate(last, self._rate_here)
        kept = rows if last_only or taken == count else rows[:taken].copy()
        return Advance(taken, kept, tuple(bool(held) for held in fired), bool(finite))

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
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).partition(" [Op:")[0]
            raise ProblemError(
                f"the {self.engine} engine cannot run this: {first[:160]}", "try another engine: --engine graph or eager"
            ) from error

    def _values(self) -> dict[str, Tensor]:
        return {name: variable.read_value() for name, variable in self.variables.items()}

    def _point(self) -> tuple[Tensor, list[Tensor]]:
        loss, gradient = self.problem.loss_and_gradient(self._values())
        return loss, list(gradient.values())

    def _loop(self, control: Tensor, loss: Tensor, gradient: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
        """The loop. `control` (int64): the count, the step we stand at, 1 to go through what is not finite.

        Returns the updates made, 1 if all is finite and 1 for each condition that held, as one int64 vector, then the loss, the
        gradient and the row of the point arrived at.
        """
        tf = self.tf
        count, base, through = tf.cast(control[0], tf.int32), control[1], control[2] > 0
        xla = self.engine == "xla"
        # Inside XLA a TensorArray made from the variable is the variable's own memory; elsewhere rows are assigned one by one.
        record = tf.TensorArray(tf.as_dtype(self.problem.dtype), size=self.capacity).unstack(self._record) if xla else ()

        def goes_on(done: Tensor, fired: Tensor, finite: Tensor, *_: Tensor) -> Tensor:
            return (done < count) & (finite | through) & tf.logical_not(tf.reduce_any(fired))

        def update(
            done: Tensor, _fired: Tensor, _finite: Tensor, loss: Tensor, gradient: list[Tensor], record: Any
        ) -> tuple[Tensor, ...]:
            before = self._scope(base + tf.cast(done, tf.int64), loss, gradient) if self.conditions else None
            optimizer.apply(self.optimizer, gradient, list(self.variables.values()))
            values = self._values()
            loss, new = self.problem.loss_and_gradient(values)
            gradient = list(new.values())
            row, finite = self.layout.row(tf, loss, self._rate(), values, new)
            if xla:
                record = record.write(done, row)
            else:
                self._record[done].assign(row)
            done = done + 1
            if xla and better_apart(tf.compat.v1.get_default_graph().get_operations(), self.problem.numbers_in_all):
                done += zero_that_keeps_apart(tf, done)
            after = self._scope(base + tf.cast(done, tf.int64), loss, gradient, before) if self.conditions else None
            return done, self._held(after), finite, loss, gradient, record

        start = (tf.constant(0), tf.zeros([len(self.conditions)], tf.bool), tf.constant(True), loss, gradient, record)
        done, fired, finite, loss, gradient, record = self._while(goes_on, update, start)
        last_row = record.read(done - 1) if xla else self._record[done - 1]
        if xla:
            self._record.assign(record.stack())
        status = tf.concat([[tf.cast(done, tf.int64), tf.cast(finite, tf.int64)], tf.cast(fired, tf.int64)], 0)
        return status, loss, gradient, last_row

    def _while(self, goes_on: Any, update: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.engine != "eager":
            return self.tf.while_loop(goes_on, update, state)  # type: ignore[no-any-return]
        while bool(goes_on(*state)):
            state = update(*state)
        return state

    def _rate(self) -> Tensor:
        return optimizer.current_rate(self.optimizer, self.problem.dtype)

    def _held(self, scope: Scope | None) -> Tensor:
        """Which conditions hold, shape (number of conditions,)."""
        if scope is None:
            return self.tf.zeros([0], self.tf.bool)
        held = [check_condition(evaluate(each, scope, self.problem.dtype), each) for each in self.conditions]
        return self.tf.stack(held)

    def _scope(self, step: Tensor, loss: Tensor, gradient: list[Tensor], previous: Scope | None = None) -> Scope:
        tf = self.tf
        names = {**self.problem.tensors(), **self._values(), "loss": loss, "lr": self._rate(), "step": step}
        slots: dict[tuple[str, str | None], Tensor] = {}
        if any(condition.slots for condition in self.conditions):
            slots = {name: tf.identity(each.value) for name, each in zip(self.slot_names, self.optimizer.variables)}
        return Scope(names, dict(zip(self.variables, gradient)), slots, previous)


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


class Pace:
    """How many updates to ask of a program at once, so that a call takes about 30 ms: it begins with one."""

    def __init__(self, goal: float = 0.03) -> None:
        self.goal = goal
        self.size = 1
        self._began = 0.0

    def begin(self, wanted: int) -> int:
        """The size of the next chunk, at most `wanted`."""
        self._began = time.perf_counter()
        return min(self.size, wanted)

    def end(self, taken: int) -> None:
        """Learn from the chunk that just ended, which made `taken` updates."""
        took = time.perf_counter() - self._began
        if took > self.goal * 1.5:
            self.size = max(1, min(self.size, int(taken * self.goal / took)))
        elif took < self.goal / 2 and taken >= self.size:  # a chunk that ended early was no test of its size
            self.size *= 16 if took < self.goal / 20 else 2
