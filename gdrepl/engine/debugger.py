"""The one mutable object: step, run, back, goto, edit, ask. It knows neither terminal nor files."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from gdrepl.engine import edits, endings
from gdrepl.engine.backwards import Backwards
from gdrepl.engine.checkpoints import Checkpoint, Checkpoints
from gdrepl.engine.checks import Checks
from gdrepl.engine.flag import Flag
from gdrepl.engine.lookout import Lookout, Memories
from gdrepl.engine.moves import Move, Progress
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.past import Past
from gdrepl.engine.places import Places
from gdrepl.engine.problem import Problem
from gdrepl.engine.program import Program
from gdrepl.engine.programs import Programs
from gdrepl.engine.rows import Columns
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.engine.scopes import scope_of, value_in
from gdrepl.engine.segment import Recipe, Segment
from gdrepl.engine.snapshot import Array, Point, Snapshot, Stop
from gdrepl.engine.stops import StopPoint, Stops
from gdrepl.engine.timeline import Branch, Position, Stretch, Timeline
from gdrepl.engine.triggers import Changes, Trigger, check_condition
from gdrepl.errors import ExpressionError, GdreplError, ProblemError
from gdrepl.expression import Expression, Scope, evaluate, parse


class Debugger:
    """One session's problem, optimizer and timeline.

    Attributes:
        stops: the breakpoints; replace it to change them.
        max_steps: the most updates a run without a count may make.
        interrupt_after: when a recording is replayed, the number of updates after which its run was interrupted.
        past: any recorded step and its points again.
        checks: whether stops can be computed.
        places: where commands left us; replace it to change it.
        checkpoints: the places that have names; replace it to change it.
        progress: called after each chunk of a run, which takes some 30 ms.
    """

    def __init__(
        self,
        problem: Problem,
        spec: OptimizerSpec,
        engine: str = "xla",
        history_bytes: int = 256 * 2**20,
        programs: Programs | None = None,
    ) -> None:
        """Begin at step 0 of `problem`; `programs` may be shared with other debuggers of the same thread."""
        self.stops = Stops()
        self.max_steps = 1_000_000
        self.interrupt_after: int | None = None
        self.progress: Callable[[Progress], None] = lambda progress: None
        self.timeline = Timeline(history_bytes)
        self._programs = programs or Programs()
        self.past = Past(self.timeline, self._programs)
        self.checks = Checks(self._programs)
        self._memories = Memories(self.past, self._programs)
        recipe = Recipe(problem, spec, engine)
        start = self._program(recipe).fresh(problem.parameters, 0, spec.learning_rate)
        self.position = self.timeline.begin(recipe, start, "start")
        self._snapshot = start
        self.places, self.checkpoints = Places((self.position,)), Checkpoints()

    @property
    def interrupt(self) -> Flag:
        """Set it, from any thread or signal handler, to end a run at a whole step, or a jump where it began."""
        return self.past.interrupt

    @interrupt.setter
    def interrupt(self, flag: Flag) -> None:
        self.past.interrupt = flag

    # Where we are

    @property
    def branch(self) -> Branch:
        """The branch in force."""
        return self.timeline.branches[self.position.branch]

    @property
    def segment(self) -> Segment:
        """The segment in force."""
        return self.branch.stretches[self.position.index].segment

    @property
    def recipe(self) -> Recipe:
        """The problem, optimizer and engine in force."""
        return self.segment.recipe

    @property
    def problem(self) -> Problem:
        """The problem in force."""
        return self.recipe.problem

    @property
    def spec(self) -> OptimizerSpec:
        """The optimizer in force, with the learning rate of this point unless that is a schedule."""
        spec = self.recipe.spec
        return spec if spec.schedule is not None else replace(spec, learning_rate=float(str(self._snapshot.learning_rate)))

    @property
    def step(self) -> int:
        """The step we stand at."""
        return self._snapshot.step

    def snapshot(self) -> Snapshot:
        """All that is true where we stand."""
        return self._snapshot

    def point(self) -> Point:
        """The point where we stand."""
        return self._snapshot.point()

    def slots(self) -> Mapping[tuple[str, str | None], Array]:
        """(slot, parameter or None) -> value, in Keras' order, where we stand."""
        return dict(zip(self._program(self.recipe).slot_names, self._snapshot.slots))

    # Running

    def undo(self) -> Callable[[], None]:
        """A function that puts everything back as it is now; for whoever does several things of which one may fail."""
        kept, undo = (self.position, self._snapshot, self.stops, self.max_steps), self.timeline.undo()
        places, checkpoints = self.places, self.checkpoints

        def back() -> None:
            undo()
            self.interrupt.clear()
            self.position, self._snapshot, self.stops, self.max_steps = kept
            self.places, self.checkpoints = places, checkpoints

        return back

    def run(self, count: int | None = None, until: Expression | None = None) -> Move:
        """Make updates until `count` are made, `until` or a breakpoint holds, a value is not finite, or it is interrupted.

        A run of a given count that begins where a value is not finite goes on through them, and says so. A run that arrives
        at the step of an edit stands after the edit, as `goto` does.

        Within the recorded future of a branch the same program walks the same steps again, and every one of them is compared
        with its recording. A stop that cannot be computed for the problem and optimizer in force ends the run after one update,
        and says why.

        Raises:
            ProblemError, ExpressionError: the program cannot run; we stand where we stood.
            RecordingDiffersError: a step came out differently than it was recorded.
        """
        before, began = self._snapshot, time.perf_counter()
        allowed = self.max_steps if count is None else count
        if self.interrupt_after is not None:
            allowed = min(allowed, self.interrupt_after)
        notes: list[str] = []
        if count is None and not before.is_finite():
            notes.append("it begins where a value is not finite: a run of a given count goes on, and goto goes back")
        taken = 0
        # Decided once a run, not once a chunk: where chunks end depends on the clock.
        through = count is not None and not before.is_finite()
        lookout = Lookout((item for item in self.stops if item.enabled), until)
        stops: list[Stop] = []
        undo = self.undo()
        try:
            notes += self._leave_before_edit()
            while taken < allowed and not stops and not self.interrupt.is_set():
                recorded = self._enter_next_stretch()
                moved, stops, finite = self._chunk(lookout, allowed - taken, recorded, through)
                taken += moved
                if not finite:
                    stops.append(endings.non_finite(self._snapshot))
                self.timeline.trim()
                loss, seconds = float(self._snapshot.loss), time.perf_counter() - began
                self.progress(Progress(taken, allowed, self.step, loss, seconds))
        except BaseException:
            undo()
            raise
        if through and not self._snapshot.is_finite():
            stops.append(endings.non_finite(self._snapshot))
        self._enter_next_stretch()
        interrupted = self.interrupt.is_set() or (self.interrupt_after is not None and taken >= self.interrupt_after)
        self.interrupt.clear()
        stops += endings.ending(taken, count, bool(stops), interrupted)
        self._note(lookout)
        self.timeline.trim()
        return Move(before.point(), self.point(), taken, tuple(stops), tuple(notes), lookout.held)

    def _chunk(self, lookout: Lookout, wanted: int, recorded: int, through: bool) -> tuple[int, list[Stop], bool]:
        """Advance by one call of the program; returns updates made, the stops that ended it, and whether all is finite."""
        broken = self.checks.broken(lookout.items, self.recipe)
        items = lookout.without(item for item, _ in broken)
        triggers = lookout.triggers(items)
        memory = self._memories.at(self._stretches(), self._snapshot, triggers) if triggers else []
        program = self._program(self.recipe, triggers)
        program.load(self._snapshot)
        size = program.pace.begin(1 if broken else min(wanted, recorded) if recorded else wanted)
        try:
            advance = program.advance(size, through, orders=lookout.orders(items, memory))
        except (ProblemError, ExpressionError):
            if not self.checks.engine_refuses(items, self.recipe, self._snapshot):
                raise
            return self._chunk(lookout, wanted, recorded, through)
        program.pace.end(advance.taken)
        arrived = program.capture()
        self._memories.keep(arrived, program, advance.seen.memory)
        if recorded:
            self.past.compare(self.segment, self.step + 1, advance.rows)
        else:
            self._own_tip().extend(advance.rows, arrived)
            self.branch.stretches[-1].last = arrived.step
        self._snapshot = arrived
        self.position = replace(self.position, step=arrived.step)
        lookout.take(items, advance.seen, self._watched)
        stops = [endings.broken(item, why) for item, why in broken]
        stops += [self._stop(item) for item in lookout.held]
        stops += [Stop("until", None, each.text) for each in lookout.until if lookout.until_held]
        return advance.taken, stops, advance.finite or through

    def looked_back_to(self, horizon: int) -> int:
        """The first step that a trigger looked at which fired with the last update; `horizon` is its own."""
        return self._memories.begins(self.arrived().stretches, self.step, horizon)

    def arrived(self) -> Branch:
        """The branch in force up to the point that the latest update led to, which an edit of this step may have changed."""
        index, stretches = self.position.index, self.branch.stretches
        while index and stretches[index].segment.start.step == self.step:
            index -= 1
        return replace(self.branch, stretches=[*stretches[:index], Stretch(stretches[index].segment, self.step)])

    def _stretches(self) -> list[Stretch]:
        """The stretches of the branch in force up to the one that we stand on."""
        return self.branch.stretches[: self.position.index + 1]

    def _stop(self, item: StopPoint) -> Stop:
        """What to tell of a stop that held where we stand."""
        if not isinstance(item.trigger, Changes):
            return endings.held(item, None, None)
        expression = item.trigger.expression
        before = self._value(expression, self.step - 1) if item.trigger.by is None else item.trigger.anchor
        return endings.held(item, before, self._value(expression))

    def _watched(self, item: StopPoint) -> Array | None:
        """The value of what a stop watches, where we stand."""
        return None if item.watched is None else self._value(item.watched)

    def _value(self, expression: Expression, step: int | None = None) -> Array | None:
        """The value of an expression, or None where it cannot be asked."""
        try:
            return self.ask(expression, step)
        except GdreplError:
            return None

    def _note(self, lookout: Lookout) -> None:
        """Count what a run saw, and note the values at the stops that ended it."""
        seen = {item.id: self._watched(item) for item in lookout.held}
        counted = self.stops.counted(lookout.hits, lookout.ignore).anchored(lookout.anchors)
        self.stops = counted.stopped(self.step, seen)

    def _enter_next_stretch(self) -> int:
        """At the end of a stretch go on to the next one; returns how many recorded steps of the stretch lie ahead."""
        stretches = self.branch.stretches
        while self.step == stretches[self.position.index].last and self.position.index + 1 < len(stretches):
            self.position = replace(self.position, index=self.position.index + 1)
            self._snapshot = self.segment.start
        return stretches[self.position.index].last - self.step

    def _leave_before_edit(self) -> tuple[str, ...]:
        """Where we stand before an edit of this very step, go on without it: on a branch of our own; returns a note of it."""
        left, here = self.position, self._snapshot
        later = (stretch.segment for stretch in self.branch.stretches[left.index + 1 :])
        at_this_step = itertools.takewhile(lambda segment: segment.start.step == left.step, later)
        # A branch that goes on with a shared segment begins one that changes nothing.
        if all(self.recipe.same_as(segment.recipe) and here.same_as(segment.start) for segment in at_this_step):
            return ()
        made = self.fork()
        return (f"on branch {made}, from before the edit at step {left.step} of {left.branch}",)

    def _own_tip(self) -> Segment:
        """The segment to extend: a new one of the same recipe when another branch went on with the shared one."""
        segment = self.segment
        if segment.last == self.step and not self._shared(segment):
            return segment
        self.position = self.timeline.edit(self.position, segment.recipe, self._snapshot, "")
        return self.segment

    def _shared(self, segment: Segment) -> bool:
        return any(
            branch.name != self.branch.name and any(stretch.segment is segment for stretch in branch.stretches)
            for branch in self.timeline.branches.values()
        )

    # Going back and forth

    def goto(self, step: int, branch: str | None = None) -> Move:
        """Stand at `step` of the branch (by default the one in force), bit for bit as it was there.

        Raises:
            CommandError: the branch has no such step.
        """
        target = self.timeline.branch(branch or self.position.branch).holding(step)
        before = self._snapshot
        index = target.index_of(step)
        snapshot = self.past.reach(target.stretches[index].segment, step)
        self.position, self._snapshot = Position(target.name, index, step), snapshot
        return Move(before.point(), snapshot.point(), step - before.step, ())

    def mark(self, name: str) -> Checkpoint:
        """Make a checkpoint here; what is true here is kept with the history, within its limit."""
        self.segment.keep(self._snapshot)
        self.timeline.trim()
        self.checkpoints = self.checkpoints.add(name, self.position)
        return self.checkpoints.items[-1]

    def stand(self, position: Position, snapshot: Snapshot | None = None) -> Move:
        """Stand exactly at `position`, which may be before an edit of its step; `snapshot` is what is true there, if known."""
        before, target = self._snapshot, self.timeline.branch(position.branch)
        arrived = snapshot or self.past.reach(target.stretches[position.index].segment, position.step)
        self.position, self._snapshot = position, arrived
        return Move(before.point(), arrived.point(), position.step - before.step, ())

    def turn(self, count: int) -> Move:
        """Go `count` places on, or back where it is negative; an end of the places visited is the stop."""
        places = self.places.turned(count)
        reached = abs(places.index - self.places.index)
        move = self.stand(places.current)
        self.places = places
        if reached == abs(count):
            return replace(move, stops=(Stop("count", None, f"{reached} place{'s' if reached != 1 else ''}"),))
        end = Stop("start", None, "the first place visited") if count < 0 else Stop("end", None, "the last place visited")
        return replace(move, stops=(end,))

    def back(self, count: int) -> Move:
        """Go `count` steps back, or to the start of the branch, which is then the stop."""
        wanted = self.step - count
        move = self.goto(max(wanted, self.branch.start))
        stop = Stop("count", None, f"{count} back") if wanted >= self.branch.start else Stop("start", None, "the start")
        return replace(move, stops=(stop,))

    def reverse(self) -> Move:
        """Go back to the latest earlier step at which a stop held, or to the start of the branch, which is then the stop.

        A step counts that an update led to; we arrive as `goto` does. A stop that cannot be computed ends it one step back.

        Raises:
            CommandError: it was interrupted; we stand where we stood.
        """
        lookout = Lookout(item for item in self.stops if item.enabled)
        search = Backwards(self.past, self._programs, self._memories)
        for index in range(self.position.index, -1, -1):
            stretches = self.branch.stretches[: index + 1]
            segment, last = stretches[-1].segment, min(stretches[-1].last, self.step - 1)
            if last <= segment.start.step:
                continue
            broken = self.checks.broken(lookout.items, segment.recipe)
            if broken:
                return replace(self.goto(last), stops=tuple(endings.broken(*each) for each in broken))
            found = search.latest(stretches, last, lookout, lookout.items) if lookout.items else None
            if found is not None:
                before = self._snapshot
                self.stand(Position(self.branch.name, index, found))  # an edit of this step came after what held
                stops = tuple(self._stop(item) for item in lookout.held)
                self._note(lookout)
                move = self.goto(found)
                return replace(move, before=before.point(), taken=found - before.step, stops=stops, held=lookout.held)
        move = self.goto(self.branch.start)
        self._note(lookout)
        return replace(move, stops=(Stop("start", None, "the start: no stop held on the way"),))

    def restart(self) -> Move:
        """A new branch from step 0 with the start values, and the optimizer as it is set now with new slots."""
        before = self._snapshot
        recipe = Recipe(self.problem, self.spec, self.recipe.engine)
        start = self._program(recipe).fresh(self.problem.parameters, 0, recipe.spec.learning_rate)
        self.position = self.timeline.begin(recipe, start, "run", parent=self.position.branch)
        self._snapshot = start
        return Move(before.point(), start.point(), -before.step, ())

    def fork(self, name: str = "") -> str:
        """A new branch that shares all up to here; it is in force from now on."""
        self.position = self.timeline.fork(self.position, name)
        return self.position.branch

    def snapshot_at(self, step: int) -> Snapshot:
        """The snapshot of a step of the branch in force; we stay where we are."""
        if step == self.step:
            return self._snapshot
        branch = self.branch.holding(step)
        return self.past.reach(branch.stretches[branch.index_of(step)].segment, step)

    def stand_on(self, branches: Sequence[Branch], position: Position) -> None:
        """Put saved branches in place of our own and stand at `position`."""
        self.timeline.branches = {branch.name: branch for branch in branches}
        for segment in self.timeline.segments():
            self.timeline.add_segment(segment)
        segment = self.timeline.branches[position.branch].stretches[position.index].segment
        self._snapshot, self.position = self.past.reach(segment, position.step), position
        self.checkpoints = Checkpoints()
        self._forget_places()

    def _forget_places(self) -> None:
        """There is another timeline: no place of it was visited but the one where we stand."""
        self.places = Places((self.position,))

    # Editing

    def set_parameter(self, name: str, value: Array, label: str = "edit") -> None:
        """Change a parameter here: an event of the timeline, unless it is so already. `value` has its shape and dtype."""
        self._edit(edits.parameter(self._programs, self.recipe, self._snapshot, name, value), label)

    def set_learning_rate(self, rate: float | ScheduleSpec, label: str = "edit") -> None:
        """Change the learning rate here, in place when it was and stays a plain number; no event when it is so already."""
        self._edit(edits.learning_rate(self._programs, self.recipe, self._snapshot, rate), label)

    def set_hyperparameter(self, name: str, value: object, label: str = "edit") -> None:
        """Change one hyperparameter of the optimizer here, unless it is so already; slots that it keeps stay as they are."""
        spec = self.spec.with_hyperparameter(name, value)
        if spec != self.spec:
            self._edit(edits.hyperparameters(self._programs, self.recipe, self._snapshot, spec), label)

    def set_optimizer(self, spec: OptimizerSpec, label: str = "edit") -> None:
        """Go on from here with another optimizer, whose slots are new."""
        self._edit(edits.optimizer(self._programs, self.recipe, self._snapshot, spec), label)

    def set_engine(self, engine: str, label: str = "edit") -> None:
        """Go on from here with another engine, unless it is in force already; loss and gradient are computed by it."""
        self._edit(edits.engine(self._programs, self.recipe, self._snapshot, engine), label)

    def set_problem(self, problem: Problem, label: str = "edit") -> None:
        """Begin a branch with another problem at step 0; a timeline in which nothing was done yet is replaced."""
        recipe = Recipe(problem, self.spec, self.recipe.engine)
        start = self._program(recipe).fresh(problem.parameters, 0, recipe.spec.learning_rate)
        unused = self.timeline.is_bare and not self.checkpoints
        if unused:
            self.timeline.branches.clear()
        self.position, self._snapshot = self.timeline.begin(recipe, start, label), start
        if unused:
            self._forget_places()

    def _edit(self, edited: edits.Edited | None, label: str) -> None:
        if edited is not None:
            recipe, self._snapshot = edited
            self.position = self.timeline.edit(self.position, recipe, self._snapshot, label)

    # Asking

    def scope(self, step: int | None = None) -> Scope:
        """The values that an expression may read at a step of the branch in force, with the point before it."""
        here = self.step if step is None else step
        previous = self._scope(self.snapshot_at(here - 1)) if here > self.branch.start else None
        return replace(self._scope(self.snapshot_at(here)), previous=previous)

    def _scope(self, snapshot: Snapshot) -> Scope:
        index = self.branch.index_of(snapshot.step) if snapshot.step != self.step else self.position.index
        return self._scope_of(snapshot, self.branch.stretches[index].segment.recipe)

    def _scope_of(self, snapshot: Snapshot, recipe: Recipe) -> Scope:
        return scope_of(snapshot, self._program(recipe), self.problem)

    def parse(self, text: str, others: Iterable[str] = ()) -> Expression:
        """Check an expression about a point of the problem in force; `others` are further names that it may read."""
        return parse(text, [*self.problem.parameters, *self.problem.constants, *others], at_point=True)

    def ask(self, expression: Expression, step: int | None = None, others: Mapping[str, object] | None = None) -> Array:
        """The value of an expression at a step (by default here); `others` are the values of further names."""
        here = self.step if step is None else step
        scope = self.scope(here) if expression.history else self._scope(self.snapshot_at(here))
        return self.value(expression, scope, others)

    def value(self, expression: Expression, scope: Scope, others: Mapping[str, object] | None = None) -> Array:
        """The value of an expression in a scope of the problem in force."""
        return value_in(expression, scope, self.problem.dtype, others)

    def scope_at(self, step: int, branch: Branch, history: bool) -> Scope:
        """The values at a step of any branch of the problem in force; with the point before it where `history` asks for it."""
        index = branch.index_of(step)
        segment = branch.stretches[index].segment
        here = self._scope_of(self.past.reach(segment, step), segment.recipe)
        before = self.scope_at(step - 1, branch, False) if history and step > branch.start else None
        return replace(here, previous=before)

    def condition(self, text: str) -> Expression:
        """Check that `text` can be a stop condition: one truth value at each point.

        Raises:
            ExpressionError: it is not an expression, is a number, or has many truth values.
        """
        expression = self.parse(text)
        here = self._scope(self._snapshot)
        check_condition(evaluate(expression, replace(here, previous=here), self.problem.dtype), expression)
        return expression

    def warnings(self) -> tuple[str, ...]:
        """The enabled stops that will end the next run since they cannot be computed here, a line each."""
        enabled = [item for item in self.stops if item.enabled]
        return tuple(
            f"{item.kind} {item.id} ({item.text}) will stop runs here: {why}; disable {item.id} lets them pass"
            for item, why in self.checks.broken(enabled, self.recipe)
        )

    def columns(self, first: int, last: int, branch: str | None = None) -> Columns:
        """The points of `first` to `last` of a branch (by default the one in force); dropped rows are computed again."""
        return self.past.columns(self.timeline.branch(branch or self.position.branch), first, last)

    def check(self, recipe: Recipe, snapshot: Snapshot) -> None:
        """See that `snapshot` fits `recipe`.

        Raises:
            ValueError: a slot has another shape or dtype.
        """
        self._program(recipe).load(snapshot)

    # Programs

    def _program(self, recipe: Recipe, triggers: Sequence[Trigger] = ()) -> Program:
        return self._programs.get(recipe, triggers)
