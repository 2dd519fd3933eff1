"""The learning-rate range test: what the loss does while the rate rises from update to update, and which rates that suggests.

The test is that of L. N. Smith, "Cyclical Learning Rates for Training Neural Networks" (2015, arXiv:1506.01186, section 3.3);
that the rate rises exponentially, and both suggestions, are as fastai has them (fastai/callback/schedule.py: `LRFinder`,
`steep` and `minimum`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.events import Divergence
from gdrepl.engine.moves import Progress
from gdrepl.engine.optimizer import accumulation
from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, frozen
from gdrepl.engine.sweep import Rung
from gdrepl.errors import CommandError
from gdrepl.insight import saying

LEAST_RATE, MOST_RATE, RATES, BEYOND = 1e-6, 10.0, 100, 1e4
"""The rates that are tried where none are given, how many, and how far it goes on where the loss has not diverged."""
GROWN = Divergence(factor=4.0)
"""The event whose factor and least rise a loss is measured by, against the lowest so far."""
_FLAT = 1e-4
"""A fall of less than this part of the first loss says nothing."""
_DEEP = 10.0
"""A loss that has fallen below zero by more than so many times the first one's size may have no floor."""
_AT_REST = 5
"""So many last losses that are the same to the bit are those of a point that no longer moves."""
_WEIGHTS = np.array([1.0, 4.0, 6.0, 4.0, 1.0])
SUGGESTED, FALLING, NO_FLOOR, FLAT, RISING = "suggested", "falling", "no floor", "flat", "rising"


@dataclass(frozen=True, slots=True, eq=False)
class LearningRateRange:
    """A learning-rate range test.

    Attributes:
        step: the step it began at.
        loss: the loss there, shape ().
        learning_rate: the rate in force there, which the test did not use, shape ().
        rates, losses: shape (n,); losses[k] is the loss after the update with rates[k], the update before it having been made
            with rates[k-1]. The last loss is the one that ended the test, if one did.
        verdict: "suggested"; "falling" where the lowest loss is that of the largest rate, so that only the steepest descent
            can be told; "no floor" where it is so far below the first loss that it may have none; "flat" where the loss
            hardly fell; "rising" where it only rose.
        steepest: the rate at which the lowest loss so far, smoothed over five rates, falls fastest over log10(rate); None where
            that is not told.
        lowest: the rate of the lowest loss; None as above.
        suggested: a tenth of `lowest`, which is fastai's other suggestion; None as above.
        diverged_at: the first rate whose loss was above four times the lowest so far, or not finite; None when there was none.
        optimizer: its class in Keras.
        updates: how many updates each rate got: those that are gathered into one where gradients are accumulated.
        notes: what else is to be known.
    """

    step: int
    loss: Array
    learning_rate: Array
    rates: Array
    losses: Array
    verdict: str
    steepest: float | None
    lowest: float | None
    suggested: float | None
    diverged_at: float | None
    optimizer: str
    updates: int = 1
    notes: tuple[str, ...] = field(default=(), metadata={**OPTIONAL, **SAID})

    @property
    def kept(self) -> int:
        """How many of the losses come before the one that ended the test."""
        return len(self.losses) - (self.diverged_at is not None)


def smooth(losses: Array) -> Array:
    """Each of some losses, shape (n,), as the mean of it and two on each side by binomial weights: it does not lag."""
    places = np.arange(len(losses))[:, None] + np.arange(-2, 3)
    inside = (places >= 0) & (places < len(losses))
    weights = np.where(inside, _WEIGHTS, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray((losses[np.clip(places, 0, len(losses) - 1)] * weights).sum(axis=1)) if len(losses) else losses


def range_test(
    debugger: Debugger, low: float = LEAST_RATE, high: float = MOST_RATE, count: int = RATES, beyond: float = 0.0
) -> LearningRateRange:
    """Make updates aside from here, their rates rising by one factor, until the loss diverges.

    The updates go on from one another, with the slots that are true here; nothing of it stays.

    Args:
        low, high, count: the rates are `count` from `low` to `high`.
        beyond: the rate up to which it goes on by the same factor while the loss neither diverges nor is at rest.

    Raises:
        CommandError: the loss or gradient here is not finite, or it was interrupted.
        ProblemError: the program cannot run.
    """
    here = debugger.snapshot()
    if not here.is_finite():
        hint = "reverse-step goes back to the point before, goto min to the lowest loss; then lrfind"
        raise CommandError(f"no rate can be tried from step {debugger.step}: the loss or gradient is not finite here", hint)
    more = max(0, math.floor(math.log(max(beyond, high) / high) / math.log(high / low) * (count - 1)))
    rates, first = np.geomspace(low, high * (high / low) ** (more / (count - 1)), count + more), float(here.loss)
    tried = _tried(debugger, rates, first, count)
    diverged = _has_diverged(tried, first)
    losses = np.array([rung.loss for rung in tried], here.loss.dtype)
    kept = losses[: len(losses) - diverged].astype(np.float64)
    verdict, steepest, lowest = _suggestions(first, rates, kept, tried[-1] if diverged else None)
    return LearningRateRange(
        here.step,
        here.loss,
        here.learning_rate,
        frozen(np.array([rung.rate for rung in tried])),
        frozen(losses),
        verdict,
        steepest,
        lowest,
        None if lowest is None else lowest / 10,
        float(rates[len(kept)]) if diverged else None,
        debugger.recipe.spec.name,
        accumulation(debugger.recipe.spec),
        tuple(_notes(debugger, rates, kept, diverged)),
    )


def _tried(debugger: Debugger, rates: Array, first: float, least: int) -> list[Rung]:
    """The rungs up to the first that has diverged, or all; past `least` of them none where the loss is at rest."""
    tried: list[Rung] = []
    began = time.perf_counter()
    for rung in debugger.sweep(rates):
        tried.append(rung)
        debugger.progress(Progress(len(tried), len(rates), debugger.step, float(rung.loss), time.perf_counter() - began))
        debugger.interrupt.heed("lrfind was interrupted")
        resting = len(tried) >= least and len({float(rung.loss) for rung in tried[-_AT_REST:]}) == 1
        if resting or _has_diverged(tried, first):
            break
    return tried


def _has_diverged(tried: Sequence[Rung], first: float) -> bool:
    """Whether the last rung is not finite, or its loss has grown from the lowest so far as the event divergence has it."""
    lowest = min(first, *(float(rung.loss) for rung in tried))
    return not tried[-1].finite or float(tried[-1].loss) > GROWN.limit(lowest)


def _suggestions(first: float, rates: Array, kept: Array, ended_by: Rung | None) -> tuple[str, float | None, float | None]:
    """The verdict, the rate of steepest descent and that of the lowest loss.

    Args:
        first: the loss that the test began with.
        kept: the losses before the one that ended it, float64 of shape (n,).
        ended_by: what ended it.
    """
    if not len(kept):
        return RISING, None, None
    place = int(np.argmin(kept))
    fall, is_last = first - kept[place], place == len(kept) - 1
    if is_last and kept[place] < 0 and fall > _DEEP * abs(first) and (ended_by is None or not ended_by.finite):
        return NO_FLOOR, None, None
    if not fall > _FLAT * abs(first):
        rose = ended_by is not None or kept.max() - first > _FLAT * abs(first)
        return RISING if rose else FLAT, None, None
    # Of the lowest loss so far: a lively optimizer bounces, and falls fastest of all from the top of a bounce.
    falling = np.minimum.accumulate(np.minimum(kept, first))
    steepest = _steepest(np.log10(rates[: place + 1]), smooth(falling)[: place + 1])
    if is_last and ended_by is None:
        return FALLING, None if steepest is None or steepest >= place - 1 else float(rates[steepest]), None
    return SUGGESTED, None if steepest is None else float(rates[steepest]), float(rates[place])


def _steepest(across: Array, curve: Array) -> int | None:
    """Where a curve falls fastest; None where it is too short to have a slope, or falls nowhere."""
    if len(curve) < 2:
        return None
    slopes = np.gradient(curve, across)
    return int(np.argmin(slopes)) if slopes.min() < 0 else None


def _notes(debugger: Debugger, rates: Array, kept: Array, diverged: bool) -> Iterator[str]:
    schedule = debugger.recipe.spec.schedule
    if schedule is not None:
        yield f"the rates took the place of {schedule.text()}, which stays in force"
    if debugger.recipe.spec.hyperparameters.get("relative_step"):
        yield "Adafactor takes no rate above 1/sqrt(updates made) while relative_step is True"
    moved = np.flatnonzero(kept != kept[-1:])
    rested = int(moved[-1]) + 1 if len(moved) else 0
    if not diverged and 0 < rested <= len(kept) - _AT_REST:
        rate = saying.number(rates[rested], 2)
        yield f"from rate {rate} on the loss no longer changed: at rest, it cannot tell where a rate is too large"
