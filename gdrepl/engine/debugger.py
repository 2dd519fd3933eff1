"""The one mutable object: step, run, back, goto, edit, ask. It knows neither terminal nor files.

It holds where we stand, the stops, and what was visited and marked; the work is done by the modules of this room: `running`
and `backwards` make the moves along which stops are looked out for, `past` reaches recorded steps, `edits` and `asking` do
what they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gdrepl.engine import edits, live_optimizer
from gdrepl.engine.asking import Asking
from gdrepl.engine.backwards import Backwards
from gdrepl.engine.checkpoints import Checkpoint, Checkpoints
from gdrepl.engine.checks import Checks
from gdrepl.engine.flag import Flag
from gdrepl.engine.here import Here
from gdrepl.engine.inside import Inside
from gdrepl.engine.lookout import Lookout, Memories
from gdrepl.engine.moves import Move, Progress
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.past import Past
from gdrepl.engine.places import Places
from gdrepl.engine.problem import Problem
from gdrepl.engine.program import Program
from gdrepl.engine.programs import Programs
from gdrepl.engine.rows import Columns
from gdrepl.engine.running import Run, Workings
from gdrepl.engine.schedule import ScheduleSpec
from gdrepl.engine.segment import Recipe, Segment
from gdrepl.engine.snapshot import Array, Point, Snapshot, Stop
from gdrepl.engine.stops import Stops
from gdrepl.engine.sweep import Rung, moved, sweep
from gdrepl.engine.timeline import Branch, Position, Timeline
from gdrepl.expression import Expression, Scope


class Debugger:
    """One session's problem, optimizer and timeline.

    Attributes:
        stops: the breakpoints; replace it to change them.
        max_steps: the most updates a run without a count may make.
        interrupt_after: when a recording is replayed, the number of updates after which its run was interrupted.
        past: any recorded step and its points again.
        checks: whether stops can be computed.
        inside: the coming update, and how many of its phases are made.
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
        self._programs = programs or Programs()
        recipe, timeline = Recipe(problem, spec, engine), Timeline(history_bytes)
        self._here = Here(timeline, recipe, self._fresh(recipe))
        self.past = Past(timeline, self._programs)
        self.checks = Checks(self._programs)
        self._memories = Memories(self.past, self._programs)
        self._asking = Asking(self._here, self.past, self._programs)
        self.inside = Inside(self._here, self._programs, self._asking)
        self._workings = Workings(self._here, self.past, self._programs, self._memories, self.checks, self._asking)
        self.places, self.checkpoints = Places((self.position,)), Checkpoints()

    def _fresh(self, recipe: Recipe) -> Snapshot:
        """The snapshot of step 0: the start values, and the optimizer with new slots."""
        return self._program(recipe).fresh(recipe.problem.parameters, 0, recipe.spec.learning_rate)

    def _program(self, recipe: Recipe) -> Program:
        return self._programs.get(recipe)

    @property
    def interrupt(self) -> Flag:
        """Set it, from any thread or signal handler, to end a run at a whole step, or a jump where it began."""
        return self.past.interrupt

    @interrupt.setter
    def interrupt(self, flag: Flag) -> None:
        self.past.interrupt = flag

    def undo(self) -> Callable[[], None]:
        """A function that puts everything back as it is now; for whoever does several things of which one may fail."""
        undo, stops, most = self._here.undo(), self.stops, self.max_steps
        places, checkpoints = self.places, self.checkpoints

        def back() -> None:
            undo()
            self.interrupt.clear()
            self.stops, self.max_steps = stops, most
            self.places, self.checkpoints = places, checkpoints

        return back

    # Where we are

    @property
    def timeline(self) -> Timeline:
        """All that was ever run."""
        return self._here.timeline

    @property
    def position(self) -> Position:
        """Where we stand on it."""
        return self._here.position

    @position.setter
    def position(self, position: Position) -> None:
        self._here.position = position

    @property
    def branch(self) -> Branch:
        """The branch in force."""
        return self._here.branch

    @property
    def segment(self) -> Segment:
        """The segment in force."""
        return self._here.segment

    @property
    def recipe(self) -> Recipe:
        """The problem, optimizer and engine in force."""
        return self._here.recipe

    @property
    def problem(self) -> Problem:
        """The problem in force."""
        return self.recipe.problem

    @property
    def spec(self) -> OptimizerSpec:
        """The optimizer in force, with the learning rate of this point unless that is a schedule."""
        spec, rate = self.recipe.spec, self.snapshot().learning_rate
        return spec if spec.schedule is not None else replace(spec, learning_rate=float(str(rate)))

    @property
    def step(self) -> int:
        """The step we stand at."""
        return self._here.step

    def snapshot(self) -> Snapshot:
        """All that is true where we stand."""
        return self._here.snapshot

    def point(self) -> Point:
        """The point where we stand."""
        return self.snapshot().point()

    def slots(self) -> Mapping[tuple[str, str | None], Array]:
        """(slot, parameter or None) -> value, in Keras' order, where we stand."""
        return dict(zip(self._program(self.recipe).slot_names, self.snapshot().slots))

    def arrived(self) -> Branch:
        """The branch in force up to the point that the latest update led to, which an edit of this step may have changed."""
        return self._here.arrived()

    def looked_back_to(self, horizon: int) -> int:
        """The first step that a trigger looked at which fired with the last update; `horizon` is its own."""
        return self._memories.begins(self.arrived().stretches, self.step, horizon)

    # Running

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
        undo, lookout = self.undo(), self._lookout(until)
        most = self.max_steps if count is None else count
        try:
            move = Run(self._workings, lookout, count, most, self.interrupt_after).make(self.progress)
            self.stops = lookout.noted(self.stops, self.step, self._asking.watched)
        except BaseException:
            undo()
            raise
        self.timeline.trim()
        return move

    def reverse(self) -> Move:
        """Go back to the latest earlier step at which a stop held, or to the start of the branch, which is then the stop.

        A step counts that an update led to; we arrive as `goto` does. A stop that cannot be computed ends it one step back.

        Raises:
            CommandError: it was interrupted; we stand where we stood.
        """
        undo = self.undo()
        try:
            move, self.stops = Backwards(self._workings, self._lookout()).make(self.stops)
        except BaseException:
            undo()
            raise
        return move

    def _lookout(self, until: Expression | None = None) -> Lookout:
        return Lookout((item for item in self.stops if item.enabled), until)

    def restart(self) -> Move:
        """A new branch from step 0 with the start values, and the optimizer as it is set now with new slots."""
        before, recipe = self.snapshot(), Recipe(self.problem, self.spec, self.recipe.engine)
        self._here.begin(recipe, self._fresh(recipe), "run", parent=self.position.branch)
        return Move(before.point(), self.point(), -before.step, ())

    # Going back and forth

    def goto(self, step: int, branch: str | None = None) -> Move:
        """Stand at `step` of the branch (by default the one in force), bit for bit as it was there.

        Raises:
            CommandError: the branch has no such step.
        """
        target = self.timeline.branch(branch or self.position.branch).holding(step)
        return self.stand(Position(target.name, target.index_of(step), step))

    def mark(self, name: str) -> Checkpoint:
        """Make a checkpoint here; what is true here is kept with the history, within its limit."""
        self.segment.keep(self.snapshot())
        self.timeline.trim()
        self.checkpoints = self.checkpoints.add(name, self.position)
        return self.checkpoints.items[-1]

    def stand(self, position: Position, snapshot: Snapshot | None = None) -> Move:
        """Stand exactly at `position`, which may be before an edit of its step; `snapshot` is what is true there, if known."""
        before, target = self.snapshot(), self.timeline.branch(position.branch)
        arrived = snapshot or self.past.reach(target.stretches[position.index].segment, position.step)
        self._here.stand(position, arrived)
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

    def fork(self, name: str = "") -> str:
        """A new branch that shares all up to here; it is in force from now on."""
        return self._here.fork(name)

    def stand_on(self, branches: Sequence[Branch], position: Position) -> None:
        """Put saved branches in place of our own and stand at `position`."""
        self.timeline.branches = {branch.name: branch for branch in branches}
        for segment in self.timeline.segments():
            self.timeline.add_segment(segment)
        segment = self.timeline.branches[position.branch].stretches[position.index].segment
        self._here.stand(position, self.past.reach(segment, position.step))
        self.checkpoints = Checkpoints()
        self._forget_places()

    def _forget_places(self) -> None:
        """There is another timeline: no place of it was visited but the one where we stand."""
        self.places = Places((self.position,))

    # Editing

    def set_parameter(self, name: str, value: Array, label: str = "edit") -> None:
        """Change a parameter here: an event of the timeline, unless it is so already. `value` has its shape and dtype."""
        self._edit(edits.parameter(self._programs, self.recipe, self.snapshot(), name, value), label)

    def set_learning_rate(self, rate: float | ScheduleSpec, label: str = "edit") -> None:
        """Change the learning rate here, in place when it was and stays a plain number; no event when it is so already."""
        self._edit(edits.learning_rate(self._programs, self.recipe, self.snapshot(), rate), label)

    def set_hyperparameter(self, name: str, value: object, label: str = "edit") -> None:
        """Change one hyperparameter of the optimizer here, unless it is so already; slots that it keeps stay as they are."""
        spec = self.spec.with_hyperparameter(name, value)
        if spec != self.spec:
            self._edit(edits.hyperparameters(self._programs, self.recipe, self.snapshot(), spec), label)

    def set_optimizer(self, spec: OptimizerSpec, label: str = "edit") -> None:
        """Go on from here with another optimizer, whose slots are new."""
        self._edit(edits.optimizer(self._programs, self.recipe, self.snapshot(), spec), label)

    def set_engine(self, engine: str, label: str = "edit") -> None:
        """Go on from here with another engine, unless it is in force already; loss and gradient are computed by it."""
        self._edit(edits.engine(self._programs, self.recipe, self.snapshot(), engine), label)

    def set_problem(self, problem: Problem, label: str = "edit") -> None:
        """Begin a branch with another problem at step 0; a timeline in which nothing was done yet is replaced."""
        recipe = Recipe(problem, self.spec, self.recipe.engine)
        start = self._fresh(recipe)
        unused = self.timeline.is_bare and not self.checkpoints
        if unused:
            self.timeline.branches.clear()
        self._here.begin(recipe, start, label)
        if unused:
            self._forget_places()

    def _edit(self, edited: edits.Edited | None, label: str) -> None:
        if edited is not None:
            self._here.edit(*edited, label)

    # Asking

    def parse(self, text: str, others: Iterable[str] = ()) -> Expression:
        """Check an expression about a point of the problem in force; `others` are further names that it may read."""
        return self._asking.parse(text, others)

    def condition(self, text: str) -> Expression:
        """Check that `text` can be a stop condition: one truth value at each point.

        Raises:
            ExpressionError: it is not an expression, is a number, or has many truth values.
        """
        return self._asking.condition(text)

    def ask(self, expression: Expression, step: int | None = None, others: Mapping[str, object] | None = None) -> Array:
        """The value of an expression at a step (by default here); `others` are the values of further names."""
        return self._asking.ask(expression, step, others)

    def value(self, expression: Expression, scope: Scope, others: Mapping[str, object] | None = None) -> Array:
        """The value of an expression in a scope of the problem in force."""
        return self._asking.value(expression, scope, others)

    def scope_at(self, step: int, branch: Branch, history: bool) -> Scope:
        """The values at a step of any branch of the problem in force; with the point before it where `history` asks for it."""
        return self._asking.scope_at(step, branch, history)

    def snapshot_at(self, step: int) -> Snapshot:
        """The snapshot of a step of the branch in force; we stay where we are."""
        return self._asking.snapshot_at(step)

    def columns(self, first: int, last: int, branch: str | None = None) -> Columns:
        """The points of `first` to `last` of a branch (by default the one in force); dropped rows are computed again."""
        return self.past.columns(self.timeline.branch(branch or self.position.branch), first, last)

    def sweep(self, rates: Array) -> Iterator[Rung]:
        """Updates made aside from here, the k-th at the learning rate `rates[k]`; we stay where we are."""
        return sweep(self._programs, self.recipe, self.snapshot(), rates)

    def next_move(self) -> Snapshot:
        """What the next update that moves the parameters leads to, made aside; we stay where we are."""
        return moved(self._programs, self.recipe, self.snapshot())

    def warnings(self) -> tuple[str, ...]:
        """The enabled stops that will end the next run since they cannot be computed here, a line each."""
        return tuple(
            f"{item.kind} {item.id} ({item.text}) will stop runs here: {why}; disable {item.id} lets them pass"
            for item, why in self.checks.broken(self._lookout().items, self.recipe)
        )

    def check(self, recipe: Recipe, snapshot: Snapshot) -> None:
        """See that `snapshot` fits `recipe`.

        Raises:
            ValueError: a slot has another shape or dtype.
        """
        live_optimizer.check_fit(self._program(recipe).optimizer, snapshot.slots)
