"""Contour lines of a grid of losses, by contourpy, as outlines for a chart."""

from __future__ import annotations

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.insight.chart import spans_decades

MOST_LEVELS = 6


def levels(losses: Array) -> list[float]:
    """Up to six levels for losses of any shape, at least one of them finite: of few digits, lowest first.

    Evenly spaced between the lowest and the highest loss, by their logarithms where they span decades.
    """
    finite = losses[np.isfinite(losses)].astype(np.float64)
    if not len(finite):
        return []
    low, high = float(finite.min()), float(finite.max())
    if spans_decades(finite):
        low = float(np.quantile(finite[finite > 0], 0.01))
        wanted = np.geomspace(low, high, MOST_LEVELS + 2)[1:-1]
    else:
        wanted = low + (high - low) * np.arange(1, MOST_LEVELS + 1) / (MOST_LEVELS + 1)
    for digits in range(2, 17):
        rounded = [float(f"{level:.{digits - 1}e}") for level in wanted]
        kept = sorted({level for level in rounded if low < level < high})
        if len(kept) == len(wanted) or digits == 16:
            return kept
    return []


def outline(across: Array, up: Array, losses: Array, level: float) -> tuple[Array, Array]:
    """The contour of a level: x and y, each shape (n,), its lines one after the other with NaN between them.

    Args:
        across, up: shapes (m,) and (k,), rising: the coordinates of the columns and rows.
        losses: shape (k, m); what is not finite is left out.
    """
    import contourpy

    values = np.ma.masked_invalid(losses.astype(np.float64))
    lines = contourpy.contour_generator(across, up, values, name="serial").lines(level)
    gap = np.full((1, 2), np.nan)
    joined = [part for line in lines for part in (np.asarray(line, np.float64), gap)][:-1]
    whole = np.concatenate(joined) if joined else np.empty((0, 2))
    return whole[:, 0], whole[:, 1]
