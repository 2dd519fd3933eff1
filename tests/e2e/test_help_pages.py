"""The pages of help: their transcripts, as the program shows them, are typed into it, and what comes back is compared."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import pytest
from driving import contents, do, error_of, hill
from test_readme import arguments, differences, exchanges

from gdrepl.commands.registry import registry
from gdrepl.engine.events import EVENTS
from gdrepl.shell.cli import main

PAGES = ("time", "stops", "branches", "scripts", "stability")
INDENT = "  "


@pytest.fixture
def printed(tmp_path, monkeypatch) -> Callable[..., str]:
    """What the program prints, errors among it, in a folder of its own; `typed` is piped into it."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"COLUMNS": "80", "TERM": "dumb", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            status = main(["debug", "--no-color", *arguments])
        assert status == 0 or "--batch" not in arguments
        assert "Traceback" not in out.getvalue()
        return out.getvalue()

    return run


@pytest.fixture
def shown(printed) -> Callable[..., list[str]]:
    """The lines that the program prints for `help TOPIC`."""
    return lambda topic, *options: printed("--batch", *options, "-c", f"help {topic}").splitlines()


def transcript(page: list[str]) -> list[str]:
    """The lines from the first that is typed to the end of what is indented."""
    start = next(number for number, line in enumerate(page) if line.startswith(f"{INDENT}(gd) "))
    end = next((number for number, line in enumerate(page) if number > start and not line.startswith(INDENT)), len(page))
    return [line.removeprefix(INDENT) for line in page[start:end]]


@pytest.mark.parametrize("topic", PAGES)
def test_the_transcript_of_a_page_is_what_the_program_prints(topic, shown, printed):
    words, lines = arguments(transcript(shown(topic, "--width", "80")))
    typed = "".join(f"{each.command}\n" for each in exchanges(lines)[1:])
    assert differences(lines, printed("--echo", "--width", "80", *words[1:], typed=typed)) == ""


@pytest.mark.parametrize("topic", PAGES)
@pytest.mark.parametrize("width", [80, 40])
def test_a_page_keeps_to_the_width_and_to_ascii(topic, width, shown):
    lines = shown(topic, "--width", str(width), "--ascii")
    assert max(map(len, lines)) <= width
    assert "\n".join(lines).isascii()
    assert "\\u" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("topic", "typed"),
    [
        ("stops", {"break", "tbreak", "watch", "catch", "condition", "ignore", "enable", "commands", "info break", "delete"}),
        ("time", {"reverse-step", "reverse-continue", "back", "forward", "goto", "checkpoint", "restart"}),
        ("branches", {"goto", "set lr", "branch rename", "branch delete", "switch", "info branches", "diff", "whatif"}),
        ("scripts", {"define", "alias"}),
        ("stability", {"info lr", "hessian"}),
    ],
)
def test_a_transcript_shows_each_command_of_its_subject(topic, typed, shown):
    lines = [line.removeprefix("(gd) ") for line in transcript(shown(topic)) if line.startswith("(gd) ")]
    assert [command for command in sorted(typed) if not any(line.startswith(command) for line in lines)] == []


@pytest.mark.parametrize("topic", ["time", "stops", "branches"])
def test_a_page_that_is_a_heading_too_ends_with_the_commands_under_it(topic):
    last = do(hill(), f"help {topic}")["text"].splitlines()[-1]
    names = [command.name for command in registry if command.group == topic]
    assert names
    assert last.startswith(f"Commands: {', '.join(names)}.")


@pytest.mark.parametrize("name", EVENTS)
def test_help_of_an_event_tells_what_it_is_and_names_each_threshold(name):
    page = do(hill(), f"help {name}")
    told = " ".join([page["usage"], page["summary"], page["text"]])
    assert EVENTS[name]().definition() in told
    assert f"catch {name}" in told


@pytest.mark.parametrize(("word", "name"), [("silent", "commands"), ("end", "define"), ("events", "catch"), ("once", "enable")])
def test_words_of_a_command_lead_to_its_help(word, name):
    assert do(hill(), f"help {word}")["name"] == name


def test_a_word_that_is_nothing_has_no_help_and_changes_nothing():
    session = hill()
    before = contents(session)
    assert "no help for 'nosuch'" in error_of(session, "help nosuch").message
    assert contents(session) == before


@pytest.mark.parametrize("width", [80, 40])
def test_help_fits_a_screen(width, printed):
    assert 10 < len(printed("--batch", "--width", str(width), "-c", "help").splitlines()) < 24
