"""Optimizers as plain values, built, captured and restored; what is refused, and in which words."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrepl.engine import backend, hyperparameter, live_optimizer, optimizer
from gdrepl.engine.live_optimizer import SlotName
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.schedule import ScheduleSpec, floatx, schedule_catalogue
from gdrepl.errors import CommandError

EVERY = list(optimizer.catalogue())
# One of everything that changes the path of an update, but for the other clips: Keras allows one.
BUSY: dict[str, object] = {
    "use_ema": True,
    "ema_overwrite_frequency": 3,
    "gradient_accumulation_steps": 3,
    "clipnorm": 0.5,
    "weight_decay": 0.01,
    "loss_scale_factor": 8.0,
}
NAMES = ("w", "w_1", "momentum")  # prefixes of one another, and of a slot


def parameters(dtype: str, names: Sequence[str] = NAMES) -> list[Any]:
    """A scalar, a vector and a matrix, or those named."""
    backend.load()
    import tensorflow as tf

    values = (0.5, [1.0, -2.0], [[0.3, -0.1], [0.2, 0.7], [-0.4, 0.9]])
    return [tf.Variable(value, dtype=dtype, name=name) for name, value in zip(NAMES, values) if name in names]


def loop(live: Any, xs: Sequence[Any]) -> Callable[[int], None]:
    """A function that makes so many updates in one call of one XLA program."""
    import tensorflow as tf

    @tf.function(jit_compile=True, autograph=False)
    def run(count: Any) -> Any:
        def body(i: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.add_n([(1.0 + k) * tf.reduce_sum((x - 0.25) ** 2) for k, x in enumerate(xs)])
            live_optimizer.apply(live, tape.gradient(loss, xs), xs)
            return (i + 1,)

        return tf.while_loop(lambda i: i < count, body, (tf.constant(0),))

    return lambda count: run(tf.constant(count))


def bits(live: Any, xs: Sequence[Any]) -> list[bytes]:
    return [array.tobytes() for array in (*live_optimizer.capture(live), *(x.numpy() for x in xs))]


def attributes(live: Any) -> dict[str, object]:
    """The Python state that `optimizer.variables` does not hold."""
    return {name: value for name, value in vars(live).items() if isinstance(value, int | float | str | None)}


def refusal(action: Callable[[], object]) -> CommandError:
    """The error of `action`, which must be one short line with a hint of one line."""
    with pytest.raises(CommandError) as caught:
        action()
    error = caught.value
    assert "\n" not in error.message + error.hint
    assert 0 < len(error.message) < 260
    return error


# ------------------------------------------------------------------------------------------------ catalogue


def test_the_catalogue_holds_what_keras_exports_and_can_be_built_from_numbers() -> None:
    assert {"adam", "sgd", "adamw", "rmsprop", "lion", "muon", "nadam", "schedulefreeadamw"} <= set(EVERY)
    assert optimizer.catalogue()["adam"].__name__ == "Adam"


def test_each_exported_class_left_out_has_its_reason() -> None:
    reasons = optimizer.unavailable()
    assert reasons["Optimizer"] == "abstract base: no update rule"
    assert reasons["LossScaleOptimizer"] == "needs inner_optimizer"
    assert reasons["MultiOptimizer"] == "needs optimizer_map"
    assert not set(reasons) & {kind.__name__ for kind in optimizer.catalogue().values()}


@pytest.mark.parametrize("typed", ["RMSprop", "rms_prop", "rms-prop", "RMSPROP"])
def test_a_name_is_found_however_it_is_spelt(typed: str) -> None:
    assert OptimizerSpec.make(typed).name == "RMSprop"


def test_schedules_are_found_by_both_names() -> None:
    assert {"exponential_decay", "cosine_decay", "piecewise_constant_decay"} <= set(schedule_catalogue())
    assert "learning_rate_schedule" not in schedule_catalogue()
    assert ScheduleSpec.make("CosineDecay", (0.1, 9)) == ScheduleSpec.make("cosine_decay", (0.1, 9))


@pytest.mark.parametrize("name", EVERY)
def test_every_argument_of_every_optimizer_is_settable_or_known_not_to_be(name: str) -> None:
    """A new Keras argument shows up here, so that somebody decides what it may be."""
    taken = set(hyperparameter.arguments_of(optimizer.catalogue()[name])) - {"learning_rate"}
    assert taken - set(optimizer.settable(name)) <= {"exclude_layers"}


# ------------------------------------------------------------------------------------- the live optimizer


# Everything at once, in one type and the other by turns: each compilation costs a second. As Keras has it by default, each
# optimizer is walked in tests/engine/test_program.py; here those with slots of a kind of their own, in either type.
RESTORED = [(name, BUSY, ("float64", "float32")[place % 2]) for place, name in enumerate(EVERY)]
RESTORED += [("nadam", {}, "float64"), ("muon", {}, "float64"), ("adafactor", {}, "float32")]


@pytest.mark.parametrize(
    ("name", "options", "dtype"), RESTORED, ids=lambda value: value if isinstance(value, str) else "busy" * bool(value)
)
def test_every_optimizer_goes_on_from_a_captured_state_bit_for_bit(name: str, options: dict[str, object], dtype: str) -> None:
    # Keras treats scalars as vectors.
    spec = OptimizerSpec.make(name, options, 0.01)
    xs = parameters(dtype, ("w_1", "momentum"))
    live = live_optimizer.build(spec, xs, dtype)
    run, python_state = loop(live, xs), attributes(live)
    run(20)
    slots, values = live_optimizer.capture(live), [x.numpy() for x in xs]
    copies = copy.deepcopy(slots)
    run(20)
    wanted = bits(live, xs)
    live_optimizer.restore(live, slots)
    for x, value in zip(xs, values):
        x.assign(value)
    for _ in range(20):  # in single steps this time: the same program, so the same bits
        run(1)
    assert bits(live, xs) == wanted
    assert [slot.tobytes() for slot in slots] == [slot.tobytes() for slot in copies]  # not written through
    assert attributes(live) == python_state
    assert not any(np.array_equal(x.numpy(), value) for x, value in zip(xs, values))


@pytest.mark.parametrize("name", EVERY)
def test_every_float_variable_has_the_type_of_the_problem(name: str) -> None:
    live = live_optimizer.build(OptimizerSpec.make(name, BUSY), parameters("float64"), "float64")
    # Adafactor keeps an int32 zero for each factor that a vector does not have.
    kinds = {str(slot.dtype) for slot in live_optimizer.capture(live)}
    assert kinds - {"int32"} == {"int64", "float64"}


def test_the_float_type_of_keras_is_put_back() -> None:
    backend.load()
    import keras

    before = keras.config.floatx()
    live_optimizer.build(OptimizerSpec.make("adam"), parameters("float64"), "float64")
    with pytest.raises(ZeroDivisionError), floatx("float64"):
        raise ZeroDivisionError
    assert keras.config.floatx() == before


def test_the_rate_of_the_next_update_is_the_variable_or_the_schedule() -> None:
    live = live_optimizer.build(OptimizerSpec.make("sgd", {}, 0.3), parameters("float64"), "float64")
    assert float(live_optimizer.current_rate(live, "float64")) == 0.3
    schedule = ScheduleSpec.make("piecewise_constant_decay", ([4], [0.5, 0.25]))
    xs = parameters("float32")
    live = live_optimizer.build(OptimizerSpec.make("sgd", {}, schedule), xs, "float32")
    run = loop(live, xs)
    rates = []
    for _ in range(7):
        rates.append(float(live_optimizer.current_rate(live, "float32")))
        run(1)
    assert rates == [0.5] * 5 + [0.25] * 2


def test_muon_takes_a_schedule_for_a_float64_matrix() -> None:
    """Keras alone multiplies a float32 rate with a float64 update, and fails."""
    xs = parameters("float64", ("momentum",))
    live = live_optimizer.build(OptimizerSpec.make("muon", {}, ScheduleSpec.make("cosine_decay", (0.1, 9))), xs, "float64")
    start = xs[0].numpy()
    loop(live, xs)(2)
    assert np.abs(xs[0].numpy() - start).max() > 0.01


def test_a_rate_changed_in_place_is_seen_by_the_compiled_loop() -> None:
    xs = parameters("float32")
    live = live_optimizer.build(OptimizerSpec.make("sgd", {}, 0.1), xs, "float32")
    run = loop(live, xs)
    run(1)
    before = [x.numpy() for x in xs]
    live_optimizer.restore(live, [*live_optimizer.capture(live)[:1], np.float32(0)])  # iteration, then the rate
    run(1)
    assert all(np.array_equal(x.numpy(), value) for x, value in zip(xs, before))


def test_restore_refuses_a_wrong_state_before_it_assigns_anything() -> None:
    live = live_optimizer.build(OptimizerSpec.make("adam"), parameters("float32"), "float32")
    slots = live_optimizer.capture(live)
    changed = [slot + 1 for slot in slots]
    with pytest.raises(ValueError, match=r"has 8 variables, the snapshot 7"):
        live_optimizer.restore(live, changed[:-1])
    with pytest.raises(ValueError, match=r"slot 7 is float32 \(3, 2\), the snapshot has float32 \(2, 3\)"):
        live_optimizer.restore(live, [*changed[:-1], changed[-1].T])
    with pytest.raises(ValueError, match=r"slot 7 is float32 \(3, 2\), the snapshot has float64"):
        live_optimizer.restore(live, [*changed[:-1], changed[-1].astype("float64")])
    assert [slot.tobytes() for slot in live_optimizer.capture(live)] == [slot.tobytes() for slot in slots]


def test_captured_slots_are_read_only() -> None:
    live = live_optimizer.build(OptimizerSpec.make("adam"), parameters("float32"), "float32")
    assert not any(slot.flags.writeable for slot in live_optimizer.capture(live))


# ------------------------------------------------------------------------------------------------ slot names


def named(name: str, given: dict[str, object] | None = None, rate: Any = None) -> tuple[SlotName, ...]:
    live = live_optimizer.build(OptimizerSpec.make(name, given, rate), parameters("float32"), "float32")
    return live_optimizer.slot_names(live, NAMES)


def test_slots_are_named_by_parameter_even_where_names_are_prefixes() -> None:
    assert named("adam") == (
        ("iteration", None),
        ("learning_rate", None),
        *((slot, parameter) for parameter in NAMES for slot in ("momentum", "velocity")),
    )


def test_hidden_state_has_names_too() -> None:
    assert named("nadam")[-1] == ("u_product", None)
    assert named("adafactor")[2:5] == (("r", "w"), ("c", "w"), ("velocity", "w"))
    assert named("muon")[-1] == ("momentum", "momentum")
    busy = named("sgd", {**BUSY, "momentum": 0.5})
    assert {slot for slot, _ in busy} == {"iteration", "learning_rate", "average", "gradient_accumulator", "momentum"}


def test_a_schedule_has_no_rate_among_its_slots() -> None:
    schedule = ScheduleSpec.make("cosine_decay", (0.1, 9))
    assert named("sgd", {}, schedule) == (("iteration", None),)


@pytest.mark.parametrize("name", EVERY)
def test_no_two_slots_of_an_optimizer_share_a_name_and_none_is_unnamed(name: str) -> None:
    names = named(name, BUSY)
    assert len(set(names)) == len(names)
    assert not any(slot.startswith("unnamed") for slot, _ in names)


# ------------------------------------------------------------------------------------------------------ specs


def test_text_shows_the_rate_and_what_differs_from_keras() -> None:
    assert OptimizerSpec.make("adam", {"beta_1": 0.8, "beta_2": 0.999}, 1).text() == "Adam(learning_rate=1.0, beta_1=0.8)"
    assert OptimizerSpec.make("sgd").text() == "SGD(learning_rate=0.01)"
    schedule = ScheduleSpec.make("exponential_decay", (0.1,), {"decay_steps": 100, "decay_rate": 0.9})
    assert schedule.text() == "exponential_decay(0.1, decay_steps=100, decay_rate=0.9)"
    assert OptimizerSpec.make("muon", {}, schedule).text() == f"Muon(learning_rate={schedule.text()})"
    pieces = ScheduleSpec.make("piecewise_constant_decay", ([10], [1, 0.5]))
    assert pieces.text() == "piecewise_constant_decay([10], values=[1.0, 0.5])"


def test_integers_become_what_keras_wants() -> None:
    spec = OptimizerSpec.make("sgd", {"momentum": 0, "gradient_accumulation_steps": 4.0}, 1)
    assert [type(spec.learning_rate), type(spec.hyperparameters["momentum"])] == [float, float]
    assert type(spec.hyperparameters["gradient_accumulation_steps"]) is int


def test_the_key_leaves_out_the_plain_rate_only() -> None:
    spec = OptimizerSpec.make("adam", {}, 0.1)
    assert spec.key == spec.with_learning_rate(0.2).key
    assert spec != spec.with_learning_rate(0.2)
    assert spec.key != spec.with_hyperparameter("beta_1", 0.8).key
    schedules = [ScheduleSpec.make("cosine_decay", (rate, 9)) for rate in (0.1, 0.2)]
    assert len({spec.key, *(spec.with_learning_rate(each).key for each in schedules)}) == 3
    assert len({spec, OptimizerSpec.make("Adam", {}, 0.1)}) == 1


def test_a_rate_and_a_schedule_replace_one_another() -> None:
    schedule = ScheduleSpec.make("cosine_decay", (0.1, 9))
    spec = OptimizerSpec.make("adam", {"lr": 0.5}).with_hyperparameter("lr", schedule)
    assert (spec.learning_rate, spec.schedule) == (None, schedule)
    assert spec.with_hyperparameter("beta_1", 0.8).schedule == schedule
    assert spec.with_learning_rate(2).rate == 2.0


def test_none_unsets_an_optional_hyperparameter() -> None:
    spec = OptimizerSpec.make("adam", {"clipnorm": 1}).with_hyperparameter("clipnorm", None)
    assert spec == OptimizerSpec.make("adam")


@pytest.mark.parametrize("name", EVERY)
def test_a_spec_survives_json(name: str) -> None:
    for rate in (0.125, ScheduleSpec.make("piecewise_constant_decay", ([3, 5], [1, 0.1, 0]))):
        spec = OptimizerSpec.make(name, BUSY, rate)
        assert OptimizerSpec.from_plain(json.loads(json.dumps(spec.to_plain()))) == spec


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1e30), st.booleans())
def test_numbers_of_a_spec_survive_json_exactly(beta: float, epsilon: float, flag: bool) -> None:
    spec = OptimizerSpec.make("adam", {"beta_1": beta, "epsilon": epsilon, "amsgrad": flag}, epsilon)
    assert OptimizerSpec.from_plain(json.loads(json.dumps(spec.to_plain()))).key == spec.key


# ---------------------------------------------------------------------------------------------- what is refused

SLIPS: list[tuple[str, str, object, str]] = [
    ("adam", "beta1", 0.9, "did you mean 'beta_1'?"),
    ("adam", "beta_1", 1, "for example: beta_1 = 0.9"),
    ("adam", "beta_1", -0.1, ""),
    ("adam", "beta_1", True, ""),
    ("adam", "beta_1", "0.9", ""),
    ("adam", "beta_1", None, ""),
    ("adam", "epsilon", math.nan, "epsilon is a number >= 0"),
    ("adam", "epsilon", math.inf, ""),
    ("adam", "epsilon", 10**400, ""),
    ("adam", "epsilon", 1e39, "at most 3.4e38"),
    ("adam", "amsgrad", 1, "for example: amsgrad = true"),
    ("adam", "learning_rate", -1, ""),
    ("adam", "lr", None, ""),
    ("adam", "clipnorm", 0, ""),
    ("adam", "weight_decay", -1, ""),
    ("adam", "gradient_accumulation_steps", 1, ""),
    ("adam", "gradient_accumulation_steps", 2.5, ""),
    ("adam", "gradient_accumulation_steps", 2**31, ""),
    ("adam", "ema_overwrite_frequency", 0, ""),
    ("adam", "loss_scale_factor", 0, ""),
    ("adam", "name", "eve", "Adam has beta_1"),
    ("muon", "exclude_layers", ["a"], ""),
    ("muon", "ns_steps", 10**9, ""),
    ("sgd", "momentum", 1.0, ""),
    ("lion", "beta_1", 0, ""),
    ("schedulefreeadamw", "beta_1", 0, ""),
    ("ftrl", "learning_rate", 0, "for example: learning_rate = 0.1"),
    ("ftrl", "learning_rate_power", 0.5, "for example: learning_rate_power = -0.5"),
    ("adamw", "weight_decay", None, ""),
]


@pytest.mark.parametrize(("name", "which", "value", "hint"), SLIPS, ids=lambda value: str(value)[:20])
def test_a_bad_hyperparameter_is_refused_in_one_line(name: str, which: str, value: object, hint: str) -> None:
    spec = OptimizerSpec.make(name)
    error = refusal(lambda: spec.with_hyperparameter(which, value))
    assert which in error.message or which == "lr"
    assert hint in error.hint


def test_an_unknown_optimizer_is_answered_with_the_nearest() -> None:
    assert refusal(lambda: OptimizerSpec.make("adan")).hint == "did you mean 'adam'?"
    assert "adadelta" in refusal(lambda: OptimizerSpec.make("qqqq")).hint
    assert "needs inner_optimizer" in refusal(lambda: OptimizerSpec.make("loss_scale_optimizer")).message


def test_what_keras_alone_refuses_is_a_command_error_too() -> None:
    error = refusal(lambda: OptimizerSpec.make("adam", {"clipnorm": 1, "clipvalue": 1}))
    assert "Only one of" in error.message


def test_a_rate_given_twice_is_refused() -> None:
    refusal(lambda: OptimizerSpec.make("adam", {"lr": 1}, 2))


BAD_SCHEDULES: list[tuple[str, tuple[object, ...], dict[str, object], str]] = [
    ("exponential_decay", (0.1,), {}, "needs decay_steps"),
    ("exponential_decay", (0.1, 0, 0.5), {}, "decay_steps must be an integer >= 1"),
    ("exponential_decay", (0.1, 9, 0.5, False, 7), {}, "at most 4 arguments"),
    ("exponential_decay", (0.1, 9), {"decay_steps": 9, "decay_rate": 1}, "decay_steps twice"),
    ("exponential_decay", ("0.1", 9, 0.5), {}, "initial_learning_rate must be a number"),
    ("exponential_decay", (0.1, 9, 0.5), {"name": "x"}, "name of exponential_decay is not"),
    ("exponential_decay", (0.1, 9, 0.5), {"stairs": True}, "has no hyperparameter"),
    ("piecewise_constant_decay", ([10, 20], [0.1, 0.2]), {}, "Keras refuses"),
    ("piecewise_constant_decay", ([20, 10], [0.1, 0.2, 0.3]), {}, "boundaries must rise"),
    ("piecewise_constant_decay", ([], [0.1]), {}, "1 to 256"),
    ("piecewise_constant_decay", ([1.5], [0.1, 0.2]), {}, "boundaries must be a list of integers"),
    ("piecewise_constant_decay", ([1], [0.1, math.nan]), {}, "values must be finite"),
    ("exponentialdecoy", (), {}, "unknown schedule"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "message"), BAD_SCHEDULES)
def test_a_bad_schedule_is_refused_in_one_line(
    name: str, args: tuple[object, ...], kwargs: dict[str, object], message: str
) -> None:
    assert message in refusal(lambda: ScheduleSpec.make(name, args, kwargs)).message


GOOD = {"name": "Adam", "learning_rate": 0.1, "hyperparameters": {"beta_1": 0.9}}
HOSTILE: list[object] = [
    None,
    [],
    "Adam",
    {},
    {**GOOD, "module": "os"},
    {**GOOD, "class_name": "Lambda", "config": {}},
    {**GOOD, "name": "__class__"},
    {**GOOD, "name": "keras.layers.Lambda"},
    {**GOOD, "name": ["Adam"]},
    {**GOOD, "name": "Adam\n\x1b[2J" + "x" * 10_000},
    {**GOOD, "learning_rate": None},
    {**GOOD, "learning_rate": "NaN"},
    {**GOOD, "learning_rate": math.nan},
    {**GOOD, "learning_rate": 10**5000},
    {**GOOD, "learning_rate": {"class_name": "CosineDecay", "config": {}}},
    {**GOOD, "learning_rate": {"name": "cosine_decay", "arguments": []}},
    {**GOOD, "learning_rate": {"name": "LearningRateSchedule", "arguments": {}}},
    {**GOOD, "learning_rate": {"name": "cosine_decay", "arguments": {"initial_learning_rate": {}, "decay_steps": 1}}},
    {**GOOD, "learning_rate": {"name": "piecewise_constant_decay", "arguments": {"boundaries": [1] * 999, "values": [1]}}},
    {**GOOD, "hyperparameters": None},
    {**GOOD, "hyperparameters": [1]},
    {**GOOD, "hyperparameters": {"learning_rate": 1}},
    {**GOOD, "hyperparameters": {"beta_1": "0.9"}},
    {**GOOD, "hyperparameters": {"beta_1": {"__lambda__": "x"}}},
    {**GOOD, "hyperparameters": {"beta_1": [0.9]}},
    {**GOOD, "hyperparameters": {"name": "x\ny"}},
    {**GOOD, "hyperparameters": {"kwargs": 1}},
    {**GOOD, "hyperparameters": {"x" * 10_000 + "\n": 1}},
    {**GOOD, "hyperparameters": {"__init__": 1}},
]


@pytest.mark.parametrize("plain", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_plain_dict_is_refused(plain: object) -> None:
    error = refusal(lambda: OptimizerSpec.from_plain(plain))
    assert error.message.isprintable()
    assert error.hint.isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(0.5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "beta_1", "arguments"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(["name", "learning_rate", "hyperparameters"]), json_values)
def test_any_plain_dict_gives_a_spec_or_a_command_error(field: str, value: object) -> None:
    try:
        spec = OptimizerSpec.from_plain({**GOOD, field: value})
    except CommandError:
        return
    assert OptimizerSpec.from_plain(spec.to_plain()) == spec
