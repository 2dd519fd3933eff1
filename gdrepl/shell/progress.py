"""The one line that shows that something is going on: a spinner, or the progress of a run. On a terminal only, and erased.

A terminal that cannot erase gets a line of its own of a long run's progress now and then.

A thread draws it, since the main thread is inside TensorFlow. Only what changed is written: over a slow link a redraw costs
some forty bytes, three times a second.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TextIO

from gdrepl.engine.moves import Progress
from gdrepl.shell.screen import is_dumb

INTERVAL = 0.33
DUMB_INTERVAL = 5.0
BAR_AFTER = 1.0
BAR_WIDTH = 20
_SPINNER = "|/-\\"


class Activity:
    """A context in which a line tells how things are getting on, from `after` seconds of silence on.

    Args:
        label: what the spinner says.
        stream: where to draw; nothing is drawn unless it is a terminal.
        columns: the width of the terminal, asked at each redraw, since it may be resized.
    """

    def __init__(self, label: str, stream: TextIO, columns: Callable[[], int], after: float = 0.2) -> None:
        self._label = label
        self._stream = stream
        self._columns = columns
        self._after = after
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._latest: Progress | None = None
        self._shown = ""
        self._drawn_for = 0
        self._drawn_at = 0.0

    def __enter__(self) -> Activity:
        self._began = time.monotonic()
        if _is_terminal(self._stream):
            work = self._keep_telling if is_dumb() else self._keep_drawing
            self._thread = threading.Thread(target=work, name="gdrepl-progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._erase()

    def update(self, progress: Progress) -> None:
        """Take note of how a run is getting on; cheap, and drawn later. For `debugger.progress`."""
        self._latest = progress

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Erase the line and keep it away while something else is written; then begin anew."""
        with self._lock:
            self._erase()
            yield
            self._latest, self._began = None, time.monotonic()

    def _keep_drawing(self) -> None:
        wait = self._after
        while not self._stop.wait(wait):
            wait = INTERVAL
            with self._lock:
                if not self._stop.is_set():
                    self._draw(progress_line(self._latest, time.monotonic() - self._began, self._label, self._after))

    def _keep_telling(self) -> None:
        """Lines that stay, one under the other: of runs only, since a spinner that stays says nothing."""
        while not self._stop.wait(DUMB_INTERVAL):
            with self._lock:
                text = progress_line(self._latest, 0.0, self._label, DUMB_INTERVAL)
                if text and not self._stop.is_set():
                    self._write(text[: max(0, self._columns() - 4)] + "\n")

    def _draw(self, text: str) -> None:
        columns, now = self._columns(), time.monotonic()
        text = text[: max(0, columns - 4)]  # ^C, when the terminal echoes it, must not begin another line
        if columns != self._drawn_for or now - self._drawn_at > 3 * INTERVAL:
            self._shown = ""  # after a resize, or Ctrl-Z, the line is another one
        self._drawn_for, self._drawn_at = columns, now
        if text == self._shown:
            return
        same = next(
            (place for place, (old, new) in enumerate(zip(self._shown, text)) if old != new), min(len(self._shown), len(text))
        )
        self._write(f"\x1b[{same + 1}G{text[same:]}\x1b[K")
        self._shown = text

    def _erase(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = ""

    def _write(self, text: str) -> None:
        # A terminal that went away is told by SIGHUP; a line of decoration is no place to fail.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def progress_line(progress: Progress | None, seconds: float, label: str, after: float = 0.2) -> str:
    """What stands in the line `seconds` after it all began; empty while there is nothing worth a look."""
    if progress is not None:
        return _run_line(progress) if progress.seconds >= BAR_AFTER else ""
    if seconds < after:
        return ""
    return f"{_SPINNER[int(seconds / INTERVAL) % len(_SPINNER)]} {label} ... {seconds:.0f} s"


def _run_line(progress: Progress) -> str:
    speed = f"{in_short(progress.taken / progress.seconds)} steps/s"
    facts = f"step {progress.step:,}  loss {progress.loss:.6g}  {speed}"
    share = min(1.0, progress.taken / progress.total)
    done = int(share * BAR_WIDTH)
    return f"[{'#' * done}{'.' * (BAR_WIDTH - done)}] {int(share * 100):2d}%  {facts}"


def in_short(number: float) -> str:
    """A number in at most four characters and a letter: 12, 3.4k, 560k, 1.2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (ValueError, AttributeError):  # closed, or none at all
        return False
