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

from gdrepl.engine import backend, live_optimizer
from gdrepl.engine.compiled import compiled, point_function
from gdrepl.engine.new_slots import NewSlots
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.pace import Pace
from gdrepl.engine.problem import Problem
from gdrepl.engine.reading import Reading
from gdrepl.engine.record import Record
from gdrepl.engine.rows import Layout
from gdrepl.engine.snapshot import Array, Snapshot, frozen
from gdrepl.engine.triggers import Trigger
from gdrepl.engine.variables import assign, read
from gdrepl.engine.watch import Orders, Seen, Watch
from gdrepl.engine.whole_loop import better_apart, zero_that_keeps_apart
from gdrepl.errors import CommandError, ExpressionError, ProblemError
from gdrepl.expression import Scope

ENGINES = ("xla", "graph", "eager")
_RECORD_BYTES = 5 * 2**20
_RECORD_BYTES_OF_SLOW_ENGINES = 2**16
"""Some thousand rows: more than they make in the time of a call. Outside XLA a variable is copied whole when rows are read."""
_AN_EYE = 0.03
"""Seconds after which a call of the loop comes back between two hits that are to be ignored."""
Tensor = Any


@dataclass(frozen=True, slots=True, eq=False)
class Advance:
    """What one call of the loop did.

    Attributes:
        taken: how many updates were made.
        rows: the points arrived at, shape (taken, width of the layout), or the last one alone when only that was asked for.
        seen: what the triggers saw.
        finite: False when the loss or the gradient of the last point is not finite.
    """

    taken: int
    rows: Array
    seen: Seen
    finite: bool


class Program:
    """One problem with one optimizer, compiled: its own variables, loaded from snapshots and captured into them."""

    def __init__(self, problem: Problem, spec: OptimizerSpec, engine: str = "xla", triggers: Sequence[Trigger] = ()) -> None:
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
        self.triggers = tuple(triggers)
        self._watch = Watch(tf, triggers)
        self.layout = Layout.of(problem.parameters, problem.dtype, spec.schedule is not None)
        record_bytes = _RECORD_BYTES if engine == "xla" else _RECORD_BYTES_OF_SLOW_ENGINES
        self.capacity = max(64, record_bytes // self.layout.row_bytes)
        self.pace = Pace()
        self.variables = {name: tf.Variable(value, name=name) for name, value in problem.parameters.items()}
        self.optimizer = live_optimizer.build(spec, list(self.variables.values()), problem.dtype)
        self._new_slots = NewSlots(spec, problem, self.optimizer)
        self.slot_names = live_optimizer.slot_names(self.optimizer, list(self.variables))
        self._points = Record(tf, self.capacity, self.layout.width, problem.dtype, engine == "xla")
        self._bits = Record(tf, self.capacity, self._watch.words, tf.int64, engine == "xla") if triggers else None
        self._loss: Tensor = None
        self._gradient: dict[str, Tensor] = {}
        self._rate_here: Array = np.zeros(())
        self._step = 0
        self._at: Snapshot | None = None
        self._compiled_loop = compiled(self._loop, engine)

    @property
    def rate_place(self) -> int:
        """Where in the slots the plain learning rate lies.

        Raises:
            ValueError: the rate follows a schedule.
        """
        return self.slot_names.index(("learning_rate", None))

    def fresh(self, parameters: Mapping[str, Array], step: int = 0, learning_rate: float | None = None) -> Snapshot:
        """The snapshot of `parameters` with the optimizer as Keras builds it there: new slots."""
        return self.evaluated(parameters, self.new_slots(parameters, learning_rate), step)

    def new_slots(self, parameters: Mapping[str, Array], learning_rate: float | None = None) -> tuple[Array, ...]:
        """The slots of an optimizer that Keras builds at `parameters`, with that plain rate where one is given."""
        slots = list(self._new_slots.at(parameters))
        if learning_rate is not None and self.spec.schedule is None:
            place = self.rate_place
            slots[place] = frozen(np.asarray(learning_rate, slots[place].dtype))
        return tuple(slots)

    def evaluated(self, parameters: Mapping[str, Array], slots: tuple[Array, ...], step: int) -> Snapshot:
        """The snapshot of `parameters` and `slots`, its loss and gradient computed by this program's engine.

        Raises:
            ProblemError: the engine refuses the loss.
        """
        point = point_function(self.problem, self.engine)
        values = [self.tf.constant(parameters[name]) for name in self.variables]
        self._at = None
        self._put(parameters, slots, step)
        self._loss, gradient = self._guarded(None, point, values)
        self._gradient = dict(zip(self.variables, gradient))
        return self.capture()

    def with_slots(self, here: Snapshot, slots: tuple[Array, ...]) -> Snapshot:
        """The snapshot of another program of this problem and engine with `slots` of this one; only the rate is computed."""
        self._at = None
        self._put(here.parameters, slots, here.step)
        self._take_point(here)
        return self.capture()

    def _put(self, parameters: Mapping[str, Array], slots: tuple[Array, ...], step: int) -> None:
        for name, variable in self.variables.items():
            assign(variable, parameters[name])
        live_optimizer.restore(self.optimizer, slots)
        self._rate_here = self._rate().numpy() if self.spec.schedule is not None else slots[self.rate_place]
        self._step = step

    def _take_point(self, snapshot: Snapshot) -> None:
        self._loss = self.tf.constant(snapshot.loss)
        self._gradient = {name: self.tf.constant(value) for name, value in snapshot.gradient.items()}

    def load(self, snapshot: Snapshot) -> None:
        """Put the program at `snapshot`; nothing is computed."""
        if snapshot is self._at:
            return
        for name, variable in self.variables.items():
            assign(variable, snapshot.parameters[name])
        live_optimizer.restore(self.optimizer, snapshot.slots)
        self._take_point(snapshot)
        self._rate_here = snapshot.learning_rate
        self._step = snapshot.step
        self._at = snapshot

    def set_rate(self, rate: Array) -> None:
        """Make the next updates at another plain rate, shape (); nothing else changes.

        Raises:
            ValueError: the rate follows a schedule.
        """
        self.optimizer.variables[self.rate_place].assign(rate)
        self._rate_here, self._at = rate, None

    def capture(self) -> Snapshot:
        """A snapshot of where the program is."""
        if self._at is None:
            self._at = Snapshot(
                self._step,
                {name: read(variable) for name, variable in self.variables.items()},
                live_optimizer.capture(self.optimizer),
                frozen(self._loss.numpy()),
                {name: frozen(value.numpy()) for name, value in self._gradient.items()},
                frozen(self._rate_here),
            )
        return self._at

    def blank_memory(self) -> list[list[Array]]:
        """What the triggers remember where nothing lies behind."""
        return self._watch.blank_memory(self._shapes)

    def advance(self, count: int, through: bool = False, last_only: bool = False, orders: Orders | None = None) -> Advance:
        """Make up to `count` updates, fewer when a trigger fires, has held long or, unless `through`, a value is not finite.

        With `last_only` the rows but the last are not handed back, which saves their memory. Without `orders` the triggers
        begin with nothing behind them, and each fires when it holds.

        Raises:
            ProblemError: the engine refuses the loss, the optimizer or a trigger.
            ExpressionError: a trigger cannot be computed.
        """
        before, self._at = self._at, None  # whatever happens from here on, the variables are no longer at `before`
        # One array for all rows: memory that is touched for the first time costs more than the updates, and less in one piece.
        rows = np.empty((1 if last_only else count, self.layout.width), self.problem.dtype)
        orders = orders or self._watch.plain_orders(self._shapes)
        seen = Seen(hits=(0,) * len(self.triggers), ignore=tuple(orders.ignore))
        taken, halting, watched, began = 0, orders.halting, self._watch.tensors(orders), time.perf_counter()
        while True:
            control = [min(count - taken, self.capacity), self._step, int(through), int(halting)]
            status, loss, gradient, last_row, memory = self._guarded(
                before,
                self._compiled_loop,
                self.tf.constant(control, self.tf.int64),
                self._loss,
                list(self._gradient.values()),
                watched,
            )
            done, finite, *words = (int(number) for number in status.numpy())
            self._loss, self._gradient = loss, dict(zip(self.variables, gradient))
            self._step += done
            rows[-1 if last_only else taken + done - 1] = last = last_row.numpy()
            if not last_only and done > 1:  # to read the memory of rows for one update would cost as much as the update
                rows[taken : taken + done - 1] = self._points.rows(done - 1)
            if self._bits is not None:
                seen = self._watch.seen(seen, words, memory, None if halting else self._bits.rows(done))
                watched = (memory, watched[1])
            taken += done
            if taken >= count or any(seen.fired) or not (finite or through):
                break
            if halting and any(seen.held) and time.perf_counter() - began > _AN_EYE:
                break  # hit after hit to be ignored: whoever called must hear of Ctrl-C meanwhile
        self._rate_here = self.layout.rate(last, self._rate_here)
        kept = rows if last_only or taken == count else rows[:taken].copy()
        return Advance(taken, kept, seen, bool(finite))

    @property
    def _shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self.layout.shapes

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

    def _loop(
        self, control: Tensor, loss: Tensor, gradient: list[Tensor], watched: tuple[Any, ...]
    ) -> tuple[Tensor, Tensor, list[Tensor], Tensor, Any]:
        """The loop. `control` (int64): the count, the step we stand at, 1 to go through what is not finite, 1 to halt when a
        trigger fires.

        Returns the updates made, 1 if all is finite and what the triggers saw, as one int64 vector, then the loss, the gradient
        and the row of the point arrived at, and the memory of the triggers.
        """
        tf, points, bits, watch = self.tf, self._points, self._bits, self._watch
        count, base, through, halting = tf.cast(control[0], tf.int32), control[1], control[2] > 0, control[3] > 0

        def goes_on(done: Tensor, carried: Any, finite: Tensor, *_: Tensor) -> Tensor:
            on = (done < count) & (finite | through)
            return on & ~(halting & watch.holds(carried)) if watch else on

        def update(
            done: Tensor, carried: Any, _finite: Tensor, loss: Tensor, gradient: list[Tensor], record: Any
        ) -> tuple[Tensor, ...]:
            before = self._scope(base + tf.cast(done, tf.int64), loss, gradient) if watch else None
            gathered = live_optimizer.gathered(self.optimizer, gradient) if watch else None
            live_optimizer.apply(self.optimizer, gradient, list(self.variables.values()))
            values = self._values()
            loss, new = self.problem.loss_and_gradient(values)
            gradient = list(new.values())
            row, finite = self.layout.row(tf, loss, self._rate(), values, new)
            record = [points.write(record[0], done, row), *record[1:]]
            place, done = done, done + 1
            if self.engine == "xla" and better_apart(
                tf.compat.v1.get_default_graph().get_operations(), self.problem.numbers_in_all
            ):
                done += zero_that_keeps_apart(tf, done)
            if before is not None and bits is not None:
                after = self._scope(base + tf.cast(done, tf.int64), loss, gradient, before)
                reading = Reading(tf, before, after, self.spec, self.problem.dtype, gathered)
                carried = watch.look(reading, carried, watched)
                record = [record[0], bits.write(record[1], place, tf.stack(carried[0]))]
            return done, carried, finite, loss, gradient, record

        records = [points] if bits is None else [points, bits]
        start = (tf.constant(0), watch.begins(watched), tf.constant(True), loss, gradient, [each.begin() for each in records])
        done, carried, finite, loss, gradient, written = self._while(goes_on, update, start)
        last_row = points.read(written[0], done - 1)
        for each, rows in zip(records, written):
            each.end(rows)
        words, memory = watch.ends(carried, watched)
        status = tf.stack([tf.cast(number, tf.int64) for number in (done, finite, *words)])
        return status, loss, gradient, last_row, memory

    def _while(self, goes_on: Any, update: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.engine != "eager":
            return self.tf.while_loop(goes_on, update, state)  # type: ignore[no-any-return]
        while bool(goes_on(*state)):
            state = update(*state)
        return state

    def _rate(self) -> Tensor:
        return live_optimizer.current_rate(self.optimizer, self.problem.dtype)

    def _scope(self, step: Tensor, loss: Tensor, gradient: list[Tensor], previous: Scope | None = None) -> Scope:
        tf = self.tf
        names = {**self.problem.tensors(), **self._values(), "loss": loss, "lr": self._rate(), "step": step}
        slots: dict[tuple[str, str | None], Tensor] = {}
        if any(expression.slots for trigger in self.triggers for expression in trigger.expressions):
            slots = {name: tf.identity(each.value) for name, each in zip(self.slot_names, self.optimizer.variables)}
        return Scope(names, dict(zip(self.variables, gradient)), slots, previous)
