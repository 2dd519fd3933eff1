"""The journal: nothing acknowledged is lost, whatever kills the process or fills the disk."""

from __future__ import annotations

import errno
import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gdrepl.errors import SessionFileError
from gdrepl.recording import journal as journal_module
from gdrepl.recording.files import Lock
from gdrepl.recording.format import NO_END, decode
from gdrepl.recording.journal import Journal, journal_folder, open_journals, prune

WRITER = """
import sys
from pathlib import Path
from gdrepl.recording.journal import Journal
journal = Journal.create(Path(sys.argv[1]), {"problem": "x**2"})
print(journal.path, flush=True)
number = 0
while True:
    number += 1
    journal.append("command", {"text": "step", "number": number, "padding": "x" * (number * 37 % 5000)})
    print(number, flush=True)
"""


def read(path: Path, strict: bool = True):
    return decode(path.read_bytes(), strict)


def numbers(path: Path) -> list[int]:
    return [record.body["number"] for record in read(path, strict=False).records]


def left_open(folder: Path, count: int = 1) -> Path:
    """A journal as a crash leaves it."""
    journal = Journal.create(folder, {})
    for number in range(1, count + 1):
        journal.append("command", {"number": number})
    journal.abandon()
    return journal.path


def closed(folder: Path) -> Path:
    journal = Journal.create(folder, {})
    journal.close()
    return journal.path


def at(path: Path, seconds: int) -> Path:
    os.utime(path, (seconds, seconds))
    return path


def test_a_closed_journal_is_a_whole_session_file(tmp_path):
    journal = Journal.create(tmp_path / "deep" / "folder", {"problem": "x**2"})
    journal.append("command", {"text": "step"})
    journal.append("edit", {"what": "lr"})
    journal.close()
    document = read(journal.path)
    assert document.closed
    assert document.header.body == {"problem": "x**2"}
    assert [record.kind for record in document.records] == ["command", "edit"]
    assert [path.name for path in journal.path.parent.iterdir()] == [journal.path.name]


def test_folder_and_file_are_for_their_owner_only(tmp_path):
    path = closed(tmp_path / "journal")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_name_tells_time_and_process_and_a_second_one_is_numbered(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module.time, "strftime", lambda _: "20260102-030405")
    paths = [closed(tmp_path).name for _ in range(3)]
    assert paths == [f"20260102-030405-{os.getpid()}{end}.gds" for end in ("", "-1", "-2")]


def test_all_acknowledged_events_outlive_kill_9(tmp_path):
    choose = random.Random(0)
    for run in range(24):
        folder = tmp_path / str(run)
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        ) as writer:
            path = Path(writer.stdout.readline().strip())
            for _ in range(choose.randrange(1, 60)):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
        got = numbers(path)
        assert got == list(range(1, len(got) + 1))
        assert len(got) >= acknowledged
        assert list(open_journals(folder)) == [path]


@pytest.mark.parametrize("torn", [b"", b'{"n":3,"kind":"comm', b'{"n":3,"kind":"command"}', b"\0\0\0"])
def test_a_reopened_journal_goes_on_where_it_was_cut(tmp_path, torn):
    path = left_open(tmp_path, 2)
    with path.open("ab") as file:
        file.write(torn)
    journal = Journal.reopen(path)
    journal.append("command", {"number": 3})
    journal.close()
    assert read(path).closed
    assert numbers(path) == [1, 2, 3]


def test_every_cut_of_a_journal_can_be_reopened(tmp_path):
    path = left_open(tmp_path, 3)
    data = path.read_bytes()
    for length in range(data.index(b"\n") + 1, len(data)):
        path.write_bytes(data[:length])
        whole = [1, 2, 3][: data[: length + 1].count(b"\n") - 1]  # a line is whole without its newline, too
        journal = Journal.reopen(path)
        journal.append("command", {"number": 99})
        journal.close()
        assert numbers(path) == [*whole, 99]
        assert read(path).closed


def test_a_closed_a_damaged_and_a_locked_journal_are_not_reopened(tmp_path):
    damaged, in_use = left_open(tmp_path), left_open(tmp_path)
    damaged.write_bytes(damaged.read_bytes().replace(b'"number":1', b'"number":2'))
    before = damaged.read_bytes()
    with pytest.raises(SessionFileError, match="end record"):
        Journal.reopen(closed(tmp_path))
    with pytest.raises(SessionFileError, match=r"line 2: .*checksum"):
        Journal.reopen(damaged)
    assert damaged.read_bytes() == before
    with Lock(in_use), pytest.raises(SessionFileError, match="in use"):
        Journal.reopen(in_use)
    with pytest.raises(SessionFileError, match="no such file"):
        Journal.reopen(tmp_path / "missing.gds")
    assert not list(tmp_path.glob("*.lock"))


def test_an_event_is_one_write(tmp_path, monkeypatch):
    journal, sizes, write = Journal.create(tmp_path, {}), [], os.write
    monkeypatch.setattr(journal_module.os, "write", lambda descriptor, data: sizes.append(write(descriptor, data)) or sizes[-1])
    journal.append("points", {"text": "x" * 300_000})
    assert len(sizes) == 1
    journal.close()
    assert read(journal.path).closed


def test_a_short_write_is_gone_on_with(tmp_path, monkeypatch):
    journal, write = Journal.create(tmp_path, {}), os.write
    monkeypatch.setattr(journal_module.os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    journal.append("command", {"number": 1})
    journal.close()
    assert read(journal.path).closed


def test_fsync_comes_once_a_second_and_on_close(tmp_path, monkeypatch):
    now, syncs = [100.0], []
    monkeypatch.setattr(journal_module.time, "monotonic", lambda: now[0])
    journal = Journal.create(tmp_path, {})
    monkeypatch.setattr(journal_module.os, "fsync", syncs.append)
    for number in range(10):
        now[0] += 0.25
        journal.append("command", {"number": number})
    assert len(syncs) == 2
    journal.close()
    assert len(syncs) == 3


def fill_the_disk(monkeypatch, room: int = 20) -> None:
    """As the kernel does: a part of the line fits, then the error."""
    write, left = os.write, [room]

    def short(descriptor, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(journal_module.os, "write", short)


def test_a_full_disk_is_said_once_and_the_session_goes_on_without(tmp_path, monkeypatch):
    journal = Journal.create(tmp_path, {})
    journal.append("command", {"number": 1})
    fill_the_disk(monkeypatch)
    with pytest.raises(SessionFileError, match=f"cannot write the journal {journal.path}: the disk is full") as caught:
        journal.append("command", {"number": 2})
    assert caught.value.hint
    assert not journal.is_open
    journal.append("command", {"number": 3})
    journal.sync()
    journal.close()
    assert numbers(journal.path) == [1]
    assert [damage.message for damage in read(journal.path, strict=False).damage] == [NO_END]
    assert next(open_journals(tmp_path)) == journal.path


def test_a_failing_fsync_is_said_once(tmp_path, monkeypatch):
    journal = Journal.create(tmp_path, {})

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(journal_module.os, "fsync", fail)
    with pytest.raises(SessionFileError, match="the disk reports an error"):
        journal.sync()
    journal.close()
    assert not journal.is_open


def test_a_full_disk_at_the_start_leaves_no_file(tmp_path, monkeypatch):
    fill_the_disk(monkeypatch)
    with pytest.raises(SessionFileError, match="disk is full"):
        Journal.create(tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionFileError, match="cannot make the folder"):
        Journal.create(tmp_path / "file", {})
    with pytest.raises(SessionFileError, match="not a folder"):
        Journal.create(tmp_path / "file" / "below", {})


@pytest.mark.parametrize("after", [0, 20])
def test_an_interrupt_in_a_write_leaves_the_journal_as_it_was(tmp_path, monkeypatch, after):
    journal, write = Journal.create(tmp_path, {}), os.write

    def interrupt(descriptor, data):
        write(descriptor, data[:after])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(journal_module.os, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            journal.append("command", {"number": 1})
    journal.append("command", {"number": 2})
    journal.close()
    assert read(journal.path).closed
    assert numbers(journal.path) == [2]


def test_an_event_that_json_cannot_hold_leaves_the_journal_as_it_was(tmp_path):
    journal = Journal.create(tmp_path, {})
    with pytest.raises(ValueError, match="JSON"):
        journal.append("command", {"loss": float("nan")})
    journal.close()
    assert read(journal.path).closed


def test_the_latest_open_journal_is_neither_closed_nor_locked(tmp_path):
    assert list(open_journals(tmp_path / "missing")) == []
    wanted = at(left_open(tmp_path), 1000)
    at(left_open(tmp_path), 900)
    at(closed(tmp_path), 2000)
    (tmp_path / "empty.gds").touch()
    (tmp_path / "torn-header.gds").write_bytes(b'{"gdrepl":1,"ki')
    (tmp_path / "notes.txt").write_text("not a journal\n")
    live = Journal.create(tmp_path, {})
    assert next(open_journals(tmp_path)) == wanted
    live.abandon()
    assert next(open_journals(tmp_path)) == live.path


def test_the_end_record_is_found_behind_a_very_long_line(tmp_path):
    journal = Journal.create(tmp_path, {})
    journal.append("points", {"text": "x" * 300_000})
    assert list(open_journals(tmp_path)) == []  # it is locked
    journal.abandon()
    assert next(open_journals(tmp_path)) == journal.path
    Journal.reopen(journal.path).close()
    assert list(open_journals(tmp_path)) == []


def test_pruning_removes_the_oldest_closed_journals_only(tmp_path):
    crashed = at(left_open(tmp_path), 1)
    paths = [at(closed(tmp_path), 1000 + number) for number in range(6)]
    assert prune(tmp_path, keep=2) == paths[3::-1]
    assert sorted(tmp_path.glob("*.gds")) == sorted([crashed, *paths[4:]])
    assert prune(tmp_path, keep=2) == []
    with pytest.raises(ValueError, match="-1"):
        prune(tmp_path, keep=-1)


def test_the_folder_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert journal_folder() == tmp_path / "gdrepl" / "journal"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", ignored)
        assert journal_folder() == tmp_path / "home" / ".local" / "state" / "gdrepl" / "journal"


def test_without_a_home_the_way_out_is_named(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(journal_module.Path, "home", homeless)
    with pytest.raises(SessionFileError, match="no home folder") as caught:
        journal_folder()
    assert "XDG_STATE_HOME" in caught.value.hint


def test_a_name_taken_by_another_at_the_last_moment_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module.time, "strftime", lambda _: "20260102-030405")
    taken = closed(tmp_path)
    monkeypatch.setattr(journal_module.Path, "exists", lambda _: False)
    assert closed(tmp_path) == taken.with_stem(f"{taken.stem}-1")
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize("call", ["open", "ftruncate"])
def test_a_journal_that_cannot_be_opened_for_writing_is_untouched_and_unlocked(tmp_path, monkeypatch, call):
    path, original = left_open(tmp_path), os.open
    before = path.read_bytes()

    def refuse(target, *arguments):
        # the lock and the reading go through the same module `os`, and shall work
        if call == "open" and (target != path or not arguments[0] & os.O_WRONLY):
            return original(target, *arguments)
        if call == "ftruncate" and os.readlink(f"/proc/self/fd/{target}").endswith(".lock"):
            return None
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(journal_module.os, call, refuse)
        with pytest.raises(SessionFileError, match=r"cannot write the journal .*: the disk is read-only"):
            Journal.reopen(path)
    assert path.read_bytes() == before
    assert next(open_journals(tmp_path)) == path
