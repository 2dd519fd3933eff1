"""The pytest plugin: a saved session is a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from driving import do, hill

COLLECT = """
import sys
import pytest
status = pytest.main(sys.argv[1:])
print("loaded:", *sorted({"tensorflow", "keras"} & set(sys.modules)))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's project: sessions under gdrepl_paths, one elsewhere, and a test of their own."""
    root = tmp_path_factory.mktemp("project")
    (root / "pytest.ini").write_text("[pytest]\ngdrepl_paths = sessions\ntestpaths = tests\n", encoding="utf-8")
    for name in ("sessions/deep", "elsewhere", "tests"):
        (root / name).mkdir(parents=True)
    (root / "tests" / "test_own.py").write_text("def test_own():\n    pass\n", encoding="utf-8")
    do(hill(engine="eager"), "step 3", "set lr 0.2", "step", f"save {root / 'sessions' / 'good.gds'}")
    text = (root / "sessions" / "good.gds").read_text(encoding="utf-8")
    (root / "sessions" / "deep" / "wrong.gds").write_text(text.replace("579.07605", "579.07606", 1), encoding="utf-8")
    (root / "elsewhere" / "torn.gds").write_text(text[:3000], encoding="utf-8")
    (root / "sessions" / "notes.txt").write_text("no session", encoding="utf-8")
    return root


def run_pytest(project: Path, *arguments: str, script: str = COLLECT) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-c", script, "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=project, check=False)


@pytest.fixture(scope="module")
def collected(project: Path) -> subprocess.CompletedProcess[str]:
    return run_pytest(project, "--collect-only", "-q")


@pytest.fixture(scope="module")
def ran(project: Path) -> subprocess.CompletedProcess[str]:
    return run_pytest(project, "sessions", "elsewhere/torn.gds", "-v")


def test_a_bare_pytest_collects_the_sessions_under_gdrepl_paths_and_no_others(collected):
    found = [line for line in collected.stdout.splitlines() if "::" in line]
    assert sorted(found) == ["sessions/deep/wrong.gds::replay", "sessions/good.gds::replay", "tests/test_own.py::test_own"]


def test_collecting_imports_no_tensorflow(collected):
    assert collected.stdout.splitlines()[-1] == "loaded:"


def test_a_file_named_on_the_command_line_is_collected_wherever_it_lies(ran):
    assert "elsewhere/torn.gds::replay FAILED" in ran.stdout


def test_a_session_that_replays_passes_and_the_others_fail(ran):
    assert "sessions/good.gds::replay PASSED" in ran.stdout
    assert "2 failed, 1 passed" in ran.stdout
    assert ran.returncode == 1


def test_a_failing_item_shows_line_command_step_and_field(ran):
    assert "wrong.gds does not match: line " in ran.stdout
    assert "line 2, 'step 3', step 3, field point.loss: recorded 579.07606, now 579.07605" in ran.stdout


def test_an_unreadable_file_shows_its_line(ran):
    assert "torn.gds cannot be read: line " in ran.stdout


def test_a_failing_item_shows_no_traceback(ran):
    assert "Traceback" not in ran.stdout + ran.stderr
    assert ".py:" not in ran.stdout


def test_a_folder_that_is_not_there_is_no_test_that_passes(project: Path):
    done = run_pytest(project, "-o", "gdrepl_paths=sesions")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "gdrepl_paths: there is no" in done.stderr
    assert "sesions" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_path_on_the_command_line_leaves_gdrepl_paths_alone(project: Path):
    collected = run_pytest(project, "--collect-only", "-q", "tests")
    assert [line for line in collected.stdout.splitlines() if "::" in line] == ["tests/test_own.py::test_own"]


def test_a_link_is_collected_where_it_lies(tmp_path: Path):
    (tmp_path / "pytest.ini").write_text("[pytest]\ngdrepl_paths = sessions\n", encoding="utf-8")
    (tmp_path / "sessions").mkdir()
    (tmp_path / "kept").mkdir()
    do(hill(engine="eager"), "step", f"save {tmp_path / 'kept' / 'one.gds'}")
    (tmp_path / "sessions" / "link.gds").symlink_to("../kept/one.gds")
    found = [line for line in run_pytest(tmp_path, "--collect-only", "-q").stdout.splitlines() if "::" in line]
    assert found == ["sessions/link.gds::replay"]
