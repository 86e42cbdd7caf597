"""What the reading commands share: opening the store, and naming a trace or a node.

Threads: one at a time. Owns: nothing. Fails: KoloError.
"""

from __future__ import annotations

import gc
import os
import sys

from kolo_c.errors import StoreNotFound, TraceNotFound
from kolo_c.store.locate import locate_store
from kolo_c.store.marks import has_due
from kolo_c.store.path_map import load_path_map
from kolo_c.store.reader import Store
from kolo_c.store.recovery import recover_dead

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_GARBAGE_AFTER = 100_000
_LONGEST_THREAD, _LONGEST_NODE = 9, 18


class Address:
    """What was asked for: a trace (None: the latest), and perhaps a node in it."""

    __slots__ = ("node", "thread", "trace")

    def __init__(
        self, trace: str | None, thread: int = 1, node: int | None = None
    ) -> None:
        self.trace = trace
        self.thread = thread
        self.node = node


def read_address(text: str | None) -> Address:
    """Take ``TRACE``, ``TRACE/153`` or ``TRACE/2.153`` apart."""
    if text is None:
        return Address(None)
    trace, slash, rest = text.partition("/")
    if not slash:
        return Address(trace)
    thread, dot, node = rest.rpartition(".")
    if not _is_number(node, _LONGEST_NODE) or (
        dot and not _is_number(thread, _LONGEST_THREAD)
    ):
        raise TraceNotFound(
            f"'{text}' is not the address of a node",
            "Write TRACE/153, or TRACE/2.153 for a node of the second thread.",
        )
    return Address(trace or None, int(thread or 1), int(node))


def _is_number(text: str, longest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= longest


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """The option that every reading command has."""
    parser.add_argument(
        "--db",
        metavar="FILE",
        help="read this exported file instead of the project's store",
    )


def open_store(start: Path | None = None, *, db: str | None = None) -> Store:
    """The store that this directory belongs to, after recovering what died in it.

    With ``db`` the file that ``kolo-c export`` wrote, as a store of its own.
    """
    # What is read is kept until the command ends: to look through it for garbage as
    # often as usual takes a tenth of a screen's time.
    if hasattr(gc, "set_threshold"):  # PyPy has none
        gc.set_threshold(_GARBAGE_AFTER, 20, 50)
    if db is not None:
        from pathlib import Path  # noqa: PLC0415 - the next two: few need them

        from kolo_c.store.exported import open_exported  # noqa: PLC0415

        store = open_exported(Path(db))
        store.named = db
        store.catalogue.path_map = load_path_map(_project_of(start))
        return store
    path = locate_store(start)
    for problem in recover_dead(path):
        print(f"kolo-c: {problem}", file=sys.stderr)
    if has_due(path):
        from pathlib import Path  # noqa: PLC0415 - the next two: seldom needed

        from kolo_c.store.deletions import sweep  # noqa: PLC0415

        sweep(Path(path))
    store = Store(path)
    store.catalogue.path_map = load_path_map(os.path.dirname(path))
    return store


def _project_of(start: Path | None) -> str:
    try:
        return os.path.dirname(locate_store(start))
    except StoreNotFound:
        return os.getcwd()


def warn_of_errors(store: Store) -> None:
    """Say which files could not be read, where others could."""
    for error in store.catalogue.errors:
        print(f"kolo-c: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"        {error.hint}", file=sys.stderr)


def natural(text: str) -> int:
    """For argparse: a number from 0."""
    return _number(text, 0)


def positive(text: str) -> int:
    """For argparse: a number from 1."""
    return _number(text, 1)


def _number(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        import argparse  # noqa: PLC0415 - imported by now

        raise argparse.ArgumentTypeError(f"'{text}' is not a number from {least} up")
    return number
