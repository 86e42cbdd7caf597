"""The parser of one command: argparse, with the nearest option for a mistyped one.

Threads: the main one. Owns: nothing. Fails: SystemExit with 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os

from kolo_c.settings import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from kolo_c.cli.command import Command


class CommandParser(argparse.ArgumentParser):
    """Of one command; its docstring is the help."""

    def __init__(self, command: Command) -> None:
        super().__init__(
            prog=f"kolo-c {command.name}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self._command = command
        command.configure(self)

    def format_help(self) -> str:
        """The help, when it is asked for."""
        import textwrap  # noqa: PLC0415 - 1 ms that options do without

        # Since 3.13 the compiler takes the indentation away.
        first, _, rest = (type(self._command).__doc__ or "").partition("\n")
        self.description = f"{first}\n{textwrap.dedent(rest)}".rstrip()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Print usage and ``message``, with what was probably meant, and end with 2."""
        known = self._option_string_actions
        # A value after = is no part of the name, and a value may be anything.
        words = (word.partition("=")[0] for word in message.split(": ", 1)[-1].split())
        mistyped = [word for word in words if word[:2] == "--" and word not in known]
        found = nearest(mistyped[0], known) if mistyped else ""
        super().error(f"{message}. Did you mean {found}?" if found else message)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Asks for the terminal's width itself: argparse takes shutil to, for 2 ms.

    It does so for each option that is added, not only for the help.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    text = os.environ.get("COLUMNS", "")
    if text.isdecimal() and int(text) > 0:
        return int(text)
    try:
        return os.get_terminal_size(1).columns or 80
    except (OSError, ValueError):
        return 80


def build_parser(command: Command) -> argparse.ArgumentParser:
    """The parser of ``command``."""
    return CommandParser(command)
