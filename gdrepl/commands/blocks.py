"""Commands whose lines up to `end` follow them: what was read of one so far."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gdrepl.commands.line import END, Part, parts
from gdrepl.commands.registry import Command
from gdrepl.errors import CommandError

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
        """The whole block as it is recorded: on one line where that reads back as the same lines."""
        lines = [self.first, *self.lines, END]
        joined = " ;; ".join(lines)
        return joined if [part.text for part in parts(joined)] == lines else "\n".join(lines)

    def ended_by(self, part: Part) -> bool:
        """Whether `part` is the `end` of this block, and not of one inside it."""
        return part.text == END and self.depth == 0

    def with_line(self, text: str, opens: bool) -> Block:
        """The block with one line more; `opens` tells that the line begins a block inside this one."""
        depth = self.depth + opens - (text == END)
        return replace(self, lines=(*self.lines, text), depth=depth)

    def check(self) -> None:
        """See that the block is not too long.

        Raises:
            CommandError: it is.
        """
        if len(self.lines) > MOST_LINES:
            told = f"{self.first[:40]} has {len(self.lines)} lines; {MOST_LINES} are allowed"
            raise CommandError(told, "source runs longer files")

    def unfinished(self) -> CommandError:
        """The error where the input ends before the block does."""
        return CommandError(f"'{self.first[:60]}' was not finished, and is dropped", f"its last line is {END}")
