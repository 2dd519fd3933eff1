"""gdrepl: a step-debugger for gradient descent in the terminal."""

__version__ = "0.2.0"
