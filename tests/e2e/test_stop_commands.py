"""Stops as they are typed: what is told of them, what is refused, the commands that follow them, and that all of it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from driving import PROGRAMS, contents, do, error_of, hill, joined, read_json, without_checks

from gdrepl.commands.replaying import replay_file
from gdrepl.commands.session import Outcome, Session
from gdrepl.commands.setup import Setup
from gdrepl.commands.stop_arguments import SYNONYMS
from gdrepl.engine.events import EVENTS
from gdrepl.errors import ConfirmationNeeded
from gdrepl.recording.numbers import dumps, result_to_json
from gdrepl.shell.resuming import resume_session


@pytest.fixture
def session() -> Session:
    """x_k = 50 - 47 * 0.8**k: 3, 12.4, 19.92, 25.936, 30.7488, 34.599, 37.679, 40.143, 42.115, 43.692, 44.954, ..."""
    return hill(engine="eager")


@pytest.fixture(scope="module")
def unchanged() -> tuple[Session, str]:
    """One session for all the lines that change nothing, and what it holds."""
    session = hill()
    do(session, "break if x > 60 as low", "break if x > 70 as far", "step 5")
    return session, contents(session)


def outcomes(session: Session, line: str) -> list[Outcome]:
    found = list(session.execute(line))
    assert all(each.error is None for each in found), [str(each.error) for each in found if each.error is not None]
    return found


def steps_of(found: list[Outcome]) -> list[tuple[str, int | None]]:
    """(command, step arrived at) of each."""
    return [(each.command, getattr(getattr(each.result, "point", None), "step", None)) for each in found]


def listed(session: Session) -> list[dict[str, Any]]:
    return do(session, "info break")["stops"]


# --- JSON ---------------------------------------------------------------------------------------------------------------


def test_info_break_has_the_members_that_are_promised(session: Session) -> None:
    do(session, "break if x > 40 as late", "watch floor(x/10) by 2", "catch plateau patience=5 if step > 3", "ignore 2 3")
    do(session, "disable 1")
    names = ("id", "kind", "text", "enabled", "hits", "ignore")
    assert [tuple(each[name] for name in names) for each in listed(session)] == [
        (1, "breakpoint", "x > 40", False, 0, 0),
        (2, "watchpoint", "floor(x/10) by 2", True, 0, 3),
        (3, "event", "plateau patience=5 if step > 3", True, 0, 0),
    ]
    assert listed(session)[0]["name"] == "late"


def test_an_event_stops_with_its_name_as_id_and_the_number_of_its_stop_beside_it(session: Session) -> None:
    do(session, "break if loss < 0", "catch convergence tol=60 as near")
    stepped = do(session, "continue 100")
    [stop] = stepped["stops"]
    # |gradient| = 94 * 0.8**k is at most 60 from k = 3 on.
    assert (stop["kind"], stop["id"], stop["number"], stop["name"], stepped["point"]["step"]) == (
        *("event", "convergence", 2, "near"),
        3,
    )
    evidence = stop["evidence"]
    assert (evidence["first"], evidence["last"]) == (2, 3)
    assert evidence["numbers"]["norm(grad)"] == pytest.approx(94 * 0.8**3, rel=1e-5)
    assert evidence["definition"] == "the norm of the gradient is at most 60"
    assert evidence["next"]


def test_a_watchpoint_tells_the_value_before_and_after(session: Session) -> None:
    do(session, "watch floor(x/10)")
    [stop] = do(session, "continue")["stops"]
    assert (stop["kind"], stop["id"], stop["before"], stop["after"]) == ("watchpoint", 1, 0, 1)


def test_several_at_one_step_are_all_told(session: Session) -> None:
    do(session, "break if x > 40", "watch x > 40", "catch overshoot", "tbreak if step == 7")
    stops = do(session, "continue 50")["stops"]
    assert [(stop["kind"], stop["id"]) for stop in stops] == [("breakpoint", 1), ("watchpoint", 2), ("breakpoint", 4)]
    assert [each["id"] for each in listed(session)] == [1, 2, 3]


def test_catch_all_sets_a_stop_for_each_event_that_is_not_caught_yet(session: Session) -> None:
    do(session, "catch plateau")
    texts = [each["text"] for each in do(session, "catch all")["stops"]]
    events = [name for name, _ in do(session, "info events")["items"]]
    assert len(events) == 12
    assert sorted([*texts, "plateau"]) == sorted(events)
    assert "caught already" in error_of(session, "catch all").message


@pytest.mark.parametrize("line", ["catch explosion norm=1e200", "catch convergence tol=0", "catch update-ratio high=1e200"])
def test_thresholds_at_the_ends_of_what_numbers_can_be_are_no_error(line: str, session: Session) -> None:
    do(session, line)
    assert [stop["kind"] for stop in do(session, "step 3")["stops"]] == ["count"]


def test_condition_ignore_enable_once_and_names_work_together(session: Session) -> None:
    do(session, "break if x > 90 as far", "condition far x > 20", "ignore far 2", "enable once far")
    assert do(session, "continue 50")["point"]["step"] == 5  # x > 20 at 3, 4 and 5
    [stop] = listed(session)
    assert (stop["text"], stop["hits"], stop["ignore"], stop["enabled"]) == ("x > 20", 3, 0, False)
    assert stop["seen"] == pytest.approx(50 - 47 * 0.8**5)
    assert (stop["seen_at"], do(session, "continue 3")["stops"][0]["kind"]) == (5, "count")


def test_reverse_continue_goes_back_through_the_same_steps_and_says_where_it_ends(session: Session) -> None:
    do(session, "step 12", "watch floor(x/10)")
    found = [do(session, "reverse-continue") for _ in range(5)]
    # floor(x/10) is 0, 1, 1, 2, 3, 3, 3, 4 at steps 0 to 7.
    assert [each["point"]["step"] for each in found] == [7, 4, 3, 1, 0]
    assert [each["stops"][0]["kind"] for each in found] == ["watchpoint"] * 4 + ["start"]
    assert [(each["stops"][0]["before"], each["stops"][0]["after"]) for each in found[:4]] == [(3, 4), (2, 3), (1, 2), (0, 1)]


ADVICE = (
    *(
        "reverse-step",
        "grad",
        "plot loss log",
        "goto min",
        "whatif lr 0.1 0.01",
        "print norm(grad)",
        "print norm(grad) over -10:",
    ),
    *("set clipnorm 1", "set lr 0.01", "whatif lr 1 0.1 0.01", "print norm(update)", "print norm(update) over -10:"),
    *("info optimizer", "plot lr", "print loss"),
)


@pytest.mark.parametrize("line", ADVICE)
def test_every_line_that_the_evidence_advises_works_when_typed(line: str) -> None:
    assert any(line in kind.next for kind in EVENTS.values())
    session = Session(Setup("x**2 + y**2", {"x": "1", "y": "2"}, optimizer="sgd", rate="0.1"), PROGRAMS)
    do(session, "step 12", line)


# --- Slips --------------------------------------------------------------------------------------------------------------

SLIPS = [
    ("break if", "an expression is missing"),
    ("break if x", "this is a number, not a condition"),
    ("break if z > 1", "unknown name 'z'"),
    ("break if x > 1 as", "as needs a name after it"),
    ("break if x > 1 as 9lives", "'9lives' cannot be the name of a stop"),
    ("break if x > 2 as low", "there is a stop called 'low' already"),
    ("watch y", "unknown name 'y'"),
    ("watch x by nothing", "'nothing' is not a distance"),
    ("watch x by -1", "'-1' is not a distance"),
    ("watch x by", "by needs a distance after it"),
    ("watch x > 1 by 2", "a truth value does not move by a distance"),
    ("watch x if step", "this is a number, not a condition"),
    ("watch prev(prev(x))", "prev cannot stand inside prev"),
    ("catch flatness", "there is no event 'flatness'"),
    ("catch plateau patience", "'patience' is not a threshold"),
    ("catch plateau patience=few", "patience cannot be 'few'"),
    ("catch plateau patience=1e999", "patience of plateau cannot be inf"),
    ("catch plateau patience=3 patience=4", "patience is given twice"),
    ("catch plateau factor=2", "plateau has no threshold 'factor'"),
    ("catch all rtol=1", "catch all takes neither thresholds nor a name"),
    ("condition 1", "breakpoint 1 is nothing without its condition"),
    ("condition 9 x > 1", "there is no stop 9"),
    ("condition 1 x", "this is a number, not a condition"),
    ("ignore 1 -1", "'-1' is not a number of times"),
    ("ignore 1 1.5", "'1.5' is not a number of times"),
    ("ignore nobody 1", "there is no stop called 'nobody'"),
    ("ignore 1-2 1", "'1-2' is not one stop"),
    ("enable once", "enable once needs the number of a stop"),
    ("enable 1 7", "there is no stop 7"),
    ("disable x!", "there is no stop called 'x!'"),
    ("delete 1 7", "there is no stop 7"),
    ("commands 7", "there is no stop 7"),
]


@pytest.mark.parametrize(("line", "message"), SLIPS, ids=[line for line, _ in SLIPS])
def test_a_slip_is_one_line_with_a_hint_and_changes_nothing(line: str, message: str, session: Session) -> None:
    do(session, "break if x > 48 as low", "watch x by 20", "step 3")
    before = contents(session)
    error = error_of(session, line)
    assert error.message == message
    assert error.hint or "given twice" in message
    assert "\n" not in error.message
    assert contents(session) == before


def test_a_command_that_fails_on_the_way_leaves_hits_and_anchors_as_they_were(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(session, "watch x by 5", "ignore 1 1", "tbreak if step == 2", "step 1")
    before = contents(session)

    def failing(move: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "stepped", failing)
    for line in ("continue 5", "reverse-continue"):
        with pytest.raises(KeyboardInterrupt):
            do(session, line)
    monkeypatch.undo()
    assert contents(session) == before


# --- Commands that follow a stop ----------------------------------------------------------------------------------------


def test_the_commands_of_a_stop_follow_it_and_are_recorded_one_by_one(session: Session) -> None:
    do(session, "break if x > 40", "commands 1", "print step", "print loss > 1", "end")
    assert [each.command for each in outcomes(session, "continue")] == ["continue", "print step", "print loss > 1"]
    assert [event.line for event in session.events][-3:] == ["continue", "print step", "print loss > 1"]


def test_silent_leaves_out_the_stop_and_is_no_command(session: Session) -> None:
    do(session, "break if x > 40", "commands", "silent", "print step", "end")
    found = outcomes(session, "continue")
    assert [(each.command, each.silent) for each in found] == [("continue", True), ("print step", False)]


def test_one_stop_that_is_not_silent_shows_the_stop(session: Session) -> None:
    do(session, "break if x > 40", "commands ;; silent ;; end", "break if step == 7", "commands ;; print step ;; end")
    assert [(each.command, each.silent) for each in outcomes(session, "continue")] == [
        ("continue", False),
        ("print step", False),
    ]


@pytest.mark.parametrize("line", ["step 2", "continue 2", "goto 0", "reverse-step", "back", "until x > 45", "advance +1"])
def test_the_first_command_that_moves_ends_the_list(line: str, session: Session) -> None:
    do(session, "tbreak if x > 40", "commands", "print step", line, "print loss", "end")
    assert [each.command for each in outcomes(session, "continue 20")] == ["continue 20", "print step", line]


def test_the_commands_of_the_next_stop_follow_a_list_that_resumes(session: Session) -> None:
    do(session, "break if step == 3 or step == 5", "commands", "print step", "continue", "print loss", "end")
    do(session, "break if step == 9", "commands", "print lr", "end")
    assert steps_of(outcomes(session, "continue 20")) == [
        *(("continue 20", 3), ("print step", None), ("continue", 5), ("print step", None), ("continue", 9)),
        ("print lr", None),
    ]


def test_the_commands_of_several_stops_at_one_step_run_in_the_order_of_their_numbers(session: Session) -> None:
    do(session, "break if step == 3", "commands ;; print step ;; end", "watch x > 20", "commands ;; print lr ;; end")
    assert [each.command for each in outcomes(session, "continue")] == ["continue", "print step", "print lr"]


def test_of_several_lists_the_first_that_resumes_ends_the_others(session: Session) -> None:
    do(session, "break if step == 3", "commands ;; step 1 ;; end", "watch x > 20", "commands ;; print lr ;; end")
    assert [each.command for each in outcomes(session, "continue")] == ["continue", "step 1"]


def test_an_error_ends_the_list_and_names_the_stop_and_the_line(session: Session) -> None:
    do(session, "break if step == 3", "commands", "silent", "print nonsense", "print step", "end")
    *_, last = session.execute("continue")
    assert (last.place, last.error.message) == ("commands of breakpoint 1, line 2", "unknown name 'nonsense'")
    assert do(session, "print step")["value"] == 3


def test_a_temporary_stop_still_runs_its_commands_and_a_list_may_delete_its_own_stop(session: Session) -> None:
    do(session, "tbreak if step == 2", "commands ;; print step ;; end", "break if step == 4", "commands ;; delete 2 ;; end")
    assert [each.command for each in outcomes(session, "continue ;; continue")] == [
        *("continue", "print step", "continue", "delete 2")
    ]
    assert listed(session) == []


def test_ctrl_c_ends_the_way_back_with_an_error_and_nothing_changed(session: Session) -> None:
    do(session, "step 40", "break if x > 0", "ignore 1 35", "commands 1 ;; print step ;; end", "watch x by 1e-9", "ignore 2 20")
    before = contents(session)
    session.debugger.interrupt.set()
    error = error_of(session, "reverse-continue")
    assert (error.message, error.hint) == ("interrupted on the way back, at step 39", "nothing has changed")
    assert contents(session) == before
    assert steps_of(outcomes(session, "disable 2 ;; reverse-continue"))[1:] == [("reverse-continue", 4), ("print step", None)]


def test_commands_follow_on_the_way_back_too(session: Session) -> None:
    do(session, "step 9", "break if step == 4", "commands ;; print step ;; end")
    assert steps_of(outcomes(session, "reverse-continue")) == [("reverse-continue", 4), ("print step", None)]


# --- Kept ---------------------------------------------------------------------------------------------------------------

ALL_SORTS = (
    *("break if x > 49 as far", "ignore far 2", "commands far", "silent", "print step", "end"),
    *("watch floor(x/10) by 1 as tens", "watch x > 30 if step > 2", "enable once 3", "catch plateau patience=7 rtol=0.01"),
    *("catch all", "disable 9", "tbreak if step == 11 as once-only"),
)


def test_stops_are_saved_loaded_and_go_on_as_if_nothing_had_been(session: Session, folder: Path) -> None:
    do(session, *ALL_SORTS, "continue 3", "continue 30", "save there")
    other = Session(Setup(), PROGRAMS)
    do(other, "load there")
    assert contents(other) == contents(session)
    line = "continue 30 ;; continue 30 ;; reverse-continue ;; info break"
    wanted = [dumps(result_to_json(each.result)) for each in outcomes(session, line)]
    assert [dumps(result_to_json(each.result)) for each in outcomes(other, line)] == wanted
    assert contents(other) == contents(session)


def test_recordings_of_stops_and_their_commands_replay(session: Session, folder: Path) -> None:
    do(session, *ALL_SORTS, "continue 20", "continue 20", "rc", "rc", "commands tens ;; print x ;; step 2 ;; end", "goto 0")
    do(session, "continue 30", "condition 3 step > 4", "delete 5-8", "enable", "continue 30", "save there")
    replayed = replay_file(folder / "there.gds")
    assert (replayed.status, replayed.mismatches) == ("match", ())


def test_delete_of_all_stops_asks_as_that_of_a_branch_does(session: Session, folder: Path) -> None:
    do(session, "break if x > 1", "watch x")
    before = contents(session)
    error = error_of(session, "delete")
    assert isinstance(error, ConfirmationNeeded)
    assert (error.question, error.hint) == ("delete 2 stops", "delete --yes")
    assert contents(session) == before
    asked: list[str] = []
    session.confirm = lambda question: bool(asked.append(question))
    assert error_of(session, "delete ;; step").message == "not confirmed: nothing has changed"
    assert contents(session) == before
    session.confirm = lambda question: not asked.append(question)
    assert do(session, "delete")["text"] == "2 stops deleted"
    assert asked == ["delete 2 stops"] * 2
    assert session.events[-1].line == "delete --yes"
    assert do(session, "delete")["text"] == "0 breakpoints deleted"  # nothing to lose, and nothing to ask
    session.confirm = None
    do(session, "break if x > 1", "break if x > 2", "delete 4 --yes", "set confirm off", "delete", "save there")
    assert listed(session) == []
    assert replay_file(folder / "there.gds").mismatches == ()


def test_a_delete_that_was_recorded_before_it_asked_replays_and_resumes(session: Session, folder: Path) -> None:
    do(session, "break if x > 1", "delete --yes", "step", "save there")
    old = without_checks((folder / "there.gds").read_text(encoding="utf-8")).replace('"delete --yes"', '"delete"')
    (folder / "there.gds").write_text(old, encoding="utf-8")
    assert replay_file(folder / "there.gds").mismatches == ()
    resumed, keeper = resume_session(folder / "there.gds", quiet=True)
    keeper.close()
    assert (listed(resumed), resumed.debugger.step) == ([], 1)
    do(resumed, "break if x > 1")
    assert isinstance(error_of(resumed, "delete"), ConfirmationNeeded)


def test_save_stops_writes_commands_that_make_the_same_stops(session: Session, folder: Path) -> None:
    do(session, *ALL_SORTS, "display x", "save stops mine.gd")
    other = hill(engine="eager")
    do(other, "break if x > 1", "delete --yes", "source mine.gd")  # numbers differ
    said = [{name: value for name, value in each.items() if name != "id"} for each in listed(session)]
    assert [{name: value for name, value in each.items() if name != "id"} for each in listed(other)] == said
    assert [each["id"] for each in listed(other)] == [each["id"] + 1 for each in listed(session)]
    assert do(other, "info display") == do(session, "info display")


def test_what_a_list_left_open_by_a_script_is_told(session: Session, folder: Path) -> None:
    Path("half.gd").write_text(joined(["break if x > 40", "commands 1", "print x"]), encoding="utf-8")
    error = error_of(session, "source half.gd")
    assert error.message == "'commands 1' was not finished, and is dropped"
    assert do(session, "continue 20")["point"]["step"] == 7


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"thresholds":{"patience":7', '"thresholds":{"patience":-7'),
        ('"thresholds":{"patience":7', '"thresholds":{"patience":7.5'),
        ('"thresholds":{"patience":7', '"thresholds":{"patients":7'),
        ('"event":"plateau"', '"event":"__import__"'),
        ('"watch":"floor(x/10)"', '"watch":"open(x)"'),
        ('"by":1.0', '"by":-1.0'),
        ('"by":1.0', '"by":"one"'),
        ('"kind":"watchpoint"', '"kind":"spy"'),
        ('"commands":["silent"', '"commands":[7'),
        ('"ignore":2', '"ignore":-2'),
        ('"name":"tens"', '"name":"far"'),
        ('"name":"tens"', '"name":"two words"'),
        ('"id":2,', '"id":1,'),
        ('"next_stop":18', '"next_stop":3'),
    ],
)
def test_a_file_with_odd_stops_is_refused_in_one_line(old: str, new: str, session: Session, folder: Path) -> None:
    do(session, *ALL_SORTS, "save there")
    text = Path("there.gds").read_text(encoding="utf-8")
    place = text.rindex('"kind":"state"') if '"kind":"state"' in text else 0
    assert old in text[place:], text[place : place + 3000]
    Path("odd.gds").write_text(without_checks(text[:place] + text[place:].replace(old, new, 1)), encoding="utf-8")
    other = Session(Setup(), PROGRAMS)
    error = error_of(other, "load odd.gds")
    assert "\n" not in error.message


def test_the_result_of_setting_a_stop_is_plain_json(session: Session) -> None:
    for line in ("break if x > 1", "tbreak if x > 2", "watch x", "catch dead"):
        for outcome in session.execute(line):
            answer = read_json(dumps(result_to_json(outcome.result)))
            assert answer["type"] == "StopSet"
            assert answer["temporary"] is (line[0] == "t")


def test_an_ignored_hit_of_watch_by_is_where_the_next_distance_begins():
    session = hill(optimizer="sgd", rate="0.1")  # x_k = 50 - 47 * 0.8**k
    do(session, "watch x by 8", "ignore 1 2", "continue")
    steps, anchor = [], 3.0
    for k in range(1, 40):
        x = 50 - 47 * 0.8**k
        if abs(x - anchor) >= 8:
            steps, anchor = [*steps, k], x
    assert session.debugger.step == steps[2]
    assert do(session, "info break")["stops"][0]["hits"] == 3
    do(session, "continue 30")
    assert session.debugger.step == steps[3]


def test_a_watch_by_of_another_shape_is_another_stop():
    session = Session(Setup("sum((x-50)**2)", {"x": "3.0"}, optimizer="sgd", rate="0.1"))
    do(session, "watch x by 1", "step 3", "var x = [1.0, 2.0, 3.0]", "loss sum((x-50)**2)")
    [stop] = do(session, "step 2")["stops"]
    assert "its shape was ()" in stop["error"]
    do(session, "delete 1", "watch x by 1")
    assert do(session, "info break")["stops"][0]["note"] == ""
    do(session, "goto main")
    [stop] = do(session, "step 2")["stops"]
    assert "its shape was (3,)" in stop["error"]


def test_thresholds_and_distances_keep_all_their_digits(tmp_path):
    session = hill()
    do(session, "watch x by 0.123456789", "catch plateau rtol=1.23456789e-4", f"save stops {tmp_path / 'all'}")
    again = hill()
    do(again, f"source {tmp_path / 'all.gd'}")
    assert [item.text for item in again.debugger.stops] == [item.text for item in session.debugger.stops]
    assert again.debugger.stops.items[0].trigger.by == 0.123456789


@pytest.mark.parametrize("name", ["all", "once", "checkpoint", "cp"])
def test_words_of_the_commands_of_stops_are_no_names_of_stops(name):
    assert "cannot be the name" in error_of(hill(), f"break if x > 10 as {name}").message


# --- what is said of slips ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("watch x by", "by needs a distance after it", "watch x by 0.5"),
        ("watch x by 1 by 2", "by is given twice", "one distance"),
        ("break if loss < 1 as", "as needs a name after it", "as low"),
        ("catch nan", "there is no event 'nan'", "catch non-finite"),
        ("catch inf", "there is no event 'inf'", "catch non-finite"),
        ("catch diverge", "there is no event 'diverge'", "catch divergence"),
        ("catch flat", "there is no event 'flat'", "catch plateau"),
        ("catch lr", "there is no event 'lr'", "catch lr-change"),
        ("catch plateau patience=50 patience=60", "patience is given twice", "patience=60"),
        ("delete nosuch", "no stop called 'nosuch'", "names: low, far"),
        ("delete lwo", "no stop called 'lwo'", "did you mean 'low'? names: low, far"),
        ("save stops", "save stops needs FILE", "save ./stops"),
        ("print loss - prev(loss) over 0:5", "no point before step 0", "over 1:5"),
        ("print loss - prev(loss) at 0", "no point before step 0", "at 1"),
        ("set confirm", "confirm needs a value", "set confirm off"),
        ("set $1 = 3", "$1 is not yours to set", "set $before = x"),
        ("set $$ = 3", "$$ is not yours to set", "set $before = x"),
        ("set $foo", "$foo needs a value", "set $foo = EXPRESSION"),
        ("branch delet b1", "branch does not know 'delet'", "branch delete b1"),
        ("branch renam a b", "branch does not know 'renam'", "branch rename a b"),
        ("back 0", "'0' is not a number of places", "back 2"),
        ("forward x", "'x' is not a number of places", "from 1"),
        ("whatif optimizer sgd adam for 300 to loss 1", "'to' takes a loss alone, not 'loss 1'", "to 1"),
        ("whatif optimizer lion keep foo bar", "'keep' takes a name alone, not 'foo bar'", "keep fast"),
        ("whatif lr 0.1 for 5 for 6", "'for' is given twice", "for 50"),
    ],
)
def test_a_slip_is_told_with_what_to_type_and_changes_nothing(
    unchanged: tuple[Session, str], line: str, message: str, hint: str
) -> None:
    session, before = unchanged
    error = error_of(session, line)
    assert message in error.message
    assert hint in error.hint
    assert contents(session) == before


def test_every_other_word_for_an_event_names_one_that_there_is() -> None:
    assert set(SYNONYMS) == set(EVENTS)
    words = [word for each in SYNONYMS.values() for word in each]
    assert len(words) == len({*words, *EVENTS}) - len(EVENTS)


def test_parameters_called_as_options_are_tried() -> None:
    session = Session(Setup("(to-1)**2", {"to": "0"}, optimizer="sgd", rate="0.5"))
    assert [each["final_loss"] for each in do(session, "whatif set to 3 ;; set lr 0.25 ;; step 1")["variants"]] == [0, 1]
    assert [each["final_loss"] for each in do(session, "whatif to 3 5 for 1 to 1")["variants"]] == [0, 0, 0]


def test_a_stop_is_called_as_info_break_calls_it() -> None:
    session = hill()
    do(session, "catch overshoot", "watch sign(x - 50)")
    assert do(session, "commands 1 ;; nosuch ;; end")["text"] == "catchpoint 1: 1 command"
    assert do(session, "ignore 1 2")["text"] == "catchpoint 1 lets 2 hits pass"
    assert do(session, "ignore 2 0")["text"] == "watchpoint 2 stops the next time"
    do(session, "ignore 1 0", "set lr 0.75", "set x 51")  # 1 - 2 * 0.75 is -0.5
    outcomes = list(session.execute("set lr 1.5 ;; step 3"))  # 1 - 2 * 1.5 is -2: the loss rises
    assert [outcome.place for outcome in outcomes if outcome.error] == ["commands of catchpoint 1, line 1"]


@pytest.mark.parametrize(
    ("typed", "stands"),
    [
        ("x[99] < $v[99] - 1", "x[99] < 100 - 1"),
        ("x[0] < $v[-1]", "x[0] < 100"),
        ("x[0] < -$v[ 0 ]**2", "x[0] < -1**2"),
        ("sum($v[2:5]) < 1", "sum([3,4,5]) < 1"),
        ("sum($v[1:4][0:2]) < 1", "sum([2,3,4][0:2]) < 1"),
        ("$neg[0]**2 < x[0]", "(-1)**2 < x[0]"),
    ],
)
def test_of_a_value_with_an_index_only_what_it_selects_is_put_in(typed: str, stands: str) -> None:
    session = Session(Setup("sum(x**2)", {"x": str([float(k) for k in range(1, 101)])}, optimizer="sgd", rate="0.1"))
    do(session, "set $v = x", "set $neg = -x")
    wanted = bool(do(session, f"print {typed}")["value"])
    text = do(session, f"break if {typed}")["text"]
    assert text.replace(" ", "").replace(".0", "") == stands.replace(" ", "")
    assert do(session, f"print {text}")["value"] == wanted


def test_an_index_that_does_not_fit_a_value_is_refused() -> None:
    session = hill()
    do(session, "set $v = [1, 2]")
    before = contents(session)
    assert "the index [2] does not fit" in error_of(session, "break if x < $v[2]").message
    assert contents(session) == before
