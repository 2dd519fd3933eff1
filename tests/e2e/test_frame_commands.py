"""Walking the chain rule, and asking why, as it is typed: what is in force, printed, recorded, replayed and drawn."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from driving import PROGRAMS, contents, do, error_of, hill

from gdrepl.commands.registry import registry
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup


def chained(loss: str = "(1 - x)**2 + 100*(y - x**2)**2", **options) -> Session:
    given = {"variables": {"x": "-1.2", "y": "1.0"}, "optimizer": "sgd", "rate": "0.001", "engine": "eager", **options}
    return Session(Setup(loss, given.pop("variables"), **given), PROGRAMS)


def at(session: Session) -> int:
    return do(session, "frame")["index"]


# --- backtrace ----------------------------------------------------------------------------------------------------------


def test_backtrace_gives_the_frames_in_json():
    told = do(hill(engine="eager"), "backtrace")
    assert told["type"] == "Backtrace"
    assert [list(frame)[:5] for frame in told["frames"]] == [["index", "expression", "value", "local", "gradient"]] * 3
    assert [[frame[name] for name in ("index", "expression", "value", "local", "gradient")] for frame in told["frames"]] == [
        [0, "(x-50)**2", 2209.0, None, 1.0], [1, "x-50", -47.0, -94.0, -94.0], [2, "x", 3.0, 1.0, -94.0],
    ]  # fmt: skip
    assert (told["gradient"], told["agrees"], told["count"]) == ({"x": -94.0}, True, 3)


@pytest.mark.parametrize(
    ("line", "indices"),
    [
        ("bt", [*range(10)]),
        ("w 3", [0, 1, 2]),
        ("bt -2", [8, 9]),
        ("bt 1 full", [0]),
        ("bt full -1", [9]),
        ("backtrace 99", [*range(10)]),
        ("bt 1+1", [0, 1]),
    ],
)
def test_a_number_chooses_the_first_or_the_last_frames(line, indices):
    told = do(chained(), line)
    assert [frame["index"] for frame in told["frames"]] == indices
    assert told.get("full", False) == ("full" in line)


@pytest.mark.parametrize(
    "line", ["bt 0", "bt x y", "bt full full", "frame -1", "frame two", "up 0", "down x", "list 3", "frame 10"]
)
def test_what_is_no_frame_is_refused_in_a_line_and_changes_nothing(line):
    session = chained()
    do(session, "frame 3")
    before = contents(session)
    error = error_of(session, line)
    assert error.message
    assert error.hint
    assert contents(session) == before
    assert at(session) == 3


@pytest.mark.parametrize("name", ["w", "u", "d", "l", "f"])
def test_a_parameter_that_is_called_as_a_short_form_is_told_how_to_be_defined(name):
    assert error_of(hill(engine="eager"), f"{name} = 3").hint == f"var {name} = 3 defines it"


def test_the_short_forms_are_those_of_gdb_and_pdb():
    forms = {"bt": "backtrace", "w": "backtrace", "f": "frame", "u": "up", "d": "down", "l": "list", "why": "why"}
    assert {form: registry.find(form).name for form in forms} == forms
    assert registry.find("ba").name == "back"
    assert registry.find("fo").name == "forward"


# --- going along the frames ---------------------------------------------------------------------------------------------


def test_up_goes_to_the_operation_and_down_to_its_first_operand():
    # 0 the loss, 1 (1-x)**2, 2 1-x, 3 x, 4 100*(...)**2, 5 (...)**2, 6 y - x**2, 7 y, 8 x**2, 9 x
    session = chained()
    walked = [do(session, line)["index"] for line in ("d", "d 2", "f 6", "d", "u", "f 8", "u 2", "u", "u 99")]
    assert walked == [1, 3, 6, 7, 6, 8, 5, 4, 0]
    assert "nothing above" in error_of(session, "up").message
    do(session, "frame 7")
    error = error_of(session, "down")
    assert (error.message, error.hint) == ("y is a parameter: there is nothing below it", "frame 8 is the next, up goes back")


def test_print_works_in_the_frame():
    session = chained()
    x, y = -1.2, 1.0
    do(session, "frame 6")
    wanted = {
        "$value": y - x**2,
        "$local": 2 * (y - x**2),
        "$gradient": 200 * (y - x**2),
        "$local*$value + x": 2 * (y - x**2) ** 2 + x,
    }
    for text, value in wanted.items():
        assert do(session, f"print {text}")["value"] == pytest.approx(value, rel=1e-5)
    assert do(session, "p $frame")["value"] == 6
    assert do(session, "up", "p $value")["value"] == pytest.approx((y - x**2) ** 2, rel=1e-5)
    assert do(session, "set $value = 7", "p $value")["value"] == 7  # a value of one's own comes first


def test_the_loss_has_no_local_derivative():
    error = error_of(chained(), "print $local")
    assert error.message == "$local has no value: the loss is an operand of nothing"


def test_values_of_the_frame_go_into_conditions_as_digits():
    session = hill(engine="eager")
    do(session, "frame 1")
    assert do(session, "break if loss < $gradient + 100")["text"] == "loss < (-94.0) + 100"


@pytest.mark.parametrize(
    "move", ["step", "goto 0", "run 1", "problem sphere", "reverse-step", "step ;; reverse-step", "stepi 7 ;; rsi 7"]
)
def test_a_move_chooses_the_loss_again(move):
    session = chained()
    do(session, "step 2", "frame 1")
    assert at(session) == 1
    do(session, move)
    assert at(session) == 0


@pytest.mark.parametrize(
    "line", ["bt", "grad", "print x", "set lr 0.01", "info problem", "list", "whatif set lr 0.1 ;; step 5", "display x", "why"]
)
def test_a_question_and_an_edit_leave_the_frame(line):
    session = chained()
    do(session, "frame 5", line)
    assert at(session) == 5


def test_another_loss_has_no_frame_of_the_one_before():
    session = chained()
    do(session, "frame 5", "loss x**2 + y**2")
    assert at(session) == 0


def test_list_marks_the_frame_in_the_text_of_the_loss():
    session = chained()
    told = do(session, "frame 6", "list")
    assert told["loss"][told["start"] : told["end"]] == told["expression"] == "y - x**2"
    assert (told["type"], told["index"], told["step"]) == ("Listing", 6, 0)


def test_asking_for_frames_changes_no_bit_and_no_point():
    session, other = chained(), chained()
    do(session, "step 3")
    do(other, "step 3")
    do(session, "bt", "frame 4", "down", "list", "up", "bt full", "why")
    assert session.debugger.snapshot().same_as(other.debugger.snapshot())
    assert session.debugger.timeline.points() == other.debugger.timeline.points()
    do(session, "step 2")
    do(other, "step 2")
    assert session.debugger.snapshot().same_as(other.debugger.snapshot())


def test_a_session_with_frames_is_loaded_and_replays(folder, cli):
    session = chained()
    do(session, "step 2", "frame 6", "print $value", "down", "why", "bt")
    do(session, "save frames")
    loaded = hill(engine="eager")
    do(loaded, "load frames")
    assert at(loaded) == at(session) == 7
    do(loaded, "print $gradient", "save again")
    for name in ("frames", "again"):
        status, out, err = cli("replay", f"{name}.gds")
        assert (status, err) == (0, ""), out


# --- why ----------------------------------------------------------------------------------------------------------------


def diving() -> Session:
    """The logarithm of x, of which x - 0.1/x leads below 0."""
    return chained("log(x)", variables={"x": "0.5"}, rate="0.1")


def test_why_names_the_logarithm_its_input_and_the_step():
    session = diving()
    x, step = 0.5, 0
    while x > 0:
        x, step = x - 0.1 / x, step + 1
    do(session, "continue")
    for line in ("why", "bt", "grad", "why"):  # later, after other questions, too
        told = do(session, line)
    assert list(told)[:6] == ["type", "step", "operation", "expression", "inputs", "notes"]
    assert (told["type"], told["step"], told["operation"], told["expression"]) == ("Why", step, "log", "log(x)")
    assert told["inputs"] == {"x": pytest.approx(x, rel=1e-4)}
    assert told["output"] == "NaN"
    assert (told["last_finite"], told["learning_rate"]) == (step - 1, 0.1)
    # the second derivative of log is negative: along it there is no rate from which on it diverges
    assert told["notes"]


@pytest.mark.parametrize("line", ["goto 0", "reverse-continue", "back", "goto 1"])
def test_why_is_the_same_after_going_back(line):
    session = diving()
    told = do(session, "continue", "why")
    assert do(session, line, "why") == told


def test_after_a_cure_from_the_past_another_branch_is_pointed_at():
    session = diving()
    do(session, "continue", "goto 1", "set lr 0.001", "step 5")
    told = do(session, "why")
    assert (told["operation"], told["inputs"]) == ("", {})
    assert "branch main ends in a value that is not finite: goto main, then why" in told["notes"]


def test_why_tells_the_limit_that_the_rate_was_above():
    session = hill(rate="1.1")
    told = do(session, "continue", "why")
    assert told["limit"] == pytest.approx(1.0, rel=1e-4)
    assert told["ratio"] == pytest.approx(1.1, rel=1e-4)
    assert told["growth"] == pytest.approx(1.2, rel=1e-3)  # by 1 - 2*1.1
    assert told["last_finite"] == told["step"] - 1
    assert math.isinf(float(told["output"].replace("Infinity", "inf")))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "every loss and gradient of branch main is finite, steps 0 to 0; why tells where one that is not came from"),
        (("break if loss < 100", "continue"), "'continue' ended at step 7: breakpoint 1, loss < 100"),
        (("step 9", "goto 0", "break if loss < 1500", "stepi 8"), "'stepi 8' ended at step 1: breakpoint 1, loss < 1500"),
        (
            ("step 9", "goto 0", "break if loss < 1500", "stepi", "finish"),
            "'finish' ended at step 1: breakpoint 1, loss < 1500",
        ),
        (("step 3", "goto 1"), "'step 3' ended at step 3: 3 steps, as asked"),
        (("step 3", "reverse-continue"), "'reverse-continue' ended at step 0: the start: no stop held on the way"),
        (("catch convergence tol=50", "continue"), "'continue' ended at step 3: catchpoint 1, convergence tol=50"),
        (("until loss < 100", "print x"), "'until loss < 100' ended at step 7: until, loss < 100"),
    ],
)
def test_where_all_is_finite_why_tells_why_the_last_run_ended(lines, words):
    session = hill(engine="eager")
    told = do(session, *lines, "why")
    assert told["operation"] == ""
    assert told["notes"][0].startswith(words)


def test_a_slot_that_is_not_finite_is_told_though_every_loss_is():
    session = chained("-1e16*x**2", variables={"x": "1.0"}, optimizer="rmsprop", rate="100.0")
    told = do(session, "step 30", "why")
    assert any(note.startswith("slot.velocity(x) is not finite") for note in told["notes"])


# --- drawn --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--ascii", "--width", "40"), ("--width", "60")])
def test_the_screen_shows_stack_and_place(more, cli: Callable[..., tuple[int, str, str]]):
    lines = ["bt", "frame 6", "list", "bt full", "why"]
    typed = [word for line in lines for word in ("-c", line)]
    given = ["(1 - x)**2 + 100*(y - x**2)**2", "--var", "x=-1.2", "--var", "y=1.0", "--engine", "eager"]
    status, out, err = cli("debug", *given, "--batch", "--no-color", *more, *typed)
    assert (status, err) == (0, "")
    width = int(more[-1]) if more else 80
    assert max(map(len, out.splitlines())) <= width
    shown = out.split("frame 6 of the loss")[0].splitlines()
    marks = [line for line in out.splitlines() if line.strip() and not line.strip("^ ")]
    assert len(marks) == 2
    assert all(line.count("^") == len("y - x**2") for line in marks)
    assert any(">0" in line for line in shown)
    assert "x is used 2 times" in " ".join(out.split())
    if "--ascii" in more:
        assert out.isascii()
