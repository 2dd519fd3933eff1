"""Slices of the loss. The oracles are closed forms in NumPy, at points that the slice's own numbers name."""

from __future__ import annotations

import numpy as np
import pytest
from driving import PROGRAMS, contents, do, error_of

from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.display.slices import lowest, slice_chart
from gdrepl.insight.chart import Chart
from gdrepl.insight.contours import levels, outline
from gdrepl.insight.slicing import Sliced

ROSENBROCK = "(1 - x)**2 + 100*(y - x**2)**2"
START = np.array([-1.2, 1.0])


def rosenbrock(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def gradient(x: float, y: float) -> np.ndarray:
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def hessian(x: float, y: float) -> np.ndarray:
    return np.array([[2 - 400 * y + 1200 * x**2, -400 * x], [-400 * x, 200.0]])


def started(loss: str = ROSENBROCK, **options: object) -> Session:
    given = {"optimizer": "sgd", "rate": "1e-3", "dtype": "float64", "engine": "graph", **options}
    values = given.pop("values", {"x": "-1.2", "y": "1"})
    return Session(Setup(loss, values, **given), PROGRAMS)


@pytest.fixture(scope="module")
def valley() -> Session:
    """Rosenbrock's function at its usual start, by gradient descent."""
    return started()


def result(session: Session, line: str) -> Sliced:
    [outcome] = session.execute(line)
    assert outcome.error is None, outcome.error
    return outcome.result


def chart(session: Session, line: str) -> Chart:
    drawn = slice_chart(result(session, line))
    assert drawn is not None
    return drawn


def test_along_the_gradient_the_losses_slope_and_curvature_are_those_of_the_closed_form(valley):
    found = do(valley, "slice")
    [along], [places] = found["directions"], found["places"]
    g, h = gradient(*START), hessian(*START)
    down = -g / np.linalg.norm(g)
    unit = 1e-3 * np.linalg.norm(g)  # the next update is -lr*g
    points = START + np.outer(np.array(places) * unit, down)
    assert found["losses"] == pytest.approx(rosenbrock(*points.T), rel=1e-9)
    assert (along["name"], along["origin"]) == ("-grad", 0)
    assert along["unit"] == pytest.approx(unit)
    assert along["slope"] == pytest.approx(g @ down * unit)
    assert along["curvature"] == pytest.approx(down @ h @ down * unit**2)
    assert along["lowest"] == pytest.approx(-along["slope"] / along["curvature"])
    assert along["next"] == pytest.approx(1)
    assert found["next_loss"] == pytest.approx(rosenbrock(*(START - 1e-3 * g)))
    assert found["share"] == pytest.approx(1)
    assert 0.0 in places


def test_a_plane_of_coordinates_has_their_own_values_on_its_axes(valley):
    found = do(valley, "slice x y from -2 to 2")
    x, y = (np.array(each) for each in found["places"])
    assert x == pytest.approx(np.linspace(-2, 2, 41))
    assert np.array(found["losses"]) == pytest.approx(rosenbrock(x[None, :], y[:, None]), rel=1e-9)
    assert [along["origin"] for along in found["directions"]] == [-1.2, 1]
    assert [along["next"] for along in found["directions"]] == pytest.approx(START - 1e-3 * gradient(*START))
    assert found["cross"] == pytest.approx(hessian(*START)[0, 1])
    whole = result(valley, "slice x y from -2 to 2")
    move, value = lowest(whole) or ([], 0.0)
    newton = -np.linalg.solve(hessian(*START), gradient(*START))
    assert move == pytest.approx(newton)
    assert value == pytest.approx(rosenbrock(*START) + gradient(*START) @ newton / 2)
    dx, dy = x[None, :] + 1.2, y[:, None] - 1
    g, h = gradient(*START), hessian(*START)
    wanted = rosenbrock(*START) + g[0] * dx + g[1] * dy + (h[0, 0] * dx**2 + 2 * h[0, 1] * dx * dy + h[1, 1] * dy**2) / 2
    assert whole.quadratic == pytest.approx(wanted)


def test_eigenvectors_are_walked_downhill_and_both_ends_have_names(valley):
    values, vectors = np.linalg.eigh(hessian(*START))
    unit = 1e-3 * np.linalg.norm(gradient(*START))
    for name, place in (("v1", 1), ("vmax", 1), ("v2", 0), ("vmin", 0)):
        [along] = do(valley, f"slice {name}")["directions"]
        assert along["curvature"] == pytest.approx(values[place] * unit**2)
        assert along["slope"] == pytest.approx(-abs(gradient(*START) @ vectors[:, place]) * unit)
    assert do(valley, "slice v1 v2")["share"] == pytest.approx(1)
    assert "v2 is the last" in error_of(valley, "slice v3").hint


def test_update_is_the_last_one_and_one_step_back_is_where_it_came_from(valley):
    session = started()
    do(session, "step 3")
    before = do(session, "print loss at 2")["value"]
    found = do(session, "slice update from -1 to 1")
    assert found["losses"][0] == pytest.approx(before, rel=1e-9)
    assert found["losses"][102] == pytest.approx(found["loss"], rel=1e-12)
    assert found["directions"][0]["next"] != pytest.approx(1)
    assert do(session, "slice next")["directions"][0]["next"] == pytest.approx(1)
    assert "no update has led here" in error_of(valley, "slice update").message


def test_an_edit_is_no_part_of_the_last_update():
    session = started("(x-50)**2", values={"x": "3"}, rate="0.1")
    do(session, "step 2", "set x 7")  # 9.4, then 0.8 of that
    [along] = do(session, "slice update")["directions"]
    assert along["unit"] == pytest.approx(0.8 * 9.4)
    do(session, "goto 0", "set x 7")
    assert "no update has led here" in error_of(session, "slice update").message


def test_the_second_direction_is_made_orthogonal_to_the_first(valley):
    whole = result(valley, "slice grad x")
    g = gradient(*START)
    down = -g / np.linalg.norm(g)
    rest = np.array([1.0, 0]) - down[0] * down
    side = rest / np.linalg.norm(rest)
    unit = whole.directions[0].unit
    corner = START + whole.places[0][-1] * unit * down + whole.places[1][-1] * side
    assert whole.losses[-1, -1] == pytest.approx(rosenbrock(*corner))
    assert whole.directions[1].origin == 0
    assert "left out" in whole.notes[0]
    assert "same line" in error_of(valley, "slice x x").message


def test_asking_changes_nothing_also_where_it_fails_or_is_interrupted(valley, assert_same_bits):
    session = started(optimizer="adam")
    do(session, "step 2")
    here, before = session.debugger.snapshot(), contents(session)
    for line in ("slice", "slice v1 vmin", "slice update x"):
        do(session, line)
        session.events.pop()
    error_of(session, "slice x x")
    session.debugger.interrupt.set()
    assert "interrupted" in error_of(session, "slice x y").message
    assert not session.debugger.interrupt.is_set()
    assert_same_bits(session.debugger.snapshot(), here)
    assert contents(session) == before
    do(session, "step 2")
    other = started(optimizer="adam")
    do(other, "step 4")
    assert_same_bits(session.debugger.snapshot(), other.debugger.snapshot())


def test_where_gradients_are_gathered_next_is_the_update_that_moves():
    session = started("(x-50)**2", values={"x": "3"}, optimizer="sgd(gradient_accumulation_steps=3)", rate="0.1")
    do(session, "step 4")  # one applied at the third, one gathered since
    x = 3 + 0.1 * 94
    found = do(session, "slice next")
    assert found["next_loss"] == pytest.approx((x + 0.2 * (50 - x) - 50) ** 2)
    assert do(session, "slice update")["directions"][0]["unit"] == pytest.approx(9.4)


def test_what_is_not_finite_is_a_gap_and_counted():
    session = started("x*log(x)", values={"x": "0.5"})
    found = result(session, "slice x from -1 to 2")
    assert (
        np.isnan(found.losses).tolist() == (found.places[0] < 0).tolist() or np.isnan(found.losses[found.places[0] <= 0]).all()
    )
    assert f"{int(np.isnan(found.losses).sum())} of 205" in found.notes[0]
    assert chart(session, "slice x from -1 to 2").series[0].y.size == 205


def test_the_marks_are_where_the_descent_stands_and_goes_and_the_quadratic_is_dashed(valley):
    drawn = chart(valley, "slice")
    series = {each.label: each for each in drawn.series}
    assert (float(series["current"].x[0]), float(series["current"].y[0])) == (0, pytest.approx(24.2))
    assert float(series["next"].y[0]) == pytest.approx(rosenbrock(*(START - 1e-3 * gradient(*START))))
    gaps = np.isnan(series["quadratic"].y)
    assert 50 < gaps.sum() < 155
    assert not np.isnan(series["loss"].y).any()


def test_the_axis_is_logarithmic_where_the_losses_span_decades():
    session = started("x**4 + 1e-6", values={"x": "3"})
    assert chart(session, "slice x from 0.1 to 3").log
    assert not chart(session, "slice x from 2.9 to 3").log


def test_a_mark_outside_of_the_range_is_not_drawn_and_said(valley):
    drawn = chart(valley, "slice x from 5 to 6")
    assert {each.label for each in drawn.series} == {"loss", "quadratic"}


def test_contours_lie_where_the_loss_has_their_level():
    x, y = np.linspace(-2, 2, 41), np.linspace(-1, 1, 41)
    losses = x[None, :] ** 2 + 4 * y[:, None] ** 2
    for level in (0.5, 1.0, 2.0):
        across, up = outline(x, y, losses, level)
        inside = np.isfinite(across)
        assert inside.sum() > 30
        assert across[inside] ** 2 + 4 * up[inside] ** 2 == pytest.approx(level, abs=0.02)
    holed = np.where(x[None, :] > 0, np.nan, losses)
    across, _ = outline(x, y, holed, 1.0)
    assert np.nanmax(across) <= 0


def test_levels_have_few_digits_and_lie_between_the_lowest_and_the_highest_loss():
    assert levels(np.linspace(1, 8, 50)) == [2, 3, 4, 5, 6, 7]
    decades = levels(np.geomspace(1e-3, 1e4, 500))
    assert np.diff(np.log10(decades)) == pytest.approx(1, abs=0.1)
    close = levels(5e6 + np.linspace(0, 70, 50))
    assert len(set(close)) == 6
    assert 5e6 < min(close) < max(close) < 5e6 + 70
    assert levels(np.full(9, 3.0)) == []
    assert levels(np.full(9, np.nan)) == []


def test_where_nothing_moves_there_is_no_gradient_to_go_along_but_the_curvature_is():
    session = started(values={"x": "1", "y": "1"})
    assert "slice v1" in error_of(session, "slice").hint
    found = do(session, "slice v1 vmin")
    assert found["share"] is None
    assert found["directions"][0]["unit"] == pytest.approx(0.01 * np.sqrt(2))


def test_one_number_of_an_array_is_named_by_its_index():
    session = started("sum(W*W*W)", values={"W": "[[1,2],[3,4]]"})
    found = do(session, "slice W[1, -2] from 0 to 2")
    assert found["losses"] == pytest.approx(1 + 8 + 64 + np.linspace(0, 2, 205) ** 3)
    assert found["directions"][0]["origin"] == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("slice foo", "no direction"),
        ("slice 3", "not a direction"),
        ("slice v1 v2 x", "one or two"),
        ("slice x from 1", "from A to B"),
        ("slice x from 2 to 1", "must rise"),
        ("slice x from a to b", "not a number"),
        ("slice x[0]", "one number"),
        ("slice v0", "no direction"),
    ],
)
def test_what_is_no_slice_is_refused_in_one_line(valley, line, said):
    error = error_of(valley, line)
    assert said in error.message
    assert error.hint


def test_a_parameter_of_two_numbers_alone_is_the_plane_of_both():
    session = started("sum(w*w)", values={"w": "[1, 2]"})
    found = do(session, "slice w from 0 to 4")
    assert [along["name"] for along in found["directions"]] == ["w[0]", "w[1]"]
    assert (found["losses"][0][-1], found["losses"][-1][0]) == (16, 16)
    assert found["losses"][10][20] == pytest.approx(2**2 + 1**2)


def test_an_index_that_does_not_fit_names_one_that_does():
    session = started("sum(W*W)", values={"W": "[[1,2],[3,4]]"})
    for line in ("slice W", "slice W[2,0]", "slice W[0]", "slice W[a]"):
        assert "W[0, 0]" in error_of(session, line).hint


def test_every_question_takes_and_gives_the_names_of_numbers_alike():
    session = started("sum(W*W)", values={"W": "[[1,2],[3,4]]"}, engine="eager")
    for typed in ("W[1, 0]", "W[1,0]", "W[-1][0]", "W[1:, 0]"):
        assert do(session, f"check grad {typed}")["coordinate"] == "W[1, 0]"
        assert do(session, f"explain {typed}")["coordinates"] == {"W": ["W[1, 0]"]}
    for typed in ("W[1, 0]", "W[1,0]", "W[-1,0]"):
        assert do(session, f"slice {typed}")["directions"][0]["name"] == "W[1, 0]"
    assert do(session, "hessian")["coordinates"][2] == "W[1, 0]"
