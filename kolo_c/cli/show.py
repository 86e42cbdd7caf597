"""``kolo-c show``: a trace as a tree of calls.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError.
"""

from __future__ import annotations

import argparse
import sys
from typing import TextIO

from kolo_c.cli.reading import (
    add_store_option,
    natural,
    open_store,
    positive,
    read_address,
    warn_of_errors,
)
from kolo_c.cli.view import FILE_LINES, SCREEN_LINES, Options, View
from kolo_c.store.reader import Store


class ShowCommand:
    """Show a trace as a tree of calls.

    TRACE is the ending of a trace's id, 3 characters or more; without it the latest is
    shown. TRACE/153 shows node 153 and what is below it, TRACE/2.153 one of the second
    thread.
    """

    name = "show"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("trace", nargs="?", metavar="TRACE", help="see above")
        parser.add_argument(
            "--depth", type=positive, metavar="N", help="show N levels of calls"
        )
        parser.add_argument(
            "--function",
            metavar="NAME",
            help="show calls of this function and what is below: a qualname, its last "
            "part, or a pattern such as 'Cart.*'",
        )
        parser.add_argument(
            "--thread", metavar="N|NAME", help="show this thread only: number or name"
        )
        parser.add_argument(
            "--max-lines",
            type=natural,
            metavar="N",
            help=f"stop after N lines, 0 for never (default: {SCREEN_LINES} on a "
            f"terminal, else {FILE_LINES:,})",
        )
        parser.add_argument(
            "--width", type=positive, metavar="N", help="cut lines after N characters"
        )
        add_store_option(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Show it."""
        options = Options(
            args.depth, args.function, args.thread, args.max_lines, args.width
        )
        address = read_address(args.trace)
        with open_store(db=args.db) as store:
            trace = store.trace(address.trace)
            warn_of_errors(store)
            view = View(trace, options)
            if address.node is not None:
                view.start_at(address.thread, address.node)
            if args.json:
                view.write_json(sys.stdout)
            else:
                view.write(sys.stdout)
        return 0


COMMAND = ShowCommand()


def print_tree(
    store: Store,
    trace_id: str | None = None,
    file: TextIO | None = None,
    *,
    options: Options | None = None,
) -> None:
    """Write the tree of a trace to ``file`` (stdout), as ``kolo-c show`` does."""
    View(store.trace(trace_id), options or Options()).write(file or sys.stdout)
