"""Tending the tree: deleting frees what no other branch has, renaming loses nothing, and both can be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.places import MOST_PLACES, Places
from gdrepl.engine.problem import make_problem
from gdrepl.engine.tending import delete_branch, rename_branch
from gdrepl.engine.timeline import Position
from gdrepl.errors import CommandError

Start = Callable[..., Debugger]
SameBits = Callable[[Any, Any], None]


def tree(debugger: Debugger) -> dict[str, tuple[str | None, int, int]]:
    return {name: (each.parent, each.fork_step, each.end) for name, each in debugger.timeline.branches.items()}


def everything(debugger: Debugger) -> list[Any]:
    """All of the tree with every recorded row, and where we stand in it."""
    segments = debugger.timeline.segments()
    rows = [debugger.past.rows(each, each.start.step, each.last).tobytes() for each in segments]
    stretches = [[(s.segment.id, s.last) for s in branch.stretches] for branch in debugger.timeline.branches.values()]
    marks = [(item.id, item.name, item.position) for item in debugger.checkpoints]
    ends = [(each.id, each.last, each.tip.loss.tobytes()) for each in segments]
    return [tree(debugger), stretches, rows, ends, debugger.position, debugger.places, marks, debugger.timeline.first_free]


def held(debugger: Debugger) -> int:
    return sum(sum(segment.nbytes()) for segment in debugger.timeline.segments())


@pytest.fixture
def grown(start_debugger: Start) -> Debugger:
    """main to 30; b1 from 10 to 20 with another rate; b2 from 15 of b1 to 25; we stand on main at 30."""
    debugger = start_debugger(optimizer="adam")
    debugger.run(30)
    debugger.goto(10)
    debugger.set_learning_rate(0.25)
    debugger.run(10)
    debugger.goto(15)
    debugger.set_parameter("x", np.float32(7))
    debugger.run(10)
    debugger.goto(30, "main")
    return debugger


def test_what_left_a_deleted_branch_hangs_on_its_parent(grown: Debugger, assert_same_bits: SameBits) -> None:
    assert tree(grown) == {"main": (None, 0, 30), "b1": ("main", 10, 20), "b2": ("b1", 15, 25)}
    seen = {}
    for step in (0, 10, 12, 15, 25):
        grown.goto(step, "b2")
        seen[step] = grown.snapshot()
    delete_branch(grown, "b1")
    assert tree(grown) == {"main": (None, 0, 30), "b2": ("main", 10, 25)}
    for step, snapshot in seen.items():
        grown.goto(step, "b2")
        assert_same_bits(grown.snapshot(), snapshot)


def test_a_segment_that_others_have_in_part_is_cut_to_that_part(grown: Debugger, assert_same_bits: SameBits) -> None:
    grown.goto(15, "b2")
    whole, points = grown.timeline.points(), len(grown.columns(0, 25, "b2"))
    delete_branch(grown, "b1")
    assert grown.timeline.points() == whole - 5  # steps 16 to 20 of b1
    assert len(grown.columns(0, 25, "b2")) == points
    assert [segment.last for segment in grown.timeline.segments()] == [30, 15, 25]


def test_deleting_frees_memory(start_debugger: Start) -> None:
    debugger = start_debugger(make_problem("sum((w - 1)**2)", {"w": np.zeros(50)}))
    debugger.run(1000)
    before = held(debugger)
    debugger.fork("aside")
    debugger.run(100_000)
    debugger.goto(1100)
    debugger.fork("kept")
    debugger.run(50)
    grown = held(debugger)
    assert grown > 20 * before
    delete_branch(debugger, "aside")
    assert held(debugger) < 2 * before
    rows = [debugger.past.rows(each, each.start.step, each.last) for each in debugger.timeline.segments()]
    assert sum(each.nbytes for each in rows) <= held(debugger)
    assert [len(each) for each in rows] == [1001, 101, 51]


def test_a_branch_goes_on_from_where_it_was_cut(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger, straight = start_debugger(optimizer="adam"), start_debugger(optimizer="adam")
    debugger.run(10)
    debugger.fork("short")
    debugger.goto(10, "main")
    debugger.run(20)
    debugger.goto(10, "short")
    delete_branch(debugger, "main")
    assert tree(debugger) == {"short": (None, 0, 10)}
    debugger.run(15)
    straight.run(25)
    assert_same_bits(debugger.snapshot(), straight.snapshot())
    assert len(debugger.timeline.segments()) == 1


@pytest.mark.parametrize("name", ["b1", "b2"])
def test_deleting_is_undone_whole(grown: Debugger, name: str, assert_same_bits: SameBits) -> None:
    grown.places = grown.places.visit(Position("b1", 1, 12)).visit(Position("b2", 2, 15)).visit(grown.position)
    grown.checkpoints = grown.checkpoints.add("here", Position("b1", 1, 12)).add("there", Position("b2", 2, 15))
    before, undo = everything(grown), grown.undo()
    delete_branch(grown, name)
    assert everything(grown) != before
    undo()
    assert everything(grown) == before


def test_renaming_is_undone_whole(grown: Debugger) -> None:
    grown.checkpoints = grown.checkpoints.add("here", Position("b1", 1, 12))
    before, undo = everything(grown), grown.undo()
    rename_branch(grown, "b1", "careful")
    rename_branch(grown, "main", "trunk")
    undo()
    assert everything(grown) == before


def test_renaming_carries_over_all_that_speaks_of_the_branch(grown: Debugger) -> None:
    grown.goto(12, "b1")
    grown.places = grown.places.visit(grown.position)
    grown.checkpoints = grown.checkpoints.add("here", grown.position)
    rename_branch(grown, "b1", "careful")
    there = Position("careful", 1, 12)
    assert (grown.position, grown.places.current, grown.checkpoints.items[0].position) == (there, there, there)
    assert tree(grown) == {"main": (None, 0, 30), "careful": ("main", 10, 20), "b2": ("careful", 15, 25)}
    grown.run(1)
    assert grown.position.branch == "careful"


def test_the_places_and_checkpoints_of_a_deleted_branch_go_with_it(grown: Debugger) -> None:
    on_main = grown.position
    for position in (on_main, Position("b2", 2, 20), on_main, Position("b1", 1, 12), on_main):
        grown.places = grown.places.visit(position)
    grown.checkpoints = grown.checkpoints.add("gone", Position("b2", 2, 20)).add("kept", Position("b1", 1, 12))
    delete_branch(grown, "b2")
    assert grown.places.items == (Position("main", 0, 0), on_main, Position("b1", 1, 12), on_main)
    assert (grown.places.index, grown.checkpoints.names) == (3, ["kept"])


def test_the_branch_in_force_is_not_deleted(grown: Debugger) -> None:
    with pytest.raises(CommandError, match="main is the branch in force") as caught:
        delete_branch(grown, "main")
    assert caught.value.hint == "switch b1 leaves it first"


def test_what_a_deleted_root_left_hangs_together(grown: Debugger) -> None:
    grown.goto(5, "main")
    grown.fork("twig")
    delete_branch(grown, "main")
    assert tree(grown) == {"b1": (None, 0, 20), "b2": ("b1", 15, 25), "twig": ("b1", 5, 5)}


def test_a_run_from_step_0_does_not_hang_on_what_shares_nothing_with_it(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(5)
    debugger.restart()
    debugger.goto(3, "main")
    debugger.fork("twig")
    delete_branch(debugger, "main")
    assert tree(debugger) == {"b1": (None, 0, 0), "twig": (None, 0, 3)}


def test_a_deleted_name_comes_back_by_hand_only(grown: Debugger) -> None:
    delete_branch(grown, "b2")
    assert grown.fork() == "b3"
    assert grown.fork("b2") == "b2"
    assert grown.fork() == "b4"


# ------------------------------------------------------------------------------------------------ before an edit


def test_going_on_from_before_an_edit_leaves_it_out(start_debugger: Start, assert_same_bits: SameBits) -> None:
    debugger, straight = start_debugger(optimizer="adam"), start_debugger(optimizer="adam")
    debugger.run(10)
    before = debugger.position
    debugger.set_learning_rate(5.0)
    debugger.set_parameter("x", np.float32(7))
    debugger.run(10)
    debugger.stand(before)
    move = debugger.run(10)
    straight.run(20)
    assert_same_bits(debugger.snapshot(), straight.snapshot())
    assert move.notes == ("on branch b1, from before the edit at step 10 of main",)
    assert tree(debugger) == {"main": (None, 0, 20), "b1": ("main", 10, 20)}


def test_an_edit_before_an_edit_begins_a_branch(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(10)
    before = debugger.position
    debugger.set_learning_rate(0.25)
    debugger.stand(before)
    debugger.set_learning_rate(0.375)
    assert tree(debugger) == {"main": (None, 0, 10), "b1": ("main", 10, 10)}
    assert debugger.spec.learning_rate == 0.375


# -------------------------------------------------------------------------------------------------------- places


def at(step: int) -> Position:
    return Position("main", 0, step)


def test_places_go_back_and_forth_as_a_browser_does() -> None:
    places = Places((at(0),)).visit(at(5)).visit(at(5)).visit(at(2))
    assert places.items == (at(0), at(5), at(2))
    assert places.turned(-1).current == at(5)
    assert places.turned(-1).turned(1) == places
    assert places.turned(-9).current == at(0)
    assert places.turned(9) == places
    assert places.turned(-1).visit(at(7)).items == (at(0), at(5), at(7))


def test_places_are_limited_and_the_oldest_go_first() -> None:
    places = Places((at(0),))
    for step in range(1, 1000):
        places = places.visit(at(step))
    assert places.items == tuple(at(step) for step in range(1000 - MOST_PLACES, 1000))
    assert places.current == at(999)


def test_a_place_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="place 1 of 1"):
        Places((at(0),), 1)
