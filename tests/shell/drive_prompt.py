"""gdrepl with commands that only a test needs: one with a bug, one that takes for ever, one that prints a lot."""

from __future__ import annotations

import sys
import time

from gdrepl.commands.registry import registry
from gdrepl.commands.results import Done
from gdrepl.commands.session import Session
from gdrepl.shell.cli import main


@registry.command("boom", group="tests", recorded=False, instant=True)
def boom(session: Session) -> Done:
    """Fail as a bug does.

    Example: boom
    """
    raise ZeroDivisionError("a bug for the test")


@registry.command("dawdle", group="tests", recorded=False, instant=True)
def dawdle(session: Session) -> Done:
    """Do nothing for an hour.

    Example: dawdle
    """
    for _ in range(36_000):
        time.sleep(0.1)
    return Done("done")


sys.exit(main())
