"""Values and calls typed in commands: `0.1`, `[1, 2]`, `none`, `adam(beta_1=0.8)`. Numbers and names only, nothing runs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from gdrepl.errors import ExpressionError
from gdrepl.expression.constants import constant
from gdrepl.expression.text import check_text, python_tree

Value = float | int | bool | None | list["Value"]
_WORDS: Mapping[str, bool | None] = {"none": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments..., keyword=value...)`; a bare `name` is a call without arguments."""

    name: str
    arguments: tuple[Value | Call, ...] = ()
    keywords: Mapping[str, Value | Call] = field(default_factory=dict)


def parse_call(text: str) -> Call:
    """Read `name` or `name(value, key=value, ...)`, where a value is a number, a list of numbers, none, true, false or a call.

    Raises:
        ExpressionError: with the column of what does not fit.
    """
    value = parse_value(text, allow_call=True)
    if not isinstance(value, Call):
        raise ExpressionError("a name is needed here", text.strip(), 0)
    return value


def parse_value(text: str, *, allow_call: bool = False) -> Value | Call:
    """Read one value as typed.

    Raises:
        ExpressionError: with the column of what does not fit.
    """
    stripped = text.strip()
    check_text(stripped)
    return _read(python_tree(stripped), stripped, allow_call, 0)


def _read(node: ast.expr, text: str, allow_call: bool, depth: int) -> Value | Call:
    if depth > 20:
        raise ExpressionError("nested too deep for a value", text, node.col_offset)
    match node:
        case ast.Constant(value=bool() | None as value):
            return value
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name) if name.lower() in _WORDS:
            return _WORDS[name.lower()]
        case ast.Name(id=name) if allow_call:
            return Call(name)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_plain(_read(element, text, False, depth + 1)) for element in elements]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords) if allow_call:
            return Call(name, *_arguments(arguments, keywords, text, depth))
        case ast.UnaryOp() | ast.BinOp():
            return _arithmetic(node, text)
    raise ExpressionError("a number is needed here", text, node.col_offset, "for example 0.1, 1e-3, [1, 2] or none")


def _arguments(
    arguments: list[ast.expr], keywords: list[ast.keyword], text: str, depth: int
) -> tuple[tuple[Value | Call, ...], dict[str, Value | Call]]:
    positional = tuple(_read(argument, text, True, depth + 1) for argument in arguments)
    named: dict[str, Value | Call] = {}
    for keyword in keywords:
        if keyword.arg is None or keyword.arg in named:
            raise ExpressionError("an argument is given twice or without a name", text, keyword.col_offset)
        named[keyword.arg] = _read(keyword.value, text, True, depth + 1)
    return positional, named


def _arithmetic(node: ast.expr, text: str) -> Value:
    """A number spelled as arithmetic, such as -1, 1/3 or 2**-10; a whole number with a sign stays whole."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return -value if isinstance(node.op, ast.USub) else value
    try:
        folded = constant(node)
    except (OverflowError, RecursionError):
        folded = None
    if folded is None:
        raise ExpressionError("a number is needed here", text, node.col_offset, "for example 0.1, 1e-3, [1, 2] or none")
    return folded


def _plain(value: Value | Call) -> Value:
    assert not isinstance(value, Call)  # lists are read with allow_call False
    return value
