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
    grown = next(k for k in range(200) if start * 4.0**k > 10 * start > 47.0**2)
    assert (broken["outcome"], broken["steps"], broken["diverged_at"]) == ("diverged", overflow, 4 + grown)
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


def adam(rate: float, updates: int) -> np.ndarray:
    """x after 0, 1 ... updates of Adam from 3 on (x - 50)**2, in float64."""
    x, m, v, path = 3.0, 0.0, 0.0, [3.0]
    for k in range(1, updates + 1):
        gradient = 2 * (x - 50)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        x -= rate * math.sqrt(1 - 0.999**k) / (1 - 0.9**k) * m / (math.sqrt(v) + 1e-7)
        path.append(x)
    return np.array(path)


def runs(name: str) -> list[dict]:
    """What each command that ran or moved came to."""
    return [result for _, result in commands(name) if result["type"] == "Stepped"]


def stopped_by(result: dict) -> list[tuple[str, object]]:
    return [(stop["kind"], stop["id"]) for stop in result["stops"]]


def test_each_stop_ends_a_run_where_what_it_asks_first_holds():
    path = adam(1.0, 140)
    losses = (path - 50) ** 2
    low = np.flatnonzero(losses < 100)
    far = int(np.argmax(path - 3 >= 20))
    sign = int(np.argmax(path > 50))
    lower = np.flatnonzero(losses < 1e-4)
    assert [(run["point"]["step"], stopped_by(run)) for run in runs("stops")] == [
        (5, [("breakpoint", 4)]),
        (far, [("watchpoint", 3)]),
        (low[1], [("breakpoint", 1)]),  # the first hit is let pass
        (low[2], [("breakpoint", 1)]),
        (sign, [("breakpoint", 1), ("watchpoint", 2)]),
        (lower[lower > sign][0], [("breakpoint", 1)]),
    ]
    told = [result["value"] for line, result in commands("stops") if line == "print step"]
    assert told == [low[1], low[2], sign, lower[lower > sign][0]]


def test_the_stops_count_their_hits_and_the_one_for_once_is_off():
    first, last = ({stop["id"]: stop for stop in result["stops"]} for line, result in commands("stops") if line == "info break")
    assert {number: (stop["enabled"], stop["hits"]) for number, stop in first.items()} == {
        1: (True, 4), 2: (False, 1), 3: (False, 1)
    }  # fmt: skip
    assert {number: (stop["enabled"], stop["hits"]) for number, stop in last.items()} == {1: (True, 5), 2: (True, 1)}
    assert last[2]["text"] == "sign(x - 50) if loss > 0.2"


def test_the_events_fire_where_the_closed_form_has_them():
    # x - 50 is multiplied by 1 - 2*lr: the loss by 1.96 at the rate of 1.2, by 0.04 at 0.4
    losses = 2209 * 1.96 ** np.arange(200.0)
    overflow = int(np.argmax(losses > np.finfo(np.float32).max))
    steep = next(k for k in range(200) if 94 * 1.4**k > 1e6)
    # clipped at 50 the steps are of 60 at most, and turn back at every update from the second
    steps, x = [], 3.0
    for _ in range(10):
        steps.append(-1.2 * float(np.clip(2 * (x - 50), -50, 50)))
        x += steps[-1]
    turns = np.cumsum(np.sign(steps[1:]) != np.sign(steps[:-1]))
    converged = next(k for k in range(100) if 94 * 0.2**k <= 1e-4)
    fired = [(run["point"]["step"], stop["id"]) for run in runs("events") for stop in run["stops"] if stop["kind"] == "event"]
    assert fired == [
        (1, "overshoot"),
        (steep, "explosion"),
        (overflow, "non-finite"),
        (1, "clip"),
        (int(np.argmax(turns == 6)) + 2, "oscillation"),
        (converged, "convergence"),
    ]


def test_the_evidence_of_an_event_is_what_it_saw():
    (seen,) = [stop["evidence"] for run in runs("events") for stop in run["stops"] if stop["id"] == "overshoot"]
    assert (seen["first"], seen["last"]) == (0, 1)
    assert seen["numbers"]["rose by"] == pytest.approx(2209 * 0.96, rel=1e-6)
    (seen,) = [stop["evidence"] for run in runs("events") for stop in run["stops"] if stop["id"] == "clip"]
    assert seen["numbers"]["norm(grad) used"] == 94


def test_time_goes_back_to_where_the_sign_changed_and_to_the_start_and_keeps_both_futures():
    crossing = int(np.argmax(adam(1.0, 100) > 50))
    ran = [(line, result["point"]["step"]) for line, result in commands("time") if result["type"] == "Stepped"]
    assert ran == [
        ("step 100", crossing),
        ("step 20", crossing + 20),
        ("reverse-step 5", crossing + 15),
        ("reverse-continue", crossing),
        ("reverse-continue", 0),
        ("back", crossing),
        ("back", crossing + 15),
        ("forward", crossing),
        ("goto 12", 12),
        ("step 5", 17),
        ("goto crossing", crossing),
        ("goto main", crossing + 20),
        ("goto min", int(np.argmin((adam(1.0, crossing + 20) - 50) ** 2))),
        ("goto b1", 17),
        ("restart 1", crossing),
        ("goto start", 0),
        ("reverse-step", 0),
        ("goto end", crossing + 20),
    ]
    branches = {record["name"]: record for record in records("time") if record["kind"] == "branch"}
    assert (branches["main"]["stretches"][-1][1], branches["b1"]["fork_step"]) == (crossing + 20, 12)


def test_a_step_has_the_same_bits_however_it_is_reached():
    points: dict[tuple[int, float], set[str]] = {}
    for run in runs("time"):
        point = run["point"]
        points.setdefault((point["step"], point["learning_rate"]), set()).add(json.dumps(point, sort_keys=True))
    assert {key: len(found) for key, found in points.items()} == dict.fromkeys(points, 1)
    assert len(points) < len(runs("time"))


def test_hindsight_has_values_that_nobody_recorded():
    # x - 3 is multiplied by 0.75 at each update
    asked = printed("hindsight")
    path = 3 + 8 * 0.75 ** np.arange(21.0)
    losses = (path - 3) ** 2 / 4
    assert asked["x at 5"] == path[5]
    assert asked["loss"] == pytest.approx(losses[::5], rel=1e-5)
    assert asked["update(x)"] == list(np.diff(path)[:4])
    assert (asked["$[4] / $last"], asked["$$2"]) == (1, 1)
    assert asked["$1 - $$2[1]"] == pytest.approx(path[5] - losses[5], rel=1e-6)


def test_the_displays_show_the_gradient_at_every_stop():
    shown = [
        (run["point"]["step"], {each["expression"]: each["value"] for each in run["displays"]}) for run in runs("hindsight")
    ]
    for step, values in shown:
        assert values["norm(grad)"] == pytest.approx(8 * 0.75**step / 2, rel=1e-4)
        assert values.get("sign(x)", 1) == 1
    assert "sign(x)" in shown[0][1]
    assert "sign(x)" not in shown[-1][1]


def test_a_script_made_a_command_and_an_alias_that_are_recorded_as_what_they_stand_for():
    lines = [line for line, _ in commands("scripts")]
    assert {"set lr 0.25", "step 1", "step 2", "until loss < 1e-3"} <= set(lines)
    assert not any(line.startswith(("rate", "after", "low", "source")) for line in lines)
    # the distance from 50 is halved at each update
    travelled = [result["value"] for line, result in commands("scripts") if line == "print x - $start"]
    assert travelled == [47 * (1 - 0.5**k) for k in (1, 3)]
    reached = next(k for k in range(100) if (47 * 0.5**k) ** 2 < 1e-3)
    assert runs("scripts")[-1]["point"]["step"] == reached


def test_each_update_explained_follows_from_its_terms():
    explained = [result for _, result in commands("explained") if result["type"] == "Explained"]
    assert [(result["step"], result["coming"]) for result in explained[:2]] == [(0, True), (11, False)]
    for result in explained:
        for name in result["coordinates"]:
            terms = {term["name"]: term for term in result["terms"] if term.get("parameter") == name}
            before, carried = terms["parameter"]["before"], 0.9 * terms["momentum"]["before"]
            gradient = 2 * (before - 50) if name == "x" else 20 * before
            assert terms["gradient"]["value"] == pytest.approx(gradient, rel=1e-5)
            moved = carried - 0.05 * np.clip(gradient, -20, 20)  # the norm of one number is its size
            assert terms["parameter"]["value"] == pytest.approx(before + moved, rel=1e-5, abs=1e-5)


def test_the_landscape_has_a_range_test_and_slices_of_rosenbrock():
    told = dict(commands("landscape"))
    rates, x = np.geomspace(1e-6, 10, 100), np.array([-1.2, 1.0])
    losses = []
    for rate in rates:  # by gradient descent, each update at the next rate
        slope = np.array([-2 * (1 - x[0]) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)])
        x = x - rate * slope
        losses.append((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)
        if losses[-1] > 4 * min([24.2, *losses]):
            break
    assert told["lrfind"]["losses"] == pytest.approx(losses, rel=1e-6)
    assert told["lrfind"]["diverged_at"] == pytest.approx(rates[len(losses) - 1])
    (body,) = [record for record in records("landscape") if record["kind"] == "points"]
    ahead = told["slice update from -1 to 3"]
    assert ahead["losses"][0] == pytest.approx(body["columns"]["loss"][28], rel=1e-6)
    assert ahead["losses"][51] == pytest.approx(body["columns"]["loss"][29], rel=1e-6)
    assert np.shape(told["slice v1 vmin"]["losses"]) == (41, 41)


def test_looking_finds_the_gradient_right_and_a_kink_wherever_a_number_stands_at_0():
    x, y = np.array([[1, 2, 0], [0, 1, 1], [2, 0, -1], [1, 1, 1.0]]), np.array([1, 2, -1, 0.5])
    w, b = np.array([0.5, -1, 0]), 0.25
    for _ in range(3):
        w, b = w - 0.05 * (x.T @ (x @ w - y) / 2 + 0.1 * np.sign(w)), b - 0.05 * np.sign(b)
    (looked,) = [result["values"] for line, result in commands("looking") if line == "x w"]
    assert looked == pytest.approx(w)
    checks = [(result["ok"], result["kinks"], result["checked"]) for line, result in commands("looking") if "check" in line]
    assert checks == [(True, ["w[2]"], 4), (True, ["b"], 4), (True, [], 1)]


def refuse(word: str) -> None:
    raise AssertionError(f"a bare {word}, which JSON does not have")


def test_every_recorded_number_is_finite_or_says_what_it_is():
    for path in FOLDER.glob("*.gds"):
        for line in lines(path):
            json.loads(line, parse_constant=refuse)
    assert math.isnan(float(str(printed("divergence")["loss"])))


def test_the_chain_is_walked_down_and_the_logarithm_below_0_is_found_and_cured():
    # 10 x - log(x) + (y - x)**2 from (3, -1) by plain descent of rate 0.04, in float64
    path = [(3.0, -1.0)]
    while path[-1][0] > 0:
        x, y = path[-1]
        path.append((x - 0.04 * (10 - 1 / x - 2 * (y - x)), y - 0.04 * 2 * (y - x)))
    told = dict(commands("chain"))
    paths = [frame["gradient"] for frame in told["backtrace"]["frames"] if frame["expression"] == "x"]
    assert paths == pytest.approx([10, -1 / 3, 8], rel=1e-6)
    found = next(result for line, result in commands("chain") if line == "why")
    assert (found["step"], found["operation"], found["expression"]) == (len(path) - 1, "log", "log(x)")
    assert found["inputs"]["x"] == pytest.approx(path[-1][0], rel=1e-4)
    wanted = np.linalg.norm(np.diff(np.array(path), axis=0), axis=1)[-5:]
    assert found["updates"] == pytest.approx(wanted, rel=1e-4)
    # the second derivatives are [[1/x**2 + 2, -2], [-2, 2]]
    x = path[-2][0]
    highest = np.linalg.eigvalsh([[1 / x**2 + 2, -2], [-2, 2]])[-1]
    assert found["limit"] == pytest.approx(2 / highest, rel=1e-4)
    assert runs("chain")[-1]["point"]["parameters"]["x"] == pytest.approx(0.0975, abs=1e-3)


def test_the_curvature_of_a_double_well_is_that_of_its_formula_at_the_saddle_and_in_the_well():
    hessians = [result for _, result in commands("curvature") if result["type"] == "Hessian"]
    assert [result["kind"] for result in hessians] == ["saddle", "minimum"]
    assert hessians[0]["eigenvalues"] == [4.0, -1.0]  # 4 along y, 3x^2 - 1 along x
    assert hessians[0]["escape"][0]["coordinates"] == {"x": 1.0}
    np.testing.assert_allclose(hessians[1]["eigenvalues"], [4.0, 2.0], rtol=1e-5)


def test_in_the_well_a_rate_above_half_a_quarter_of_the_curvature_is_above_the_limit_and_diverges():
    limits = [result for _, result in commands("curvature") if result["type"] == "RateLimit"]
    assert [round(result["ratio"], 3) for result in limits[:3]] == [0.9, 0.9, 1.2]
    assert all(math.isclose(result["limit"], 2 / 4, rel_tol=1e-6) for result in limits[:3])
    assert limits[3]["rule"].startswith("2(1+b)/lambda")
    assert math.isclose(limits[3]["limit"], 2 * 1.5 / 4, rel_tol=1e-3)
    assert printed("curvature")["abs(y)"] > 1e-3


def changes_of(name: str) -> list[dict[str, tuple[object, object]]]:
    """What each phase of a session made, in order: (before, after) by name."""
    made = [one for _, result in commands(name) if result["type"] == "Phased" for one in result["made"]]
    return [{each["name"]: (each["before"], each["after"]) for each in one["changes"]} for one in made]


def test_an_update_by_its_phases_has_the_numbers_of_the_closed_form():
    # -94 is clipped to -10; x is 3 less a half of a half of it; half of no momentum and half of 10; and the sum
    assert changes_of("phases")[:6] == [
        {"loss": (None, 2209), "x-50": (None, -47)},
        {"grad(x)": (None, -94)},
        {"grad(x)": (-94, -10)},
        {"x": (3, 2.25)},
        {"slot.momentum(x)": (0, 5)},
        {"x": (2.25, 7.25)},
    ]
    assert printed("phases") == {"grad": -10, "x": 2.25, "slot.momentum(x)": 5, "update(x)": 4.25}
    assert next(run["point"]["parameters"]["x"] for run in runs("phases")) == 7.25  # finish


def test_an_update_is_given_up_gathered_and_left_half_done():
    told = [note for _, result in commands("phases") for note in result.get("notes", ())]
    assert "the update from step 1, begun up to clip, is given up" in told
    assert {"slot.gradient_accumulator(x)": (0, -77.3125)} in changes_of("phases")
    (state,) = [record for record in records("phases") if record["kind"] == "state"]
    assert (state["branch"], state["step"], state["phase"]) == ("inside", 4, 4)
