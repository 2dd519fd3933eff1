"""Commands for what is shown at every stop: display, undisplay."""

from __future__ import annotations

from gdrepl.commands.arguments import Ask, DisplayIds
from gdrepl.commands.registry import registry
from gdrepl.commands.results import Displays, Done
from gdrepl.commands.session import Session
from gdrepl.engine.stops import Display
from gdrepl.errors import CommandError


@registry.command("display", "disp", group="data")
def display(session: Session, expression: Ask | None = None) -> Displays:
    """Show EXPRESSION now and at every stop.

    A star marks a value that is another one than at the stop before. Without EXPRESSION, all displays are shown.

    Example: display norm(grad)
    """
    if expression is not None:
        if not expression.history or session.debugger.step > session.debugger.branch.start:
            session.debugger.ask(expression)
        session.displays += (Display(session.next_display, expression),)
        session.next_display += 1
        shown = session.displayed()
        session.shown = {**session.shown, shown[-1].id: shown[-1].value}
        return Displays(shown)
    return Displays(session.displayed())


@registry.command("undisplay", group="data")
def undisplay(session: Session, ids: DisplayIds = ()) -> Done:
    """Stop showing the displays IDS, or all of them.

    Example: undisplay 1
    """
    known = {item.id for item in session.displays}
    for wanted in ids:
        if wanted not in known:
            listed = ", ".join(map(str, sorted(known))) or "none"
            raise CommandError(f"there is no display {wanted}", f"displays: {listed}")
    gone = len(ids) or len(known)
    session.displays = tuple(item for item in session.displays if ids and item.id not in ids)
    return Done(f"{gone} display{'s' if gone != 1 else ''} deleted")
