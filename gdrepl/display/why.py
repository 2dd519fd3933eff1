"""Where a value that is not finite came from."""

from __future__ import annotations

from gdrepl.display import numbers
from gdrepl.display.frames import pointed_at, told
from gdrepl.display.style import Style
from gdrepl.display.text import Line, prose
from gdrepl.insight.cause import Why

_MOST_CELLS = 40


def why(result: Why, style: Style) -> list[Line]:
    """The operation and its inputs, where it stands in the loss, and what led there."""
    if not result.operation:
        return [line for note in result.notes for line in prose(note, style, then="  ")]
    came = numbers.show(result.output, style.precision)
    lines = prose(f"step {result.step}: {result.expression} is {came}", style, "error", then="  ")
    given = [f"{name} = {told(value, _MOST_CELLS, style)}" for name, value in result.inputs.items()]
    if given:
        lines += prose(f"of {', '.join(given)}", style, "bold", first="  ", then="     ")
    if result.end:
        lines += pointed_at(result.loss, result.start, result.end, style)
    for note in result.notes:
        lines += prose(note, style, then="  ")
    if result.last_finite is not None:
        values = [f"{name} {told(value, _MOST_CELLS, style)}" for name, value in result.parameters.items()]
        before = f"step {result.last_finite}, the last finite: {', '.join(values)}, lr {numbers.show(result.learning_rate)}"
        lines += prose(before, style, "dim", then="  ")
    return lines
