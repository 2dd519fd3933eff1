"""How fast the debugger runs, as ratios: `python -m tests.benchmarks.run_loop [--quick]`.

In one process, interleaved, medians: `debugger.run(N)` with recording, against a bare hand-written XLA loop that also
computes the loss, and against the tutorial's eager loop (GradientTape, `optimizer.apply_gradients`, as printed in
tutorials). Then one `step` command through the registry, and the memory of a million recorded steps. The machine's speed
cancels out of the ratios.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from gdrepl.commands import all as _all
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine import backend
from gdrepl.engine.debugger import Debugger
from gdrepl.engine.events import EVENTS, make_event
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.engine.programs import Programs
from gdrepl.engine.stops import Stops
from gdrepl.engine.triggers import Changes, Occurs

_ = _all
RATES = {"adam": 0.01, "sgd": 0.01}
STEPS = {1: 2_000_000, 2: 1_000_000, 100: 200_000, 10_000: 2_000}
LIMITS = {1: 2.0, 2: 2.0, 100: 2.0, 10_000: 1.3}
CONDITION = "loss < -1"
Arm = Callable[[Debugger], Stops]


@dataclass(frozen=True)
class Case:
    """One problem size with one optimizer."""

    size: int
    optimizer: str

    @property
    def problem(self) -> Problem:
        """Numbers `size`: the first problem, Rosenbrock, or a mean of squares."""
        if self.size == 1:
            return make_problem("(x-50)**2", {"x": 3.0})
        if self.size == 2:
            return make_problem("(1 - x)**2 + 100*(y - x**2)**2", {"x": -1.2, "y": 1.0})
        return make_problem("mean((x-50)**2)", {"x": np.full(self.size, 3.0)})

    @property
    def spec(self) -> OptimizerSpec:
        """The optimizer; Rosenbrock wants a smaller rate."""
        return OptimizerSpec.make(self.optimizer, {}, 1e-4 if self.size == 2 else RATES[self.optimizer])


def bare_loop(case: Case, steps: int) -> Callable[[], None]:
    """What one would write by hand: the same update in one XLA loop that computes the loss too and records nothing."""
    import keras
    import tensorflow as tf

    variables = [tf.Variable(value) for value in case.problem.parameters.values()]
    kind = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[case.optimizer]
    optimizer = kind(case.spec.learning_rate)
    optimizer.build(variables)
    losses: Mapping[int, Callable[..., Any]] = {
        1: lambda x: (x - 50.0) ** 2,
        2: lambda x, y: (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2,
    }
    loss_of = losses.get(case.size, lambda x: tf.reduce_mean((x - 50.0) ** 2))

    @tf.function(jit_compile=True, autograph=False)
    def loop(count: Any) -> Any:
        def update(done: Any, _loss: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = loss_of(*variables)
            optimizer.apply(tape.gradient(loss, variables), variables)
            return done + 1, loss

        return tf.while_loop(lambda done, _loss: done < count, update, (tf.constant(0), tf.constant(0.0)))

    count = tf.constant(steps)
    loop(tf.constant(1))
    return lambda: float(loop(count)[1])  # type: ignore[return-value]


def eager_loop(steps: int) -> Callable[[], None]:
    """The tutorial's loop on the first problem."""
    import keras
    import tensorflow as tf

    x = tf.Variable(3.0)
    optimizer = keras.optimizers.Adam(1.0)

    def run() -> None:
        for _ in range(steps):
            with tf.GradientTape() as tape:
                loss = (x - 50.0) ** 2
            optimizer.apply_gradients([(tape.gradient(loss, x), x)])
            float(loss)

    run()
    return run


def debugger_run(case: Case, steps: int, arm: Arm = lambda debugger: Stops()) -> Callable[[], None]:
    """`debugger.run(steps)` with recording, each time on a timeline of its own so that memory does not grow."""
    programs = Programs()  # compiled once
    debuggers: list[Debugger] = []

    def fresh() -> None:
        debuggers.clear()
        debugger = Debugger(case.problem, case.spec, programs=programs)
        debugger.stops = arm(debugger)
        debuggers.append(debugger)

    def run() -> None:
        move = debuggers[0].run(steps)
        assert move.taken == steps, move.stops

    run.before = fresh  # type: ignore[attr-defined]
    fresh()
    run()  # compiles, and learns how much to ask for at once
    return run


def one_breakpoint(debugger: Debugger) -> Stops:
    """One that never fires."""
    return Stops().add(debugger.condition(CONDITION))


def ten_breakpoints(debugger: Debugger) -> Stops:
    """Ten that never fire."""
    return reduce(lambda stops, place: stops.add(debugger.condition(f"loss < -{place}")), range(1, 11), Stops())


def ten_stops(debugger: Debugger) -> Stops:
    """Four breakpoints, three watchpoints and three events; none fires."""
    stops = Stops()
    for text in ("loss < -1", "norm(grad) > 1e9", "abs(update) > 1e9", "step < 0 and x > 0"):
        stops = stops.add(debugger.condition(text))
    for text in ("x < 1e9", "floor(x / 1e9)", "lr"):
        stops = stops.add(Changes(debugger.parse(text)))
    for name in ("divergence", "explosion", "clip"):
        stops = stops.add(Occurs(make_event(name, {})))
    return stops


def every_event(debugger: Debugger) -> Stops:
    """`catch all if step < 0`."""
    stops, never = Stops(), debugger.condition("step < 0")
    for kind in EVENTS.values():
        stops = stops.add(Occurs(kind()))
    return reduce(lambda stops, item: stops.changed(item.under(never)), stops.items, stops)


def seconds(run: Callable[[], None]) -> float:
    """How long one call takes; what has to be set up before it does not count."""
    getattr(run, "before", lambda: None)()
    gc.collect()
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def compare(runs: Mapping[str, tuple[Callable[[], None], int]], repeats: int) -> dict[str, float]:
    """Median seconds a step of each, measured in turn."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, (run, steps) in runs.items():
            times[name].append(seconds(run) / steps)
    return {name: statistics.median(values) for name, values in times.items()}


def report(label: str, ratio: float, limit: str, met: bool) -> None:
    """One line of the table."""
    print(f"{label:<58} {ratio:>10.2f}   {limit:<14} {'met' if met else 'MISSED'}", flush=True)


def measure_loops(quick: bool, repeats: int) -> None:
    """Recording against the bare loop."""
    print(f"{'debugger.run / bare XLA loop':<58} {'ratio':>10}   limit")
    for size, full in STEPS.items():
        steps = full // 10 if quick else full
        for optimizer in ("adam", "sgd"):
            case = Case(size, optimizer)
            runs = {
                "bare": (bare_loop(case, steps), steps),
                "plain": (debugger_run(case, steps), steps),
                "armed": (debugger_run(case, steps, one_breakpoint), steps),
            }
            medians = compare(runs, repeats)
            for name, note in (("plain", ""), ("armed", ", breakpoint that never fires")):
                ratio = medians[name] / medians["bare"]
                label = f"{size} number{'s' if size > 1 else ''}, {optimizer}{note} ({medians[name] * 1e9:.0f} ns a step)"
                report(label, ratio, f"<= {LIMITS[size]}", ratio <= LIMITS[size])


def measure_stops(quick: bool, repeats: int) -> None:
    """Many stops that never fire, on the first problem, against the run without them."""
    steps = STEPS[1] // (10 if quick else 1)
    kinds = {"ten breakpoints": ten_breakpoints, "ten stops of all kinds": ten_stops, "catch all": every_event}
    case = Case(1, "adam")
    runs = {"none": (debugger_run(case, steps), steps)}
    runs |= {name: (debugger_run(case, steps, arm), steps) for name, arm in kinds.items()}
    medians = compare(runs, repeats)
    for name in kinds:
        ratio = medians[name] / medians["none"]
        limit, met = ("", True) if name == "catch all" else ("<= 2.0", ratio <= 2.0)
        report(f"{name} that never fire / none ({medians[name] * 1e9:.0f} ns a step)", ratio, limit, met)


def measure_eager(quick: bool, repeats: int) -> None:
    """The tutorial's loop against the debugger on the first problem."""
    few, many = 30 if quick else 100, 200_000 if quick else 2_000_000
    runs = {
        "eager": (eager_loop(few), few),
        "debugger": (debugger_run(Case(1, "adam"), many), many),
    }
    medians = compare(runs, repeats)
    ratio = medians["eager"] / medians["debugger"]
    report("eager tutorial loop / debugger.run, first problem", ratio, ">= 2000", ratio >= 2000)


def measure_step(repeats: int) -> None:
    """One `step` command through the registry, without drawing."""
    session = Session(Setup())
    list(session.execute("step"))
    times = []
    for _ in range(100 * repeats):
        began = time.perf_counter()
        list(session.execute("step"))
        times.append(time.perf_counter() - began)
    milliseconds = statistics.median(times) * 1e3
    report("one step command, ms", milliseconds, "< 3", milliseconds < 3)


def measure_reach(repeats: int) -> None:
    """Any step of a run of a million, on the first problem."""
    debugger = Debugger(make_problem("(x-50)**2", {"x": 3.0}), OptimizerSpec.make("adam", {}, 1.0))
    debugger.run(1_000_000)
    generator = np.random.default_rng(1)
    times = []
    for _ in range(10 * repeats):
        step = int(generator.integers(0, 1_000_000))
        began = time.perf_counter()
        debugger.goto(step)
        times.append(time.perf_counter() - began)
    report("worst goto in a run of a million, s", max(times), "< 0.1", max(times) < 0.1)


def measure_memory() -> None:
    """Resident memory that a million recorded steps add to what the import takes."""
    backend.load()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    debugger = Debugger(make_problem("(x-50)**2", {"x": 3.0}), OptimizerSpec.make("adam", {}, 1.0))
    debugger.run(1_000_000)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("memory of a million recorded steps, MB above the import", after - before, "< 100", after - before < 100)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps, to see that it works")
    options = parser.parse_args()
    repeats = 3 if options.quick else 7
    measure_memory()  # first: peak memory never goes down again
    measure_loops(options.quick, repeats)
    measure_stops(options.quick, repeats)
    measure_eager(options.quick, repeats)
    measure_step(repeats)
    measure_reach(repeats)


if __name__ == "__main__":
    main()
