"""Places visited, checkpoints, and the steps that have names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving import PROGRAMS, contents, do, error_of, hill, without_checks

from gdrepl.commands.replaying import replay_file
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup


@pytest.fixture
def session() -> Session:
    """Without compiling."""
    return hill(engine="eager")


def place(stepped: dict[str, Any]) -> tuple[str, int, float]:
    return stepped["branch"], stepped["point"]["step"], stepped["point"]["learning_rate"]


def stops(stepped: dict[str, Any]) -> list[tuple[str, str]]:
    return [(stop["kind"], stop["text"]) for stop in stepped["stops"]]


def reloaded(session: Session) -> Session:
    do(session, "save there")
    other = Session(Setup(), PROGRAMS)
    do(other, "load there")
    assert contents(other) == contents(session)
    return other


# --- back and forward ---------------------------------------------------------------------------------------------------

LIVE_AND_LOADED = pytest.mark.parametrize("again", [lambda session: session, reloaded], ids=["live", "loaded"])


@LIVE_AND_LOADED
def test_back_and_forward_go_through_the_places_visited(
    again: Callable[[Session], Session], session: Session, folder: Path
) -> None:
    do(session, "step 10", "set lr 0.5", "step 2", "goto 4", "set lr 0.25", "step 3", "print x", "info branches", "run 2")
    walk = [("b1", 7, 0.25), ("b1", 4, 0.25), ("main", 4, 0.1), ("main", 12, 0.5), ("main", 10, 0.5), ("main", 10, 0.1)]
    session = again(session)
    assert [place(do(session, "back")) for _ in walk] == walk
    assert place(do(session, "back")) == ("main", 0, 0.1)
    there = [place(do(session, "forward")) for _ in walk]
    assert there == list(reversed(walk))
    assert place(do(session, "forward")) == ("b2", 2, 0.25)


def test_the_ends_of_the_places_are_told_and_nothing_moves(session: Session) -> None:
    do(session, "step 3")
    assert stops(do(session, "back")) == [("count", "1 place")]
    end = do(session, "back")
    assert (stops(end), end["taken"], place(end)) == ([("start", "the first place visited")], 0, ("main", 0, 0.1))
    assert stops(do(session, "forward 5")) == [("end", "the last place visited")]
    assert stops(do(session, "forward")) == [("end", "the last place visited")]
    assert place(do(session, "info branches ;; step 1")) == ("main", 4, 0.1)


def test_a_new_move_after_back_forgets_what_lay_ahead(session: Session) -> None:
    do(session, "step 5", "step 5", "back", "reverse-step 2")
    assert stops(do(session, "forward")) == [("end", "the last place visited")]
    assert [do(session, "back")["point"]["step"] for _ in range(2)] == [5, 0]


def test_asking_and_failing_visit_nothing(session: Session) -> None:
    do(session, "step 5", "history", "break if loss < 0", "set max-steps 10", "goto 5")
    error_of(session, "goto 77")
    assert do(session, "back")["point"]["step"] == 0


def test_neither_end_of_the_timeline_exits(session: Session) -> None:
    do(session, "step 3")
    back = do(session, "reverse-step 99")
    assert (back["point"]["step"], stops(back)) == (0, [("start", "the start")])
    assert do(session, "reverse-step")["taken"] == 0
    assert stops(do(session, "goto end")) == [("end", "the end of main")]
    assert do(session, "step")["point"]["step"] == 4


# --- checkpoints --------------------------------------------------------------------------------------------------------


@LIVE_AND_LOADED
def test_a_checkpoint_is_come_back_to_bit_for_bit(again: Callable[[Session], Session], folder: Path) -> None:
    session = hill(optimizer="adam", engine="eager")
    do(session, "step 7", "checkpoint")
    then = do(session, "info optimizer"), do(session, "print x")["value"]
    do(session, "checkpoint before-lr", "set lr 1.5", "step 20", "branch other", "set x 1", "step 5")
    session = again(session)
    for word in ("1", "cp1", "before-lr", "2"):
        back = do(session, f"restart {word}")
        assert (place(back)[:2], back["came_from"]) == (("main", 7), "other")
        assert (do(session, "info optimizer"), do(session, "print x")["value"]) == then
        do(session, "switch other")
    assert place(do(session, "goto cp1"))[:2] == ("main", 7)


def test_a_checkpoint_survives_a_history_that_keeps_nothing() -> None:
    session = Session(Setup("sum((w - 1)**2)", {"w": "zeros(2000)"}, optimizer="adam", engine="eager"))
    do(session, "step 5", "checkpoint here")
    wanted = do(session, "print w")["value"]
    session.debugger.timeline.limit_bytes = 1
    do(session, "step 5", "set lr 0.5", "step 5")
    do(session, "restart here")
    assert do(session, "print w")["value"] == wanted


def test_the_memory_of_checkpoints_counts_into_the_limit_of_the_history() -> None:
    session = Session(Setup("sum((w - 1)**2)", {"w": "zeros(20_000)"}, optimizer="sgd", engine="eager"))
    bare = facts(session)
    wanted = []
    for _ in range(8):
        do(session, "step", "checkpoint")
        wanted.append(session.debugger.snapshot())
    assert facts(session)["history in use (MB)"] - bare["history in use (MB)"] >= 8 * 2 * 20_000 * 4 / 2**20  # w and grad
    do(session, "set history-limit 1")
    assert facts(session)["history in use (MB)"] <= 1
    for id, snapshot in enumerate(wanted, 1):
        do(session, f"restart {id}")
        assert session.debugger.snapshot().same_as(snapshot)
        assert facts(session)["history in use (MB)"] <= 1


def facts(session: Session) -> dict[str, Any]:
    return do(session, "info session")["facts"]


def test_going_on_from_a_checkpoint_does_not_make_the_edit_that_followed(session: Session) -> None:
    do(session, "step 3", "checkpoint", "set lr 0.5", "step 2", "restart cp1")
    on = do(session, "step 2")
    assert (on["branch"], on["notes"]) == ("b1", ["on branch b1, from before the edit at step 3 of main"])
    assert on["point"]["parameters"]["x"] == pytest.approx(50 - 47 * 0.8**5, rel=1e-6)
    assert do(session, "info branches")["branches"][0]["end"] == 5


def test_checkpoints_are_listed_and_deleted(session: Session) -> None:
    do(session, "step 3")
    made = do(session, "checkpoint")
    assert made == {"type": "CheckpointMade", "id": 1, "name": "cp1", "branch": "main", "step": 3}
    do(session, "set lr 0.5", "checkpoint second", "checkpoint")
    listed = do(session, "info checkpoints")["checkpoints"]
    assert [(each["id"], each["name"], each["current"]) for each in listed] == [
        (1, "cp1", False),
        (2, "second", True),
        (3, "cp3", True),
    ]
    assert [each["loss"] for each in listed] == pytest.approx([(47 * 0.8**3) ** 2] * 3, rel=1e-6)
    assert do(session, "delete checkpoint second 1")["text"] == "2 checkpoints deleted"
    assert do(session, "delete checkpoint 3")["text"] == "1 checkpoint deleted"
    assert do(session, "info checkpoints")["checkpoints"] == []
    assert do(session, "checkpoint")["name"] == "cp4"


def test_delete_still_deletes_breakpoints(session: Session) -> None:
    do(session, "break if loss < 1", "break if loss < 2", "checkpoint", "delete 1")
    assert [each["id"] for each in do(session, "info break")["stops"]] == [2]
    do(session, "delete --yes")
    assert do(session, "info break")["stops"] == []
    assert len(do(session, "info checkpoints")["checkpoints"]) == 1


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("restart", "restart needs", "for example restart 1"),
        ("restart 9", "there is no checkpoint '9'", "checkpoints: 1 here"),
        ("restart heer", "there is no checkpoint 'heer'", "did you mean 'here'?"),
        ("checkpoint here", "there is a checkpoint 'here' already", "goto here goes to it; give another name"),
        ("checkpoint twig", "there is a branch 'twig' already", "goto twig goes to it; give another name"),
        ("checkpoint min", "'min' cannot be the name of a checkpoint", "begin with a letter"),
        ("checkpoint 7", "'7' cannot be the name of a checkpoint", "begin with a letter"),
        ("checkpoint b7", "'b7' cannot be the name of a checkpoint", "branches are called so"),
        ("checkpoint two words", "checkpoint does not take 'words'", "two-words"),
        ("checkpoint delete 1", "checkpoint only makes one", "delete checkpoint 1 deletes it"),
        ("delete checkpoint", "delete checkpoint needs an ID", "delete checkpoint 1"),
        ("delete checkpoint 1 9", "there is no checkpoint '9'", "checkpoints: 1 here"),
        ("branch here", "there is a checkpoint 'here' already", "give another name"),
        ("branch min", "'min' cannot be the name of a branch", "goto would take it for a step"),
        ("back 0", "'0' is not a number of places", "whole number"),
        ("goto mim", "'mim' is neither a step nor a branch", "did you mean 'min'?"),
    ],
)
def test_slips_are_told_and_change_nothing(session: Session, line: str, message: str, hint: str) -> None:
    do(session, "step 2", "checkpoint here", "branch twig")
    before = contents(session)
    error = error_of(session, line)
    assert error.message.startswith(message)
    assert hint in error.hint
    assert contents(session) == before


def test_a_name_that_a_branch_took_is_passed_over(session: Session) -> None:
    do(session, "branch cp1")
    assert do(session, "checkpoint")["name"] == "cp2"
    assert do(session, "checkpoint")["name"] == "cp3"


@pytest.mark.parametrize("line", ["problem sphere dim=2", "loss (x - 1)**2", "var x = 7", "set dtype float64"])
def test_what_was_marked_or_branched_off_before_the_first_step_is_kept(session: Session, folder: Path, line: str) -> None:
    do(session, "checkpoint here", "branch twig", line)
    assert session.debugger.position.branch == "b1"
    assert [each["name"] for each in do(session, "info checkpoints")["checkpoints"]] == ["here"]
    assert place(do(session, "back"))[0] == "twig"
    assert place(do(session, "restart here"))[0] == "main"
    assert do(session, "print x")["value"] == 3.0
    assert session.debugger.problem.loss.text == "(x-50)**2"
    assert do(reloaded(session), "checkpoint")["id"] == 2
    assert replay_file(folder / "there.gds").mismatches == ()


@pytest.mark.parametrize("lines", [("branch twig",), ("branch rename twig",), ("checkpoint here",)])
def test_each_of_them_alone_is_kept_too(session: Session, lines: tuple[str, ...]) -> None:
    do(session, *lines, "loss (x - 1)**2")
    assert do(session, f"goto {lines[0].split()[-1]}")["point"]["loss"] == 47**2


def test_no_number_is_given_twice_though_another_problem_takes_the_place_of_one_on_which_nothing_was_done(
    session: Session,
) -> None:
    do(session, "checkpoint", "branch", "goto main", "branch delete b1 --yes", "delete checkpoint 1", "problem sphere dim=2")
    assert session.debugger.position.branch == "main"
    assert do(session, "back")["taken"] == 0
    assert do(session, "checkpoint")["id"] == 2
    assert do(session, "branch")["text"] == "on branch b2 from step 0"


# --- min ----------------------------------------------------------------------------------------------------------------


def test_goto_min_is_the_first_of_the_lowest_losses(session: Session) -> None:
    do(session, "step 8", "set lr 1.5", "step 3", "branch twig", "set x 50", "step 4", "goto main:3")
    assert place(do(session, "goto min"))[:2] == ("main", 8)
    assert place(do(session, "goto twig:min"))[:2] == ("twig", 11)  # x is 50 at each step from there on
    assert stops(do(session, "goto main:min ;; goto min")) == [("count", "step 8")]


def test_goto_min_passes_over_what_is_not_finite() -> None:
    session = Session(Setup("log(x)", {"x": "3.0"}, optimizer="sgd", rate="1.5", engine="eager"))
    do(session, "step 20")
    losses = np.array([np.nan if isinstance(loss, str) else loss for loss in do(session, "history 0:20")["points"]["loss"]])
    assert np.isnan(losses).any()
    assert do(session, "goto min")["point"]["step"] == int(np.nanargmin(losses))


def test_goto_min_of_nothing_finite_is_told() -> None:
    session = Session(Setup("log(x)", {"x": "-3.0"}, optimizer="sgd", rate="0.1", engine="eager"))
    assert error_of(session, "goto min").message == "no loss of branch main is finite"


# --- files --------------------------------------------------------------------------------------------------------------


def test_places_and_checkpoints_are_replayed(session: Session, folder: Path) -> None:
    do(session, "step 5", "checkpoint", "set lr 0.5", "step 5", "back 2", "step 3", "checkpoint late", "restart cp1", "forward")
    do(session, "goto min", "delete checkpoint cp1", "save there")
    assert replay_file(folder / "there.gds").status == "match"


def test_a_file_of_before_there_were_places_is_gone_on_from_and_replayed(folder: Path) -> None:
    old = (Path(__file__).parents[1] / "data" / "v1-full.gds").resolve()
    (folder / "v1-points.csv").write_bytes(old.with_name("v1-points.csv").read_bytes())
    session = Session(Setup(), PROGRAMS)
    do(session, f"load {old}", "step 2", "back", "step 1", "save there")
    assert '"kind":"places"' not in (folder / "there.gds").read_text(encoding="utf-8")
    assert replay_file(folder / "there.gds").status == "match"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"name":"here","position"', '"name":"end","position"', "'end' cannot be the name of a checkpoint"),
        ('"name":"here","position"', '"name":"main","position"', "'main' cannot be the name of a checkpoint"),
        ('"position":["main",0,2]', '"position":["main",0,77]', "branch main has no step 77 there"),
        ('"position":["main",0,2]', '"position":["gone",0,2]', "lacks 'gone'"),
        ('"position":["main",0,2]', '"position":["main",-1,2]', "-1 is not a whole number"),
        ('"position":["main",0,2]', '"position":7', "not in order"),
        ('"next_checkpoint":2', '"next_checkpoint":1', "checkpoint 1 is out of its turn"),
        ('"first_free_branch":2', '"first_free_branch":"b"', "'b' is not a whole number"),
        ('"visited":[["main",0,0],', '"visited":[["main",0,99],', "branch main has no step 99 there"),
        ('"visited":[["main",0,0],', '"visited":[["main",0,2],', "not the places that led to"),
        ('"index":2}', '"index":1}', "not the places that led to"),
        ('"index":2}', '"index":9}', "place 9 of 3"),
    ],
)
def test_a_file_with_places_or_checkpoints_that_cannot_be_is_refused(
    session: Session, folder: Path, old: str, new: str, why: str
) -> None:
    do(session, "step 2", "checkpoint here", "step 3", "branch", "goto main", "branch delete b1 --yes", "save there")
    text = without_checks((folder / "there.gds").read_text(encoding="utf-8"))
    assert text.count(old) == 1
    (folder / "there.gds").write_text(text.replace(old, new), encoding="utf-8")
    other = hill(engine="eager")
    before = contents(other)
    error = error_of(other, "load there")
    assert why in error.message
    assert contents(other) == before
