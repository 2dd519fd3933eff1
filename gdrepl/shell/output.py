"""The terminal as prompt_toolkit writes to it, without the question where the cursor is.

The question (a cursor position report) costs a round trip at every prompt, which is long over SSH; a late answer shows up as
rubbish like ^[[24;1R; and a terminal that gives none gets a warning and never a status line. It is asked only to put the
status line at the very bottom of the screen. Here it stands right below the line being typed instead.
"""

from __future__ import annotations

import os
import sys

from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output


class ShortOutput(Vt100_Output):
    """A terminal that claims one row below the cursor: more are made by scrolling when they are needed."""

    def get_rows_below_cursor_position(self) -> int:
        """Asked where other outputs would send the question."""
        return 1


def make_output() -> ShortOutput:
    """Standard output, which is a terminal."""
    output = ShortOutput.from_pty(sys.stdout, term=os.environ.get("TERM"), default_color_depth=ColorDepth.from_env())
    assert isinstance(output, ShortOutput)  # prompt_toolkit annotates its own class
    return output
