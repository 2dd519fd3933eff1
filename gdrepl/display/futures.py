"""What if: the futures as a table, and their losses as a chart."""

from __future__ import annotations

import numpy as np

from gdrepl.commands.results import Variant, WhatIf
from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table, without_columns
from gdrepl.insight.chart import Chart, Series, spans_decades

MOST_DRAWN = 8
_FAR = 1e3
"""Losses above so many times the largest one that a future began with are not drawn: they would flatten all others."""


def futures(result: WhatIf, style: Style) -> list[Line]:
    """A line for each future, the one with the least loss at its end in bold.

    On a narrow screen the loss to get to goes first, then the steps, then the branch, whose name is that of the future; where
    label, outcome and loss still do not fit side by side, each future takes two lines.
    """
    digits = min(style.precision, 5)
    header = ["", "outcome", "steps", "final loss"]
    header += [f"to {numbers.show(result.target, 3)}"] if result.target is not None else []
    header += ["branch"] if any(variant.branch for variant in result.variants) else []
    best = _best(result)
    rows: list[list[Span]] = [[(word, "dim") for word in header]]
    for variant in result.variants:
        cells = [variant.label, _outcome(variant), str(variant.steps), numbers.show(variant.final_loss, digits)]
        cells += ["-" if variant.to_loss is None else str(variant.to_loss)] if result.target is not None else []
        cells += [variant.branch] if "branch" in header else []
        rows.append([(cell, "bold" if variant is best else "") for cell in cells])
    less = [header.index(word) for word in (*header[4:5], "steps", "branch") if word in header]
    rows, fit = without_columns(rows, style, drop=less, shrink=[0])
    title = f"from step {result.step}, loss {numbers.show(result.loss, style.precision)}:"
    return [*prose(title, style, then="  "), *(table(rows, style, shrink=[0]) if fit else _stacked(result, style, best))]


def _stacked(result: WhatIf, style: Style, best: Variant | None) -> list[Line]:
    """Two lines for each future: what was tried, and below it how that ended."""
    lines: list[Line] = []
    for variant in result.variants:
        role = "bold" if variant is best else ""
        ended = f"{_outcome(variant)}, loss {numbers.show(variant.final_loss, style.column_digits)}"
        lines += prose(variant.label, style, role, first="  ", then="  ")
        lines += prose(ended, style, role, first="    ", then="    ")
    return lines


def futures_chart(result: WhatIf) -> Chart | None:
    """The losses over the steps; None where none of them can be drawn."""
    drawn = result.variants[:MOST_DRAWN]
    begun = [float(variant.curve_losses[0]) for variant in drawn]
    far = max((_FAR * abs(loss) for loss in begun if np.isfinite(loss)), default=np.inf) or np.inf
    losses = [np.asarray(variant.curve_losses, np.float64) for variant in drawn]
    near = [np.where(each <= far, each, np.nan) for each in losses]
    seen = np.concatenate(near)
    seen = seen[np.isfinite(seen)]
    if not len(seen):
        return None
    hidden = any(bool(np.any(np.isfinite(each) & (each > far))) for each in losses)
    notes = [f"losses above {numbers.show(far, 3)} are not drawn"] if hidden else []
    notes += [f"the first {MOST_DRAWN} of {len(result.variants)} are drawn"] if len(result.variants) > MOST_DRAWN else []
    series = tuple(Series(variant.label, variant.curve_steps, each, sampled=True) for variant, each in zip(drawn, near))
    return Chart("", "step", "loss", series, spans_decades(seen), ", ".join(notes))


def _best(result: WhatIf) -> Variant | None:
    finite = [variant for variant in result.variants if np.isfinite(variant.final_loss)]
    return min(finite, key=lambda variant: float(variant.final_loss), default=None)


def _outcome(variant: Variant) -> str:
    return variant.outcome if variant.diverged_at is None else f"{variant.outcome} at {variant.diverged_at}"
