"""What the questions cost: `python -m tests.benchmarks.questions`.

On the first problem each question once, which may compile, and then the median at points not asked about before, in seconds
and as a ratio to a `step` of the same run; the Hessian of 100 and 300 numbers; and what 100,000 numbers take. The ratio is
what holds from one machine to another; the limits in seconds are those that were set for two cores, compiling included.
"""

from __future__ import annotations

import statistics
import time

from gdrepl.commands import all as _all
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine import backend

_ = _all
QUICK = {"explain": 0.3, "bt": 0.3, "info lr": 0.3}
"""Questions that have a limit, in seconds."""
OTHERS = ("why", "doctor", "hessian", "check grad", "slice", "lrfind", "x x", "stepi 7")
REPEATS = 7


def seconds(session: Session, line: str) -> float:
    """What a line takes; it must work."""
    began = time.perf_counter()
    for outcome in session.execute(line):
        if outcome.error is not None:
            raise SystemExit(f"{line}: {outcome.error}")
    return time.perf_counter() - began


def report(name: str, first: float, again: float, step: float, limit: float | None = None) -> None:
    """One line of the table."""
    wanted = "" if limit is None else f"   < {limit:g} s {'met' if max(first, again) < limit else 'MISSED'}"
    print(f"{name:28} first {first:7.3f} s   again {again:7.4f} s   {again / step:8.1f} steps{wanted}", flush=True)


def measure_first_problem() -> None:
    """Every question on (x-50)**2 with Adam, as the student has it."""
    session = Session(Setup())
    seconds(session, "step 2")
    step = statistics.median(seconds(session, "step") for _ in range(5 * REPEATS))
    print(f"{'step':28} {'':31} {step:7.4f} s")
    for line in (*QUICK, *OTHERS):
        first = seconds(session, line)
        times = []
        for _ in range(REPEATS):
            seconds(session, "step")
            times.append(seconds(session, line))
        report(line, first, statistics.median(times), step, QUICK.get(line))


def measure_hessian(numbers: int, limit: float | None) -> None:
    """The exact Hessian of a coupled problem, compiled and again."""
    loss = "sum((x[1:] - x[:-1]**2)**2) + sum((1 - x)**2)"
    session = Session(Setup(loss, {"x": f"zeros({numbers})"}, optimizer="sgd", rate="0.001"))
    seconds(session, "step 2")
    step = statistics.median(seconds(session, "step") for _ in range(REPEATS))
    first = seconds(session, "hessian")
    seconds(session, "step")
    report(f"hessian of {numbers} numbers", first, seconds(session, "hessian"), step, limit)


def measure_large() -> None:
    """What an engineer waits for with a regression of 100,000 numbers."""
    loss = "mean((x - 3)**4) + sum(x[1:]*x[:-1])/100000"
    session = Session(Setup(loss, {"x": "normal(100000)"}, optimizer="adam", rate="0.01", seed=1))
    seconds(session, "step 2")
    step = statistics.median(seconds(session, "step") for _ in range(REPEATS))
    for line in ("explain", "bt", "check grad", "slice grad", "lrfind", "x x", "doctor"):
        first = seconds(session, line)
        seconds(session, "step")
        report(f"{line}, 100,000 numbers", first, seconds(session, line), step)


def main() -> None:
    """Print the table."""
    backend.load()
    measure_first_problem()
    measure_hessian(100, 2.0)
    measure_hessian(300, None)
    measure_large()


if __name__ == "__main__":
    main()
