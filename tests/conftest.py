"""What the tests of the engine share: problems, and debuggers that need not compile the same program twice."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.engine.programs import Programs
from gdrepl.engine.snapshot import Snapshot

StartDebugger = Callable[..., Debugger]

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and so by every process that the tests start


@pytest.fixture(scope="session")
def tutorial() -> Problem:
    """The first problem of everybody: one number, one valley."""
    return make_problem("(x - 50)**2", {"x": 0.0})


@pytest.fixture(scope="session")
def rosenbrock() -> Problem:
    return make_problem("(1 - x)**2 + 100*(y - x**2)**2", {"x": -1.2, "y": 1.0})


@pytest.fixture(scope="session")
def regression() -> Problem:
    """A line through twelve points: a vector and a scalar as parameters, a matrix and a vector as data."""
    rows = [[0.3 * k, (k * 7 % 5) - 2.0] for k in range(12)]
    answers = [1.5 * a - 0.5 * b + 0.25 for a, b in rows]
    return make_problem("mean((X @ w + b - t)**2)", {"w": [0.1, -0.2], "b": 0.0}, {"X": rows, "t": answers})


@pytest.fixture(scope="session")
def start_debugger(tutorial: Problem) -> StartDebugger:
    """`start_debugger(problem, "sgd", {"momentum": 0.5}, 0.1)`: a new debugger at step 0; by default, SGD on the tutorial."""

    programs = Programs(most=50)  # shared, since a compilation takes half a second

    def start(
        problem: Problem = tutorial,
        optimizer: str = "sgd",
        hyperparameters: Mapping[str, object] | None = None,
        rate: float = 0.1,
        **options: Any,
    ) -> Debugger:
        return Debugger(problem, OptimizerSpec.make(optimizer, hyperparameters, rate), programs=programs, **options)

    return start


def _listed(snapshot: Snapshot) -> dict[str, str]:
    values = {"step": snapshot.step, "loss": snapshot.loss, "rate": snapshot.learning_rate, **snapshot.parameters}
    values |= {f"slot {place}": slot for place, slot in enumerate(snapshot.slots)}
    values |= {f"grad({name})": value for name, value in snapshot.gradient.items()}
    return {name: f"{value!r}" for name, value in values.items()}


@pytest.fixture(scope="session")
def assert_same_bits() -> Callable[[Snapshot, Snapshot], None]:
    """Compare two snapshots byte for byte, and show the values when they differ."""

    def compare(got: Snapshot, wanted: Snapshot) -> None:
        if _bits(got) != _bits(wanted):
            assert _listed(got) == _listed(wanted)
            pytest.fail("the printed values agree, their bits do not")

    return compare


def _bits(snapshot: Snapshot) -> list[object]:
    """All that a snapshot holds, its arrays as bytes: NaN equals the same NaN."""
    tables = {"parameters": snapshot.parameters, "gradient": snapshot.gradient}
    named = [(table, name, value) for table, values in tables.items() for name, value in values.items()]
    named += [("slot", str(place), slot) for place, slot in enumerate(snapshot.slots)]
    named += [("", "loss", snapshot.loss), ("", "rate", snapshot.learning_rate)]
    return [snapshot.step, *((table, name, str(each.dtype), each.shape, each.tobytes()) for table, name, each in named)]
