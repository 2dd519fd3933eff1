"""The command line: what it answers, in which order, with which status, and what never reaches the screen."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from driving import environment, gdrepl, read_json

from gdrepl import __version__

HEAVY = "tensorflow keras numpy rich prompt_toolkit plotext"
PROBE = (
    "import sys\nfrom gdrepl.shell.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as ending:\n"
    f"    print('status', ending.code)\nprint('heavy', *sorted(set('{HEAVY}'.split()) & set(sys.modules)))"
)
QUICK = ["(x-50)**2", "--var", "x=3", "--optimizer", "sgd", "--lr", "0.1", "--engine", "eager"]
GARBAGE = random.Random(5)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "state")


# --- help and usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["debug", "--help"], ["replay", "--help"], ["-h"]], ids=" ".join
)
def test_version_and_help_import_nothing_heavy(arguments: list[str], env):
    command = [sys.executable, "-c", PROBE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines()[-2:] == ["status 0", "heavy"]
    assert done.stderr == ""


def test_version_is_the_version_of_the_package(cli):
    assert cli("--version") == (0, f"gdrepl {__version__}\n", "")


def test_help_names_every_command(cli):
    _, out, _ = cli("--help")
    assert all(name in out for name in ("debug", "replay", "show", "resume"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["debug", "--dtype", "float16"],
        ["debug", "--engine", "steam"],
        ["debug", "--seed", "-1"],
        ["debug", "--seed", "²"],
        ["debug", "--width", "3"],
        ["debug", "--var", "x", "--batch", "-c", "step"],
        ["debug", "--const", "=3", "--batch", "-c", "step"],
        ["replay"],
        ["show"],
        ["debug", "-c"],
        ["debug", "--bat"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_status_2_and_no_output(arguments: list[str], cli):
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "")
    assert err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["rosenbrock", "dim=0"],
        ["x**2"],
        ["x**2", "--var", "x=foo"],
        ["x > 1", "--var", "x=1"],
        ["--optimizer", "nosuch"],
        ["--optimizer", "adam(beta_1=3)"],
        ["--lr", "fast"],
        ["--const", 'a=csv("nosuch.csv")'],
    ],
    ids=" ".join,
)
def test_a_start_that_cannot_be_ends_with_status_2_and_one_error(arguments: list[str], cli):
    status, out, err = cli(*arguments, "--batch", "-c", "step")
    assert (status, out) == (2, "")
    assert err.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["x**2", "--var", "x=foo"], "--var x"),
        (["--const", 'a=csv("nosuch.csv")'], "--const a"),
        (["--optimizer", "adam(beta_1=3)"], "--optimizer"),
        (["--lr", "fast"], "--lr"),
        (["--lr", "-1"], "--lr"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_wrong_at_the_start_names_its_option(arguments: list[str], option: str, cli):
    assert cli(*arguments, "--batch", "-c", "step")[2].startswith(f"error: {option}: ")


# --- batch --------------------------------------------------------------------------------------------------------------


def test_bare_gdrepl_is_gdrepl_debug(cli):
    bare, named = cli(stdin="info problem\n"), cli("debug", stdin="info problem\n")
    assert bare == named
    assert bare[0] == 0
    assert "(x-50)**2" in bare[1]


def test_options_without_a_command_are_those_of_debug(cli):
    assert cli(*QUICK, "--batch", "-c", "print x") == (0, "$1: x = 3\n", "")


def test_commands_and_scripts_run_in_the_order_given(tmp_path: Path, cli):
    (tmp_path / "two.gd").write_text("step 2\nprint step\n", encoding="utf-8")
    _, out, _ = cli(*QUICK, "--batch", "--json", "-c", "step", "-x", str(tmp_path / "two.gd"), "-c", "goto 0")
    assert [line.partition('"result"')[0] for line in out.splitlines()] == [
        f'{{"command":"{line}",' for line in ("step", "step 2", "print step", f"source {tmp_path / 'two.gd'}", "goto 0")
    ]


@pytest.mark.parametrize(
    ("loss", "value"), [("-x**2", -9.0), ("-cos(x)", 0.98999), ("-(x-5)**2", -4.0), ("-exp(x)", -20.085537)]
)
def test_a_loss_may_begin_with_a_minus(loss: str, value: float, cli):
    status, out, _ = cli(loss, "--var", "x=3", "--engine", "eager", "--batch", "--json", "-c", "print loss")
    assert (status, read_json(out)["result"]["value"]) == (0, pytest.approx(value, rel=1e-5))


def test_an_option_with_its_value_behind_it_is_no_loss(tmp_path: Path, cli):
    (tmp_path / "one.gd").write_text("print x\n", encoding="utf-8")
    for option in ("-cprint x", f"-x{tmp_path / 'one.gd'}"):
        status, out, _ = cli(*QUICK, "--batch", option)
        assert (status, out.splitlines()[0]) == (0, "$1: x = 3")
    assert cli("-vv", "--batch")[0] == 2


def test_batch_ends_at_the_first_error_with_status_1(cli):
    status, out, err = cli(*QUICK, "--batch", "-c", "print x", "-c", "nonsense", "-c", "print x")
    assert (status, out) == (1, "$1: x = 3\n")
    assert err == "error: unknown command 'nonsense'\n  help lists the commands\n"


def test_piped_input_ends_at_the_first_error_with_status_1(cli):
    status, out, err = cli(*QUICK, stdin="print x\ngoto 99\nprint x\n")
    assert (status, out) == (1, "$1: x = 3\n")
    assert err.startswith("error: branch main has steps 0 to 0, not 99\n")


def test_an_error_in_a_script_names_its_file_and_line(tmp_path: Path, cli):
    (tmp_path / "wrong.gd").write_text("# fine\nprint x\nnonsense\n", encoding="utf-8")
    status, _, err = cli(*QUICK, "--batch", "-x", str(tmp_path / "wrong.gd"))
    assert status == 1
    assert err.startswith("wrong.gd line 3: error: unknown command 'nonsense'")


def test_quit_ends_a_script_with_status_0(cli):
    assert cli(*QUICK, stdin="print x\nquit\nnonsense\n") == (0, "$1: x = 3\n", "")


def test_batch_does_not_read_standard_input(cli):
    assert cli(*QUICK, "--batch", "-c", "print x", stdin="nonsense\n") == (0, "$1: x = 3\n", "")


def test_batch_without_commands_takes_the_piped_lines_less_a_byte_order_mark(env, cli):
    command = [sys.executable, "-m", "gdrepl", "debug", *QUICK, "--batch"]
    done = subprocess.run(command, input="\ufeffhelp step\nnonsense\nhelp quit\n", capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout) == (1, cli("--batch", "-c", "help step")[1])
    assert "unknown command 'nonsense'" in done.stderr


def test_without_batch_the_piped_lines_come_after_the_commands(cli):
    assert cli(*QUICK, "-c", "print x", stdin="print step\n")[1] == "$1: x = 3\n$2: step = 0\n"


def test_an_expression_error_points_at_the_column(cli):
    _, _, err = cli(*QUICK, "--batch", "-c", "print x + yy")
    assert "  x + yy\n      ^\n" in err


def test_comments_and_blank_lines_do_nothing(cli):
    assert cli(*QUICK, stdin="\n# a comment\n   \nprint x\n") == (0, "$1: x = 3\n", "")


def test_echo_shows_each_piped_command_behind_its_prompt(cli):
    assert cli(*QUICK, "--echo", stdin="print x\n")[1] == "(gd) print x\n$1: x = 3\n"


# --- the screen ---------------------------------------------------------------------------------------------------------

SHOWN = (
    "step 3",
    "grad",
    "history",
    "info optimizer",
    "info problem",
    "info branches",
    "plot",
    "help",
    "help step",
    "info problems",
)


def test_ascii_is_pure_ascii(cli):
    arguments = [part for line in SHOWN for part in ("-c", line)]
    status, out, _ = cli(*QUICK, "--batch", "--ascii", *arguments)
    assert status == 0
    assert out.isascii()


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_line_is_wider_than_the_width(width: int, cli):
    arguments = [part for line in SHOWN for part in ("-c", line)]
    status, out, _ = cli(*QUICK, "--batch", "--width", str(width), *arguments)
    assert status == 0
    assert [line for line in out.splitlines() if len(line) > width] == []


def test_colour_goes_to_terminals_only(cli):
    assert "\x1b" not in cli(*QUICK, "--batch", "-c", "step", "-c", "help")[1]


@pytest.mark.parametrize(
    ("variables", "options", "colour"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": ""}, [], True),
        ({}, ["--no-color"], False),
        ({"TERM": "dumb"}, [], False),
    ],
)
def test_a_terminal_gets_colour_unless_it_is_refused(variables, options, colour, cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert ("\x1b[" in cli("--batch", *options, "-c", "help")[1]) is colour


def test_a_reader_that_leaves_causes_no_traceback_and_nothing_to_resume(env, tmp_path: Path):
    run = f"{sys.executable} -m gdrepl"
    script = f"{run} {' '.join(map(repr, QUICK))} -c 'step 3' -c 'info optimizers' -c 'history' -c 'help' --batch | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
    [journal] = (tmp_path / "state").rglob("*.gds")
    assert '"kind":"end"' in journal.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ([], b"\xff\xfe\x00 garbage\n"),
        (["--json"], b"help \xc3\x28\n"),
        ([], bytes(GARBAGE.randrange(256) for _ in range(5000))),
        (["--json"], bytes(GARBAGE.randrange(256) for _ in range(5000))),
        (["--json"], b"x" * 1_000_000),
        ([], b"(" * 1_000_000 + b"\n"),
        (["--json"], b"\x00" * 1000),
        ([], b"help \xf0\x9f\x98\x80\n"),
    ],
    ids=[
        "invalid",
        "half a character",
        "random",
        "random as JSON",
        "a megabyte",
        "a million brackets",
        "zeros",
        "a smile",
    ],
)
def test_garbage_on_standard_input_is_an_error_and_no_traceback(options: list[str], data: bytes, env):
    done = gdrepl(["--engine", "eager", *options], {**env, "PYTHONIOENCODING": "utf-8"}, data)
    assert done.returncode == 1
    assert b"Traceback" not in done.stdout + done.stderr
    assert b"internal error" not in done.stdout + done.stderr
    done.stdout.decode()
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"") if options else done.stderr.startswith(b"error: ")


def test_closed_standard_input_is_the_end_of_it(env):
    script = f"{sys.executable} -m gdrepl -c 'help step' <&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "step [COUNT]" in done.stdout


def test_a_closed_output_is_no_bug(env):
    script = f"{sys.executable} -m gdrepl {' '.join(map(repr, QUICK))} -c 'print x' --batch >&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("option", ["--batch", "--json"])
def test_a_full_disk_behind_the_output_is_said_in_one_line(option: str, env):
    script = f"{sys.executable} -m gdrepl {' '.join(map(repr, QUICK))} -c 'print x' --batch {option} >/dev/full"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (1, "gdrepl: cannot write the output: No space left on device\n")
