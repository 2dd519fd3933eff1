"""One registry for all commands: a command is a function with typed arguments and a docstring, that returns a result.

The annotation of an argument says how it is parsed, validated, completed and shown in help; nothing about a command stands
anywhere else. Lines are resolved as gdb does: the exact name, then a short form, then a prefix that only one command has.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gdrepl.errors import CommandError, did_you_mean
from gdrepl.expression import POINT_NAMES

if TYPE_CHECKING:
    from gdrepl.commands.session import Session

_NAME = re.compile(r"[A-Za-z][A-Za-z-]*(?=[^\w\s-])")

Completer = Callable[["Session"], Iterable[str]]


def no_completion(session: Session) -> Iterable[str]:
    """Nothing to offer."""
    return ()


@dataclass(frozen=True, slots=True)
class Argument:
    """How one argument is written.

    Attributes:
        name: as it stands in the usage line.
        parse: its text -> its value; raises CommandError with one clear line.
        complete: what Tab offers for it.
        rest: True takes the rest of the line, blanks and all; else one word.
        after: what Tab offers behind the words that are typed already; None offers the same as `complete`.
    """

    name: str
    parse: Callable[[str, Session], Any]
    complete: Completer = no_completion
    rest: bool = False
    after: Callable[[Session, str], Iterable[str]] | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of one command: required unless it has a default."""

    argument: Argument
    key: str
    required: bool

    def usage(self) -> str:
        """NAME or [NAME]."""
        name = self.argument.name.upper()
        return name if self.required else f"[{name}]"


@dataclass(frozen=True, slots=True)
class Command:
    """A registered command."""

    name: str
    short: tuple[str, ...]
    group: str
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    recorded: bool
    repeats: bool
    instant: bool
    syntax: str
    block: bool = False
    whole_line: bool = False
    runs: bool = False
    yields: bool = False

    @property
    def usage(self) -> str:
        """The usage line, such as `step [COUNT]`."""
        return " ".join([self.name, self.syntax or " ".join(parameter.usage() for parameter in self.parameters)]).strip()

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self._doc().split("\n", 1)[0].strip()

    @property
    def text(self) -> str:
        """The docstring without its first line and its example."""
        body = self._doc().split("\n", 1)[1] if "\n" in self._doc() else ""
        return re.sub(r"\n?Example:.*", "", body, flags=re.DOTALL).strip()

    @property
    def example(self) -> str:
        """The line after `Example:`."""
        found = re.search(r"Example:[ \t]*(.+)", self._doc())
        return found.group(1).strip() if found else ""

    def _doc(self) -> str:
        return inspect.cleandoc(self.function.__doc__ or "")

    def parse(self, text: str, session: Session) -> dict[str, Any]:
        """Read the arguments from the rest of a line.

        Raises:
            CommandError: one is missing, left over or wrong.
        """
        values: dict[str, Any] = {}
        rest = text.strip()
        for parameter in self.parameters:
            word, rest = (rest, "") if parameter.argument.rest else _first_word(rest)
            if word:
                values[parameter.key] = parameter.argument.parse(word, session)
            elif parameter.required:
                hint = f"for example {self.example}" if self.example else f"usage: {self.usage}"
                raise CommandError(f"{self.name} needs {parameter.argument.name.upper()}", hint)
        if rest:
            raise CommandError(f"{self.name} does not take '{rest[:40]}'", f"usage: {self.usage}")
        return values


class Registry:
    """The commands by name."""

    def __init__(self) -> None:
        self.commands: dict[str, Command] = {}
        self.short: dict[str, Command] = {}

    def __iter__(self) -> Iterator[Command]:
        return iter(self.commands.values())

    def command(
        self,
        name: str,
        *short: str,
        group: str,
        recorded: bool = True,
        repeats: bool = False,
        instant: bool = False,
        syntax: str = "",
        block: bool = False,
        whole_line: bool = False,
        runs: bool = False,
        yields: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register the function below under `name` and its short forms.

        Args:
            group: the heading in `help`.
            recorded: whether the line and its result go into session files.
            repeats: whether an empty line does it again.
            instant: True when it never needs TensorFlow.
            syntax: the arguments in the usage line, where their names alone would not say enough.
            block: True when lines up to `end` follow; the function takes them as the keyword `lines`, a tuple of texts.
            whole_line: True when the rest of the line belongs to it, `;;` and all.
            runs: True when it is one run and its result tells of it, so that it can be made again up to where it was cut off.
            yields: True when parameters are often called so: a line that is an expression or an assignment is not its own.
        """

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            flags = (recorded, repeats, instant, syntax, block, whole_line, runs, yields)
            command = Command(name, short, group, function, _parameters(function), *flags)
            taken = {name, *short} & {*self.commands, *self.short}
            if taken:
                raise ValueError(f"{name}: {', '.join(taken)} names another command already")
            self.commands[name] = command
            self.short.update(dict.fromkeys(short, command))
            return function

        return register

    def candidates(self, word: str) -> list[Command]:
        """The commands that `word` may mean: the one that is called so, or those whose names begin so.

        Where one of these is the beginning of all others, as step is of stepi, it alone is meant. A name of the expression
        language, such as lr, begins no command.
        """
        exact = self.commands.get(word) or self.short.get(word)
        if exact is not None:
            return [exact]
        found = [command for command in self if command.name.startswith(word) and word not in POINT_NAMES]
        shortest = min(found, key=lambda command: len(command.name), default=None)
        if shortest is not None and all(command.name.startswith(shortest.name) for command in found):
            return [shortest]
        return found

    def find(self, word: str) -> Command:
        """The command that `word` names, by itself, a short form or a unique prefix.

        Raises:
            CommandError: none, or several.
        """
        candidates = self.candidates(word)
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            names = ", ".join(sorted(command.name for command in candidates))
            raise CommandError(f"'{word}' could be {names}", "type more of it")
        hint = did_you_mean(word, [*self.commands, *self.short]) or "help lists the commands"
        raise CommandError(f"unknown command '{word[:40]}'", hint)

    def split(self, line: str) -> tuple[Command, str]:
        """The command of a line, and the rest of it.

        Raises:
            CommandError: the command is unknown or ambiguous.
        """
        body = line.strip()
        word = command_word(body)
        return self.find(word), body[len(word) :].strip()


registry = Registry()


def _parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for key, parameter in list(inspect.signature(function).parameters.items())[1:]:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:  # the lines of a block
            continue
        argument = next(item for item in _metadata(hints[key]) if isinstance(item, Argument))
        found.append(Parameter(argument, key, parameter.default is inspect.Parameter.empty))
    return tuple(found)


def _metadata(annotation: Any) -> Iterable[Any]:
    """The metadata of an Annotated type, also inside `X | None`."""
    yield from getattr(annotation, "__metadata__", ())
    for inner in typing.get_args(annotation):
        yield from getattr(inner, "__metadata__", ())


def command_word(body: str) -> str:
    """The first word; print(x) and break(...) are read as people mean them: the name ends where the bracket begins."""
    word = _first_word(body)[0]
    name = _NAME.match(word)
    return name.group() if name else word


def _first_word(text: str) -> tuple[str, str]:
    parts = text.split(None, 1)
    return (parts[0] if parts else "", parts[1] if len(parts) > 1 else "")
