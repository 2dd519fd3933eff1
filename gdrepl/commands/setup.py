"""What a session starts with, as given on the command line or in a session file's header, and building it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gdrepl.commands.registry import registry
from gdrepl.commands.values import make_spec, names_rate, parse_rate, read_value
from gdrepl.engine import zoo
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Origin, Problem, make_problem
from gdrepl.errors import CommandError, ExpressionError, GdreplError
from gdrepl.recording.format import SUFFIX

FIRST_PROBLEM = "tutorial"


@dataclass(frozen=True, slots=True)
class Setup:
    """What was asked for, still as text: `build` checks it and needs TensorFlow.

    Attributes:
        problem: a zoo name, with options as in `rastrigin dim=10`, or an expression; empty is the first problem.
        variables: name -> value as typed.
        constants: name -> value as typed.
        optimizer: a name or a call such as `adam(beta_1=0.8)`; empty is Adam.
        rate: a number or a schedule as typed; empty leaves Keras' default, or 1 for the first problem with Adam.
        dtype, engine, seed: as in the header.
        folders: where data files are looked for.
        settings: what `set` would change, by name, as `check_preference` has passed it; written to the header.
    """

    problem: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    optimizer: str = ""
    rate: str = ""
    dtype: str = "float32"
    engine: str = "xla"
    seed: int = 0
    folders: tuple[Path, ...] = (Path(),)
    settings: Mapping[str, int | bool] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The parameters and constants that are known before anything is built."""
        word = (self.problem.split() or [FIRST_PROBLEM])[0]
        entry = zoo.entry(word) if word in zoo.names() else None
        return list(dict.fromkeys([*self.variables, *self.constants, *(entry.start if entry else ())]))

    def build(self) -> Start:
        """Check everything and build the start.

        Raises:
            GdreplError: something given is wrong.
        """
        for name in self.variables:
            if name in self.constants:
                raise CommandError(f"{name} is given by --var and by --const", "leave one of them out")
        values: dict[str, Any] = {}
        origins: dict[str, Origin] = {}
        for option, named in (("--var", self.variables), ("--const", self.constants)):
            for name, text in named.items():
                with _given_as(f"{option} {name}"):
                    values[name], origin = read_value(text, name, self.seed, self.folders)
                if origin is not None:
                    origins[name] = origin
        variables = {name: values[name] for name in self.variables}
        constants = {name: values[name] for name in self.constants}
        problem = self._problem(variables, constants, origins)
        return Start(problem, self._spec(problem), self.engine, self.seed, {**variables}, {**constants}, origins, self.settings)

    def _problem(self, variables: dict[str, Any], constants: dict[str, Any], origins: dict[str, Origin]) -> Problem:
        text = self.problem.strip() or FIRST_PROBLEM
        word, *options = text.split()
        if word.endswith(SUFFIX):
            raise CommandError(f"{word} is a session file, not a problem", f"gdrepl resume {word} goes on with it")
        if word in registry.commands and word not in variables:
            raise CommandError(f"{word} is a command, not a problem", f"-c '{text[:40]}' runs it first; type it at the prompt")
        if word in zoo.names() or (word.isidentifier() and word not in variables):
            return zoo_problem(word, options, self.dtype, {**variables, **constants}, origins)
        try:
            return make_problem(text, variables, constants, self.dtype, origins=origins)
        except ExpressionError as error:
            unknown = re.fullmatch(r"unknown name '(\w+)'", error.message)
            if unknown and not error.hint:
                error.hint = f"give it a start value: --var {unknown[1]}=3.0"
            raise

    def _spec(self, problem: Problem) -> OptimizerSpec:
        with _given_as("--lr"):
            rate = parse_rate(self.rate) if self.rate else None
        if not self.optimizer and rate is None and problem.name == FIRST_PROBLEM:
            rate = 1.0
        if rate is not None and names_rate(self.optimizer):
            raise CommandError("--lr: the optimizer names a learning rate too", "give one of them")
        with _given_as("--optimizer" if self.optimizer else "--lr"):
            return make_spec(self.optimizer or "adam", rate)


@contextmanager
def _given_as(option: str) -> Iterator[None]:
    """Whatever is wrong names the option that it was given as."""
    try:
        yield
    except GdreplError as error:
        error.message = f"{option}: {error.message}"
        raise


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A checked start: the problem, the optimizer, and the values that later lines may build on."""

    problem: Problem
    spec: OptimizerSpec
    engine: str
    seed: int
    variables: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    settings: Mapping[str, int | bool] = field(default_factory=dict)


def zoo_problem(
    name: str, options: Sequence[str], dtype: str, overrides: Mapping[str, Any] | None = None, origins: Any = None
) -> Problem:
    """A problem of the zoo; `overrides` replaces start values and constants by name.

    Raises:
        CommandError: unknown name, option, or override.
    """
    numbers: dict[str, float] = {}
    for option in options:
        key, equals, value = option.partition("=")
        try:
            numbers[key] = float(value)
        except ValueError:
            what = f"{key[:40]} is a whole number, not '{value[:40]}'" if equals else f"'{option[:40]}' is not an option"
            raise CommandError(what, f"without blanks, for example problem {name} dim=10") from None
        if not equals:
            raise CommandError(f"'{option[:40]}' is not an option", f"for example problem {name} dim=10")
    entry = zoo.entry(name, **numbers)
    given = dict(overrides or {})
    start = {key: given.pop(key, value) for key, value in entry.start.items()}
    constants = {key: given.pop(key, value) for key, value in entry.constants.items()}
    if given:
        known = ", ".join([*start, *constants])
        raise CommandError(f"problem {name} has no '{next(iter(given))}'", f"it has {known}")
    return make_problem(entry.expression, start, constants, dtype, entry.name, origins)


def zoo_entry_of(problem: Problem) -> zoo.ZooEntry | None:
    """What the zoo knows of a problem that came from it."""
    if not problem.name:
        return None
    try:
        size = max(value.size for value in problem.parameters.values())
        return zoo.entry(problem.name, **({"dim": float(size)} if zoo.dimension_free(problem.name) else {}))
    except GdreplError:
        return None
