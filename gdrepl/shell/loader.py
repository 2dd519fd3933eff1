"""TensorFlow and the session's debugger, loaded in a thread while their user reads the banner and types."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable

from gdrepl.commands.session import Session


class Loader:
    """Loads once.

    Attributes:
        done: set when the debugger is built or cannot be.
        error: why it cannot be: a GdreplError when what the session starts with is wrong, anything else is a bug.
    """

    def __init__(self, session: Session, on_done: Callable[[], None] = lambda: None) -> None:
        self.done = threading.Event()
        self.error: Exception | None = None
        self._session = session
        self._on_done = on_done
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless begun already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._load, name="gdrepl-loader", daemon=True)
            self._thread.start()

    def _load(self) -> None:
        try:
            importlib.import_module("gdrepl.display.views")  # needed by whatever comes first, and quick
            _ = self._session.debugger
        except Exception as error:
            self.error = error
        finally:
            self.done.set()
            self._on_done()
