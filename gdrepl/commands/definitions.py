"""The values that `var` and `const` define, and that a `loss` reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from gdrepl.engine.problem import Origin, Problem, as_array
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError
from gdrepl.recording.numbers import to_json

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Definitions:
    """Names and their values, as typed or as arrays; a name stands in one table only.

    Attributes:
        variables: the start values of parameters.
        constants: the other values.
        origins: where those came from that were not typed as plain numbers.
    """

    variables: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    constants: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    origins: Mapping[str, Origin] = field(default_factory=lambda: _NOTHING)

    def variable(self, name: str, value: Any, origin: Origin | None = None) -> Definitions:
        """These, and one variable."""
        rest = self.without({name})
        return Definitions({**rest.variables, name: value}, rest.constants, _with(rest.origins, name, origin))

    def constant(self, name: str, value: Any, origin: Origin | None = None) -> Definitions:
        """These, and one constant."""
        rest = self.without({name})
        return Definitions(rest.variables, {**rest.constants, name: value}, _with(rest.origins, name, origin))

    def without(self, names: Mapping[str, Any] | set[str]) -> Definitions:
        """These but for `names`."""
        tables = (self.variables, self.constants, self.origins)
        variables, constants, origins = ({key: table[key] for key in table if key not in names} for table in tables)
        return Definitions(variables, constants, origins)

    def at(self, problem: Problem) -> Definitions:
        """As a line typed while `problem` is in force reads them: its own values come first.

        A value that the problem holds in fewer digits than it was typed with stays as typed.
        """
        rest = self.without({**problem.parameters, **problem.constants})
        variables = {name: _as_typed(self.variables, name, value) for name, value in problem.parameters.items()}
        constants = {name: _as_typed(self.constants, name, value) for name, value in problem.constants.items()}
        return Definitions(
            {**rest.variables, **variables}, {**rest.constants, **constants}, {**rest.origins, **problem.origins}
        )

    def as_read_by(self, loss: str) -> Definitions:
        """These in the order in which the text of a loss names them, which no file and no new definition changes.

        The order of its parameters is part of a problem: norms over all gradients add them up in it.
        """
        words = re.findall(r"[A-Za-z_]\w*", loss)
        places = {word: place for place, word in reversed(list(enumerate(words)))}
        variables, constants = (
            dict(sorted(table.items(), key=lambda item: places.get(item[0], len(words))))
            for table in (self.variables, self.constants)
        )
        return Definitions(variables, constants, self.origins)

    def waiting(self, problem: Problem) -> Definitions:
        """Those that `problem` does not read."""
        return self.without({**problem.parameters, **problem.constants})

    def values(self) -> dict[str, Any]:
        """All values by name."""
        return {**self.constants, **self.variables}


def _with(origins: Mapping[str, Origin], name: str, origin: Origin | None) -> Mapping[str, Origin]:
    return origins if origin is None else {**origins, name: origin}


def _as_typed(table: Mapping[str, Any], name: str, value: Array) -> Any:
    """What was typed to get `value`, or else its shortest digits."""
    typed = converted(table.get(name), value.dtype)
    if typed is not None and typed.shape == value.shape and typed.tobytes() == value.tobytes():
        return table[name]
    return in_digits(value)


def in_digits(value: Array) -> Array:
    """An array as the shortest digits that give it, in float64: 3.3 of float32 is 3.3 there, too."""
    return value if value.dtype == np.float64 else np.asarray(to_json(value), np.float64)


def converted(value: Any, dtype: object) -> Array | None:
    """A value as an array of `dtype`; None where there is none, or it is too large for that."""
    try:
        return None if value is None else as_array(value, str(dtype))
    except CommandError:
        return None
