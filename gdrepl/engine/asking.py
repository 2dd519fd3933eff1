"""The values of expressions at the steps of a timeline; asking changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gdrepl.engine.here import Here
from gdrepl.engine.past import Past
from gdrepl.engine.programs import Programs
from gdrepl.engine.scopes import scope_of, value_in
from gdrepl.engine.segment import Recipe, Segment
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.engine.stops import StopPoint
from gdrepl.engine.timeline import Branch
from gdrepl.engine.triggers import check_condition
from gdrepl.errors import GdreplError
from gdrepl.expression import Expression, Scope, evaluate, parse


class Asking:
    """Asks in the terms of the problem in force."""

    def __init__(self, here: Here, past: Past, programs: Programs) -> None:
        self._here = here
        self._past = past
        self._programs = programs

    def parse(self, text: str, others: Iterable[str] = ()) -> Expression:
        """Check an expression about a point; `others` are further names that it may read."""
        problem = self._here.recipe.problem
        return parse(text, [*problem.parameters, *problem.constants, *others], at_point=True)

    def condition(self, text: str) -> Expression:
        """Check that `text` can be a stop condition: one truth value at each point.

        Raises:
            ExpressionError: it is not an expression, is a number, or has many truth values.
        """
        expression = self.parse(text)
        here = self._scope(self._here.snapshot)
        value = evaluate(expression, replace(here, previous=here), self._here.recipe.problem.dtype)
        check_condition(value, expression)
        return expression

    def snapshot_at(self, step: int) -> Snapshot:
        """The snapshot of a step of the branch in force."""
        if step == self._here.step:
            return self._here.snapshot
        branch = self._here.branch.holding(step)
        return self._past.reach(branch.stretches[branch.index_of(step)].segment, step)

    def ask(self, expression: Expression, step: int | None = None, others: Mapping[str, object] | None = None) -> Array:
        """The value of an expression at a step (by default here); `others` are the values of further names."""
        at = self._here.step if step is None else step
        scope = self._scope(self.snapshot_at(at))
        if expression.history and at > self._here.branch.start:
            scope = replace(scope, previous=self._scope(self.snapshot_at(at - 1)))
        return self.value(expression, scope, others)

    def value(self, expression: Expression, scope: Scope, others: Mapping[str, object] | None = None) -> Array:
        """The value of an expression in a scope."""
        return value_in(expression, scope, self._here.recipe.problem.dtype, others)

    def scope_at(self, step: int, branch: Branch, history: bool) -> Scope:
        """The values at a step of any branch of the problem in force; with the point before it where `history` asks for it."""
        segment = branch.stretches[branch.index_of(step)].segment
        here = self._scope_of(self._past.reach(segment, step), segment.recipe)
        before = self.scope_at(step - 1, branch, False) if history and step > branch.start else None
        return replace(here, previous=before)

    def value_on(self, segment: Segment, step: int, expression: Expression) -> Array | None:
        """The value of an expression at a step of any segment, in the terms of its problem; None where it cannot be asked."""
        recipe = segment.recipe
        program = self._programs.get(recipe)

        def scope(step: int) -> Scope:
            return scope_of(self._past.reach(segment, step), program, recipe.problem)

        here = scope(step)
        if expression.history and step > segment.start.step:
            here = replace(here, previous=scope(step - 1))
        try:
            return value_in(expression, here, recipe.problem.dtype)
        except GdreplError:
            return None

    def value_or_none(self, expression: Expression, step: int | None = None) -> Array | None:
        """The value of an expression, or None where it cannot be asked."""
        try:
            return self.ask(expression, step)
        except GdreplError:
            return None

    def watched(self, item: StopPoint) -> Array | None:
        """The value of what a stop watches, where we stand."""
        return None if item.watched is None else self.value_or_none(item.watched)

    def _scope(self, snapshot: Snapshot) -> Scope:
        here, branch = self._here, self._here.branch
        index = here.position.index if snapshot.step == here.step else branch.index_of(snapshot.step)
        return self._scope_of(snapshot, branch.stretches[index].segment.recipe)

    def _scope_of(self, snapshot: Snapshot, recipe: Recipe) -> Scope:
        return scope_of(snapshot, self._programs.get(recipe), self._here.recipe.problem)
