"""hessian and info lr as they are typed: what JSON says, that nothing is changed, and that a recording of them replays."""

from __future__ import annotations

import pytest
from driving import contents, do, error_of, hill

from gdrepl.commands.session import Session
from gdrepl.commands.setup import Setup


def test_hessian_gives_its_json_in_order():
    result = do(hill(), "hessian")
    assert list(result)[:4] == ["type", "eigenvalues", "condition", "kind"]
    assert result["type"] == "Hessian"
    assert (result["eigenvalues"], result["condition"], result["kind"]) == ([2.0], 1.0, "not stationary")


def test_info_lr_gives_its_json_in_order_and_follows_the_rate():
    session = hill(rate="1.3")
    result = do(session, "info lr")
    assert list(result)[:5] == ["type", "rate", "limit", "ratio", "rule"]
    assert (result["type"], result["rate"], result["limit"], result["ratio"]) == ("RateLimit", 1.3, 1.0, 1.3)
    assert do(session, "set lr 0.5", "info lr")["ratio"] == 0.5
    assert do(session, "set optimizer sgd(0.5, momentum=0.5)", "info rate")["limit"] == pytest.approx(1.5)


def test_asking_leaves_every_bit_and_the_timeline_alone(assert_same_bits):
    session = hill()
    do(session, "step 5")
    before, tree = session.debugger.snapshot(), do(session, "info branches")
    do(session, "hessian", "info lr", "hessian")
    assert_same_bits(session.debugger.snapshot(), before)
    assert do(session, "info branches") == tree


def test_an_interrupt_ends_it_and_the_session_is_as_it_was(assert_same_bits):
    session = Session(Setup("sum(w*w)", {"w": str([1.0] * 400)}, optimizer="sgd", engine="eager"))
    before, recorded = session.debugger.snapshot(), contents(session)
    for line in ("hessian", "info lr"):
        session.debugger.interrupt.set()
        assert "interrupted after 0 products" in error_of(session, line).message
    assert_same_bits(session.debugger.snapshot(), before)
    assert contents(session) == recorded


def test_a_recording_holds_no_rounding_and_no_prose():
    session = hill()
    do(session, "hessian", "info lr")
    text = contents(session)
    assert '"eigenvalues":[2.0]' in text
    assert "residual" not in text
    assert "half of the limit" not in text


def test_a_mistyped_question_is_one_line():
    assert "hessian does not take" in error_of(hill(), "hessian x").message
    assert "info knows nothing of" in error_of(hill(), "info lrx").message
