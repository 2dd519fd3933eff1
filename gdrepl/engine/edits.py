"""What an edit makes of a recipe and a snapshot: the pair that goes on from here, or None where nothing changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gdrepl.engine.live_optimizer import SlotName
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.phases import AVERAGE
from gdrepl.engine.programs import Programs
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.engine.segment import Recipe
from gdrepl.engine.snapshot import Array, Snapshot, frozen

Edited = tuple[Recipe, Snapshot]


def parameter(programs: Programs, recipe: Recipe, here: Snapshot, name: str, value: Array) -> Edited | None:
    """Another value of a parameter, of its shape and dtype; loss and gradient are computed there."""
    if value.tobytes() == here.parameters[name].tobytes():
        return None
    return recipe, programs.get(recipe).evaluated({**here.parameters, name: value}, here.slots, here.step)


def learning_rate(programs: Programs, recipe: Recipe, here: Snapshot, rate: float | ScheduleSpec) -> Edited | None:
    """Another learning rate, in place when it was and stays a plain number."""
    spec = recipe.spec.with_learning_rate(rate)
    if isinstance(rate, ScheduleSpec) and rate == recipe.spec.schedule:
        return None
    if isinstance(rate, ScheduleSpec) or recipe.spec.schedule is not None:
        return _reconfigured(programs, recipe, here, spec, None if isinstance(rate, ScheduleSpec) else rate)
    place = programs.get(recipe).rate_place
    slots = list(here.slots)
    if slots[place] == slots[place].dtype.type(rate):
        return None
    slots[place] = frozen(np.asarray(rate, slots[place].dtype))
    return replace(recipe, spec=spec), replace(here, slots=tuple(slots), learning_rate=slots[place])


def hyperparameters(programs: Programs, recipe: Recipe, here: Snapshot, spec: OptimizerSpec) -> Edited:
    """The same optimizer with other hyperparameters and the rate of `spec`; every slot that both have keeps its value."""
    return _reconfigured(programs, recipe, here, spec, spec.learning_rate)


def optimizer(programs: Programs, recipe: Recipe, here: Snapshot, spec: OptimizerSpec) -> Edited:
    """Another optimizer, whose slots are new."""
    recipe = replace(recipe, spec=spec)
    program = programs.get(recipe)
    return recipe, program.with_slots(here, program.new_slots(here.parameters, spec.learning_rate))


def engine(programs: Programs, recipe: Recipe, here: Snapshot, name: str) -> Edited | None:
    """Another engine, by which loss and gradient are computed."""
    if name == recipe.engine:
        return None
    recipe = replace(recipe, engine=name)
    return recipe, programs.get(recipe).evaluated(here.parameters, here.slots, here.step)


def _reconfigured(programs: Programs, recipe: Recipe, here: Snapshot, spec: OptimizerSpec, rate: float | None) -> Edited:
    old = dict(zip(programs.get(recipe).slot_names, here.slots))
    recipe = replace(recipe, spec=spec)
    program = programs.get(recipe)
    fresh = program.new_slots(here.parameters, rate)
    # Keras' moving average begins with zeros, to be filled at iteration 0: begun later, it begins with the parameters.
    new = {SlotName(AVERAGE, name): value for name, value in here.parameters.items()}
    slots = tuple(
        old[name] if name in old and name[0] != "learning_rate" and old[name].shape == value.shape else new.get(name, value)
        for name, value in zip(program.slot_names, fresh)
    )
    return recipe, program.with_slots(here, slots)
