"""Commands for stops: break, watch, catch, and what is done to them by number or name."""

from __future__ import annotations

from dataclasses import replace

from gdrepl.commands.following import called
from gdrepl.commands.line import YES
from gdrepl.commands.marks import EVERY_STOP, Deletable, forget_checkpoints
from gdrepl.commands.registry import registry
from gdrepl.commands.results import Done, Stops, StopSet
from gdrepl.commands.session import Session
from gdrepl.commands.stop_arguments import (
    BreakWish,
    CatchWish,
    NewCondition,
    StopId,
    StopIds,
    StopWish,
    Switch,
    Times,
    WatchWish,
)
from gdrepl.commands.stop_info import stop_info
from gdrepl.engine.stops import Stops as StopCollection
from gdrepl.engine.triggers import Occurs
from gdrepl.errors import CommandError, ConfirmationNeeded


@registry.command("break", "b", group="stops", syntax="if CONDITION [as NAME]")
def break_(session: Session, condition: BreakWish) -> StopSet | Stops:
    """Stop runs at the first step where CONDITION holds.

    A condition is a truth value of a point: it may use the parameters, loss, lr, step, grad(x), update(x), prev(...) and
    slot.NAME. A condition that cannot be computed is refused now; where another problem or optimizer is in force for which it
    means nothing, it ends the next run after one update and says why. `as NAME` gives it a name that can stand in place of its
    number. A value such as $1 or $before is put in as it is now. help stops shows all that stops can do.

    Example: break if loss < 1e-3
    """
    return _set(session, condition)


@registry.command("tbreak", "tb", group="stops", syntax="if CONDITION [as NAME]")
def tbreak(session: Session, condition: BreakWish) -> StopSet | Stops:
    """Like break, but deleted once it has stopped a run.

    Example: tbreak if step == 5
    """
    return _set(session, condition, temporary=True)


@registry.command("watch", "wa", group="stops", syntax="EXPRESSION [by DISTANCE] [if CONDITION] [as NAME]")
def watch(session: Session, expression: WatchWish) -> StopSet | Stops:
    """Stop runs when the value of EXPRESSION changes.

    It is compared with its value at the step before: watch sign(x - 50) finds an overshoot. With `by D` a run stops when the
    value has moved by D or more (any number of an array) since the watchpoint was set or last held, ignored times included;
    on the way back, too, that is the hit it came from. With `if CONDITION` it stops only where that holds too. info break shows
    the value that it had when it last stopped a run.

    Example: watch sign(x - 50)
    """
    return _set(session, expression)


@registry.command("catch", group="stops", syntax="EVENT [THRESHOLD=NUMBER ...] [if CONDITION] [as NAME]")
def catch(session: Session, event: CatchWish) -> StopSet | Stops:
    """Stop runs where EVENT begins: plateau, divergence, ...

    info events lists the events with their definitions and thresholds, which can be set: catch plateau patience=50 rtol=1e-4.
    An event fires where it begins to hold, and again only after it has ceased; what it looks back on ends where a parameter was
    last set. A run that it stops shows the numbers it looked at, and what to look at next. `catch all` catches every event.

    Example: catch plateau patience=50 rtol=1e-4
    """
    return _set(session, event)


def _set(session: Session, wish: StopWish, temporary: bool = False) -> StopSet | Stops:
    debugger, before = session.debugger, session.debugger.stops.next_id
    for trigger in wish.triggers:
        debugger.stops = debugger.stops.add(trigger, temporary, wish.name)
        if wish.condition is not None:
            item = debugger.stops.get(debugger.stops.next_id - 1)
            debugger.stops = debugger.stops.changed(item.under(wish.condition))
    new = [item for item in debugger.stops if item.id >= before]
    if len(new) > 1:
        return Stops(tuple(stop_info(session, item) for item in new))
    [item] = new
    definition = item.trigger.event.definition() if isinstance(item.trigger, Occurs) else ""
    return StopSet(item.id, item.kind, item.text, temporary, item.name, definition)


@registry.command("condition", group="stops", syntax="ID [CONDITION]")
def condition(session: Session, id: StopId, condition: NewCondition | None = None) -> StopSet:
    """Give the stop ID another CONDITION; without one take it away.

    The condition of a breakpoint is all there is to it, so it cannot be taken away. Watchpoints and catchpoints stop a run only
    where theirs holds too.

    Example: condition 1 loss < 1e-4
    """
    item = session.debugger.stops.get(id).under(condition)
    session.debugger.stops = session.debugger.stops.changed(item)
    return StopSet(item.id, item.kind, item.text, name=item.name)


@registry.command("ignore", group="stops", syntax="ID TIMES")
def ignore(session: Session, id: StopId, times: Times) -> Done:
    """Let the stop ID pass the next TIMES times that it holds.

    They are counted as hits. 0 lets it stop the next time.

    Example: ignore 1 3
    """
    item = replace(session.debugger.stops.get(id), ignore=times)
    session.debugger.stops = session.debugger.stops.changed(item)
    passes = "stops the next time" if times == 0 else f"lets {times} hit{'s' if times != 1 else ''} pass"
    return Done(f"{called(item)} {passes}")


@registry.command("commands", group="stops", block=True, syntax="[ID], lines, end")
def commands(session: Session, id: StopId | None = None, *, lines: tuple[str, ...]) -> Done:
    """Run the lines up to `end` whenever the stop ID ends a run.

    The lines are typed below `commands`, or behind it with `;;`. Without ID it is the stop that was set last. `silent` as the
    first line leaves out what is usually shown at the stop. The first line that runs or moves ends the list. No lines at all
    take the list away.

    Example: commands 1 ;; silent ;; print x ;; end
    """
    stops = session.debugger.stops
    if id is None and not len(stops):
        raise CommandError("there is no stop to give commands to", "break if loss < 1e-3 sets one")
    item = stops.get(id) if id is not None else stops.items[-1]
    session.debugger.stops = stops.changed(replace(item, commands=lines))
    what = f"{len(lines)} command{'s' if len(lines) != 1 else ''}" if lines else "no commands any more"
    return Done(f"{called(item)}: {what}")


@registry.command("delete", "del", group="stops", syntax="[IDS] | checkpoint IDS")
def delete(session: Session, what: Deletable = EVERY_STOP) -> Done:
    """Delete the stops IDS, or all of them.

    Without IDS it asks first on a terminal, and needs --yes elsewhere (set confirm off). delete checkpoint ID deletes a
    checkpoint, by its number or its name.

    Example: delete 1
    """
    if what.checkpoints:
        return forget_checkpoints(session, what.checkpoints)
    before = session.debugger.stops
    if session.settings.confirm and len(before) and not what.stops and not what.yes:
        raise ConfirmationNeeded(f"delete {_counted(before, ())}", f"delete {YES}")
    session.debugger.stops = before.without(what.stops)
    return Done(f"{_counted(before, what.stops)} deleted")


@registry.command("enable", group="stops", syntax="[once] [IDS]")
def enable(session: Session, ids: Switch = (False, ())) -> Done:
    """Switch the stops IDS, or all of them, on.

    `enable once 1` switches 1 on, and off again when it has stopped a run.

    Example: enable 1
    """
    once, numbers = ids
    if once and not numbers:
        raise CommandError("enable once needs the number of a stop", "for example enable once 1")
    session.debugger.stops = session.debugger.stops.enabled(True, numbers, once)
    return Done(_switched(session, numbers, "enabled once" if once else "enabled"))


@registry.command("disable", "dis", group="stops")
def disable(session: Session, ids: StopIds = ()) -> Done:
    """Switch the stops IDS, or all of them, off.

    They are kept, and enable switches them on again.

    Example: disable 1
    """
    session.debugger.stops = session.debugger.stops.enabled(False, ids)
    return Done(_switched(session, ids, "disabled"))


def _switched(session: Session, ids: tuple[int, ...], word: str) -> str:
    return f"{_counted(session.debugger.stops, ids)} {word}"


def _counted(stops: StopCollection, ids: tuple[int, ...]) -> str:
    """`2 breakpoints`, or `3 stops` where they are not all breakpoints; of all of them where there are no `ids`."""
    items = [item for item in stops if not ids or item.id in ids]
    word = "breakpoint" if all(item.kind == "breakpoint" for item in items) else "stop"
    return f"{len(items)} {word}{'s' if len(items) != 1 else ''}"
