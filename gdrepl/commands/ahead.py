"""What a line will do, told before it is run: whoever waits for TensorFlow or repeats lines asks here."""

from __future__ import annotations

from gdrepl.commands.blocks import Block
from gdrepl.commands.line import command_of, parts
from gdrepl.commands.registry import command_word
from gdrepl.commands.session import Session


def needs_debugger(session: Session, line: str) -> bool:
    """True when a command of the line cannot do without TensorFlow; an unknown one is told so at once."""
    block, own = session.executor.block, session.own
    for part in parts(line):
        if not part.text or part.is_comment:
            continue
        if block is not None and block.ended_by(part):
            if not block.command.instant:
                return True
            block = None
        elif block is not None:
            block = block.with_line(part.text, own.opens_block(part.text))
        else:
            text = own.expand(part.text)
            word = command_word(text)
            command = None if word in own.defined else command_of(word)
            if word in own.defined or (command is not None and not command.instant):
                return True
            if command is not None and command.block:
                block = Block(command, "")
    return False


def repeatable(session: Session, line: str) -> str:
    """What an empty line does next: `line` again, if each of its commands is one to repeat."""
    if session.executor.block is not None:
        return ""
    texts = [session.own.expand(part.text) for part in parts(line) if part.text]
    commands = [None if command_word(text) in session.own.defined else command_of(command_word(text)) for text in texts]
    return line if commands and all(command is not None and command.repeats for command in commands) else ""
