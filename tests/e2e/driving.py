"""How these tests drive gdrepl: sessions in this process, the command line in this process, and real processes on a pipe."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gdrepl.commands import all as _all
from gdrepl.commands.saving import records
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine.programs import Programs
from gdrepl.errors import GdreplError
from gdrepl.recording.numbers import dumps, result_to_json

_ = _all  # importing it registers the commands

PATIENCE = 120
"""Seconds after which a process that says nothing is taken for dead; no test passes because of it."""


PROGRAMS = Programs(most=100)
"""Those of all sessions made here, since a compilation takes a third of a second."""


def hill(**options: Any) -> Session:
    """(x-50)**2 from x = 3 by plain gradient descent of rate 0.1, so that x_k = 50 - 47 * 0.8**k."""
    given = {"optimizer": "sgd", "rate": "0.1", **options}
    return Session(Setup("(x-50)**2", {"x": "3.0"}, **given), PROGRAMS)


def do(session: Session, *lines: str) -> dict[str, Any]:
    """Execute lines that must work; returns the last result as a reader of the JSON gets it."""
    answer: dict[str, Any] = {}
    for line in lines:
        for outcome in session.execute(line):
            assert outcome.error is None, f"{line}: {outcome.error}"
            answer = read_json(dumps(result_to_json(outcome.result)))
    return answer


def error_of(session: Session, line: str) -> GdreplError:
    """Execute a line that must fail; returns its error."""
    errors = [outcome.error for outcome in session.execute(line) if outcome.error is not None]
    assert len(errors) == 1, f"{line} gave no error"
    return errors[0]


def contents(session: Session) -> str:
    """Everything that a session file would hold, which is everything that there is to the session."""
    return dumps([[kind, dict(body)] for kind, body in records(session)])


def read_json(text: str) -> Any:
    """By Python's own json, with the three words refused that it takes and JSON does not have."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def environment(state: Path, **more: str) -> dict[str, str]:
    """A plain environment whose journals go to `state`."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")}
    return {**kept, "XDG_STATE_HOME": str(state), "XDG_CONFIG_HOME": str(state), "LC_ALL": "C.UTF-8", "TERM": "dumb", **more}


def gdrepl(
    arguments: Sequence[str], env: dict[str, str], stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """A real process, from its start to its end."""
    command = [sys.executable, "-m", "gdrepl", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env=env, cwd=cwd, timeout=PATIENCE, check=False)


class Conversation:
    """A real `gdrepl --json` whose standard input stays open: one line in, one answer out."""

    def __init__(self, arguments: Sequence[str], env: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "gdrepl", *arguments]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=env, bufsize=0)
        self._unread = b""

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """The next answer, as soon as its line is whole."""
        assert self.process.stdout is not None
        while b"\n" not in self._unread:
            assert select.select([self.process.stdout], [], [], PATIENCE)[0], "no answer"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"it ended instead of answering: {self.process.communicate()[1].decode()}"
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return read_json(line.decode())

    def ask(self, line: str) -> dict[str, Any]:
        self.say(line)
        return self.hear()

    def cpu_ticks(self) -> int:
        """How long its main thread and the others have computed so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return int(stat[11]) + int(stat[12])

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Close its input, or send it a signal; returns its exit status and what it wrote yet."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, (self._unread + out).decode(), err.decode()

    def kill(self) -> None:
        self.end(signal.SIGKILL)


def without_checks(text: str) -> str:
    """A session file as if it were written by hand: no numbers of lines, no checksums, no digest."""
    lines = [re.sub(r',"sum":"[0-9a-f]{8}"\}$', "}", line) for line in text.splitlines()]
    lines = [re.sub(r'^\{"n":\d+,', "{", line) for line in lines]
    return "\n".join('{"kind":"end"}' if line.startswith('{"kind":"end"') else line for line in lines) + "\n"


def other_digit(text: str, place: int) -> str:
    """`text` with the digit at `place` changed."""
    digit = text[place]
    return f"{text[:place]}{'7' if digit != '7' else '3'}{text[place + 1 :]}"


def digits_in(line: str) -> list[int]:
    return [match.start() for match in re.finditer(r"\d", line)]


def joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
