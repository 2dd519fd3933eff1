"""Checks of how far the updates go: the learning rate, momentum, and what stands in an optimizer's denominators."""

from __future__ import annotations

import itertools

import numpy as np

from gdrepl.engine.events import Divergence, Oscillation
from gdrepl.engine.optimizer import accumulation
from gdrepl.insight.doctor.finding import NOTE, SEVERE, WARNING, Finding, said
from gdrepl.insight.doctor.seen import Seen

_GROWN = Divergence()
_RECENT = 20
"""Updates by which what goes on now is judged."""
_OFTEN = 0.2
"""The share of the updates from which something is no accident; an overshoot now and then is how a valley is crossed."""
LOW_RATIO = 0.02
"""Below a fiftieth of its limit the rate is not what holds a descent back from diverging."""
SLOW, SLOWER, STANDING = 100.0, 1000.0, 10_000.0
"""Updates like the last one to the lowest point along it, from which a descent is slow: the first is usual for Adam with Keras'
own rate, the last is more than most people wait for."""
_HEAVY = 0.95
"""Momentum from here on remembers 20 updates and more; Keras' own defaults are 0 to 0.9."""
_DOUBLED = 2.0
_TENFOLD = 10.0
_TURNS = Oscillation().times
"""Updates from which going to and fro is no accident, as the event oscillation has it."""
_TREMBLE = 0.01
"""What a loss moves by, or could still gain, as a part of all that it came down, beside which it only trembles."""
_TINY = 1e-38
"""Put in place of 0 below a line."""


def rate_is_zero(seen: Seen) -> Finding | None:
    """The rate is 0, set so or come there by a schedule."""
    if seen.rate != 0:
        return None
    why = "by its schedule" if seen.spec.schedule is not None else "as it is set"
    return Finding("rate-too-low", SEVERE, f"the rate is 0 {why}: nothing moves", "set lr 0.01", {"rate": 0.0})


def rate_too_high(seen: Seen) -> Finding | None:
    """The rate is beyond its limit, or the updates keep going too far without getting anywhere."""
    if seen.arrived or not seen.is_finite:
        return None
    ratio, path = seen.ratio, seen.path
    if not len(path.losses) > 1:
        return _before_the_first(seen)
    over, beyond = path.overshot(_RECENT), ratio is not None and ratio > 1
    waves = path.against(_RECENT) if seen.momentum < _HEAVY else 0.0
    if _grew(seen) and (beyond or over >= _OFTEN or waves >= _OFTEN or path.rises(_RECENT) >= 0.5):
        return _too_high(seen, SEVERE, f"the loss grew from {said(path.losses.min(), 4)} to {said(seen.loss, 4)}")
    if (leap := _leap(seen)) is not None:
        before, after = leap
        return _too_high(seen, SEVERE, f"one update led from a loss of {said(before, 4)} to {said(after, 4)}")
    enough = len(path) >= _TURNS and not _gains(seen) and not _waves_die(seen)
    if enough and (share := _too_far(seen)) is not None:
        return _bouncing(seen, *share)
    if beyond and len(path.losses) <= 3:
        return _too_high(seen, WARNING, "the first updates do not tell more yet")
    if beyond and _gains(seen):
        return _too_high(seen, NOTE, "but the loss comes down all the same")
    return None


def _before_the_first(seen: Seen) -> Finding | None:
    ahead = _loss_ahead(seen)
    if ahead is not None and not ahead <= _GROWN.limit(seen.loss):
        return _too_high(seen, SEVERE, f"the coming update leads from a loss of {said(seen.loss, 4)} to {said(ahead, 4)}")
    if seen.ratio is not None and seen.ratio > 1:
        if ahead is not None and ahead < seen.loss:
            return _too_high(seen, NOTE, f"the coming update still lowers the loss, to {said(ahead, 4)}")
        return _too_high(seen, WARNING, "expect it to diverge")
    return None


def _too_far(seen: Seen) -> tuple[str, float] | None:
    """What the latest updates do too often, and how often; None where they do not."""
    path, light = seen.path, seen.momentum < _HEAVY
    shares = {
        "led too far": path.overshot(_RECENT),
        "ran against the gradient": path.uphill(_RECENT) if light else 0.0,
        "turned back": path.turned(_RECENT) if path.turned(_RECENT) >= 0.5 else 0.0,
        "raised the loss": path.rises(_RECENT) if light else 0.0,
    }
    worst = max(shares, key=lambda what: shares[what])
    return (worst, shares[worst]) if shares[worst] >= _OFTEN else None


def _bouncing(seen: Seen, what: str, share: float) -> Finding:
    """It gets no lower; where the loss only trembles beside all that it came down, a lower rate would merely let it settle."""
    losses = seen.path.losses
    swing = float(np.ptp(losses[-max(2, len(losses) // 3) :]))
    fell = max(seen.began, float(losses.max())) - float(losses.min())
    told = f"{share:.0%} of the last updates {what}, and the loss comes no lower: it moves by {said(swing)}"
    left = seen.promised if np.isfinite(seen.promised) else 0.0
    return _too_high(seen, NOTE if max(swing, left) < _TREMBLE * fell else WARNING, told)


def _loss_ahead(seen: Seen) -> float | None:
    return float(seen.ahead[-1].value) if seen.ahead else None


def _too_high(seen: Seen, severity: str, what: str) -> Finding:
    ratio, limit = seen.ratio, seen.limit
    if ratio is not None and limit is not None and ratio > 1:
        told, numbers = f"the rate is {said(ratio)} times its limit {said(limit)}: {what}", {"ratio": ratio}
    else:
        told, numbers = f"rate {said(seen.rate)}: {what}", {"rate": seen.rate}
    deeper = "info lr" if ratio is not None and ratio > 1 else _race(seen.rate / 3, seen.rate / 10)
    return Finding("rate-too-high", severity, told, deeper, numbers)


def _race(one: float, other: float) -> str:
    return f"whatif lr {said(one, 2)} {said(other, 2)} for 50"


def _grew(seen: Seen) -> bool:
    """Whether the loss is far above the lowest of the path, by more than a tenth of all that the descent has come down; or
    whether the latest third of the path lies above its beginning."""
    losses = seen.path.losses
    latest, lowest = losses[-max(2, len(losses) // 3) :], float(losses.min())
    far = losses[-1] > _GROWN.limit(lowest) and losses[-1] - lowest > 0.1 * (max(seen.began, float(losses.max())) - lowest)
    return bool(far or (len(losses) > 3 and latest.min() > losses[0]))


def _leap(seen: Seen) -> tuple[float, float] | None:
    """The losses around an update that began downhill and led far up, if the descent has not come back from it since."""
    losses, slopes = seen.path.losses, seen.path.slopes
    if len(slopes) != len(losses) - 1:
        slopes = np.full(len(losses) - 1, -1.0)  # of parameters recorded as norms it is not known
    above = np.array([after > _GROWN.limit(before) for before, after in itertools.pairwise(losses)])
    leaps = np.flatnonzero(above & (slopes < 0))
    if not len(leaps) or losses[leaps[0] + 1 :].min() <= losses[leaps[0]]:
        return None
    return float(losses[leaps[0]]), float(losses[leaps[0] + 1])


def _gains(seen: Seen) -> bool:
    """Whether the latest third of the path came lower than all before it, by more than a hundredth of what it fell at all."""
    losses = seen.path.losses
    split = len(losses) - max(1, len(losses) // 3)
    before, after = float(losses[:split].min()), float(losses[split:].min())
    return after < before - 0.01 * max(float(losses.max()) - before, 0.0) if len(losses) > 3 else after < before


def momentum_too_high(seen: Seen) -> Finding | None:
    """Updates carry on against the gradient for long, so that the loss goes up and down in waves that hardly die away."""
    path, memory = seen.path, seen.momentum
    if memory < _HEAVY or seen.arrived or not seen.is_finite:
        return None
    lasting = 2 / (1 - memory) if memory < 1 else np.inf
    if len(path) < 1:
        told = f"momentum {said(memory, 4)} carries an update on for some {lasting:.0f} more"
        return Finding("momentum-too-high", NOTE, told, "info optimizer", {"momentum": memory})
    against = path.against()
    if against < _OFTEN or _waves_die(seen):
        return None
    what = "went against the gradient" if len(path.slopes) == len(path) else "raised the loss"
    told = f"{against:.0%} of the last {len(path)} updates {what}"
    told += f"; momentum {said(memory, 4)} carries one on for some {lasting:.0f} more"
    name = "momentum" if "momentum" in seen.spec.hyperparameters else "beta_1"
    deeper = f"whatif {name} 0.9 0.5 for 100"
    return Finding("momentum-too-high", SEVERE, told, deeper, {"momentum": memory, "against": against})


def _waves_die(seen: Seen) -> bool:
    """Whether the loss, above the lowest, and the gradient are at most half as large in the last third of the path as before.

    Of a wave that settles both shrink; one that goes to and fro between two sides of a valley may have the same loss on both.
    """
    losses, sizes = seen.path.losses, seen.path.gradient_norms
    third = len(losses) // 3
    if third < 2:
        return False
    low = float(losses.min())
    shallower = float(losses[-third:].max()) - low < 0.5 * (float(losses[third:-third].max()) - low)
    return shallower and float(sizes[-third:].max()) < 0.75 * float(sizes[third:-third].max())


def epsilon_too_large(seen: Seen) -> Finding | None:
    """The epsilon in the denominators is larger than what stands beside it, so that the updates are smaller by as much."""
    if seen.rule is None or seen.bare is None or seen.arrived or not seen.is_finite or not seen.rule.denominators:
        return None
    with np.errstate(all="ignore"):
        with_it, without = (
            np.concatenate([each.reshape(-1) for each in rule.denominators.values()]) for rule in (seen.rule, seen.bare)
        )
        slower = (with_it / without)[(seen.gradient != 0) & np.isfinite(without)]
    slower = slower[~np.isnan(slower)]
    factor = float(np.median(slower)) if len(slower) else 1.0
    if factor < _DOUBLED:
        return None
    epsilon = float(str(seen.spec.hyperparameters["epsilon"]))
    severity = SEVERE if factor >= _TENFOLD and is_slow(seen) else WARNING if factor >= _TENFOLD else NOTE
    told = f"epsilon {epsilon:g} outweighs what it stands beside: the updates are {said(factor)} times smaller for it"
    return Finding("epsilon-too-large", severity, told, "explain", {"epsilon": epsilon, "times smaller": factor})


def lost_in_rounding(seen: Seen) -> Finding | None:
    """Updates that are too small to change a digit of the parameters."""
    path = seen.path
    if path.still < accumulation(seen.spec) or seen.rate == 0 or seen.pull == 0 or seen.arrived or seen.broken is not None:
        return None
    told = f"the last {path.still} update{'s' if path.still > 1 else ''} changed no digit of a {seen.problem.dtype}"
    return Finding("rounding", SEVERE, f"{told}, with a gradient of {said(seen.pull)}", "explain", {"updates": path.still})


def rate_too_low(seen: Seen) -> Finding | None:
    """Many more updates like the last one would be needed, while the limit of the rate is far away."""
    ratio, far = seen.ratio, needed(seen)
    if seen.arrived or seen.broken is not None or seen.rate == 0 or seen.pull == 0 or far <= SLOW:
        return None
    if (ratio is not None and ratio > LOW_RATIO) or seen.path.turned(_RECENT) >= _OFTEN:
        return None
    severity = SEVERE if far > STANDING else WARNING if far > SLOWER else NOTE
    many = f"some {said(far)}" if np.isfinite(far) else "ever more"
    told = f"rate {said(seen.rate)}: as it goes, {many} updates are still needed"
    told += "" if ratio is None else f"; the limit is {said(1 / ratio, 2)} times as high"
    return Finding("rate-too-low", severity, told, _race(seen.rate * 10, seen.rate * 100), {"rate": seen.rate, "updates": far})


def reach(seen: Seen) -> float:
    """Updates like the latest ones to the lowest point along them; of the coming one where nothing ran."""
    reaches = seen.path.reaches(10)
    return float(np.median(reaches)) if len(reaches) else seen.coming_reach


def needed(seen: Seen) -> float:
    """How many updates a descent would take that goes on as now: to the lowest point along them, or, where that is farther or
    there is none, until it has fallen by three times its loss; where the slope grows with each update, so does the fall."""
    fall, faster = _last_fall(seen), _growth(seen) ** 2
    if fall <= 0:
        return reach(seen)
    falling = 3 / fall if faster - 1 < 1e-9 else float(np.log1p(3 / fall * (faster - 1)) / np.log(faster))
    return min(reach(seen), falling)


def _growth(seen: Seen) -> float:
    """By how many times the slope along the latest updates grows with each of them, at least 1."""
    slopes, ends = seen.path.slopes[-10:], seen.path.ends[-10:]
    if len(slopes):
        return max(1.0, float(np.median(ends / slopes)))
    if not len(seen.coming) or seen.curvature is None:
        return 1.0
    slope = float(seen.gradient @ seen.coming)
    return max(1.0, 1 + seen.bend_along(seen.coming) / slope) if slope < 0 else 1.0


def is_slow(seen: Seen) -> bool:
    """Whether it would take more than a hundred."""
    return needed(seen) > SLOW


def _last_fall(seen: Seen) -> float:
    """By which part of what is left the loss falls with an update, on the average of the last ones."""
    losses, low = seen.path.losses[-11:], seen.bounds.low
    if len(losses) > 1:
        fall = float(losses[0] - losses[-1]) / (len(losses) - 1)
    else:
        fall = -float(seen.gradient @ seen.coming) if len(seen.coming) else np.inf
    return fall / max(seen.loss - low if np.isfinite(low) else abs(seen.loss), _TINY)


def clipping(seen: Seen) -> Finding | None:
    """The gradient is clipped, so that the rate alone sets the length of the updates."""
    if seen.clipping is None:
        return None
    before, after = seen.clipping
    told = f"the gradient {said(before)} is clipped to {said(after)}"
    return Finding("clipping", NOTE, told, "info optimizer", {"norm": before, "clipped": after})


def decay(seen: Seen) -> Finding | None:
    """Weight decay moves the parameters more than the gradient does."""
    if seen.rule is None or not seen.rule.recursion.w or not len(seen.coming) or not seen.is_finite:
        return None
    pulled = seen.rate * seen.rule.recursion.w * np.concatenate([each.reshape(-1) for each in seen.at.parameters.values()])
    rest = seen.coming + pulled
    share = float(np.linalg.norm(pulled)) / max(float(np.linalg.norm(rest)), _TINY)
    if share < 1:
        return None
    told = f"weight decay moves the parameters {said(share)} times as far as the gradient does"
    return Finding("weight-decay", NOTE, told, "explain", {"share": share})
