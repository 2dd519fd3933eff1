"""What plain numbers in a tree come to, computed before anything runs."""

from __future__ import annotations

import ast

from gdrepl.errors import ExpressionError
from gdrepl.expression.functions import NAMED_CONSTANTS


def integer(node: ast.expr) -> int | None:
    """The whole number that `node` spells (with its sign), or None."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = integer(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value if abs(node.value) < 2**31 else None
    return None


def check_constants(tree: ast.expr, text: str) -> None:
    """Refuse powers of plain numbers that no float can hold, such as 9**9**9: they are slips or attacks, never a loss."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            try:
                constant(node)
            except OverflowError:
                raise ExpressionError("the power is too large for a float", text, node.col_offset) from None


def constant(node: ast.expr) -> float | None:
    """The value of `node` when it is made of plain numbers, else None.

    Raises:
        OverflowError: a power is too large for a float.
    """
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name) if name in NAMED_CONSTANTS:
            return NAMED_CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            inner = constant(operand)
            return -inner if inner is not None and isinstance(sign, ast.USub) else inner
        case ast.BinOp(left=left, op=operator, right=right):
            first, second = constant(left), constant(right)
            return None if first is None or second is None else _fold(first, operator, second)
    return None


def _fold(first: float, operator: ast.operator, second: float) -> float | None:
    try:
        match operator:
            case ast.Pow():
                power = first**second
                return power if isinstance(power, float) else None
            case ast.Mult():
                return first * second
            case ast.Add():
                return first + second
            case ast.Sub():
                return first - second
            case ast.Div():
                return first / second
    except ZeroDivisionError:
        return None
    return None
