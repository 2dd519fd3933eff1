"""The command doctor, as a session has it."""

from __future__ import annotations

from driving import contents, do, error_of, hill


def test_a_diagnosis_is_json_with_the_promised_members():
    found = do(hill(rate="1.05"), "step 5", "doctor")
    assert (found["type"], found["step"]) == ("Diagnosis", 5)
    assert list(found["findings"][0])[:4] == ["name", "severity", "evidence", "next"]
    assert found["findings"][0]["name"] == "rate-too-high"


def test_a_good_run_is_told_in_one_finding_and_asking_is_all_that_is_recorded():
    session = hill()
    do(session, "step 3")
    before = contents(session)
    found = do(session, "doctor")
    assert [(each["name"], each["severity"]) for each in found["findings"]] == [("healthy", "good")]
    (asked,) = session.events[1:]
    assert asked.line == "doctor"
    session.events.pop()
    assert contents(session) == before


def test_what_a_finding_says_is_not_recorded_but_its_numbers_are():
    session = hill(rate="1.05")
    do(session, "doctor")
    (finding,) = session.events[-1].result["findings"]
    assert sorted(finding) == ["name", "numbers", "severity"]


def test_the_doctor_takes_no_argument():
    assert "doctor does not take '3'" in error_of(hill(), "doctor 3").message
