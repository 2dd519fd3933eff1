"""Descents that are in trouble, each a problem that people have, and the trouble that a doctor must name first.

The numbers are chosen by what is known of a problem in closed form: a rate by the largest eigenvalue of its Hessian, a start by
the domain of its logarithm. None was chosen by what the doctor says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.problem import make_problem
from gdrepl.engine.programs import Programs

PROGRAMS = Programs(most=100)


@dataclass(frozen=True)
class Descent:
    """A problem, an optimizer, and how many updates are made before the doctor is asked."""

    trouble: str
    loss: str
    parameters: Mapping[str, Any]
    constants: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "sgd"
    rate: float = 0.01
    hyperparameters: Mapping[str, object] = field(default_factory=dict)
    steps: int = 20
    dtype: str = "float32"
    engine: str = "graph"
    about: str = ""

    def run(self) -> Debugger:
        problem = make_problem(self.loss, self.parameters, self.constants, self.dtype)
        spec = OptimizerSpec.make(self.optimizer, self.hyperparameters, self.rate)
        debugger = Debugger(problem, spec, self.engine, programs=PROGRAMS)
        if self.steps:
            debugger.run(self.steps)
        return debugger

    def __str__(self) -> str:
        return f"{self.trouble}: {self.about}"


def _draw(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).round(3)


def _line(seed: int, rows: int, columns: int) -> dict[str, Any]:
    """Rows of features, and answers that a line gives with a little noise."""
    features = _draw(seed, rows, columns)
    return {"X": features, "t": (features @ np.arange(1.0, columns + 1) + 0.1 * _draw(seed + 1, rows)).round(3)}


def _sharpest(features: Any) -> float:
    """The largest eigenvalue of the Hessian of mean((X @ w - t)**2), which is 2/n X'X."""
    return float(np.linalg.eigvalsh(2 / len(features) * features.T @ features)[-1])


def _classes(seed: int, rows: int, columns: int) -> dict[str, Any]:
    features = _draw(seed, rows, columns)
    noise = 0.5 * _draw(seed + 1, rows)
    return {"X": features, "y": (features @ np.linspace(1, -1, columns) + noise > 0).astype(float)}


_LINE = _line(1, 30, 3)
_NET = _line(3, 20, 2)

TROUBLED = (
    Descent(
        "rate-too-high", "mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        rate=1.2 * 2 / _sharpest(_LINE["X"]), steps=15, about="a regression by gradient descent",
    ),
    Descent(
        "rate-too-low", "mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        rate=1e-5, steps=60, about="a regression by gradient descent",
    ),
    Descent(
        "ravine", "(1 - x)**2 + 100*(y - x**2)**2", {"x": -1.2, "y": 1.0},
        rate=1e-3, steps=400, about="Rosenbrock's valley by gradient descent",
    ),
    Descent(
        "saddle", "mean((tanh(X @ W) @ v - t)**2)", {"W": np.zeros((2, 4)), "v": np.zeros(4)}, _NET,
        rate=0.05, steps=20, about="a network whose weights all begin at zero",
    ),
    Descent(
        "dead-relu", "mean((relu(X @ W + b) @ v + c - t)**2)",
        {"W": 0.3 * _draw(5, 2, 4), "b": [-9.0] * 4, "v": _draw(6, 4), "c": 0.0}, _NET,
        rate=0.05, steps=30, about="a network with biases far below zero",
    ),
    Descent(
        "log-domain", "log(s) + mean((y - m)**2)/(2*s**2)", {"m": 0.0, "s": 2.0}, {"y": (1 + 0.2 * _draw(7, 25)).round(3)},
        rate=6.0, steps=10, about="the width of a bell curve by maximum likelihood",
    ),
    Descent(
        "exploding-exponent", "mean(exp(X @ w) - y*(X @ w))", {"w": [0.5, 0.0]},
        {"X": np.stack([np.linspace(5, 60, 12), np.ones(12)], 1), "y": np.round(np.linspace(1, 9, 12))},
        rate=1e-3, steps=10, about="a Poisson regression on features that nobody scaled",
    ),
    Descent(
        "unbounded-loss", "-mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        rate=0.02, steps=40, about="a regression with a minus before its loss",
    ),
    Descent(
        "epsilon-too-large", "mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        "adam", 0.01, {"epsilon": 1000.0}, steps=50, about="Adam with an epsilon of a thousand",
    ),
    Descent(
        "momentum-too-high", "mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        "sgd", 0.02, {"momentum": 0.999}, steps=200, about="a regression with momentum 0.999",
    ),
)  # fmt: skip

_CLASSES = _classes(11, 40, 3)
_STEEP = np.logspace(0, 4, 10)

OTHERS = (
    Descent(
        "rate-too-high", "sum(a*(x - 1)**2)", {"x": np.zeros(5)}, {"a": [1.0, 2.0, 3.0, 4.0, 5.0]},
        "rmsprop", 3.0, steps=40, dtype="float64", about="RMSprop that jumps about the minimum of a bowl",
    ),
    Descent(
        "rate-too-low", "mean(softplus(X @ w) - y*(X @ w))", {"w": [0.0, 0.0, 0.0]}, _CLASSES,
        "adam", 1e-6, steps=60, dtype="float64", about="a logistic regression by Adam",
    ),
    Descent(
        "ravine", "0.5*sum(a*x**2)", {"x": np.ones(10)}, {"a": _STEEP},
        rate=1e-4, steps=100, dtype="float64", about="a long bowl of ten numbers",
    ),
    Descent(
        "saddle", "x**2 - y**2 + y**4/4", {"x": 1.0, "y": 0.0},
        {}, "sgd", 0.05, {"momentum": 0.5}, steps=40, about="a start on the ridge between two minima",
    ),
    Descent(
        "dead-relu", "mean((v*maximum(0, X @ w + b) - t)**2)", {"w": [0.1, -0.2], "b": -6.0, "v": 0.5}, _NET,
        "adam", 0.01, steps=20, dtype="float64", about="a single unit that is off, by Adam",
    ),
    Descent(
        "log-domain", "sum(c*x) - 0.1*sum(log(x)) - 0.1*log(4 - sum(x))", {"x": [1.0, 1.0, 1.0]}, {"c": [1.0, 2.0, -1.0]},
        rate=0.5, steps=20, dtype="float64", about="a barrier that a step jumps over",
    ),
    Descent(
        "exploding-exponent", "-sum(y*log(exp(z*s)/sum(exp(z*s))))",
        {"s": 1.5}, {"z": [70.0, 50.0, 20.0], "y": [0.2, 0.5, 0.3]},
        "adam", 0.1, steps=10, about="a softmax written out, on large scores",
    ),
    Descent(
        "unbounded-loss", "mean(y*log(sigmoid(X @ w)) + (1 - y)*log(1 - sigmoid(X @ w)))", {"w": [0.0, 0.0, 0.0]}, _CLASSES,
        "adam", 0.2, steps=30, about="a cross-entropy without its minus",
    ),
    Descent(
        "epsilon-too-large", "mean(softplus(X @ w) - y*(X @ w))", {"w": [0.0, 0.0, 0.0]}, _CLASSES,
        "rmsprop", 0.01, {"epsilon": 1e4}, steps=40, about="a logistic regression by RMSprop",
    ),
    Descent(
        "momentum-too-high", "(1 - x)**2 + 10*(y - x**2)**2", {"x": -0.5, "y": 0.5},
        {}, "sgd", 1e-3, {"momentum": 0.998, "nesterov": True}, steps=300, dtype="float64",
        about="a curved valley with Nesterov's momentum",
    ),
)  # fmt: skip

_SMALL_NET = {"W": _draw(21, 2, 5), "b": np.zeros(5), "v": _draw(22, 5)}
_POWERS = np.stack([np.linspace(0.5, 6, 20) ** power for power in (1, 2, 3)], 1)
_RANK_ONE = np.outer([1.0, 2.0, -1.0], [0.5, -1.5, 1.0])

UNSEEN = (
    Descent(
        "rate-too-high", "mean((tanh(X @ W + b) @ v - t)**2)", _SMALL_NET, _NET,
        rate=2.0, steps=40, about="a network of tanh by gradient descent",
    ),
    Descent(
        "rate-too-low", "mean((tanh(X @ W + b) @ v - t)**2)", _SMALL_NET, _NET,
        "sgd", 1e-6, {"momentum": 0.9}, steps=50, dtype="float64", about="a network of tanh with momentum",
    ),
    Descent(
        "ravine", "mean((P @ w - t)**2)", {"w": np.zeros(3)}, {"P": _POWERS, "t": np.linspace(0.5, 6, 20)},
        rate=1 / _sharpest(_POWERS), steps=150, about="a polynomial whose powers nobody scaled",
    ),
    Descent(
        "saddle", "mean((U @ V - M)**2)", {"U": np.full((3, 1), 1e-6), "V": np.full((1, 3), -1e-6)}, {"M": _RANK_ONE},
        "rmsprop", 1e-9, steps=10, about="a factorisation that begins next to zero",
    ),
    Descent(
        "dead-relu", "mean((relu(X @ W + b) @ v - t)**2)", {"W": np.abs(_draw(23, 2, 3)), "b": np.ones(3), "v": np.ones(3)},
        {"X": np.abs(_NET["X"]), "t": np.ones(20)},
        rate=3.0, steps=10, about="a network that its first step switches off",
    ),
    Descent(
        "log-domain", "sum(p*log(p/q))", {"p": [0.5, 0.3, 0.2]}, {"q": [0.01, 0.01, 0.98]},
        rate=0.2, steps=5, dtype="float64", about="a divergence of shares that nothing keeps above 0",
    ),
    Descent(
        "exploding-exponent", "mean((a*exp(k*s) - y)**2)", {"a": 1.0, "k": 1.0},
        {"s": np.linspace(0, 50, 11), "y": np.exp(-0.1 * np.linspace(0, 50, 11))},
        rate=1e-4, steps=5, dtype="float64", about="a decay fitted from a growth",
    ),
    Descent(
        "unbounded-loss", "mean((X @ w - t)**2) - 5*sum(w**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        rate=0.02, steps=60, about="a ridge penalty with the wrong sign",
    ),
    Descent(
        "epsilon-too-large", "mean((tanh(X @ W + b) @ v - t)**2)", _SMALL_NET, _NET,
        "nadam", 1e-3, {"epsilon": 300.0}, steps=30, about="a network of tanh by Nadam",
    ),
    Descent(
        "momentum-too-high", "(x + 2*y - 7)**2 + (2*x + y - 5)**2", {"x": -5.0, "y": 9.0},
        {}, "adam", 0.05, {"beta_1": 0.999}, steps=400, about="Booth's bowl by Adam",
    ),
)  # fmt: skip

_COUNTS = {"X": np.stack([np.linspace(-1, 1, 20), np.ones(20)], 1), "y": np.round(np.exp(np.linspace(-0.5, 2, 20)))}
_WIDE = {"W": 0.5 * _draw(31, 2, 40), "b": 0.1 * _draw(32, 40), "V": 0.2 * _draw(33, 40, 8), "v": 0.3 * _draw(34, 8)}

WELL = (
    Descent("", "mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE, rate=0.1, steps=25, about="a regression"),
    Descent(
        "", "mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        "sgd", 0.02, {"momentum": 0.9}, steps=60, about="a regression with momentum",
    ),
    Descent(
        "", "mean(softplus(X @ w) - y*(X @ w))", {"w": [0.0, 0.0, 0.0]}, _CLASSES,
        "adam", 0.05, steps=50, dtype="float64", about="a logistic regression by Adam",
    ),
    Descent(
        "", "mean((tanh(X @ W + b) @ v - t)**2)", _SMALL_NET, _NET, rate=0.05, steps=60, about="a network of tanh",
    ),
    Descent(
        "", "mean((relu(X @ W + b) @ v - t)**2)", _SMALL_NET, _NET,
        "adam", 0.02, steps=60, about="a network of relu by Adam",
    ),
    Descent(
        "", "mean((relu(tanh(X @ W + b) @ V) @ v - t)**2)", _WIDE, _NET,
        "adam", 0.01, steps=40, about="a network of 448 numbers by Adam",
    ),
    Descent(
        "", "mean((relu(tanh(X @ W + b) @ V) @ v - t)**2)", _WIDE, _NET,
        "sgd", 0.05, {"momentum": 0.9, "clipnorm": 1.0}, steps=60, about="the same, clipped, with momentum",
    ),
    Descent(
        "", "mean(exp(X @ w) - y*(X @ w))", {"w": [0.0, 0.0]}, _COUNTS, "rmsprop", 0.05, steps=40, about="a Poisson regression",
    ),
    Descent(
        "", "log(s) + mean((y - m)**2)/(2*s**2)", {"m": 0.0, "s": 2.0}, {"y": (1 + 0.5 * _draw(7, 25)).round(3)},
        "adam", 0.05, steps=60, dtype="float64", about="the width of a bell curve",
    ),
    Descent(
        "", "mean(max(0, 1 - (2*y - 1)*(X @ w))) + 0.01*sum(w**2)", {"w": [0.0, 0.0, 0.0]}, _CLASSES,
        rate=0.5, steps=40, about="a support vector machine",
    ),
    Descent(
        "", "mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        "lion", 0.05, steps=40, about="a regression by Lion, of which no limit is known",
    ),
    Descent(
        "", "mean((X @ w - t)**2)", {"w": [0.0, 0.0, 0.0]}, _LINE,
        "adamw", 0.05, {"weight_decay": 0.01, "gradient_accumulation_steps": 4}, steps=80, about="AdamW that gathers gradients",
    ),
)  # fmt: skip

_DEEP = "mean((tanh(X @ W1) @ W2 - Y)**2)"
_BIG = {"W": 0.5 * _draw(41, 2, 150), "b": 0.1 * _draw(42, 150), "v": 0.1 * _draw(43, 150)}
_BIGNET = "mean((relu(X @ W + b) @ v - t)**2)"

FURTHER = (
    Descent(
        "rate-too-high",
        "mean((relu(tanh(X @ W + b) @ V) @ v - t)**2)",
        _WIDE,
        _NET,
        "adam",
        3.0,
        steps=40,
        about="a wide network by Adam",
    ),
    Descent(
        "rate-too-high",
        "mean((X @ w - t)**2)",
        {"w": [0.0, 0.0, 0.0]},
        _LINE,
        "lion",
        3.0,
        steps=40,
        about="a regression by Lion",
    ),
    Descent(
        "rate-too-high",
        "(1 - x)**2 + 100*(y - x**2)**2",
        {"x": -1.2, "y": 1.0},
        {},
        "sgd",
        0.01,
        steps=20,
        dtype="float64",
        about="Rosenbrock's valley",
    ),
    Descent(
        "rate-too-low",
        "mean((relu(tanh(X @ W + b) @ V) @ v - t)**2)",
        _WIDE,
        _NET,
        "sgd",
        1e-6,
        steps=40,
        about="a wide network",
    ),
    Descent(
        "rate-too-low",
        "mean((X @ w - t)**2)",
        {"w": [0.0, 0.0, 0.0]},
        _LINE,
        "adagrad",
        1e-5,
        steps=40,
        about="Adagrad on a regression",
    ),
    Descent(
        "ravine",
        "0.5*sum(a*x**2)",
        {"x": np.ones(400)},
        {"a": np.logspace(0, 5, 400)},
        "sgd",
        1e-5,
        steps=100,
        about="a bowl of 400 numbers",
    ),
    Descent(
        "ravine",
        "50.0*(x+y)**2 + 0.02*(x-y)**2",
        {"x": 1.0, "y": 2.0},
        {},
        "sgd",
        0.004,
        {"momentum": 0.3},
        steps=60,
        about="a slanted valley",
    ),
    Descent(
        "saddle",
        _DEEP,
        {"W1": np.zeros((2, 120)), "W2": np.zeros((120, 2))},
        {"X": _NET["X"], "Y": _NET["X"][:, ::-1].copy()},
        "adam",
        0.01,
        steps=20,
        about="a wide network from zero by Adam",
    ),
    Descent(
        "maximum",
        "sum((w**2 - 1)**2)",
        {"w": np.full(4, 1e-7)},
        {},
        "sgd",
        0.01,
        steps=10,
        about="four double wells begun on the ridge",
    ),
    Descent(
        "dead-relu",
        _BIGNET,
        {**_BIG, "b": np.full(150, -15.0)},
        _NET,
        "sgd",
        0.01,
        {"momentum": 0.9},
        steps=20,
        about="a wide network that is off",
    ),
    Descent(
        "dead-relu",
        "mean((clip(X @ w + b, 0, 1) - y)**2)",
        {"w": [0.1, 0.1, 0.1], "b": 4.0},
        _CLASSES,
        "adam",
        0.01,
        steps=15,
        about="a clipped score beyond its clip",
    ),
    Descent(
        "log-domain",
        "sum((x - [2, 1])**2) - 0.01*log(1 - x @ x)",
        {"x": [0.0, 0.0]},
        {},
        "sgd",
        0.1,
        {"momentum": 0.9},
        steps=30,
        about="a disk with a barrier",
    ),
    Descent(
        "log-domain",
        "-mean(y*log(X @ w + 0.5) + (1 - y)*log(0.5 - X @ w))",
        {"w": [0.0, 0.0, 0.0]},
        _CLASSES,
        "adam",
        0.05,
        steps=30,
        about="a probability without a sigmoid",
    ),
    Descent(
        "exploding-exponent",
        "mean(cosh(X @ w))",
        {"w": [20.0, -30.0, 30.0]},
        _CLASSES,
        "sgd",
        1e-3,
        steps=5,
        about="a hyperbolic cosine from afar",
    ),
    Descent(
        "exploding-exponent",
        "mean((2**(k*s) - y)**2)",
        {"k": 4.0},
        {"s": np.arange(10.0), "y": np.arange(10.0)},
        "adam",
        0.01,
        steps=5,
        about="a power whose exponent is fitted",
    ),
    Descent(
        "unbounded-loss",
        "-mean(softplus(X @ w) - y*(X @ w))",
        {"w": [0.0, 0.0, 0.0]},
        _CLASSES,
        "rmsprop",
        0.05,
        steps=50,
        about="a logistic regression turned round",
    ),
    Descent("unbounded-loss", "-" + _BIGNET, _BIG, _NET, "adam", 0.01, steps=30, about="a wide network turned round"),
    Descent("unbounded-loss", "sum(c*x)", {"x": [1.0, 2.0]}, {"c": [1.0, -3.0]}, "sgd", 0.1, steps=200, about="a plane"),
    Descent(
        "epsilon-too-large",
        "mean((relu(tanh(X @ W + b) @ V) @ v - t)**2)",
        _WIDE,
        _NET,
        "adagrad",
        0.01,
        {"epsilon": 1e7},
        steps=40,
        about="a wide network by Adagrad",
    ),
    Descent(
        "epsilon-too-large",
        "1e-9*sum((w - 3)**2)",
        {"w": np.zeros(3)},
        {},
        "adamax",
        0.01,
        {"epsilon": 1e-3},
        steps=60,
        about="a loss in tiny units by Adamax",
    ),
    Descent(
        "momentum-too-high",
        "mean((relu(tanh(X @ W + b) @ V) @ v - t)**2)",
        _WIDE,
        _NET,
        "sgd",
        0.003,
        {"momentum": 0.999},
        steps=250,
        about="a wide network",
    ),
    Descent(
        "momentum-too-high",
        "mean(softplus(X @ w) - y*(X @ w))",
        {"w": [3.0, 3.0, 3.0]},
        _CLASSES,
        "sgd",
        0.3,
        {"momentum": 0.998},
        steps=300,
        dtype="float64",
        about="a logistic regression",
    ),
)
