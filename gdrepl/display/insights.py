"""The views of what insight finds, by result class; and the charts that stand below some of them where there is room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gdrepl.commands.results import Phased
from gdrepl.display import checking, curvature, doctored, examining, explained, frames, phases, rate_range, slices, why
from gdrepl.display.style import Style
from gdrepl.display.text import Line
from gdrepl.insight import backtrace
from gdrepl.insight.cause import Why
from gdrepl.insight.chart import Chart
from gdrepl.insight.curvature import Hessian
from gdrepl.insight.doctor.finding import Diagnosis
from gdrepl.insight.examine import Examined
from gdrepl.insight.explain import Explained
from gdrepl.insight.gradient_check import GradientCheck
from gdrepl.insight.rate_range import LearningRateRange
from gdrepl.insight.slicing import Sliced
from gdrepl.insight.stability import RateLimit


@dataclass(frozen=True, slots=True)
class Below:
    """A chart below the lines of a result.

    Attributes:
        chart: the chart of a result; None where nothing can be drawn.
        least_width, least_rows: cells and rows without which the lines stand alone.
    """

    chart: Callable[[Any], Chart | None]
    least_width: int
    least_rows: int


VIEWS: Mapping[type, Callable[[Any, Style], list[Line]]] = {
    Hessian: curvature.hessian,
    RateLimit: curvature.limit,
    Phased: phases.phased,
    Explained: explained.explained,
    LearningRateRange: rate_range.rate_range_lines,
    Sliced: slices.sliced,
    backtrace.Backtrace: frames.backtrace,
    backtrace.Frame: frames.frame,
    backtrace.Listing: frames.listing,
    Why: why.why,
    Examined: examining.examined,
    GradientCheck: checking.checked,
    Diagnosis: doctored.diagnosis,
}
CHARTS: Mapping[type, Below] = {
    Hessian: Below(curvature.hessian_chart, least_width=50, least_rows=8),
    LearningRateRange: Below(rate_range.rate_range_chart, least_width=30, least_rows=8),
    Sliced: Below(slices.slice_chart, least_width=30, least_rows=8),
}
