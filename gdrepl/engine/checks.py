"""Whether stops can be computed for a problem, an optimizer and an engine; what was found is remembered."""

from __future__ import annotations

from collections.abc import Iterable

from gdrepl.engine.programs import Programs
from gdrepl.engine.scopes import any_scope
from gdrepl.engine.segment import Recipe
from gdrepl.engine.snapshot import Snapshot
from gdrepl.engine.stops import StopPoint
from gdrepl.engine.triggers import Trigger, try_out
from gdrepl.errors import ExpressionError, ProblemError
from gdrepl.expression import parse


class Checks:
    """The answers, by what they depend on."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._known: dict[tuple[object, ...], str] = {}

    def check(self, trigger: Trigger, recipe: Recipe) -> None:
        """See that a trigger can be looked at there.

        Raises:
            ExpressionError: it cannot.
        """
        problem = recipe.problem
        for expression in trigger.expressions:
            parse(expression.text, [*problem.parameters, *problem.constants], at_point=True)
        try_out(trigger, any_scope(self._programs.get(recipe)), recipe.spec, problem.dtype)

    def why(self, item: StopPoint, recipe: Recipe) -> str:
        """Why a stop cannot be computed there; empty when it can."""
        key = _key(item, recipe)
        if key not in self._known:
            try:
                self.check(item.whole, recipe)
                self._known[key] = ""
            except ExpressionError as error:
                self._known[key] = error.message
        return self._known[key]

    def broken(self, items: Iterable[StopPoint], recipe: Recipe) -> list[tuple[StopPoint, str]]:
        """Those of `items` that cannot be computed there, each with why."""
        reasons = [(item, self.why(item, recipe)) for item in items]
        return [(item, why) for item, why in reasons if why]

    def engine_refuses(self, items: Iterable[StopPoint], recipe: Recipe, here: Snapshot) -> bool:
        """Whether it is one of these stops that the engine cannot compile; that is remembered of each."""
        refused = False
        for item in items:
            program = self._programs.get(recipe, (item.whole,))
            program.load(here)
            try:
                program.advance(1, through=True)
            except (ProblemError, ExpressionError) as error:
                self._known[_key(item, recipe)] = error.message
                refused = True
        return refused


def _key(item: StopPoint, recipe: Recipe) -> tuple[object, ...]:
    return (recipe.problem.program_key, recipe.spec.key, recipe.engine, item.whole.key)
