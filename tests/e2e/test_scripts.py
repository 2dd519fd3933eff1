"""Commands of one's own: blocks, define, alias, and the scripts they stand in."""

from __future__ import annotations

import pytest
from driving import contents, do, error_of, hill

from gdrepl.commands.ahead import needs_debugger, repeatable
from gdrepl.commands.replaying import replay_file, rerun
from gdrepl.commands.saving_own import restore_own
from gdrepl.recording.format import Encoder, decode
from gdrepl.shell.complete import complete
from gdrepl.shell.highlight import Standing, standing


def lines_of(session):
    return [event.line for event in session.events]


def test_a_defined_command_runs_its_lines_with_the_words_behind_it():
    session = hill()
    do(session, "define go", "  # a comment", "", "step $arg0", "print $argc", "end")
    assert do(session, "go 3 more")["value"] == 2
    assert session.debugger.step == 3


def test_a_block_is_one_event_and_its_call_is_the_events_of_its_lines():
    session = hill()
    do(session, "define go", "s 2 ;; p x", "end", "go")
    assert lines_of(session) == ["define go ;; s 2 ;; p x ;; end", "step 2", "print x"]


def test_a_block_on_one_line_is_the_block_on_several():
    one, several = hill(), hill()
    do(one, "define go ;; step 2 ;; end")
    do(several, "define go", "step 2", "end")
    assert one.own == several.own
    assert lines_of(one) == lines_of(several)


def test_an_end_inside_belongs_to_the_block_inside():
    session = hill()
    do(session, "define outer ;; define inner ;; step $arg0 ;; end ;; inner $arg0 ;; end")
    assert session.own.defined["outer"] == ("define inner", "step $arg0", "end", "inner $arg0")
    do(session, "outer 4")
    assert session.debugger.step == 4
    assert session.own.defined["inner"] == ("step $arg0",)


def test_while_a_block_is_open_nothing_runs_and_its_first_line_is_known():
    session = hill()
    assert session.executor.open_block == ""
    do(session, "define go", "step 5")
    assert session.executor.open_block == "define go"
    assert lines_of(session) == []
    assert session.debugger.step == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("define", "needs NAME"),
        ("define step", "is a command already"),
        ("define s", "is a command already"),
        ("define 9lives", "cannot be the name"),
        ("define end", "meaning of its own"),
        ("define go now", "does not take 'now'"),
        ("end", "no block"),
        ("alias step = print", "is a command already"),
        ("alias go", "no alias 'go'"),
        ("alias go = nothing", "unknown command"),
    ],
)
def test_what_cannot_be_defined_is_refused_at_its_first_line(line, message):
    session = hill()
    assert message in error_of(session, line).message
    assert session.executor.open_block == ""
    assert session.own.names() == []


def test_a_missing_word_runs_nothing():
    session = hill()
    do(session, "define go ;; step 1 ;; step $arg1 ;; end")
    assert "needs $arg1; it was given 1 word" in error_of(session, "go 3").message
    assert session.debugger.step == 0


@pytest.mark.parametrize(
    "lines", [('print "x', 'print y"'), ("whatif lr 0.1 0.2 for 3", "print x"), ("whatif lr 0.1 0.2 ;; step",)]
)
def test_a_block_is_read_back_from_its_recording_whatever_its_lines_are(lines: tuple[str, ...]):
    session, again = hill(), hill()
    do(session, "define go", *lines, "end")
    do(again, session.events[-1].line)
    assert again.own.defined == session.own.defined == {"go": lines}
    assert session.executor.open_block == ""


def test_a_block_whose_last_line_takes_the_rest_ends_on_one_line():
    session = hill()
    do(session, "define race ;; whatif lr $arg0 1 for 3 ;; end")
    assert session.own.defined == {"race": ("whatif lr $arg0 1 for 3",)}


def test_stops_whose_commands_go_on_by_themselves_end_at_the_cap():
    session = hill()
    do(session, "set max-steps 30", "break if loss < 2000", "commands ;; silent ;; step 2 ;; end")
    outcomes = list(session.execute("continue"))
    assert "went on by themselves" in outcomes[-1].error.message
    assert session.debugger.step == 1 + 30


def test_a_command_that_calls_itself_ends_with_one_error():
    session = hill()
    do(session, "define go ;; step ;; go ;; end")
    assert "calls itself" in error_of(session, "go").message


def test_an_error_names_the_line_of_the_file_and_that_of_the_command(tmp_path):
    (tmp_path / "outer.gd").write_text("define go\nstep\nnonsense\nend\n\ngo\n")
    (tmp_path / "first.gd").write_text(f"step\nsource {tmp_path / 'outer.gd'}\n")
    assert list(hill().execute(f"source {tmp_path / 'outer.gd'}"))[-1].place == "outer.gd line 6, go line 2"
    assert list(hill().execute(f"source {tmp_path / 'first.gd'}"))[-1].place == "first.gd line 2, go line 2"


def test_an_unfinished_block_of_a_script_is_an_error_that_names_its_first_line(tmp_path):
    (tmp_path / "half.gd").write_text("step\n\ndefine go\nstep 2\n")
    session = hill()
    outcomes = list(session.execute(f"source {tmp_path / 'half.gd'}"))
    assert outcomes[-1].place == "half.gd line 3"
    assert "'define go' was not finished" in outcomes[-1].error.message
    assert session.executor.open_block == ""
    assert session.debugger.step == 1


def test_an_alias_is_replaced_by_its_text_and_recorded_so():
    session = hill()
    do(session, "alias two = s 2", "alias below until loss <", "two", "below 100")
    assert lines_of(session)[2:] == ["step 2", "until loss < 100"]
    do(session, "alias below = two")
    assert session.own.aliases["below"] == "step 2"


def test_a_defined_command_may_be_called_by_an_alias_and_beats_a_prefix():
    session = hill()
    do(session, "define ste ;; step $arg0 ;; end", "alias three = ste 3", "three")
    assert session.debugger.step == 3


def test_commands_of_ones_own_need_no_tensorflow_to_be_made():
    session = hill()
    for line in ("define go", "step", "end", "alias two = step 2"):
        assert not needs_debugger(session, line)
        do(session, line)
    assert not session.ready
    assert len(session.events) == 2
    assert needs_debugger(session, "go")
    assert needs_debugger(session, "two")
    assert repeatable(session, "two") == "two"
    assert repeatable(session, "go") == ""


def test_a_failing_record_leaves_no_definition_behind():
    session = hill()

    def fail(event):
        raise KeyboardInterrupt

    session.on_event = fail
    with pytest.raises(KeyboardInterrupt):
        do(session, "alias two = step 2")
    assert session.own.names() == []
    assert session.events == []


def test_a_recording_of_blocks_replays(tmp_path):
    session = hill()
    do(session, "define go ;; step $arg0 ;; end", "go 3", f"save {tmp_path / 'own.gds'}")
    again = replay_file(tmp_path / "own.gds")
    assert again.status == "match"
    assert again.commands == 2


# --- kept, shown, completed ---------------------------------------------------------------------------------------------


def test_commands_of_ones_own_are_saved_and_loaded(tmp_path):
    session = hill()
    do(session, "define go ;; step $arg0 ;; end", "alias two = step 2", "set confirm off", f"save {tmp_path / 'own.gds'}")
    again = hill()
    do(again, f"load {tmp_path / 'own.gds'}")
    assert again.own == session.own
    assert again.settings.confirm is False
    do(again, "go 3", "two")
    assert again.debugger.step == 5


@pytest.mark.parametrize(
    "members",
    [
        {"defined": {"go": ["step\nquit"]}},
        {"defined": {"go": [3]}},
        {"defined": {"go": 3}},
        {"aliases": {"go": ""}},
        {"aliases": ["go"]},
        {"confirm": "off"},
    ],
)
def test_members_of_a_file_that_are_not_in_order_are_refused(members, tmp_path):
    session = hill()
    do(session, "step", f"save {tmp_path / 'a.gds'}")
    encoder = Encoder()
    document = decode((tmp_path / "a.gds").read_bytes())
    lines = [encoder.header(document.header.body)]
    for record in document.records:
        lines.append(encoder.record(record.kind, {**record.body, **(members if record.kind == "state" else {})}))
    (tmp_path / "a.gds").write_text("".join([*lines, encoder.end()]))
    before = contents(session)
    assert "the state record is not in order" in error_of(session, f"load {tmp_path / 'a.gds'}").message
    assert contents(session) == before


def test_a_name_in_a_file_that_a_command_has_now_is_left_out():
    session = hill()
    restore_own(session, {"defined": {"step": ["print x"], "go": ["step"]}, "aliases": {"s": "print x"}})
    assert session.own.names() == ["go"]


def test_help_and_info_show_them():
    session = hill()
    do(session, "define go ;; step $arg0 ;; print x ;; end", "alias two = step 2")
    assert do(session, "help go")["text"] == "  step $arg0\n  print x"
    assert "step 2" in do(session, "help two")["summary"]
    assert do(session, "info commands")["defined"] == {"go": ["step $arg0", "print x"]}


def test_tab_and_colours_know_them():
    session = hill()
    do(session, "define look ;; print x ;; end", "alias below = until loss <")
    offered = {completion.text for completion in complete("lo", session)}
    assert {"look ", "loss "} <= offered
    assert "step" in {completion.text for completion in complete("below ", session)}
    assert standing("look", session.own.names()) is Standing.KNOWN
    assert standing("bel", session.own.names()) is Standing.OPEN
    do(session, "define more")
    assert "end" in {completion.text for completion in complete("en", session)}


# --- save stops ---------------------------------------------------------------------------------------------------------


def test_saved_stops_are_commands_that_source_reads_back(tmp_path):
    session = hill()
    do(session, "break if loss < 1", "tbreak if x > 20", "break if step == 7", "disable 3", "display x*2", "delete 1")
    do(session, f"save stops {tmp_path / 'stops'}")
    text = (tmp_path / "stops.gd").read_text()
    assert text.splitlines() == ["tbreak if x > 20", "break if step == 7", "disable $bpnum", "display x*2"]
    again = hill()
    do(again, "break if loss < 5", f"source {tmp_path / 'stops.gd'}")
    made = [(item.text, item.enabled, item.afterwards == "delete") for item in again.debugger.stops]
    assert made == [("loss < 5", True, False), ("x > 20", True, True), ("step == 7", False, False)]
    assert [item.expression.text for item in again.displays] == ["x*2"]


def test_no_stops_and_a_session_file_s_name_are_refused(tmp_path):
    session = hill()
    assert "no stops" in error_of(session, f"save stops {tmp_path / 'a'}").message
    do(session, "break if loss < 1")
    assert "session file" in error_of(session, f"save stops {tmp_path / 'a.gds'}").message
    assert list(tmp_path.rglob("a*")) == []


# --- settings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        ("set confirm off", "on", "off"),
        ("set history-limit 64", 256, 64),
        ("set max-steps 1e3", 1_000_000, 1000),
        ("set print-precision 4", 7, 4),
    ],
)
def test_settings_say_what_they_were(line, before, after):
    answer = do(hill(), line)
    assert (answer["before"], answer["after"]) == (before, after)


def test_confirm_is_on_or_off():
    session = hill()
    assert "on or off" in error_of(session, "set confirm maybe").hint
    assert session.settings.confirm is True


def test_an_alias_of_a_command_that_takes_the_line_takes_it_too():
    session = hill()
    result = do(session, "alias t = whatif", "t set lr 0.01 ;; step 5")
    assert (result["type"], session.debugger.step) == ("WhatIf", 0)


def test_a_block_that_the_commands_of_a_stop_leave_open_is_dropped_and_told():
    session = hill()
    do(session, "break if step == 3", "commands 1 ;; foo bar ;; end", "alias foo = define")
    outcomes = list(session.execute("step 5"))
    assert "was not finished" in outcomes[-1].error.message
    assert do(session, "print step")["value"] == 3


def test_the_commands_of_a_stop_are_not_run_again_by_what_follows_a_replay():
    session = hill()
    do(session, "break if step == 3", "commands 1 ;; set lr 0.5 ;; end", "step 9")
    again = hill()
    for event in session.events:
        assert rerun(again, event.line, event.result) is None
    before = len(again.events)
    do(again, "print lr")
    assert len(again.events) == before + 1


# --- taking away --------------------------------------------------------------------------------------------------------


def test_an_alias_alone_and_a_definition_without_lines_take_away_what_is_saved_and_replayed(tmp_path):
    session = hill()
    do(session, "alias s3 = step 3", "define look ;; print x ;; end", "s3", "alias s3", "define look ;; end")
    assert session.own.names() == []
    assert "unknown command" in error_of(session, "look").message
    do(session, f"save {tmp_path}/gone", "alias look = step 1")
    assert replay_file(tmp_path / "gone.gds").status == "match"
    other = hill()
    do(other, f"load {tmp_path}/gone")
    assert other.own.names() == []


def test_what_is_not_there_is_not_taken_away():
    session = hill()
    do(session, "alias s30 = step 30")
    before = contents(session)
    assert error_of(session, "alias s20").hint == "did you mean 's30'?"
    assert "has no lines" in error_of(session, "define look ;; end").message
    assert contents(session) == before
