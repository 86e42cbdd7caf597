"""``kolo-c show``: a trace as a tree of calls, or all of one call.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError.
"""

from __future__ import annotations

import sys

from kolo_c.cli.choice import Options
from kolo_c.cli.reading import (
    add_store_option,
    natural,
    open_store,
    positive,
    read_address,
    warn_of_errors,
)
from kolo_c.cli.view import FILE_LINES, SCREEN_LINES, View

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kolo_c.cli.kind_view import KindView
    from kolo_c.cli.node import NodePage
    from kolo_c.cli.reading import Address
    from kolo_c.store.reader import Store


class ShowCommand:
    """Show a trace as a tree of calls.

    TRACE is the ending of a trace's id, 3 characters or more; without it the latest is
    shown. TRACE/153 shows call 153 whole: arguments, locals, what came of it, its
    source with the calls it made; TRACE/2.153 is one of the second thread.

    Imports take one line, and so does what repeats: cost(…) ×4,811 more.
    """

    name = "show"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("trace", nargs="?", metavar="TRACE", help="see above")
        chosen = parser.add_argument_group("what is shown")
        chosen.add_argument(
            "--function",
            metavar="NAME",
            help="calls of this function and what is below: a qualname, its last "
            "part, or a pattern such as 'Cart.*'",
        )
        chosen.add_argument(
            "--kind",
            metavar="KIND",
            help="a line for each of what plugins recorded of this kind: sql, http, "
            "template, cache, log and so on; several with commas",
        )
        chosen.add_argument(
            "--thread", metavar="N|NAME", help="this thread only: number or name"
        )
        chosen.add_argument("--task", metavar="NAME", help="what this asyncio task ran")
        chosen.add_argument(
            "--min", type=_duration, metavar="DURATION", dest="min_ns",
            help="what took so long or longer (1ms, 0.5s), and its callers",
        )  # fmt: skip
        chosen.add_argument(
            "--errors",
            action="store_true",
            help="only calls that an exception left, and their callers",
        )
        chosen.add_argument(
            "--around", type=_node, metavar="NODE",
            help="the lines around this node, and its callers",
        )  # fmt: skip
        chosen.add_argument(
            "--tail", type=positive, metavar="N", help="the last N lines"
        )
        chosen.add_argument("--depth", type=positive, metavar="N", help="N levels")
        chosen.add_argument(
            "--max-lines",
            type=natural,
            metavar="N",
            help=f"stop after N lines, 0 for never (default: {SCREEN_LINES} on a "
            f"terminal, else {FILE_LINES:,})",
        )
        form = parser.add_argument_group("how")
        form.add_argument(
            "--imports", action="store_true", help="open the imports of modules"
        )
        form.add_argument("--no-fold", action="store_true", help="a line for each call")
        form.add_argument(
            "--full", action="store_true", help="with TRACE/NODE: whole values"
        )
        form.add_argument(
            "--width", type=positive, metavar="N", help="cut lines after N columns"
        )
        form.add_argument(
            "--color",
            choices=("auto", "always", "never"),
            default="auto",
            help="default: on a terminal, if NO_COLOR is not set",
        )
        form.add_argument(
            "--no-pager",
            action="store_true",
            help="no pager (KOLO_C_PAGER or PAGER, else less) on a terminal",
        )
        form.add_argument("--json", action="store_true", help="print JSON")
        add_store_option(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Show it."""
        options = _options(args)
        address = read_address(args.trace)
        options.check(node=address.node is not None)
        with open_store(db=args.db) as store:
            warn_of_errors(store)
            shown = _shown(store, address, options)
            if args.json:
                shown.write_json(sys.stdout)
                sys.stdout.flush()
                return 0
            from kolo_c.cli.pager import Paged  # noqa: PLC0415 - not for JSON

            with Paged(sys.stdout, wanted=not args.no_pager) as file:
                shown.write(file)
        return 0


COMMAND = ShowCommand()


def _shown(
    store: Store, address: Address, options: Options
) -> View | NodePage | KindView:
    trace = store.trace(address.trace)
    if options.kinds is not None:
        from kolo_c.cli.kind_view import KindView  # noqa: PLC0415 - as below

        return KindView(trace, options.kinds, options)
    if address.node is None:
        return View(trace, options)
    from kolo_c.cli.node import NodePage  # noqa: PLC0415 - a tree does without

    return NodePage(trace, address.thread, address.node, options)


def _options(args: argparse.Namespace) -> Options:
    thread, around = args.thread, None
    if args.around is not None:
        ordinal, around = args.around
        thread = str(ordinal) if ordinal is not None else thread or "1"
    return Options(
        args.depth,
        args.function,
        thread,
        args.max_lines,
        args.width,
        task=args.task,
        min_ns=args.min_ns,
        errors=args.errors,
        around=around,
        tail=args.tail,
        folds=not args.no_fold,
        imports=args.imports,
        full=args.full,
        kinds=None if args.kind is None else _kinds(args.kind),
        colour=args.color,
    )


def _kinds(text: str) -> list[str]:
    from kolo_c.errors import KoloError  # noqa: PLC0415

    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise KoloError(
            "--kind names no kind",
            "Write --kind sql, http, log and so on; several with commas.",
            slug="usage",
        )
    return found


def _duration(text: str) -> int:
    """For argparse: a duration with its unit."""
    import argparse  # noqa: PLC0415 - the command line has it already

    from kolo_c.cli.units import read_duration  # noqa: PLC0415

    found = read_duration(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a duration: write 250us, 1ms, 0.5s or 2min"
        )
    return found


def _node(text: str) -> tuple[int | None, int]:
    """For argparse: 153, 2.153, or a node's whole address: (thread, number)."""
    import argparse  # noqa: PLC0415 - the command line has it already

    thread, dot, number = text.rpartition("/")[2].rpartition(".")
    known = number.isdecimal() and number.isascii() and len(number) < 19
    if not known or (dot and not (thread.isdecimal() and thread.isascii())):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a node: write 153, or 2.153 in the second thread"
        )
    return (int(thread) if dot else None), int(number)
