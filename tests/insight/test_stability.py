"""The limit of the learning rate: by the roots of the recursion, and by the real program on both sides of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec, catalogue
from gdrepl.engine.problem import make_problem
from gdrepl.engine.programs import Programs
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.insight.curvature import hessian
from gdrepl.insight.recursion import Recursion
from gdrepl.insight.stability import rate_limit

H = np.array([[4.0, 1.5, 0.0], [1.5, 3.0, -0.5], [0.0, -0.5, 1.0]])
BOWL = make_problem("x @ (H @ x)/2", {"x": [1e-8, -2e-8, 1.5e-8]}, {"H": H}, dtype="float64")
FAR = make_problem("x @ (H @ x)/2", {"x": [3.0, -2.0, 0.5]}, {"H": H}, dtype="float64")
PROGRAMS = Programs(most=50)


def begun(
    problem=BOWL, optimizer: str = "sgd", hyper: Mapping[str, object] | None = None, rate: object = 0.1, engine: str = "eager"
) -> Debugger:
    return Debugger(problem, OptimizerSpec.make(optimizer, hyper, rate), engine=engine, programs=PROGRAMS)


# ------------------------------------------------------------------------------------------------------ the recursion


def radius(recursion: Recursion, rate: float, eigenvalue: float) -> np.ndarray:
    """The sizes of the eigenvalues of (x, m) -> (x', m'), written down from the update itself."""

    def update(x: float, m: float) -> tuple[float, float]:
        gradient = eigenvalue * x
        m = recursion.b * m + gradient
        return x - rate * recursion.w * x - rate * (recursion.p * m + recursion.q * gradient), m

    return np.abs(np.linalg.eigvals(np.array([update(1, 0), update(0, 1)]).T))


def recursions() -> list[tuple[Recursion, float]]:
    random = np.random.default_rng(7)
    made = []
    for _ in range(200):
        b, (p, q), w = random.uniform(0, 0.99), random.uniform(0.01, 2, 2), random.uniform(0, 1)
        made.append((Recursion(b, p, q * random.integers(2), w * random.integers(2)), float(np.exp(random.normal() * 3))))
    return made


def test_the_limit_is_where_the_recursion_leaves_the_unit_circle():
    for recursion, eigenvalue in recursions():
        limit = recursion.limit(eigenvalue)
        assert limit is not None
        assert radius(recursion, 0.999 * limit, eigenvalue).max() < 1
        assert radius(recursion, 1.001 * limit, eigenvalue).max() > 1


def test_the_damped_rate_is_the_first_at_which_both_roots_are_one():
    for recursion, eigenvalue in recursions():
        damped = recursion.damped(eigenvalue)
        if damped is not None:
            one, other = radius(recursion, damped, eigenvalue)
            assert one == pytest.approx(other, rel=1e-3)
            slower, faster = radius(recursion, 0.9 * damped, eigenvalue), radius(recursion, damped, eigenvalue)
            assert slower.max() > faster.max()


@pytest.mark.parametrize(
    ("recursion", "limit"),
    [
        (Recursion(0.0, 0.0, 1.0), 2 / 3),
        (Recursion(0.9, 1.0, 0.0), 2 * 1.9 / 3),
        (Recursion(0.9, 0.9, 1.0), 2 * 1.9 / (2.8 * 3)),
        (Recursion(0.9, 0.1, 0.0), 2 * 1.9 / (0.1 * 3)),
    ],
    ids=["sgd", "momentum", "nesterov", "adam"],
)
def test_the_limits_are_the_formulas_of_the_field(recursion: Recursion, limit: float):
    assert recursion.limit(3.0) == pytest.approx(limit)
    assert recursion.limit(-3.0) is None


def test_with_plain_momentum_the_damped_rate_is_polyaks():
    assert Recursion(0.81, 1.0, 0.0).damped(2.0) == pytest.approx((1 - 0.9) ** 2 / 2)


# ------------------------------------------------------------------------------- the real program, on both sides of it

# Gradients of 1e-8 beside an epsilon, or a first sum of squares, of 1: the denominators stay as they are.
FROZEN = {
    "sgd": ("sgd", {}),
    "sgd with decay": ("sgd", {"weight_decay": 0.5}),
    "momentum": ("sgd", {"momentum": 0.75, "weight_decay": 0.25}),
    "nesterov": ("sgd", {"momentum": 0.75, "nesterov": True}),
    "adam": ("adam", {"beta_1": 0.75, "beta_2": 0.5, "epsilon": 0.5}),
    "adam, accumulating": ("adam", {"beta_1": 0.75, "beta_2": 0.5, "epsilon": 1.0, "gradient_accumulation_steps": 3}),
    "adamw": ("adamw", {"beta_1": 0.75, "beta_2": 0.5, "epsilon": 1.0, "weight_decay": 0.5}),
    "nadam": ("nadam", {"beta_1": 0.75, "beta_2": 0.5, "epsilon": 1.0}),
    "adamax": ("adamax", {"beta_1": 0.75, "beta_2": 0.5, "epsilon": 1.0}),
    "rmsprop": ("rmsprop", {"epsilon": 4.0}),
    "rmsprop, centered": ("rmsprop", {"momentum": 0.75, "centered": True, "epsilon": 1.0}),
    "adagrad": ("adagrad", {"initial_accumulator_value": 1.0}),
    "adadelta": ("adadelta", {"epsilon": 1.0}),
}


@pytest.mark.parametrize("name", FROZEN)
def test_just_below_the_limit_it_converges_and_just_above_it_diverges(name):
    optimizer, hyper = FROZEN[name]
    debugger = begun(BOWL, optimizer, hyper, 1e-9, engine="graph")
    debugger.run(300)  # until the corrections for bias have passed
    found = rate_limit(debugger)
    assert found.limit is not None
    every = int(hyper.get("gradient_accumulation_steps", 1))
    begins = float(debugger.point().loss)
    for factor, grows in ((0.99, False), (1.01, True)):
        debugger.goto(300, "main")
        debugger.set_learning_rate(float(factor * found.limit))
        debugger.run(150 * every)
        ends = float(debugger.point().loss)
        assert ends > 10 * begins if grows else ends < 0.1 * begins, (factor, ends / begins)


# ------------------------------------------------------------- the denominators, by what a real update made of a gradient

WITHOUT_MEMORY = {
    "adam": {"beta_1": 0.0, "epsilon": 0.5},
    "adam, amsgrad": {"beta_1": 0.0, "amsgrad": True, "beta_2": 0.5},
    "adam, accumulating": {"beta_1": 0.0, "gradient_accumulation_steps": 3},
    "adamw": {"beta_1": 0.0, "weight_decay": 0.0},
    "nadam": {"beta_1": 0.0, "epsilon": 0.5},
    "adamax": {"beta_1": 0.0, "beta_2": 0.875, "epsilon": 0.5},
    "rmsprop": {},
    "rmsprop, centered": {"centered": True},
    "rmsprop, clipped": {"clipnorm": 1.0, "momentum": 0.0},
    "adagrad": {},
    "adadelta": {},
}
AT_THE_START = {
    "adam": ({}, 0.1),
    "adamax": ({}, 0.1),
    "rmsprop": ({"momentum": 0.9}, 1.0),
}


def scales(debugger: Debugger, weight: float) -> np.ndarray:
    """1/P, where the next update subtracts rate * weight * gradient / P."""
    here = debugger.snapshot()
    gradient, hyper = here.gradient["x"], debugger.spec.hyperparameters
    if (most := hyper["clipnorm"]) is not None:
        gradient = gradient * min(1.0, most / np.linalg.norm(gradient))
    debugger.run(int(hyper["gradient_accumulation_steps"] or 1))
    moved = here.parameters["x"] - debugger.snapshot().parameters["x"]
    debugger.goto(here.step)
    return moved / (float(here.learning_rate) * weight * gradient)


def seen_by(debugger: Debugger, weight: float) -> np.ndarray:
    """The eigenvalues of P**-0.5 H P**-0.5, largest first."""
    scale = np.sqrt(scales(debugger, weight))
    return np.linalg.eigvalsh(scale[:, None] * H * scale)[::-1]


@pytest.mark.parametrize("name", WITHOUT_MEMORY)
def test_the_denominators_are_those_of_the_coming_update(name):
    debugger = begun(FAR, name.split(",")[0], WITHOUT_MEMORY[name], 0.05)
    for _ in range(2):
        found, wanted = rate_limit(debugger), seen_by(debugger, 1.0)
        assert found.eigenvalue == pytest.approx(wanted[0], rel=1e-5)
        assert found.lowest == pytest.approx(wanted[-1], rel=1e-5)
        debugger.run(3)


def test_the_direction_is_the_one_that_an_update_multiplies_by_the_eigenvalue():
    debugger = begun(FAR, "rmsprop", {}, 0.05)
    found = rate_limit(debugger)
    v = np.array([found.direction.get(f"x[{place}]", 0.0) for place in range(3)])
    np.testing.assert_allclose(scales(debugger, 1.0) * (H @ v), found.eigenvalue * v, atol=0.02 * found.eigenvalue)


@pytest.mark.parametrize("name", AT_THE_START)
def test_before_the_first_update_the_correction_for_bias_is_in_them(name):
    hyper, weight = AT_THE_START[name]
    debugger = begun(FAR, name, hyper, 0.05)
    assert rate_limit(debugger).eigenvalue == pytest.approx(seen_by(debugger, weight)[0], rel=1e-5)


def test_the_weights_of_nadam_are_those_of_the_coming_update():
    """Dozat 2015: the momentum of the next step, and the rest of the gradient of this one."""
    debugger = begun(FAR, "nadam", {}, 0.05)
    debugger.run(2)
    now, following = (0.9 * (1 - 0.5 * 0.96**k) for k in (3, 4))
    product = np.prod([0.9 * (1 - 0.5 * 0.96**k) for k in (1, 2, 3)])
    found = rate_limit(debugger)
    recursion = Recursion(0.9, following * 0.1 / (1 - product * following), (1 - now) / (1 - product))
    assert radius(recursion, 0.999 * found.limit, found.eigenvalue).max() < 1
    assert radius(recursion, 1.001 * found.limit, found.eigenvalue).max() > 1


# --------------------------------------------------------------------------------------------------------- what it says


def test_plain_descent_is_told_its_limit_its_direction_and_the_best_rate():
    found = rate_limit(begun(make_problem("10*x**2 + 2*y**2", {"x": 1.0, "y": 1.0}), rate=0.13))
    assert (found.limit, found.rate, found.rule) == (pytest.approx(0.1), 0.13, "2/lambda")
    assert found.ratio == pytest.approx(1.3)
    assert found.verdict == "expect divergence along v1"
    assert found.direction == {"x": 1.0}
    assert found.suggested == pytest.approx(2 / (20 + 4))
    decaying = begun(make_problem("10*x**2 + 2*y**2", {"x": 1.0, "y": 1.0}), hyper={"weight_decay": 8.0})
    best = rate_limit(decaying).suggested
    one, other = (1 - best * (8 + eigenvalue) for eigenvalue in (20, 4))
    assert one == pytest.approx(-other)  # both modes shrink alike, none the slower


def test_in_a_ravine_half_of_the_limit_is_proposed():
    assert rate_limit(begun(make_problem("50*x**2 + 0.5*y**2", {"x": 1.0, "y": 1.0}))).suggested == pytest.approx(1 / 100)


def test_what_is_proposed_converges():
    for optimizer, hyper in (("sgd", {}), ("sgd", {"momentum": 0.75}), ("adam", {})):
        debugger = begun(FAR, optimizer, hyper, engine="graph")
        debugger.set_learning_rate(rate_limit(debugger).suggested)
        debugger.run(120)
        assert float(debugger.point().loss) < 1e-2 * float(debugger.snapshot_at(0).loss)


@pytest.mark.parametrize(
    ("loss", "limit", "word"),
    [
        ("-x**2 + 0*y", None, "nowhere positive"),
        ("x + y", None, "zero"),
        ("-x**2 - y**2", None, "negative"),
        ("x**2 - y**2", 1.0, "falls away"),
        ("log(x) + y", None, "not finite"),
    ],
)
def test_where_the_curvature_is_not_positive_it_says_so(loss, limit, word):
    found = rate_limit(begun(make_problem(loss, {"x": -0.5, "y": 1.0})))
    assert found.limit == limit
    assert (found.ratio is None) == (limit is None)
    assert any(word in note for note in found.notes)


@pytest.mark.parametrize(
    ("optimizer", "hyper", "word"),
    [
        ("sgd", {"global_clipnorm": 0.5}, "clipping is active"),
        ("sgd", {"clipvalue": 0.5}, "clipping is active"),
        ("adam", {"gradient_accumulation_steps": 4}, "one update in 4"),
        ("adam", {}, "correction for bias"),
        ("sgd", {"weight_decay": 0.1}, "weight decay 0.1"),
        ("sgd", {"use_ema": True, "ema_overwrite_frequency": 5}, "average"),
    ],
)
def test_what_the_limit_depends_on_is_told(optimizer, hyper, word):
    assert any(word in note for note in rate_limit(begun(FAR, optimizer, hyper)).notes)


def test_a_schedule_is_told_with_the_rates_to_come():
    schedule = ScheduleSpec.make("exponential_decay", [0.1], {"decay_steps": 10, "decay_rate": 0.5})
    debugger = begun(FAR, "sgd", {}, schedule)
    debugger.run(10)
    found = rate_limit(debugger)
    assert found.rate == pytest.approx(0.05)
    (note,) = [note for note in found.notes if "schedule" in note]
    assert "0.025" in note


def test_beyond_the_limit_adaptive_denominators_are_told_to_grow():
    found = rate_limit(begun(FAR, "rmsprop", {}, 100.0))
    assert found.ratio > 1
    assert "until the denominators" in found.verdict
    assert any("hover" in note for note in found.notes)


KNOWN = {"SGD", "Adam", "AdamW", "Nadam", "Adamax", "RMSprop", "Adagrad", "Adadelta"}
"""Optimizers whose limit the help tells."""


def test_every_optimizer_of_keras_has_a_limit_or_says_that_none_is_known(assert_same_bits):
    for name in catalogue():
        debugger = begun(FAR, name)
        before, points = debugger.snapshot(), debugger.timeline.points()
        found = rate_limit(debugger)
        assert (found.limit is not None) == (found.optimizer in KNOWN), name
        assert found.limit is not None or "no limit is known" in found.notes[0]
        assert_same_bits(debugger.snapshot(), before)
        assert debugger.timeline.points() == points


def test_an_earlier_step_is_judged_as_it_was_then():
    debugger = begun(FAR, "rmsprop", {}, 0.05)
    debugger.run(2)
    there = rate_limit(debugger)
    debugger.set_learning_rate(0.5)
    debugger.run(3)
    again, here = rate_limit(debugger, 2), rate_limit(debugger)
    assert (again.limit, again.step) == (there.limit, 2)
    assert here.limit != again.limit
    assert here.rate == 0.5


def test_a_denominator_of_zero_is_no_error():
    problem = make_problem("x**2 + 0*y", {"x": 1.0, "y": 1.0})
    found = rate_limit(begun(problem, "adam", {"epsilon": 0.0}))
    assert found.limit is None
    assert "denominator of the coming update is 0" in found.notes[0]


@pytest.mark.parametrize(("optimizer", "hyper"), [("sgd", {}), ("sgd", {"momentum": 0.9}), ("adam", {"clipnorm": 1.0})])
def test_numbers_that_overflow_are_no_error(optimizer, hyper):
    for loss in ("1e300*x**2 + y**2", "8e307*x**2 + y**2", "1e160*x**2 + y*y", "1e-320*x**2", "exp(800*x)", "1/(x - 2)"):
        problem = make_problem(loss, {"x": 2.0, "y": 1.0}, dtype="float64")
        found = rate_limit(begun(problem, optimizer, hyper))
        assert found.limit is None or found.ratio >= 0
        hessian(problem, problem.parameters)


def test_a_large_problem_has_its_limit_by_lanczos():
    count = 500
    problem = make_problem("sum(d*w*w)/2", {"w": np.ones(count)}, {"d": np.linspace(1, 7, count)})
    found = rate_limit(begun(problem))
    assert found.limit == pytest.approx(2 / 7, rel=1e-4)
    assert not found.exact
    assert any("Lanczos" in note for note in found.notes)
