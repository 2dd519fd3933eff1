"""What each phase of an update made: the values before it and after, by the names that `print` knows, and a line of why."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from gdrepl.engine.optimizer import accumulation
from gdrepl.engine.phases import LAST, PHASES, Update
from gdrepl.engine.problem import Problem
from gdrepl.engine.rows import WHOLE
from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, Snapshot, frozen, norm, norm_of_all
from gdrepl.insight import saying
from gdrepl.insight.frames import text_of
from gdrepl.insight.gradient import depends, values_of

MOST_PARTS = 4
"""Sub-expressions of the loss that its forward pass shows."""
_CLIPS = {
    "clipnorm": "a gradient's norm above clipnorm {:g} is scaled down to it",
    "global_clipnorm": "a norm of all together above global_clipnorm {:g} is scaled down to it",
    "clipvalue": "each number is kept within clipvalue {:g} of zero",
}


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One value that a phase made.

    Attributes:
        name: an expression that `print` takes: loss, grad(x), slot.momentum(x), x.
        before, after: its value; before is None where the phase was the first to compute it.
        shape: of a value of many numbers: before and after are its norms then.
        size: of such a one, the norm of what was added.
    """

    name: str
    before: Array | None
    after: Array
    shape: tuple[int, ...] = field(default=(), metadata=OPTIONAL)
    size: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What one phase made.

    Attributes:
        phase: forward, backward, clip, decay, moments, apply or constraint.
        step: that of the update, which leads to step + 1.
        changes: what it computed or changed; none where it had nothing to do.
        note: why, or by which rule.
    """

    phase: str
    step: int
    changes: tuple[Change, ...]
    note: str = field(default="", metadata=SAID)


def made(update: Update, place: int) -> Made:
    """What the phase at `place` of `PHASES` makes of an update; asking changes nothing.

    Raises:
        ProblemError: the engine refuses the loss or the optimizer.
    """
    before, after = update.state(place), update.state(place + 1)
    changes, note = _TELLERS[PHASES[place]](update, before, after)
    return Made(PHASES[place], update.before.step, tuple(changes), note)


Told = tuple[list[Change], str]


def _forward(update: Update, before: Snapshot, after: Snapshot) -> Told:
    parts = _parts(update.recipe.problem, before.parameters)
    return [Change("loss", None, before.loss), *(_change(text, None, value) for text, value in parts.items())], ""


def _backward(update: Update, before: Snapshot, after: Snapshot) -> Told:
    changes = [_change(f"grad({name})", None, value) for name, value in after.gradient.items()]
    many = sum(value.size for value in after.gradient.values()) > 1
    return changes, f"the gradient, of norm {saying.number(norm_of_all(after.gradient), 6)}" if many else ""


def _clip(update: Update, before: Snapshot, after: Snapshot) -> Told:
    given = update.recipe.spec.hyperparameters
    changes = _differing({f"grad({name})": (value, after.gradient[name]) for name, value in before.gradient.items()})
    rules = [_scaled(update)] if given.get("loss_scale_factor") else []
    rules += [_gathered(update)] if accumulation(update.recipe.spec) > 1 else []
    if update.applied:
        rules += [text.format(given[name]) for name, text in _CLIPS.items() if given.get(name)]
    if not rules:
        return [], "nothing to clip: clipnorm, global_clipnorm and clipvalue are none"
    return changes, "; ".join(rules) + ("" if changes or not update.applied else ": unchanged")


def _scaled(update: Update) -> str:
    factor = update.recipe.spec.hyperparameters["loss_scale_factor"]
    return f"the loss was scaled by loss_scale_factor {factor:g}, the gradient is scaled back"


def _gathered(update: Update) -> str:
    count = accumulation(update.recipe.spec)
    if update.applied:
        return f"the mean of the {count} gradients gathered"
    slots = dict(zip(update.slot_names, update.before.slots))
    place = next(int(value) for name, value in slots.items() if name.slot == "iteration") % count + 1
    return f"gradient {place} of {count} is only gathered: clip, decay and apply wait for the last"


def _decay(update: Update, before: Snapshot, after: Snapshot) -> Told:
    if not update.applied:
        return [], "waits until all gradients are gathered"
    given = update.recipe.spec.hyperparameters
    rates = [
        f"{name} {value:g}"
        for name, value in given.items()
        if name.endswith("weight_decay") and isinstance(value, float) and value
    ]
    if not rates:
        return [], "no weight decay"
    return _differing(_pairs(before, after)), f"{' and '.join(rates)} times lr times the parameter is subtracted"


def _moments(update: Update, before: Snapshot, after: Snapshot) -> Told:
    names = [_slot(*name) for name in update.slot_names]
    pairs = {
        text: (one, two)
        for text, name, one, two in zip(names, update.slot_names, before.slots, after.slots)
        if name.slot not in (*LAST, "learning_rate")
    }
    if not pairs:
        return [], f"{update.recipe.spec.name} keeps none as it is set"
    if update.applied:
        return [_change(name, *pair) for name, pair in pairs.items()], ""
    return _differing(pairs), "only the gradient is added up"


def _apply(update: Update, before: Snapshot, after: Snapshot) -> Told:
    if not update.applied:
        return [], "not applied: this update only gathers its gradient"
    return [_change(name, *pair) for name, pair in _pairs(before, after).items()], ""


def _constraint(update: Update, before: Snapshot, after: Snapshot) -> Told:
    slots = zip(update.slot_names, before.slots, after.slots)
    values = {_slot(*name): (one, two) for name, one, two in slots if name.slot in LAST}
    changes = [_change(name, *pair) for name, pair in sorted(values.items(), key=lambda each: each[0] == "slot.iteration")]
    overwritten = _differing(_pairs(before, after))
    if before.learning_rate.tobytes() != after.learning_rate.tobytes():
        changes.append(_change("lr", before.learning_rate, after.learning_rate))
    return [*overwritten, *changes], "the moving averages overwrite the parameters" if overwritten else ""


_TELLERS: Mapping[str, Callable[[Update, Snapshot, Snapshot], Told]] = {
    "forward": _forward,
    "backward": _backward,
    "clip": _clip,
    "decay": _decay,
    "moments": _moments,
    "apply": _apply,
    "constraint": _constraint,
}


def _slot(slot: str, parameter: str | None) -> str:
    return f"slot.{slot}" if parameter is None else f"slot.{slot}({parameter})"


def _pairs(before: Snapshot, after: Snapshot) -> dict[str, tuple[Array, Array]]:
    return {name: (value, after.parameters[name]) for name, value in before.parameters.items()}


def _differing(pairs: Mapping[str, tuple[Array, Array]]) -> list[Change]:
    return [_change(name, one, two) for name, (one, two) in pairs.items() if one.tobytes() != two.tobytes()]


def _change(name: str, before: Array | None, after: Array) -> Change:
    if after.size <= WHOLE:
        return Change(name, before, after)
    size = None
    if before is not None:
        with np.errstate(all="ignore"):
            size = norm(after.astype(np.float64) - before.astype(np.float64))
    norms = [None if value is None else frozen(norm(value)) for value in (before, after)]
    assert norms[1] is not None
    return Change(name, norms[0], norms[1], tuple(after.shape), size)


def _parts(problem: Problem, parameters: Mapping[str, Array]) -> dict[str, Array]:
    """The outermost sub-expressions of the loss that read a parameter, with their values."""
    wanted = list(_outermost(problem.loss.tree, set(parameters)))[:MOST_PARTS]
    values = values_of(problem, parameters)
    numbers = [node for node in wanted if id(node) in values and values[id(node)].dtype.kind == "f"]
    return {text_of(problem.loss.text, node): frozen(values[id(node)]) for node in numbers}


def _outermost(tree: ast.expr, names: set[str]) -> Iterator[ast.expr]:
    """Level by level from the outside, without the whole and without mere names."""
    level: list[ast.AST] = [tree]
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        for node in level:
            if isinstance(node, ast.expr) and not isinstance(node, ast.Name) and depends(node, names):
                yield node
