"""Values to JSON and back: the bits, the digits, the junk."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gdrepl.engine.snapshot import Stop
from gdrepl.recording import numbers
from gdrepl.recording.numbers import Float32List, array_from_json, dumps, floats_to_json, result_to_json, shortest, to_json

# a machine under load is slow, and no property here is about time
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_float32 = st.integers(0, 2**32 - 1).map(lambda bits: np.uint32(bits).view(np.float32))
every_float64 = st.integers(0, 2**64 - 1).map(lambda bits: np.uint64(bits).view(np.float64))
EDGES = [0x0, 0x80000000, 1, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x3DCCCCCD]


@dataclasses.dataclass(frozen=True)
class Stepped:
    count: int
    loss: np.ndarray
    stops: tuple[Stop, ...]


def there_and_back(array: np.ndarray) -> np.ndarray:
    return array_from_json(json.loads(dumps(to_json(array))), array.dtype)


def assert_same_bits(got: np.ndarray, wanted: np.ndarray) -> None:
    """All NaNs count as one."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    one = np.asarray(np.nan, wanted.dtype)
    assert np.where(np.isnan(got), one, got).tobytes() == np.where(np.isnan(wanted), one, wanted).tobytes()


def many_float32(seed: int) -> np.ndarray:
    """Every exponent, and numbers as a person or a training run makes them."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    usual = (random.standard_normal(20_000) * np.exp(5 * random.standard_normal(20_000))).astype(np.float32)
    round_ones = np.round(random.standard_normal(5_000), 3).astype(np.float32)
    powers = np.ldexp(np.float32(1), np.arange(-149, 128)).astype(np.float32)
    return np.concatenate([np.array(EDGES, np.uint32).view(np.float32), bits, usual, round_ones, powers, -powers])


@unhurried
@given(every_float32)
def test_every_float32_comes_back_bit_for_bit(value):
    assert_same_bits(there_and_back(np.asarray(value)), np.asarray(value))


@pytest.mark.parametrize("bits", EDGES, ids=hex)
def test_the_edges_of_float32_come_back_bit_for_bit(bits):
    value = np.asarray(np.uint32(bits).view(np.float32))
    assert_same_bits(there_and_back(value), value)


@unhurried
@given(every_float64)
def test_every_float64_comes_back_bit_for_bit(value):
    assert_same_bits(there_and_back(np.asarray(value)), np.asarray(value))


@pytest.mark.parametrize("seed", range(3))
def test_a_long_column_of_float32_comes_back_bit_for_bit(seed):
    assert_same_bits(there_and_back(many_float32(seed)), many_float32(seed))


@unhurried
@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4, max_side=5), elements=every_float32))
def test_arrays_of_any_rank_come_back_bit_for_bit(array):
    assert_same_bits(there_and_back(array), array)


@unhurried
@given(hnp.arrays(np.float16, 200, elements=st.floats(width=16)))
def test_float16_comes_back_bit_for_bit(array):
    assert_same_bits(there_and_back(array), array)


def test_every_bfloat16_comes_back():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    array = np.arange(2**16, dtype=np.uint16).view(bfloat16)
    with np.errstate(all="ignore"):
        array = array[np.isfinite(array)]
    assert there_and_back(array).tobytes() == array.tobytes()


@unhurried
@given(hnp.arrays(st.sampled_from([np.int32, np.int64, np.uint8, np.uint64, np.bool_]), hnp.array_shapes(min_dims=0)))
def test_integers_and_booleans_come_back(array):
    back = there_and_back(array)
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def digits_of(value: float) -> int:
    """Significant digits of a float's repr, counted by the decimal module."""
    return len(Decimal(repr(value)).normalize().as_tuple().digits)


@pytest.mark.parametrize("seed", range(3))
def test_float32_has_as_few_digits_as_numpy_prints(seed):
    values = many_float32(seed)
    values = values[np.isfinite(values)]
    printed = [len(Decimal(np.format_float_scientific(value, unique=True)).normalize().as_tuple().digits) for value in values]
    assert [digits_of(value) for value in shortest(values).tolist()] == printed


@unhurried
@given(every_float32.filter(lambda value: np.isfinite(value) and value != 0))
def test_no_decimal_with_one_digit_fewer_is_the_same_float32(value):
    digits = digits_of(to_json(value))
    with np.errstate(over="ignore"):
        nearest = np.float32(f"{float(value):.{max(digits - 2, 0)}e}")
    assert digits == 1 or nearest != value


def test_a_number_alone_has_the_digits_that_it_has_in_a_long_column():
    values = many_float32(1)[::7]
    assert [to_json(value) for value in values] == to_json(values)
    assert [number for row in values[:6000].reshape(-1, 60) for number in to_json(row)] == to_json(values[:6000])


def test_digits_are_those_a_person_would_type():
    assert dumps(to_json(np.float32([0.1, 3, -0.0, 1e-45, 16777216, 1e30]))) == "[0.1,3.0,-0.0,1e-45,16777216.0,1e+30]"


def test_a_marked_list_is_written_with_the_digits_of_its_values():
    values = shortest(np.float32([[0.1, 1e-12], [-123456.79, 1e30 / 3]]))
    marked = floats_to_json(values[:1], short=True)
    assert isinstance(marked, Float32List)
    assert dumps({"rows": marked, "none": Float32List()}) == '{"rows":[[0.1,1e-12]],"none":[]}'


def test_where_the_quick_way_fails_the_slow_one_steps_in(monkeypatch):
    values = many_float32(0)
    values = values[np.isfinite(values)]
    wanted = shortest(values)
    too_small = np.concatenate([[1.0, 1.0], numbers._POWERS[:-2]])  # seven digits where nine are needed
    monkeypatch.setattr(numbers, "_POWERS", too_small)
    assert shortest(values).tobytes() == wanted.tobytes()


def test_a_long_marked_list_reads_back_bit_for_bit():
    values = many_float32(0)
    with np.errstate(all="ignore"):
        values = values[np.isfinite(values) & (values != np.rint(values))]
    marked = floats_to_json(shortest(values), short=True)
    assert isinstance(marked, Float32List)
    assert array_from_json(json.loads(dumps(marked)), np.float32).tobytes() == values.tobytes()


def test_whole_floats_keep_their_point_and_integers_have_none():
    whole = np.arange(2000, dtype=np.float32)
    assert dumps(floats_to_json(shortest(whole), short=True)).startswith("[0.0,1.0,2.0,")
    assert dumps(to_json(np.arange(3))) == "[0,1,2]"
    assert [type(item) for item in json.loads(dumps(to_json([3, 3.0])))] == [int, float]


def test_non_finite_numbers_are_strings():
    assert to_json(np.float32([np.nan, np.inf, -np.inf, 1])) == ["NaN", "Infinity", "-Infinity", 1.0]
    assert to_json({"loss": float("nan")}) == {"loss": "NaN"}


def test_plain_values_stay_as_they_are():
    value = {"a": None, "b": [True, 1, "x"], "c": {"d": (np.int64(2), np.bool_(False), np.str_("y"))}}
    assert to_json(value) == {"a": None, "b": [True, 1, "x"], "c": {"d": [2, False, "y"]}}


def test_a_result_names_its_type_and_what_is_in_it_does_not():
    result = Stepped(2, np.float32(0.1), (Stop("count"),))
    assert result_to_json(result) == {
        "type": "Stepped",
        "count": 2,
        "loss": 0.1,
        "stops": [{"kind": "count", "id": None, "text": ""}],
    }


def test_a_field_named_type_is_refused():
    taken = dataclasses.make_dataclass("Taken", [("type", str)], frozen=True)
    with pytest.raises(TypeError, match="'type'"):
        result_to_json(taken("x"))


@pytest.mark.parametrize(
    "value",
    [{1: 2}, {1, 2}, b"x", 1j, object(), Stop, np.array([1j]), np.array(["2020"], "M8[Y]")],
    ids=lambda value: type(value).__name__,
)
def test_what_json_has_no_word_for_is_refused(value):
    with pytest.raises(TypeError):
        to_json(value)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (None, "f4"),
        ([1.0, None], "f4"),
        (["1.5"], "f4"),
        (["nan"], "f4"),
        ([True], "f4"),
        ([[1.0], [2.0, 3.0]], "f4"),
        ([1.0, [2.0]], "f4"),
        ({"a": 1}, "f4"),
        (1e39, "f4"),
        (float("inf"), "f4"),
        (float("nan"), "f4"),
        (["NaN", float("inf")], "f4"),
        (10**400, "f8"),
        (json.loads("[" * 40 + "]" * 40), "f4"),
        (1.0, "i4"),
        ("NaN", "i4"),
        (2**31, "i4"),
        (-1, "u1"),
        (1, "?"),
        ("x", "U1"),
    ],
    ids=repr,
)
def test_junk_is_a_value_error(value, dtype):
    with pytest.raises(ValueError):  # noqa: PT011 - the type is the promise
        array_from_json(value, dtype)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": Float32List([0.5]), "b": -float("inf")}], ids=repr)
def test_a_bare_nan_is_not_written(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps(value)


def test_a_key_that_is_no_text_is_not_written():
    with pytest.raises(TypeError, match="key"):
        dumps({"a": {1: 2}})


@unhurried
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda item: st.lists(item) | st.dictionaries(st.text(), item)
    )
)
def test_one_line_of_compact_json_that_reads_back(value):
    text = dumps(value)
    assert "\n" not in text
    assert json.loads(text) == value
    assert text == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_a_lone_surrogate_from_a_terminal_is_written_as_utf8():
    assert json.loads(dumps("caf\udce9 é").encode("utf-8")) == "caf\udce9 é"
