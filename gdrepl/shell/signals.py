"""What signals mean at each moment: Ctrl-C at the prompt, in a wait, in a run, while a result is printed; SIGTERM and SIGHUP.

SIGTERM and SIGHUP, which a lost connection sends, end the session at once; a run they end as Ctrl-C does, at a whole step, so
that it is written to the journal before the session ends.

A handler may run between any two bytecodes of the main thread, also inside code that holds a lock. So no handler here takes
a lock, writes anything, or asks the session for its debugger.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from types import FrameType
from typing import NoReturn

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.flag import Flag
from gdrepl.engine.moves import Progress

STUCK_SECONDS = 2.0
"""A run that has not ended so long after Ctrl-C is given up at the next one, and with it the steps it made."""


class _Moment(Enum):
    PROMPT = auto()  # prompt_toolkit takes Ctrl-C itself while it reads; what comes here is just before or after
    COMMAND = auto()
    WAITING = auto()  # loading or printing: Ctrl-C ends it at once


class Signals:
    """The handlers, and what they have seen.

    Attributes:
        interrupted: True when Ctrl-C, SIGTERM or SIGHUP came during the command that is running or ran last.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._moment = _Moment.WAITING
        self._flag = Flag()
        self._since = 0.0
        self._in_run = False
        self._status = 0
        self._leaving = False
        self._early = False

    @property
    def ending(self) -> bool:
        """Whether SIGTERM or SIGHUP came, and the session only waits for its run."""
        return self._status > 0 and not self._leaving

    def watch(self, debugger: Debugger, on_progress: Callable[[Progress], None] = lambda progress: None) -> None:
        """Let Ctrl-C end the runs of this debugger from now on; `on_progress` hears how they are getting on."""

        def goes_on(progress: Progress) -> None:
            self._in_run = True  # from here on Ctrl-C again and again must not throw the run's steps away
            on_progress(progress)

        debugger.interrupt, debugger.progress = self._flag, goes_on

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals inside; Ctrl-C is as before afterwards.

        The handlers of SIGTERM and SIGHUP stay, so that a second one cannot cut short the cleaning up after the first.
        """
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:  # not under nohup, nor when the caller has its own
                signal.signal(number, self._end)
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def prompting(self) -> Iterator[None]:
        """Inside, Ctrl-C belongs to prompt_toolkit, but for `command` and `waiting`; outside it is a KeyboardInterrupt."""
        with self._at(_Moment.PROMPT):
            yield

    @contextlib.contextmanager
    def command(self) -> Iterator[None]:
        """Inside, Ctrl-C ends a run at a whole step; the second one gives up what is no run by KeyboardInterrupt."""
        self.forget()
        try:
            with self._at(_Moment.COMMAND):
                yield
        finally:
            self._flag.clear()
            if self.ending:  # a run was let come to a whole step, and is in the journal now
                self._leave()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, Ctrl-C is a KeyboardInterrupt at once."""
        with self._at(_Moment.WAITING):
            yield

    def prompt_begins(self) -> None:
        """Called once prompt_toolkit has taken over Ctrl-C: one that came earlier is not meant for the next command."""
        self._early = False

    def came_early(self) -> bool:
        """Whether Ctrl-C came after the line was entered and before its command began; asked once."""
        early, self._early = self._early, False
        return early

    def forget(self) -> None:
        """A new command begins: whatever Ctrl-C came before was not meant for it."""
        self.interrupted = self._in_run = False
        self._since = 0.0
        self._flag.clear()

    @contextlib.contextmanager
    def _at(self, moment: _Moment) -> Iterator[None]:
        before, self._moment = self._moment, moment
        try:
            yield
        finally:
            self._moment = before

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._moment is _Moment.PROMPT:
            self._early = True
            return
        again, self.interrupted = self.interrupted, True
        if self._moment is _Moment.WAITING:
            raise KeyboardInterrupt
        if not again:
            self._ask_to_end()
        elif not self._in_run or self._is_stuck():
            raise KeyboardInterrupt

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._leaving:  # the cleaning up after the first one goes on
            return
        self._status, self.interrupted = 128 + number, True
        if self._moment is not _Moment.COMMAND or not self._in_run or self._is_stuck():
            self._leave()
        self._ask_to_end()

    def _leave(self) -> NoReturn:
        self._leaving = True
        raise SystemExit(self._status)

    def _ask_to_end(self) -> None:
        self._since = self._since or time.monotonic()
        self._flag.set()

    def _is_stuck(self) -> bool:
        return self._since > 0 and time.monotonic() - self._since > STUCK_SECONDS
