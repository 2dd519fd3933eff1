"""Random sessions: a failure changes nothing, a loaded session is the one that was saved, and what is saved replays."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import contents

from gdrepl.commands.replaying import replay_file
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine.moves import Progress

SESSIONS, LENGTH = 16, 30
MOVES = (
    *("step {n}", "step {n}", "continue {n}", "advance {s}", "run {n}", "reverse-step {s}", "until loss < {v}"),
    *(
        "stepi {n}",
        "stepi 1{n}",
        "finish",
        "reverse-stepi {n}",
        "goto {s}",
        "goto {b}",
        "goto {b}:{s}",
        "goto start",
        "goto end",
        "branch",
        "branch {B}",
        "until abs(loss-prev(loss)) < {v}",
    ),
)
TENDING = (
    *(
        "back",
        "back {n}",
        "forward",
        "forward {n}",
        "checkpoint",
        "checkpoint k{n}",
        "restart {n}",
        "restart k{n}",
        "goto cp{n}",
    ),
    *("goto min", "goto {b}:min", "switch {b}", "branch rename {B}", "branch rename {b} {B}", "branch delete {b} --yes"),
    *(
        "branch delete {b} --yes",
        "delete checkpoint {n}",
        "diff {b}",
        "diff {b} tol={v} plot",
        "info checkpoints",
        "info branches",
    ),
)
EDITS = (
    *("set lr {v}", "set x {v}", "set y {v}", "set w {v}", "set w[0] {v}", "set optimizer {o}", "set optimizer {o}"),
    *("set momentum 0.5", "set clipnorm 1", "set clipnorm none", "set dtype float64", "set dtype float32", "set seed {n}"),
    *("set lr exponential_decay(0.1, decay_steps=5, decay_rate=0.9)", "set history-limit 1", "set max-steps {n}"),
)
PROBLEMS = (
    *("var x = {v}", "var y = {v}", "const y = {v}", "var a = {v}", "const a = {v}", "const a = [1,2]", "var w = normal(2)"),
    *("var w = [0.1,0.2]", "loss (x-y)**2", "loss (x-a)**2", "loss sum((w-a)**2)", "loss sum(w**2)+x**2", "loss (x-50)**2"),
    *("problem sphere dim=2", "problem rosenbrock", "problem booth"),
)
QUESTIONS = (
    *("break if loss < {v}", "break if x > {v}", "tbreak if step == {s}", "break if norm(grad) < {v}", "enable", "disable"),
    *(
        "break if slot.momentum > 1",
        "delete --yes",
        "display x",
        "display y",
        "display loss-prev(loss)",
        "undisplay",
        "info break",
    ),
    *("print x", "print a", "print w", "print [x,y]", "grad", "history", "info optimizer", "step 3 ;; nope ;; step"),
    *("backtrace", "frame {n}", "frame 1 ;; down", "up", "list", "print $gradient", "set $value = {v}", "why"),
)


def line(chosen: random.Random, session: Session) -> str:
    """A command that may or may not make sense here."""
    template = chosen.choice(chosen.choice((MOVES, MOVES, TENDING, TENDING, EDITS, PROBLEMS, QUESTIONS)))
    return template.format(
        n=chosen.randint(1, 8),
        s=chosen.randint(0, 12),
        b=chosen.choice(list(session.debugger.timeline.branches)),
        B=f"q{chosen.randint(0, 9)}",
        v=chosen.choice([0.1, 0.5, 7.25, 1e-3, 100.5, -2.5]),
        o=chosen.choice(["sgd", "adam", "rmsprop", "sgd(momentum=0.9)", "adamw", "lion", "adagrad(0.3)"]),
    )


class Pulled(BaseException):
    """What a second Ctrl-C does, or a plug."""


def pulled_after(chunks: int) -> Callable[[Progress], None]:
    """Breaks a run off after so many of its chunks."""

    def progress(_: Progress) -> None:
        nonlocal chunks
        chunks -= 1
        if chunks < 0:
            raise Pulled

    return progress


@pytest.mark.parametrize("seed", range(SESSIONS))
def test_a_random_session_keeps_its_word(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    chosen = random.Random(seed)
    session, loaded = Session(Setup(engine="eager")), None
    list(session.execute("set max-steps 40"))
    told: list[str] = []
    for place in range(LENGTH):
        text, before = line(chosen, session), contents(session)
        if chosen.random() < 0.1:
            session.debugger.progress = pulled_after(chosen.randint(0, 2))
        try:
            *_, last = session.execute(text)
        except Pulled:
            assert contents(session) == before, (text, told)
            continue
        finally:
            session.debugger.progress = lambda _: None
        told.append(text)
        assert last.error is None or ";;" in text or contents(session) == before, (last.error, told)
        if loaded is not None:
            list(loaded.execute(text))
            assert contents(loaded) == contents(session), told
        if place in (LENGTH // 3, 2 * LENGTH // 3):
            list(session.execute("save kept"))
            loaded = Session(Setup())
            [outcome] = loaded.execute("load kept")
            assert outcome.error is None, (outcome.error, told)
            assert contents(loaded) == contents(session), told
    list(session.execute("save kept"))
    replay = replay_file(tmp_path / "kept.gds")
    assert replay.status == "match", (replay, told)
