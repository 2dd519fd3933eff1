"""stepi, finish and reverse-stepi as they are typed: what they tell, what is recorded, and how a session takes them."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from driving import contents, do, error_of, hill, without_checks

from gdrepl.commands.replaying import replay_file, rerun
from gdrepl.commands.session import Session
from gdrepl.display.views import Style, make_console, render
from gdrepl.shell.loader import Loader
from gdrepl.shell.status import prompt_text, status

# x - 50 is -47 at the start; the gradient -94 is clipped to -10; 3 * (1 - 0.5*0.5) = 2.25; v = 0.5 * 10
BEGUN = {"optimizer": "sgd(momentum=0.5, clipnorm=10, weight_decay=0.5)", "rate": "0.5", "engine": "eager"}


def begun(*lines: str) -> Session:
    session = hill(**BEGUN)
    do(session, *lines)
    return session


def place(session: Session) -> str:
    return session.debugger.inside.place


def shown(session: Session, line: str, width: int = 80, ascii_only: bool = False) -> list[str]:
    style = Style(width, 24, color=False, ascii_only=ascii_only)
    stream = io.StringIO()
    console = make_console(stream, style)
    for outcome in session.execute(line):
        assert outcome.error is None
        console.print(render(outcome.result, style))
    return stream.getvalue().splitlines()


def test_each_phase_tells_what_it_made_and_print_reads_it_there():
    session = begun()
    wanted = [
        ("forward", {"loss": (None, 2209), "x-50": (None, -47)}, "loss", 2209),
        ("backward", {"grad(x)": (None, -94)}, "grad", -94),
        ("clip", {"grad(x)": (-94, -10)}, "grad(x)", -10),
        ("decay", {"x": (3, 2.25)}, "x", 2.25),
        ("moments", {"slot.momentum(x)": (0, 5)}, "slot.momentum(x)", 5),
        ("apply", {"x": (2.25, 7.25)}, "update(x)", 4.25),
    ]
    for phase, changes, expression, value in wanted:
        result = do(session, "stepi")
        assert (result["type"], result["step"], result["phase"]) == ("Phased", 0, phase)
        assert [(one["phase"], one["step"]) for one in result["made"]] == [(phase, 0)]
        assert {one["name"]: (one["before"], one["after"]) for one in result["made"][0]["changes"]} == changes
        assert do(session, f"print {expression}")["value"] == value
        assert do(session, "print prev(x)")["value"] == 3
    last = do(session, "stepi")
    assert (last["step"], last["phase"], last["made"][0]["phase"]) == (1, "", "constraint")
    assert last["stepped"]["point"]["parameters"] == {"x": 7.25}
    assert do(session, "print x")["value"] == 7.25


def test_other_questions_speak_of_the_step():
    session = begun("stepi 6")
    assert do(session, "grad")["gradient"] == {"x": -94}
    assert do(session, "print x at 0")["value"] == 3
    assert do(session, "info variables")["parameters"][0]["value"] == 3
    assert do(session, "info session")["facts"]["phase"] == "apply"
    assert place(session) == "0+apply"


def test_stepi_seven_finish_and_step_record_the_same_points():
    sessions = [begun(*lines) for lines in (["stepi 7"], ["stepi 3", "finish"], ["si"] * 7, ["stepi 5", "step"], ["step"])]
    tables = [
        [line for line in contents(session).split('["') if line.startswith(("points", "segment"))] for session in sessions
    ]
    assert all(table == tables[-1] for table in tables)
    assert len(tables[-1]) == 2


def test_finish_needs_an_update_that_is_begun():
    session = begun()
    before = contents(session)
    error = error_of(session, "finish")
    assert (error.message, error.hint) == ("no update is begun", "stepi begins one; step makes a whole one")
    assert contents(session) == before


def test_a_stop_holds_where_the_update_ends_and_its_commands_run():
    session = begun("break if step == 1", "commands 1 ;; print x ;; end", "stepi 4")
    outcomes = list(session.execute("finish"))
    assert [stop.kind for stop in outcomes[0].result.stops] == ["breakpoint", "count"]
    assert outcomes[1].result.value == 7.25
    assert place(session) == "1"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("goto 0", False),
        ("set lr 0.1", False),
        ("set x 7", False),
        ("set clipnorm 1", False),
        ("run 1", False),
        ("reverse-continue", False),
        ("problem rosenbrock", False),
        ("branch other", True),
        ("checkpoint here", True),
        ("whatif lr 0.1 for 2", True),
        ("whatif lr 0.1 for 2 keep", True),
        ("display x", True),
        ("break if loss < 1", True),
        ("set $v = x", True),
        ("set max-steps 9", True),
    ],
)
def test_a_jump_or_a_change_gives_the_update_up_and_anything_else_keeps_it(line, kept):
    session = begun("step 2", "stepi 4")
    result = do(session, line)
    told = [note for note in result.get("notes", ()) if "given up" in note]
    assert told == ([] if kept else ["the update from step 2, begun up to decay, is given up"])
    assert session.debugger.inside.phase == ("decay" if kept else "")
    assert not any("given up" in note for note in do(session, "step").get("notes", ()))


def test_a_command_that_fails_keeps_the_update():
    session = begun("stepi 4")
    before = contents(session)
    for line in ("goto 99", "set lr -1", "print nosuch", "stepi 0", "reverse-stepi x", "restart 9"):
        error_of(session, line)
        assert (contents(session), place(session)) == (before, "0+decay"), line


def test_displays_show_things_as_they_stand():
    session = begun("display x", "stepi 3")
    assert [(one["value"], one["changed"]) for one in do(session, "stepi")["displays"]] == [(2.25, True)]
    crossing = do(session, "stepi 4")  # one of them begins the next update
    assert [one["value"] for one in crossing["displays"]] == [7.25]
    assert crossing["stepped"]["displays"] == []


def test_reverse_stepi_takes_phases_back_across_steps():
    session = begun("step 2", "stepi")
    back = do(session, "rsi 3")
    assert (back["step"], back["phase"], back["back"]) == (1, "moments", 3)
    assert [one["phase"] for one in back["made"]] == ["moments"]
    end = do(session, "rsi 100")
    assert (end["step"], end["phase"], end["back"], end["notes"]) == (0, "", 12, ["at the start"])
    assert do(session, "finish" if place(session) != "0" else "goto end")["point"]["step"] == 2


LINES = (
    "step 2", "stepi", "si 2", "print grad", "rsi", "stepi 9", "branch b", "stepi 2", "finish", "stepi 2", "set lr 0.25",
    "stepi 16", "display x", "si 3",
)  # fmt: skip


def test_a_session_inside_an_update_is_saved_loaded_and_replayed(tmp_path):
    session = begun(*LINES)
    assert place(session) == "6+moments"
    do(session, f"save {tmp_path}/a")
    replay = replay_file(tmp_path / "a.gds")
    assert (replay.status, replay.mismatches) == ("match", ())
    other = hill(**BEGUN)
    loaded = do(other, f"load {tmp_path}/a")
    assert loaded["notes"] == ["inside the update from here, behind moments"]
    assert place(other) == "6+moments"
    ends = [do(each, "stepi 2 ;; stepi 5")["made"] for each in (session, other)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("phase", [7, -1, "clip", True])
def test_a_file_whose_phase_is_none_is_refused(phase, tmp_path):
    session = begun("stepi 3")
    do(session, f"save {tmp_path}/a")
    text = without_checks((tmp_path / "a.gds").read_text())
    text = text.replace('"phase":3}', f'"phase":{str(phase).lower() if phase is True else repr(phase)}}}'.replace("'", '"'))
    (tmp_path / "a.gds").write_text(text)
    before = contents(session)
    assert "state record" in error_of(session, f"load {tmp_path}/a.gds").message
    assert contents(session) == before


def test_phases_that_run_updates_are_made_again_up_to_where_they_were_interrupted():
    session, again = begun(), begun()
    session.debugger.interrupt_after = 3
    result = do(session, "stepi 70")
    session.debugger.interrupt_after = None
    assert [stop["kind"] for stop in result["stepped"]["stops"]] == ["interrupt"]
    assert (result["made"], result["step"], place(session)) == ([], 3, "3")
    assert rerun(again, "stepi 70", result) is None
    assert contents(again) == contents(session)


def test_an_interrupt_before_the_update_is_whole_changes_nothing():
    session = begun("stepi 6")
    before = contents(session)
    session.debugger.interrupt.set()
    assert error_of(session, "stepi").message == "interrupted before the update was finished"
    assert (contents(session), place(session)) == (before, "0+apply")
    assert do(session, "stepi")["step"] == 1


def test_the_prompt_and_the_status_line_show_the_phase():
    session = hill(**BEGUN)
    assert prompt_text(session) == "(gd) "  # nothing is built yet
    loader = Loader(session)
    loader.done.set()
    do(session, "step 3", "stepi 3")
    assert prompt_text(session) == "(gd 3+clip) "
    assert " | step 3+clip | " in status(session, loader)
    do(session, "define look")
    assert prompt_text(session) == "> "
    do(session, "print x", "end", "finish")
    assert prompt_text(session) == "(gd) "
    assert " | step 4 | " in status(session, loader)


# --- as it is drawn -----------------------------------------------------------------------------------------------------


def test_a_whole_update_fits_a_screen_and_tells_each_phase():
    lines = shown(begun("step"), "stepi 7")
    assert len(lines) <= 21
    assert [line.split()[0] for line in lines if line.startswith("1+")] == [
        "1+forward", "1+backward", "1+clip", "1+decay", "1+moments", "1+apply", "1+constraint"
    ]  # fmt: skip
    assert any(line.startswith("step 1 → 2") for line in lines)


def test_many_parameters_and_slots_fit_too_and_say_what_is_left_out():
    session = hill(engine="eager")
    do(session, *(f"var {name} = 1" for name in "abcd"), "loss a**2 + b**2 + c**2 + d**2", "set optimizer adam(clipnorm=1)")
    lines = shown(session, "stepi 5")
    assert len(lines) <= 21
    assert any(re.search(r"slots \([3-7] of 8 shown\)$", line) for line in lines)
    assert len(shown(session, "reverse-stepi ;; stepi")) == 2 + 1 + 8  # alone, all of it is shown


@pytest.mark.parametrize("width", [80, 60, 40, 20])
def test_no_line_is_wider_than_the_screen_and_ascii_stays_ascii(width):
    session = begun("step")
    for line in ("stepi 2", "stepi 5", "stepi 3", "reverse-stepi"):
        lines = shown(session, line, width, ascii_only=True)
        assert max(map(len, lines)) <= width
        assert "".join(lines).isascii()


def test_what_a_phase_added_stands_beside():
    (head, row) = shown(begun("stepi 2"), "stepi")
    assert head == "0+clip   a gradient's norm above clipnorm 10 is scaled down to it"
    assert row.split() == ["grad(x)", "-94", "→", "-10", "+84"]
    assert np.isclose(float(row.split()[-1]), 84)
