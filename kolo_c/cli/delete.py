"""``kolo-c delete``: traces go, by name, by age or by number.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError, before anything is
deleted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time

from kolo_c.cli.reading import natural, open_store, warn_of_errors
from kolo_c.cli.units import moment, plural, size
from kolo_c.errors import KoloError, harmless
from kolo_c.store.deletions import delete
from kolo_c.store.pins import read_pins
from kolo_c.store.process import RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.deletions import Swept
    from kolo_c.store.marks import Name
    from kolo_c.store.process import TraceInfo
    from kolo_c.store.reader import Store

_AGE = re.compile(r"(?P<count>\d{1,6}(\.\d{1,6})?)(?P<unit>min|[hdw])\Z")
_UNIT_SECONDS = {"min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SHOWN = 20
_INTERRUPTED = 130


class DeleteCommand:
    """Delete traces by name, age or number, and free their space.

    TRACE is the end of an id, as kolo-c list marks it. --older-than takes the traces
    that began before that, --keep all but the newest N; both together those that are
    old and not among the newest N. These two leave alone what is pinned and what is
    still running.

    A deleted trace is gone from every list at once. Its space is freed at once too, or
    where its program still runs, by the first command after that has ended.
    """

    name = "delete"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.usage = (
            "kolo-c delete TRACE… [--force] | [--older-than AGE|DATE] [--keep N] "
            "[options]"
        )
        parser.add_argument("trace", nargs="*", metavar="TRACE", help="see above")
        parser.add_argument(
            "--older-than",
            metavar="AGE|DATE",
            help="traces that began longer ago (90min, 12h, 7d, 2w), or before a date",
        )
        parser.add_argument(
            "--keep", type=natural, metavar="N", help="all traces but the newest N"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say what would be deleted, and delete nothing",
        )
        parser.add_argument(
            "--yes", "-y", action="store_true", help="do not ask before several go"
        )
        parser.add_argument(
            "--force", action="store_true", help="delete a TRACE that is pinned, too"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Delete them."""
        _check(args)
        with open_store() as store:
            path = store.path
            pins = read_pins(path)
            chosen, spared = _choose(store, args, pins)
            warn_of_errors(store)
        # The files are closed by now: who writes them anew must not be in the way.
        if args.dry_run:
            _say_plan(chosen, spared, as_json=args.json)
            return 0
        if not _is_sure(args, chosen):
            print("Nothing was deleted.", file=sys.stderr)
            return 1
        try:
            swept = delete(path, [_name(info) for info in chosen]) if chosen else None
        except KeyboardInterrupt:
            print(
                "kolo-c: interrupted; what is deleted by now is gone from the lists, "
                "and the next command frees its space",
                file=sys.stderr,
            )
            return _INTERRUPTED
        _report(chosen, spared, swept, as_json=args.json)
        failed = swept is not None and swept.problems and _count_waiting(chosen, swept)
        return 1 if failed else 0


COMMAND = DeleteCommand()


def _check(args: argparse.Namespace) -> None:
    bulk = args.older_than is not None or args.keep is not None
    if bulk and args.trace:
        raise KoloError(
            "a TRACE cannot be given together with --older-than or --keep",
            "Delete the named traces first, then the others.",
            slug="usage",
        )
    if bulk and args.force:
        raise KoloError(
            "--force is for a pinned TRACE that is named",
            "kolo-c unpin TRACE lets --older-than and --keep take it.",
            slug="usage",
        )
    if not bulk and not args.trace:
        raise KoloError(
            "nothing says which traces to delete",
            "Name them (kolo-c list), or give --older-than AGE or --keep N.",
            slug="usage",
        )


def _name(info: TraceInfo) -> Name:
    return info.id, info.files.id


def _choose(
    store: Store, args: argparse.Namespace, pins: set[Name]
) -> tuple[list[TraceInfo], int]:
    """The traces that are to go, the newest first, and how many pins spared."""
    if args.trace:
        found = {}
        for word in args.trace:
            info = store.catalogue.find(word)
            if _name(info) in pins and not args.force:
                raise KoloError(
                    f"{info.id} is pinned; nothing was deleted",
                    f"kolo-c unpin {word} first, or give --force.",
                    slug="pinned",
                )
            found[_name(info)] = info
        return list(found.values()), 0
    before_ns = time.time_ns()
    if args.older_than is not None:
        before_ns = read_moment(args.older_than, before_ns)
    traces = store.traces()
    loose = [info for info in traces if _name(info) not in pins]
    candidates = [
        info
        for info in loose[args.keep or 0 :]
        if info.status != RUNNING and info.row.started_utc_ns < before_ns
    ]
    return candidates, len(traces) - len(loose)


def read_moment(text: str, now_ns: int) -> int:
    """The moment that ``7d`` (ago) or a date means, in ns since 1970."""
    match = _AGE.match(text.strip())
    if match:
        seconds = float(match["count"]) * _UNIT_SECONDS[match["unit"]]
        return max(now_ns - int(seconds * 1_000_000_000), 0)
    import datetime  # noqa: PLC0415 - an age needs none

    date = text.strip()
    if date.endswith("Z"):  # which 3.10 does not read
        date = f"{date[:-1]}+00:00"
    try:
        return int(datetime.datetime.fromisoformat(date).timestamp() * 1e9)
    except (ValueError, OverflowError, OSError):
        raise KoloError(
            f"'{text}' is neither an age nor a date",
            "Ages: 90min, 12h, 7d, 2w. Dates: 2026-11-21, '2026-11-21 14:30'.",
            slug="usage",
        ) from None


def _is_sure(args: argparse.Namespace, chosen: list[TraceInfo]) -> bool:
    """Ask a person at a terminal before more than one trace goes."""
    if len(chosen) < 2 or args.yes:
        return True
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    for line in _lines(chosen):
        print(line, file=sys.stderr)
    total = size(sum(info.bytes for info in chosen))
    question = f"Delete these {len(chosen):,} traces ({total})? [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return False


def _lines(chosen: list[TraceInfo]) -> list[str]:
    lines = [
        f"  {harmless(info.id)}  {moment(info.row.started_utc_ns)}  "
        f"{size(info.bytes):>8}  {harmless(info.row.name)[:60]}"
        for info in chosen[:_SHOWN]
    ]
    if len(chosen) > _SHOWN:
        lines.append(f"  … and {len(chosen) - _SHOWN:,} more")
    return lines


def _say_plan(chosen: list[TraceInfo], spared: int, *, as_json: bool) -> None:
    total = sum(info.bytes for info in chosen)
    if as_json:
        _write_json(chosen, spared, None, dry_run=True)
        return
    if not chosen:
        print(_nothing(spared))
        return
    for line in _lines(chosen):
        print(line)
    # Their share: what that frees depends on which others are in there.
    share = f"{size(total)} of the files they are in"
    print(f"Would delete {plural(len(chosen), 'trace')} ({share}).")


def _report(
    chosen: list[TraceInfo],
    spared: int,
    swept: Swept | None,
    *,
    as_json: bool,
) -> None:
    for problem in swept.problems if swept is not None else ():
        print(f"kolo-c: space not freed yet: {problem}", file=sys.stderr)
    if as_json:
        _write_json(chosen, spared, swept, dry_run=False)
    elif swept is None:
        print(_nothing(spared))
    else:
        text = (
            f"Deleted {plural(len(chosen), 'trace')}, freed {size(swept.freed_bytes)}"
        )
        waiting = _count_waiting(chosen, swept)
        if waiting and not swept.problems:
            which = "" if waiting == len(chosen) else f" of {waiting:,} of them"
            text += f"; the space{which} is freed when the program has ended"
        print(f"{text}.")


def _count_waiting(chosen: list[TraceInfo], swept: Swept) -> int:
    return sum(_name(info) in swept.waiting for info in chosen)


def _nothing(spared: int) -> str:
    return f"Nothing to delete ({spared:,} pinned)." if spared else "Nothing to delete."


def _write_json(
    chosen: list[TraceInfo], spared: int, swept: Swept | None, *, dry_run: bool
) -> None:
    report = {
        "dry_run": dry_run,
        "would_delete" if dry_run else "deleted": [info.id for info in chosen],
        "size_bytes": sum(info.bytes for info in chosen),
        "freed_bytes": swept.freed_bytes if swept is not None else 0,
        "waiting": sorted(trace for trace, _ in swept.waiting) if swept else [],
        "spared_pinned": spared,
        "problems": [harmless(text) for text in swept.problems] if swept else [],
    }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")
