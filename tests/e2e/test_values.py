"""Convenience values, and expressions asked of past steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from driving import PROGRAMS, contents, do, error_of, hill, joined, without_checks

from gdrepl.commands.replaying import replay_file
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.errors import GdreplError

DATA = Path(__file__).resolve().parents[1] / "data"


def x_at(step: int) -> float:
    """Gradient descent of rate 0.1 on (x-50)**2 from 3, in closed form."""
    return 50 - 47 * 0.8**step


# --- convenience values -------------------------------------------------------------------------------------------------


def test_printed_values_are_numbered_and_read_back():
    session = hill()
    do(session, "print 7", "print 8", "print 9")
    assert do(session, "print $1 + 10*$2 + 100*$3")["value"] == 7 + 80 + 900
    assert [do(session, line)["value"] for line in ("print $", "print $$", "print $$4")] == [987, 987, 8]


def test_a_named_value_is_read_in_any_expression_and_replaced_by_setting_it_again():
    session = hill()
    do(session, "set $a = 2*x", "step", "set $b $a - x")
    assert do(session, "print $b")["value"] == pytest.approx(6 - x_at(1))
    do(session, "set $a 1")
    assert do(session, "print $a")["value"] == 1


def test_a_value_may_stand_inside_prev():
    session = hill()
    do(session, "set $a = 100", "step 2")
    assert do(session, "print prev($a - x)")["value"] == pytest.approx(100 - x_at(1))


def test_values_are_read_as_numbers_of_steps_places_and_settings():
    session = hill()
    do(session, "set $n = 4", "step $n", "step $n", "goto $n", "set x $n", "set $rate = 0.25", "set lr $rate / 2")
    assert session.debugger.step == 4
    assert float(session.debugger.point().parameters["x"]) == 4
    assert session.debugger.spec.learning_rate == 0.125
    do(session, "set max-steps $n", "var z = $n", "const c = [$n, -$rate]")
    assert session.debugger.max_steps == 4
    assert session.definitions.constants["c"] == [4, -0.25]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_counts_are_computed_of_values_and_numbers(dtype, folder):
    session = hill(dtype=dtype)
    do(session, "set $n = 4", "set $tenth = 0.1", "set $half = 0.5", "print 3", "break if x > 100")
    do(session, "step 2*$n", "step $n + 1", "reverse-step 2*$ - 1", "continue 10 * $tenth", "step 2 * $half")
    assert session.debugger.step == 8 + 5 - 5 + 1 + 1
    do(session, "back floor($n / 3)", "forward $n - 3", "ignore 1 $n*$n", "run 2*3", "set max-steps 10**$n")
    assert session.debugger.stops.get(1).ignore == 16
    assert (session.debugger.step, session.debugger.max_steps) == (6, 10_000)
    assert len(do(session, "print x over 0:6 every 2*$half")["steps"]) == 7
    do(session, "define twice ;; step 2*$arg0 ;; end", "twice $n", "save counts")
    assert session.debugger.step == 14
    assert replay_file(folder / "counts.gds").mismatches == ()


def test_a_count_beyond_the_digits_of_float32_is_exact():
    session = hill()
    do(session, "break if x > 100", "set $big = 4096*4096", "ignore 1 $big + 1")
    assert session.debugger.stops.get(1).ignore == 16_777_217


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("step $n/8", "'$n/8' is 0.5, not a whole number", "floor(...)"),
        ("step $n - 4", "'$n - 4' is not a number of steps", "2*$n"),
        ("step 10**20", "'10**20' is not a number of steps", "2*$n"),
        ("step 10**400", "'10**400' is not a number of steps", "2*$n"),
        ("step 1/0", "'1/0' is not a number of steps", "2*$n"),
        ("step 2*x", "'2*x' is not a number of steps", "2*$n"),
        ("step 2*step", "'2*step' is not a number of steps", "2*$n"),
        ("step $n > 3", "'$n > 3' is not a number of steps", "2*$n"),
        ("step [$n, 1]", "'[$n, 1]' is not a number of steps", "2*$n"),
        ("step 5 6", "'5 6' is not a number of steps", "2*$n"),
        ("step 2*$no", "$no has no value", "did you mean"),
        ("step __import__('os')", "'__import__('os')' is not a number of steps", "2*$n"),
        ("continue 1.5", "'1.5' is not a number of steps", "2*$n"),
        ("back 3*$n/8", "'3*$n/8' is 1.5, not a whole number", "floor(...)"),
        ("ignore 1 0 - $n", "'0 - $n' is not a number of times", "from 0"),
    ],
)
def test_a_count_that_is_none_is_told(line, message, hint):
    session = hill()
    do(session, "set $n = 4", "break if x > 100", "step")
    before = contents(session)
    error = error_of(session, line)
    assert error.message == message
    assert hint in error.hint
    assert contents(session) == before


def test_what_stands_on_its_own_in_a_recording_holds_the_digits():
    session = hill()
    do(session, "print [x, -x]", "set $low = -x", "break if x**2 > $low**2", "display dot($1, $1)", "break if $low < x")
    assert [item.text for item in session.debugger.stops] == ["x**2 > (-3.0)**2", "(-3.0) < x"]
    assert session.displays[0].expression.text == "dot([3.0,-3.0], [3.0,-3.0])"
    do(session, "loss (x - $low)**2")
    assert session.debugger.problem.loss.text == "(x - (-3.0))**2"


def test_the_number_of_the_last_stop():
    session = hill()
    assert "$bpnum has no value" in error_of(session, "delete $bpnum").message
    do(session, "break if loss < 1", "break if loss < 2", "disable $bpnum")
    assert [item.enabled for item in session.debugger.stops] == [True, False]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("print $4", "$4 has no value"),
        ("print $$9", "$$9 has no value"),
        ("print x + $nothing", "$nothing has no value"),
        ("print _1", "unknown name '_1'"),
        ("print $1 + _1", "unknown name '_1'"),
        ("print __1 + $1", "unknown name '__1'"),
        ("print $1x", "$1x has no value"),
        ("print $1(2)", "unknown function"),
        ("step $half", "not a whole number"),
        ("step $nothing", "$nothing has no value"),
        ("break if $1 < $nothing", "$nothing has no value"),
        ("break if x < $inf", "$inf is not finite"),
        ("break if sum($long) < x", "characters"),
        ("set $bpnum = 1", "not yours to set"),
        ("set $arg0 = 1", "not yours to set"),
        ("set $9 = 1", "$9 is not yours to set"),
        ("set $a[0] = 1", "whole"),
        ("loss (x - $nothing)**2", "$nothing has no value"),
    ],
)
def test_what_has_no_value_is_one_clear_error_and_changes_nothing(line, message):
    session = hill()
    do(session, "print 1", "set $half = 0.5", "set $inf = 1/0", "set $long = arange(1000) / 7")
    before = contents(session)
    assert message in error_of(session, line).message
    assert contents(session) == before


def test_an_error_points_at_the_value_as_it_was_typed():
    session = hill()
    do(session, "print 1")
    error = error_of(session, "print $1 + nonsense")
    assert (error.text, error.column) == ("$1 + nonsense", 5)


def test_the_oldest_values_go_and_large_ones_are_not_kept():
    session = hill()
    do(session, "print arange(20000)")
    assert "too large" in error_of(session, "print sum($1)").message
    do(session, *["print 5"] * 1000)
    assert "no longer kept" in error_of(session, "print $1").message
    assert do(session, "print $2 + $1001")["value"] == 10


def test_a_failing_print_keeps_no_value():
    session = hill()
    do(session, "print 1")
    error_of(session, "print update")
    assert session.kept.last == 1


def test_values_come_back_with_their_bits_and_replay(tmp_path):
    session = hill(dtype="float64")
    do(session, "print x/3", "print loss < 1", "print step", "print [x, 1/0]", "set $a = x/7", f"save {tmp_path / 'v.gds'}")
    again = hill()
    do(again, f"load {tmp_path / 'v.gds'}")
    for mine, other in zip([*session.kept.printed, session.kept.named["a"]], [*again.kept.printed, again.kept.named["a"]]):
        assert (mine.dtype, mine.tobytes()) == (other.dtype, other.tobytes())
    assert replay_file(tmp_path / "v.gds").status == "match"


def test_a_file_from_before_values_gets_those_that_its_prints_showed(tmp_path):
    session = hill()
    do(session, f"load {DATA / 'v1-full.gds'}")
    printed = sum(event.result["type"] == "Printed" for event in session.events)
    assert session.kept.last == printed > 0
    do(session, "print x", f"save {tmp_path / 'new.gds'}")
    assert replay_file(tmp_path / "new.gds").status == "match"


OLD_KINDS = ("values", "shown", "places")


def as_gdrepl_0_1_wrote_it(path: Path) -> None:
    """Take the records out of a session file that 0.1 did not know."""
    lines = without_checks(path.read_text()).splitlines()
    path.write_text(joined(line for line in lines if json.loads(line)["kind"] not in OLD_KINDS))


@pytest.mark.parametrize(
    "lines",
    [
        ("print step/4", "print x*(step/4)", "print step", "print x", "print 1/3"),
        ("print x > 2", "print [1, 2] > step", "print [1, 2]", "print 1/0", "print step/0"),
        ("set dtype float64", "print x", "goto main", "print x", "goto b1", "print x", "print step/4"),
    ],
)
def test_a_file_from_before_values_gets_them_with_their_types_and_replays_once_it_is_saved_again(lines, folder):
    session, again = hill(), hill()
    do(session, "step 3", *lines, "save old")
    as_gdrepl_0_1_wrote_it(folder / "old.gds")
    do(again, "load old")
    assert [value.dtype for value in again.kept.printed] == [value.dtype for value in session.kept.printed]
    do(again, "print $1/3 + step", "save new", "load new", "print $", "save new")
    assert [replay_file(folder / name).mismatches for name in ("old.gds", "new.gds")] == [(), ()]


def test_a_dtype_that_was_set_before_anything_was_run_is_that_of_the_values_printed_later(folder):
    session, again = hill(), hill()
    do(session, "goto 0", "print x/3", "set dtype float64", "goto 0", "print x/3", "step", "goto 0", "print x/3", "save old")
    as_gdrepl_0_1_wrote_it(folder / "old.gds")
    do(again, "load old", "save new")
    assert [str(value.dtype) for value in again.kept.printed] == ["float32", "float64", "float64"]
    assert replay_file(folder / "new.gds").mismatches == ()


def test_a_line_that_begins_with_a_value_is_told_what_to_type():
    session = hill()
    assert error_of(session, "$1 + 1").hint == "print $1 + 1 shows its value"
    assert error_of(session, "$a = 3").hint == "set $a = 3 sets it"


def test_charts_and_ranges_take_values():
    session = hill()
    do(session, "step 8", "set $n = 4", "set $a = 50")
    assert do(session, "history 2:$n")["points"]["step"] == [2, 3, 4]
    [series] = do(session, "plot x - $a from 0 to $n")["chart"]["series"]
    assert series["y"] == pytest.approx([x_at(step) - 50 for step in range(5)], rel=1e-6)


def test_info_values_lists_them():
    session = hill()
    do(session, "print x", "set $a = 2")
    assert do(session, "info values")["values"] == [["$1", 3.0], ["$a", 2.0]]


# --- past steps ---------------------------------------------------------------------------------------------------------


def standing_at(session: Session, step: int, text: str) -> np.ndarray:
    """What print gives to somebody who stands there."""
    here = session.debugger.position
    do(session, f"goto {step}", f"print {text}")
    value = session.kept.printed[-1]
    do(session, f"goto {here.branch}:{here.step}")
    return value


VECTOR = Setup(
    "sum((w - 1)**4) + (b - 2)**2", {"w": "normal(3)", "b": "0.5"}, optimizer="adam", rate="0.1", engine="xla", dtype="float64"
)
LARGE = Setup("sum((w - 1)**4)", {"w": "normal(70)"}, optimizer="sgd(momentum=0.9)", rate="0.001")


@pytest.mark.parametrize(
    ("setup", "text"),
    [
        (VECTOR, "exp(w) / 3 + b*loss"),
        (VECTOR, "norm(grad) * lr"),
        (VECTOR, "step"),
        (VECTOR, "loss < prev(loss)"),
        (VECTOR, "slot.momentum(w) / 7"),
        (LARGE, "w * loss / 3"),
        (LARGE, "norm(grad) + sum(w)/7"),
        (LARGE, "update(w)"),
        (LARGE, "prev(w)[3] + step"),
    ],
)
def test_over_steps_gives_the_bits_of_standing_there_across_edits(setup, text):
    session = Session(setup, PROGRAMS)
    do(
        session,
        "step 7",
        "set w[0] 3",
        "step 4",
        "set lr 0.002",
        "step 3",
        "set optimizer sgd(momentum=0.5)",
        "step 4",
        "goto 9",
    )
    if "slot" in text:
        do(session, "goto 14", "set optimizer adam", "step 3")
    steps = range(1, session.debugger.branch.end + 1, 2)
    before = session.debugger.position
    over = do(session, f"print {text} over 1: every 2")
    assert session.debugger.position == before
    assert over["steps"] == list(steps)
    kept = session.kept.printed[-1]
    for place, step in enumerate(steps):
        there = standing_at(session, step, text)
        assert (there.dtype, there.tobytes()) == (kept.dtype, kept[place].tobytes()), step
        do(session, f"print {text} at {step}")
        assert session.kept.printed[-1].tobytes() == there.tobytes()


def test_over_steps_of_the_hill_is_its_closed_form():
    session = hill(dtype="float64")
    do(session, "step 20")
    answer = do(session, "print x over 0:20 every 5")
    assert answer["steps"] == [0, 5, 10, 15, 20]
    assert answer["value"] == pytest.approx([x_at(step) for step in (0, 5, 10, 15, 20)], rel=1e-12)


def test_over_reads_the_steps_of_another_branch(folder):
    session = hill(dtype="float64")
    do(session, "step 20", "goto 10", "set lr 0.5", "step 2")  # a rate of 0.5 leads to 50 at once
    here = session.debugger.position
    main = [x_at(step) for step in range(21)]
    assert do(session, "print x over main")["value"] == pytest.approx(main, rel=1e-12)
    answer = do(session, "print x over main:5: every 5")
    assert (answer["expression"], answer["steps"]) == ("x over main", [5, 10, 15, 20])
    assert answer["value"] == pytest.approx(main[5::5], rel=1e-12)
    assert do(session, "print x over main:start:2")["value"] == pytest.approx(main[:3], rel=1e-12)
    alone = do(session, "print x over b1:9:")
    assert (alone["expression"], alone["steps"]) == ("x", [9, 10, 11, 12])
    assert alone["value"] == pytest.approx([*main[9:11], 50, 50], rel=1e-12)
    assert session.debugger.position == here
    do(session, "save over")
    assert replay_file(folder / "over.gds").mismatches == ()


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("print x over mian", "there is no branch 'mian'", "did you mean 'main'"),
        ("print x over mian:0:2", "there is no branch 'mian'", "did you mean 'main'"),
        ("print x over main:5", "'main:5' is not a range of steps", "print x over main:0:40"),
        ("print x over 5", "'5' is not a range of steps", "print x over 0:40"),
        ("print x over main:0:5:2", "'main:0:5:2' is not a range of steps", "print x over 0:40"),
        ("print x over main:0:99", "branch main has steps 0 to 20, not 99", ""),
        ("print x over main:9:2", "there are no steps 9 to 2", "earlier step first"),
        ("print x over main:a:b", "'a' is not a step", "type a step"),
        ("print prev(x) over main:0:5", "at step 0: there is no point before step 0", "over main:1:5 leaves step 0 out"),
    ],
)
def test_a_slip_in_a_range_of_another_branch_is_told(line, message, hint):
    session = hill()
    do(session, "step 20", "goto 10", "set lr 0.5", "step 2")
    before = contents(session)
    error = error_of(session, line)
    assert error.message.startswith(message)
    assert hint in error.hint
    assert contents(session) == before


def test_a_range_too_long_is_refused_with_one_of_its_own_branch():
    session = hill(engine="xla")
    do(session, "step 20000", "branch")
    assert error_of(session, "print x over main").hint == "over main:0:20000 every 21"


def test_at_reads_places_as_goto_does():
    session = hill(dtype="float64")
    do(session, "step 20", "goto 10", "set x 0", "step 2")
    assert do(session, "print x at start")["value"] == 3
    assert do(session, "print x at main:20")["value"] == pytest.approx(x_at(20))
    assert do(session, "print x at -3")["value"] == pytest.approx(x_at(9))
    assert session.debugger.position.branch == "b1"
    assert session.debugger.step == 12


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("print x at 99", "has steps 0 to 20, not 99"),
        ("print x at nowhere", "neither a step nor a branch"),
        ("print x over 5:2", "no steps 5 to 2"),
        ("print x over 0:99", "has steps 0 to 20, not 99"),
        ("print x over 0:10 every 0", "not a number of steps"),
        ("print update over 0:5", "at step 0: there is no point before step 0"),
        ("print x over", "not an expression"),
        ("print nothing over 0:5", "unknown name"),
    ],
)
def test_a_question_about_no_step_is_refused(line, message):
    session = hill()
    do(session, "step 20")
    before = contents(session)
    error = error_of(session, line)
    assert isinstance(error, GdreplError)
    assert message in error.message
    assert contents(session) == before


def test_too_many_steps_are_refused_with_a_stride_that_is_not():
    session = hill()
    do(session, "step 20000")
    error = error_of(session, "print x over 0:")
    assert error.hint == "over 0:20000 every 21"
    assert len(do(session, f"print x {error.hint}")["steps"]) == 953


def test_an_interrupt_ends_a_question_and_changes_nothing():
    session = hill()
    do(session, "step 50")
    before = contents(session)
    session.debugger.interrupt.set()
    assert "interrupted" in error_of(session, "print x over 0:50").message
    assert contents(session) == before
    assert not session.debugger.interrupt.is_set()


def test_another_problem_s_branch_is_not_asked():
    session = hill()
    do(session, "step 3", "loss (x - 1)**2")
    assert "of another problem" in error_of(session, "print x at main:2").message


# --- displays -----------------------------------------------------------------------------------------------------------


def marks(answer) -> list[bool]:
    return [one["changed"] for one in answer["displays"]]


def test_a_display_is_marked_when_it_changed_since_the_stop_before():
    session = hill()
    do(session, "display x", "display x > 20", "display 7")
    assert marks(do(session, "step")) == [True, False, False]
    assert marks(do(session, "step 3")) == [True, True, False]
    assert marks(do(session, "info display")) == [False, False, False]
    assert marks(do(session, "goto 4")) == [False, False, False]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_after_load_a_display_is_marked_when_it_changed_since_the_stop_before(dtype, folder):
    session, again = hill(dtype=dtype), hill()
    do(session, "step 2", "display x", "display x > 30", "display prev(x)", "display step/3", "step", "save d")
    do(again, "load d", "save again")
    assert (folder / "d.gds").read_bytes() == (folder / "again.gds").read_bytes()
    assert marks(do(again, "goto 3")) == [False, False, False, False]
    assert marks(do(again, "step")) == [True, True, True, True]
    do(again, "save again")
    assert replay_file(folder / "again.gds").mismatches == ()


def test_a_display_that_showed_no_value_or_too_many_is_saved_too(folder):
    session, again = hill(), hill()
    do(session, "display prev(x)", "display arange(10001) + x", "goto 0", "save d")
    do(again, "load d", "save again")
    assert marks(do(again, "step")) == [True, False]  # of what is too large nothing is known
    assert replay_file(folder / "d.gds").mismatches == replay_file(folder / "again.gds").mismatches == ()


def test_a_file_from_before_the_marks_begins_without_one_and_replays_once_it_is_saved_again(folder):
    session, again = hill(), hill()
    do(session, "display x", "step 3", "save old")
    as_gdrepl_0_1_wrote_it(folder / "old.gds")
    do(again, "load old", "display step", "save new")
    assert [replay_file(folder / name).mismatches for name in ("old.gds", "new.gds")] == [(), ()]
    assert marks(do(again, "step")) == [False, True]
    do(again, "save new")
    assert replay_file(folder / "new.gds").mismatches == ()


@pytest.mark.parametrize(
    "displays",
    ["7", "null", "[7]", '[{"id":1}]', '[{"id":9,"value":null}]', '[{"id":1,"value":null},{"id":1,"value":null}]',
     '[{"id":1,"value":{"dtype":"object","value":1}}]', '[{"id":1,"value":{"dtype":"float32","value":"x"}}]'],
)  # fmt: skip
def test_a_file_with_marks_that_cannot_be_is_refused(displays, folder):
    session = hill()
    do(session, "display x", "save d")
    text = without_checks((folder / "d.gds").read_text())
    line = next(line for line in text.splitlines() if '"kind":"shown"' in line)
    (folder / "d.gds").write_text(text.replace(line, f'{{"kind":"shown","displays":{displays}}}'))
    assert "the shown record" in error_of(session, "load d").message


def test_a_failing_run_leaves_the_marks_as_they_were():
    session = hill()
    do(session, "display x", "step")
    shown = session.shown
    error_of(session, "goto 99")
    assert session.shown is shown
