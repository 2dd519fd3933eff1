"""The zoo: standard test functions by name. The functions themselves stand in `zoo_functions`, as data."""

from __future__ import annotations

from gdrepl.engine.zoo_entry import MOST_DIMENSIONS, Family, ZooEntry
from gdrepl.engine.zoo_functions import CATALOGUE
from gdrepl.errors import CommandError, did_you_mean

__all__ = ["ZooEntry", "dimension_free", "entry", "names"]

_BY_NAME = {one.name: one for one in CATALOGUE}


def names() -> tuple[str, ...]:
    """Every test function, from the tutorial and the convex ones to those full of local minima."""
    return tuple(_BY_NAME)


def dimension_free(name: str) -> bool:
    """True when `entry(name, dim=...)` can be asked for."""
    return isinstance(_find(name), Family)


def entry(name: str, **options: float) -> ZooEntry:
    """The test function called `name`; those that scale take `dim`.

    Raises:
        CommandError: the name or an option is unknown, or `dim` is not a whole number in range.
    """
    found = _find(name)
    if isinstance(found, Family):
        return found.of(_dimension(found, options))
    if options:
        raise CommandError(f"{name} takes no options", "its number of parameters is fixed; rosenbrock dim=10 would scale")
    return found


def _find(name: str) -> ZooEntry | Family:
    if name not in _BY_NAME:
        near = did_you_mean(name.lower().replace("-", "_"), _BY_NAME)
        raise CommandError(f"no test function is called {name!r}", near or "some that are: rosenbrock, himmelblau, rastrigin")
    return _BY_NAME[name]


def _dimension(family: Family, options: dict[str, float]) -> int:
    for option in options:
        if option != "dim":
            near = did_you_mean(option, ["dim"])
            raise CommandError(f"{family.name} has no option {option!r}", near or "its one option is dim")
    dim = options.get("dim", family.default)
    if not (float(dim).is_integer() and family.least <= dim <= MOST_DIMENSIONS):
        wanted = f"a whole number from {family.least} to {MOST_DIMENSIONS}"
        raise CommandError(f"dim of {family.name} must be {wanted}, not {dim:g}", f"for example dim={max(family.default, 10)}")
    return int(dim)
