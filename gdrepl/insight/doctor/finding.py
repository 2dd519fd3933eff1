"""What the doctor finds: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gdrepl.engine.snapshot import OPTIONAL, SAID
from gdrepl.insight.saying import number

SEVERE, WARNING, NOTE, GOOD = "severe", "warning", "note", "good"
SEVERITIES = (SEVERE, WARNING, NOTE, GOOD)
"""Severe: the run is lost or gets nowhere as it is. Warning: it costs much. Note: worth knowing. Good: as it should be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is true here.

    Attributes:
        name: what it is called, such as rate-too-high.
        severity: one of SEVERITIES.
        evidence: one sentence with the number that decides.
        next: the command that looks deeper.
        numbers: name -> number, those that the evidence tells.
    """

    name: str
    severity: str
    evidence: str = field(metadata=SAID)
    next: str = field(metadata=SAID)
    numbers: Mapping[str, float] = field(default_factory=dict, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` returns: the findings, a cause before its symptoms, and the step that they are about."""

    findings: tuple[Finding, ...]
    step: int


def said(value: float, digits: int = 3) -> str:
    """A number as a sentence has it, in so many digits."""
    return number(value, digits)
