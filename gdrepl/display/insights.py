"""The views of what insight finds, by result class; and the charts that stand below some of them where there is room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gdrepl.display import curvature, doctored
from gdrepl.display.style import Style
from gdrepl.display.text import Line
from gdrepl.insight.chart import Chart
from gdrepl.insight.curvature import Hessian
from gdrepl.insight.doctor.finding import Diagnosis
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
    Diagnosis: doctored.diagnosis,
    Hessian: curvature.hessian,
    RateLimit: curvature.limit,
}
CHARTS: Mapping[type, Below] = {
    Hessian: Below(curvature.hessian_chart, least_width=50, least_rows=8),
}
