"""The learning rate up to which the optimizer in use is stable on the local quadratic, and how far the rate is from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gdrepl.engine.optimizer import OptimizerSpec, accumulation
from gdrepl.engine.problem import Problem
from gdrepl.engine.snapshot import OPTIONAL, SAID, Snapshot
from gdrepl.insight import saying
from gdrepl.insight.curvature import largest_coordinates
from gdrepl.insight.products import Tick, products_of
from gdrepl.insight.recursion import Coming, Rule, Slots, clipped, rule_of
from gdrepl.insight.spectrum import Spectrum, no_tick, spectrum

if TYPE_CHECKING:  # the views of what comes of this need no debugger
    from gdrepl.engine.debugger import Debugger

_WELL_CONDITIONED = 10.0
"""The condition number up to which the best rate for a quadratic is far enough below the limit to be proposed."""
_AHEAD = (1, 10, 100, 1000)
_EARLY = 0.1
_EDGE = 0.9
"""The part of the limit from which what swings along v1 takes tens of updates to die away."""
UNKNOWN = "none known"


@dataclass(frozen=True, slots=True, eq=False)
class RateLimit:
    """The stability limit of the learning rate at a step, by the local quadratic model.

    Attributes:
        rate: the rate of the coming update.
        limit: the rate beyond which it grows along `direction`; None where there is no such rate.
        ratio: rate over limit, or None.
        rule: the formula of the limit.
        step: where.
        optimizer: the name of Keras' class.
        eigenvalue: the largest eigenvalue of the Hessian as the optimizer sees it, divided by its denominators; None where it
            cannot be had.
        lowest: the smallest one; it is negative where the loss falls away.
        residual: |A v - eigenvalue v| of the largest.
        exact: whether all eigenvalues are known.
        suggested: a rate to try, or None.
        direction: `W[0, 1]` -> its part of the direction v1 that grows first, in parameters, of unit length; largest first.
        reason: why that rate.
        notes: what else is to be known, a line each.
    """

    rate: float
    limit: float | None
    ratio: float | None
    rule: str
    step: int
    optimizer: str
    eigenvalue: float | None
    lowest: float | None
    residual: float | None = field(metadata=SAID)
    exact: bool
    suggested: float | None
    direction: Mapping[str, float]
    reason: str = field(default="", metadata={**OPTIONAL, **SAID})
    notes: tuple[str, ...] = field(default=(), metadata={**OPTIONAL, **SAID})

    @property
    def verdict(self) -> str:
        """What the ratio means, in a few words; empty where there is none."""
        if self.ratio is None:
            return ""
        if self.ratio > 1:
            adapts = self.optimizer != "SGD"
            return "expect it to grow along v1 until the denominators have" if adapts else "expect divergence along v1"
        return "it will swing along v1 for long" if self.ratio > _EDGE else "stable"


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What a limit is asked of."""

    problem: Problem
    spec: OptimizerSpec
    snapshot: Snapshot
    slots: Slots

    @property
    def rate(self) -> float:
        return float(str(self.snapshot.learning_rate))  # the shortest digits: 0.1 rather than 0.10000000149


def rate_limit(debugger: Debugger, step: int | None = None, tick: Tick = no_tick) -> RateLimit:
    """The limit at a step of the branch in force, by default where we stand; nothing is changed.

    The denominators are those of the coming update: before the first one, too, they are what its gradient makes them.

    Raises:
        CommandError: the branch has no such step.
        ProblemError: the loss has no second derivatives that TensorFlow knows.
    """
    seen = _seen(debugger, step)
    known = rule_of(seen.spec.name, coming := _coming(seen))
    if known is None:
        return _without(seen, UNKNOWN, f"no limit is known for {seen.spec.name}: lrfind and whatif lr try rates out")
    if not seen.snapshot.is_finite():
        return _without(seen, known.formula, "the loss or its gradient is not finite here")
    scale = _scale(known, seen)
    if scale is not None and not np.isfinite(scale).all():
        return _without(seen, known.formula, "a denominator of the coming update is 0 or not finite")
    found = spectrum(seen.problem, seen.snapshot.parameters, scale, ends=1, tick=tick)
    if not found.is_finite:
        return _without(seen, known.formula, "the second derivatives are not finite here")
    return _limit(seen, coming, known, found, scale)


def _seen(debugger: Debugger, step: int | None) -> _Seen:
    if step is None or step == debugger.step:
        return _Seen(debugger.problem, debugger.recipe.spec, debugger.snapshot(), debugger.slots())
    branch = debugger.branch.holding(step)
    recipe = branch.stretches[branch.index_of(step)].segment.recipe
    slots: Slots = {name: np.asarray(value) for name, value in debugger.scope_at(step, branch, False).slots.items()}
    return _Seen(recipe.problem, recipe.spec, debugger.snapshot_at(step), slots)


def _coming(seen: _Seen) -> Coming:
    """The coming update that is applied: where gradients are accumulated, the mean of them is the gradient here.

    Keras' own count leaves out those that only accumulate (`iterations` in keras/src/optimizers/base_optimizer.py).
    """
    count = int(seen.slots["iteration", None]) // accumulation(seen.spec) + 1
    gradient, _ = clipped(seen.snapshot.gradient, seen.spec.hyperparameters)
    return Coming(gradient, seen.slots, seen.spec.hyperparameters, count)


def _scale(known: Rule, seen: _Seen) -> np.ndarray | None:
    if not known.denominators:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 / np.sqrt(products_of(seen.problem).flat(known.denominators)))


def _without(seen: _Seen, rule: str, why: str) -> RateLimit:
    snapshot = seen.snapshot
    return RateLimit(seen.rate, None, None, rule, snapshot.step, seen.spec.name, None, None, None, False, None, {}, "", (why,))


def _limit(seen: _Seen, coming: Coming, known: Rule, found: Spectrum, scale: np.ndarray | None) -> RateLimit:
    top, low = float(found.values[0]), float(found.values[-1])
    curved = found.signs()[0] > 0
    limit = known.recursion.limit(top) if curved else None
    shapes = products_of(seen.problem).shapes
    vector = found.vectors[0] if scale is None else found.vectors[0] * scale
    direction = largest_coordinates(vector / np.linalg.norm(vector), shapes) if curved else {}
    suggested, reason = _suggestion(seen, known, found, limit)
    return RateLimit(
        seen.rate,
        limit,
        None if limit is None else seen.rate / limit if limit > 0 else math.inf,
        known.formula,
        seen.snapshot.step,
        seen.spec.name,
        top,
        low,
        float(found.residuals[0]),
        found.exact,
        suggested,
        direction,
        reason,
        tuple(_notes(seen, coming, found, limit)),
    )


def _suggestion(seen: _Seen, known: Rule, found: Spectrum, limit: float | None) -> tuple[float | None, str]:
    """A rate to try, and why."""
    if limit is None:
        return None, ""
    low, half, recursion = float(found.values[-1]), limit / 2, known.recursion
    bowl = found.signs()[-1] > 0
    best = 2 / (float(found.values[0]) + low + 2 * recursion.w) if bowl and found.exact else 0.0
    if known.formula == "2/lambda" and 0 < best <= limit / (1 + 1 / _WELL_CONDITIONED):
        both = f"lambda_min + lambda_max{' + 2 weight_decay' if recursion.w else ''}"
        return best, f"2/({both}), the fastest for a quadratic that is as well conditioned"
    damped = recursion.damped(low * known.young) if bowl and recursion.b > 0 else None
    if damped is not None and damped < half:
        return damped, "from there to the limit it comes in as fast as the momentum allows, and there it swings least"
    lands = _landing(seen, known) if known.step and not recursion.b and known.denominators else None
    if lands is not None and lands < half:
        return lands, "the coming update then lands at the lowest point of the quadratic along it"
    return half, "half of the limit: the curvature may double before it diverges"


def _landing(seen: _Seen, known: Rule) -> float | None:
    """The rate with which the coming update lands at the lowest point of the quadratic along it; None where it has none."""
    products = products_of(seen.problem)
    step = products.flat(known.step)
    along = float(products.gradient(seen.snapshot.parameters) @ step)
    curvature = float(step @ products.product(products.flat(seen.snapshot.parameters), step))
    if not (np.isfinite(curvature) and curvature > 0 and along > 0):
        return None
    return along / curvature


def _notes(seen: _Seen, coming: Coming, found: Spectrum, limit: float | None) -> Iterator[str]:
    hyper, signs = seen.spec.hyperparameters, found.signs()
    if limit is None and signs[0] <= 0:
        curvature = "negative" if signs[0] < 0 else "zero" if signs[-1] == 0 else "nowhere positive"
        yield f"the curvature is {curvature} here: no rate is too high for the quadratic, nor does it have a lowest point"
    elif signs[-1] < 0:
        lowest = saying.number(found.values[-1], 4)
        yield f"the smallest eigenvalue is {lowest}: along its vector the loss falls away at any rate"
    if clipped(seen.snapshot.gradient, hyper)[1]:
        yield "clipping is active: the limit holds only from when the gradient is small enough not to be clipped"
    if (every := accumulation(seen.spec)) > 1:
        yield f"gradients are accumulated: one update in {every} is applied, with their mean, and the limit is that update's"
    if seen.spec.schedule is not None:
        yield _schedule_note(seen, limit)
    if hyper.get("use_ema") and hyper.get("ema_overwrite_frequency"):
        yield "the parameters are overwritten by their average now and then, which the limit does not know"
    if decay := coming.number("weight_decay"):
        yield f"weight decay {decay:g} is counted in"
    if limit is not None:
        yield from _of_denominators(seen, coming, limit)
    if not found.exact:
        yield f"by Lanczos: the largest eigenvalue is right to {saying.number(found.residuals[0], 1)}"


def _of_denominators(seen: _Seen, coming: Coming, limit: float) -> Iterator[str]:
    """Where denominators and corrections for bias are young, or the rate is beyond the limit, the limit moves."""
    if "beta_1" in coming.hyper and coming.number("beta_1") ** coming.count > _EARLY:
        yield f"update {coming.count}: the correction for bias is still more than 10%, and the limit moves with it"
    if seen.spec.name != "SGD" and seen.rate > limit:
        yield "the denominators grow with the gradient, and the limit with them: training may hover there rather than diverge"


def _schedule_note(seen: _Seen, limit: float | None) -> str:
    assert seen.spec.schedule is not None
    schedule, done = seen.spec.schedule.build(seen.problem.dtype), int(seen.slots["iteration", None])
    rates = [(ahead, float(str(schedule(done + ahead).numpy()))) for ahead in _AHEAD]
    told = ", ".join(
        f"{saying.number(rate, 4)}{f' ({saying.number(rate / limit, 2)}x)' if limit else ''} in {ahead}"
        for ahead, rate in rates
    )
    return f"the rate follows a schedule: {told} updates"
