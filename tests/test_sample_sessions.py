"""The recordings in sessions/ hold what they are kept for. That they replay is seen to by the pytest plugin."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "sessions"


def records(name: str) -> list[dict]:
    return [json.loads(line, parse_constant=refuse) for line in lines(FOLDER / f"{name}.gds")]


def lines(path: Path) -> list[str]:
    """The lines of a session file that are not comments."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def commands(name: str) -> list[tuple[str, dict]]:
    return [(record["line"], record["result"]) for record in records(name) if record["kind"] == "command"]


def printed(name: str) -> dict[str, object]:
    return {result["expression"]: result["value"] for _, result in commands(name) if result["type"] == "Printed"}


def test_there_are_at_least_eight():
    assert len(list(FOLDER.glob("*.gds"))) >= 8


def test_the_tutorial_makes_200_adam_updates_and_comes_within_a_hundredth_of_50():
    last = [result for _, result in commands("tutorial") if result["type"] == "Stepped"][-1]
    assert last["point"]["step"] == 200
    assert abs(last["point"]["parameters"]["x"] - 50) < 0.01
    assert records("tutorial")[0]["optimizer"]["name"] == "Adam"


def test_the_tutorial_keeps_all_201_points():
    points = [record for record in records("tutorial") if record["kind"] == "points"]
    assert sum(record["count"] for record in points) == 200  # and the start


def test_the_early_stop_is_the_first_step_where_the_loss_changes_by_less_than_a_thousandth():
    (body,) = [record for record in records("early-stop") if record["kind"] == "points"]
    losses = np.array([2209.0, *body["columns"]["loss"]], np.float32)
    first = int(np.argmax(np.abs(np.diff(losses)) < 0.001)) + 1
    assert printed("early-stop")["step"] == first == len(losses) - 1


def test_the_divergence_ends_in_nan():
    stopped = [result for _, result in commands("divergence") if result["type"] == "Stepped"]
    assert any(stop["kind"] == "non-finite" for result in stopped for stop in result["stops"])
    assert printed("divergence")["loss"] == "NaN"


def test_rosenbrock_is_descended_by_several_optimizers_on_branches():
    segments = [record for record in records("rosenbrock") if record["kind"] == "segment"]
    branches = [record for record in records("rosenbrock") if record["kind"] == "branch"]
    assert {"Adam", "RMSprop", "SGD", "Nadam"} <= {segment["optimizer"]["name"] for segment in segments}
    assert len(branches) >= 4


def test_the_regression_finds_what_least_squares_finds():
    data = np.loadtxt(FOLDER / "boiling.csv", delimiter=",", skiprows=1)
    design = np.column_stack([np.ones(len(data)), data[:, 0] - 203])
    (intercept, slope), *_ = np.linalg.lstsq(design, np.log(data[:, 1]), rcond=None)
    found = printed("regression")
    assert found["intercept"] == pytest.approx(intercept, abs=1e-5)
    assert found["slope/6"] == pytest.approx(slope, abs=1e-6)


def test_the_schedule_halves_the_rate_every_ten_updates():
    rates = [result["value"] for line, result in commands("schedule") if line == "print lr"]
    assert rates[:2] == pytest.approx([0.3 * 0.5, 0.3 * 0.5**4], rel=1e-6)


def test_the_edit_in_the_past_leaves_the_first_future_as_it_was():
    branches = {record["name"]: record for record in records("edit-in-the-past") if record["kind"] == "branch"}
    assert branches["main"]["stretches"][-1][1] == 78
    assert branches["b1"]["fork_step"] == 40
    rates = [result["value"] for line, result in commands("edit-in-the-past") if line == "print lr"]
    assert rates == [0.1, 1.0]


def test_the_tree_was_gone_about_in_and_tended():
    told = dict(commands("tree"))
    assert {"back", "forward", "checkpoint before", "restart before", "branch rename careful"} <= set(told)
    assert [branch["name"] for branch in told["info branches"]["branches"]] == ["main", "careful"]
    diff = told["diff main careful"]
    assert (diff["step"], diff["settings"]) == (11, [{"name": "lr", "a": "1.05", "b": "0.1"}])
    # from x = 3, ten steps of rate 0.1 and one of either rate
    losses = [(47 * 0.8**10 * factor) ** 2 for factor in (1 - 2 * 1.05, 1 - 2 * 0.1)]
    assert [diff["losses"][0][name] for name in ("a", "b")] == pytest.approx(losses, rel=1e-5)


def test_the_vector_problem_has_vectors_and_matrices():
    problems = [record for record in records("vector") if record["kind"] == "problem"]
    shapes = {np.shape(value) for problem in problems for value in problem["parameters"].values()}
    assert {(10,), (3, 4), (3,)} <= shapes


def variants(name: str) -> list[dict[str, dict]]:
    """The futures of each whatif of a session, by their labels."""
    found = [result["variants"] for _, result in commands(name) if result["type"] == "WhatIf"]
    return [{variant["label"]: variant for variant in each} for each in found]


def test_what_if_tries_rates_aside_and_keeps_one():
    # x - 50 is multiplied by 1 - 2*lr at each update: by 0.9, by 0.2, by -2
    start = (47 * 0.9**4) ** 2
    slow, broken, fast = (each[label] for each, label in zip(variants("what-if"), ("as it is", "lr 1.5", "lr 0.4")))
    assert slow["final_loss"] == pytest.approx(start * 0.9**40, rel=1e-4)
    assert fast["final_loss"] == pytest.approx(start * 0.2**40, abs=1e-9)
    overflow = next(k for k in range(200) if start * 4.0**k > float(np.finfo(np.float32).max))
    assert (broken["outcome"], broken["steps"], broken["diverged_at"]) == ("diverged", overflow, 4 + overflow)
    assert printed("what-if")["step"] == 4
    branches = {record["name"]: record for record in records("what-if") if record["kind"] == "branch"}
    assert (branches["faster"]["fork_step"], branches["main"]["stretches"][-1][1]) == (4, 24)


def test_the_race_has_four_rates_and_four_optimizers_which_are_branches():
    rates, optimizers = variants("race")
    assert [variant["outcome"] for variant in rates.values()] == [*["moving"] * 4, "diverged"]
    assert {variant["branch"] for variant in optimizers.values()} - {""} == {
        record["name"] for record in records("race") if record["kind"] == "branch"
    } - {"main"}
    assert optimizers["adam(0.1)"]["final_loss"] == printed("race")["loss"] < 0.05
    reached = optimizers["adam(0.1)"]["to_loss"]
    assert optimizers["sgd(0.001)"]["to_loss"] is None
    (segment,) = [r["id"] for r in records("race") if r["kind"] == "segment" and r["optimizer"]["name"] == "Adam"]
    losses = [
        loss for r in records("race") if r["kind"] == "points" and r["segment"] == segment for loss in r["columns"]["loss"]
    ]
    assert losses[reached - 1] <= 0.05 < min(losses[: reached - 1])


def refuse(word: str) -> None:
    raise AssertionError(f"a bare {word}, which JSON does not have")


def test_every_recorded_number_is_finite_or_says_what_it_is():
    for path in FOLDER.glob("*.gds"):
        for line in lines(path):
            json.loads(line, parse_constant=refuse)
    assert math.isnan(float(str(printed("divergence")["loss"])))
