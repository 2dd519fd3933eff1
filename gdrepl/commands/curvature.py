"""The curvature here: hessian, and info lr."""

from __future__ import annotations

from gdrepl.commands.registry import registry
from gdrepl.commands.session import Session
from gdrepl.insight import curvature
from gdrepl.insight.products import until_interrupted
from gdrepl.insight.stability import RateLimit, rate_limit


@registry.command("hessian", group="insight", repeats=True)
def hessian(session: Session) -> curvature.Hessian:
    """Measure the curvature here: eigenvalues, condition, kind of point.

    The Hessian H holds the second derivatives of the loss. Along an eigenvector v1, v2 ... the loss is a parabola of its own,
    as steep as the eigenvalue: all positive is a bowl, a negative one is a way down on both sides. The condition number, the
    largest over the smallest, tells how long and narrow the bowl is; plain gradient descent needs about as many updates.

    Where the gradient is as good as 0, the signs tell the kind of point: minimum, maximum, saddle (with the directions that
    lead away from it), or flat, where some are 0 and do not decide. Elsewhere it is not stationary.

    Up to 300 numbers H is exact, in float64: a product H v for each, by reverse mode twice (Pearlmutter 1994, "Fast exact
    multiplication by the Hessian"). Beyond that the eigenvalues at both ends are found by Lanczos (ARPACK, through
    scipy.sparse.linalg.eigsh), each with its residual |H v - lambda v|, which bounds its error. Ctrl-C ends it. `info lr` tells
    what the curvature asks of the learning rate.

    Example: hessian
    """
    debugger = session.debugger
    here = debugger.snapshot()
    return curvature.hessian(debugger.problem, here.parameters, here.step, until_interrupted(debugger))


def info_lr(session: Session) -> RateLimit:
    """The learning rate, and the rate up to which the optimizer in use is stable on the local quadratic."""
    debugger = session.debugger
    return rate_limit(debugger, tick=until_interrupted(debugger))
