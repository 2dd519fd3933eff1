"""Commands that make commands: define and alias."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from gdrepl.commands.own import check_own_name
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.results import Done
from gdrepl.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable

from gdrepl.commands.session import Session


def _parse_name(text: str, session: Session) -> str:
    return check_own_name(text)


def _own_names(session: Session) -> Iterable[str]:
    return session.own.names()


@dataclass(frozen=True, slots=True)
class Alias:
    """A name, and what it stands for; "" for nothing any more."""

    name: str
    text: str


def parse_alias(text: str, session: Session) -> Alias:
    """`NAME = COMMAND ...`, `NAME COMMAND ...`, or NAME alone, which takes it away."""
    if re.fullmatch(r"[^\s=]+", text):
        return Alias(check_own_name(text), "")
    match = re.fullmatch(r"([^\s=]+)(?:\s*=\s*|\s+)(\S.*)", text)
    if match is None:
        raise CommandError(f"'{text[:40]}' is not a name and a command", "for example alias s10 = step 10")
    return Alias(check_own_name(match[1]), match[2].strip())


def _aliases(session: Session) -> Iterable[str]:
    return session.own.aliases


def _after_alias(session: Session, head: str) -> Iterable[str]:
    """Behind the name a command; what may stand behind that is not told."""
    return [*registry.commands, *session.own.names()] if len(head.replace("=", " ").split()) == 1 else ()


OwnName = Annotated[str, Argument("name", _parse_name, _own_names)]
AliasText = Annotated[Alias, Argument("name = command", parse_alias, _aliases, rest=True, after=_after_alias)]


@registry.command("define", group="files", instant=True, block=True, syntax="NAME, lines, end")
def define(session: Session, name: OwnName, *, lines: tuple[str, ...]) -> Done:
    """Make a command NAME of the lines that follow, up to `end`.

    NAME then runs them, and each is recorded as if it had been typed. $arg0, $arg1 and so on stand for the words behind NAME,
    $argc for their number. `help NAME` shows the lines. On one line it is written with `;;`. No lines at all take NAME away.

    Example: define look ;; print x ;; print $arg0 ;; end
    """
    if not lines:
        session.own = session.own.without_definition(name)
        return Done(f"{name} is no command any more")
    anew = name in session.own.defined
    session.own = session.own.with_definition(name, lines)
    counted = f"{len(lines)} line{'s' if len(lines) != 1 else ''}"
    return Done(f"{name} is defined{' anew' if anew else ''}: {counted}")


@registry.command("alias", group="files", instant=True, syntax="NAME [= COMMAND]")
def alias(session: Session, what: AliasText) -> Done:
    """Let NAME stand for the beginning of a command.

    What follows NAME on a line is put behind it: after `alias until-low = until loss <`, the line `until-low 1` is
    `until loss < 1`. A recording holds the line that NAME stands for. `alias NAME` alone takes it away.

    Example: alias s10 = step 10
    """
    if not what.text:
        session.own = session.own.without_alias(what.name)
        return Done(f"{what.name} is no alias any more")
    session.own = session.own.with_alias(what.name, what.text)
    return Done(f"{what.name} is {session.own.aliases[what.name]}")
