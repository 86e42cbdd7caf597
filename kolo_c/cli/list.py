"""``kolo-c list``: the traces that are stored, the last one first.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, TextIO

from kolo_c.cli.header import STATUS_STYLES, status_text, trace_json
from kolo_c.cli.reading import (
    add_store_option,
    open_store,
    positive,
    warn_of_errors,
)
from kolo_c.cli.screen import Screen, console
from kolo_c.cli.units import age, duration, size
from kolo_c.errors import harmless
from kolo_c.store.catalogue import shortest_endings
from kolo_c.store.process import TraceInfo
from kolo_c.store.reader import Store
from kolo_c.store.text import shorten

_NAME_WIDTH = 48
_WIDEST = 200


class ListCommand:
    """List the traces that are stored, the last one first.

    The marked end of an id is enough to name the trace in other commands.
    """

    name = "list"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "-n", "--count", type=positive, metavar="N", help="the last N only"
        )
        add_store_option(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """List them."""
        with open_store(db=args.db) as store:
            everything = store.traces()  # the shortest endings depend on all of them
            warn_of_errors(store)
            traces = everything[: args.count] if args.count else everything
            endings = shortest_endings([trace.id for trace in everything])
            if args.json:
                _write_json(sys.stdout, traces, endings)
            elif traces:
                _write_table(sys.stdout, traces, endings)
            else:
                print(_nothing(store))
        return 0


COMMAND = ListCommand()


def _write_json(file: TextIO, traces: list[TraceInfo], endings: dict[str, int]) -> None:
    rows = [
        {**trace_json(trace), "short_id": trace.id[-endings[trace.id] :]}
        for trace in traces
    ]
    json.dump(rows, file, indent=2)
    file.write("\n")


def _write_table(
    file: TextIO, traces: list[TraceInfo], endings: dict[str, int]
) -> None:
    from rich import box  # noqa: PLC0415 - --json does without
    from rich.table import Table  # noqa: PLC0415

    screen = Screen(file)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.box = box.SIMPLE_HEAD if screen.terminal and not screen.plain else None
    for name in ("age", "name"):
        table.add_column(name, no_wrap=True)
    for name in ("duration", "calls", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("id", no_wrap=True, min_width=30)
    if not screen.coloured:  # what a colour would mark stands by itself
        table.add_column("short", no_wrap=True)
    now_ns = time.time_ns()
    for trace in traces:
        table.add_row(*_row(trace, endings[trace.id], now_ns, screen))
    width = screen.width if screen.width is not None else _WIDEST
    target = console(file, max(width, 80) if screen.terminal else width)
    target.print(table)


def _row(trace: TraceInfo, ending: int, now_ns: int, screen: Screen) -> list[Any]:
    from rich.text import Text  # noqa: PLC0415

    name = shorten(harmless(trace.row.name) or trace.row.kind, _NAME_WIDTH)
    identifier = harmless(trace.id)
    marked = Text(identifier[:-ending], style="dim")
    marked.append(identifier[-ending:], style="bold cyan")
    status = STATUS_STYLES.get(trace.status, "green")
    return [
        age(trace.row.started_utc_ns, now_ns),
        Text(screen.encodable(name)),
        Text(screen.encodable(duration(trace.duration_ns)), style="green"),
        f"{trace.calls:,}",
        size(trace.bytes),
        Text(screen.encodable(status_text(trace)), style=status),
        marked,
        *([] if screen.coloured else [identifier[-ending:]]),
    ]


def _nothing(store: Store) -> str:
    return (
        f"No traces in {harmless(str(store.path))}.\nRecord one: kolo-c run script.py"
    )
