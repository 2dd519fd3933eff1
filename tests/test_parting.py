"""Where two paths part, on columns made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gdrepl.insight.lowest import lowest
from gdrepl.insight.parting import apart, first_parting, steps_to_show


def f32(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def test_paths_part_at_the_first_row_in_which_any_column_differs():
    a = {"loss": f32(4, 3, 2, 1), "x": f32(1, 2, 3, 4)}
    b = {"loss": f32(4, 3, 2, 9), "x": f32(1, 2, 9, 4)}
    assert first_parting(a, b, 0.0) == (2, "x")
    assert first_parting(a, {"loss": f32(4, 9, 2, 1), "x": f32(1, 9, 3, 4)}, 0.0) == (1, "loss")
    assert first_parting(a, {name: column.copy() for name, column in a.items()}, 0.0) is None


def test_a_component_of_a_vector_counts():
    a = {"w": np.zeros((3, 2), np.float32)}
    b = {"w": np.zeros((3, 2), np.float32)}
    b["w"][2, 1] = 1e-30
    assert first_parting(a, b, 0.0) == (2, "w")


def test_only_what_has_the_same_name_and_shape_is_compared():
    a = {"loss": f32(1, 2), "x": f32(1, 2), "w": np.zeros((2, 3))}
    b = {"loss": f32(1, 2), "y": f32(5, 5), "w": np.ones((2, 4))}
    assert first_parting(a, b, 0.0) is None


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "differs"),
    [
        (1.0, np.nextafter(np.float32(1), np.float32(2)), 0.0, True),
        (0.0, -0.0, 0.0, True),
        (0.0, -0.0, 1e-9, False),
        (np.nan, np.nan, 0.0, False),
        (np.nan, 1.0, 1e9, True),
        (1.0, np.nan, 1e9, True),
        (np.inf, np.inf, 1e-3, False),
        (np.inf, -np.inf, 1e9, True),
        (np.inf, 1.0, 1e9, True),
        (99.0, 99.5, 0.005, False),  # 0.5 <= 0.005 * (1 + 99)
        (99.0, 99.625, 0.005, True),
        (0.0, 0.25, 0.25, False),
        (0.0, 0.5, 0.25, True),
    ],
)
def test_what_is_apart(a: float, b: float, tolerance: float, differs: bool):
    assert apart(f32(a), f32(b), tolerance).tolist() == [differs]


def test_at_most_ten_steps_are_shown_with_the_parting_and_both_ends():
    shown = steps_to_show(11, 1000, 5000)
    assert shown[0] == 11
    assert shown[-2:] == [1000, 5000]
    assert len(shown) == 10
    assert steps_to_show(11, 13, 12) == [11, 12, 13]
    assert steps_to_show(7, 7, 7) == [7]


def test_the_lowest_is_the_first_of_equals_and_finite():
    assert lowest(f32(3, np.nan, 1, 1, -np.inf, 2)) == 2
    assert lowest(f32(np.nan, np.inf)) is None
