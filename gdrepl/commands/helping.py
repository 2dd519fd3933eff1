"""help, apropos and quit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gdrepl.commands.arguments import TOPICS, CommandName, Word
from gdrepl.commands.pages import PAGES
from gdrepl.commands.registry import Command, registry
from gdrepl.commands.results import HelpList, HelpPage, Quit
from gdrepl.commands.session import Session
from gdrepl.engine.events import EVENTS
from gdrepl.errors import CommandError, did_you_mean
from gdrepl.expression import FUNCTIONS

GROUPS = ("running", "time", "branches", "stops", "data", "insight", "editing", "files", "help")


def _expressions() -> str:
    return f"""Numbers, names, + - * / // % ** @, comparisons, and, or, not, lists such as [1, 2], indices such as w[0] and
W[:, 1:3], and calls of functions. Losses, conditions, print, display and plot all use it.

At a point (not inside a loss) these mean something too:
  step loss lr             the step, the loss there, the coming rate
  grad, grad(x)            the gradient; of one parameter
  update, update(x)        what the last update changed
  prev(E)                  E at the point before
  slot.NAME, slot.NAME(x)  an optimizer slot; info optimizer lists them
  pi, e                    constants
  $1, $, $$, $name         what print has shown: the first value, the last, the one before; what set $name = E keeps.
                           Stops, displays and losses hold its digits
  $value, $local, $gradient  of the frame in force (help frame)

The functions, of which `help functions` and help NAME tell more:
{", ".join(FUNCTIONS)}"""


def _functions() -> str:
    return "\n".join(f"  {function.usage:<24} {function.help}" for function in FUNCTIONS.values())


TOPIC_TEXT: Mapping[str, tuple[str, str]] = {
    "expressions": ("the language of losses, conditions, print, display and plot", _expressions()),
    "functions": ("what can be called in an expression", _functions()),
    "optimizers": (
        "every optimizer class that the installed Keras exports",
        "set optimizer adam(beta_1=0.8) puts one in force here, with new slots; set NAME VALUE changes one hyperparameter;\n"
        "info optimizer shows all of them and every slot; info optimizers lists what this Keras has.",
    ),
    "problems": (
        "where a problem comes from",
        "problem NAME takes one from the zoo (info problems lists it). Or type it: var x = 3.0, const a = 1.5,\n"
        'const X = csv("points.csv", x, y), loss (x - a)**2. The loss puts the problem in force, at step 0 of a new branch.',
    ),
    "schedules": (
        "learning rates that change with the updates",
        "set lr exponential_decay(0.1, decay_steps=100, decay_rate=0.9) puts a schedule in force, set lr 0.1 a number;\n"
        "info schedules lists those of this Keras. A schedule counts the optimizer's own updates (slot.iteration).",
    ),
    "sessions": (
        "session files, the journal, replay",
        "save FILE writes a .gds file, load FILE goes on from it. `gdrepl replay FILE` and pytest run its commands again and\n"
        "compare their results and every point. `gdrepl show FILE` sums it up. A session that was killed is continued by\n"
        "`gdrepl resume`.",
    ),
    **PAGES,
}
assert set(TOPIC_TEXT) == set(TOPICS)


@registry.command("help", "h", group="help", recorded=False, instant=True)
def help_(session: Session, command: CommandName | None = None) -> HelpList | HelpPage:
    """List the commands, or explain one, or a topic.

    `help all` lists them with a line each, help running those of a group. Commands may be shortened to any prefix that only
    one of them has. `;;` joins commands. On a terminal an empty line does the last line again, if that ran, moved or
    asked, and changed nothing else.

    Example: help step
    """
    if command is None:
        return replace(_everything(), brief=True, note=_MORE)
    if command == "all":
        return _everything()
    if command in session.own.defined:
        return _own_page(command, session.own.defined[command])
    if command in session.own.aliases:
        text = session.own.aliases[command]
        return HelpPage(command, f"{command} ...", f"An alias: it stands for {text}", "")
    if command in TOPIC_TEXT:
        return _topic(command)
    if command in GROUPS and command not in registry.commands:
        return HelpList(((command, _listed(command)),))
    if command in FUNCTIONS and command not in registry.commands:
        also = f"`catch {command}` is another thing, an event: {EVENTS[command]().definition()}." if command in EVENTS else ""
        return HelpPage(command, FUNCTIONS[command].usage, FUNCTIONS[command].help, also)
    if command in EVENTS:
        return _event_page(command)
    word = command.split()[0]  # help info branches, help plot loss: what follows is no page
    if registry.candidates(word):
        return _page(registry.find(word))
    if word in _TOLD_OF:
        return _page(registry.find(_TOLD_OF[word]))
    near = did_you_mean(command, [*registry.commands, *TOPICS]) or "help lists the commands"
    raise CommandError(f"there is no help for '{command[:40]}'", near)


_TOLD_OF = {"silent": "commands", "end": "define", "once": "enable", "events": "catch", "values": "print", "settings": "set"}
"""Words that are no commands themselves, and the command whose help tells of them."""


_MORE = f"help all tells a line of each, help step all of one. Topics: {', '.join(TOPICS)}."


def _everything() -> HelpList:
    return HelpList(tuple((group, _listed(group)) for group in GROUPS))


def _listed(group: str) -> tuple[tuple[str, str], ...]:
    return tuple((command.usage, command.summary) for command in registry if command.group == group)


def _own_page(name: str, lines: tuple[str, ...]) -> HelpPage:
    return HelpPage(name, name, "A command made by define:", "\n".join(f"  {line}" for line in lines))


def _topic(name: str) -> HelpPage:
    """A page, and the commands of its heading, where it has one."""
    summary, text = TOPIC_TEXT[name]
    commands = ", ".join(command.name for command in registry if command.group == name)
    return HelpPage(name, name, summary, f"{text}\n\nCommands: {commands}. help NAME tells of each." if commands else text)


def _event_page(name: str) -> HelpPage:
    """What an event is, with its thresholds, as `info events` has it."""
    event = EVENTS[name]()
    given = " ".join(f"{name}={value:g}" for name, value in event.thresholds().items())
    text = f"It fires where that begins. What to look at then: {event.next}."
    return HelpPage(name, f"catch {name} {given}".rstrip(), f"An event: {event.definition()}.", text, f"catch {name}")


def _page(command: Command) -> HelpPage:
    return HelpPage(command.name, command.usage, command.summary, command.text, command.example, command.short)


@registry.command("apropos", group="help", recorded=False, instant=True)
def apropos(session: Session, word: Word) -> HelpList:
    """List the commands whose help speaks of WORD.

    Example: apropos gradient
    """
    wanted = word.lower()
    named, speaking = [], []
    for command in registry:
        if wanted in command.name:
            named.append((command.usage, command.summary))
        elif any(wanted in text.lower() for text in (command.usage, command.summary, command.text)):
            speaking.append((command.usage, command.summary))
    found = (*named, *speaking)
    if not found:
        raise CommandError(f"no help speaks of '{word[:40]}'", "help lists all commands")
    return HelpList(((f"commands about {word}", found),))


@registry.command("quit", "q", "exit", group="help", recorded=False, instant=True)
def quit_(session: Session) -> Quit:
    """End the session; its journal is closed.

    Example: quit
    """
    return Quit()
