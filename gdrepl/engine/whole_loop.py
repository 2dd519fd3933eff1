"""How XLA compiles a loop: whole, as one function, or operation by operation. The problem and its optimizer decide.

Whole loops are many times faster where each operation is small, and ten times slower where matrices are multiplied; and the
products of the two ways differ in the last bits. XLA decides by the bytes that the loop touches, to which an armed
breakpoint adds its own, so that arming one could change the bits of a run. So `backend` tells XLA to compile every loop
whole, and a loop that is better kept apart holds an operation with which XLA cannot: a sort, of two numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

_PRODUCTS = ("MatMul", "Conv", "Einsum")
_SMALL_PRODUCT = 4096  # multiplications; up to here a product inside a whole loop is at least as fast
_MANY_NUMBERS = 2**18  # from here on XLA gives the threads of the machine a part each, if operations are apart

Tensor = Any


def better_apart(operations: Iterable[Any], numbers: int) -> bool:
    """Whether a loop of these TensorFlow operations, over so many numbers of a problem, is faster operation by operation."""
    return numbers > _MANY_NUMBERS or any(_is_large_product(operation) for operation in operations)


def _is_large_product(operation: Any) -> bool:
    if not any(product in operation.type for product in _PRODUCTS):
        return False
    shapes = [tensor.shape for tensor in (*operation.inputs, *operation.outputs)]
    if "MatMul" not in operation.type or not all(shape.is_fully_defined() for shape in shapes):
        return True
    if 1 in shapes[-1][-2:]:  # a matrix times a vector, which both ways compute alike
        return False
    # (m, k) times (k, n) gives (m, n): the root of the three sizes' product is mkn.
    return math.sqrt(math.prod(shape.num_elements() for shape in shapes)) > _SMALL_PRODUCT


def zero_that_keeps_apart(tf: Any, number: Tensor) -> Tensor:
    """0 as int32, shape (), of which XLA does not know that it is 0; `number` is an int32 below the largest."""
    two = tf.sort(tf.stack([number, number + 1]))
    return tf.cast(two[0] > two[1], tf.int32)
