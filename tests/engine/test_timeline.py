"""The tree of all that was ever run: any step of it is reachable, with the same bits, and nothing of it is overwritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.engine.rows import Columns
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.engine.snapshot import Snapshot
from gdrepl.errors import CommandError

Start = Callable[..., Debugger]
SameBits = Callable[[Any, Any], None]


def bits(columns: Columns) -> list[bytes]:
    arrays = [columns.step, columns.loss, columns.learning_rate, *columns.parameters.values(), *columns.gradient.values()]
    return [array.tobytes() for array in arrays]


def singles(debugger: Debugger, count: int) -> list[Snapshot]:
    """The snapshots of this point and of `count` single steps from it."""
    return [debugger.snapshot(), *(debugger.run(1) and debugger.snapshot() for _ in range(count))]


def branches(debugger: Debugger) -> list[str]:
    return list(debugger.timeline.branches)


# --------------------------------------------------------------------------------------------- back and forth


def test_every_step_is_reached_again_bit_for_bit(
    start_debugger: Start, rosenbrock: Problem, assert_same_bits: SameBits
) -> None:
    debugger = start_debugger(rosenbrock, "rmsprop", {"momentum": 0.5}, 1e-3)
    seen = singles(debugger, 40)
    for step in (0, 40, 1, 39, 17, 17, 18, 0):
        debugger.goto(step)
        assert_same_bits(debugger.snapshot(), seen[step])
    assert branches(debugger) == ["main"]


def test_going_on_from_the_past_walks_the_recorded_future(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger = start_debugger(optimizer="adam")
    seen = singles(debugger, 30)
    before = bits(debugger.columns(0, 30))
    debugger.goto(10)
    assert debugger.run(15).taken == 15
    assert_same_bits(debugger.snapshot(), seen[25])
    debugger.run(10)  # five recorded steps and five new ones
    assert (debugger.step, debugger.branch.end, branches(debugger)) == (35, 35, ["main"])
    assert bits(debugger.columns(0, 30)) == before
    assert len(debugger.timeline.segments()) == 1


def test_going_back_stops_at_the_start_and_says_so(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(5)
    move = debugger.back(2)
    assert (move.taken, move.point.step, move.stops[0].kind) == (-2, 3, "count")
    move = debugger.back(9)
    assert (move.taken, move.point.step, move.stops[0].kind) == (-3, 0, "start")
    assert debugger.back(1).taken == 0


def test_a_breakpoint_holds_in_the_recorded_future_too(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(20)
    debugger.goto(2)
    debugger.stops = debugger.stops.add(debugger.condition("step == 8"))
    assert debugger.run(100).point.step == 8
    assert debugger.run(100).point.step == 108
    assert branches(debugger) == ["main"]


def test_a_step_that_is_not_there_is_refused_with_the_way_to_it(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(5)
    with pytest.raises(CommandError, match="branch main has steps 0 to 5, not 6") as caught:
        debugger.goto(6)
    assert caught.value.hint == "'advance 6' runs on to it"


def test_a_step_of_a_million_is_reached_and_gone_on_from_with_the_same_bits(
    start_debugger: Start, assert_same_bits: SameBits
) -> None:
    debugger = start_debugger(optimizer="adam", rate=0.01)
    debugger.run(777_776)
    before = singles(debugger, 4)
    debugger.run(1_000_000 - debugger.step)
    end = debugger.snapshot()
    debugger.goto(777_777)
    assert_same_bits(debugger.snapshot(), before[1])
    debugger.run(3)
    assert_same_bits(debugger.snapshot(), before[4])
    debugger.run(1_000_000 - debugger.step)
    assert_same_bits(debugger.snapshot(), end)
    assert len(debugger.columns(0, 10**9)) == 1_000_001


# ------------------------------------------------------------------------------------------------------ edits


def test_an_edit_at_the_end_goes_on_with_the_branch(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(5)
    debugger.set_parameter("x", np.float32(7), "set x 7")
    debugger.run(5)
    assert (branches(debugger), debugger.branch.end) == (["main"], 10)
    assert [segment.label for segment in debugger.timeline.segments()] == ["start", "set x 7"]


def test_an_edit_in_the_past_forks_and_the_old_future_is_kept(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(10)
    old = bits(debugger.columns(0, 10))
    debugger.goto(4)
    debugger.set_learning_rate(0.25, "set lr 0.25")
    debugger.run(3)
    assert (branches(debugger), debugger.position.branch) == (["main", "b1"], "b1")
    new = debugger.branch
    assert (new.parent, new.fork_step, new.end) == ("main", 4, 7)
    assert bits(debugger.columns(0, 10, "main")) == old
    assert bits(debugger.columns(0, 3)) == bits(debugger.columns(0, 3, "main"))
    debugger.goto(10, "main")
    assert debugger.spec.learning_rate == pytest.approx(0.1)
    assert debugger.run(1).point.step == 11


def test_going_back_across_edits_restores_what_was_in_force(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(3)
    debugger.set_learning_rate(0.25)
    debugger.run(3)
    debugger.set_hyperparameter("momentum", 0.5)
    debugger.run(3)
    debugger.set_optimizer(OptimizerSpec.make("adam", {}, 1.0))
    debugger.run(3)
    debugger.set_engine("graph")
    debugger.run(3)
    debugger.set_learning_rate(ScheduleSpec.make("exponential_decay", (0.1, 10, 0.5)))
    debugger.run(3)

    def in_force(step: int) -> tuple[object, ...]:
        debugger.goto(step)
        rate = debugger.spec.learning_rate
        return (debugger.spec.name, rate, debugger.spec.hyperparameters.get("momentum"), debugger.recipe.engine)

    wanted = {
        17: ("Adam", None, None, "graph"),
        15: ("Adam", None, None, "graph"),
        14: ("Adam", 1.0, None, "graph"),
        11: ("Adam", 1.0, None, "xla"),
        9: ("Adam", 1.0, None, "xla"),
        8: ("SGD", 0.25, 0.5, "xla"),
        6: ("SGD", 0.25, 0.5, "xla"),
        5: ("SGD", 0.25, 0.0, "xla"),
        2: ("SGD", 0.1, 0.0, "xla"),
        0: ("SGD", 0.1, 0.0, "xla"),
    }
    assert {step: in_force(step) for step in wanted} == wanted


def test_walking_across_every_kind_of_edit_gives_the_recorded_bits(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger = start_debugger()
    edits: list[Callable[[], object]] = [
        lambda: debugger.set_parameter("x", np.float32(7)),
        lambda: debugger.set_learning_rate(0.25),
        lambda: debugger.set_hyperparameter("momentum", 0.5),
        lambda: debugger.set_optimizer(OptimizerSpec.make("adam", {}, 1.0)),
        lambda: debugger.set_parameter("x", np.float32(-7)),
    ]
    seen: list[Snapshot] = []
    for edit in edits:
        seen += singles(debugger, 3)[:-1]
        edit()
    seen += singles(debugger, 3)
    for begin in (0, 3, 4, 8, 12):
        debugger.goto(begin)
        assert_same_bits(debugger.snapshot(), seen[begin])
        for step in range(begin + 1, 19):
            debugger.run(1)
            assert debugger.step == step
            if step % 3:  # at the step of an edit one arrives before it; the next step makes it
                assert_same_bits(debugger.snapshot(), seen[step])
        debugger.goto(begin)
        debugger.run(18 - begin)
        assert_same_bits(debugger.snapshot(), seen[18])
    assert branches(debugger) == ["main"]


def test_several_edits_at_one_step_are_all_kept_and_the_last_is_in_force(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(4)
    for value in (1, 2, 3):
        debugger.set_parameter("x", np.float32(value), f"set x {value}")
    debugger.set_learning_rate(0.25)
    assert len(debugger.timeline.segments()) == 5
    debugger.run(1)
    assert float(debugger.point().parameters["x"]) == pytest.approx(3 + 0.5 * 47)
    debugger.goto(0)
    debugger.run(5)
    assert float(debugger.point().parameters["x"]) == pytest.approx(3 + 0.5 * 47)
    assert float(debugger.goto(4).point.parameters["x"]) == 3
    columns = debugger.columns(0, 5)
    assert columns.step.tolist() == [0, 1, 2, 3, 4, 5]
    assert columns.parameters["x"][4] == 3


def test_an_edit_at_the_very_start_makes_no_branch(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.set_parameter("x", np.float32(30))
    debugger.set_learning_rate(0.25)
    debugger.run(2)
    assert debugger.columns(0, 2).parameters["x"].tolist() == [30, 40, 45]
    debugger.goto(0)
    assert float(debugger.point().parameters["x"]) == 30
    assert debugger.run(2).point.parameters["x"] == 45
    assert branches(debugger) == ["main"]


def test_walking_to_the_step_of_an_edit_stands_after_it_and_an_edit_there_forks(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(4)
    debugger.set_parameter("x", np.float32(7))
    debugger.run(2)
    debugger.goto(0)
    move = debugger.run(4)  # as goto(4) does
    assert float(move.point.parameters["x"]) == float(debugger.goto(4).point.parameters["x"]) == 7
    debugger.set_learning_rate(0.25)
    debugger.run(1)
    assert float(debugger.point().parameters["x"]) == pytest.approx(7 + 0.5 * (50 - 7), rel=1e-6)
    assert debugger.columns(4, 4).parameters["x"][0] == 7
    assert debugger.columns(3, 3).parameters["x"][0] == pytest.approx(50 - 50 * 0.8**3, rel=1e-6)
    assert debugger.timeline.branch("main").end == 6
    assert debugger.columns(4, 4, "main").parameters["x"][0] == 7
    assert float(debugger.goto(4, "main").point.parameters["x"]) == 7


def test_the_parents_end_is_reached_after_an_edit_in_its_past(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger = start_debugger(optimizer="adam")
    debugger.run(9)
    end = debugger.snapshot()
    debugger.goto(5)
    debugger.set_parameter("x", np.float32(1))
    debugger.goto(9, "main")
    assert_same_bits(debugger.snapshot(), end)
    debugger.run(2)
    assert (debugger.position.branch, debugger.branch.end) == ("main", 11)
    assert debugger.timeline.branch("b1").end == 5
    debugger.goto(5, "b1")
    assert float(debugger.point().parameters["x"]) == 1


# --------------------------------------------------------------------------------------------------- branches


def test_both_branches_of_a_fork_at_the_tip_go_their_own_way(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(5)
    assert debugger.fork("twin") == "twin"
    debugger.run(3)
    debugger.goto(5, "main")
    debugger.set_parameter("x", np.float32(0))
    debugger.run(4)
    debugger.goto(8, "twin")
    debugger.run(1)
    assert {name: branch.end for name, branch in debugger.timeline.branches.items()} == {"main": 9, "twin": 9}
    main, twin = debugger.columns(0, 9, "main"), debugger.columns(0, 9, "twin")
    assert main.parameters["x"][:5].tobytes() == twin.parameters["x"][:5].tobytes()
    assert main.parameters["x"][5:].tolist() == pytest.approx([50 - 50 * 0.8**k for k in range(5)])
    assert twin.parameters["x"].tolist() == pytest.approx([50 - 50 * 0.8**k for k in range(10)])


def test_twins_that_are_not_edited_agree_to_the_bit(
    start_debugger: Start, rosenbrock: Problem, assert_same_bits: SameBits
) -> None:
    debugger = start_debugger(rosenbrock, "adam", {}, 0.01)
    debugger.run(5)
    debugger.fork("twin")
    debugger.run(20)
    twin = debugger.snapshot()
    debugger.goto(5, "main")
    for _ in range(20):
        debugger.run(1)
    assert_same_bits(debugger.snapshot(), twin)
    assert bits(debugger.columns(0, 25, "main")) == bits(debugger.columns(0, 25, "twin"))


def test_a_branch_may_leave_at_step_0_and_in_the_past(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(10)
    debugger.goto(0)
    debugger.fork("anew")
    debugger.run(2)
    debugger.goto(6, "main")
    debugger.fork("late")
    assert debugger.branch.end == 6
    debugger.run(1)
    ends = {name: (branch.fork_step, branch.end) for name, branch in debugger.timeline.branches.items()}
    assert ends == {"main": (0, 10), "anew": (0, 2), "late": (6, 7)}
    assert bits(debugger.columns(0, 7)) == bits(debugger.columns(0, 7, "main"))


def test_a_branch_of_a_branch_of_a_branch_keeps_every_past(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger = start_debugger(hyperparameters={"momentum": 0.5})
    path = singles(debugger, 3)
    for value in (1, 2, 3):
        debugger.back(1)
        path.pop()
        debugger.set_parameter("x", np.float32(value))
        path[-1] = debugger.snapshot()
        path += singles(debugger, 3)[1:]
    assert branches(debugger) == ["main", "b1", "b2", "b3"]
    assert [debugger.timeline.branch(name).parent for name in ("b1", "b2", "b3")] == ["main", "b1", "b2"]
    for step in reversed(range(len(path))):
        assert_same_bits(debugger.goto(step) and debugger.snapshot(), path[step])
    debugger.run(len(path) - 1)
    assert_same_bits(debugger.snapshot(), path[-1])


def test_going_to_another_branch_brings_its_optimizer(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(5)
    debugger.goto(2)
    debugger.set_optimizer(OptimizerSpec.make("adam", {}, 1.0))
    debugger.run(5)
    debugger.goto(3, "main")
    assert (debugger.spec.name, debugger.position.branch) == ("SGD", "main")
    debugger.goto(3, "b1")
    assert debugger.spec.name == "Adam"


def test_a_name_taken_by_a_branch_is_refused(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.fork("twin")
    with pytest.raises(CommandError, match="there is a branch 'twin' already"):
        debugger.fork("twin")


def test_matrices_and_several_parameters_walk_the_same_way(start_debugger: Start, assert_same_bits: SameBits) -> None:
    problem = make_problem(
        "sum((W @ v - 1)**2) + b**2 + norm(u)", {"W": [[0.5, -1], [2, 0.25]], "v": [1, 2], "b": 3, "u": np.arange(70) / 70}
    )
    debugger = start_debugger(problem, "muon", {}, 0.01)
    seen = singles(debugger, 6)
    debugger.goto(2)
    debugger.run(4)
    assert_same_bits(debugger.snapshot(), seen[6])
    columns = debugger.columns(0, 6)
    assert (columns.parameters["W"].shape, columns.parameters["u"].shape, columns.norms) == ((7, 2, 2), (7,), {"u"})
    for step, snapshot in enumerate(seen):
        assert columns.parameters["W"][step].tobytes() == snapshot.parameters["W"].tobytes()
        norm = np.sqrt(np.square(snapshot.parameters["u"].astype(np.float64)).sum())
        assert columns.parameters["u"][step] == pytest.approx(norm, rel=1e-6)
        assert debugger.snapshot_at(step).parameters["u"].tobytes() == snapshot.parameters["u"].tobytes()  # whole when asked


def test_columns_cover_each_step_once_whatever_range_is_asked(start_debugger: Start) -> None:
    debugger = start_debugger()
    for value in range(5):
        debugger.run(3)
        debugger.set_parameter("x", np.float32(value))
    whole = debugger.columns(0, 15)
    assert whole.step.tolist() == list(range(16))
    for first in range(16):
        for last in range(first, 18):
            part = debugger.columns(first, last)
            assert part.step.tolist() == list(range(first, min(last, 15) + 1))
            assert part.loss.tobytes() == whole.loss[first : last + 1].tobytes()
    assert len(debugger.columns(16, 20)) == 0


def test_asking_for_another_step_leaves_us_where_we_are(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(9)
    debugger.goto(4)
    here, position = debugger.snapshot(), debugger.position
    debugger.snapshot_at(7)
    debugger.columns(0, 9)
    assert debugger.snapshot() is here
    assert debugger.position == position


def test_a_point_counts_once_however_many_branches_and_edits_it_has(start_debugger: Any) -> None:
    debugger = start_debugger()
    debugger.run(10)
    assert debugger.timeline.points() == 11
    debugger.set_learning_rate(0.2)
    debugger.set_learning_rate(0.3)
    assert debugger.timeline.points() == 11
    debugger.goto(5)
    debugger.fork("twin")
    debugger.set_learning_rate(0.05)
    debugger.run(4)
    assert debugger.timeline.points() == 15
    debugger.restart()  # a step 0 of its own
    debugger.run(2)
    assert debugger.timeline.points() == 18


def test_what_several_commands_did_can_be_undone(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger = start_debugger(optimizer="adam")
    debugger.run(5)
    debugger.goto(2)
    before, seen, points = debugger.snapshot(), bits(debugger.columns(0, 5)), debugger.timeline.points()
    undo = debugger.undo()
    debugger.restart()
    debugger.run(3)
    debugger.goto(5, "main")
    debugger.run(4)
    debugger.set_learning_rate(0.5)
    debugger.run(1)
    undo()
    assert (branches(debugger), debugger.step, debugger.branch.end, debugger.timeline.points()) == (["main"], 2, 5, points)
    assert_same_bits(debugger.snapshot(), before)
    assert bits(debugger.columns(0, 5)) == seen
    debugger.run(6)
    assert (branches(debugger), debugger.branch.end) == (["main"], 8)


def test_setting_the_engine_that_is_in_force_is_no_event(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(4)
    debugger.goto(2)
    debugger.set_engine(debugger.recipe.engine)
    assert (branches(debugger), debugger.position.index) == (["main"], 0)


def test_a_comparison_of_bits_notices_one_bit(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger = start_debugger(optimizer="adam")
    debugger.run(3)
    here = debugger.snapshot()
    assert_same_bits(here, replace(here))
    for name in ("loss", "learning_rate"):
        value = np.nextafter(getattr(here, name), np.float32(np.inf))
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            assert_same_bits(replace(here, **{name: value}), here)
    for place, slot in enumerate(here.slots):
        slots = [*here.slots]
        slots[place] = (slot + 1).astype(slot.dtype)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            assert_same_bits(replace(here, slots=tuple(slots)), here)
