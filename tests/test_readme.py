"""The README tells the truth: its transcripts are typed into the real program, and what comes back is compared.

A block fenced as `gdrepl` is a transcript. Lines that begin with `(gd) ` are typed, the lines after each are its output;
a line `...` stands for any lines, `...` within a line for any text. The first line may be `$ gdrepl ...` and names the
arguments. The first transcript goes through a pipe to a process of its own, the others through the command line in this one.
A block fenced as `console` is run, and has to succeed, when `<!-- run -->` stands before it; its `$ ` lines
are typed, the rest is for the reader.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gdrepl.shell.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PROGRAM = (sys.executable, "-m", "gdrepl")
PROMPT = "(gd) "
SECONDS = 120  # for one transcript, TensorFlow's start included


# --- reading ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the comment right before it, its lines, and the line of its fence, counted from 1."""

    language: str
    marker: str
    line: int
    text: tuple[str, ...]

    def __str__(self) -> str:
        return f"line-{self.line}"


def blocks(markdown: str) -> Iterator[Block]:
    fence, marker, start, text = "", "", 0, list[str]()
    language = ""
    for number, line in enumerate(markdown.splitlines(), 1):
        opening = re.match(r"\s*(```+|~~~+)\s*(\S*)", line)
        if fence:
            if line.strip() == fence:
                yield Block(language, marker, start, tuple(text))
                fence = marker = ""
            else:
                text.append(line)
        elif opening:
            (fence, language), start, text = opening.groups(), number, []
        elif line.strip():
            comment = re.fullmatch(r"<!-- (\S+) -->", line.strip())
            marker = comment[1] if comment else ""


@dataclass
class Exchange:
    """One command and its output; the empty command stands for what comes before the first prompt."""

    command: str
    output: list[str] = field(default_factory=list)


def exchanges(lines: Sequence[str]) -> list[Exchange]:
    found = [Exchange("")]
    for line in lines:
        if line.startswith(PROMPT) or line == PROMPT.rstrip():
            found.append(Exchange(line[len(PROMPT) :].strip()))
        else:
            found[-1].output.append(line.rstrip())
    for exchange in found:  # blank lines around an output are for the eye
        while exchange.output and not exchange.output[-1]:
            exchange.output.pop()
        while exchange.output and not exchange.output[0]:
            exchange.output.pop(0)
    return found


def arguments(transcript: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """The program's arguments and the rest of the transcript."""
    if transcript and transcript[0].startswith("$ "):
        words = shlex.split(transcript[0][2:])
        assert words[:1] == ["gdrepl"], f"a transcript starts gdrepl, not {transcript[0]!r}"
        return words[1:] or ["debug"], transcript[1:]
    return ["debug"], transcript


# --- comparing ----------------------------------------------------------------------------------------------------------


def matches(wanted: Sequence[str], got: Sequence[str]) -> bool:
    pattern = ""
    for line in wanted:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in got)) is not None


def differences(transcript: Sequence[str], printed: str) -> str:
    """Where the printed text departs from the transcript, as a diff of the first command that does; empty if nowhere."""
    wanted, got = exchanges(transcript), exchanges(printed.splitlines())
    asked, echoed = [each.command for each in wanted], [each.command for each in got]
    if asked != echoed:
        return _diff(asked, echoed, "commands", "commands echoed") + f"\nthe program printed:\n{printed}"
    for want, have in zip(wanted, got):
        hidden = not want.command and not want.output  # a transcript need not show the banner
        if not hidden and not matches(want.output, have.output):
            return _diff(want.output, have.output, f"{PROMPT}{want.command}", "printed")
    return ""


def _diff(wanted: Sequence[str], got: Sequence[str], left: str, right: str) -> str:
    return "\n".join(difflib.unified_diff(wanted, got, left, right, lineterm="", n=99))


def converse(transcript: Sequence[str], folder: Path, program: Sequence[str] = PROGRAM) -> str:
    """Type the transcript into the program through a pipe; standard error joins in, as it would on a terminal."""
    words, lines = arguments(transcript)
    typed = "".join(f"{each.command}\n" for each in exchanges(lines)[1:])
    done = subprocess.run(
        [*program, words[0], "--echo", "--no-color", "--width", "80", *words[1:]],
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        cwd=folder,
        env=environment(folder),
    )
    return judged(lines, done.returncode, done.stdout)


def judged(lines: Sequence[str], status: int, printed: str) -> str:
    if status < 0 or "Traceback (most recent call last)" in printed:
        return f"it crashed with {status}:\n{printed}"
    return differences(lines, printed)


def converse_here(transcript: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Type the transcript into the command line in this process, whose TensorFlow is loaded already."""
    words, lines = arguments(transcript)
    typed = io.StringIO("".join(f"{each.command}\n" for each in exchanges(lines)[1:]))
    raw = io.BytesIO()
    printed = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    for name, stream in (("stdin", typed), ("stdout", printed), ("stderr", printed)):
        monkeypatch.setattr(sys, name, stream)
    try:
        status = main([words[0], "--echo", "--no-color", "--width", "80", *words[1:]])
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
    finally:
        monkeypatch.undo()
    return judged(lines, status, raw.getvalue().decode())


def environment(folder: Path) -> dict[str, str]:
    """This environment with a home, a width and a `gdrepl` of its own."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GDREPL", "XDG_", "PYTEST_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept | {"HOME": str(home), "PATH": path, "COLUMNS": "80", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def desk(tmp_path):
    """A folder to work in, with the sessions that examples name; what an example saves goes no further."""
    if (ROOT / "sessions").is_dir():
        shutil.copytree(ROOT / "sessions", tmp_path / "sessions")
    return tmp_path


# --- this README --------------------------------------------------------------------------------------------------------

OWN = list(blocks(README.read_text(encoding="utf-8")))


FIRST, *OTHERS = [block for block in OWN if block.language == "gdrepl"]


def test_the_first_transcript_is_what_the_program_prints_on_a_pipe(desk):
    assert converse(FIRST.text, desk) == ""


@pytest.fixture
def here(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """This process, as if it were started at the desk; its handlers of signals are as before afterwards."""
    monkeypatch.chdir(desk)
    for name in [each for each in os.environ if each.startswith(("GDREPL", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in environment(desk).items():
        monkeypatch.setenv(name, value)
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)}
    yield monkeypatch
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("transcript", OTHERS, ids=str)
def test_transcript_is_what_the_command_line_prints(transcript, here):
    assert converse_here(transcript.text, here) == ""


@pytest.mark.parametrize("block", [block for block in OWN if block.language == "console" and block.marker == "run"], ids=str)
def test_shell_example_succeeds(block, desk):
    lines = [line[2:] for line in block.text if line.startswith("$ ")]
    assert lines, "an example to run has lines that begin with '$ '"
    for line in lines:
        done = subprocess.run(
            line, shell=True, cwd=desk, env=environment(desk), capture_output=True, text=True, stdin=subprocess.DEVNULL,
            timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"


def test_no_transcript_goes_unchecked():
    assert [str(each) for each in OWN if each.language != "gdrepl" and any(line.startswith(PROMPT) for line in each.text)] == []


@pytest.mark.parametrize("marker", ["start-command", "test-command"])
def test_there_is_one_line_to_start_and_one_to_test(marker):
    (block,) = [each for each in OWN if each.marker == marker]
    (line,) = block.text
    assert line.startswith("python3 ")


# --- the checker itself -------------------------------------------------------------------------------------------------

FAKE = """
import sys
print("fake", *sys.argv[1:])
for line in sys.stdin:
    command = line.rstrip("\\n")
    print(f"(gd) {command}", flush=True)
    if command == "crash":
        raise SystemExit("Traceback (most recent call last):")
    if command == "bad":
        print("error: bad", file=sys.stderr, flush=True)
    elif command != "silent":
        print(f"did {command} in 0.25 s\\n  twice   ", flush=True)
"""


@pytest.fixture
def fake(tmp_path):
    (tmp_path / "fake.py").write_text(FAKE, encoding="utf-8")
    return sys.executable, str(tmp_path / "fake.py")


@pytest.mark.parametrize(
    "transcript",
    [
        "(gd) a\ndid a in 0.25 s\n  twice",
        "$ gdrepl debug x*x --lr 1\nfake debug --echo --no-color --width 80 x*x --lr 1\n(gd) a\n...",
        "$ gdrepl\n...\n(gd) a\ndid a in ... s\n  twice\n\n(gd) silent\n(gd) bad\nerror: bad",
        "(gd) a\n...\n  twice",
        "(gd) a\n...\ndid a in 0.25 s\n...\n  twice\n...",
    ],
)
def test_a_true_transcript_passes(transcript, fake, tmp_path):
    assert converse(transcript.splitlines(), tmp_path, fake) == ""


@pytest.mark.parametrize(
    "transcript",
    [
        "(gd) a\ndid a in 0.25 s",
        "(gd) a\ndid b in 0.25 s\n  twice",
        "(gd) a",
        "(gd) silent\nsomething",
        "(gd) a\ntwice\n...",
        "(gd) bad",
        "(gd) crash\n...",
        "(gd) crash\n...\n(gd) a\n...",
        "another banner\n(gd) silent",
    ],
)
def test_a_false_transcript_fails(transcript, fake, tmp_path):
    assert converse(transcript.splitlines(), tmp_path, fake) != ""


def test_the_difference_shown_names_the_command():
    shown = differences(["(gd) step", "step 1"], "banner\n(gd) step\nstep 2\n")
    assert shown.splitlines() == ["--- (gd) step", "+++ printed", "@@ -1 +1 @@", "-step 1", "+step 2"]


def test_a_program_that_echoes_nothing_is_noticed():
    assert "echoed" in differences(["(gd) step", "step 1"], "step 1\n")


def test_blocks_are_read_with_their_language_marker_and_line():
    text = "# T\n<!-- run -->\n\n```console\n$ ls\n```\ntext\n````gdrepl\n```\n````\n"
    assert list(blocks(text)) == [Block("console", "run", 4, ("$ ls",)), Block("gdrepl", "", 8, ("```",))]


def test_a_marker_belongs_to_the_next_block_only():
    text = "<!-- run -->\n```console\n$ a\n```\n```console\n$ b\n```\n"
    assert [block.marker for block in blocks(text)] == ["run", ""]
