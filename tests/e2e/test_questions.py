"""Whatever is asked, and wherever: what is true and what is recorded keep their bits, and so does what comes next."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driving import PROGRAMS, hill

from gdrepl.commands.registry import registry
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup

QUESTIONS = {
    "backtrace": ("backtrace full",),
    "check": ("check grad",),
    "down": ("down",),
    "explain": ("explain", "explain next", "explain 0"),
    "frame": ("frame 1",),
    "lrfind": ("lrfind 1e-4 1 in 20",),
    "slice": ("slice", "slice v1"),
    "up": ("up",),
    "whatif": ("whatif set lr 0.01 ;; step 3",),
}
"""How each command of this group is asked, where its name alone is not enough."""
MORE = ("info lr", "x x", "whatis loss", "print update", "history")


def ravine(engine: str) -> Session:
    return Session(Setup("x[0]**2 + 30*x[1]**2", {"x": "[3, 1]"}, optimizer="adam", rate="0.3", engine=engine), PROGRAMS)


def log(engine: str) -> Session:
    return Session(
        Setup("sum(x - log(x))", {"x": "[3, 0.1]"}, optimizer="sgd(momentum=0.9)", rate="0.2", engine=engine), PROGRAMS
    )


PLACES: dict[str, tuple[Callable[[], Session], tuple[str, ...], str]] = {
    "at the start": (hill, (), "step 5"),
    "with stops armed": (hill, ("break if loss < 300", "watch x by 4", "catch all", "step 2", "display x"), "continue 10"),
    "in the past": (lambda: ravine("graph"), ("step 20", "goto 7", "set lr 0.2", "step 5", "goto 9"), "step 6"),
    "inside an update": (lambda: ravine("xla"), ("step 3", "stepi 5"), "finish"),
    "where the loss is NaN": (lambda: log("eager"), ("continue 50",), "step 2"),
    "before a NaN": (lambda: log("eager"), ("continue 50", "reverse-step"), "step 1"),
}


def lines() -> list[str]:
    commands = [command.name for command in registry if command.group == "insight"]
    assert set(QUESTIONS) <= set(commands)
    asked = [line for name in commands for line in QUESTIONS.get(name, (name,))]
    return [*asked, *MORE]


def kept(session: Session) -> list[object]:
    """All that moving on or going back could depend on, as bytes."""
    debugger = session.debugger
    columns = [
        (name, debugger.columns(branch.start, branch.end, name).loss.tobytes())
        for name, branch in debugger.timeline.branches.items()
    ]
    return [
        columns,
        debugger.position,
        str(debugger.stops),
        debugger.max_steps,
        debugger.inside.made,
        debugger.checkpoints.items,
    ]


@pytest.mark.parametrize("place", PLACES)
def test_no_question_changes_what_is_true_nor_what_comes_next(place: str, assert_same_bits):
    begin, moves, next_move = PLACES[place]
    asked, silent = begin(), begin()
    for session in (asked, silent):
        for line in moves:
            list(session.execute(line))
    here, before = asked.debugger.snapshot(), kept(asked)
    answered = 0
    for line in lines():
        outcomes = list(asked.execute(line))  # some have no answer here, which they say in one line
        answered += all(outcome.error is None for outcome in outcomes)
        assert_same_bits(asked.debugger.snapshot(), here)
        assert kept(asked) == before, line
    assert answered > len(lines()) // 2
    for session in (asked, silent):
        assert [outcome.error for outcome in session.execute(next_move)] == [None]
    assert_same_bits(asked.debugger.snapshot(), silent.debugger.snapshot())
    assert kept(asked) == kept(silent)
