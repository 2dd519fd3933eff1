"""What Ctrl-C means at each moment, without a terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gdrepl.engine.flag import Flag
from gdrepl.engine.moves import Progress
from gdrepl.shell import signals as module
from gdrepl.shell.signals import Signals


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGHUP)]
    for number, _ in before:  # in a worker of pytest they may belong to somebody
        signal.signal(number, signal.SIG_DFL)
    own = Signals()
    with own.installed(), own.prompting():
        yield own
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture
def flag(signals: Signals) -> threading.Event:
    """The flag that the runs of a debugger look at."""
    debugger = SimpleNamespace()
    signals.watch(debugger)
    RUNS.append(debugger)
    return debugger.interrupt


RUNS: list[SimpleNamespace] = []
"""The debuggers that are watched."""


def press(times: int = 1, number: int = signal.SIGINT) -> None:
    """Ctrl-C, or another signal; the handler has run when this returns."""
    for _ in range(times):
        os.kill(os.getpid(), number)


END: list[tuple[bool, bool]] = []
"""What a command saw that came to its end: whether its run was asked to end, and the rest of the line dropped."""


def command(signals: Signals, presses: int, in_run: bool, number: int = signal.SIGINT) -> None:
    """A command during which Ctrl-C is pressed."""
    END.clear()
    with signals.command():
        if in_run:
            RUNS[-1].progress(Progress(1, 9, 1, 0.5, 0.1))
        press(presses, number)
        END.append((signals._flag.is_set(), signals.interrupted))


def test_the_first_one_in_a_command_asks_its_run_to_end(signals, flag):
    with signals.command():
        press()
        assert flag.is_set()
        assert signals.interrupted


def test_it_does_not_reach_the_next_command(signals, flag):
    with signals.command():
        press()
    with signals.command():
        assert not flag.is_set()
        assert not signals.interrupted


def test_the_second_one_gives_up_what_is_no_run(signals, flag):
    with pytest.raises(KeyboardInterrupt):
        command(signals, 2, in_run=False)


def test_many_in_a_run_do_not_throw_it_away(signals, flag):
    command(signals, 5, in_run=True)
    assert not flag.is_set()


def test_a_run_that_does_not_end_can_be_given_up(signals, flag, monkeypatch):
    monkeypatch.setattr(module, "STUCK_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        command(signals, 2, in_run=True)


def test_one_is_enough_while_waiting(signals):
    with pytest.raises(KeyboardInterrupt), signals.waiting():
        press()
    assert not signals.came_early()


def test_one_between_prompt_and_command_is_kept_for_the_command(signals):
    press()
    assert signals.came_early()
    assert not signals.came_early()
    press()
    signals.prompt_begins()
    assert not signals.came_early()


def test_sigterm_ends_once(signals):
    with pytest.raises(SystemExit) as ended:
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM
    os.kill(os.getpid(), signal.SIGTERM)  # the cleaning up after the first goes on


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_end_lets_a_run_come_to_a_whole_step_first(signals, flag, number):
    with pytest.raises(SystemExit) as ended:
        command(signals, 2, in_run=True, number=number)
    assert ended.value.code == 128 + number
    assert END.pop() == (True, True)


def test_the_end_does_not_wait_for_a_run_that_is_stuck(signals, flag, monkeypatch):
    monkeypatch.setattr(module, "STUCK_SECONDS", -1.0)
    with pytest.raises(SystemExit):
        command(signals, 2, in_run=True, number=signal.SIGTERM)
    assert not END


def test_the_end_comes_at_once_in_a_command_that_is_no_run(signals, flag):
    with pytest.raises(SystemExit):
        command(signals, 1, in_run=False, number=signal.SIGTERM)
    assert not END


def test_the_flag_can_be_put_up_by_a_handler_at_any_line_of_its_own_methods():
    flag = Flag()

    def interrupt(frame, event, argument):
        flag.set()  # as a handler would, between any two lines; threading's own flag would wait for its own lock here
        return interrupt

    sys.settrace(interrupt)
    try:
        flag.is_set()
        flag.set()
    finally:
        sys.settrace(None)
    assert flag.is_set()
    flag.clear()
    assert not flag.is_set()
