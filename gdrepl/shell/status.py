"""The prompt, and its bottom line: branch, step and phase, loss, learning rate, optimizer."""

from __future__ import annotations

from gdrepl.commands.session import Session
from gdrepl.errors import GdreplError
from gdrepl.shell.loader import Loader


def status(session: Session, loader: Loader, columns: int = 80) -> str:
    """One line about where we stand. It never raises: prompt_toolkit would stop the whole prompt for it."""
    if loader.error is not None and not session.ready:
        reason = loader.error.message if isinstance(loader.error, GdreplError) else type(loader.error).__name__
        return f" cannot start: {' '.join(reason.split())}"
    if not session.ready or not loader.done.is_set():
        return " loading TensorFlow ..."
    try:
        return _where(session, columns)
    except Exception:
        return ""


def prompt_text(session: Session) -> str:
    """What stands before the line that is typed: `(gd) `, inside an update `(gd 3+clip) `, in a block `> `."""
    if session.executor.block is not None:
        return "> "
    debugger = session.built  # which takes no lock: TensorFlow may be loading
    return f"(gd {debugger.inside.place}) " if debugger is not None and debugger.inside.made else "(gd) "


def _where(session: Session, columns: int) -> str:
    from gdrepl.display.numbers import show  # not before the first prompt

    debugger, digits = session.debugger, session.settings.print_precision
    here, spec = debugger.snapshot(), debugger.recipe.spec
    rate = show(here.learning_rate, digits) + (f" ({spec.schedule.name})" if spec.schedule is not None else "")
    facts = [
        debugger.position.branch,
        f"step {debugger.inside.place}",
        f"loss {show(here.loss, digits)}",
        f"lr {rate}",
        spec.name,
    ]
    while len(facts) > 1 and len(" | ".join(facts)) >= columns:  # whole facts go, the last first: half a number would mislead
        facts.pop()
    return " " + " | ".join(facts)
