"""Importing this module registers every command."""

from gdrepl.commands import asking, defining, editing, files, helping, plotting, running, stopping, whatif
from gdrepl.commands.registry import registry

__all__ = ["asking", "defining", "editing", "files", "helping", "plotting", "registry", "running", "stopping", "whatif"]
