"""Each event against arithmetic: the steps at which it fires are computed here from closed forms, never taken from a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.events import EVENTS, make_event
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import make_problem
from gdrepl.engine.programs import Programs
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.engine.triggers import Occurs
from gdrepl.errors import CommandError

PROGRAMS = Programs(most=500)


def event(text: str) -> Occurs:
    """`plateau patience=5` as the trigger that `catch` makes of it."""
    name, *given = text.split()
    return Occurs(make_event(name, {key: float(value) for key, value in (each.split("=") for each in given)}))


def rate_of(rates: Sequence[float]) -> Any:
    """A schedule by which update k (from 0) uses rates[k], and the last of them ever after."""
    if len(set(rates)) == 1:
        return rates[0]
    boundaries = [k for k in range(len(rates) - 1) if rates[k] != rates[k + 1]]  # step <= boundary keeps the value before
    values = [rates[k] for k in boundaries] + [rates[-1]]
    return ScheduleSpec.make("piecewise_constant_decay", [], {"boundaries": boundaries, "values": values})


@dataclass(frozen=True)
class Descent:
    """A problem and how plain gradient descent goes down it."""

    loss: str
    start: Mapping[str, Any]
    rates: Sequence[float] = (0.1,)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    count: int = 40
    dtype: str = "float64"

    def debugger(self, *events: str, engine: str = "graph", **options: Any) -> Debugger:
        problem = make_problem(self.loss, self.start, dtype=self.dtype)
        spec = OptimizerSpec.make("sgd", self.optimizer, rate_of(self.rates))
        debugger = Debugger(problem, spec, engine, programs=PROGRAMS, **options)
        for text in events:
            debugger.stops = debugger.stops.add(event(text))
        return debugger


def fired(debugger: Debugger, last: int) -> list[int]:
    """The steps up to `last` at which a stop that was set ended a run, going on after each."""
    steps = []
    while debugger.step < last:
        move = debugger.run(last - debugger.step)
        steps += [debugger.step] if move.held else []
    return steps


def begins(holds: Sequence[bool] | np.ndarray) -> list[int]:
    """The steps from 1 at which something begins to hold, given whether it does at each; step 0 is no update's."""
    return [k for k in range(1, len(holds)) if holds[k] and (k == 1 or not holds[k - 1])]


# --- The bowl x**2/2 + c: update k multiplies x by 1 - rates[k], so all is a product ------------------------------------


def bowl(rates: Sequence[float], start: float = 1.0, offset: float = 0.0, count: int = 40, **options: Any) -> Descent:
    return Descent(f"x**2/2 + {offset}", {"x": start}, rates, count=count, **options)


def rates_of(descent: Descent) -> np.ndarray:
    """The rate at each step."""
    return np.array([descent.rates[min(k, len(descent.rates) - 1)] for k in range(descent.count + 1)])


def walk(descent: Descent) -> np.ndarray:
    """x at each step of a bowl."""
    return descent.start["x"] * np.cumprod([1.0, *(1 - rates_of(descent)[:-1])])


def losses(descent: Descent) -> np.ndarray:
    return walk(descent) ** 2 / 2 + float(descent.loss.rpartition("+")[2])


def gradient_above(norm: float) -> Callable[[Descent], list[int]]:
    return lambda descent: begins(np.abs(walk(descent)) > norm)


def gradient_at_most(tol: float) -> Callable[[Descent], list[int]]:
    return lambda descent: begins(np.abs(walk(descent)) <= tol)


def gradient_below(rtol: float) -> Callable[[Descent], list[int]]:
    return lambda descent: begins(np.abs(walk(descent)) < np.minimum(rtol * losses(descent), 1))


def grown(factor: float, window: int) -> Callable[[Descent], list[int]]:
    def steps(descent: Descent) -> list[int]:
        loss = losses(descent)
        blocks = [k // window * window for k in range(len(loss))]
        high = [loss[first - window : first].max() if first else loss[0] for first in blocks]
        return begins([loss[k] > factor * high[k] + 1e-6 for k in range(len(loss))])

    return steps


def flat(patience: int, rtol: float) -> Callable[[Descent], list[int]]:
    def steps(descent: Descent) -> list[int]:
        loss, holds = losses(descent), [False] * 2 * patience
        for k in range(2 * patience, len(loss)):
            end = k // patience * patience
            before, after = loss[end - 2 * patience : end - patience].min(), loss[end - patience : end].min()
            holds.append(abs(before - after) <= rtol * before)
        return begins(holds)

    return steps


def in_a_row(flags: Sequence[bool], times: int) -> list[bool]:
    counts = [0]
    for flag in flags[1:]:
        counts.append(counts[-1] + 1 if flag else 0)
    return [count >= times for count in counts]


def turning(times: int) -> Callable[[Descent], list[int]]:
    def steps(descent: Descent) -> list[int]:
        moved, rose = np.diff(walk(descent)), np.diff(losses(descent))
        turns = [False, False, *(moved[1:] * moved[:-1] < 0)]
        swings = [False, False, *(rose[1:] * rose[:-1] < 0)]
        return begins(np.array(in_a_row(turns, times)) | np.array(in_a_row(swings, times)))

    return steps


def risen(rtol: float) -> Callable[[Descent], list[int]]:
    def steps(descent: Descent) -> list[int]:
        loss = losses(descent)
        return begins([False, *(loss[1:] > loss[:-1] * (1 + rtol))])

    return steps


def rate_changed(rtol: float) -> Callable[[Descent], list[int]]:
    def steps(descent: Descent) -> list[int]:
        rates = rates_of(descent)
        return begins([False, *(np.abs(np.diff(rates)) > rtol * rates[:-1])])

    return steps


def clipped(limit: float) -> Callable[[Descent], list[int]]:
    """The first update whose gradient is over the limit; until then nothing was clipped, and the closed form holds."""
    return lambda descent: [1 + int(np.argmax(np.abs(walk(descent)) > limit))]


def outside(low: float, high: float) -> Callable[[Descent], list[int]]:
    """The update of a bowl is rate * x: its ratio is the rate."""
    return lambda descent: begins([False, *((rates_of(descent) < low) | (rates_of(descent) > high))[:-1]])


def never(descent: Descent) -> list[int]:
    return []


WAVES = (0.5, 0.5, 0.5, 3.0, 3.0, 3.0, 3.0, 3.0, 0.5, 0.5, 0.5, 0.5, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.25)
SWINGS = (0.5, 2.5) * 6 + (0.5,) * 8

BOWLS = [
    ("explosion norm=10", bowl((3.0,), count=12), gradient_above(10)),
    ("explosion norm=300", bowl((3.0,), start=-1.0, count=12), gradient_above(300)),
    ("explosion norm=1.5", bowl(WAVES), gradient_above(1.5)),
    ("explosion norm=1.5", bowl((0.5,), start=1.4), never),
    ("explosion", bowl((1.5,), start=9999.0), never),
    ("convergence tol=0.01", bowl((0.25,)), gradient_at_most(0.01)),
    ("convergence tol=0.3", bowl(WAVES), gradient_at_most(0.3)),
    ("convergence", bowl((2.0,), start=1.1e-4), never),  # to and fro, for ever as far away
    ("vanishing rtol=0.01", bowl((0.25,), offset=50.0), gradient_below(0.01)),
    ("vanishing rtol=0.001", bowl((0.25,), offset=50.0), gradient_below(0.001)),
    ("vanishing rtol=0.01", bowl((0.25,)), never),  # loss x**2/2 falls faster than its gradient x
    ("divergence factor=50 window=5", bowl((3.0,), count=20), grown(50, 5)),
    ("divergence factor=2000 window=6", bowl((3.0,), count=20), grown(2000, 6)),
    ("divergence factor=2 window=3", bowl(WAVES), grown(2, 3)),
    ("divergence factor=2000 window=5", bowl((3.0,), count=20), never),  # 4**5 = 1024
    ("divergence", bowl((0.5,), start=1e6), never),
    ("plateau patience=5 rtol=0.01", bowl((0.25,), offset=1.0), flat(5, 0.01)),
    ("plateau patience=4 rtol=0.5", bowl(WAVES, offset=0.01), flat(4, 0.5)),
    ("plateau patience=12 rtol=0.3", bowl((0.015625,), count=60), never),  # in 12 updates (63/64)**24 = 0.685 is left
    ("plateau patience=4 rtol=0.4", bowl(SWINGS[:12], count=12), never),  # to and fro, but each time 0.75**2 as high
    ("oscillation", bowl((1.5,)), turning(6)),
    ("oscillation times=3", bowl(WAVES), turning(3)),
    ("oscillation times=4", bowl(SWINGS, count=20), turning(4)),
    ("oscillation times=1", bowl((0.5,)), never),
    ("overshoot", bowl(WAVES), risen(0)),
    ("overshoot rtol=0.1", bowl((2.1,), count=8), risen(0.1)),
    ("overshoot rtol=0.3", bowl((2.1,), count=8), never),  # it rises by 1.1**2 - 1
    ("overshoot", bowl((1.9,)), never),
    ("lr-change", bowl(WAVES), rate_changed(0)),
    ("lr-change rtol=0.9", bowl(WAVES), rate_changed(0.9)),
    ("lr-change rtol=6", bowl(WAVES), never),
    ("lr-change", bowl((0.5,)), never),
    ("clip", bowl((3.0,), optimizer={"clipnorm": 10.0}, count=12), clipped(10)),
    ("clip", bowl((3.0,), optimizer={"global_clipnorm": 100.0}, count=12), clipped(100)),
    ("clip", bowl((3.0,), optimizer={"clipvalue": 3.0}, count=12), clipped(3)),
    ("clip", bowl((0.5,), optimizer={"clipvalue": 1.5}), never),
    ("clip", bowl((3.0,), count=12), never),
]


def on_each_bowl() -> list[tuple[Descent, dict[str, Any]]]:
    """Each bowl with its events, which are armed together: every set of events is a program of its own."""
    found: dict[str, tuple[Descent, dict[str, Any]]] = {}
    for text, descent, steps in BOWLS:
        found.setdefault(repr(descent), (descent, {}))[1][text] = steps
    return list(found.values())


@pytest.mark.parametrize(("descent", "events"), on_each_bowl(), ids=range(len(on_each_bowl())))
def test_on_a_bowl_an_event_fires_where_the_product_says(descent: Descent, events: Mapping[str, Any]) -> None:
    wanted = {text: steps(descent) for text, steps in events.items()}
    assert all(wanted[text] or steps in (never,) for text, steps in events.items()), "this case says nothing"
    found = by_step(descent.debugger(*events), descent.count)
    assert {text: [step for step, held in found.items() if text in held] for text in events} == wanted


def test_the_bowls_leave_no_event_out_that_can_fire_there() -> None:
    """What is left is tested on problems of its own, below."""
    assert set(EVENTS) - {text.split()[0] for text, *_ in BOWLS} == {"non-finite", "dead", "update-ratio"}


# --- Other problems -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_non_finite_is_where_the_largest_float_is_passed(dtype: str) -> None:
    # 10 x**2 by rate 1 multiplies x by -19: the loss is 10 * 19**(2k).
    descent = Descent("10*x**2", {"x": 1.0}, (1.0,), dtype=dtype)
    most = float(np.log10(np.finfo(dtype).max))
    step = next(k for k in range(1000) if 1 + 2 * k * np.log10(19.0) > most)
    debugger = descent.debugger("non-finite", engine="graph")
    assert fired(debugger, step) == [step]
    assert debugger.run(5).held == ()  # it holds still: it does not begin again


def test_finite_runs_have_no_non_finite_event() -> None:
    assert fired(Descent("10*x**2", {"x": 1.0}, (0.05,)).debugger("non-finite"), 40) == []


def test_a_dead_coordinate_is_told_when_its_gradient_was_zero_for_long() -> None:
    # The slope of relu(-x) is -1 up to 0: x = -0.95 + 0.1 k is above it from step 10 on. v goes on for ever.
    descent = Descent("relu(-x) + sum(v)", {"x": -0.95, "v": [1.0, 2.0]})
    events = {10 + patience - 1: [f"dead patience={patience}"] for patience in (1, 5, 20)}
    assert by_step(descent.debugger(*(text for [text] in events.values())), 40) == events


def test_one_dead_number_of_a_vector_is_enough_and_it_may_come_to_life() -> None:
    # v0 is pushed up by 0.1 a step: dead from 0.15 on, i.e. step 4; set moves it back, and the count begins again.
    debugger = Descent("sum(relu(-v))", {"v": [-0.35, -90.0]}).debugger("dead patience=3")
    assert fired(debugger, 20) == [6]
    debugger.set_parameter("v", np.array([-0.25, -50.0]))
    assert fired(debugger, 40) == [20 + 3 + 2]


def test_a_slope_that_never_vanishes_is_never_dead() -> None:
    assert fired(Descent("abs(x)", {"x": 0.95}).debugger("dead patience=1"), 40) == []


RATIOS: list[tuple[float, dict[str, Any]]] = [
    (
        1.0,
        {
            "update-ratio high=0.5": lambda ratio: ratio > 0.5,
            "update-ratio low=0.09 high=0.3": lambda ratio: (ratio < 0.09) | (ratio > 0.3),
            "update-ratio": lambda ratio: ratio > np.inf,
        },
    ),
    (-1.0, {"update-ratio low=0.05 high=1": lambda ratio: ratio < 0.05}),
]


@pytest.mark.parametrize(("slope", "events"), RATIOS, ids=["down", "up"])
def test_update_ratio_is_outside_its_bounds(slope: float, events: Mapping[str, Any]) -> None:
    # A straight slope: every update is 0.1, from x = 1.05 down through 0 or up.
    descent = Descent(f"{slope}*x", {"x": 1.05})
    x = 1.05 - 0.1 * slope * np.arange(41)
    ratio = 0.1 / np.abs(x[:-1])
    found = by_step(descent.debugger(*events), 40)
    for text, holds in events.items():
        assert [step for step, held in found.items() if text in held] == begins([False, *holds(ratio)])


def test_update_ratio_leaves_out_a_parameter_that_is_all_zero() -> None:
    # From x = 0 the first update has no ratio; the second has 0.1/0.1, the third 0.1/0.2.
    assert fired(Descent("x", {"x": 0.0}).debugger("update-ratio low=0.6 high=5"), 10) == [3]


def test_clipping_is_of_each_parameter_all_together_or_each_number() -> None:
    # v = (3, 4) 2**k has norm 5 * 2**k, w has 2**k; all together 2**k sqrt(26).
    growing = {"loss": "sum(v**2)/2 + w**2/2", "start": {"v": [3.0, 4.0], "w": 1.0}, "rates": (3.0,)}
    for name, limit, size in (("clipnorm", 9.0, 5.0), ("global_clipnorm", 10.1, np.sqrt(26)), ("clipvalue", 9.0, 4.0)):
        update = 1 + next(k for k in range(99) if size * 2**k > limit)
        assert fired(Descent(**growing, optimizer={name: limit}).debugger("clip"), 8) == [update]


def test_the_norm_of_the_whole_gradient_joins_parameters_of_any_size() -> None:
    # A hundred ones and a 5 by rate 3: the norm is 2**k sqrt(125) = 11.18 * 2**k, 100 is passed at k = 4.
    descent = Descent("sum(w**2)/2 + b**2/2", {"w": [1.0] * 100, "b": 5.0}, (3.0,), dtype="float32")
    assert fired(descent.debugger("explosion norm=100"), 10) == [4]


def test_vanishing_looks_at_each_parameter() -> None:
    # grad(x) = 0.5**k x0 goes below 1e-3 * loss, about 1e-3 * (12.5 + ...), while grad(y) stays 5: y moves by rate 0.
    descent = Descent("x**2/2 + 5*y - stop_gradient(5*y) + 12.5", {"x": 1.0, "y": 1.0}, (0.5,))
    holds = [0.5**k < 1e-3 * (0.5 ** (2 * k) / 2 + 12.5) for k in range(30)]
    assert fired(descent.debugger("vanishing rtol=0.001"), 29) == begins(holds)


# --- All engines --------------------------------------------------------------------------------------------------------

WAVING = bowl(WAVES, offset=0.01, optimizer={"clipnorm": 100.0})
STEPS = {
    "non-finite": never,
    "divergence factor=2 window=3": grown(2, 3),
    "explosion norm=1.5": gradient_above(1.5),
    "vanishing rtol=1": gradient_below(1),
    "plateau patience=4 rtol=0.8": flat(4, 0.8),
    "oscillation times=3": turning(3),
    "overshoot": risen(0),
    "dead patience=2": never,
    "update-ratio low=0.4 high=2": outside(0.4, 2),
    "convergence tol=0.3": gradient_at_most(0.3),
    "clip": never,
    "lr-change": rate_changed(0),
}


def by_step(debugger: Debugger, last: int, size: int = 1000) -> dict[int, list[str]]:
    """Step -> the events that ended a run there, in runs of at most `size`."""
    found: dict[int, list[str]] = {}
    while debugger.step < last:
        held = debugger.run(min(size, last - debugger.step)).held
        if held:
            found[debugger.step] = [item.text for item in held]
    return found


@pytest.fixture(scope="module")
def wanted() -> dict[int, list[str]]:
    """Step -> the events that begin there, from the formulas."""
    found: dict[int, list[str]] = {}
    for text, steps in STEPS.items():
        for step in steps(WAVING):
            found.setdefault(step, []).append(text)
    assert len(found) > 12
    assert max(map(len, found.values())) > 1
    return found


@pytest.mark.parametrize("engine", ["xla", "graph", "eager"])
def test_together_and_in_every_engine_they_fire_where_the_formulas_say(engine: str, wanted: dict[int, list[str]]) -> None:
    assert by_step(WAVING.debugger(*STEPS, engine=engine), 40) == wanted


# --- However the run is cut ---------------------------------------------------------------------------------------------


@pytest.fixture
def waving() -> Debugger:
    return WAVING.debugger(*STEPS, engine="xla")


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_size_of_the_runs_does_not_matter(size: int, waving: Debugger, wanted: dict[int, list[str]]) -> None:
    assert by_step(waving, 40, size) == wanted


def test_going_back_and_walking_again_fires_again_at_the_same_steps(waving: Debugger, wanted: dict[int, list[str]]) -> None:
    by_step(waving, 40)
    for step in (31, 0, 13, 14, 39, 20, 8):
        waving.goto(step)
        assert by_step(waving, 40) == {at: texts for at, texts in wanted.items() if at > step}


def test_jumping_about_between_any_two_steps(waving: Debugger, wanted: dict[int, list[str]]) -> None:
    random, found = np.random.default_rng(3), {}
    for step in range(40):
        waving.goto(int(random.integers(0, step + 1)))
        waving.goto(step)
        found |= by_step(waving, step + 1)
    assert found == wanted


def test_with_a_history_that_is_dropped(wanted: dict[int, list[str]]) -> None:
    debugger = WAVING.debugger(*STEPS, engine="xla", history_bytes=2000)
    assert by_step(debugger, 40) == wanted
    for step in (30, 11, 0):
        debugger.goto(step)
        assert by_step(debugger, 40) == {at: texts for at, texts in wanted.items() if at > step}


def test_a_branch_begun_in_between_remembers_what_lies_before_it(waving: Debugger, wanted: dict[int, list[str]]) -> None:
    by_step(waving, 40)
    for step in (5, 16, 17, 30):
        waving.goto(step, "main")
        waving.fork()
        assert by_step(waving, 40) == {at: texts for at, texts in wanted.items() if at > step}


@pytest.mark.parametrize("step", [3, 6, 9, 14])
def test_what_is_remembered_crosses_edits_of_the_rate(step: int) -> None:
    # Rate 1.5 turns back at every update, as 1.25 does: the seven updates are counted across the edit.
    debugger = Descent("x**2/2 + 0", {"x": 1.0}, (1.5,)).debugger("oscillation times=8", "plateau patience=10 rtol=1")
    found = by_step(debugger, step)
    debugger.set_learning_rate(1.25)
    found |= by_step(debugger, 20)
    assert found == {9: ["oscillation times=8"], 20: ["plateau patience=10 rtol=1"]}
    debugger.goto(step)  # and again after a jump
    assert by_step(debugger, 20) == {at: texts for at, texts in found.items() if at > step}


def test_what_is_remembered_ends_at_an_edit_of_a_parameter() -> None:
    debugger = Descent("x**2/2 + 0", {"x": 1.0}, (1.5,)).debugger("oscillation times=8")
    by_step(debugger, 5)
    debugger.set_parameter("x", np.array(7.0))
    assert fired(debugger, 20) == [5 + 9]
    debugger.goto(8)
    assert fired(debugger, 20) == [5 + 9]


def test_an_edit_of_the_rate_is_no_change_of_it_and_an_edit_of_x_no_overshoot() -> None:
    debugger = bowl((0.5,)).debugger("lr-change", "overshoot", "divergence window=1", "update-ratio high=0.9")
    assert fired(debugger, 4) == []
    debugger.set_learning_rate(0.25)
    assert fired(debugger, 8) == []
    debugger.set_parameter("x", np.array(1e6))
    assert fired(debugger, 12) == []


# --- Accumulated gradients ----------------------------------------------------------------------------------------------


def gathering(steps: int, **options: Any) -> Mapping[str, Any]:
    return {"gradient_accumulation_steps": steps, **options}


def test_updates_that_only_gather_gradients_are_no_small_updates() -> None:
    descent = bowl((0.5,), optimizer=gathering(3))
    assert fired(descent.debugger("update-ratio", "update-ratio low=0.4 high=0.6"), 30) == []
    assert fired(descent.debugger("update-ratio low=0.51"), 30) == [3]  # and it holds on until the next that is applied


def test_turns_are_counted_over_the_updates_that_are_applied() -> None:
    # x turns with every third update: applied at 3, 6, ...; the first turn is at 6, the fourth at 15.
    descent = bowl((1.5,), optimizer=gathering(3))
    debugger = descent.debugger("oscillation times=4", "overshoot")
    assert fired(debugger, 40) == [15]
    for step in (1, 8, 14):
        debugger.goto(step)
        assert fired(debugger, 40) == [15]
    debugger.goto(16)
    assert fired(debugger, 40) == []


def test_a_loss_that_rises_at_every_applied_update_overshoots_once() -> None:
    assert fired(bowl((2.5,), optimizer=gathering(2)).debugger("overshoot"), 20) == [2]


def test_clipping_is_of_the_mean_of_the_gathered_gradients() -> None:
    # The gradient is x up to step 2 and the same at each: x = 1, 2, 4, ... after every second update by rate 3.
    descent = bowl((3.0,), optimizer=gathering(2, clipnorm=3.0))
    assert fired(descent.debugger("clip"), 12) == [2 * (1 + next(k for k in range(99) if 2**k > 3.0))]
    # With the sum in place of the mean, slopes 1 and 1 would be clipped at 2 already.
    turning_slope = Descent("x*stop_gradient(where(x > -0.5, 1, 3))", {"x": 0.0}, (1.0,), gathering(2, clipnorm=1.5))
    assert fired(turning_slope.debugger("clip"), 8) == [4]  # x = -1 at step 2: slopes 3 and 3


# --- Thresholds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVENTS)
def test_every_threshold_is_in_the_definition_and_can_be_set(name: str) -> None:
    for threshold, default in make_event(name, {}).thresholds().items():
        other = make_event(name, {threshold: 7.0})
        assert (other.thresholds()[threshold], other.text()) == (7.0, f"{name} {threshold}=7")
        assert "7" in other.definition()
        assert make_event(name, {threshold: default}).text() == name


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("plato", {}, "there is no event 'plato'"),
        ("plateau", {"patient": 3.0}, "plateau has no threshold 'patient'"),
        ("clip", {"norm": 3.0}, "clip has no threshold 'norm'"),
        ("plateau", {"patience": 2.5}, "patience of plateau cannot be 2.5"),
        ("plateau", {"patience": 0.0}, "patience of plateau cannot be 0"),
        ("plateau", {"patience": float("inf")}, "patience of plateau cannot be inf"),
        ("plateau", {"rtol": float("nan")}, "rtol of plateau cannot be nan"),
        ("explosion", {"norm": -1.0}, "norm of explosion cannot be -1"),
        ("update-ratio", {"low": 2.0, "high": 1.0}, "update-ratio needs low below high"),
    ],
)
def test_what_cannot_be_a_threshold_is_refused(name: str, given: dict[str, float], message: str) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        make_event(name, given)
    assert caught.value.hint
