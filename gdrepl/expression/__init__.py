"""The safe expression language: text -> checked tree -> TensorFlow. Nothing here evaluates Python."""

from gdrepl.expression.calls import Call, parse_call, parse_value
from gdrepl.expression.evaluate import Scope, evaluate, is_count
from gdrepl.expression.functions import FUNCTIONS, NAMED_CONSTANTS
from gdrepl.expression.sums import folded
from gdrepl.expression.syntax import (
    POINT_FUNCTIONS,
    POINT_NAMES,
    Expression,
    check_name,
    parse,
)
from gdrepl.expression.text import MAX_DEPTH, MAX_LENGTH

__all__ = [
    "FUNCTIONS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "NAMED_CONSTANTS",
    "POINT_FUNCTIONS",
    "POINT_NAMES",
    "Call",
    "Expression",
    "Scope",
    "check_name",
    "evaluate",
    "folded",
    "is_count",
    "parse",
    "parse_call",
    "parse_value",
]
