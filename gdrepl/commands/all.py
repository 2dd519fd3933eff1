"""Importing this module registers every command."""

from gdrepl.commands import (
    asking,
    branching,
    defining,
    differing,
    displaying,
    editing,
    files,
    frames,
    helping,
    plotting,
    printing,
    running,
    scripting,
    stopping,
    visiting,
    whatif,
    why,
)
from gdrepl.commands.registry import registry

__all__ = [
    "asking",
    "branching",
    "defining",
    "differing",
    "displaying",
    "editing",
    "files",
    "frames",
    "helping",
    "plotting",
    "printing",
    "registry",
    "running",
    "scripting",
    "stopping",
    "visiting",
    "whatif",
    "why",
]
