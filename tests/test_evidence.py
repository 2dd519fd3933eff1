"""The evidence of each event against closed forms: the numbers, and the steps that they were read at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.events import EVENTS, make_event
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import make_problem
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.engine.snapshot import Evidence
from gdrepl.engine.triggers import Occurs
from gdrepl.insight.evidence import evidence


def started(loss: str, start: dict[str, Any], rate: Any, event: str, given: dict[str, float], **options: Any) -> Debugger:
    spec = OptimizerSpec.make("sgd", options, rate)
    debugger = Debugger(make_problem(loss, start, dtype="float64"), spec, "eager")
    debugger.stops = debugger.stops.add(Occurs(make_event(event, given)))
    return debugger


def seen(debugger: Debugger, last: int = 200) -> Evidence:
    """What the first event up to `last` tells."""
    [item] = debugger.run(last).held
    assert isinstance(item.trigger, Occurs)
    return evidence(debugger, item.trigger.event)


def bowl(rate: Any, event: str, offset: float = 0.0, **given: Any) -> Evidence:
    """Of x**2/2 + offset from 1 by `rate`: x is (1 - rate)**k at step k."""
    return seen(started(f"x**2/2 + {offset}", {"x": 1.0}, rate, event, given))


def check(found: Evidence, steps: tuple[int, int], numbers: dict[str, float]) -> None:
    assert (found.first, found.last) == steps
    assert list(found.numbers) == list(numbers)
    np.testing.assert_allclose([float(each) for each in found.numbers.values()], list(numbers.values()), rtol=1e-12)


def test_explosion() -> None:
    check(bowl(3.0, "explosion", norm=100), (6, 7), {"norm(grad)": 128, "before": 64, "loss": 8192})  # 2**7 > 100


def test_convergence() -> None:
    check(bowl(0.5, "convergence", tol=0.01), (6, 7), {"norm(grad)": 1 / 128, "loss": 1 / 2**15})


def test_divergence() -> None:
    # Loss 4**k / 2: at step 4 it is 256 times the first, which is the only one 4 steps and more behind.
    numbers = {"loss": 128, "highest before": 0.5, "times": 256, "lowest at step": 0}
    check(bowl(3.0, "divergence", factor=100, window=5), (0, 4), numbers)


def test_divergence_of_a_loss_that_was_not_above_zero_tells_no_ratio() -> None:
    # x is 2**k, the loss 4**k/2 - 1: -0.5, 1, 7. With a factor of 10 it must pass -0.5 + 4.5 = 4.
    numbers = {"loss": 7, "highest before": -0.5, "lowest at step": 0}
    check(bowl(3.0, "divergence", -1.0, window=3), (0, 2), numbers)


def test_vanishing_names_the_parameter_with_the_smallest_gradient() -> None:
    found = seen(started("x**2/2 + 100*y + 1000", {"x": 1.0, "y": 0.0}, 0.5, "vanishing", {"rtol": 1e-5}))
    loss = [0.5 ** (2 * k + 1) - 5000 * k + 1000 for k in range(20)]
    step = next(k for k in range(1, 20) if 0.5**k < 1e-5 * abs(loss[k]))
    ratio = 0.5**step / abs(loss[step])
    check(found, (step - 1, step), {"norm(grad(x)) / |loss|": ratio, "norm(grad(x))": 0.5**step, "loss": loss[step]})


def test_plateau() -> None:
    # Loss 1 + 4**-k/2, ever lower: the lowest of steps 0 to 2, 3 to 5, 6 to 8 are its last. It is seen at each third step.
    lows = {step: 1 + 0.25 ** (step - 1) / 2 for step in range(3, 30, 3)}
    step = next(k for k in lows if k > 3 and lows[k - 3] - lows[k] <= 1e-3 * lows[k - 3])
    before, lowest = lows[step - 3], lows[step]
    numbers = {"came down by": before - lowest, "lowest before": before, "lowest": lowest, "norm(grad)": 0.5**step}
    check(bowl(0.5, "plateau", 1.0, patience=3, rtol=1e-3), (step - 6, step), numbers)


def test_oscillation() -> None:
    check(bowl(1.5, "oscillation", times=4), (0, 5), {"turns of the step": 4, "turns of the loss": 0, "lr": 1.5})


def test_the_turns_are_those_of_the_updates_that_move_where_gradients_are_gathered() -> None:
    # Rate 1.5 turns back at each applied update, which is each second one: the fourth turn comes with the fifth of them.
    found = seen(started("x**2/2", {"x": 1.0}, 1.5, "oscillation", {"times": 4}, gradient_accumulation_steps=2))
    assert (found.last, found.numbers["turns of the step"]) == (10, 4)


def test_the_turns_of_a_parameter_recorded_as_a_norm_are_not_guessed() -> None:
    found = seen(started("sum(v**2)/2", {"v": [1.0] * 100}, 1.5, "oscillation", {"times": 4}))
    assert list(found.numbers) == ["turns of the loss", "lr"]


def test_overshoot() -> None:
    check(bowl(2.5, "overshoot"), (0, 1), {"rose by": 0.5 * (2.25 - 1), "loss before": 0.5, "loss": 1.125})


def test_dead_counts_the_zeros_of_each_parameter_that_has_some() -> None:
    found = seen(started("sum(relu(v)) + w", {"v": [-1.0, 5.0, -2.0], "w": 1.0}, 0.125, "dead", {"patience": 4}))
    check(found, (0, 4), {"zeros in grad(v)": 2})


def test_update_ratio() -> None:
    found = seen(started("x", {"x": 1.0}, 0.125, "update-ratio", {"high": 0.3}))  # from 0.375 at step 5
    check(found, (5, 6), {"ratio of x": 1 / 3, "norm(update(x))": 0.125, "norm(x)": 0.375})


def test_clip() -> None:
    found = seen(started("sum(v**2)/2", {"v": [3.0, -4.0]}, 3.0, "clip", {}, clipnorm=12.0))  # 5, 10, 20 at steps 0, 1, 2
    check(found, (2, 3), {"norm(grad) used": 20, "largest number": 16, "clipnorm": 12})


def test_lr_change() -> None:
    schedule = ScheduleSpec.make("piecewise_constant_decay", [], {"boundaries": [4], "values": [0.5, 0.25]})
    check(bowl(schedule, "lr-change"), (4, 5), {"lr": 0.25, "before": 0.5})


def test_non_finite_counts_what_is_not_finite() -> None:
    # log of a negative number from step 1 on: 1 - 2*(log(1) + 1) = -1; the second number, e**-1, is where the slope is 0.
    found = seen(started("sum(v*log(v))", {"v": [1.0, float(np.exp(-1))]}, 2.0, "non-finite", {}))
    assert (found.first, found.last, found.numbers["grad(v) not finite"]) == (0, 1, 1)
    assert np.isnan(found.numbers["loss"])
    assert found.numbers["loss before"] == pytest.approx(-np.exp(-1))


def test_large_parameters_are_looked_at_by_their_norms() -> None:
    found = seen(started("sum(w**2)/2", {"w": [1.0] * 100}, 3.0, "explosion", {"norm": 100}))
    check(found, (3, 4), {"norm(grad)": 160, "before": 80, "loss": 160**2 / 2})


def test_edits_of_the_step_where_it_fired_are_not_looked_at() -> None:
    debugger = started("x**2/2", {"x": 1.0}, 3.0, "explosion", {"norm": 100})
    wanted = {"norm(grad)": 128, "before": 64, "loss": 8192}
    debugger.run(200)
    for value in (3.0, 5.0):
        debugger.set_parameter("x", np.array(value))
    debugger.run(2)
    debugger.goto(0)
    check(seen(debugger), (6, 7), wanted)
    debugger.goto(9)
    [item] = debugger.reverse().held
    check(evidence(debugger, item.trigger.event), (6, 7), wanted)


def test_nothing_before_an_edit_of_a_parameter_is_looked_at() -> None:
    debugger = started("x**2/2", {"x": 1.0}, 1.5, "oscillation", {"times": 4})
    debugger.run(3)
    debugger.set_parameter("x", np.array(1.0))
    check(seen(debugger), (3, 8), {"turns of the step": 4, "turns of the loss": 0, "lr": 1.5})


@pytest.mark.parametrize("name", EVENTS)
def test_asking_for_evidence_changes_nothing_and_says_what_is_next(name: str, assert_same_bits: Any) -> None:
    debugger = started("x**2/2 + 1", {"x": 1.0}, 0.5, "overshoot", {})
    debugger.run(5)
    before = debugger.snapshot()
    event = make_event(name, {"patience": 2} if name == "plateau" else {})
    found = evidence(debugger, event)
    assert found.next
    assert found.definition == event.definition()
    assert_same_bits(debugger.snapshot(), before)
