"""Importing this module registers every command."""

from gdrepl.commands import (
    asking,
    branching,
    defining,
    differing,
    editing,
    files,
    helping,
    plotting,
    running,
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
    "editing",
    "files",
    "helping",
    "plotting",
    "registry",
    "running",
    "stopping",
    "visiting",
    "whatif",
]
