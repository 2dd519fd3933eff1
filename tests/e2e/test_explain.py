"""explain: which update it is about, its terms against closed forms, what it points out, and that asking changes nothing."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from driving import PROGRAMS, contents, do, error_of, hill

from gdrepl.commands.saving import records
from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup
from gdrepl.display.views import Style, make_console, render
from gdrepl.insight import rules
from gdrepl.insight.explain import explain, next_update
from gdrepl.recording.numbers import dumps

EAGER = {"engine": "eager"}
BY_NAME = {"width": 80, "height": 24, "color": False}
TWO = "(x - 50)**2 + 100*y**2"


def two(**options: Any) -> Session:
    """A steep and a flat direction."""
    return Session(Setup(TWO, {"x": "3.0", "y": "1.0"}, **{**EAGER, **options}), PROGRAMS)


def layer(**options: Any) -> Session:
    """Twelve numbers, of which W[1, 2] has the largest gradient, and a bias of two."""
    data = {"A": "[[1, -2, 3, 4], [5, 6, -70, 8], [9, 10, 11, 12]]"}
    start = {"W": "zeros(3, 4)", "b": "[0, 0]"}
    return Session(
        Setup("sum(A*W) + sum(b**2)/2 + b[1]", start, data, **{"optimizer": "sgd", "rate": "0.1", **EAGER, **options})
    )


def terms(result: Mapping[str, Any], parameter: str | None = None) -> dict[str, Any]:
    """Name -> value of the terms of a parameter, or of those that are shared."""
    return {each["name"]: each["value"] for each in result["terms"] if each.get("parameter") == parameter}


def before(result: Mapping[str, Any], parameter: str, name: str) -> Any:
    [term] = [each for each in result["terms"] if each.get("parameter") == parameter and each["name"] == name]
    return term["before"]


def shown(session: Session, line: str = "explain", **style: Any) -> list[str]:
    """The lines that a screen shows."""
    [outcome] = session.execute(line)
    assert outcome.error is None, outcome.error
    chosen, stream = Style(**{**BY_NAME, **style}), io.StringIO()
    make_console(stream, chosen).print(render(outcome.result, chosen))
    return stream.getvalue().splitlines()


def all_but_commands(session: Session) -> str:
    """What a session file holds of points, edits and snapshots."""
    return dumps([[kind, dict(body)] for kind, body in records(session) if kind not in ("command", "end")])


# --- which update -------------------------------------------------------------------------------------------------------


def test_the_json_begins_as_agreed():
    result = do(hill(**EAGER), "step 3", "explain")
    assert list(result)[:6] == ["type", "step", "optimizer", "terms", "worst_ulps", "notes"]
    assert (result["type"], result["step"], result["worst_ulps"], result["accounts"]) == ("Explained", 2, 0.0, True)
    assert result["optimizer"] == "SGD(learning_rate=0.1)"


def test_it_is_about_the_update_that_led_here_and_at_the_start_about_the_coming_one():
    session = hill(**EAGER)
    assert (do(session, "explain")["step"], do(session, "explain")["coming"]) == (0, True)
    assert (do(session, "step 5", "explain")["step"], do(session, "explain")["coming"]) == (4, False)
    assert (do(session, "explain next")["step"], do(session, "explain next")["coming"]) == (5, True)
    assert (do(session, "explain 3")["step"], do(session, "explain 3")["coming"]) == (3, False)
    assert do(session, "explain -2")["step"] == 3
    assert do(session, "explain end")["step"] == 5


def test_asking_changes_nothing(assert_same_bits):
    session = two(optimizer="nadam")
    do(session, "step 4", "goto 2", "set lr 0.5", "step", "break if loss < 1")
    debugger = session.debugger
    for place in ("goto 2", "goto 3"):
        do(session, place)
        snapshot, position, stops, places = debugger.snapshot(), debugger.position, debugger.stops, debugger.places
        recorded = all_but_commands(session)
        for line in ("explain next", "explain", "explain 1", "explain next y"):
            do(session, line)
            assert_same_bits(debugger.snapshot(), snapshot)
            assert (debugger.position, debugger.stops, debugger.places) == (position, stops, places)
            assert all_but_commands(session) == recorded


def test_what_is_to_come_is_what_then_comes():
    session = two(optimizer="adam", rate="0.3")
    do(session, "step 2")
    coming, came = do(session, "explain next"), do(session, "step", "explain")
    assert (coming.pop("coming"), came.pop("coming")) == (True, False)
    assert coming == came
    assert terms(came, "x")["parameter"] == do(session, "print x")["value"]


def test_a_failed_question_changes_nothing_and_says_what_to_type():
    session = two(optimizer="sgd", rate="0.01")
    do(session, "step 3")
    whole = contents(session)
    for line, said in (
        ("explain 9", "branch main has steps 0 to 3, not 9"),
        ("explain q", "there is no parameter 'q'"),
        ("explain x[0]", "'x[0]' is no part of x, which is one number"),
        ("explain 1 2", "one update at a time: 1 or 2"),
        ("explain x y", "'x y' is not a parameter or a part of one"),
        ("explain x +", "'x +' is not a parameter or a part of one"),
        ("explain __import__('os')", "is not a parameter or a part of one"),
        ("explain " + "(" * 300, "is not a parameter or a part of one"),
    ):
        error = error_of(session, line)
        assert said in error.message
        assert error.hint
    assert contents(session) == whole


def test_each_update_is_explained_by_what_was_in_force_when_it_was_made():
    session = two(optimizer="sgd", rate="0.001")
    do(session, "step 4", "goto 2", "set lr 0.002", "step 2", "set optimizer adam", "step", "set y 7")
    assert [terms(do(session, f"explain {step}"))["lr"] for step in (1, 2, 3)] == [0.001, 0.002, 0.002]
    last = do(session, "explain")
    assert last["optimizer"].startswith("Adam")
    assert terms(last, "y")["parameter"] != 7
    assert "edited since" in last["notes"][-1]
    assert before(do(session, "explain next"), "y", "parameter") == 7
    do(session, "goto main")
    assert terms(do(session, "explain 2"))["lr"] == 0.001


def test_a_schedule_has_the_rate_of_its_step():
    session = hill(rate="exponential_decay(0.1, decay_steps=10, decay_rate=0.5)", **EAGER)
    do(session, "step 12")
    assert terms(do(session, "explain 10"))["lr"] == pytest.approx(0.05)


# --- the terms ----------------------------------------------------------------------------------------------------------


def test_the_first_update_of_adam_by_hand():
    x = terms(do(hill(optimizer="adam", rate="1.0", dtype="float64", **EAGER), "explain"), "x")
    assert x["gradient"] == -94
    assert x["momentum"] == pytest.approx(-9.4)
    assert x["velocity"] == pytest.approx(94**2 / 1000)
    assert x["denominator"] == pytest.approx(math.sqrt(94**2 / 1000) + 1e-7)
    assert x["update"] == pytest.approx(1, rel=1e-5)  # Keras rounds 0.999 to float32
    assert x["parameter"] == pytest.approx(4, rel=1e-5)


def test_decay_clipping_and_the_average_by_hand():
    session = hill(optimizer="sgd(weight_decay=0.5, clipnorm=10, use_ema=true, ema_momentum=0.75)", rate="0.1", **EAGER)
    x = terms(do(session, "step 2", "explain 0"), "x")
    assert (x["norm of gradient"], x["clipped gradient"]) == (94, -10)
    assert x["weight decay"] == pytest.approx(-0.15)
    assert x["update"] == pytest.approx(1)
    assert x["average"] == x["parameter"] == pytest.approx(3.85)
    x = terms(do(session, "explain 1"), "x")
    assert x["parameter"] == pytest.approx(3.85 * 0.95 + 1)
    assert x["average"] == pytest.approx(0.75 * 3.85 + 0.25 * x["parameter"])


def test_gathered_gradients_move_nothing_and_then_their_mean_does():
    session = two(optimizer="sgd(gradient_accumulation_steps=3)", rate="0.001")
    first = do(session, "step 3", "explain 0")
    assert (first["applied"], terms(first, "y")["parameter"], terms(first, "y")["gradient_accumulator"]) == (False, 1, 200)
    assert first["notes"] == ["not applied: this gradient is gathered, 1 of 3; their mean is applied 2 updates later"]
    third = do(session, "explain")
    assert (third["applied"], terms(third, "y")["mean gradient"], third["accounts"]) == (True, 200, True)
    assert terms(third, "y")["parameter"] == pytest.approx(0.8)


def test_of_many_numbers_those_that_moved_most_are_shown_or_those_asked_for():
    session = layer()
    do(session, "step")
    most = do(session, "explain")
    assert most["coordinates"] == {"W": ["W[1, 2]", "W[2, 3]", "W[2, 2]", "W[2, 1]"], "b": ["b[0]", "b[1]"]}
    assert terms(most, "W")["gradient"] == [-70, 12, 11, 10]
    assert most["numbers"] == 14
    for line in ("explain W[0:2, 1]", "explain 0 W[:2, 1]", "explain W[0:2,1] last", "explain last W[0:2][:, 1]"):
        part = do(session, line)
        assert part["coordinates"] == {"W": ["W[0, 1]", "W[1, 1]"]}
        assert terms(part, "W")["gradient"] == [-2, 6]
    assert do(session, "explain b[-1] next")["coordinates"] == {"b": ["b[1]"]}
    assert len(do(session, "explain W")["coordinates"]["W"]) == 12


@pytest.mark.parametrize("optimizer", ["muon", "adafactor"])
def test_of_another_optimizer_the_slots_and_the_update_are_shown_and_that_its_terms_are_not_known(optimizer):
    session = two(optimizer=optimizer, rate="0.1")
    result = do(session, "step", "explain")
    assert (result["worst_ulps"], result["known"], result["accounts"]) == (None, False, False)
    assert "are not known" in result["notes"][0]
    x = terms(result, "x")
    assert x["update"] == pytest.approx(x["parameter"] - 3)
    assert x["velocity"] > before(result, "x", "velocity")


# --- what stands out ----------------------------------------------------------------------------------------------------


def test_momentum_against_the_gradient_is_measured():
    # x - 50 turns its sign while the velocity still points on: both parts of the update are m*velocity and -lr*gradient.
    session = hill(optimizer="sgd(momentum=0.9)", rate="0.1", **EAGER)
    do(session, "until x > 50", "step")
    result = do(session, "explain")
    carried, fresh = 0.9 * before(result, "x", "momentum"), -0.1 * terms(result, "x")["gradient"]
    assert carried > 0 > fresh
    share = carried / (carried + fresh)
    assert result["notes"] == [
        f"momentum works against the gradient in x: momentum is {share:+.0%} of the update, the gradient {1 - share:+.0%}"
    ]


def test_bias_correction_is_told_until_it_is_less_than_a_tenth():
    session = hill(optimizer="adam(beta_1=0.5, beta_2=0.75)", rate="0.1", **EAGER)
    do(session, "step 20")
    for t in range(1, 20):
        factor = math.sqrt(1 - 0.75**t) / (1 - 0.5**t)
        told = [note for note in do(session, f"explain {t - 1}")["notes"] if "bias correction" in note]
        assert len(told) == (abs(factor - 1) > 0.1)
        assert not told or f"multiplies the step by {factor:.3g} " in told[0]


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad(initial_accumulator_value=0)", "adamax", "nadam", "lamb"])
def test_an_epsilon_that_is_most_of_the_denominator_is_told(optimizer):
    name, _, rest = optimizer.removesuffix(")").partition("(")
    session = two(optimizer=name, rate="0.1")
    small, large = (
        do(session, f"set optimizer {name}({', '.join(filter(None, [rest, f'epsilon={value}']))})", "explain next")["notes"]
        for value in ("1e-7", "1e9")
    )
    assert not any("epsilon" in note for note in small)
    assert any("epsilon dominates the denominator of x and y" in note for note in large)


def test_clipping_is_told_where_it_is_active():
    assert do(two(optimizer="sgd(clipnorm=100)"), "explain")["notes"] == [
        "clipping is active in y: clipnorm 100 cuts the norm 200 of its gradient"
    ]
    assert do(two(optimizer="sgd(clipvalue=100)"), "explain")["notes"] == [
        "clipping is active in y: clipvalue 100, the largest was 200"
    ]
    assert do(two(optimizer="sgd(global_clipnorm=100)"), "explain")["notes"] == [
        f"clipping is active: global_clipnorm 100 cuts the norm {math.hypot(200, 94):.4g} of the whole gradient"
    ]
    assert do(two(optimizer="sgd(global_clipnorm=300)"), "explain")["notes"] == []


def test_a_rate_of_zero_and_what_is_not_finite_are_told():
    assert do(hill(rate="0", **EAGER), "explain")["notes"] == ["the learning rate is 0: it moves nothing"]
    session = hill(rate="10", **EAGER)
    do(session, "continue")
    assert "arrives where the loss or the gradient is not finite" in do(session, "explain")["notes"][0]
    large = Session(Setup("x**2", {"x": "1e25"}, optimizer="adam", **EAGER), PROGRAMS)
    told = do(large, "explain")
    assert told["accounts"]
    assert "the first term that is not finite is the velocity of x: too large for float32" in told["notes"]


# --- the check ----------------------------------------------------------------------------------------------------------


def test_a_nan_that_xla_drops_is_not_accounted_for():
    session = Session(Setup("sqrt(x)", {"x": "0.5"}, optimizer="adam(amsgrad=true)", rate="0.9"), PROGRAMS)
    do(session, "step")
    result = do(session, "explain next")
    assert (result["accounts"], result["worst_ulps"], result["worst"]) == (False, "Infinity", "velocity hat of x")
    assert "a NaN was dropped from velocity hat of x, as XLA's max does" in result["notes"]
    assert "this explanation does not account for the update" in shown(session, "explain next")


def test_numbers_that_are_taken_for_zero_are_told_where_they_part_the_explanation_from_what_happened():
    # The squares of 1e-38 vanish in TensorFlow, so that the trust ratio is another.
    start = Setup("1e-22*sum(w) + 1e-40*b", {"w": "[1.0, 1e-30]", "b": "1e-38"}, optimizer="lamb(global_clipnorm=0.5)", **EAGER)
    result = do(Session(start, PROGRAMS), "explain")
    assert not result["accounts"]
    assert any("the least normal float32, occur here" in note for note in result["notes"])


@pytest.mark.parametrize("wrong", [1e-5, 3e-7])
def test_an_explanation_that_is_wrong_is_found_and_said_first(wrong, monkeypatch):
    session = two(optimizer="sgd", rate="0.01")
    true = rules.sgd

    def off(sheet, g):
        return true(sheet, g * (1 + wrong))

    monkeypatch.setitem(rules.RULES, "SGD", replace(rules.RULES["SGD"], step=off))
    result = explain(session.debugger, next_update(session.debugger))
    assert not result.accounts
    assert result.worst in ("x", "y")
    lines = shown(session, "explain next")
    assert "this explanation does not account for the update" in lines[:3]
    assert any("computed again" in line for line in lines)


def test_an_error_that_rounding_may_have_made_is_let_pass_and_its_term_is_named(monkeypatch):
    # 3 - 0.1*30.000002 cancels: one ULP of the step is thousands of the parameter.
    session = Session(Setup("30*x", {"x": "3.0"}, optimizer="sgd", rate="0.09999", dtype="float64", **EAGER), PROGRAMS)
    true = rules.sgd

    def off(sheet, g):
        return true(sheet, g * np.nextafter(1, 2).item())

    monkeypatch.setitem(rules.RULES, "SGD", replace(rules.RULES["SGD"], step=off))
    result = explain(session.debugger, next_update(session.debugger))
    assert result.accounts
    assert 4 < result.worst_ulps <= result.tolerance_ulps
    assert result.responsible == "subtraction that makes the parameter"


# --- the screen ---------------------------------------------------------------------------------------------------------

ALL = (
    "clipnorm=1, weight_decay=0.01, use_ema=true, ema_overwrite_frequency=2, gradient_accumulation_steps=2, loss_scale_factor=8"
)


@pytest.mark.parametrize(
    "optimizer", [f"nadam({ALL})", f"adam(amsgrad=true, {ALL})", f"rmsprop(centered=true, momentum=0.9, {ALL})"]
)
def test_one_number_takes_at_most_22_rows_whatever_the_options(optimizer):
    session = hill(optimizer=optimizer, **EAGER)
    do(session, "step 3")
    for line in ("explain", "explain next"):
        lines = shown(session, line)
        assert len(lines) <= 22, "\n".join(lines)
        assert max(map(len, lines)) <= 80


def test_rosenbrock_fits_a_screen():
    session = Session(Setup("rosenbrock", optimizer="nadam", **EAGER), PROGRAMS)
    do(session, "step 2")
    assert len(shown(session)) <= 22
    assert len(shown(layer(), height=24)) <= 23


@pytest.mark.parametrize("width", [60, 40])
def test_a_narrow_screen_loses_no_term(width):
    session = layer(optimizer="nadam(clipnorm=1)")
    lines = shown(session, width=width, ascii_only=True)
    assert max(map(len, lines)) <= width
    assert "\n".join(lines).isascii()
    for name in ("gradient g", "momentum m", "velocity v", "corrected mome", "denominator", "update", "parameter"):
        assert any(line.strip().startswith(name) for line in lines), name


def test_the_numbers_of_one_parameter_fit_a_screen_and_those_of_an_index_are_all_shown():
    regression = Session(Setup("sum((w - 3.123)**2) + w[0]", {"w": "zeros(6)"}, optimizer="adam", **EAGER), PROGRAMS)
    do(regression, "step 2")
    for line in ("explain", "explain w"):
        lines = shown(regression, line)
        assert len(lines) <= 22
        assert "  5 of 6 numbers; explain 1 w[5:] shows the rest" in lines
    assert any("w[5]" in line for line in shown(regression, "explain 1 w[5:]"))
    whole = "\n".join(shown(regression, "explain w[0:6]"))
    assert all(f"w[{place}]" in whole for place in range(6))
    assert "numbers;" not in whole
