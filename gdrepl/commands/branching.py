"""Commands for the tree: branch, branch rename, branch delete, switch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Annotated

from gdrepl.commands.arguments import ABranch, complete_branches
from gdrepl.commands.line import YES
from gdrepl.commands.naming import check_branch_name
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Done, Stepped
from gdrepl.commands.session import Session
from gdrepl.engine.snapshot import Stop
from gdrepl.engine.tending import check_deletable, delete_branch, rename_branch
from gdrepl.errors import CommandError, ConfirmationNeeded


@dataclass(frozen=True, slots=True)
class BranchWish:
    """What `branch` is to do: begin one called `name`, rename `name` to `new`, or delete `name`; `yes` says that it may."""

    verb: str
    name: str
    new: str = ""
    yes: bool = False


def parse_branch(text: str, session: Session) -> BranchWish:
    """`NAME`, `rename [OLD] NEW` or `delete NAME [--yes]`."""
    words = text.split()
    if words[0] == "rename":
        return _parse_rename(words[1:], session)
    if words[0] == "delete":
        return _parse_delete(words[1:], session)
    if len(words) > 1:
        verb = next(iter(get_close_matches(words[0], ("rename", "delete"), 1)), "")
        if verb:
            raise CommandError(
                f"branch does not know '{words[0][:40]}'", f"did you mean branch {verb} {' '.join(words[1:])[:60]}?"
            )
        near = "-".join(words)[:40]
        raise CommandError(f"branch does not take '{words[1][:40]}'", f"a name is one word, such as {near}; or rename, delete")
    return BranchWish("begin", check_branch_name(words[0], session))


def _parse_rename(names: list[str], session: Session) -> BranchWish:
    if not 1 <= len(names) <= 2:
        raise CommandError("branch rename needs a new name", "branch rename NEW, or branch rename OLD NEW")
    old = names[0] if len(names) == 2 else session.debugger.position.branch
    return BranchWish("rename", session.debugger.timeline.branch(old).name, check_branch_name(names[-1], session))


def _parse_delete(words: list[str], session: Session) -> BranchWish:
    names = [word for word in words if word != YES]
    if len(names) != 1:
        raise CommandError("branch delete needs the name of one branch", "info branches lists them; branch delete b1")
    return BranchWish("delete", session.debugger.timeline.branch(names[0]).name, yes=YES in words)


def _after_branch(session: Session, head: str) -> Iterable[str]:
    verb, *names = head.split()
    if verb == "delete":
        return [YES] if names else [name for name in complete_branches(session) if name != session.debugger.position.branch]
    return complete_branches(session) if verb == "rename" and not names else ()


Wish = Annotated[
    BranchWish, Argument("name", parse_branch, lambda session: ["rename", "delete"], rest=True, after=_after_branch)
]


@registry.command("branch", group="branches", syntax="[NAME] | rename [OLD] NEW | delete NAME")
def branch(session: Session, what: Wish | None = None) -> Done:
    """Begin a branch called NAME here, rename or delete one.

    A new branch shares all up to this step; steps from now on are its own. Branches begin by themselves when something is set
    in the past of one. info branches draws the tree.

    `branch rename NEW` renames the branch in force, `branch rename OLD NEW` another one. `branch delete NAME` forgets a branch
    with its checkpoints, and the steps that no other branch has. It asks first on a terminal, and needs --yes elsewhere; the
    branch in force cannot be deleted. What left a deleted branch hangs on its parent from then on.

    Example: branch careful
    """
    if what is not None and what.verb == "rename":
        rename_branch(session.debugger, what.name, what.new)
        return Done(f"branch {what.name} is called {what.new} now")
    if what is not None and what.verb == "delete":
        return _delete(session, what)
    here = session.debugger.step
    made = session.debugger.fork(what.name if what is not None else "")
    return Done(f"on branch {made} from step {here}")


def _delete(session: Session, what: BranchWish) -> Done:
    debugger = session.debugger
    check_deletable(debugger, what.name)
    gone = debugger.timeline.branch(what.name)
    if session.settings.confirm and not what.yes:
        raise ConfirmationNeeded(
            f"delete branch {gone.name}, steps {gone.fork_step} to {gone.end}", f"branch delete {gone.name} {YES}"
        )
    points, marks, timeline = debugger.timeline.points(), len(debugger.checkpoints), debugger.timeline
    left = {name for name, each in timeline.branches.items() if each.parent == gone.name}
    delete_branch(debugger, gone.name)
    told = [f"branch {gone.name} is deleted: {points - timeline.points()} points that no other branch has"]
    if marks != len(debugger.checkpoints):
        told.append(f"checkpoints deleted with it: {marks - len(debugger.checkpoints)}")
    for name in timeline.branches:
        if name in left:
            parent = timeline.branches[name].parent
            told.append(f"{name} hangs on {parent} now" if parent else f"{name} begins by itself now")
    return Done("\n".join(told))


@registry.command("switch", "sw", group="branches", repeats=True)
def switch(session: Session, branch: ABranch) -> Stepped:
    """Stand at the end of a branch.

    goto NAME does so, too; goto NAME:STEP goes to a step of it.

    Example: switch main
    """
    debugger = session.debugger
    left, target = debugger.position.branch, debugger.timeline.branch(branch)
    move = debugger.goto(target.end, branch)
    result = session.stepped(replace(move, stops=(Stop("end", None, f"the end of {branch}"),)))
    return replace(result, came_from=left if left != branch else "")
