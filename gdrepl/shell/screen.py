"""What the terminal can show: width, height, colour and characters."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gdrepl.display.style import Style


def style_from(options: argparse.Namespace, precision: int = 7) -> Style:
    """The style that the options, the environment and standard output allow, measured now."""
    from gdrepl.display.style import Style

    size = shutil.get_terminal_size((80, 24))
    return Style(options.width or size.columns, size.lines, _color(options), options.ascii or not _unicode(), precision)


def _color(options: argparse.Namespace) -> bool:
    if options.no_color or os.environ.get("NO_COLOR") or is_dumb():
        return False
    return sys.stdout.isatty()


def is_dumb() -> bool:
    """True for a terminal that can only print lines."""
    return os.environ.get("TERM", "dumb") in ("dumb", "unknown", "")


def _unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()
