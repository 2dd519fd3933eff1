"""Keys that mean something else here than in prompt_toolkit: Ctrl-C clears the line, a paste of several lines runs them."""

from __future__ import annotations

import select
from collections.abc import Callable

from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent
from prompt_toolkit.keys import Keys


def make_bindings(on_idle_interrupt: Callable[[], None], in_block: Callable[[], bool] = lambda: False) -> KeyBindings:
    """The bindings; `on_idle_interrupt` is called for Ctrl-C on an empty line. Within a block Ctrl-C leaves the prompt."""
    bindings = KeyBindings()

    @bindings.add("c-c", filter=has_focus(DEFAULT_BUFFER))
    @bindings.add("<sigint>")
    def _clear(event: KeyPressEvent) -> None:
        buffer = event.app.layout.get_buffer_by_name(DEFAULT_BUFFER)
        if in_block():
            event.app.exit(exception=KeyboardInterrupt)
        elif buffer is None or not buffer.text:
            on_idle_interrupt()
        else:
            buffer.reset()

    @bindings.add(Keys.BracketedPaste)
    def _paste(event: KeyPressEvent) -> None:
        first, *others = pasted_lines(event.data)
        event.current_buffer.insert_text(first)
        # The others become keys: each line is run and kept in the history as if it had been typed.
        keys = [key for line in others for key in (KeyPress(Keys.ControlM, "\r"), KeyPress(Keys.BracketedPaste, line))]
        event.key_processor.feed_multiple(keys, first=True)

    return bindings


def pasted_lines(text: str) -> list[str]:
    """The lines of a paste, at least one; the last is empty when the text ends with a line end, and then all are run.

    Blank lines go, since an empty line repeats the command before it; so do tabs and control characters, since they are keys.
    """
    lines = ["".join(map(_harmless, line)) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return [line for line in lines[:-1] if line.strip()] + [lines[-1]]


def _harmless(character: str) -> str:
    if character == "\t":
        return " "
    return character if character.isprintable() else ""


def interrupted_ahead(source: Input) -> bool:
    """True when Ctrl-C waits among the keys typed ahead, as after a paste over a slow link; it drops the keys before it.

    A key that comes while the terminal is raw is no signal, and is read by the next prompt only: too late for the run that
    it was meant to stop.
    """
    ahead = get_typeahead(source)
    with source.raw_mode():
        while not source.closed and select.select([source.fileno()], [], [], 0)[0]:
            ahead += source.read_keys()
    places = [place for place, key in enumerate(ahead) if key.key == Keys.ControlC]
    store_typeahead(source, ahead[places[-1] + 1 :] if places else ahead)
    return bool(places)
