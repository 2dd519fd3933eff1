"""The first sight of the prompt, before anything slow is imported: half a second is long for somebody who waits to type.

Until prompt_toolkit takes over, the terminal itself echoes and keeps what is typed; nothing of it is lost.
"""

from __future__ import annotations

import contextlib
import os
import sys

from gdrepl import __version__


def show_prompt_early(problem: str) -> None:
    """Write a banner and the prompt; to be called only when `run_prompt` comes next, which draws its own over it."""
    shown = problem or "loss (x-50)**2, x = 3.0, Adam, learning rate 1"
    banner = f"gdrepl {__version__}: {shown}\nhelp lists the commands, Tab completes, Ctrl-D leaves.\n(gd) "
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), banner.encode("ascii", "replace"))
