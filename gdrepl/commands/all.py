"""Importing this module registers every command."""

from gdrepl.commands import (
    asking,
    branching,
    defining,
    differing,
    displaying,
    editing,
    files,
    helping,
    plotting,
    printing,
    rate_finding,
    running,
    scripting,
    slicing,
    stopping,
    visiting,
    whatif,
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
    "helping",
    "plotting",
    "printing",
    "rate_finding",
    "registry",
    "running",
    "scripting",
    "slicing",
    "stopping",
    "visiting",
    "whatif",
]
