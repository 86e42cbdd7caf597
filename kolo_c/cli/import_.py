"""``kolo-c import``: an exported trace becomes one of the store's.

Threads: one at a time. Owns: the lock on the store's segments while it adds one.
Fails: KoloError; the store is then as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from kolo_c.cli.units import moment
from kolo_c.errors import StoreError, StoreNotFound, harmless
from kolo_c.identifiers import ulid
from kolo_c.store.deletions import lock_store
from kolo_c.store.exported import check_exported
from kolo_c.store.locate import SEGMENTS_NAME, find_store
from kolo_c.store.reader import Store
from kolo_c.store.rewrite import NewSegment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.process import TraceInfo

_PATIENCE_SECONDS = 30.0
_INTERRUPTED = 130


class ImportCommand:
    """Bring an exported trace into the store.

    FILE is what kolo-c export wrote, here or elsewhere; it is looked through in full
    first, and stays as it is. A trace that the store has already is left out and named;
    that is no failure, so that a script may import a file twice.

    Without a store here or above, one is made for this project.
    """

    name = "import"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", metavar="FILE", help="a file of kolo-c export")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Import it."""
        source = Path(args.file)
        check_exported(source, thorough=True)
        try:
            fresh, known = _import(source)
        except KeyboardInterrupt:
            print("kolo-c: interrupted; nothing was imported", file=sys.stderr)
            return _INTERRUPTED
        if args.json:
            report = {
                "imported": [info.id for info in fresh],
                "already_there": [info.id for info in known],
            }
            json.dump(report, sys.stdout, indent=2)
            sys.stdout.write("\n")
            return 0
        for info in fresh:
            print(f"Imported {_line(info)}")
        for info in known:
            print(f"There already: {_line(info)}")
        return 0


COMMAND = ImportCommand()


def _line(info: TraceInfo) -> str:
    name = harmless(info.row.name)
    return f"{harmless(info.id)} ({name}, {moment(info.row.started_utc_ns)})"


def _import(source: Path) -> tuple[list[TraceInfo], list[TraceInfo]]:
    """The traces that were imported, and those that were there already."""
    path = _store_path()
    # Two imports of one file at once must not both find that it is not there.
    fd = lock_store(path, _PATIENCE_SECONDS)
    if fd is None:
        raise StoreError(
            path, "another command is changing it", "Try again when that has finished.",
            slug="store-locked",
        )  # fmt: skip
    try:
        with Store.of_file(source) as file:
            infos = file.traces()
            if not infos:
                raise StoreError(source, "has no traces in it", slug="store-empty")
            with Store(path) as store:
                there = {info.id for info in store.traces()}
            fresh = [info for info in infos if info.id not in there]
            if fresh:
                _add(source, path, {info.row.number for info in fresh})
            return fresh, [info for info in infos if info.id in there]
    finally:
        os.close(fd)


def _add(source: Path, store: Path, numbers: set[int]) -> None:
    # A name of its own: the process that recorded it may have segments here as well.
    target = store / SEGMENTS_NAME / f"{ulid()}-0.db"
    with NewSegment(target) as new:
        new.copy(source, numbers, keep=True)
        # Copied from a process that ran, it would look as if that still did.
        new.execute(
            "UPDATE process SET ended_ns = COALESCE("
            "ended_ns, (SELECT MAX(last_ns) FROM block), started_ns)"
        )
        new.finish(overwrite=False)


def _store_path() -> Path:
    try:
        return find_store()
    except StoreNotFound:
        if "KOLO_C_PATH" in os.environ:
            raise
    from kolo_c.project import create_store, find_project  # noqa: PLC0415

    store = Path(find_project(None).store)
    try:
        create_store(store)
    except OSError as error:
        raise StoreError(
            store, f"cannot be made: {error.strerror}",
            "Go to a directory that you may write to.", slug="store-unwritable",
        ) from error  # fmt: skip
    return store
