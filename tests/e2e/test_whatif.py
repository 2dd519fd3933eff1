"""What if: futures tried aside. The oracles are closed forms: gradient descent on a*x**2/2 gives x_k = (1 - lr*a)**k * x_0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from driving import PROGRAMS, contents, do, error_of, hill

from gdrepl.commands.replaying import replay_file
from gdrepl.commands.saving import records
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine import programs
from gdrepl.engine.program import Program

LARGEST = float(np.finfo(np.float32).max)


def bowl(a: float = 1.0, x: float = 1.0, rate: float = 0.5) -> Session:
    """a*x**2/2 by plain gradient descent."""
    return Session(Setup(f"{a / 2}*x**2", {"x": str(x)}, optimizer="sgd", rate=str(rate)), PROGRAMS)


def tried(session: Session, line: str) -> dict[str, dict]:
    """The variants of a whatif by their labels."""
    return {variant["label"]: variant for variant in do(session, line)["variants"]}


# --- how a future ends --------------------------------------------------------------------------------------------------


def test_a_rate_above_two_over_the_curvature_runs_until_float32_overflows_and_says_where_it_began_to_diverge():
    session = bowl(a=4.0)
    do(session, "set lr 0.1", "step 2")
    x = 0.6**2
    overflow = next(k for k in range(100) if 2 * (x * 3.0**k) ** 2 > LARGEST)  # 1 - 1 * 4 is -3
    above = next(k for k in range(100) if 2 * (x * 3.0**k) ** 2 > max(2, 10 * 2 * x**2))  # the loss at step 0 is 2
    variant = tried(session, "whatif lr 0.4 1")["lr 1"]
    assert (variant["outcome"], variant["steps"], variant["diverged_at"]) == ("diverged", overflow, 2 + above)
    assert variant["final_loss"] == "Infinity"


def test_a_loss_of_more_than_ten_times_the_first_has_diverged_at_the_first_such_step():
    session = bowl(a=4.0)
    grown = next(k for k in range(100) if 1.4 ** (2 * k) > 10)  # 1 - 0.6 * 4 is -1.4
    variant = tried(session, "whatif lr 0.6 for 20")["lr 0.6"]
    assert (variant["outcome"], variant["steps"], variant["diverged_at"]) == ("diverged", 20, grown)
    assert variant["final_loss"] == pytest.approx(2 * 1.4**40, rel=1e-4)


def test_trials_of_any_length_name_the_same_step():
    session = bowl(a=4.0)  # x is (-3)**k by rate 1: 9 and 81 times the loss; float32 overflows at step 40
    for count in (2, 3, 39, 40, 100):
        assert tried(session, f"whatif lr 1 for {count}")["lr 1"]["diverged_at"] == 2


def test_a_future_that_was_above_the_limit_between_and_comes_back_names_its_first_step_where_it_diverges_in_the_end():
    session = bowl(a=4.0)  # twice times -3, then twice 0.1, so that the loss is 0.01 of the first; then times -3 again
    way = "whatif set lr 1 ;; step 2 ;; set lr 0.225 ;; step 2"
    assert tried(session, way)["lr 1, lr 0.225"]["outcome"] == "moving"
    variant = tried(session, f"{way} ;; set lr 1 ;; step 6")["lr 1, lr 0.225, lr 1"]
    assert (variant["outcome"], variant["steps"], variant["diverged_at"]) == ("diverged", 10, 2)


def test_the_event_divergence_whose_block_is_the_way_from_the_first_loss_fires_at_the_same_step():
    session = bowl(a=4.0, rate=0.6)
    step = tried(session, "whatif x 1 for 20")["as it is"]["diverged_at"]
    do(session, "catch divergence")  # until step 20 it is held against the first loss
    assert do(session, "step 20")["point"]["step"] == step


def test_a_limit_that_is_too_large_for_float32_is_not_passed():
    session = Session(Setup("1e38*x", {"x": "1"}, optimizer="sgd", rate="1e-40"))  # ten times that is beyond float32
    assert tried(session, "whatif lr 1e-39 for 3")["lr 1e-39"]["outcome"] == "moving"


def test_a_loss_of_no_more_than_ten_times_the_first_is_moving():
    variant = tried(bowl(a=4.0), "whatif lr 0.6 for 3")["lr 0.6"]  # 1.4**6 is 7.5
    assert (variant["outcome"], variant["steps"], variant["diverged_at"]) == ("moving", 3, None)


def test_a_negative_loss_diverges_when_it_grows_by_nine_times_its_size():
    session = Session(Setup("2*x**2 - 4", {"x": "1"}, optimizer="sgd", rate="0.6"))  # from -2, so above 16
    grown = next(k for k in range(100) if 2 * 1.4 ** (2 * k) - 4 > 16)
    assert tried(session, "whatif x 1 for 9")["as it is"]["diverged_at"] == grown


@pytest.mark.parametrize("x", [1.0, 1024.0])
def test_converged_is_a_gradient_of_a_ten_thousandth(x: float):
    session = bowl(x=x)  # the gradient halves at each update, and 2**-13 > 1e-4 > 2**-14
    outcomes = [tried(session, f"whatif x {x} for {count}")["as it is"]["outcome"] for count in (1, 13, 14)]
    assert outcomes == ["moving", "moving", "converged"]


def test_converged_is_also_a_gradient_of_at_most_a_ten_thousandth_whatever_it_began_with():
    session = bowl(x=2.0**-10)
    assert [tried(session, f"whatif x 2**-10 for {n}")["as it is"]["outcome"] for n in (3, 4)] == ["moving", "converged"]


def test_who_begins_and_ends_at_rest_has_converged_whatever_the_losses():
    session = bowl(a=4.0, x=1e-6)
    variant = tried(session, "whatif lr 0.6 for 9")["lr 0.6"]  # x becomes 2e-5: the loss 400 times the first
    assert (variant["outcome"], variant["steps"]) == ("converged", 9)


def test_a_tiny_rate_is_moving():
    assert tried(bowl(), "whatif lr 1e-5")["lr 1e-5"]["outcome"] == "moving"


def test_the_steps_to_a_loss_are_the_first_k_at_which_it_is_at_most_that():
    variants = tried(bowl(), "whatif lr 0.5 0.75 0.001 to 1e-3")
    for rate in (0.5, 0.75):
        wanted = next(k for k in range(100) if (1 - rate) ** (2 * k) / 2 <= 1e-3)
        assert variants[f"lr {rate}"]["to_loss"] == wanted
    assert variants["lr 0.001"]["to_loss"] is None


def test_without_a_loss_the_steps_are_to_the_end_of_the_future_as_it_is():
    session = bowl()  # as it is: 4**-10 / 2; with 0.75: 16**-k / 2
    result = do(session, "whatif lr 0.75 for 10")
    assert result["target"] == pytest.approx(2.0**-21)
    assert [variant["to_loss"] for variant in result["variants"]] == [10, 5]


def test_where_the_future_as_it_is_diverged_there_is_no_loss_to_count_to():
    result = do(bowl(rate=3.0), "whatif lr 0.5")
    assert result["target"] is None
    assert [variant["to_loss"] for variant in result["variants"]] == [None, None]


def test_a_thinned_future_has_both_ends_and_at_most_sixty_points():
    variant = tried(bowl(rate=0.001), "whatif lr 0.002 for 1000")["lr 0.002"]
    steps, losses = variant["curve_steps"], variant["curve_losses"]
    assert (steps[0], steps[-1], len(steps)) == (0, 1000, 60)
    assert losses == pytest.approx([0.998 ** (2 * k) / 2 for k in steps], rel=1e-3)


# --- what is tried ------------------------------------------------------------------------------------------------------


def test_the_result_is_as_promised():
    result = do(bowl(), "step 3", "whatif set lr 0.25 ;; step 5")
    assert (result["type"], result["step"], result["loss"]) == ("WhatIf", 3, pytest.approx(2.0**-7))
    assert [variant["label"] for variant in result["variants"]] == ["as it is", "lr 0.25"]
    assert {"label", "outcome", "steps", "final_loss"} <= set(result["variants"][0])
    losses = [variant["final_loss"] for variant in result["variants"]]
    assert losses == pytest.approx([2.0**-17, 2.0**-7 * 0.75**10], rel=1e-6)


def test_edits_and_runs_take_turns_and_as_it_is_makes_the_same_runs():
    variants = tried(bowl(x=8.0), "whatif step 2 ;; set lr 0.25 ;; advance +1 ;; set x 4 ;; until x < 3")
    same, other = variants["as it is"], variants["lr 0.25, x 4"]
    assert (same["steps"], same["final_loss"]) == (4, pytest.approx(0.5**2 / 2))  # the run until x < 3 makes one update, too
    assert (other["steps"], other["final_loss"]) == (5, pytest.approx(2.25**2 / 2))


def test_a_line_that_only_edits_makes_a_hundred_updates_or_as_many_as_it_says():
    assert tried(bowl(), "whatif set lr 0.001")["lr 0.001"]["steps"] == 100
    assert tried(bowl(), "whatif set lr 0.001 for 7")["lr 0.001"]["steps"] == 7


def test_optimizers_begin_with_new_slots_each_from_this_very_point():
    session = Session(Setup("(x-50)**2", {"x": "18"}, optimizer="sgd(momentum=0.9)", rate="0.1"))
    do(session, "step 3")
    x = float(do(session, "print x")["value"])
    variants = tried(session, "whatif optimizer sgd(0.25) 'sgd(momentum=0.5, learning_rate=0.25)' adam for 2")
    assert list(variants) == ["as it is", "sgd(0.25)", "sgd(momentum=0.5, learning_rate=0.25)", "adam"]
    d = x - 50
    assert variants["sgd(0.25)"]["final_loss"] == pytest.approx((d / 4) ** 2, rel=1e-5)
    # velocity -d/2, then -d/4 - d/4: d, d/2, 0
    assert variants["sgd(momentum=0.5, learning_rate=0.25)"]["final_loss"] == pytest.approx(0, abs=1e-8)
    m = v = 0.0
    for k in (1, 2):
        m, v = 0.9 * m + 0.1 * 2 * d, 0.999 * v + 0.001 * (2 * d) ** 2
        d -= 0.1 * m / (1 - 0.9**k) / (v / (1 - 0.999**k)) ** 0.5
    assert variants["adam"]["final_loss"] == pytest.approx(d**2, rel=1e-5)


def test_parameters_and_hyperparameters_are_raced_as_rates_are():
    session = Session(Setup("(w[0]-1)**2 + w[1]**2", {"w": "[3.0, 0.0]"}, optimizer="sgd", rate="0.5"))
    variants = tried(session, "whatif w [5,2] [1, 7] for 1")
    assert [variant["final_loss"] for variant in variants.values()] == [0, 0, 0]
    assert [variant["curve_losses"][0] for variant in variants.values()] == [4, 20, 49]
    assert list(tried(session, "whatif w[1] 2 for 1")) == ["as it is", "w[1] 2"]
    assert list(tried(session, "whatif momentum 0 0.9 for 1")) == ["as it is", "momentum 0", "momentum 0.9"]


def test_no_stop_is_armed():
    session = bowl()
    do(session, "break if step == 3", "tbreak if step == 4")
    assert tried(session, "whatif lr 0.25 for 9")["lr 0.25"]["steps"] == 9
    assert [(stop["id"], stop["hits"]) for stop in do(session, "info break")["stops"]] == [(1, 0), (2, 0)]


def test_as_it_is_has_what_is_in_force_here_and_not_what_was_set_later():
    session = bowl()
    do(session, "step 4", "set lr 0.25", "step 4", "goto 2")
    assert tried(session, "whatif lr 0.75 for 6")["as it is"]["final_loss"] == pytest.approx(2.0**-17)


def test_run_is_tried_from_step_0():
    variants = tried(bowl(), "step 3 ;; whatif set lr 0.25 ;; run 4")
    assert variants["as it is"]["curve_losses"] == pytest.approx([0.5 * 4.0**-k for k in range(5)])
    assert variants["lr 0.25"]["curve_steps"] == [0, 1, 2, 3, 4]


# --- nothing changes ----------------------------------------------------------------------------------------------------

LINES = (
    *("set lr 0.01 ;; step 50", "lr 0.001 0.1 3 for 30", "optimizer adam sgd(0.2) for 5", "x 1 2 for 3", "momentum 0.9 for 3"),
    *("set x 7 ;; set optimizer adam ;; step 4 ;; set lr 1 ;; until x > 20", "set lr 0.2 ;; run 5", "engine eager for 2"),
    *("set lr 0.2 ;; advance 90", "set lr 0.2 ;; continue 3"),
)
REFUSED = (
    *("goto 3", "set lr 1 ;; load a", "set lr 1 ;; save a", "set lr 1 ;; branch", "set lr 1 ;; whatif lr 2", "step 3", "3"),
    *("set max-steps 3", "seed 1 2", "dtype float64", "lr", "set", "nope 1 2", "lr 0.1 nope", "optimizer nope", "x [1,2]"),
    *(
        "lr 0.1 for",
        "lr 0.1 for x",
        "lr 0.1 to nan",
        "lr 0.1 to",
        "set lr 1 ;; continue",
        "set lr 1 ;; run",
        "[0] 1",
        "lr 1;;s",
    ),
    *(
        "set lr 1 ;; step 3 for 3",
        "lr 0.1 keep main",
        "lr 0.1 keep 3",
        "set lr 1 ;; advance 1",
        "set lr 1 ;; nope",
        "momentum 2",
    ),
)


@pytest.fixture(scope="module")
def lived_in() -> Session:
    """One session for all that must leave it as it is: edits, branches, stops, displays, standing in the past of a branch."""
    session = hill()
    do(session, "step 5", "set lr 0.2", "step 5", "break if loss < 1", "display x", "tbreak if x > 60", "goto 3", "branch try")
    do(session, "step 3", "goto main:5")
    session.debugger.timeline.limit_bytes = 2**20
    return session


@pytest.mark.parametrize("line", LINES)
def test_trying_changes_nothing(line: str, lived_in: Session):
    before, count = contents(lived_in), len(lived_in.events)
    debugger, snapshot, stops = lived_in.debugger, lived_in.debugger.snapshot(), lived_in.debugger.stops
    assert len(tried(lived_in, f"whatif {line}")) >= 2
    assert lived_in.events.pop().line == f"whatif {line}"  # that it was asked is all that is recorded
    assert len(lived_in.events) == count
    assert contents(lived_in) == before
    assert (debugger.snapshot(), debugger.stops) == (snapshot, stops)
    assert debugger is lived_in.debugger


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_tried_is_refused_in_one_line_and_changes_nothing(line: str, lived_in: Session):
    before = contents(lived_in)
    error = error_of(lived_in, f"whatif {line}")
    assert "\n" not in error.message
    assert error.hint
    assert contents(lived_in) == before


@pytest.mark.parametrize("chunk", [0, 1, "last"])
@pytest.mark.parametrize(
    "line", ["lr 0.1 0.2 0.3 for 3 keep", "set lr 0.2 ;; step 10 ;; step 10", "set lr 0.1 ;; run 9 keep a"]
)
def test_an_interrupt_ends_it_all_and_nothing_has_changed(chunk: int | str, line: str, lived_in: Session):
    before, debugger = contents(lived_in), lived_in.debugger
    seen = []

    def interrupting(progress) -> None:
        seen.append(progress.taken)
        if progress.taken == progress.total if chunk == "last" else len(seen) == chunk + 1:
            debugger.interrupt.set()

    told, debugger.progress = debugger.progress, interrupting
    try:
        error = error_of(lived_in, f"whatif {line}")
        assert debugger.progress is interrupting
    finally:
        debugger.progress = told
    assert error.message == "whatif was interrupted"
    assert contents(lived_in) == before
    assert not debugger.interrupt.is_set()


def test_progress_counts_on_over_all_futures():
    session, seen = bowl(), []
    session.debugger.progress = seen.append
    do(session, "whatif lr 0.1 0.2 0.3 for 5")
    taken = [progress.taken for progress in seen]
    assert taken == sorted(taken)
    assert taken[-1] == 20
    assert {progress.total for progress in seen} == {20}


def test_a_race_of_rates_shares_one_program(monkeypatch: pytest.MonkeyPatch):
    session, made = bowl(), []
    do(session, "step")
    monkeypatch.setattr(programs, "Program", lambda *given: made.append(given) or Program(*given))
    assert len(tried(session, "whatif lr 0.1 0.2 0.3 0.4 keep")) == 5
    assert made == []


# --- keep ---------------------------------------------------------------------------------------------------------------


def timeline(session: Session) -> list:
    """What a file holds of a session, but for what was typed and where that led."""
    return [record for record in records(session) if record[0] not in ("command", "places")]


@pytest.mark.parametrize(
    ("line", "by_hand"),
    [
        ("set lr 0.02 ;; step 30 keep slow", ["branch slow", "set lr 0.02", "step 30"]),
        ("set x 7 ;; step 2 ;; set lr 0.3 ;; step 2 keep", ["branch x-7-lr-0.3", "set x 7", "step 2", "set lr 0.3", "step 2"]),
        ("optimizer rmsprop(0.01) for 9 keep", ["branch rmsprop-0.01", "set optimizer rmsprop(0.01)", "step 9"]),
        ("set lr 0.02 for 4 keep", ["branch lr-0.02", "set lr 0.02", "step 4"]),
    ],
)
@pytest.mark.parametrize(
    "place", ["step 5", "step 9 ;; goto 4", "step 3 ;; set lr 0.2 ;; step 3 ;; goto 3", "step 3 ;; set lr 0.2 ;; back"]
)
def test_a_future_that_is_kept_has_the_bits_of_the_same_commands_typed(line: str, by_hand: list[str], place: str):
    kept, typed = hill(), hill()
    for session in (kept, typed):
        do(session, "break if x > 1000", place, "checkpoint here")
    do(kept, f"whatif {line}")
    do(typed, *by_hand, "restart here")
    assert timeline(kept) == timeline(typed)
    assert kept.debugger.position == typed.debugger.position


def test_each_variant_of_a_race_is_kept_under_a_name_of_its_own():
    session = hill()
    do(session, "branch lr-0.1", "step 2")
    result = do(session, "whatif lr 0.1 0.1 1e-3 keep")
    assert [variant["branch"] for variant in result["variants"]] == ["", "lr-0.1-2", "lr-0.1-3", "lr-1e-3"]
    result = do(session, "whatif x -3 2*x for 2 keep trial")
    assert [variant["branch"] for variant in result["variants"]] == ["", "trial-x--3", "trial-x-2-x"]
    branches = {branch["name"]: branch for branch in do(session, "info branches")["branches"]}
    assert branches["lr-0.1"]["current"]
    assert branches["lr-1e-3"]["end"] == 102
    assert do(session, "goto trial-x-2-x")["point"]["step"] == 4


def test_a_run_that_is_kept_is_a_branch_from_step_0():
    session = bowl()
    do(session, "step 3", "whatif set lr 0.25 ;; run 4 keep again")
    branches = {branch["name"]: branch for branch in do(session, "info branches")["branches"]}
    assert list(branches) == ["main", "again"]
    assert (branches["again"]["parent"], branches["again"]["fork_step"], branches["again"]["end"]) == ("main", 0, 4)
    assert do(session, "goto again:2")["point"]["parameters"]["x"] == pytest.approx(0.75**2)
    assert do(session, "goto main")["point"]["step"] == 3


def test_a_session_with_whatif_is_saved_loaded_and_replayed(tmp_path: Path):
    session = hill()
    do(session, "step 3", "whatif lr 0.01 2 keep", "whatif set x 7 ;; step 5", "goto lr-2:9", "whatif optimizer adam keep")
    do(session, "step 4", "goto main", f"save {tmp_path}/tried")
    loaded = Session(Setup(), PROGRAMS)
    do(loaded, f"load {tmp_path}/tried")
    assert contents(loaded) == contents(session)
    replay = replay_file(tmp_path / "tried.gds")
    assert (replay.status, replay.message) == ("match", "bit for bit")


# --- beside a minimum ---------------------------------------------------------------------------------------------------


def test_close_to_a_minimum_a_lively_future_has_not_diverged_while_the_way_there_was_higher():
    session = hill()  # 47**2 * 0.64**k
    do(session, "step 78")
    first = 47.0**2 * 0.64**78
    variant = tried(session, "whatif optimizer adam(0.1) for 1")["adam(0.1)"]  # it moves x by lr
    assert float(variant["final_loss"]) > 100 * first
    assert (variant["outcome"], variant["diverged_at"]) == ("moving", None)


@pytest.mark.parametrize("rate", [1.1, 1.5])
def test_close_to_a_minimum_real_divergence_is_found_above_the_highest_loss_of_the_branch(rate: float):
    session = hill()
    do(session, "step 40")
    first, growth = 47.0**2 * 0.64**40, (1 - 2 * rate) ** 2
    above = next(k for k in range(1000) if first * growth**k > 47.0**2)
    variant = tried(session, f"whatif lr {rate} for {above + 1}")[f"lr {rate}"]
    assert (variant["outcome"], variant["diverged_at"]) == ("diverged", 40 + above)
    assert tried(session, f"whatif lr {rate} for {above - 1}")[f"lr {rate}"]["outcome"] == "moving"


def test_losses_further_on_in_the_branch_do_not_count():
    session = bowl(a=4.0, rate=0.1)
    do(session, "step 2", "set lr 0.75", "step 30", "goto 2")  # 1 - 0.75 * 4 is -2: far above later on
    grown = next(k for k in range(100) if 1.4 ** (2 * k) * 0.6**4 > max(1, 10 * 0.6**4))
    assert tried(session, "whatif lr 0.6 for 20")["lr 0.6"]["diverged_at"] == 2 + grown


def test_from_a_point_that_is_not_finite_only_another_parameter_leads_on():
    session = bowl(a=4.0, rate=100.0)
    do(session, "step 100")
    before = contents(session)
    error = error_of(session, "whatif lr 0.1 0.2")
    assert "not finite" in error.message
    assert "reverse-step" in error.hint
    assert contents(session) == before
    assert tried(session, "whatif set x 1 ;; set lr 0.25 ;; step 1")["x 1, lr 0.25"]["final_loss"] == 0
    assert tried(session, "whatif set lr 0.25 ;; run 1")["lr 0.25"]["final_loss"] == 0
