"""Inside an update that was begun by phases: how far it is made, and the values of expressions there."""

from __future__ import annotations

from collections.abc import Mapping

from gdrepl.engine.asking import Asking
from gdrepl.engine.here import Here
from gdrepl.engine.phases import PHASES, Update
from gdrepl.engine.programs import Programs
from gdrepl.engine.snapshot import Array
from gdrepl.expression import Expression


class Inside:
    """The update that comes next. Only how many of its phases are made is kept: the snapshot stays that of the step."""

    def __init__(self, here: Here, programs: Programs, asking: Asking) -> None:
        self._here = here
        self._programs = programs
        self._asking = asking
        self._update: Update | None = None

    @property
    def made(self) -> int:
        """How many phases are made; 0 between two updates. Whoever moves or changes something else gives them up."""
        return self._here.phase

    @made.setter
    def made(self, count: int) -> None:
        self._here.phase, self._here.given_up = count, ()

    @property
    def phase(self) -> str:
        """The latest phase that is made; "" between two updates."""
        return PHASES[self.made - 1] if self.made else ""

    @property
    def place(self) -> str:
        """Where we stand: `3`, or `3+clip` inside the update from there."""
        return f"{self._here.step}+{self.phase}" if self.made else str(self._here.step)

    @property
    def update(self) -> Update:
        """The update, taken apart; asking it changes nothing."""
        snapshot, recipe = self._here.snapshot, self._here.recipe
        if self._update is None or self._update.before is not snapshot or self._update.recipe is not recipe:
            self._update = Update(self._programs, recipe, snapshot)
        return self._update

    def look(self, expression: Expression, others: Mapping[str, object] | None = None) -> Array:
        """The value of an expression as the phases that are made have left things; the point before is their beginning."""
        if not self.made:
            return self._asking.ask(expression, others=others)
        return self._asking.value(expression, self.update.scope(self.made, self._here.recipe.problem), others)

    def take_given_up(self) -> tuple[str, ...]:
        """What is to be said of updates that were begun and left, a line each; told once."""
        told, self._here.given_up = self._here.given_up, ()
        return told
