"""The optimizers that Keras offers, and what is asked for of them, as plain values.

An `OptimizerSpec` is what a user or a session file asks for: a name that Keras lists, and checked numbers. `live_optimizer`
turns one into a live Keras optimizer; no other file touches those.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gdrepl.engine import backend
from gdrepl.engine.hyperparameter import (
    REQUIRED,
    Rule,
    Value,
    arguments_of,
    check_all,
    rule_for,
    show,
)
from gdrepl.engine.schedule import ScheduleSpec, floatx
from gdrepl.errors import CommandError, did_you_mean

RATE_NAMES = ("learning_rate", "lr")

# ---------------------------------------------------------------------------------------------- what Keras offers


@functools.cache
def _exported() -> tuple[Mapping[str, type], Mapping[str, str]]:
    """Classes of `keras.optimizers` that can be used, by lower-case name, and reasons for the others, by class name."""
    backend.load()
    import keras

    usable: dict[str, type] = {}
    skipped: dict[str, str] = {}
    for name, kind in inspect.getmembers(keras.optimizers, inspect.isclass):
        reason = _why_not(kind, keras.optimizers.Optimizer)
        if reason:
            skipped[name] = reason
        else:
            usable[name.lower()] = kind
    return MappingProxyType(usable), MappingProxyType(skipped)


def _why_not(kind: Any, base: Any) -> str:
    """Why this class cannot be built from numbers and applied; empty when it can."""
    needed = [name for name, default in arguments_of(kind).items() if default is REQUIRED and name != "learning_rate"]
    if needed:
        return f"needs {', '.join(needed)}"
    if not issubclass(kind, base):
        return "is not an optimizer"
    return "abstract base: no update rule" if kind.update_step is base.update_step else ""


def catalogue() -> Mapping[str, type]:
    """Every concrete optimizer class that the installed Keras exports, by lower-case name: `adam`, `schedulefreeadamw`."""
    return _exported()[0]


def unavailable() -> Mapping[str, str]:
    """The optimizer classes that Keras exports and gdrepl cannot use, by class name, each with its reason."""
    return _exported()[1]


def _find(name: object) -> type:
    """The class for `adam`, `Adam`, `rms_prop`, `schedule-free-adamw` ...

    Raises:
        CommandError: Keras lists no such optimizer, or one that cannot be built from numbers.
    """
    wanted = _plain_name(name) if isinstance(name, str) else ""
    if wanted in catalogue():
        return catalogue()[wanted]
    for skipped, reason in unavailable().items():
        if _plain_name(skipped) == wanted:
            raise CommandError(f"{skipped} cannot be used here: {reason}", f"optimizers: {', '.join(catalogue())}")
    hint = did_you_mean(wanted[:40], catalogue())
    raise CommandError(f"unknown optimizer {show(name)}", hint or f"optimizers: {', '.join(catalogue())}")


def _plain_name(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.lower())


def settable(name: str) -> Mapping[str, Rule]:
    """The hyperparameters of an optimizer that numbers, flags and None can set, with what each may be; without the rate.

    Raises:
        CommandError: unknown optimizer.
    """
    kind = _find(name)
    rules = {each: rule_for(kind.__name__, each, default) for each, default in _arguments(kind).items()}
    return MappingProxyType({each: rule for each, rule in rules.items() if rule})


def _arguments(kind: type) -> dict[str, object]:
    return {name: default for name, default in arguments_of(kind).items() if name != "learning_rate"}


# -------------------------------------------------------------------------------------------- what a user asks for


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as plain values; make one with `make` or `from_plain`, which check it.

    Attributes:
        name: the name of Keras' class, `Adam`.
        hyperparameters: all that numbers, flags and None can set, defaults included, in Keras' order; not the rate.
        learning_rate: the initial rate, >= 0; None when there is a schedule.
        schedule: the schedule of the rate, or None.
    """

    name: str
    hyperparameters: Mapping[str, Value]
    learning_rate: float | None
    schedule: ScheduleSpec | None = None

    @classmethod
    def make(
        cls,
        name: str,
        given: Mapping[str, object] | None = None,
        learning_rate: float | ScheduleSpec | None = None,
    ) -> OptimizerSpec:
        """An optimizer with the hyperparameters `given` and Keras' defaults for the rest, the rate included.

        The rate may also be `given`, as `learning_rate` or `lr`.

        Raises:
            CommandError: an unknown name, a bad value, two rates, or a combination that Keras refuses.
        """
        kind = _find(name)
        arguments = arguments_of(kind)
        others = dict(given or {})
        rates = [others.pop(each) for each in RATE_NAMES if each in others]
        rates += [] if learning_rate is None else [learning_rate]
        if len(rates) > 1:
            raise CommandError("the learning rate is given twice", "give learning_rate or lr, once")
        rate = rates[0] if rates else arguments.pop("learning_rate")
        arguments.pop("learning_rate", None)
        checked = MappingProxyType(check_all(kind.__name__, arguments, others))
        schedule = rate if isinstance(rate, ScheduleSpec) else None
        spec = cls(kind.__name__, checked, None if schedule else _rate(kind.__name__, rate), schedule)
        _hear_keras(spec)
        return spec

    @classmethod
    def from_plain(cls, plain: object) -> OptimizerSpec:
        """What `to_plain` gave, checked as if typed by a stranger. Hyperparameters left out are Keras' defaults.

        Raises:
            CommandError: anything but `{"name", "learning_rate", "hyperparameters"}` with known names and checked numbers.
        """
        if not isinstance(plain, Mapping) or set(plain) != {"name", "learning_rate", "hyperparameters"}:
            raise CommandError("an optimizer must have exactly a name, a learning_rate and hyperparameters")
        given, rate = plain["hyperparameters"], plain["learning_rate"]
        if not isinstance(given, Mapping) or any(each in given for each in RATE_NAMES):
            raise CommandError("the hyperparameters of an optimizer must be an object without the learning rate")
        if rate is None:  # would be Keras' default
            raise CommandError("the learning_rate of an optimizer must be a number or a schedule, not none")
        return cls.make(plain["name"], given, ScheduleSpec.from_plain(rate) if isinstance(rate, Mapping) else rate)

    def to_plain(self) -> dict[str, Any]:
        """Numbers, strings and dicts only, for JSON; every hyperparameter is written, so that a new default changes nothing."""
        rate = self.schedule.to_plain() if self.schedule else self.learning_rate
        return {"name": self.name, "learning_rate": rate, "hyperparameters": dict(self.hyperparameters)}

    def with_hyperparameter(self, name: str, value: object) -> OptimizerSpec:
        """The same with one hyperparameter changed; `learning_rate` and `lr` are allowed too.

        Raises:
            CommandError: unknown or unsettable name, bad value, or a combination that Keras refuses.
        """
        if name in RATE_NAMES:
            return self.with_learning_rate(value)
        return OptimizerSpec.make(self.name, {**self.hyperparameters, name: value}, self.rate)

    def with_learning_rate(self, rate: object) -> OptimizerSpec:
        """The same with another rate, a number >= 0 or a schedule.

        Raises:
            CommandError: anything else.
        """
        checked = rate if isinstance(rate, ScheduleSpec) else _rate(self.name, rate)
        return OptimizerSpec.make(self.name, self.hyperparameters, checked)

    @property
    def rate(self) -> float | ScheduleSpec:
        """The schedule, or the plain rate."""
        if self.schedule is not None:
            return self.schedule
        assert self.learning_rate is not None
        return self.learning_rate

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for specs that compile to the same program: all but a plain rate, which lives in a variable."""
        return (self.name, *self.hyperparameters.items(), self.schedule.key if self.schedule else None)

    def __hash__(self) -> int:
        return hash((self.key, self.learning_rate))

    def text(self) -> str:
        """The rate, and what differs from Keras' defaults: `Adam(learning_rate=1.0, beta_1=0.8)`."""
        defaults = arguments_of(_find(self.name))
        rate = self.schedule.text() if self.schedule else repr(self.learning_rate)
        changed = [f"{name}={value!r}" for name, value in self.hyperparameters.items() if value != defaults[name]]
        return f"{self.name}({', '.join([f'learning_rate={rate}', *changed])})"


def _rate(owner: str, value: object) -> float:
    rule = rule_for(owner, "learning_rate", REQUIRED)
    checked = rule.check("learning_rate", value) if rule else None
    assert isinstance(checked, float)
    return checked


@functools.lru_cache(maxsize=1000)
def _hear_keras(spec: OptimizerSpec) -> None:
    """Keras has rules of its own, for instance on two clip options: they are heard now, not at the next step.

    Once for each spec: it takes three milliseconds, and a session file has a spec for each of its segments.
    """
    construct(spec)


def construct(spec: OptimizerSpec, dtype: str = "float32") -> Any:
    """The Keras optimizer without slots; its rate variable is `dtype`.

    Raises:
        CommandError: Keras refuses the hyperparameters.
    """
    rate = spec.schedule.build(dtype) if spec.schedule else spec.learning_rate
    with floatx(dtype):
        try:
            return _find(spec.name)(learning_rate=rate, **spec.hyperparameters)
        except (ValueError, TypeError) as error:
            text = " ".join(str(error).split())  # Keras writes paragraphs, some over several lines
            hint = "only one of them may be set, the others are none" if "Only one of" in text else ""
            raise CommandError(f"Keras refuses {spec.name}: {text[:200]}", hint) from error


def accumulation(spec: OptimizerSpec) -> int:
    """How many updates gather their gradients into one; 1 where each is applied."""
    steps = spec.hyperparameters.get("gradient_accumulation_steps")
    return int(steps) if isinstance(steps, int | float) else 1
