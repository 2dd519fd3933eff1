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
    phases,
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
    "defining",
    "differing",
    "displaying",
    "editing",
    "files",
    "helping",
    "phases",
    "plotting",
    "printing",
    "registry",
    "running",
    "scripting",
    "stopping",
    "visiting",
    "whatif",
]
