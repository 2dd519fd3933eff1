"""Session files: saved, loaded, shown, replayed and damaged."""

from __future__ import annotations

import functools
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from driving import contents, digits_in, do, environment, error_of, hill, joined, other_digit, read_json, without_checks

from gdrepl.commands.replaying import Replay, plain_records, replay_file, session_of
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine import programs
from gdrepl.engine.moves import Progress
from gdrepl.engine.program import Program
from gdrepl.errors import SessionFileError
from gdrepl.recording.compare import Tolerance, compare_records
from gdrepl.recording.files import read_bytes
from gdrepl.recording.format import decode

DATA = Path(__file__).resolve().parent.parent / "data"
LINES = (
    *("step 3", "break if loss < 100", "display x*2", "set lr 0.3", "goto 1", "set x 7", "step 2", "print x", "branch calm"),
    *("set optimizer sgd(momentum=0.9)", "step 2"),
)
PICK = random.Random(11)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small session of three branches; the eager engine compiles nothing, so that a replay is quick."""
    path = tmp_path_factory.mktemp("small") / "small.gds"
    do(hill(engine="eager"), *LINES, f"save {path}")
    return path


@pytest.fixture(scope="module")
def lines(small: Path) -> list[str]:
    return small.read_text(encoding="utf-8").splitlines()


def replay_of(text: str, folder: Path) -> Replay:
    path = folder / "changed.gds"
    path.write_text(text, encoding="utf-8")
    return replay_file(path)


def loaded(path: Path) -> Session:
    session = Session(Setup())
    do(session, f"load {path}")
    return session


def named_lines(replay: Replay) -> set[int]:
    """The lines that a replay which does not match speaks of."""
    if replay.status == "unreadable":
        return {int(replay.message.removeprefix("line ").partition(":")[0])}
    return {mismatch.line for mismatch in replay.mismatches}


# --- save and load ------------------------------------------------------------------------------------------------------


def test_save_load_save_gives_the_same_bytes(small: Path, folder: Path):
    do(loaded(small), "save again")
    assert (folder / "again.gds").read_bytes() == small.read_bytes()


def test_save_load_save_gives_the_same_bytes_whatever_was_defined_in_whatever_order(folder: Path):
    session = hill(engine="eager")
    do(session, "problem rastrigin dim=2", "var W = normal(2)", "const k = 2", "var a = 1", "loss sum(W**2)", "save one")
    do(session, "load one", "save two")
    assert (folder / "two.gds").read_bytes() == (folder / "one.gds").read_bytes()


def test_saving_twice_gives_the_same_bytes(folder: Path):
    do(hill(), "step 2", "save one", "save two")
    assert (folder / "one.gds").read_bytes() == (folder / "two.gds").read_bytes()


def test_a_loaded_session_goes_on_bit_for_bit(folder: Path):
    whole, first = hill(optimizer="adam", rate="1"), hill(optimizer="adam", rate="1")
    do(first, "step 7", "save half")
    expected, second = do(whole, "step 7", "step 20"), loaded(folder / "half.gds")
    assert do(second, "step 20") == expected
    assert do(second, "info optimizer") == do(whole, "info optimizer")


def test_branches_and_the_place_where_one_stood_come_back(small: Path):
    session = loaded(small)
    assert [branch["name"] for branch in do(session, "info branches")["branches"]] == ["main", "b1", "calm"]
    assert (session.debugger.position.branch, session.debugger.step) == ("calm", 5)
    do(session, "goto 0")
    assert do(session, "print x")["value"] == 3.0


def test_stops_and_displays_come_back(small: Path):
    session = loaded(small)
    assert [(stop["id"], stop["text"]) for stop in do(session, "info break")["stops"]] == [(1, "loss < 100")]
    assert [(each["id"], each["expression"]) for each in do(session, "info display")["displays"]] == [(1, "x*2")]
    assert do(session, "continue")["stops"][0]["kind"] == "breakpoint"


def test_a_deleted_stop_leaves_its_number_unused_after_load(folder: Path):
    do(hill(), "break if loss < 1", "break if loss < 2", "delete 2", "save gap")
    assert do(loaded(folder / "gap.gds"), "break if loss < 3")["id"] == 3


def test_settings_come_back_and_are_in_force(folder: Path):
    do(hill(), "set max-steps 5", "set history-limit 3", "set print-precision 4", "save settings")
    session = loaded(folder / "settings.gds")
    assert do(session, "continue")["taken"] == 5
    assert session.debugger.timeline.limit_bytes == 3 * 2**20
    assert session.settings.print_precision == 4


def test_a_variable_that_waits_for_its_loss_is_still_there_after_load(folder: Path):
    do(hill(), "var w = [1, 2]", "const a = normal(2)", "save waiting")
    assert do(loaded(folder / "waiting.gds"), "loss sum((w - a)**2)")["point"]["parameters"] == {"w": [1.0, 2.0]}


def test_a_run_to_nan_is_saved_and_loaded(folder: Path):
    do(Session(Setup("log(x)", {"x": "1.0"}, optimizer="sgd", rate="10")), "step 5", "save nan")
    session = loaded(folder / "nan.gds")
    assert do(session, "print loss")["value"] == "NaN"
    assert do(session, "history")["points"]["loss"] == [0.0, "NaN"]


def test_unknown_kinds_comments_and_blank_lines_are_allowed_and_the_kinds_stay_at_their_place(small: Path, folder: Path):
    text = without_checks(small.read_text(encoding="utf-8")).splitlines()
    note, other = '{"kind":"note","text":"by hand","of":[1,null,"NaN"]}', '{"kind":"comment-of-tomorrow"}'
    (folder / "odd.gds").write_text(joined(["# by hand", *text[:3], "", note, *text[3:9], other, *text[9:-1], text[-1]]))
    do(loaded(folder / "odd.gds"), "save odd2")
    kinds = [record.kind for record in decode((folder / "odd2.gds").read_bytes()).records]
    assert kinds == [json.loads(line)["kind"] for line in [*text[1:3], note, *text[3:9], other, *text[9:-1]]]
    assert replay_file(folder / "odd2.gds").status == "match"


def test_a_file_that_cannot_be_loaded_leaves_the_session_as_it_was(small: Path, lines: list[str], folder: Path):
    (folder / "bad.gds").write_text(joined([*lines[:-2], lines[-1]]), encoding="utf-8")
    session = hill()
    do(session, "step 2")
    before = contents(session)
    assert isinstance(error_of(session, "load bad"), SessionFileError)
    assert contents(session) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"kind":"state","branch":"calm","index":2,"step":5', '"kind":"state","branch":"calm","index":2,"step":999999999'),
        ('"kind":"state","branch":"calm","index":2,"step":5', '"kind":"state","branch":"calm","index":9,"step":5'),
        ('"kind":"state","branch":"calm","index":2,"step":5', '"kind":"state","branch":"nosuch","index":2,"step":5'),
        ('"kind":"state","branch":"calm","index":2,"step":5', '"kind":"state","branch":"calm","index":2,"step":1'),
        ('"stretches":[[1,3],[2,3]]', '"stretches":[[1,3],[2,99]]'),
        ('"stretches":[[1,3],[2,3]]', '"stretches":[[1,2],[2,3]]'),
        ('"stretches":[[1,3],[2,3]]', '"stretches":[]'),
        ('"stretches":[[1,3],[2,3]]', '"stretches":[[77,3]]'),
        ('"name":"main","parent":null', '"name":"main","parent":"main"'),
        ('"name":"main","parent":null', '"name":"main","parent":"nosuch"'),
        ('"from":1,"count":3', '"from":2,"count":3'),
        ('"parameters.x":[12.400001,', '"parameters.x":["much",'),
        ('"learning_rate":[0.1,0.1,0.1]', '"learning_rate":[0.1,0.2,0.1]'),
        ('"slots":[{"dtype":"int64","value":0}', '"slots":[{"dtype":"object","value":0}'),
        ('"condition":"loss < 100"', '"condition":"__import__"'),
        ('"name":"SGD","learning_rate":0.3', '"name":"os.system","learning_rate":0.3'),
        ('"max_steps":1000000', '"max_steps":-1'),
    ],
)
def test_a_strangers_file_that_makes_no_sense_is_refused_with_its_line(old: str, new: str, small: Path, folder: Path):
    text = without_checks(small.read_text(encoding="utf-8"))
    assert old in text
    line = next(number for number, each in enumerate(text.splitlines(), 1) if old in each)
    (folder / "strange.gds").write_text(text.replace(old, new, 1), encoding="utf-8")
    error = error_of(Session(Setup(engine="eager")), "load strange")
    assert isinstance(error, SessionFileError)
    assert error.line == line
    assert error.message.startswith("strange.gds: ")


# --- replay -------------------------------------------------------------------------------------------------------------


def test_a_session_replays(small: Path):
    replay = replay_file(small)
    assert (replay.status, replay.exit_status, replay.commands) == ("match", 0, len(LINES))


def test_a_compiled_session_replays_bit_for_bit(folder: Path):
    session = Session(Setup("rosenbrock", optimizer="rmsprop", rate="0.01"))
    do(session, "step 300", "goto 150", "set lr 0.001", "continue 50", "problem rastrigin dim=10", "step 5", "save deep")
    replay = replay_file(folder / "deep.gds")
    assert (replay.status, replay.message) == ("match", "bit for bit")


def test_an_interrupted_run_replays_to_exactly_its_step(folder: Path):
    session = hill(engine="eager")

    def interrupt(progress: Progress) -> None:
        if progress.taken >= 20:
            session.debugger.interrupt.set()

    session.debugger.progress = interrupt
    taken = do(session, "continue 1000000000")["taken"]
    session.debugger.progress = lambda progress: None
    do(session, "step 2", "save cut")
    assert replay_file(folder / "cut.gds").status == "match"
    assert loaded(folder / "cut.gds").debugger.step == taken + 2


def test_random_starts_and_later_digits_replay(folder: Path):
    session = Session(Setup("sum(w**2)", {"w": "normal(3)"}, optimizer="sgd", rate="0.1", engine="eager", seed=5))
    do(session, "step 2", "set dtype float64", "step", "set seed 6", "var w = uniform(4)", "step", "save drawn")
    assert replay_file(folder / "drawn.gds").status == "match"


def test_a_changed_digit_of_a_point_is_named_by_line_step_and_field(lines: list[str], folder: Path):
    number = next(number for number, line in enumerate(lines, 1) if '"kind":"points"' in line)
    changed = [*lines]
    changed[number - 1] = changed[number - 1].replace('"parameters.x":[12.400001,19.92,', '"parameters.x":[12.400001,19.93,')
    replay = replay_of(without_checks(joined(changed)), folder)
    assert [(each.line, each.step, each.field) for each in replay.mismatches] == [(number, 2, "parameters.x")]
    assert (replay.mismatches[0].wanted, replay.mismatches[0].got) == (19.93, 19.92)


def test_the_step_of_a_difference_is_that_of_the_point_it_lies_in(lines: list[str], folder: Path):
    changed = [*lines]
    changed[1] = re.sub(r'("before":\{"step":0,"loss":)2209.0', r"\g<1>2210.0", changed[1])
    assert changed != lines
    replay = replay_of(without_checks(joined(changed)), folder)
    assert [(each.line, each.step, each.field) for each in replay.mismatches] == [(2, 0, "before.loss")]


def test_a_changed_digit_of_a_result_is_named_by_line_command_step_and_field(lines: list[str], folder: Path):
    changed = [*lines]
    changed[1] = changed[1].replace(
        '"taken":3,"point":{"step":3,"loss":579.07605', '"taken":3,"point":{"step":3,"loss":579.07606'
    )
    [mismatch] = replay_of(joined(changed), folder).mismatches
    assert (mismatch.line, mismatch.command, mismatch.step, mismatch.field) == (2, "'step 3'", 3, "point.loss")
    assert str(mismatch) == "line 2, 'step 3', step 3, field point.loss: recorded 579.07606, now 579.07605"


@pytest.mark.parametrize("number", range(1, 29))
def test_a_changed_digit_is_found_and_its_line_is_named(number: int, lines: list[str], folder: Path):
    assert len(lines) == 28
    changed = [*lines]
    changed[number - 1] = other_digit(lines[number - 1], PICK.choice(digits_in(lines[number - 1])))
    replay = replay_of(joined(changed), folder)
    assert replay.exit_status != 0
    assert number in named_lines(replay)


def test_every_digit_after_the_header_is_compared_even_in_a_file_without_checksums(small: Path):
    """One replay, held against every file that differs in one digit: what replay_file does, without running it 3,000 times."""
    text = without_checks(small.read_text(encoding="utf-8")).splitlines()
    document = decode(joined(text))
    session = session_of(document, [])
    do(session, *LINES)
    new = plain_records(session)
    assert list(compare_records(document.records, new, Tolerance())) == []
    for place, record in enumerate(document.records):
        number, line = record.line, text[record.line - 1]
        typed = line.find('"result":') if record.kind == "command" else 0  # another command would give another result
        for digit in (place for place in digits_in(line) if place > typed):
            try:
                body = json.loads(other_digit(line, digit))
            except ValueError:
                continue  # 07 is no JSON: unreadable, and so told
            kind = body.pop("kind")
            wanted = [*document.records]
            wanted[place] = type(record)(kind, body, number)
            found = list(compare_records(wanted, new, Tolerance()))
            assert {mismatch.line for mismatch in found} == {number}, f"line {number}, column {digit + 1}"


@pytest.mark.parametrize("place", range(27))
def test_a_dropped_line_is_found_and_its_place_is_named(place: int, lines: list[str], folder: Path):
    replay = replay_of(joined([*lines[:place], *lines[place + 1 :]]), folder)
    assert (replay.status, replay.exit_status) == ("unreadable", 2)
    assert named_lines(replay) == {min(place + 1, len(lines) - 1)}


@pytest.mark.parametrize("kept", range(27))
def test_a_file_that_ends_early_is_found_and_its_last_line_is_named(kept: int, lines: list[str], folder: Path):
    whole = replay_of(joined(lines[:kept]), folder)
    assert whole.exit_status == 2
    assert kept == 0 or named_lines(whole) == {kept}
    torn = replay_of(joined(lines[:kept]) + lines[kept][: PICK.randrange(1, len(lines[kept]))], folder)
    assert (torn.exit_status, named_lines(torn)) == (2, {kept + 1})


def test_two_lines_in_the_wrong_order_are_found(lines: list[str], folder: Path):
    replay = replay_of(joined([lines[0], lines[2], lines[1], *lines[3:]]), folder)
    assert (replay.exit_status, named_lines(replay)) == (2, {2})


def test_a_changed_seed_in_the_header_is_named_although_no_number_depends_on_it(lines: list[str], folder: Path):
    replay = replay_of(joined([lines[0].replace('"seed":0', '"seed":1'), *lines[1:]]), folder)
    assert (replay.exit_status, min(named_lines(replay))) == (1, 1)


def test_replay_takes_the_commands_of_a_file_written_by_hand(lines: list[str], folder: Path):
    only = [line for line in without_checks(joined(lines)).splitlines() if '"kind":"command"' in line]
    assert replay_of(joined([lines[0], "# the commands alone", *only, '{"kind":"end"}']), folder).status == "match"


def test_another_platform_is_compared_with_the_tolerance_of_the_header(lines: list[str], folder: Path):
    text = without_checks(joined(lines)).replace('"platform":"', '"platform":"not ', 1)
    near, far = text.replace("579.07605", "579.0761"), text.replace("579.07605", "581.0761")
    assert replay_of(near, folder).status == "match"
    assert replay_of(far, folder).status == "mismatch"


def test_on_another_processor_the_same_bits_are_tried_first_and_then_the_tolerance(lines: list[str], folder: Path):
    text = without_checks(joined(lines)).replace('"processor":"', '"processor":"not ', 1)
    near, far = text.replace("579.07605", "579.0761"), text.replace("579.07605", "581.0761")
    assert [replay_of(each, folder).status for each in (text, near, far)] == ["match", "match", "mismatch"]
    assert replay_of(text, folder).message == "bit for bit"
    assert replay_of(near, folder).message == "within rtol 0.001, atol 1e-05"


def test_update_rewrites_a_file_with_what_comes_out_now(lines: list[str], folder: Path):
    path = folder / "stale.gds"
    path.write_text(without_checks(joined(lines)).replace("579.07605", "1.5"), encoding="utf-8")
    assert replay_file(path).status == "mismatch"
    assert replay_file(path, update=True).updated
    assert replay_file(path).status == "match"
    assert path.read_text(encoding="utf-8").splitlines()[1:] == lines[1:]


def test_update_leaves_a_file_alone_that_matches(lines: list[str], folder: Path, cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CI", raising=False)
    path = folder / "mine.gds"
    path.write_text("\n".join(["# mine", *lines, ""]), encoding="utf-8")
    status, out, _ = cli("replay", "--update", str(path))
    assert (status, "matches bit for bit" in out, "left as it is" in out) == (0, True, True)
    assert path.read_text(encoding="utf-8").startswith("# mine\n")


def test_update_keeps_what_it_does_not_know(lines: list[str], folder: Path):
    path = folder / "noted.gds"
    path.write_text(without_checks(joined([*lines[:4], '{"kind":"note","of":3}', *lines[4:]])), encoding="utf-8")
    replay_file(path, update=True)
    assert decode(path.read_bytes()).records[3].body == {"of": 3}


def test_update_leaves_a_file_alone_whose_commands_fail_now(lines: list[str], folder: Path):
    path = folder / "failing.gds"
    path.write_text(without_checks(joined(lines)).replace('"line":"goto 1"', '"line":"goto 99"'), encoding="utf-8")
    before = path.read_bytes()
    replay = replay_file(path, update=True)
    assert (replay.status, replay.updated) == ("mismatch", False)
    assert path.read_bytes() == before


# --- the command line ---------------------------------------------------------------------------------------------------


def test_replay_ends_with_the_worst_status_of_its_files(small: Path, lines: list[str], folder: Path, cli):
    (folder / "digit.gds").write_text(joined(lines).replace("579.07605", "579.07606", 1), encoding="utf-8")
    (folder / "cut.gds").write_text(joined(lines[:5]), encoding="utf-8")
    assert cli("replay", str(small))[0] == 0
    status, out, _ = cli("replay", str(small), "digit.gds")
    assert status == 1
    assert "matches bit for bit (11 commands)" in out.splitlines()[0]
    assert "line 2, 'step 3', step 3, field point.loss" in out
    assert cli("replay", "cut.gds", str(small))[0] == 2
    assert cli("replay", "nosuch.gds")[0] == 2


def test_replay_json_is_one_object_a_file(small: Path, lines: list[str], folder: Path, cli):
    (folder / "digit.gds").write_text(joined(lines).replace("579.07605", "579.07606", 1), encoding="utf-8")
    _, out, _ = cli("replay", "--json", str(small), "digit.gds", "nosuch.gds")
    first, second, third = map(read_json, out.splitlines())
    assert [each["status"] for each in (first, second, third)] == ["match", "mismatch", "unreadable"]
    found = second["mismatches"][0]
    assert (found["line"], found["step"], found["field"]) == (2, 3, "point.loss")


def test_update_is_refused_when_ci_is_set(small: Path, folder: Path, cli, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(small, folder / "copy.gds")
    monkeypatch.setenv("CI", "true")
    status, _, err = cli("replay", "--update", "copy.gds")
    assert (status, err.count("\n")) == (2, 1)
    assert (folder / "copy.gds").read_bytes() == small.read_bytes()


@functools.cache
def shown(path: str) -> subprocess.CompletedProcess[str]:
    script = (
        "import sys; from gdrepl.shell.cli import main; status = main(sys.argv[1:]);"
        "print(*sorted({'tensorflow', 'keras'} & set(sys.modules)), file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", script, "show", "--json", path]
    return subprocess.run(command, capture_output=True, text=True, env=environment(Path("/nonexistent")), check=False)


def test_show_needs_no_tensorflow(small: Path):
    assert (shown(str(small)).returncode, shown(str(small)).stderr.strip()) == (0, "")


def test_show_tells_facts_branches_and_commands(small: Path):
    facts, branches, commands = map(read_json, shown(str(small)).stdout.splitlines())
    assert (facts["facts"]["loss"], facts["facts"]["commands"], facts["facts"]["closed"]) == ("(x-50)**2", 11, True)
    assert [(each["name"], each["end"]) for each in branches["branches"]] == [("main", 3), ("b1", 3), ("calm", 5)]
    assert [line for line, _ in commands["items"]] == list(LINES)


def test_show_counts_the_points_that_save_counts(folder: Path, cli):
    saved = do(hill(engine="eager"), "step 5", "goto 2", "set lr 0.3", "step 5", "run 2", "save c")
    facts, *_ = [json.loads(line) for line in cli("show", "c.gds", "--json")[1].splitlines()]
    assert facts["facts"]["points"] == saved["points"]


def test_show_tells_of_damage_and_refuses_what_is_no_session(lines: list[str], folder: Path, cli):
    (folder / "cut.gds").write_text(joined(lines[:5]), encoding="utf-8")
    (folder / "text.gds").write_text("hello\n", encoding="utf-8")
    (folder / "odd.gds").write_text('{"gdrepl":1,"kind":"header"}\n{"kind":"end"}\n', encoding="utf-8")
    status, out, _ = cli("show", "cut.gds")
    assert (status, "there is no end record" in out) == (1, True)
    for name in ("text.gds", "odd.gds", "nosuch.gds"):
        status, out, err = cli("show", name)
        assert (status, out, err.startswith("gdrepl: ")) == (2, "", True)


# --- data files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_data(folder: Path) -> Path:
    """A session that reads points.csv, both saved in a folder of their own."""
    home = folder / "home"
    home.mkdir()
    (home / "points.csv").write_text("x,y\n1,2\n2,4\n3,6\n", encoding="utf-8")
    session = Session(Setup("(a*1)**2", {"a": "1.0"}, optimizer="sgd", rate="0.01", engine="eager", folders=(home,)))
    do(session, 'const X = csv("points.csv", x)', 'const y = csv("points.csv", y)', "loss mean((a*X - y)**2)", "step 2")
    do(session, f"save {home / 'fit'}")
    return home


def test_the_digest_of_a_data_file_is_kept(with_data: Path):
    import hashlib

    digest = hashlib.sha256((with_data / "points.csv").read_bytes()).hexdigest()
    text = (with_data / "fit.gds").read_text(encoding="utf-8").splitlines()
    assert digest in text[1]
    assert any(json.loads(line)["kind"] == "problem" and digest in line for line in text)


def test_a_replay_from_another_folder_finds_the_data_beside_the_session_file(with_data: Path):
    assert replay_file(with_data / "fit.gds").status == "match"


def test_a_replay_notices_a_changed_data_file_and_says_which(with_data: Path):
    (with_data / "points.csv").write_text("x,y\n1,2\n2,4\n3,7\n", encoding="utf-8")
    replay = replay_file(with_data / "fit.gds")
    assert replay.exit_status == 1
    assert any("points.csv" in mismatch.command and mismatch.field == "sha256" for mismatch in replay.mismatches)


def test_a_data_file_of_the_command_line_is_noticed_too(with_data: Path):
    setup = Setup(
        "mean((a*X)**2)", {"a": "1"}, {"X": 'csv("points.csv", x)'}, "sgd", "0.1", engine="eager", folders=(with_data,)
    )
    do(Session(setup), "step", f"save {with_data / 'given'}")
    assert replay_file(with_data / "given.gds").status == "match"
    (with_data / "points.csv").write_text("x,y\n1,2\n2,4\n4,6\n", encoding="utf-8")
    [mismatch] = replay_file(with_data / "given.gds").mismatches
    assert (mismatch.line, mismatch.field, "points.csv" in mismatch.command) == (1, "sha256", True)


def test_a_missing_data_file_is_named(with_data: Path):
    (with_data / "points.csv").unlink()
    replay = replay_file(with_data / "fit.gds")
    assert replay.exit_status == 1
    assert "there is no file points.csv" in str(replay.mismatches[0])


# --- old versions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["v1-minimal.gds", "v1-full.gds"])
def test_every_version_ever_written_replays(name: str):
    replay = replay_file(DATA / name)
    assert (replay.status, replay.mismatches) == ("match", ())


def test_there_is_a_minimal_and_a_full_file_of_each_version():
    from gdrepl.recording.format import READERS

    assert {path.name for path in DATA.glob("*.gds")} == {f"v{n}-{kind}.gds" for n in READERS for kind in ("minimal", "full")}


def test_the_minimal_file_loads_and_runs():
    session = loaded(DATA / "v1-minimal.gds")
    assert do(session, "step")["point"]["parameters"] == {"x": 1.0}  # 2 - 0.25 * 2*2


def test_the_full_file_loads_with_all_that_it_holds():
    session = loaded(DATA / "v1-full.gds")
    branches = do(session, "info branches")["branches"]
    assert [branch["name"] for branch in branches] == ["main", "b1", "careful", "b2", "b3", "b4", "b5", "b6"]
    assert [branch["final_loss"] for branch in branches][-2:] == ["NaN", "NaN"]
    assert "exponential_decay" in branches[0]["optimizer"]
    assert session.debugger.problem.dtype == "float64"
    assert [stop["text"] for stop in do(session, "info break")["stops"]] == ["loss < -5"]
    assert (session.debugger.position.branch, session.debugger.step, session.seed) == ("b6", 1, 7)


@pytest.mark.parametrize(("name", "commands"), [("v1-minimal.gds", 0), ("v1-full.gds", 39)])
def test_every_version_ever_written_is_shown(name: str, commands: int, cli):
    status, out, _ = cli("show", "--json", str(DATA / name))
    assert status == 0
    assert read_json(out.splitlines()[0])["facts"]["commands"] == commands


def test_a_version_of_tomorrow_is_refused_by_its_number(lines: list[str], folder: Path):
    replay = replay_of(joined([lines[0].replace('"gdrepl":1', '"gdrepl":2'), *lines[1:]]), folder)
    assert "format version 2 is not readable here; versions readable: 1" in replay.message


def test_the_files_of_old_versions_are_what_was_written():
    for path in DATA.glob("*.gds"):
        assert decode(read_bytes(path)).closed


# --- files and folders --------------------------------------------------------------------------------------------------

FIT = ('const X = csv("table.csv", u)', "var w = 0.5", "loss mean((X*w - 1)**2)", "step 5")


def test_a_recording_saved_elsewhere_finds_its_data_from_anywhere(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "table.csv").write_text("u\n1\n2\n", encoding="utf-8")
    (folder / "runs").mkdir()
    (folder / "far").mkdir()
    do(hill(engine="eager"), *FIT, "save runs/fit")
    recording = folder / "runs" / "fit.gds"
    monkeypatch.chdir(folder / "far")
    assert replay_file(recording).status == "match"
    assert str(folder) not in recording.read_text(encoding="utf-8")
    session = loaded(recording)
    do(session, "step", "save again")
    assert replay_file(folder / "far" / "again.gds").status == "match"
    (folder / "table.csv").write_text("u\n1\n3\n", encoding="utf-8")
    assert replay_file(recording).status == "mismatch"


@pytest.mark.parametrize("change", ["gone", "another"])
def test_data_that_no_loss_reads_is_watched_like_any_other(change: str, folder: Path):
    (folder / "table.csv").write_text("u\n1\n2\n", encoding="utf-8")
    constants = {"X": 'csv("table.csv", u)', "v": "normal(2)"}
    session = Session(Setup("w**2", {"w": "1"}, constants, optimizer="sgd", engine="eager"))
    do(session, "step", "save unread")
    assert replay_file(folder / "unread.gds").status == "match"
    do(loaded(folder / "unread.gds"), "step", "save unread-too")
    assert replay_file(folder / "unread-too.gds").status == "match"
    if change == "gone":
        (folder / "table.csv").unlink()
    else:
        (folder / "table.csv").write_text("u\n1\n3\n", encoding="utf-8")
    [mismatch] = replay_file(folder / "unread.gds").mismatches
    assert (mismatch.line, mismatch.field) == (1, "sha256")
    assert (mismatch.got == "no such file") == (change == "gone")


def test_a_file_of_another_session_is_kept_aside_and_ones_own_is_not(folder: Path):
    first, second = hill(engine="eager"), hill(engine="eager")
    do(first, "step", "save one")
    assert do(first, "step", "save one")["notes"] == []
    assert not (folder / "one.gds~").exists()
    before = (folder / "one.gds").read_bytes()
    assert do(second, "step 5", "save one")["notes"] == ["what was there is one.gds~ now"]
    assert (folder / "one.gds~").read_bytes() == before
    before = (folder / "one.gds").read_bytes()
    assert do(first, "save one")["notes"] == ["what was there is one.gds~ now"]  # it is another's by now
    assert (folder / "one.gds~").read_bytes() == before
    assert do(loaded(folder / "one.gds"), "step", "save one")["notes"] == []


def test_the_session_that_was_given_up_for_a_loaded_one_is_another(folder: Path):
    do(hill(engine="eager"), "step 9", "save b")
    session = hill(engine="eager")
    do(session, "step", "save a")
    before = (folder / "a.gds").read_bytes()
    do(session, "load b")
    assert do(session, "save a")["notes"] == ["what was there is a.gds~ now"]
    assert (folder / "a.gds~").read_bytes() == before


def test_whatever_is_replaced_is_kept_byte_for_byte(folder: Path):
    (folder / "photo.jpg").write_bytes(bytes(range(256)) * 9)
    (folder / "photo.jpg").chmod(0o640)
    do(hill(engine="eager"), "step", "save photo.jpg")
    assert (folder / "photo.jpg~").read_bytes() == bytes(range(256)) * 9
    assert (folder / "photo.jpg~").stat().st_mode & 0o777 == 0o640
    (folder / "two.gds").write_text("mine", encoding="utf-8")
    (folder / "two.gds~").mkdir()
    assert error_of(hill(engine="eager"), "save two").message == "cannot write two.gds~: it is a directory"
    assert (folder / "two.gds").read_text(encoding="utf-8") == "mine"


def test_what_has_the_same_bytes_is_no_loss(folder: Path):
    for _ in range(2):
        assert do(hill(engine="eager"), "step", "save two", "save two")["notes"] == []


@pytest.mark.parametrize("name", ["gone", "loop"])
def test_a_place_where_nothing_can_be_saved_is_one_line(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    session = hill(engine="eager")
    do(session, "step")
    if name == "gone":
        (folder / "gone").mkdir()
        monkeypatch.chdir(folder / "gone")
        (folder / "gone").rmdir()
    else:
        (folder / "loop.gds").symlink_to("loop.gds")
    assert error_of(session, f"save {name}").message.startswith(f"cannot write {name}.gds: ")


def test_data_is_found_where_it_was_though_another_file_of_the_name_is_beside_the_recording(folder: Path):
    (folder / "table.csv").write_text("u\n1\n2\n", encoding="utf-8")
    (folder / "runs").mkdir()
    (folder / "runs" / "table.csv").write_text("u\n5\n6\n", encoding="utf-8")
    do(hill(engine="eager"), *FIT, "save runs/fit")
    assert replay_file(folder / "runs" / "fit.gds").status == "match"


def test_load_reads_what_save_wrote_though_a_file_without_the_suffix_is_there(folder: Path):
    (folder / "one").write_text("a note", encoding="utf-8")
    session = hill(engine="eager")
    do(session, "step 3", "save one", "step 4")
    assert do(session, "load one")["point"]["step"] == 3


def test_a_folder_stands_for_the_recordings_in_it(folder: Path, cli):
    (folder / "runs" / "deep").mkdir(parents=True)
    do(hill(engine="eager"), "step", "save runs/b", "step", "save runs/deep/a")
    status, out, _ = cli("replay", "runs")
    assert (status, [line.partition(":")[0] for line in out.splitlines()]) == (0, ["runs/b.gds", "runs/deep/a.gds"])
    (folder / "none").mkdir()
    assert cli("replay", "none") == (2, "", "gdrepl: there are no session files (.gds) in none\n")


def test_more_differences_than_are_listed_are_told_of(folder: Path, cli):
    do(hill(engine="eager"), *["step"] * 15, "save many")
    text = (folder / "many.gds").read_text(encoding="utf-8").replace('"parameters":{"x":3.0}', '"parameters":{"x":2.0}', 1)
    (folder / "many.gds").write_text(without_checks(text), encoding="utf-8")
    status, out, _ = cli("replay", "many")
    assert (status, len(out.splitlines()), out.splitlines()[-1]) == (1, 22, "  and more")
    _, out, _ = cli("replay", "--json", "many")
    assert (read_json(out)["more"], read_json(out)["message"]) == (True, "")
    status, out, _ = cli("replay", "--update", "many")
    assert (status, out.splitlines()[0], out.splitlines()[-1]) == (0, "many.gds: rewritten", "  and more")


def test_a_recording_may_lack_what_a_later_gdrepl_tells(lines: list[str], folder: Path):
    older = [line.replace(',"came_from":""', "").replace(',"notes":[]', "") for line in lines]
    assert older != lines
    assert replay_of(without_checks(joined(older)), folder).status == "match"
    short = [line.replace('"line":"step ', '"line":"s ').replace('"line":"goto ', '"line":"go ') for line in lines]
    assert short != lines
    assert replay_of(without_checks(joined(short)), folder).status == "match"


@pytest.mark.parametrize("part", ['"loss":579.07605,', '"parameters":{"x":25.936},', '"taken":3,', '"stops":[{"kind":"count",'])
def test_a_recording_may_not_lack_a_value(part: str, lines: list[str], folder: Path):
    assert part in lines[1]
    without = lines[1].replace(part, '"stops":[{' if part.startswith('"stops') else "", 1)
    replay = replay_of(without_checks(joined([lines[0], without, *lines[2:]])), folder)
    assert (replay.status, replay.mismatches[0].line) == ("mismatch", 2)


def test_update_keeps_the_comments_of_a_recording(folder: Path, cli):
    do(hill(engine="eager"), "step", "step 2", "save told")
    header, first, *rest = (folder / "told.gds").read_text(encoding="utf-8").splitlines()
    changed = without_checks(first).rstrip().replace('"loss":', '"loss":1', 1)
    text = ["# what it shows", header, "", "# the first step", changed, *rest, "# the end"]
    (folder / "told.gds").write_text(joined(text), encoding="utf-8")
    assert cli("replay", "told")[0] == 1
    assert cli("replay", "--update", "told")[0] == 0
    new = (folder / "told.gds").read_text(encoding="utf-8").splitlines()
    assert new == ["# what it shows", header, "", "# the first step", first, *rest, "# the end"]
    assert replay_file(folder / "told.gds").status == "match"


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("branch", '"name":"main"', '"name":{"a":1}'),
        ("branch", '"parent":null', '"parent":[]'),
        ("segment", '"optimizer":{"name":"SGD"', '"optimizer":{"name":7'),
        ("problem", '"dtype":"float32"', '"dtype":[]'),
        ("header", '"engine":"eager"', '"engine":{}'),
    ],
)
def test_show_refuses_values_of_another_kind_in_one_line(kind: str, old: str, new: str, lines: list[str], folder: Path, cli):
    changed = [line.replace(old, new, 1) if f'"kind":"{kind}"' in line else line for line in lines]
    assert changed != lines
    (folder / "odd.gds").write_text(without_checks(joined(changed)), encoding="utf-8")
    for options in ((), ("--json",)):
        status, out, err = cli("show", "odd", *options)
        assert (status, len((out + err).splitlines())) == (2, 1)
        assert "a record is not in order" in out + err


def test_nothing_in_a_recording_reaches_the_terminal_as_a_command_to_it(lines: list[str], folder: Path, cli):
    hostile = "\\u001b[2J\\u0007\\n"
    for old, new in (('"line":"print x"', f'"line":"print x{hostile}zz"'), ('"name":"main"', f'"name":"ma{hostile}in"')):
        changed = [line.replace(old, new, 1) for line in lines]
        assert changed != lines
        (folder / "odd.gds").write_text(without_checks(joined(changed)), encoding="utf-8")
        for arguments in (("replay", "odd"), ("show", "odd"), ("resume", "odd.gds", "--batch")):
            _, out, err = cli(*arguments)
            assert "\x1b" not in out + err
            assert "\x07" not in out + err
            assert not any(line.startswith("zz") for line in (out + err).splitlines())


NO_FILES = ("", ".", "a" * 300, "nosuch/dir/x")


@pytest.mark.parametrize(
    ("command", "name"),
    [*((command, name) for command in ("replay", "show", "resume") for name in NO_FILES), ("show", "/"), ("resume", "/")],
)
def test_a_name_that_no_file_has_is_a_line_and_status_2(command: str, name: str, folder: Path, cli):
    status, out, err = cli(command, name)
    assert (status, "Traceback" in out + err) == (2, False)


def test_what_update_rewrote_did_not_match_within_a_tolerance(lines: list[str], folder: Path, cli, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    changed = [line.replace('"taken":3', '"taken":4', 1) for line in lines]
    (folder / "odd.gds").write_text(without_checks(joined(changed)), encoding="utf-8")
    _, out, _ = cli("replay", "--update", "--json", "odd")
    answer = read_json(out)
    assert (answer["updated"], answer["message"]) == (True, "")


def test_a_script_that_is_a_session_file_is_told_so(small: Path):
    assert error_of(hill(engine="eager"), f"source {small}").hint == "load small.gds goes on from it"


def test_a_load_compiles_nothing_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    session, made = hill(), []
    do(session, "step 3", "set momentum 0.5", "step 2", "save kept")
    monkeypatch.setattr(programs, "Program", lambda *given: made.append(given) or Program(*given))
    do(session, "load kept", "step 2", "goto 1", "step")
    assert made == []
    do(session, "set momentum 0.75")
    assert len(made) == 1
