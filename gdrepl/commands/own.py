"""The commands and aliases that a session's user has made: `define` and `alias`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gdrepl.commands.line import command_of
from gdrepl.commands.registry import command_word, registry
from gdrepl.errors import CommandError, did_you_mean

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_ARGUMENT = re.compile(r"\$(argc|arg(\d{1,3}))(?![A-Za-z0-9_])")
_WORDS = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"']|["'])+""")
_RESERVED = ("end", "silent", "all")
MOST_OWN = 1_000

_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_NO_ALIAS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Own:
    """What the user has made, by name; a name stands in one table only.

    Attributes:
        defined: name -> the lines that it runs.
        aliases: name -> the text that takes its place at the beginning of a line.
    """

    defined: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    aliases: Mapping[str, str] = field(default_factory=lambda: _NO_ALIAS)

    def names(self) -> list[str]:
        """All names."""
        return [*self.defined, *self.aliases]

    def as_lines(self, without: Collection[str] = ()) -> list[str]:
        """The lines that make these again, but for names in `without`."""
        defined = [
            " ;; ".join([f"define {name}", *lines, "end"]) for name, lines in self.defined.items() if name not in without
        ]
        return [*defined, *(f"alias {name} = {text}" for name, text in self.aliases.items() if name not in without)]

    def with_definition(self, name: str, lines: tuple[str, ...]) -> Own:
        """These, and one command.

        Raises:
            CommandError: it cannot be called so.
        """
        self._check(name, self.aliases, "an alias")
        return replace(self, defined={**self.defined, name: lines})

    def with_alias(self, name: str, text: str) -> Own:
        """These, and one alias, whose text is expanded now: an alias never leads to itself.

        Raises:
            CommandError: it cannot be called so, or stands for no command.
        """
        self._check(name, self.defined, "a command made by define")
        expanded = self.expand(text)
        word = command_word(expanded)
        if word not in self.defined:
            expanded = registry.find(word).name + expanded[len(word) :]
        return replace(self, aliases={**self.aliases, name: expanded})

    def without_definition(self, name: str) -> Own:
        """These, less one command.

        Raises:
            CommandError: there is none of that name.
        """
        if name not in self.defined:
            raise CommandError(f"{name} has no lines", f"for example define {name} ;; print x ;; end")
        return replace(self, defined={other: lines for other, lines in self.defined.items() if other != name})

    def without_alias(self, name: str) -> Own:
        """These, less one alias.

        Raises:
            CommandError: there is none of that name.
        """
        if name not in self.aliases:
            near = did_you_mean(name, self.aliases)
            raise CommandError(f"there is no alias '{name[:40]}'", near or f"alias {name[:40]} = step 10 makes one")
        return replace(self, aliases={other: text for other, text in self.aliases.items() if other != name})

    def _check(self, name: str, others: Mapping[str, object], what: str) -> None:
        check_own_name(name)
        if name in others:
            raise CommandError(f"'{name}' is {what} already", "choose another name")
        if len(self.names()) >= MOST_OWN:
            raise CommandError(f"there are {MOST_OWN} commands and aliases already", "start another session")

    def expand(self, text: str) -> str:
        """`text` with the alias at its beginning replaced, if one stands there."""
        word = command_word(text)
        return self.aliases[word] + text[len(word) :] if word in self.aliases else text

    def opens_block(self, text: str) -> bool:
        """Whether a line begins a block."""
        word = command_word(self.expand(text))
        command = None if word in self.defined else command_of(word)
        return command is not None and command.block

    def lines_of(self, name: str, rest: str) -> tuple[str, ...]:
        """The lines of a command with the words of `rest` put in for $arg0, $arg1, ..., and their number for $argc.

        Raises:
            CommandError: a line asks for a word that was not given.
        """
        words: list[str] = _WORDS.findall(rest)

        def value(match: re.Match[str]) -> str:
            if match[2] is None:
                return str(len(words))
            if int(match[2]) >= len(words):
                given = f"{len(words)} word{'s' if len(words) != 1 else ''}"
                raise CommandError(f"{name} needs $arg{int(match[2])}; it was given {given}", f"help {name} shows its lines")
            return words[int(match[2])]

        found: list[str] = []
        inside: list[bool] = []  # of each block that a line stands in, whether it makes a command with words of its own
        for line in self.defined[name]:
            if line == "end" and inside:
                inside.pop()
            found.append(line if any(inside) else _ARGUMENT.sub(value, line))
            if self.opens_block(line):
                inside.append(command_word(self.expand(line)) == "define")
        return tuple(found)


def check_own_name(name: str) -> str:
    """Return `name` if a command or an alias may be called so.

    Raises:
        CommandError: it is none, or a command's already.
    """
    if not _NAME.fullmatch(name):
        raise CommandError(f"'{name[:40]}' cannot be the name of a command", "letters, digits, _ and -, such as show-all")
    if name in registry.commands or name in registry.short:
        raise CommandError(f"'{name}' is a command already", f"help {name} tells of it; choose another name")
    if name in _RESERVED:
        raise CommandError(f"'{name}' has a meaning of its own", "choose another name")
    return name
