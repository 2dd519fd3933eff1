"""Text -> a checked tree. A whitelist over Python's own grammar: what is not listed here cannot be written.

The tree is walked with an explicit stack before anything recursive touches it; before that, `text` has checked what is cheap.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from gdrepl.errors import CommandError, ExpressionError, did_you_mean
from gdrepl.expression.constants import check_constants, integer
from gdrepl.expression.functions import FUNCTIONS, NAMED_CONSTANTS
from gdrepl.expression.text import MAX_DEPTH, check_text, python_tree

POINT_NAMES = ("step", "loss", "lr", "grad", "update")
"""Names that mean something at a point, and nothing inside a loss."""

POINT_FUNCTIONS = ("grad", "update", "prev")
SLOT_NAMESPACE = "slot"

_OPERATORS = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult, ast.UAdd, ast.USub, ast.Not, ast.And,
    ast.Or, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq,
)  # fmt: skip
_SHAPES = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.List, ast.Tuple, ast.Slice, ast.Load)

_REFUSED = {
    ast.Attribute: (
        "attributes are not part of the language",
        "write sin(x), not np.sin(x), transpose(W), not W.T; optimizer slots are slot.momentum",
    ),
    ast.Lambda: ("functions cannot be defined here", ""),
    ast.ListComp: ("comprehensions are not part of the language", "use sum(...) over a vector"),
    ast.SetComp: ("comprehensions are not part of the language", ""),
    ast.DictComp: ("comprehensions are not part of the language", ""),
    ast.GeneratorExp: ("comprehensions are not part of the language", "use sum(...) over a vector"),
    ast.IfExp: ("'if' is not part of the language", "use where(condition, a, b)"),
    ast.JoinedStr: ("strings are not part of the language", ""),
    ast.NamedExpr: ("':=' is not part of the language", ""),
    ast.BitXor: ("'^' is not part of the language", "a power is written **"),
    ast.Starred: ("'*' before a value is not part of the language", ""),
    ast.In: ("'in' is not part of the language", ""),
    ast.NotIn: ("'not in' is not part of the language", ""),
    ast.Is: ("'is' is not part of the language", "use =="),
    ast.IsNot: ("'is not' is not part of the language", "use !="),
    ast.BitAnd: ("'&' is not part of the language", "conditions are joined by and"),
    ast.BitOr: ("'|' is not part of the language", "conditions are joined by or"),
    ast.Invert: ("'~' is not part of the language", "a condition is turned round by not"),
    ast.Dict: ("braces are not part of the language", "a vector is written [1, 2]"),
    ast.Set: ("braces are not part of the language", "a vector is written [1, 2]"),
    ast.Await: ("'await' is not part of the language", ""),
    ast.LShift: ("'<<' is not part of the language", "use x * 2**n"),
    ast.RShift: ("'>>' is not part of the language", "use x / 2**n"),
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression.

    Attributes:
        text: as typed, without blanks at its ends.
        tree: the checked Python tree, to be read by `evaluate` only.
        names: parameters, constants and point names that it reads.
        history: True when it asks for another point (`prev`, `update`), which step 0 does not have.
        slots: True when it reads optimizer slots.
    """

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    names: frozenset[str] = frozenset()
    history: bool = False
    slots: bool = False

    def __str__(self) -> str:
        return self.text


def parse(text: str, names: Collection[str] | None = None, *, at_point: bool = False) -> Expression:
    """Check `text` and return its tree.

    Args:
        text: the expression, at most 2,000 characters and 100 levels deep.
        names: the parameters and constants that may be used; None allows any name.
        at_point: True where a point is at hand, so that step, loss, lr, grad, update, prev(...) and slot.NAME mean something.

    Raises:
        ExpressionError: with the column and, for an unknown name, the nearest known one.
    """
    stripped = text.strip()
    check_text(stripped)
    tree = python_tree(stripped)
    _Checker(stripped, names, at_point).check(tree)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return Expression(
        stripped,
        tree,
        frozenset(used - set(FUNCTIONS) - set(NAMED_CONSTANTS) - {"prev", SLOT_NAMESPACE}),
        history=bool({"prev", "update"} & (used | called)),
        slots=SLOT_NAMESPACE in used,
    )


def check_name(name: str) -> str:
    """Return `name` if a parameter or constant may be called so.

    Raises:
        CommandError: not a plain ASCII name, or a word of the language.
    """
    if not name.isascii() or not name.isidentifier() or len(name) > 64 or name.startswith("_") or keyword.iskeyword(name):
        raise CommandError(f"'{name[:40]}' cannot be a name", "a name is letters, digits and _, such as x, w1 or bias")
    if name in FUNCTIONS or name in NAMED_CONSTANTS or name in POINT_NAMES or name in ("prev", SLOT_NAMESPACE):
        raise CommandError(f"'{name}' already means something in expressions", f"choose another name, such as {name}1")
    return name


class _Checker:
    """Walks the tree once with an explicit stack; every node must be on the whitelist."""

    def __init__(self, text: str, names: Collection[str] | None, at_point: bool) -> None:
        self.text = text
        self.names = names
        self.at_point = at_point

    def check(self, tree: ast.expr) -> None:
        stack: list[tuple[ast.AST, int, bool]] = [(tree, 1, False)]
        while stack:
            node, depth, inside_prev = stack.pop()
            if depth > MAX_DEPTH:
                self._fail(node, f"nested more than {MAX_DEPTH} levels deep")
            inside_prev = inside_prev or _is_prev(node)
            stack.extend((child, depth + 1, inside_prev) for child in self._children(node, inside_prev))
        check_constants(tree, self.text)

    def _children(self, node: ast.AST, inside_prev: bool) -> Iterator[ast.AST]:
        """Check one node and yield the children that remain to be checked."""
        match node:
            case ast.Constant(value=value):
                self._number(node, value)
            case ast.Name():
                self._name(node)
            case ast.Attribute():
                self._slot(node)
            case ast.Call():
                yield from self._call(node, inside_prev)
            case ast.Subscript(value=value, slice=index):
                yield value
                self._index(index)
            case _ if isinstance(node, _SHAPES):
                if isinstance(node, ast.Tuple | ast.Slice):
                    self._separated(node)
                self._operators(node)
                if isinstance(node, ast.List) and not node.elts:
                    self._fail(node, "an empty list has no value")
                yield from ast.iter_child_nodes(node)
            case _ if isinstance(node, _OPERATORS):
                pass
            case _:
                message, hint = _REFUSED.get(type(node), (f"{type(node).__name__} is not part of the language", ""))
                self._fail(node, message, hint)

    def _separated(self, node: ast.Tuple | ast.Slice) -> NoReturn:
        """Refuse what only makes sense as an index."""
        if isinstance(node, ast.Slice):
            self._fail(node, "a slice needs a value")
        if not node.elts:
            self._fail(node, "empty brackets have no value")
        column = operator_column(self.text, node.elts[0])
        listed = self.text[node.elts[0].col_offset : node.elts[-1].end_col_offset]
        raise ExpressionError("a comma is not allowed here", self.text, column, f"a vector is written [{listed[:60]}]")

    def _operators(self, node: ast.AST) -> None:
        """Refuse an operator where it stands."""
        match node:
            case ast.BinOp():
                pairs: list[tuple[ast.expr, ast.AST]] = [(node.left, node.op)]
            case ast.Compare(left=left, ops=operators, comparators=rights):
                pairs = list(zip([left, *rights], operators))
            case _:
                return
        for left, operator in pairs:
            if not isinstance(operator, _OPERATORS):
                name = type(operator).__name__
                message, hint = _REFUSED.get(type(operator), (f"{name} is not part of the language", ""))
                raise ExpressionError(message, self.text, operator_column(self.text, left), hint)

    def _number(self, node: ast.Constant, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = "a comparison is true or false by itself: x > 1, not isfinite(x)" if isinstance(value, bool) else ""
            self._fail(node, "only numbers can be written here", hint)
        try:
            finite = isinstance(value, int | float) and abs(float(value)) < float("inf")
        except OverflowError:
            finite = False
        if not finite:
            self._fail(node, "the number is too large for a float")

    def _name(self, node: ast.Name) -> None:
        name = node.id
        if name in NAMED_CONSTANTS or (self.names is not None and name in self.names):
            return
        if name in POINT_NAMES:
            if not self.at_point:
                self._fail(node, f"'{name}' has no meaning inside a loss", "use it in print, break if, display or plot")
            return
        if name in FUNCTIONS or name == "prev":
            self._fail(node, f"'{name}' is a function", f"call it: {name}(...)")
        if name.startswith("__"):
            self._fail(node, f"'{name[:30]}' is not part of the language")
        if self.names is None and name != SLOT_NAMESPACE:
            return
        self._fail(node, f"unknown name '{name[:40]}'", self._suggest(name))

    def _suggest(self, name: str) -> str:
        known = [*(self.names or ()), *FUNCTIONS, *NAMED_CONSTANTS, *(POINT_NAMES if self.at_point else ())]
        listed = ", ".join([*sorted(self.names or ()), *(POINT_NAMES if self.at_point else ())])
        return did_you_mean(name, known) or (f"known: {listed}" if listed and len(listed) < 80 else "")

    def _slot(self, node: ast.Attribute) -> None:
        if not (isinstance(node.value, ast.Name) and node.value.id == SLOT_NAMESPACE) or node.attr.startswith("_"):
            self._fail(node, *_REFUSED[ast.Attribute])
        if not self.at_point:
            self._fail(node, "'slot' has no meaning inside a loss", "use it in print, break if, display or plot")

    def _call(self, node: ast.Call, inside_prev: bool) -> Iterator[ast.AST]:
        if node.keywords:
            self._fail(node, "arguments are given by position, without a name")
        function = node.func
        if isinstance(function, ast.Attribute):
            self._slot(function)
            self._parameter_argument(node, "slot." + function.attr)
            return
        if not isinstance(function, ast.Name):
            self._fail(node, "only a listed function can be called", "help expressions lists them")
        name = function.id
        if name in POINT_FUNCTIONS:
            yield from self._point_call(node, name, inside_prev)
            return
        known = FUNCTIONS.get(name)
        if known is None:
            hint = did_you_mean(name, [*FUNCTIONS, *POINT_FUNCTIONS]) or "help expressions lists the functions"
            self._fail(function, f"unknown function '{name[:40]}'", hint)
        if not known.least <= len(node.args) <= known.most:
            self._fail(node, f"{name} takes {known.arity()}, not {len(node.args)}", known.usage)
        yield from node.args

    def _point_call(self, node: ast.Call, name: str, inside_prev: bool) -> Iterator[ast.AST]:
        if not self.at_point:
            self._fail(node, f"'{name}' has no meaning inside a loss", "use it in print, break if, display or plot")
        if name != "prev":
            if name == "update" and inside_prev:
                self._fail(node, "update cannot stand inside prev", "it already spans two points")
            self._parameter_argument(node, name)
            return
        if len(node.args) != 1:
            self._fail(node, "prev takes 1 argument", "prev(loss) is the loss at the point before")
        if any(_is_prev(child) for child in ast.walk(node.args[0])):
            self._fail(node, "prev cannot stand inside prev", "only the point before is at hand")
        if any(isinstance(child, ast.Name) and child.id == "update" for child in ast.walk(node.args[0])):
            self._fail(node, "update cannot stand inside prev", "it already spans two points")
        yield node.args[0]

    def _parameter_argument(self, node: ast.Call, name: str) -> None:
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Name):
            self._fail(node, f"{name} takes the name of one parameter", f"for example {name}(x)")
        if self.names is not None and node.args[0].id not in self.names:
            unknown = node.args[0].id[:40]
            known = did_you_mean(unknown, self.names) or f"parameters: {', '.join(self.names)}"
            self._fail(node.args[0], f"unknown parameter '{unknown}'", known)

    def _index(self, index: ast.expr) -> None:
        for part in index.elts if isinstance(index, ast.Tuple) else [index]:
            bounds = [part.lower, part.upper, part.step] if isinstance(part, ast.Slice) else [part]
            for bound in bounds:
                if bound is not None and integer(bound) is None:
                    self._fail(bound, "an index is a whole number or a slice", "for example x[0], x[1:3] or W[0, :]")
            if isinstance(part, ast.Slice) and part.step is not None and integer(part.step) == 0:
                self._fail(part, "a slice cannot step by 0")

    def _fail(self, node: ast.AST, message: str, hint: str = "") -> NoReturn:
        raise ExpressionError(message, self.text, getattr(node, "col_offset", 0), hint)


def operator_column(text: str, left: ast.expr) -> int:
    """Where the operator behind `left` stands: Python's tree gives operators no column of their own."""
    after = text[left.end_col_offset or 0 :]  # blanks and closing brackets, then the operator
    return len(text) - len(after.lstrip(" )"))


def _is_prev(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "prev"
