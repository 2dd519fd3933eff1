"""The prompt of a terminal that can do no more than print lines."""

from __future__ import annotations

import os
import signal

from gdrepl.commands import all as _all
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.display.style import Style
from gdrepl.shell.lines import LineRunner
from gdrepl.shell.signals import Signals

_ = _all  # importing it registers the commands


def test_an_error_in_init_is_told_and_the_session_goes_on(start, tmp_path):
    (tmp_path / "gdrepl").mkdir()
    (tmp_path / "gdrepl" / "init.gd").write_text("step 1\nnonsense\nstep 100\n", encoding="utf-8")
    terminal = start(TERM="dumb", XDG_CONFIG_HOME=str(tmp_path))
    terminal.see("init.gd line 2: error: unknown command 'nonsense'", timeout=120)
    terminal.enter("print step")
    terminal.see("$1: step = 1")
    terminal.enter("quit")
    assert terminal.ended() == 0


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


def test_ctrl_c_leaves_the_prompt_on_a_line_of_its_own(start):
    terminal = start(TERM="dumb")
    terminal.see("(gd)")
    terminal.enter("break if step > 0 ;; commands 1 ;; silent ;; print 6*7 ;; step ;; end")
    terminal.see("commands", timeout=120)
    terminal.enter("step")
    terminal.see("6*7 = 42")
    terminal.type("\x03")
    terminal.see("interrupted")
    terminal.wait(lambda: terminal.line == "(gd)", name="prompt")
    assert terminal.text.splitlines()[-2] in ("interrupted", "stopped: interrupted")  # it came between commands, or in a run
    terminal.enter("print step > 0")
    terminal.see("step > 0 = True")


def test_a_run_that_ctrl_c_ends_is_told_below_it(start):
    terminal = start(TERM="dumb")
    terminal.see("(gd)")
    terminal.enter("print 6*7")
    terminal.see("6*7 = 42", timeout=120)
    terminal.enter("display step ;; step ;; continue 1e12")
    terminal.see("steps/s")
    terminal.type("\x03")
    terminal.see("stopped: interrupted")
    lines = terminal.text.splitlines()
    [echo] = [place for place, line in enumerate(lines) if line.endswith("^C")]
    assert lines[echo + 1].startswith("step 1 → ")
