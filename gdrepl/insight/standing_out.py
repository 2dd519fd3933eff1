"""What stands out in an update, in a sentence each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from gdrepl.engine.snapshot import Snapshot
from gdrepl.insight import saying
from gdrepl.insight.sheet import Book, Share

FIRST_BAD = "the first term that is not finite"
CORRECTED = 0.1
"""Bias correction is worth a word while it changes the step by more than this."""


def notes_of(book: Book, after: Snapshot, applied: bool, shown: Collection[str]) -> tuple[str, ...]:
    """One sentence for each thing that stands out in what is `shown` of the parameters, the gravest first."""
    notes = [] if applied else [_gathered(book)]
    if applied and float(book.before.learning_rate) == 0:
        notes.append("the learning rate is 0: it moves nothing")
    for kind, say in _SAID.items():
        found = [each for each in book.shares if each.kind == kind and (each.parameter in shown or kind in _OF_ALL)]
        notes += say(book, found) if found else []
    if not after.is_finite() and not any(each.kind == "not finite" for each in book.shares):
        notes.append("it arrives where the loss or the gradient is not finite")
    return tuple(notes)


def _gathered(book: Book) -> str:
    steps = int(book.number("gradient_accumulation_steps"))
    done = (book.iteration + 1) % steps
    left = steps - done
    later = f"{left} updates later" if left > 1 else "with the next update"
    return f"not applied: this gradient is gathered, {done} of {steps}; their mean is applied {later}"


def _short(value: float) -> str:
    return saying.number(value, 4)


def _of(shares: list[Share]) -> str:
    """Which numbers of which parameters: `x and y`, `W (3 of 12 numbers)`."""
    named = [each.parameter if each.of == 1 else f"{each.parameter} ({each.count} of {each.of} numbers)" for each in shares]
    listed = named if len(named) <= 3 else [*named[:3], f"{len(named) - 3} more"]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def _not_finite(book: Book, shares: list[Share]) -> list[str]:
    first = shares[0]
    name, _, _held = first.text.partition(" float64")
    overflow = "" if first.text.endswith("float64") or name == "gradient" else f": too large for {book.dtype.name}"
    return [f"{FIRST_BAD} is the {name} of {_of(shares[:1])}{overflow}"]


def _clipped(book: Book, shares: list[Share]) -> list[str]:
    said = []
    for each in shares[:2]:
        limit, norm = _short(each.other), _short(each.size)
        said.append(f"clipping is active in {_of([each])}: {each.kind} {limit} cuts the norm {norm} of its gradient")
    return said + ([f"clipping is active in {len(shares) - 2} more parameters"] if len(shares) > 2 else [])


def _clipped_together(book: Book, shares: list[Share]) -> list[str]:
    limit, norm = _short(shares[0].other), _short(shares[0].size)
    return [f"clipping is active: global_clipnorm {limit} cuts the norm {norm} of the whole gradient"]


def _clipped_values(book: Book, shares: list[Share]) -> list[str]:
    largest = max(each.size for each in shares)
    return [f"clipping is active in {_of(shares)}: clipvalue {_short(shares[0].other)}, the largest was {_short(largest)}"]


def _against(book: Book, shares: list[Share]) -> list[str]:
    said = []
    for each in shares[:2]:
        balance = "the two all but cancel"
        if abs(each.size) < 20:
            balance = f"momentum is {each.size:+.0%} of the update, the gradient {1 - each.size:+.0%}"
        said.append(f"momentum works against the gradient in {_of([each])}: {balance}")
    return said + ([f"and so it does in {len(shares) - 2} more parameters"] if len(shares) > 2 else [])


def _corrected(book: Book, shares: list[Share]) -> list[str]:
    changed = [each.size for each in shares if np.isfinite(each.size) and abs(each.size - 1) > CORRECTED]
    if not changed:
        return []
    least, most = min(changed), max(changed)
    low, high = saying.number(least, 3), saying.number(most, 3)
    factor = high if most - least < 0.005 * most else f"{low} to {high}"
    return [f"bias correction still multiplies the step by {factor} (the optimizer's update {book.made + 1})"]


def _epsilon(book: Book, shares: list[Share]) -> list[str]:
    most = max(each.size for each in shares)
    return [f"epsilon dominates the denominator of {_of(shares)}: it is up to {most:.0%} of it"]


def _overwritten(book: Book, shares: list[Share]) -> list[str]:
    return [f"the average takes the place of the parameters, as at every {int(shares[0].size)} updates"]


_OF_ALL = ("global_clipnorm", "not finite")
"""Kinds that are about all parameters, whichever of them is shown."""
_SAID: Mapping[str, Callable[[Book, list[Share]], list[str]]] = {
    "not finite": _not_finite,
    "clipnorm": _clipped,
    "global_clipnorm": _clipped_together,
    "clipvalue": _clipped_values,
    "against": _against,
    "epsilon": _epsilon,
    "correction": _corrected,
    "overwritten": _overwritten,
}
