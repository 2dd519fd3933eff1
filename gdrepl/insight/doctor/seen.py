"""What the doctor looks at: everything that the checks read, gathered once where the debugger stands. Nothing is run for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec, accumulation
from gdrepl.engine.problem import Problem
from gdrepl.engine.segment import Recipe
from gdrepl.engine.snapshot import Array, Snapshot, norm_of_all
from gdrepl.errors import ProblemError
from gdrepl.insight.doctor.bounds import Interval, bounds
from gdrepl.insight.doctor.path import Path, finite_until, path_to
from gdrepl.insight.doctor.walk import Operation, walk
from gdrepl.insight.products import products_of, until_interrupted
from gdrepl.insight.race import REST
from gdrepl.insight.recursion import Coming, Rule, Slots, clipped, rule_of
from gdrepl.insight.spectrum import Spectrum, spectrum
from gdrepl.insight.wide import flat, unflattened

MOST_CURVED = 10_000
"""Numbers of a problem up to which its curvature is looked at: a second or two, where ten times as many take half a minute."""
_FAR_STEEPER = 100.0
"""So many times the present norm makes a gradient on the way worth a look."""
_TINY = 1e-38
_BENT = 1e-3
_SETTLED = 1e-3
"""What the local quadratic still promises, as a part of all that the loss fell, up to which the descent has arrived."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is true where the debugger stands, and of the way there.

    Attributes:
        problem, spec: what runs, with the learning rate of this point.
        at: the last finite point up to here, which is here unless a value is not finite.
        is_finite: whether there is a finite point at all; where there is none, `at` is here, and not finite.
        broken: the first point that is not finite, if we stand at or behind it.
        path: the latest updates up to `at`.
        walked: the operations of the loss at `at`; with `broken`, at `broken` instead in `broke`.
        steepest: those at the point of the path whose gradient was far larger than now; empty where there was none.
        ahead: those where the coming update leads from `at`; empty where its rule is not known.
        bounds: what the loss can lie between at all.
        curvature: the spectrum of the Hessian at `at`; None where it cannot be computed, is not finite, or takes too long.
        felt: the same as the optimizer feels it, each coordinate divided by the root of its denominator; None as above, and
            where the rule of the optimizer is not known.
        rule, bare: the rule of the coming update, and the same with an epsilon of 0.
        coming: that update, all parameters end to end; empty where the rule is not known.
        clipping: the norm of the gradient before and after clipping, where that changes it now.
        began: the loss where the branch began, or where the problem was put in force.
    """

    problem: Problem
    spec: OptimizerSpec
    at: Snapshot
    is_finite: bool
    broken: Snapshot | None
    path: Path
    walked: tuple[Operation, ...]
    broke: tuple[Operation, ...]
    steepest: tuple[Operation, ...]
    ahead: tuple[Operation, ...]
    bounds: Interval
    curvature: Spectrum | None
    felt: Spectrum | None
    rule: Rule | None
    bare: Rule | None
    coming: Array
    clipping: tuple[float, float] | None
    began: float

    @property
    def loss(self) -> float:
        """The loss at `at`."""
        return float(self.at.loss)

    @property
    def rate(self) -> float:
        """The learning rate of the coming update."""
        return float(self.at.learning_rate)

    @property
    def gradient(self) -> Array:
        """The gradient at `at`, end to end."""
        return flat(self.at.gradient)

    @property
    def pull(self) -> float:
        """The norm of the gradient at `at`."""
        return norm_of_all(self.at.gradient)

    @property
    def limit(self) -> float | None:
        """The rate up to which the local quadratic is stable; None where it has none, or none is known."""
        if self.rule is None or self.felt is None:
            return None
        return self.rule.recursion.limit(float(self.felt.values[0]))

    @property
    def ratio(self) -> float | None:
        """The rate over its limit."""
        return None if self.limit is None else self.rate / self.limit

    @property
    def momentum(self) -> float:
        """How much of an update the next one takes on, from 0 to 1."""
        if self.rule is not None:
            return self.rule.recursion.b
        given = self.spec.hyperparameters
        known = [given.get(name) for name in ("momentum", "beta_1")]
        return max((float(value) for value in known if isinstance(value, int | float)), default=0.0)

    @property
    def promised(self) -> float:
        """How far the loss would still fall by the local quadratic, along the directions that curve upwards."""
        if self.curvature is None or not self.curvature.exact:
            return np.inf if self.pull > 0 else 0.0
        upward = self.curvature.signs() > 0
        parts = self.curvature.vectors[upward] @ self.gradient
        return float(0.5 * np.sum(np.square(parts) / self.curvature.values[upward]))

    @property
    def at_the_bottom(self) -> bool:
        """Whether the loss is as low as it can be, to within a millionth of what it was."""
        low = self.bounds.low
        return bool(np.isfinite(low) and self.loss - low <= 1e-6 * max(abs(self.began - low), _TINY))

    @property
    def arrived(self) -> bool:
        """Whether it is at rest: the gradient small as the event convergence has it, and next to nothing left to gain."""
        if self.broken is not None:
            return False
        if self.at_the_bottom:
            return True
        fell = max(abs(self.loss), self.began - self.loss)
        gain = self.promised if self.curvature is not None and self.curvature.exact else 0.0
        return self.pull <= REST and not self.downward and gain <= _SETTLED * fell

    @property
    def downward(self) -> bool:
        """Whether the loss bends downwards along some direction, by more than a thousandth of what it bends by at most."""
        return self.curvature is not None and float(self.curvature.values[-1]) < -_BENT * self.curvature.size

    @property
    def coming_reach(self) -> float:
        """How many times the coming update would lead to the lowest point along it; infinite without curvature."""
        if not len(self.coming) or self.curvature is None:
            return np.inf
        slope, bend = float(self.gradient @ self.coming), self.bend_along(self.coming)
        return -slope / bend if bend > 0 and slope < 0 else np.inf

    def bend_along(self, way: Array) -> float:
        """The second derivative along a vector, times the square of its length."""
        if self.curvature is None:
            return np.nan
        if self.curvature.exact:
            return float(np.sum(self.curvature.values * np.square(self.curvature.vectors @ way)))
        return float(way @ products_of(self.problem).product(flat(self.at.parameters), way))


def look(debugger: Debugger) -> Seen:
    """Gather what is true where the debugger stands; it is left as it is, to the bit."""
    last, here = finite_until(debugger), debugger.snapshot()
    at = here if last is None or last == here.step else debugger.snapshot_at(last)
    first = debugger.branch.start if last is None else last + 1
    broken = None if last == here.step else here if first == here.step else debugger.snapshot_at(first)
    recipe, slots = _in_force(debugger, at)
    problem, spec, path = recipe.problem, recipe.spec, path_to(debugger, at.step)
    rule, bare = _rules(spec, slots, at)
    coming = _coming(spec, rule, slots, at)
    curvature, felt = _spectra(debugger, problem, at, rule) if last is not None else (None, None)
    return Seen(
        problem,
        spec,
        at,
        last is not None,
        broken,
        path,
        walk(problem, at.parameters) if last is not None else (),
        walk(problem, broken.parameters) if broken is not None else (),
        _steepest(problem, path),
        walk(problem, _moved(at.parameters, coming)) if len(coming) and last is not None else (),
        bounds(problem.loss, problem.constants),
        curvature,
        felt,
        rule,
        bare,
        coming,
        _clipping(spec, at),
        _began(debugger, at),
    )


def _in_force(debugger: Debugger, at: Snapshot) -> tuple[Recipe, Slots]:
    """What ran at a point, and the optimizer's variables there."""
    if at.step == debugger.step:
        return debugger.recipe, debugger.slots()
    branch = debugger.branch
    slots = debugger.scope_at(at.step, branch, False).slots
    return branch.stretches[branch.index_of(at.step)].segment.recipe, {name: np.asarray(each) for name, each in slots.items()}


def _rules(spec: OptimizerSpec, slots: Slots, at: Snapshot) -> tuple[Rule | None, Rule | None]:
    """The rule of the coming update that is applied, and the same with an epsilon of 0."""
    hyper, every = spec.hyperparameters, accumulation(spec)
    gradient, _ = clipped(at.gradient, hyper)
    count = int(slots.get(("iteration", None), np.zeros(()))) // every + 1  # Keras' correction for bias counts those applied
    with np.errstate(all="ignore"):
        rule = rule_of(spec.name, Coming(gradient, slots, hyper, count))
        bare = rule_of(spec.name, Coming(gradient, slots, {**hyper, "epsilon": 0.0}, count)) if "epsilon" in hyper else None
    return rule, bare


def _coming(spec: OptimizerSpec, rule: Rule | None, slots: Slots, at: Snapshot) -> Array:
    """What the coming update adds to the parameters, end to end."""
    if rule is None:
        return np.empty(0)
    rate, decay = float(at.learning_rate), rule.recursion.w
    with np.errstate(all="ignore"):
        step = -rate * flat(rule.step) if rule.step else _carried(spec, rule, slots, at, rate)
        return np.asarray(step - rate * decay * flat(at.parameters))


def _carried(spec: OptimizerSpec, rule: Rule, slots: Slots, at: Snapshot, rate: float) -> Array:
    """The step of a rule whose memory holds steps, the rate in them (keras/src/optimizers/sgd.py, rmsprop.py)."""
    gradient, _ = clipped(at.gradient, spec.hyperparameters)
    fresh = rate * flat(gradient) / (flat(rule.denominators) if rule.denominators else 1.0)
    held = flat({name: slots["momentum", name] for name in at.parameters})
    if spec.name != "SGD":  # of RMSprop it is what is taken away
        return np.asarray(-(rule.recursion.b * held + fresh))
    kept = rule.recursion.b * held - fresh
    return np.asarray(rule.recursion.b * kept - fresh if spec.hyperparameters.get("nesterov") else kept)


def _moved(parameters: Mapping[str, Array], by: Array) -> dict[str, Array]:
    shapes = {name: value.shape for name, value in parameters.items()}
    with np.errstate(all="ignore"):
        return {
            name: (parameters[name].astype(np.float64) + part).astype(parameters[name].dtype)
            for name, part in unflattened(by, shapes).items()
        }


def _spectra(debugger: Debugger, problem: Problem, at: Snapshot, rule: Rule | None) -> tuple[Spectrum | None, Spectrum | None]:
    if problem.numbers > MOST_CURVED:
        return None, None
    tick = until_interrupted(debugger)
    try:
        plain = spectrum(problem, at.parameters, ends=1, tick=tick)
        if not plain.is_finite or rule is None:
            return (plain if plain.is_finite else None), None
        if not rule.denominators:
            return plain, plain
        scale = 1 / np.sqrt(flat(rule.denominators))
        if not np.isfinite(scale).all():
            return plain, None
        felt = spectrum(problem, at.parameters, scale, ends=1, tick=tick)
        return plain, felt if felt.is_finite else None
    except ProblemError:  # a loss without second derivatives has trouble of other kinds, too
        return None, None


def _steepest(problem: Problem, path: Path) -> tuple[Operation, ...]:
    """The operations where the gradient was far larger than now, if it was."""
    sizes = path.gradient_norms
    place = int(np.argmax(sizes))
    if not len(path.places) or sizes[place] <= _FAR_STEEPER * sizes[-1]:
        return ()
    shapes = {name: value.shape for name, value in problem.parameters.items()}
    kept = {name: value.astype(problem.dtype) for name, value in unflattened(path.places[place], shapes).items()}
    return walk(problem, kept)


def _clipping(spec: OptimizerSpec, at: Snapshot) -> tuple[float, float] | None:
    if not at.is_finite():
        return None
    cut, changed = clipped(at.gradient, spec.hyperparameters)
    return (norm_of_all(at.gradient), norm_of_all(cut)) if changed else None


def _began(debugger: Debugger, at: Snapshot) -> float:
    """The highest finite loss that a stretch of this branch began with: what the descent came down from."""
    begun = [float(stretch.segment.start.loss) for stretch in debugger.branch.stretches[: debugger.position.index + 1]]
    return max([loss for loss in begun if np.isfinite(loss)], default=float(at.loss))
