"""Numbers into TensorFlow's variables and out of them, by the operations themselves.

`assign` and `numpy` of a variable, and those of Keras around them, take four to six times as long, and every jump, edit and
question of a session moves a whole snapshot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gdrepl.engine.snapshot import Array, frozen


def assign(variable: Any, value: Array) -> None:
    """Give a `tf.Variable` the numbers of `value`, of its dtype.

    Raises:
        ValueError: the shape differs, which the operation itself would let pass.
    """
    import tensorflow as tf

    if variable.shape != np.shape(value):
        raise ValueError(f"{variable.name} has shape {tuple(variable.shape)}, the value {np.shape(value)}")
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)


def read(variable: Any) -> Array:
    """A read-only copy of the numbers of a `tf.Variable`."""
    import tensorflow as tf

    return frozen(tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype).numpy())
