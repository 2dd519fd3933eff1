"""The compiled programs of a session, by what they depend on: the most recently used ones are kept."""

from __future__ import annotations

from collections.abc import Sequence

from gdrepl.engine.latest import Latest
from gdrepl.engine.program import Program
from gdrepl.engine.segment import Recipe
from gdrepl.engine.triggers import Trigger


class Programs:
    """Programs by problem, optimizer, engine and triggers; the plain learning rate lives in a variable and does not count.

    Args:
        most: how many are kept. Each holds its variables and some 5 MB of record.
    """

    def __init__(self, most: int = 12) -> None:
        self._kept: Latest[tuple[object, ...], Program] = Latest(most)

    def get(self, recipe: Recipe, triggers: Sequence[Trigger] = ()) -> Program:
        """The program of a recipe, from those kept or made anew; it is compiled at its first use."""
        keys = tuple(trigger.key for trigger in triggers)
        key = (recipe.problem.program_key, recipe.spec.key, recipe.engine, keys)
        return self._kept.get(key, lambda: Program(recipe.problem, recipe.spec, recipe.engine, triggers))
