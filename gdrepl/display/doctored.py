"""What the doctor found: a line that sums it up, and for each finding its name, where to look next, and the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, width_of
from gdrepl.insight.doctor.finding import GOOD, NOTE, SEVERE, WARNING, Diagnosis, Finding

_ROLES: Mapping[str, str] = {SEVERE: "error", WARNING: "bold", NOTE: "", GOOD: ""}
_INDENT = "  "


def diagnosis(result: Diagnosis, style: Style) -> list[Line]:
    """One screen: at most four lines for a finding at 80 cells."""
    lines = prose(f"at step {result.step}: {_summary(result)}", style, then=_INDENT)
    for finding in result.findings:
        lines += [*_head(finding, style), *prose(finding.evidence, style, first=_INDENT * 2, then=_INDENT * 2)]
    return lines


def _head(finding: Finding, style: Style) -> list[Line]:
    """`severe rate-too-high -> info lr`, in two lines where that does not fit."""
    name: list[Span] = [(_INDENT, ""), (f"{finding.severity}  ", "dim"), (finding.name, _ROLES.get(finding.severity, ""))]
    deeper = f"{style.arrow} {finding.next}"
    if width_of(name) + 3 + len(deeper) <= style.width:
        return [[*name, ("   ", ""), (deeper, "dim")]]
    return [name, *prose(deeper, style, "dim", first=_INDENT * 2, then=_INDENT * 3)]


def _summary(result: Diagnosis) -> str:
    counts = {each: sum(finding.severity == each for finding in result.findings) for each in (SEVERE, WARNING)}
    if counts[SEVERE] + counts[WARNING] > 1:
        return "in trouble, the cause before what comes of it"
    return "in trouble" if counts[SEVERE] else "could do better" if counts[WARNING] else "nothing is wrong"
