"""Session files in which a stranger has put something else in place of a member: a line that says so, or a working session."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driving import contents, do, hill, joined, without_checks

from gdrepl.commands.session import Session
from gdrepl.errors import SessionFileError

KINDS = ("state", "values", "shown", "places")
"""The records of what the user has made, and where everything stood; the stops are in the state."""
LINES = (
    *("break if loss < 1e-3 as low", "watch x by 0.5 if step > 3", "watch sign(x - 50)", "catch plateau patience=50 as flat"),
    *("commands 1 ;; silent ;; print x ;; end", "ignore 3 2", "tbreak if step == 4", "enable once 1", "display x"),
    *("display prev(x)", "step 3", "checkpoint here", "set lr 0.2", "step 4", "goto 2", "branch twig", "step 2"),
    *("print x", "print [x, 1] > 5", "print step", "set $a = [x, 1]", "define go ;; step $arg0 ;; end", "alias two = step 2"),
    *("set confirm off", "var unread = normal(2)", "const c = 3", "back", "step", "delete checkpoint here", "checkpoint again"),
)
HOSTILE = ("1" + "0" * 400, "null", "-1", '""', "[]", "true", "1e999")
"""As JSON; a reader that minds its limits does not take all of them."""
EACH = 3
"""How many of them are put in place of each member: by turns, so that every kind of member meets every value."""
HOLE = "@hole@"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("whole") / "whole.gds"
    do(eager(), *LINES, f"save {path}")
    return without_checks(path.read_text(encoding="utf-8")).splitlines()


def eager() -> Session:
    return hill(engine="eager")


def members(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member, those within members too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from members(item, (*path, key))


def with_hole(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return HOLE
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_hole(value[path[0]], path[1:])
    return copy


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_stands_for_a_member_is_refused_in_one_line_or_taken_for_good(kind: str, text: list[str], folder: Path):
    [place] = [place for place, line in enumerate(text) if json.loads(line).get("kind") == kind]
    body = json.loads(text[place])
    session = eager()
    before, refused = contents(session), 0
    turns = itertools.cycle(HOSTILE)
    for path in members(body):
        if path == ("kind",):
            continue
        line = json.dumps(with_hole(body, path), separators=(",", ":"))
        for hostile in itertools.islice(turns, EACH):
            changed = [*text[:place], line.replace(f'"{HOLE}"', hostile), *text[place + 1 :]]
            (folder / "hostile.gds").write_text(joined(changed), encoding="utf-8")
            [outcome] = session.execute("load hostile")
            told = f"{'.'.join(map(str, path))} = {hostile[:20]}"
            if outcome.error is None:
                goes_on(session, told)
                session = eager()
            else:
                refused += 1
                assert isinstance(outcome.error, SessionFileError), told
                assert outcome.error.message.startswith("hostile.gds: "), told
                assert "\n" not in f"{outcome.error.message}{outcome.error.hint}", told
                assert len(outcome.error.message) < 400, told
    assert contents(session) == before
    assert refused > len(body)


def goes_on(session: Session, told: str) -> None:
    """What was taken is in force: the session runs, and comes back from a file of its own as it is."""
    do(session, "info break", "info display", "info checkpoints", "step 2", "back", "save again")
    wanted = contents(session)
    do(session, "load again")
    assert contents(session) == wanted, told


def test_the_file_itself_is_taken(text: list[str], folder: Path):
    (folder / "whole.gds").write_text(joined(text), encoding="utf-8")
    session = eager()
    do(session, "load whole")
    goes_on(session, "whole")
    assert {json.loads(line).get("kind") for line in text} > set(KINDS)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"rtol":0.001', '"rtol":1e999', "line 1: not readable as JSON: the number 1e999 is too large"),
        ('"processor":', '"processor":-1e+400,"was":', "line 1: not readable as JSON: the number -1e+400 is too large"),
        ('"taken":3', '"taken":' + "9" * 400 + ".0", "is too large"),
        ('"gdrepl":1,"kind"', '"gdrepl":1' + "0" * 400 + ',"kind"', "format version 10000000000000000000 is not readable here"),
    ],
)
def test_a_number_that_could_not_be_written_again_is_refused_wherever_it_stands(old, new, why, text, folder):
    assert old in "".join(text)
    (folder / "hostile.gds").write_text(joined(text).replace(old, new, 1), encoding="utf-8")
    [outcome] = eager().execute("load hostile")
    assert isinstance(outcome.error, SessionFileError)
    assert why in str(outcome.error)


@pytest.mark.parametrize("name", ["loss", "learning_rate"])
@pytest.mark.parametrize("value", [[], [1.0]])
def test_a_loss_or_a_rate_of_another_shape_is_refused(name, value, text, folder):
    [place] = [place for place, line in enumerate(text) if json.loads(line).get("kind") == "segment"][:1]
    segment = json.loads(text[place])
    segment["tip"][name] = value
    changed = [*text[:place], json.dumps(segment, separators=(",", ":")), *text[place + 1 :]]
    (folder / "hostile.gds").write_text(joined(changed), encoding="utf-8")
    [outcome] = eager().execute("load hostile")
    assert isinstance(outcome.error, SessionFileError)
    assert "loss and learning rate are one number each" in outcome.error.message


def test_the_largest_number_is_no_too_large_one(text, folder):
    line = '{"kind":"of-tomorrow","value":1.7976931348623157e+308,"text":"1e999"}'
    (folder / "large.gds").write_text(joined([*text[:-1], line, text[-1]]), encoding="utf-8")
    session = eager()
    do(session, "load large", "save again")
    assert line[1:-1].partition(",")[2] in (folder / "again.gds").read_text(encoding="utf-8")
