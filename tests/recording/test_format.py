"""The line format: what is written is read, and whatever was changed, dropped or cut is found."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gdrepl.errors import SessionFileError
from gdrepl.recording import jsonl
from gdrepl.recording.columns import columns_from_records, columns_to_records
from gdrepl.recording.format import NO_END, Damage, Encoder, Record, decode
from gdrepl.recording.numbers import dumps

# a machine under load is slow, and no property here is about time
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
HEADER = {"problem": "x**2", "dtype": "float32"}
EVENTS = [("command", {"text": "step 3", "é": "ü"}), ("points", {"from": 0}), ("hunch", {"sum of": [1, 2.5, "NaN"]})]


def lines(events=EVENTS) -> list[str]:
    encoder = Encoder()
    return [encoder.header(HEADER), *(encoder.record(kind, body) for kind, body in events), encoder.end()]


DATA = "".join(lines()).encode()


def refused(source, strict=True) -> SessionFileError:
    with pytest.raises(SessionFileError) as caught:
        decode(source, strict)
    return caught.value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda item: st.lists(item, max_size=3) | st.dictionaries(st.text(), item, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(st.text().filter(lambda name: name not in ("gdrepl", "n", "kind", "sum")), json_values, max_size=4)
kinds = st.text(min_size=1).filter(lambda kind: kind not in ("header", "end"))


@unhurried
@given(bodies, st.lists(st.tuples(kinds, bodies), max_size=5))
def test_what_is_written_is_read(header, events):
    encoder = Encoder()
    text = encoder.header(header) + "".join(encoder.record(*event) for event in events) + encoder.end()
    document = decode(text)
    assert document.header == Record("header", header, 1)
    assert document.records == tuple(Record(kind, body, line) for line, (kind, body) in enumerate(events, 2))
    assert (document.closed, document.damage, document.version) == (True, (), 1)


def test_unknown_kinds_are_kept():
    assert decode(DATA).records[2] == Record("hunch", {"sum of": [1, 2.5, "NaN"]}, 4)


def test_blanks_and_comments_are_skipped_and_counted_as_lines():
    text = "# by hand\n\n" + "".join(f"{line}   \n#{{ not JSON\n" for line in lines())
    document = decode(text)
    assert document.closed
    assert [record.line for record in (document.header, *document.records)] == [3, 6, 9, 12]


def test_an_editors_byte_order_mark_and_line_ends_do_no_harm():
    assert decode(b"\xef\xbb\xbf" + DATA.replace(b"\n", b"\r\n")).closed


def test_text_and_bytes_read_alike():
    assert decode(DATA.decode()) == decode(DATA)


def is_harmless(data: bytes) -> bool:
    """Only white space at the very end may differ."""
    return data.rstrip(b"\r\n \t\x0b\x0c") == DATA.rstrip() or data.replace(b"\r\n", b"\n") == DATA


def test_every_changed_bit_is_found():
    for place in range(len(DATA)):
        for bit in range(8):
            changed = bytearray(DATA)
            changed[place] ^= 1 << bit
            if not is_harmless(bytes(changed)):
                refused(bytes(changed))


@unhurried
@given(st.integers(0, len(DATA) - 1), st.integers(0, 255))
def test_every_changed_byte_is_found(place, value):
    changed = DATA[:place] + bytes([value]) + DATA[place + 1 :]
    if not is_harmless(changed):
        refused(changed)


@unhurried
@given(st.integers(0, len(DATA)), st.binary(min_size=1, max_size=1))
@example(len(DATA), b"#")
def test_every_inserted_byte_is_found(place, value):
    changed = DATA[:place] + value + DATA[place:]
    skipped = (b"", b"#")  # a blank line, and a comment: # behind the last newline
    kept = b"\n".join(line for line in changed.split(b"\n") if line.strip() not in skipped) + b"\n"
    if not is_harmless(changed) and kept.replace(b"\r\n", b"\n") != DATA:
        refused(changed)


def test_every_cut_is_found():
    for length in range(len(DATA) - 1):  # only the last newline is not missed
        refused(DATA[:length])


def test_every_cut_after_the_header_can_still_be_read_leniently():
    header = DATA.index(b"\n")
    for length in range(header, len(DATA) - 1):
        document = decode(DATA[:length], strict=False)
        assert not document.closed
        assert document.damage[-1].message == NO_END
        whole = DATA[: length + 1].count(b"\n") - 1 if DATA[length : length + 1] == b"\n" else DATA[:length].count(b"\n") - 1
        assert [record.kind for record in document.records] == [kind for kind, _ in EVENTS][:whole]


@pytest.mark.parametrize("dropped", [1, 2, 3])
def test_a_dropped_event_is_found_and_its_place_named(dropped):
    rest = lines()
    del rest[dropped]
    error = refused("".join(rest))
    assert error.line == dropped + 1
    assert f"event {dropped} is missing: {dropped - 1} is followed by {dropped + 1}" in str(error)


def test_two_dropped_events_are_named_together():
    header, _, _, *rest = lines()
    assert "line 2: events 1 to 2 are missing: 0 is followed by 3" in str(refused("".join([header, *rest])))


def test_a_dropped_end_and_a_dropped_header_are_found():
    assert str(refused("".join(lines()[:-1]))) == f"line 4: {NO_END}"
    assert "no header" in str(refused("".join(lines()[1:])))


def test_swapped_events_are_found():
    header, first, second, *rest = lines()
    assert "line 2: event 1 is missing" in str(refused("".join([header, second, first, *rest])))
    assert "line 3: event 1 is out of order" in str(refused("".join([header, first, first, second, *rest])))


def test_a_changed_line_is_named():
    assert str(refused(DATA.replace(b"step 3", b"step 4"))).startswith("line 2: this line was changed after it was written")


def test_damage_is_collected_when_lenient():
    document = decode(DATA.replace(b"step 3", b"step 4"), strict=False)
    assert [damage.line for damage in document.damage] == [2, 5]
    assert not document.closed
    assert document.records[0].body["text"] == "step 4"
    assert str(Damage(5, "x")) == "line 5: x"


def test_a_torn_last_line_is_damage_and_a_torn_middle_is_an_error():
    torn = "".join(lines()[:2]) + '{"n":2,"ki'
    document = decode(torn, strict=False)
    assert [str(damage) for damage in document.damage] == ["line 3: this last line is torn", f"line 3: {NO_END}"]
    assert refused(torn + "\n" + lines()[3], strict=False).line == 3


def test_what_comes_after_the_end_is_found():
    assert "after the end record" in str(refused(DATA + b'{"kind":"command"}\n'))
    assert not decode(DATA + b'{"kind":"command"}\n', strict=False).closed


def test_a_second_header_is_found():
    assert "second header" in str(refused('{"gdrepl":1,"kind":"header"}\n{"kind":"header"}\n{"kind":"end"}\n'))


def test_counts_are_compared():
    assert "counts" in str(refused('{"gdrepl":1,"kind":"header"}\n{"kind":"end","counts":{"command":1}}\n'))


def test_a_file_by_hand_needs_no_numbers_and_no_sums():
    document = decode('{"gdrepl": 1, "kind": "header"}\n{"kind": "command", "text": "step"}\n{"kind": "end"}')
    assert document.closed
    assert document.records == (Record("command", {"text": "step"}, 2),)


def test_lines_without_numbers_may_stand_between_numbered_ones():
    start, end = '{"gdrepl":1,"kind":"header"}\n', '{"kind":"end"}\n'
    one, blank, two, three = '{"n":1,"kind":"a"}\n', '{"kind":"b"}\n', '{"n":2,"kind":"c"}\n', '{"n":3,"kind":"d"}\n'
    assert decode(start + one + blank + two + end).closed
    assert decode(start + one + blank + three + end).closed
    assert "event 2 is missing" in str(refused(start + one + three + end))
    assert "event 3 is missing" in str(refused(start + one + blank + two + '{"n":4,"kind":"e"}\n' + end))


@pytest.mark.parametrize(
    "line",
    [
        '{"n":"1","kind":"a"}',
        '{"n":true,"kind":"a"}',
        '{"n":1.0,"kind":"a"}',
        '{"n":0,"kind":"a"}',
        '{"n":1}',
        '{"n":1,"kind":5}',
        '{"n":1,"kind":""}',
        '{"n":1,"kind":"a","sum":7}',
        '{"n":1,"kind":"a","a":1,"a":2}',
        '{"n":1,"kind":"a","b":{"a":1,"a":2}}',
        '{"n":1,"kind":"a","b":NaN}',
        '{"n":1,"kind":"a","b":-Infinity}',
        '{"n":1,"kind":"a","b":' + "9" * 5000 + "}",
        '{"n":1,"kind":"a","b":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"n":1,"kind":"a","b":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
        "[1]",
        "step 3",
        '{"n":1,"kind":"\ud800"}',
    ],
    ids=lambda line: ascii(line[:40]),
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_cannot_be_an_event_is_refused_and_its_line_named(line, strict):
    text = f'{{"gdrepl":1,"kind":"header"}}\n\n{line}\n{{"kind":"end"}}\n'
    assert refused(text, strict).line == 3


@pytest.mark.parametrize(
    "text", ["", "\n# only a comment\n", "hello", "[]", '{"kind":"header"}', '{"gdrepl":true,"kind":"header"}', '{"gdrepl":1}']
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_session_file_is_refused(text, strict):
    refused(text, strict)


def test_a_later_version_says_which_can_be_read():
    error = refused('{"gdrepl":9,"kind":"header"}\n', strict=False)
    assert "format version 9 is not readable here; versions readable: 1" in str(error)
    assert error.hint


def test_a_line_that_is_too_long_is_refused_when_read_and_when_written(monkeypatch):
    monkeypatch.setattr(jsonl, "MOST_BYTES_A_LINE", 200)
    encoder = Encoder()
    text = encoder.header({})
    with pytest.raises(SessionFileError, match="too large"):
        encoder.record("command", {"text": "x" * 200})
    assert decode(text + encoder.end()).closed  # the refused event left no gap
    assert refused(text + json.dumps({"kind": "command", "text": "x" * 200})).line == 2


@unhurried
@given(st.binary(max_size=60), st.booleans())
def test_bytes_from_anywhere_raise_nothing_else(data, strict):
    for source in (data, lines()[0].encode() + data):
        with contextlib.suppress(SessionFileError):
            decode(source, strict)


def test_the_encoder_holds_its_order():
    encoder = Encoder()
    for early in (encoder.end, lambda: encoder.record("a", {})):
        with pytest.raises(RuntimeError, match="new"):
            early()
    encoder.header({})
    with pytest.raises(RuntimeError, match="open"):
        encoder.header({})
    encoder.end()
    with pytest.raises(RuntimeError, match="ended"):
        encoder.record("a", {})


@pytest.mark.parametrize(
    ("kind", "body"), [("end", {}), ("header", {}), ("", {}), ("a", {"n": 1}), ("a", {"sum": 1}), ("a", {"b": np.nan})]
)
def test_an_event_that_cannot_be_written_leaves_the_encoder_as_it_was(kind, body):
    encoder = Encoder()
    text = encoder.header({})
    with pytest.raises(ValueError, match=r"cannot|JSON"):
        encoder.record(kind, body)
    assert decode(text + encoder.record("a", {}) + encoder.end()).closed


@pytest.mark.parametrize("whole", [1, 2, 3, 4])
def test_an_encoder_resumes_after_any_line(whole):
    written = "".join(lines()[:whole])
    encoder = Encoder.resume(b"# a comment\n" + written.encode())
    assert written + "".join(encoder.record(*event) for event in EVENTS[whole - 1 :]) + encoder.end() == DATA.decode()


@pytest.mark.parametrize("data", [DATA, DATA[:-5], DATA.replace(b"step 3", b"step 4")])
def test_an_encoder_does_not_resume_a_closed_or_damaged_file(data):
    with pytest.raises(SessionFileError):
        Encoder.resume(data)


def columns(count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(count)
    loss = random.standard_normal(count).astype(np.float32)
    loss[::7] = 3
    loss[1::50] = np.nan
    return {
        "loss": loss,
        "smooth": np.exp(3 * random.standard_normal(count)).astype(np.float32),  # neither whole nor NaN: the quick way
        "parameters.x": random.standard_normal((count, 3)).astype(np.float32),
        "learning_rate": random.standard_normal(count),
        "epoch": np.arange(count),
    }


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 2500])
def test_points_in_columns_come_back_bit_for_bit(count):
    wanted = columns(count)
    written = [json.loads(dumps(body)) for body in columns_to_records(7, wanted)]
    first, got = columns_from_records(written, {name: column.dtype for name, column in wanted.items()})
    assert first == 7
    assert [body["count"] for body in written] == [1000] * (count // 1000) + ([count % 1000] if count % 1000 else [])
    assert {name: (column.tobytes(), column.shape) for name, column in got.items()} == {
        name: (column.tobytes(), column.shape) for name, column in wanted.items()
    }


def test_no_points_are_no_lines():
    assert list(columns_to_records(0, columns(0))) == []


@pytest.mark.parametrize(
    ("bad", "per_line"), [({"a": np.zeros(2), "b": np.zeros(3)}, 10), ({"a": np.float64(1)}, 10), ({}, 0), ({}, 1001)], ids=repr
)
def test_columns_that_do_not_fit_are_refused(bad, per_line):
    with pytest.raises(ValueError, match=r"one length|outside"):
        list(columns_to_records(0, bad, per_line))


POINTS = {"from": 0, "count": 2, "columns": {"loss": [0.5, "NaN"]}}


@pytest.mark.parametrize(
    "records",
    [
        [],
        [POINTS, {**POINTS, "from": 3}],
        [POINTS, {**POINTS, "from": 2, "columns": {}}],
        [{**POINTS, "count": 3}],
        [{**POINTS, "count": 0}],
        [{**POINTS, "count": 1001}],
        [{**POINTS, "from": -1}],
        [{**POINTS, "columns": []}],
        [{**POINTS, "columns": {"loss": 1.0}}],
        [{**POINTS, "columns": {"loss": [0.5, "x"]}}],
        [{**POINTS, "columns": {"other": [0.5, 1.5]}}],
    ],
    ids=repr,
)
def test_points_that_do_not_join_are_refused(records):
    with pytest.raises(ValueError):  # noqa: PT011 - the type is the promise
        columns_from_records(records, {"loss": np.float32})
