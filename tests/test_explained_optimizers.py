"""explain against Keras itself: eleven optimizers over 200 updates each, at options drawn at random.

What an explanation comes to must be what happened: within 4 ULPs, or within what rounding may do. How seldom the bound may be
asked for is held too: a bound of everything would pass else.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.insight.account import MOST_ULPS
from gdrepl.insight.explain import Update, explain
from gdrepl.insight.rules import RULES

STEPS = 200
MORE = int(os.environ.get("GDREPL_EXPLAIN_RUNS", "0"))
"""Further option sets for each optimizer; each takes a second."""

OWN: dict[str, list[dict[str, list[Any]]]] = {
    # name: families of options, of which one value each is drawn
    "SGD": [{"momentum": [0.0, 0.6]}, {"momentum": [0.5, 0.9], "nesterov": [True]}],
    "RMSprop": [{"rho": [0.8, 0.9]}, {"centered": [True], "epsilon": [1e-3, 0.1], "momentum": [0.0, 0.7]}],
    "Adam": [{"beta_1": [0.0, 0.9]}, {"amsgrad": [True], "beta_2": [0.9, 0.99], "epsilon": [1e-7, 1e-2]}],
    "AdamW": [{"weight_decay": [0.004, 0.1]}, {"amsgrad": [True], "beta_1": [0.5]}],
    "Adamax": [{}, {"beta_1": [0.5], "beta_2": [0.9], "epsilon": [0.1]}],
    "Nadam": [{}, {"beta_1": [0.6], "beta_2": [0.9], "epsilon": [1e-3]}],
    "Adagrad": [{}, {"initial_accumulator_value": [0.0, 2.0], "epsilon": [1e-3]}],
    "Adadelta": [{"rho": [0.95]}, {"rho": [0.7], "epsilon": [1e-3, 0.1]}],
    "Lion": [{}, {"beta_1": [0.6], "beta_2": [0.8]}],
    "Ftrl": [
        {"learning_rate_power": [-0.5, -0.7]},
        {
            "l1_regularization_strength": [0.01, 0.5],
            "l2_regularization_strength": [0.02],
            "l2_shrinkage_regularization_strength": [0.03],
            "beta": [0.0, 0.5],
        },
    ],
    "Lamb": [{}, {"beta_1": [0.6], "epsilon": [1e-3]}],
}
COMMON: list[dict[str, Any]] = [
    {},
    {"clipnorm": 0.7, "weight_decay": 0.01},
    {"global_clipnorm": 0.9, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    {"clipvalue": 0.3, "gradient_accumulation_steps": 3, "weight_decay": 0.02},
    {"loss_scale_factor": 37.0, "use_ema": True, "gradient_accumulation_steps": 2},
]
CASES = [(name, seed) for name in OWN for seed in range(1 + MORE)]


def problem(spec: OptimizerSpec, dtype: str) -> Problem:
    """A vector, of a loss with turns and flat places; and a number more where the norm of both counts."""
    loss, start = "mean((X @ w - t)**2) + 0.1*sum(w**4) + 0.5*sin(3*w[0])", {"w": [0.5, -1.0, 2.0, 0.0]}
    if spec.hyperparameters["global_clipnorm"] is not None:
        loss, start = f"{loss} + (b - w[1])**2", {**start, "b": 0.7}
    data = {"X": [[1.0, 2.0, 0.5, -1.0], [-1.0, 0.3, 2.0, 0.1], [0.2, -0.7, 1.0, 3.0]], "t": [1.0, -2.0, 0.5]}
    return make_problem(loss, start, data, dtype=dtype)


def drawn(name: str, seed: int) -> tuple[OptimizerSpec, str]:
    """An optimizer at random options, and a dtype; neighbours in the list of optimizers have different ones."""
    place = list(OWN).index(name)
    at_random = random.Random(f"{name} {seed}")
    family = OWN[name][(seed // 2 + 1) % 2]
    given = {option: at_random.choice(values) for option, values in family.items()}
    shared = dict(COMMON[(place + seed) % len(COMMON)])
    if "weight_decay" in given:
        shared.pop("weight_decay", None)
    rate = 1.0 if name == "Adadelta" else 10 ** at_random.uniform(-2.5, -0.7)
    return OptimizerSpec.make(name, {**given, **shared}, rate), ("float32", "float64")[(place + seed) % 2]


def test_every_rule_is_tried() -> None:
    assert set(OWN) == set(RULES)


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_two_hundred_updates_are_accounted_for(name: str, seed: int) -> None:
    spec, dtype = drawn(name, seed)
    debugger = Debugger(problem(spec, dtype), spec)
    tolerances, here = [], debugger.snapshot()
    for _ in range(STEPS):
        before, here = here, debugger.past.beyond(debugger.segment, here)
        found = explain(debugger, Update(debugger.segment, before, here))
        assert found.accounts, f"{spec.text()}, step {found.step}: {found.worst} {found.worst_ulps} ULPs, {found.responsible}"
        assert found.worst_ulps is not None
        if found.tolerance_ulps is None:
            assert found.worst_ulps <= MOST_ULPS
        else:
            assert MOST_ULPS < found.worst_ulps <= found.tolerance_ulps
            assert found.responsible
            tolerances.append(found.worst_ulps)
    assert len(tolerances) <= STEPS // 8, f"{spec.text()} asks for the bound too often: {tolerances}"
