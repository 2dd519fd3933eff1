"""Importing this module registers every command."""

from gdrepl.commands import (
    asking,
    branching,
    curvature,
    defining,
    differing,
    displaying,
    editing,
    files,
    helping,
    plotting,
    printing,
    running,
    scripting,
    stepi,
    stopping,
    visiting,
    whatif,
)
from gdrepl.commands.registry import registry

__all__ = [
    "asking",
    "branching",
    "curvature",
    "defining",
    "differing",
    "displaying",
    "editing",
    "files",
    "helping",
    "plotting",
    "printing",
    "registry",
    "running",
    "scripting",
    "stepi",
    "stopping",
    "visiting",
    "whatif",
]
