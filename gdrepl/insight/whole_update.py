"""A whole update of Keras in NumPy: what `apply` of keras/src/optimizers/base_optimizer.py does around an optimizer's rule.

In its order: the loss scale is taken out, gradients are gathered, clipped, parameters decay, the rule moves them, an average
follows them and may take their place.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gdrepl.engine.live_optimizer import SlotName
from gdrepl.insight.rounding import Rounded
from gdrepl.insight.rules import Rule
from gdrepl.insight.sheet import AVERAGE, GATHERED, GLOBAL_NORM, Book, Sheet


def computed(book: Book, rule: Rule) -> Mapping[str, Rounded]:
    """The parameters that the update leads to; the slots are in `book.after`."""
    with np.errstate(all="ignore"):
        sheets = {name: Sheet(book, name) for name in book.before.parameters}
        gradient = {name: _unscaled(sheet, book) for name, sheet in sheets.items()}
        if applied(book):
            _apply(book, rule, sheets, gradient)
        else:
            book.formula("gathered = gathered + g")
            for name, sheet in sheets.items():
                sheet.becomes(GATHERED, gradient[name] + sheet.slot(GATHERED))
        for sheet in sheets.values():
            _average(sheet, book)
    return {name: sheet.value for name, sheet in sheets.items()}


def applied(book: Book) -> bool:
    """Whether this update moves the parameters: where gradients are gathered, only every so manieth does."""
    steps = int(book.number("gradient_accumulation_steps"))
    return not steps or (book.iteration + 1) % steps == 0


def _unscaled(sheet: Sheet, book: Book) -> Rounded:
    """The gradient; where a loss scale is set, times the scale and divided by it, as `fit` and `apply` do."""
    gradient = sheet.term("gradient", book.constant(book.before.gradient[sheet.name]))
    if not book.is_set("loss_scale_factor"):
        return gradient
    scale = book.shared("loss scale", book.constant(book.number("loss_scale_factor")))
    book.formula("g = (g*scale)/scale")
    return sheet.held("scaled gradient", gradient * scale) / scale


def _apply(book: Book, rule: Rule, sheets: Mapping[str, Sheet], gradient: dict[str, Rounded]) -> None:
    steps = int(book.number("gradient_accumulation_steps"))
    if steps:
        book.formula(f"g = (g + gathered)/{steps}")
        for name, sheet in sheets.items():
            gradient[name] = sheet.term("mean gradient", (gradient[name] + sheet.slot(GATHERED)) / float(steps))
            sheet.becomes(GATHERED, book.constant(np.zeros(sheet.value.native.shape)))
    used = _clipped(book, sheets, gradient)
    for sheet in sheets.values():
        _decay(sheet, book)
    book.shared("lr", book.rate)
    rule.begin(book)
    for name, sheet in sheets.items():
        sheet.value = rule.step(sheet, used[name])


def _clipped(book: Book, sheets: Mapping[str, Sheet], gradient: Mapping[str, Rounded]) -> dict[str, Rounded]:
    if book.is_set("clipnorm"):
        book.formula("g = g*clipnorm/max(norm(g), clipnorm)")
        return {name: _by_norm(sheet, gradient[name], book.number("clipnorm")) for name, sheet in sheets.items()}
    if book.is_set("global_clipnorm"):
        return _by_global_norm(book, sheets, gradient)
    if book.is_set("clipvalue"):
        limit = book.number("clipvalue")
        book.formula("g = clip(g, -clipvalue, clipvalue)")
        for name, sheet in sheets.items():
            beyond = np.abs(gradient[name].exact) > limit
            sheet.share("clipvalue", beyond, float(np.max(np.abs(gradient[name].exact), initial=0.0)), limit)
        return {name: sheet.term("clipped gradient", gradient[name].clipped(limit)) for name, sheet in sheets.items()}
    return dict(gradient)


def _by_norm(sheet: Sheet, gradient: Rounded, limit: float) -> Rounded:
    """tf.clip_by_norm, of each parameter by itself."""
    squares = gradient.squared().total()
    norm = squares.sqrt() if squares.native > 0 else squares
    sheet.term("norm of gradient", norm)
    sheet.share("clipnorm", np.asarray(norm.exact > limit), float(norm.exact), limit)
    return sheet.term("clipped gradient", gradient * limit / norm.maximum(limit))


def _by_global_norm(book: Book, sheets: Mapping[str, Sheet], gradient: Mapping[str, Rounded]) -> dict[str, Rounded]:
    """`clip_by_global_norm` of base_optimizer.py: one scale for all parameters; a norm that is not finite makes it NaN."""
    limit = book.number("global_clipnorm")
    book.formula("g = g*clip*min(1/norm, 1/clip), clip = global_clipnorm, norm of all g")
    squares = book.constant(0.0)
    for each in gradient.values():
        squares = squares + each.squared().total()
    norm = book.shared(GLOBAL_NORM, squares.sqrt())
    scale = (1.0 / norm).minimum(1.0 / limit) * limit + (norm - norm if not np.isfinite(norm.native) else 0.0)
    first = next(iter(sheets.values()))
    first.share("global_clipnorm", np.asarray(norm.exact > limit), float(norm.exact), limit)
    return {name: sheet.term("clipped gradient", gradient[name] * scale) for name, sheet in sheets.items()}


def _decay(sheet: Sheet, book: Book) -> None:
    """Weight decay apart from the gradient (Loshchilov & Hutter 2017), with whatever optimizer."""
    value = book.options.get("weight_decay")
    if value is None:
        return
    book.formula("w = w - w*weight_decay*lr")
    lost = sheet.value * book.cast(value) * book.rate
    sheet.term("weight decay", -lost)
    sheet.value = sheet.value - lost


def _average(sheet: Sheet, book: Book) -> None:
    """The moving average of the parameter, which is updated by every update, and overwrites it at every so manieth."""
    if not book.is_set("use_ema"):
        return
    momentum = book.constant(book.number("ema_momentum") if book.made else 0.0)
    book.formula("average = k*average + (1 - k)*w" + ("" if book.made else " with k = 0 at first"))
    average = sheet.becomes(AVERAGE, momentum * sheet.slot(AVERAGE) + (1.0 - momentum) * sheet.value)
    every = int(book.number("ema_overwrite_frequency"))
    if every and (book.made + 1) % every == 0:
        sheet.share("overwritten", np.ones(sheet.value.exact.shape), float(every))
        sheet.value = average


def slots_after(book: Book) -> Mapping[SlotName, Rounded]:
    """Every float slot as the update leaves it; what it leaves alone is as it was."""
    kept = {name: book.constant(value) for name, value in book.slots.items() if value.dtype.kind == "f"}
    return {name: book.after.get(name, value) for name, value in kept.items()}
