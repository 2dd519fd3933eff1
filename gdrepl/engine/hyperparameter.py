"""What a hyperparameter may be: numbers, flags and lists, checked by the meaning of their names before Keras sees them.

Keras checks little: a decay rate of 2, a negative epsilon or NaN give nonsense some steps later, with no word of why. And
session files come from strangers. So each value passes one rule here, which normalises it too (`1` becomes `1.0`, since
`Adam(1)` is refused). No TensorFlow in this file.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from gdrepl.errors import CommandError, did_you_mean

Value = float | int | bool | None | tuple[float, ...] | tuple[int, ...]
Kind = Literal["number", "integer", "flag", "numbers", "integers"]

REQUIRED: Any = inspect.Parameter.empty  # the default of an argument that has none

_FLOAT32_MAX = 3.4028234663852886e38  # Keras passes constants through float32, even for float64 variables
_INT32_MAX = 2**31 - 1
_MOST_LISTED = 256  # a list is unrolled into the graph: a longer one would compile for minutes


@dataclass(frozen=True, slots=True)
class Rule:
    """What one hyperparameter may be.

    Attributes:
        kind: number, integer, flag (true or false), numbers or integers (lists of 1 to 256).
        low, high: the bounds of a number, or of each number of a list.
        above_low, below_high: True when the bound itself is excluded.
        optional: True when `none` is a value too.
    """

    kind: Kind = "number"
    low: float = -math.inf
    high: float = math.inf
    above_low: bool = False
    below_high: bool = False
    optional: bool = False

    def text(self) -> str:
        """What is allowed, to follow "must be": `a number in [0, 1)`, `an integer >= 2 or none`."""
        if self.kind == "flag":
            return "true or false"
        noun = {"number": "a number", "integer": "an integer", "numbers": "a list of numbers", "integers": "a list of integers"}
        return f"{noun[self.kind]}{self._bounds()}{' or none' if self.optional else ''}"

    def check(self, name: str, value: object) -> Value:
        """`value` as Keras wants it.

        Raises:
            CommandError: wrong type, not finite, out of range, or too large for float32; the message names `name`.
        """
        if value is None and self.optional:
            return None
        if self.kind == "flag":
            return self._flag(name, value)
        if self.kind in ("numbers", "integers"):
            return self._listed(name, value)
        return self._one(name, value, self.kind == "integer")

    def _bounds(self) -> str:
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f" in {'(' if self.above_low else '['}{self.low:g}, {self.high:g}{')' if self.below_high else ']'}"
        if math.isfinite(self.low):
            return f" {'>' if self.above_low else '>='} {self.low:g}"
        return f" {'<' if self.below_high else '<='} {self.high:g}" if math.isfinite(self.high) else ""

    def _flag(self, name: str, value: object) -> bool:
        # NumPy's own bool is no `bool`; 0 and 1 are refused, since `set nesterov 10` is a slip and not a truth.
        if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):
            raise self._refusal(name, value)
        return bool(value)

    def _listed(self, name: str, value: object) -> Value:
        if not isinstance(value, list | tuple):
            raise self._refusal(name, value)
        if not 1 <= len(value) <= _MOST_LISTED:
            raise CommandError(f"{name} must hold 1 to {_MOST_LISTED} numbers, not {len(value)}")
        if self.kind == "integers":
            return tuple(int(self._one(name, each, True)) for each in value)
        return tuple(float(self._one(name, each, False)) for each in value)

    def _one(self, name: str, value: object, whole: bool) -> float | int:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise self._refusal(name, value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise CommandError(f"{name} must be finite, not {show(value)}", f"{name} is {self.text()}")
        if self._outside(number) or (whole and not number.is_integer()):
            raise self._refusal(name, value)
        if abs(number) > (_INT32_MAX if whole else _FLOAT32_MAX):
            raise CommandError(f"{name} is too large: {show(value)}", f"at most {_INT32_MAX if whole else '3.4e38'}")
        # Adding zero turns -0.0 into 0.0: the two are equal as keys of a cache, but would not give the same bits.
        return int(value) if whole and isinstance(value, Integral) else int(number) if whole else number + 0.0

    def _outside(self, number: float) -> bool:
        under = number <= self.low if self.above_low else number < self.low
        over = number >= self.high if self.below_high else number > self.high
        return under or over

    def _refusal(self, name: str, value: object) -> CommandError:
        example = f"for example: {name} = {self._example()}"
        return CommandError(f"{name} must be {self.text()}, not {show(value)}", example)

    def _example(self) -> str:
        examples = {"flag": "true", "integer": f"{max(self.low, 5):g}", "numbers": "[0.1, 0.01]", "integers": "[10, 20]"}
        if self.kind != "number":
            return examples[self.kind]
        return "-0.5" if self.high <= 0 else "0.9" if self.high <= 1 else "0.1"


_DECAY = Rule(low=0, high=1, below_high=True)
_INNER_DECAY = Rule(low=0, high=1, above_low=True, below_high=True)
_NOT_NEGATIVE = Rule(low=0)
_NOT_NEGATIVE_OR_NONE = Rule(low=0, optional=True)
_POSITIVE = Rule(low=0, above_low=True)
_POSITIVE_OR_NONE = Rule(low=0, above_low=True, optional=True)
_NOT_POSITIVE = Rule(high=0)

# Rules that hold for one optimizer only: Keras refuses Lion's beta_1 = 0, and the other two divide by theirs.
_RULES_OF_ONE = {
    ("Lion", "beta_1"): _INNER_DECAY,
    ("ScheduleFreeAdamW", "beta_1"): _INNER_DECAY,
    ("Ftrl", "learning_rate"): _POSITIVE,
}

# By the meaning of the name, the first match holds. What is not listed falls back to the type of Keras' default.
_RULES = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        # decay rates of moving averages: at 1 nothing would ever be averaged in
        (r"(adam_)?beta_\d|rho|(ema_)?momentum", _DECAY),
        (r"epsilon(_\d)?|beta|adam_lr_ratio|initial_accumulator_value|\w+_regularization_strength", _NOT_NEGATIVE),
        (r"(adam_)?weight_decay|rms_rate", _NOT_NEGATIVE_OR_NONE),
        (r"clipnorm|clipvalue|global_clipnorm|loss_scale_factor", _POSITIVE_OR_NONE),
        (r"clip_threshold", _POSITIVE),
        # exponents that must shrink what they are applied to: Adafactor's 1 - t^x, Ftrl's accumulator^-x
        (r"beta_2_decay|learning_rate_power", _NOT_POSITIVE),
        (r"gradient_accumulation_steps", Rule("integer", low=2, optional=True)),
        (r"ema_overwrite_frequency", Rule("integer", low=1, optional=True)),
        (r"ns_steps", Rule("integer", low=1, high=100)),  # unrolled into the graph
        (r"warmup_steps", Rule("integer", low=0)),
        # schedules
        (r"(first_)?decay_steps", Rule("integer", low=1)),
        (r"boundaries", Rule("integers", low=0)),
        (r"values", Rule("numbers", low=0)),
        (r"warmup_target", _NOT_NEGATIVE_OR_NONE),
        (r"t_mul", _POSITIVE),
        (r"(initial_|end_)?learning_rate|decay_rate|alpha|power|m_mul", _NOT_NEGATIVE),
    )
)


def rule_for(owner: str, name: str, default: object) -> Rule | None:
    """The rule of argument `name` of the Keras class `owner`; None when it takes something other than numbers.

    `default` is Keras' own, or `REQUIRED`. An argument that Keras adds in a later version is a finite number, an integer or
    a flag by its default; with a default of None nobody can say, and it is not settable.
    """
    if (owner, name) in _RULES_OF_ONE:
        return _RULES_OF_ONE[owner, name]
    for pattern, rule in _RULES:
        if pattern.fullmatch(name):
            return rule
    if isinstance(default, bool):
        return Rule("flag")
    if isinstance(default, int) and name.endswith(("_steps", "_frequency")):
        return Rule("integer")
    return Rule() if isinstance(default, int | float) else None


def arguments_of(kind: type) -> dict[str, object]:
    """The named arguments of a Keras class with their defaults (`REQUIRED` where there is none), less `self` and `name`."""
    named = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {each.name: each.default for each in named if each.kind in kinds and each.name not in ("self", "name")}


def check_all(owner: str, arguments: Mapping[str, object], given: Mapping[str, object]) -> dict[str, Value]:
    """Every settable argument of `owner`, in Keras' order: what is `given`, checked, and Keras' defaults for the rest.

    Raises:
        CommandError: an unknown or unsettable name, a bad value, or a required argument that is missing.
    """
    rules = {name: rule for name, default in arguments.items() if (rule := rule_for(owner, name, default))}
    for name in given:
        if name not in rules:
            raise _unknown(owner, name, list(rules), name in arguments or name == "name")
    checked: dict[str, Value] = {}
    for name, rule in rules.items():
        value = given.get(name, arguments[name])
        if value is REQUIRED:
            raise CommandError(f"{owner} needs {name}", f"{name} is {rule.text()}")
        # A default is Keras' own word: an out-of-range one would be a rule of ours that is wrong, not the user's slip.
        checked[name] = None if value is None and name not in given else rule.check(name, value)
    return checked


def _unknown(owner: str, name: object, known: list[str], exists: bool) -> CommandError:
    listed = f"{owner} has {', '.join(known)}"
    if exists:
        return CommandError(f"{name} of {owner} is not a number or a flag, so it cannot be set", listed)
    near = did_you_mean(str(name)[:40], known)
    return CommandError(f"{owner} has no hyperparameter {show(name)}", f"{near} {listed}".strip())


def show(value: object) -> str:
    """`value` as at most 43 printable characters, whatever a stranger's file may hold."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**30:
        return "an enormous integer"  # Python refuses to print one of 4,300 digits
    if not isinstance(value, int | float | str):
        return f"a {type(value).__name__}"
    text = ascii(value[:44]) if isinstance(value, str) else str(value)
    return text if len(text) <= 43 else f"{text[:40]}..."
