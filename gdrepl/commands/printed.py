"""What print has shown, read from the recorded commands of a file that has no record of it, as gdrepl 0.1 wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gdrepl.commands.kept import Kept
from gdrepl.commands.session import Event
from gdrepl.engine.scopes import number_type
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.engine.timeline import Branch
from gdrepl.errors import ExpressionError
from gdrepl.expression import parse
from gdrepl.recording.numbers import array_from_json


def kept_from_events(events: Iterable[Event], dtype: str, branches: Mapping[str, Branch]) -> Kept:
    """The values as they would be kept if the commands were run now, to the type of each.

    Args:
        events: the recorded commands.
        dtype: of the problem that the session began with.
        branches: those of the session, whose problems have a dtype each.

    Raises:
        AttributeError, TypeError, ValueError: a result is not in order.
    """
    kept = Kept()
    for result, in_force in _with_dtypes(events, dtype, branches):
        if result.get("type") == "Printed":
            kept = kept.with_printed(_printed(result, in_force))
    return kept


def _with_dtypes(
    events: Iterable[Event], dtype: str, branches: Mapping[str, Branch]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each result with the dtype that is in force behind it.

    While nothing was run there is but one problem, and another one takes its branches' names; later on a branch keeps its own.
    """
    ran = False
    for event in events:
        result = event.result
        if result.get("type") == "Changed" and result.get("name") == "dtype":
            dtype = str(result.get("after"))
        elif ran and result.get("branch") in branches:
            dtype = branches[result["branch"]].stretches[-1].segment.recipe.problem.dtype
        ran = ran or bool(result.get("taken"))
        yield result, dtype


def _printed(result: Mapping[str, Any], dtype: str) -> Array:
    """The value of a result: its JSON tells truth values, counts and other numbers apart, its expression the type of these."""
    value = leaf = result.get("value")
    while isinstance(leaf, list) and leaf:
        leaf = leaf[0]
    if isinstance(leaf, bool):
        return frozen(array_from_json(value, "bool"))
    if isinstance(leaf, int):
        return frozen(array_from_json(value, "int64"))
    return frozen(array_from_json(value, _float_type(str(result.get("expression")), dtype)))


def _float_type(text: str, dtype: str) -> str:
    try:
        return number_type(parse(text, at_point=True), dtype)
    except ExpressionError:  # what stands for a value of before, in a file that somebody has shortened
        return dtype
