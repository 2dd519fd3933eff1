"""Sums of many numbers.

XLA adds a long sum up number by number, each addition waiting for the one before. Here the numbers are laid in rows of
moderate length, which are summed side by side: six times faster at 10,000 numbers, and no less exact (the error grows with the
length of a row; blocked summation: N. J. Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14, 1993).
"""

from __future__ import annotations

from typing import Any

LONG = 1024
"""Sums of at least this many numbers are folded by `total`."""

_ROWS, _LANES, _ROW_LENGTH = 8, 8, 1280
_PARTS, _FEW = 8, 64

Tensor = Any


def total(tf: Any, x: Tensor) -> Tensor:
    """The sum of all numbers of `x`, shape (); its gradient with respect to each is 1."""
    if (x.shape.num_elements() or 0) < LONG:
        return tf.reduce_sum(x)

    # The gradient that TensorFlow would find by itself is a matrix product with ones; this is the same, and free.
    def summed(x: Tensor) -> tuple[Tensor, Any]:
        return folded(tf, x), lambda upstream: tf.broadcast_to(upstream, x.shape)

    return tf.custom_gradient(summed)(x)


def folded(tf: Any, x: Tensor) -> Tensor:
    """The sum of all numbers of `x`, of known shape, not to be differentiated."""
    numbers = tf.reshape(x, [-1])
    return _in_rows(tf, numbers) if numbers.shape[0] >= LONG else _in_parts(tf, numbers)


def _in_rows(tf: Any, numbers: Tensor) -> Tensor:
    """Many numbers, as the product of a matrix with ones, which XLA computes several rows and lanes at a time."""
    size = numbers.shape[0]
    rows = -(-size // (_ROWS * _ROW_LENGTH)) * _ROWS
    columns = size // rows // _LANES * _LANES
    table = tf.reshape(numbers[: rows * columns], [rows, columns])
    in_table = tf.reduce_sum(tf.linalg.matvec(table, tf.ones([columns], numbers.dtype)))
    return in_table + tf.reduce_sum(numbers[rows * columns :]) if rows * columns < size else in_table


def _in_parts(tf: Any, numbers: Tensor) -> Tensor:
    """Hundreds of numbers: parts added to each other element by element, until few are left."""
    left_over = []
    while numbers.shape[0] > _FEW:
        length = numbers.shape[0] // _PARTS
        if numbers.shape[0] % _PARTS:
            left_over.append(tf.reduce_sum(numbers[length * _PARTS :]))
        parts = [numbers[part * length : (part + 1) * length] for part in range(_PARTS)]
        while len(parts) > 1:
            parts = [first + second for first, second in zip(parts[::2], parts[1::2])]
        numbers = parts[0]
    return tf.add_n([tf.reduce_sum(numbers), *left_over])
