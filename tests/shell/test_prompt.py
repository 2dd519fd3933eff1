"""The prompt in a real pseudo-terminal of 80x24. One process serves most tests, since TensorFlow takes seconds to start."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from pty_terminal import DRIVER, Terminal

Start = Callable[..., Terminal]


@pytest.fixture(scope="module")
def loading() -> list[str]:
    """The status lines and the lines typed of the process below while TensorFlow loads, and right after."""
    return []


@pytest.fixture(scope="module")
def loaded(start: Start, loading: list[str]) -> Terminal:
    """A process whose TensorFlow is loaded."""
    terminal = start()
    terminal.see("loading TensorFlow ...")
    terminal.type("ste")
    terminal.at_prompt("ste")
    loading += [terminal.status, terminal.line]
    terminal.see("main | step 0", timeout=120)
    terminal.at_prompt("ste")
    loading += [terminal.status, terminal.line]
    return terminal


@pytest.fixture
def gd(loaded: Terminal) -> Terminal:
    """The loaded process at an empty prompt on an empty screen."""
    loaded.type("x\x03")
    loaded.at_prompt()
    loaded.type("\x0c")
    loaded.wait(lambda: loaded.screen.cursor.y == 0, name="clear screen")
    loaded.at_prompt()
    return loaded


def step_of(terminal: Terminal) -> int:
    """The step that the status line tells."""
    match = re.search(r"\bstep (\d+)", terminal.status)
    assert match, terminal.status
    return int(match.group(1))


# --- before TensorFlow is loaded ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loaded")
def test_keys_are_taken_while_tensorflow_loads_and_the_status_line_changes_once_it_has(loading):
    assert loading == ["loading TensorFlow ...", "(gd) ste", "main | step 0 | loss 2209 | lr 1 | Adam", "(gd) ste"]


def test_help_answers_while_tensorflow_loads(start):
    terminal = start()
    terminal.at_prompt()
    terminal.enter("help step")
    terminal.see("step 10")
    terminal.at_prompt()
    assert terminal.status == "loading TensorFlow ..."
    terminal.type("\x04")
    assert terminal.ended() == 0


def test_ctrl_c_in_the_wait_for_tensorflow_cancels_the_command_only(start):
    terminal = start()
    terminal.at_prompt()
    terminal.enter("step 5")
    terminal.see("loading TensorFlow ... ")
    terminal.type("\x03")
    terminal.see("interrupted: TensorFlow is still loading")
    terminal.at_prompt()
    terminal.enter("quit")
    assert terminal.ended() == 0


def test_a_wrong_start_is_told_at_the_first_command_that_needs_it(start):
    terminal = start("no_such_problem")
    terminal.see("cannot start", timeout=120)
    terminal.enter("help step")
    terminal.see("step 10")
    terminal.at_prompt()
    terminal.enter("step")
    assert terminal.ended() == 2
    assert "no_such_problem" in terminal.text
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_with_the_terminal_as_it_was(start, number):
    terminal = start()
    terminal.at_prompt()
    terminal.signal(number)
    assert terminal.ended() == 128 + number
    assert "Traceback" not in terminal.text
    assert terminal.raw.rfind(b"\x1b[?2004l") > terminal.raw.rfind(b"\x1b[?2004h")
    assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")


def test_a_terminal_that_goes_away_ends_it(start):
    terminal = start()
    terminal.at_prompt()
    assert terminal.hung_up() >= 0  # 120 says that Python could not flush what nobody reads any more


def test_a_history_that_cannot_be_written_is_told_once(start, tmp_path):
    (tmp_path / "gdrepl").write_text("a file where the folder should be")
    terminal = start(state=tmp_path)
    terminal.at_prompt()
    terminal.enter("help step")
    terminal.see("cannot")
    terminal.at_prompt()
    terminal.enter("help step")
    terminal.wait(lambda: terminal.text.count("example: step 10") == 2, name="help again")
    terminal.at_prompt()
    assert terminal.raw.count(b"history file") == 1
    assert "Traceback" not in terminal.text
    terminal.type("\x1b[A\x1b[A")
    terminal.at_prompt("help step")
    terminal.type("\x03\x04")
    assert terminal.ended() == 0


def test_history_of_the_session_before_is_suggested(start, tmp_path):
    (tmp_path / "gdrepl").mkdir()
    (tmp_path / "gdrepl" / "history").write_text("\n# then\n+step 1234\n")
    terminal = start(state=tmp_path)
    terminal.at_prompt()
    terminal.type("ste")
    terminal.see("(gd) step 1234")
    assert terminal.screen.cursor.x == len("(gd) ste")
    terminal.type("\x1b[C")
    terminal.at_prompt("step 1234")
    terminal.type("\x03\x04")
    assert terminal.ended() == 0


def test_ctrl_z_suspends_and_fg_goes_on(start):
    shell = start(command=["/bin/bash", "--norc", "--noprofile", "-i"], PS1="shell> ")
    shell.see("shell>")
    shell.enter(" ".join(DRIVER))
    shell.at_prompt()
    shell.type("st\x1a")
    shell.see("Stopped")
    children = Path(f"/proc/{shell.child.pid}/task/{shell.child.pid}/children").read_text().split()
    assert [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in children] == ["T"]
    shell.enter("fg")
    shell.at_prompt("st")
    shell.type("\x03\x04")
    shell.wait(lambda: shell.line == "shell>", name="the shell again")


# --- with TensorFlow ----------------------------------------------------------------------------------------------------


def test_the_status_line_tells_branch_step_loss_rate_and_optimizer(gd):
    assert re.fullmatch(r"main \| step \d+ \| loss [-+.e\d]+ \| lr 1 \| Adam", gd.status)


def test_a_step_is_shown_and_told_in_the_status_line(gd):
    before = step_of(gd)
    gd.run("step 3")
    assert step_of(gd) == before + 3


def test_an_unknown_command_is_an_error_and_a_hint(gd):
    assert "unknown command 'stpe'" in gd.run("stpe")


def test_an_empty_line_repeats_the_last_step_with_its_count(gd):
    gd.run("step 10")
    before = step_of(gd)
    gd.run("")
    assert step_of(gd) == before + 10


def test_an_empty_line_repeats_a_question_and_a_whole_line(gd):
    gd.run("print 40 + 2")
    assert "40 + 2 = 42" in gd.run("")
    gd.run("step 2 ;; print 40 + 2")
    before = step_of(gd)
    assert "40 + 2 = 42" in gd.run("")
    assert step_of(gd) == before + 2


def test_an_empty_line_does_not_repeat_what_is_not_to_be_repeated(gd):
    gd.run("set print-precision 7")
    before = step_of(gd)
    text = gd.run("")
    assert text.splitlines()[:2] == ["(gd)", "(gd)"]
    assert step_of(gd) == before


def test_tab_completes_a_command(gd):
    gd.type("conti\t")
    gd.at_prompt("continue ")


def test_tab_completes_a_name_inside_an_expression(gd):
    gd.type("print 2*sigm\t")
    gd.at_prompt("print 2*sigmoid")


def test_tab_shows_a_menu_and_ctrl_c_closes_it(gd):
    gd.type("s\t")
    gd.see("source")
    gd.see("set")
    gd.type("\x03")
    gd.at_prompt()


def test_ctrl_c_clears_the_line(gd):
    gd.type("print nonsense")
    gd.at_prompt("print nonsense")
    gd.type("\x03")
    gd.at_prompt()
    assert "nonsense" not in gd.text


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_a_block_has_a_prompt_of_its_own_which_ctrl_c_and_ctrl_d_leave(gd, key):
    gd.enter("define go")
    gd.wait(lambda: gd.line.strip() == ">", name="prompt of the block")
    gd.type(key)
    gd.see("'define go' was not finished, and is dropped")
    gd.at_prompt()
    gd.enter("go")
    gd.see("goto needs STEP")  # nothing was defined
    gd.at_prompt()


def test_what_was_defined_runs_and_is_completed(gd):
    gd.enter("define looking ;; print $arg0 + 1")
    gd.wait(lambda: gd.line.strip() == ">", name="prompt of the block")
    gd.enter("end")
    gd.see("looking is defined: 1 line")
    gd.at_prompt()
    gd.type("looki\t")
    gd.at_prompt("looking ")
    gd.enter("41")
    gd.see("41 + 1 = 42")
    gd.at_prompt()


def test_ctrl_c_on_an_empty_line_says_how_to_leave(gd):
    gd.type("\x03")
    gd.wait(lambda: gd.status == "Ctrl-D or quit leaves", name="notice")
    gd.type("x")
    gd.wait(lambda: "main" in gd.status, name="status line again")


def test_ctrl_c_stops_a_long_run_at_a_whole_step_and_the_session_goes_on(gd):
    gd.enter("continue 100000000000")
    gd.see("steps/s")
    gd.type("\x03")
    took = gd.at_prompt()
    assert took < 2
    assert "interrupt" in gd.text
    assert "steps/s" not in gd.text
    assert "^C" not in gd.text
    before = step_of(gd)
    gd.run("step 1")
    assert step_of(gd) == before + 1


def test_ctrl_c_ends_commands_that_resume_for_ever(gd):
    began = step_of(gd)
    for line in ("break if step >= 0", "commands", "silent", "print step", "continue", "end", "step"):
        gd.enter(line)
    gd.wait(lambda: re.search(r"\$\d{3,}: step", gd.text) is not None, name="a hundred of them")
    gd.type("\x03")
    gd.at_prompt()
    assert step_of(gd) > began + 40
    gd.run("delete --yes")
    before = step_of(gd)
    gd.run("step 1")
    assert step_of(gd) == before + 1


def test_many_ctrl_c_in_a_run_lose_nothing(gd):
    before = step_of(gd)
    gd.enter("continue 100000000000")
    gd.see("steps/s")
    for _ in range(3):
        gd.type("\x03")
        gd.pump(0.02)
    gd.at_prompt()
    assert step_of(gd) > before


def test_the_second_ctrl_c_gives_up_what_is_no_run(gd):
    give_up_dawdling(gd)
    assert "interrupted" in gd.text
    assert "Traceback" not in gd.text


def test_a_stale_ctrl_c_does_not_stop_the_next_run(gd):
    give_up_dawdling(gd)
    before = step_of(gd)
    gd.run("step 7")
    assert step_of(gd) == before + 7


def test_a_bug_is_one_line_and_a_file_and_the_session_goes_on(gd):
    text = gd.run("boom")
    assert "internal error: ZeroDivisionError: a bug for the test; please report" in text
    assert "Traceback" not in text
    (crash,) = gd.state_folder.glob("crash-*.txt")
    assert "command: boom" in crash.read_text()
    assert "Traceback" in crash.read_text()
    assert crash.stat().st_mode & 0o777 == 0o600
    gd.run("step")


def test_a_bracketed_paste_runs_each_line(gd):
    before = step_of(gd)
    gd.type("\x1b[200~step 2\nprint 6*7\n\nstep 3\n\x1b[201~")
    gd.wait(lambda: step_of_or_none(gd) == before + 5, name="five steps")
    gd.at_prompt()
    assert "= 42" in gd.text
    gd.type("\x1b[A")
    gd.at_prompt("step 3")


def test_a_paste_without_a_line_end_waits_for_enter(gd):
    before = step_of(gd)
    gd.type("\x1b[200~step 2\nstep 3\x1b[201~")
    gd.at_prompt("step 3")
    assert step_of(gd) == before + 2


def test_lines_sent_at_once_are_run_in_order(gd):
    before = step_of(gd)
    gd.type("step 2\rprint 6*7\rstep 3\r")
    gd.wait(lambda: step_of_or_none(gd) == before + 5, name="five steps")
    gd.at_prompt()
    assert "= 42" in gd.text


def test_ctrl_c_right_behind_a_paste_drops_all_of_it(gd):
    before = step_of(gd)
    gd.type("\x1b[200~continue 100000000000\nprint 11*11\n\x1b[201~\x03")
    gd.see("interrupted")
    gd.at_prompt()
    assert "= 121" not in gd.text
    assert step_of(gd) == before


def test_sigint_from_outside_clears_the_line(gd):
    gd.type("print nonsense")
    gd.at_prompt("print nonsense")
    gd.signal(signal.SIGINT)
    gd.at_prompt()


def test_the_screen_may_be_narrowed(gd):
    gd.child.setwinsize(24, 50)
    gd.screen.resize(24, 50)
    gd.at_prompt()
    gd.run("step 2")
    assert max(len(line.rstrip()) for line in gd.screen.display) <= 50
    gd.child.setwinsize(24, 80)
    gd.screen.resize(24, 80)
    gd.at_prompt()


def test_a_key_costs_few_bytes(gd):
    gd.type("x")
    gd.at_prompt("x")
    before = len(gd.raw)
    gd.type("y")
    gd.at_prompt("xy")
    while gd.pump(0.3):
        pass
    assert len(gd.raw) - before <= 80


def test_a_branch_is_deleted_once_a_person_says_yes(gd):
    gd.run("branch doomed ;; step 2 ;; switch main")
    gd.enter("branch delete doomed ;; print 6*7")
    gd.see("? (y or n)")
    gd.enter("n")
    gd.see("not confirmed: nothing has changed")
    gd.at_prompt()
    gd.run("print 1")
    gd.enter("branch delete doomed")
    gd.see("? (y or n)")
    gd.type("\x03")
    gd.see("interrupted")
    gd.at_prompt()
    gd.run("print 1")
    gd.type("branch delete doomed ;; print 6*7\ry\r")  # an answer typed ahead, as in a paste
    gd.see("doomed is deleted")
    gd.see("6*7 = 42")
    gd.at_prompt()
    assert "doomed" not in gd.run("info branches")


def test_quit_ends_with_status_0_and_nothing_strange_was_ever_shown(loaded):
    loaded.type("\x03")
    loaded.at_prompt()
    loaded.enter("quit")
    assert loaded.ended() == 0
    for strange in (b"Traceback", b"WARNING", b"I0000", b"E0000", b"W0000", b"tensorflow/", b"Unhandled"):
        assert strange not in loaded.raw


def give_up_dawdling(terminal: Terminal) -> None:
    """Begin a command that is no run, and end it by Ctrl-C, the second that it hears: two at once are one signal."""
    terminal.enter("dawdle")
    terminal.see("working ...")
    echoed = terminal.raw.count(b"^C")
    terminal.type("\x03")
    terminal.wait(lambda: terminal.raw.count(b"^C") > echoed, name="echo")
    for patience in (5, 5, 5, 60):
        terminal.type("\x03")
        with contextlib.suppress(AssertionError):
            terminal.at_prompt(timeout=patience)
            return
    raise AssertionError(f"nothing gave it up; the screen is\n{terminal.text}")


def step_of_or_none(terminal: Terminal) -> int | None:
    """The step, or None while the status line is away."""
    return step_of(terminal) if "step" in terminal.status else None
