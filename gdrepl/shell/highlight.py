"""Colours of the line while it is typed: the command word known or not, numbers, and names that mean something."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterator
from enum import Enum

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from gdrepl.commands.line import Part, parts
from gdrepl.commands.registry import registry
from gdrepl.expression import FUNCTIONS, NAMED_CONSTANTS, POINT_FUNCTIONS, POINT_NAMES

COLORS = {
    "gd.prompt": "ansidefault",  # a cell with a colour is written out; else the blank would be a cursor movement
    "gd.command": "bold",
    "gd.unknown": "ansired",
    "gd.number": "ansicyan",
    "gd.name": "ansigreen",
    "gd.comment": "ansibrightblack",
}
PLAIN = {
    "gd.prompt": "ansidefault",
    "gd.command": "bold",
    "gd.unknown": "",
    "gd.number": "",
    "gd.name": "",
    "gd.comment": "",
}

_BUILT_IN = frozenset([*POINT_NAMES, *POINT_FUNCTIONS, *FUNCTIONS, *NAMED_CONSTANTS, "slot"])
_TOKEN = re.compile(r"(?P<name>[^\W\d]\w*)|(?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<other>.)", re.DOTALL)


class Standing(Enum):
    """How a command word stands: it names a command, could still become one, or cannot."""

    KNOWN = "known"
    OPEN = "open"
    UNKNOWN = "unknown"


_STANDING = {Standing.KNOWN: "class:gd.command", Standing.OPEN: "", Standing.UNKNOWN: "class:gd.unknown"}


class LineLexer(Lexer):
    """Colours a line by the registry and by the names that `names` gives when asked."""

    def __init__(self, names: Callable[[], Collection[str]]) -> None:
        self._names = names

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The fragments of each line. Never raises: prompt_toolkit would stop the prompt for it."""
        known = _BUILT_IN | self._known()
        lines = document.lines
        return lambda number: list(fragments(lines[number], known)) if 0 <= number < len(lines) else []

    def invalidation_hash(self) -> Hashable:
        """Changes with the names, which come when TensorFlow is loaded and go with the problem."""
        return self._known()

    def _known(self) -> frozenset[str]:
        try:
            return frozenset(self._names())
        except Exception:
            return frozenset()


def fragments(line: str, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """(style, text) of one line; the texts joined are the line."""
    for part in parts(line):
        if part.start:
            yield "", ";;"
        if part.is_comment:
            yield "class:gd.comment", part.indent + part.word + part.rest
            continue
        yield "", part.indent
        yield _word_style(part), part.word
        for match in _TOKEN.finditer(part.rest):
            yield _token_style(match, known), match.group()


def _word_style(part: Part) -> str:
    now = standing(part.word)
    # A word that is still being typed may be the beginning of several; one that is followed by something may not.
    return _STANDING[Standing.UNKNOWN if now is Standing.OPEN and part.rest else now]


def _token_style(match: re.Match[str], known: Collection[str]) -> str:
    if match.lastgroup == "number":
        return "class:gd.number"
    return "class:gd.name" if match.lastgroup == "name" and match.group() in known else ""


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
