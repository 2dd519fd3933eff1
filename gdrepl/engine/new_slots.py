"""The slots with which an optimizer begins. To ask Keras for them takes longer than most edits: it is asked twice at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gdrepl.engine import live_optimizer
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array

_FEW = 10_000
"""Numbers of a problem up to which slots are kept."""


class NewSlots:
    """Those of one optimizer on the parameters of one problem.

    Most optimizers begin with the same numbers everywhere; ScheduleFreeAdamW copies the parameters. Which of the two it is,
    Keras tells by what it builds at a second place, at which every parameter is another.

    Args:
        optimizer: a live one that was built at the start of the problem, and not applied yet.
    """

    def __init__(self, spec: OptimizerSpec, problem: Problem, optimizer: Any) -> None:
        self._spec = spec
        self._problem = problem
        self._kept: tuple[tuple[bytes, ...], tuple[Array, ...]] | None = None
        self._same_everywhere = False
        if problem.numbers <= _FEW:
            self._kept = (_place(problem.parameters), live_optimizer.capture(optimizer))

    def at(self, parameters: Mapping[str, Array]) -> tuple[Array, ...]:
        """The slots of an optimizer that is built where the parameters have these values."""
        if self._kept is None:
            return self._built(parameters)
        place, (known, slots) = _place(parameters), self._kept
        if self._same_everywhere or place == known:
            return slots
        built = self._built(parameters)
        if all(here != there for here, there in zip(place, known)):
            self._same_everywhere = all(one.tobytes() == other.tobytes() for one, other in zip(built, slots))
        self._kept = (place, built)
        return built

    def _built(self, parameters: Mapping[str, Array]) -> tuple[Array, ...]:
        import tensorflow as tf

        variables = [tf.Variable(parameters[name], name=name) for name in self._problem.parameters]
        return live_optimizer.capture(live_optimizer.build(self._spec, variables, self._problem.dtype))


def _place(parameters: Mapping[str, Array]) -> tuple[bytes, ...]:
    return tuple(value.tobytes() for value in parameters.values())
