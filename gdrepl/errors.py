"""The few errors that a user may see: each is one line, and a hint that says what to type instead.

Anything that is not a `GdreplError` is a bug of gdrepl and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def one_line(text: str) -> str:
    """`text` with every character that a terminal would obey written as an escape, such as \\x1b or \\n."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class GdreplError(Exception):
    """Base of what a user may see: one line, and a hint, in which nothing that a file holds can move the cursor."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = one_line(message)
        self.hint = one_line(hint)


class CommandError(GdreplError):
    """The line typed is wrong. State is untouched."""


class ConfirmationNeeded(CommandError):  # noqa: N818 (a question, more than an error)
    """The line would throw something away: a person is asked `question` first, anybody else types `line`, which says yes."""

    def __init__(self, question: str, line: str) -> None:
        super().__init__(f"{question}? It needs a yes", line)
        self.question = one_line(question)
        self.line = line


class ExpressionError(CommandError):
    """An expression is refused or cannot be computed; `column` counts from 0 into `text`."""

    def __init__(self, message: str, text: str = "", column: int = 0, hint: str = "") -> None:
        super().__init__(message, hint)
        self.text = text
        self.column = column

    def caret(self) -> str:
        """The expression with a caret under the column, as two lines; empty when there is no text to point into."""
        if not self.text or not self.text.isprintable():
            return ""
        start = max(0, self.column - 60)
        shown = self.text[start : start + 76]
        return f"{shown}\n{' ' * (self.column - start)}^"


class ProblemError(GdreplError):
    """The problem cannot be built or its loss cannot be computed. The problem in force before stays in force."""


class SessionFileError(GdreplError):
    """A session file cannot be read; `line` counts from 1, as editors do, and 0 stands for the whole file."""

    def __init__(self, message: str, line: int = 0, hint: str = "") -> None:
        super().__init__(f"line {line}: {message}" if line else message, hint)
        self.line = line


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or an empty string when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""
