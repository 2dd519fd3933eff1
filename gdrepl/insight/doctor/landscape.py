"""Checks of the loss as a landscape: no bottom, a ravine, a saddle, a plateau, and having arrived."""

from __future__ import annotations

import numpy as np

from gdrepl.engine.events import Plateau
from gdrepl.engine.optimizer import accumulation
from gdrepl.insight.curvature import largest_coordinates
from gdrepl.insight.doctor.finding import GOOD, NOTE, SEVERE, WARNING, Finding, said
from gdrepl.insight.doctor.rates import LOW_RATIO, is_slow, reach
from gdrepl.insight.doctor.seen import Seen
from gdrepl.insight.race import REST

_LITTLE = 0.01
"""What is left to gain, as a part of all that the descent has come down, that makes no plateau."""
_LATEST = 5
"""Updates by which it is judged whether a fall flattens out."""
_MANY_TIMES = 10.0
"""The factor by which the event divergence takes a loss for grown; here, downwards."""
_STEEP_SIDED = 100.0
"""How many times as curved across as along makes a valley a ravine: gradient descent needs as many updates."""
_STRIDE = 3.0
"""Updates to the lowest point along the last ones, from which they are short."""
_NEAR = 0.03
"""How far around is looked for a way out of a saddle, as a part of the size of the parameters, or of 1."""
_STRAIGHT = 1e-12
"""The curvature along, as a part of that across, below which rounding alone is left."""
_BLIND = 1e-6
"""The part of the gradient up to which it does not point along the way out."""


def unbounded_loss(seen: Seen) -> Finding | None:
    """The loss has no bottom: it falls without end, as one whose sign is turned round."""
    low, high = seen.bounds
    if np.isfinite(low) or not seen.is_finite:
        return None
    turned, losses, falls = np.isfinite(high), seen.path.losses, _falls_faster(seen)
    if not turned and not falls:
        return None
    numbers = {"loss": seen.loss}
    if turned:
        what = f"the loss can be at most {said(high + 0.0)} and has no lower bound"
        severity = SEVERE if falls or not _bends_upward(seen) else WARNING
    else:
        what, severity = "the loss falls ever faster", SEVERE
    if len(losses) > 1:
        what += f"; it went from {said(losses[0], 4)} to {said(losses[-1], 4)}"
    return Finding(
        "unbounded-loss", severity, f"{what}: is its sign right?", "plot loss" if len(losses) > 1 else "list", numbers
    )


def _falls_faster(seen: Seen) -> bool:
    """Whether the loss came down below 0 by many times its size before, along a way that does not flatten; where the loss bends
    upwards along no direction at all, by its size once."""
    losses, sizes, reaches = seen.path.losses, seen.path.gradient_norms, seen.path.reaches(_LATEST)
    before = max(abs(seen.began), abs(float(losses[0])))
    bowed = seen.curvature is not None and not _bends_upward(seen)
    if len(losses) < 4 or losses[-1] >= -(2 if bowed else _MANY_TIMES - 1) * before:
        return False
    bends_up = len(reaches) > 0 and float(np.mean(np.isinf(reaches))) < 0.8
    return bool(sizes[-1] >= 0.9 * sizes.max()) and not bends_up


def _bends_upward(seen: Seen) -> bool:
    return seen.curvature is not None and bool((seen.curvature.signs() > 0).any())


def saddle(seen: Seen) -> Finding | None:
    """The loss falls away along a direction that the gradient hardly has a part in."""
    if not seen.downward or seen.curvature is None or seen.broken is not None:
        return None
    values, vectors = seen.curvature.values, seen.curvature.vectors
    lowest = float(values[-1])
    stride = _NEAR * max(1.0, float(max(np.abs(value).max(initial=0.0) for value in seen.at.parameters.values())))
    numbers = {"eigenvalue": lowest, "norm(grad)": seen.pull}
    if seen.pull < 0.5 * -lowest * stride:
        kind = "saddle" if values[0] > 0 else "maximum"
        stuck = seen.pull <= REST or (len(seen.path) > 0 and is_slow(seen) and _stands(seen))
        where = ("at" if seen.pull <= REST else "next to") + (" a saddle" if kind == "saddle" else " a maximum")
        told = f"{where}: the gradient is {said(seen.pull)}, the loss bends down by {said(-lowest)} along {_way_out(seen)}"
        return Finding(kind, SEVERE if stuck else WARNING, told, "hessian", numbers)
    outward = np.abs(vectors[seen.curvature.signs() < 0] @ seen.gradient)
    if values[0] > 0 and float(outward.max()) <= _BLIND * seen.pull:
        told = f"heading for a saddle: the loss bends down by {said(-lowest)} along {_way_out(seen)}, where the gradient is 0"
        return Finding("saddle", WARNING, told, "hessian", numbers)
    return None


def _way_out(seen: Seen) -> str:
    """The coordinates that the steepest way down has most of."""
    assert seen.curvature is not None
    shapes = {name: value.shape for name, value in seen.at.parameters.items()}
    return ", ".join(largest_coordinates(seen.curvature.vectors[-1], shapes, most=2))


def ravine(seen: Seen) -> Finding | None:
    """The loss is far more curved across than along, so that the rate which the sides allow is too low for the floor."""
    spectrum, ratio = seen.felt or seen.curvature, seen.ratio
    if spectrum is None or seen.arrived or seen.broken is not None or (ratio is not None and ratio <= LOW_RATIO):
        return None
    top, along, far = float(spectrum.values[0]), _curved_along(seen), reach(seen)
    if top <= 0 or along >= top / _STEEP_SIDED or far <= _STRIDE:
        return None
    times = top / max(along, _STRAIGHT * top)
    told = f"the loss is {said(times)} times as curved across as along the way"
    told += f": {said(far)} such updates to its lowest point" if np.isfinite(far) else ", which runs on without a lowest point"
    severity = SEVERE if len(seen.path) and is_slow(seen) and _stands(seen) else WARNING
    return Finding("ravine", severity, told, "hessian", {"condition": times})


def _stands(seen: Seen) -> bool:
    """Whether the loss fell by less than a hundredth of what it can still fall, over the whole path."""
    losses = seen.path.losses
    left = abs(losses[0]) if np.isinf(seen.bounds.low) else losses[0] - seen.bounds.low
    return bool(losses[0] - losses[-1] < 0.01 * left)


def _curved_along(seen: Seen) -> float:
    """The curvature along the latest update, or the coming one, as the optimizer feels it."""
    way = seen.path.latest if len(seen.path.latest) else seen.coming
    if not np.any(way) or seen.curvature is None:
        return np.inf
    weights = np.ones(len(way))
    if seen.rule is not None and seen.rule.denominators:
        weights = np.concatenate([each.reshape(-1) for each in seen.rule.denominators.values()])
    return abs(seen.bend_along(way)) / float(np.sum(weights * np.square(way)))


def plateau(seen: Seen) -> Finding | None:
    """The loss hardly moved for as long as the event plateau waits, far from rest."""
    losses, event = seen.path.losses, Plateau()
    if len(losses) <= 2 * event.patience or seen.arrived or seen.broken is not None or seen.promised < _LITTLE * _fell(seen):
        return None
    before, after = float(losses[: -event.patience].min()), float(losses[-event.patience :].min())
    if before - after > event.rtol * abs(before):
        return None
    told = f"the lowest loss of the last {event.patience} updates, {said(after, 4)}, is that of those before to {event.rtol:g}"
    return Finding(
        "plateau", WARNING, f"{told}; the gradient is {said(seen.pull)}", "slice", {"loss": after, "norm(grad)": seen.pull}
    )


def _fell(seen: Seen) -> float:
    """All that the descent has come down."""
    losses = seen.path.losses
    return max(seen.began, float(losses.max())) - float(losses.min())


def divergence(seen: Seen) -> Finding | None:
    """The loss rose, for no reason that another check names."""
    losses = seen.path.losses
    if len(losses) < 2 or seen.broken is not None or losses[-1] <= losses[0] + abs(losses[0]):
        return None
    told = f"the loss rose from {said(losses[0], 4)} to {said(losses[-1], 4)}"
    return Finding("divergence", SEVERE, told, "plot loss log", {"loss": seen.loss})


def converged(seen: Seen) -> Finding | None:
    """The descent has arrived."""
    if not seen.arrived or seen.downward or not seen.is_finite:
        return None
    if seen.at_the_bottom:
        told = f"the loss is {said(seen.loss, 4)}, and it can never be below {said(seen.bounds.low)}"
    else:
        told = f"the gradient is {said(seen.pull)}, and the loss bends down nowhere: a minimum"
    return Finding("converged", GOOD, told, "hessian", {"norm(grad)": seen.pull, "loss": seen.loss})


def healthy(seen: Seen) -> Finding | None:
    """The loss comes down, or at the start nothing speaks against it."""
    if seen.arrived or seen.broken is not None or not seen.is_finite:
        return None
    losses, ratio = seen.path.losses, seen.ratio
    limit = "" if ratio is None else f"; the rate is {said(ratio, 2)} of its limit"
    if len(losses) < 2 and seen.path.still < accumulation(seen.spec):
        return Finding(
            "ready",
            GOOD,
            f"the loss is {said(seen.loss, 4)}; no update was made since the last change{limit}",
            "step 10",
            {"loss": seen.loss},
        )
    fell = float(losses[0] - losses[-1])
    updates = len(losses) - 1 + seen.path.still
    if fell <= 0:
        return Finding(
            "not-falling", NOTE, f"the loss did not fall in the last {updates} updates{limit}", "plot loss", {"loss": seen.loss}
        )
    way = f"from {said(losses[0], 4)} to {said(losses[-1], 4)} in the last {_updates(updates)}"
    told = f"the loss fell {way}{limit}"
    return Finding("healthy", GOOD, told, "plot loss", {"loss": seen.loss, "fell": fell})


def _updates(count: int) -> str:
    return "update" if count == 1 else f"{count} updates"
