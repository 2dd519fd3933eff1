"""Commands for the phases inside an update: stepi, finish, reverse-stepi."""

from __future__ import annotations

from dataclasses import replace

from gdrepl.commands.arguments import Count
from gdrepl.commands.registry import registry
from gdrepl.commands.results import Phased, Stepped
from gdrepl.commands.session import Session
from gdrepl.engine.walking import advance, retreat
from gdrepl.errors import CommandError
from gdrepl.insight.phases import Made, made


@registry.command("stepi", "si", group="running", repeats=True, runs=True)
def stepi(session: Session, count: Count = 1) -> Phased:
    """Make one phase of the coming update, or COUNT of them.

    In Keras' own order (keras/src/optimizers/base_optimizer.py, apply):
      forward     the loss here, and its outermost sub-expressions
      backward    the gradient, d loss / d each parameter
      clip        the gradient scaled back, averaged where it is gathered, clipped
      decay       weight decay: parameter -= parameter * weight_decay * lr
      moments     the optimizer's slots, such as slot.momentum(x)
      apply       the parameters
      constraint  the moving average, which may overwrite the parameters; iteration
    Seven make one `step`, with the same bits: the update is the compiled one, told in pieces. Only the clipped gradient and
    what decay leaves are computed anew, by Keras' own functions; a norm to clip by may differ in its last bit.

    Between two phases print, whatis and display read things as they stand: parameters, slots, and from clip on grad as it is
    used; loss, step and lr are still those of the beginning, prev(...) is the beginning itself, and update(...) what was
    changed since. All other questions speak of the step. `finish` makes the rest, and `step` counts it as its first update;
    `reverse-stepi` goes back. A jump or a change gives the update up, and says so. Stops are looked at when the update is
    whole, as in `step`.

    Example: stepi 3
    """
    walk = advance(session.debugger, count)
    phases = tuple(made(update, place) for update, place in walk.made)
    stepped = None if walk.move is None else session.stepped(walk.move)
    return _phased(session, phases, stepped)


@registry.command("finish", "fin", group="running", repeats=False, runs=True)
def finish(session: Session) -> Stepped:
    """Make the rest of the update that stepi began.

    It comes to the step that `step` would have come to, bit for bit, and stops are looked at there. reverse-stepi 7 takes the
    phases back instead.

    Example: finish
    """
    if not session.debugger.inside.made:
        raise CommandError("no update is begun", "stepi begins one; step makes a whole one")
    return session.stepped(session.debugger.run(1))


@registry.command("reverse-stepi", "rsi", group="time", repeats=True)
def reverse_stepi(session: Session, count: Count = 1) -> Phased:
    """Go one phase back, or COUNT of them.

    All is as it was after the phase before; at the beginning of an update it goes on back into the one before. At the start of
    the branch it ends. help stepi names the phases.

    Example: reverse-stepi
    """
    inside, back = session.debugger.inside, retreat(session.debugger, count)
    here = (made(inside.update, inside.made - 1),) if inside.made else ()
    notes = ("at the start",) if back < count else ()
    return _phased(session, here, None, back, notes)


def _phased(
    session: Session,
    phases: tuple[Made, ...],
    stepped: Stepped | None,
    back: int | None = None,
    notes: tuple[str, ...] = (),
) -> Phased:
    """Where we stand; the displays are told once, with what was done last."""
    phase = session.debugger.inside.phase
    displays = session.at_a_stop() if stepped is None else stepped.displays if phase else ()
    if stepped is not None and phase:
        stepped = replace(stepped, displays=())
    return Phased(session.debugger.step, phase, phases, stepped, back, displays, notes)
