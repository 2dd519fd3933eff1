"""What `whatif` is asked to try: `set lr 0.01 ;; step 50`, or `lr 0.001 0.01 0.1`, read into trials."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gdrepl.commands.arguments import parse_count
from gdrepl.commands.assignment import parse_setting
from gdrepl.commands.editing import SETTINGS
from gdrepl.commands.line import parts
from gdrepl.commands.registry import Command, registry
from gdrepl.commands.session import Session
from gdrepl.errors import CommandError, ExpressionError
from gdrepl.expression import parse_value

STEPS = 100
"""Updates of a trial that does not say how many."""
AS_IT_IS = "as it is"
RUNNING = ("step", "continue", "until", "advance", "run")
EXAMPLES = "for example whatif set lr 0.01 ;; step 50, or whatif lr 0.001 0.01 0.1"
_NEEDS_COUNT = ("continue", "run")
_TRIED_SETTINGS = ("engine",)
"""Settings that change what is run; the others change how it is shown or kept."""
_OPTIONS = (
    ("keep", re.compile(r"(?:\s*;;)?\s+keep(?:\s+(\S+))?$")),
    ("for", re.compile(r"\s+for\s+(\S+)$")),
    ("to", re.compile(r"\s+to\s+(\S+)$")),
)
_STRAY = re.compile(r".*\s(for|to|keep)\s+(.*)$", re.DOTALL)
_OPTION_EXAMPLE = "whatif lr 0.01 0.1 for 50 to 1e-3 keep fast"
_UNFINISHED = re.compile(r"\s(for|to)$")
_NAME = re.compile(r"[A-Za-z_][\w-]*(?:\[[^\]]*\])?")
_OPENING, _CLOSING = "([", ")]"


@dataclass(frozen=True, slots=True)
class Act:
    """One command of a trial, with the rest of its line."""

    command: Command
    rest: str

    @property
    def edits(self) -> bool:
        """Whether it changes something; else it runs."""
        return self.command.name == "set"

    @property
    def sets(self) -> str:
        """The name of what it sets, or ""."""
        name = _NAME.match(self.rest) if self.edits else None
        return "" if name is None else name.group().partition("[")[0]


@dataclass(frozen=True, slots=True)
class Trial:
    """One future to try: what it is called, and its commands."""

    label: str
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that is to be tried.

    Attributes:
        trials: at least one.
        same: the commands of the future without a change.
        target: the loss to count the updates to; None leaves it to the future without a change.
        keep: the name to keep the futures under; "" makes one of the label, None keeps none.
    """

    trials: tuple[Trial, ...]
    same: Trial
    target: float | None
    keep: str | None


def parse_wanted(text: str, session: Session) -> Wanted:
    """What stands behind `whatif`.

    Raises:
        CommandError: it is neither commands that may be tried nor a name and values.
    """
    text, options = _options(text.strip())
    _refuse_strays(text, options, session)
    steps, loss = options.get("for"), options.get("to")
    count = str(parse_count(steps, session)) if steps else ""
    acts = list(_acts(text)) if _is_line(text, session) else []
    trials = (_line_trial(acts, count, session),) if acts else tuple(_race(text, count, session))
    same = Trial(AS_IT_IS, tuple(act for act in trials[0].acts if not act.edits))
    keep = (options["keep"] or "") if "keep" in options else None
    return Wanted(trials, same, _loss(loss) if loss else None, keep)


def _options(text: str) -> tuple[str, dict[str, str | None]]:
    """The text without the options at its end, and those."""
    found: dict[str, str | None] = {}
    while True:
        unfinished = _UNFINISHED.search(text)
        if unfinished:
            needs = "a number of steps" if unfinished[1] == "for" else "a loss"
            raise CommandError(f"'{unfinished[1]}' needs {needs} after it", "for example whatif lr 0.01 0.1 for 50 to 1e-3")
        option = next(((name, match) for name, pattern in _OPTIONS if (match := pattern.search(text))), None)
        if option is None or option[0] in found:
            return text, found
        found[option[0]] = option[1][1]
        text = text[: option[1].start()].rstrip()


def _refuse_strays(text: str, options: Mapping[str, str | None], session: Session) -> None:
    """Say what is wrong with an option that was not understood, which would be tried as a value."""
    stray = _STRAY.search(text)
    if stray is None or stray[1] in session.debugger.problem.parameters:
        return
    word, rest = stray[1], stray[2].strip()
    if word in options:
        raise CommandError(f"'{word}' is given twice", f"for example {_OPTION_EXAMPLE}")
    takes = {"for": "a number of steps", "to": "a loss", "keep": "a name"}[word]
    wanted = next(iter(re.findall(r"[\w.+-]+$", rest)), "") if word == "to" and rest.startswith("loss") else ""
    hint = f"to {wanted} is the loss to get to" if wanted else f"for example {_OPTION_EXAMPLE}"
    raise CommandError(f"'{word}' takes {takes} alone, not '{rest[:40]}'", hint)


def _loss(text: str) -> float:
    try:
        value = parse_value(text)
    except ExpressionError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CommandError(f"'{text[:40]}' is not a loss", "to takes a number, such as to 1e-3")
    return float(value)


def _is_line(text: str, session: Session) -> bool:
    """Whether commands are to be tried, and not the values of a name: what can be set is no command here."""
    first = next(parts(text))
    if ";;" in text:
        return True
    name = _NAME.match(text)
    settable = registry.commands["set"].parameters[0].argument.complete(session)
    return bool(registry.candidates(first.word)) and not (name and name.group().partition("[")[0] in settable)


# --- commands -----------------------------------------------------------------------------------------------------------


def _acts(text: str) -> Iterator[Act]:
    for part in parts(text):
        if not part.text or part.is_comment:
            continue
        command, rest = _split(part.text)
        if command.name != "set" and command.name not in RUNNING:
            raise CommandError(f"whatif does not try {command.name}", f"it takes set, {', '.join(RUNNING)}")
        if command.name in _NEEDS_COUNT and not rest:
            raise CommandError(f"{command.name} needs a count here: no stop is armed", f"for example {command.name} {STEPS}")
        yield Act(command, rest)


def _split(text: str) -> tuple[Command, str]:
    try:
        return registry.split(text)
    except CommandError as error:
        error.hint = error.hint if _NAME.match(text) is None else f"whatif set lr 0.01 ;; step {STEPS} changes lr and runs"
        raise


def _line_trial(acts: list[Act], count: str, session: Session) -> Trial:
    edits = [act for act in acts if act.edits]
    if not edits:
        raise CommandError("whatif needs something to change", EXAMPLES)
    if len(edits) < len(acts) and count:
        raise CommandError("'for' is for lines that do not run by themselves", f"for example step {count}, without for")
    runs = () if len(edits) < len(acts) else (_run(count),)
    return Trial(", ".join(_label(act, session) for act in edits), (*acts, *runs))


def _run(count: str) -> Act:
    return Act(registry.commands["step"], count or str(STEPS))


def _label(edit: Act, session: Session) -> str:
    """`lr 0.01` for what `set lr 0.01` tries; an optimizer is called by its own name."""
    if not edit.rest:
        raise CommandError("set needs a name and a value", EXAMPLES)
    what = parse_setting(edit.rest, session)
    refused = what.name in SETTINGS and what.name not in _TRIED_SETTINGS
    if refused:
        raise CommandError(f"whatif does not try {what.name}", "it tries lr, optimizer, hyperparameters, parameters, engine")
    return what.value if what.name == "optimizer" else f"{what.name}{what.index} {what.value}"


# --- races --------------------------------------------------------------------------------------------------------------


def _race(text: str, count: str, session: Session) -> Iterator[Trial]:
    name = _NAME.match(text)
    if name is None:
        raise CommandError(f"'{text[:40]}' is nothing to try", EXAMPLES)
    values = list(_values(text[name.end() :]))
    if not values:
        raise CommandError(f"whatif {name.group()[:40]} needs values to try", EXAMPLES)
    for value in values:
        edit = Act(registry.commands["set"], f"{name.group()} {value}")
        yield Trial(_label(edit, session), (edit, _run(count)))


def _values(text: str) -> Iterator[str]:
    """Values between blanks; brackets hold one together, and so do quotes, which are taken away."""
    value, depth, quote = "", 0, ""
    for character in text:
        if character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote = character
        elif character.isspace() and not depth and not quote:
            yield from [value] if value else []
            value = ""
        else:
            depth += (character in _OPENING) - (character in _CLOSING)
            value += character
    yield from [value] if value.strip() else []
