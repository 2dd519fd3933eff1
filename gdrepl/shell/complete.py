"""Tab: command names, what each argument of a command offers, names inside expressions, and files with their folders.

Everything comes from the registry. Nothing here loads TensorFlow, waits for it, or raises.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from gdrepl.commands.arguments import complete_expression, complete_files
from gdrepl.commands.line import END, command_of, parts
from gdrepl.commands.registry import Argument, Command, command_word, registry
from gdrepl.commands.session import Session
from gdrepl.commands.values import MAKERS
from gdrepl.engine.hyperparameter import arguments_of
from gdrepl.engine.optimizer import catalogue, settable
from gdrepl.engine.program import ENGINES
from gdrepl.engine.schedule import find_schedule, schedule_catalogue
from gdrepl.errors import CommandError

SUFFIXES = (".gds", ".gd", ".csv")
MOST = 200

_FIXED_VALUES = {"engine": ENGINES, "dtype": ("float32", "float64")}

_ASSIGNMENT = re.compile(r"([^\s=]+)(?:\s*=\s*|\s+)")
_WORD = re.compile(r"\S*$")
_IDENTIFIER = re.compile(r"(?:\$?[^\W\d][\w.]*)?$")
_DATA_FILE = re.compile(r"""\bcsv\(\s*["']([^"']*)$""")


class LineCompleter(Completer):
    """Completes the part of the line that the cursor is in."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What Tab offers here; nothing at all when anything goes wrong, since a prompt must survive its Tab key."""
        try:
            return list(complete(document.text_before_cursor, self._session))[:MOST]
        except Exception:
            return []


def complete(text: str, session: Session) -> Iterator[Completion]:
    """What may stand at the end of `text`."""
    part = list(parts(text))[-1]
    if part.is_comment:
        return
    if not part.rest:
        yield from _commands(part.word, session)
        return
    body = session.own.expand(part.word + part.rest)  # behind an alias stands what may stand behind its text
    word = command_word(body)
    command = None if word in session.own.defined else command_of(word)
    if command is None:
        return
    argument, typed = _argument_at(command, body[len(word) :].lstrip())
    if argument is None:
        return
    data_file = _DATA_FILE.search(typed)
    if data_file:
        yield from _files(data_file.group(1))
    elif argument.complete is complete_files:
        yield from _files(typed.lstrip("\"'"))
    else:
        yield from _offered(argument, typed, _without_loading(session))


def _commands(word: str, session: Session) -> Iterator[Completion]:
    """Commands that begin with `word`; short forms too where the name itself would not show, as `next` for step."""
    if session.executor.block is not None and END.startswith(word):
        yield Completion(END, -len(word), display_meta=f"of {session.executor.open_block}")
    for name in sorted(session.own.names()):
        if name.startswith(word):
            meta = session.own.aliases.get(name, "made by define")
            yield Completion(f"{name} ", -len(word), display=name, display_meta=meta)
    for command in sorted(registry, key=lambda item: item.name):
        blank = " " if command.parameters else ""
        if command.name.startswith(word):
            yield Completion(command.name + blank, -len(word), display=command.name, display_meta=command.summary)
        elif word:
            for short in command.short:
                if short.startswith(word):
                    yield Completion(short + blank, -len(word), display=short, display_meta=command.summary)


def _argument_at(command: Command, rest: str) -> tuple[Argument | None, str]:
    """The argument at the end of `rest`, and what is typed of it."""
    for parameter in command.parameters:
        if parameter.argument.rest:
            return parameter.argument, rest
        word, blank, after = _split(rest)
        if not blank:
            return parameter.argument, word
        rest = after
    return None, ""


def _split(text: str) -> tuple[str, str, str]:
    """A word, the blanks after it, and what follows them."""
    match = re.match(r"(\S*)(\s*)", text)
    assert match is not None  # both halves may be empty
    return match.group(1), match.group(2), text[match.end() :]


def _offered(argument: Argument, typed: str, session: Session) -> Iterator[Completion]:
    """What the argument offers, where the whole text, else its last word, else the identifier under the cursor begins it."""
    words = list(dict.fromkeys(argument.complete(session)))
    assigns = argument.rest and " " in argument.name and argument.after is None
    assignment = _ASSIGNMENT.match(typed) if assigns else None
    if assignment:
        words, typed = list(_values(assignment.group(1), session)), typed[assignment.end() :]
        if "(" in typed and assignment.group(1) in ("optimizer", "lr"):
            words, typed = _keywords(assignment.group(1), typed, session)
    elif argument.after is not None and " " in typed:
        words = list(dict.fromkeys(argument.after(session, typed[: typed.rindex(" ")])))
    for begun in (typed, _last(_WORD, typed), _last(_IDENTIFIER, typed)):
        found = [word for word in words if word.startswith(begun)]
        if found and (begun or not typed or (argument.rest and typed[-1] in " ([,+-*/<>=@")):
            yield from (Completion(word, -len(begun)) for word in found)
            return


def _last(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group() if match else ""


def _values(name: str, session: Session) -> Iterable[str]:
    """What may follow `set NAME`, `var NAME =` and `const NAME =`."""
    if name in _FIXED_VALUES:
        return _FIXED_VALUES[name]
    if name == "optimizer":
        return sorted(each.lower() for each in catalogue()) if session.ready else ()
    if name == "lr":
        return schedule_catalogue() if session.ready else ()
    return [*MAKERS, *complete_expression(session)]


def _keywords(what: str, typed: str, session: Session) -> tuple[list[str], str]:
    """The hyperparameters of an optimizer, or the arguments of a schedule, that are not given yet; and what is begun of one."""
    if not session.ready:
        return [], typed
    name, _, typed = typed.partition("(")
    name = name.strip()
    if what == "optimizer":
        names = ["learning_rate", *settable(name)]
    elif schedule := find_schedule(name):
        names = list(arguments_of(schedule_catalogue()[schedule]))
    else:  # a rate may be computed
        return list(complete_expression(session)), typed
    *given, begun = typed.split(",")
    taken = {each.split("=")[0].strip() for each in given}
    if "lr" in taken:
        taken.add("learning_rate")
    return [f"{each}=" for each in names if each not in taken], begun.lstrip()


def _files(typed: str) -> Iterator[Completion]:
    """Folders, and files that gdrepl reads; every file when none of those begins so."""
    folder, begun = os.path.split(typed)
    entries = [entry for entry in _entries(Path(folder).expanduser()) if entry[0].startswith(begun)]
    if not begun.startswith("."):
        entries = [entry for entry in entries if not entry[0].startswith(".")]
    ours = [entry for entry in entries if entry[1] or entry[0].endswith(SUFFIXES)]
    for name, is_folder in ours or entries:
        shown = name + ("/" if is_folder else "")
        yield Completion(shown, -len(begun))


def _entries(folder: Path) -> list[tuple[str, bool]]:
    try:
        with os.scandir(folder) as found:
            return sorted((entry.name, entry.is_dir()) for entry in found if entry.name.isprintable())
    except OSError:
        return []


class _NotLoaded:
    """A session whose debugger cannot be reached: whatever asks for it on behalf of Tab gets an error, not TensorFlow."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        if name in ("debugger", "start"):
            raise CommandError("TensorFlow is still loading")
        return getattr(self._session, name)


def _without_loading(session: Session) -> Session:
    return session if session.ready else cast(Session, _NotLoaded(session))
