"""What an update is computed on: the state before it, and the terms that are written down on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gdrepl.engine.live_optimizer import SlotName
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, Snapshot, frozen
from gdrepl.insight.rounding import Rounded, unit

AVERAGE, GATHERED = "average", "gradient_accumulator"
"""The slots that any optimizer may have: the moving average of its parameter, and the sum of the gradients not applied yet."""
GLOBAL_NORM = "global norm"
_MINOR = 0.05
"""The part of an update that is not worth a word."""


@dataclass(frozen=True, slots=True, eq=False)
class UpdateTerm:
    """One term of an update, at the numbers of a parameter that were chosen.

    Attributes:
        name: what the field calls it: gradient, velocity, denominator ...
        value: what it comes to, in the problem's dtype; shape () for one number, else (k,) in the order of the coordinates.
        parameter: whose it is; empty for what all parameters share.
        before: of a slot or a parameter, what it was.
        recomputed: of a slot or a parameter, what the explanation comes to, where that is not `value`, which is what happened.
    """

    name: str
    value: Array
    parameter: str = field(default="", metadata=OPTIONAL)
    before: Array | None = field(default=None, metadata=OPTIONAL)
    recomputed: Array | None = field(default=None, metadata={**OPTIONAL, **SAID})


@dataclass(frozen=True, slots=True)
class Share:
    """Of how many numbers of a parameter something holds, and how far it goes.

    Attributes:
        kind: what holds.
        parameter: of which parameter; empty for all of them.
        count: of how many numbers.
        of: how many there are.
        size: how far it goes, as the kind has it.
        other: a second measure.
        text: a word more.
    """

    kind: str
    parameter: str
    count: int
    of: int
    size: float
    other: float = 0.0
    text: str = ""


class Book:
    """All sheets of one update, and what they share.

    Attributes:
        before: the state that the update begins with.
        slots: the optimizer's variables then.
        options: the hyperparameters.
        terms: those of all parameters together, and of each.
        formulas: one line each, in the order of the computation.
        shares: what stands out.
        bounds: (parameter, name, ULPs) of each term in the order of the computation, where `measured` asks for them: how far
            rounding may move it, at the places that are chosen.
        after: the optimizer's variables as the update leaves them; those it leaves alone are not in it.
        iteration: how often the optimizer was asked for an update before.
        made: how many of them it made: where gradients are gathered, `iterations` of base_optimizer.py counts those alone.
    """

    def __init__(
        self,
        before: Snapshot,
        slots: Mapping[SlotName, Array],
        spec: OptimizerSpec,
        chosen: Mapping[str, Array],
        measured: bool = False,
    ) -> None:
        self.before = before
        self.slots = slots
        self.options = spec.hyperparameters
        self.chosen = chosen
        self.dtype = next(iter(before.parameters.values())).dtype
        self.terms: list[UpdateTerm] = []
        self.formulas: list[str] = []
        self.shares: list[Share] = []
        self.bounds: list[tuple[str, str, float]] = []
        self.measured = measured
        self.after: dict[SlotName, Rounded] = {}
        self.iteration = int(slots[SlotName("iteration", None)])
        self.made = self.iteration // max(1, int(self.number("gradient_accumulation_steps")))
        self.rate = self.constant(before.learning_rate)

    def constant(self, value: object) -> Rounded:
        """A number as Keras hands it to TensorFlow beside a tensor: rounded once, to the dtype."""
        return Rounded.of(value, self.dtype)

    def cast(self, value: object) -> Rounded:
        """A number as `ops.cast` hands it on: through float32, also where the dtype is float64."""
        return Rounded.of(np.float32(value), self.dtype)  # type: ignore[arg-type]

    def number(self, name: str) -> float:
        """A hyperparameter; 0 where it is none."""
        value = self.options.get(name)
        return float(value) if isinstance(value, int | float) else 0.0

    def is_set(self, name: str) -> bool:
        """Whether a hyperparameter is neither none, nor false, nor zero."""
        return self.number(name) != 0

    def formula(self, line: str) -> None:
        """Write down a line of the formula, once."""
        if line not in self.formulas:
            self.formulas.append(line)

    def shared(self, name: str, value: Rounded) -> Rounded:
        """Write down a term that all parameters share, once."""
        if not any(term.name == name and not term.parameter for term in self.terms):
            self.terms.append(UpdateTerm(name, frozen(value.native)))
            self.measure("", name, value)
        return value

    def measure(self, parameter: str, name: str, value: Rounded) -> None:
        """Note how far rounding may move a term, if that is asked for."""
        if self.measured:
            self.bounds.append((parameter, name, _bound(value)))

    def shared_slot(self, name: str) -> Rounded:
        """A slot that all parameters share, as it was before."""
        return self.constant(self.slots[SlotName(name, None)])

    def current(self, name: str) -> Rounded:
        """A shared slot as it is by now."""
        return self.after.get(SlotName(name, None)) or self.shared_slot(name)

    def shared_becomes(self, name: str, value: Rounded) -> None:
        """That slot as the update leaves it."""
        self.after[SlotName(name, None)] = value
        self.terms.append(UpdateTerm(name, frozen(value.native), before=self.slots[SlotName(name, None)]))
        self.measure("", name, value)


class Sheet:
    """The computation of one parameter.

    Attributes:
        book: all that the parameters share.
        name: the parameter.
        value: the parameter as it is by now.
    """

    def __init__(self, book: Book, name: str) -> None:
        self.book = book
        self.name = name
        self.value = book.constant(book.before.parameters[name])
        self._scalar = not self.value.native.shape

    def slot(self, name: str) -> Rounded:
        """A slot of this parameter, as it was before."""
        return self.book.constant(self.book.slots[SlotName(name, self.name)])

    def becomes(self, name: str, value: Rounded) -> Rounded:
        """A slot of this parameter as the update leaves it: written down with what it was."""
        slot = SlotName(name, self.name)
        self.book.after[slot] = value
        self._write(name, value, self.book.constant(self.book.slots[slot]))
        return value

    def term(self, name: str, value: Rounded) -> Rounded:
        """Write down a term."""
        self._write(name, value, None)
        return value

    def share(self, kind: str, where: Array, size: float, other: float = 0.0, text: str = "") -> None:
        """Note that something stands out in the numbers of `where`, unless there are none."""
        count = int(np.count_nonzero(where))
        if count:
            self.book.shares.append(Share(kind, self.name, count, int(where.size), size, other, text))

    def parts(self, carried: Rounded, fresh: Rounded, factor: Rounded | float = 1.0) -> None:
        """Note whether momentum works against the gradient: `carried` and `fresh` times `factor` make the update together."""
        scale = factor.exact if isinstance(factor, Rounded) else factor
        first, second = carried.exact * scale, fresh.exact * scale
        update = first + second
        along, size = float(np.sum(first * second)), float(np.sum(update * update))
        if along < 0 and np.isfinite(along) and np.isfinite(size):
            share = float(np.sum(first * update)) / size if size else np.inf
            if not -_MINOR <= share <= 1 + _MINOR:  # in some numbers only, and the rest outweighs them
                self.share("against", np.asarray(first * second < 0), share)

    def epsilon(self, part: Rounded, whole: Rounded) -> None:
        """Note where epsilon is more than half of a denominator."""
        share = np.asarray(part.exact / whole.exact)
        most = np.where(np.isfinite(share), share, 0.0)
        self.share("epsilon", most > 0.5, float(np.max(most, initial=0.0)))

    def held(self, name: str, value: Rounded) -> Rounded:
        """A value that is no term of its own; noted where it is the first that is not finite."""
        self._finite(name, value)
        return value

    def _finite(self, name: str, value: Rounded) -> None:
        """Note the first term of the update that is not finite, and whether float64 would have held it."""
        if not np.isfinite(value.native).all() and not any(each.kind == "not finite" for each in self.book.shares):
            held = "" if np.isfinite(value.exact).all() else "float64"
            self.share("not finite", ~np.isfinite(value.native), 0.0, text=f"{name} {held}".strip())

    def _write(self, name: str, value: Rounded, before: Rounded | None) -> None:
        self._finite(name, value)
        places = self.book.chosen[self.name]
        taken = value.at(places)
        self.book.measure(self.name, name, taken)
        was = None if before is None else self._shown(before.at(places))
        self.book.terms.append(UpdateTerm(name, self._shown(taken), self.name, was))

    def _shown(self, taken: Rounded) -> Array:
        """What is shown of it: without an axis where the parameter is one number."""
        return frozen(taken.native.reshape(()) if self._scalar and taken.native.size == 1 else taken.native)


def _bound(value: Rounded) -> float:
    """By how many ULPs of the value rounding may move it, at the one place that is looked at."""
    with np.errstate(all="ignore"):
        return float(np.max(value.bound / unit(value.native), initial=0.0)) if np.any(value.bound) else 0.0
