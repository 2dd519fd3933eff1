"""The slots that an optimizer begins with, kept or built: those of Keras at that very place, for every optimizer."""

from __future__ import annotations

import numpy as np
import pytest

from gdrepl.engine import live_optimizer
from gdrepl.engine.new_slots import NewSlots
from gdrepl.engine.optimizer import OptimizerSpec, catalogue
from gdrepl.engine.problem import make_problem

START = {"W": np.float32([[1, 2], [3, 4]]), "b": np.float32(5)}
PLACES = (
    START,
    {"W": np.float32([[1, 2], [3, 4]]), "b": np.float32(6)},  # one parameter is another
    {"W": np.float32([[1, 2], [3, 9]]), "b": np.float32(7)},  # both are
    {"W": np.float32([[-1, 0], [0, 9]]), "b": np.float32(0)},
    START,
)


@pytest.mark.parametrize("name", list(catalogue()))
def test_the_slots_are_those_that_keras_builds_at_each_place(name: str) -> None:
    import tensorflow as tf

    problem, spec = make_problem("sum(W**2) + b**2", START), OptimizerSpec.make(name, {"use_ema": True}, 0.1)

    def live(place: dict[str, np.ndarray]) -> object:
        return live_optimizer.build(spec, [tf.Variable(value, name=key) for key, value in place.items()], "float32")

    new_slots = NewSlots(spec, problem, live(START))
    for place in PLACES:
        wanted = live_optimizer.capture(live(place))
        found = new_slots.at(place)
        assert [(slot.dtype, slot.shape, slot.tobytes()) for slot in found] == [
            (slot.dtype, slot.shape, slot.tobytes()) for slot in wanted
        ]
