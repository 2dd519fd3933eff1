"""What is defined, armed and displayed where several problems were in force, and what a failure leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import contents, do, error_of, hill

from gdrepl.commands.replaying import replay_file
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine.past import Past
from gdrepl.errors import CommandError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def session() -> Session:
    """Without compiling."""
    return hill(engine="eager")


def reloaded(session: Session) -> Session:
    do(session, "save there")
    other = Session(Setup())
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


def test_a_name_is_a_parameter_or_a_constant_and_not_both():
    error = error_of(Session(Setup("x**2", {"x": "3"}, {"x": "2"}, engine="eager")), "print x")
    assert error.message == "x is given by --var and by --const"


def test_a_constant_in_place_of_the_only_parameter_is_refused_with_what_to_type(session: Session):
    error = error_of(session, "const x = 4")
    assert (error.message, error.hint) == ("x is the only parameter of the loss in force", "var x = 4 sets where it starts")


# --- breakpoints and displays -------------------------------------------------------------------------------------------


def test_a_breakpoint_of_another_optimizer_is_passed_over_told_and_there_again(session: Session, folder: Path):
    do(session, "set optimizer sgd(momentum=0.5)", "break if slot.momentum < -1e9", "step 3")
    changed = do(session, "set optimizer adam")
    assert not any("passed over" in note for note in changed["notes"])  # Adam has a momentum, too
    changed = do(session, "set optimizer sgd")
    [told] = [note for note in changed["notes"] if "passed over" in note]
    assert told.startswith("breakpoint 1 (slot.momentum < -1e9) is passed over: the optimizer has no slot 'momentum'")
    assert do(session, "step 2")["notes"] == [told]
    assert "the optimizer has no slot" in do(session, "info break")["stops"][0]["note"]
    do(session, "save armed")
    assert replay_file(folder / "armed.gds").status == "match"
    assert do(session, "goto 1", "step")["notes"] == []


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


def test_an_interrupt_on_the_way_to_a_displayed_point_undoes_the_run(session: Session, monkeypatch: pytest.MonkeyPatch):
    do(session, "step 5", "display prev(x)")
    before = contents(session)

    def interrupted(self: Past, segment: object, step: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Past, "reach", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(session.execute("step 500"))
    monkeypatch.undo()
    assert contents(session) == before


def test_asking_keeps_no_more_than_the_history_may_take(session: Session):
    do(session, "set history-limit 1", "var w = normal(20000)", "loss sum(w**2)", "step 60")
    timeline = session.debugger.timeline
    for step in range(60):
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


def test_the_recording_names_commands_in_full(session: Session):
    do(session, "s 2", "p x", "print(x)", "rs", "n ;; wha x")
    assert [event.line for event in session.events] == [*("step 2", "print x", "print (x)", "reverse-step", "step", "whatis x")]


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


@pytest.mark.parametrize(("line", "value"), [("var x = 2*pi", 6.2831855), ("var x = +3", 3.0), ("var x = e", 2.7182817)])
def test_a_value_may_be_arithmetic(line: str, value: float, session: Session):
    if line.endswith("= e"):
        assert "e" in error_of(session, line).message  # a name alone is a maker such as normal(3)
        return
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
    do(session, "step")
    assert error_of(session, line).hint == hint


@pytest.mark.parametrize(("line", "hint"), [("x", "print x shows its value"), ("lr 1", "set lr 1 changes it")])
def test_the_first_problem_is_known_before_tensorflow_is(line: str, hint: str):
    session = Session(Setup())
    assert error_of(session, line).hint == hint
    assert not session.ready


def test_a_run_without_a_count_that_begins_where_nothing_is_finite_says_how_to_go_on():
    session = Session(Setup("x**2", {"x": "1"}, optimizer="sgd", rate="1e30", engine="eager"))
    stopped = do(session, "continue")
    assert (stopped["stops"][0]["kind"], stopped["notes"]) == ("non-finite", [])
    again = do(session, "continue")
    assert again["taken"] == 1
    assert again["notes"] == ["it began where a value is not finite: a run of a given count goes on, and goto goes back"]
    assert do(session, "step 3")["notes"] == []
