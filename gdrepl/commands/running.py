"""Commands that run: step, continue, until, advance, reverse-step, run."""

from __future__ import annotations

from dataclasses import replace

from gdrepl.commands.arguments import Condition, Count, Step
from gdrepl.commands.registry import registry
from gdrepl.commands.results import Stepped
from gdrepl.commands.session import Session
from gdrepl.errors import CommandError


@registry.command("step", "s", "next", "n", group="running", repeats=True, runs=True)
def step(session: Session, count: Count = 1) -> Stepped:
    """Make COUNT updates, fewer if a stop holds.

    The point shown is the one arrived at; the gradient shown is the one the next update will use. A value that is not
    finite stops the run at the first such step; a run that begins there goes on. An empty line steps again. A count, here and
    elsewhere, may be computed of numbers and values: step 2*$n.

    Example: step 10
    """
    return session.stepped(session.debugger.run(count))


@registry.command("continue", "c", group="running", repeats=True, runs=True)
def continue_(session: Session, count: Count | None = None) -> Stepped:
    """Run until a stop holds, or for COUNT updates.

    A value that is not finite stops the run too, at the first such step; with COUNT, a run that begins there goes on. Without
    COUNT, a run ends after max-steps updates at the latest (set max-steps). Ctrl-C ends it at a whole step.

    Example: continue 1000
    """
    return session.stepped(session.debugger.run(count))


@registry.command("until", "unt", group="running", repeats=True, runs=True)
def until(session: Session, condition: Condition) -> Stepped:
    """Run until CONDITION holds at a later step.

    Stops end it too. `until abs(loss - prev(loss)) < 0.001` is the early stop of training loops.

    Example: until abs(loss - prev(loss)) < 0.001
    """
    return session.stepped(session.debugger.run(None, condition))


@registry.command("advance", "adv", group="running", repeats=True, runs=True)
def advance(session: Session, step: Step) -> Stepped:
    """Run forward to STEP, or to where a stop holds.

    Example: advance 50
    """
    ahead = step - session.debugger.step
    if ahead <= 0:
        hint = f"goto {step} goes back" if ahead else f"advance +10 goes on from here, to step {step + 10}"
        raise CommandError(f"step {step} is not ahead: we stand at {session.debugger.step}", hint)
    return session.stepped(session.debugger.run(ahead))


@registry.command("reverse-step", "rs", group="time", repeats=True)
def reverse_step(session: Session, count: Count = 1) -> Stepped:
    """Go COUNT steps back, bit for bit.

    Optimizer slots go back too. Nothing is lost: the future of the branch is kept, and stepping walks it again.

    Example: reverse-step 5
    """
    return session.stepped(session.debugger.back(count))


@registry.command("reverse-continue", "rc", group="time", repeats=True)
def reverse_continue(session: Session) -> Stepped:
    """Go back to the latest earlier step where a stop held.

    Where none did, it is step 0. Stops count and ignore hits as they do forwards, the latest first, and their commands run. A
    `watch EXPR by D` measures from the value at its last hit, whichever way that was met, so that it stops here at the latest
    step whose value is D or more away from it. Ctrl-C ends the search where it began.

    Example: reverse-continue
    """
    return session.stepped(session.debugger.reverse())


@registry.command("run", group="running", runs=True)
def run(session: Session, count: Count | None = None) -> Stepped:
    """Begin again from step 0 on a new branch, and run.

    It runs as `continue` does; the old branches are kept. The parameters have their start values and the optimizer is as it
    is set now, with new slots. With COUNT the run ends after so many updates.

    Example: run 10
    """
    before = session.debugger.point()
    session.debugger.restart()
    move = session.debugger.run(count)
    result = session.stepped(move)
    return replace(result, before=before)
