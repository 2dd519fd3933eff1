"""Importing this module registers every command."""

from gdrepl.commands import (
    asking,
    branching,
    checking,
    defining,
    differing,
    displaying,
    editing,
    examining,
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
    "checking",
    "defining",
    "differing",
    "displaying",
    "editing",
    "examining",
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
