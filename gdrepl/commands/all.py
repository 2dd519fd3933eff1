"""Importing this module registers every command."""

from gdrepl.commands import (
    asking,
    defining,
    displaying,
    editing,
    files,
    helping,
    plotting,
    printing,
    running,
    scripting,
    stopping,
)
from gdrepl.commands.registry import registry

_ = (asking, defining, displaying, editing, files, helping, plotting, printing, running, scripting, stopping)

__all__ = ["registry"]
