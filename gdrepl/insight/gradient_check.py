"""Whether the gradient is that of the loss: it is compared with differences of the loss itself, computed in float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError
from gdrepl.insight import gradient_notes
from gdrepl.insight.coordinates import Names
from gdrepl.insight.differences import USUAL, Numbers
from gdrepl.insight.directions import along_directions, count_of_directions
from gdrepl.insight.judging import FLOOR, SAFETY, Gradients, Judged, judged_at
from gdrepl.insight.noise import Rounding, rounding
from gdrepl.insight.probing import Probe, gradient_at
from gdrepl.insight.wide import WIDE, cast_to, flat, is_expression, widened

MOST_NUMBERS = 400
"""Up to so many numbers each one is moved by itself; of more, a choice."""
_BUDGET, _EACH, _LEAST, _MOST = 6e7, 2 * len(USUAL), 4, 64
"""Numbers that all evaluations read together, evaluations for each number chosen, and how few and many are chosen."""
_ROUNDINGS = 4
_ALIKE = 100  # numbers of a parameter from which rounding is taken to treat them alike
_SMALL = 1e-4  # of the size of its neighbours: a number below it is moved as if it were as large

UNSTEADY: Any = {"recorded": False}
"""Metadata of what is made of rounding errors: another processor has others, so that recordings leave it out."""


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """One number, or one direction, of the gradient.

    Attributes:
        coordinate: such as `W[3, 1]` or `direction 2`.
        gradient: d loss / d number as the engine gave it.
        difference: the same by differences of the loss.
        error: |gradient - difference|.
        tolerance: up to which they agree.
        step_size: the step that gave the difference.
    """

    coordinate: str
    gradient: float
    difference: float
    error: float
    tolerance: float
    step_size: float


@dataclass(frozen=True, slots=True, eq=False)
class GradientCheck:
    """The gradient beside differences of the loss.

    Attributes:
        worst_error: |gradient - difference| where it is largest for its tolerance; NaN where nothing could be compared.
        coordinate: where that is.
        ok: whether all that could be compared agrees.
        notes: kinks, flat places, what could not be compared, and where a wrong gradient comes from.
        worst: up to `LISTED` of those compared, the worst for its tolerance first.
        tape: the gradient at `coordinate` by `tf.GradientTape` in `wide`.
        kinks: the coordinates where the slopes on both sides differ, at most `LISTED`.
        numbers: of all parameters together.
        checked: how many were moved by themselves.
        directions: along how many directions all were moved together.
        dtype, wide: of the problem, and what the differences were computed in.
        step: the step that was checked.
    """

    worst_error: float = field(metadata=UNSTEADY)
    coordinate: str = field(metadata=UNSTEADY)
    ok: bool
    notes: tuple[str, ...] = field(metadata=UNSTEADY)
    worst: tuple[Compared, ...] = field(metadata=UNSTEADY)
    tape: float = field(metadata=UNSTEADY)
    kinks: tuple[str, ...]
    numbers: int
    checked: int
    directions: int
    dtype: str
    wide: str
    step: int


LISTED = 4


def check_gradient(debugger: Debugger, chosen: Array | None, seed: int) -> GradientCheck:
    """Compare the gradient where we stand; of the numbers at the flat places `chosen`, or of all.

    Args:
        seed: of the choice among many numbers, and of the directions.

    Raises:
        CommandError: the loss is not finite here, or it was interrupted.
    """
    snapshot, recipe = debugger.snapshot(), debugger.recipe
    problem = recipe.problem
    if not np.isfinite(snapshot.loss):
        raise CommandError(f"the loss is {snapshot.loss} here, so it has no slope", "goto a step where it is finite")
    for name, value in snapshot.parameters.items():
        if not np.isfinite(value).all():
            raise CommandError(f"{name} is not finite here, so there is nothing beside it", "goto a step where it is finite")
    wide = widened(problem)
    here = cast_to(wide.dtype, snapshot.parameters)
    gradients, noise = _gradients(debugger, wide, here)
    eager = recipe.engine == "eager" and not is_expression(problem)  # which is known to be one that can be traced
    probe = Probe(wide, here, noise, eager, debugger.interrupt)
    names = Names({name: value.shape for name, value in problem.parameters.items()})
    sizes = _sizes(snapshot.parameters)
    every = np.arange(problem.numbers) if chosen is None else chosen
    chance = np.random.default_rng(seed)
    places = _choice(every, names, gradients.wide, problem.numbers_in_all, chance)
    judged = judged_at(probe, places, sizes, gradients)
    directions, culprits = 0, np.zeros(0, np.int64)
    if len(places) < len(every) and np.isfinite(gradients.wide).all():
        directions = count_of_directions(problem.numbers_in_all)
        mask = np.zeros(problem.numbers, bool)
        mask[every] = True
        culprits = along_directions(probe, np.where(mask, sizes, 0.0), gradients.wide, directions, chance)
    with np.errstate(invalid="ignore"):  # of two infinities
        off = np.abs(gradients.engine - gradients.wide) > gradients.blur
    off |= ~np.isfinite(gradients.engine) & np.isfinite(gradients.wide)
    more = np.union1d(culprits, every[off[every]][:LISTED])
    more = np.setdiff1d(more, places)
    if len(more):  # what is wrong elsewhere is looked at by itself, too
        places = np.concatenate([places, more])
        judged = judged_at(probe, places, sizes, gradients)
    return _result(debugger, wide.dtype, names, judged, gradients, directions)


def _gradients(debugger: Debugger, wide: Any, here: dict[str, Array]) -> tuple[Gradients, float]:
    """The gradient by several ways with what rounding may do to each, and how far it may move the loss in `wide`."""
    snapshot, problem = debugger.snapshot(), debugger.problem
    engine = flat(snapshot.gradient)
    tape = gradient_at(wide, here)
    own = tape if wide is problem else gradient_at(problem, snapshot.parameters)
    moved = rounding(wide, here, wide.dtype, debugger.interrupt)
    same = wide is problem or problem.dtype == wide.dtype
    narrow = moved if same else rounding(wide, here, problem.dtype, debugger.interrupt)
    longest = max(value.size for value in (*problem.parameters.values(), *problem.constants.values()))

    def blur(dtype: str, sample: Numbers, measured: Rounding) -> Numbers:
        limits = np.finfo(dtype)
        size = _ROUNDINGS + np.sqrt(longest)  # roundings of a long sum add up at random
        one = _evened(np.maximum(measured.gradient, sample), problem) + size * limits.eps * np.abs(tape)
        return np.asarray(SAFETY * one + limits.tiny, np.float64)

    with np.errstate(invalid="ignore"):
        apart = np.abs(own.astype(WIDE) - tape)
    apart = np.where(np.isfinite(apart), apart, 0.0)
    blurs = blur(problem.dtype, apart, narrow), blur(wide.dtype, np.zeros_like(apart), moved)
    at_kinks = max(FLOOR, float(np.sqrt(np.finfo(problem.dtype).eps)))
    found = Gradients(engine, tape.astype(WIDE), own.astype(WIDE), *blurs, at_kinks)
    return found, SAFETY * moved.loss


def _evened(measured: Numbers, problem: Problem) -> Numbers:
    """What was measured of each number, and of a large parameter its mean square: among many some seem exact by luck."""
    found, start = measured.copy(), 0
    for value in problem.parameters.values():
        part = slice(start, start + value.size)
        if value.size > _ALIKE:
            found[part] += np.sqrt(np.mean(np.square(measured[part])))
        start += value.size
    return found


def _sizes(parameters: Any) -> Numbers:
    """What each number is moved in proportion to: its own size, or for one that is near 0 a little of its neighbours'."""
    found = []
    for value in parameters.values():
        numbers = np.abs(value.astype(WIDE).reshape(-1))
        largest = numbers.max(initial=0.0)
        around = largest * float(np.sqrt(np.mean(np.square(numbers / largest)))) if largest > 0 else 0.0
        found.append(np.maximum(numbers, _SMALL * around if around > 0 else 1.0))
    return np.concatenate(found)


def _choice(every: Array, names: Names, gradient: Numbers, size: int, chance: np.random.Generator) -> Array:
    """All of a few places; of many the largest of each parameter, the largest of all, and others at random."""
    if len(every) <= MOST_NUMBERS:
        return every
    count = int(np.clip(_BUDGET / (_EACH * size), _LEAST, _MOST))
    order = every[np.argsort(-np.abs(gradient[every]), kind="stable")]
    first = np.unique(names.owners(order), return_index=True)[1]
    chosen = [*order[first], *order[: count // 2]]
    return np.unique(np.concatenate([chosen, chance.choice(every, max(1, count - len(set(chosen))), replace=False)]))


def _result(
    debugger: Debugger, wide: str, names: Names, judged: Judged, gradients: Gradients, directions: int
) -> GradientCheck:
    rated = np.where(judged.compared, judged.ratio, -1.0)
    fine = judged.found.kink & (rated <= 1)  # a kink that lets its gradient pass tells least
    order = np.argsort(np.where(fine, 0.5, -rated), kind="stable")
    order = order[judged.compared[order]]
    worst = tuple(_compared(row, names, judged, gradients) for row in order[:LISTED])
    ok = not bool(np.any(rated > 1))
    kinks = judged.places[fine]
    problem = debugger.problem
    notes = gradient_notes.notes(debugger, names, judged, gradients, wide, ok)
    at = worst[0] if worst else None
    return GradientCheck(
        at.error if at else float("nan"),
        at.coordinate if at else "",
        ok,
        notes,
        worst,
        float(gradients.wide[judged.places[order[0]]]) if at else float("nan"),
        tuple(names.of(place) for place in kinks[:LISTED]),
        problem.numbers,
        len(judged.places),
        directions,
        problem.dtype,
        wide,
        debugger.step,
    )


def _compared(row: int, names: Names, judged: Judged, gradients: Gradients) -> Compared:
    place, found = judged.places[row], judged.found
    gradient = float(gradients.engine[place])
    difference = float(np.clip(gradient, found.low[row], found.high[row]) if found.kink[row] else found.slope[row])
    return Compared(
        names.of(place), gradient, difference, float(judged.error[row]), float(judged.tolerance[row]), float(found.step[row])
    )
