"""The prompt of a terminal that can do no more than print lines."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from pty_terminal import Terminal

from gdrepl.commands import all as _all
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.display.style import Style
from gdrepl.shell.lines import LineRunner
from gdrepl.shell.signals import Signals

_ = _all  # importing it registers the commands


@pytest.fixture(scope="module")
def loaded(start, tmp_path_factory) -> Iterator[Terminal]:
    """A process that found an error in its init.gd, and whose TensorFlow is loaded: it serves all tests of this file."""
    config = tmp_path_factory.mktemp("config")
    (config / "gdrepl").mkdir()
    (config / "gdrepl" / "init.gd").write_text("step 1\nnonsense\nstep 100\n", encoding="utf-8")
    terminal = start(TERM="dumb", XDG_CONFIG_HOME=str(config))
    terminal.see("(gd)")
    terminal.enter("print step")  # TensorFlow loads now, for seconds
    terminal.see("$1: step =", timeout=120)
    terminal.wait(lambda: terminal.line == "(gd)", name="prompt")
    terminal.first = terminal.text  # type: ignore[attr-defined]
    yield terminal
    terminal.type("\x04")
    assert terminal.ended() == 0
    assert b"\x1b" not in terminal.raw
    assert b"working" not in terminal.raw
    [journal] = terminal.state_folder.rglob("*.gds")
    assert "\x1b" not in journal.read_text(encoding="utf-8")


@pytest.fixture
def terminal(loaded: Terminal) -> Terminal:
    """It, at step 0 of a tree and with an empty screen, and nothing armed or displayed."""
    loaded.enter("delete --yes ;; undisplay ;; goto main:0")
    loaded.wait(lambda: loaded.line == "(gd)", name="prompt")
    loaded.screen.reset()
    return loaded


def test_an_error_in_init_is_told_and_the_session_goes_on(loaded: Terminal):
    assert "init.gd line 2: error: unknown command 'nonsense'" in loaded.first
    assert "$1: step = 1\n" in loaded.first


def test_a_dumb_terminal_gets_plain_lines(terminal: Terminal):
    def answer(line: str, text: str) -> None:
        terminal.enter(line)
        terminal.see(text)
        terminal.wait(lambda: terminal.line == "(gd)", name="prompt")

    answer("step", "step 0 → 1")
    answer("", "step 1 → 2")  # an empty line steps again
    answer("nonsense", "error: unknown command")
    answer("print step > 1", "step > 1 = True")
    terminal.enter("branch aside ;; goto main ;; branch delete aside")
    terminal.see("delete branch aside, steps 2 to 2? (y or n)")
    answer("no", "not confirmed: nothing has changed")
    terminal.enter("branch delete aside")
    terminal.wait(lambda: terminal.line.endswith("(y or n)"), name="question")
    answer("y", "branch aside is deleted")


def test_ctrl_c_between_the_commands_of_a_line_is_told_on_a_line_of_its_own(monkeypatch, capsys):
    session, signals = Session(Setup("(x-50)**2", {"x": "3.0"}, engine="eager")), Signals()
    runner = LineRunner(session, lambda: Style(color=False), signals, as_json=False, echo=False, stop_on_error=False)
    typed = iter(["break if step > 0 ;; commands 1 ;; silent ;; print 6*7 ;; print 7 ;; end", "step", "print 8"])

    def read(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)
    session.on_event = lambda event: os.kill(os.getpid(), signal.SIGINT) if event.line == "print 6*7" else None
    with signals.installed():
        assert runner.run_terminal() == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-5:] == ["", "$1: 6*7 = 42", "interrupted", "$2: 8 = 8", ""]  # the first below the ^C


def test_ctrl_c_leaves_the_prompt_on_a_line_of_its_own(terminal: Terminal):
    terminal.enter("break if step > 0 as again ;; commands again ;; silent ;; print 6*7 ;; step ;; end")
    terminal.see("commands")
    terminal.enter("step")
    terminal.see("6*7 = 42")
    terminal.type("\x03")
    terminal.see("interrupted")
    terminal.wait(lambda: terminal.line == "(gd)", name="prompt")
    assert terminal.text.splitlines()[-2] in ("interrupted", "stopped: interrupted")  # it came between commands, or in a run
    terminal.enter("print step > 0")
    terminal.see("step > 0 = True")


def test_a_run_that_ctrl_c_ends_is_told_below_it(terminal: Terminal):
    terminal.enter("display step ;; step ;; continue 1e12")
    terminal.see("steps/s")
    terminal.type("\x03")
    terminal.see("stopped: interrupted")
    lines = terminal.text.splitlines()
    [echo] = [place for place, line in enumerate(lines) if line.endswith("^C")]
    assert lines[echo + 1].startswith("step 1 → ")
    terminal.wait(lambda: terminal.line == "(gd)", name="prompt")
