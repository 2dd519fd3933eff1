"""What is defined, armed and displayed where several problems were in force, and what a failure leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import PROGRAMS, contents, do, error_of, hill

from gdrepl.commands import files
from gdrepl.commands.replaying import replay_file
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine.past import Past
from gdrepl.errors import CommandError
from gdrepl.recording.format import decode
from gdrepl.recording.journal import journal_folder, open_journals
from gdrepl.shell.keeper import Keeper


@pytest.fixture
def session() -> Session:
    """Without compiling."""
    return hill(engine="eager")


def reloaded(session: Session) -> Session:
    do(session, "save there")
    other = Session(Setup(), PROGRAMS)
    do(other, "load there")
    return other


# --- definitions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [lambda session: session, reloaded], ids=["live", "loaded"])
def test_a_definition_changes_the_problem_that_one_went_back_to(again, session: Session, folder: Path):
    do(session, "const a = 5", "loss (x-a)**2", "step 2", "problem himmelblau", "step", "goto main")
    begun = do(again(session), "var x = 7")
    assert (begun["loss"], begun["point"]["parameters"], begun["point"]["loss"]) == ("(x-a)**2", {"x": 7.0}, 4.0)


def test_a_loss_reads_the_values_of_the_problem_that_one_went_back_to(session: Session):
    do(session, "step", "problem rosenbrock", "step", "goto main")
    assert do(session, "loss x**2")["point"]["parameters"] == {"x": 3.0}


def test_another_dtype_is_of_the_problem_that_one_went_back_to(session: Session):
    do(session, "step", "problem rosenbrock", "step", "goto main", "set dtype float64")
    assert do(session, "print x")["value"] == 3.0


def test_what_waits_for_a_loss_waits_on_when_a_problem_of_the_zoo_comes(session: Session):
    do(session, "const a = 1.5", "var q = 2", "problem sphere")
    assert do(session, "loss (q - a)**2")["point"]["loss"] == 0.25


def test_the_zoo_is_as_exact_in_float64_as_its_digits(session: Session):
    do(session, "problem rastrigin", "set dtype float64", "set print-precision 17")
    value = do(session, "print x")["value"]
    assert value == do(session, "problem rastrigin")["point"]["parameters"]["x"]
    assert 3.3 in value  # 3.3 as float32 would be 3.299999952316284


def test_what_is_defined_outlasts_a_file_though_the_branch_has_another_value(session: Session, folder: Path):
    do(session, "step", "const a = 1", "loss (x-a)**2", "step", "const a = 2", "step", "goto b1")
    other = reloaded(session)
    for each in (session, other):
        assert do(each, "print a")["value"] == 1.0
        assert do(each, "goto main", "print a")["value"] == 2.0
    do(other, "save again")
    assert replay_file(folder / "again.gds").status == "match"


def test_what_the_problem_here_alone_has_is_no_definition_after_a_load(session: Session, folder: Path):
    do(session, "step", "problem himmelblau", "step", "problem sphere", "step", "goto b1")
    for each in (session, reloaded(session)):
        do(each, "goto main")
        assert error_of(each, "print y").message == "unknown name 'y'"


@pytest.mark.parametrize("engine", ["eager", "xla"])
def test_a_loaded_session_goes_back_through_what_is_not_finite(engine: str, folder: Path):
    first = hill(engine=engine, rate="3")
    do(first, "step 70", "step 36")  # its loss overflows at step 26 and stops it, x at step 55
    other = reloaded(first)
    assert do(other, "goto 60", "step 30")["point"]["loss"] == "NaN"
    assert do(other, "goto 20")["point"] == do(first, "goto 20")["point"]


def test_a_value_keeps_the_digits_that_it_was_typed_with(session: Session, folder: Path):
    do(session, "var x = 0.1234567890123", "set print-precision 17")
    other = reloaded(session)
    for each in (session, other):
        do(each, "set dtype float64")
        assert do(each, "print x")["value"] == 0.1234567890123


def test_a_value_too_large_for_the_branch_one_goes_back_to_is_no_obstacle(session: Session, folder: Path):
    do(session, "step 2", "set dtype float64", "var x = 1e300", "const big = 1e300", "step", "goto main")
    assert do(session, "save wide")["type"] == "Saved"
    assert "too large for float32" in error_of(session, "print big").message
    assert do(session, "const big = 1")["before"] is None
    assert do(session, "loss x**2")["point"]["parameters"] == {"x": 3.0}
    assert replay_file(folder / "wide.gds").status == "match"


def test_a_name_is_a_parameter_or_a_constant_and_not_both():
    error = error_of(Session(Setup("x**2", {"x": "3"}, {"x": "2"}, engine="eager")), "print x")
    assert error.message == "x is given by --var and by --const"


def test_a_constant_in_place_of_the_only_parameter_is_refused_with_what_to_type(session: Session):
    error = error_of(session, "const x = 4")
    assert (error.message, error.hint) == ("x is the only parameter of the loss in force", "var x = 4 sets where it starts")


# --- breakpoints and displays -------------------------------------------------------------------------------------------


def test_a_breakpoint_of_another_optimizer_ends_a_run_says_why_and_is_there_again(session: Session, folder: Path):
    do(session, "set optimizer sgd(momentum=0.5)", "break if slot.momentum < -1e9", "step 3")
    changed = do(session, "set optimizer adam")
    assert not any("will stop runs" in note for note in changed["notes"])  # Adam has a momentum, too
    changed = do(session, "set optimizer sgd")
    [told] = [note for note in changed["notes"] if "will stop runs" in note]
    assert told.startswith("breakpoint 1 (slot.momentum < -1e9) will stop runs here: the optimizer has no slot 'momentum'")
    stepped = do(session, "step 2")
    assert (stepped["taken"], [stop["error"] for stop in stepped["stops"]]) == (1, ["the optimizer has no slot 'momentum'"])
    assert "the optimizer has no slot" in do(session, "info break")["stops"][0]["note"]
    do(session, "save armed")
    assert replay_file(folder / "armed.gds").status == "match"
    [count] = do(session, "goto 1", "step")["stops"]
    assert count == {"kind": "count", "id": None, "text": "1 step"}


def test_a_session_whose_display_means_nothing_where_it_stands_is_loaded(session: Session, folder: Path):
    do(session, "step", "problem himmelblau", "display y", "step", "goto main")
    other = reloaded(session)
    [display] = do(other, "step")["displays"]
    assert display["error"] == "'y' has no value here"
    [display] = do(other, "goto b1")["displays"]
    assert display["value"] == do(other, "print y")["value"]


# --- failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["step 2", "run 2", "goto 0", "goto b1", "continue 3", "until x > 5"])
def test_a_command_that_fails_after_its_work_leaves_everything_as_it_was(line: str, monkeypatch: pytest.MonkeyPatch):
    session = hill(engine="eager")
    do(session, "step 9", "goto 2", "set lr 0.2", "step 3", "goto main", "goto 5", "display prev(x)", "break if x > 1e9")
    before, here = contents(session), session.debugger.position

    def fails(self: Session) -> None:
        raise CommandError("interrupted", "nothing has changed")

    monkeypatch.setattr(Session, "displayed", fails)
    assert error_of(session, line).message == "interrupted"
    monkeypatch.undo()
    assert (contents(session), session.debugger.position) == (before, here)
    assert do(session, "step")["point"]["step"] == 6


@pytest.fixture(scope="module")
def well_used() -> Session:
    """One session for all commands that fail: it goes on a step after each."""
    session = hill(engine="eager")
    do(session, "step 9", "goto 2", "set lr 0.2", "step 3", "display prev(x)", "break if x > 1e9", "const b = 7", "step 2")
    return session


@pytest.mark.parametrize(
    "line",
    [
        *("step 2", "goto 0", "display x", "set history-limit 9", "set seed 3", "set max-steps 7", "set print-precision 3"),
        *(
            "const a = 2",
            "var x = 9",
            "break if x > 1",
            "tbreak if x > 1",
            "disable",
            "delete --yes",
            "branch aside",
            "set lr 3",
        ),
        *("set x 7", "set optimizer adam", "set dtype float64", "problem sphere", "loss x**4", "undisplay", "rs 2"),
    ],
)
def test_a_command_whose_recording_fails_did_not_happen(well_used: Session, line: str):
    session, events = well_used, len(well_used.events)
    before, limit = contents(session), session.debugger.timeline.limit_bytes

    def fails(event: object) -> None:
        raise CommandError("the disk is full")

    session.on_event = fails
    assert error_of(session, line).message == "the disk is full"
    session.on_event = lambda event: None
    assert contents(session) == before
    assert (session.debugger.timeline.limit_bytes, session.debugger.interrupt.is_set()) == (limit, False)
    assert do(session, "step")["taken"] == 1
    assert len(session.events) == events + 1


def test_an_interrupted_load_leaves_session_and_journal_with_one_another(
    folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch
):
    do(hill(engine="eager"), "step 9", "save other")
    session = hill(engine="eager")
    keeper = Keeper(session)
    do(session, "step 2")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "changed_data", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(session.execute("load other"))
    do(session, "step")
    keeper.abandon()
    path = next(open_journals(journal_folder()))
    lines = [record.body["line"] for record in decode(path.read_bytes(), strict=False).records]
    assert lines == [event.line for event in session.events] == ["step 2", "step"]
    assert folder not in session.folders


def test_an_interrupt_on_the_way_to_a_displayed_point_undoes_the_run(session: Session, monkeypatch: pytest.MonkeyPatch):
    do(session, "step 5", "display prev(x)")
    before = contents(session)

    def interrupted(self: Past, segment: object, step: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Past, "reach", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(session.execute("step 100"))
    monkeypatch.undo()
    assert contents(session) == before


def test_asking_keeps_no_more_than_the_history_may_take(session: Session):
    do(session, "set history-limit 1", "var w = normal(20000)", "loss sum(w**2)", "step 25")
    timeline = session.debugger.timeline
    for step in range(25):
        session.debugger.ask(session.debugger.parse("w[0]"), step)
    kept = sum(sum(segment.nbytes()) for segment in timeline.segments())
    assert kept <= 2**20 + 4 * 20000 * 4 * 2  # and the first and the last snapshot, which always stay


# --- lines --------------------------------------------------------------------------------------------------------------


def test_a_comment_goes_on_to_the_end_of_its_line(session: Session):
    assert list(session.execute("# first ;; step 2")) == []
    assert [outcome.command for outcome in session.execute("step ;; # then ;; step")] == ["step"]
    assert session.debugger.step == 1


def test_two_semicolons_inside_quotes_join_nothing(session: Session, folder: Path):
    (folder / "a;;b.csv").write_text("x\n1\n2\n", encoding="utf-8")
    assert do(session, 'const X = csv("a;;b.csv", x)')["after"] == [1.0, 2.0]
    assert [outcome.command for outcome in session.execute("save bob's ;; load bob's")] == ["save bob's", "load bob's"]


def test_the_recording_names_commands_in_full(session: Session):
    do(session, "s 2", "p x", "print(x)", "rs", "n ;; gra")
    assert [event.line for event in session.events] == [*("step 2", "print x", "print (x)", "reverse-step", "step", "grad")]


def test_a_script_answers_at_its_end(session: Session, folder: Path):
    (folder / "quiet.gd").write_text("# nothing\n\n", encoding="utf-8")
    assert do(session, "source quiet.gd") == {"type": "Sourced", "name": "quiet.gd", "commands": 0}


@pytest.mark.parametrize(
    ("line", "value"), [("set lr prev(lr)", 0.1), ("set lr 1/abs(grad(x))", 1 / 75.2), ("set lr lr/2", 0.05)]
)
def test_a_rate_may_be_any_expression_of_the_point(line: str, value: float, session: Session):
    do(session, "step", line)
    assert do(session, "print lr")["value"] == pytest.approx(value, rel=1e-5)


def test_what_waits_for_a_loss_can_be_set_too(session: Session):
    do(session, "const a = 7", "set x a*2")
    assert do(session, "print x")["value"] == 14.0


@pytest.mark.parametrize(("line", "value"), [("var x = 2*pi", 6.2831855), ("var x = +3", 3.0), ("var x = e/2", 1.3591409)])
def test_a_value_may_be_arithmetic(line: str, value: float, session: Session):
    do(session, line)
    assert do(session, "print x")["value"] == pytest.approx(value)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("x", "print x shows its value"),
        ("2*x", "print 2*x shows its value"),
        ("x = 3", "set x 3 changes it"),
        ("lr 0.1", "set lr 0.1 changes it"),
        ("k = 3", "var k = 3 defines it"),
        ("k += 3", "help lists the commands"),
        ("y = x+1", "help lists the commands"),
        ("update = 5", "help lists the commands"),
        ("learning_rate 0.1", "set learning_rate 0.1 changes it"),
        ("momentum 0.9", "set momentum 0.9 changes it"),
        ("optimizer = sgd", "set optimizer sgd changes it"),
        ("max-steps 5", "set max-steps 5 changes it"),
        ("x[0] = 3", "set x[0] 3 changes it"),
        ("b = 3", "const b = 3 defines it anew"),
        ("rosenbrock", "problem rosenbrock puts it in force"),
        ("w = normal(2)", "var w = normal(2) defines it"),
        ("frobnicate", "help lists the commands"),
        ("print x;", "commands are joined by ;;"),
        ("loss (x\u221250)**2", "type - in its place"),
        ("until", "for example until abs(loss - prev(loss)) < 0.001"),
        ("plot loss lgo", "did you mean 'log'?"),
        ("plot loss sideways now", "what follows WHAT is vs EXPR, from A, to B or log"),
        ("break 50", "compare it, for example loss < 1e-3 or step == 50"),
        ("print step, x", "a vector is written [step, x]"),
    ],
)
def test_a_slip_is_told_what_to_type(line: str, hint: str, session: Session):
    do(session, "step", "const b = 1")
    assert error_of(session, line).hint == hint


@pytest.mark.parametrize(("line", "hint"), [("x", "print x shows its value"), ("lr 1", "set lr 1 changes it")])
def test_the_first_problem_is_known_before_tensorflow_is(line: str, hint: str):
    session = Session(Setup(), PROGRAMS)
    assert error_of(session, line).hint == hint
    assert not session.ready


def test_a_run_without_a_count_that_begins_where_nothing_is_finite_says_how_to_go_on():
    session = Session(Setup("x**2", {"x": "1"}, optimizer="sgd", rate="1e30", engine="eager"))
    stopped = do(session, "continue")
    assert (stopped["stops"][0]["kind"], stopped["notes"]) == ("non-finite", [])
    again = do(session, "continue")
    assert again["taken"] == 1
    assert again["notes"] == ["it begins where a value is not finite: a run of a given count goes on, and goto goes back"]
    assert do(session, "step 3")["notes"] == []
    assert do(session, "goto 3")["notes"] == []


@pytest.mark.parametrize("again", [[], ["save kept", "load kept"]], ids=["at once", "loaded"])
def test_a_branch_that_goes_on_from_a_shared_step_is_walked_again_from_it(again, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = hill()
    do(session, "step 3", "branch q", "step 2", "back", *again)  # where it left main it stands before nothing that was set
    assert do(session, "step")["branch"] == "q"
    do(session, "goto 3", "set lr 0.2", "back", "branch r", "step", "back", "goto q:3", "step")
    assert list(session.debugger.timeline.branches) == ["main", "q", "b1", "r"]


def test_before_an_edit_that_changes_something_a_run_leaves_the_branch():
    session = hill()
    do(session, "step 3", "set lr 0.2", "step", "goto 1", "goto 3", "back", "back", "back", "back")
    assert do(session, "print lr")["value"] == pytest.approx(0.1)
    assert do(session, "step")["branch"] == "b1"
