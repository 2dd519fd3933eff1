"""A program in a real pseudo-terminal of 80x24, with a screen to look at. Waits for what it expects; never sleeps as proof."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pexpect
import pyte

DRIVER = [sys.executable, str(Path(__file__).with_name("drive_prompt.py"))]
"""gdrepl with the commands of these tests."""


class _Screen(pyte.Screen):
    """A screen that answers questions about its cursor, as every terminal does."""

    answer: Callable[[str], object] = staticmethod(lambda data: None)

    def write_process_input(self, data: str) -> None:
        self.answer(data)


class Terminal:
    """One program, its screen, and every byte that it wrote."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path, size: tuple[int, int] = (24, 80)) -> None:
        self.began = time.monotonic()
        self.screen = _Screen(size[1], size[0])
        self.stream = pyte.ByteStream(self.screen)
        self.child = pexpect.spawn(command[0], list(command[1:]), env=dict(env), cwd=str(cwd), dimensions=size, timeout=60)
        self.child.delaybeforesend = None
        self.screen.answer = self.child.send
        self.raw = b""

    @property
    def text(self) -> str:
        """The screen, without the blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def line(self) -> str:
        """The line that the cursor is in."""
        return self.screen.display[self.screen.cursor.y].rstrip()

    def type(self, text: str) -> None:
        """Send keys."""
        self.child.send(text)

    def enter(self, text: str) -> None:
        """Type a line."""
        self.type(text + "\r")

    def pump(self, timeout: float = 0.05) -> bool:
        """Take what the program has written; False when there was nothing."""
        try:
            data = self.child.read_nonblocking(65536, timeout)
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF:
            time.sleep(0.01)
            return False
        self.raw += data
        self.stream.feed(data)
        return True

    def wait(self, what: Callable[[], bool], timeout: float = 60, name: str = "") -> float:
        """Pump until `what` holds; returns how long that took."""
        began = time.monotonic()
        while not what():
            if time.monotonic() - began > timeout:
                raise AssertionError(f"no {name or what} within {timeout} s; the screen is\n{self.text}")
            self.pump()
        return time.monotonic() - began

    def see(self, text: str, timeout: float = 60) -> float:
        """Wait until `text` is on the screen."""
        return self.wait(lambda: text in self.text, timeout, repr(text))

    def at_prompt(self, typed: str = "", timeout: float = 60) -> float:
        """Wait until the cursor stands behind the prompt and `typed`, and the status line is there."""
        place = len("(gd) " + typed)
        return self.wait(
            lambda: self.line.startswith(f"(gd) {typed}".rstrip()) and self.screen.cursor.x == place and bool(self.status),
            timeout,
            f"prompt with {typed!r}",
        )

    @property
    def status(self) -> str:
        """The line in reverse video at the bottom of the prompt."""
        for y in range(self.screen.lines - 1, -1, -1):
            if self.screen.buffer[y][1].reverse:
                return self.screen.display[y].strip()
        return ""

    def run(self, text: str) -> str:
        """Clear the screen, run a line, and return the screen once the prompt is back."""
        self.type("\x0c")
        self.wait(lambda: self.screen.cursor.y == 0, name="clear screen")
        self.at_prompt()
        self.enter(text)
        self.wait(lambda: self.screen.cursor.y > 0, name="answer")
        self.at_prompt()
        return self.text

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program only."""
        os.kill(self.child.pid, number)

    def state(self) -> str:
        """The kernel's letter for the process: S sleeping, R running, T stopped."""
        return Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def ended(self, timeout: float = 30) -> int:
        """Wait for the end; returns the exit status, negative for a signal."""
        self.wait(lambda: not self.child.isalive(), timeout, "end")
        while self.pump():
            pass
        return -self.child.signalstatus if self.child.signalstatus else self.child.exitstatus

    def hung_up(self) -> int:
        """Close the terminal under the program; returns the exit status, negative for a signal."""
        self.child.ptyproc.fileobj.close()
        self.child.closed = True
        return os.waitstatus_to_exitcode(os.waitpid(self.child.pid, 0)[1])

    def close(self) -> None:
        """End the program whatever it does."""
        if not self.child.closed:
            self.child.close(force=True)
