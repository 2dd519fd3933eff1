"""The zoo against an oracle: every function once more in plain NumPy, from its published formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gdrepl.engine import backend, zoo
from gdrepl.errors import CommandError
from gdrepl.expression import check_name, evaluate, parse

NAMES = zoo.names()
FAMILIES = [name for name in NAMES if zoo.dimension_free(name)]
FIXED = [name for name in NAMES if not zoo.dimension_free(name)]
WITHOUT_MINIMUM = ["monkey_saddle", "saturated_neuron"]
WITH_MINIMUM = [name for name in NAMES if name not in WITHOUT_MINIMUM]

ANSCOMBE = [
    (10, 8.04),
    (8, 6.95),
    (13, 7.58),
    (9, 8.81),
    (11, 8.33),
    (14, 9.96),
    (6, 7.24),
    (4, 4.26),
    (12, 10.84),
    (7, 4.82),
    (5, 5.68),
]


def levy(x: np.ndarray) -> float:
    w = [1 + (c - 1) / 4 for c in x]
    middle = sum((c - 1) ** 2 * (1 + 10 * math.sin(math.pi * c + 1) ** 2) for c in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def branin(x: float, y: float) -> float:
    return (y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10


def goldstein_price(x: float, y: float) -> float:
    first = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    second = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return first * second


def wood(x: np.ndarray) -> float:
    a, b, c, d = x
    residuals = [
        10 * (b - a**2),
        1 - a,
        math.sqrt(90) * (d - c**2),
        1 - c,
        math.sqrt(10) * (b + d - 2),
        (b - d) / math.sqrt(10),
    ]
    return sum(r**2 for r in residuals)


def zakharov(x: np.ndarray) -> float:
    weighted = sum(0.5 * i * c for i, c in enumerate(x, 1))
    return sum(c**2 for c in x) + weighted**2 + weighted**4


def nesterov_chain(x: np.ndarray) -> float:
    n = len(x)
    matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    return 0.5 * x @ matrix @ x - x[0]


def rotated_ravine(x: float, y: float) -> float:
    turn = np.array([[1, 1], [-1, 1]]) / math.sqrt(2)
    return 0.5 * np.array([1, 100]) @ (turn @ [x, y]) ** 2


ORACLE: dict[str, Callable[..., float]] = {
    "tutorial": lambda x: (x - 50) ** 2,
    "sphere": lambda x: np.dot(x, x),
    "sum_squares": lambda x: sum(i * c**2 for i, c in enumerate(x, 1)),
    "ravine": lambda x, y: 0.5 * x**2 + 50 * y**2,
    "rotated_ravine": rotated_ravine,
    "ellipsoid": lambda x: sum(10 ** (6 * i / (len(x) - 1)) * c**2 for i, c in enumerate(x)),
    "booth": lambda x, y: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2,
    "matyas": lambda x, y: 0.26 * (x**2 + y**2) - 0.48 * x * y,
    "anscombe": lambda slope, intercept: sum((slope * a + intercept - b) ** 2 for a, b in ANSCOMBE) / 11,
    "trid": lambda x: sum((c - 1) ** 2 for c in x) - sum(x[i] * x[i - 1] for i in range(1, len(x))),
    "nesterov_chain": nesterov_chain,
    "zakharov": zakharov,
    "logcosh": lambda x: np.log(np.cosh(x)),
    "absolute": lambda x: np.linalg.norm(x, 1),
    "double_well": lambda x: x**4 - 2 * x**2 + 1,
    "saddle": lambda x, y: 0.5 * x**2 + 0.25 * y**4 - 0.5 * y**2,
    "monkey_saddle": lambda x, y: ((x + 1j * y) ** 3).real,
    "saturated_neuron": lambda w, b: 0.5 / (1 + np.exp(-w - b)) ** 2,
    "factorisation": lambda x, y: 0.5 * (1 - x * y) ** 2,
    "rosenbrock": lambda x: sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (x[i] - 1) ** 2 for i in range(len(x) - 1)),
    "beale": lambda x, y: sum((c - x * (1 - y**i)) ** 2 for i, c in [(1, 1.5), (2, 2.25), (3, 2.625)]),
    "freudenstein_roth": lambda x, y: (x - y**3 + 5 * y**2 - 2 * y - 13) ** 2 + (x + y**3 + y**2 - 14 * y - 29) ** 2,
    "brown_badly_scaled": lambda x, y: (x - 10**6) ** 2 + (y - 2 * 10**-6) ** 2 + (x * y - 2) ** 2,
    "powell_singular": lambda x: (
        (x[0] + 10 * x[1]) ** 2 + 5 * (x[2] - x[3]) ** 2 + (x[1] - 2 * x[2]) ** 4 + 10 * (x[0] - x[3]) ** 4
    ),
    "wood": wood,
    "dixon_price": lambda x: (x[0] - 1) ** 2 + sum((i + 1) * (2 * x[i] ** 2 - x[i - 1]) ** 2 for i in range(1, len(x))),
    "himmelblau": lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    "three_hump_camel": lambda x, y: 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2,
    "six_hump_camel": lambda x, y: 4 * x**2 - 2.1 * x**4 + x**6 / 3 + x * y - 4 * y**2 + 4 * y**4,
    "mccormick": lambda x, y: np.sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1,
    "branin": branin,
    "goldstein_price": goldstein_price,
    "easom": lambda x, y: -np.cos(x) * np.cos(y) * np.exp(-((x - np.pi) ** 2) - (y - np.pi) ** 2),
    "bukin6": lambda x, y: 100 * np.sqrt(np.abs(y - x**2 / 100)) + np.abs(x + 10) / 100,
    "levi13": lambda x, y: (
        np.sin(3 * np.pi * x) ** 2
        + (x - 1) ** 2 * (1 + np.sin(3 * np.pi * y) ** 2)
        + (y - 1) ** 2 * (1 + np.sin(2 * np.pi * y) ** 2)
    ),
    "levy": levy,
    "styblinski_tang": lambda x: 0.5 * sum(c**4 - 16 * c**2 + 5 * c for c in x),
    "rastrigin": lambda x: sum(10 + c**2 - 10 * math.cos(2 * math.pi * c) for c in x),
    "ackley": lambda x: (
        -20 * np.exp(-0.2 * np.sqrt(np.sum(x**2) / len(x))) - np.exp(np.sum(np.cos(2 * np.pi * x)) / len(x)) + 20 + np.exp(1)
    ),
    "griewank": lambda x: np.sum(x**2) / 4000 - math.prod(math.cos(c / math.sqrt(i)) for i, c in enumerate(x, 1)) + 1,
    "schwefel": lambda x: 418.9828872724338 * len(x) - sum(c * math.sin(math.sqrt(abs(c))) for c in x),
    "salomon": lambda x: 1 - np.cos(2 * np.pi * math.hypot(*x)) + 0.1 * math.hypot(*x),
    "alpine": lambda x: sum(abs(c * math.sin(c) + 0.1 * c) for c in x),
    "michalewicz": lambda x: -sum(math.sin(c) * math.sin(i * c**2 / math.pi) ** 20 for i, c in enumerate(x, 1)),
}

# What the literature prints, to the digits it prints: (where, value).
PUBLISHED: dict[str, tuple[tuple[float, ...], float]] = {
    "six_hump_camel": ((0.0898, -0.7126), -1.0316),
    "mccormick": ((-0.54719, -1.54719), -1.9133),
    "branin": ((-3.1416, 12.275), 0.397887),
    "goldstein_price": ((0, -1), 3),
    "beale": ((3, 0.5), 0),
    "booth": ((1, 3), 0),
    "easom": ((3.14159, 3.14159), -1),
    "bukin6": ((-10, 1), 0),
    "himmelblau": ((3, 2), 0),
    "freudenstein_roth": ((5, 4), 0),
    "brown_badly_scaled": ((1e6, 2e-6), 0),
    "michalewicz": ((2.20, 1.57), -1.8013),
    "schwefel": ((420.9687, 420.9687), 0),
    "styblinski_tang": ((-2.903534, -2.903534), -78.3323),
    "trid": ((2, 2), -2),
    "anscombe": ((0.5001, 3.0001), 13.763 / 11),
    "rosenbrock": ((1, 1), 0),
    "wood": ((1, 1, 1, 1), 0),
}

CUSTOMARY_STARTS = {
    "rosenbrock": (-1.2, 1),
    "beale": (1, 1),
    "freudenstein_roth": (0.5, -2),
    "brown_badly_scaled": (1, 1),
    "powell_singular": (3, -1, 0, 1),
    "wood": (-3, -1, -3, -1),
}


def arguments(values: dict[str, object]) -> list[object]:
    """The oracle's arguments: a scalar as it is, a vector as an array."""
    return [np.array(v) if isinstance(v, tuple) else v for v in values.values()]


def flat(values: dict[str, object]) -> np.ndarray:
    return np.concatenate([np.atleast_1d(v) for v in values.values()])


def random_points(entry: zoo.ZooEntry, count: int, seed: int = 0) -> Iterator[dict[str, object]]:
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield {
            name: tuple(random.uniform(*entry.bounds[name], len(value)))
            if isinstance(value, tuple)
            else random.uniform(*entry.bounds[name])
            for name, value in entry.start.items()
        }


def near(entry: zoo.ZooEntry, place: dict[str, object], size: float, seed: int) -> dict[str, object]:
    """`place` moved by at most `size` of the bounds' width, and held within the bounds."""
    random = np.random.default_rng(seed)
    moved = {}
    for name, value in place.items():
        low, high = entry.bounds[name]
        there = np.clip(value + size * (high - low) * random.uniform(-1, 1, np.shape(value)), low, high)
        moved[name] = tuple(there) if isinstance(value, tuple) else float(there)
    return moved


def oracle_at(entry: zoo.ZooEntry, place: dict[str, object]) -> float:
    return float(ORACLE[entry.name](*arguments(place)))


def expression_at(entry: zoo.ZooEntry, *places: dict[str, object]) -> list[float]:
    """What gdrepl's own evaluator makes of the expression."""
    backend.load()
    expression = parse(entry.expression, (*entry.start, *entry.constants))
    values = []
    for place in places:
        names = {name: np.array(value, "float64") for name, value in {**entry.constants, **place}.items()}
        values.append(float(evaluate(expression, names, dtype="float64")))
    return values


def oracle_gradient(entry: zoo.ZooEntry, place: dict[str, object]) -> np.ndarray:
    """Central differences."""
    slopes = []
    for name, value in place.items():
        for index in range(np.size(value)):
            step = np.zeros(np.size(value))
            step[index] = 1e-5
            step = step.reshape(np.shape(value))
            ahead, behind = ({**place, name: value + s if np.shape(value) else float(value + s)} for s in (step, -step))
            slopes.append((float(ORACLE[entry.name](*ahead.values())) - float(ORACLE[entry.name](*behind.values()))) / 2e-5)
    return np.array(slopes)


def test_the_tutorial_comes_first_and_is_as_promised():
    tutorial = zoo.entry(NAMES[0])
    assert (tutorial.name, tutorial.expression, tutorial.start) == ("tutorial", "(x-50)**2", {"x": 3.0})
    assert (tutorial.minima, tutorial.minimum) == (({"x": 50.0},), 0.0)


def test_names_are_many_and_differ():
    assert len(NAMES) == len(set(NAMES)) >= 26


def test_every_function_has_an_oracle():
    assert set(ORACLE) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_filled(name):
    entry = zoo.entry(name)
    assert entry.name == name
    assert entry.start
    assert set(entry.bounds) == set(entry.start)
    for text in (entry.expression, entry.domain, entry.source, entry.description):
        assert text.strip() == text != ""
        assert "\n" not in text
    assert entry.description.endswith(".")
    assert len(entry.description) <= 110


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_constants_have_names_that_the_language_allows(name):
    entry = zoo.entry(name)
    assert not set(entry.start) & set(entry.constants)
    for word in (*entry.start, *entry.constants):
        check_name(word)


@pytest.mark.parametrize("name", NAMES)
def test_start_and_minima_lie_within_the_bounds(name):
    entry = zoo.entry(name)
    for place in (entry.start, *entry.minima):
        assert list(place) == list(entry.start)
        for parameter, value in place.items():
            low, high = entry.bounds[parameter]
            assert np.shape(value) == np.shape(entry.start[parameter])
            assert low <= np.min(value) <= np.max(value) <= high


@pytest.mark.parametrize("name", NAMES)
def test_descent_has_a_gradient_at_the_start(name):
    entry = zoo.entry(name)
    gradient = oracle_gradient(entry, dict(zip(entry.start, arguments(entry.start))))
    assert np.all(np.isfinite(gradient))
    assert np.linalg.norm(gradient) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_the_expression_at_the_start_is_the_oracles(name):
    backend.load()
    import tensorflow as tf

    entry = zoo.entry(name)
    parameters = {parameter: tf.Variable(value, dtype="float64") for parameter, value in entry.start.items()}
    constants = {constant: tf.constant(value, "float64") for constant, value in entry.constants.items()}
    with tf.GradientTape() as tape:
        loss = evaluate(parse(entry.expression, (*parameters, *constants)), {**parameters, **constants}, dtype="float64")
    gradient = np.concatenate([np.atleast_1d(slope) for slope in tape.gradient(loss, list(parameters.values()))])
    wanted = oracle_gradient(entry, dict(zip(entry.start, arguments(entry.start))))
    assert gradient == pytest.approx(wanted, rel=1e-5, abs=1e-5 * np.linalg.norm(wanted) + 1e-7)


@pytest.mark.parametrize("name", CUSTOMARY_STARTS)
def test_starts_are_the_customary_ones(name):
    assert tuple(flat(zoo.entry(name).start)) == CUSTOMARY_STARTS[name]


@pytest.mark.parametrize("name", WITH_MINIMUM)
def test_the_oracle_takes_the_minimum_at_every_minimum(name):
    entry = zoo.entry(name)
    for place in entry.minima:
        assert oracle_at(entry, place) == pytest.approx(entry.minimum, rel=1e-12, abs=1e-10)


@pytest.mark.parametrize("name", PUBLISHED)
def test_minima_agree_with_the_printed_ones(name):
    entry = zoo.entry(name)
    places, value = PUBLISHED[name]
    assert value == pytest.approx(entry.minimum, abs=1e-4)
    distances = [np.max(np.abs(flat(place) - places)) for place in entry.minima]
    assert min(distances) < 4e-3


@pytest.mark.parametrize("name", WITH_MINIMUM)
def test_the_oracle_is_nowhere_lower(name):
    entry = zoo.entry(name)
    lowest = entry.minimum - 1e-10
    for place in entry.minima:
        for seed in range(100):
            assert oracle_at(entry, near(entry, place, 1e-4, seed)) >= lowest
            assert oracle_at(entry, near(entry, place, 1e-2, seed)) >= lowest
    assert min(oracle_at(entry, place) for place in random_points(entry, 500)) >= lowest


@pytest.mark.parametrize("name", WITHOUT_MINIMUM)
def test_a_function_without_a_minimum_says_so(name):
    entry = zoo.entry(name)
    assert (entry.minima, entry.minimum) == ((), None)
    assert "o minimum" in entry.description.lower()


def test_the_monkey_saddle_is_unbounded_and_the_neuron_never_reaches_zero():
    assert ORACLE["monkey_saddle"](-1e3, 0.0) < -1e8
    tail = [ORACLE["saturated_neuron"](-size, -size) for size in (1.0, 10.0, 100.0)]
    assert tail[0] > tail[1] > tail[2] > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_expression_equals_the_oracle(name):
    entry = zoo.entry(name)
    places = [entry.start, *entry.minima, *random_points(entry, 10, seed=1)]
    wanted = [oracle_at(entry, place) for place in places]
    assert expression_at(entry, *places) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("dim", [10, 1000])
@pytest.mark.parametrize("name", FAMILIES)
def test_families_scale(name, dim):
    entry = zoo.entry(name, dim=dim)
    for place in (entry.start, *entry.minima):
        assert len(place["x"]) == dim
    for place in entry.minima:
        assert oracle_at(entry, place) == pytest.approx(entry.minimum, rel=1e-9, abs=1e-8)
        for seed in range(5):
            assert oracle_at(entry, near(entry, place, 1e-2, seed)) > entry.minimum
    places = [entry.start, *entry.minima, *random_points(entry, 2)]
    assert expression_at(entry, *places) == pytest.approx([oracle_at(entry, p) for p in places], rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_hold_in_their_smallest_dimension(name):
    with pytest.raises(CommandError) as refusal:
        zoo.entry(name, dim=0)
    least = int(refusal.value.message.split("from ")[1].split()[0])
    entry = zoo.entry(name, dim=least)
    assert least in (1, 2)
    assert len(entry.start["x"]) == least
    wanted = [oracle_at(entry, place) for place in (entry.start, *entry.minima)]
    assert expression_at(entry, entry.start, *entry.minima) == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    assert wanted[1:] == pytest.approx([entry.minimum] * len(entry.minima), rel=1e-9, abs=1e-9)


def test_a_dimension_may_come_as_a_float():
    assert zoo.entry("rosenbrock", dim=3.0) == zoo.entry("rosenbrock", dim=3)


def test_an_entry_asked_for_twice_is_the_same():
    assert zoo.entry("rastrigin") == zoo.entry("rastrigin", dim=2)
    assert zoo.entry("himmelblau") == zoo.entry("himmelblau")


@pytest.mark.parametrize(
    ("name", "options", "message", "hint"),
    [
        ("rosenbrok", {}, "no test function is called 'rosenbrok'", "did you mean 'rosenbrock'?"),
        ("Six-Hump-Camel", {}, "no test function is called 'Six-Hump-Camel'", "did you mean 'six_hump_camel'?"),
        ("x\ny", {}, r"no test function is called 'x\ny'", "some that are: rosenbrock, himmelblau, rastrigin"),
        ("rosenbrock", {"dims": 3}, "rosenbrock has no option 'dims'", "did you mean 'dim'?"),
        ("rosenbrock", {"speed": 3}, "rosenbrock has no option 'speed'", "its one option is dim"),
        ("rosenbrock", {"dim": 1}, "dim of rosenbrock must be a whole number from 2 to 1000, not 1", "for example dim=10"),
        ("sphere", {"dim": 1001}, "dim of sphere must be a whole number from 1 to 1000, not 1001", "for example dim=10"),
        ("sphere", {"dim": 2.5}, "dim of sphere must be a whole number from 1 to 1000, not 2.5", "for example dim=10"),
        ("sphere", {"dim": math.nan}, "dim of sphere must be a whole number from 1 to 1000, not nan", "for example dim=10"),
        ("sphere", {"dim": math.inf}, "dim of sphere must be a whole number from 1 to 1000, not inf", "for example dim=10"),
    ],
)
def test_errors_are_one_line_with_a_hint(name, options, message, hint):
    with pytest.raises(CommandError) as refusal:
        zoo.entry(name, **options)
    assert (refusal.value.message, refusal.value.hint) == (message, hint)


@pytest.mark.parametrize("name", FIXED)
def test_a_function_of_fixed_parameters_takes_no_dimension(name):
    with pytest.raises(CommandError, match=f"^{name} takes no options$") as refusal:
        zoo.entry(name, dim=3)
    assert refusal.value.hint


def test_whether_an_unknown_function_scales_is_refused_too():
    with pytest.raises(CommandError, match="no test function"):
        zoo.dimension_free("nothing")
