"""The command line: what was asked for, and whom to hand it to. Nothing slow is imported before it is needed."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gdrepl import __version__
from gdrepl.errors import CommandError, GdreplError

if TYPE_CHECKING:
    from gdrepl.commands.setup import Setup

COMMANDS = ("debug", "replay", "show", "resume")
_MINUS = re.compile(r"-\s*(\(|\d|[A-Za-z_]\w*\s*[-+*/%@(\[])")
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a full or failing disk behind standard output says. Commands that write files have their own errors."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run gdrepl; returns the exit status: 0, 1 after an error, 2 for wrong usage."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in (*COMMANDS, "-h", "--help", "--version"):
        arguments.insert(0, "debug")
    if arguments[0] == "debug":
        arguments = [f" {argument}" if _begins_with_minus(argument) else argument for argument in arguments]
    options, unknown = _parser("--json" in arguments).parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(options.function(options))
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nothing more can be told to anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in OUTPUT_ERRORS:
            raise
        print(f"gdrepl: cannot write the output: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _begins_with_minus(argument: str) -> bool:
    """Whether an argument is a loss such as -x**2, and no option; behind a blank argparse takes it for an argument."""
    return _MINUS.match(argument) is not None and not os.path.isfile(argument[2:])  # -xsteps/one.gd


def entry() -> NoReturn:
    """The program: `main`, and out at once.

    Taking TensorFlow down in order takes a second, and everything of ours is closed and flushed by then.
    """
    try:
        status = main()
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


class _JsonParser(argparse.ArgumentParser):
    """Tells wrong usage as JSON."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        raise SystemExit(_refuse(CommandError(message, f"{self.prog} --help tells more"), as_json=True))


def _parser(as_json: bool) -> argparse.ArgumentParser:
    parser = (_JsonParser if as_json else argparse.ArgumentParser)(
        prog="gdrepl",
        description="A step-debugger for gradient descent in the terminal. Without a command it is gdrepl debug.",
        epilog="gdrepl COMMAND --help tells more; help at the (gd) prompt lists its commands.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gdrepl {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_debug(commands)
    _add_replay(commands)
    _add_show(commands)
    _add_resume(commands)
    return parser


def _add_debug(commands: Any) -> None:
    debug = commands.add_parser(
        "debug",
        help="debug a problem at the (gd) prompt, or with -c, -x, --batch or piped commands",
        description="Debug a problem: one of the zoo ('rosenbrock', 'rastrigin dim=10'), or a loss such as '(x-50)**2' with "
        "--var x=3. Without one, the first problem: loss (x-50)**2, x = 3.0, Adam with learning rate 1.",
        allow_abbrev=False,
    )
    debug.add_argument("problem", nargs="*", metavar="PROBLEM", help="a name with options (dim=10), or an expression")
    debug.add_argument("--var", action="append", default=[], metavar="N=V", help="a parameter and its start value")
    debug.add_argument("--const", action="append", default=[], metavar="N=V", help='a constant, also csv("file.csv", column)')
    debug.add_argument("--optimizer", default="", metavar="O", help="a Keras optimizer, such as sgd or 'adam(beta_1=0.8)'")
    debug.add_argument("--lr", default="", metavar="V", help="learning rate: a number or a schedule")
    debug.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    debug.add_argument("--engine", default="xla", choices=("xla", "graph", "eager"), help="how updates are computed")
    debug.add_argument("--no-init", dest="init", action="store_false", help="read neither init.gd nor config.toml")
    debug.add_argument("--seed", type=_seed, default=0, metavar="N", help="of normal() and uniform()")
    _add_input(debug)
    debug.set_defaults(function=_debug, parser=debug)


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", dest="inputs", action=_Input, metavar="CMD", help="run a command first (repeatable)")
    parser.add_argument(
        "-x", dest="inputs", action=_Input, metavar="FILE", help="run the commands of a file first (repeatable)"
    )
    parser.add_argument("--batch", action="store_true", help="end after -c and -x; the first error ends it with status 1")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each command, and nothing else")
    parser.add_argument("--echo", action="store_true", help="show each piped command behind its prompt")
    parser.add_argument("--no-color", action="store_true", help="no colours (as does NO_COLOR in the environment)")
    parser.add_argument("--ascii", action="store_true", help="plain ASCII only")
    parser.add_argument(
        "--width", type=_width, default=0, metavar="N", help="width of the output; default: the terminal's, or 80"
    )


def _add_replay(commands: Any) -> None:
    replay = commands.add_parser(
        "replay",
        help="run session files again and compare every result",
        description="Run session files again and compare every result and every point. Status 0: all match; 1: a mismatch, "
        "named by line, step and field; 2: a file cannot be read.",
        allow_abbrev=False,
    )
    replay.add_argument("files", nargs="+", metavar="FILE", type=_file)
    replay.add_argument("--json", action="store_true", help="one JSON object a file")
    replay.add_argument("--update", action="store_true", help="rewrite the files with what comes out now (not when CI is set)")
    replay.set_defaults(function=_replay, parser=replay)


def _add_show(commands: Any) -> None:
    show = commands.add_parser(
        "show",
        help="sum up a session file, without TensorFlow",
        description="Sum up a session file, without TensorFlow. Status 0; 1 when it is damaged, 2 when it cannot be read.",
        allow_abbrev=False,
    )
    show.add_argument("file", metavar="FILE", type=_file)
    show.add_argument("--json", action="store_true", help="one JSON object a line")
    show.add_argument("--no-color", action="store_true")
    show.add_argument("--ascii", action="store_true")
    show.add_argument("--width", type=_width, default=0, metavar="N")
    show.set_defaults(function=_show, parser=show)


def _add_resume(commands: Any) -> None:
    resume = commands.add_parser(
        "resume",
        help="go on with a session that was killed",
        description="Go on with a session from its journal: FILE, or the latest journal that was not closed.",
        allow_abbrev=False,
    )
    resume.add_argument("file", nargs="?", metavar="FILE", type=_file)
    _add_input(resume)
    resume.set_defaults(function=_resume, parser=resume)


class _Input(argparse.Action):
    """Keeps -c and -x in the order given."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        kept = [*(getattr(namespace, self.dest) or []), (option, values)]
        setattr(namespace, self.dest, kept)


def _file(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("the name of a file is empty")
    return Path(text)


def _width(text: str) -> int:
    if not text.isdigit() or not 20 <= int(text) <= 500:
        raise argparse.ArgumentTypeError("a width is 20 to 500")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError("a seed is a whole number from 0")
    return int(text)


def _named(items: Sequence[str], option: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise CommandError(f"{option} {item!r} is not NAME=VALUE", f"for example {option} x=3.0")
        values[name.strip()] = value.strip()
    return values


def _setup(options: argparse.Namespace) -> Setup:
    from gdrepl.commands.setup import Setup
    from gdrepl.shell.startup import read_config

    settings = read_config(options) if options.init else {}

    return Setup(
        " ".join(options.problem),
        _named(options.var, "--var"),
        _named(options.const, "--const"),
        options.optimizer,
        options.lr,
        options.dtype,
        options.engine,
        options.seed,
        settings=settings,
    )


def _prompts_next(options: argparse.Namespace) -> bool:
    """True when the prompt is the next thing that its user sees."""
    from gdrepl.shell.screen import is_dumb

    return sys.stdin.isatty() and sys.stdout.isatty() and not (options.inputs or options.batch or options.json or is_dumb())


def _debug(options: argparse.Namespace) -> int:
    if sys.stdin is not None and _prompts_next(options):
        from gdrepl.shell.early import show_prompt_early

        show_prompt_early("".join(c if c.isprintable() else "?" for c in " ".join(options.problem)))
    from gdrepl.commands.session import Session
    from gdrepl.shell.front import run_session
    from gdrepl.shell.keeper import Keeper

    try:
        session = Session(_setup(options))
    except CommandError as error:
        return _refuse(error, options.json)
    return run_session(session, options, Keeper(session))


def _refuse(error: GdreplError, as_json: bool) -> int:
    from gdrepl.shell.lines import refuse

    return refuse(error, as_json)


def _resume(options: argparse.Namespace) -> int:
    from gdrepl.shell.front import run_session
    from gdrepl.shell.resuming import resume_session

    try:
        session, keeper = resume_session(options.file, quiet=options.json)
    except GdreplError as error:
        return _refuse(error, options.json)
    return run_session(session, options, keeper)


def _replay(options: argparse.Namespace) -> int:
    from gdrepl.shell.replays import replay_files

    return replay_files(options.files, options.json, options.update)


def _show(options: argparse.Namespace) -> int:
    from gdrepl.shell.replays import show

    return show(options)
