"""A command is a function with typed arguments and a docstring, that returns a result."""
