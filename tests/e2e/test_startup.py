"""init.gd and config.toml: what a user's own files do before the first command, and what they cannot break."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import do, environment, gdrepl, hill, read_json

from gdrepl.commands.replaying import replay_file
from gdrepl.recording.journal import journal_folder
from gdrepl.shell.keeper import Keeper

QUICK = ("(x-50)**2", "--var", "x=3", "--optimizer", "sgd", "--lr", "0.1", "--engine", "eager")
Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes init.gd and config.toml into the configuration folder."""
    folder = tmp_path / "config" / "gdrepl"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def put(init: str = "", config: str = "") -> None:
        (folder / "init.gd").write_text(init, encoding="utf-8")
        (folder / "config.toml").write_text(config, encoding="utf-8")

    return put


def test_init_is_run_before_the_commands_and_is_silent_about_what_it_made(write, cli):
    write("alias two = step 2\ndefine look\n  print x\nend\n")
    assert cli(*QUICK, "--batch", "-c", "two", "-c", "look", "-c", "print step")[1].splitlines()[-2:] == [
        "$1: x = 19.92",
        "$2: step = 2",
    ]


def test_no_init_leaves_both_files_out(write, cli):
    write("step 5\n", "[settings]\nmax-steps = 3\n")
    assert cli(*QUICK, "--no-init", "--batch", "-c", "print step") == (0, "$1: step = 0\n", "")


@pytest.mark.parametrize("options", [("--batch",), ("--batch", "-c", "print step"), ()])
def test_an_error_in_init_names_file_and_line_and_ends_a_batch_as_that_of_any_line_does(write, cli, options):
    write("print 6*7\n\nnonsense\nprint 7\n")
    status, out, err = cli(*QUICK, *options, stdin="print step\n")
    assert (status, out) == (1, "$1: 6*7 = 42\n")
    assert "init.gd line 3: error: unknown command 'nonsense'" in err


def test_an_unfinished_block_in_init_is_told_and_swallows_no_command(write, cli):
    write("define go\nstep\n")
    status, out, err = cli(*QUICK, "--batch", "-c", "print step")
    assert (status, out) == (1, "")
    assert "init.gd line 1" in err
    assert "was not finished" in err


def test_a_process_ends_with_status_1_when_init_has_an_error(write, tmp_path):
    write("alias two = step 2\nnonsense\n")
    env = {**environment(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    ended = gdrepl([*QUICK, "--batch", "-c", "print step"], env)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr.startswith(b"init.gd line 2: error: unknown command 'nonsense'")
    assert gdrepl([*QUICK, "--batch", "--no-init", "-c", "help step"], env).returncode == 0


def test_json_answers_only_what_was_asked(write, cli):
    write("alias two = step 2\nstep 1\n")
    status, out, err = cli(*QUICK, "--json", "--batch", "-c", "two")
    [answer] = map(read_json, out.splitlines())
    assert (status, answer["command"], answer["result"]["point"]["step"], err) == (0, "step 2", 3, "")


def test_json_tells_of_the_error_in_init_that_ends_the_session(write, cli):
    write("step 1\nnonsense\n")
    status, out, err = cli(*QUICK, "--json", "--batch", "-c", "print step")
    [answer] = map(read_json, out.splitlines())
    assert (status, answer["command"], err) == (1, "nonsense", "")
    assert answer["error"]["message"].startswith("init.gd line 2: unknown command")


def test_what_init_made_is_in_the_journal_and_in_files(write, cli, tmp_path):
    write("alias two = step 2\n", "[settings]\nmax-steps = 4\nhistory-limit = 64\nconfirm = false\n")
    assert cli(*QUICK, "--batch", "-c", "two", "-c", "continue", "-c", f"save {tmp_path / 'a.gds'}")[0] == 0
    [journal] = journal_folder().glob("*.gds")
    lines = [json.loads(line).get("line") for line in journal.read_text().splitlines()]
    assert [line for line in lines if line] == ["alias two = step 2", "step 2", "continue"]
    write()  # a replay reads neither
    assert replay_file(tmp_path / "a.gds").status == "match"
    assert replay_file(journal).status == "match"
    assert json.loads((tmp_path / "a.gds").read_text().splitlines()[0])["settings"] == {
        "max-steps": 4,
        "history-limit": 64,
        "confirm": False,
    }


def test_a_file_without_settings_has_none_in_its_header(cli, tmp_path):
    cli(*QUICK, "--batch", "-c", "step", "-c", f"save {tmp_path / 'a.gds'}")
    assert "settings" not in json.loads((tmp_path / "a.gds").read_text().splitlines()[0])


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("[settings]\nmax-steps = 0\n", "[settings] max-steps cannot be 0"),
        ("[settings]\nmax-steps = true\n", "[settings] max-steps cannot be True"),
        ('[settings]\nprint-precision = "7"\n', "[settings] print-precision cannot be '7'"),
        ("[settings]\nconfirm = 1\n", "[settings] confirm cannot be 1"),
        ("[settings]\nmax-step = 5\n", "there is no max-step; did you mean 'max-steps'"),
        ("[options]\nwidth = 3\n", "[options] width cannot be 3"),
        ("[options]\ncolour = false\n", "[options] there is no colour"),
        ("[colors]\nred = 1\n", "there is no [colors] here"),
        ("max-steps = 5\n", "max-steps stands under no heading; [settings] and [options] are read"),
        ("settings = 3\n", "settings is a table"),
        ("settings = [\n", "config.toml is not read: "),
    ],
)
def test_what_is_wrong_in_config_is_one_line_that_names_file_and_key(write, cli, config, told):
    write("", config)
    status, out, err = cli(*QUICK, "--batch", "-c", "print step")
    assert (status, out) == (0, "$1: step = 0\n")
    assert err.count("\n") == 1
    assert err.startswith("warning: ")
    assert "config.toml" in err
    assert told in err


def test_config_says_what_the_command_line_can_say_of_the_screen(write, cli):
    write("", "[options]\nascii = true\nwidth = 30\n[settings]\nprint-precision = 3\n")
    out = cli(*QUICK, "--batch", "-c", "step", "-c", "print pi")[1]
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 30
    assert out.splitlines()[-1] == "$1: pi = 3.14"
    wider = cli(*QUICK, "--width", "80", "--batch", "-c", "step")[1]
    assert max(map(len, wider.splitlines())) > 30


def test_an_init_that_is_no_text_is_told_of(write, cli, tmp_path):
    write()
    (tmp_path / "config" / "gdrepl" / "init.gd").write_bytes(b"\xff\xfe")
    status, out, err = cli(*QUICK, "--batch", "-c", "print step")
    assert (status, out) == (1, "")
    assert "it is not text in UTF-8" in err


def test_a_quit_in_init_ends_the_session(write, cli):
    write("quit\n")
    status, out, err = cli(*QUICK, "--batch", "-c", "print step")
    assert (status, err) == (0, "")
    assert "$1" not in out


def test_what_is_made_before_the_session_is_ready_is_in_the_journal_when_it_is():
    session = hill(engine="eager")
    keeper = Keeper(session)
    do(session, "alias two = step 2", "define go ;; step ;; end")
    assert not session.ready
    assert list(journal_folder().glob("*.gds")) == []
    assert session.debugger.step == 0
    [journal] = journal_folder().glob("*.gds")
    lines = [json.loads(line).get("line") for line in journal.read_text().splitlines()]
    assert lines == [None, "alias two = step 2", "define go ;; step ;; end"]
    keeper.close()


def test_echo_shows_the_piped_lines_alone(write, cli):
    write("alias two = step 2\n")
    out = cli(*QUICK, "--echo", stdin="define go\nprint x\nend\ngo\n")[1]
    assert out == "(gd) define go\n> print x\n> end\ngo is defined: 1 line\n(gd) go\n$1: x = 3\n"


def test_input_that_ends_within_a_block_is_an_error_that_names_its_line(cli):
    status, out, err = cli(*QUICK, stdin="print x\ndefine go\nprint x\n")
    assert (status, out) == (1, "$1: x = 3\n")
    assert "line 2: error: 'define go' was not finished" in err
    status, _, err = cli(*QUICK, "--batch", "-c", "define go", "-c", "step")
    assert status == 1
    assert err.startswith("error: 'define go' was not finished")


def test_what_init_made_outlives_a_load_and_is_recorded_there(write, cli, tmp_path):
    cli(*QUICK, "--batch", "-c", "alias two = step 3", "-c", "step", "-c", f"save {tmp_path / 'a.gds'}")
    write("alias two = step 2\ndefine look\nprint $arg0\nend\n")
    out = cli(
        *QUICK, "--batch", "-c", f"load {tmp_path / 'a.gds'}", "-c", "two", "-c", "look step", "-c", f"save {tmp_path / 'b'}"
    )[1]
    assert "$1: step = 4" in out
    assert replay_file(tmp_path / "b.gds").status == "match"
