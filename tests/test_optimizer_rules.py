"""Keras' update rules and schedules against their formulas in NumPy, at float64, through the XLA loop that gdrepl runs.

The formulas are from Keras' documentation and the papers it cites. Decay rates are sums of powers of two where Keras casts
them: it casts Python floats through float32, even for float64 variables, and these survive it. One test below shows that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from gdrepl.engine import backend, live_optimizer
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import make_problem
from gdrepl.engine.schedule import ScheduleSpec

STEPS = 60
START = (-0.5, 0.75)
BETA_1, BETA_2 = 0.875, 0.9921875  # exact in float32

State = dict[str, np.ndarray]
Rule = Callable[..., np.ndarray]  # (parameters, gradient, state, update number from 1, **hyperparameters) -> parameters


def float32(value: float) -> float:
    """What is left of a constant that Keras casts."""
    return float(np.float32(value))


# ------------------------------------------------------------------------- the real thing, and its double


def keras_path(spec: OptimizerSpec, steps: int = STEPS) -> np.ndarray:
    """Parameters at steps 0 ... `steps`, shape (steps + 1, 2), from one run of one compiled loop."""
    backend.load()
    import tensorflow as tf

    xs = [tf.Variable(value, dtype=tf.float64, name=name) for name, value in zip("xy", START)]
    live = live_optimizer.build(spec, xs, "float64")

    @tf.function(jit_compile=True, autograph=False)
    def run() -> Any:
        def body(i: Any, path: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = (1 - xs[0]) ** 2 + 5 * (xs[1] - xs[0] ** 2) ** 2
            live_optimizer.apply(live, tape.gradient(loss, xs), xs)
            return i + 1, path.write(i, tf.stack([tf.identity(x) for x in xs]))

        path = tf.TensorArray(tf.float64, size=steps, element_shape=(2,))
        return tf.while_loop(lambda i, path: i < steps, body, (tf.constant(0), path))[1].stack()

    return np.concatenate([[START], run().numpy()])


def gradient_at(p: np.ndarray) -> np.ndarray:
    """The gradient of Rosenbrock's valley with 5 in place of 100."""
    x, y = p
    return np.array([-2 * (1 - x) - 20 * x * (y - x**2), 10 * (y - x**2)])


def formula_path(rule: Rule, hyperparameters: Mapping[str, float], clip: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The same by the formula; shape (STEPS + 1, 2)."""
    path, state = [np.array(START)], {}
    for t in range(1, STEPS + 1):
        path.append(rule(path[-1], clip(gradient_at(path[-1])), state, t, **hyperparameters))
    return np.array(path)


def unclipped(g: np.ndarray) -> np.ndarray:
    return g


# ------------------------------------------------------------------------------------------- the formulas


def average(state: State, name: str, decay: float, value: np.ndarray) -> np.ndarray:
    """The exponential moving average that starts at zero."""
    state[name] = decay * state.get(name, np.zeros(2)) + (1 - decay) * value
    return state[name]


def sgd(p, g, state, t, lr, momentum=0.0, nesterov=False):  # type: ignore[no-untyped-def]
    """Sutskever et al. 2013, with the rate inside the velocity."""
    state["v"] = v = momentum * state.get("v", np.zeros(2)) - lr * g
    return p + momentum * v - lr * g if nesterov else p + v


def adam(p, g, state, t, lr, beta_1=BETA_1, beta_2=BETA_2, epsilon=1e-7, amsgrad=False):  # type: ignore[no-untyped-def]
    """Kingma & Ba 2014, "just before section 2.1": epsilon hat; Reddi et al. 2018 for amsgrad."""
    m, v = average(state, "m", beta_1, g), average(state, "v", beta_2, g**2)
    if amsgrad:
        state["top"] = v = np.maximum(state.get("top", np.zeros(2)), v)
    return p - lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)


def adamw(p, g, state, t, lr, weight_decay, **others):  # type: ignore[no-untyped-def]
    """Loshchilov & Hutter 2017: decay apart from the gradient, scaled by the rate, before the update."""
    return adam(p - lr * weight_decay * p, g, state, t, lr, **others)


def adamax(p, g, state, t, lr, epsilon=1e-7):  # type: ignore[no-untyped-def]
    """Kingma & Ba 2014, section 7.1, plus epsilon."""
    m = average(state, "m", BETA_1, g)
    state["u"] = u = np.maximum(BETA_2 * state.get("u", np.zeros(2)), np.abs(g))
    return p - lr * m / ((1 - BETA_1**t) * (u + epsilon))


def nadam(p, g, state, t, lr, epsilon=1e-7):  # type: ignore[no-untyped-def]
    """Dozat 2015, algorithm 2, with the momentum schedule b1 * (1 - 0.96^t / 2).

    Keras writes 0.96 twice: once as it stands, in the product, and once cast through float32.
    """
    now, following = (BETA_1 * (1 - 0.5 * float32(0.96) ** k) for k in (t, t + 1))
    state["product"] = product = state.get("product", 1.0) * BETA_1 * (1 - 0.5 * 0.96**t)
    m, v = average(state, "m", BETA_1, g), average(state, "v", BETA_2, g**2)
    m_hat = following * m / (1 - product * following) + (1 - now) * g / (1 - product)
    return p - lr * m_hat / (np.sqrt(v / (1 - BETA_2**t)) + epsilon)


def rmsprop(p, g, state, t, lr, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):  # type: ignore[no-untyped-def]
    """Hinton's lecture 6e, Graves 2013 for centered; epsilon inside the root."""
    v = average(state, "v", rho, g**2)
    spread = v - average(state, "g", rho, g) ** 2 if centered else v
    state["m"] = m = momentum * state.get("m", np.zeros(2)) + lr * g / np.sqrt(spread + epsilon)
    return p - m


def adagrad(p, g, state, t, lr, initial_accumulator_value=0.1, epsilon=1e-7):  # type: ignore[no-untyped-def]
    """Duchi et al. 2011; epsilon inside the root."""
    state["sum"] = total = state.get("sum", initial_accumulator_value) + g**2
    return p - lr * g / np.sqrt(total + epsilon)


def adadelta(p, g, state, t, lr, rho=0.95, epsilon=1e-7):  # type: ignore[no-untyped-def]
    """Zeiler 2012, algorithm 1, times the rate."""
    before = state.get("d", np.zeros(2))
    delta = -np.sqrt(before + epsilon) / np.sqrt(average(state, "g", rho, g**2) + epsilon) * g
    average(state, "d", rho, delta**2)
    return p + lr * delta


def lion(p, g, state, t, lr):  # type: ignore[no-untyped-def]
    """Chen et al. 2023, algorithm 2, without decay."""
    m = state.get("m", np.zeros(2))
    average(state, "m", BETA_2, g)
    return p - lr * np.sign(BETA_1 * m + (1 - BETA_1) * g)


def lamb(p, g, state, t, lr, epsilon=1e-7):  # type: ignore[no-untyped-def]
    """You et al. 2019, algorithm 2, without decay; both parameters are scalars, so a norm is a magnitude."""
    m, v = average(state, "m", BETA_1, g), average(state, "v", BETA_2, g**2)
    update = m / (1 - BETA_1**t) / (np.sqrt(v / (1 - BETA_2**t)) + epsilon)
    return p - lr * np.abs(p) / np.abs(update) * update


def ftrl(p, g, state, t, lr, l1, l2, shrinkage):  # type: ignore[no-untyped-def]
    """McMahan et al. 2013, algorithm 1, with the shrinkage of Keras' documentation."""
    n = state.get("n", np.full(2, 0.125))
    state["n"] = total = n + g**2
    sigma = (np.sqrt(total) - np.sqrt(n)) / lr
    state["z"] = z = state.get("z", np.zeros(2)) + g + 2 * shrinkage * p - sigma * p
    return (np.clip(z, -l1, l1) - z) / (np.sqrt(total) / lr + 2 * l2)


FTRL = {
    "initial_accumulator_value": 0.125,
    "l1_regularization_strength": 0.01,
    "l2_regularization_strength": 0.02,
    "l2_shrinkage_regularization_strength": 0.03,
}
BETAS = {"beta_1": BETA_1, "beta_2": BETA_2}
CASES: dict[str, tuple[str, Rule, float, Mapping[str, Any], Mapping[str, Any]]] = {
    # name: Keras' name, formula, rate, hyperparameters of both, hyperparameters of Keras that the formula has built in
    "sgd": ("sgd", sgd, 0.02, {}, {}),
    "sgd-momentum": ("sgd", sgd, 0.01, {"momentum": 0.75}, {}),
    "sgd-nesterov": ("sgd", sgd, 0.01, {"momentum": 0.75, "nesterov": True}, {}),
    "adam": ("adam", adam, 0.1, BETAS, {}),
    "adam-amsgrad": ("adam", adam, 0.1, {**BETAS, "amsgrad": True, "epsilon": 1e-3}, {}),
    "adamw": ("adamw", adamw, 0.1, {**BETAS, "weight_decay": 0.0625}, {}),
    "adamax": ("adamax", adamax, 0.1, {}, BETAS),
    "nadam": ("nadam", nadam, 0.05, {}, BETAS),
    "rmsprop": ("rmsprop", rmsprop, 0.02, {}, {}),
    "rmsprop-centered": ("rmsprop", rmsprop, 0.01, {"centered": True, "epsilon": 1e-2}, {}),
    "rmsprop-momentum": ("rmsprop", rmsprop, 0.01, {"momentum": 0.5, "rho": 0.8}, {}),
    "adagrad": ("adagrad", adagrad, 0.2, {"initial_accumulator_value": 0.125}, {}),
    "adadelta": ("adadelta", adadelta, 1.0, {"epsilon": 1e-3}, {}),
    "lion": ("lion", lion, 0.01, {}, BETAS),
    "lamb": ("lamb", lamb, 0.02, {}, BETAS),
}


@pytest.mark.parametrize("case", CASES)
def test_sixty_updates_follow_the_formula(case: str) -> None:
    name, rule, rate, shared, built_in = CASES[case]
    path = keras_path(OptimizerSpec.make(name, {**shared, **built_in}, rate))
    expected = formula_path(rule, {"lr": rate, **shared}, unclipped)
    assert np.abs(path[-1] - path[0]).max() > 0.1
    np.testing.assert_allclose(path, expected, rtol=1e-12, atol=1e-15)  # a coordinate may pass through zero


CLIPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "clipnorm": lambda g: g * np.minimum(1, 0.5 / np.abs(g)),  # of each parameter by itself, and both are scalars
    "global_clipnorm": lambda g: g * min(1, 0.5 / np.linalg.norm(g)),
    "clipvalue": lambda g: np.clip(g, -0.5, 0.5),
}


def test_sixty_updates_of_ftrl_follow_the_formula() -> None:
    path = keras_path(OptimizerSpec.make("ftrl", FTRL, 0.1))
    expected = formula_path(ftrl, {"lr": 0.1, "l1": 0.01, "l2": 0.02, "shrinkage": 0.03}, unclipped)
    np.testing.assert_allclose(path, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(("name", "rule", "shared"), [("sgd", sgd, {"momentum": 0.75}), ("adam", adam, BETAS)])
def test_sixty_clipped_updates_follow_the_formula(clip: str, name: str, rule: Rule, shared: Mapping[str, float]) -> None:
    path = keras_path(OptimizerSpec.make(name, {**shared, clip: 0.5}, 0.03))
    np.testing.assert_allclose(path, formula_path(rule, {"lr": 0.03, **shared}, CLIPS[clip]), rtol=1e-12, atol=1e-15)


def test_a_loss_scale_changes_nothing_but_the_range_of_the_gradients() -> None:
    # 1024 is a power of two: scaling and unscaling are exact.
    plain = keras_path(OptimizerSpec.make("rmsprop", {}, 0.02))
    scaled = keras_path(OptimizerSpec.make("rmsprop", {"loss_scale_factor": 1024}, 0.02))
    assert plain.tobytes() == scaled.tobytes()


def test_accumulation_moves_at_every_third_step_by_the_mean_gradient() -> None:
    path = keras_path(OptimizerSpec.make("sgd", {"gradient_accumulation_steps": 3}, 0.05))
    p = np.array(START)
    for k in range(STEPS // 3):
        np.testing.assert_allclose(path[3 * k : 3 * k + 3], [p] * 3, rtol=1e-12, atol=1e-15)
        p = p - 0.05 * gradient_at(p)
    np.testing.assert_allclose(path[-1], p, rtol=1e-12, atol=1e-15)


def test_an_average_replaces_the_parameters_at_every_fourth_step() -> None:
    given = {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 4}
    path = keras_path(OptimizerSpec.make("sgd", given, 0.02))
    p = mean = np.array(START)
    for t in range(1, STEPS + 1):
        p = p - 0.02 * gradient_at(p)
        mean = p if t == 1 else 0.75 * mean + 0.25 * p
        p = mean if t % 4 == 0 else p
        np.testing.assert_allclose(path[t], p, rtol=1e-12, atol=1e-15)


def test_a_schedule_sets_the_rate_of_each_update_and_is_computed_in_float32() -> None:
    path = keras_path(
        OptimizerSpec.make("sgd", {}, ScheduleSpec.make("piecewise_constant_decay", ([9, 29], [0.05, 0.03, 0.01])))
    )
    p = np.array(START)
    for t in range(STEPS):
        p = p - float32(0.05 if t <= 9 else 0.03 if t <= 29 else 0.01) * gradient_at(p)
        np.testing.assert_allclose(path[t + 1], p, rtol=1e-12, atol=1e-15)


def test_keras_rounds_adams_decay_rates_to_float32_in_its_bias_correction() -> None:
    """So a float64 Adam differs from the paper by 1e-8 or so: gdrepl shows what Keras does."""
    path = keras_path(OptimizerSpec.make("adam", {}, 0.1), steps=1)
    g = gradient_at(np.array(START))
    correction = math.sqrt(1 - float32(0.999)) / (1 - float32(0.9))
    m, v = (1 - 0.9) * g, (1 - 0.999) * g**2
    np.testing.assert_allclose(path[1], START - 0.1 * correction * m / (np.sqrt(v) + 1e-7), rtol=1e-14)
    assert not np.allclose(path[1], START - 0.1 * np.sign(g), rtol=1e-9, atol=0)


# ------------------------------------------------------------------------------------------------- schedules


def piecewise(i: int) -> float:
    return 0.1 if i <= 3 else 0.05 if i <= 7 else 0.01


def restarts(i: int) -> float:
    """Loshchilov & Hutter 2016: periods of 4, 8, 16 ..., each start half as high."""
    period, number = 4, 0
    while i >= period:
        i, period, number = i - period, 2 * period, number + 1
    return 0.1 * 0.5**number * 0.5 * (1 + math.cos(math.pi * i / period))


def warm(i: int) -> float:
    """Linear from 0.01 to 0.2 in 5, then a cosine to a quarter of it in 10."""
    if i < 5:
        return 0.01 + (0.2 - 0.01) * i / 5
    return 0.2 * (0.75 * 0.5 * (1 + math.cos(math.pi * min(i - 5, 10) / 10)) + 0.25)


def cycled(i: int) -> float:
    return 0.1 * (1 - i / (8 * max(1, math.ceil(i / 8))))


def schedules() -> dict[str, tuple[ScheduleSpec, Callable[[int], float]]]:
    """Made on demand: a check of its arguments needs Keras."""
    make = ScheduleSpec.make
    return {
        "exponential": (make("exponential_decay", (0.1, 8, 0.5)), lambda i: 0.1 * 0.5 ** (i / 8)),
        "staircase": (make("exponential_decay", (0.1, 8, 0.5), {"staircase": True}), lambda i: 0.1 * 0.5 ** (i // 8)),
        "inverse": (make("inverse_time_decay", (0.1, 8, 0.5)), lambda i: 0.1 / (1 + 0.5 * i / 8)),
        "polynomial": (
            make("polynomial_decay", (0.1, 8, 0.0625, 2)),
            lambda i: (0.1 - 0.0625) * (1 - min(i, 8) / 8) ** 2 + 0.0625,
        ),
        "cycled": (make("polynomial_decay", (0.1, 8, 0, 1, True)), cycled),
        "cosine": (make("cosine_decay", (0.1, 8)), lambda i: 0.1 * 0.5 * (1 + math.cos(math.pi * min(i, 8) / 8))),
        "warm": (make("cosine_decay", (0.01, 10, 0.25), {"warmup_target": 0.2, "warmup_steps": 5}), warm),
        "restarts": (make("cosine_decay_restarts", (0.1, 4), {"m_mul": 0.5}), restarts),
        "piecewise": (make("piecewise_constant_decay", ([3, 7], [0.1, 0.05, 0.01])), piecewise),
    }


def test_every_schedule_follows_its_formula() -> None:
    # Keras computes schedules in float32, whatever the type of the variables; a cosine at its end cancels to 1e-9 or so.
    for name, (spec, formula) in schedules().items():
        debugger = Debugger(make_problem("x", {"x": 1.0}, dtype="float64"), OptimizerSpec.make("sgd", {}, spec), "graph")
        debugger.run(40)
        rates = debugger.columns(0, 40).learning_rate
        np.testing.assert_allclose(rates, [formula(i) for i in range(41)], rtol=1e-6, atol=1e-8, err_msg=name)


def test_the_schedules_tested_are_all_that_keras_lists() -> None:
    from gdrepl.engine.schedule import schedule_catalogue

    assert {spec.name for spec, _ in schedules().values()} == set(schedule_catalogue())
