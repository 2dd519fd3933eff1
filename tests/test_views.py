"""Views: what a reader sees of each result, and that no result, width or text, however hostile, breaks a terminal."""

from __future__ import annotations

import dataclasses
import inspect
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gdrepl.commands import results
from gdrepl.commands.results import (
    Begun,
    Branches,
    BranchInfo,
    Changed,
    CheckpointInfo,
    CheckpointMade,
    Checkpoints,
    ConstantInfo,
    Described,
    Diff,
    Displayed,
    Displays,
    Done,
    Gradient,
    HelpList,
    HelpPage,
    History,
    KeptValues,
    Listed,
    Loaded,
    LossPair,
    OptimizerInfo,
    OwnCommands,
    ParameterInfo,
    Phased,
    Plotted,
    Printed,
    ProblemInfo,
    Quit,
    Saved,
    SessionInfo,
    SettingPair,
    SlotInfo,
    Sourced,
    Stepped,
    StopInfo,
    Stops,
    StopSet,
    Variables,
    Variant,
    WhatIf,
)
from gdrepl.display.futures import futures_chart
from gdrepl.display.numbers import fit, norm, show, signed
from gdrepl.display.text import safe
from gdrepl.display.views import VIEWS, Style, make_console, render, render_error
from gdrepl.engine.snapshot import Point, Stop
from gdrepl.errors import CommandError, ExpressionError, ProblemError, SessionFileError
from gdrepl.insight.backtrace import Backtrace, Frame, Listing, StackFrame
from gdrepl.insight.cause import Why
from gdrepl.insight.chart import Chart, Series
from gdrepl.insight.curvature import Direction, Hessian
from gdrepl.insight.doctor.finding import Diagnosis, Finding
from gdrepl.insight.examine import examine
from gdrepl.insight.explain import Explained
from gdrepl.insight.gradient import Term
from gdrepl.insight.gradient_check import Compared, GradientCheck
from gdrepl.insight.phases import Change, Made
from gdrepl.insight.rate_range import LearningRateRange
from gdrepl.insight.sheet import UpdateTerm
from gdrepl.insight.slicing import Along, Sliced
from gdrepl.insight.stability import RateLimit
from gdrepl.insight.summary import Summary

PLAIN = Style(color=False)
WIDTHS = (20, 33, 40, 59, 60, 80, 120, 200)
HOSTILE = "[red]b[/red] \x1b[31mred\x1b[0m\r\n\tnext\x07 \u202egnirts 日本語 🇩🇪 é\u0301 \ud800 :smile: {id} %s " + "x" * 300
PARTS = {  # helper values inside results, which are never returned by themselves
    results.Displayed,
    results.StopInfo,
    results.BranchInfo,
    results.ParameterInfo,
    results.ConstantInfo,
    results.SlotInfo,
    results.CheckpointInfo,
    results.SettingPair,
    results.LossPair,
    Variant,
}


# --- made-up results ----------------------------------------------------------------------------------------------------


def f32(value):
    return np.asarray(value, np.float32)


def point(step, loss, x, grad, lr=1.0):
    """A point; x and grad are one parameter's, or mappings of several."""
    xs, grads = (value if isinstance(value, dict) else {"x": value} for value in (x, grad))
    as32 = [{name: f32(value) for name, value in each.items()} for each in (xs, grads)]
    return Point(step, f32(loss), as32[0], as32[1], f32(lr))


START = point(0, 2209, 3, -94)
ONE = point(1, 2116.0007, 3.9999933, -92.00001)
NEAR = point(78, 0.000976, 49.99968, -0.00064)
VECTOR = point(0, 24.2, {"w": [-1.2, 1], "b": 0.5}, {"w": [-215.6, -88], "b": 3.25})
MOVED = point(40, 0.0213, {"w": [0.85, 0.73], "b": 0.25}, {"w": [0.125, -0.3], "b": 1.5e-5}, lr=0.1)
LARGE = point(0, 2.3, {"W": np.ones((10, 10)), "b": np.zeros(70)}, {"W": np.ones((10, 10)), "b": np.arange(70)})
BROKEN = point(37, np.nan, np.inf, np.nan)
MANY = point(0, 1, {f"w{i}": i for i in range(60)}, {f"w{i}": -i for i in range(60)})
COUNT = Stop("count", None, "1 step")


def explained(accounts=True, **more):
    """Of two parameters, one of them a vector of which two numbers are shown."""
    terms = (
        UpdateTerm("lr", f32(0.1)),
        UpdateTerm("gradient", f32(-94), "x"),
        UpdateTerm("momentum", f32(-9.4), "x", f32(0), None if accounts else f32(-9.5)),
        UpdateTerm("parameter", f32(3.999993), "x", f32(3)),
        UpdateTerm("gradient", f32([1e-30, np.nan]), "w"),
        UpdateTerm("momentum", f32([0.125, np.inf]), "w", f32([0, 1])),
        UpdateTerm("parameter", f32([0.85, 0.73]), "w", f32([1, 2])),
    )
    given = {
        "step": 12, "optimizer": "Adam(learning_rate=0.1)", "terms": terms, "worst_ulps": 1.0 if accounts else np.inf,
        "notes": ("clipping is active in x",), "accounts": accounts, "known": True, "coming": True, "applied": True,
        "coordinates": {"x": ("x",), "w": ("w[0]", "w[7]")}, "numbers": 12, "loss": (f32(2209), f32(np.nan)),
        "dtype": "float32", "formulas": ("m = m + (g - m)*(1 - b1)", "w = w - m"), "worst_ulps_float64": 3.5,
        "worst": "momentum of x", "responsible": "denominator",
    }  # fmt: skip
    return Explained(**{**given, **more})


def history(count, components=0, rate=None):
    x = f32(np.linspace(3, 50, count))
    x = np.stack([x] * components, 1) if components else x
    rates = np.ones(count, np.float32) if rate is None else f32(rate)
    loss = np.square(x - 50).reshape(count, max(1, components)).sum(1)
    return History(
        {
            "step": np.arange(count),
            "loss": loss,
            "parameters": {"x": x},
            "gradient": {"x": 2 * (x - 50)},
            "learning_rate": rates,
        },
        "main",
    )


def tree(*branches):
    """Branches of (name, parent); the first is the current one."""
    return Branches(
        tuple(
            BranchInfo(name, parent, 10 * i, 0, 80, 0.5 / (i + 1), i == 0, "adam(learning_rate=1)", "(x - 50)**2")
            for i, (name, parent) in enumerate(branches)
        )
    )


MARKS = Checkpoints(
    (
        CheckpointInfo(1, "cp1", "main", 40, f32(25.5), False, "SGD(learning_rate=0.1)"),
        CheckpointInfo(12, "before-lr", "b1", 653, f32(np.nan), True, "Adam(learning_rate=1.0)"),
    )
)
PARTED = Diff(
    "main",
    "b1",
    (SettingPair("lr", "0.1", "1.2"), SettingPair("optimizer", "SGD", "Adam")),
    0.0,
    0,
    40,
    11,
    "loss",
    (LossPair(11, f32(9), f32(4)), LossPair(40, f32(1), f32(0.5)), LossPair(90, None, f32(0.25))),
    ("on b1 at step 10: set lr 1.2",),
)
DISPLAYS = (Displayed(1, "norm(grad)", f32(92)), Displayed(2, "slot.m", None, "there is no slot 'm'"))
CHAIN = (Term("100 * (x - 50) ** 2", f32(9), f32(1)), Term("x - 50", f32(-47), f32(-94)))
GRADIENT = Gradient(START.gradient, 94.0, 0, START.loss, "(x - 50)**2", START.parameters, CHAIN[1:])

RISING = LearningRateRange(
    3,
    f32(2209),
    f32(0.1),
    f32(np.geomspace(1e-6, 2.3, 30)),
    f32([*np.geomspace(2209, 1e-9, 28), 1e-5, np.inf]),
    "suggested",
    0.039,
    0.87,
    0.087,
    2.3,
    "SGD",
    4,
    ("the rates took the place of exponential_decay(0.1, decay_steps=100, decay_rate=0.9), which stays in force",),
)
NO_FLOOR = LearningRateRange(
    0, f32(-9), f32(0.1), f32([1e-6, 1]), f32([-9, -np.inf]), "no floor", None, None, None, 1.0, "Adafactor"
)
LINE = Along("-grad", 0.0147, 0.0, -0.4476, 0.2433, 0.97, 1.84, "the length of the next update")
ACROSS = Along("W[0, 1]", 1.0, 1.5, 0.0, -2.0, 4.0, None)
CUT = Sliced((LINE,), (np.linspace(-1, 4, 205),), f32(np.linspace(-1, 4, 205) ** 2), 20, f32(4.562318), f32(4.24), 0.97)
PLANE = Sliced(
    (LINE, ACROSS),
    (np.linspace(-1, 4, 15), np.linspace(0, 3, 15)),
    f32(np.where(np.arange(15) > 11, np.nan, np.add.outer(np.arange(15) ** 2, np.arange(15)))),
    0,
    f32(0),
    f32(np.nan),
    None,
    0.5,
    ("410 of 1681 losses are not finite: gaps",),
)

SUMMED = "sum(W @ x) + 0.5*x[0]"
MANY_NUMBERS = Summary((40, 5), 123.456789, -3.0, 4.0, 2)
FRAMES = (
    StackFrame(0, SUMMED, f32(9.5), None, f32(1), None, 0, 1, None, 0, 21),
    StackFrame(1, "sum(W @ x)", f32(9), f32(1), f32(1), 0, 1, 1, None, 0, 10),
    StackFrame(2, "W @ x", MANY_NUMBERS, Summary((40, 5), None), MANY_NUMBERS, 1, 2, 1, None, 4, 9),
    StackFrame(
        3, "x", f32([1, 2]), Summary((40, 5, 2), 12.5), f32([5.5, 2]), 2, 3, 2, f32([6, 2]), 8, 9, "vanishes", "relu off"
    ),
    StackFrame(4, "0.5*x[0]", f32(0.5), f32(1), f32(1), 0, 1, 1, None, 13, 21, "not finite", "0*inf: it is nan"),
)
AGREES = Compared("W[3, 1]", -0.25, -0.2500001, 1e-7, 2e-6, 0.00031)
DIFFERS = Compared("W[12, 137]", np.nan, 1.5e30, np.inf, 2e-6, 0.00031)
RIGHT = GradientCheck(
    1e-7, "W[3, 1]", True, ("kink at x[2]: slopes -1 and 1 beside it",), (AGREES,), -0.25, ("x[2]",), 12, 12, 0,
    "float32", "float64", 7,
)  # fmt: skip
WRONG = dataclasses.replace(
    RIGHT, worst_error=np.inf, coordinate=DIFFERS.coordinate, ok=False, worst=(DIFFERS, AGREES), numbers=10**6, directions=4
)
SPREADING = np.concatenate([np.geomspace(1e-9, 1e9, 800), -np.geomspace(1e-9, 1e3, 50), [0, np.nan, np.inf]])

SAMPLES = {
    "explained": explained(),
    "explained with rounding": explained(tolerance_ulps=4e9),
    "explained wrong": explained(False),
    "explained in vain": explained(False, tolerance_ulps=np.inf),
    "explained unknown": explained(False, known=False, worst_ulps=None),
    "rate range": RISING,
    "rates without a floor": NO_FLOOR,
    "slice": CUT,
    "contours": PLANE,
    "a right gradient": RIGHT,
    "a wrong gradient": WRONG,
    "nothing to compare": dataclasses.replace(RIGHT, worst_error=np.nan, coordinate="", worst=()),
    "a scalar examined": examine("loss", f32(3)),
    "a vector examined": examine("w", f32([3, -1e-30, np.nan])),
    "a matrix examined": examine("W", f32(np.arange(300).reshape(10, 30) / 7)),
    "a cube examined": examine("W", f32(np.arange(24).reshape(2, 3, 4))),
    "the first numbers": examine("W", f32(np.arange(24).reshape(2, 12)), 5),
    "many first numbers": examine("W", f32(np.arange(2400).reshape(2, 1200)), 500, "e"),
    "bits": examine("W", f32([[1, 2], [3, np.nan]]), None, "x"),
    "fixed": examine("w", f32([1e30, 0.5, -np.inf]), 3, "f"),
    "a large tensor": examine("W", f32(np.sin(np.arange(6000)).reshape(60, 100))),
    "numbers of all sizes": examine("w", SPREADING),
    "truths": examine("W > 0", np.arange(600) % 7 > 2),
    "nothing finite": examine("w", np.full(500, np.nan)),
    "a diagnosis": Diagnosis(
        (
            Finding("log-domain", "severe", "log(sigmoid(X @ w + b)) of -3.2e-4 at step 37", "why", {"input": -3.2e-4}),
            Finding("rate-too-high", "warning", "rate 6: " + "the loss grew " * 12, "whatif lr 2 0.6 for 50", {"rate": 6.0}),
            Finding("clipping", "note", "the gradient 4.46 is clipped to 1", "info optimizer"),
        ),
        38,
    ),
    "a good diagnosis": Diagnosis(
        (Finding("healthy", "good", "the loss fell from 9.8 to 1.2", "plot loss", {"loss": 1.2}),), 7
    ),
    "one step": Stepped(1, ONE, (COUNT,), START, "main"),
    "many steps": Stepped(78, NEAR, (Stop("breakpoint", 1, "loss < 1e-3"),), START, "main", DISPLAYS),
    "a phase": Phased(3, "forward", (Made("forward", 3, (Change("loss", None, f32(9)), Change("x - 50", None, f32(3)))),)),
    "seven phases": Phased(
        4,
        "clip",
        (
            Made("moments", 3, (Change("slot.momentum(x)", f32(1), f32(2)), Change("slot.u_product", f32(1), f32(np.nan)))),
            Made("apply", 3, (Change("W", f32(9), f32(8.5), (100, 3), 0.5), Change("w", f32([1, 2]), f32([2, 2]))), "applied"),
            Made("decay", 3, (), "no weight decay"),
            Made("forward", 4, (Change("loss", None, f32(np.inf)),)),
        ),
        Stepped(1, ONE, (Stop("non-finite", None, "loss is inf"),), START, "main"),
        displays=(Displayed(1, "x", f32(4), changed=True),),
        notes=("the update from step 3, begun up to clip, is given up",),
    ),
    "phases back": Phased(2, "", (), back=3, notes=("at the start",)),
    "no phase": Phased(2, "", ()),
    "vector": Stepped(40, MOVED, (Stop("interrupt", None, "after 40 steps"), Stop("until", None, "loss < 1")), VECTOR, "b1"),
    "large": Stepped(0, LARGE, (), LARGE, "main"),
    "sixty parameters": Stepped(5, dataclasses.replace(MANY, step=5), (), MANY, "main"),
    "back": Stepped(-78, START, (Stop("start", None, "the start"),), NEAR, "main"),
    "not finite": Stepped(37, BROKEN, (Stop("non-finite", None, "loss is nan, grad(x)"),), START, "main", (), NEAR),
    "began again": Stepped(10, point(10, 1.5, 40, -20), (), NEAR, "b1"),
    "gradient": GRADIENT,
    "gradient of two": Gradient(VECTOR.gradient, 232.9, 0, f32(24.2), "w @ w + b", VECTOR.parameters, CHAIN),
    "gradient of a vector": Gradient({"x": f32(range(40))}, 141.0, 0, f32(1), "sum(x)", {"x": f32(range(40))}, ()),
    "history": history(12, rate=[1] * 6 + [0.1] * 6),
    "history of a vector": history(12, 4),
    "history of norms": history(12, 5),
    "no history": history(0),
    "printed": Printed("x + 1", f32(4)),
    "printed and kept": Printed("x + 1", f32(4), number=12),
    "printed over steps": Printed("x", f32([3, 4, 5]), (0, 10, 20), 2),
    "printed over many steps": Printed("w", f32(np.arange(2000).reshape(1000, 2)), tuple(range(1000)), 3),
    "kept values": KeptValues((("$1", f32(3)), ("$2", None), ("$before", f32([1, 2])))),
    "own commands": OwnCommands({"look": ("print x", "step $arg0")}, {"two": "step 2"}),
    "printed matrix": Printed("A", f32([[1, 2], [3, 4.5]])),
    "printed truth": Printed("loss < 1", np.asarray(True)),
    "described": Described("x", "parameter", (2,), "float32"),
    "stops": Stops(
        (StopInfo(1, "breakpoint", "loss < 1e-3", True, 2), StopInfo(12, "breakpoint", "step == 5", False, 0, 3, True))
    ),
    "no stops": Stops(()),
    "stop set": StopSet(1, "breakpoint", "loss < 1e-3"),
    "displays": Displays(DISPLAYS),
    "no displays": Displays(()),
    "branches": tree(("main", None), ("b1", "main"), ("careful", "b1"), ("b2", "main")),
    "no branches": Branches(()),
    "checkpoints": MARKS,
    "no checkpoints": Checkpoints(()),
    "checkpoint": CheckpointMade(3, "before-lr", "main", 40),
    "diff": PARTED,
    "diff with a chart": dataclasses.replace(
        PARTED,
        chart=Chart(
            "loss of main and b1",
            "step",
            "loss",
            (Series("main", f32([10, 40]), f32([9, 1])), Series("b1", f32([10, 90]), f32([9, 1]))),
        ),
    ),
    "diff that does not part": Diff("main", "b1", (), 1e-6, 0, 40, None, "", (LossPair(40, f32(9), f32(9)),)),
    "problem": ProblemInfo(
        "rosenbrock",
        "(1 - x)**2 + 100 * (y - x**2)**2",
        "float32",
        "xla",
        (ParameterInfo("x", (), f32(-1.2), f32(0.9)), ParameterInfo("w", (64,), f32(np.zeros(64)), f32(np.ones(64)))),
        (ConstantInfo("data", (100, 3), f32(np.ones((100, 3))), "iris.csv", "0123456789abcdef" * 4),),
        "a curved valley",
        "-5 <= x, y <= 10",
        0.0,
        ({"x": 1.0, "y": (1.0, 2.0)},),
        "Rosenbrock (1960)",
    ),
    "bare problem": ProblemInfo("", "x**2", "float64", "eager", (ParameterInfo("x", (), f32(1), f32(1)),), ()),
    "optimizer": OptimizerInfo(
        "adam",
        "adam(learning_rate=1)",
        f32(1),
        "exponential_decay(1, 100, 0.9)",
        {"learning_rate": 1.0, "beta_1": 0.9, "epsilon": 1e-7, "amsgrad": False, "clipnorm": None},
        (SlotInfo("iteration", None, np.asarray(78)), SlotInfo("momentum", "x", f32(-0.00123))),
    ),
    "listed": Listed("optimizers", (("sgd", "gradient descent"), ("adam", "adaptive moments")), "help optimizer"),
    "session": SessionInfo(
        {"problem": "hill", "step": 78, "branches": ["main"], "memory": {"rows": 4}, "seed": None, "x": f32(1)}
    ),
    "changed": Changed("lr", f32(1), f32(0.1), ("the old future is kept",), "lr.csv", "0123" * 16),
    "changed text": Changed(
        "optimizer", "adam(learning_rate=1, beta_1=0.9, beta_2=0.9)", "sgd(learning_rate=0.1, momentum=0.9)"
    ),
    "begun": Begun("(x - 50)**2", "hill", START, "b1", ("breakpoint 1 (y > 1) is passed over: unknown name 'y'",)),
    "done": Done("on branch b1 from step 40"),
    "plotted": Plotted(Chart("loss", "step", "loss", (Series("loss", np.arange(30), np.arange(30) ** 2.0),))),
    "what if": WhatIf(
        (
            Variant("as it is", "moving", 60, f32(0.1), 60, None, np.arange(60), f32(np.geomspace(9, 0.1, 60))),
            Variant("lr 2", "diverged", 9, f32(np.inf), None, 9, np.arange(10), f32(9 * 5.0 ** np.arange(10)), "lr-2"),
            Variant("adam", "converged", 60, f32(0), 7, None, np.arange(60), f32(np.maximum(0, 9.0 - np.arange(60)))),
        ),
        0,
        f32(9),
        f32(0.1),
    ),
    "backtrace": Backtrace(
        FRAMES, 3, SUMMED, 5, {"x": f32([6, 2])}, False, 2, notes=("x is used 2 times", "more than rounding")
    ),
    "backtrace in full": Backtrace(FRAMES, 3, SUMMED, 5, {"x": f32([6, 2])}, True, 0, full=True),
    "backtrace of many": Backtrace(
        tuple(
            StackFrame(k, "sin(" * (60 - k) + "x" + ")" * (60 - k), f32(0.5), f32(0.9), f32(0.1), k - 1, k, 1, None, 0, 9)
            for k in range(1, 61)
        ),
        3,
        "sin(" * 60 + "x" + ")" * 60,
        61,
        {"x": f32(1)},
        True,
        55,
    ),
    "frame": Frame(
        *(getattr(FRAMES[3], name) for name in FRAMES[3].__slots__),
        step=3,
        loss=SUMMED,
        count=5,
        parent_expression="sum(W @ x)",
        parent_gradient=f32(1),
    ),
    "frame of the loss": Frame(0, "x", f32(3), None, f32(1), None, 0, 1, None, 0, 1, step=3, loss="x", count=1),
    "listing": Listing(SUMMED, 3, "W @ x", 4, 9, 3),
    "listing of a long loss": Listing("+".join(["x*x"] * 400), 3, "x*x", 1200, 1203, 3),
    "why": Why(
        37,
        "log",
        "log(x)[3]",
        {"x[3]": f32(-3.2e-4)},
        ("the rate 0.1 was 2 times the stability limit",),
        "value",
        f32(np.nan),
        36,
        {"x": f32([1, 2]), "W": Summary((40, 5), 2.5, -1.0, 1.0, 3)},
        f32(0.1),
        (0.1, 0.2),
        2.0,
        0.05,
        2.0,
        "sum(log(x))",
        4,
        10,
    ),
    "why of a slot": Why(
        1, "update", "slot.velocity(x)", {"grad(x)": f32(2e20)}, ("it overflowed",), "update", f32(np.inf), loss="x"
    ),
    "why of nothing": Why(3, "", "", {}, notes=("all is finite", "'step 3' ended at step 3")),
    "hessian": Hessian(
        np.array([9.5, -2.0]),
        4.75,
        "saddle",
        "indefinite",
        3,
        2,
        1e-7,
        1e-4,
        True,
        np.zeros(2),
        2,
        (Direction(-2.0, {"y": 1.0}),),
        (),
        ("x", "y"),
        np.eye(2),
        np.array([[9.5, 0], [0, -2.0]]),
        ("a note",),
    ),
    "hessian of many": Hessian(
        np.linspace(9, -1, 40),
        np.inf,
        "not stationary",
        "indefinite",
        3,
        40,
        2.5,
        1e-4,
        True,
        np.zeros(40),
        40,
        directions=tuple(Direction(value, {"W[0, 1]": 0.6, "b": -0.8}) for value in (9, 8.7, 8.5, -0.5, -0.7, -1)),
    ),
    "hessian by its ends": Hessian(
        np.array([9.0, 8, -1, -2]),
        None,
        "not stationary",
        "indefinite",
        3,
        90000,
        2.5,
        1e-4,
        False,
        np.full(4, 1e-9),
        300,
        directions=tuple(Direction(value, {"W[0, 1]": 0.6, "b": -0.8}) for value in (9, 8, -1, -2)),
    ),
    "rate limit": RateLimit(
        1.3,
        1.0,
        1.3,
        "2/lambda_P, P the denominators",
        3,
        "RMSprop",
        2.0,
        -0.5,
        1e-9,
        True,
        0.5,
        {"x": 0.8, "W[0, 1]": -0.6},
        "half of the limit",
        ("a note",),
    ),
    "no rate limit": RateLimit(
        1.3, None, None, "none known", 3, "Lion", None, None, None, False, None, {}, "", ("none is known",)
    ),
    "saved": Saved("hill.gd", 1, 300, ("the recording that was there is hill.gd~ now",)),
    "sourced": Sourced("steps.gd", 3),
    "variables": Variables(
        (ParameterInfo("x", (), f32(1), f32(2)),), (ConstantInfo("a", (2,), f32([1, 2]), 'csv("a.csv")', "0f" * 32),)
    ),
    "loaded": Loaded("sessions/hill.gd", 12, 2, NEAR),
    "help page": HelpPage("step", "step [COUNT]", "Make COUNT updates.", "One.\n\n  a  b\n- two\nlong " * 9, "step 10", ("s",)),
    "help list": HelpList((("running", (("step [COUNT]", "Make COUNT updates, stopping early."), ("run", ""))), ("none", ()))),
    "quit": Quit(),
}

ERRORS = {
    "expression": ExpressionError("unknown name 'y'", "(x - y)**2", 5, "did you mean 'x'?"),
    "long expression": ExpressionError("unknown name 'y'", "1 + " * 100 + "y", 400),
    "command": CommandError("unknown command 'sep'", "did you mean 'step'?"),
    "problem": ProblemError(HOSTILE, HOSTILE),
    "file": SessionFileError("not JSON", 3),
    "hostile expression": ExpressionError(HOSTILE, "日本語 + [red]y[/red] + é", 6, HOSTILE),
}


def hostile(value):
    """The same result with hostile text in place of every string, also inside tuples and mappings."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(map(hostile, value))
    if isinstance(value, dict):
        return {
            hostile(name) if isinstance(inner, (str, list)) else f"{name}{HOSTILE}": hostile(inner)
            for name, inner in value.items()
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, (History, Chart)):
        return type(value)(*(hostile(getattr(value, field.name)) for field in dataclasses.fields(value)))
    return value


def to_text(renderable, style):
    """What a console of this style prints, without the last newline."""
    stream = io.StringIO()
    make_console(stream, style).print(renderable)
    return stream.getvalue().removesuffix("\n")


def drawn(result, style=PLAIN):
    return to_text(render(result, style), style)


def failed(error, style=PLAIN, place=""):
    return to_text(render_error(error, style, place), style)


def fields(text):
    """The cells of each line, which two blanks or more part."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


# --- every result, every terminal ---------------------------------------------------------------------------------------


def test_every_result_class_has_a_view():
    classes = {value for _, value in inspect.getmembers(results, inspect.isclass) if value.__module__ == results.__name__}
    answers = {
        Backtrace,
        Diagnosis,
        Explained,
        Frame,
        GradientCheck,
        Hessian,
        LearningRateRange,
        Listing,
        RateLimit,
        Sliced,
        Why,
    }
    answers |= {type(examine("x", f32(1)))}
    assert (classes - PARTS) | answers == {*VIEWS, Plotted}


def test_every_view_has_a_sample():
    assert {type(sample) for sample in SAMPLES.values()} == {*VIEWS, Plotted}


def check(text, style):
    assert [line for line in text.splitlines() if cell_len(re.sub("\x1b\\[[0-9;]*m", "", line)) > style.width] == []
    assert style.color or "\x1b" not in text
    assert text.isascii() or not style.ascii_only
    assert all(character.isprintable() for character in re.sub("\x1b\\[[0-9;]*m|\n", "", text))


@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
@pytest.mark.parametrize("color", [False, True], ids=["plain", "color"])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_result_fits_every_terminal(name, color, ascii_only):
    for width in WIDTHS:
        style = Style(width, 24, color, ascii_only)
        check(drawn(SAMPLES[name], style), style)
        check(drawn(hostile(SAMPLES[name]), style), style)


@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
@pytest.mark.parametrize("color", [False, True], ids=["plain", "color"])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_fits_every_terminal(name, color, ascii_only):
    for width in WIDTHS:
        style = Style(width, 24, color, ascii_only)
        check(failed(ERRORS[name], style, HOSTILE), style)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [1, 2, 5, 11])
def test_a_terminal_too_narrow_for_anything_breaks_nothing(name, width):
    style = Style(width, 1, False)
    check(drawn(SAMPLES[name], style), style)


WITH_CHARTS = (
    "plotted",
    "diff with a chart",
    "what if",
    "hessian of many",
    "rate range",
    "rates without a floor",
    "slice",
    "contours",
)


@pytest.mark.parametrize("name", SAMPLES)
def test_colour_adds_no_words(name):
    if name not in WITH_CHARTS:  # without colour a chart tells its series apart by other glyphs
        assert re.sub("\x1b\\[[0-9;]*m", "", drawn(SAMPLES[name], Style())) == drawn(SAMPLES[name])


@pytest.mark.parametrize("precision", [1, 3, 9, 17])
def test_any_precision_fits(precision):
    for sample in SAMPLES.values():
        style = Style(80, 24, False, False, precision)
        check(drawn(sample, style), style)


@pytest.mark.parametrize("make", [Done, lambda text: Printed(text, f32(1)), lambda text: Changed("lr", text, text)])
def test_markup_and_escapes_of_a_user_are_shown_as_they_are(make):
    text = drawn(make("[red]x[/red]\x1b[31m:smile:"), Style(color=False))
    assert "[red]x[/red]\\x1b[31m:smile:" in text


def test_what_is_no_result_has_no_view():
    with pytest.raises(TypeError, match="no view of int"):
        render(3, PLAIN)


@given(st.text())
def test_any_text_is_one_harmless_line(text):
    for ascii_only in (False, True):
        shown = safe(text, ascii_only)
        assert shown.isprintable()
        assert shown.isascii() or not ascii_only
        assert safe(shown, ascii_only) == shown


def test_an_ascii_stream_replaces_what_it_cannot_write():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    make_console(stream, PLAIN).print(render(Done("caf\N{LATIN SMALL LETTER E WITH ACUTE}"), PLAIN))
    stream.flush()
    assert raw.getvalue().decode("ascii") == "caf?\n"


def test_drawing_needs_neither_tensorflow_nor_plotext():
    script = "import sys, gdrepl.display.views; print(*sorted({'tensorflow', 'keras', 'plotext'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split() == []


# --- a step -------------------------------------------------------------------------------------------------------------


def test_a_step_shows_both_points_and_the_change():
    assert fields(drawn(SAMPLES["one step"])) == [
        ["step 0 → 1"],
        ["x", "3", "→", "3.999993", "+0.9999933"],
        ["loss", "2209", "→", "2116.001", "-92.99927"],
        ["grad", "-94", "→", "-92.00001", "+1.999992"],
    ]


def test_the_columns_of_one_step_stand_under_those_of_the_next():
    later = drawn(Stepped(77, NEAR, (), ONE, "main"))
    arrows = [line.index("→") for text in (drawn(SAMPLES["one step"]), later) for line in text.splitlines()[1:]]
    assert len(set(arrows)) == 1


def test_the_plain_count_is_no_stop_worth_a_line():
    assert "stopped" not in drawn(SAMPLES["one step"])


def test_many_steps_say_how_many_and_why_they_ended():
    header, *_, stop, display, broken = drawn(SAMPLES["many steps"]).splitlines()
    assert header == "step 0 → 78   78 steps"
    assert stop == "stopped: breakpoint 1, loss < 1e-3"
    assert display == "1: norm(grad) = 92"
    assert broken == "2: slot.m: there is no slot 'm'"


def test_a_vector_changes_by_a_norm_and_gradients_are_named():
    lines = fields(drawn(SAMPLES["vector"]))
    assert lines[0] == ["step 0 → 40", "40 steps", "on b1"]
    assert lines[1] == ["w", "[-1.2 1]", "→", "[0.85 0.73]", "|Δ| 2.067704"]
    assert [line[0] for line in lines[1:7]] == ["w", "b", "loss", "grad(w)", "grad(b)", "lr"]
    assert lines[6] == ["lr", "1", "→", "0.1", "-0.9"]


def test_the_learning_rate_is_shown_only_when_it_changed():
    assert "lr" not in drawn(SAMPLES["one step"])


@pytest.mark.parametrize(
    ("stop", "line"),
    [
        (Stop("breakpoint", 3, "x > 1"), "stopped: breakpoint 3, x > 1"),
        (Stop("watchpoint", 4, "x"), "stopped: watchpoint 4, x"),
        (Stop("event", "dead", "dead", 5, "flat"), "stopped: catchpoint 5 (flat), dead"),
        (Stop("until", None, "loss < 1"), "stopped: until loss < 1"),
        (Stop("interrupt", None, "after 3 steps"), "stopped: interrupted"),
        (Stop("non-finite", None, "loss is nan"), "stopped: not finite: loss is nan"),
        (Stop("max-steps", None, "after 9 steps (set max-steps)"), "stopped: max-steps, after 9 steps (set max-steps)"),
        (Stop("start", None, "the start"), "at the start"),
        (Stop("end", None, "the end of main"), "at the end of main"),
    ],
    ids=lambda value: value.kind if isinstance(value, Stop) else "",
)
def test_a_stop_is_one_line(stop, line):
    assert drawn(Stepped(1, ONE, (stop,), START, "main")).splitlines()[-1] == line


def test_several_stops_are_as_many_lines():
    stops = (Stop("breakpoint", 1, "x > 1"), Stop("breakpoint", 2, "x > 2"))
    assert drawn(Stepped(1, ONE, stops, START, "main")).count("stopped: ") == 2


def test_after_a_value_that_is_not_finite_the_last_finite_point_is_told():
    bad = Stepped(37, BROKEN, (Stop("non-finite", None, "loss is nan"),), START, "main", (), dataclasses.replace(NEAR, step=36))
    assert drawn(bad).splitlines()[-2:] == [
        "stopped: not finite: loss is nan",
        "  the point before, step 36: x 49.99968, loss 0.000976, grad -0.00064",
    ]


def test_the_last_finite_point_is_not_told_twice():
    bad = Stepped(37, BROKEN, (Stop("non-finite", None, "loss is nan"),), START, "main", (), START)
    assert drawn(bad).splitlines()[-1] == "stopped: not finite: loss is nan"


def test_a_change_to_or_from_what_is_not_finite_is_left_blank():
    assert fields(drawn(SAMPLES["not finite"]))[1:4] == [
        ["x", "3", "→", "inf"],
        ["loss", "2209", "→", "nan"],
        ["grad", "-94", "→", "nan"],
    ]


def test_a_move_backwards_says_so():
    assert drawn(Stepped(-38, point(40, 1, 1, 1), (COUNT,), NEAR, "main")).splitlines()[0] == "back to step 40   38 steps"


def test_no_step_taken_shows_the_point_alone():
    text = drawn(Stepped(0, START, (Stop("end", None, "the end of main"),), START, "main"))
    assert fields(text) == [["step 0"], ["x", "3"], ["loss", "2209"], ["grad", "-94"], ["lr", "1"], ["at the end of main"]]


def test_a_run_that_began_again_is_not_compared_with_the_point_left():
    assert fields(drawn(SAMPLES["began again"]))[:2] == [["from step 0 → 10", "10 steps", "on b1"], ["x", "40"]]


def test_a_screen_is_not_flooded_with_parameters():
    text = drawn(SAMPLES["sixty parameters"])
    assert len(text.splitlines()) <= 24
    assert "more parameters" in text
    assert "loss" in text


def test_ascii_writes_arrows_by_hand():
    assert drawn(SAMPLES["one step"], Style(color=False, ascii_only=True)).splitlines()[0] == "step 0 -> 1"


# --- the others ---------------------------------------------------------------------------------------------------------


def test_a_gradient_shows_where_it_comes_from():
    assert drawn(GRADIENT).splitlines() == [
        "grad at step 0: d loss / d x = -94",
        "loss  (x - 50)**2 = 2209",
        "at    x = 3",
        "chain, by tf.GradientTape, from the loss inwards",
        "  x - 50 = -47    d loss/d(x - 50) = -94",
    ]


def test_the_chain_is_aligned():
    lines = [line for line in drawn(SAMPLES["gradient of two"]).splitlines() if "d loss/d(" in line]
    assert len(lines) == 2
    assert len({line.index("d loss/d(") for line in lines}) == 1


def test_a_chain_too_wide_for_equations_tells_each_expression_once():
    terms = tuple(Term(f"100 * (x[1:] - x[:-1] ** 2) ** {i} + a", f32([i]), f32([1])) for i in range(3))
    lines = fields(drawn(dataclasses.replace(GRADIENT, chain=terms)))
    assert lines[-4:-2] == [["expression", "value", "d loss / d it"], ["100 * (x[1:] - x[:-1]**2)**0 + a", "[0]", "[1]"]]


def test_history_is_columns_under_their_names():
    header, first, *_, last = drawn(history(12, rate=[1] * 6 + [0.1] * 6)).splitlines()
    assert header.split() == ["step", "x", "loss", "grad", "lr"]
    assert first.split() == ["0", "3", "2209", "-94", "1"]
    assert last.split() == ["11", "50", "0", "0", "0.1"]
    assert len({len(line) for line in (header, first, last)}) == 1


@pytest.mark.parametrize(
    ("components", "names"),
    [
        (0, ["step", "x", "loss", "grad"]),
        (2, ["step", "x[0]", "x[1]", "loss", "grad[0]", "grad[1]"]),
        (5, ["step", "norm(x)", "loss", "norm(grad)"]),
    ],
)
def test_history_names_components_and_norms_and_hides_a_constant_rate(components, names):
    assert drawn(history(3, components)).splitlines()[0].split() == names


def test_history_of_recorded_norms_says_so():
    points = {**history(3).points}
    assert drawn(History(points, "main", ("x",))).splitlines()[0].split() == ["step", "norm(x)", "loss", "norm(grad)"]


def test_history_has_a_line_for_each_of_ten_thousand_points():
    assert len(drawn(history(10_000)).splitlines()) == 10_001


def test_branches_are_a_tree_with_a_star_on_the_current_one():
    lines = drawn(SAMPLES["branches"]).splitlines()
    assert [line.split("  adam")[0].rstrip() for line in lines[1:]] == [
        "* main           0..80   80      0.5",
        "  ├─ b1          10..80  70      0.25",
        "  │  └─ careful  20..80  60      0.1666667",
        "  └─ b2          30..80  50      0.125",
    ]


def test_two_branches_side_by_side():
    assert drawn(PARTED).splitlines() == [
        "main and b1 part at step 11: loss differs",
        "  setting    main  b1",
        "  lr         0.1   1.2",
        "  optimizer  SGD   Adam",
        "  on b1 at step 10: set lr 1.2",
        "  step  loss of main  loss of b1",
        "  11    9             4",
        "  40    1             0.5",
        "  90    -             0.25",
    ]
    same = drawn(SAMPLES["diff that does not part"]).splitlines()
    assert same[0] == "main and b1 are the same within 1e-06 from step 0 to 40"


def test_a_chart_of_two_branches_stands_below_the_table_on_one_screen():
    lines = drawn(SAMPLES["diff with a chart"]).splitlines()
    assert lines[: len(drawn(PARTED).splitlines())] == drawn(PARTED).splitlines()
    assert "main" in lines[-1]
    assert "b1" in lines[-1]
    assert len(lines) <= 22


def test_losses_give_way_to_the_chart_but_for_the_first_and_the_last():
    many = tuple(LossPair(step, f32(1), f32(2)) for step in range(11, 21))
    notes = ("on b1 at step 10: set lr 1.2", "on b1 at step 12: set lr 1.3", "on main at step 10: set x 3")
    lines = drawn(dataclasses.replace(SAMPLES["diff with a chart"], losses=many, notes=notes)).splitlines()
    assert len(lines) <= 22
    steps = [
        line.split()[0] for line in lines[8 : next(place for place, line in enumerate(lines) if "loss of main and" in line)]
    ]
    assert (steps[0], steps[-1], 2 < len(steps) < 10) == ("11", "20", True)


def test_branches_in_ascii():
    lines = drawn(SAMPLES["branches"], Style(color=False, ascii_only=True)).splitlines()
    assert [line[:14].rstrip() for line in lines[1:]] == ["* main", "  |- b1", "  |  `- carefu", "  `- b2"]


@pytest.mark.parametrize(
    "branches",
    [
        [("a", "b"), ("b", "a")],
        [("a", "a")],
        [("a", "gone"), ("b", "a")],
        [("b0", None), *((f"b{i + 1}", f"b{i}") for i in range(2_000))],
    ],
    ids=["circle", "own parent", "orphan", "deep"],
)
def test_a_strange_tree_is_drawn_all_the_same(branches):
    check(drawn(tree(*branches)), PLAIN)
    assert len(drawn(tree(*branches)).splitlines()) == 1 + len(branches)


def test_an_optimizer_shows_every_hyperparameter_and_slot():
    lines = fields(drawn(SAMPLES["optimizer"]))
    for row in (
        ["beta_1", "0.9"],
        ["epsilon", "1e-7"],
        ["amsgrad", "False"],
        ["clipnorm", "None"],
        ["momentum of x", "-0.00123"],
    ):
        assert row in lines
    assert ["learning_rate", "1", "by exponential_decay(1, 100, 0.9)"] in lines


def test_a_problem_shows_its_values_minimum_and_files():
    lines = fields(drawn(SAMPLES["problem"]))
    for row in (
        ["x", "scalar", "start -1.2", "here 0.9"],
        ["minimum", "0 at x = 1, y = [1 2]"],
        ["data", "shape (100, 3)", "min 1 max 1, norm 17.32051"],
        ["data", "iris.csv", "sha256 0123456789ab..."],
    ):
        assert row in lines


def test_breakpoints_are_listed_as_gdb_does():
    assert fields(drawn(SAMPLES["stops"])) == [
        ["Num", "Kind", "Enb", "Hits", "What"],
        ["1", "breakpoint", "y", "2", "loss < 1e-3"],
        ["12", "breakpoint", "n", "0", "step == 5", "(once)", "(skips 3 more)"],
    ]


def test_a_long_condition_is_told_to_its_end():
    text = drawn(Stops((StopInfo(1, "breakpoint", "loss + " * 30 + "x < 1", True, 0),)))
    assert text.count("loss") == 30
    assert text.endswith("x < 1")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Stops(()), "no breakpoints"),
        (Displays(()), "no displays"),
        (StopSet(1, "breakpoint", "loss < 1e-3"), "breakpoint 1: stops when loss < 1e-3"),
        (StopSet(2, "breakpoint", "step == 5", True), "breakpoint 2: stops once, when step == 5"),
        (StopSet(3, "watchpoint", "{id}"), "watchpoint 3: stops at a change of {id}"),
        (Printed("x + 1", f32(4)), "x + 1 = 4"),
        (Printed("x + 1", f32(4), number=12), "$12: x + 1 = 4"),
        (Printed("x", f32([3, 4]), (0, 10), 2), "$2: x\n  0   3\n  10  4"),
        (Printed("A", f32([[1, 2], [3, 4.5]])), "A = shape (2, 2)\n  [1   2]\n  [3 4.5]"),
        (Printed("loss < 1", np.asarray(True)), "loss < 1 = True"),
        (Described("x", "parameter", (2,), "float32"), "x: parameter, shape (2,), float32"),
        (Changed("lr", f32(1), f32(0.1), ("a note",)), "lr: 1 → 0.1\n  a note"),
        (Changed("w", None, np.float32([1, 2])), "w: [1 2]"),
        (Changed("clipnorm", None, 1.0), "clipnorm: none → 1"),
        (Saved("hill.gd", 1, 300), "saved hill.gd: 1 command, 300 points"),
        (Done("one\ntwo"), "one\ntwo"),
        (Done(""), ""),
        (Quit(), ""),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_short_result_reads(result, text):
    assert drawn(result) == text


def test_a_help_page_is_filled_to_the_width_and_keeps_its_indented_lines():
    page = HelpPage(
        "step", "step [COUNT]", "Make updates.", "one two\nthree " + "word " * 40 + "\n\n  lr     the rate", "step 10", ("s",)
    )
    lines = drawn(page).splitlines()
    assert lines[0] == "step [COUNT]   (s)"
    assert lines[3].startswith("one two three word")
    assert "  lr     the rate" in lines
    assert lines[-1] == "example: step 10"


def test_help_aligns_the_summaries():
    groups = (("running", (("step [COUNT]", "Make updates. " * 9), ("run", "Begin again."))),)
    lines = drawn(HelpList(groups)).splitlines()
    assert lines[0] == "running"
    assert {line.index(word) for line in lines[1:] for word in ("Make", "Begin") if word in line[:25]} == {
        lines[-1].index("Begin")
    }


def test_a_chart_leaves_two_lines_for_the_prompt():
    assert len(drawn(SAMPLES["plotted"]).splitlines()) == 22


# --- errors -------------------------------------------------------------------------------------------------------------


def test_an_expression_error_points_at_the_column():
    message, expression, caret, hint = failed(ERRORS["expression"]).splitlines()
    assert message == "error: unknown name 'y'"
    assert expression[caret.index("^")] == "y"
    assert hint.strip() == "did you mean 'x'?"


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("text", ["日本語 + y + 日本語", "β + y", "1 + " * 100 + "y", "y" + " + 1" * 100])
def test_the_caret_stands_under_the_column_in_cells(text, width, ascii_only):
    error = ExpressionError("unknown", text, text.index("y"))
    _, shown, caret = failed(error, Style(width, 24, False, ascii_only)).splitlines()
    before = ""
    for character in shown:
        if cell_len(before) == caret.index("^"):
            break
        before += character
    assert shown[len(before)] == "y"


def test_the_place_stands_before_the_message():
    assert failed(ERRORS["command"], place="hill.gd line 3").splitlines()[0] == "hill.gd line 3: error: unknown command 'sep'"


def test_an_error_is_red_and_its_hint_dim():
    message, hint = failed(ERRORS["command"], Style()).splitlines()
    assert "31m" in message
    assert "\x1b[2m" in hint


# --- numbers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (f32(0.1), "0.1"),
        (f32(49.99968), "49.99968"),
        (f32(50), "50"),
        (f32(-94), "-94"),
        (f32(1e-30), "1e-30"),
        (f32(1.5e-5), "1.5e-5"),
        (f32(0.0001), "0.0001"),
        (f32(np.nan), "nan"),
        (f32(-np.inf), "-inf"),
        (f32(-0.0), "-0"),
        (f32(1e38), "1e38"),
        (np.float64(0.1) + 0.2, "0.3"),
        (1 / 3, "0.3333333"),
        (123456789.0, "1.234568e8"),
        (np.int64(123456789), "123456789"),
        (np.float16(0.1), "0.1"),
        (5e-324, "5e-324"),
        (9.9999999e-5, "0.0001"),
        (0.99999999, "1"),
        (True, "True"),
        (None, "None"),
        (f32([]), "[] (0)"),
        (f32([0.1, -0.2]), "[0.1 -0.2]"),
        (f32(range(1, 65)), "[1 2 ... 63 64] (64)"),
        (f32([[1, -2], [3, 0.5]]), "[1  -2]\n[3 0.5]"),
        (f32(np.ones((10, 10))), "shape (10, 10), min 1 max 1, norm 10"),
        (f32([[np.nan, 3], [4, 0]] * 5), "shape (10, 2), 5 not finite, min 0 max 4, norm 11.18034"),
        (f32(np.zeros((0, 3))), "shape (0, 3)"),
    ],
)
def test_a_number_reads_as_people_write_it(value, text):
    assert show(value, 7) == text


@given(st.floats(width=32))
def test_nine_digits_tell_every_float32_apart(number):
    assert f32(float(show(f32(number), 9))).tobytes() == f32(number).tobytes() or np.isnan(number)


@given(st.floats(allow_nan=False))
def test_seventeen_digits_tell_every_float64_apart(number):
    assert float(show(number, 17)).hex() == number.hex()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(1, 9))
def test_fewer_digits_are_the_number_rounded(number, precision):
    text = show(f32(number), precision)
    same = np.float64(str(f32(number))) == float(text)  # the shortest digits of a float32 may lie beside its exact value
    assert same or abs(float(text) - number) <= 0.5000001 * 10.0 ** (np.floor(np.log10(abs(number) or 1)) - precision + 1)
    assert len(re.sub(r"e.*|\D", "", text).strip("0")) <= precision


@given(st.lists(st.floats(width=32), max_size=80), st.integers(4, 60))
def test_a_vector_fits_any_room(values, width):
    assert len(fit(f32(values), width)) <= width


def test_a_matrix_fits_as_its_norm():
    assert fit(f32(np.ones((10, 10))), 17) == "(10, 10) norm 10"
    assert fit(f32(np.ones((10, 10))), 8) == "norm 10"


def test_a_difference_has_a_sign():
    assert [signed(f32(value)) for value in (1.5, -2, 0, -0.0, np.nan, np.inf)] == ["+1.5", "-2", "0", "0", "", ""]


def test_a_norm_neither_overflows_nor_vanishes():
    assert norm(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert norm(np.array([3e-200, 4e-200])) == pytest.approx(5e-200)
    assert norm(np.array([])) == 0
    assert np.isnan(norm(np.array([1, np.nan])))


# --- what if ------------------------------------------------------------------------------------------------------------


def test_futures_are_a_table_with_the_best_in_bold_and_a_chart_on_one_screen():
    lines = drawn(SAMPLES["what if"]).splitlines()
    assert lines[0] == "from step 0, loss 9:"
    assert fields("\n".join(lines[1:5])) == [
        ["outcome", "steps", "final loss", "to 0.1", "branch"],
        ["as it is", "moving", "60", "0.1", "60"],
        ["lr 2", "diverged at 9", "9", "inf", "-", "lr-2"],
        ["adam", "converged", "60", "0", "7"],
    ]
    assert len(lines) <= 22
    assert lines[-1] == "losses above 9e3 are not drawn"
    bold = [line for line in drawn(SAMPLES["what if"], Style()).splitlines() if "\x1b[1m" in line]
    assert [re.sub("\x1b\\[[0-9;]*m", "", line).split()[0] for line in bold] == ["adam"]


def test_on_a_narrow_or_low_screen_futures_are_a_table_alone():
    for style in (Style(40, 24, False), Style(80, 12, False)):
        assert len(drawn(SAMPLES["what if"], style).splitlines()) == 5


def test_futures_over_decades_have_a_log_axis_unless_a_loss_is_negative():
    first, broken, zero = SAMPLES["what if"].variants
    below = dataclasses.replace(first, curve_losses=f32(np.linspace(9, -1, 60)))
    near = dataclasses.replace(first, curve_losses=f32(np.linspace(9, 1, 60)))
    for variants, log in (((first, broken), True), ((broken, zero), True), ((broken, below), False), ((near,), False)):
        assert futures_chart(dataclasses.replace(SAMPLES["what if"], variants=variants)).log == log


def test_futures_without_a_loss_to_draw_have_no_chart():
    broken = dataclasses.replace(SAMPLES["what if"].variants[0], curve_losses=f32(np.full(60, np.nan)))
    assert futures_chart(dataclasses.replace(SAMPLES["what if"], variants=(broken,))) is None


# --- narrow screens -----------------------------------------------------------------------------------------------------


def race(*outcomes: tuple[str, str, int | None, float]) -> WhatIf:
    curve = (np.arange(2), f32([1, 1]))
    variants = tuple(
        Variant(label, outcome, 50, f32(loss), 7, at, *curve, "" if label == "as it is" else label.replace(" ", "-"))
        for label, outcome, at, loss in outcomes
    )
    return WhatIf(variants, 0, f32(2209), f32(1))


RACE = race(("as it is", "converged", None, 4.4565e-7), ("lr 0.001", "moving", None, 1808.2), ("lr 10", "diverged", 14, np.inf))
TREE = Branches(
    (
        BranchInfo("main", None, 0, 0, 31, f32(0.002166617), False, "SGD(learning_rate=0.1)", "(x-50)**2"),
        BranchInfo("lr-0.001", "main", 0, 0, 50, f32(1808.214), True, "SGD(learning_rate=0.001)", "(x-50)**2"),
    )
)


def words_of(result, width: int) -> str:
    """What is drawn as words with one blank between them; nothing of it may have been cut."""
    text = to_text(render(result, Style(width, 24, False, True)), Style(width, 24, False, True))
    assert "..." not in text
    assert max(map(len, text.splitlines())) <= width
    return " ".join(text.split())


@pytest.mark.parametrize("width", [24, 40])
def test_a_narrow_race_keeps_label_outcome_and_loss(width):
    text, comma = words_of(RACE, width), ", loss" if width == 24 else ""
    assert f"as it is converged{comma} {'4.46e-7' if width == 24 else '4.4565e-7'}" in text
    assert f"lr 10 diverged at 14{comma} inf" in text


def test_a_race_of_eighty_cells_has_every_column():
    assert "lr 10 diverged at 14 50 inf 7 lr-10" in words_of(RACE, 80)


@pytest.mark.parametrize(("width", "rows"), [
    (24, ("main 0..31, loss 0.00217", "* `- lr-0.001 0..50, loss 1.81e3")),
    (40, ("main 0..31 0.002166617", "* `- lr-0.001 0..50 1808.214")),
    (80, ("main 0..31 31 0.002166617 SGD(lr=0.1)", "* `- lr-0.001 0..50 50 1808.214 SGD(lr=0.001)")),
])  # fmt: skip
def test_a_narrow_tree_keeps_branch_steps_and_loss(width, rows):
    text = words_of(TREE, width)
    assert all(row in text for row in rows)


@pytest.mark.parametrize("width", [24, 40])
def test_a_narrow_list_of_stops_keeps_all_that_is_told(width):
    listed = Stops((StopInfo(12, "event", "plateau patience=50", False, 1, seen=f32(0.5), seen_at=31),))
    assert words_of(listed, width) == "12 catchpoint, off, 1 hit plateau patience=50 (last 0.5 at step 31)"


@pytest.mark.parametrize("width", [24, 40])
def test_narrow_losses_of_two_branches_are_whole(width):
    text = words_of(Diff("main", "b1", (), 0.0, 0, 31, 11, "loss", (LossPair(11, f32(0.004456524), f32(-1234.567)),)), width)
    assert f"11 {'0.00446 -1.23e3' if width == 24 else '0.004456524 -1234.567'}" in text


@pytest.mark.parametrize("width", [24, 40])
def test_narrow_checkpoints_keep_number_name_and_step(width):
    listed = Checkpoints((CheckpointInfo(1, "before-lr", "b1", 15, f32(0.002670585), True, "SGD(learning_rate=0.3)"),))
    assert re.search(r"\* 1 before-lr 15( 0.002670585)?$", words_of(listed, width))


# --- the curvature ------------------------------------------------------------------------------------------------------


def test_a_matrix_with_names_too_long_for_the_screen_has_its_columns_numbered():
    names = tuple(f"W[{row}, {column}]" for row in range(2) for column in range(4))
    found = dataclasses.replace(
        SAMPLES["hessian"], coordinates=names, matrix=np.diag(np.arange(8.0)), eigenvalues=np.full(2, np.nan)
    )
    shown = fields(drawn(found, Style(60, 24, False, False)))
    assert ["1", "2", "3", "4", "5", "6", "7", "8"] in shown
    assert ["8 W[1, 3]", *"0000000", "7"] in shown


def test_a_hessian_shows_kind_matrix_eigenvalues_and_where_a_saddle_is_left():
    assert fields(drawn(SAMPLES["hessian"])) == [
        ["hessian at step 3: saddle, indefinite"],
        ["gradient", "1e-7 in norm; stationary up to 0.0001"],
        ["condition", "4.75"],
        ["x", "y"],
        ["x", "9.5", "0"],
        ["y", "0", "-2"],
        ["v1", "9.5", "x"],
        ["v2", "-2", "y"],
        ["escape: down both ways along y"],
        ["a note"],
    ]


def test_of_many_eigenvalues_those_at_both_ends_are_shown_and_a_chart_of_all_on_one_screen():
    lines = drawn(SAMPLES["hessian of many"]).splitlines()
    assert len(lines) <= 22
    shown = fields("\n".join(lines[:10]))
    assert [row[0] for row in shown[3:10]] == ["v1", "v2", "v3", "…", "v38", "v39", "v40"]
    assert shown[3][-1] == "-0.8 b + 0.6 W[0, 1]"
    assert any("negative" in line and "positive" in line for line in lines)


def test_the_ends_of_a_large_spectrum_are_numbered_from_the_last_and_have_their_errors():
    shown = fields(drawn(SAMPLES["hessian by its ends"]))
    assert [row[:3] for row in shown[-5:]] == [
        ["v1", "9", "+- 1e-9"],
        ["v2", "8", "+- 1e-9"],
        ["…", "89996 more"],
        ["v89999", "-1", "+- 1e-9"],
        ["v90000", "-2", "+- 1e-9"],
    ]
    assert ["by Lanczos", "300 products, residuals up to 1e-9"] in shown


def test_a_rate_above_its_limit_says_by_how_much_and_what_to_try():
    shown = fields(drawn(SAMPLES["rate limit"]))
    assert " ".join(cell for row in shown[:2] for cell in row) == (
        "learning rate at step 3: 1.3x the limit: expect it to grow along v1 until the denominators have"
    )
    assert ["limit", "1", "2/lambda_P, P the denominators"] in shown
    assert ["v1", "0.8 x - 0.6 W[0, 1]"] in shown
    assert ["try", "set lr 0.5", "half of the limit"] in shown
    assert fields(drawn(SAMPLES["no rate limit"]))[0] == ["learning rate at step 3: Lion has no limit here"]


# --- the chain rule -----------------------------------------------------------------------------------------------------


def test_a_stack_is_a_row_for_each_frame_indented_by_its_depth_with_marks_and_notes_below():
    text = drawn(SAMPLES["backtrace"])
    assert fields(text) == [
        ["step 3, 5 frames from the loss to its parameters"],
        ["value", "d parent/d it", "d loss/d it"],
        ["0", "sum(W @ x) + 0.5*x[0]", "9.5", "1"],
        ["1", "sum(W @ x)", "9", "1", "1"],
        [">2", "W @ x", "2 not finite", "(40, 5)", "2 not finite"],
        ["3", "x", "[1 2]", "norm 12.5", "[5.5 2]"],
        ["4", "0.5*x[0]", "0.5", "1", "1"],
        ["#3 vanishes: relu off"],
        ["#4 not finite: 0*inf: it is nan"],
        ["x is used 2 times"],
        ["more than rounding"],
    ]
    rows = text.splitlines()[2:7]
    assert [row.index(name) - 4 for row, name in zip(rows, ("sum", "sum", "W @", "x", "0.5"))] == [0, 1, 2, 3, 1]


def test_a_stack_of_many_frames_is_one_screen_with_the_one_in_force():
    lines = drawn(SAMPLES["backtrace of many"]).splitlines()
    assert len(lines) <= 22
    assert any(line.startswith(">55") for line in lines)
    assert "of 60 frames; bt full shows all" in lines[-1]


def test_a_narrow_stack_keeps_what_the_gradient_is():
    assert "d parent/d it" not in drawn(SAMPLES["backtrace"], Style(40, 24, False))
    assert "d loss/d it" in drawn(SAMPLES["backtrace"], Style(40, 24, False))


def test_a_frame_shows_the_product_that_it_is_and_its_place():
    shown = fields(drawn(SAMPLES["frame"]))
    assert shown[:5] == [
        ["#3", "x = [1 2]"],
        ["d parent/d it (#2)", "(40, 5, 2) norm 12.5", "of sum(W @ x)"],
        ["d loss/d it", "[5.5 2]"],
        ["by all 2 paths", "[6 2]"],
        ["#3 vanishes: relu off"],
    ]
    assert drawn(SAMPLES["frame"]).splitlines()[-1] == " " * 10 + "^"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_the_mark_of_a_long_loss_stands_under_its_part(width):
    lines = drawn(SAMPLES["listing of a long loss"], Style(width, 24, False)).splitlines()
    assert len(lines) <= 22
    marked = [place for place, line in enumerate(lines) if line.strip("^ ") == ""]
    under = [text for place in marked for text, mark in zip(lines[place - 1], lines[place]) if mark == "^"]
    assert "".join(under) == "x*x"


def test_why_names_the_operation_its_inputs_and_the_last_finite_point():
    assert fields(drawn(SAMPLES["why"])) == [
        ["step 37: log(x)[3] is nan"],
        ["of x[3] = -0.00032"],
        ["sum(log(x))"],
        ["^^^^^^"],
        ["the rate 0.1 was 2 times the stability limit"],
        ["step 36, the last finite: x [1 2], W (40, 5) 3 not finite norm 2.5, lr 0.1"],
    ]


# --- looking at numbers, and checking them ------------------------------------------------------------------------------


def test_a_matrix_is_laid_out_behind_its_indices():
    assert fields(drawn(examine("W", f32([[1, 2.5], [-3, 4]])))) == [
        ["W: shape (2, 2), float32"], ["0", "1"], ["[0]", "1", "2.5"], ["[1]", "-3", "4"],
    ]  # fmt: skip


def test_columns_that_do_not_fit_go_on_below():
    lines = fields(drawn(examine("W", f32(np.arange(60).reshape(2, 30) + 1000)), Style(40, color=False)))
    headers = [int(cell) for line in lines[1:] if not line[0].startswith("[") for cell in line]
    assert headers == [*range(30)]
    assert len(lines) == 1 + 3 * len([line for line in lines if line[0] == "[0]"])


@pytest.mark.parametrize(("height", "listed"), [(24, True), (5, False)])
def test_a_part_that_the_screen_has_no_room_for_is_summed_up(height, listed):
    text = drawn(examine("W", f32(np.arange(30).reshape(10, 3) / 7)), Style(80, height, False))
    assert ("[9]" in text, "mean" in text) == (listed, not listed)


def test_counted_numbers_stand_behind_their_indices():
    assert fields(drawn(examine("W", f32(np.arange(6).reshape(2, 3)), 4)))[1:] == [
        ["[0, 0]", "0"], ["[0, 1]", "1"], ["[0, 2]", "2"], ["[1, 0]", "3"],
    ]  # fmt: skip
    many = fields(drawn(examine("w", f32(np.arange(100)), 100)))
    assert [int(cell) for line in many[1:] for cell in line[1:]] == [*range(100)]


def test_formats_of_numbers():
    value = f32([0.5, -1234.25])
    cells = {letter: [line[1] for line in fields(drawn(examine("w", value, 2, letter)))[1:]] for letter in "gfex"}
    assert cells["g"] == ["0.5", "-1234.25"]
    assert [float(cell) for cell in cells["f"] + cells["e"]] == [0.5, -1234.25] * 2
    assert ("." in cells["f"][0], "e" in cells["e"][0]) == (True, True)
    assert cells["x"] == ["0x3f000000", "0xc49a4800"]


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_histogram_has_bars_in_proportion_and_fits_a_screen(width, ascii_only):
    for name in ("a large tensor", "numbers of all sizes", "truths"):
        lines = drawn(SAMPLES[name], Style(width, 24, False, ascii_only)).splitlines()
        assert len(lines) < 22
        bins = SAMPLES[name].spread.histogram
        bars = [(line.count("#" if ascii_only else "█"), one.count) for line, one in zip(lines[-len(bins) :], bins)]
        longest, most = max(bars)
        assert longest >= 4
        assert all(cells == max(1, round(longest * count / most)) if count else cells == 0 for cells, count in bars)


def test_a_check_says_whether_the_gradient_is_right_and_where_it_is_worst():
    assert drawn(RIGHT).startswith("the gradient at step 7 is right: error 1e-7 of at most 2e-6")
    text = drawn(WRONG)
    assert text.startswith("the gradient at step 7 is wrong: W[12, 137], tolerance 2e-6")
    assert ["W[12, 137]", "nan", "1.5e30", "inf", "2e-6", "0.00031"] in fields(text)
    assert "12 of 1000000 numbers moved by themselves, all together along 4 directions" in text
    assert "tolerance  step h" not in drawn(WRONG, Style(50, color=False))
    assert "could not be compared" in drawn(SAMPLES["nothing to compare"])


def test_a_range_test_that_ended_with_its_first_rate_has_no_chart_and_speaks_of_one_rate():
    alone = dataclasses.replace(RISING, rates=f32([1e-6]), losses=f32([9e9]), verdict="rising", diverged_at=1e-6, updates=1)
    text = drawn(dataclasses.replace(alone, steepest=None, lowest=None, suggested=None))
    assert ": the rate 1e-6 alone, one update of SGD" in " ".join(text.split())
    assert "learning rate (log)" not in text
    rising = dataclasses.replace(alone, rates=f32([1e-6, 1e-5]), losses=f32([8e9, 9e9]), steepest=None, lowest=None)
    assert "are not drawn" not in drawn(rising)
