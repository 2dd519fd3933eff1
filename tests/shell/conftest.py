"""gdrepl in a real pseudo-terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pty_terminal import DRIVER, Terminal

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., Terminal]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts gdrepl in an empty home, and ends every one that is still there at the end."""
    started: list[Terminal] = []

    def begin(*arguments: str, state: Path | None = None, command: list[str] | None = None, **env: str) -> Terminal:
        home = tmp_path_factory.mktemp("home")
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        own = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "HOME": str(home), "PYTHONPATH": str(ROOT)}
        state = state or home / "state"
        terminal = Terminal([*(command or DRIVER), *arguments], {**kept, **own, "XDG_STATE_HOME": str(state), **env}, home)
        terminal.home, terminal.state_folder = home, state / "gdrepl"  # type: ignore[attr-defined]
        started.append(terminal)
        return terminal

    yield begin
    for terminal in started:
        terminal.close()
