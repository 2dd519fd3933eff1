"""Whether the gradient is that of the loss: it is compared with differences of the loss itself, computed in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError
from gdrepl.insight import gradient_notes
from gdrepl.insight.differences import STEPS, USUAL, Numbers, Slopes, Truths, slopes
from gdrepl.insight.directions import along_directions, count_of_directions
from gdrepl.insight.noise import Rounding, rounding
from gdrepl.insight.probing import WIDE, Probe, cast_to, flat, gradient_at, widened

MOST_NUMBERS = 400
"""Up to so many numbers each one is moved by itself; of more, a choice."""
_BUDGET, _EACH, _LEAST, _MOST = 6e7, 2 * len(USUAL), 4, 64
"""Numbers that all evaluations read together, evaluations for each number chosen, and how few and many are chosen."""
_SURE = 1e-4  # of a slope: with so small a tolerance the usual steps are enough
_SAFETY, _FLOOR = 8.0, 1e-7
"""The tolerance is so many times the error that a difference has by its own account, and this part of it at least."""
_ROUNDINGS = 4
_ALIKE = 100  # numbers of a parameter from which rounding is taken to treat them alike
_SMALL = 1e-4  # of the size of its neighbours: a number below it is moved as if it were as large
_TINY = 1e-8  # a number so much smaller than what it is moved by is tried once more with steps of its own size

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


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """The gradient laid end to end, shape (n,), as it comes from several places.

    Attributes:
        engine: of the point, by the compiled program.
        wide: by the tape in float64.
        own: by the tape in the problem's dtype.
        blur, wide_blur: how far rounding may move `engine` and `wide`.
        at_kinks: the part of a slope that may be lost where it is not known what rounding does.
    """

    engine: Numbers
    wide: Numbers
    own: Numbers
    blur: Numbers
    wide_blur: Numbers
    at_kinks: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What came of each probe: the difference, how far off the gradients are, and up to where they may be; shape (P,).

    `compared` is False where the loss has no one slope to compare with. `ratio` is the larger error over its tolerance.
    """

    places: Array
    found: Slopes
    error: Numbers
    tolerance: Numbers
    ratio: Numbers
    formula_off: Truths
    compared: Truths


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
    own = type(problem).loss_of is not Problem.loss_of  # of an expression it is known that it can be traced
    probe = Probe(wide, here, noise, own and recipe.engine == "eager", debugger.interrupt)
    names = Names({name: value.shape for name, value in problem.parameters.items()})
    sizes = _sizes(snapshot.parameters)
    every = np.arange(problem.numbers) if chosen is None else chosen
    chance = np.random.default_rng(seed)
    places = _choice(every, names, gradients.wide, problem.numbers_in_all, chance)
    judged = _judged(probe, places, sizes, gradients)
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
        judged = _judged(probe, places, sizes, gradients)
    return _result(debugger, wide.dtype, names, judged, gradients, directions)


def _gradients(debugger: Debugger, wide: Any, here: dict[str, Array]) -> tuple[Gradients, float]:
    """The gradient by several ways with what rounding may do to each, and how far it may move the loss in `wide`."""
    snapshot, problem = debugger.snapshot(), debugger.problem
    engine = flat(snapshot.gradient).astype(WIDE)
    tape = gradient_at(wide, here)
    own = tape if wide is problem else gradient_at(problem, snapshot.parameters)
    moved = rounding(wide, here, wide.dtype)
    narrow = moved if wide is problem or problem.dtype == wide.dtype else rounding(wide, here, problem.dtype)
    longest = max(value.size for value in (*problem.parameters.values(), *problem.constants.values()))

    def blur(dtype: str, sample: Numbers, measured: Rounding) -> Numbers:
        limits = np.finfo(dtype)
        size = _ROUNDINGS + np.sqrt(longest)  # roundings of a long sum add up at random
        one = _evened(np.maximum(measured.gradient, sample), problem) + size * limits.eps * np.abs(tape)
        return np.asarray(_SAFETY * one + limits.tiny, np.float64)

    with np.errstate(invalid="ignore"):
        apart = np.abs(own.astype(WIDE) - tape)
    apart = np.where(np.isfinite(apart), apart, 0.0)
    blurs = blur(problem.dtype, apart, narrow), blur(wide.dtype, np.zeros_like(apart), moved)
    at_kinks = max(_FLOOR, float(np.sqrt(np.finfo(problem.dtype).eps)))
    found = Gradients(engine, tape.astype(WIDE), own.astype(WIDE), *blurs, at_kinks)
    return found, _SAFETY * moved.loss


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


def _judged(probe: Probe, places: Array, sizes: Numbers, gradients: Gradients) -> Judged:
    """A few steps for each number; all of them, and steps of its own size, for those that ask for it."""
    found = slopes(probe.along_numbers(places, sizes[places], USUAL))
    judged = _judge(places, found, gradients)
    settled = judged.compared & (judged.ratio <= 1) & ~found.kink & ~found.one_sided
    settled &= _SAFETY * found.error <= _SURE * np.abs(found.slope)
    rows = np.flatnonzero(~settled)
    if len(rows):
        found = _with(found, rows, slopes(probe.along_numbers(places[rows], sizes[places[rows]], STEPS)))
        judged = _judge(places, found, gradients)
    own_size = np.abs(probe.point[places].astype(WIDE))
    again = (judged.ratio > 1) & judged.compared & (own_size > 0) & (own_size < _TINY * sizes[places])
    if not again.any():
        return judged
    # A number next to 0 may be small for a reason: x*log(x) at 1e-300 changes within steps of that size.
    rows = np.flatnonzero(again)
    closer = slopes(probe.along_numbers(places[rows], own_size[rows], STEPS))
    better = closer.error < 0.1 * np.abs(closer.slope)
    return _judge(places, _with(found, rows[better], closer, better), gradients)


def _with(found: Slopes, rows: Array, other: Slopes, chosen: Truths | slice = slice(None)) -> Slopes:
    """`found` with the `chosen` ones of another in place of `rows`."""
    merged = {name: getattr(found, name).copy() for name in Slopes.__slots__}
    for name, column in merged.items():
        column[rows] = getattr(other, name)[chosen]
    return Slopes(**merged)


def _judge(places: Array, found: Slopes, gradients: Gradients) -> Judged:
    engine, wide = gradients.engine[places], gradients.wide[places]
    with np.errstate(all="ignore"):
        difference = _SAFETY * found.error + _FLOOR * np.abs(found.slope)
        tolerance, wide_tolerance = difference + gradients.blur[places], difference + gradients.wide_blur[places]
        # What rounding moves at a kink is which side of it one stands on, and both are allowed.
        beside = gradients.at_kinks * np.fmax(np.abs(found.low), np.abs(found.high))
        tolerance, wide_tolerance = (np.where(found.kink, beside, each) for each in (tolerance, wide_tolerance))
        error = _distance(engine, found)
        ratio, formula = error / tolerance, _distance(wide, found) / wide_tolerance
    compared = ~found.endless & np.isfinite(found.slope)
    broken = np.isnan(engine) | (np.isinf(engine) & compared)
    overflow = np.isinf(engine) & np.isfinite(wide) & np.isinf(gradients.own[places])
    compared = (compared | broken) & ~overflow
    ratio = np.where(broken, np.inf, np.fmax(ratio, formula))
    formula_off = (formula > 1) | ~np.isfinite(wide)
    return Judged(places, found, np.where(broken, np.inf, error), tolerance, ratio, formula_off, compared)


def _distance(gradient: Numbers, found: Slopes) -> Numbers:
    """How far a gradient is from the slope; at a kink from what lies between the slopes on both sides."""
    outside = np.fmax(np.fmax(found.low - gradient, gradient - found.high), 0.0)
    return np.where(found.kink, outside, np.abs(gradient - found.slope))


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


class Names:
    """What each place of the parameters laid end to end is called."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self._shapes = list(shapes.items())
        sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes.values()]
        self._ends = np.cumsum(sizes)

    def owners(self, places: Array | Sequence[int]) -> Array:
        """The number of the parameter that each place belongs to."""
        return np.searchsorted(self._ends, places, side="right")

    def of(self, place: int) -> str:
        """`x`, `w[3]` or `W[3, 1]`."""
        owner = int(self.owners([place])[0])
        name, shape = self._shapes[owner]
        inside = place - (self._ends[owner - 1] if owner else 0)
        index = ", ".join(str(int(part)) for part in np.unravel_index(int(inside), shape)) if shape else ""
        return f"{name}[{index}]" if index else name
