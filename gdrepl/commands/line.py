"""A line as it is typed: its commands between `;;`. Whoever runs, highlights or completes lines reads them here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gdrepl.commands.registry import Command, command_word, registry
from gdrepl.errors import CommandError

_CUTS = re.compile(r"""(?<=[\s(,=])("[^"]*"|'[^']*')|;;""")
YES = "--yes"
"""What says yes on a line to what is asked at a terminal."""
END = "end"
"""The line that ends a block."""
_END = re.compile(rf";;(?=\s*{END}\s*$)")
_COMMENT = re.compile(r"""(?<=[\s(,=])("[^"]*"|'[^']*')|(?<!\S)#""")


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a line: blanks, the command word, and the rest as it stands; `start` is where the part begins."""

    start: int
    indent: str
    word: str
    rest: str

    @property
    def text(self) -> str:
        """The command without the blanks around it; empty where there is none."""
        return (self.word + self.rest).strip()

    @property
    def is_comment(self) -> bool:
        """True for a part that is skipped."""
        return self.word.startswith("#")

    @property
    def command(self) -> Command | None:
        """The command that the word names, or None."""
        return command_of(self.word)


def command_of(word: str) -> Command | None:
    """The command that `word` names, or None."""
    try:
        return registry.find(word) if word else None
    except CommandError:
        return None


def parts(line: str) -> Iterator[Part]:
    """The commands of a line. `;;` inside quotes joins nothing. Some commands go on to the end, and so does a comment, which is
    the last part: it begins with a # at the beginning of a word.
    """
    comment = next((match.start() for match in _COMMENT.finditer(line) if not match[1]), len(line))
    yield from _commands(line[:comment])
    if comment < len(line):
        yield Part(comment, "", line[comment:], "")


def _commands(line: str) -> Iterator[Part]:
    start = 0
    for cut in _CUTS.finditer(line):
        if cut[1]:
            continue
        part = _part(start, line[start : cut.start()])
        if takes_the_line(part.word):
            end = _END.search(line, start)
            yield _part(start, line[start : end.start() if end else len(line)])
            if end:
                yield _part(end.end(), END)
            return
        yield part
        start = cut.end()
    yield _part(start, line[start:])


def takes_the_line(word: str) -> bool:
    """Whether the command that `word` names keeps the `;;` behind it; asked at every key, so no suggestion is looked for."""
    candidates = registry.candidates(word) if word else []
    return len(candidates) == 1 and candidates[0].whole_line


def _part(start: int, text: str) -> Part:
    body = text.lstrip()
    word = command_word(body)
    return Part(start, text[: len(text) - len(body)], word, body[len(word) :])


def is_yes(answer: str) -> bool:
    """Whether an answer to a question says yes; whatever is not clear says no."""
    return answer.strip().lower() in ("y", "yes")
