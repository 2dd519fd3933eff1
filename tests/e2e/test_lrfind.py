"""The learning-rate range test. The oracle is a closed form: an update of rate r multiplies x - 50 by 1 - 2*r."""

from __future__ import annotations

import numpy as np
import pytest
from driving import PROGRAMS, contents, do, error_of, hill

from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.display.rate_range import rate_range_chart, rate_range_lines
from gdrepl.display.style import Style
from gdrepl.engine.moves import Progress
from gdrepl.insight.rate_range import range_test

RATES = np.geomspace(1e-6, 10, 100)
FACTOR = RATES[1] / RATES[0]


def hill_losses(rates: np.ndarray) -> np.ndarray:
    """In float64, from x = 3."""
    return (47 * np.cumprod(1 - 2 * rates)) ** 2


def of(loss: str, start: str = "3", **options: str) -> Session:
    return Session(Setup(loss, {"x": start}, **{"optimizer": "sgd", **options}), PROGRAMS)


@pytest.fixture(scope="module")
def precise() -> Session:
    return hill(dtype="float64")


def test_the_losses_are_those_of_updates_at_rising_rates_until_one_is_above_four_times_the_lowest(precise):
    found = do(precise, "lrfind")
    losses = hill_losses(RATES)
    end = next(k for k in range(100) if losses[k] > 4 * losses[:k].min(initial=2209.0) + 1e-6)
    assert found["rates"] == pytest.approx(RATES[: end + 1], rel=1e-12)
    assert found["losses"] == pytest.approx(losses[: end + 1], rel=1e-9)
    assert found["diverged_at"] == pytest.approx(RATES[end])
    assert (found["step"], found["loss"], found["learning_rate"]) == (0, 2209, 0.1)


def test_four_times_the_lowest_loss_so_far_is_allowed_and_no_more(precise):
    rates = np.geomspace(1.01, 1.1, 100)  # too large from the first on, and slowly so
    losses = hill_losses(rates)
    end = int(np.argmax(losses > 4 * 2209))
    found = do(precise, "lrfind 1.01 1.1")
    assert len(found["losses"]) == end + 1 <= int(np.argmax(losses > 5 * 2209))
    assert found["verdict"] == "rising"


def test_the_rates_suggested_are_that_of_the_steepest_fall_and_a_tenth_of_that_of_the_lowest_loss(precise):
    found = do(precise, "lrfind")
    fine = np.geomspace(1e-6, 10, 100 * 50)  # in so fine a sweep the slope needs neither smoothing nor neighbours
    curve = np.interp(np.log(fine), np.log(RATES), hill_losses(RATES))
    steepest = fine[np.argmin(np.gradient(curve, np.log(fine)))]
    assert 1 / FACTOR <= found["steepest"] / steepest <= FACTOR
    kept = np.array(found["losses"][:-1])
    assert found["verdict"] == "suggested"
    assert found["lowest"] == pytest.approx(RATES[np.argmin(kept)])
    assert found["suggested"] == pytest.approx(found["lowest"] / 10)


def test_it_makes_the_updates_that_setting_each_rate_and_stepping_makes_and_leaves_all_as_it_was(assert_same_bits):
    session = hill(optimizer="adam")
    do(session, "step 3")
    here, before = session.debugger.snapshot(), contents(session)
    found = do(session, "lrfind 0.01 20 in 12")
    assert_same_bits(session.debugger.snapshot(), here)
    session.events.pop()
    assert contents(session) == before
    losses = [
        do(session, f"set lr {float(np.float32(rate))!r}", "step")["point"]["loss"] for rate in np.geomspace(0.01, 20, 12)
    ]
    assert found["losses"] == losses[: len(found["losses"])]
    assert len(found["losses"]) > 5


def test_a_schedule_gives_way_and_stays_in_force():
    session = hill()
    do(session, "set lr exponential_decay(0.02, decay_steps=100, decay_rate=0.9)", "step 5")
    start = do(session, "print loss")["value"]
    found = do(session, "lrfind 1e-3 0.4 in 10")
    wanted = start * np.cumprod(1 - 2 * np.geomspace(1e-3, 0.4, 10)) ** 2
    assert found["losses"] == pytest.approx(wanted, rel=1e-4)
    assert "exponential_decay" in found["notes"][0]
    assert session.debugger.spec.schedule is not None


def test_where_gradients_are_accumulated_each_rate_gets_as_many_updates_as_make_one():
    session = hill(optimizer="sgd(gradient_accumulation_steps=3)")
    do(session, "step")  # one is gathered already: the two that follow complete it
    found = do(session, "lrfind 1e-3 0.4 in 10")
    # each third of a gradient is taken where the parameters stood then: the first after each move is taken before it
    assert found["updates"] == 3
    x, loss, place = 3.0, [], 0
    gathered, rates = [2 * (x - 50)], np.geomspace(1e-3, 0.4, 10)
    for rate in rates:
        for _ in range(3):
            gathered.append(2 * (x - 50))
            place += 1
            if len(gathered) == 3:
                x -= rate * np.mean(gathered)
                gathered = []
        loss.append((x - 50) ** 2)
    assert found["losses"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "line", "verdict"),
    [
        ("0*x + 4", "lrfind", "flat"),
        ("-(x-50)**2", "lrfind", "no floor"),
        ("x", "lrfind", "no floor"),
        ("(x-50)**2", "lrfind 1e-6 1e-3", "falling"),
        ("(x-50)**2", "lrfind 1.5 9", "rising"),
        ("exp(-x)", "lrfind 1e-9 1e-8", "flat"),
    ],
)
def test_what_nothing_can_be_suggested_of_is_told(loss, line, verdict):
    found = do(of(loss), line)
    assert found["verdict"] == verdict
    assert found["suggested"] is None
    assert found["steepest"] is None or verdict == "falling"


def test_where_no_rate_can_lead_downwards_none_is_offered():
    flat = of("(x-3)**2 + 4", engine="eager", optimizer="adam", rate="1")
    do(flat, "set x 3.0001")
    result = range_test(flat.debugger, count=20)
    assert result.verdict == "rising"
    said = "".join(text for line in rate_range_lines(result, Style()) for text, _ in line)
    assert "hessian tells whether this is a minimum" in said
    assert "smaller rates" not in said


def test_momentum_that_was_gathered_is_told_from_what_the_rates_do():
    swinging = of("(x-50)**2", optimizer="sgd(momentum=0.9)", rate="0.3", dtype="float64", engine="eager")
    assert "carried" not in do(swinging, "lrfind")
    do(swinging, "step 4")
    point = swinging.debugger.point()
    x, velocity = float(point.parameters["x"]), float(swinging.debugger.snapshot().slots[2])
    found = do(swinging, "lrfind")
    assert found["carried"] == pytest.approx((x + 0.9 * velocity - 50) ** 2, rel=1e-6)
    said = "".join(text for line in rate_range_lines(range_test(swinging.debugger), Style()) for text, _ in line)
    assert "the momentum gathered here leads to" in said
    assert "smaller rates" not in said
    do(swinging, "set optimizer sgd(momentum=0.9)")
    assert "carried" not in do(swinging, "lrfind")


def test_minus_infinity_is_where_a_loss_without_a_floor_ends_and_a_value_that_is_not_finite_ends_any():
    found = do(of("-(x-50)**2"), "lrfind")
    assert found["losses"][-1] == "-Infinity"
    assert found["diverged_at"] == pytest.approx(found["rates"][-1], rel=1e-6)
    found = do(of("log(x)"), "lrfind 0.1 100 in 20")  # a step past zero: the logarithm has no value there
    assert found["losses"][-1] == "NaN"
    assert found["diverged_at"] == pytest.approx(found["rates"][-1], rel=1e-6)


def test_alone_it_goes_on_past_ten_where_nothing_diverged_and_no_further_than_asked_for_otherwise():
    slow = of("1e-3*x**2")  # diverges at a rate of 1000
    beyond = do(slow, "lrfind")
    assert 1000 < beyond["diverged_at"] < 1e4
    assert np.diff(np.log(beyond["rates"])) == pytest.approx(np.log(FACTOR), rel=1e-4)
    assert do(slow, "lrfind 1e-6 10")["diverged_at"] is None


def test_an_interrupt_ends_it_and_changes_nothing():
    session = hill()
    before = contents(session)
    seen = []

    def progress(now: Progress) -> None:
        seen.append(now.taken)
        if now.taken == 5:
            session.debugger.interrupt.set()

    session.debugger.progress = progress
    assert "interrupted" in error_of(session, "lrfind").message
    assert seen == [1, 2, 3, 4, 5]
    assert contents(session) == before
    assert not session.debugger.interrupt.is_set()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lrfind x", "not a range of rates"),
        ("lrfind 1", "not a range of rates"),
        ("lrfind 1 1e-3", "must rise"),
        ("lrfind 0 1", "not a learning rate"),
        ("lrfind -1 1", "not a learning rate"),
        ("lrfind 1e-50 1", "float32"),
        ("lrfind 1e-3 1e50", "float32"),
        ("lrfind in", "needs a number"),
        ("lrfind in 2", "10 to 1000"),
        ("lrfind 1e-3 1 in 5000", "10 to 1000"),
        ("lrfind 1e-3 1 in ten", "not a number"),
    ],
)
def test_what_is_not_a_range_is_refused_in_one_line(line, said):
    error = error_of(hill(), line)
    assert said in error.message
    assert "lrfind" in error.hint or "whole number" in error.hint


def test_from_a_point_that_is_not_finite_nothing_is_tried():
    session = of("log(x)", rate="100")
    do(session, "step 2")
    assert "not finite here" in error_of(session, "lrfind").message


def test_the_chart_has_a_log_axis_of_rates_and_marks_what_was_found():
    [outcome] = hill().execute("lrfind from 1e-4 to 5 in 50")
    chart = rate_range_chart(outcome.result)
    assert chart is not None
    assert (chart.log_x, chart.log) == (True, True)
    marks = {series.label: float(series.x[0]) for series in chart.series[1:]}
    found = outcome.result
    assert marks["steepest"] == pytest.approx(found.steepest, rel=1e-6)
    assert marks["lowest"] == pytest.approx(found.lowest, rel=1e-6)
    assert 1 / FACTOR < marks["min/10"] / found.suggested < FACTOR
