"""A learning-rate range test: the suggested rates, and the loss over the rate."""

from __future__ import annotations

import numpy as np

from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table
from gdrepl.engine.snapshot import Array
from gdrepl.insight import rate_range
from gdrepl.insight.chart import Chart, Series, spans_decades
from gdrepl.insight.rate_range import LearningRateRange

_RATE_DIGITS = 2
"""Digits of a rate: neighbours differ by a sixth, and nobody needs more."""
_LOSS_DIGITS = 4


_FOUND = (("min/10", "suggested", 2), ("steepest", "steepest", 1), ("lowest", "lowest", 3))
"""The marks of the chart: label, member, marker; what is drawn last lies on top."""


def rate(value: float | Array) -> str:
    """A rate in two digits, as one would type it."""
    return numbers.show(float(f"{float(value):.{_RATE_DIGITS - 1}e}"), _RATE_DIGITS)


def rate_range_lines(result: LearningRateRange, style: Style) -> list[Line]:
    """The test in one line, then each rate that it found, with its reason."""
    updates = f"{result.updates} updates" if result.updates > 1 else "one update"
    many, first = len(result.rates), rate(result.rates[0])
    tried = f"{many} rates from {first} to {rate(result.rates[-1])}" if many > 1 else f"the rate {first} alone"
    title = f"from step {result.step}, loss {numbers.show(result.loss, style.precision)}: {tried}"
    title += f", {updates} of {result.optimizer}{' each' if many > 1 else ''}"
    rows: list[list[Span]] = [[(name, "dim"), (number, "bold"), (why, "")] for name, number, why in _rates(result)]
    lines = prose(title, style, then="  ")
    lines += table(rows, style, wrapped=True)
    for text in (_verdict(result), _carried(result), *result.notes):
        lines += prose(text, style, first="  ", then="  ") if text else []
    return lines


def _rates(result: LearningRateRange) -> list[tuple[str, str, str]]:
    """Name, rate and reason of what was found, and the rate in force."""
    found = []
    if result.steepest is not None:
        number = rate(result.steepest)
        found.append(("steepest", number, f"the loss falls fastest there: set lr {number}"))
    if result.suggested is not None and result.lowest is not None:
        number, low = rate(result.suggested), numbers.show(result.losses[: result.kept].min(), _LOSS_DIGITS)
        found.append(("min/10", number, f"the lowest loss, {low}, is at rate {rate(result.lowest)}: set lr {number}"))
    if result.diverged_at is not None:
        found.append(("diverged", rate(result.diverged_at), f"where the loss is {_ended(result)}"))
    found.append(("lr here", rate(result.learning_rate), "in force, and unchanged"))
    return found


def _ended(result: LearningRateRange) -> str:
    last = result.losses[-1]
    if not np.isfinite(last):
        return str(last)
    shown = numbers.show(last, _LOSS_DIGITS)
    lowest = min([float(result.loss), *result.losses[:-1].astype(np.float64)])
    grown = float(last) > rate_range.GROWN.limit(lowest)
    return f"{shown}, above four times the lowest" if grown else f"{shown}, and its gradient not finite"


def _verdict(result: LearningRateRange) -> str:
    """What keeps the test from suggesting, with what to type instead."""
    low, high = float(result.rates[0]), float(result.rates[-1])
    match result.verdict:
        case rate_range.FALLING:
            return f"the loss still falls at the largest rate: lrfind {rate(high / 100)} {rate(high * 100)} tries larger ones"
        case rate_range.NO_FLOOR:
            return (
                "nothing can be suggested: the loss falls faster and faster below zero, and may have no floor; check its sign"
            )
        case rate_range.FLAT:
            larger = f"lrfind {rate(high)} {rate(high * 1e6)} tries larger rates"
            return f"nothing can be suggested: the loss hardly falls; {larger}, hessian tells whether this is a minimum"
        case rate_range.RISING:
            return f"nothing can be suggested: no rate led below the loss here{_instead(result, low)}"
    return ""


def _instead(result: LearningRateRange, low: float) -> str:
    """What to look at where no rate led downwards."""
    if result.carried is not None:
        return ""
    first = float(result.loss)
    if float(result.losses[0]) - first > rate_range.FLAT_FALL * abs(first):
        return f"; lrfind {rate(low / 1e6)} {rate(low)} tries smaller rates"
    return ", and small ones led nowhere; hessian tells whether this is a minimum"


def _carried(result: LearningRateRange) -> str:
    """That what moves the loss is not the rate alone."""
    if result.carried is None:
        return ""
    led = (
        f"the momentum gathered here leads to {numbers.show(result.carried, _LOSS_DIGITS)} with a rate of next to nothing, too"
    )
    return f"{led}: set optimizer makes its slots new, then lrfind sees the rates alone"


def rate_range_chart(result: LearningRateRange) -> Chart | None:
    """The losses over the rate, with what was found; None where fewer than two losses are finite.

    A loss that rises far above the first would flatten all others: it is left out.
    """
    rates, losses = (each.astype(np.float64) for each in (result.rates, result.losses))
    finite = losses[np.isfinite(losses)]
    if len(finite) < 2:
        return None
    most = _most(float(result.loss), float(finite.min()))
    leaves_out = finite.min() <= most < finite.max()
    near = np.where(losses <= most, losses, np.nan) if leaves_out else losses
    series = [Series("loss", rates, near, "line", "green", sampled=True)]
    for label, rate_found, marker in _FOUND:
        place = _place(rates, getattr(result, rate_found))
        if place is not None:
            series.append(Series(label, rates[place], near[place], "points", "red", marker))
    note = f"losses above {numbers.show(most, 3)} are not drawn" if leaves_out else ""
    return Chart("", "learning rate", "loss", tuple(series), spans_decades(near[np.isfinite(near)]), note, log_x=True)


def _most(first: float, lowest: float) -> float:
    """The largest loss that is drawn: half the fall above the first, or half its size where nothing fell."""
    return first + 0.5 * (first - lowest if lowest < first else abs(first) or 1.0)


def _place(rates: Array, found: float | None) -> slice | None:
    """The rate tried that is nearest to the one found; None where that lies outside of them."""
    if found is None or not rates[0] <= found * (1 + 1e-6) or found > rates[-1] * (1 + 1e-6):
        return None
    nearest = int(np.argmin(np.abs(np.log(rates / found))))
    return slice(nearest, nearest + 1)
