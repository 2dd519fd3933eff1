"""A checked tree -> TensorFlow operations, eagerly or inside a `tf.function`."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from gdrepl.errors import ExpressionError
from gdrepl.expression.constants import integer
from gdrepl.expression.functions import FUNCTIONS, NAMED_CONSTANTS, STATIC, TRUTH_ARGUMENTS
from gdrepl.expression.sums import total
from gdrepl.expression.syntax import Expression, operator_column

_INFINITE_IN_FLOAT32 = 2.0**128 - 2.0**103  # what is as large is rounded to infinity

Tensor = Any
Observer = Callable[[ast.expr, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Scope:
    """The values that an expression may read.

    Attributes:
        names: parameters, constants, and at a point step, loss and lr.
        gradient: parameter -> gradient, at a point.
        slots: (slot, parameter or None) -> optimizer variable, at a point.
        previous: the point before; None at step 0.
    """

    names: Mapping[str, Tensor]
    gradient: Mapping[str, Tensor] = field(default_factory=dict)
    slots: Mapping[tuple[str, str | None], Tensor] = field(default_factory=dict)
    previous: Scope | None = None


def evaluate(
    expression: Expression,
    scope: Scope | Mapping[str, Tensor],
    dtype: str = "float32",
    observe: Observer | None = None,
) -> Tensor:
    """The value of `expression`: a tensor of `dtype`, or of bool for a condition.

    Args:
        expression: what `parse` returned.
        scope: the values of its names.
        dtype: float32 or float64; every number is of this type.
        observe: called with each sub-expression and its tensor; what it returns takes the tensor's place.

    Raises:
        ExpressionError: shapes do not fit, an index is out of range, or a name has no value here.
    """
    if not isinstance(scope, Scope):
        scope = Scope(scope)
    return _Evaluator(expression.text, dtype, observe).value(expression.tree, scope)


class _Evaluator:
    def __init__(self, text: str, dtype: str, observe: Observer | None) -> None:
        import tensorflow as tf

        self.tf = tf
        self.text = text
        self.dtype = tf.as_dtype(dtype)
        self.observe = observe
        self.errors = (ValueError, TypeError, IndexError, tf.errors.InvalidArgumentError, tf.errors.UnimplementedError)

    def value(self, node: ast.expr, scope: Scope) -> Tensor:
        """The tensor of one node; an error of TensorFlow becomes one line that points at the node."""
        try:
            tensor = self._raw(node, scope)
        except self.errors as error:
            column = operator_column(self.text, node.left) if isinstance(node, ast.BinOp) else node.col_offset
            raise ExpressionError(self._reason(node, scope, error), self.text, column) from None
        return self.observe(node, tensor) if self.observe is not None else tensor

    def _raw(self, node: ast.expr, scope: Scope) -> Tensor:
        match node:
            case ast.Constant(value=value):
                return self._constant(float(value))  # type: ignore[arg-type]
            case ast.Name(id=name):
                return self._name(node, name, scope)
            case ast.BinOp(left=left, op=operator, right=right):
                return self._binary(operator, self.number(left, scope), right, scope)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.tf.logical_not(self.truth(operand, scope))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.number(operand, scope)
            case ast.UnaryOp(operand=operand):
                return self.number(operand, scope)
            case ast.BoolOp(op=operator, values=values):
                return self._junction(operator, values, scope)
            case ast.Compare():
                return self._comparison(node, scope)
            case ast.List(elts=elements):
                return self.tf.stack([self.number(element, scope) for element in elements])
            case ast.Subscript(value=value, slice=index):
                return self.number(value, scope)[index_of(index)]
            case ast.Attribute(attr=slot):
                return self._slot(node, slot, None, scope)
            case ast.Call():
                return self._call(node, scope)
        self._fail(node, "not part of the language")

    def number(self, node: ast.expr, scope: Scope) -> Tensor:
        """The value of `node` as numbers; true and false count as 1 and 0."""
        tensor = self.value(node, scope)
        return self.tf.cast(tensor, self.dtype) if tensor.dtype != self.dtype else tensor

    def truth(self, node: ast.expr, scope: Scope) -> Tensor:
        """The value of `node` as a condition."""
        tensor = self.value(node, scope)
        if tensor.dtype != self.tf.bool:
            self._fail(node, "a condition is needed here, not a number", "compare it, for example loss < 1e-3 or step == 50")
        return tensor

    def _constant(self, number: float) -> Tensor:
        if self.dtype == "float32" and abs(number) >= _INFINITE_IN_FLOAT32:
            number = math.copysign(math.inf, number)  # before NumPy warns of it
        return self.tf.constant(number, self.dtype)

    def _name(self, node: ast.expr, name: str, scope: Scope) -> Tensor:
        if name in scope.names:
            return self.tf.cast(self.tf.convert_to_tensor(scope.names[name]), self.dtype)
        if name in NAMED_CONSTANTS:
            return self._constant(NAMED_CONSTANTS[name])
        if name == "grad" and scope.gradient:
            return self._flat(list(scope.gradient.values()))
        if name == "update" and scope.gradient:
            return self._flat([self._update(node, parameter, scope) for parameter in scope.gradient])
        self._fail(node, f"'{name}' has no value here")

    def _flat(self, tensors: list[Tensor]) -> Tensor:
        """One parameter keeps its shape; several are laid end to end as one vector."""
        if len(tensors) == 1:
            return self.tf.convert_to_tensor(tensors[0])
        return self.tf.concat([self.tf.reshape(tensor, [-1]) for tensor in tensors], 0)

    def _update(self, node: ast.expr, parameter: str, scope: Scope) -> Tensor:
        before = self._previous(node, scope)
        return self.tf.convert_to_tensor(scope.names[parameter]) - self.tf.convert_to_tensor(before.names[parameter])

    def _previous(self, node: ast.expr, scope: Scope) -> Scope:
        if scope.previous is None:
            self._fail(node, "there is no point before step 0", "step once, then ask again")
        return scope.previous

    def _slot(self, node: ast.expr, slot: str, parameter: str | None, scope: Scope) -> Tensor:
        owners = [owner for name, owner in scope.slots if name == slot]
        if parameter is None and len(owners) == 1:
            parameter = owners[0]
        if (slot, parameter) in scope.slots:
            return self.tf.cast(self.tf.convert_to_tensor(scope.slots[slot, parameter]), self.dtype)
        if owners:
            self._fail(node, f"say which parameter's {slot}", f"for example slot.{slot}({owners[0]})")
        known = ", ".join(dict.fromkeys(name for name, _ in scope.slots))
        self._fail(node, f"the optimizer has no slot '{slot}'", f"it has {known}" if known else "")

    def _binary(self, operator: ast.operator, left: Tensor, right: ast.expr, scope: Scope) -> Tensor:
        if isinstance(operator, ast.Pow) and isinstance(right, ast.Constant) and right.value == 2:
            # x*x has the exact gradient 2x everywhere, and is what people mean.
            return self.tf.square(left)
        value = self.number(right, scope)
        match operator:
            case ast.Add():
                return left + value
            case ast.Sub():
                return left - value
            case ast.Mult():
                return left * value
            case ast.Div():
                return left / value
            case ast.FloorDiv():
                return left // value
            case ast.Mod():
                return left % value
            case ast.Pow():
                return self.tf.pow(left, value)
            case _:
                return self._matmul(left, value)

    def _matmul(self, left: Tensor, right: Tensor) -> Tensor:
        if left.shape.rank == 0 or right.shape.rank == 0:
            raise ValueError("@ needs vectors or matrices")
        if left.shape.rank == right.shape.rank == 1 and left.shape == right.shape:
            return total(self.tf, left * right)
        return self.tf.tensordot(left, right, axes=1)

    def _junction(self, operator: ast.boolop, values: list[ast.expr], scope: Scope) -> Tensor:
        join = self.tf.logical_and if isinstance(operator, ast.And) else self.tf.logical_or
        result = self.truth(values[0], scope)
        for value in values[1:]:
            result = join(result, self.truth(value, scope))
        return result

    def _comparison(self, node: ast.Compare, scope: Scope) -> Tensor:
        compare = {
            ast.Lt: self.tf.less,
            ast.LtE: self.tf.less_equal,
            ast.Gt: self.tf.greater,
            ast.GtE: self.tf.greater_equal,
            ast.Eq: self.tf.equal,
            ast.NotEq: self.tf.not_equal,
        }
        # Counts are compared exactly, also where the numbers of the problem are float32.
        counts = any(is_count(child) for child in ast.walk(node)) and "step" in scope.names
        compared = _Evaluator(self.text, "float64", self.observe) if counts else self
        operands = [compared.number(operand, scope) for operand in [node.left, *node.comparators]]
        result = None
        for operator, left, right in zip(node.ops, operands, operands[1:]):
            held = compare[type(operator)](left, right)
            result = held if result is None else self.tf.logical_and(result, held)
        return result

    def _call(self, node: ast.Call, scope: Scope) -> Tensor:
        if isinstance(node.func, ast.Attribute):
            return self._slot(node, node.func.attr, _parameter(node), scope)
        assert isinstance(node.func, ast.Name)  # the checker saw to it
        name = node.func.id
        if name == "prev":
            return self.value(node.args[0], self._previous(node, scope))
        if name == "update":
            return self._update(node, self._known(node, scope), scope)
        if name == "grad":
            return self.tf.convert_to_tensor(scope.gradient[self._known(node, scope)])
        if name in STATIC:
            return self._static(node, name, scope)
        truths = TRUTH_ARGUMENTS.get(name, ())
        values = [
            self.truth(argument, scope) if place in truths else self.number(argument, scope)
            for place, argument in enumerate(node.args)
        ]
        return FUNCTIONS[name].build(self.tf, *values)

    def _known(self, node: ast.Call, scope: Scope) -> str:
        parameter = _parameter(node)
        if parameter not in scope.gradient:
            known = ", ".join(scope.gradient)
            self._fail(node.args[0], f"'{parameter}' is not a parameter", f"parameters: {known}" if known else "")
        return parameter

    def _static(self, node: ast.Call, name: str, scope: Scope) -> Tensor:
        argument = self.number(node.args[0], scope)
        if name == "size":
            return self.tf.constant(float(math.prod(argument.shape)), self.dtype)
        length = self.tf.get_static_value(argument)
        if length is None or argument.shape.rank != 0 or length != int(length) or not 0 < length <= 1_000_000:
            self._fail(node, "arange needs a whole number from 1 to 1000000", "for example arange(10) or arange(size(x))")
        return self.tf.range(int(length), dtype=self.dtype)

    def _reason(self, node: ast.expr, scope: Scope, error: Exception) -> str:
        """One line for an error of TensorFlow: the shapes are what a person needs to see."""
        operands = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        if isinstance(node, ast.Call):
            operands = node.args
        if isinstance(node, ast.Subscript):
            return f"the index [{ast.unparse(node.slice)[:40]}] does not fit the shape {self._shape(node.value, scope)}"
        shapes = [self._shape(operand, scope) for operand in operands]
        if len(shapes) > 1 and None not in shapes:
            return f"shapes {' and '.join(str(shape) for shape in shapes)} do not fit together"
        # What is in braces names TensorFlow's own node and device.
        lines = re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*", "", str(error)).strip().splitlines() or [type(error).__name__]
        shapes = [shape for shape in shapes if shape is not None]
        of = f" (given shape {' and '.join(map(str, shapes))})" if isinstance(node, ast.Call) and shapes else ""
        return f"{lines[0][:120]}{of}"

    def _shape(self, node: ast.expr, scope: Scope) -> tuple[int, ...] | None:
        try:
            return tuple(_Evaluator(self.text, self.dtype.name, None).value(node, scope).shape)
        except (ExpressionError, *self.errors):
            return None

    def _fail(self, node: ast.expr, message: str, hint: str = "") -> NoReturn:
        raise ExpressionError(message, self.text, node.col_offset, hint)


def _parameter(node: ast.Call) -> str:
    argument = node.args[0]
    assert isinstance(argument, ast.Name)  # the checker saw to it
    return argument.id


def index_of(index: ast.expr) -> tuple[int | slice | None, ...]:
    """What stands in the brackets of a subscript, as arrays take it."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return tuple(slice(*map(_bound, (p.lower, p.upper, p.step))) if isinstance(p, ast.Slice) else integer(p) for p in parts)


def _bound(node: ast.expr | None) -> int | None:
    return None if node is None else integer(node)


def is_count(node: ast.AST) -> bool:
    """Whether a node is the step, or the optimizer's own count of its updates: whole numbers, beyond what float32 holds."""
    return (isinstance(node, ast.Name) and node.id == "step") or (isinstance(node, ast.Attribute) and node.attr == "iteration")
