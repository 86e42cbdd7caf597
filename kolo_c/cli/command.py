"""What a command is: a name, a docstring that is its help, arguments, and what it does.

Threads: the main one. Owns: nothing. Fails: ``run`` raises KoloError for a person.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, Protocol, TypeGuard
else:
    Protocol = object  # typing costs 4 ms


class Command(Protocol):
    """One command, in a module of its own that has it as ``COMMAND``."""

    name: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it, and return the exit code."""
        ...


class Splitting(Protocol):
    """A command whose arguments end where those of another program begin."""

    def split(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Our words, and the program's; those become ``args.program``."""
        ...


def splits(command: Any) -> TypeGuard[Splitting]:
    """Whether it is such a command."""
    return hasattr(command, "split")
