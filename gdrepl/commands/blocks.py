"""Commands whose lines up to `end` follow them: what was read of one so far."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gdrepl.commands.line import Part, parts
from gdrepl.commands.registry import Command
from gdrepl.errors import CommandError

END = "end"
MOST_LINES = 1_000


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is being read.

    Attributes:
        command: what is called with the lines when `end` comes.
        rest: its arguments as typed.
        lines: read so far, without comments and empty ones.
        depth: how many blocks inside this one are open.
        place: where its first line stands, as errors name it; empty for one that was typed.
    """

    command: Command
    rest: str
    lines: tuple[str, ...] = ()
    depth: int = 0
    place: str = ""

    @property
    def first(self) -> str:
        """Its first line, the command in full."""
        return f"{self.command.name} {self.rest}".strip()

    @property
    def text(self) -> str:
        """The whole block as one line, which is how it is recorded."""
        return " ;; ".join([self.first, *self.lines, END])

    def ended_by(self, part: Part) -> bool:
        """Whether `part` is the `end` of this block, and not of one inside it."""
        return part.text == END and self.depth == 0

    def with_line(self, text: str, opens: bool) -> Block:
        """The block with one line more; `opens` tells that the line begins a block inside this one."""
        depth = self.depth + opens - (text == END)
        return replace(self, lines=(*self.lines, text), depth=depth)

    def check(self) -> None:
        """See that the block can be written on one line, and read back from it.

        Raises:
            CommandError: it is too long, or a quote is left open in a line of it.
        """
        if len(self.lines) > MOST_LINES:
            raise CommandError(f"{self.first[:40]} has {len(self.lines)} lines; {MOST_LINES} are allowed")
        if [part.text for part in parts(self.text)] != [self.first, *self.lines, END]:
            odd = next((line for line in self.lines if line.count('"') % 2 or line.count("'") % 2), self.first)
            raise CommandError(f"a quote is left open in '{odd[:40]}'", "close it on its own line")

    def unfinished(self) -> CommandError:
        """The error where the input ends before the block does."""
        return CommandError(f"'{self.first[:60]}' was not finished, and is dropped", f"its last line is {END}")
