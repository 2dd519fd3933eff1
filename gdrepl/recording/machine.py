"""What of a machine the last bits of a result depend on."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

_FACTS = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")


def machine() -> dict[str, str]:
    """The instruction set's name, and the processor: libraries choose their kernels and block sizes by it."""
    return {"platform": platform.machine(), "processor": _processor()}


@functools.cache
def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Vendor, family and model, without the marketing name, which virtual machines make up."""
    try:
        first, _, _ = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")
    except OSError:  # not Linux
        return platform.processor()
    facts = dict(line.split(":", 1) for line in first.splitlines() if ":" in line)
    named = {name.strip(): value.strip() for name, value in facts.items()}
    return " ".join(named[fact] for fact in _FACTS if fact in named) or platform.processor()
