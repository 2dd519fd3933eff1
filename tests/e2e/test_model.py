"""Random commands drive a session and a model of it that keeps every state; after each command both are the same to the bit.

GDREPL_MODEL_RUNS=20000 makes as many runs, each time others; the 500 of every test run are always the same.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driving import contents
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sgd_model import LOSS, START, Model, Place, State

from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine.phases import PHASES
from gdrepl.engine.programs import Programs
from gdrepl.engine.snapshot import Snapshot
from gdrepl.engine.timeline import Position

RUNS = int(os.environ.get("GDREPL_MODEL_RUNS", "0"))
RATE, MOMENTUM = 0.05, 0.9
RATES, MOMENTA, VALUES = (0.01, RATE, 0.1, 0.2), (0.5, MOMENTUM), (-2.5, 0.0, 3.0, 7.25)
MOST_SAVES = 2
FAILING = (
    *("nope", "step 0", "step x", "goto 9999", "goto nowhere", "goto main:9999", "branch 3", "set x", "set z 1"),
    *("set lr nan", "set lr q", "set momentum 2", "set optimizer nope", "set x [1,2]", "load missing", "advance 0", "print q"),
    *("whatif lr 0.1 q for 2 keep", "whatif set lr 0.1 ;; step 2 ;; goto 1", "break if x", "condition", "reverse-step 0"),
    *("restart nope", "branch delete nope --yes", "branch rename nope a", "checkpoint main", "switch nope", "back 0"),
)
_PROGRAMS = Programs(50)
"""Shared by all runs, since a compilation takes longer than a run."""

_SETUP = Setup(LOSS, {name: str(value) for name, value in START.items()}, optimizer=f"sgd(momentum={MOMENTUM})", rate=str(RATE))
_start = functools.cache(_SETUP.build)

counts = st.integers(1, 8)
rates, momenta, values = st.sampled_from(RATES), st.sampled_from(MOMENTA), st.sampled_from(VALUES)
places = st.integers(0, 10**6)
marks = st.sampled_from(["m1", "m2", "m3"])
names = st.sampled_from([f"q{number}" for number in range(6)])


class Machine(RuleBasedStateMachine):
    """A session beside its model. A rule does the same to both; a new command is a rule more."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(_SETUP, _PROGRAMS)
        self.session.adopt(_start())
        self.model = Model(RATE, MOMENTUM)
        self.saved: list[Model] = []
        self.folder = Path(tempfile.mkdtemp())
        self.agreed = True

    def teardown(self) -> None:
        shutil.rmtree(self.folder)
        if self.agreed:
            self.check_history()

    def check_history(self) -> None:
        """Every point of every branch is as it was."""
        for name, line in self.model.lines.items():
            last = {state.step: state for state in line.states}
            columns = self.session.debugger.columns(0, line.end, name)
            assert columns.loss.tobytes() == np.array([state.loss for state in last.values()]).tobytes()
            assert columns.parameters["x"].tobytes() == np.array([state.x for state in last.values()]).tobytes()

    # What is typed, and what must be true then

    def type(self, line: str) -> Any:
        """Execute a line that must work."""
        (outcome,) = self.session.execute(line)
        assert outcome.error is None, f"{line}: {outcome.error}"
        self.model.visit()
        self.check()
        return outcome.result

    def check(self) -> None:
        self.agreed = False
        debugger, model = self.session.debugger, self.model
        branches = {name: (each.parent, each.fork_step, each.end) for name, each in debugger.timeline.branches.items()}
        assert branches == {name: (line.parent, line.fork_step, line.end) for name, line in model.lines.items()}
        assert debugger.position.branch == model.branch
        assert [self.place(each) for each in debugger.places.items] == [self.of(each) for each in model.places]
        assert debugger.places.index == model.visiting
        marks = {each.name: self.place(each.position) for each in debugger.checkpoints}
        assert marks == {name: self.of(place) for name, place in model.checkpoints.items()}
        assert debugger.inside.made == model.phase
        assert debugger.spec.hyperparameters["momentum"] == model.here.momentum
        assert_same(debugger.snapshot(), model.here)
        self.agreed = True

    @staticmethod
    def place(position: Position) -> tuple[str, int]:
        return position.branch, position.step

    def of(self, place: Place) -> tuple[str, int]:
        """A place of the model as the debugger names it."""
        branch, at = place
        return branch, self.model.lines[branch].states[at].step

    def some_place(self, number: int) -> tuple[str, int]:
        """A branch and a step of it."""
        steps = [(name, step) for name, line in self.model.lines.items() for step in range(line.end + 1)]
        return steps[number % len(steps)]

    # Running and moving

    @rule(count=counts)
    def step(self, count: int) -> None:
        before = self.model.here.step
        self.model.run(count)
        result = self.type(f"step {count}")
        assert (result.before.step, result.taken, result.point.step) == (before, count, before + count)

    @rule(count=counts)
    def advance(self, count: int) -> None:
        target = self.model.here.step + count
        self.model.run(count)
        self.type(f"advance {target}")

    @rule(count=counts)
    def run(self, count: int) -> None:
        self.model.run_again(count)
        self.type(f"run {count}")

    @rule(count=counts)
    def reverse_step(self, count: int) -> None:
        self.model.goto(self.model.branch, max(0, self.model.here.step - count))
        self.type(f"reverse-step {count}")

    @rule(place=places)
    def goto_step(self, place: int) -> None:
        step = place % (self.model.line.end + 1)
        self.model.goto(self.model.branch, step)
        self.type(f"goto {step}")

    @rule(place=places)
    def goto_place(self, place: int) -> None:
        branch, step = self.some_place(place)
        self.model.goto(branch, step)
        self.type(f"goto {branch}:{step}")

    @rule(place=places)
    def goto_branch(self, place: int) -> None:
        branch, _ = self.some_place(place)
        self.model.goto(branch, self.model.lines[branch].end)
        self.type(f"goto {branch}")

    @rule(count=counts)
    def back(self, count: int) -> None:
        self.model.turn(-count)
        self.type(f"back {count}")

    @rule(count=counts)
    def forward(self, count: int) -> None:
        self.model.turn(count)
        self.type(f"forward {count}")

    @rule(name=marks)
    def checkpoint(self, name: str) -> None:
        if name in self.model.checkpoints:
            self.fails(f"checkpoint {name}")
            return
        self.model.mark(name)
        self.type(f"checkpoint {name}")

    @rule(name=marks, word=st.sampled_from(["restart", "goto"]))
    def restart(self, name: str, word: str) -> None:
        if name not in self.model.checkpoints:
            self.fails(f"{word} {name}")
            return
        self.model.stand(self.model.checkpoints[name])
        self.type(f"{word} {name}")

    # Inside an update: up to backward, since what comes behind is computed anew, which takes longer than all the rest

    @rule(whole=st.sampled_from([0, 0, 2]), rest=st.integers(0, 2))
    def stepi(self, whole: int, rest: int) -> None:
        count = whole * len(PHASES) + rest - self.model.phase
        if count > 0:
            if whole:
                self.model.run(whole)
            self.model.phase = rest
            self.type(f"stepi {count}")

    @rule(steps=st.integers(0, 2), rest=st.integers(0, 2))
    def reverse_stepi(self, steps: int, rest: int) -> None:
        step = max(0, self.model.here.step - steps)
        count = (self.model.here.step - step) * len(PHASES) + self.model.phase - rest
        if count > 0:
            if step != self.model.here.step:
                self.model.goto(self.model.branch, step)
            self.model.phase = rest
            self.type(f"reverse-stepi {count}")

    @precondition(lambda self: self.model.phase)
    @rule()
    def finish(self) -> None:
        self.model.run(1)
        self.type("finish")

    # Editing and branching

    @rule(rate=rates)
    def set_rate(self, rate: float) -> None:
        if self.model.here.rate != np.float32(rate):
            self.model.edit(rate=np.float32(rate))
        self.type(f"set lr {rate}")

    @rule(name=st.sampled_from("xy"), value=values)
    def set_parameter(self, name: str, value: float) -> None:
        if getattr(self.model.here, name).tobytes() != np.float32(value).tobytes():
            self.model.edit(**{name: np.float32(value)})
        self.type(f"set {name} {value}")

    @rule(momentum=momenta)
    def set_momentum(self, momentum: float) -> None:
        if self.model.here.momentum != momentum:
            self.model.edit(momentum=momentum)
        self.type(f"set momentum {momentum}")

    @rule(momentum=momenta)
    def set_optimizer(self, momentum: float) -> None:
        self.model.edit(momentum=momentum, velocity=State.velocity, iteration=0)
        self.type(f"set optimizer sgd(momentum={momentum})")

    @rule(name=st.none() | names)
    def branch(self, name: str | None) -> None:
        if name in self.model.lines:
            self.fails(f"branch {name}")
            return
        self.model.fork(name or self.model.free_name())
        self.type(f"branch {name or ''}".strip())

    @rule(place=places, name=names)
    def rename(self, place: int, name: str) -> None:
        old, _ = self.some_place(place)
        if name in self.model.lines:
            self.fails(f"branch rename {old} {name}")
            return
        self.model.rename(old, name)
        self.type(f"branch rename {old} {name}")

    @rule(place=places)
    def delete(self, place: int) -> None:
        name, _ = self.some_place(place)
        if name == self.model.branch:
            self.fails(f"branch delete {name} --yes")
            return
        self.model.delete(name)
        self.type(f"branch delete {name} --yes")

    # What if

    @rule(rate=rates, count=counts)
    def what_if(self, rate: float, count: int) -> None:
        future = self.model.here
        for _ in range(count):
            future = future.next()
        result = self.type(f"whatif lr {rate} for {count}")
        assert result.variants[0].final_loss == future.loss

    @rule(rate=rates, count=counts, name=names)
    def what_if_kept(self, rate: float, count: int, name: str) -> None:
        line = f"whatif set lr {rate} ;; step {count} keep {name}"
        if name in self.model.lines:
            self.fails(line)
            return
        place, phase = (self.model.branch, self.model.at), self.model.phase
        self.model.fork(name)
        if self.model.here.rate != np.float32(rate):
            self.model.edit(rate=np.float32(rate))
        self.model.run(count)
        self.model.stand(place)
        self.model.phase = phase
        self.type(line)

    # Failing, saving and loading

    @rule(line=st.sampled_from(FAILING))
    def fails(self, line: str) -> None:
        before = contents(self.session)
        (outcome,) = self.session.execute(line)
        assert outcome.error is not None, line
        assert contents(self.session) == before
        self.check()

    @precondition(lambda self: len(self.saved) < MOST_SAVES)
    @rule()
    def save(self) -> None:
        self.type(f"save {self.folder}/{len(self.saved)}")
        self.saved.append(self.model.copy())

    @precondition(lambda self: self.saved)
    @rule(place=places)
    def load(self, place: int) -> None:
        number = place % len(self.saved)
        self.model = self.saved[number].copy()
        self.type(f"load {self.folder}/{number}")


def assert_same(snapshot: Snapshot, state: State) -> None:
    """The bits of a snapshot are those of a state."""
    found = {**snapshot.parameters, "loss": snapshot.loss, "rate": snapshot.learning_rate}
    found |= {f"grad {name}": value for name, value in snapshot.gradient.items()}
    wanted = state.numbers()
    slots = wanted.pop("slots")
    assert snapshot.step == state.step
    assert {name: value.tobytes() for name, value in found.items()} == {name: value.tobytes() for name, value in wanted.items()}
    assert [slot.tobytes() for slot in snapshot.slots] == [slot.tobytes() for slot in slots]


@pytest.mark.parametrize("runs", [RUNS or 500])
def test_a_session_is_its_model_whatever_is_typed(runs: int):
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=50,
            deadline=None,
            derandomize=not RUNS,
            database=None,
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
