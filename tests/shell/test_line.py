"""The line being typed, without a terminal and without TensorFlow: its parts, Tab, colours; and the line of progress."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

import gdrepl.commands.all  # noqa: F401 (registers the commands)
from gdrepl.commands.line import parts
from gdrepl.commands.registry import registry
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.engine.moves import Progress
from gdrepl.shell.complete import LineCompleter, complete
from gdrepl.shell.highlight import LineLexer, Standing, fragments, standing
from gdrepl.shell.keys import pasted_lines
from gdrepl.shell.progress import Activity, in_short, progress_line
from gdrepl.shell.status import status

LINES = st.text(st.sampled_from("stepprintlo;;  #(),.+-*/<>='\"~ x1.5e-3é\t\n\x1b"), max_size=40) | st.text(max_size=20)


class NoTensorFlow(Setup):
    """A setup that must not be built."""

    def build(self):
        raise AssertionError("Tab loaded TensorFlow")


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(NoTensorFlow())


class Loaded(Session):
    """A session that has names, as if its debugger were built."""

    def complete_names(self) -> list[str]:
        return ["weight", "bias"]


def offered(text: str, session: Session) -> list[str]:
    """The lines that Tab would make of `text`."""
    return [text[: len(text) + item.start_position] + item.text for item in complete(text, session)]


# --- parts --------------------------------------------------------------------------------------------------------------


def test_a_command_that_takes_the_whole_line_keeps_what_joins_others():
    found = [(part.start, part.word, part.rest) for part in parts("step;; whatif set lr 1 ;; step 5 ;; # no")]
    assert found == [(0, "step", ""), (6, "whatif", " set lr 1 ;; step 5 ;; "), (36, "# no", "")]


def test_so_does_a_prefix_that_only_one_such_command_has(monkeypatch):
    monkeypatch.delitem(registry.commands, "whatis")
    assert [part.word for part in parts("wha set lr 1 ;; step 5")] == ["wha"]


def test_tab_offers_what_whatif_takes(session):
    assert offered("whatif se", session)[0] == "whatif set"
    assert offered("whatif set lr 1 ;; st", session) == ["whatif set lr 1 ;; step"]
    assert offered("whatif lr 0.1 0.2 ke", session) == ["whatif lr 0.1 0.2 keep"]


def test_a_line_is_cut_into_commands_as_the_registry_reads_them():
    found = [(part.start, part.indent, part.word, part.rest) for part in parts("step 3;;  print(x)")]
    assert found == [(0, "", "step", " 3"), (8, "  ", "print", "(x)")]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("step", Standing.KNOWN),
        ("s", Standing.KNOWN),
        ("next", Standing.KNOWN),
        ("conti", Standing.KNOWN),
        ("co", Standing.OPEN),
        ("", Standing.OPEN),
        ("stpe", Standing.UNKNOWN),
    ],
)
def test_a_command_word_stands_as_the_registry_would_take_it(word, expected):
    assert standing(word) is expected


# --- Tab ----------------------------------------------------------------------------------------------------------------


def test_an_empty_line_offers_every_command(session):
    assert [line.strip() for line in offered("", session)] == sorted(registry.commands)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conti", "continue "),
        ("ne", "next "),
        ("step 1;; conti", "step 1;; continue "),
        ("  conti", "  continue "),
        ("step ", "step 100"),
        ("s 1", "s 10"),
        ("print 2*sigm", "print 2*sigmoid"),
        ("print(sigm", "print(sigmoid"),
        ("break if loss<1 and gra", "break if loss<1 and grad"),
        ("print slo", "print slot."),
        ("help reverse-s", "help reverse-step"),
        ("help expre", "help expressions"),
        ("info opt", "info optimizer"),
        ("set l", "set lr"),
        ("set engine ", "set engine xla"),
        ("set dtype=float6", "set dtype=float64"),
        ("plot cur", "plot curve"),
        ("goto st", "goto start"),
        ("problem rosenbr", "problem rosenbrock"),
        ("const A = norm", "const A = normal"),
        ("problem rastrigin ", "problem rastrigin dim="),
        ("problem rastrigin di", "problem rastrigin dim="),
        ("history 0:10 ", "history 0:10 every"),
        ("plot loss f", "plot loss from"),
        ("plot loss ", "plot loss vs"),
        ("break if ", "break if loss"),
        ("break i", "break if"),
    ],
)
def test_tab_offers(session, text, expected):
    assert expected in offered(text, session)


@pytest.mark.parametrize(
    "text", ["bogus x", "# conti", "step 10 ", "goto -", "quit ", "loss (x-1)**2", "history 0:9 every 2 e"]
)
def test_tab_offers_nothing(session, text):
    assert offered(text, session) == []


def test_tab_does_not_offer_again_what_stands_there_already(session):
    assert "break if if" not in offered("break if ", session)
    assert "plot loss vs x vs" not in offered("plot loss vs x ", session)
    assert offered("problem rastrigin dim=2 ", session) == []


def test_tab_offers_the_names_of_the_problem():
    assert offered("print weight*bi", Loaded(NoTensorFlow())) == ["print weight*bias"]


def test_tab_behind_alias_offers_the_aliases_and_then_commands():
    session = Session(NoTensorFlow())
    for line in ("alias two = step 2", "alias twice = step 2", "define look ;; print x ;; end"):
        assert [outcome.error for outcome in session.execute(line)] == [None]
    assert offered("alias tw", session) == ["alias two", "alias twice"]
    assert offered("alias ", session) == ["alias two", "alias twice"]
    assert offered("alias two = unti", session) == ["alias two = until"]
    assert offered("alias new loo", session) == ["alias new look"]
    assert "alias new = twice" in offered("alias new = ", session)
    assert offered("alias two = step ", session) == []
    assert offered("define lo", session) == ["define look"]


def test_tab_offers_folders_and_files_that_gdrepl_reads(session, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "one two.gds").touch()
    for name in ("hill.gds", "steps.gd", "notes.txt", ".hidden.gds"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert offered("load ", session) == ["load hill.gds", "load runs/", "load steps.gd"]
    assert offered("load runs/o", session) == ["load runs/one two.gds"]
    assert offered("load no", session) == ["load notes.txt"]
    assert offered("load .h", session) == ["load .hidden.gds"]
    assert offered(f"load {tmp_path}/h", session) == [f"load {tmp_path}/hill.gds"]
    assert offered('const A = csv("hi', session) == ['const A = csv("hill.gds']
    assert offered("load nowhere/", session) == []


def test_tab_is_no_way_to_load_tensorflow_even_for_an_argument_that_asks_for_the_debugger(session, monkeypatch):
    monkeypatch.setattr("gdrepl.commands.session.Session.complete_names", lambda self: self.debugger.step)
    assert list(LineCompleter(session).get_completions(Document("print lo"), CompleteEvent())) == []


@given(LINES)
def test_tab_never_raises(line):
    session = Session(NoTensorFlow())
    for item in complete(line, session):
        assert item.start_position <= 0


# --- colours ------------------------------------------------------------------------------------------------------------


@given(LINES)
@example(" #")
@example("step 5 # hi")
@example("step 5 ;; # hi")
@example("step 5 ;;# hi")
def test_colours_never_change_the_text(line):
    assert "".join(text for _, text in fragments(line, ())) == line


def test_colours_tell_commands_numbers_and_names():
    shown = fragments("print 2.5e-3*weight + other", ["weight"])
    found = {text: style.removeprefix("class:gd.") for style, text in shown}
    assert found["print"] == "command"
    assert found["2.5e-3"] == "number"
    assert found["weight"] == "name"
    assert found["other"] == ""


@pytest.mark.parametrize(
    ("line", "style"), [("stpe", "class:gd.unknown"), ("st", "class:gd.command"), ("# x", "class:gd.comment")]
)
def test_the_first_word_is_coloured(line, style):
    assert style in [found for found, _ in fragments(line, ())]


def test_a_name_source_that_fails_costs_the_colours_only():
    def fail() -> list[str]:
        raise RuntimeError

    assert LineLexer(fail).lex_document(Document("print x"))(0)[1] == ("class:gd.command", "print")


# --- a paste ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("step", ["step"]),
        ("step\n", ["step", ""]),
        ("step\r\nprint x\rs", ["step", "print x", "s"]),
        ("step\n\n\nstep\n", ["step", "step", ""]),
        ("print\tx\x1b[31m\x03", ["print x[31m"]),
        ("", [""]),
    ],
)
def test_a_paste_is_cut_into_lines_without_keys_in_them(text, lines):
    assert pasted_lines(text) == lines


# --- the line of progress -----------------------------------------------------------------------------------------------


class Tty(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_run_of_known_length_has_a_bar_and_a_percentage():
    assert progress_line(Progress(250, 1000, 1250, 0.125, 2.0), 2.0, "working") == (
        "[#####...............] 25%  step 1,250  loss 0.125  125 steps/s"
    )


def test_a_short_run_and_a_short_wait_show_nothing():
    assert progress_line(Progress(5, 10, 5, 1.0, 0.9), 0.9, "working") == ""
    assert progress_line(None, 0.1, "loading") == ""


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (12.34, "12.3"), (1234, "1.23k"), (1.2e6, "1.2M"), (3e9, "3G")])
def test_speeds_are_short(number, text):
    assert in_short(number) == text


def test_what_is_no_terminal_gets_nothing():
    stream = io.StringIO()
    with Activity("working", stream, lambda: 80, after=0) as activity:
        activity.update(Progress(1, 2, 1, 1.0, 5.0))
        with activity.aside():
            pass
    assert stream.getvalue() == ""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_erase_gets_a_line_of_a_long_run_now_and_then(term: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("gdrepl.shell.progress.DUMB_INTERVAL", 0.01)
    told = threading.Event()

    class Told(Tty):
        def write(self, text: str) -> int:
            written = super().write(text)
            told.set()
            return written

    stream = Told()
    with Activity("working", stream, lambda: 80, after=0) as activity:
        activity.update(Progress(250, 1000, 1250, 0.125, 2.0))
        assert told.wait(60)
    assert set(stream.getvalue().splitlines()) == {"[#####...............] 25%  step 1,250  loss 0.125  125 steps/s"}


def test_the_line_is_cut_to_the_terminal_and_erased():
    stream = Tty()
    activity = Activity("working", stream, lambda: 20, after=0)
    activity._draw(progress_line(Progress(250, 1000, 1250, 0.125, 2.0), 2.0, "working"))
    activity._draw("[#####....")
    assert stream.getvalue() == "\x1b[1G[#####..........\x1b[K\x1b[11G\x1b[K"
    with activity.aside():
        assert stream.getvalue().endswith("\r\x1b[K")


def test_the_line_is_drawn_anew_on_a_terminal_that_was_resized_or_left_for_a_while(monkeypatch: pytest.MonkeyPatch):
    stream, columns, now = Tty(), [60], [0.0]
    monkeypatch.setattr("gdrepl.shell.progress.time.monotonic", lambda: now[0])
    activity = Activity("working", stream, lambda: columns[0], after=0)
    activity._draw("[##..] 1")
    for change in (lambda: columns.append(columns.pop() - 20), lambda: now.append(now.pop() + 60)):
        activity._draw("[##..] 2")
        assert stream.getvalue().endswith("\x1b[8G2\x1b[K")  # what is new, and no more
        change()
        activity._draw("[##..] 1")
        assert stream.getvalue().endswith("\x1b[1G[##..] 1\x1b[K")


def test_a_terminal_that_fails_does_not_stop_a_run():
    class Broken(Tty):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    activity = Activity("working", Broken(), lambda: 80)
    activity._draw("x")
    activity._erase()


# --- history ------------------------------------------------------------------------------------------------------------


def test_history_is_read_back_newest_first_and_kept_private(tmp_path):
    from gdrepl.shell.history import QuietHistory

    path = tmp_path / "new" / "history"
    history = QuietHistory(path)
    for line in ("step 1", "step 2 ", "step 2", "a\nb"):
        history.append_string(line)
    assert list(QuietHistory(path).load_history_strings()) == ["b", "a", "step 2", "step 1"]
    assert history.get_strings() == ["step 1", "step 2", "a", "b"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert history.take_trouble() is None


def test_a_full_disk_is_told_once_and_history_goes_on():
    from gdrepl.shell.history import QuietHistory

    history = QuietHistory(Path("/dev/full"))
    history.append_string("step 1")
    assert "no space left" in (history.take_trouble() or "")
    history.append_string("step 2")
    assert history.take_trouble() is None
    assert history.get_strings() == ["step 1", "step 2"]


def test_only_the_end_of_a_long_history_is_read(tmp_path):
    from gdrepl.shell.history import MOST_BYTES, QuietHistory

    path = tmp_path / "history"
    path.write_text("".join(f"\n# then\n+step {number}\n" for number in range(40_000)))
    assert path.stat().st_size > MOST_BYTES
    found = list(QuietHistory(path).load_history_strings())
    assert found[0] == "step 39999"
    assert 1000 < len(found) < 40_000


# --- the status line ----------------------------------------------------------------------------------------------------


class Ready:
    """A loader that is done."""

    error = None

    class done:  # noqa: N801 (stands for an Event)
        @staticmethod
        def is_set() -> bool:
            return True


def test_the_status_line_leaves_out_whole_facts_where_the_terminal_is_narrow():
    session = Session(Setup(engine="eager", rate="1e-5"))
    assert session.debugger.step == 0
    whole = " main | step 0 | loss 2209 | lr 1e-5 | Adam"
    assert [status(session, Ready(), columns) for columns in (80, len(whole), len(whole) - 1, 30, 5)] == [
        whole,
        whole,
        whole.removesuffix(" | Adam"),
        " main | step 0 | loss 2209",
        " main",
    ]
