"""Values as typed in `var`, `const`, `set` and on the command line: numbers, random ones, CSV columns, optimizers, rates."""

from __future__ import annotations

import csv
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gdrepl.engine.optimizer import RATE_NAMES, OptimizerSpec
from gdrepl.engine.problem import MAX_NUMBERS, Origin
from gdrepl.engine.schedule import ScheduleSpec, find_schedule
from gdrepl.errors import CommandError, ExpressionError, GdreplError, did_you_mean
from gdrepl.expression import Call, parse_call, parse_value
from gdrepl.recording.data import find_data, folder_of, read_csv

_CSV = re.compile(r"""csv\(\s*(?:"([^"]*)"|'([^']*)')\s*(?:,(.*))?\)""", re.DOTALL)
_LIKE_CSV = re.compile(r"csv\s*\(.*", re.DOTALL)
_CALL = re.compile(r"[A-Za-z_]\w*\s*\(.*\)", re.DOTALL)
_CSV_EXAMPLE = 'for example csv("points.csv", x, y)'
MAKERS = ("normal", "uniform", "zeros", "ones", "csv")


def read_value(text: str, name: str, seed: int, folders: Sequence[Path]) -> tuple[Any, Origin | None]:
    """The value that `text` spells, and where it came from unless it was typed as plain numbers.

    `normal(3, 4)` and `uniform(3, 4)` draw from the session's seed and the name, so the order of lines does not matter.

    Raises:
        CommandError: it spells none.
    """
    text = text.strip()
    data = _CSV.fullmatch(text)
    if data:
        return _from_csv(text, data, folders)
    if _LIKE_CSV.fullmatch(text):
        raise CommandError("csv needs a file name in quotes, then columns, and nothing after it", _CSV_EXAMPLE)
    value = parse_value(text, allow_call=True)
    if not isinstance(value, Call):
        if value is None or isinstance(value, bool):
            raise CommandError(f"{name} needs a number", "for example 3.0, [0.1, -0.2] or normal(3, 4)")
        if not np.isfinite(_floats(value)).all():
            raise CommandError(f"{name} must be finite", "the largest float32 is 3.4e38")
        return value, None
    return _made(value, name, seed), Origin(text)


def _floats(value: Any) -> Any:
    """A value as typed as numbers; what is no array of numbers is told so later."""
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError, OverflowError):
        return np.zeros(())


def _from_csv(text: str, match: re.Match[str], folders: Sequence[Path]) -> tuple[Any, Origin]:
    quoted = csv.reader([(match.group(3) or "").replace("'", '"')], skipinitialspace=True)
    columns = [column.strip() for line in quoted for column in line if column.strip()]
    if re.match(r"\s*,?\s*(\w+\s*=\s*)?\[", match.group(3) or ""):  # columns=[x, y]
        raise CommandError("the columns of csv are names or numbers, separated by commas", _CSV_EXAMPLE)
    path = find_data(match.group(1) or match.group(2) or "", folders)
    array, digest = read_csv(path, columns)
    return array, Origin(text, digest)


def _made(call: Call, name: str, seed: int) -> Any:
    if call.name not in MAKERS:
        hint = did_you_mean(call.name, MAKERS) or f"use a number, a list, or {', '.join(MAKERS)}"
        raise CommandError(f"'{call.name[:40]}' does not make a value", hint)
    shape = [size for size in call.arguments if isinstance(size, int) and not isinstance(size, bool) and size > 0]
    if len(shape) != len(call.arguments) or call.keywords:
        raise CommandError(f"{call.name} takes sizes", f"for example {call.name}(3, 4)")
    if np.prod(shape, dtype=float) > MAX_NUMBERS:
        raise CommandError(f"{call.name} would make more than {MAX_NUMBERS} numbers")
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    makers: Mapping[str, Any] = {
        "normal": generator.standard_normal,
        "uniform": generator.random,
        "zeros": np.zeros,
        "ones": np.ones,
    }
    return makers[call.name](tuple(shape))


def data_folder(origin: Origin, folders: Sequence[Path]) -> Path | None:
    """Which of `folders` holds the data file of an origin; None where it has none, names it absolutely, or it is not there."""
    data = _CSV.fullmatch(origin.text)
    name = (data.group(1) or data.group(2) or "") if data else ""
    return None if not name or os.path.isabs(os.path.expanduser(name)) else folder_of(name, folders)


def changed_data(
    origins: Mapping[str, Origin], seed: int, folders: Sequence[Path]
) -> Iterator[tuple[str, Origin, Origin | None]]:
    """(name, then, now) of the values whose data file is not what it was; now is None where it cannot be read."""
    for name, origin in origins.items():
        if not origin.sha256:
            continue
        try:
            now = read_value(origin.text, name, seed, folders)[1]
        except GdreplError:
            now = None
        if now is None or now.sha256 != origin.sha256:
            yield name, origin, now


def parse_rate(text: str) -> float | ScheduleSpec:
    """A learning rate: a number, or a schedule such as `exponential_decay(0.1, decay_steps=100, decay_rate=0.9)`.

    Raises:
        CommandError: it is neither.
    """
    if _CALL.fullmatch(text.strip()):
        return make_schedule(parse_call(text))
    value = parse_value(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CommandError("a learning rate is a number or a schedule", "for example 0.1 or cosine_decay(0.1, decay_steps=100)")
    return float(value)


def is_call(text: str) -> bool:
    """True when `text` looks like `name(...)`."""
    return _CALL.fullmatch(text.strip()) is not None


def make_schedule(call: Call) -> ScheduleSpec:
    """The schedule that a call spells."""
    return ScheduleSpec.make(call.name, [_plain(value) for value in call.arguments], _plain_keywords(call))


def make_spec(text: str, rate: float | ScheduleSpec | None) -> OptimizerSpec:
    """The optimizer that `text` spells (`adam`, `adam(0.1)`, `sgd(momentum=0.9, learning_rate=0.1)`), else with `rate`.

    Raises:
        CommandError: unknown, or a value is wrong.
    """
    try:
        call = parse_call(text)
    except ExpressionError as error:
        raise CommandError(f"'{text[:40]}' is not an optimizer: {error.message}", "for example adam(beta_1=0.8)") from None
    given: dict[str, object] = {
        name: _rate_or_plain(value) if name in RATE_NAMES else _plain(value) for name, value in call.keywords.items()
    }
    if len(call.arguments) > 1:
        raise CommandError(f"{call.name} takes one value without a name, its learning rate", "name the others: beta_1=0.8")
    if call.arguments:
        if any(name in given for name in RATE_NAMES):
            raise CommandError("the learning rate is given twice")
        given["learning_rate"] = _rate_or_plain(call.arguments[0])
    if any(name in given for name in RATE_NAMES):
        return OptimizerSpec.make(call.name, given)
    return OptimizerSpec.make(call.name, given, rate)


def is_schedule(name: str) -> bool:
    """Whether this Keras has a schedule of that name, written as `cosine_decay` or `CosineDecay`."""
    return find_schedule(name) is not None


def names_rate(text: str) -> bool:
    """Whether an optimizer as typed brings its own learning rate."""
    try:
        call = parse_call(text)
    except ExpressionError:
        return False
    return bool(call.arguments) or any(name in call.keywords for name in RATE_NAMES)


def _rate_or_plain(value: Any) -> object:
    if not isinstance(value, Call):
        return value
    if not value.arguments and not value.keywords and not is_schedule(value.name):
        raise CommandError(f"a learning rate is a number or a schedule, not '{value.name[:40]}'", "info schedules lists them")
    return make_schedule(value)


def _plain_keywords(call: Call) -> dict[str, object]:
    return {name: _plain(value) for name, value in call.keywords.items()}


def _plain(value: Any) -> object:
    """A value without calls in it; a bare name as text, for the rule of the hyperparameter to refuse by its own words."""
    if not isinstance(value, Call):
        return value
    if value.arguments or value.keywords:
        raise CommandError(f"'{value.name[:40]}(...)' is not a number", "give a number, such as 0.1")
    return value.name
