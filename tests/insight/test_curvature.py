"""The Hessian: its products, its eigenvalues at both sizes, and the kind of point they make, against closed forms and NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.errors import CommandError
from gdrepl.expression import FUNCTIONS
from gdrepl.insight import curvature, race
from gdrepl.insight.coordinates import Names
from gdrepl.insight.curvature import Hessian, extremes, hessian
from gdrepl.insight.products import products_of, until_interrupted
from gdrepl.insight.spectrum import MOST_EXACT, canonical, spectrum


def at_start(loss: str, dtype: str = "float64", **parameters: object) -> Hessian:
    problem = make_problem(loss, parameters, dtype=dtype)
    return hessian(problem, problem.parameters)


def of_rosenbrock(x: float, y: float) -> np.ndarray:
    return np.array([[2 - 400 * y + 1200 * x * x, -400 * x], [-400 * x, 200.0]])


# ------------------------------------------------------------------------------------------------------- the matrix


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_hessian_of_rosenbrock_is_the_closed_form_to_the_last_digits_also_of_a_float32_problem(dtype):
    found = at_start("(1 - x)**2 + 100*(y - x**2)**2", dtype, x=-1.2, y=1.1)
    x, y = (float(np.dtype(dtype).type(value)) for value in (-1.2, 1.1))
    np.testing.assert_allclose(found.matrix, of_rosenbrock(x, y), rtol=1e-13)
    values = np.linalg.eigvalsh(of_rosenbrock(x, y))[::-1]
    np.testing.assert_allclose(found.eigenvalues, values, rtol=1e-12)
    assert found.condition == pytest.approx(values[0] / values[1])


def network_loss(W: np.ndarray, v: np.ndarray, b: float, X: np.ndarray, t: np.ndarray) -> float:  # noqa: N803
    return float(np.mean((np.tanh(X @ W) @ v + b - t) ** 2))


def test_the_hessian_of_a_network_is_what_differences_of_its_loss_in_numpy_give():
    random = np.random.default_rng(3)
    X, t = random.normal(size=(7, 2)), random.normal(size=7)  # noqa: N806
    values = {"W": random.normal(size=(2, 3)), "v": random.normal(size=3), "b": np.array(0.3)}
    problem = make_problem("mean((tanh(X @ W) @ v + b - t)**2)", values, {"X": X, "t": t}, dtype="float64")
    matrix = products_of(problem).matrix(problem.parameters, lambda made: None)

    def loss(flat: np.ndarray) -> float:
        return network_loss(flat[:6].reshape(2, 3), flat[6:9], flat[9], X, t)

    start, h, unit = np.concatenate([np.ravel(value) for value in values.values()]), 1e-4, np.eye(10)
    wanted = [
        [
            (loss(start + h * (a + b)) - loss(start + h * (a - b)) - loss(start - h * (a - b)) + loss(start - h * (a + b)))
            / (4 * h * h)
            for a in unit
        ]
        for b in unit
    ]
    np.testing.assert_allclose(matrix, wanted, atol=3e-6)
    names = Names({"W": (2, 3), "v": (3,), "b": ()})
    assert [names.of(place) for place in (0, 5, 6, 9)] == ["W[0, 0]", "W[1, 2]", "v[0]", "b"]


def of_function(name: str) -> str | None:
    usage = FUNCTIONS[name].usage.split(" or ")[-1]
    if name in ("all", "any", "isfinite", "size", "arange", "stop_gradient"):
        return None
    arguments = {1: "x", 2: "x, y", 3: "x > 0.5, x*y, x + y*y" if name == "where" else "x*x, 0.1, 0.6"}[usage.count(",") + 1]
    return f"sum({name}({arguments})*[1, 2, 3])"


def test_every_function_of_the_language_has_second_derivatives():
    import tensorflow as tf

    losses = [loss for name in FUNCTIONS if (loss := of_function(name))]
    problem = make_problem(" + ".join(losses), {"x": [0.31, 0.52, 0.77], "y": [0.4, 0.25, 0.9]}, dtype="float64")
    start, h = np.concatenate(list(problem.parameters.values())), 1e-6

    def gradient(at: np.ndarray) -> np.ndarray:
        parts = dict(zip(problem.parameters, (tf.constant(part) for part in at.reshape(-1, 3))))
        return np.concatenate([each.numpy() for each in problem.loss_and_gradient(parts)[1].values()])

    wanted = [(gradient(start + h * unit) - gradient(start - h * unit)) / (2 * h) for unit in np.eye(6)]
    np.testing.assert_allclose(products_of(problem).matrix(problem.parameters, lambda made: None), wanted, atol=1e-5)


def test_parameters_may_be_named_in_any_order():
    problem = make_problem("x**4 + 3*y**2*x", {"x": 1.0, "y": 2.0}, dtype="float64")
    turned = dict(reversed(problem.parameters.items()))
    assert hessian(problem, turned).matrix.tolist() == [[12.0, 12.0], [12.0, 6.0]]


# ---------------------------------------------------------------------------------------------------- kinds of points


@pytest.mark.parametrize(
    ("loss", "parameters", "kind", "definiteness"),
    [
        ("(x - 2)**2 + 3*y**2", {"x": 2.0, "y": 0.0}, "minimum", "positive definite"),
        ("-(x - 2)**2 - y**2", {"x": 2.0, "y": 0.0}, "maximum", "negative definite"),
        ("x*y", {"x": 0.0, "y": 0.0}, "saddle", "indefinite"),
        ("x**4 + y**2", {"x": 0.0, "y": 0.0}, "flat", "positive semidefinite"),
        ("(x - y)**2", {"x": 1.5, "y": 1.5}, "flat", "positive semidefinite"),
        ("-x**2 + y**4", {"x": 0.0, "y": 0.0}, "flat", "negative semidefinite"),
        ("x**4", {"x": 0.0}, "flat", "zero"),
        ("x + y", {"x": 1.0, "y": 1.0}, "not stationary", "zero"),
        ("x**2 + y**2", {"x": 1.0, "y": 1.0}, "not stationary", "positive definite"),
        ("log(x)", {"x": -1.0}, "not stationary", "not finite"),
    ],
)
def test_the_kind_of_a_point(loss, parameters, kind, definiteness):
    found = at_start(loss, **parameters)
    assert (found.kind, found.definiteness) == (kind, definiteness)


def test_a_saddle_tells_the_directions_that_lead_away_from_it():
    found = at_start("x*x - 4*y*y - y*z + 0*z*z", x=0.0, y=0.0, z=0.0)
    values, vectors = np.linalg.eigh([[2, 0, 0], [0, -8, -1], [0, -1, 0]])
    (escape,) = found.escape
    assert escape.eigenvalue == pytest.approx(values[0])
    assert list(escape.coordinates) == ["y", "z"]
    assert abs(escape.coordinates["y"]) == pytest.approx(abs(vectors[1, 0]))
    assert at_start("x*x - 4*y*y", x=1.0, y=0.0).escape == ()  # it is not stationary: the gradient leads away


def test_where_rounding_alone_makes_the_gradient_a_float32_point_is_stationary():
    found = at_start("1e4*(x - 50.1)**2", "float32", x=50.1)
    assert found.gradient_norm > 1e-3
    assert found.gradient_norm < found.tolerance < 1
    assert found.kind == "minimum"
    assert at_start("1e4*(x - 50.1)**2", "float32", x=50.2).kind == "not stationary"


def test_rest_is_what_it_is_for_futures():
    assert curvature.REST == race.REST


def test_a_small_gradient_far_from_the_lowest_point_is_told():
    (note,) = at_start("1e-6*(x - 3)**2", x=0.0).notes
    assert "3 away" in note


def test_kinks_and_what_is_held_constant_are_told():
    assert any("abs, relu" in note for note in at_start("abs(x) + relu(y)", x=1.0, y=2.0).notes)
    # TensorFlow's second derivative of the norm at 0 is that of the sum of squares: a number, and of nothing
    assert any(
        "norm(w - 1) turns at 0: there the loss has no second" in note for note in at_start("norm(w - 1)", w=[1.0]).notes
    )
    assert any("stop_gradient" in note for note in at_start("x*stop_gradient(y)*y", x=1.0, y=2.0).notes)


def test_one_number_is_its_own_eigenvector():
    found = at_start("(x - 50)**2", "float32", x=3.0)
    assert (found.eigenvalues.tolist(), found.condition, found.coordinates) == ([2.0], 1.0, ("x",))
    assert found.vectors.tolist() == [[1.0]]


def test_vectors_and_matrix_are_told_of_small_problems_only():
    large = at_start("sum(w*w)", w=np.ones(20))
    assert (large.vectors, large.matrix, large.coordinates) == (None, None, ())
    assert [next(iter(each.coordinates)) for each in large.directions] == ["w[0]", "w[1]", "w[2]", "w[17]", "w[18]", "w[19]"]


# -------------------------------------------------------------------------------------------- eigenvectors by a rule


def test_eigenvectors_do_not_depend_on_what_a_library_made_of_signs_and_of_equal_eigenvalues():
    random = np.random.default_rng(5)
    vectors = np.linalg.qr(random.normal(size=(6, 6)))[0]
    values = np.array([9.0, 4.0, 4.0, 4.0, 1.0, -2.0])
    wanted = canonical(values, vectors)
    turned = vectors * random.choice([-1, 1], size=(6, 1))
    turned[1:4] = np.linalg.qr(random.normal(size=(3, 3)))[0] @ turned[1:4]
    np.testing.assert_allclose(canonical(values, turned), wanted, atol=1e-12)
    np.testing.assert_allclose(wanted @ wanted.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(wanted[1:4].T @ wanted[1:4], vectors[1:4].T @ vectors[1:4], atol=1e-12)
    assert all(vector[np.argmax(np.abs(vector))] > 0 for vector in wanted)


def test_a_round_bowl_has_the_coordinates_as_its_directions():
    assert at_start("sum(w*w)", w=[3.0, 1.0, 2.0]).vectors.tolist() == np.eye(3).tolist()


# -------------------------------------------------------------------------------------------------- beyond the matrix


def many(count: int, low: float, high: float) -> tuple[Problem, np.ndarray]:
    """A quadratic whose Hessian is D + 2 u u^T, and that matrix."""
    random = np.random.default_rng(2)
    d, u = np.linspace(low, high, count), random.normal(size=count) / np.sqrt(count)
    problem = make_problem("sum(d*w*w)/2 + dot(u, w)**2", {"w": np.ones(count)}, {"d": d, "u": u}, dtype="float64")
    return problem, np.diag(d) + 2 * np.outer(u, u)


def test_the_ends_of_a_large_spectrum_are_right_within_their_residuals():
    problem, matrix = many(MOST_EXACT + 100, -3.0, 8.0)
    found = hessian(problem, problem.parameters)
    wanted = np.linalg.eigvalsh(matrix)[::-1]
    assert not found.exact
    assert len(found.eigenvalues) == 6
    for value, residual in zip(found.eigenvalues, found.residuals):  # a residual bounds the distance to some eigenvalue
        assert np.min(np.abs(wanted - value)) <= residual + 1e-9
    assert found.eigenvalues[0] == pytest.approx(wanted[0], abs=1e-6)
    assert found.eigenvalues[-1] == pytest.approx(wanted[-1], abs=1e-3)
    assert (found.definiteness, found.condition) == ("indefinite", None)


@pytest.mark.parametrize(("loss", "curvature"), [("sum((w - 2)**2)", 2.0), ("-sum(w*w)/14", -1 / 7)])
def test_a_large_bowl_that_is_as_steep_on_every_side_is_measured(loss, curvature):
    problem = make_problem(loss, {"w": np.ones(MOST_EXACT + 1)})
    np.testing.assert_allclose(hessian(problem, problem.parameters).eigenvalues, np.full(6, curvature), rtol=1e-12)


def test_the_ends_are_the_same_by_the_matrix_and_by_lanczos(monkeypatch):
    problem, _ = many(60, 0.5, 8.0)
    whole = extremes(problem, problem.parameters)
    monkeypatch.setattr("gdrepl.insight.spectrum.MOST_EXACT", 10)
    ends = extremes(problem, problem.parameters)
    np.testing.assert_allclose(ends.values, whole.values, rtol=1e-9)
    for one, other in zip(whole.vectors, ends.vectors):
        np.testing.assert_allclose(one["w"], other["w"], atol=1e-4)


def test_lanczos_gives_the_same_bits_again():
    problem, _ = many(MOST_EXACT + 100, -3.0, 8.0)
    one, other = (spectrum(problem, problem.parameters, ends=2) for _ in range(2))
    assert one.values.tobytes() == other.values.tobytes()
    assert one.vectors.tobytes() == other.vectors.tobytes()


@pytest.mark.parametrize(("loss", "definiteness"), [("sum(w)", "zero"), ("sum(log(w))", "not finite")])
def test_a_large_problem_without_curvature_or_without_a_loss_is_told(loss, definiteness):
    assert at_start(loss, w=np.full(MOST_EXACT + 1, -1.0)).definiteness == definiteness


def test_an_eigenvalue_that_lanczos_cannot_tell_from_zero_is_not_called_zero():
    spread = np.geomspace(1e-6, 1e3, 2000)
    problem = make_problem("sum(d*w**2)/2", {"w": np.zeros(2000)}, {"d": spread}, dtype="float64")
    found = hessian(problem, problem.parameters)
    assert found.eigenvalues[0] == pytest.approx(1e3)
    assert found.residuals[-1] > found.eigenvalues[-1]
    assert any("leaves its sign open" in note for note in found.notes)
    assert not any("is 0" in note for note in found.notes)


# --------------------------------------------------------------------------------------------------- changing nothing


def test_asking_changes_nothing_and_ends_when_interrupted(assert_same_bits):
    problem = make_problem("sum(d*w*w)", {"w": np.ones(400)}, {"d": np.linspace(1, 2, 400)})
    debugger = Debugger(problem, OptimizerSpec.make("sgd", {}, 0.1), engine="eager")
    before, place, points = debugger.snapshot(), debugger.position, debugger.timeline.points()
    hessian(problem, before.parameters, tick=until_interrupted(debugger))
    debugger.interrupt.set()
    with pytest.raises(CommandError, match="interrupted after 0 products"):
        hessian(problem, before.parameters, tick=until_interrupted(debugger))
    assert not debugger.interrupt.is_set()

    def soon(made: int) -> None:
        if made == 40:  # in the middle of ARPACK's work
            debugger.interrupt.set()
        until_interrupted(debugger)(made)

    with pytest.raises(CommandError, match="interrupted after 40 products"):
        hessian(problem, before.parameters, tick=soon)
    assert_same_bits(debugger.snapshot(), before)
    assert (debugger.position, debugger.timeline.points()) == (place, points)
