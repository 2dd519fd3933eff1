"""What the update rules of Keras do on a quadratic: a recursion of two numbers along each eigenvector, and when it is stable.

With the denominators P as they are now, every rule that is known here is, but for constants b, p and q,

    m' = b m + g        x' = (1 - lr w) x - lr P**-1 (p m' + q g)        g = H x,   w the weight decay.

In the coordinates P**0.5 x it falls apart along the eigenvectors of P**-0.5 H P**-0.5. For an eigenvalue L of that the matrix
of (x, m) -> (x', m') has the determinant D = b (1 - lr w - lr q L) and the trace T = 1 - lr w - lr (p + q) L + b, and its two
eigenvalues lie inside the unit circle exactly when D < 1 and |T| < 1 + D (Jury's conditions). For L > 0 all holds that is not

    1 + T + D > 0,    that is    lr (L (p + q (1 + b)) + w (1 + b)) < 2 (1 + b).

SGD has b = p = 0, q = 1: lr < 2/L. Momentum (Polyak 1964) has q = 0, p = 1, and Nesterov's as Keras writes it p = b, q = 1.
Adam has p = 1 - b1, q = 0: the 2 (1 + b1) / ((1 - b1) L) of Cohen et al. 2022, "Adaptive gradient methods at the edge of
stability".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gdrepl.engine.snapshot import Array, norm, norm_of_all

Slots = Mapping[tuple[str, str | None], Array]
Arrays = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Recursion:
    """The constants of a rule: b is its memory, p and q weigh memory and gradient in the step, w is the weight decay."""

    b: float
    p: float
    q: float
    w: float = 0.0

    def limit(self, eigenvalue: float) -> float | None:
        """The learning rate up to which a mode of this curvature does not grow; None where there is no such rate."""
        slope = eigenvalue * (self.p + self.q * (1 + self.b)) + self.w * (1 + self.b)
        return 2 * (1 + self.b) / slope if slope > 0 else None

    def damped(self, eigenvalue: float) -> float | None:
        """The least rate with which a mode of this curvature comes in as fast as the memory allows: beyond it, it swings.

        There the two eigenvalues are one, T**2 = 4 D. With plain momentum that is (1 - sqrt(b))**2/L (Polyak 1964).
        """
        a, c = self.w + (self.p + self.q) * eigenvalue, self.w + self.q * eigenvalue
        half = (1 + self.b) * a - 2 * self.b * c
        inside = half * half - a * a * (1 - self.b) ** 2  # products overflow to infinity, where powers raise
        if eigenvalue <= 0 or inside < 0:
            return None
        return (1 - self.b) ** 2 / (half + math.sqrt(inside))  # the smaller root, without a difference of near numbers


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One optimizer as it will make its coming update.

    Attributes:
        formula: its limit, in words of the field.
        recursion: its constants.
        denominators: name -> what it divides each coordinate by, corrections for bias included; float64. Empty means 1.
        step: name -> what the coming update subtracts, over its rate and without weight decay; float64. Empty where part of it
            was made with an earlier rate.
        young: the factor in the denominators that the correction of the first moment for bias is; it grows to 1.
    """

    formula: str
    recursion: Recursion
    denominators: Arrays = field(default_factory=dict)
    step: Arrays = field(default_factory=dict)
    young: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Coming:
    """What an update works on.

    Attributes:
        gradient: name -> the gradient as it will be used, clipped; float64.
        slots: (slot, parameter or None) -> value, before it.
        hyper: the hyperparameters of the optimizer.
        count: the number of that update, from 1: the exponent of the corrections for bias.
    """

    gradient: Arrays
    slots: Slots
    hyper: Mapping[str, object]
    count: int

    def of(self, slot: str) -> Arrays:
        """A slot of each parameter."""
        return {name: np.asarray(self.slots[slot, name], np.float64) for name in self.gradient}

    def number(self, name: str) -> float:
        """A hyperparameter."""
        value = self.hyper.get(name)
        return float(value) if isinstance(value, int | float) else 0.0


def clipped(gradient: Mapping[str, Array], hyper: Mapping[str, object]) -> tuple[Arrays, bool]:
    """The gradient as Keras clips it (keras/src/optimizers/base_optimizer.py), and whether that changes it."""
    given = {name: np.asarray(value, np.float64) for name, value in gradient.items()}
    with np.errstate(all="ignore"):  # an infinite gradient is clipped to NaN, as Keras does
        cut = _cut(given, hyper)
    return cut, any(bool(np.any(cut[name] != given[name])) for name in given)


def _cut(given: Arrays, hyper: Mapping[str, object]) -> Arrays:
    most, whole, value = (hyper.get(name) for name in ("clipnorm", "global_clipnorm", "clipvalue"))
    if isinstance(most, int | float):
        return {name: each * min(1.0, most / (norm(each) or most)) for name, each in given.items()}
    if isinstance(whole, int | float):
        factor = min(1.0, whole / (norm_of_all(given) or whole))
        return {name: each * factor for name, each in given.items()}
    if isinstance(value, int | float):
        return {name: np.clip(each, -value, value) for name, each in given.items()}
    return given


def rule_of(name: str, coming: Coming) -> Rule | None:
    """The rule of a Keras optimizer, by the name of its class; None where no limit is known."""
    make = RULES.get(name)
    with np.errstate(all="ignore"):  # what is not finite is told by whoever asked
        return make(coming) if make else None


def _sgd(coming: Coming) -> Rule:
    """keras/src/optimizers/sgd.py; the rate is inside the velocity."""
    b, w = coming.number("momentum"), coming.number("weight_decay")
    if b == 0:
        return Rule("2/lambda", Recursion(0.0, 0.0, 1.0, w), {}, coming.gradient)
    if coming.hyper.get("nesterov"):
        return Rule("2(1+b)/((1+2b) lambda), b the momentum", Recursion(b, b, 1.0, w))
    return Rule("2(1+b)/lambda, b the momentum", Recursion(b, 1.0, 0.0, w))


def _first_moment(coming: Coming, slot: str = "momentum") -> Arrays:
    """The moving average of the gradient, after the coming update."""
    b, before = coming.number("beta_1"), coming.of(slot)
    return {name: before[name] + (1 - b) * (g - before[name]) for name, g in coming.gradient.items()}


def _second_moment(coming: Coming, decay: float, slot: str = "velocity") -> Arrays:
    """The moving average of the squared gradient, after the coming update."""
    before = coming.of(slot)
    return {name: before[name] + (1 - decay) * (np.square(g) - before[name]) for name, g in coming.gradient.items()}


def _adam(coming: Coming) -> Rule:
    """keras/src/optimizers/adam.py: epsilon is added to the root before the correction for bias."""
    b1, b2, t = coming.number("beta_1"), coming.number("beta_2"), coming.count
    second = _second_moment(coming, b2)
    if coming.hyper.get("amsgrad"):
        second = {name: np.maximum(coming.of("velocity_hat")[name], each) for name, each in second.items()}
    correction = (1 - b1**t) / math.sqrt(1 - b2**t)
    denominators = {name: correction * (np.sqrt(each) + coming.number("epsilon")) for name, each in second.items()}
    recursion = Recursion(b1, 1 - b1, 0.0, coming.number("weight_decay"))
    formula = "2(1+b1)/((1-b1) lambda_P), P the denominators"
    return Rule(formula, recursion, denominators, _over(_first_moment(coming), denominators), 1 - b1**coming.count)


def _nadam(coming: Coming) -> Rule:
    """keras/src/optimizers/nadam.py: the weights of momentum and gradient are those of the coming update."""
    b1, b2, t = coming.number("beta_1"), coming.number("beta_2"), coming.count
    now, following = (b1 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
    product = float(coming.slots["u_product", None]) * now
    weight, direct = following / (1 - product * following), (1 - now) / (1 - product)
    second = _second_moment(coming, b2)
    epsilon = coming.number("epsilon")
    denominators = {name: np.sqrt(each / (1 - b2**t)) + epsilon for name, each in second.items()}
    moment = {name: weight * each + direct * coming.gradient[name] for name, each in _first_moment(coming).items()}
    recursion = Recursion(b1, weight * (1 - b1), direct, coming.number("weight_decay"))
    formula = "2(1+b1)/((p + q(1+b1)) lambda_P), p and q the weights of momentum and gradient, P the denominators"
    return Rule(formula, recursion, denominators, _over(moment, denominators))


def _adamax(coming: Coming) -> Rule:
    """keras/src/optimizers/adamax.py."""
    b1, b2, epsilon = coming.number("beta_1"), coming.number("beta_2"), coming.number("epsilon")
    largest, correction = coming.of("norm"), 1 - b1**coming.count
    denominators = {
        name: correction * (np.maximum(b2 * largest[name], np.abs(g)) + epsilon) for name, g in coming.gradient.items()
    }
    recursion = Recursion(b1, 1 - b1, 0.0, coming.number("weight_decay"))
    formula = "2(1+b1)/((1-b1) lambda_P), P the denominators"
    return Rule(formula, recursion, denominators, _over(_first_moment(coming), denominators), 1 - b1**coming.count)


def _rmsprop(coming: Coming) -> Rule:
    """keras/src/optimizers/rmsprop.py: epsilon is inside the root."""
    rho, b, w = coming.number("rho"), coming.number("momentum"), coming.number("weight_decay")
    inside = _second_moment(coming, rho)
    if coming.hyper.get("centered"):
        mean = {name: rho * each + (1 - rho) * coming.gradient[name] for name, each in coming.of("average_gradient").items()}
        inside = {name: each - np.square(mean[name]) for name, each in inside.items()}
    denominators = {name: np.sqrt(each + coming.number("epsilon")) for name, each in inside.items()}
    if b == 0:
        return _plain(coming, denominators)
    return Rule("2(1+b)/lambda_P, b the momentum, P the denominators", Recursion(b, 1.0, 0.0, w), denominators)


def _adagrad(coming: Coming) -> Rule:
    """keras/src/optimizers/adagrad.py: epsilon is inside the root."""
    sums, epsilon = coming.of("accumulator"), coming.number("epsilon")
    denominators = {name: np.sqrt(sums[name] + np.square(g) + epsilon) for name, g in coming.gradient.items()}
    return _plain(coming, denominators)


def _adadelta(coming: Coming) -> Rule:
    """keras/src/optimizers/adadelta.py: the root of the average squared gradient, over that of the average squared step."""
    inside, steps, epsilon = (
        _second_moment(coming, coming.number("rho"), "accumulated_grad"),
        coming.of("accumulated_delta_var"),
        coming.number("epsilon"),
    )
    denominators = {name: np.sqrt(each + epsilon) / np.sqrt(steps[name] + epsilon) for name, each in inside.items()}
    return _plain(coming, denominators)


def _plain(coming: Coming, denominators: Arrays) -> Rule:
    recursion = Recursion(0.0, 0.0, 1.0, coming.number("weight_decay"))
    return Rule("2/lambda_P, P the denominators", recursion, denominators, _over(coming.gradient, denominators))


def _over(arrays: Arrays, denominators: Arrays) -> Arrays:
    return {name: each / denominators[name] for name, each in arrays.items()}


RULES: Mapping[str, Callable[[Coming], Rule]] = {
    "SGD": _sgd,
    "Adam": _adam,
    "AdamW": _adam,
    "Nadam": _nadam,
    "Adamax": _adamax,
    "RMSprop": _rmsprop,
    "Adagrad": _adagrad,
    "Adadelta": _adadelta,
}
"""By the name of Keras' class. Ftrl, Lion, Lamb, Muon, Adafactor and ScheduleFreeAdamW are no such recursion."""
