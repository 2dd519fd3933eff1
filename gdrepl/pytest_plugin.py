"""A saved session is a pytest item: `*.gds` files given on the command line or found under the ini option `gdrepl_paths`.

TensorFlow is imported when the first item runs, not at collection.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gdrepl.errors import GdreplError

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

SUFFIX = ".gds"


class ReplayMismatchError(Exception):
    """A replay did not match; its text is all that a reader needs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the ini option `gdrepl_paths`."""
    parser.addini("gdrepl_paths", "folders whose *.gds session files are replayed", type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Look into `gdrepl_paths` too when no path was given on the command line."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        missing = [str(path) for path in _paths(config) if not path.exists()]
        if missing:  # else a misspelt folder would pass as a test that replays nothing
            raise pytest.UsageError(f"gdrepl_paths: there is no {', '.join(missing)}")
        known = {Path(argument).resolve() for argument in config.args}
        config.args += [str(path) for path in _paths(config) if path.exists() and path.resolve() not in known]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """One file is one item."""
    if file_path.suffix == SUFFIX and _wanted(file_path, parent.config):
        return SessionFile.from_parent(parent, path=file_path)
    return None


def _paths(config: pytest.Config) -> list[Path]:
    return list(config.getini("gdrepl_paths"))


def _wanted(file_path: Path, config: pytest.Config) -> bool:
    roots = _paths(config)
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        roots += [config.invocation_params.dir / argument.split("::")[0] for argument in config.args]
    named, real = Path(os.path.abspath(file_path)), file_path.resolve()  # a link counts where it lies and where it leads
    return any(
        place == folder or folder in place.parents
        for root in roots
        for place, folder in ((named, Path(os.path.abspath(root))), (real, root.resolve()))
    )


class SessionFile(pytest.File):
    """A session file."""

    def collect(self) -> Iterable[SessionItem]:
        """Its one item."""
        yield SessionItem.from_parent(self, name="replay")


class SessionItem(pytest.Item):
    """The replay of a session file."""

    def runtest(self) -> None:
        """Replay it.

        Raises:
            ReplayMismatchError: it does not match or cannot be read.
        """
        from gdrepl.commands.replaying import replay_file

        replay = replay_file(self.path)
        if replay.status == "unreadable":
            raise ReplayMismatchError(f"{self.path.name} cannot be read: {replay.message}")
        if replay.mismatches:
            first, *others = map(str, replay.mismatches)  # the first on the first line, which is what summaries show
            raise ReplayMismatchError("\n".join([f"{self.path.name} does not match: {first}", *others]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """The mismatch, without a traceback."""
        if isinstance(excinfo.value, ReplayMismatchError | GdreplError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands in reports."""
        return self.path, 0, f"replay of {self.path.name}"
