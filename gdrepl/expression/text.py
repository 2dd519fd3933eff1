"""Text -> Python's own tree, unchecked: what keeps hostile text cheap comes before Python's parser sees it.

Length, characters and nesting are read off the text; what the parser refuses is told in a line, with what to type instead.
"""

from __future__ import annotations

import ast
import re
import warnings

from gdrepl.errors import ExpressionError

MAX_LENGTH = 2_000
MAX_DEPTH = 100

_LOOK_ALIKES = {
    "\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u00b2": "**2", "\u00b3": "**3",
    "\u2264": "<=", "\u2265": ">=", "\u2260": "!=", "\u03c0": "pi",
}  # fmt: skip
"""What texts about mathematics print in place of what is typed here."""
_PREFIX_RUN = re.compile(rf"(?:[-+~]|not\b|\s){{{MAX_DEPTH + 1},}}")


def check_text(text: str) -> None:
    """See that `text` may be given to Python's parser.

    Raises:
        ExpressionError: it is empty, too long or nested too deep, or has a character that is not of the language.
    """
    if not text:
        raise ExpressionError("an expression is missing", hint="for example (x - 50)**2")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression has {len(text)} characters; {MAX_LENGTH} are allowed")
    for column, character in enumerate(text):
        if not character.isascii() or not character.isprintable():
            shown, meant = f"U+{ord(character):04X}", _LOOK_ALIKES.get(character)
            hint = f"type {meant} in its place" if meant else ""
            raise ExpressionError(f"character {shown} at column {column + 1} is not part of the language", text, column, hint)
        if character in "\"'`":
            raise ExpressionError("strings are not part of the language", text, column)
    _check_nesting(text)


def _check_nesting(text: str) -> None:
    """Refuse deep nesting before Python's recursive parser sees it."""
    depth = 0
    for column, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested more than {MAX_DEPTH} levels deep", text, column)
    run = _PREFIX_RUN.search(text)
    if run and len(run.group().split()) + run.group().count("-") + run.group().count("+") > MAX_DEPTH:
        raise ExpressionError(f"nested more than {MAX_DEPTH} levels deep", text, run.start())


def python_tree(text: str) -> ast.expr:
    """The tree of a text that was checked.

    Raises:
        ExpressionError: it is no expression of Python's.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of `1if x` and of calls on numbers; the whitelist refuses them
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        if error.offset == 0:  # Python's way to say that the text ended
            raise ExpressionError("not an expression: something is missing at its end", text, len(text)) from None
        column = min(max((error.offset or 1) - 1, 0), len(text))
        raise ExpressionError(f"not an expression: {_plain(error.msg)}", text, column, _hint(text, error.msg)) from None
    except (RecursionError, MemoryError, ValueError, OverflowError):
        raise ExpressionError(f"nested more than {MAX_DEPTH} levels deep", text, 0) from None


def _plain(message: str) -> str:
    return message.split(". ")[0].split("(<")[0].strip()


def _hint(text: str, message: str) -> str:
    """What to type in place of a slip that people bring along from other languages."""
    if "positional argument" in message:
        return "what follows a named value needs a name, too"
    for other, ours in (("&&", "conditions are joined by and"), ("||", "conditions are joined by or")):
        if other in text:
            return ours
    if ";" in text:
        return "commands are joined by ;;"
    if re.search(r"!(?!=)", text):
        return "a condition is turned round by not"
    return "a comparison is written ==" if _looks_like_assignment(text) else ""


def _looks_like_assignment(text: str) -> bool:
    return re.search(r"[^=<>!:]=[^=]", text) is not None
