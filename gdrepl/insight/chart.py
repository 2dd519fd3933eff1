"""Chart data: what a chart shows, in NumPy alone. How it is drawn is the business of `gdrepl.display.charts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STYLES = ("line", "points", "outline")
# The terminal's own sixteen colours, so that a chart follows the user's theme; "+" is the bright one.
HUES = ("red", "green", "orange", "blue", "magenta", "cyan", "gray")
_LOG_FROM = 100.0
COLORS = ("", "black", "white", "yellow", *HUES, *(f"{hue}+" for hue in HUES))


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One line, or one set of points, of a chart.

    Attributes:
        label: its name in the legend; "" leaves it out of the legend.
        x: shape (n,), real numbers, in the unit of the x axis; need not be sorted.
        y: shape (n,), real numbers, in the unit of the y axis. NaN and Inf, in x or y, are gaps: they are not drawn.
        style: "line" joins neighbours in the order given, "points" draws a marker at each; "outline" is a line that turns back
            and goes in pieces, of no more than some thousand points, all of which are drawn.
        color: one of COLORS; "" takes the next of a colour cycle.
        marker: which of the markers of points, from 0; -1 takes the next.
        sampled: True when the points were chosen for the drawing alone: those that cannot be drawn are then not counted.

    Raises:
        ValueError: x and y differ in length, are not one-dimensional or not real numbers; style or color is unknown.
    """

    label: str
    x: NDArray[Any]
    y: NDArray[Any]
    style: str = "line"
    color: str = ""
    marker: int = -1
    sampled: bool = False

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            array = np.asarray(getattr(self, name))
            # can_cast lets in bfloat16, which NumPy knows only as a void type.
            real = array.dtype.kind in "biuf" or np.can_cast(array.dtype, np.float64)
            if array.ndim != 1 or (array.size and not real):
                raise ValueError(f"{name} must be a one-dimensional array of real numbers, not {array.dtype} of {array.shape}")
            object.__setattr__(self, name, array)
        if self.x.shape != self.y.shape:
            raise ValueError(f"x and y differ in length: {self.x.size} and {self.y.size}")
        if self.style not in STYLES:
            raise ValueError(f"unknown style {self.style!r}: one of {', '.join(STYLES)}")
        if self.color not in COLORS:
            raise ValueError(f"unknown color {self.color!r}: one of {', '.join(COLORS[1:])}")


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """What `plot` returns: series over two named axes.

    Attributes:
        title: one line; "" for none.
        x_label, y_label: names of the axes, with their unit where there is one.
        series: drawn in this order, lines before points; may be empty.
        log: whether the y axis is logarithmic (base 10); values <= 0 are then not drawn.
        note: one line under the chart, of what is not in it; "" for none.
        log_x: the same as `log` for the x axis.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log: bool = False
    note: str = ""
    log_x: bool = False


def spans_decades(values: NDArray[Any]) -> bool:
    """Whether a log axis shows finite values, shape (n,) with n > 0, better than a plain one.

    They do when none is negative and the largest is more than a hundred times the least that is not zero: a log axis leaves
    out a loss of exactly zero, which float32 comes to.
    """
    positive = values[values > 0]
    return bool(values.min() >= 0 and len(positive) and values.max() / _LOG_FROM > positive.min())
