"""The registry of commands: every command explains itself, works as its example says, and changes nothing when it fails."""

from __future__ import annotations

import random
import shutil
import string
from pathlib import Path

import numpy as np
import pytest
from driving import PROGRAMS, contents, do, error_of, hill, read_json
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from gdrepl.commands.editing import SETTINGS
from gdrepl.commands.helping import GROUPS
from gdrepl.commands.registry import Command, registry
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.errors import CommandError, GdreplError
from gdrepl.recording.numbers import dumps, result_to_json
from gdrepl.shell.complete import LineCompleter

COMMANDS = list(registry)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steps.gd").write_text("# three\nstep 3\nprint x\n", encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def eager() -> Session:
    """One session for all that must leave it as it is."""
    session = hill(engine="eager")
    do(session, "step 3", "break if loss < 1", "display x", "set lr 0.2", "goto 1", "branch try", "step")
    return session


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_has_usage_text_example_and_group(command: Command):
    page = do(hill(), f"help {command.name}")
    assert page["usage"].split()[0] == command.name
    assert page["summary"].endswith((".", ":"))
    assert page["example"]
    assert command.group in GROUPS


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, Path]:
    """One session for all examples, and the folder of its file."""
    home = tmp_path_factory.mktemp("examples")
    session = hill(engine="eager")
    do(session, "break if loss < 0.5", "display loss", "step 10", f"save {home}/hill")
    return session, home


LAST = ("delete", "undisplay")
"""Their examples take away what others stand on."""
BEFORE = {"finish": "stepi 2", "up": "frame 1"}
"""What the examples of these go on from."""


@pytest.mark.parametrize(
    "command", sorted(COMMANDS, key=lambda command: command.name in LAST), ids=lambda command: command.name
)
def test_the_example_of_a_command_runs_and_its_results_are_json(command: Command, lived_in, folder: Path):
    session, home = lived_in
    shutil.copy(home / "hill.gds", folder)
    do(session, "goto start", *BEFORE.get(command.name, "").splitlines())
    outcomes = list(session.execute(command.example))
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert outcomes
    for outcome in outcomes:
        assert read_json(dumps(result_to_json(outcome.result)))["type"] == type(outcome.result).__name__


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_example_of_a_command_is_of_that_command(command: Command):
    assert registry.split(command.example)[0] is command


def test_no_two_commands_share_a_name_or_a_short_form():
    names = [name for command in COMMANDS for name in (command.name, *command.short)]
    assert sorted(names) == sorted(set(names))


def test_help_lists_every_command_once():
    listed = [usage.split()[0] for _, commands in do(hill(), "help")["groups"] for usage, _ in commands]
    assert sorted(listed) == sorted(command.name for command in COMMANDS)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("s", "step"),
        ("n", "step"),
        ("next", "step"),
        ("c", "continue"),
        ("cont", "continue"),
        ("unt", "until"),
        ("adv", "advance"),
        ("rs", "reverse-step"),
        ("si", "stepi"),
        ("rsi", "reverse-stepi"),
        ("ste", "step"),  # the beginning of all that it could be
        ("reverse-st", "reverse-step"),
        ("b", "break"),
        ("tb", "tbreak"),
        ("p", "print"),
        ("disp", "display"),
        ("del", "delete"),
        ("dis", "disable"),
        ("i", "info"),
        ("inf", "info"),
        ("h", "help"),
        ("q", "quit"),
        ("prob", "problem"),
        ("hist", "history"),
        ("go", "goto"),
    ],
)
def test_gdbs_abbreviations_and_unique_prefixes_name_their_command(typed, name):
    assert registry.find(typed).name == name


def test_a_prefix_of_several_commands_is_refused_and_names_them():
    with pytest.raises(CommandError, match="'un' could be undisplay, until"):
        registry.find("un")


def test_r_stays_unbound_since_it_throws_state_away_in_gdb():
    with pytest.raises(CommandError):
        registry.find("r")


def test_a_misspelt_command_is_answered_with_the_nearest_one():
    assert error_of(hill(), "contineu").hint == "did you mean 'continue'?"


def test_two_commands_on_a_line_both_run():
    session = hill()
    do(session, "step 2 ;; step 3")
    assert session.debugger.step == 5


def test_the_first_error_ends_the_rest_of_the_line():
    session = hill()
    outcomes = list(session.execute("step 2 ;; nonsense ;; step 3"))
    assert [outcome.error is None for outcome in outcomes] == [True, False]
    assert session.debugger.step == 2


def test_a_script_runs_line_by_line(folder: Path):
    session = hill()
    *_, printed, ended = session.execute("source steps.gd")
    assert float(printed.result.value) == pytest.approx(50 - 47 * 0.8**3)
    assert (ended.command, ended.result.commands) == ("source steps.gd", 2)


def test_an_error_in_a_script_names_file_and_line(folder: Path):
    (folder / "wrong.gd").write_text("step\n\n# fine so far\nfrobnicate\nstep\n", encoding="utf-8")
    session = hill()
    *_, last = session.execute("source wrong.gd")
    assert last.place == "wrong.gd line 4"
    assert session.debugger.step == 1


def test_a_script_that_sources_itself_ends_with_an_error(folder: Path):
    (folder / "again.gd").write_text("source again.gd\n", encoding="utf-8")
    *_, last = hill().execute("source again.gd")
    assert "nested more than 10 files deep" in last.error.message


BAD_LINES = [
    *("step 0", "step -1", "step x", "step 1 2", "continue 1.5", "advance 0", "advance 1", "until x", "until nosuch < 1"),
    *("goto 99", "goto -9", "goto nowhere", "goto", "reverse-step 0", "run 0", "branch try", "branch a/b", "branch ..", "rs x"),
    *("break", "break if x", "break if nosuch > 1", "break if (", "tbreak if 3", "delete 9", "delete x", "delete ²"),
    *(
        "enable 9",
        "disable 9-12",
        "display nosuch",
        "undisplay 9",
        "print",
        "print 1 +",
        "print x.y",
        "print 'a'",
        "print x[9]",
    ),
    *("print __import__('os')", "print " + "(" * 500, "print " + "-" * 3000, "print slot.nosuch", "print grad(nosuch)"),
    *("whatis nosuch", "grad x", "history 5:2", "history x", "history 0:" + "9" * 5000, "history every 0", "plot nosuch"),
    *(
        "info",
        "info nosuch",
        "info br",
        "set",
        "set x",
        "set lr",
        "set lr -1",
        "set lr nan",
        "set lr 1e400",
        "set lr nosuch()",
    ),
    *("set x nosuch", "set x[0] 3", "set x [1, 2]", "set x x > 3", "set x 1e400", "set nosuch 3", "set momentum 2"),
    *(
        "set optimizer nosuch",
        "set optimizer adam(",
        "set optimizer adam(beta_1=2)",
        "set optimizer adam(1, 2)",
        "set clipnorm -1",
    ),
    *("set lr cosine_decay(0.1)", "set lr exponential_decay(0.1, decay_steps=0, decay_rate=0.9)", "set nesterov 3"),
    *(
        "set max-steps 0",
        "set history-limit 0",
        "set print-precision 18",
        "set engine nosuch",
        "set dtype float16",
        "set seed -1",
    ),
    *("var", "var w", "var w = ", "var lr = 3", "var w = nosuch", "var w = [[1], [2, 3]]", "var w = normal(0)", "var 3 = 3"),
    *(
        "var x = [1, 2]",
        "const w = csv(nosuch)",
        'const w = csv("nosuch.csv")',
        'const w = csv("~nobody/x.csv")',
        "var w[0] = 3",
    ),
    *(
        "loss",
        "loss nosuch",
        "loss x > 3",
        "loss [x, x]",
        "loss 3",
        "loss x +",
        "problem",
        "problem nosuch",
        "problem rosenbrock 3",
    ),
    *("problem rastrigin dim=0", "problem rastrigin dim=1e9", "problem rastrigin dim=nan", "problem rosenbrock x=3"),
    *(
        "save ~nobody/x",
        "save .",
        "save /",
        "save ..",
        "save /nosuch/folder/x",
        "save " + "a" * 300,
        "save a\0b",
        "save \ud800",
    ),
    *("load nosuch", "load .", "load " + "a" * 300, "load a\0b", "load /etc/passwd", "load /dev/zero", "source nosuch"),
    *(
        "source /dev/zero",
        "source .",
        "source a\0b",
        "source /",
        "help nosuch",
        "apropos zzzzzz",
        "quit now",
        "nosuch",
        "!",
        "\0",
        "é",
    ),
]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: ascii(line[:30]))
def test_a_failing_command_is_one_line_and_changes_nothing(line: str, eager: Session):
    before = contents(eager)
    error = error_of(eager, line)
    assert error.message
    assert "\n" not in error.message
    assert contents(eager) == before


def hostile_lines(count: int) -> list[str]:
    """Words of the language, thrown together; letters, digits, brackets and odd characters; commands with a wrong rest."""
    chance = random.Random(20250101)
    words = [*(name for command in COMMANDS for name in (command.name, *command.short)), *FILLING]
    lines = []
    for number in range(count):
        kind = number % 3
        if kind == 0:
            lines.append(" ".join(chance.choices(words, k=chance.randint(1, 6))))
        elif kind == 1:
            start = chance.choice(words)
            lines.append(f"{start} {''.join(chance.choices(ODD, k=chance.randint(0, 40)))}")
        else:
            lines.append("".join(chance.choices(string.printable.replace("\n", "") + ODD, k=chance.randint(0, 60))))
    return [line for line in lines if not _runs_for_ever(line)]


FILLING = [
    *(
        "x",
        "x[0]",
        "loss",
        "lr",
        "grad(x)",
        "prev(x)",
        "update",
        "slot.momentum",
        "3",
        "-1",
        "1e400",
        "nan",
        "0x10",
        "1_0",
        "٣",
    ),
    *("=", "==", "<", "if", "[", "]", "(", ")", '"', ";;", "#", ",", ":", "..", "main", "start", "end", "dim=3", "rosenbrock"),
    *("adam", "sgd(momentum=0.9)", "optimizer", "beta_1", "dtype", "float64", "engine", "eager", "seed", "normal(2)", "csv(1)"),
]
ODD = "x0123456789.+-*/%@()[]{}<>=!,:;'\"\\ \t#~^&|$?\0\x1b\x7f\u00b2\u0660\u2028\ud800\U0001f600\u202e\ufeff"


def _runs_for_ever(line: str) -> bool:
    """A long count is no error, only slow; and nothing may be written outside this test."""
    return any(word in line for word in ("save", "sa ", "xla", "graph"))


def test_no_line_however_odd_ends_in_a_traceback(folder: Path):
    session = hill(engine="eager")
    do(session, "set max-steps 20")
    for line in hostile_lines(450):
        if session.ready:
            session.debugger.max_steps = 20
            session.debugger.interrupt_after = 20
        for outcome in session.execute(line):
            if outcome.error is None:
                dumps(result_to_json(outcome.result))
            else:
                assert isinstance(outcome.error, GdreplError), line
                assert "\n" not in outcome.error.message, line


def test_the_odd_lines_leave_a_session_that_still_works(folder: Path):
    session = Session(Setup(engine="eager"))
    session.debugger.interrupt_after = 20
    for line in hostile_lines(200):
        list(session.execute(line))
    session.debugger.interrupt_after = None
    do(session, "delete --yes", "undisplay", "problem rosenbrock", "set optimizer sgd(0.001)", "step 3", "save odd", "load odd")
    assert session.debugger.step == 3


def test_goto_reaches_another_branch_and_what_was_in_force_there():
    session = Session(Setup(), PROGRAMS)
    said = [
        outcome.error
        for line in ("step 10", "goto 5", "set lr 0.5", "step 3", "goto main")
        for outcome in session.execute(line)
    ]
    assert said == [None] * 5
    assert (session.debugger.position.branch, session.debugger.step, session.debugger.spec.learning_rate) == ("main", 10, 1.0)
    (outcome,) = session.execute("goto b1:7")
    assert (outcome.result.branch, outcome.result.point.step, float(outcome.result.point.learning_rate)) == ("b1", 7, 0.5)


@pytest.mark.parametrize("line", ["set w [3, 4]", "set w = [3, 4]", "set w[0] 3 ;; set w[1] 4"])
def test_a_vector_is_set_with_or_without_an_equals_sign(line):
    session = Session(Setup(), PROGRAMS)
    for each in ("var w = [1, 2]", "loss sum(w**2)", line):
        assert [outcome.error for outcome in session.execute(each)] == [None] * len(each.split(";;"))
    assert list(session.debugger.point().parameters["w"]) == [3.0, 4.0]


def test_a_change_tells_of_a_new_branch_only_when_it_began_one():
    session = Session(Setup(), PROGRAMS)
    lines = ("step 5", "goto 2", "set optimizer sgd", "set lr 0.1", "set x 4", "goto 1", "set clipnorm 1")
    notes = [getattr(outcome.result, "notes", ()) for line in lines for outcome in session.execute(line)]
    told = [[note for note in each if note.startswith("on branch")] for each in notes]
    assert told == [[], [], ["on branch b1, from step 2 of main"], [], [], [], ["on branch b2, from step 1 of main"]]


@pytest.mark.parametrize(("typed", "rate"), [("max(0.25, 0.5)", 0.5), ("norm([3, 4])", 5.0), ("lr / 4", 0.25)])
def test_a_rate_may_be_any_expression(typed, rate):
    session = Session(Setup(), PROGRAMS)
    (outcome,) = session.execute(f"set lr {typed}")
    assert outcome.error is None
    assert session.debugger.spec.learning_rate == rate


@pytest.mark.parametrize("name", ["3", "-1", "+2", "1e3", "start", "end", "_x", ".a"])
def test_no_branch_is_called_what_goto_takes_for_a_step(name: str, eager: Session):
    assert "cannot be the name of a branch" in error_of(eager, f"branch {name}").message
    assert name not in eager.debugger.timeline.branches


def test_history_lists_each_kth_step_and_no_other():
    session = hill(engine="eager")
    do(session, "step 20")
    for range_, steps in (("0:8 every 5", [0, 5]), ("0:10 every 5", [0, 5, 10]), ("3:20 every 7", [3, 10, 17])):
        assert do(session, f"history {range_}")["points"]["step"] == steps
    assert error_of(session, "history 5:2").hint == "give the earlier step first"
    assert "from 1" in error_of(session, "history 0").hint


def test_a_long_history_is_listed_in_parts_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gdrepl.commands.asking.MOST_LISTED", 50)
    monkeypatch.setattr("gdrepl.insight.over.PIECE", 7)
    session = hill(engine="eager")
    do(session, "step 60")
    error = error_of(session, "history 0:")
    assert (error.message, error.hint) == ("steps 0 to 60 are too many to list", "history 0:60 every 1")
    assert do(session, "history 1: every 4")["points"]["step"] == [*range(1, 61, 4)]
    assert do(session, "history 20")["points"]["step"] == [*range(41, 61)]
    assert do(session, "history -3:")["points"]["step"] == [58, 59, 60]
    assert do(session, "history :-58")["points"]["step"] == [0, 1, 2]


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A run that turns NaN between other values, drawn from pieces of 16 steps and some 8 stretches."""
    monkeypatch.setattr("gdrepl.insight.over.PIECE", 16)
    monkeypatch.setattr("gdrepl.insight.over.MOST_POINTS", 8)
    session = hill()
    do(session, "step 50", "set x 1e30", "step 1", "set x 45", "step 49")
    return session


def test_a_long_span_is_thinned_to_what_a_line_shows(in_pieces: Session):
    (whole,) = do(in_pieces, "plot loss")["chart"]["series"]
    history = do(in_pieces, "history 0:")["points"]
    loss = dict(zip(history["step"], history["loss"]))
    assert whole["x"] == sorted(set(whole["x"]))
    assert whole["y"] == [loss[step] for step in whole["x"]]
    assert whole["x"][:16] == [*range(16)]
    assert {50, 100} <= set(whole["x"]) < set(history["step"])  # the infinite loss, and the end
    size = 13  # 101 steps in 8 stretches
    for low in range(16, 100, 16):
        for start in range(low, min(low + 16, 101) - size + 1, size):
            stretch = {step: loss[step] for step in range(start, start + size) if loss[step] != "Infinity"}
            assert {max(stretch, key=stretch.get), min(stretch, key=stretch.get)} <= set(whole["x"])


@pytest.mark.parametrize("line", ["plot step vs prev(step)", "plot loss vs prev(loss)", "plot x vs slot.iteration"])
def test_both_sides_of_vs_are_taken_at_the_same_steps(line: str, in_pieces: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gdrepl.insight.over.MOST_SNAPSHOTS", 8)
    (series,) = do(in_pieces, line)["chart"]["series"]
    assert len(series["x"]) == 8
    if "step" in line:
        assert [y - x for x, y in zip(series["x"], series["y"])] == [1] * 8


def test_the_branch_in_force_is_drawn_without_a_hole_though_its_parents_are_not():
    session = hill()
    do(session, "step 10", *(f"goto {9 * k} ;; set x {k} ;; step 10" for k in range(1, 11)))
    chart = do(session, "plot step")["chart"]
    drawn = {step for series in chart["series"] for step in series["x"]}
    assert drawn == set(range(101))
    assert chart["note"]


def test_an_expression_over_a_long_span_is_taken_at_spread_steps_across_its_pieces(in_pieces: Session):
    history = do(in_pieces, "history 0:")["points"]
    x = dict(zip(history["step"], np.float32(history["parameters"]["x"])))
    for line, wanted in (
        ("plot x - prev(x)", lambda step: x[step] - x[step - 1]),
        ("plot x / 2", lambda step: x[step] / 2),
    ):
        (series,) = do(in_pieces, line)["chart"]["series"]
        assert len(series["x"]) == 8
        assert series["y"] == pytest.approx([wanted(step) for step in series["x"]], rel=1e-5)
    (series,) = do(in_pieces, "plot loss vs x from 3 to 40")["chart"]["series"]
    assert len(series["x"]) == 16  # what was recorded itself, up to a piece
    assert series["y"] == pytest.approx([(each - 50) ** 2 for each in series["x"]], rel=1e-3)


def test_the_visited_points_of_a_long_span_keep_their_ends(in_pieces: Session):
    do(in_pieces, "goto 45")
    points = {each["label"]: each for each in do(in_pieces, "plot")["chart"]["series"]}
    assert list(points) == ["loss", "visited", "start", "current"]
    assert points["start"]["x"] == [3]
    assert points["current"]["x"] == pytest.approx([50 - 47 * 0.8**45], rel=1e-6)
    assert points["visited"]["x"][:15] == pytest.approx([50 - 47 * 0.8**k for k in range(1, 16)], rel=1e-6)


def test_a_part_of_the_curve_is_labelled_by_its_steps_and_a_point_that_cannot_be_drawn_is_told():
    session = hill()
    do(session, "step 30")
    assert [each["label"] for each in do(session, "plot from 10 to 20")["chart"]["series"]][2:] == ["step 10", "step 20"]
    assert [each["label"] for each in do(session, "plot from 10")["chart"]["series"]][2:] == ["step 10", "current"]
    do(session, "goto 5")
    assert [each["label"] for each in do(session, "plot from 10")["chart"]["series"]][2:] == ["step 10", "step 30"]
    do(session, "loss log(x - 2)", "set lr 20", "step")
    assert do(session, "plot")["chart"]["note"] == "current: x = -17, loss = nan, not drawn"


def test_what_is_recorded_as_a_norm_is_drawn_of_the_branch_in_force():
    session = Session(Setup("sum((w - 1)**2)", {"w": "zeros(100)"}, optimizer="sgd", rate="0.1", engine="eager"))
    do(session, "step 4", "goto 2", "set lr 0.25", "step 3")
    (series,) = do(session, "plot norm(w)")["chart"]["series"]
    # w_k = 1 - 0.8**k, then the distance to 1 halves; the norm of 100 equal numbers is 10 of them
    wanted = [1, 0.8, 0.64, 0.32, 0.16, 0.08]
    assert series["y"] == pytest.approx([10 * (1 - each) for each in wanted], rel=1e-5)
    assert len(do(session, "plot loss")["chart"]["series"]) == 2
    assert do(session, "plot vs step")["chart"]["y_label"] == "loss"


def test_options_of_plot_come_in_any_order():
    session = hill(engine="eager")
    do(session, "step 9")
    charts = [
        do(session, f"plot x {options}")["chart"]
        for options in (
            "vs loss from 3 to 6 log",
            "log vs loss from 3 to 6",
            "from 3 to 6 vs loss log",
            "from 3 to -3 log vs loss",
        )
    ]
    assert charts[0]["log"]
    assert len(charts[0]["series"][0]["x"]) == 4
    assert charts[1:] == [charts[0]] * 3
    assert do(session, "plot x to 6 from 3 log vs loss")["chart"] == charts[0]
    assert do(session, "plot x to 6")["chart"] == do(session, "plot x from start to 6")["chart"]


def test_of_many_branches_those_in_force_are_drawn_and_the_others_named():
    session = hill(engine="eager")
    do(session, "step 3", *(f"goto main:1 ;; branch try{k} ;; set lr 0.{k} ;; step" for k in range(1, 10)), "goto try2")
    chart = do(session, "plot loss")["chart"]
    assert [each["label"] for each in chart["series"]] == ["main", "try2", *(f"try{k}" for k in range(4, 10))]
    assert chart["note"] == "not drawn, as the chart holds 8 branches: try1, try3"
    assert [each["label"] for each in do(session, "plot loss from 0 to 0")["chart"]["series"]] == [""]


def test_a_plot_draws_what_branches_share_once():
    session = hill(engine="eager")
    do(session, "step 6", "goto 4", "set lr 0.5", "step 2")
    series = do(session, "plot x")["chart"]["series"]
    assert [(each["label"], each["x"]) for each in series] == [("main", [*range(7)]), ("b1", [4, 5, 6])]
    assert series[0]["y"] == pytest.approx([50 - 47 * 0.8**k for k in range(7)], rel=1e-5)
    assert series[1]["y"] == pytest.approx([50 - 47 * 0.8**4, 50, 50], rel=1e-5)
    assert [each["x"] for each in do(session, "plot x from 1 to 3")["chart"]["series"]] == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("line", "message"),
    [("plot loss vs", "'vs' needs"), ("plot from", "'from' needs a step"), ("plot x from 3 to", "'from 3 to' needs a step")],
)
def test_an_unfinished_plot_says_what_is_missing(line: str, message: str):
    assert error_of(hill(engine="eager"), line).message.startswith(message)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("set optimizer adam(beta_1=abc)", "beta_1 must be a number in [0, 1), not 'abc'", "beta_1 = 0.9"),
        ("set optimizer adam(amsgrad=yes)", "amsgrad must be true or false, not 'yes'", "amsgrad = true"),
        ("set nesterov on", "nesterov must be true or false, not 'on'", "nesterov = true"),
        ("set optimizer adam(lr=abc)", "a learning rate is a number or a schedule, not 'abc'", "info schedules"),
        ("set lr exponential_decay(abc, 10, 0.9)", "initial_learning_rate must be a number >= 0, not 'abc'", "0.1"),
        ("set lr exponential_decay", "exponential_decay needs arguments", "decay_steps=100"),
        ("set lr inf", "lr must be finite, not inf", "set lr 0.1"),
        ("set x nan", "x must be finite, not nan", "set x 0.1"),
        ("set x[0] 3", "the index [0] does not fit x of shape ()", "set x 3"),
        ("set beta_1 0.5", "SGD has no beta_1", "set optimizer adam(beta_1=...)"),
        ("set LR 1", "there is nothing to set called 'LR'", "'lr'"),
        ("set learningrate 1", "there is nothing to set called 'learningrate'", "'learning_rate'"),
        ("var y = 1e400", "y must be finite", "3.4e38"),
        ("var y = norml(3)", "'norml' does not make a value", "'normal'"),
    ],
)
def test_what_was_wrong_with_a_value_is_said_by_its_name(line: str, message: str, hint: str):
    session = hill(engine="eager")
    before = contents(session)
    error = error_of(session, line)
    assert error.message == message
    assert hint in error.hint
    assert contents(session) == before


def test_a_schedule_set_again_makes_no_event():
    session = hill(engine="eager")
    do(session, "set lr cosine_decay(0.1, decay_steps=100)", "step 4", "goto 2", "set lr cosine_decay(0.1, decay_steps=100)")
    assert list(session.debugger.timeline.branches) == ["main"]


def test_a_branch_hangs_below_the_ancestor_whose_step_it_left():
    session = hill(engine="eager")
    do(session, "step 9", "goto 6 ;; set x 1 ;; step 3", "goto 8 ;; set x 2 ;; step 3", "goto 3 ;; set x 3 ;; step")
    do(session, "goto b2:7 ;; set x 4 ;; step", "goto b1:6 ;; set x 5")
    branches = {each["name"]: (each["parent"], each["fork_step"]) for each in do(session, "info branches")["branches"]}
    assert branches == {
        "main": (None, 0),
        "b1": ("main", 6),
        "b2": ("b1", 8),
        "b3": ("main", 3),
        "b4": ("b1", 7),
        "b5": ("b1", 6),
    }


@pytest.mark.parametrize("line", ["set lr 0.1", "set x x", "set momentum 0"])
def test_setting_what_is_so_already_makes_no_event_and_no_branch(line: str):
    session = hill(engine="eager")
    do(session, "step 4", "goto 2")
    changed = do(session, line)
    assert (changed["before"], changed["notes"]) == (changed["after"], [])
    assert list(session.debugger.timeline.branches) == ["main"]
    assert len(session.debugger.timeline.segments()) == 1


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("set optimizer adam(be", ["beta_1=", "beta_2="]),
        ("set optimizer sgd(momentum=0.9, n", ["nesterov="]),
        ("set optimizer sgd(momentum=0.9, mom", []),
        ("set optimizer adam(0.1, learn", ["learning_rate="]),
        ("set lr exponential_decay(0.1, decay_", ["decay_rate=", "decay_steps="]),
        ("set lr cosine_decay(x", []),
        ("set optimizer nosuch(x", []),
        ("set optimizer adam(lr=0.1, learn", []),
        ("set lr ExponentialDecay(0.1, decay_r", ["decay_rate="]),
        ("set lr min(0.1, logs", ["logsumexp"]),
    ],
)
def test_tab_offers_the_hyperparameters_that_are_not_given_yet(typed: str, wanted: list[str], eager: Session):
    completer = LineCompleter(eager)
    assert sorted(item.text for item in completer.get_completions(Document(typed), CompleteEvent())) == wanted


@pytest.mark.parametrize(("line", "topic"), [("info o", "SGD"), ("info p", "(x-50)**2"), ("i var", "Variables")])
def test_a_topic_that_is_short_of_another_stands_for_itself(line: str, topic: str, eager: Session):
    assert topic in str(do(eager, line))
    assert "problem, optimizer" in error_of(eager, "info").hint


def test_help_knows_the_headings_and_takes_what_follows_a_command(eager: Session):
    groups = {heading: [usage.split()[0] for usage, _ in rows] for heading, rows in do(eager, "help")["groups"]}
    assert do(eager, "help running")["groups"] == [
        ["running", next(g[1] for g in do(eager, "help")["groups"] if g[0] == "running")]
    ]
    assert groups["running"][0] == "step"
    assert do(eager, "help plot loss")["name"] == "plot"
    assert do(eager, "help info branches")["name"] == "info"
    assert do(eager, "apropos branch")["groups"][0][1][0][0].startswith("branch")


def test_info_settings_lists_all_that_set_knows_beside_the_problem() -> None:
    session = hill(engine="eager")
    wanted = {"max-steps": "5", "history-limit": "7", "print-precision": "3", "confirm": "off", "engine": "graph", "seed": "9"}
    before = dict(do(session, "info settings")["items"])
    do(session, *(f"set {name} {value}" for name, value in wanted.items()))
    after = dict(do(session, "info settings")["items"])
    assert after == {**wanted, "history-limit": "7 MB", "dtype": "float32"}
    assert before == {
        **dict.fromkeys(after),
        "max-steps": "1000000",
        "history-limit": "256 MB",
        "print-precision": "7",
        "confirm": "on",
        "engine": "eager",
        "dtype": "float32",
        "seed": "0",
    }
    assert set(SETTINGS) == set(after)


def test_what_waits_for_a_loss_is_listed():
    session = hill(engine="eager")
    facts = do(session, "info session")["facts"]
    do(session, "var w = [1, 2]", "const c = 2")
    told = do(session, "info session")["facts"]
    assert [value for name, value in told.items() if name not in facts] == ["c, w"]


def test_what_waits_for_a_loss_can_be_looked_at():
    session = hill(engine="eager")
    do(session, "var y = [3, 4]", "const A = [[1, 2], [3, 4]]")
    assert do(session, "print A @ y + x*0")["value"] == [11.0, 25.0]
    assert do(session, "whatis A")["kind"] == "waiting for a loss that reads it"
    assert error_of(session, "set y [5, 6]").hint == "type var y = [5, 6]"
    assert "unknown name" in error_of(session, "break if norm(y) < 1").message  # a stop belongs to the problem
    do(session, "loss norm(A @ y)")
    assert do(session, "whatis y")["kind"] == "parameter"


@pytest.mark.parametrize("value", ["1/0", "log(-1)", "x/0"])
def test_a_parameter_is_not_set_to_what_is_not_finite(value: str, eager: Session):
    assert "would be" in error_of(eager, f"set x {value}").message


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("set optimizer", "adam, adamw"),
        ("set engine", "engine is one of xla, graph, eager"),
        ("set lr", "for example set lr 0.1"),
        ("var x", "for example x = 3.0"),
        ("goto mian", "did you mean 'main'?"),
        ("print grad(loss)", "parameters: x"),
        ("problem rastrigin dim=many", "dim=10"),
        ('const k = csv(".", x)', 'csv("points.csv", x, y)'),
        ("set optimizer adam(clipnorm=1, clipvalue=1)", "only one of them may be set"),
    ],
)
def test_what_to_type_instead_is_said(line: str, hint: str, eager: Session):
    assert hint in error_of(eager, line).hint


def test_the_point_before_is_shown_only_when_it_was_finite():
    session = hill(engine="eager", rate="1e30")
    first = do(session, "continue")
    assert first["stops"][0]["kind"] == "non-finite"
    assert first["last_finite"]["step"] == first["point"]["step"] - 1
    assert do(session, "step 3")["last_finite"] is None


def test_a_branch_is_listed_with_the_digits_of_its_point():
    session = hill(engine="eager")
    point = do(session, "step 7")["point"]
    assert do(session, "info branches")["branches"][0]["final_loss"] == point["loss"]
