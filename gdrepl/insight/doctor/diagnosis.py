"""The checks in order, and what they come to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.insight.doctor import landscape, rates, signals, values
from gdrepl.insight.doctor.finding import SEVERE, SEVERITIES, WARNING, Diagnosis, Finding
from gdrepl.insight.doctor.seen import Seen, look

Check = Callable[[Seen], Finding | None]

CAUSES: tuple[Check, ...] = (
    landscape.unbounded_loss,
    values.exploding_exponent,
    values.log_domain,
    values.other_domain,
    signals.dead_relu,
    signals.no_gradient,
    signals.saturation,
    landscape.saddle,
    rates.rate_is_zero,
    rates.momentum_too_high,
    rates.rate_too_high,
    rates.epsilon_too_large,
    rates.lost_in_rounding,
    rates.rate_too_low,
    landscape.ravine,
)
"""Of two that are true, the one that brings the other about comes first: a turned sign before the overflow that it ends in, a
unit that is off before the plateau, an epsilon before the small updates that it makes."""
CONSEQUENCES: tuple[Check, ...] = (values.overflow, values.non_finite, signals.vanishing, rates.clipping, rates.decay)
"""What is told beside a cause, or without one."""
UNEXPLAINED: tuple[Check, ...] = (landscape.divergence, landscape.plateau)
"""What is told only where no cause was found."""
WELL: tuple[Check, ...] = (landscape.converged, landscape.healthy)
"""What is told where nothing is wrong."""
MOST = 6
"""Findings that are told: more would not be one screen, nor help."""


def diagnose(debugger: Debugger) -> Diagnosis:
    """What is going well or wrong where the debugger stands; it is left as it is, to the bit."""
    with np.errstate(all="ignore"):
        seen = look(debugger)
        found = _made(CAUSES, seen)
        found += [*_made(CONSEQUENCES, seen), *([] if _in_trouble(found) else _made(UNEXPLAINED, seen))]
        found += [] if _in_trouble(found) else _made(WELL, seen)
    order = sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(tuple(order[:MOST]), debugger.step)


def _in_trouble(found: list[Finding]) -> bool:
    return any(finding.severity in (SEVERE, WARNING) for finding in found)


def _made(checks: tuple[Check, ...], seen: Seen) -> list[Finding]:
    return [finding for check in checks if (finding := check(seen)) is not None]
