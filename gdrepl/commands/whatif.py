"""The command that tries futures aside: whatif."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import partial
from typing import Annotated, Any

import numpy as np

from gdrepl.commands.naming import check_branch_name
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Variant, WhatIf
from gdrepl.commands.session import Session
from gdrepl.commands.trying import RUNNING, Act, Trial, Wanted, parse_wanted
from gdrepl.engine import optimizer
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import Array
from gdrepl.errors import CommandError
from gdrepl.insight.lowest import highest_until
from gdrepl.insight.race import DIVERGED, Future, Runs, aside

_LONGEST_NAME = 30


def _choices(session: Session) -> Iterable[str]:
    return ["set", *registry.commands["set"].parameters[0].argument.complete(session)]


def _after(session: Session, head: str) -> Iterable[str]:
    """What Tab offers behind `head`: commands behind `;;`, what can be set behind set, optimizers to race, then the options."""
    words = head.rpartition(";;")[2].split()
    if not words and ";;" in head:
        return ["set", *RUNNING]
    if words == ["set"]:
        return registry.commands["set"].parameters[0].argument.complete(session)
    kinds = sorted(each.lower() for each in optimizer.catalogue()) if words[-2:-1] == ["set"] or words[:1] != ["set"] else []
    return [*(kinds if "optimizer" in words and session.ready else []), "for", "to", "keep"]


Trials = Annotated[Wanted, Argument("what", parse_wanted, _choices, rest=True, after=_after)]


@registry.command(
    "whatif",
    group="insight",
    whole_line=True,
    syntax="set WHAT VALUE [;; step N] | NAME VALUES [for N] [to LOSS] [keep [NAME]]",
)
def whatif(session: Session, what: Trials) -> WhatIf:
    """Try changes aside, and show what would come of them.

    `whatif set lr 0.01 ;; step 50` runs from here with the change and without it, shows both futures side by side and changes
    nothing. The whole line belongs to it: set, and step, continue N, until, advance and run N; a line that only sets makes 100
    updates. `whatif lr 0.001 0.01 0.1` races values of the learning rate, of a hyperparameter or of a parameter,
    `whatif optimizer sgd adam "rmsprop(0.01)"` optimizers with new slots, each from this very point; `for 50` makes 50 updates.

    "As it is" is the future without the change, with what is in force here. No breakpoint or other stop of yours is armed;
    a value that is not finite ends a future. Each says how it ended:
      diverged   a value is not finite, or the last loss is above ten times the
                 first and above all losses of this branch up to here
      converged  the gradient's norm is at most 1e-4, or 1e-4 of the first
      moving     neither
    The first is what the future began with, and "diverged at" names the first step where its loss was above that, or not
    finite: a longer trial names the same. As for the event divergence, a loss that began below zero has grown when it rose by
    nine times its size. A future that begins and ends with a norm of at most 1e-4 has converged, however its losses compare.
    "steps" are the updates made; the last column counts them until the loss was that of the end of "as it is", or LOSS with
    `to LOSS`.

    `keep` makes a branch of each change, named after it, or NAME; we stay where we stand, and goto goes there. `as it is`
    is not kept: stepping on makes it. Ctrl-C ends it all, with nothing changed.

    Example: whatif lr 0.001 0.01 0.1 for 50
    """
    debugger, here = session.debugger, session.debugger.point()
    names = _names(what, session)
    _refuse_nowhere(session, what)
    highest = highest_until(debugger, debugger.branch, here.step)
    count = sum(not act.edits for trial in (what.same, *what.trials) for act in trial.acts)
    runs = Runs(debugger, count)
    undo = debugger.undo()
    try:
        same = aside(debugger, partial(_perform, session, runs, what.same), highest=highest)
        tried = [
            aside(debugger, partial(_perform, session, runs, trial), name, highest) for trial, name in zip(what.trials, names)
        ]
    except BaseException:
        undo()
        raise
    target = _target(what, same)
    labelled = [(what.same.label, same), *((trial.label, future) for trial, future in zip(what.trials, tried))]
    return WhatIf(tuple(_variant(*each, target) for each in labelled), here.step, here.loss, target)


def _refuse_nowhere(session: Session, what: Wanted) -> None:
    """See that something can come of it: where a value is not finite, only another parameter or a run from step 0 leads on.

    Raises:
        CommandError: it cannot.
    """
    debugger = session.debugger
    if debugger.snapshot().is_finite() or all(_leads_on(trial, debugger) for trial in what.trials):
        return
    hint = "reverse-step goes back to the point before, goto min to the lowest loss; then whatif"
    raise CommandError(f"nothing can be tried from step {debugger.step}: the loss or gradient is not finite here", hint)


def _leads_on(trial: Trial, debugger: Debugger) -> bool:
    first_run = next(act for act in trial.acts if not act.edits)
    before = trial.acts[: trial.acts.index(first_run)]
    return first_run.command.name == "run" or any(act.sets in debugger.problem.parameters for act in before)


def _perform(session: Session, runs: Runs, trial: Trial) -> None:
    for act in trial.acts:
        given = act.command.parse(act.rest, session)
        if act.edits:
            act.command.function(session, **given)
        else:
            _run(session.debugger, runs, act, given)


def _run(debugger: Debugger, runs: Runs, act: Act, given: dict[str, Any]) -> None:
    """Run as the command does, but without what it shows of the point it arrives at."""
    if act.command.name == "until":
        runs.run(None, given["condition"])
    elif act.command.name == "advance":
        ahead = given["step"] - debugger.step
        if ahead <= 0:
            raise CommandError(
                f"step {given['step']} is not ahead: we stand at {debugger.step}", "advance +10 goes on from here"
            )
        runs.run(ahead)
    else:
        if act.command.name == "run":
            debugger.restart()
        runs.run(given.get("count", 1))


def _target(what: Wanted, same: Future) -> Array | None:
    """The loss to count to: as asked, or that of the end without a change; none where that diverged."""
    if what.target is not None:
        return np.asarray(what.target, same.losses.dtype)
    return None if same.outcome == DIVERGED else same.losses[-1]


def _variant(label: str, future: Future, target: Array | None) -> Variant:
    steps, losses = future.thinned()
    return Variant(
        label,
        future.outcome,
        future.updates,
        future.losses[-1],
        None if target is None else future.updates_to(target),
        future.diverged_at,
        steps,
        losses,
        future.branch,
    )


def _names(what: Wanted, session: Session) -> list[str]:
    """A name for each branch to keep, none of them taken; "" for what is not kept.

    Raises:
        CommandError: the name given is no name, or taken.
    """
    taken = {*session.debugger.timeline.branches, *session.debugger.checkpoints.names}
    if what.keep is None:
        return [""] * len(what.trials)
    if what.keep:
        check_branch_name(what.keep, session)
        if len(what.trials) == 1:
            if what.keep in taken:
                raise CommandError(f"there is a branch '{what.keep}' already", "keep it under another name")
            return [what.keep]
    names: list[str] = []
    for trial in what.trials:
        wanted = _name(f"{what.keep}-{trial.label}" if what.keep else trial.label, session)
        names.append(_free(wanted, {*taken, *names}))
    return names


def _name(label: str, session: Session) -> str:
    """A label made the name of a branch: letters, digits, dots and dashes, with a letter first."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-")[:_LONGEST_NAME].strip("-")
    try:
        return check_branch_name(plain, session)
    except CommandError:
        return f"try-{plain}".strip("-")


def _free(wanted: str, taken: Collection[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
