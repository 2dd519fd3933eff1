"""`--json`: one object a line and nothing else, at once, in the shapes that other programs rely on."""

from __future__ import annotations

import math

import pytest
from driving import Conversation, do, environment, hill, read_json

from gdrepl.engine.moves import Progress


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """A real process on a pipe that stays open; each answer was read before the next line was written."""
    env = environment(tmp_path_factory.mktemp("state"))
    lines = ["step 3", "print x", "grad", "history 0:2", "goto 0", "set lr 1e30", "continue 10", "print loss", "frobnicate"]
    with Conversation(["debug", "(x-50)**2", "--var", "x=3", "--optimizer", "sgd", "--lr", "0.1", "--json"], env) as process:
        answers = {line: process.ask(line) for line in lines}
        status, out, err = process.end()
    return {**answers, "end": {"status": status, "out": out, "err": err}}


def test_every_answer_names_its_command_and_has_a_result_or_an_error(talk):
    answers = [(line, answer) for line, answer in talk.items() if line != "end"]
    assert [answer["command"] for _, answer in answers] == [line for line, _ in answers]
    assert [set(answer) - {"command"} for _, answer in answers] == [{"result"}] * 8 + [{"error"}]


def test_the_first_error_ends_a_piped_session_with_status_1(talk):
    assert talk["end"]["status"] == 1


def test_nothing_else_reaches_standard_output_or_standard_error_and_nothing_of_tensorflow(talk):
    assert (talk["end"]["out"], talk["end"]["err"]) == ("", "")


def test_an_error_has_type_message_and_hint(talk):
    error = talk["frobnicate"]["error"]
    assert error == {"type": "CommandError", "message": "unknown command 'frobnicate'", "hint": "help lists the commands"}


def test_an_error_in_an_expression_has_its_column_too(cli):
    _, out, _ = cli("x**2", "--var", "x=1", "--engine", "eager", "--json", "--batch", "-c", "print 2*(x - yy)")
    error = read_json(out)["error"]
    assert (error["message"], error["expression"], error["column"]) == ("unknown name 'yy'", "2*(x - yy)", 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--json", "--nope"), "unrecognized arguments: --nope"),
        (("x**2", "--json", "--width", "3"), "argument --width: a width is 20 to 500"),
        (("x**2", "--json", "--dtype", "int8"), "argument --dtype: invalid choice: 'int8'"),
        (("--json", "--var", "x"), "--var 'x' is not NAME=VALUE"),
        (("--json", "--const", "=3"), "--const '=3' is not NAME=VALUE"),
        (("show", "--json", "--nope", "a.gds"), "unrecognized arguments: --nope"),
        (("show", "--json", "nope.gds"), "cannot read nope.gds: no such file or folder"),
        (("resume", "--json", "nope.gds"), "cannot read nope.gds: no such file or folder"),
        (("replay", "--json"), "the following arguments are required: FILE"),
        (("replay", "--json", ""), "argument FILE: the name of a file is empty"),
        (("--json", "nope.gds"), "nope.gds is a session file, not a problem"),
    ],
)
def test_wrong_usage_is_told_as_json_too(arguments, message, cli, folder):
    status, out, err = cli(*arguments)
    answer = read_json(out)
    assert (status, answer["command"], err) == (2, "", "")
    assert answer["error"]["message"].startswith(message)
    assert answer["error"]["hint"]


def test_without_json_wrong_usage_is_told_on_standard_error(cli, folder):
    for arguments in (("--nope",), ("show", "--nope", "a.gds"), ("--var", "x"), ("replay",)):
        status, out, err = cli(*arguments)
        assert (status, out) == (2, "")
        assert err


def test_a_refused_update_is_told_as_json_too(cli, monkeypatch):
    monkeypatch.setenv("CI", "1")
    status, out, err = cli("replay", "--json", "--update", "any.gds")
    assert (status, err) == (2, "")
    assert read_json(out)["error"]["message"].startswith("--update is refused when CI is set")


def test_a_run_says_how_many_updates_it_took_and_why_it_stopped(talk):
    result = talk["step 3"]["result"]
    assert (result["type"], result["taken"]) == ("Stepped", 3)
    assert result["stops"] == [{"kind": "count", "id": None, "text": "3 steps"}]


def test_a_point_has_step_loss_parameters_gradient_and_learning_rate(talk):
    point = talk["step 3"]["result"]["point"]
    x = 50 - 47 * 0.8**3
    assert list(point) == ["step", "loss", "parameters", "gradient", "learning_rate"]
    assert (point["step"], point["learning_rate"]) == (3, 0.1)
    assert point["parameters"] == {"x": pytest.approx(x)}
    assert point["gradient"] == {"x": pytest.approx(2 * (x - 50))}
    assert point["loss"] == pytest.approx((x - 50) ** 2)


def test_print_gives_the_expression_and_its_value(talk):
    result = talk["print x"]["result"]
    assert result.pop("number") > 0
    value = pytest.approx(50 - 47 * 0.8**3)
    assert result == {"type": "Printed", "expression": "x", "value": value, "steps": []}


def test_grad_gives_the_gradient_and_its_norm(talk):
    result = talk["grad"]["result"]
    assert result["type"] == "Gradient"
    assert result["gradient"] == {"x": pytest.approx(-94 * 0.8**3)}
    assert result["norm"] == pytest.approx(94 * 0.8**3)


def test_history_gives_columns(talk):
    result = talk["history 0:2"]["result"]
    assert result["type"] == "History"
    assert result["points"] == {
        "step": [0, 1, 2],
        "loss": pytest.approx([2209 * 0.64**k for k in range(3)]),
        "parameters": {"x": pytest.approx([50 - 47 * 0.8**k for k in range(3)])},
        "gradient": {"x": pytest.approx([-94 * 0.8**k for k in range(3)])},
        "learning_rate": pytest.approx([0.1] * 3),
    }


def test_a_move_back_counts_its_steps_below_zero_and_arrives_bit_for_bit(talk):
    result = talk["goto 0"]["result"]
    assert result["taken"] == -3
    assert result["point"] == {
        "step": 0,
        "loss": 2209.0,
        "parameters": {"x": 3.0},
        "gradient": {"x": -94.0},
        "learning_rate": 0.1,
    }


def test_numbers_that_are_not_finite_are_strings(talk):
    result = talk["continue 10"]["result"]
    assert result["point"]["loss"] == "Infinity"
    assert [stop["kind"] for stop in result["stops"]] == ["non-finite"]
    assert math.isfinite(result["last_finite"]["loss"])
    assert talk["print loss"]["result"]["value"] == "Infinity"


@pytest.mark.parametrize(("expression", "word"), [("0/0*x", "NaN"), ("1/0*x", "Infinity"), ("-1/0*x", "-Infinity")])
def test_each_of_the_three_has_its_word(expression, word):
    assert do(hill(), f"print {expression}")["value"] == word


@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        (["step 2"], ["count"]),
        (["break if x > 10", "continue"], ["breakpoint"]),
        (["until step == 2"], ["until"]),
        (["set max-steps 3", "continue"], ["max-steps"]),
        (["set lr 1e30", "continue"], ["non-finite"]),
        (["step 3", "goto 0"], ["start"]),
        (["step 3", "goto 1", "goto end"], ["end"]),
        (["step 3", "reverse-step 9"], ["start"]),
        (["break if step == 2", "step 2"], ["breakpoint", "count"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
def test_a_stop_has_its_kind(lines, kinds):
    stops = do(hill(), *lines)["stops"]
    assert [stop["kind"] for stop in stops] == kinds
    assert all(set(stop) == {"kind", "id", "text"} for stop in stops)


def test_a_breakpoint_stop_has_the_number_and_the_text_of_its_breakpoint():
    stops = do(hill(), "break if x > 10", "break if x > 11", "continue")["stops"]
    # x is 3, 12.4: both hold at once
    assert stops == [{"kind": "breakpoint", "id": 1, "text": "x > 10"}, {"kind": "breakpoint", "id": 2, "text": "x > 11"}]


def test_an_interrupted_run_says_so():
    session = hill()

    def interrupt(progress: Progress) -> None:
        session.debugger.interrupt.set()

    session.debugger.progress = interrupt
    result = do(session, "continue 1000000000")
    assert [stop["kind"] for stop in result["stops"]] == ["interrupt"]
    assert result["taken"] == result["point"]["step"] > 0


def test_adams_first_update_is_almost_the_learning_rate(cli):
    status, out, _ = cli("--batch", "--json", "-c", "step", stdin="")
    assert status == 0
    assert read_json(out)["result"]["point"]["parameters"]["x"] == pytest.approx(3 + 0.99999, abs=1e-5)


def test_echo_does_not_disturb_the_json(cli):
    _, out, _ = cli("--json", "--echo", stdin="help step\nhelp goto\n")
    assert [read_json(line)["command"] for line in out.splitlines()] == ["help step", "help goto"]


def test_commands_joined_on_a_line_give_an_object_each(cli):
    _, out, _ = cli("--json", stdin="help step ;; help goto\n# a comment\n\n")
    assert [read_json(line)["command"] for line in out.splitlines()] == ["help step", "help goto"]


def test_a_start_that_is_wrong_is_told_as_json_with_status_2(cli):
    status, out, err = cli("loss_of_nobody", "--batch", "--json", "-c", "step")
    assert (status, err) == (2, "")
    assert read_json(out)["error"]["type"] == "CommandError"


def test_vectors_and_matrices_are_nested_lists(cli):
    _, out, _ = cli("sum(W @ v)", "--var", "W=[[1,2],[3,4]]", "--const", "v=[1,10]", "--batch", "--json", "-c", "grad")
    result = read_json(out)["result"]
    assert result["gradient"] == {"W": [[1.0, 10.0], [1.0, 10.0]]}
    assert result["loss"] == 64.0
