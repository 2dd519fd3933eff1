"""Learning-rate schedules: those that Keras lists, described by a name and checked numbers.

A schedule's arguments are constants of the compiled program; its rate is a function of Keras' own iteration counter, which
counts every update, also those that only accumulate a gradient.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gdrepl.engine import backend
from gdrepl.engine.hyperparameter import REQUIRED, Value, arguments_of, check_all, show
from gdrepl.errors import CommandError, did_you_mean


@contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Make `dtype` Keras' default float type for a while.

    Keras creates the learning-rate variable, and a constant of Muon's update, in this type: without it a float64 problem
    would run with a float32 rate, or not at all. It is global state of Keras, so it is restored.
    """
    backend.load()
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


@functools.cache
def schedule_catalogue() -> Mapping[str, type]:
    """Every schedule that the installed Keras exports, by snake_case name: `exponential_decay`, `cosine_decay`, ..."""
    backend.load()
    import keras

    base = keras.optimizers.schedules.LearningRateSchedule
    listed = [value for _, value in inspect.getmembers(keras.optimizers.schedules, inspect.isclass)]
    return MappingProxyType({_snake(each.__name__): each for each in listed if issubclass(each, base) and each is not base})


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def find_schedule(name: str) -> str | None:
    """The catalogue's name for `cosine_decay`, `CosineDecay`, `cosine-decay` ...; None where there is no such schedule."""
    wanted = re.sub(r"[_-]", "", name.lower())
    return next((snake for snake in schedule_catalogue() if snake.replace("_", "") == wanted), None)


def _find(name: object) -> tuple[str, type]:
    known = schedule_catalogue()
    snake = find_schedule(name) if isinstance(name, str) else None
    if snake is not None:
        return snake, known[snake]
    hint = did_you_mean(name[:40].lower(), known) if isinstance(name, str) else ""
    raise CommandError(f"unknown schedule {show(name)}", hint or f"schedules: {', '.join(known)}")


@dataclass(frozen=True)
class ScheduleSpec:
    """A schedule as plain values; make one with `make` or `from_plain`, which check it.

    Attributes:
        name: snake_case, as in the catalogue.
        arguments: every argument that Keras' class takes, defaults included, in Keras' order, except its `name`.
    """

    name: str
    arguments: Mapping[str, Value]

    @classmethod
    def make(cls, name: str, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None) -> ScheduleSpec:
        """A schedule from what was typed: positional and keyword numbers, flags, None and lists of numbers.

        Raises:
            CommandError: an unknown schedule or argument, a missing one, one given twice, or a bad value.
        """
        snake, kind = _find(name)
        known = arguments_of(kind)
        given = {**_positional(snake, list(known), args, kwargs or {}), **(kwargs or {})}
        spec = cls(snake, MappingProxyType(check_all(snake, known, given)))
        _check_pieces(spec.arguments)
        spec.build("float32")  # Keras has rules of its own, for instance on the number of values: hear them now
        return spec

    @classmethod
    def from_plain(cls, plain: object) -> ScheduleSpec:
        """What `to_plain` gave, checked as if typed by a stranger.

        Raises:
            CommandError: anything else than `{"name": ..., "arguments": {...}}` with checked values.
        """
        if not isinstance(plain, Mapping) or set(plain) != {"name", "arguments"}:
            raise CommandError("a schedule must have exactly a name and arguments")
        arguments = plain["arguments"]
        if not isinstance(arguments, Mapping):
            raise CommandError(f"the arguments of a schedule must be an object, not {show(arguments)}")
        return cls.make(plain["name"], (), arguments)

    def to_plain(self) -> dict[str, Any]:
        """Numbers, strings, lists and dicts only, for JSON."""
        listed = {name: list(value) if isinstance(value, tuple) else value for name, value in self.arguments.items()}
        return {"name": self.name, "arguments": listed}

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for schedules that compile to the same program."""
        return (self.name, *self.arguments.items())

    def __hash__(self) -> int:
        return hash(self.key)

    def text(self) -> str:
        """As one would type it: `exponential_decay(0.1, decay_steps=100, decay_rate=0.9)`."""
        defaults = arguments_of(schedule_catalogue()[self.name])
        shown = [name for name, value in self.arguments.items() if defaults[name] is REQUIRED or value != defaults[name]]
        first, *others = [(name, _typed(self.arguments[name])) for name in shown]
        return f"{self.name}({', '.join([first[1], *(f'{name}={value}' for name, value in others)])})"

    def build(self, dtype: str) -> Any:
        """The Keras schedule, with its rate cast to `dtype`.

        Keras computes the rate in float32, whatever `floatx` says. Most optimizers cast it to the type of the variable, Muon
        does not, and fails on a float64 matrix: casting here cures that and changes no bit elsewhere.

        Raises:
            CommandError: Keras refuses the arguments.
        """
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in self.arguments.items()}
        try:
            return _typed_class(schedule_catalogue()[self.name])(dtype, values)
        except (ValueError, TypeError) as error:
            raise CommandError(f"Keras refuses {self.name}: {' '.join(str(error).split())[:200]}") from error


@functools.cache
def _typed_class(kind: Any) -> Any:
    """The Keras schedule class `kind`, with a rate cast to a type given when it is made."""
    import tensorflow as tf

    class Typed(kind):  # type: ignore[misc]
        def __init__(self, dtype: str, arguments: Mapping[str, Any]) -> None:
            super().__init__(**arguments)
            self._dtype = dtype

        def __call__(self, step: Any) -> Any:
            return tf.cast(super().__call__(step), self._dtype)

    return Typed


def _positional(owner: str, names: list[str], args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    if len(args) > len(names):
        raise CommandError(f"{owner} takes at most {len(names)} arguments, not {len(args)}", f"they are {', '.join(names)}")
    given = dict(zip(names, args))
    twice = [name for name in given if name in kwargs]
    if twice:
        raise CommandError(f"{owner} got {twice[0]} twice", f"the order is {', '.join(names)}")
    return given


def _check_pieces(arguments: Mapping[str, Value]) -> None:
    """Boundaries must rise: Keras adds up the pieces that hold, and would add two where they overlap."""
    boundaries = arguments.get("boundaries")
    if isinstance(boundaries, tuple) and any(later <= earlier for earlier, later in itertools.pairwise(boundaries)):
        raise CommandError("boundaries must rise from each to the next", "for example: boundaries = [10, 20]")


def _typed(value: Value) -> str:
    return repr(list(value)) if isinstance(value, tuple) else repr(value)
