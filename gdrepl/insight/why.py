"""Where a value that is not finite was born: the step, the operation and its inputs, and what led there."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.segment import Segment
from gdrepl.engine.snapshot import Array, Snapshot
from gdrepl.insight import saying
from gdrepl.insight.born import Birth, SlopeBirth, birth, inputs_at, slope_birth
from gdrepl.insight.cause import LimitAt, Why
from gdrepl.insight.explain import Update, explain
from gdrepl.insight.frames import Link, links
from gdrepl.insight.led_there import with_the_way
from gdrepl.insight.nonfinite import bad_slots, first_not_finite, slot_overflowed, slots_at
from gdrepl.insight.standing_out import FIRST_BAD
from gdrepl.insight.summary import briefly

_GRADIENT_ONLY = "the loss is finite, its gradient is not"


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """The points around the first that is not finite.

    Attributes:
        segment: what was running.
        before: the last finite point, on the way to it; None where there is none.
        after: the first that is not.
        edited: the command that changed something at this very step; empty where none did.
    """

    segment: Segment
    before: Snapshot | None
    after: Snapshot
    edited: str


def why(debugger: Debugger, limit_at: LimitAt) -> Why | None:
    """Where the first value that is not finite was born, as `first_not_finite` finds it; None where all are finite.

    Nothing is run again from the start: the points around it are read from the timeline.
    """
    step = first_not_finite(debugger)
    if step is None:
        return None
    looked = _look(debugger, step)
    told = replace(_born(debugger, looked), loss=looked.segment.recipe.problem.loss.text)
    if looked.edited:
        note = f"'{looked.edited}' at step {told.step} made it so; before it the point was finite"
        return replace(told, kind="edit", notes=(*told.notes, note))
    if looked.before is None:
        return replace(told, kind="start", notes=(*told.notes, "it is so from the start: no update led there"))
    return with_the_way(debugger, told, looked.before, looked.after, limit_at)


def _look(debugger: Debugger, step: int) -> _Looked:
    branch = debugger.branch
    index = debugger.position.index if step == debugger.step else branch.index_of(step)
    stretch = branch.stretches[index]
    after = debugger.snapshot_at(step)
    segment = stretch.segment
    if segment.start.step == step and index > 0:
        arrived = debugger.past.reach(branch.stretches[index - 1].segment, step)
        if arrived.is_finite():
            return _Looked(segment, None, after, segment.label)
        segment, after = branch.stretches[index - 1].segment, arrived
    before = debugger.snapshot_at(step - 1) if step > branch.start else None
    return _Looked(segment, before, after, "")


# --- what was not finite first ------------------------------------------------------------------------------------------


def _born(debugger: Debugger, looked: _Looked) -> Why:
    """The operation, of the update that led there, of the loss, or of its gradient."""
    after, problem = looked.after, looked.segment.recipe.problem
    if any(not np.isfinite(value).all() for value in after.parameters.values()) and looked.before is not None:
        return _update(debugger, looked, looked.before)
    if not np.isfinite(after.loss):
        found = birth(problem, after.parameters)
        if found is None:
            return _unexplained(looked, "loss", after.loss)
        return _value(looked, found, "value")
    slope = _slope(links(problem, after.parameters), after.gradient)
    if slope is not None:
        return _derivative(looked, slope)
    bad = [name for name, value in after.gradient.items() if not np.isfinite(value).all()]
    if (found := birth(problem, after.parameters, bad)) is not None:
        return _value(looked, found, "gradient", _GRADIENT_ONLY, "what the loss makes of it is finite; its derivative is not")
    value = after.gradient[bad[0]]
    return _unexplained(looked, f"grad({bad[0]})", value[saying.first(~np.isfinite(value))])


def _value(looked: _Looked, found: Birth, kind: str, *notes: str) -> Why:
    told = Why(looked.after.step, found.operation, found.expression, briefly(found.inputs), kind=kind, output=found.output)
    return _standing(told, found.node, *notes, *_before_it(looked, found))


def _derivative(looked: _Looked, slope: SlopeBirth) -> Why:
    inputs = briefly(slope.inputs)
    told = Why(looked.after.step, slope.operation, slope.expression, inputs, kind="gradient", output=slope.output)
    masked = ["no gradient reaches it, and 0*inf is nan in plain arithmetic"] if slope.masked else []
    return _standing(told, slope.link.node, _GRADIENT_ONLY, *masked)


def _before_it(looked: _Looked, born: Birth) -> Iterator[str]:
    """What the inputs were one step earlier."""
    if looked.before is not None:
        inputs = inputs_at(looked.segment.recipe.problem, born, looked.before.parameters)
        changed = {name: value for name, value in inputs.items() if value.tobytes() != born.inputs[name].tobytes()}
        given = ", ".join(f"{name} was {saying.array(value)}" for name, value in changed.items())
        if given:
            yield f"at step {looked.before.step} {given}"


def _standing(told: Why, node: ast.expr, *notes: str) -> Why:
    return replace(told, start=node.col_offset, end=node.end_col_offset or 0, notes=notes)


def _unexplained(looked: _Looked, expression: str, value: Array) -> Why:
    engine = looked.segment.recipe.engine
    note = f"{expression} is {saying.number(value)} by the {engine} engine; computed step by step every operation is finite"
    return Why(looked.after.step, engine, expression, {}, (note,), "value", np.asarray(value))


def _slope(frames: Sequence[Link], gradient: Mapping[str, Array]) -> SlopeBirth | None:
    """The derivative that is not finite: one that leads to a parameter whose gradient is not, best of the same element."""
    bad = {name: ~np.isfinite(value) for name, value in gradient.items() if not np.isfinite(value).all()}
    found = [slope_birth(link, frames[link.parent]) for link in frames if link.parent is not None]
    born = [each for each in found if each is not None]

    def rank(each: SlopeBirth) -> tuple[bool, bool, bool]:
        names = {child.id for child in ast.walk(each.link.node) if isinstance(child, ast.Name)} & set(bad)
        hit = each.link.expression in bad and bool(bad[each.link.expression][each.place])
        return not names, each.masked, not hit

    best = min(born, key=rank, default=None)
    return None if best is None or rank(best)[0] else best


def _update(debugger: Debugger, looked: _Looked, before: Snapshot) -> Why:
    """The update that made a parameter not finite of a finite gradient: a slot that overflowed first, or the step itself."""
    after = looked.after
    name = next(name for name, value in after.parameters.items() if not np.isfinite(value).all())
    place = saying.first(~np.isfinite(after.parameters[name]))
    slots, later = slots_at(debugger, before.step), slots_at(debugger, after.step)
    gradient = _used_gradient(debugger, looked.segment, before, name)
    inputs = {
        saying.element(name, place): np.asarray(before.parameters[name][place]),
        saying.element(f"grad({name})", place): np.asarray(gradient[place]),
        "lr": before.learning_rate,
    }
    bad = [key for key in (bad_slots(slots) or bad_slots(later)) if key[1] in (name, None)]
    if bad:
        return _slot(debugger, looked, bad[0], before.step if bad[0] in bad_slots(slots) else after.step)
    told = saying.element(name, place)
    note = f"the update to step {after.step} made it, of a finite gradient"
    terms = explain(debugger, Update(looked.segment, before, after)).notes
    first = [f"{each}; explain {before.step} shows all terms" for each in terms if each.startswith(FIRST_BAD)]
    output = np.asarray(after.parameters[name][place])
    return Why(after.step, "update", told, briefly(inputs), (note, *first), "update", output)


def _used_gradient(debugger: Debugger, segment: Segment, snapshot: Snapshot, name: str) -> Array:
    """The gradient that the update from a snapshot uses."""
    return debugger.past.used_gradient(segment, snapshot)[name]


def _slot(debugger: Debugger, looked: _Looked, key: tuple[str, str | None], last: int) -> Why:
    """A slot that overflowed, at a step up to `last`."""
    slot, name = key
    step = slot_overflowed(debugger, key, last)
    value = slots_at(debugger, step)[key]
    place = saying.first(~np.isfinite(value))
    expression = f"slot.{slot}({name})" if name is not None else f"slot.{slot}"
    told = saying.element(expression, place)
    inputs: dict[str, Array] = {}
    if step > debugger.branch.start:
        earlier = debugger.snapshot_at(step - 1)
        inputs[told] = np.asarray(slots_at(debugger, step - 1)[key][place])
        if name is not None and earlier.gradient[name].shape == value.shape:
            used = _used_gradient(debugger, looked.segment, earlier, name)
            inputs[saying.element(f"grad({name})", place)] = np.asarray(used[place])
        inputs["lr"] = earlier.learning_rate
    notes = [f"the update to step {step} made it", *_too_large(inputs, value)]
    if step < looked.after.step:
        notes.append(f"the loss and its gradient were finite until step {looked.after.step - 1}")
    output = np.asarray(value[place])
    return Why(step, "update", told, briefly(inputs), tuple(notes), "update", output)


def _too_large(inputs: Mapping[str, Array], value: Array) -> Iterator[str]:
    """Whether it is the square of a gradient that does not fit into the dtype."""
    largest = float(np.finfo(value.dtype).max)
    for text, number in inputs.items():
        if text.startswith("grad(") and np.isfinite(number) and abs(float(number)) > largest**0.5:
            beyond = f"the square of {text} is beyond the largest {value.dtype}, {saying.number(largest)}"
            yield f"{beyond}: {'scale the loss down' if value.dtype == np.float64 else 'set dtype float64'}"
