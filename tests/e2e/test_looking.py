"""x and check grad as they are typed: their lines, their JSON, their recordings, and lines that only look like theirs."""

from __future__ import annotations

import numpy as np
import pytest
from driving import contents, do, error_of

from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup


def session(loss: str = "sum(w**2)", **start: str) -> Session:
    return Session(Setup(loss, start or {"w": "[[1, 2, 3], [4, 5, 6]]"}, optimizer="sgd", rate="0.1", engine="eager"))


@pytest.fixture(scope="module")
def plain() -> Session:
    return session()


@pytest.fixture(scope="module")
def of_x() -> Session:
    made = session("(x-50)**2", x="3")
    do(made, "step", "goto 0")
    return made


# --- x ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("x w", [[1, 2, 3], [4, 5, 6]]),
        ("x/4 w", [1, 2, 3, 4]),
        ("x /4 w", [1, 2, 3, 4]),
        ("x/2 w[1, :]", [4, 5]),
        ("x w[0:2, 1]", [2, 5]),
        ("x/f grad(w)", [[2, 4, 6], [8, 10, 12]]),
        ("x/1e w @ [1, 1, 1] - 6", [0]),
        ("x loss", 91),
        ("x/9 step", [0]),
        ("x/2 w > 1", [False, True]),
    ],
)
def test_x_gives_the_numbers(line, values, plain):
    result = do(plain, line)
    assert (result["type"], result["values"]) == ("Examined", values)


def test_x_gives_bits(plain):
    assert do(plain, "x/2x w")["bits"] == ["0x3f800000", "0x40000000"]
    assert do(plain, "x/2x slot.iteration")["bits"] == ["0x0000000000000000"]


def test_x_sums_up_what_is_large(plain):
    result = do(plain, "const A = normal(50, 20)", "x A")
    assert "values" not in result
    assert (result["shape"], result["dtype"], result["spread"]["zeros"]) == ([50, 20], "float32", 0)
    assert sum(one["count"] for one in result["spread"]["histogram"]) == 1000


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("x", "x needs EXPRESSION", "for example x/5 grad"),
        ("x/5", "x needs EXPRESSION", "for example x/5 W, x/5x W for its bits, x W[0:3, :]"),
        (
            "x/5q w",
            "'/5q' is not a format",
            "a count and a letter: f fixed, e with an exponent, x the bits, g as print shows it",
        ),
        ("x/0 w", "x shows 1 to 10000 numbers, not 0", "x EXPRESSION sums up a large value"),
        ("x/ w", "'/' is not a format", "a count and a letter: f fixed, e with an exponent, x the bits, g as print shows it"),
        ("x v", "unknown name 'v'", None),
        ("x = 3", "'x = 3' is not a line of the command x", "var x = 3 defines it"),
        ("check", "check needs WHAT", "for example check grad"),
        ("check loss", "'loss' cannot be checked", "check grad"),
        ("check grad w + 1", "'w + 1' is not a parameter or a part of one", None),
        ("check grad w[0, 3:]", "'w[0, 3:]' has no number", None),
        ("check grad v", "there is no parameter 'v'", "parameters: w"),
    ],
)
def test_a_wrong_line_says_what_to_type(line, message, hint, plain):
    before = contents(plain)
    error = error_of(plain, line)
    assert (error.message, error.hint) == (message, error.hint if hint is None else hint)
    assert error.hint
    assert contents(plain) == before


@pytest.mark.parametrize("line", ["x", "x - 3", "x**2", "x/5", "x*2", "x -3", "x > 1"])
def test_where_x_is_a_parameter_a_line_of_it_is_shown_by_print(line, of_x):
    assert error_of(of_x, line).hint == f"print {line} shows its value"


@pytest.mark.parametrize("line", ["x = 3", "x 3"])
def test_where_x_is_a_parameter_it_is_set_by_set(line, of_x):
    assert error_of(of_x, line).hint == "set x 3 changes it"


def test_where_x_is_a_parameter_it_can_be_looked_at(of_x):
    assert do(of_x, "x/1 x")["values"] == [3]
    assert do(of_x, "x x")["values"] == 3
    assert do(of_x, "print x")["value"] == 3


# --- check grad ---------------------------------------------------------------------------------------------------------


def test_check_grad_as_json(plain):
    result = do(plain, "check grad")
    assert list(result)[:5] == ["type", "worst_error", "coordinate", "ok", "notes"]
    assert (result["type"], result["ok"], result["checked"], result["numbers"]) == ("GradientCheck", True, 6, 6)
    one = result["worst"][0]
    assert one["error"] == result["worst_error"] <= one["tolerance"]
    assert one["step_size"] > 0


@pytest.mark.parametrize(("text", "checked"), [("w", 6), ("w[1]", 3), ("w[0:2, 1]", 2), ("w[1, 2]", 1)])
def test_check_grad_looks_at_a_choice(text, checked, plain):
    result = do(plain, f"check grad {text}")
    assert result["checked"] == checked
    if checked == 1:
        assert (result["coordinate"], result["worst"][0]["gradient"]) == ("w[1, 2]", 12)


def test_both_are_recorded_without_what_rounding_makes_and_replay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = session("sum(abs(w)) + sum(w**3)", w="[0.5, 0, -2]")
    do(first, "step", "set w[1] 0", "break if loss < 0", "check grad", "x/2e w", "save looked")
    told = [event.result for event in first.events if event.result["type"] == "GradientCheck"]
    assert told == [
        {
            "type": "GradientCheck", "ok": True, "kinks": ["w[1]"], "numbers": 3, "checked": 3, "directions": 0,
            "dtype": "float32", "wide": "float64", "step": 1,
        }
    ]  # fmt: skip
    assert "bits" not in first.events[-1].result
    again = session()
    do(again, "load looked")
    assert np.shape(do(again, "x w")["values"]) == (3,)
