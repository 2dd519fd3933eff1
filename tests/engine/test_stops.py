"""Stops in the engine: what each waits for, how often it is counted, and the way back through the same steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.events import EVENTS, make_event
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import make_problem
from gdrepl.engine.program import Program
from gdrepl.engine.programs import Programs
from gdrepl.engine.stops import DELETE, DISABLE, StopPoint, Stops
from gdrepl.engine.triggers import Changes, Holds, Occurs, Trigger
from gdrepl.engine.watch import Orders, Seen
from gdrepl.errors import CommandError
from gdrepl.expression import parse

PROGRAMS = Programs(most=500)


def halving(engine: str = "eager", dtype: str = "float32", **start: Any) -> Debugger:
    """x**2/2 from 1024 by rate 0.5: x is 1024 / 2**k, exactly."""
    problem = make_problem("x**2/2", start or {"x": 1024.0}, dtype=dtype)
    return Debugger(problem, OptimizerSpec.make("sgd", {}, 0.5), engine, programs=PROGRAMS)


def sliding(engine: str = "graph") -> Debugger:
    """-x - y by rate 1 for x and y from 0 and 100: both are one more with each step."""
    return Debugger(
        make_problem("-x - y", {"x": 0.0, "y": 100.0}), OptimizerSpec.make("sgd", {}, 1.0), engine, programs=PROGRAMS
    )


def holds(debugger: Debugger, text: str) -> Holds:
    return Holds(debugger.condition(text))


def watching(debugger: Debugger, text: str, by: float | None = None) -> Changes:
    expression = debugger.parse(text)
    trigger = Changes(expression, by, debugger.ask(expression) if by is not None else None)
    debugger.checks.check(trigger, debugger.recipe)
    return trigger


def arm(debugger: Debugger, trigger: Trigger, condition: str = "", **members: Any) -> int:
    """Set a stop; returns its number."""
    debugger.stops = debugger.stops.add(trigger)
    item = debugger.stops.items[-1]
    if condition:
        item = item.under(debugger.condition(condition))
    debugger.stops = debugger.stops.changed(replace(item, **members))
    return item.id


def met(debugger: Debugger, last: int, size: int = 1000) -> list[int]:
    """The steps up to `last` at which runs of at most `size` were ended by a stop that was set."""
    steps = []
    while debugger.step < last:
        if debugger.run(min(size, last - debugger.step)).held:
            steps.append(debugger.step)
    return steps


def state(debugger: Debugger) -> list[tuple[int, int, int, bool]]:
    return [(item.id, item.hits, item.ignore, item.enabled) for item in debugger.stops]


# --- Watchpoints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["xla", "graph", "eager"])
def test_a_watchpoint_stops_where_the_value_is_another_than_a_step_before(engine: str) -> None:
    debugger = sliding(engine)
    arm(debugger, watching(debugger, "floor(x/4)"))
    move = debugger.run(100)
    assert (debugger.step, move.stops[0].before, move.stops[0].after) == (4, 0, 1)
    assert met(debugger, 20) == [8, 12, 16, 20]


def test_a_truth_value_can_be_watched() -> None:
    debugger = sliding()
    arm(debugger, watching(debugger, "x > 3 and x < 7"))
    assert met(debugger, 20) == [4, 7]


def test_a_vector_changes_when_one_of_its_numbers_does() -> None:
    debugger = Debugger(make_problem("-sum(v)", {"v": [0.0, 2.0, 0.5]}), OptimizerSpec.make("sgd", {}, 1.0), "eager")
    arm(debugger, watching(debugger, "floor(v/4)"))
    assert met(debugger, 12) == [2, 4, 6, 8, 10, 12]  # v1 at 2, 6, 10; the others at 4, 8, 12


def test_nan_is_the_same_as_nan_and_another_than_a_number() -> None:
    debugger = sliding()
    arm(debugger, watching(debugger, "sqrt(3 - x) * 0"))  # NaN from x = 4 on
    assert met(debugger, 12) == [4]


def test_an_expression_that_asks_for_the_point_before_is_compared_from_the_second_look_on() -> None:
    debugger = sliding()
    arm(debugger, watching(debugger, "floor(prev(x)/4)"))
    arm(debugger, watching(debugger, "update(x)"))
    assert met(debugger, 14) == [5, 9, 13]
    for step in (4, 8, 7, 0):
        debugger.goto(step)
        assert met(debugger, 14) == [at for at in (5, 9, 13) if at > step]


@pytest.mark.parametrize("by", [1.0, 2.0, 2.5, 7.0])
def test_watch_by_stops_each_time_the_value_has_moved_so_far_since_the_last_stop(by: float) -> None:
    debugger = sliding()
    debugger.run(3)
    arm(debugger, watching(debugger, "x", by))
    stride = int(np.ceil(by))
    assert met(debugger, 30) == list(range(3 + stride, 31, stride))


def test_the_anchor_of_watch_by_moves_where_it_held_ignored_or_not() -> None:
    debugger = sliding()
    first = arm(debugger, watching(debugger, "x", 5.0), ignore=2)
    # It lets 5 and 10 pass, and measures from there: so it stops at 15, and then at 20.
    assert met(debugger, 24) == [15, 20]
    assert state(debugger) == [(first, 4, 0, True)]


def test_a_watchpoint_under_a_condition_stops_where_both_hold() -> None:
    debugger = sliding()
    arm(debugger, watching(debugger, "floor(x/4)"), "x > 10 and y < 121")
    assert met(debugger, 30) == [12, 16, 20]


def test_an_event_under_a_condition_may_have_begun_where_the_condition_did_not_hold() -> None:
    debugger = halving(dtype="float64")
    arm(debugger, Occurs(make_event("convergence", {"tol": 1.0})), "step > 5")
    assert met(debugger, 20) == [10]
    debugger = halving(dtype="float64")
    arm(debugger, Occurs(make_event("convergence", {"tol": 1.0})), "step > 10")
    assert met(debugger, 20) == []


# --- Counting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("engine", ["xla", "eager"])
def test_hits_and_ignored_ones_are_counted_however_the_run_is_cut(engine: str, size: int) -> None:
    debugger = sliding(engine)
    arm(debugger, holds(debugger, "floor(x/3)*3 == x"), ignore=2)  # holds at 3, 6, 9, ...
    arm(debugger, holds(debugger, "step == 10"))
    arm(debugger, holds(debugger, "step > 1"), enabled=False)
    assert met(debugger, 20, size) == [9, 10, 12, 15, 18]
    assert state(debugger) == [(1, 6, 0, True), (2, 1, 0, True), (3, 0, 0, False)]


@pytest.mark.parametrize(
    ("engine", "condition"),
    [
        *(("xla", text) for text in ("step > 0", "step == 1", "step > 3 and step < 7", "step == 4 or step == 5 or step == 9")),
        ("graph", "step > 3 and step < 7"),
        ("eager", "step == 4 or step == 5 or step == 9"),
    ],
)
def test_the_points_at_hits_that_are_ignored_are_recorded_whole(engine: str, condition: str) -> None:
    # Each ignored hit ends a call of the loop, so that some calls make one update alone.
    debugger = halving(engine)
    program = Program(debugger.problem, debugger.spec, engine, [holds(debugger, condition)])
    program.load(debugger.snapshot())
    program.advance(1, orders=Orders([100], [[]], [[]]))  # compiled: an advance that takes long may end at a hit
    program.load(debugger.snapshot())
    rows = program.advance(10, orders=Orders([100], [[]], [[]])).rows
    while len(rows) < 10:
        rows = np.concatenate([rows, program.advance(10 - len(rows), orders=Orders([100], [[]], [[]])).rows])
    assert rows[:, 1].tolist() == [1024 / 2**k for k in range(1, 11)]
    assert rows[:, 0].tolist() == [(1024 / 2**k) ** 2 / 2 for k in range(1, 11)]


def test_a_stop_that_holds_while_it_is_ignored_counts_where_another_stops_the_run() -> None:
    debugger = sliding()
    arm(debugger, holds(debugger, "step > 2"), ignore=100)
    arm(debugger, holds(debugger, "step == 5"))
    move = debugger.run(10)
    assert [(stop.kind, stop.id) for stop in move.stops] == [("breakpoint", 2)]
    assert state(debugger) == [(1, 3, 97, True), (2, 1, 0, True)]


def test_all_that_hold_at_a_step_are_told_and_the_count_too() -> None:
    debugger = sliding()
    arm(debugger, holds(debugger, "x == 6"))
    arm(debugger, watching(debugger, "floor(x/6)"))
    arm(debugger, holds(debugger, "x == 7"))
    debugger.run(2)
    move = debugger.run(4, parse("x >= 6", ["x"], at_point=True))
    assert [(stop.kind, stop.id) for stop in move.stops] == [
        ("breakpoint", 1),
        ("watchpoint", 2),
        ("until", None),
        ("count", None),
    ]
    assert [item.id for item in move.held] == [1, 2]


def test_a_temporary_stop_goes_and_one_enabled_once_is_switched_off_when_they_stop_a_run() -> None:
    debugger = sliding()
    arm(debugger, holds(debugger, "step > 3"), afterwards=DELETE, ignore=1)
    arm(debugger, holds(debugger, "step > 6"), afterwards=DISABLE)
    assert met(debugger, 12) == [5, 7]
    [left] = debugger.stops
    assert (left.id, left.enabled, left.hits) == (2, False, 1)
    debugger.stops = debugger.stops.enabled(True)
    assert met(debugger, 15) == [13, 14, 15]  # from now on for good


def test_what_a_stop_saw_when_it_last_stopped_a_run_is_kept() -> None:
    debugger = sliding()
    arm(debugger, holds(debugger, "x*2 >= 8"))
    arm(debugger, watching(debugger, "floor(y/50)"))
    debugger.run(10)
    first, second = debugger.stops
    assert (first.seen, first.seen_at, second.seen, second.seen_at) == (8, 4, None, None)


def test_names_are_one_of_a_kind_and_numbers_are_not_used_again() -> None:
    stops = Stops().add(parse("loss < 1", at_point=True), name="low")
    with pytest.raises(CommandError, match="there is a stop called 'low' already"):
        stops.add(parse("loss < 2", at_point=True), name="low")
    again = stops.without((1,)).add(parse("loss < 2", at_point=True), name="low")
    assert (again.number_of("low"), again.items[0].id) == (2, 2)
    with pytest.raises(CommandError, match="there is no stop called 'lo'") as caught:
        again.number_of("lo")
    assert "low" in caught.value.hint


# --- Stops that mean nothing any more -----------------------------------------------------------------------------------


def test_a_stop_that_cannot_be_computed_later_ends_the_run_after_one_update_and_says_why() -> None:
    problem = make_problem("x**2/2", {"x": 1024.0})
    debugger = Debugger(problem, OptimizerSpec.make("adam", {}, 0.5), "eager", programs=PROGRAMS)
    arm(debugger, holds(debugger, "sum(slot.momentum(x)) > 1e9"))
    debugger.run(3)
    debugger.set_optimizer(OptimizerSpec.make("sgd", {}, 0.5))
    move = debugger.run(10)
    [stop] = move.stops
    assert (move.taken, stop.kind, stop.id, debugger.step) == (1, "breakpoint", 1, 4)
    assert "momentum" in stop.error
    assert debugger.warnings()[0].startswith("breakpoint 1 (sum(slot.momentum(x)) > 1e9) will stop runs here: ")
    debugger.stops = debugger.stops.enabled(False, (1,))
    assert debugger.run(10).taken == 10


def test_a_watch_by_whose_value_has_another_shape_ends_the_run_and_says_which() -> None:
    debugger = Debugger(make_problem("sum(v**2)", {"v": [1.0, 2.0]}), OptimizerSpec.make("sgd", {}, 0.1), "eager")
    arm(debugger, watching(debugger, "v", 0.5))
    debugger.set_problem(make_problem("sum(v**2)", {"v": [1.0, 2.0, 3.0]}))
    [stop] = debugger.run(10).stops
    assert (stop.kind, stop.id, debugger.step) == ("watchpoint", 1, 1)
    assert stop.error == "its shape was (2,) when it was set, and is (3,) here"


def test_the_way_back_ends_where_a_stop_cannot_be_computed() -> None:
    debugger = Debugger(make_problem("x**2", {"x": 9.0}), OptimizerSpec.make("sgd", {}, 0.1), "eager", programs=PROGRAMS)
    debugger.run(5)
    debugger.set_optimizer(OptimizerSpec.make("adam", {}, 0.1))
    debugger.run(5)
    arm(debugger, holds(debugger, "slot.momentum(x) > 1e9"))
    for step in (5, 4):  # the latest to which an update of SGD led, and one step at a time from there
        [stop] = debugger.reverse().stops
        assert (debugger.step, stop.id) == (step, 1)
        assert "momentum" in stop.error


def test_hits_that_were_ignored_before_the_way_back_ended_so_are_counted() -> None:
    debugger = Debugger(make_problem("x**2", {"x": 9.0}), OptimizerSpec.make("sgd", {}, 0.1), "eager", programs=PROGRAMS)
    debugger.run(5)
    debugger.set_optimizer(OptimizerSpec.make("adam", {}, 0.1))
    debugger.run(5)
    arm(debugger, holds(debugger, "slot.momentum(x) > 1e9"))
    arm(debugger, holds(debugger, "step > 7"), ignore=9)
    debugger.reverse()
    assert (debugger.step, state(debugger)) == (5, [(1, 0, 0, True), (2, 2, 7, True)])  # at steps 9 and 8


# --- The program --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["xla", "graph", "eager"])
def test_asked_not_to_halt_the_loop_goes_on_and_notes_where_something_held_last(engine: str) -> None:
    debugger = sliding(engine)
    program = PROGRAMS.get(debugger.recipe, (holds(debugger, "floor(x/7)*7 == x"), holds(debugger, "step == 3")))
    program.load(debugger.snapshot())
    seen = program.advance(20, orders=Orders([1, 0], program.blank_memory(), [[], []], halting=False)).seen
    assert (seen.held, any(seen.fired), seen.ignore, updates(seen)) == ((False,) * 2, False, (1, 0), [[7, 14], [3]])
    seen = program.advance(3, orders=Orders([0, 0], program.blank_memory(), [[], []], halting=False)).seen
    assert (seen.held, updates(seen)) == ((False, False), [[1], []])


def updates(seen: Seen) -> list[list[int]]:
    """For each trigger, after which updates it held, counted from 1."""
    assert seen.at is not None
    return [(np.flatnonzero(column) + 1).tolist() for column in seen.at.T]


def test_each_of_more_triggers_than_a_word_has_bits_is_noted_at_its_own_step() -> None:
    debugger = sliding("xla")
    program = PROGRAMS.get(debugger.recipe, [holds(debugger, f"step == {number}") for number in range(70)])
    program.load(debugger.snapshot())
    orders = Orders([0] * 70, program.blank_memory(), [[]] * 70, halting=False)
    assert updates(program.advance(69, orders=orders).seen) == [[], *([number] for number in range(1, 70))]


def test_notes_of_more_updates_than_one_call_has_room_for_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gdrepl.engine.program._RECORD_BYTES", 0)  # room for 64
    debugger = Debugger(make_problem("-x", {"x": 0.0}), OptimizerSpec.make("sgd", {}, 1.0), "xla")
    program = Program(debugger.problem, debugger.spec, "xla", (holds(debugger, "floor(x/50)*50 == x"),))
    program.load(debugger.snapshot())
    advance = program.advance(230, orders=Orders([0], program.blank_memory(), [[]], halting=False))
    assert (program.capacity, updates(advance.seen)) == (64, [[50, 100, 150, 200]])


# --- The way back -------------------------------------------------------------------------------------------------------


def forwards(debugger: Debugger) -> list[tuple[int, list[int]]]:
    """(step, stops that held) at each stop from the start of the branch to its end."""
    debugger.goto(debugger.branch.start)
    end, found = debugger.branch.end, []
    while debugger.step < end:
        held = debugger.run(end - debugger.step).held
        if held:
            found.append((debugger.step, [item.id for item in held]))
    return found


def backwards(debugger: Debugger) -> list[tuple[int, list[int]]]:
    """The same from its end to its start."""
    debugger.goto(debugger.branch.end)
    found = []
    while True:
        move = debugger.reverse()
        if not move.held:
            assert (debugger.step, move.stops[0].kind) == (debugger.branch.start, "start")
            return found
        assert move.taken < 0
        found.append((debugger.step, [item.id for item in move.held]))


CONDITIONS = (  # none that holds at step after step: between the stops there must be a way to go
    *("loss < 1 and prev(loss) >= 1", "loss > prev(loss) + 0.2", "floor(step/7)*7 == step", "x > 1 and prev(x) <= 1"),
    *("step == 13", "abs(update(x)) > 2", "slot.iteration == 9", "prev(loss) > loss + 1", "abs(lr - prev(lr)) > 0.3"),
)
WATCHES = ("floor(step/5)", "floor(loss/4)", "floor(prev(x)/2)", "lr", "y > 1", "grad(y) > 0.4")


def armed_at_random(debugger: Debugger, random: np.random.Generator) -> None:
    """Not for the first two steps, so that there is always a way from the first stop to the start."""
    for text in random.choice(CONDITIONS, 3, replace=False):
        arm(debugger, holds(debugger, f"step > 2 and ({text})"))
    arm(debugger, watching(debugger, str(random.choice(WATCHES))), "step > 2")
    for name in random.choice(list(EVENTS), 2, replace=False):
        given = {"patience": 3.0} if name in ("plateau", "dead") else {"times": 2.0} if name == "oscillation" else {}
        arm(debugger, Occurs(make_event(str(name), given)), "step > 2")


def walked_at_random(debugger: Debugger, random: np.random.Generator) -> None:
    """Steps, edits of rate, parameter and optimizer, and branches."""
    edits = ("rate", "rate", "parameter", "optimizer", "back", "none")
    for edit in random.choice(edits, 5):
        debugger.run(int(random.integers(4, 10)))
        if edit == "rate":
            debugger.set_learning_rate(float(random.choice([0.05, 0.3, 0.6, 0.9])))
        elif edit == "parameter":
            debugger.set_parameter("x", np.asarray(random.uniform(-3, 3), np.float32))
        elif edit == "optimizer":
            debugger.set_optimizer(OptimizerSpec.make(str(random.choice(["sgd", "adam", "rmsprop"])), {}, 0.1))
        elif edit == "back":
            debugger.goto(int(random.integers(debugger.branch.start, debugger.step + 1)))
    debugger.run(5)


def last_one_is_left_out(found: list[Any], debugger: Debugger) -> list[Any]:
    """Whoever stands at the end is not told again of what held there."""
    return [each for each in found if each[0] < debugger.branch.end]


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_the_way_back_meets_the_stops_of_the_way_forward_in_reverse(seed: int) -> None:
    random = np.random.default_rng(seed)
    problem = make_problem("x**2 + 0.5*sin(3*x) + y**2/8", {"x": float(random.uniform(-3, 3)), "y": 2.0})
    debugger = Debugger(problem, OptimizerSpec.make("sgd", {}, 0.3), "graph", programs=PROGRAMS)
    walked_at_random(debugger, random)
    armed_at_random(debugger, random)
    found = forwards(debugger)
    hits = {item.id: item.hits for item in debugger.stops}
    wanted = last_one_is_left_out(found, debugger)
    steps = [debugger.branch.start, *(step for step, _ in wanted)]
    assert len(steps) > 2  # stops are found midway,
    assert max(np.diff(steps[1:])) > 1  # over steps where none held,
    assert steps[1] > 2  # and from the first of them the start is reached over such steps
    assert backwards(debugger) == wanted[::-1]
    for item in debugger.stops:  # and counts them, too
        assert item.hits - hits[item.id] == sum(item.id in ids for _, ids in wanted)


@pytest.mark.parametrize("ignore", [1, 3, 50])
def test_backwards_the_first_hits_from_the_end_are_the_ignored_ones(ignore: int) -> None:
    debugger = sliding()
    debugger.run(30)
    arm(debugger, holds(debugger, "floor(x/3)*3 == x"), ignore=ignore)
    wanted = list(range(27, 0, -3))
    assert backwards(debugger) == [(step, [1]) for step in wanted[ignore:]]
    assert state(debugger) == [(1, 9, max(0, ignore - 9), True)]


def test_the_way_back_leads_through_values_that_are_not_finite() -> None:
    debugger = Debugger(make_problem("10*x**2", {"x": 1.0}), OptimizerSpec.make("sgd", {}, 1.0), "eager", programs=PROGRAMS)
    debugger.run(20)  # not finite from 15 on
    debugger.run(10)
    arm(debugger, Occurs(make_event("non-finite", {})))
    arm(debugger, holds(debugger, "step == 20 or step == 4"))
    assert [step for step, _ in backwards(debugger)] == [20, 15, 4]


def test_the_way_back_is_searched_over_many_pieces() -> None:
    debugger = sliding("xla")
    debugger.run(5000)
    arm(debugger, holds(debugger, "step == 3 or step == 1024 or step == 4999"))
    assert [step for step, _ in backwards(debugger)] == [4999, 1024, 3]


def test_watch_by_measures_from_where_it_last_stopped_backwards_too() -> None:
    debugger = sliding()
    debugger.run(20)
    arm(debugger, watching(debugger, "x", 6.0))
    assert [step for step, _ in backwards(debugger)] == [14, 8, 2]


def expected(steps: Iterable[int], by: float, anchor: float, ignore: int, every: int) -> tuple[list[int], int, int]:
    """Where `watch 7*sin(x) by BY if x is a multiple of EVERY` stops on its way over steps at which x is the step.

    Returns those steps, the hits, and how many are still to be ignored.
    """
    stopped, hits = [], 0
    for step in steps:
        value = 7 * np.sin(step)
        if abs(value - anchor) >= by and step % every == 0:
            anchor, hits = value, hits + 1
            stopped += [] if ignore else [step]
            ignore = max(0, ignore - 1)
    return stopped, hits, ignore


@pytest.mark.parametrize(("by", "ignore", "every"), [(3.0, 0, 1), (5.0, 4, 1), (7.0, 30, 1), (2.0, 7, 3), (6.0, 10_000, 2)])
def test_watch_by_measures_from_its_last_hit_in_either_direction(by: float, ignore: int, every: int) -> None:
    steps = 200
    for way in (forwards, backwards):
        debugger = sliding("xla")
        debugger.run(steps)
        guard = f"floor(x/{every})*{every} == x"
        arm(debugger, replace(watching(debugger, "7*sin(x)", by), anchor=np.float32(0.25)), guard, ignore=ignore)
        walked = range(1, steps + 1) if way is forwards else range(steps - 1, 0, -1)
        stopped, hits, left = expected(walked, by, 0.25, ignore, every)
        assert hits > 20
        assert (way(debugger), state(debugger)) == ([(step, [1]) for step in stopped], [(1, hits, left, True)])


def test_several_stops_each_ignore_hits_of_their_own_on_the_way_back() -> None:
    debugger = sliding("xla")
    debugger.run(900)
    arm(debugger, holds(debugger, "floor(x/2)*2 == x"), ignore=430)
    arm(debugger, replace(watching(debugger, "x", 10.0), anchor=np.float32(900)), ignore=80)
    arm(debugger, watching(debugger, "floor(x/300)"), ignore=1)
    # Even steps from 898 on: the 431st is 38. Each tenth from 890: the 81st is 90. Changes at 600 and 300: the second is 300.
    assert [debugger.reverse().point.step for _ in range(3)] == [300, 90, 80]
    assert [item.hits for item in debugger.stops] == [410, 82, 2]


def walked_by(monkeypatch: pytest.MonkeyPatch, debugger: Debugger) -> int:
    """How many updates the programs with stops make on the way back."""
    made: list[int] = []
    advance = Program.advance

    def counted(program: Program, *arguments: Any, **options: Any) -> Any:
        made.append(arguments[0] if program.triggers else 0)
        return advance(program, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Program, "advance", counted)
        debugger.reverse()
    return sum(made)


@pytest.mark.parametrize("ignore", [0, 100, 5000])
def test_the_way_back_is_walked_once_however_many_hits_are_ignored(ignore: int, monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = sliding("xla")
    debugger.run(20_000)
    arm(debugger, holds(debugger, "x > 0"), ignore=ignore)
    walked = walked_by(monkeypatch, debugger)
    assert debugger.step == 20_000 - 1 - ignore
    assert ignore < walked < 20_000
    assert state(debugger) == [(1, ignore + 1, 0, True)]


def test_ignored_hits_of_watch_by_are_each_looked_for_from_nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = sliding("xla")
    debugger.run(1)
    monkeypatch.setattr(PROGRAMS.get(debugger.recipe).pace, "begin", lambda wanted: wanted)
    debugger.run(30_000)  # in one call, which leaves no snapshot on the way
    monkeypatch.undo()
    arm(debugger, watching(debugger, "x", 5.0), ignore=150)
    walked = walked_by(monkeypatch, debugger)
    assert debugger.step == 30_001 - 5 * 151
    assert walked < 151 * 512 * 2


def interrupted_at(monkeypatch: pytest.MonkeyPatch, debugger: Debugger, call: int) -> None:
    """Press Ctrl-C within that call of a program."""
    calls = itertools.count(1)
    advance = Program.advance

    def pressing(program: Program, *arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            debugger.interrupt.set()
        return advance(program, *arguments, **options)

    monkeypatch.setattr(Program, "advance", pressing)


def test_an_interrupted_search_leaves_us_where_we_were() -> None:
    debugger = sliding()
    debugger.run(10)
    arm(debugger, holds(debugger, "step == 3"))
    debugger.interrupt.set()
    with pytest.raises(CommandError, match="interrupted on the way back, at step 9"):
        debugger.reverse()
    assert (debugger.step, state(debugger)) == (10, [(1, 0, 0, True)])
    assert debugger.reverse().point.step == 3


@pytest.mark.parametrize("call", [1, 2, 3, 5])
def test_ctrl_c_in_the_middle_of_the_way_back_changes_nothing(
    call: int, monkeypatch: pytest.MonkeyPatch, assert_same_bits: Any
) -> None:
    debugger = sliding("xla")
    debugger.run(5000)
    arm(debugger, holds(debugger, "x > 0"), ignore=4000)
    arm(debugger, watching(debugger, "x", 6.0), ignore=50)
    before, stops, place = debugger.snapshot(), debugger.stops, debugger.position
    with monkeypatch.context() as patch:
        interrupted_at(patch, debugger, call)
        with pytest.raises(CommandError, match="interrupted"):
            debugger.reverse()
    assert_same_bits(debugger.snapshot(), before)
    assert (debugger.stops, debugger.position, debugger.interrupt.is_set()) == (stops, place, False)
    assert debugger.reverse().point.step == 5000 - 6 * 51


def numbers(points: Sequence[StopPoint]) -> list[int]:
    return [point.id for point in points]


def test_a_temporary_stop_goes_on_the_way_back_as_well() -> None:
    debugger = sliding()
    debugger.run(10)
    arm(debugger, holds(debugger, "step == 3"), afterwards=DELETE)
    arm(debugger, holds(debugger, "step == 2"))
    assert numbers(debugger.reverse().held) == [1]
    assert numbers(tuple(debugger.stops)) == [2]
