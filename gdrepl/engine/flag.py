"""A flag that a signal handler may put up."""

from __future__ import annotations

from gdrepl.errors import CommandError


class Flag:
    """Up or down, from any thread or handler, without a lock.

    `threading.Event` takes a lock when it is set, which the code that the signal interrupted may be holding.
    """

    __slots__ = ("_up",)

    def __init__(self) -> None:
        self._up = False

    def is_set(self) -> bool:
        """Whether it is up."""
        return self._up

    def set(self) -> None:
        """Put it up."""
        self._up = True

    def heed(self, message: str) -> None:
        """Where it is up, take it down and end what is being computed; for whatever leaves all as it was when it is ended.

        Raises:
            CommandError: it was up.
        """
        if self._up:
            self._up = False
            raise CommandError(message, "nothing has changed")

    def clear(self) -> None:
        """Take it down."""
        self._up = False
