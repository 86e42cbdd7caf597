"""``kolo-c list``: the traces that are stored, the last one first.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError.
"""

from __future__ import annotations

import os
import sys
import time

from kolo_c.cli.reading import add_store_option, natural, open_store, warn_of_errors
from kolo_c.errors import KoloError, harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import TextIO

    from kolo_c.store.catalogue import Wanted
    from kolo_c.store.marks import Name
    from kolo_c.store.reader import Store
    from kolo_c.store.trace_info import TraceInfo

_SCREENFUL = 20
_KINDS = ("request", "test", "task", "command", "region", "process")
# What a list takes at most for files that nobody has read yet and that it does not
# need: the catalogue has them the next time.
_PATIENCE_SECONDS = 0.03


class ListCommand:
    """List the traces that are stored, the last one first.

    The marked end of an id is enough to name the trace in other commands. On a terminal
    the newest 20 are listed, elsewhere all; -n 0 lists all. The size is a trace's share
    of its program's files, which have names and sources too; the line that closes a run
    says what its records are before they are compressed.

    --where finds traces by what kolo_c.current().set(KEY=VALUE) said of them; given
    more than once, all must hold. A KEY alone finds those that have it, whatever its
    value. --name takes a part of the name, or a pattern such as 'GET /cart*'.
    """

    name = "list"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "-n", "--count", type=natural, metavar="N", help="the newest N, 0 for all"
        )
        parser.add_argument(
            "--where",
            action="append",
            metavar="KEY=VALUE",
            help="traces with this attribute",
        )
        parser.add_argument("--name", metavar="PATTERN", help="traces called so")
        parser.add_argument(
            "--kind", metavar="KIND", help="request, test, task, command or process"
        )
        parser.add_argument(
            "--failed",
            action="store_true",
            help="traces that an exception ended, or that were interrupted; requests "
            "with a status from 500, tests that failed",
        )
        parser.add_argument(
            "--since",
            metavar="AGE|DATE",
            help="traces that began since: 90min, 12h, 7d, 2026-11-21",
        )
        add_store_option(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """List them."""
        wanted = _wanted(args)
        since_utc_ns = _since(args.since)
        filtered = wanted is not None or since_utc_ns > 0
        count = args.count
        if count is None and not args.json:
            from kolo_c.cli import screen  # noqa: PLC0415 - --json does without

            count = _SCREENFUL if screen.is_terminal(sys.stdout) else None
        with open_store(db=args.db) as store:
            traces = store.catalogue.latest(
                count or None,
                wanted=wanted,
                since_utc_ns=since_utc_ns,
                patience_seconds=0.0 if filtered else _PATIENCE_SECONDS,
            )
            warn_of_errors(store)
            if args.kind and not traces:
                _check_kind(store, args.kind)
            endings = store.catalogue.endings(traces)
            pins = _pins(store)
            if args.json:
                _write_json(sys.stdout, traces, endings, pins)
            elif traces:
                _write_table(store, traces, endings, pins, filtered=filtered)
            else:
                print(_nothing(store, filtered=filtered))
        return 0


COMMAND = ListCommand()


def _wanted(args: argparse.Namespace) -> Wanted | None:
    """What a trace has to be; None where any will do."""
    tests: list[Wanted] = []
    if args.name:
        tests.append(_named(args.name))
    if args.kind:
        kind = args.kind
        tests.append(lambda trace: trace.row.kind == kind)
    if args.failed:
        from kolo_c.store.trace_info import has_failed  # noqa: PLC0415 - asked for

        tests.append(has_failed)
    tests.extend(_with_attribute(text) for text in args.where or ())
    if not tests:
        return None
    return lambda trace: all(test(trace) for test in tests)


def _check_kind(store: Store, kind: str) -> None:
    """What no trace has is a slip, or of a plugin that was not there."""
    if kind in _KINDS or any(trace.row.kind == kind for trace in store.traces()):
        return
    raise KoloError(
        f"--kind {harmless(kind)}: no trace is of this kind",
        f"The kinds are {', '.join(_KINDS)}, and those of plugins that begin traces.",
        slug="usage",
    )


def _named(pattern: str) -> Wanted:
    from fnmatch import fnmatchcase  # noqa: PLC0415 - asked for

    if not any(char in pattern for char in "*?["):
        pattern = f"*{pattern}*"
    return lambda trace: fnmatchcase(trace.row.name, pattern)


def _with_attribute(text: str) -> Wanted:
    key, equals, value = text.partition("=")
    if not key:
        raise KoloError(
            f"'{text}' names no attribute",
            "Write --where KEY=VALUE, or --where KEY for any value.",
            slug="usage",
        )

    def has_it(trace: TraceInfo) -> bool:
        # Most traces have none: their JSON is not read for it.
        if trace.row.attributes == "{}" or key not in trace.attributes:
            return False
        return not equals or _is_written(trace.attributes[key], value)

    return has_it


def _is_written(found: object, text: str) -> bool:
    """Whether ``text`` is how one writes ``found``, in Python or in JSON."""
    if isinstance(found, str):
        return found == text
    import json  # noqa: PLC0415 - imported by now: it read the attribute

    return text in (str(found), json.dumps(found))


def _since(text: str | None) -> int:
    if text is None:
        return 0
    from kolo_c.cli.delete import read_moment  # noqa: PLC0415 - asked for

    return read_moment(text, time.time_ns())


def _pins(store: Store) -> set[Name]:
    from kolo_c.store.pins import read_pins  # noqa: PLC0415

    return read_pins(store.catalogue.store)


def _write_json(
    file: TextIO, traces: list[TraceInfo], endings: dict[str, int], pins: set[Name]
) -> None:
    import json  # noqa: PLC0415 - a table does without

    from kolo_c.cli.trace_row import trace_json  # noqa: PLC0415

    rows = [
        {
            **trace_json(trace),
            "pinned": (trace.id, trace.files.id) in pins,
            "short_id": trace.id[-endings[trace.id] :],
        }
        for trace in traces
    ]
    json.dump(rows, file, indent=2)
    file.write("\n")


def _write_table(
    store: Store,
    traces: list[TraceInfo],
    endings: dict[str, int],
    pins: set[Name],
    *,
    filtered: bool,
) -> None:
    from kolo_c.cli.screen import Screen  # noqa: PLC0415 - --json does without
    from kolo_c.cli.trace_table import write_table  # noqa: PLC0415

    screen = Screen(sys.stdout)
    write_table(screen, traces, endings, pins)
    if not screen.terminal or len(traces) < _SCREENFUL:
        return
    unread = not store.catalogue.complete
    total = store.catalogue.count()
    if unread or filtered:
        screen.text(f"the newest {len(traces):,}; -n 0 lists all", "dim")
    elif total > len(traces):
        screen.text(f"{len(traces):,} of {total:,} traces; -n 0 lists all", "dim")


def _nothing(store: Store, *, filtered: bool) -> str:
    where = harmless(os.fspath(store.catalogue.store))
    # Files that are too old for --since were not read.
    if filtered and (store.catalogue.count() or not store.catalogue.complete):
        return f"No such trace in {where}.\nkolo-c list -n 0 lists all there are."
    return f"No traces in {where}.\nRecord one: kolo-c run script.py"
