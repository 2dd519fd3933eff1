"""The user's own files in the configuration folder: init.gd, whose lines are run first, and config.toml."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gdrepl.commands.preferences import check_preference
from gdrepl.errors import CommandError, one_line

INIT, CONFIG = "init.gd", "config.toml"
_OPTIONS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "color": (lambda value: isinstance(value, bool), "true or false"),
    "ascii": (lambda value: isinstance(value, bool), "true or false"),
    "width": (lambda value: type(value) is int and 20 <= value <= 500, "a whole number from 20 to 500"),
}


def config_folder() -> Path | None:
    """`$XDG_CONFIG_HOME/gdrepl`, or `~/.config/gdrepl`; None without a home."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(folder):  # the XDG rules: a relative path is to be ignored
        return Path(folder) / "gdrepl"
    try:
        return Path.home() / ".config" / "gdrepl"
    except RuntimeError:
        return None


def read_config(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of config.toml; what it says of the screen goes into `options`, unless the command line says it.

    Whatever is wrong in it is told in a line on standard error, and left out.
    """
    folder = config_folder()
    path = folder / CONFIG if folder is not None else None
    if path is None or not os.path.lexists(path):
        return {}
    tables = _tables(path)
    for name, value in tables.items():
        if name not in ("settings", "options"):
            wrong = f"there is no [{name}] here" if isinstance(value, dict) else f"{name} stands under no heading"
            _warn(f"{path}: {wrong}; [settings] and [options] are read")
    settings: dict[str, Any] = {}
    for name, value in _table(tables, "settings", path).items():
        try:
            settings[name] = check_preference(name, value)
        except CommandError as error:
            _warn(f"{path}: [settings] {error.message}{f'; {error.hint}' if error.hint else ''}")
    for name, value in _table(tables, "options", path).items():
        _take_option(options, name, value, path)
    return settings


def _take_option(options: argparse.Namespace, name: str, value: Any, path: Path) -> None:
    if name not in _OPTIONS:
        _warn(f"{path}: [options] there is no {name}; there are {', '.join(_OPTIONS)}")
        return
    fits, what = _OPTIONS[name]
    if not fits(value):
        _warn(f"{path}: [options] {name} cannot be {value!r:.40}; it is {what}")
    elif name == "color":
        options.no_color = options.no_color or not value
    elif name == "ascii":
        options.ascii = options.ascii or value
    elif not options.width:
        options.width = value


def _tables(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        _warn(f"cannot read {path}: {error.strerror}")
    except UnicodeDecodeError:
        _warn(f"cannot read {path}: it is not text in UTF-8")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        _warn(f"{path} is not read: {error}")
    return {}


def _table(tables: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    table = tables.get(name, {})
    if isinstance(table, dict):
        return table
    _warn(f"{path}: {name} is a table, [{name}]")
    return {}


def init_lines() -> tuple[str, ...]:
    """The lines of init.gd; none where there is no such file.

    Raises:
        SessionFileError, CommandError: it cannot be read.
    """
    from gdrepl.recording.files import read_bytes

    folder = config_folder()
    path = folder / INIT if folder is not None else None
    if path is None or not os.path.lexists(path):
        return ()
    try:
        return tuple(read_bytes(path).decode("utf-8-sig").splitlines())
    except UnicodeDecodeError:
        raise CommandError(f"cannot read {path}: it is not text in UTF-8", "--no-init leaves it out") from None


def _warn(text: str) -> None:
    over = "\r" if sys.stderr.isatty() else ""  # over the prompt that stands there early
    print(over + one_line(f"warning: {text}"), file=sys.stderr, flush=True)
