"""Why a parameter moved as it did: an update term by term, computed again from the state before, and held to what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.live_optimizer import SlotName
from gdrepl.engine.segment import Segment
from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, Snapshot, frozen
from gdrepl.insight.account import MOST_ULPS, Account, account
from gdrepl.insight.coordinates import Selection, chosen_places, labels
from gdrepl.insight.rounding import Rounded
from gdrepl.insight.rules import OF_MAX, RULES, Rule
from gdrepl.insight.sheet import Book, UpdateTerm
from gdrepl.insight.standing_out import notes_of
from gdrepl.insight.whole_update import applied, computed, slots_after

PARAMETER = "parameter"
"""The term that a parameter itself is: before the update, and after it."""
_NOWHERE = np.empty(0, np.int64)
Slots = Mapping[SlotName, Array]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One update, term by term.

    Attributes:
        step: the step that the update leads from; it uses the gradient there, and leads to the next one.
        optimizer: as it was in force.
        terms: what all parameters share, then those of each parameter in the order of the computation; last its value.
        worst_ulps: how far the terms, computed in the problem's dtype, come out from what happened, in units in the last
            place: the worst number of all parameters and slots. None where the terms are not known.
        notes: what stands out.
        accounts: whether the explanation comes to what happened: each number within 4 ULPs, or within what rounding may do.
        known: whether the terms of this optimizer are known.
        coming: whether it is the next one from where we stand, or nobody has made it yet.
        applied: False where the gradient was only gathered.
        coordinates: parameter -> the numbers that are shown, in the order of the values.
        numbers: how many numbers all parameters have, or the one that was asked for.
        loss: before and after the update.
        worst_ulps_float64: the same, computed in float64.
        bounded: whether rounding in the problem's dtype explains that, number by number, where it is more than 4.
        worst: where the worst error is, such as `velocity of W[0, 3]`.
        tolerance_ulps: what rounding may do there, where that is more than 4 ULPs and was needed.
        responsible: the term that makes it more.
        selected: whether the numbers were asked for by an index, so that all of them are wanted.
        dtype: of the problem.
        formulas: the computation in plain text, a line each.
    """

    step: int
    optimizer: str
    terms: tuple[UpdateTerm, ...]
    worst_ulps: float | None = field(metadata=SAID)
    notes: tuple[str, ...] = field(metadata=SAID)
    accounts: bool
    known: bool
    coming: bool
    applied: bool
    coordinates: Mapping[str, tuple[str, ...]]
    numbers: int
    loss: tuple[Array, Array]
    dtype: str
    formulas: tuple[str, ...] = field(metadata=SAID)
    worst_ulps_float64: float | None = field(default=None, metadata=SAID)
    bounded: bool = field(default=False, metadata=SAID)
    worst: str = field(default="", metadata={**OPTIONAL, **SAID})
    tolerance_ulps: float | None = field(default=None, metadata={**OPTIONAL, **SAID})
    responsible: str = field(default="", metadata={**OPTIONAL, **SAID})
    selected: bool = field(default=False, metadata={**OPTIONAL, **SAID})


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """One update of the timeline, or the one that comes.

    Attributes:
        segment: what made it.
        before, after: the states around it.
        coming: whether it is the next one from where we stand, or was made aside.
        edited: whether its arrival was edited since.
    """

    segment: Segment
    before: Snapshot
    after: Snapshot
    coming: bool = False
    edited: bool = False


def last_update(debugger: Debugger) -> Update:
    """The update that led to where we stand; at the first step, the coming one."""
    here = debugger.step
    arrived = debugger.arrived()
    if here == arrived.start:
        return next_update(debugger)
    segment = arrived.stretches[-1].segment
    before, after = debugger.past.reach(segment, here - 1), debugger.past.reach(segment, here)
    return Update(segment, before, after, edited=segment is not debugger.segment and not after.same_as(debugger.snapshot()))


def next_update(debugger: Debugger) -> Update:
    """The update that comes next, from where we stand, before or after an edit of this step."""
    return _from(debugger, debugger.segment, debugger.snapshot(), debugger.segment.last)


def update_from(debugger: Debugger, step: int) -> Update:
    """The update that leads from `step` of the branch in force; from its end, the one that would come.

    Raises:
        CommandError: the branch has no such step.
    """
    branch = debugger.branch.holding(step)
    stretch = branch.stretches[branch.index_of(step)]
    return _from(debugger, stretch.segment, debugger.past.reach(stretch.segment, step), stretch.last)


def _from(debugger: Debugger, segment: Segment, before: Snapshot, last: int) -> Update:
    """What is recorded is read, and else the program makes one update more, which nobody keeps."""
    if before.step < last:
        return Update(segment, before, debugger.past.reach(segment, before.step + 1), coming=before.step == debugger.step)
    return Update(segment, before, debugger.past.beyond(segment, before), coming=True)


def explain(debugger: Debugger, update: Update, wanted: Selection | None = None) -> Explained:
    """An update term by term; of the parameters that have many numbers, those that moved most, or those that are wanted."""
    before = update.before
    slots, arrived = (debugger.past.slots(update.segment, each) for each in (before, update.after))
    places = chosen_places(before, update.after, wanted)
    spec = update.segment.recipe.spec
    book = Book(before, slots, spec, {name: places.get(name, _NOWHERE) for name in before.parameters})
    told = list(before.parameters if wanted is None else places)
    bare = _bare(update, book, arrived, places, told)
    bare = replace(bare, selected=wanted is not None and not wanted.whole)
    rule = RULES.get(spec.name)
    if rule is None:
        said = f"the terms of {spec.name} are not known: these are its slots before and after, and the update"
        return replace(bare, notes=(said, *bare.notes))
    return _explained(bare, update, book, rule, arrived, places, told)


def _bare(update: Update, book: Book, arrived: Slots, places: Mapping[str, Array], told: Sequence[str]) -> Explained:
    """What can be said of any optimizer: the gradient, its slots, and the update."""
    before, after, recipe = update.before, update.after, update.segment.recipe
    return Explained(
        step=before.step,
        optimizer=recipe.spec.text(),
        terms=(*_shared_slots(book.slots, arrived), *_bare_terms(before, after, book.slots, arrived, places)),
        worst_ulps=None,
        notes=("the state was edited since: this is the update that led here",) if update.edited else (),
        accounts=False,
        known=False,
        coming=update.coming,
        applied=applied(book),
        coordinates={name: labels(name, before.parameters[name].shape, chosen) for name, chosen in places.items()},
        numbers=sum(before.parameters[name].size for name in told),
        loss=(before.loss, after.loss),
        dtype=recipe.problem.dtype,
        formulas=(),
    )


def _explained(
    bare: Explained,
    update: Update,
    book: Book,
    rule: Rule,
    arrived: Slots,
    places: Mapping[str, Array],
    told: Sequence[str],
) -> Explained:
    """The terms in place of what is said of any optimizer, and how well they account for what happened."""
    before, after = update.before, update.after
    parameters = computed(book, rule)
    held = account(parameters, after.parameters, slots_after(book), arrived)
    asks = held.tolerance > MOST_ULPS
    return replace(
        bare,
        terms=_true_terms(book, parameters, before, after, arrived, places),
        worst_ulps=held.worst,
        notes=(*notes_of(book, after, bare.applied, told), *_dropped(book, arrived), *_reasons(book, held), *bare.notes),
        accounts=held.accounts,
        known=True,
        formulas=tuple(book.formulas),
        worst_ulps_float64=held.worst_float64,
        bounded=held.bounded,
        worst=held.where(before) if held.worst else "",
        tolerance_ulps=held.tolerance if asks else None,
        responsible=_responsible(held, update, book, rule) if asks else "",
    )


def _responsible(held: Account, update: Update, book: Book, rule: Rule) -> str:
    """The term to blame for what rounding may do at the worst number: all is computed once more, and measured there."""
    there = {name: np.asarray([held.place]) if name == held.parameter else _NOWHERE for name in update.before.parameters}
    measured = Book(update.before, book.slots, update.segment.recipe.spec, there, measured=True)
    computed(measured, rule)
    return held.responsible(measured)


def _dropped(book: Book, arrived: Slots) -> tuple[str, ...]:
    """Where a NaN was dropped: in NumPy, as in TensorFlow outside of XLA, the greater of a number and NaN is NaN."""
    for name in book.after:
        if name.slot in OF_MAX and bool(np.any(np.isnan(book.after[name].native) & ~np.isnan(arrived[name]))):
            return (f"a NaN was dropped from {name.slot.replace('_', ' ')} of {name.parameter}, as XLA's max does",)
    return ()


def _reasons(book: Book, held: Account) -> tuple[str, ...]:
    """Why an explanation that does not come to what happened may be off: what processors and XLA do to numbers."""
    if held.accounts:
        return ()
    least = float(np.finfo(book.dtype).tiny)
    known = [*book.before.parameters.values(), *book.before.gradient.values(), *(term.value for term in book.terms)]
    found = []
    if any(bool(np.any((each != 0) & (np.abs(each) < least))) for each in known):
        found.append(f"numbers below {least:.2g}, the least normal {book.dtype.name}, occur here: TensorFlow takes them for 0")
    if book.is_set("clipvalue") and any(bool(np.isnan(each).any()) for each in book.before.gradient.values()):
        found.append("the gradient has NaN, which the min and max of XLA drop when they clip it")
    return tuple(found)


def _true_terms(
    book: Book,
    parameters: Mapping[str, Rounded],
    before: Snapshot,
    after: Snapshot,
    arrived: Slots,
    places: Mapping[str, Array],
) -> tuple[UpdateTerm, ...]:
    """The terms, slots as they truly came out, and the parameters; what all share comes first."""
    shared = [term for term in book.terms if not term.parameter]
    terms = [_true(term, arrived.get(SlotName(term.name, None))) for term in shared]
    for name, chosen in places.items():
        for term in book.terms:
            if term.parameter == name:
                slot = arrived.get(SlotName(term.name, name)) if term.before is not None else None
                terms.append(_true(term, None if slot is None else _taken(slot, chosen)))
        moved = _moved(name, before.parameters[name], after.parameters[name], chosen)
        again = _taken(np.broadcast_to(parameters[name].native, before.parameters[name].shape), chosen)
        terms.append(moved if again.tobytes() == moved.value.tobytes() else replace(moved, recomputed=again))
    return tuple(terms)


def _true(term: UpdateTerm, actual: Array | None) -> UpdateTerm:
    if actual is None or actual.tobytes() == term.value.tobytes():
        return term
    return replace(term, value=actual, recomputed=term.value)


def _taken(array: Array, chosen: Array) -> Array:
    return frozen(array.reshape(-1)[chosen] if array.shape else array)


def _moved(name: str, before: Array, after: Array, chosen: Array) -> UpdateTerm:
    return UpdateTerm(PARAMETER, _taken(after, chosen), name, _taken(before, chosen))


def _shared_slots(slots: Slots, arrived: Slots) -> list[UpdateTerm]:
    """The slots that belong to no one parameter."""
    return [
        UpdateTerm(name.slot, frozen(arrived[name]), "", value)
        for name, value in slots.items()
        if name.parameter is None and name.slot != "iteration" and value.size == 1
    ]


def _bare_terms(
    before: Snapshot, after: Snapshot, slots: Slots, arrived: Slots, places: Mapping[str, Array]
) -> list[UpdateTerm]:
    """What is known of any optimizer: the gradient, the slots that are shaped like their parameter, and the parameter."""
    terms = []
    for name, chosen in places.items():
        value = before.parameters[name]
        terms.append(UpdateTerm("gradient", _taken(before.gradient[name], chosen), name))
        for slot, was in slots.items():
            if slot.parameter == name and was.shape == value.shape:
                terms.append(UpdateTerm(slot.slot, _taken(arrived[slot], chosen), name, _taken(was, chosen)))
        with np.errstate(all="ignore"):
            terms.append(UpdateTerm("update", _taken(np.asarray(after.parameters[name] - value), chosen), name))
        terms.append(_moved(name, value, after.parameters[name], chosen))
    return terms
