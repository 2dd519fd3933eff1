"""The prompt of a terminal that can do no more than print lines."""

from __future__ import annotations


def test_an_error_in_init_is_told_and_the_session_goes_on(start, tmp_path):
    (tmp_path / "gdrepl").mkdir()
    (tmp_path / "gdrepl" / "init.gd").write_text("step 1\nnonsense\nstep 100\n", encoding="utf-8")
    terminal = start(TERM="dumb", XDG_CONFIG_HOME=str(tmp_path))
    terminal.see("init.gd line 2: error: unknown command 'nonsense'", timeout=120)
    terminal.enter("print step")
    terminal.see("$1: step = 1")
    terminal.enter("quit")
    assert terminal.ended() == 0
