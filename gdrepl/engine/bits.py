"""Truth values inside the compiled loop as the bits of whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WORD = 62
"""How many truth values one number holds."""
Tensor = Any


def packed(tf: Any, flags: Sequence[Tensor]) -> list[Tensor]:
    """Truth values, each of shape (), as int64 words of shape (): the first is the lowest bit of the first word."""
    bits = [tf.where(flag, tf.constant(1 << place % WORD, tf.int64), 0) for place, flag in enumerate(flags)]
    return [tf.add_n(bits[first : first + WORD]) for first in range(0, len(bits), WORD)]


def unpacked(tf: Any, words: Sequence[Tensor], count: int) -> list[Tensor]:
    """The `count` truth values that `packed` made words of."""
    masks = [tf.constant(1 << place % WORD, tf.int64) for place in range(count)]
    return [tf.bitwise.bitwise_and(words[place // WORD], mask) != 0 for place, mask in enumerate(masks)]
