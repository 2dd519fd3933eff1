"""Files whole or not there, errors that name the path, one writer at a time."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gdrepl.errors import SessionFileError
from gdrepl.recording import files
from gdrepl.recording.files import Lock, is_locked, read_bytes, write_atomically

HOLDER = """
import sys
from pathlib import Path
from gdrepl.recording.files import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_holds_the_text_and_obeys_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a.gds", iter(["one\n", "zwei ü\n"]))
    finally:
        os.umask(before)
    assert (tmp_path / "a.gds").read_bytes() == "one\nzwei ü\n".encode()
    assert stat.S_IMODE((tmp_path / "a.gds").stat().st_mode) == 0o640
    assert names(tmp_path) == ["a.gds"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o660])
def test_an_existing_file_keeps_its_permission_bits(tmp_path, mode):
    path = tmp_path / "a.gds"
    path.write_text("old")
    path.chmod(mode)
    write_atomically(path, ["new"])
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.gds").write_text("old")
    (tmp_path / "link").symlink_to("folder/a.gds")
    write_atomically(tmp_path / "link", ["new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "a.gds").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_text_that_fails_in_the_middle_leaves_the_old_file(tmp_path, error):
    def text():
        yield "x" * 100_000
        raise error

    path = tmp_path / "a.gds"
    path.write_text("old")
    with pytest.raises(error):
        write_atomically(path, text())
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.gds"]


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.gds"
    path.write_text("old")
    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(SessionFileError, match=f"cannot write {path}: the disk is full") as caught:
        write_atomically(path, ["new"])
    assert caught.value.hint
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.gds"]


def test_the_file_is_on_disk_before_it_has_its_name_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor):
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def spy_replace(source, target):
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(files.os, "fsync", spy_fsync)
    monkeypatch.setattr(files.os, "replace", spy_replace)
    write_atomically(tmp_path / "a.gds", ["x"])
    assert calls == ["file", "rename", "folder"]


def a_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


PLACES = {
    "a directory": lambda folder: folder,
    "a missing folder": lambda folder: folder / "missing" / "a.gds",
    "a file as folder": lambda folder: Path(__file__) / "a.gds",
    "a pipe": a_fifo,
    "a device": lambda folder: Path("/dev/null"),
    "a long name": lambda folder: folder / ("x" * 300),
    "a NUL": lambda folder: folder / "a\0b",
    "no name": lambda folder: Path(),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("use", [read_bytes, lambda path: write_atomically(path, ["x"])], ids=["read", "write"])
def test_a_place_that_is_no_file_is_one_line_with_a_hint(tmp_path, place, use):
    with pytest.raises(SessionFileError) as caught:
        use(place(tmp_path))
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do all")
def test_no_permission_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SessionFileError, match="no permission"):
        write_atomically(tmp_path / "a.gds", ["x"])


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EXDEV])
def test_every_os_error_names_the_path(tmp_path, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(SessionFileError, match=str(tmp_path / "a.gds")):
        write_atomically(tmp_path / "a.gds", ["x"])


def test_reading_stops_at_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", limit=5) == b"12345"
    with pytest.raises(SessionFileError, match="larger than 4 bytes"):
        read_bytes(tmp_path / "a", limit=4)


def test_a_lock_held_by_another_process_names_it(tmp_path):
    path = tmp_path / "a.gds"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(path)
        with pytest.raises(SessionFileError, match=rf"{path} is in use by another gdrepl \(pid {holder.pid}\)"):
            Lock(path).acquire()
        holder.kill()
    assert not is_locked(path)  # the kernel let go, though the lock file is still there
    with Lock(path):
        assert is_locked(path)
    assert names(tmp_path) == []


def test_a_lock_is_taken_once_even_by_one_process(tmp_path):
    with Lock(tmp_path / "a") as lock:
        with pytest.raises(SessionFileError, match="in use"):
            Lock(tmp_path / "a").acquire()
        lock.release()
        with Lock(tmp_path / "a"):
            assert is_locked(tmp_path / "a")


def test_asking_for_a_lock_makes_no_file(tmp_path):
    assert not is_locked(tmp_path / "a")
    assert names(tmp_path) == []


def test_a_lock_file_removed_while_it_was_being_locked_is_made_anew(tmp_path, monkeypatch):
    flock, removed = files.fcntl.flock, []

    def remove_first(descriptor, how):
        if not removed:
            removed.append((tmp_path / "a.lock").unlink())
        flock(descriptor, how)

    monkeypatch.setattr(files.fcntl, "flock", remove_first)
    with Lock(tmp_path / "a"):
        assert is_locked(tmp_path / "a")


def test_a_lock_in_a_missing_folder_is_a_session_file_error(tmp_path):
    with pytest.raises(SessionFileError, match="cannot lock"):
        Lock(tmp_path / "missing" / "a").acquire()


def test_a_lock_on_a_full_disk_is_not_taken(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "pwrite", fail)
    with pytest.raises(SessionFileError, match=r"cannot lock .*: the disk is full"):
        Lock(tmp_path / "a").acquire()
    assert not is_locked(tmp_path / "a")


def test_a_missing_folder_is_to_be_made_and_a_missing_file_to_be_checked(tmp_path: Path) -> None:
    nowhere = tmp_path / "no such" / "file.gds"
    with pytest.raises(SessionFileError, match="its folder is not there") as writing:
        write_atomically(nowhere, ["text"])
    assert writing.value.hint == f"make it first: mkdir -p '{nowhere.parent}'"
    with pytest.raises(SessionFileError, match="no such file") as reading:
        read_bytes(nowhere)
    assert reading.value.hint == "check the name"
