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


@pytest.mark.parametrize(
    ("x", "slope", "limit"),
    [
        (1.303194829291645, 0.4627983115845212, 0.35512595751786125),
        (1.592941018104284, 0.30807795818977857, 0.19340198707194683),
    ],
)
def test_a_ratio_that_rounding_of_its_square_puts_outside_is_told(x: float, slope: float, limit: float) -> None:
    moved = x - (x - slope)
    assert moved / x == limit  # on the limit, and not above it
    assert moved**2 > limit**2 * x**2  # which the squares deny
    found = seen(started(f"{slope!r}*x", {"x": x}, 1.0, "update-ratio", {"high": limit}))
    check(found, (0, 1), {"ratio of x": limit, "norm(update(x))": moved, "norm(x)": x})


def test_a_plateau_is_held_against_as_many_points_before_it_and_no_more() -> None:
    # The loss is 0.5 at step 0, then 2 for ever. With patience 2 it is seen at step 6, where the steps 4 and 5 are held against
    # 2 and 3; at step 4 those were held against 0 and 1.
    debugger = started("x**2/2", {"x": 1.0}, 3.0, "plateau", {"patience": 2, "rtol": 0})
    debugger.run(1)
    debugger.set_learning_rate(2.0)
    check(seen(debugger), (2, 6), {"came down by": 0, "lowest before": 2, "lowest": 2, "norm(grad)": 2})


def test_norms_of_many_numbers_near_the_ends_of_float64() -> None:
    # A hundred slopes of 1e180 x by rate 4e-180: x is (-3)**k, the norm 1e181 * 3**k, and 3**42 > 1e20 > 3**41 / 10.
    found = seen(started("sum(1e180*w**2/2)", {"w": [1.0] * 100}, 4e-180, "explosion", {"norm": 1e200}))
    step = next(k for k in range(99) if 1e181 * 3.0**k > 1e200)
    numbers = {"norm(grad)": 1e181 * 3.0**step, "before": 1e181 * 3.0 ** (step - 1), "loss": 50e180 * 9.0**step}
    check(found, (step - 1, step), numbers)


# --- Where three gradients are gathered for each update that is applied: x is (1 - rate)**(k // 3) at step k ----------------


def gathered(loss: str, start: dict[str, Any], rate: Any, event: str, given: dict[str, float], **options: Any) -> Evidence:
    return seen(started(loss, start, rate, event, given, gradient_accumulation_steps=3, **options))


def gathered_bowl(rate: Any, event: str, offset: float = 0.0, **given: Any) -> Evidence:
    return gathered(f"x**2/2 + {offset}", {"x": 1.0}, rate, event, given)


def test_explosion_where_gradients_are_gathered() -> None:
    check(gathered_bowl(3.0, "explosion", norm=100), (20, 21), {"norm(grad)": 128, "before": 64, "loss": 8192})


def test_convergence_where_gradients_are_gathered() -> None:
    check(gathered_bowl(0.5, "convergence", tol=0.01), (20, 21), {"norm(grad)": 1 / 128, "loss": 1 / 2**15})


def test_divergence_where_gradients_are_gathered() -> None:
    # Loss 4**(k // 3) / 2: at step 3 it is four times that of the block before, the steps 0 to 2.
    numbers = {"loss": 2, "highest before": 0.5, "times": 4, "lowest at step": 0}
    check(gathered_bowl(3.0, "divergence", factor=3, window=3), (0, 3), numbers)


def test_divergence_looks_back_over_points_and_not_over_applied_updates() -> None:
    # 2048, down to 32 at step 9 by rate 0.5; then by rate 3 up to 128 at step 12, which is 4 times the block before it.
    debugger = started("x**2/2", {"x": 64.0}, 0.5, "divergence", {"factor": 3, "window": 3}, gradient_accumulation_steps=3)
    assert debugger.run(9).held == ()
    debugger.set_learning_rate(3.0)
    check(seen(debugger), (6, 12), {"loss": 128, "highest before": 32, "times": 4, "lowest at step": 9})


def test_vanishing_where_gradients_are_gathered() -> None:
    found = gathered("x**2/2 + 100*y + 1000", {"x": 1.0, "y": 0.0}, 0.5, "vanishing", {"rtol": 1e-5})
    loss = [0.5 ** (2 * m + 1) - 5000 * m + 1000 for m in range(20)]
    applied = next(m for m in range(1, 20) if 0.5**m < 1e-5 * abs(loss[m]))
    ratio = 0.5**applied / abs(loss[applied])
    numbers = {"norm(grad(x)) / |loss|": ratio, "norm(grad(x))": 0.5**applied, "loss": loss[applied]}
    check(found, (3 * applied - 1, 3 * applied), numbers)


def test_plateau_where_gradients_are_gathered() -> None:
    # Loss 1 + 4**-(k // 3) / 2. Seen at each 6th step: the block before it ends at step 6j - 1, the one before that at 6j - 7.
    ends = [(1 + 0.25 ** (2 * j - 3) / 2, 1 + 0.25 ** (2 * j - 1) / 2) for j in range(2, 20)]
    seen_at, before, lowest = next((6 * j, *each) for j, each in enumerate(ends, 2) if each[0] - each[1] <= 1e-3 * each[0])
    numbers = {"came down by": before - lowest, "lowest before": before, "lowest": lowest, "norm(grad)": 0.5 ** (seen_at // 3)}
    check(gathered_bowl(0.5, "plateau", 1.0, patience=6, rtol=1e-3), (seen_at - 12, seen_at), numbers)


def test_oscillation_where_gradients_are_gathered() -> None:
    numbers = {"turns of the step": 4, "turns of the loss": 0, "lr": 1.5}
    check(gathered_bowl(1.5, "oscillation", times=4), (0, 15), numbers)  # five updates are applied


def test_overshoot_where_gradients_are_gathered() -> None:
    check(gathered_bowl(2.5, "overshoot"), (0, 3), {"rose by": 0.5 * (2.25 - 1), "loss before": 0.5, "loss": 1.125})


def test_dead_where_gradients_are_gathered() -> None:
    # x = 2 - m is at 0 with the second applied update: its gradient is 0 after the updates 6 to 9.
    found = gathered("relu(x) + w", {"x": 2.0, "w": 1.0}, 1.0, "dead", {"patience": 4})
    check(found, (5, 9), {"zeros in grad(x)": 1})


def test_update_ratio_where_gradients_are_gathered() -> None:
    found = gathered("x", {"x": 1.0}, 0.125, "update-ratio", {"high": 0.3})  # from 0.375 after five applied updates
    check(found, (15, 18), {"ratio of x": 1 / 3, "norm(update(x))": 0.125, "norm(x)": 0.375})


@pytest.mark.parametrize(("name", "limit"), [("clipnorm", 4.5), ("global_clipnorm", 4.5), ("clipvalue", 4.5)])
def test_clip_where_gradients_are_gathered_tells_their_mean(name: str, limit: float) -> None:
    debugger = started("x**2/2", {"x": 1.0}, 0.5, "clip", {}, gradient_accumulation_steps=3, **{name: limit})
    debugger.run(1)
    debugger.set_parameter("x", np.array(7.0))  # 1, 7 and 7 are gathered
    found = seen(debugger)
    assert found.last == 3
    assert dict(found.numbers) == {"norm(grad) used": 5, "largest number": 5, name: limit}


def test_lr_change_where_gradients_are_gathered() -> None:
    # A schedule counts each update, also those that only gather.
    schedule = ScheduleSpec.make("piecewise_constant_decay", [], {"boundaries": [4], "values": [0.5, 0.25]})
    check(gathered_bowl(schedule, "lr-change"), (4, 5), {"lr": 0.25, "before": 0.5})


def test_non_finite_where_gradients_are_gathered() -> None:
    found = gathered("sum(v*log(v))", {"v": [1.0, float(np.exp(-1))]}, 2.0, "non-finite", {})
    assert (found.first, found.last, found.numbers["grad(v) not finite"]) == (2, 3, 1)
    assert np.isnan(found.numbers["loss"])
    assert found.numbers["loss before"] == pytest.approx(-np.exp(-1))


# --- Where it is asked ------------------------------------------------------------------------------------------------------


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
