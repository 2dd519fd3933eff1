"""Commands that run and move: step, continue, until, advance, reverse-step, goto, run, branch."""

from __future__ import annotations

from dataclasses import replace

from gdrepl.commands.arguments import BranchName, Condition, Count, Step, Where
from gdrepl.commands.registry import registry
from gdrepl.commands.results import Done, Stepped
from gdrepl.commands.session import Session
from gdrepl.engine.snapshot import Stop
from gdrepl.errors import CommandError


@registry.command("step", "s", "next", "n", group="running", repeats=True)
def step(session: Session, count: Count = 1) -> Stepped:
    """Make COUNT updates, fewer if a breakpoint holds.

    The point shown is the one arrived at; the gradient shown is the one the next update will use. A value that is not
    finite stops the run at the first such step; a run that begins there goes on. An empty line steps again.

    Example: step 10
    """
    return session.stepped(session.debugger.run(count))


@registry.command("continue", "c", group="running", repeats=True)
def continue_(session: Session, count: Count | None = None) -> Stepped:
    """Run until a breakpoint, or for COUNT updates.

    A value that is not finite stops the run too, at the first such step; with COUNT, a run that begins there goes on. Without
    COUNT, a run ends after max-steps updates at the latest (set max-steps). Ctrl-C ends it at a whole step.

    Example: continue 1000
    """
    return session.stepped(session.debugger.run(count))


@registry.command("until", "unt", group="running", repeats=True)
def until(session: Session, condition: Condition) -> Stepped:
    """Run until CONDITION holds at a later step.

    Breakpoints stop it too. `until abs(loss - prev(loss)) < 0.001` is the early stop of training loops.

    Example: until abs(loss - prev(loss)) < 0.001
    """
    return session.stepped(session.debugger.run(None, condition))


@registry.command("advance", "adv", group="running", repeats=True)
def advance(session: Session, step: Step) -> Stepped:
    """Run forward to STEP, fewer if a breakpoint holds.

    Example: advance 50
    """
    ahead = step - session.debugger.step
    if ahead <= 0:
        hint = f"goto {step} goes back" if ahead else f"advance +10 goes on from here, to step {step + 10}"
        raise CommandError(f"step {step} is not ahead: we stand at {session.debugger.step}", hint)
    return session.stepped(session.debugger.run(ahead))


@registry.command("reverse-step", "rs", group="running", repeats=True)
def reverse_step(session: Session, count: Count = 1) -> Stepped:
    """Go COUNT steps back, bit for bit.

    Optimizer slots go back too. Nothing is lost: the future of the branch is kept, and stepping walks it again.

    Example: reverse-step 5
    """
    return session.stepped(session.debugger.back(count))


@registry.command("reverse-continue", "rc", group="running", repeats=True)
def reverse_continue(session: Session) -> Stepped:
    """Go back to the latest earlier step where a stop held.

    Where none did, it is the start of the branch. Stops count and ignore hits as they do forwards, and their commands run.

    Example: reverse-continue
    """
    return session.stepped(session.debugger.reverse())


@registry.command("goto", group="running", repeats=True)
def goto(session: Session, step: Where) -> Stepped:
    """Stand at STEP, at start or at end, bit for bit.

    A number with a sign is counted from here: goto -5. The name of a branch goes to its end, and BRANCH:STEP to a step of it;
    what was in force there is in force again.

    Example: goto 0
    """
    place, debugger = step, session.debugger
    left = debugger.position.branch
    move = debugger.goto(place.step, place.branch)
    branch = debugger.branch
    stops = []
    if place.step == branch.start:
        stops.append(Stop("start", None, "the start"))
    if place.step == branch.end:
        stops.append(Stop("end", None, f"the end of {branch.name}"))
    if not stops:
        stops.append(Stop("count", None, f"step {place.step}"))
    result = session.stepped(move)
    return replace(result, stops=tuple(stops), came_from=left if left != branch.name else "")


@registry.command("run", group="running")
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


@registry.command("branch", group="running")
def branch(session: Session, name: BranchName | None = None) -> Done:
    """Begin a branch called NAME here.

    It shares all up to this step; steps from now on are its own. Branches begin by themselves when something is set in the
    past of one. info branches draws the tree.

    Example: branch careful
    """
    if name is not None:
        check_branch_name(name)
    here = session.debugger.step
    made = session.debugger.fork(name or "")
    return Done(f"on branch {made} from step {here}")


def check_branch_name(name: str) -> str:
    """Return `name` if a branch may be called so.

    Raises:
        CommandError: it is not made of letters, digits, _, - and dots, or `goto` would take it for a step.
    """
    if name in ("start", "end") or not name[:1].isalpha():
        raise CommandError(
            f"'{name[:40]}' cannot be the name of a branch", "goto would take it for a step; begin with a letter: try-2"
        )
    if not name.isascii() or not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or len(name) > 40:
        raise CommandError(f"'{name[:40]}' cannot be the name of a branch", "use letters, digits, - and _, such as try-2")
    return name
