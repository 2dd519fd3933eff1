"""What `info` answers: the problem, the optimizer, the session, the stops and the displays."""

from __future__ import annotations

from collections.abc import Mapping

from gdrepl.commands.results import (
    ConstantInfo,
    Described,
    Displays,
    OptimizerInfo,
    ParameterInfo,
    ProblemInfo,
    SessionInfo,
    SlotInfo,
    StopInfo,
    Stops,
    StopSet,
    Variables,
)
from gdrepl.display import numbers
from gdrepl.display.points import displayed
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, safe, table

_HEX_SHOWN = 12
_LEAST_FOR_STOPS = 48  # cells; on a narrower screen a stop takes lines of its own
_SET = {
    "breakpoint": "breakpoint {id}: stops {once}when {text}",
    "watchpoint": "watchpoint {id}: stops {once}at a change of {text}",
    "event": "catchpoint {id}: stops {once}at {text}",
}
_KINDS = {"event": "catchpoint"}


def described(result: Described, style: Style) -> list[Line]:
    """The kind of an expression, its shape and dtype."""
    text = f"{result.expression}: {result.kind}, {numbers.shape_of(result.shape)}, {result.dtype}"
    return prose(text, style, then="  ")


# --- stops and displays -------------------------------------------------------------------------------------------------


def stops(result: Stops, style: Style) -> list[Line]:
    """The stops as gdb lists them, each with what it saw last and its commands below."""
    if not result.stops:
        return [[("no breakpoints", "")]]
    if style.width < _LEAST_FOR_STOPS:
        return [line for stop in result.stops for line in _stacked_stop(stop, style)]
    header: list[Span] = [(word, "dim") for word in ("Num", "Kind", "Enb", "Hits", "What")]
    return table(
        [header, *([(text, "") for text in _stop_cells(stop, style)] for stop in result.stops)], style, indent=0, wrapped=True
    )


def _stop_cells(stop: StopInfo, style: Style) -> tuple[str, ...]:
    name = f"{stop.name}: " if stop.name else ""
    notes = [
        "once" if stop.temporary or stop.once else "",
        f"skips {stop.ignore} more" if stop.ignore else "",
        f"cannot be computed here: {stop.note}" if stop.note else "",
        _last_seen(stop, style),
        f"then {'; '.join(stop.commands)}" if stop.commands else "",
    ]
    extra = "".join(f"   ({note})" for note in notes if note)
    kind = _KINDS.get(stop.kind, stop.kind)
    return str(stop.id), kind, "y" if stop.enabled else "n", str(stop.hits), name + stop.text + extra


def _stacked_stop(stop: StopInfo, style: Style) -> list[Line]:
    """A stop on a narrow screen: number, kind and hits, and what it waits for below."""
    number, kind, _, hits, what = _stop_cells(stop, style)
    off = "" if stop.enabled else ", off"
    head = f"{number} {kind}{off}, {hits} hit{'s' if stop.hits != 1 else ''}"
    return [*prose(head, style, then="  "), *prose(what, style, first="  ", then="  ")]


def _last_seen(stop: StopInfo, style: Style) -> str:
    if stop.seen_at is None:
        return ""
    value = "" if stop.seen is None else f"{numbers.fit(stop.seen, style.width // 3, style.precision)} "
    return f"last {value}at step {stop.seen_at}"


def stop_set(result: StopSet, style: Style) -> list[Line]:
    """What a new breakpoint waits for."""
    pattern = _SET.get(result.kind, _SET["breakpoint"])
    once = "once, " if result.temporary else ""
    called = f"{result.id} ({result.name})" if result.name else str(result.id)
    lines = prose(pattern.format(id=called, text=result.text, once=once), style, then="  ")
    return lines + (prose(result.definition, style, "dim", first="  ", then="  ") if result.definition else [])


def displays(result: Displays, style: Style) -> list[Line]:
    """Every display with its value."""
    return displayed(result.displays, style) or [[("no displays", "")]]


# --- the problem --------------------------------------------------------------------------------------------------------


def problem(result: ProblemInfo, style: Style) -> list[Line]:
    """Everything about the problem in force."""
    facts = [("loss", result.loss), ("computed", f"in {result.dtype} by the {result.engine} engine")]
    if result.minimum is not None:
        facts.append(("minimum", numbers.show(result.minimum, style.precision) + _at(result.minima, style)))
    known = (("domain", result.domain), ("source", result.source), ("about", result.description))
    facts += [(name, text) for name, text in known if text]
    lines = [[("problem ", ""), (result.name, "bold")]] if result.name else [[("problem", "")]]
    lines += _facts(facts, style)
    return lines + variables(Variables(result.parameters, result.constants), style)


def variables(result: Variables, style: Style) -> list[Line]:
    """The parameters with their values, and the constants with where they came from."""
    lines = _titled("parameters", [_parameter(info, style) for info in result.parameters], style)
    lines += _titled("constants", [_constant(info, style) for info in result.constants], style)
    return lines + _titled("files", [_file(info) for info in result.constants if info.origin], style)


def _at(minima: tuple[Mapping[str, object], ...], style: Style) -> str:
    """Where a minimum is taken, as ` at x = 1, y = 1`; several places by `or`."""
    places = [
        ", ".join(f"{name} = {numbers.fit(value, 40, style.precision)}" for name, value in place.items())
        for place in minima[:4]
    ]
    more = f" and {len(minima) - 4} more places" if len(minima) > 4 else ""
    return f" at {' or '.join(places)}{more}" if places else ""


def _parameter(info: ParameterInfo, style: Style) -> list[Span]:
    start, value = (numbers.fit(array, style.width // 3, style.precision) for array in (info.start, info.value))
    return [(info.name, ""), (numbers.shape_of(info.shape), ""), (f"start {start}", ""), (f"here {value}", "bold")]


def _constant(info: ConstantInfo, style: Style) -> list[Span]:
    many = info.value.ndim > 1
    value = (
        ", ".join(numbers.spread(info.value, style.precision))
        if many
        else numbers.fit(info.value, style.width // 2, style.precision)
    )
    return [(info.name, ""), (numbers.shape_of(info.shape), ""), (value, "")]


def _file(info: ConstantInfo) -> list[Span]:
    return [(info.name, ""), (info.origin, ""), (f"sha256 {info.sha256[:_HEX_SHOWN]}..." if info.sha256 else "", "dim")]


def origin(path: str, sha256: str) -> str:
    """`from FILE, sha256 0a1b2c...`; empty when it came from no file."""
    if not path:
        return ""
    return f"from {path}, sha256 {sha256[:_HEX_SHOWN]}..." if sha256 else f"from {path}"


# --- the optimizer ------------------------------------------------------------------------------------------------------


def optimizer(result: OptimizerInfo, style: Style) -> list[Line]:
    """Every hyperparameter and every slot."""
    rate = numbers.show(result.learning_rate, style.precision)
    values = [("learning_rate", f"{rate}   by {result.schedule}" if result.schedule else rate)]
    values += [
        (name, numbers.show(value, style.precision))
        for name, value in result.hyperparameters.items()
        if name != "learning_rate"
    ]
    lines = [[("optimizer ", ""), (result.name, "bold")], *prose(result.text, style, "dim", first="  ", then="    ")]
    lines += table([[(name, ""), (value, "bold")] for name, value in values], style)
    return lines + _titled("slots", [_slot(slot, style) for slot in result.slots], style)


def _slot(slot: SlotInfo, style: Style) -> list[Span]:
    name = slot.slot if slot.parameter is None else f"{slot.slot} of {slot.parameter}"
    return [(name, ""), (numbers.fit(slot.value, style.width * 2 // 3, style.precision), "bold")]


# --- the session --------------------------------------------------------------------------------------------------------


def session(result: SessionInfo, style: Style) -> list[Line]:
    """Facts, a line each."""
    return _facts([(name, _fact(value, style)) for name, value in result.facts.items()], style, indent="")


def _fact(value: object, style: Style) -> str:
    """Any value in words: names and numbers side by side, a list by commas."""
    if isinstance(value, str):
        return value or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(inner, style)}" for name, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_fact(inner, style) for inner in value) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return numbers.fit(value, style.width // 2, style.precision)


def _facts(facts: list[tuple[str, str]], style: Style, indent: str = "  ") -> list[Line]:
    """Aligned names, and texts that wrap under themselves."""
    cells = min(max((len(safe(name)) for name, _ in facts), default=0), style.width // 3)
    lines: list[Line] = []
    for name, text in facts:
        hanging = " " * (len(indent) + cells + 2)
        [first, *rest] = prose(text, style, first=hanging, then=hanging)
        label = safe(name, style.ascii_only)[:cells].replace("_", " ").ljust(cells)
        lines += [[(f"{indent}{label}  ", "dim"), *first[1:]], *rest]
    return lines


def _titled(title: str, rows: list[list[Span]], style: Style) -> list[Line]:
    """A table under a dim title; nothing when there are no rows."""
    return [[(title, "dim")], *table(rows, style)] if rows else []
