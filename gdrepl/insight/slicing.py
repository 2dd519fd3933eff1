"""The loss along a line, or on a plane, through the point where the descent stands.

Slices of a loss along random directions, and their contours, are those of Li et al. 2018, "Visualizing the Loss Landscape of
Neural Nets" (arXiv:1712.09913); here the directions are those in which the descent moves, and in which the loss is curved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gdrepl.engine.debugger import Debugger
from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, frozen
from gdrepl.errors import CommandError
from gdrepl.insight.landscape import grid, landscape_of
from gdrepl.insight.products import Tick, products_of
from gdrepl.insight.ways import ACROSS, Compass, Way, across, spelled_out

LINE, SIDE = 205, 41
"""Places along a line, and along each side of a plane."""
_NEAREST, _FARTHEST = 2.0, 10.0
"""How many steps ahead are drawn, at least and at most: twice as far as the lowest point of the quadratic within these."""
_UNCURVED = 4.0
_BEHIND = 4.0
"""What lies behind a downhill direction is drawn a fourth as far, but at least one step."""
_FEW_ULPS = 64
_NOTHING = 1e-13
"""The part of the gradient's norm up to which a slope is rounding."""
_PIECE = 41
"""Places a call: between two calls an interrupt is heard."""


@dataclass(frozen=True, slots=True, eq=False)
class Along:
    """One direction of a slice.

    Attributes:
        name: -grad, the last update, v1, W[0, 1] ...
        unit: the length of a step of 1 along it, in the norm of all parameters together.
        origin: what the place where we stand is called: 0, or the value of a coordinate.
        slope, curvature: the first and the second derivative of the loss along it, at a step of 1 each: by unit, by unit**2.
        next: the place of the next update, or of its shadow on this direction.
        lowest: the place where the local quadratic is lowest along it; None where it is not curved upwards.
        says: what a unit is.
    """

    name: str
    unit: float
    origin: float
    slope: float
    curvature: float
    next: float
    lowest: float | None
    says: str = field(default="", metadata={**OPTIONAL, **SAID})


@dataclass(frozen=True, slots=True, eq=False)
class Sliced:
    """The loss along one direction, or on the plane of two.

    Attributes:
        directions: one or two; two are orthogonal.
        places: for each direction, where along it, shape (m,), float64, in its units.
        losses: the loss there, in the problem's type; shape (m,), or (m of the second, m of the first).
        step: where we stand.
        loss: the loss here, shape ().
        next_loss: the loss after the next update, wherever that lies, shape ().
        share: the part of the next update's length that lies in the slice, 0 to 1; None where it has no length.
        cross: the mixed second derivative of two directions, by unit of each; 0 of one.
        notes: what else is to be known.
    """

    directions: tuple[Along, ...]
    places: tuple[Array, ...]
    losses: Array
    step: int
    loss: Array
    next_loss: Array
    share: float | None
    cross: float = 0.0
    notes: tuple[str, ...] = field(default=(), metadata={**OPTIONAL, **SAID})

    @property
    def quadratic(self) -> Array:
        """The local quadratic at the same places, float64: loss + slope*s + curvature*s**2/2, and cross*s*t of two."""
        moves = [places - along.origin for along, places in zip(self.directions, self.places)]
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [along.slope * s + along.curvature * s**2 / 2 for along, s in zip(self.directions, moves)]
            if len(parts) == 1:
                return np.asarray(float(self.loss) + parts[0])
            mixed = self.cross * moves[0][None, :] * moves[1][:, None]
            return np.asarray(float(self.loss) + parts[0][None, :] + parts[1][:, None] + mixed)


def slices(debugger: Debugger, names: Sequence[str], ends: tuple[float, float] | None = None) -> Sliced:
    """The loss along one direction, or on the plane of two, through where we stand; nothing is changed.

    Args:
        names: of one or two directions, as `Compass.way` knows them.
        ends: the first and last place of each, in its units; None chooses.

    Raises:
        CommandError: a direction has no length here, both are the same, or it was interrupted.
        ProblemError: the loss has no second derivatives that TensorFlow knows.
    """
    here = debugger.snapshot()
    if not here.is_finite():
        hint = "reverse-step goes back to the point before, goto min to the lowest loss; then slice"
        raise CommandError(f"no slice can be made at step {here.step}: the loss or gradient is not finite here", hint)

    def tick(_made: int) -> None:
        debugger.interrupt.heed("slice was interrupted")

    names = spelled_out(debugger.problem, names)
    compass = Compass(debugger, names, tick)
    ways = [compass.way(name) for name in names]
    ways = [ways[0], *(across(ways[0], each) for each in ways[1:])]
    directions, cross = _directions(debugger, compass, ways)
    places = tuple(_places(compass, way, along, ends, len(ways)) for way, along in zip(ways, directions))
    losses = _losses(debugger, compass, ways, places, tick)
    return Sliced(
        directions,
        places,
        losses,
        here.step,
        here.loss,
        compass.next.loss,
        _share(compass, ways),
        cross,
        tuple(_notes(compass, ways, places, losses, here.loss)),
    )


def _directions(debugger: Debugger, compass: Compass, ways: Sequence[Way]) -> tuple[tuple[Along, ...], float]:
    """The directions with what is true along them, and their mixed derivative."""
    products = products_of(debugger.problem)
    curved = [products.product(compass.at, way.vector) for way in ways]
    found = []
    for way, product in zip(ways, curved):
        slope = _slope(compass.gradient, way)
        curvature = float(product @ way.vector) * way.unit**2
        lowest = way.origin - slope / curvature if curvature > 0 else None
        next_place = way.origin + float(compass.step @ way.vector) / way.unit
        found.append(Along(way.name, way.unit, way.origin, slope, curvature, next_place, lowest, way.says))
    cross = float(curved[0] @ ways[1].vector) * ways[0].unit * ways[1].unit if len(ways) > 1 else 0.0
    return tuple(found), cross


def _slope(gradient: Array, way: Way) -> float:
    """The derivative by the way's unit; 0 where it is no more than the rounding of the sum."""
    slope = float(gradient @ way.vector)
    return slope * way.unit if abs(slope) > _NOTHING * float(np.linalg.norm(gradient)) else 0.0


def _places(compass: Compass, way: Way, along: Along, ends: tuple[float, float] | None, count: int) -> Array:
    """Where along a direction the loss is computed: evenly, the place where we stand among them where it lies within."""
    samples = LINE if count == 1 else SIDE
    if ends is not None:
        return frozen(np.linspace(*ends, samples))
    length = compass.reach[0] / way.unit
    far = _UNCURVED if along.lowest is None else 2 * abs(along.lowest - along.origin) / length
    ahead = max(min(max(far, _NEAREST), _FARTHEST) * length, 1.25 * abs(along.next - along.origin))
    behind = max(ahead / _BEHIND, length) if way.downhill and count == 1 else ahead
    back = round((samples - 1) * behind / (ahead + behind))
    steps = np.arange(-back, samples - back) * ((ahead + behind) / (samples - 1))
    return frozen(along.origin + steps)


def _losses(debugger: Debugger, compass: Compass, ways: Sequence[Way], places: Sequence[Array], tick: Tick) -> Array:
    moves = [(each - way.origin) * way.unit for way, each in zip(ways, places)]
    wanted = moves[0][:, None] if len(ways) == 1 else grid(moves[0], moves[1])
    landscape, vectors = landscape_of(debugger.problem, debugger.recipe.engine), np.stack([way.vector for way in ways])
    found = []
    for first in range(0, len(wanted), _PIECE):
        tick(first)
        found.append(landscape.losses(compass.at, vectors, wanted[first : first + _PIECE]))
    return frozen(np.concatenate(found).reshape([len(each) for each in reversed(places)]))


def _share(compass: Compass, ways: Sequence[Way]) -> float | None:
    """The part of the next update's length that lies in the slice."""
    length = float(np.linalg.norm(compass.step))
    if not length > 0 or not np.isfinite(length):
        return None
    return min(1.0, float(np.linalg.norm([compass.step @ way.vector for way in ways])) / length)


def _notes(compass: Compass, ways: Sequence[Way], places: Sequence[Array], losses: Array, loss: Array) -> Iterator[str]:
    for way in ways[1:]:
        if way.name.endswith(ACROSS):
            yield f"what of {way.name.removesuffix(ACROSS)} lies along {ways[0].name} is left out of it"
    gaps = int(losses.size - np.isfinite(losses).sum())
    if gaps:
        yield f"{gaps} of {losses.size} losses are not finite: gaps"
    finite = losses[np.isfinite(losses)].astype(np.float64)
    rounding = float(np.spacing(np.abs(loss)))
    if len(finite) > 1 and finite.max() - finite.min() < _FEW_ULPS * rounding:
        yield f"all losses lie within {_FEW_ULPS} roundings of {losses.dtype}, which is what is seen; look farther off"
    for way, each in zip(ways, places):
        largest = int(np.argmax(np.abs(way.vector)))
        moved = float(each[-1] - each[0]) * way.unit * abs(float(way.vector[largest]))
        if moved < _FEW_ULPS * float(np.spacing(np.abs(compass.at[largest]).astype(losses.dtype))):
            yield f"the slice along {way.name} is so short that {losses.dtype} tells few of its places apart"
