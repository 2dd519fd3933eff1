"""Arming a breakpoint changes no bit, however large the problem: it decides by itself how XLA compiles its loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gdrepl.engine import backend
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import Problem, make_problem
from gdrepl.engine.program import Program
from gdrepl.engine.triggers import Holds
from gdrepl.engine.whole_loop import better_apart
from gdrepl.expression import parse

backend.load()
import tensorflow as tf  # noqa: E402  (after backend.load, which sets its environment)


def network(rows: int, inputs: int, hidden: int) -> Problem:
    """A network with one hidden layer."""
    generator = np.random.default_rng(rows)
    weights = {"U": generator.normal(size=(inputs, hidden)) * 0.3, "V": generator.normal(size=(hidden, 2)) * 0.3}
    data = {"X": generator.normal(size=(rows, inputs)), "y": generator.normal(size=(rows, 2))}
    return make_problem("mean((tanh(X @ U) @ V - y)**2)", weights, data)


def line(rows: int, inputs: int) -> Problem:
    """A linear regression: a matrix times a vector."""
    generator = np.random.default_rng(rows)
    data = {"X": generator.normal(size=(rows, inputs)), "y": generator.normal(size=rows)}
    return make_problem("mean((X @ w - y)**2)", {"w": np.zeros(inputs)}, data)


def valley(size: int) -> Problem:
    return make_problem("mean((x - 50)**2)", {"x": np.linspace(-1.0, 1.0, size)})


PROBLEMS = [
    network(8, 3, 4),
    network(64, 8, 16),
    network(200, 16, 32),
    line(300, 40),
    line(3000, 60),
    valley(700),
    valley(30_000),
    valley(40_000),  # from 32,768 on XLA treats the largest of the numbers in another way
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: f"{problem.loss.text[:12]} {problem.numbers_in_all}")
def test_many_armed_breakpoints_change_no_bit(problem: Problem, assert_same_bits: Any) -> None:
    spec = OptimizerSpec.make("adam", {}, 0.01)
    name = next(iter(problem.parameters))
    most = 8 if problem.numbers_in_all < 1000 else 5  # XLA counts bytes: where the numbers are many, few conditions make many
    texts = [f"norm({name}*{factor}) + norm(update({name})) + norm(slot.velocity({name})) < -1" for factor in range(1, most)]
    armed = Program(problem, spec, "xla", [Holds(parse(text, [name], at_point=True)) for text in texts])
    plain = Program(problem, spec)
    start = plain.fresh(problem.parameters)
    rows = plain.advance(20).rows
    armed.load(start)
    assert armed.advance(20).rows.tobytes() == rows.tobytes()
    assert_same_bits(armed.capture(), plain.capture())


def operations(function: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """The TensorFlow operations of a function of float32 tensors."""
    graph = tf.function(function, autograph=False).get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes)).graph
    return graph.get_operations()


def test_losses_that_search_many_numbers_run() -> None:
    """The loop's first steps against the updates of plain TensorFlow, outside XLA; each term has a parameter of its own."""
    terms = {
        "p": "norm(p)",
        "q": "max(abs(q))",
        "r": "logsumexp(r)",
        "s": "sum(s*softmax(s))",
        "t": "prod(1 + t*0) + min(t)**2",
    }
    start = {name: np.random.default_rng(5).standard_normal(40_000) for name in terms}
    problem = make_problem(" + ".join(terms.values()), start)
    xla, eager = (Program(problem, OptimizerSpec.make("sgd", {}, 0.5), engine) for engine in ("xla", "eager"))
    for program in (xla, eager):
        program.fresh(problem.parameters)
        program.advance(3)
    for name, wanted in eager.capture().parameters.items():
        np.testing.assert_allclose(xla.capture().parameters[name], wanted, rtol=1e-5, atol=1e-6, err_msg=terms[name])
        assert np.abs(wanted - problem.parameters[name]).max() > 0


def test_an_optimizer_that_searches_many_numbers_runs() -> None:
    problem = make_problem("sum(W**2)", {"W": np.random.default_rng(5).standard_normal((200, 200))})
    program = Program(problem, OptimizerSpec.make("adafactor", {}, 0.1))
    before = program.fresh(problem.parameters).loss
    program.advance(5)
    assert program.capture().loss < before


@pytest.mark.parametrize(
    ("function", "shapes", "apart"),
    [
        (tf.matmul, [(32, 32), (32, 32)], True),
        (tf.matmul, [(4, 8), (8, 4)], False),  # small
        (tf.matmul, [(1000, 100), (100, 1)], False),  # a matrix times a vector
        (tf.matmul, [(1, 1000), (1000, 100)], False),
        (tf.matmul, [(8, 16, 16), (8, 16, 16)], True),  # many products at once
        (lambda a, b: tf.nn.conv2d(a, b, 1, "SAME"), [(1, 8, 8, 1), (3, 3, 1, 4)], True),
        (lambda a: tf.tanh(a) + tf.reduce_sum(a), [(1000, 100)], False),
    ],
)
def test_products_of_matrices_are_kept_apart(function: Any, shapes: list[tuple[int, ...]], apart: bool) -> None:
    assert better_apart(operations(function, *shapes), 100) is apart


def test_very_many_numbers_are_kept_apart() -> None:
    assert better_apart([], 300_000)
    assert not better_apart([], 100_000)


def test_a_loop_kept_apart_counts_right() -> None:
    program = Program(network(64, 8, 16), OptimizerSpec.make("sgd", {}, 0.01))
    program.fresh(program.problem.parameters)
    assert [program.advance(count).taken for count in (1, 7, 100)] == [1, 7, 100]
    assert program.capture().step == 108
