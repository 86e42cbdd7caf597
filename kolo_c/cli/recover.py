"""``kolo-c recover``: save what can be saved of a store.

Threads: one at a time. Owns: the lock on the store's segments while it works.
Fails: KoloError; what was not dealt with by then is as it was.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kolo_c.cli.units import plural
from kolo_c.errors import harmless
from kolo_c.store.locate import locate_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kolo_c.store.rescue import Saved


class Recover:
    """Save what can be read of damaged files, and what dead programs left.

    Of a damaged segment every page is read by itself, and what is whole becomes a new
    segment in its place. The damaged file is not changed: it goes to .kolo_c/damaged,
    which may be removed when nothing is missing. Mappings and WALs that were left
    behind are brought into their segments. Files of running programs, of other programs
    and of newer versions stay as they are.

    kolo-c doctor --store says beforehand what can be saved. Ends with 1 where something
    is as bad as it was.
    """

    name = "recover"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def run(self, args: argparse.Namespace) -> int:
        """Save it."""
        from kolo_c.store.rescue import recover_store  # noqa: PLC0415 - it is large

        saved = recover_store(Path(locate_store()))
        problems = [each for each in saved if each.problem]
        if args.json:
            json.dump(
                {"files": [_as_json(each) for each in saved]}, sys.stdout, indent=2
            )
            sys.stdout.write("\n")
            return int(bool(problems))
        for each in saved:
            _tell(each)
        if not saved:
            print("Nothing is damaged, and nothing was left behind.")
        elif problems:
            print(f"{plural(len(problems), 'file')} could not be saved.")
        return int(bool(problems))


def _as_json(saved: Saved) -> dict[str, object]:
    return {
        "path": str(saved.path),
        "said": harmless(saved.said),
        "saved": not saved.problem,
        "traces": saved.traces,
        "blocks": saved.blocks,
        "blocks_known": saved.known,
        "damaged_file": None if saved.aside is None else str(saved.aside),
    }


def _tell(saved: Saved) -> None:
    print(harmless(f"{saved.path}: {saved.said}"))
    if saved.traces:
        traces = plural(saved.traces, "trace")
        print(
            f"    saved: {traces}, {saved.blocks:,} of {plural(saved.known, 'block')}"
        )
    if saved.aside is not None:
        print(harmless(f"    the damaged file: {saved.aside}"))


COMMAND = Recover()
