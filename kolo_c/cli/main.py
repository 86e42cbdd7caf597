"""``kolo-c``: find the command, run it, say what went wrong.

Only the module of the chosen command is imported: ``kolo-c run`` must bring no more
into the program's process than it needs.

Threads: the main one. Owns: nothing. Fails: KoloError becomes a message and exit code
1, or 2 for wrong usage; anything else passes.
"""

from __future__ import annotations

import gc
import os
import sys

from kolo_c._version import __version__
from kolo_c.cli.command import splits
from kolo_c.cli.defaults import defaults_of
from kolo_c.errors import KoloError, StoreNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kolo_c.cli.command import Command

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_CTRL_C = 130
_NEWEST = 5
# The help of `kolo-c` alone imports no command; a test compares these with them.
COMMANDS = {
    "run": "Run a Python program and record what it does.",
    "list": "List the traces that are stored, the last one first.",
    "show": "Show a trace as a tree of calls.",
    "tail": "Print a line for each request, test, task or command as it ends.",
    "why": "Tell how a program failed, or where it stands.",
    "grep": "Search what was recorded for a pattern.",
    "dump": "Print every record of a trace as JSON lines.",
    "delete": "Delete traces by name, age or number, and free their space.",
    "pin": "Keep traces, whatever their age.",
    "unpin": "Take the pins off traces.",
    "export": "Write a trace to one file, for kolo-c or for speedscope.",
    "import": "Bring an exported trace into the store.",
    "recover": "Save what can be read of damaged files, and what dead programs left.",
    "config": "Print the settings in force and where each comes from.",
    "ignore": "Leave functions out of what is recorded, from the next run on.",
    "explain": "Say which rule keeps or skips a function, or masks a name.",
    "validate": "Compare what several cores and hooks record of a program.",
    "doctor": "Say what is installed, and what would stop tracing here.",
    "completion": "Print the script that completes the commands in a shell.",
}
_MODULES = {"import": "import_"}  # names that Python does not take


def load_command(name: str) -> Command:
    """The command of this name."""
    collecting = gc.isenabled()
    gc.disable()  # importing makes thousands of objects, and looking for garbage 0.7 ms
    try:
        # As importlib.import_module, which is a module more.
        module = __import__(
            f"kolo_c.cli.{_MODULES.get(name, name)}", fromlist=["COMMAND"]
        )
    finally:
        if collecting:
            gc.enable()
    command: Command = module.COMMAND
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kolo-c`` with these words, or those of the process; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    running = words[:1] == ["run"]  # then standard output is the program's
    if sys.stdout is None and not running:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as we live
    try:
        code = _dispatch(words)
        if not running:
            sys.stdout.flush()  # what cannot be written shows here, not at the exit
        return code
    except KoloError as error:
        print(f"kolo-c: error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        if error.name == "usage":
            return EXIT_USAGE
        return getattr(error, "exit_code", EXIT_ERROR)
    except BrokenPipeError:
        _give_up_output()  # the reader went away: kolo-c dump | head
        return EXIT_ERROR
    except OSError as error:
        if running or error.filename is not None:
            raise
        _give_up_output()  # files have names, standard output has none
        why = error.strerror or error
        print(f"kolo-c: error: standard output: {why}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        if running:
            raise  # the program's: it ends as under python
        return EXIT_CTRL_C


def _give_up_output() -> None:
    """The interpreter must not try to flush what is left when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(words: list[str]) -> int:
    if not words:
        return _welcome()
    if words[0] in ("-h", "--help", "help"):
        if len(words) > 1 and words[0] == "help":
            return _dispatch([words[1], "--help"])
        print(_help())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"kolo-c {__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise _unknown(name)
    command = load_command(name)
    program: list[str] = []
    if splits(command):
        rest, program = command.split(rest)
    args: Any = None if rest else defaults_of(command.configure)
    if args is None:
        from kolo_c.cli.parser import build_parser  # noqa: PLC0415 - see defaults.py

        args = build_parser(command).parse_args(rest)
    if splits(command):
        args.program = program
    return command.run(args)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "usage: kolo-c COMMAND [options]",
        "",
        "Records what a Python program did, and shows it.",
        "",
        *(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()),
        "",
        "kolo-c COMMAND --help has the options; kolo-c --version the version.",
    ]
    return "\n".join(lines)


def _welcome() -> int:
    """Bare ``kolo-c``: the help, and the newest traces, if there are any."""
    from kolo_c.store.locate import find_store  # noqa: PLC0415 - the others do without

    print(_help(), end="\n\n")
    try:
        print(f"The newest traces, in {find_store()}:")
    except StoreNotFound:
        print("Nothing has been recorded here yet: kolo-c run script.py")
        return 0
    return _dispatch(["list", "-n", str(_NEWEST)])


def _unknown(name: str) -> KoloError:
    if name.startswith("-"):
        message = f"unknown option {name}"
        hint = "Options come after the command; kolo-c --help lists the commands."
    elif os.path.exists(name) or name.endswith(".py"):
        message = f"{name} is not a command"
        hint = f"To record it: kolo-c run {name}"
    else:
        from kolo_c.settings import nearest  # noqa: PLC0415 - mistakes only

        message = f"unknown command {name!r}"
        found = nearest(name, COMMANDS)
        hint = f"Did you mean kolo-c {found}? " if found else ""
        hint += f"Commands: {', '.join(COMMANDS)}."
    return KoloError(message, hint, slug="usage")
