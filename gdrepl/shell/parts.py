"""A line as it is typed: its parts between `;;` and the command word of each. Highlighting and Tab read it the same way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from gdrepl.commands.registry import Command, registry
from gdrepl.commands.session import find_command

_NAME = re.compile(r"[A-Za-z][A-Za-z-]*")


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a line: blanks, the command word, and the rest as it stands; `start` is where the part begins."""

    start: int
    indent: str
    word: str
    rest: str

    @property
    def is_comment(self) -> bool:
        """True for a line that is skipped."""
        return self.word.startswith("#")

    @property
    def command(self) -> Command | None:
        """What the word names, or None."""
        return find_command(self.word) if self.word else None


def repeatable(line: str) -> str:
    """What an empty line does next: `line` again, if each of its commands is one to repeat."""
    commands = [part.command for part in parts(line) if part.word]
    return line if commands and all(command is not None and command.repeats for command in commands) else ""


class Standing(Enum):
    """How a command word stands: it names a command, could still become one, or cannot."""

    KNOWN = "known"
    OPEN = "open"
    UNKNOWN = "unknown"


def parts(line: str) -> Iterator[Part]:
    """The commands of a line."""
    start = 0
    for text in line.split(";;"):
        body = text.lstrip()
        word = _command_word(body)
        yield Part(start, text[: len(text) - len(body)], word, body[len(word) :])
        start += len(text) + 2


def standing(word: str) -> Standing:
    """How `word` stands; asked at every key, so it looks for no suggestion as `registry.find` does."""
    starting = 0
    for command in registry:
        if word == command.name or word in command.short:
            return Standing.KNOWN
        starting += command.name.startswith(word)
    if starting == 1:
        return Standing.KNOWN
    return Standing.OPEN if starting else Standing.UNKNOWN


def _command_word(body: str) -> str:
    """The first word; as the registry has it, `print(x)` ends where the bracket begins."""
    word = (body.split(None, 1) or [""])[0]
    match = _NAME.match(word)
    if match and match.end() < len(word) and not word[match.end()].isalnum():
        return word[: match.end()]
    return word
