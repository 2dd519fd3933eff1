"""The bottom line of the prompt: branch, step, loss, learning rate, optimizer."""

from __future__ import annotations

from gdrepl.commands.session import Session
from gdrepl.errors import GdreplError
from gdrepl.shell.loader import Loader


def status(session: Session, loader: Loader) -> str:
    """One line about where we stand. It never raises: prompt_toolkit would stop the whole prompt for it."""
    if loader.error is not None and not session.ready:
        reason = loader.error.message if isinstance(loader.error, GdreplError) else type(loader.error).__name__
        return f" cannot start: {' '.join(reason.split())}"
    if not session.ready or not loader.done.is_set():
        return " loading TensorFlow ..."
    try:
        return _where(session)
    except Exception:
        return ""


def _where(session: Session) -> str:
    debugger, digits = session.debugger, session.settings.print_precision
    here, spec = debugger.snapshot(), debugger.recipe.spec
    rate = f"{float(str(here.learning_rate)):.{digits}g}" + (f" ({spec.schedule.name})" if spec.schedule is not None else "")
    loss = f"{float(here.loss):.{digits}g}"
    return f" {debugger.position.branch} | step {here.step} | loss {loss} | lr {rate} | {spec.name}"
