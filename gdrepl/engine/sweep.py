"""Updates made aside, such as one for each of many learning rates; the timeline hears nothing of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gdrepl.engine import edits
from gdrepl.engine.live_optimizer import SlotName
from gdrepl.engine.optimizer import accumulation
from gdrepl.engine.programs import Programs
from gdrepl.engine.segment import Recipe
from gdrepl.engine.snapshot import Array, Snapshot, frozen


@dataclass(frozen=True, slots=True, eq=False)
class Rung:
    """What an update at one rate came to.

    Attributes:
        rate: the rate, shape (), in the dtype that Keras keeps it in.
        loss: the loss after the update, shape ().
        finite: whether that loss and its gradient are finite.
    """

    rate: Array
    loss: Array
    finite: bool


def sweep(programs: Programs, recipe: Recipe, here: Snapshot, rates: Array) -> Iterator[Rung]:
    """From a snapshot, with its slots, one update after the other, the k-th with `rates[k]`; as many as are asked for.

    They are those that setting the rate and stepping would make, bit for bit: the same program makes them, with nothing
    recorded and nothing compiled anew. A schedule gives way to the rates. Where gradients are accumulated a rung takes as many
    updates as are gathered into one, so that each moves the parameters once.

    Args:
        rates: shape (n,), each > 0.

    Raises:
        ProblemError, CommandError: the program cannot run.
    """
    edited = edits.learning_rate(programs, recipe, here, float(rates[0]))
    recipe, here = edited or (recipe, here)
    program, updates = programs.get(recipe), accumulation(recipe.spec)
    dtype = here.slots[program.rate_place].dtype
    program.load(here)
    for rate in np.asarray(rates).astype(dtype):
        program.set_rate(rate)
        advance = program.advance(updates, last_only=True)
        yield Rung(frozen(rate), frozen(program.layout.columns(0, advance.rows, rate).loss[-1]), advance.finite)


def moved(programs: Programs, recipe: Recipe, here: Snapshot) -> Snapshot:
    """The snapshot after the next update that moves the parameters; where gradients are accumulated it may be some updates off.

    Raises:
        ProblemError: the program cannot run.
    """
    program, gathered = programs.get(recipe), accumulation(recipe.spec)
    iteration = int(here.slots[program.slot_names.index(SlotName("iteration", None))])
    program.load(here)
    program.advance(gathered - iteration % gathered, through=True, last_only=True)
    return program.capture()
