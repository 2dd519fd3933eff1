"""The events that `catch` knows: what each is, its thresholds, and how it is seen inside the compiled loop.

An event fires at the step where what defines it begins to hold: it fires again only after it has ceased. What an event
remembers of earlier points goes back to the latest edit of a parameter at most, and is decided by the recorded steps alone, so
that it fires at the same steps however a run is cut into commands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.reading import Reading
from gdrepl.engine.sizes import scale_near
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError, did_you_mean

Tensor = Any
Memory = list[Tensor]
Shapes = Mapping[str, tuple[int, ...]]


def threshold(default: float, meaning: str) -> Any:
    """A threshold of an event: whole from 1 when its default is whole, else a number from 0."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Event:
    """One event with its thresholds; the docstring of each kind is its definition, with {threshold} where one stands."""

    name: ClassVar[str] = ""
    next: ClassVar[str] = ""
    of_updates: ClassVar[bool] = False
    """It looks at what updates do, and passes over those that only gather gradients for a later one."""

    def horizon(self) -> int:
        """How many updates back the memory reaches; those that only gather gradients do not count."""
        return 1

    def span(self) -> int:
        """How many updates back lies what decides where it fires; never beyond the horizon."""
        return self.horizon()

    def blank(self, shapes: Shapes) -> list[Array]:
        """The memory where nothing lies behind."""
        return []

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        """Whether it holds after this update, shape (), and the memory for the next."""
        raise NotImplementedError

    def text(self) -> str:
        """`plateau`, or with what differs from the defaults: `plateau patience=20`."""
        usual = {each.name: each.default for each in fields(self)}
        changed = {name: value for name, value in self.thresholds().items() if value != usual[name]}
        return " ".join([self.name, *(f"{name}={in_full(value)}" for name, value in changed.items())])

    def thresholds(self) -> dict[str, float]:
        """Each threshold by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def definition(self) -> str:
        """When it fires, with its thresholds."""
        given = {name: in_full(value) for name, value in self.thresholds().items()}
        return " ".join((type(self).__doc__ or "").split()).format(**given)


def in_full(number: float) -> str:
    """A number as it reads back, in as few digits as that takes."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


@dataclass(frozen=True, slots=True)
class NonFinite(Event):
    """the loss or a number of the gradient is NaN or infinite"""

    name: ClassVar[str] = "non-finite"
    next: ClassVar[str] = "reverse-step goes to the last finite point; grad there shows which term is about to overflow"

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        tf = reading.tf
        finite = tf.math.is_finite(reading.loss)
        for gradient in reading.after.gradient.values():
            finite &= tf.reduce_all(tf.math.is_finite(gradient))
        return ~finite, memory


@dataclass(frozen=True, slots=True)
class Divergence(Event):
    """the loss is above {factor} times the highest of the {window} steps before the present {window} (or the first there is):
    loss > high + ({factor} - 1) |high| + {atol}"""

    name: ClassVar[str] = "divergence"
    next: ClassVar[str] = "plot loss log shows where it turned; goto min, then whatif lr 0.1 0.01 races other rates"
    factor: float = threshold(10.0, "how many times the loss before")
    window: int = threshold(20, "how many steps a block has")
    atol: float = threshold(1e-6, "a rise up to this is none, however low the loss was")

    def horizon(self) -> int:
        return 2 * self.window

    def blank(self, shapes: Shapes) -> list[Array]:
        return [np.full((), -np.inf), np.full((), -np.inf)]

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        # Blocks rather than a window that moves along: two numbers are remembered, not forty.
        tf = reading.tf
        earlier, present = memory
        earlier = tf.where(earlier == -np.inf, reading.last_loss, earlier)
        present = tf.maximum(present, reading.last_loss)
        begins = reading.step % self.window == 0
        earlier = tf.where(begins, present, earlier)
        present = tf.where(begins, tf.constant(-np.inf, tf.float64), present)
        return reading.loss > self.limit(earlier), [earlier, present]  # False where that is not finite

    def limit(self, high: Any) -> Any:
        """What a loss must be above to have grown from `high`, a number or tensor: so many times it, where that is positive."""
        return high + (self.factor - 1) * abs(high) + self.atol


@dataclass(frozen=True, slots=True)
class Explosion(Event):
    """the norm of the gradient is above {norm}"""

    name: ClassVar[str] = "explosion"
    next: ClassVar[str] = "print norm(grad) over -10: shows how it came; set clipnorm 1 holds it, set lr 0.01 slows down"
    norm: float = threshold(1e4, "of the whole gradient")

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        return reading.gradient_sizes.above(self.norm), memory


@dataclass(frozen=True, slots=True)
class Vanishing(Event):
    """the norm of a parameter's gradient is below {rtol} times the size of the loss, and below {norm}"""

    name: ClassVar[str] = "vanishing"
    next: ClassVar[str] = "grad shows the chain: look for a factor near 0, such as a saturated sigmoid"
    rtol: float = threshold(1e-7, "times |loss|")
    norm: float = threshold(1.0, "so that the gradient of a loss that explodes is none")

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        limit = reading.tf.minimum(self.rtol * reading.tf.abs(reading.loss), self.norm)
        return reading.any(reading.gradient_sizes.each_below(limit)), memory


@dataclass(frozen=True, slots=True)
class Plateau(Event):
    """seen at each {patience}th step: the lowest loss of the {patience} steps before it and that of the {patience} before those
    (or as many as there are) differ by no more than {rtol} of its size"""

    name: ClassVar[str] = "plateau"
    next: ClassVar[str] = "print norm(grad) tells a minimum from a rate that is too low; whatif lr 1 0.1 0.01 races others"
    patience: int = threshold(50, "how many steps are looked at, and as many before them")
    rtol: float = threshold(1e-4, "times the lowest |loss| before")

    def horizon(self) -> int:
        return 3 * self.patience

    def span(self) -> int:
        return 2 * self.patience

    def blank(self, shapes: Shapes) -> list[Array]:
        return [np.full((), np.inf), np.full((), np.inf), np.zeros((), np.bool_)]

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        # Blocks, as for divergence: a window that moves along costs several times the update.
        tf = reading.tf
        before, low, flat = memory
        low = tf.minimum(low, reading.last_loss)
        ends = reading.step % self.patience == 0
        flat = tf.where(ends, tf.math.is_finite(before) & (tf.abs(before - low) <= self.rtol * tf.abs(before)), flat)
        before = tf.where(ends, low, before)
        low = tf.where(ends, tf.constant(np.inf, tf.float64), low)
        return flat, [before, low, flat]


@dataclass(frozen=True, slots=True)
class Oscillation(Event):
    """the steps turned back, or the loss went up and down by turns, {times} times in a row"""

    name: ClassVar[str] = "oscillation"
    of_updates: ClassVar[bool] = True
    next: ClassVar[str] = "the rate may be near its limit: whatif lr 0.1 0.01 races lower ones; print norm(update) over -10:"
    times: int = threshold(6, "sign changes of update . update before, or of the loss difference")

    def horizon(self) -> int:
        return self.times + 1

    def blank(self, shapes: Shapes) -> list[Array]:
        counts: list[Array] = [np.zeros((), np.int32), np.zeros((), np.int32), np.zeros(())]
        return [*counts, *(np.zeros(shape) for shape in shapes.values())]

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        tf = reading.tf
        turns, swings, last_change, *last = memory
        updates = list(reading.updates.values())
        along = tf.add_n([tf.reduce_sum(now * before) for now, before in zip(updates, last)])
        change = reading.loss - reading.last_loss
        none = tf.zeros([], tf.int32)
        turns = tf.where(along < 0, turns + 1, none)
        turned = ((change > 0) & (last_change < 0)) | ((change < 0) & (last_change > 0))
        swings = tf.where(turned, swings + 1, none)
        return tf.maximum(turns, swings) >= self.times, [turns, swings, change, *updates]


@dataclass(frozen=True, slots=True)
class Overshoot(Event):
    """the loss rose after an update, by more than {rtol} of its size"""

    name: ClassVar[str] = "overshoot"
    of_updates: ClassVar[bool] = True
    next: ClassVar[str] = "print norm(update) tells how far it went: past the minimum? whatif lr 0.1 0.01 races other rates"
    rtol: float = threshold(0.0, "times |loss| before the update")

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        margin = self.rtol * reading.tf.abs(reading.last_loss) if self.rtol else 0.0
        return reading.loss > reading.last_loss + margin, memory

    def definition(self) -> str:
        return Event.definition(self) if self.rtol else "the loss rose after an update"


@dataclass(frozen=True, slots=True)
class Dead(Event):
    """the gradient of a coordinate was exactly 0 after each of the last {patience} updates"""

    name: ClassVar[str] = "dead"
    next: ClassVar[str] = "grad shows the chain: relu, max, clip and where give 0 beside their kinks; set moves the parameter"
    patience: int = threshold(100, "how many updates")

    def horizon(self) -> int:
        return self.patience

    def blank(self, shapes: Shapes) -> list[Array]:
        return [np.zeros(shape, np.int32) for shape in shapes.values()]

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        tf, most = reading.tf, self.patience
        counts = [
            tf.where(gradient == 0, tf.minimum(count + 1, most), tf.zeros_like(count))
            for gradient, count in zip(reading.after.gradient.values(), memory)
        ]
        return reading.any([tf.reduce_any(count >= most) for count in counts]), counts


_NO_RATIO = 1e-240
"""The square of the norm of a parameter up to which it has no ratio, nor has it one from the inverse on."""


@dataclass(frozen=True, slots=True)
class UpdateRatio(Event):
    """the norm of an update over that of its parameter is outside [{low}, {high}]; a parameter has no ratio where
    its norm was 0, below 1e-120 or above 1e120"""

    name: ClassVar[str] = "update-ratio"
    of_updates: ClassVar[bool] = True
    next: ClassVar[str] = "about 1e-3 is usual: set lr 0.01 changes it; print norm(update) over -10: follows the updates"
    low: float = threshold(1e-8, "the parameter hardly moves")
    high: float = threshold(10.0, "the update drowns the parameter")

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        low, high = scale_near(self.low), scale_near(self.high)
        moved = zip(reading.update_sizes.scaled(low).values(), reading.update_sizes.scaled(high).values())
        outside = [
            (size > _NO_RATIO)
            & (size < 1 / _NO_RATIO)
            & ((slow < (self.low * low) ** 2 * size) | (fast > (self.high * high) ** 2 * size))
            for size, (slow, fast) in zip(reading.last_sizes.squares.values(), moved)
        ]
        return reading.any(outside), memory


@dataclass(frozen=True, slots=True)
class Convergence(Event):
    """the norm of the gradient is at most {tol}"""

    name: ClassVar[str] = "convergence"
    next: ClassVar[str] = "print loss, or goto min; a gradient near 0 may also be a saddle or a flat place"
    tol: float = threshold(1e-4, "of the norm of the whole gradient")

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        return reading.gradient_sizes.at_most(self.tol), memory


@dataclass(frozen=True, slots=True)
class Clip(Event):
    """the optimizer clipped the gradient that the update used (clipnorm, global_clipnorm or clipvalue)"""

    name: ClassVar[str] = "clip"
    of_updates: ClassVar[bool] = True
    next: ClassVar[str] = "info optimizer shows the limit; clipping at every step means that the rate is set by it"

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        tf, used, limit = reading.tf, reading.used_gradient_sizes, clip_limit(reading.spec)
        if "clipnorm" in limit:
            return reading.any(used.each_above(limit["clipnorm"])), memory
        if "global_clipnorm" in limit:
            return used.above(limit["global_clipnorm"]), memory
        if "clipvalue" in limit:
            gradients = [tf.cast(each, tf.float64) for each in reading.used_gradient.values()]
            return reading.any([tf.reduce_any(tf.abs(each) > limit["clipvalue"]) for each in gradients]), memory
        return tf.constant(False), memory


def clip_limit(spec: OptimizerSpec) -> dict[str, float]:
    """The limit by which an optimizer clips, under its name; empty where it does not. Keras lets one of them be set."""
    given = {name: spec.hyperparameters.get(name) for name in ("clipnorm", "global_clipnorm", "clipvalue")}
    return {name: float(value) for name, value in given.items() if isinstance(value, int | float) and value}


@dataclass(frozen=True, slots=True)
class RateChange(Event):
    """the learning rate is another than at the point before, by more than {rtol} of it; an edit of your own is none"""

    name: ClassVar[str] = "lr-change"
    next: ClassVar[str] = "plot lr draws the schedule; info optimizer names it"
    rtol: float = threshold(0.0, "times the rate before")

    def look(self, reading: Reading, memory: Memory) -> tuple[Tensor, Memory]:
        tf = reading.tf
        before, now = reading.number("lr", reading.before), reading.number("lr", reading.after)
        return tf.abs(now - before) > self.rtol * tf.abs(before), memory

    def definition(self) -> str:
        exact = "the learning rate is another than at the point before; an edit of your own is none"
        return Event.definition(self) if self.rtol else exact


EVENTS: Mapping[str, type[Event]] = {
    kind.name: kind
    for kind in (
        *(NonFinite, Divergence, Explosion, Vanishing, Plateau, Oscillation, Overshoot, Dead),
        *(UpdateRatio, Convergence, Clip, RateChange),
    )
}


def make_event(name: str, given: Mapping[str, float]) -> Event:
    """The event of that name, with the thresholds `given` and the defaults for the rest.

    Raises:
        CommandError: there is no such event or threshold, or a threshold cannot be so.
    """
    if name not in EVENTS:
        hint = did_you_mean(name, EVENTS) or f"events: {', '.join(EVENTS)}"
        raise CommandError(f"there is no event '{name[:40]}'", hint)
    kind = EVENTS[name]
    known = {each.name: each for each in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise CommandError(f"{name} has no threshold '{key[:40]}'", did_you_mean(key, known) or has)
        values[key] = _checked(name, key, value, whole=isinstance(known[key].default, int))
    event = kind(**values)
    if isinstance(event, UpdateRatio) and event.low > event.high:
        raise CommandError("update-ratio needs low below high", "for example catch update-ratio low=1e-6 high=1")
    return event


MOST_POINTS = 10_000
"""The most points that an event looks back on."""


def _checked(name: str, key: str, value: float, whole: bool) -> float | int:
    if whole:
        if not 1 <= value <= MOST_POINTS or value != math.floor(value):
            raise CommandError(f"{key} of {name} cannot be {value:g}", f"it is a whole number from 1 to {MOST_POINTS}")
        return int(value)
    if not (math.isfinite(value) and value >= 0):
        raise CommandError(f"{key} of {name} cannot be {value:g}", "it is a number from 0")
    return float(value)
