"""An update explained: the formula in plain text, the terms with their numbers, the check against what happened, the notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gdrepl.display import numbers
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, prose, table, width_of
from gdrepl.engine.snapshot import Array
from gdrepl.insight.account import MOST_ULPS
from gdrepl.insight.explain import PARAMETER, Explained
from gdrepl.insight.sheet import UpdateTerm

_SYMBOLS = {
    "gradient": "g",
    "momentum": "m",
    "velocity": "v",
    "velocity_hat": "v'",
    "corrected momentum": "m'",
    "norm": "u",
    "average_gradient": "a",
    "accumulated_grad": "s",
    "accumulated_delta_var": "d",
    "gradient_accumulator": "gathered",
    "linear": "z",
    "u_product": "p",
}
"""What the formulas call a term."""
_PLAIN = {
    "gradient_accumulator": "",
    "accumulator": "squares s",
    "accumulated_grad": "squares",
    "accumulated_delta_var": "moves",
}
_GAP = "   "
_DIGITS = (5, 4)
"""Fewer digits, tried where those asked for leave no room for all numbers side by side."""
_LEAST_TWO_UP = 72  # cells


@dataclass(frozen=True, slots=True)
class Column:
    """One number that is shown: what it is called, of which parameter it is, and its place in the values of the terms."""

    label: str
    parameter: str
    place: int


def explained(result: Explained, style: Style) -> list[Line]:
    """One update on a screen: what stands above the terms holds for all numbers, then a column for each number."""
    lines = [*_header(result, style), *_verdict(result, style)]
    lines += _packed(result.formulas, style, "dim")
    lines += _packed([_pair(term, style) for term in result.terms if not term.parameter], style)
    notes = [line for note in result.notes for line in prose(note, style, "bold", first="* ", then="  ")]
    below = [*(_check(result, style) if result.known and result.accounts else []), *notes]
    columns = [Column(label, name, place) for name, each in result.coordinates.items() for place, label in enumerate(each)]
    room = style.height - 2 - len(lines) - len(below)
    return [*lines, *_terms(result, columns, style, room), *below]


def _header(result: Explained, style: Style) -> list[Line]:
    before, after = (numbers.show(each, style.precision) for each in result.loss)
    which = f"update {result.step} {style.arrow} {result.step + 1}{', to come' if result.coming else ''}"
    return prose(f"{which}: {result.optimizer}, loss {before} {style.arrow} {after}", style, "bold", then="  ")


def _verdict(result: Explained, style: Style) -> list[Line]:
    """What is to be said first: that the explanation is wrong."""
    if result.accounts or not result.known or result.worst_ulps is None:
        return []
    lines = prose("this explanation does not account for the update", style, "error", then="  ")
    off = f"{result.worst} is {_count(result.worst_ulps)} off what the terms come to"
    tolerance = result.tolerance_ulps
    if tolerance is None:
        return [*lines, *prose(f"{off}; rounding does not explain that", style, then="  ", first="  ")]
    if tolerance == float("inf"):
        blame = f"; there is no telling what rounding made in the {result.responsible}"
    else:
        blame = f"; rounding, above all in the {result.responsible}, explains {_count(tolerance)}"
    return [*lines, *prose(off + blame, style, first="  ", then="  ")]


def _check(result: Explained, style: Style) -> list[Line]:
    """How near the terms, computed again, came to what happened."""
    worst, other = result.worst_ulps, result.worst_ulps_float64
    assert worst is not None
    assert other is not None
    if result.tolerance_ulps is not None:
        near = f"{_count(worst)} off at {result.worst}, where rounding explains {_count(result.tolerance_ulps)}"
        said = f"{near}, above all in the {result.responsible}"
    else:
        said = f"within {_count(worst)} in {result.dtype}" if worst else f"the same bits in {result.dtype}"
    if result.dtype != "float64":
        rounding = ", by rounding" if other > MOST_ULPS and result.bounded else ""
        said += f"; in float64, within {_count(other)}{rounding}" if other else "; in float64 the same"
    return prose(f"computed again in NumPy: {said}", style, "dim", then="  ")


def _count(ulps: float) -> str:
    if ulps == float("inf"):
        return "infinitely many ULPs"
    whole = f"{ulps:.0f}" if ulps >= 10 or ulps == int(ulps) else f"{ulps:.1f}"
    return f"{whole if ulps < 1e7 else f'{ulps:.1e}'} ULP{'s' if whole != '1' else ''}"


def _pair(term: UpdateTerm, style: Style) -> str:
    """A shared term and its number."""
    return f"{_name(term)} {_value(term.value, term.before, style, min(style.precision, 7))}"


def _packed(pieces: Sequence[str], style: Style, role: str = "") -> list[Line]:
    """Short texts, several on a line where they fit."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + len(_GAP) + len(piece) <= style.width - 4:
            lines[-1] += _GAP + piece
        else:
            lines.append(piece)
    return [line for text in lines for line in prose(text, style, role, first="  ", then="    ")]


# --- the terms ----------------------------------------------------------------------------------------------------------


def _terms(result: Explained, columns: Sequence[Column], style: Style, room: int) -> list[Line]:
    """The terms: of one number as its room allows; of several as a table, or else as tables one below another."""
    if len(columns) == 1:
        left_out = _left_out(result, 1, columns, style)
        return [*_alone(result, columns[0], style, room - len(left_out)), *left_out]
    for digits in _digits(style):
        rows = _rows(result, columns, style, digits, arrows=True)
        if _fits(rows, style):
            return [*table(rows, style), *_left_out(result, len(columns), columns, style)]
    return _blocks(result, columns, style, room)


def _digits(style: Style) -> tuple[int, ...]:
    return (style.precision, *(each for each in _DIGITS if each < style.precision))


def _alone(result: Explained, column: Column, style: Style, room: int) -> list[Line]:
    """The terms of one number: below one another, where there is not the room in two columns, or else one behind the other."""
    rows = _named(_rows(result, [column], style, style.precision, arrows=True)[1:], column)
    if len(rows) <= room or style.width < _LEAST_TWO_UP:
        return table(rows, style)
    half = (len(rows) + 1) // 2
    for digits in _digits(style):
        rows = _named(_rows(result, [column], style, digits, arrows=True)[1:], column)
        blank: list[Span] = [("", ""), ("", "")]
        pairs = [[*left, *right] for left, right in zip(rows[:half], [*rows[half:], blank])]
        if _fits(pairs, style):
            return table(pairs, style)
    return _packed([" ".join(text for text, _ in row) for row in rows], style)


def _named(rows: list[list[Span]], column: Column) -> list[list[Span]]:
    """Without a header above it the parameter goes by its name."""
    return [[(column.label if text == PARAMETER else text, role), *rest] for (text, role), *rest in rows]


def _blocks(result: Explained, columns: Sequence[Column], style: Style, room: int) -> list[Line]:
    """As many columns side by side as fit, the others below them: all that were selected, or else as far as the screen goes."""
    lines: list[Line] = []
    start = 0
    while start < len(columns):
        count = len(columns) - start
        while count > 1 and not _fits(_rows(result, columns[start : start + count], style, _DIGITS[0], arrows=False), style):
            count -= 1
        block = table(_rows(result, columns[start : start + count], style, _DIGITS[0], arrows=False), style)
        if lines and not result.selected and len(lines) + len(block) + 1 > room:
            break
        lines += block
        start += count
    return [*lines, *_left_out(result, start, columns, style)]


def _left_out(result: Explained, shown: int, columns: Sequence[Column], style: Style) -> list[Line]:
    """How many numbers there are beside those that are shown, and how to see them."""
    if shown >= result.numbers:
        return []
    if len(result.coordinates) == 1:
        name, axes = columns[0].parameter, columns[0].label.count(",")
        rest = not axes and len(columns) == result.numbers  # they stand in order
        part = f"{shown}:" if rest else f"0:2{', :' * axes}"
        how = f"explain {result.step} {name}[{part}] shows {'the rest' if rest else 'others'}"
    else:
        name = columns[shown].parameter if shown < len(columns) else columns[0].parameter
        how = f"explain {result.step} {name} shows those of {name}"
    return prose(f"{shown} of {result.numbers} numbers; {how}", style, "dim", first="  ", then="  ")


def _rows(result: Explained, columns: Sequence[Column], style: Style, digits: int, arrows: bool) -> list[list[Span]]:
    """A header, then a row for each term; what a slot was stands before an arrow, or in a row of its own."""
    rows: list[list[Span]] = [[("", ""), *((column.label, "dim") for column in columns)]]
    for name, terms in _by_name(result):
        label = _name(next(iter(terms.values())))
        cells = [_cell(terms.get(column.parameter), column, style, digits, arrows) for column in columns]
        role = "bold" if name == PARAMETER else ""
        if not arrows and any(term.before is not None for term in terms.values()):
            was = [_was(terms.get(column.parameter), column, digits) for column in columns]
            rows.append([(f"{label} was", "dim"), *((cell, "dim") for cell in was)])
        rows.append([(label, role), *((cell, role) for cell in cells)])
        if not result.accounts and any(term.recomputed is not None for term in terms.values()):
            again = [_again(terms.get(column.parameter), column, digits) for column in columns]
            rows.append([("  computed again", "error"), *((cell, "error") for cell in again)])
    return rows


def _by_name(result: Explained) -> Iterator[tuple[str, dict[str, UpdateTerm]]]:
    """The terms of the parameters, those of one name together, in the order of the computation."""
    found: dict[str, dict[str, UpdateTerm]] = {}
    for term in result.terms:
        if term.parameter:
            found.setdefault(term.name, {})[term.parameter] = term
    ends = [name for name in ("update", PARAMETER) if name in found and (name == PARAMETER or not result.known)]
    last = [(name, found.pop(name)) for name in ends]
    yield from (*found.items(), *last)


def _name(term: UpdateTerm) -> str:
    if term.name in _PLAIN:
        return f"{_PLAIN[term.name]} {_SYMBOLS.get(term.name, '')}".strip()
    return f"{term.name if term.name.startswith('u_t') else term.name.replace('_', ' ')} {_SYMBOLS.get(term.name, '')}".strip()


def _cell(term: UpdateTerm | None, column: Column, style: Style, digits: int, arrows: bool) -> str:
    if term is None:
        return ""
    before = _at(term.before, column) if arrows and term.before is not None else None
    return _value(_at(term.value, column), before, style, digits)


def _was(term: UpdateTerm | None, column: Column, digits: int) -> str:
    return "" if term is None or term.before is None else numbers.show(_at(term.before, column), digits)


def _again(term: UpdateTerm | None, column: Column, digits: int) -> str:
    if term is None:
        return ""
    return numbers.show(_at(term.value if term.recomputed is None else term.recomputed, column), max(digits, 9))


def _at(value: Array, column: Column) -> Array:
    return value.reshape(-1)[column.place]  # type: ignore[no-any-return]


def _value(value: Array, before: Array | None, style: Style, digits: int) -> str:
    shown = numbers.show(value, digits)
    return shown if before is None else f"{numbers.show(before, digits)} {style.arrow} {shown}"


def _fits(rows: Sequence[Sequence[Span]], style: Style) -> bool:
    widths = [max(width_of([row[column]]) for row in rows) for column in range(len(rows[0]))]
    return 2 + sum(widths) + 2 * (len(widths) - 1) <= style.width
