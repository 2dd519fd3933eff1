"""The expression language: values and gradients against NumPy, and what is said of a slip."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrepl.engine import backend
from gdrepl.engine.problem import make_problem
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import (
    FUNCTIONS,
    MAX_DEPTH,
    MAX_LENGTH,
    Call,
    Scope,
    check_name,
    evaluate,
    parse,
    parse_call,
    parse_value,
)

VECTOR = np.array([0.3, -0.7, 1.9])
MATRIX = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
Formula = Callable[[np.ndarray], float]


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


# A loss of x, the same in NumPy, and where to look. Kinks are avoided; every function of the language has a line.
LOSSES: list[tuple[str, Formula, Any]] = [
    ("sin(x)", np.sin, 0.7),
    ("cos(x)", np.cos, 0.7),
    ("tan(x)", np.tan, 0.7),
    ("asin(x)", np.arcsin, 0.3),
    ("acos(x)", np.arccos, 0.3),
    ("atan(x)", np.arctan, -2.0),
    ("sinh(x)", np.sinh, 1.3),
    ("cosh(x)", np.cosh, 1.3),
    ("tanh(x)", np.tanh, -0.4),
    ("exp(-x)", lambda x: np.exp(-x), 1.1),
    ("expm1(x)", np.expm1, 0.2),
    ("log(x)", np.log, 2.5),
    ("log1p(x)", np.log1p, 0.25),
    ("sqrt(x)", np.sqrt, 2.0),
    ("square(x)", np.square, -3.0),
    ("abs(x)", np.abs, -3.0),
    ("sign(x)*x", lambda x: np.sign(x) * x, -3.0),
    ("floor(x) + x", lambda x: np.floor(x) + x, 2.4),
    ("sigmoid(x)", lambda x: 1 / (1 + np.exp(-x)), 0.8),
    ("softplus(x)", lambda x: np.log1p(np.exp(x)), 0.8),
    ("erf(x)", lambda x: math.erf(float(x)), 0.6),
    ("sum(relu(x))", lambda x: np.maximum(x, 0).sum(), VECTOR),
    ("softmax(x)[1]", lambda x: softmax(x)[1], VECTOR),
    ("logsumexp(x)", lambda x: np.log(np.exp(x).sum()), VECTOR),
    ("norm(x)", lambda x: np.sqrt((x**2).sum()), VECTOR),
    ("norm(x)", lambda x: np.sqrt((x**2).sum()), MATRIX),
    ("dot(x, x*2)", lambda x: 2 * (x * x).sum(), VECTOR),
    ("sum(x)", np.sum, MATRIX),
    ("mean(x*x)", lambda x: np.mean(x * x), MATRIX),
    ("prod(x)", np.prod, VECTOR),
    ("max(x)", np.max, VECTOR),
    ("max(x[0], x[1], x[2], -5)", np.max, VECTOR),
    ("min(x)", np.min, VECTOR),
    ("sum(maximum(x, 0.5))", lambda x: np.maximum(x, 0.5).sum(), VECTOR),
    ("sum(minimum(x, 0.5))", lambda x: np.minimum(x, 0.5).sum(), VECTOR),
    ("sum(clip(x, -0.5, 1)*x)", lambda x: (np.clip(x, -0.5, 1) * x).sum(), VECTOR),
    ("sum(where(x > 0, x**2, 3*x))", lambda x: np.where(x > 0, x**2, 3 * x).sum(), VECTOR),
    ("where(all(x > -1), sum(x), 0)", np.sum, VECTOR),
    ("where(any(x > 5), 0, sum(x**3))", lambda x: (x**3).sum(), VECTOR),
    ("sum(where(isfinite(x), x, 0))", np.sum, VECTOR),
    ("sum(transpose(x) @ x)", lambda x: (x.T @ x).sum(), MATRIX),
    ("sum(x)/size(x)", np.mean, MATRIX),
    ("dot(arange(size(x)), x)", lambda x: np.dot(np.arange(3), x), VECTOR),
    ("x @ x", lambda x: x @ x, VECTOR),
    ("sum(x @ [1, 2, 3])", lambda x: (x @ np.array([1, 2, 3])).sum(), MATRIX),
    (
        "x[0, 1]*x[-1, 2] + sum(x[:, 0]) + sum(x[1, ::2])",
        lambda x: x[0, 1] * x[-1, 2] + x[:, 0].sum() + x[1, ::2].sum(),
        MATRIX,
    ),
    ("sum([[x[0], 1], [x[1], x[2]]] @ [2, x[0]])", lambda x: 2 * x[0] + x[0] + 2 * x[1] + x[2] * x[0], VECTOR),
    ("x**3 - 2*x/(1 + x*x)", lambda x: x**3 - 2 * x / (1 + x * x), -1.7),
    ("2**x + x**0.5 + x**-2", lambda x: 2**x + x**0.5 + x**-2.0, 1.7),
    ("x % 3 + x // 3", lambda x: x % 3 + x // 3, 7.5),
    ("-x**2 + e*x - pi", lambda x: -(x**2) + math.e * x - math.pi, 0.4),
    ("(x > 0.1)*x + (not x > 0.1)*9", lambda x: x, 0.4),
]


def central_differences(formula: Formula, at: np.ndarray) -> np.ndarray:
    """d formula / d x by fourth-order central differences, of the NumPy formula and not of ours."""
    gradient, h = np.zeros_like(at), 1e-3
    for place in np.ndindex(at.shape):
        moved = [formula(_nudged(at, place, shift * h)) for shift in (-2, -1, 1, 2)]
        gradient[place] = (moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * h)
    return gradient


def _nudged(at: np.ndarray, place: tuple[int, ...], by: float) -> np.ndarray:
    copy = at.copy()
    copy[place] += by
    return copy


@pytest.mark.parametrize(("text", "formula", "at"), LOSSES, ids=[f"{text} rank {np.ndim(at)}" for text, _, at in LOSSES])
def test_loss_and_gradient_agree_with_numpy_and_central_differences(text: str, formula: Formula, at: Any) -> None:
    at = np.asarray(at, np.float64)
    loss, gradient = make_problem(text, {"x": at}, dtype="float64").loss_and_gradient({"x": tensor(at)})
    assert loss.numpy() == pytest.approx(formula(at), rel=1e-13)
    np.testing.assert_allclose(gradient["x"].numpy(), central_differences(formula, at), rtol=1e-8, atol=1e-9)


def test_every_function_of_the_language_is_in_the_table_of_gradients() -> None:
    seen = set(re.findall(r"[a-z_0-9]+(?=\()", " ".join(text for text, _, _ in LOSSES)))
    assert set(FUNCTIONS) - seen == {"stop_gradient"}  # the one whose gradient is not that of its value: below


def test_stop_gradient_has_the_value_of_its_argument_and_no_gradient() -> None:
    loss, gradient = make_problem("stop_gradient(x)*x", {"x": 3.0}, dtype="float64").loss_and_gradient({"x": tensor(3.0)})
    assert (float(loss), float(gradient["x"])) == (9.0, 3.0)


@pytest.mark.parametrize(("text", "at", "wanted"), [("norm(x)", [0.0, 0.0], [0, 0]), ("sum(x**2)", [0.0, 2.0], [0, 4])])
def test_the_gradient_is_finite_where_a_formula_of_a_textbook_would_divide_by_zero(text: str, at: Any, wanted: Any) -> None:
    _, gradient = make_problem(text, {"x": at}, dtype="float64").loss_and_gradient({"x": tensor(at)})
    assert gradient["x"].numpy().tolist() == wanted


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [-37, -20, -10, 0, 10, 18, 20, 37])
def test_a_norm_neither_overflows_nor_vanishes_where_the_numbers_do_not(dtype: str, exponent: int) -> None:
    at = [3.0 * 10.0**exponent, -4.0 * 10.0**exponent]
    problem = make_problem("norm(x)", {"x": at}, dtype=dtype)
    backend.load()
    import tensorflow as tf

    loss, gradient = problem.loss_and_gradient({"x": tf.constant(at, dtype)})
    assert float(loss) == pytest.approx(5.0 * 10.0**exponent, rel=1e-6)
    assert gradient["x"].numpy() == pytest.approx([0.6, -0.8], rel=1e-6)


def test_a_norm_of_what_is_not_finite_is_not_finite() -> None:
    assert np.isinf(value("norm(x)", x=[np.inf, 1.0]))
    assert np.isnan(value("norm(x)", x=[np.nan, 1.0]))


# ------------------------------------------------------------------------------------------------- values


def tensor(value: Any) -> Any:
    backend.load()
    import tensorflow as tf

    return tf.constant(value, tf.float64)


def value(text: str, dtype: str = "float64", **names: Any) -> Any:
    backend.load()
    return evaluate(parse(text, list(names)), {name: np.asarray(each, dtype) for name, each in names.items()}, dtype).numpy()


PYTHON_AGREES = [
    "-x**2", "2**3**2", "2**-1", "-2**-2", "1 - 2 - 3", "8/4/2", "7 // 2 * 2", "-7 // 2", "-7 % 3", "7 % -3", "1 + 2*3 - 4/5",
    "1 < x < 3", "1 < x < 1.5", "x == 2 != 3", "not x < 1 and x < 9 or x > 99", "x < 1 or x > 1 and x > 3", "not not x > 1",
    "(x > 1) + (x > 1)", "(x > 1) * 5", "1e-3 + 1_000 + 0x10 + .5", "+x - -x", "x*x == x**2", "x <= 2 >= x",
]  # fmt: skip


@pytest.mark.parametrize("text", PYTHON_AGREES)
def test_precedence_chains_and_logic_are_pythons(text: str) -> None:
    assert value(text, x=2.0) == eval(text, {"__builtins__": {}}, {"x": 2.0})


@st.composite
def arithmetic(draw: st.DrawFn, depth: int = 0) -> str:
    """A random expression of x and y."""
    if depth > 4 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(["x", "y", "0.5", "3", "1e-2", "2"]))
    left, right = draw(arithmetic(depth=depth + 1)), draw(arithmetic(depth=depth + 1))
    forms = ["{0} + {1}", "{0} - {1}", "({0})*({1})", "-({0})", "({0}) / (1 + abs({1}))", "({0})**2", "(({0}) < ({1})) + {0}"]
    return draw(st.sampled_from(forms)).format(left, right)


# TensorFlow takes numbers below 2.2e-308 for 0, Python does not: what is drawn keeps its powers away from there.
NUMBERS = st.floats(-10, 10).filter(lambda number: number == 0 or abs(number) >= 1e-3)


@settings(max_examples=60, deadline=None)
@given(arithmetic(), NUMBERS, NUMBERS)
def test_random_arithmetic_agrees_with_python(text: str, x: float, y: float) -> None:
    wanted = eval(text, {"__builtins__": {}, "abs": abs}, {"x": x, "y": y})
    assert value(text, x=x, y=y) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("W @ v", MATRIX @ VECTOR),
        ("W @ transpose(W)", MATRIX @ MATRIX.T),
        ("W[1]", MATRIX[1]),
        ("W[-1, 0:2]", MATRIX[-1, 0:2]),
        ("W[:, ::-1]", MATRIX[:, ::-1]),
        ("v + 1", VECTOR + 1),
        ("W * v", MATRIX * VECTOR),
        ("[1, 2, 3] * v", np.array([1, 2, 3]) * VECTOR),
        ("softmax(W)", np.stack([softmax(row) for row in MATRIX])),
        ("v > 0", VECTOR > 0),
        ("where(v > 0, v, 0)", np.where(VECTOR > 0, VECTOR, 0)),
        ("arange(4)", np.arange(4.0)),
        ("size(W)", 6.0),
    ],
)
def test_vectors_and_matrices_follow_numpy(text: str, wanted: Any) -> None:
    got = value(text, W=MATRIX, v=VECTOR)
    assert got.shape == np.shape(wanted)
    np.testing.assert_allclose(got, wanted, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_number_is_of_the_type_asked_for(dtype: str) -> None:
    got = value("x + 0.1 + pi + size([1, 2]) + (x > 0)", dtype, x=1.0)
    kind = np.dtype(dtype).type
    assert got.dtype == dtype
    assert got == kind(kind(kind(kind(1) + kind(0.1)) + kind(math.pi)) + kind(2)) + kind(1)


def test_a_function_sees_conditions_where_it_wants_them_only() -> None:
    with pytest.raises(ExpressionError, match="a condition is needed here, not a number") as caught:
        value("where(x, 1, 2)", x=1.0)
    assert caught.value.column == 6


# ------------------------------------------------------------------------------------------ names at a point


def at_point(text: str) -> Any:
    slots = {("iteration", None): 4, ("momentum", "x"): 0.25, ("momentum", "w"): [0.5, 0.75], ("norm", "w"): 8.0}
    before = Scope(
        tensors({"x": 1.0, "w": [1.0, 2.0], "loss": 9.0, "step": 3.0, "lr": 0.5}), tensors({"x": 4.0, "w": [5.0, 6.0]})
    )
    here = Scope(
        tensors({"x": 1.5, "w": [0.0, 4.0], "loss": 7.0, "step": 4.0, "lr": 0.25}),
        tensors({"x": -1.0, "w": [-2.0, -3.0]}),
        tensors(slots),
        before,
    )
    return evaluate(parse(text, ["x", "w"], at_point=True), here, "float64").numpy().tolist()


def tensors(values: dict[Any, Any]) -> dict[Any, Any]:
    return {name: tensor(each) for name, each in values.items()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("step + loss + lr", 11.25),
        ("grad(x)", -1.0),
        ("grad(w)[1]", -3.0),
        ("grad", [-1.0, -2.0, -3.0]),
        ("update(x)", 0.5),
        ("update", [0.5, -1.0, 2.0]),
        ("prev(loss) - loss", 2.0),
        ("prev(x * grad(x))", 4.0),
        ("prev(sum(w))", 3.0),
        ("slot.iteration", 4.0),
        ("slot.momentum(x)", 0.25),
        ("slot.momentum(w)", [0.5, 0.75]),
        ("slot.norm", 8.0),
        ("loss < prev(loss) and norm(grad(w)) > 3", True),
    ],
)
def test_names_of_a_point_mean_the_point_and_the_one_before(text: str, wanted: Any) -> None:
    assert at_point(text) == wanted


def test_the_only_parameters_gradient_keeps_its_shape() -> None:
    backend.load()
    got = evaluate(parse("grad", ["W"], at_point=True), Scope({"W": MATRIX}, {"W": tensor(MATRIX)}), "float64")
    assert got.shape == MATRIX.shape


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("slot.momentum", "say which parameter's momentum", "slot.momentum(x)"),
        ("slot.velocity", "the optimizer has no slot 'velocity'", "it has iteration, momentum, norm"),
        ("grad(w) + [1, 2, 3]", "shapes (2,) and (3,) do not fit together", ""),
        ("w[2]", "the index [2] does not fit the shape (2,)", ""),
        ("x[0]", "the index [0] does not fit the shape ()", ""),
        ("x @ w", "shapes () and (2,) do not fit together", ""),
        ("arange(x)", "arange needs a whole number", "arange(10)"),
        ("arange(2000000)", "arange needs a whole number", "arange(10)"),
        ("not x", "a condition is needed here, not a number", "loss < 1e-3"),
        ("[1, [2, 3]]", "shapes () and (2,) do not fit together", ""),
    ],
)
def test_what_cannot_be_computed_is_told_in_one_line(text: str, message: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        at_point(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


def test_there_is_no_point_before_the_first() -> None:
    backend.load()
    with pytest.raises(ExpressionError, match="no point before step 0"):
        evaluate(parse("prev(x)", ["x"], at_point=True), {"x": 1.0})


@pytest.mark.parametrize("text", ["loss", "step", "lr", "grad(x)", "grad", "update", "prev(x)", "slot.momentum"])
def test_a_loss_cannot_read_the_point_it_makes(text: str) -> None:
    with pytest.raises(ExpressionError, match="has no meaning inside a loss"):
        parse(f"x + {text}", ["x"])


@pytest.mark.parametrize("text", ["prev(prev(x))", "prev(update(x))", "prev(update)", "prev(x + prev(loss))"])
def test_only_one_point_before_is_at_hand(text: str) -> None:
    with pytest.raises(ExpressionError, match="cannot stand inside prev"):
        parse(text, ["x"], at_point=True)


def test_an_expression_says_what_it_reads() -> None:
    read = parse("sin(x)*pi + prev(loss) + grad(w)", ["x", "w"], at_point=True)
    assert read.names == {"x", "w", "loss", "grad"}
    assert (read.history, read.slots) == (True, False)
    assert parse("slot.momentum(x)", ["x"], at_point=True).slots


# -------------------------------------------------------------------------------------------- carets and hints


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("x + ", 3, "not an expression: something is missing at its end"),
        ("max(x, ", 3, "not an expression: '(' was never closed"),
        ("x y", 2, "not an expression"),
        ("(x - 50))**2", 8, "not an expression"),
        ("x ^ 2", 2, "'^' is not part of the language"),
        ("(x + 1) & (y)", 8, "'&' is not part of the language"),
        ("1 < x in y", 6, "'in' is not part of the language"),
        ("x + z", 4, "unknown name 'z'"),
        ("3 + sinn(x)", 4, "unknown function 'sinn'"),
        ("x * clip(x, 1)", 4, "clip takes 3 arguments, not 2"),
        ("x + sin", 4, "'sin' is a function"),
        ("x + y.real", 4, "attributes are not part of the language"),
        ("x + 'a'", 4, "strings are not part of the language"),
        ("x + 1j", 4, "only numbers can be written here"),
        ("x + True", 4, "only numbers can be written here"),
        ("x + 9**9**9", 4, "the power is too large for a float"),
        ("x + 1e999", 4, "the number is too large for a float"),
        ("x[y]", 2, "an index is a whole number or a slice"),
        ("x[1:2:0]", 2, "a slice cannot step by 0"),
        ("x, y", 1, "a comma is not allowed here"),
        ("x + []", 4, "an empty list has no value"),
        ("sin(x=3)", 0, "arguments are given by position"),
        ("  x + z", 4, "unknown name 'z'"),
        ("x + \u0445", 4, "character U+0445 at column 5 is not part of the language"),
    ],
)
def test_the_caret_stands_under_what_is_wrong(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(message)) as caught:
        parse(text, ["x", "y"])
    error = caught.value
    assert error.column == column
    if error.text.isprintable():
        shown, caret = error.caret().splitlines()
        assert shown == text.strip()
        assert caret == " " * column + "^"


def test_the_caret_of_a_long_line_stays_on_the_screen() -> None:
    text = " + ".join(["x"] * 90) + " + oops"
    with pytest.raises(ExpressionError) as caught:
        parse(text, ["x"])
    shown, caret = caught.value.caret().splitlines()
    assert len(shown) < 80
    assert shown[caret.index("^") :] == "oops"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("weigth", "did you mean 'weight'?"),
        ("sgrt(weight)", "did you mean 'sqrt'?"),
        ("sofmax(weight)", "did you mean 'softmax'?"),
        ("Loss", "did you mean 'loss'?"),
        ("grda(weight)", "did you mean 'grad'?"),
        ("grad(weigh)", "did you mean 'weight'?"),
        ("qqqq", "known: bias, weight, step, loss, lr, grad, update"),
        ("weight = 3", "a comparison is written =="),
        ("weight ^ 2", "a power is written **"),
        ("1 if weight > 0 else 2", "use where(condition, a, b)"),
        ("weight is 1", "use =="),
        ("clip(weight, 1)", "clip(x, low, high)"),
    ],
)
def test_the_nearest_known_name_or_way_is_suggested(text: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, ["weight", "bias"], at_point=True)
    assert caught.value.hint == hint


# -------------------------------------------------------------------------------------------------- limits


def nested(levels: int) -> str:
    """An expression whose tree has so many levels."""
    return "sin(" * (levels - 1) + "x" + ")" * (levels - 1)


def test_an_expression_of_the_greatest_depth_is_computed() -> None:
    wanted = 0.5
    for _ in range(MAX_DEPTH - 1):
        wanted = math.sin(wanted)
    assert value(nested(MAX_DEPTH), x=0.5) == pytest.approx(wanted, rel=1e-12)


def test_one_level_more_is_refused() -> None:
    with pytest.raises(ExpressionError, match=f"nested more than {MAX_DEPTH} levels deep"):
        parse(nested(MAX_DEPTH + 1), ["x"])


def test_the_longest_expression_is_read_and_one_character_more_is_refused() -> None:
    text = "max(" + "x, " * 7 + "x" + " " * MAX_LENGTH
    longest = text[: MAX_LENGTH - 1] + ")"
    assert parse(longest, ["x"]).names == {"x"}
    with pytest.raises(ExpressionError, match=f"has {MAX_LENGTH + 1} characters; {MAX_LENGTH} are allowed"):
        parse(longest[:-1] + " )", ["x"])


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="xy01.,+-*/()[]<>=!@%^&|~: \"'\\\n\0eEjorandtifslpv_\u00e9\u2028", max_size=60))
def test_any_text_is_an_expression_or_refused_in_one_line(text: str) -> None:
    refused = None
    try:
        assert parse(text, ["x", "y"], at_point=True).text == text.strip()
    except ExpressionError as error:
        refused = error
    if refused:
        assert "\n" not in refused.message + refused.hint
        assert 0 <= refused.column <= len(text)


# ---------------------------------------------------------------------------------------- names and values typed


@pytest.mark.parametrize("name", ["x", "w1", "bias", "learning", "X_train"])
def test_a_plain_name_may_be_given(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "1x", "a b", "_x", "__import__", "lambda", "None", "\u0445", "x" * 65, "a-b", "a.b"])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match="cannot be a name"):
        check_name(name)


@pytest.mark.parametrize("name", ["sin", "loss", "step", "lr", "grad", "update", "prev", "slot", "pi", "e", "where"])
def test_a_word_of_the_language_cannot_be_a_name(name: str) -> None:
    with pytest.raises(CommandError, match="already means something"):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3", 3),
        ("0.1", 0.1),
        ("-1e-3", -1e-3),
        ("1/4", 0.25),
        ("2**-10", 2**-10),
        ("none", None),
        ("True", True),
        ("[1, [2, -3]]", [1, [2, -3]]),
        ("(1, 2)", [1, 2]),
    ],
)
def test_a_value_is_read_as_typed(text: str, wanted: Any) -> None:
    got = parse_value(text)
    assert got == wanted
    assert type(got) is type(wanted)


def test_a_call_is_read_with_its_arguments() -> None:
    wanted = Call("adam", (0.5,), {"beta_1": 0.8, "rate": Call("cosine", (1, 2)), "amsgrad": True})
    assert parse_call("adam(0.5, beta_1=0.8, rate=cosine(1, 2), amsgrad=true)") == wanted
    assert parse_call("sgd") == Call("sgd")


@pytest.mark.parametrize("text", ["x", "1 + x", "[x]", "'a'", "{1: 2}", "9**9**9", "f(1)", "", "[" * 30 + "]" * 30])
def test_a_value_that_is_not_data_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_value(text)


@pytest.mark.parametrize("text", ["adam(x=1, x=2)", "adam(**a)", "a.b(1)", "adam(*[1])", "adam(1)(2)", "3", "adam(lambda: 1)"])
def test_a_call_of_anything_but_data_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_call(text)
