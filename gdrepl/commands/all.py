"""Importing this module registers every command."""

from gdrepl.commands import asking, defining, editing, files, helping, plotting, printing, running, scripting, stopping
from gdrepl.commands.registry import registry

__all__ = [
    "asking",
    "defining",
    "editing",
    "files",
    "helping",
    "plotting",
    "printing",
    "registry",
    "running",
    "scripting",
    "stopping",
]
