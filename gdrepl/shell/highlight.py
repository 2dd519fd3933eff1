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
    """Colours a line by the registry, by the names that `names` gives when asked, and by the commands that `own` gives."""

    def __init__(self, names: Callable[[], Collection[str]], own: Callable[[], Collection[str]] = tuple) -> None:
        self._names = names
        self._own = own

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The fragments of each line. Never raises: prompt_toolkit would stop the prompt for it."""
        known = _BUILT_IN | self._known()
        own = self._own_names()
        lines = document.lines
        return lambda number: list(fragments(lines[number], known, own)) if 0 <= number < len(lines) else []

    def invalidation_hash(self) -> Hashable:
        """Changes with the names, which come when TensorFlow is loaded and go with the problem."""
        return self._known(), self._own_names()

    def _known(self) -> frozenset[str]:
        try:
            return frozenset(self._names())
        except Exception:
            return frozenset()

    def _own_names(self) -> frozenset[str]:
        try:
            return frozenset(self._own())
        except Exception:
            return frozenset()


def fragments(line: str, known: Collection[str], own: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """(style, text) of one line; the texts joined are the line. `own` are commands that no registry has."""
    for part in parts(line):
        if line[: part.start].endswith(";;"):  # a comment begins a part, too, without one
            yield "", ";;"
        if part.is_comment:
            yield "class:gd.comment", part.indent + part.word + part.rest
            continue
        yield "", part.indent
        yield _word_style(part, own), part.word
        for match in _TOKEN.finditer(part.rest):
            yield _token_style(match, known), match.group()


def _word_style(part: Part, own: Collection[str]) -> str:
    now = standing(part.word, own)
    # A word that is still being typed may be the beginning of several; one that is followed by something may not.
    return _STANDING[Standing.UNKNOWN if now is Standing.OPEN and part.rest else now]


def _token_style(match: re.Match[str], known: Collection[str]) -> str:
    if match.lastgroup == "number":
        return "class:gd.number"
    return "class:gd.name" if match.lastgroup == "name" and match.group() in known else ""


def standing(word: str, own: Collection[str] = ()) -> Standing:
    """How `word` stands; asked at every key, so it looks for no suggestion as `registry.find` does."""
    if word in own:
        return Standing.KNOWN
    starting = len(registry.candidates(word))
    if starting == 1:
        return Standing.KNOWN
    return Standing.OPEN if starting or any(name.startswith(word) for name in own) else Standing.UNKNOWN
