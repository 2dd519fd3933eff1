"""An expression at past steps, in exactly the bits that it has when one stands there.

Each step is evaluated by itself, as `Debugger.ask` does: a vectorised way is quicker, and may differ in the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.rows import Columns
from gdrepl.engine.snapshot import Array
from gdrepl.engine.timeline import Branch
from gdrepl.errors import ExpressionError
from gdrepl.expression import Expression, Scope
from gdrepl.insight.over import needs_snapshots

_SPAN = 65_536
"""How many steps of columns are read at once."""


def values_at(
    debugger: Debugger, expression: Expression, steps: Sequence[int], branch: Branch, others: Mapping[str, object]
) -> list[Array]:
    """The value at each of `steps`, which rise; of a branch of the problem in force. We stay where we are.

    Args:
        others: the values of further names, the same at every step.

    Raises:
        CommandError: the branch has no such step, or it was interrupted.
        ExpressionError: it cannot be computed at one of them.
    """
    for step in steps:
        branch.holding(step)
    found = []
    for step, scope in _scopes(debugger, expression, steps, branch):
        debugger.interrupt.heed(f"interrupted at step {step}")
        try:
            found.append(debugger.value(expression, scope, others))
        except ExpressionError as error:
            if len(steps) > 1:
                error.message = f"at step {step}: {error.message}"
            raise
    return found


def _scopes(debugger: Debugger, expression: Expression, steps: Sequence[int], branch: Branch) -> Iterator[tuple[int, Scope]]:
    if needs_snapshots(debugger, expression):
        for step in steps:
            yield step, debugger.scope_at(step, branch, expression.history)
        return
    place = 0
    while place < len(steps):
        first = steps[place]
        chosen = [step for step in steps[place : place + _SPAN] if step < first + _SPAN]
        low = max(first - 1, branch.start) if expression.history else first
        columns = debugger.columns(low, chosen[-1], branch.name)
        for step in chosen:
            before = _scope(debugger, columns, step - 1 - low) if expression.history and step > low else None
            here = _scope(debugger, columns, step - low)
            yield step, Scope(here.names, here.gradient, here.slots, before)
        place += len(chosen)


def _scope(debugger: Debugger, columns: Columns, index: int) -> Scope:
    """The values of one point of the columns, but for what they hold as norms."""
    parameters, gradient = (
        {name: value[index] for name, value in table.items() if name not in columns.norms}
        for table in (columns.parameters, columns.gradient)
    )
    names = {
        **debugger.problem.constants,
        **parameters,
        "loss": columns.loss[index],
        "lr": columns.learning_rate[index],
        "step": np.asarray(columns.step[index], np.int64),
    }
    return Scope(names, gradient)
