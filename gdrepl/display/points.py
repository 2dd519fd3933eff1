"""Points: a run or a move, a beginning, a session loaded, and the gradient where we stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from rich.cells import cell_len

from gdrepl.commands.results import Begun, Displayed, Gradient, Loaded, Stepped
from gdrepl.display import numbers
from gdrepl.display.series import counted
from gdrepl.display.style import Style
from gdrepl.display.text import Line, Span, crop, prose, safe, table, width_of
from gdrepl.engine.snapshot import Array, Evidence, Point, Stop, norm
from gdrepl.insight.gradient import Term

FIRST_BRANCH = "main"
_LEAST_FOR_CHANGE, _LEAST_FOR_BOTH = 60, 36  # cells below which the change, and the point left, are not shown
_CHANGE_CELLS = 17
_CHANGED = "   *"  # behind a display that changed
_QUIET = {"count"}  # stops that say no more than the header

# --- a run or a move ----------------------------------------------------------------------------------------------------


def stepped(result: Stepped, style: Style) -> list[Line]:
    """Where we are now and what changed, why it stopped, and the displays."""
    lines = [_header(result, style)]
    compared = _comparable(result)
    lines += _change_table(result, style) if compared else point_table(result.point, style)
    lines += [line for stop in result.stops for line in _stop(stop, style)]
    lines += _last_finite(result, style, compared)
    lines += [line for note in result.notes for line in prose(note, style, "dim", then="  ")]
    return [*lines, *displayed(result.displays, style)]


def _header(result: Stepped, style: Style) -> Line:
    before, here, count = result.before.step, result.point.step, counted(abs(result.taken), "step")
    if result.came_from:
        return [("to ", ""), (f"step {here}", "bold"), (f" of {result.branch}, from step {before} of {result.came_from}", "")]
    branch: Line = [(f"   on {result.branch}", "dim")] if result.branch != FIRST_BRANCH else []
    if result.taken < 0:
        return [("back to ", ""), (f"step {here}", "bold"), (f"   {count}", "dim"), *branch]
    if result.taken == 0:
        return [(f"step {here}", "bold"), *branch]
    start = here - result.taken
    words = "" if start == before else "from "  # a run that began again did not begin at the point left
    steps: Line = [(f"   {count}", "dim")] if result.taken > 1 else []
    return [(f"{words}step {start} {style.arrow} ", ""), (str(here), "bold"), *steps, *branch]


def _comparable(result: Stepped) -> bool:
    """True when the point left and the point arrived at belong side by side."""
    before, here = result.before, result.point
    shapes = [{name: value.shape for name, value in _named_values(point).items()} for point in (before, here)]
    moved = result.came_from != "" or (result.taken != 0 and here.step - result.taken == before.step)
    return moved and shapes[0] == shapes[1]


def _change_table(result: Stepped, style: Style) -> list[Line]:
    before, here = _named_values(result.before), _named_values(result.point)
    common = min(before["lr"].dtype, here["lr"].dtype)  # a rate that only came into another dtype did not change
    if np.array_equal(before["lr"].astype(common), here["lr"].astype(common), equal_nan=True):
        del before["lr"], here["lr"]
    names, left_out = _shown(here, style)
    if style.width < _LEAST_FOR_BOTH:
        return [*point_rows({name: here[name] for name in names}, style), *left_out]
    with_change = style.width >= _LEAST_FOR_CHANGE
    name_cells = min(max(len(safe(name, style.ascii_only)) for name in names), style.width // 4)
    room = style.width - name_cells - 2 * 4 - len(style.arrow) - (_CHANGE_CELLS if with_change else 0)
    usual = min(style.precision + 5, room // 2)  # so that the columns of one step stand under those of the step before
    rows = []
    for name in names:
        left, arrived = (_fit(point[name], room // 2, style).ljust(usual) for point in (before, here))
        row: list[Span] = [(crop(name, name_cells, style.ellipsis), ""), (left, ""), (style.arrow, "dim"), (arrived, "bold")]
        rows.append([*row, (_change(here[name], before[name], style), "")] if with_change else row)
    return [*table(rows, style), *left_out]


def _change(after: Array, before: Array, style: Style) -> str:
    """The difference, or its norm when it has many numbers."""
    delta = numbers.difference(after, before)
    if not delta.shape:
        return numbers.signed(delta, style.precision)
    size, label = norm(delta), "|d| " if style.ascii_only else "|Δ| "
    return label + numbers.fit(size, _CHANGE_CELLS - len(label), style.precision) if np.isfinite(size) else ""


def _named_values(point: Point) -> dict[str, Array]:
    """The rows of a point: parameters, loss, gradients, learning rate."""
    grads = {gradient_name(name, point.gradient): value for name, value in point.gradient.items()}
    return {**point.parameters, "loss": point.loss, **grads, "lr": point.learning_rate}


def gradient_name(name: str, gradient: Mapping[str, object]) -> str:
    """`grad` when there is one parameter, else `grad(x)`."""
    return "grad" if len(gradient) == 1 else f"grad({name})"


def _shown(values: Mapping[str, Array], style: Style) -> tuple[list[str], list[Line]]:
    """The rows that a screen has room for, and a line for the others; the loss and the rate are never left out."""
    names, room = list(values), max(6, style.height - 6)
    if len(names) <= room:
        return names, []
    each = (room - 2) // 2
    split = names.index("loss")
    last = [name for name in names[split + 1 :] if name == "lr"]
    grads = [name for name in names[split + 1 :] if name != "lr"]
    rest: Line = [(f"  {style.ellipsis} {counted(split - each, 'more parameter')}", "dim")]
    return [*names[:each], "loss", *grads[:each], *last], [rest]


def point_table(point: Point, style: Style) -> list[Line]:
    """One point as a single column."""
    values = _named_values(point)
    names, left_out = _shown(values, style)
    return [*point_rows({name: values[name] for name in names}, style), *left_out]


def point_rows(values: Mapping[str, Array], style: Style) -> list[Line]:
    """Names and values, aligned."""
    room = style.width * 3 // 4 - 4
    return table([[(name, ""), (_fit(value, room, style), "bold")] for name, value in values.items()], style)


def _fit(value: Array, width: int, style: Style) -> str:
    return numbers.fit(value, width, style.precision, style.ellipsis)


# --- why it stopped -----------------------------------------------------------------------------------------------------


def _stop(stop: Stop, style: Style) -> list[Line]:
    if stop.kind in _QUIET:
        return []
    if stop.kind in ("start", "end"):
        return prose(f"at {stop.text or 'the ' + stop.kind}", style, then="  ")
    text = _stop_text(stop, style)
    lines = prose(f"stopped: {text}", style, "error" if stop.kind == "non-finite" or stop.error else "", then="  ")
    return [*lines, *(_evidence(stop.evidence, style) if stop.evidence is not None else [])]


def _evidence(found: Evidence, style: Style) -> list[Line]:
    """What an event saw, and where to look next."""
    seen = ", ".join(f"{name} {numbers.fit(value, 32, style.precision)}" for name, value in found.numbers.items())
    lines = prose(found.definition, style, "dim", first="  ", then="  ")
    lines += prose(f"steps {found.first} to {found.last}: {seen}", style, first="  ", then="    ")
    return lines + prose(f"next: {found.next}", style, "dim", first="  ", then="    ")


def _stop_text(stop: Stop, style: Style) -> str:
    """What ended a run, as `stopped:` goes on."""
    if stop.kind == "event":
        return f"catchpoint {stop.number}{_called(stop)}, {stop.text}"
    if stop.kind == "until":
        return f"until {stop.text}"
    if stop.kind == "interrupt":
        return "interrupted"
    if stop.kind == "non-finite":
        return f"not finite: {stop.text}"
    name = stop.kind if stop.id is None else f"{stop.kind} {stop.id}{_called(stop)}"
    if stop.error:
        return f"{name}, {stop.text}, cannot be computed here: {stop.error} (disable {stop.id} lets it pass)"
    values = [numbers.fit(value, style.width // 3, style.precision) for value in (stop.before, stop.after) if value is not None]
    changed = f": {f' {style.arrow} '.join(values)}" if len(values) == 2 else ""
    return f"{name}, {stop.text}{changed}" if stop.text else name


def _called(stop: Stop) -> str:
    return f" ({stop.name})" if stop.name else ""


def _last_finite(result: Stepped, style: Style, compared: bool) -> list[Line]:
    """The last point that was finite, unless the table shows it already."""
    point = result.last_finite
    if point is None or (compared and point.step == result.before.step and style.width >= _LEAST_FOR_BOTH):
        return []
    values = _named_values(point)
    del values["lr"]
    names, _ = _shown(values, style)
    parts = [f"{name} {_fit(values[name], 32, style)}" for name in names]
    return prose(f"the point before, step {point.step}: {', '.join(parts)}", style, first="  ", then="    ")


def displayed(displays: tuple[Displayed, ...], style: Style) -> list[Line]:
    """The displays, a line each."""
    lines: list[Line] = []
    for one in displays:
        text = f"{one.id}: {one.expression}"
        if one.value is None:
            lines += prose(f"{text}: {one.error}", style, "error", then="   ")
        elif one.changed:
            narrow = replace(style, width=max(1, style.width - cell_len(_CHANGED)))
            lines.append([*equation(text, one.value, narrow), (_CHANGED, "bold")])
        else:
            lines.append(equation(text, one.value, style))
    return lines


def equation(text: str, value: Array, style: Style) -> Line:
    """`text = value` on one line: a long text gives way to the value."""
    room = style.width - len(" = ")
    text = safe(text, style.ascii_only)
    shown = _fit(value, max(4, room - min(cell_len(text), room // 2)), style)
    return [(crop(text, max(1, room - len(shown)), style.ellipsis), ""), (" = ", ""), (shown, "bold")]


# --- beginnings ---------------------------------------------------------------------------------------------------------


def begun(result: Begun, style: Style) -> list[Line]:
    """The problem in force and its first point."""
    title = f"{result.name}: {result.loss}" if result.name else f"loss = {result.loss}"
    where = "" if result.branch == FIRST_BRANCH else f"   on {result.branch}"
    lines = [*prose(title, style, "bold", then="  "), [(f"step {result.point.step}", ""), (where, "dim")]]
    lines += point_table(result.point, style)
    return [*lines, *(line for note in result.notes for line in prose(note, style, "dim", then="  "))]


def loaded(result: Loaded, style: Style) -> list[Line]:
    """What was read, and where we stand in it."""
    what = f"{counted(result.commands, 'command')}, {counted(result.branches, 'branch', 'branches')}"
    lines = prose(f"loaded {result.path}: {what}", style, then="  ")
    lines += [line for note in result.notes for line in prose(note, style, "dim", first="  ", then="    ")]
    return [*lines, [(f"step {result.point.step}", "bold")], *point_table(result.point, style)]


# --- the gradient -------------------------------------------------------------------------------------------------------


def gradient(result: Gradient, style: Style) -> list[Line]:
    """The gradient, the loss it is of, and the chain it comes from."""
    single = len(result.gradient) == 1
    title = f"grad at step {result.step}"
    numbers_in_all = sum(value.size for value in result.gradient.values())
    norm: Line = [(f"   norm {numbers.show(result.norm, style.precision)}", "")] if numbers_in_all > 1 else []
    inner = replace(style, width=style.width - 2)
    equations = [equation(f"d loss / d {name}", value, inner) for name, value in result.gradient.items()]
    lines: list[Line] = [[(f"{title}: ", ""), *equations[0], *norm]] if single else [[(title, ""), *norm]]
    if single and width_of(lines[0]) > style.width:  # a vector needs a line of its own
        single, lines = False, [[(title, ""), *norm]]
    lines += [] if single else [[("  ", ""), *line] for line in equations[: style.height]]
    return [*lines, *_where_from(result, style), *_chain(result.chain, style)]


def _where_from(result: Gradient, style: Style) -> Iterator[Line]:
    inner = replace(style, width=style.width - 6)
    yield [("loss  ", "dim"), *equation(result.expression, result.loss, inner)]
    for number, (name, value) in enumerate(list(result.parameters.items())[: style.height]):
        yield [("      " if number else "at    ", "dim"), *equation(name, value, inner)]


def _chain(chain: tuple[Term, ...], style: Style) -> list[Line]:
    """The links as equations where they fit, else as a table that tells each expression once."""
    if not chain:
        return []
    title = prose("chain, by tf.GradientTape, from the loss inwards", style, "dim", then="  ")
    room = style.width // 4
    links = [
        (
            safe(term.expression.replace(" ** ", "**"), style.ascii_only),
            _fit(term.value, room, style),
            _fit(term.adjoint, room, style),
        )
        for term in chain  # ast writes ` ** `, people `**`
    ]
    pairs = [(f"{text} = {value}", f"d loss/d({text}) = {adjoint}") for text, value, adjoint in links]
    if sum(max(map(cell_len, column)) for column in zip(*pairs)) + 6 <= style.width:
        return [*title, *table([[(cell, "") for cell in pair] for pair in pairs], style, gap=4)]
    header: list[Span] = [(word, "dim") for word in ("expression", "value", "d loss / d it")]
    return [*title, *table([header, *([(cell, "") for cell in link] for link in links)], style, shrink=(0,))]
