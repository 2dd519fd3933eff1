"""The processor's name, read as Linux tells it."""

from __future__ import annotations

from pathlib import Path

from gdrepl.recording.machine import _processor, machine

X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC 9R14: 96-Core
flags\t\t: fpu vme

processor\t: 1
vendor_id\t: Other
"""
ARM = """processor\t: 0
BogoMIPS\t: 243.75
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


def test_it_is_vendor_family_and_model_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "x86").write_text(X86, encoding="utf-8")
    assert _processor(tmp_path / "x86") == "AuthenticAMD 25 17"
    (tmp_path / "arm").write_text(ARM, encoding="utf-8")
    assert _processor(tmp_path / "arm") == "0x41 0xd40"


def test_without_linux_it_is_what_python_knows(tmp_path: Path) -> None:
    assert isinstance(_processor(tmp_path / "nothing"), str)
    assert set(machine()) == {"platform", "processor"}
