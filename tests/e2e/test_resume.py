"""The journal: a session that was killed goes on from its last acknowledged command."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from driving import Conversation, do, environment, gdrepl, hill, read_json, without_checks

from gdrepl.commands import rate_finding
from gdrepl.commands.replaying import replay_file
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine.moves import Progress
from gdrepl.errors import SessionFileError
from gdrepl.insight import curvature
from gdrepl.recording.format import decode
from gdrepl.recording.journal import journal_folder, open_journals
from gdrepl.shell.cli import main
from gdrepl.shell.keeper import Keeper
from gdrepl.shell.resuming import resume_session

DEBUG = ["debug", "(x-50)**2", "--var", "x=3", "--optimizer", "adam", "--lr", "1", "--json"]
RESUMED = ["print step", "print x", "goto 4", "set x 7", "step 2"]


def journals(state: Path) -> Path:
    return state / "gdrepl" / "journal"


def lines_of(path: Path) -> list[str]:
    return [record.body["line"] for record in decode(path.read_bytes(), strict=False).records if record.kind == "command"]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """One session through three processes, interrupted, killed and terminated, and ended in order in this one."""
    state = tmp_path_factory.mktemp("chain")
    env, seen = environment(state), {}
    with Conversation(DEBUG, env) as process:
        for line in ("break if x > 1000", "step 5", "set lr 0.5"):
            process.ask(line)
        before = process.cpu_ticks()
        process.say("continue 100000000000 ;; print x")
        while process.cpu_ticks() < before + 20:  # hundredths of a second: it computes
            assert process.process.poll() is None
        process.process.send_signal(signal.SIGINT)
        seen["interrupted"] = process.hear()["result"]
        seen["ctrl-c"] = process.end()
    with Conversation(["resume", "--json"], env) as process:
        seen["resumed"] = [process.ask(line)["result"] for line in RESUMED]
        process.kill()
    seen["killed"] = lines_of(next(open_journals(journals(state))))
    with Conversation(["resume", "--json"], env) as process:
        seen["again"] = process.ask("print x")["result"]
        seen["terminated"] = process.end(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setenv("XDG_STATE_HOME", str(state))
        status = main(["resume", "--json", "-c", "info session", "-c", "info break", "--batch"])
    seen["last"] = (status, [read_json(line) for line in out.getvalue().splitlines()])
    seen["left"] = list(open_journals(journals(state)))
    seen["after"] = gdrepl(["resume"], env)
    return seen


def test_ctrl_c_ends_a_run_at_a_whole_step_and_drops_the_rest_of_the_line(chain):
    answer = chain["interrupted"]
    assert [stop["kind"] for stop in answer["stops"]] == ["interrupt"]
    assert 0 < answer["taken"] == answer["point"]["step"] - 5
    assert chain["ctrl-c"] == (130, "", "")


def test_an_interrupted_run_resumes_at_exactly_its_step(chain):
    step, x, *_ = chain["resumed"]
    assert step["value"] == np.float32(chain["interrupted"]["point"]["step"])
    assert x["value"] == chain["interrupted"]["point"]["parameters"]["x"]


def test_a_killed_process_loses_no_acknowledged_command(chain):
    assert chain["killed"] == ["break if x > 1000", "step 5", "set lr 0.5", "continue 100000000000", *RESUMED]


def test_a_resumed_session_stands_where_the_killed_one_stood(chain):
    assert chain["again"]["value"] == chain["resumed"][-1]["point"]["parameters"]["x"]


def test_sigterm_ends_a_session_with_its_status_and_nothing_on_the_screen(chain):
    assert chain["terminated"] == (128 + signal.SIGTERM, "", "")


def test_sighup_ends_a_session_with_its_status_and_nothing_on_the_screen(tmp_path: Path):
    with Conversation(DEBUG, environment(tmp_path)) as process:
        process.ask("help step")
        assert process.end(signal.SIGHUP) == (128 + signal.SIGHUP, "", "")


def notes_of(path: Path | None) -> list[tuple[str, int]]:
    """The notes of runs in a journal: line, updates made."""
    records = decode(path.read_bytes(), strict=False).records if path is not None else ()
    return [(record.body["line"], record.body["taken"]) for record in records if record.kind == "run"]


def test_of_a_run_that_is_killed_outright_all_is_kept_but_the_last_seconds(tmp_path: Path):
    env, folder = environment(tmp_path), journals(tmp_path)
    with Conversation(DEBUG, env) as process:
        process.ask("step 5")
        process.say("continue 100000000000")
        while not (notes := [note for path in folder.glob("*.gds") for note in notes_of(path)]):
            assert process.process.poll() is None
        process.kill()
    path = next(open_journals(folder))
    line, taken = notes_of(path)[-1]
    assert (line, taken >= notes[0][1] > 0) == ("continue 100000000000", True)
    with Conversation(["resume", "--json"], env) as process:
        step, x = (process.ask(f"print {name}")["result"]["value"] for name in ("step", "x"))
        process.kill()
    assert lines_of(path) == ["step 5", "continue 100000000000", "print step", "print x"]
    again = Session(Setup("(x-50)**2", {"x": "3"}, optimizer="adam", rate="1"))
    do(again, "step 5", f"step {taken}")
    assert (step, x) == (5 + taken, float(again.debugger.snapshot().parameters["x"]))
    status, out, err = gdrepl_text(["resume", "--batch", "--json", "-c", "print step"], env)
    assert (status, read_json(out)["result"]["value"], err) == (0, 5 + taken, "")


def gdrepl_text(arguments: list[str], env: dict[str, str]) -> tuple[int, str, str]:
    done = gdrepl(arguments, env)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk of a run takes a second, on a clock of our own."""
    ticks = itertools.count()
    monkeypatch.setattr("gdrepl.engine.running.time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))


@pytest.mark.usefixtures("slow")
def test_a_run_is_noted_every_two_seconds_and_each_run_anew():
    session, seen = hill(engine="eager"), []
    keeper = Keeper(session)
    session.debugger.progress = lambda progress: seen.append((progress.seconds, progress.taken))
    do(session, "step 40", "advance 41", "step 40")
    keeper.abandon()
    notes = notes_of(next(open_journals(journal_folder())))
    wanted = [("step 40", taken) for seconds, taken in seen if seconds % 2 == 0]
    assert len(notes) == len(wanted) >= 2  # a run of a second, as is advance 41, leaves no note
    assert notes == wanted


def killed_in(session: Session, line: str, error: type[BaseException] = SystemExit) -> None:
    """Execute a line in whose run `error` comes after four seconds."""

    def fail(progress: Progress) -> None:
        if progress.seconds > 4:
            raise error

    session.debugger.progress = fail
    with pytest.raises(error):
        do(session, line)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("line", ["step 5000", "continue", "until x > 1e9", "advance 9000", "run 700"])
def test_a_run_that_was_cut_off_is_resumed_as_if_it_had_been_interrupted(line: str, capsys: pytest.CaptureFixture[str], cli):
    session = hill(engine="eager")
    keeper = Keeper(session)
    do(session, "step 3")
    killed_in(session, line)
    keeper.abandon()
    path = next(open_journals(journal_folder()))
    taken = notes_of(path)[-1][1]
    resumed, keeper = resume_session(None, quiet=True)
    assert capsys.readouterr().err.startswith(f"warning: '{line}' was cut off: {taken} of its steps are kept")
    assert resumed.debugger.step == (0 if line == "run 700" else 3) + taken
    do(resumed, "step")
    keeper.close()
    assert lines_of(path) == ["step 3", line, "step"]
    assert replay_file(path).status == "match"


@pytest.mark.usefixtures("slow")
def test_a_run_that_was_given_up_is_not_resumed():
    session = hill(engine="eager")
    keeper = Keeper(session)
    do(session, "step 3")
    killed_in(session, "continue", KeyboardInterrupt)
    keeper.abandon()
    path = next(open_journals(journal_folder()))
    assert notes_of(path)[0][1] > 0
    resumed, keeper = resume_session(None, quiet=True)
    keeper.abandon()
    assert (resumed.debugger.step, lines_of(path)) == (3, ["step 3"])


@pytest.mark.usefixtures("slow")
def test_the_first_run_of_a_session_is_kept_though_nothing_was_acknowledged():
    session = hill(engine="eager")
    keeper = Keeper(session)
    killed_in(session, "step 5000")
    keeper.abandon()
    [*_, (_, taken)] = notes_of(next(open_journals(journal_folder())))
    resumed, keeper = resume_session(None, quiet=True)
    keeper.abandon()
    assert resumed.debugger.step == taken > 0


@pytest.mark.usefixtures("slow")
def test_a_closed_journal_with_notes_of_runs_replays_and_an_update_leaves_them_out():
    session = hill(engine="eager")
    keeper = Keeper(session)
    do(session, "step 40", "print x")
    keeper.close()
    [path] = journal_folder().glob("*.gds")
    assert notes_of(path) != []
    assert replay_file(path).status == "match"
    text = without_checks(path.read_text(encoding="utf-8"))
    path.write_text(text.replace('"expression":"x"', '"expression":"y"'), encoding="utf-8")
    assert replay_file(path).status == "mismatch"
    assert replay_file(path, update=True).updated
    assert (notes_of(path), lines_of(path)) == ([], ["step 40", "print x"])


NOTES = ('"line":3,"taken":5', '"line":"step 9","taken":-5', '"line":"step\\n9","taken":5', '"line":"step 9"')


@pytest.mark.parametrize("note", NOTES)
def test_a_note_of_a_run_that_is_none_is_told_by_its_line(note: str, cli):
    path = left_behind("step 2")
    with path.open("a", encoding="utf-8") as file:
        file.write(f'{{"kind":"run",{note}}}\n')
    status, out, err = cli("resume", "--batch")
    assert (status, out) == (2, "")
    assert "line 3: a note of a run: " in err


@pytest.mark.parametrize("line", ["stepp 9", "set x 9", "load other", "quit", "step 9 ;; set x 3"])
def test_only_a_run_is_resumed_from_a_note(line: str, cli):
    path = left_behind("step 2")
    with path.open("a", encoding="utf-8") as file:
        file.write(f'{{"kind":"run","line":"{line}","taken":4}}\n')
    before = path.read_bytes()
    status, out, err = cli("resume", "--batch")
    assert (status, out, path.read_bytes()) == (2, "", before)
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_a_lost_connection_ends_is_kept_up_to_a_whole_step(tmp_path: Path, number: signal.Signals):
    env = environment(tmp_path)
    with Conversation(DEBUG, env) as process:
        process.ask("step 5")
        before = process.cpu_ticks()
        process.say("continue 100000000000 ;; print x")
        while process.cpu_ticks() < before + 20:
            assert process.process.poll() is None
        assert process.end(number) == (128 + number, "", "")
    recorded = decode(next(open_journals(journals(tmp_path))).read_bytes(), strict=False).records
    assert [record.body["line"] for record in recorded] == ["step 5", "continue 100000000000"]
    ended = recorded[-1].body["result"]
    assert [stop["kind"] for stop in ended["stops"]] == ["interrupt"]
    with Conversation(["resume", "--json"], env) as process:
        assert process.ask("print step")["result"]["value"] == ended["point"]["step"] > 5
        assert process.ask("print x")["result"]["value"] == ended["point"]["parameters"]["x"]


def test_after_three_violent_ends_every_command_is_there(chain):
    status, [session, stops] = chain["last"]
    assert status == 0
    assert session["result"]["facts"]["commands"] == 4 + len(RESUMED) + 1
    assert (session["result"]["facts"]["branch"], session["result"]["facts"]["step"]) == ("b1", 6)
    assert [stop["text"] for stop in stops["result"]["stops"]] == ["x > 1000"]


def test_an_orderly_end_leaves_nothing_to_resume(chain):
    assert chain["left"] == []
    assert chain["after"].returncode == 2
    assert chain["after"].stdout == b""
    assert b"there is no journal of a session that was not closed" in chain["after"].stderr


def test_a_killed_session_is_resumed_with_its_stops_their_commands_and_its_checkpoints(tmp_path: Path):
    env = environment(tmp_path)
    valley = ["debug", "(x-50)**2", "--var", "x=3", "--optimizer", "sgd", "--lr", "0.1", "--engine", "eager", "--json"]
    commands = "commands 1 ;; silent ;; print step ;; checkpoint here ;; continue 2 ;; end"
    asked = ("info break", "info checkpoints", "info branches", "info display", "info values")
    with Conversation(valley, env) as process:
        for line in ("break if step == 3 as high", commands, "display x"):
            process.ask(line)
        stopped, *ran = [process.ask("continue 9"), *(process.hear() for _ in range(3))]
        process.ask("ignore 1 1")
        was = [process.ask(line)["result"] for line in asked]
        process.kill()
    assert stopped["result"]["point"]["step"] == 3
    assert [answer["command"] for answer in ran] == ["print step", "checkpoint here", "continue 2"]
    assert (ran[0]["result"]["value"], ran[2]["result"]["point"]["step"]) == (3, 5)
    with Conversation(["resume", "--json"], env) as process:
        assert [process.ask(line)["result"] for line in asked] == was
        back = process.ask("restart here")["result"]
        for line in ("goto 0", "delete checkpoint here"):
            process.ask(line)
        passed = process.ask("continue 4")["result"]  # by what is to be ignored once
        process.ask("goto 0")
        again = [process.ask("continue 9"), *(process.hear() for _ in range(3))]
        status, rest, err = process.end()
    assert [(each["name"], each["step"]) for each in was[1]["checkpoints"]] == [("here", 3)]
    assert back["point"]["parameters"]["x"] == pytest.approx(50 - 47 * 0.8**3)
    assert passed["point"]["step"] == 4
    assert [answer["result"]["type"] for answer in again] == ["Stepped", "Printed", "CheckpointMade", "Stepped"]
    assert again[2]["result"] == {**ran[1]["result"], "id": 2}  # its number is not given again
    assert (status, rest, err) == (0, "", "")


# --- in this process ----------------------------------------------------------------------------------------------------


def left_behind(*lines: str, **options) -> Path:
    """The journal of a session that was not closed."""
    session = hill(engine="eager", **options)
    keeper = Keeper(session)
    do(session, *lines)
    keeper.abandon()
    return next(open_journals(journal_folder()))


def test_a_command_is_in_the_journal_before_it_is_acknowledged(state: Path):
    session = hill(engine="eager")
    keeper = Keeper(session)
    for outcome in session.execute("step 2 ;; set lr 0.2 ;; print x"):
        [path] = journals(state).glob("*.gds")
        assert lines_of(path)[-1] == outcome.command
    keeper.close()


def test_a_failing_command_is_not_in_the_journal(state: Path):
    session = hill(engine="eager")
    keeper = Keeper(session)
    list(session.execute("step 2 ;; goto 99"))
    keeper.close()
    [path] = journals(state).glob("*.gds")
    assert lines_of(path) == ["step 2"]


def test_a_torn_last_line_is_cut_off_and_said_and_the_rest_goes_on(capsys: pytest.CaptureFixture[str]):
    path = left_behind("step 2", "step 3")
    path.write_bytes(path.read_bytes()[:-40])
    session, keeper = resume_session(None, quiet=True)
    assert capsys.readouterr().err == "warning: line 3: this last line is torn, and left out\n"
    do(session, "step 4")
    keeper.abandon()
    assert lines_of(path) == ["step 2", "step 4"]
    assert session.debugger.step == 6


def test_a_damaged_journal_is_refused_with_its_line_and_left_alone():
    path = left_behind("step 2", "step 3", "step 4")
    data = path.read_bytes().replace(b'"line":"step 3"', b'"line":"step 7"')
    path.write_bytes(data)
    with pytest.raises(SessionFileError, match="line 3: this line was changed after it was written") as caught:
        resume_session(path, quiet=True)
    assert str(path) in caught.value.message
    assert path.read_bytes() == data


def test_a_last_line_that_lacks_only_its_newline_is_whole(capsys: pytest.CaptureFixture[str]):
    path = left_behind("step 2", "step 3")
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    session, keeper = resume_session(None, quiet=True)
    do(session, "step 4")
    keeper.abandon()
    assert lines_of(path) == ["step 2", "step 3", "step 4"]
    assert capsys.readouterr().err == ""


def test_a_damaged_newest_journal_is_named_and_the_one_before_it_is_resumed(capsys: pytest.CaptureFixture[str]):
    older = left_behind("step 2")
    newer = left_behind("step 5", "step 6")
    os.utime(older, ns=(1, 1))
    newer.write_bytes(newer.read_bytes().replace(b'"line":"step 5"', b'"line":"step 7"'))
    before = newer.read_bytes()
    session, keeper = resume_session(None, quiet=True)
    keeper.abandon()
    assert session.debugger.step == 2
    assert capsys.readouterr().err.startswith(f"warning: {newer} is left out: line 2: this line was changed")
    assert newer.read_bytes() == before


def in_folder(folder: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "table.csv").write_text(table, encoding="utf-8")
    monkeypatch.chdir(folder)


FIT = ('const X = csv("table.csv", u)', 'const y = csv("table.csv", v)', "var w = 0.5", "loss mean((X*w - y)**2)", "step 5")


def test_a_session_is_resumed_elsewhere_with_the_data_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assert_same_bits: Callable[..., None]
):
    in_folder(tmp_path / "one", "u,v\n1,2\n2,4\n3,5\n", monkeypatch)
    left_behind(*FIT)
    session, keeper = resume_session(None, quiet=True)
    keeper.abandon()
    wanted = session.debugger.snapshot()
    in_folder(tmp_path / "two", "u,v\n7,9\n", monkeypatch)
    session, keeper = resume_session(None, quiet=True)
    assert_same_bits(session.debugger.snapshot(), wanted)
    do(session, f"save {tmp_path / 'fit.gds'}")
    keeper.abandon()
    assert str(tmp_path) not in (tmp_path / "fit.gds").read_text(encoding="utf-8").splitlines()[0]


def test_a_closed_session_resumed_elsewhere_hands_its_folder_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    in_folder(tmp_path / "one", "u,v\n1,2\n2,4\n3,5\n", monkeypatch)
    path = left_behind(*FIT)
    _, keeper = resume_session(path, quiet=True)
    keeper.close()
    for folder in ("two", "three"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        known = set(journal_folder().glob("*.gds"))
        session, keeper = resume_session(path, quiet=True)
        do(session, "step")
        keeper.close()
        ((path),) = set(journal_folder().glob("*.gds")) - known
    assert session.debugger.step == 7


def test_data_that_redefine_what_is_in_force_are_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    in_folder(tmp_path / "one", "u,v\n1,2\n2,4\n", monkeypatch)
    left_behind("const A = [1, 2]", "loss sum((x - A)**2)", 'const A = csv("table.csv", v)', "step 3")
    in_folder(tmp_path / "one", "u,v\n1,2\n2,5\n", monkeypatch)
    with pytest.raises(SessionFileError, match="finds another file"):
        resume_session(None, quiet=True)


def test_a_session_in_a_folder_that_is_gone_has_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    path = left_behind("step 2")
    assert lines_of(path) == ["step 2"]


def test_a_session_is_not_resumed_with_other_data_than_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    in_folder(tmp_path / "one", "u,v\n1,2\n2,4\n3,5\n", monkeypatch)
    path = left_behind(*FIT)
    before = path.read_bytes()
    in_folder(tmp_path / "one", "u,v\n1,2\n2,4\n3,6\n", monkeypatch)
    with pytest.raises(SessionFileError, match="finds another file than the session did"):
        resume_session(None, quiet=True)
    assert path.read_bytes() == before


def test_json_tells_in_json_that_there_is_nothing_to_resume(cli):
    status, out, _ = cli("resume", "--json", "--batch", "-c", "print x")
    answer = read_json(out)
    assert (status, answer["command"], answer["error"]["type"]) == (2, "", "SessionFileError")
    assert "no journal" in answer["error"]["message"]


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"gdrepl":1,"kind":"header"}\n', b"\xff\xfe\n"])
def test_what_is_no_journal_is_told_in_a_line(content: bytes, tmp_path: Path, cli):
    (tmp_path / "odd.gds").write_bytes(content)
    status, out, err = cli("resume", str(tmp_path / "odd.gds"), "--batch")
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    assert err.startswith("gdrepl: ")


def test_a_journal_line_without_a_command_is_told_by_its_number(tmp_path: Path, cli):
    path = left_behind("step")
    header = path.read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "odd.gds").write_text(f'{header}\n{{"kind":"command","line":3}}\n', encoding="utf-8")
    status, _, err = cli("resume", str(tmp_path / "odd.gds"), "--batch")
    assert (status, "line 2: a command record needs a line and a result" in err) == (2, True)


def test_a_closed_session_resumed_by_name_goes_on_in_a_journal_of_its_own():
    path = left_behind("step 2")
    _, keeper = resume_session(path, quiet=True)
    keeper.close()
    closed = path.read_bytes()
    for _ in range(2):
        known = set(journal_folder().glob("*.gds"))
        session, keeper = resume_session(path, quiet=True)
        do(session, "step 3")
        keeper.close()
        (new,) = set(journal_folder().glob("*.gds")) - known
        assert session.debugger.step == 5
        assert path.read_bytes() == closed
        assert lines_of(new) == ["step 2", "step 3"]


def test_a_session_that_is_still_running_is_not_resumed():
    session = hill(engine="eager")
    keeper = Keeper(session)
    do(session, "step")
    assert list(open_journals(journal_folder())) == []
    keeper.abandon()
    assert len(list(open_journals(journal_folder()))) == 1


def test_the_latest_of_several_journals_is_resumed(cli):
    left_behind("step 1")
    left_behind("step 2")
    status, out, err = cli("resume", "--batch", "--json", "-c", "print step")
    assert (status, err, read_json(out)["result"]["value"]) == (0, "", 2.0)


def test_resume_says_what_it_resumed_and_takes_a_script(tmp_path: Path, cli):
    path = left_behind("step 2")
    (tmp_path / "more.gd").write_text("step 3\n", encoding="utf-8")
    status, out, err = cli("resume", str(path), "-x", str(tmp_path / "more.gd"), "--batch")
    assert status == 0
    assert f"resumed {path.name}: 1 command, step 2" in err
    assert "step 2 → 5" in out


def test_interrupted_runs_resume_at_their_steps():
    session = hill(engine="eager")
    keeper = Keeper(session)

    def interrupt(progress: Progress) -> None:
        session.debugger.interrupt.set()

    session.debugger.progress = interrupt
    steps = [do(session, line)["point"]["step"] for line in ("continue 1000000000", "continue", "until x > 999")]
    keeper.abandon()
    resumed, keeper = resume_session(None, quiet=True)
    keeper.abandon()
    taken = [event.result["point"]["step"] for event in resumed.events]
    assert taken == steps


def test_a_closed_journal_is_a_session_file_that_replays(cli):
    path = left_behind("step 2", "set lr 0.2", "step")
    assert cli("resume", "--batch")[0] == 0
    assert replay_file(path).status == "match"


def test_a_loaded_session_begins_a_journal_of_its_own(tmp_path: Path):
    other = hill(engine="eager")
    do(other, "step 7", f"save {tmp_path / 'other'}")
    session = hill(engine="eager")
    keeper = Keeper(session)
    do(session, "step 2", f"load {tmp_path / 'other'}", "step")
    keeper.abandon()
    assert lines_of(next(open_journals(journal_folder()))) == ["step 7", "step"]
    resumed, keeper = resume_session(None, quiet=True)
    keeper.abandon()
    assert resumed.debugger.step == 8


def test_the_warnings_of_a_journal_that_cannot_be_written_come_once_and_the_session_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli
):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    status, out, err = cli("(x-50)**2", "--var", "x=3", "--engine", "eager", stdin="step\nstep\nstep\nprint step\n")
    assert (status, out.splitlines()[-1]) == (0, "$1: step = 3")
    assert err.count("warning: ") == err.count("\n") == 1


def test_a_session_that_only_asked_for_help_leaves_no_journal(state: Path, cli):
    assert cli("--batch", "-c", "help")[0] == 0
    assert list(state.rglob("*.gds")) == []


def test_an_error_at_the_end_of_a_batch_is_an_orderly_end(cli):
    assert cli("--engine", "eager", "--batch", "-c", "step", "-c", "nonsense")[0] == 1
    assert list(open_journals(journal_folder())) == []


def test_questions_are_not_asked_again_when_a_session_is_resumed(monkeypatch: pytest.MonkeyPatch):
    lines = ("step 2", "hessian", "lrfind in 10", "grad", "print x + 1", "stepi 2")
    path = left_behind(*lines)
    with monkeypatch.context() as patch:
        patch.setattr(rate_finding, "range_test", _fail)
        patch.setattr(curvature, "hessian", _fail)
        session, keeper = resume_session(path, quiet=True)
    keeper.close()
    assert [event.line for event in session.events] == list(lines)
    assert do(session, "print $1")["value"] == pytest.approx(50 - 47 * 0.8**2 + 1)  # what a command keeps is there
    assert session.debugger.inside.phase == "backward"
    assert replay_file(path).status == "match"


def _fail(*_: object) -> None:
    raise AssertionError("it was asked again")
