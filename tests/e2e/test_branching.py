"""The tree by commands: rename, delete with a yes, switch, diff."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving import PROGRAMS, contents, do, error_of, hill, read_json

from gdrepl.commands.replaying import replay_file
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.errors import ConfirmationNeeded
from gdrepl.shell.complete import complete


def forked() -> Session:
    """main to 20 with rate 0.1; b1 from 10 to 15 with rate 0.5, where we stand."""
    session = hill(engine="eager")
    do(session, "step 20", "goto 10", "set lr 0.5", "step 5")
    return session


@pytest.fixture
def session() -> Session:
    return forked()


@pytest.fixture(scope="module")
def unchanged() -> tuple[Session, str]:
    """One session for all the lines that change nothing, and what it holds."""
    session = forked()
    return session, contents(session)


def tree(session: Session) -> dict[str, tuple[str | None, int, int, bool]]:
    branches = do(session, "info branches")["branches"]
    return {each["name"]: (each["parent"], each["fork_step"], each["end"], each["current"]) for each in branches}


# --- rename and switch --------------------------------------------------------------------------------------------------


def test_renaming(session: Session) -> None:
    do(session, "branch rename fast", "branch rename main slow")
    assert tree(session) == {"slow": (None, 0, 20, False), "fast": ("slow", 10, 15, True)}
    assert do(session, "step")["branch"] == "fast"
    assert do(session, "goto slow:3")["came_from"] == "fast"
    assert error_of(session, "goto main").hint == "did you mean 'min'?"


def test_switching(session: Session) -> None:
    there = do(session, "switch main")
    assert (there["branch"], there["point"]["step"], there["came_from"]) == ("main", 20, "b1")
    assert do(session, "goto 3", "switch main")["point"]["step"] == 20
    assert error_of(session, "switch 3").message == "there is no branch '3'"


# --- delete -------------------------------------------------------------------------------------------------------------


def test_deleting_needs_a_yes_where_nobody_can_be_asked(session: Session) -> None:
    do(session, "switch main")
    before = contents(session)
    error = error_of(session, "branch delete b1")
    assert isinstance(error, ConfirmationNeeded)
    assert (error.question, error.hint) == ("delete branch b1, steps 10 to 15", "branch delete b1 --yes")
    assert contents(session) == before
    do(session, error.hint)
    assert tree(session) == {"main": (None, 0, 20, True)}


def test_a_person_is_asked_and_a_yes_is_recorded_as_such(session: Session, folder: Path) -> None:
    asked: list[str] = []
    do(session, "switch main")
    session.confirm = lambda question: bool(asked.append(question))
    before = contents(session)
    assert error_of(session, "branch delete b1 ;; step").message == "not confirmed: nothing has changed"
    assert contents(session) == before
    session.confirm = lambda question: not asked.append(question)
    assert do(session, "branch delete b1 ;; step 2")["point"]["step"] == 22
    assert asked == ["delete branch b1, steps 10 to 15"] * 2
    assert session.events[-2].line == "branch delete b1 --yes"
    do(session, "save there")
    assert replay_file(folder / "there.gds").status == "match"


def test_no_yes_is_needed_with_confirm_off(session: Session) -> None:
    session.settings.confirm = False
    do(session, "switch main", "branch delete b1")
    assert list(tree(session)) == ["main"]


def test_json_tells_the_line_that_says_yes(cli: Callable[..., tuple[int, str, str]]) -> None:
    lines = "step 3 ;; branch aside ;; switch main\nbranch delete aside\n"
    status, out, _ = cli("debug", "(x-50)**2", "--var", "x=3", "--engine", "eager", "--json", stdin=lines)
    error = read_json(out.splitlines()[-1])["error"]
    assert (status, error["type"], error["hint"]) == (1, "ConfirmationNeeded", "branch delete aside --yes")


def test_a_tree_that_was_tended_is_saved_loaded_gone_on_from_and_replayed(session: Session, folder: Path) -> None:
    do(session, "branch leaf", "set x 7", "step 4", "checkpoint", "goto b1:12", "branch", "step 3", "switch main")
    do(session, "branch delete b1 --yes", "branch rename leaf twig", "save there")
    loaded = Session(Setup(), PROGRAMS)
    do(loaded, "load there")
    assert contents(loaded) == contents(session)
    more = ("branch delete b2 --yes", "branch", "step 2", "goto twig:12", "set lr 0.25", "step 2", "restart cp1", "step 3")
    for each in (session, loaded):
        do(each, *more)
    assert contents(loaded) == contents(session)
    assert tree(loaded) == {
        "main": (None, 0, 20, False),
        "twig": ("main", 10, 22, True),
        "b3": ("main", 20, 22, False),
        "b4": ("twig", 12, 14, False),
    }
    do(loaded, "save there")
    assert replay_file(folder / "there.gds").status == "match"


def test_the_last_segments_of_a_tree_are_deleted_saved_and_replayed(session: Session, folder: Path) -> None:
    do(session, "set x 7", "step 2", "switch main", "branch delete b1 --yes", "save there")
    loaded = Session(Setup(), PROGRAMS)
    do(loaded, "load there")
    for each in (session, loaded):
        do(each, "set x 9", "step 2")
    assert contents(loaded) == contents(session)
    do(loaded, "save there")
    assert replay_file(folder / "there.gds").status == "match"


def test_a_tree_without_main_is_saved_and_replayed(session: Session, folder: Path) -> None:
    do(session, "goto main:5", "branch early", "step 3", "switch b1", "branch delete main --yes", "save there")
    assert tree(session) == {"b1": (None, 0, 15, True), "early": ("b1", 5, 8, False)}
    assert do(session, "info session")["facts"]["points"] == 1 + 10 + 5 + 3
    loaded = Session(Setup(), PROGRAMS)
    do(loaded, "load there", "plot loss", "history 0:15", "goto early:2")
    assert replay_file(folder / "there.gds").status == "match"


def test_deleting_that_is_broken_off_changes_nothing(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    do(session, "goto b1:12", "branch", "switch main")
    before = contents(session)

    def pulled(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session.debugger.places.__class__, "visit", pulled)
    with pytest.raises(KeyboardInterrupt):
        list(session.execute("branch delete b1 --yes"))
    assert contents(session) == before


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("branch delete b1", "b1 is the branch in force", "switch main leaves it first"),
        ("branch delete b1 --yes", "b1 is the branch in force", "switch main leaves it first"),
        ("branch delete", "branch delete needs the name of one branch", "branch delete b1"),
        ("branch delete main b1", "branch delete needs the name of one branch", "branch delete b1"),
        ("branch delete gone", "there is no branch 'gone'", "info branches"),
        ("branch rename", "branch rename needs a new name", "branch rename NEW"),
        ("branch rename a b c", "branch rename needs a new name", "branch rename OLD NEW"),
        ("branch rename gone b", "there is no branch 'gone'", "info branches"),
        ("branch rename main", "there is a branch 'main' already", "goto main"),
        ("branch rename min", "'min' cannot be the name of a branch", "begin with a letter"),
        ("branch rename 3", "'3' cannot be the name of a branch", "begin with a letter"),
        ("branch rename main delete", "'delete' cannot be the name of a branch", "try try-2"),
        ("branch two words", "branch does not take 'words'", "two-words"),
        ("diff main main", "main does not differ from itself", "for example diff main b1"),
        ("diff b1", "b1 does not differ from itself", "for example diff b1 main"),
        ("diff main gone", "there is no branch 'gone'", "info branches"),
        ("diff main b1 tol=-1", "'-1' is not a tolerance", "tol=1e-6"),
        ("diff main b1 tol=nan", "'nan' is not a tolerance", "tol=1e-6"),
        ("diff plot", "diff compares two branches", "diff A B"),
        ("diff", "diff needs BRANCHES", "diff main b1"),
    ],
)
def test_slips_are_told_and_change_nothing(unchanged: tuple[Session, str], line: str, message: str, hint: str) -> None:
    session, before = unchanged
    error = error_of(session, line)
    assert error.message.startswith(message)
    assert hint in error.hint
    assert contents(session) == before


def test_the_only_branch_is_not_deleted() -> None:
    assert error_of(hill(engine="eager"), "branch delete main --yes").hint == "it is the only one there is"


# --- diff ---------------------------------------------------------------------------------------------------------------


def loss(step: int, rate: float = 0.1) -> float:
    """The loss of the hill after 10 steps of rate 0.1 and the rest of `rate`."""
    first = min(step, 10)
    return float((47 * 0.8**first * (1 - 2 * rate) ** (step - first)) ** 2)


def test_two_branches_side_by_side(session: Session) -> None:
    diff = do(session, "diff main b1")
    assert (diff["a"], diff["b"], diff["step"], diff["name"], diff["last"]) == ("main", "b1", 11, "loss", 15)
    assert diff["settings"] == [{"name": "lr", "a": "0.1", "b": "0.5"}]
    assert diff["notes"] == ["on b1 at step 10: set lr 0.5"]
    assert [each["step"] for each in diff["losses"]] == [11, 12, 13, 14, 15, 20]
    assert [each["a"] for each in diff["losses"]] == pytest.approx([loss(step) for step in (11, 12, 13, 14, 15, 20)], rel=1e-5)
    assert [each["b"] for each in diff["losses"]] == [0.0, 0.0, 0.0, 0.0, 0.0, None]
    assert diff["chart"] is None
    assert do(session, "diff main") == diff
    assert do(session, "diff b1 main")["settings"] == [{"name": "lr", "a": "0.5", "b": "0.1"}]


def test_a_tolerance_lets_small_differences_pass(session: Session) -> None:
    do(session, "goto main:0", "set x 40", "set lr 0.25", "step 20", "goto main:0", "set x 40.0625", "set lr 0.25", "step 20")
    # 10 / 2**k and 9.9375 / 2**k from 50: the losses differ by 1.24609375 / 4**k, which is more than tol * (1 + 100 / 4**k)
    assert do(session, "diff b2 b3 tol=0.0123")["step"] == 0  # 0.01233 at step 0, 0.01198 at step 1
    assert do(session, "diff b2 b3 tol=0.0124")["step"] is None
    assert do(session, "diff b3 b2 tol=1e-6")["step"] == 0


def test_the_first_step_beyond_the_tolerance_is_named(session: Session) -> None:
    do(session, "goto main:0", "set lr 0.25", "step 20", "goto main:0", "set lr 0.250001", "step 20")
    # x is 50 - 47 * (1 - 2 * lr)**k, and so the paths are 47 * k * 2e-6 / 2**(k-1) apart: first grows, then shrinks
    far = [abs(47 * 0.5**k - 47 * (1 - 2 * 0.250001) ** k) / (1 + abs(50 - 47 * 0.5**k)) for k in range(21)]
    squares = [47**2 * 0.25**k for k in range(21)]
    losses = [abs(one - 47**2 * (1 - 2 * 0.250001) ** (2 * k)) / (1 + one) for k, one in enumerate(squares)]
    apart = [max(pair) for pair in zip(far, losses)]
    tolerance = (apart[2] + apart[3]) / 2
    assert max(apart[:3]) < tolerance < apart[3]
    assert do(session, f"diff b2 b3 tol={tolerance}")["step"] == 3


def test_a_branch_that_has_gone_no_way_of_its_own_does_not_part(session: Session) -> None:
    do(session, "goto main:7", "branch twig")
    diff = do(session, "diff main twig")
    assert (diff["step"], diff["name"], diff["settings"], diff["last"]) == (None, "", [], 7)
    assert [each["step"] for each in diff["losses"]] == [7, 20]


def test_a_second_run_with_the_same_settings_is_the_same(session: Session) -> None:
    do(session, "goto main:0", "run 20")
    assert do(session, "diff main b2")["step"] is None
    do(session, "set x 49", "step")
    assert do(session, "diff main b2")["step"] == 20


def test_each_setting_that_differs_is_told() -> None:
    session = hill(engine="eager", optimizer="adam")
    do(session, "step 2", "set beta_1 0.5", "branch other", "set clipnorm 1", "set engine graph", "step 2")
    assert {(each["name"], each["a"], each["b"]) for each in do(session, "diff main other")["settings"]} == {
        ("clipnorm", "None", "1.0"),
        ("engine", "eager", "graph"),
    }
    do(session, "set optimizer sgd(momentum=0.9)", "set lr exponential_decay(0.1, decay_steps=5, decay_rate=0.5)")
    names = [each["name"] for each in do(session, "diff main other")["settings"]]
    assert names == ["engine", "optimizer", "lr"]  # what only one of two optimizers has is no difference of a setting


def test_branches_of_different_problems_are_compared_by_what_they_share(session: Session) -> None:
    do(session, "const a = 2", "var y = 1", "loss (x-50)**2 + 0*y*a", "step 3")
    diff = do(session, "diff main b2")
    assert diff["notes"][0] == "the problems differ: only the loss, x can be compared"
    assert (diff["step"], [each["name"] for each in diff["settings"]]) == (1, ["loss", "lr"])


def test_constants_that_differ_are_told(session: Session) -> None:
    do(session, "const a = 2", "loss (x-a)**2", "branch one", "const a = 3")
    settings = do(session, "diff one b3")["settings"]
    assert settings == [{"name": "a", "a": "2.0", "b": "3.0"}]


def test_a_chart_begins_before_the_paths_part_and_is_small(session: Session) -> None:
    do(session, "set engine xla", "step 3000")
    first, second = do(session, "diff main b1 plot")["chart"]["series"]
    assert (first["label"], first["x"][0], first["x"][-1]) == ("main", 10, 20)
    assert (second["label"], second["x"][0], second["x"][-1], len(second["x"]) < 300) == ("b1", 10, 3015, True)
    assert first["y"] == pytest.approx([loss(step) for step in range(10, 21)], rel=1e-5)


def test_paths_are_compared_in_pieces(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gdrepl.insight.parting.PIECE", 7)
    do(session, "goto main:0", "run 60", "switch main", "step 40", "set x 49.5", "step 30", "switch b2", "step 20")
    diff = do(session, "diff main b2")
    assert diff["step"] == 60
    session.debugger.interrupt.set()
    assert error_of(session, "diff main b2").message.startswith("interrupted at step")


def test_a_diff_is_recorded_and_replayed(session: Session, folder: Path) -> None:
    do(session, "diff main b1", "diff main b1 tol=0.5 plot", "save there")
    assert replay_file(folder / "there.gds").status == "match"
    lines: list[dict[str, Any]] = [json.loads(line) for line in (folder / "there.gds").read_text("utf-8").splitlines()]
    assert sum(line.get("line", "").startswith("diff") for line in lines) == 2


def test_large_parameters_are_compared_by_their_norms() -> None:
    session = Session(Setup("sum((w - 1)**2)", {"w": "zeros(100)"}, optimizer="sgd", rate="0.25", engine="eager"))
    do(session, "step 3", "run 3", "set w[5] 2", "step 2", "switch main", "step 2")
    diff = do(session, "diff main b1")
    assert diff["step"] == 3
    assert diff["losses"][0]["a"] == pytest.approx(100 * 0.5**6)
    assert np.isfinite(diff["losses"][0]["b"])


# --- Tab ----------------------------------------------------------------------------------------------------------------


def offered(session: Session, text: str) -> list[str]:
    return [text[: len(text) + item.start_position] + item.text for item in complete(text, session)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("branch ", ["branch rename", "branch delete"]),
        ("branch delete ", ["branch delete main"]),  # not b1, where we stand
        ("branch delete main -", ["branch delete main --yes"]),
        ("branch rename b", ["branch rename b1"]),
        ("switch ", ["switch main", "switch b1"]),
        ("diff m", ["diff main"]),
        ("diff main ", ["diff main b1", "diff main plot", "diff main tol="]),
        ("goto m", ["goto min", "goto main"]),
        ("goto be", ["goto before"]),
        ("restart ", ["restart before"]),
        ("delete c", ["delete checkpoint"]),
        ("delete checkpoint ", ["delete checkpoint before"]),
        ("info ch", ["info checkpoints"]),
    ],
)
def test_tab_offers_branches_and_checkpoints(session: Session, text: str, wanted: list[str]) -> None:
    do(session, "checkpoint before")
    assert offered(session, text) == wanted


def test_the_rate_at_the_end_of_each_branch_is_told_also_under_a_schedule() -> None:
    session = hill()
    do(session, "step 10", "goto 5", "set lr 0.25", "step 3", "goto 5", "set lr exponential_decay(0.5, 1, 0.5)", "step 2")
    rates = [branch["learning_rate"] for branch in do(session, "info branches")["branches"]]
    assert rates == [0.1, 0.25, 0.5 * 0.5**7]  # a schedule counts all updates of the optimizer
