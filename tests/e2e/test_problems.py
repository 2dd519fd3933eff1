"""Problems and optimizers as typed: on the command line and at the prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from driving import contents, do, error_of, hill, read_json

from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.errors import GdreplError

POINTS = "x,y\n1,3\n2,5\n3,7\n4,9\n"
"""Four points of y = 2x + 1."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").write_text(POINTS, encoding="utf-8")
    return tmp_path


def quick(problem: str = "x**2", variables: dict[str, str] | None = None, **options) -> Session:
    """Without compiling."""
    return Session(
        Setup(problem, variables or {"x": "2.0"}, **{"optimizer": "sgd", "rate": "0.1", "engine": "eager", **options})
    )


# --- problems -----------------------------------------------------------------------------------------------------------


def test_the_first_problem_is_the_hill_with_adam_of_rate_1():
    session = Session(Setup(engine="eager"))
    info = do(session, "info problem")
    assert (info["loss"], info["parameters"][0]["start"]) == ("(x-50)**2", 3.0)
    assert do(session, "grad")["gradient"] == {"x": -94.0}
    optimizer = do(session, "info optimizer")
    assert (optimizer["name"], optimizer["learning_rate"]) == ("Adam", 1.0)


def test_a_loss_typed_at_the_prompt_is_in_force_at_step_0_of_a_new_branch():
    session = quick()
    begun = do(session, "step 3", "var a = [1, 2]", "const b = [3, 5]", "loss sum((a - b)**2)")
    assert (begun["point"]["step"], begun["point"]["loss"], begun["branch"]) == (0, 13.0, "b1")
    assert begun["point"]["gradient"] == {"a": [-4.0, -6.0]}


def test_least_squares_on_a_csv_file_has_the_gradient_of_the_textbook(folder: Path):
    session = quick()
    do(session, 'const x1 = csv("points.csv", x)', 'const y1 = csv("points.csv", y)', "var m = 0", "var c = 0")
    point = do(session, "loss mean((m*x1 + c - y1)**2)")["point"]
    x, y = np.array([1, 2, 3, 4.0]), np.array([3, 5, 7, 9.0])
    assert point["loss"] == pytest.approx(np.mean(y**2))
    assert point["gradient"] == {"m": pytest.approx(-2 * np.mean(x * y)), "c": pytest.approx(-2 * np.mean(y))}


def test_several_columns_of_a_csv_file_are_a_matrix(folder: Path):
    changed = do(quick(), 'const P = csv("points.csv", y, x)')
    assert changed["after"] == [[3.0, 1.0], [5.0, 2.0], [7.0, 3.0], [9.0, 4.0]]


def test_info_problem_tells_where_a_constant_came_from(folder: Path):
    session = quick()
    do(session, 'const k = csv("points.csv", x)', "loss sum((x - k)**2)")
    [constant] = do(session, "info problem")["constants"]
    assert (constant["name"], constant["shape"], constant["origin"]) == ("k", [4], 'csv("points.csv", x)')
    assert len(constant["sha256"]) == 64


def test_random_values_depend_on_the_seed_and_the_name_alone():
    first, second, other = (quick(seed=seed) for seed in (3, 3, 4))
    drawn = do(first, "var a = normal(3)", "var b = normal(3)")["after"]
    assert do(second, "var b = normal(3)")["after"] == drawn
    assert do(other, "var b = normal(3)")["after"] != drawn
    assert do(first, "var a = normal(3)")["after"] != drawn


def test_a_seed_set_later_is_the_seed_of_the_command_line():
    assert do(quick(), "set seed 9", "var b = uniform(2, 2)") == do(quick(seed=9), "var b = uniform(2, 2)")


def test_a_problem_of_the_zoo_has_its_published_start_and_minimum():
    session = quick()
    assert do(session, "problem rosenbrock")["point"]["loss"] == pytest.approx(24.2)  # at (-1.2, 1)
    info = do(session, "info problem")
    assert (info["name"], info["minimum"]) == ("rosenbrock", 0.0)
    assert info["minima"][0] in ({"x": 1.0, "y": 1.0}, {"x": [1.0, 1.0]})


def test_a_problem_of_the_zoo_takes_a_dimension():
    session = quick()
    begun = do(session, "problem rastrigin dim=10")
    x = np.array(begun["point"]["parameters"]["x"])
    assert x.shape == (10,)
    assert begun["point"]["loss"] == pytest.approx(100 + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)), rel=1e-5)


def test_the_command_line_takes_a_problem_with_options(cli):
    status, out, _ = cli("rastrigin", "dim=10", "--engine", "eager", "--batch", "--json", "-c", "info problem")
    info = read_json(out)["result"]
    assert (status, info["name"], info["parameters"][0]["shape"]) == (0, "rastrigin", [10])


def test_the_command_line_takes_variables_constants_dtype_engine_and_seed(cli, folder: Path):
    given = ["sum((w - a)**2)", "--var", "w=normal(2)", "--const", 'a=csv("points.csv", x)', "--dtype", "float64"]
    given[0] = "sum((w[0] - a)**2) + w[1]**2"
    options = ["--optimizer", "adam(beta_1=0.8)", "--lr", "0.5", "--engine", "eager", "--seed", "3", "--batch", "--json"]
    status, out, _ = cli("debug", *given, *options, "-c", "info problem", "-c", "info optimizer", "-c", "info session")
    problem, optimizer, session = (read_json(line)["result"] for line in out.splitlines())
    assert (status, problem["dtype"], problem["engine"], session["facts"]["seed"]) == (0, "float64", "eager", 3)
    assert [constant["value"] for constant in problem["constants"]] == [[1.0, 2.0, 3.0, 4.0]]
    assert (optimizer["learning_rate"], optimizer["hyperparameters"]["beta_1"]) == (0.5, 0.8)


@pytest.mark.parametrize(
    "line",
    [
        "loss nosuch**2",
        "loss x + [1, 2]",
        "loss x > 1",
        "loss sum(x",
        "loss matmul([[1, 2]], [[1, 2]]) * x",
        "problem nosuch",
        "problem rosenbrock dim=1",
        "var x = [[1], [2, 3]]",
        'const x = csv("nosuch.csv")',
        'const x = csv("points.csv", nosuch)',
    ],
)
def test_a_problem_that_cannot_be_leaves_the_one_before_in_force(line: str, folder: Path):
    session = quick()
    do(session, "step 2")
    before = contents(session)
    error = error_of(session, line)
    assert isinstance(error, GdreplError)
    assert contents(session) == before
    assert do(session, "step")["point"]["parameters"]["x"] == pytest.approx(2 * 0.8**3)


def test_a_cell_that_is_no_number_is_named_by_its_row(folder: Path):
    (folder / "bad.csv").write_text("x\n1\ntwo\n", encoding="utf-8")
    assert error_of(quick(), 'const k = csv("bad.csv")').message == "bad.csv row 3: 'two' is not a number"


@pytest.mark.parametrize(
    ("content", "typed", "message", "hint"),
    [
        ("x;y\n1,5;2\n3,7;4\n", 'csv("t.csv")', "t.csv is separated by semicolons", "only commas"),
        ("x\ty\n1\t2\n", 'csv("t.csv", x)', "t.csv is separated by tabs", "only commas"),
        ("x,y\n1,2\n3,4,5\n", 'csv("t.csv", x, y)', "t.csv row 3 has 3 columns, not 2", "1.5, not 1,5"),
        ("x\n1,5\n", 'csv("t.csv", x)', "t.csv row 2 has 2 columns, not 1", "1.5, not 1,5"),
        ("x,x\n1,2\n", 'csv("t.csv", x)', "t.csv has several columns 'x'", "0 or 1"),
        ("x,y\n1,2\n", 'csv("t.csv", X)', "t.csv has no column 'X'", "did you mean 'x'?"),
        ("x,y\n1,2\n", "csv(t.csv, x)", "csv needs a file name in quotes, then columns, and nothing after it", "points.csv"),
        ("x,y\n1,2\n", 'csv("t.csv" x)', "csv needs a file name in quotes, then columns, and nothing after it", "points.csv"),
        (
            "x,y\n1,2\n",
            'csv("t.csv", columns=[x])',
            "the columns of csv are names or numbers, separated by commas",
            "points.csv",
        ),
        ("x,y\n1,2\n", 'csv("t.csv", [x])', "the columns of csv are names or numbers, separated by commas", ".csv"),
        ("x,y\n1,2\n", 'csv("")', "the name of the file is empty", "points.csv"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(content: str, typed: str, message: str, hint: str, folder: Path):
    (folder / "t.csv").write_text(content, encoding="utf-8")
    error = error_of(quick(), f"const k = {typed}")
    assert error.message == message
    assert hint in error.hint


def test_a_session_whose_data_have_changed_says_so_when_it_is_loaded_and_keeps_its_values(folder: Path):
    (folder / "t.csv").write_text("x\n1\n2\n", encoding="utf-8")
    session = quick()
    do(session, 'const k = csv("t.csv", x)', "var v = 1", "loss sum((v - k)**2)", "save fit")
    assert do(session, "load fit")["notes"] == []
    (folder / "t.csv").write_text("x\n1\n3\n", encoding="utf-8")
    loaded = do(session, "load fit")
    assert loaded["notes"] == ['k: the file of csv("t.csv", x) has changed; the session\'s values are used']
    assert do(session, "print k")["value"] == [1, 2]
    (folder / "t.csv").unlink()
    assert "cannot be read" in do(session, "load fit")["notes"][0]


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        (("var w = [[1],[2],[3]]", "loss mean((w - y)**2)"), "w - y makes (3, 3) of (3, 1) and (3,)"),
        (("var w = [1, 2, 3]", "loss mean((w - y)**2)"), None),
        (("var w = 2", "loss mean((w * y - 1)**2)"), None),
        (("var w = [[1, 2, 3]]", "loss mean((w * y)**2)"), None),
        (("var w = [[1],[2],[3]]", "loss mean((2**w)**2) + sum(y @ w)"), None),
    ],
)
def test_an_operator_that_stretches_both_sides_is_told_of(lines: tuple[str, str], note: str | None):
    notes = do(quick(), "const y = [1, 2, 3]", *lines)["notes"]
    assert notes == ([note] if note else [])


def test_a_column_may_have_its_unit_in_brackets(folder: Path):
    (folder / "t.csv").write_text("area (m2),y=z\n1,2\n3,4\n", encoding="utf-8")
    assert do(quick(), 'const k = csv("t.csv", "area (m2)")')["after"] == [1, 3]
    assert do(quick(), 'const k = csv("t.csv", area (m2), y=z)')["after"] == [[1, 2], [3, 4]]


def test_empty_cells_at_the_end_of_a_row_are_no_columns(folder: Path):
    (folder / "t.csv").write_text("x,y\n1,2,\n3,4,,\n", encoding="utf-8")
    assert do(quick(), 'const k = csv("t.csv")')["after"] == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["rosenbrock", "--optimizer", "adam(lr=0.5)", "--lr", "0.1"], "--lr: the optimizer names a learning rate too"),
        (["rosenbrock", "--optimizer", "adam(0.5)", "--lr", "0.1"], "--lr: the optimizer names a learning rate too"),
        (["x**2"], "unknown name 'x'"),
    ],
)
def test_a_start_that_is_wrong_is_told_with_what_to_give(given: list[str], message: str, cli):
    status, _, err = cli("debug", *given, "--batch", "-c", "print lr")
    assert (status, message in err) == (2, True)
    assert "give one of them" in err or "give it a start value: --var x=3.0" in err


def test_a_new_value_of_a_variable_in_use_begins_the_problem_again():
    session = quick()
    begun = do(session, "step 2", "var x = 5")
    assert (begun["point"]["step"], begun["point"]["loss"]) == (0, 25.0)


def test_the_dtype_changes_what_numbers_are_computed_in():
    session = quick("(x - 0.1)**2", {"x": "0.3"})
    do(session, "set dtype float64")
    assert do(session, "print x - 0.1")["value"] == 0.3 - 0.1


def test_going_back_to_an_old_problem_goes_on_with_it():
    session = quick()
    do(session, "step 2", "branch kept", "loss (x - 1)**2", "step")
    names = [branch["name"] for branch in do(session, "info branches")["branches"]]
    assert names[:2] == ["main", "kept"]


# --- optimizers ---------------------------------------------------------------------------------------------------------


def test_set_optimizer_takes_hyperparameters_and_keeps_the_learning_rate():
    session = quick()
    changed = do(session, "set optimizer adam(beta_1=0.8)")
    assert changed["after"] == "Adam(learning_rate=0.1, beta_1=0.8)"
    info = do(session, "info optimizer")
    assert (info["learning_rate"], info["hyperparameters"]["beta_1"]) == (0.1, 0.8)


def test_adam_with_another_beta_makes_the_step_of_the_formula():
    session = hill(optimizer="adam(beta_1=0.8)", rate="0.5", dtype="float64", engine="eager")
    x, m, v = 3.0, 0.0, 0.0
    for t in range(1, 4):
        g = 2 * (x - 50)
        m, v = 0.8 * m + 0.2 * g, 0.999 * v + 0.001 * g * g
        x -= m * 0.5 * np.sqrt(1 - 0.999**t) / (1 - 0.8**t) / (np.sqrt(v) + 1e-7)
    assert do(session, "step 3")["point"]["parameters"]["x"] == pytest.approx(x, abs=3e-5)  # Keras keeps 0.999 in float32


def test_an_integer_learning_rate_is_taken_as_a_float():
    session = quick()
    assert do(session, "set lr 1")["after"] == 1.0
    # x - 1 * 2x
    assert do(session, "step")["point"]["parameters"]["x"] == -2.0


def test_clipnorm_bounds_the_update():
    session = hill(engine="eager")
    do(session, "set lr 1", "set clipnorm 1")
    assert do(session, "step")["point"]["parameters"]["x"] == pytest.approx(4.0)
    assert do(session, "info optimizer")["hyperparameters"]["clipnorm"] == 1.0


def test_a_schedule_sets_the_rate_of_every_update():
    session = quick("x", {"x": "0.0"}, dtype="float64")
    do(session, "set lr exponential_decay(0.1, decay_steps=100, decay_rate=0.9)")
    point = do(session, "step 50")["point"]
    rates = 0.1 * 0.9 ** (np.arange(51) / 100)
    assert point["parameters"]["x"] == pytest.approx(-np.sum(rates[:50]), rel=1e-5)
    assert point["learning_rate"] == pytest.approx(rates[50], rel=1e-5)
    info = do(session, "info optimizer")
    assert info["schedule"].startswith("exponential_decay(0.1, decay_steps=100, decay_rate=0.9")


def test_a_number_replaces_a_schedule():
    session = quick("x", {"x": "0.0"})
    do(session, "set lr cosine_decay(0.1, decay_steps=10)", "step 5", "set lr 0.5")
    assert do(session, "step")["point"]["learning_rate"] == 0.5


def test_info_optimizer_shows_every_hyperparameter_that_keras_has():
    import inspect

    import keras

    session = quick()
    do(session, "set optimizer adam")
    signature = inspect.signature(keras.optimizers.Adam.__init__).parameters
    wanted = {name for name in signature if name not in ("self", "name", "learning_rate", "kwargs")}
    assert set(do(session, "info optimizer")["hyperparameters"]) == wanted


def test_info_optimizer_shows_every_slot_that_keras_has():
    import keras

    session = quick("sum(w**2) + b**2", {"w": "[1, 2]", "b": "3"})
    do(session, "set optimizer adam", "step")
    slots = [(slot["slot"], slot["parameter"]) for slot in do(session, "info optimizer")["slots"]]
    theirs = keras.optimizers.Adam()
    theirs.build([keras.Variable(np.zeros(2)), keras.Variable(0.0)])
    assert len(slots) == len(theirs.variables)
    assert slots[:2] == [("iteration", None), ("learning_rate", None)]
    assert {slot for slot in slots if slot[1]} == {(kind, name) for kind in ("momentum", "velocity") for name in ("w", "b")}


def test_a_slot_holds_what_the_formula_says():
    session = hill(optimizer="adam", rate="1", engine="eager")
    do(session, "step")
    slots = {slot["slot"]: slot["value"] for slot in do(session, "info optimizer")["slots"]}
    assert slots["iteration"] == 1
    assert slots["momentum"] == pytest.approx(-9.4)
    assert slots["velocity"] == pytest.approx(8.836)


def test_a_change_in_the_past_begins_a_branch_and_keeps_the_old_future():
    session = hill(engine="eager")
    do(session, "step 4", "goto 1", "set lr 0.5", "step")
    # x_1 = 12.4; a rate of 1/2 jumps to the minimum
    assert do(session, "print x")["value"] == pytest.approx(50.0)
    branches = do(session, "info branches")["branches"]
    assert [(branch["name"], branch["end"]) for branch in branches] == [("main", 4), ("b1", 2)]


def test_a_column_whose_name_has_a_comma_is_named_in_quotes(folder: Path):
    (folder / "odd.csv").write_text('a,"big, c",i\n1,2,3\n4,5,6\n', encoding="utf-8")
    assert do(quick(), 'const y = csv("odd.csv", "big, c", i)')["after"] == [[2.0, 3.0], [5.0, 6.0]]


@pytest.mark.parametrize(("row", "wrong"), [(",", "a cell is empty"), ("1_000,2", "'1_000' is not a number")])
def test_a_row_of_a_table_that_is_no_numbers_is_named(row: str, wrong: str, folder: Path):
    (folder / "odd.csv").write_text(f"x,y\n1,2\n\n{row}\n", encoding="utf-8")
    assert error_of(quick(), 'const X = csv("odd.csv", x)').message == f"odd.csv row 3: {wrong}"


def test_another_optimizer_begins_its_schedule_again_and_says_so():
    session = quick(rate="exponential_decay(0.1, decay_steps=10, decay_rate=0.5)")
    do(session, "step 30")
    assert do(session, "print lr")["value"] == pytest.approx(0.0125)
    assert "its schedule begins with it: lr is 0.1" in do(session, "set optimizer sgd(momentum=0.5)")["notes"]


@pytest.mark.parametrize(
    ("problem", "hint"),
    [
        ("hill.gds", "gdrepl resume hill.gds goes on with it"),
        ("load hill", "-c 'load hill' runs it first; type it at the prompt"),
        ("help", "-c 'help' runs it first; type it at the prompt"),
    ],
)
def test_a_session_file_or_a_command_in_place_of_a_problem_is_told_where_it_belongs(problem: str, hint: str):
    assert error_of(Session(Setup(problem)), "step").hint == hint
