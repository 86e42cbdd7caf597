"""``kolo-c export``: a trace in one file, to keep, to send, to open elsewhere.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError; FILE is then as it
was.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import stat
import sys
from pathlib import Path

from kolo_c.cli.reading import add_store_option, open_store
from kolo_c.cli.units import plural, size
from kolo_c.errors import KoloError, StoreError, harmless
from kolo_c.store.placing import file_error
from kolo_c.store.private import LINKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.process import TraceInfo
    from kolo_c.store.reader import Store

SQLITE = "sqlite"
SPEEDSCOPE = "speedscope"
_INTERRUPTED = 130


class ExportCommand:
    """Write a trace to one file, for kolo-c or for speedscope.

    The file is a SQLite database that holds the trace, its values, and the sources as
    they ran; what was masked when it was recorded is masked in it. Every reading
    command takes it (kolo-c show --db FILE), and kolo-c import brings it into another
    store. It also names the machine, the working directory and the command line of the
    program: docs/howto/keep-and-share.md lists all that is in it.

    A speedscope file holds the calls and their times, without values, for
    https://www.speedscope.app or a copy of it: one profile for each thread.
    """

    name = "export"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.usage = "kolo-c export [--speedscope] [options] TRACE FILE"
        parser.add_argument("trace", metavar="TRACE", help="the end of its id")
        parser.add_argument("file", metavar="FILE", help="the file to write")
        parser.add_argument(
            "--format",
            choices=(SQLITE, SPEEDSCOPE),
            help="what to write (default: sqlite)",
        )
        parser.add_argument(
            "--speedscope", action="store_true", help="the same as --format speedscope"
        )
        parser.add_argument(
            "--children",
            action="store_true",
            help="with the traces that it is the parent of: requests, tests, tasks",
        )
        parser.add_argument(
            "--force", action="store_true", help="overwrite FILE where it is there"
        )
        add_store_option(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Write it."""
        format = _format(args)
        target = _target(args)
        try:
            with open_store(db=args.db) as store:
                infos, left_out = _choose(store, args)
                if format == SQLITE:
                    from kolo_c.export.segment import export_segment  # noqa: PLC0415

                    export_segment(infos, target, overwrite=args.force)
                else:
                    from kolo_c.export.speedscope import (  # noqa: PLC0415
                        export_speedscope,
                    )

                    export_speedscope(infos, target, overwrite=args.force)
        except KeyboardInterrupt:
            print(f"kolo-c: interrupted; {args.file} was not written", file=sys.stderr)
            return _INTERRUPTED
        _report(target, format, infos, left_out, as_json=args.json)
        return 0


COMMAND = ExportCommand()


def _format(args: argparse.Namespace) -> str:
    if args.speedscope and args.format == SQLITE:
        raise KoloError(
            "--speedscope contradicts --format sqlite", "Give one.", slug="usage"
        )
    format: str = SPEEDSCOPE if args.speedscope else args.format or SQLITE
    if format == SQLITE and args.file.endswith(".json"):
        raise KoloError(
            f"{args.file}: a .json, but the format is sqlite",
            "For a JSON file give --speedscope; otherwise name it trace.kolo or so.",
            slug="usage",
        )
    return format


def _target(args: argparse.Namespace) -> Path:
    """FILE, after what can be said against it before the work."""
    if args.file == "-":
        raise KoloError(
            "a trace is not exported to stdout",
            "Name a file; it is put in place when it is whole.",
            slug="usage",
        )
    target = Path(args.file)
    try:
        status = os.stat(args.file)
    except FileNotFoundError:
        status = None
    except OSError as error:
        raise file_error(target, error) from error
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise StoreError(target, "is a directory", "Name a file in it.", slug="usage")
    if not target.parent.is_dir():
        raise StoreError(
            target, f"there is no directory {target.parent}", "Make it first.",
            slug="file-unwritable",
        )  # fmt: skip
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise StoreError(
            target,
            "is not a file that can be replaced",
            "Name a file; it is put in place when it is whole.",
            slug="file-exists",
        )
    if target.is_symlink():
        raise StoreError(
            target, LINKED, "Name the file that it leads to.", slug="file-exists"
        )
    if os.path.lexists(target) and not args.force:
        raise StoreError(
            target, "is there already", "To overwrite it: --force", slug="file-exists"
        )
    if os.path.exists(f"{target}-wal") or os.path.exists(f"{target}-journal"):
        raise StoreError(
            target, "is a database that is in use", "Choose another name.",
            slug="file-exists",
        )  # fmt: skip
    return target


def _choose(
    store: Store, args: argparse.Namespace
) -> tuple[list[TraceInfo], list[TraceInfo]]:
    """The traces to write, and those of other processes that one file cannot hold."""
    info = store.catalogue.find(args.trace)
    if not args.children:
        return [info], []
    from kolo_c.export.segment import family  # noqa: PLC0415

    own, others = family(store, info)
    return [info, *own], others


def _report(
    target: Path,
    format: str,
    infos: list[TraceInfo],
    left_out: list[TraceInfo],
    *,
    as_json: bool,
) -> None:
    written = target.stat().st_size
    if as_json:
        report = {
            "file": str(target),
            "format": format,
            "size_bytes": written,
            "traces": [info.id for info in infos],
            "left_out": [info.id for info in left_out],
        }
        json.dump(report, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for info in left_out:
        print(
            f"kolo-c: {harmless(info.id)} ({harmless(info.row.name)}) is of another "
            "process: export it to a file of its own",
            file=sys.stderr,
        )
    name = harmless(shlex.quote(str(target)))
    what = plural(len(infos), "trace")
    where = (
        f"kolo-c show --db {name}"
        if format == SQLITE
        else "open it at https://www.speedscope.app"
    )
    print(f"Wrote {what} to {name} ({size(written)}); {where}")
