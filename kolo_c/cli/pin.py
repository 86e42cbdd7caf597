"""``kolo-c pin``: keep a trace until it is unpinned.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError, before anything is
pinned.
"""

from __future__ import annotations

import argparse
import json
import sys

from kolo_c.cli.reading import open_store
from kolo_c.errors import harmless
from kolo_c.store.pins import pin, unpin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kolo_c.store.process import TraceInfo


class PinCommand:
    """Keep traces, whatever their age.

    The settings keep_days and max_bytes do not hold for a pinned trace, nor does its
    size count against max_bytes, and kolo-c delete leaves it alone unless it is forced.
    kolo-c unpin ends that.
    """

    name = "pin"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        add_traces(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Pin them."""
        return change(args, "pinned", _pin)


COMMAND = PinCommand()


def add_traces(parser: argparse.ArgumentParser) -> None:
    """The arguments of pin and unpin."""
    parser.add_argument(
        "trace", nargs="+", metavar="TRACE", help="the end of its id (kolo-c list)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def change(
    args: argparse.Namespace, became: str, apply: Callable[[Path, TraceInfo], bool]
) -> int:
    """Pin or unpin what was named; all of it is found before anything is done."""
    with open_store() as store:
        found = {info.id: info for info in map(store.catalogue.find, args.trace)}
        changed = {id: apply(store.path, info) for id, info in found.items()}
    if args.json:
        rows = [
            {"id": id, "pinned": became == "pinned", "changed": done}
            for id, done in changed.items()
        ]
        json.dump(rows, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    for id, done in changed.items():
        name = harmless(found[id].row.name)
        text = became.capitalize() if done else f"Was {became} already:"
        print(f"{text} {harmless(id)} ({name})")
    return 0


def remove_pin(store: Path, info: TraceInfo) -> bool:
    """Unpin a trace; False where it was not pinned."""
    return unpin(store, (info.id, info.files.id))


def _pin(store: Path, info: TraceInfo) -> bool:
    return pin(store, (info.id, info.files.id), info.bytes)
