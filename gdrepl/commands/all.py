"""Importing this module registers every command."""

from gdrepl.commands import (
    asking,
    branching,
    curvature,
    defining,
    differing,
    displaying,
    doctoring,
    editing,
    files,
    helping,
    plotting,
    printing,
    running,
    scripting,
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
    "doctoring",
    "editing",
    "files",
    "helping",
    "plotting",
    "printing",
    "registry",
    "running",
    "scripting",
    "stopping",
    "visiting",
    "whatif",
]
