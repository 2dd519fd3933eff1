"""The phases inside one update, in the order of Keras' `apply`: what is true after each, up to the next step.

An update is only ever made whole, by the compiled program. Here the same program makes it aside, and what it came to is told
phase by phase; so seven phases are one step, bit for bit. The gradient as it is clipped and the parameters as they decay, which
a compiled update keeps to itself, are computed by Keras' own functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from gdrepl.engine import live_optimizer
from gdrepl.engine.live_optimizer import Parted, SlotName
from gdrepl.engine.problem import Problem
from gdrepl.engine.programs import Programs
from gdrepl.engine.scopes import scope_of
from gdrepl.engine.segment import Recipe
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.expression import Scope

PHASES = ("forward", "backward", "clip", "decay", "moments", "apply", "constraint")
"""Loss; gradient; unscaled, gathered and clipped; weight decay; slots; parameters; moving average, constraint, iteration."""
_CLIP, _DECAY, _MOMENTS, _APPLY = range(3, 7)  # how many phases are made once each of these is

AVERAGE = "average"
"""The slot of Keras' moving average of a parameter."""
LAST = ("iteration", AVERAGE)
"""The slots that the last phase writes; the others are the moments."""


class Update:
    """The update from a snapshot. Each part is computed when it is first asked for; nothing is run where we stand.

    Attributes:
        recipe: what runs it.
        before: the snapshot that it begins from.
    """

    def __init__(self, programs: Programs, recipe: Recipe, before: Snapshot) -> None:
        self._programs = programs
        self.recipe = recipe
        self.before = before

    def state(self, made: int) -> Snapshot:
        """What is true when the first `made` phases are.

        Up to the last phase loss, step and rate are those of the beginning. From clip on `gradient` is the one that the moments
        and the step are made from.

        Raises:
            ProblemError: the engine refuses the loss or the optimizer.
        """
        if made < _CLIP:
            return self.before
        if made == len(PHASES):
            return self.after
        state = replace(self.before, gradient=self._parted.clipped)
        if made >= _DECAY:
            state = replace(state, parameters=self._parted.decayed)
        if made >= _MOMENTS:
            state = replace(state, slots=self._moments)
        return replace(state, parameters=self._stepped) if made >= _APPLY else state

    def scope(self, made: int, problem: Problem) -> Scope:
        """That, for expressions of `problem`; the point before is the one that the update begins from."""
        program = self._programs.get(self.recipe)
        here, before = (scope_of(each, program, problem) for each in (self.state(made), self.before))
        return replace(here, previous=before)

    @property
    def applied(self) -> bool:
        """False where this update only gathers its gradient."""
        return self._parted.applied

    @property
    def slot_names(self) -> tuple[SlotName, ...]:
        """What each slot is, in Keras' order."""
        return self._programs.get(self.recipe).slot_names

    @cached_property
    def after(self) -> Snapshot:
        """The snapshot that it leads to."""
        return self._made_by(self.recipe)

    @cached_property
    def _parted(self) -> Parted:
        before = self.before
        return live_optimizer.parted(self.recipe.spec, before.slots, before.parameters, before.gradient)

    @cached_property
    def _moments(self) -> tuple[Array, ...]:
        """The slots before the last phase."""
        each = zip(self.slot_names, self.before.slots, self.after.slots)
        return tuple(old if name.slot in LAST else new for name, old, new in each)

    @cached_property
    def _stepped(self) -> Mapping[str, Array]:
        """The parameters before the last phase, which may overwrite them by their moving averages.

        Then the same update is made without that: the program of an optimizer that never does so.
        """
        if not self._is_overwritten():
            return self.after.parameters
        spec = self.recipe.spec.with_hyperparameter("ema_overwrite_frequency", None)
        return self._made_by(replace(self.recipe, spec=spec)).parameters

    def _is_overwritten(self) -> bool:
        averages = dict(zip(self.slot_names, self.after.slots))
        values = [(value, averages.get(SlotName(AVERAGE, name))) for name, value in self.after.parameters.items()]
        frequency = self.recipe.spec.hyperparameters.get("ema_overwrite_frequency")
        return bool(frequency) and all(mean is not None and mean.tobytes() == value.tobytes() for value, mean in values)

    def _made_by(self, recipe: Recipe) -> Snapshot:
        program = self._programs.get(recipe)
        program.load(self.before)
        program.advance(1, through=True, last_only=True)
        return program.capture()
