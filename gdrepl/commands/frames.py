"""Commands that walk the chain rule: backtrace, frame, up, down, list."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated

from gdrepl.commands.arguments import whole_value
from gdrepl.commands.framing import stack_here
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.session import Session
from gdrepl.errors import CommandError
from gdrepl.insight.backtrace import Backtrace, Frame, Listing, Stack, StackFrame
from gdrepl.insight.summary import brief


@dataclass(frozen=True, slots=True)
class Part:
    """Which frames: the first `count`, or the last where it is negative; None is all. `full` asks for all of each."""

    count: int | None = None
    full: bool = False


def parse_part(text: str, session: Session) -> Part:
    """`full`, a number of frames, or both."""
    words = text.split()
    full = "full" in words
    if full:
        words.remove("full")
    if not words:
        return Part(None, full)
    count = whole_value(" ".join(words), session)
    if count is None or count == 0:
        raise CommandError(f"'{text[:40]}' is not a number of frames", "bt 3 shows the first three, bt -3 the last three")
    return Part(count, full)


def parse_frame(text: str, session: Session) -> int:
    """The number of a frame."""
    number = whole_value(text, session)
    if number is None or number < 0:
        raise CommandError(f"'{text[:40]}' is not the number of a frame", "backtrace lists them: frame 0 is the loss")
    return number


def parse_levels(text: str, session: Session) -> int:
    """How many frames to go."""
    number = whole_value(text, session)
    if number is None or number < 1:
        raise CommandError(f"'{text[:40]}' is not a number of frames", "type a whole number from 1, such as 2")
    return number


Which = Annotated[Part, Argument("count", parse_part, lambda session: ["full"], rest=True)]
FrameNumber = Annotated[int, Argument("number", parse_frame, rest=True)]
Levels = Annotated[int, Argument("count", parse_levels, rest=True)]


@registry.command("backtrace", "bt", "w", group="insight", repeats=True, syntax="[COUNT] [full]")
def backtrace(session: Session, part: Which | None = None) -> Backtrace:
    """Show the chain rule as a stack, from the loss down to the parameters.

    A frame is a sub-expression of the loss, and frame 0 is the loss. Each has its value; d parent / d it, the local derivative
    of the one operation that it is an operand of; and d loss / d it, which is the product of the local derivatives on the way
    to it. A parameter that stands at several places has a path through each, and its gradient is their sum. The sum is held
    against the gradient that the next update will use, and a difference beyond rounding is told.

    Frames are marked, on each way down, where the gradient first vanishes (all of it together below 1e-7 of the loss), blows
    up (a number of it above 1e7 times the loss, and above 1e7), or is not finite, with the reason, such as a saturated sigmoid.

    `bt 3` shows the first three frames, `bt -3` the last three, `bt full` all that is known of each. Where an operation works
    element by element the local derivative is told by elements; otherwise it is a gradient, or a Jacobian.

    This is reverse accumulation: S. Linnainmaa, BIT 16 (1976) 146-160; D. Rumelhart, G. Hinton and R. Williams, "Learning
    representations by back-propagating errors", Nature 323 (1986) 533-536.

    Example: backtrace
    """
    here, current = stack_here(session)
    which = part or Part()
    frames = here.frames
    if which.count is not None:
        frames = frames[: which.count] if which.count > 0 else frames[which.count :]
    debugger = session.debugger
    gradient = {name: brief(value) for name, value in here.sums.items()}
    text, count = debugger.problem.loss.text, len(here.frames)
    return Backtrace(frames, debugger.step, text, count, gradient, here.agrees, current, which.full, here.notes)


@registry.command("frame", "f", group="insight", repeats=True)
def frame(session: Session, number: FrameNumber | None = None) -> Frame:
    """Show the frame in force, or go to frame NUMBER.

    `backtrace` lists the frames. In a frame `print $value` is the value of its sub-expression, `$local` d parent / d it,
    `$gradient` d loss / d it, and `$frame` its number; an expression may use them, as `print $local * 2`. A value of your own
    of such a name comes first. Whatever moves, also by a phase, chooses frame 0, the loss, again.

    Example: frame 1
    """
    here, current = stack_here(session)
    return _frame(session, here, current if number is None else number)


@registry.command("up", "u", group="insight", repeats=True)
def up(session: Session, count: Levels = 1) -> Frame:
    """Go COUNT frames up, towards the loss: to the operation that the frame in force is an operand of.

    Example: up
    """
    here, current = stack_here(session)
    if current == 0:
        raise CommandError("frame 0 is the loss: there is nothing above it", "down goes towards the parameters")
    for _ in range(count):
        current = here.frames[current].parent or 0
    return _frame(session, here, current)


@registry.command("down", "d", group="insight", repeats=True)
def down(session: Session, count: Levels = 1) -> Frame:
    """Go COUNT frames down, towards the parameters: to the first operand of the frame in force that depends on one.

    `frame NUMBER` goes to any other.

    Example: down
    """
    here, current = stack_here(session)
    if not _goes_down(here, current):
        text, after = here.frames[current].expression[:40], current + 1
        what = f"{text} is a parameter" if here.links[current].is_name else f"no gradient goes on from {text}"
        hint = f"frame {after} is the next, up goes back" if after < len(here.frames) else "up goes towards the loss"
        raise CommandError(f"{what}: there is nothing below it", hint)
    for _ in range(min(count, len(here.frames))):
        current += _goes_down(here, current)
    return _frame(session, here, current)


@registry.command("list", "l", group="insight", repeats=True)
def list_(session: Session) -> Listing:
    """Show the loss, with the frame in force marked.

    Example: list
    """
    here, current = stack_here(session)
    chosen = here.frames[current]
    text, step = session.debugger.problem.loss.text, session.debugger.step
    return Listing(text, current, chosen.expression, chosen.start, chosen.end, step)


def _goes_down(here: Stack, index: int) -> bool:
    """Whether the next frame is an operand of this one."""
    return index + 1 < len(here.frames) and here.frames[index + 1].parent == index


def _frame(session: Session, here: Stack, index: int) -> Frame:
    if index >= len(here.frames):
        last = len(here.frames) - 1
        raise CommandError(f"there is no frame {index}", f"frames are 0 to {last}: backtrace lists them")
    chosen = here.frames[index]
    known = {each.name: getattr(chosen, each.name) for each in fields(StackFrame)}
    above = here.frames[chosen.parent] if chosen.parent is not None else None
    text, step = session.debugger.problem.loss.text, session.debugger.step
    made = Frame(**known, step=step, loss=text, count=len(here.frames))
    return made if above is None else replace(made, parent_expression=above.expression, parent_gradient=above.gradient)
