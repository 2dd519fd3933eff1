"""Commands for breakpoints and displays."""

from __future__ import annotations

from gdrepl.commands.arguments import Ask, Condition, DisplayIds, StopIds
from gdrepl.commands.marks import EVERY_STOP, Deletable, forget_checkpoints
from gdrepl.commands.registry import registry
from gdrepl.commands.results import Displays, Done, StopSet
from gdrepl.commands.session import Session
from gdrepl.engine.stops import Display
from gdrepl.errors import CommandError
from gdrepl.expression import Expression


@registry.command("break", "b", group="stops", syntax="if CONDITION")
def break_(session: Session, condition: Condition) -> StopSet:
    """Stop runs at the first step where CONDITION holds.

    A condition is a truth value of a point: it may use the parameters, loss, lr, step, grad(x), update(x), prev(...) and
    slot.NAME. A condition that cannot be computed is refused now, not later; where another problem or optimizer is in force for
    which it means nothing, runs pass it over and say so.

    Example: break if loss < 1e-3
    """
    return _set(session, condition, temporary=False)


@registry.command("tbreak", "tb", group="stops", syntax="if CONDITION")
def tbreak(session: Session, condition: Condition) -> StopSet:
    """Like break, but deleted once it has stopped a run.

    Example: tbreak if step == 5
    """
    return _set(session, condition, temporary=True)


def _set(session: Session, condition: Expression, temporary: bool) -> StopSet:
    debugger = session.debugger
    number = debugger.stops.next_id
    debugger.stops = debugger.stops.add(condition, temporary)
    return StopSet(number, "breakpoint", condition.text, temporary)


@registry.command("delete", "del", group="stops")
def delete(session: Session, what: Deletable = EVERY_STOP) -> Done:
    """Delete the breakpoints IDS, or all of them.

    delete checkpoint ID deletes a checkpoint, by its number or its name.

    Example: delete 1
    """
    if what.checkpoints:
        return forget_checkpoints(session, what.checkpoints)
    count = len(session.debugger.stops)
    session.debugger.stops = session.debugger.stops.without(what.stops)
    gone = count - len(session.debugger.stops)
    return Done(f"{gone} breakpoint{'s' if gone != 1 else ''} deleted")


@registry.command("enable", group="stops")
def enable(session: Session, ids: StopIds = ()) -> Done:
    """Switch the breakpoints IDS, or all of them, on.

    Example: enable 1
    """
    session.debugger.stops = session.debugger.stops.enabled(True, ids)
    return Done(_switched(session, ids, "enabled"))


@registry.command("disable", "dis", group="stops")
def disable(session: Session, ids: StopIds = ()) -> Done:
    """Switch the breakpoints IDS, or all of them, off.

    They are kept, and enable switches them on again.

    Example: disable 1
    """
    session.debugger.stops = session.debugger.stops.enabled(False, ids)
    return Done(_switched(session, ids, "disabled"))


def _switched(session: Session, ids: tuple[int, ...], word: str) -> str:
    count = len(ids) or len(session.debugger.stops)
    return f"{count} breakpoint{'s' if count != 1 else ''} {word}"


@registry.command("display", "disp", group="data")
def display(session: Session, expression: Ask | None = None) -> Displays:
    """Show EXPRESSION now and at every stop.

    Without one, all displays are shown.

    Example: display norm(grad)
    """
    if expression is not None:
        if not expression.history or session.debugger.step > session.debugger.branch.start:
            session.debugger.ask(expression)
        session.displays += (Display(session.next_display, expression),)
        session.next_display += 1
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
