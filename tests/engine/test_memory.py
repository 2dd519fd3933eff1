"""The history keeps within its budget, and all that it dropped is computed again with the same bits."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.flag import Flag
from gdrepl.engine.latest import Latest
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.engine.program import Program
from gdrepl.engine.segment import BLOCK
from gdrepl.errors import CommandError
from gdrepl.expression import parse
from gdrepl.insight import landscape, products
from gdrepl.insight.curvature import hessian
from gdrepl.insight.curve import sample
from gdrepl.insight.gradient_check import check_gradient
from gdrepl.insight.over import over_steps
from gdrepl.insight.slicing import slices

Start = Callable[..., Debugger]
STEPS = 3 * BLOCK + 1000


def held(debugger: Debugger) -> int:
    """The bytes of rows and snapshots, counted anew rather than read off the timeline's own account."""
    total = 0
    for segment in debugger.timeline.segments():
        total += sum(block.rows.nbytes for block in segment.blocks if block.rows is not None)
        total += sum(snapshot.nbytes() for snapshot in segment._kept.values())
    return total


def accounts_agree(debugger: Debugger) -> bool:
    return held(debugger) == sum(sum(segment.nbytes()) for segment in debugger.timeline.segments())


@pytest.fixture(scope="module")
def generous(start_debugger: Start) -> Debugger:
    debugger = start_debugger(optimizer="adam", rate=0.01)
    debugger.run(STEPS)
    return debugger


@pytest.fixture
def tiny(start_debugger: Start) -> Debugger:
    """Room for two blocks of rows (16 bytes a row) and little more."""
    debugger = start_debugger(optimizer="adam", rate=0.01, history_bytes=2 * BLOCK * 16 + 200_000)
    debugger.run(STEPS)
    return debugger


def test_the_history_stays_within_its_limit(tiny: Debugger, generous: Debugger) -> None:
    assert held(tiny) <= tiny.timeline.limit_bytes < held(generous)
    assert any(block.rows is None for block in tiny.segment.blocks)
    assert accounts_agree(tiny)


def test_the_history_stays_within_its_limit_during_a_run(start_debugger: Start) -> None:
    debugger = start_debugger(optimizer="adam", rate=0.01, history_bytes=2 * BLOCK * 16 + 200_000)
    sizes: list[int] = []
    debugger.progress = lambda progress: sizes.append(held(debugger))
    debugger.run(10 * BLOCK)
    assert max(sizes) <= debugger.timeline.limit_bytes


def test_an_exception_in_a_run_that_dropped_history_loses_no_step(start_debugger: Start, assert_same_bits: Any) -> None:
    debugger = start_debugger(optimizer="adam", rate=0.01, history_bytes=2 * BLOCK * 16 + 200_000)
    debugger.run(BLOCK)
    before = debugger.snapshot()

    def progress(now: Any) -> None:
        if now.taken > 3 * BLOCK:
            raise KeyboardInterrupt

    debugger.progress = progress
    with pytest.raises(KeyboardInterrupt):
        debugger.run(10 * BLOCK)
    assert_same_bits(debugger.snapshot(), before)
    assert accounts_agree(debugger)
    assert len(debugger.columns(0, BLOCK)) == BLOCK + 1
    debugger.goto(BLOCK // 2)
    debugger.goto(BLOCK)
    assert_same_bits(debugger.snapshot(), before)


def test_one_long_chunk_is_dropped_like_any_other(start_debugger: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = start_debugger(optimizer="adam", rate=0.01, history_bytes=1_000_000)
    monkeypatch.setattr(debugger._program(debugger.recipe).pace, "begin", lambda wanted: wanted)  # else the clock decides
    debugger.run(200_000)
    assert held(debugger) <= debugger.timeline.limit_bytes
    debugger.run(5)
    assert debugger.columns(199_999, 10**9).step.tolist() == list(range(199_999, 200_006))


def test_a_short_run_on_many_branches_stays_within_the_limit(start_debugger: Start) -> None:
    problem = make_problem("sum((w - 1)**2)", {"w": np.zeros(64)})  # 520 bytes a row
    debugger = start_debugger(problem, history_bytes=3_000_000)
    for _ in range(10):
        debugger.goto(0)
        debugger.fork()
        debugger.run(1000)
    assert held(debugger) <= debugger.timeline.limit_bytes
    assert accounts_agree(debugger)
    columns = [debugger.columns(0, 1000, name) for name in ("b1", "b5", "b10")]
    assert len({each.parameters["w"].tobytes() for each in columns}) == 1


def test_dropped_rows_are_computed_again_with_the_same_bits(tiny: Debugger, generous: Debugger) -> None:
    for first, last in ((0, 10), (BLOCK - 5, BLOCK + 5), (0, STEPS)):
        got, wanted = tiny.columns(first, last), generous.columns(first, last)
        assert got.step.tobytes() == wanted.step.tobytes()
        assert got.loss.tobytes() == wanted.loss.tobytes()
        assert got.parameters["x"].tobytes() == wanted.parameters["x"].tobytes()
        assert got.gradient["x"].tobytes() == wanted.gradient["x"].tobytes()
    assert accounts_agree(tiny)


def test_an_interrupt_ends_a_long_way_back_and_nothing_has_changed(
    start_debugger: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    debugger = start_debugger(optimizer="adam", rate=0.01)
    pace = debugger._program(debugger.recipe).pace
    monkeypatch.setattr(pace, "begin", lambda wanted: wanted)  # one chunk: no snapshot on the way
    before = debugger.run(5000).point
    monkeypatch.setattr(pace, "begin", lambda wanted: min(wanted, 100))
    debugger.interrupt = Flag()  # as the handlers of signals put theirs in place
    debugger.interrupt.set()
    with pytest.raises(CommandError, match="interrupted on the way to step 2500"):
        debugger.goto(2500)
    assert debugger.step == before.step
    assert not debugger.interrupt.is_set()
    debugger.goto(2500)
    assert debugger.step == 2500


def test_an_interrupt_ends_the_computing_again(tiny: Debugger) -> None:
    tiny.interrupt = Flag()
    tiny.interrupt.set()
    with pytest.raises(CommandError, match="interrupted while steps 0 to"):
        tiny.columns(0, STEPS)
    assert len(tiny.columns(0, STEPS)) == STEPS + 1


def test_columns_asked_for_do_not_stay_beyond_the_limit(tiny: Debugger) -> None:
    assert len(tiny.columns(0, STEPS)) == STEPS + 1
    assert held(tiny) <= tiny.timeline.limit_bytes


def test_any_step_is_reached_though_its_row_was_dropped(tiny: Debugger, generous: Debugger, assert_same_bits: Any) -> None:
    for step in (1, BLOCK, BLOCK + 1, 100_000, STEPS, 0):
        tiny.goto(step)
        assert_same_bits(tiny.snapshot(), generous.snapshot_at(step))


def test_walking_over_dropped_rows_goes_on_to_the_same_end(tiny: Debugger, generous: Debugger, assert_same_bits: Any) -> None:
    tiny.goto(3)
    tiny.run(STEPS - 3)
    assert_same_bits(tiny.snapshot(), generous.snapshot())
    assert list(tiny.timeline.branches) == ["main"]


def test_snapshots_are_thinned_and_every_step_stays_reachable(start_debugger: Start, assert_same_bits: Any) -> None:
    problem = make_problem("sum((w - 1)**2)", {"w": np.zeros(1000)})  # 12 kB a snapshot
    debugger = start_debugger(problem, "adam", {}, 0.01, history_bytes=300_000)
    seen = {}
    for _ in range(60):
        debugger.run(100)
        seen[debugger.step] = debugger.snapshot()
    kept = [len(segment._kept) for segment in debugger.timeline.segments()]
    assert held(debugger) <= debugger.timeline.limit_bytes
    assert sum(kept) < 25
    for step in (100, 300, 3100, 5900, 6000):
        debugger.goto(step)
        assert_same_bits(debugger.snapshot(), seen[step])
    assert held(debugger) <= debugger.timeline.limit_bytes


def test_a_limit_too_small_for_anything_still_reaches_everything(start_debugger: Start, assert_same_bits: Any) -> None:
    debugger = start_debugger(history_bytes=1)
    snapshots = [debugger.snapshot()]
    for _ in range(20):
        debugger.run(50)
        snapshots.append(debugger.snapshot())
    for number in (0, 3, 20, 19):
        debugger.goto(50 * number)
        assert_same_bits(debugger.snapshot(), snapshots[number])
    assert len(debugger.columns(0, 10**9)) == 1001


def test_going_about_does_not_pile_up_snapshots(start_debugger: Start) -> None:
    debugger = start_debugger(history_bytes=60_000)
    debugger.run(1000)
    for step in range(0, 1000, 7):
        debugger.goto(step)
    assert held(debugger) <= debugger.timeline.limit_bytes
    assert accounts_agree(debugger)


def test_the_account_survives_a_run_that_was_undone(start_debugger: Start) -> None:
    debugger = start_debugger()
    debugger.run(700)

    def progress(now: object) -> None:
        raise KeyboardInterrupt

    debugger.progress = progress
    with pytest.raises(KeyboardInterrupt):
        debugger.run(10_000)
    assert debugger.branch.end == 700
    assert accounts_agree(debugger)


def test_single_steps_leave_nothing_behind_but_their_rows(start_debugger: Start, tutorial: Problem) -> None:
    debugger = start_debugger(tutorial, "adam")
    for _ in range(50):  # everything that is made once is made
        debugger.run(1)
    tracemalloc.start()
    try:
        for _ in range(50):
            debugger.run(1)
        gc.collect()  # TensorFlow leaves cycles, which Python frees in its own time
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(300):
            debugger.run(1)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Rows are 16 bytes each, in an array that doubles; a snapshot kept a step would be more than 1 kB, on every Python.
    assert after - before < 300 * 500


def graphs() -> int:
    """How many graphs of TensorFlow are alive."""
    from tensorflow.python.framework.func_graph import FuncGraph

    gc.collect()
    return sum(isinstance(each, FuncGraph) for each in gc.get_objects())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_dropped_program_and_its_problem_leave_no_graph_behind(optimizer: str) -> None:
    # 2,000 numbers: their sum has a gradient of our own, as Keras' sum over replicas has one of TensorFlow's.
    problem = make_problem("sum((x - 50)**2)", {"x": [0.0] * 2000})
    before = graphs()
    program = Program(problem, OptimizerSpec.make(optimizer, {}, 0.1))
    program.fresh(problem.parameters)
    program.advance(3)
    assert graphs() > before
    del program, problem  # which has that of its loss and gradient
    assert graphs() <= before


def test_questions_about_many_problems_keep_the_graphs_of_the_latest_only(
    start_debugger: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (products, landscape):
        monkeypatch.setattr(module, "_kept", Latest(1))
    counts = []
    for number in range(2):
        problem = make_problem(f"sum((x - {number})**2)", {"x": [-1.0] * 2000})  # as above
        debugger = start_debugger(problem, engine="eager")
        hessian(problem, problem.parameters)
        slices(debugger, ["grad"])
        check_gradient(debugger, np.arange(20), 0)
        counts.append(graphs())
    assert counts[0] == counts[1] > 0


def test_what_is_drawn_leaves_no_graph_behind(start_debugger: Start) -> None:
    problem = make_problem("sum((X - x)**2)", {"x": 0.0}, {"X": [1.0] * 2000})  # as above
    debugger = start_debugger(problem, engine="eager")
    debugger.run(2)
    before = graphs()
    sample(problem, 0.0, 1.0, 3)
    over_steps(debugger, parse("sum((X - x)**2)", ["X", "x"]), 0, 2, "main")
    assert graphs() <= before
