"""``kolo-c grep``: search the texts of everything recorded.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError, with exit code 2.
"""

from __future__ import annotations

import sys
import time

from kolo_c.cli.reading import (
    add_store_option,
    natural,
    open_store,
    positive,
    warn_of_errors,
)
from kolo_c.errors import KoloError, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kolo_c.cli.hits import HitWriter
    from kolo_c.store.reader import Store, Trace
    from kolo_c.store.scan import Query
    from kolo_c.store.trace_info import TraceInfo

MOST_HITS = 200
EXIT_NONE, EXIT_ERROR, EXIT_STOPPED = 1, 2, 130
_PROGRESS_SECONDS = 0.2
_FEW_DAMAGES = 3


class GrepCommand:
    """Search what was recorded for a pattern.

    A hit is a record: a call with its arguments, a return with its value, an exception,
    a note, a line of the log. It is printed as TRACE/NODE FILE:LINE FUNCTION: TEXT, the
    newest trace first; kolo-c show TRACE/NODE has all of it.

    PATTERN is a regular expression of Python's, and is looked for in each text by
    itself: a string anywhere in a value, a number as Python prints it, the name of a
    function, argument, field or type, the path of a file. ^ and $ are the beginning and
    the end of a line of such a text. Without TRACE all traces are searched.

    The exit code is 0 for hits, 1 for none, 2 for an error.
    """

    name = "grep"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("pattern", metavar="PATTERN", help="see above")
        parser.add_argument(
            "traces",
            nargs="*",
            default=[],  # or argparse takes it for required
            metavar="TRACE",
            help="the endings of their ids",
        )
        parser.add_argument(
            "--last", type=positive, metavar="N", help="only the N newest traces"
        )
        parser.add_argument(
            "--kind",
            action="append",
            metavar="KIND",
            help="only records of this kind: call, return, yield, exception, region, "
            "note, log, plugin, or what a plugin calls its own (sql, http and so on); "
            "several with commas, or given again",
        )
        parser.add_argument(
            "--function",
            metavar="NAME",
            help="only in calls of this function: a qualname, its last part, or a "
            "pattern such as 'Cart.*'",
        )
        parser.add_argument(
            "-F",
            "--fixed-strings",
            action="store_true",
            help="PATTERN is a text, and no regular expression",
        )
        parser.add_argument(
            "-i", "--ignore-case", action="store_true", help="capitals do not matter"
        )
        parser.add_argument(
            "-c", "--count", action="store_true", help="print hits per trace only"
        )
        parser.add_argument(
            "-l",
            "--traces-with-hits",
            action="store_true",
            help="print only which traces have a hit",
        )
        parser.add_argument(
            "--max-hits",
            type=natural,
            metavar="N",
            help=f"print N hits and count the rest; 0: all (default: {MOST_HITS})",
        )
        add_store_option(parser)
        parser.add_argument("--json", action="store_true", help="print JSON lines")

    def run(self, args: argparse.Namespace) -> int:
        """Search, and print what is found."""
        try:
            query = _query(args)
            with open_store(db=args.db) as store:
                return _Search(store, query, args).run()
        except KoloError as error:
            error.exit_code = EXIT_ERROR  # type: ignore[attr-defined]
            raise


COMMAND = GrepCommand()


def _query(args: argparse.Namespace) -> Query:
    from kolo_c.store.matching import Matcher  # noqa: PLC0415 - after the store is open
    from kolo_c.store.scan import Query  # noqa: PLC0415

    kinds = [kind for word in args.kind or () for kind in word.split(",") if kind]
    matcher = Matcher(
        args.pattern, fixed=args.fixed_strings, ignore_case=args.ignore_case
    )
    return Query(matcher, kinds, args.function)


class _Search:
    """One run of the command: the traces one by one, and the totals."""

    def __init__(self, store: Store, query: Query, args: argparse.Namespace) -> None:
        self._store = store
        self._query = query
        self._args = args
        self._room = MOST_HITS if args.max_hits is None else args.max_hits or 1 << 40
        if args.count or args.traces_with_hits:
            self._room = 0
        self._began = time.monotonic()
        self._progress = _Progress()
        self.hits = self.shown = self.calls = self.damaged = 0
        self.searched = self.with_hits = self.errors = 0
        self._plugins: set[str] = set()
        """The kinds that plugins have, of the traces that were searched."""

    def run(self) -> int:
        """Search; the exit code."""
        from kolo_c.cli.hits import HitWriter  # noqa: PLC0415 - after the store is open

        traces = list(self._traces())
        warn_of_errors(self._store)
        self.errors += len(self._store.catalogue.errors)
        endings = self._store.catalogue.endings(traces)
        writer = HitWriter(sys.stdout, self._query, endings, json=self._args.json)
        stopped = False
        try:
            for info in traces:
                self._progress.traces = f"{self.searched + 1:,} of {len(traces):,}"
                self._search(info, writer)
        except KeyboardInterrupt:
            stopped = True
        self._progress.clear()
        if not stopped:
            self._check_kinds()
        self._finish(writer, len(traces), stopped=stopped)
        if stopped:
            return EXIT_STOPPED
        if self.hits:
            return 0
        return EXIT_ERROR if self.errors else EXIT_NONE

    def _traces(self) -> Iterator[TraceInfo]:
        """What is to be searched, the newest first, each once."""
        if not self._args.traces:
            yield from self._store.traces(self._args.last)
            return
        found = {}
        for ending in self._args.traces:
            info = self._store.catalogue.find(ending)
            found[info.id] = info
        newest = sorted(found.values(), key=lambda info: -info.row.started_utc_ns)
        yield from newest[: self._args.last]

    def _search(self, info: TraceInfo, writer: HitWriter) -> None:
        from kolo_c.store.trace import Trace  # noqa: PLC0415 - when there is one

        self.searched += 1
        try:
            trace = Trace(info)
            hits = self._scan(trace, writer)
        except StoreError as error:
            self._progress.clear()
            print(f"kolo-c: {error.message}", file=sys.stderr)
            self.searched -= 1
            self.errors += 1
            return
        if hits and self._args.traces_with_hits:
            writer.trace(info, None)
        elif hits and self._args.count:
            writer.trace(info, hits)
        self._say_damage(trace)

    def _check_kinds(self) -> None:
        """What no trace has is a slip, or needs a plugin that was not there."""
        from kolo_c.store.scan import KINDS  # noqa: PLC0415

        for kind in sorted(self._query.plugins - self._plugins):
            raise KoloError(
                f"--kind {kind}: nothing of this kind was recorded",
                f"The kinds are {', '.join([*KINDS, *sorted(self._plugins)])}.",
                slug="usage",
            )

    def _scan(self, trace: Trace, writer: HitWriter) -> int:
        """Search one trace; its hits."""
        from kolo_c.store.definitions import PluginKind  # noqa: PLC0415
        from kolo_c.store.scan import new_scanner, scan_trace  # noqa: PLC0415

        if self._query.plugins:
            rows = trace.definitions.all(PluginKind)
            self._plugins |= {kind.name for _, kind in rows}
        hits = 0
        # One for all, so that what was met in one trace is known in the next.
        self._scanner = getattr(self, "_scanner", None) or new_scanner(self._query)
        room = self._room - self.shown
        for found in scan_trace(trace, self._query, self._scanner, max(room, 0)):
            self.calls += found.calls
            self.damaged += found.damaged
            self.with_hits += bool(found.total and not hits)
            hits += found.total
            self.hits += found.total
            for hit in found.hits:
                self._progress.clear()
                writer.hit(hit)
                self.shown += 1
            self._progress.step(self.calls, self.hits)
            if hits and self._args.traces_with_hits:
                break
        return hits

    def _say_damage(self, trace: Trace) -> None:
        for message in trace.damage[:_FEW_DAMAGES]:
            self._progress.clear()
            print(f"kolo-c: {trace.id}: {message}", file=sys.stderr)

    def _finish(self, writer: HitWriter, traces: int, *, stopped: bool) -> None:
        """The totals, on stderr, and for programs as the last line."""
        from kolo_c.cli.units import plural  # noqa: PLC0415

        seconds = time.monotonic() - self._began
        if self._args.json:
            writer.totals(
                {
                    "hits": self.hits, "shown": self.shown, "traces": self.searched,
                    "traces_with_hits": self.with_hits, "calls": self.calls,
                    "seconds": round(seconds, 3), "damaged_blocks": self.damaged,
                    "stopped": stopped,
                }
            )  # fmt: skip
        sys.stdout.flush()
        said = f"{plural(self.hits, 'hit')} in {self.with_hits:,} of "
        said += f"{plural(self.searched, 'trace')}, "
        said += f"{plural(self.calls, 'call')} searched in {seconds:.2f} s"
        if self._args.traces_with_hits:
            said = f"{self.with_hits:,} of {plural(self.searched, 'trace')} with hits, "
            said += f"{plural(self.calls, 'call')} searched in {seconds:.2f} s"
        elif self._room and self.shown < self.hits:
            said += f"; the first {self.shown:,} are shown (--max-hits 0: all)"
        if self.damaged:
            said += f"; {plural(self.damaged, 'block')} damaged"
        if stopped:
            said += f"; stopped in trace {self.searched:,} of {traces:,}"
        print(f"kolo-c: {said}", file=sys.stderr)


class _Progress:
    """A line on the terminal while a search takes long; nothing elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._last = time.monotonic()
        self._shown = False
        self.traces = ""

    def step(self, calls: int, hits: int) -> None:
        """Some more has been searched."""
        now = time.monotonic()
        if not self._terminal or now - self._last < _PROGRESS_SECONDS:
            return
        from kolo_c.cli.screen import terminal_size  # noqa: PLC0415 - it takes long

        self._last = now
        self._shown = True
        text = f"trace {self.traces}: {calls:,} calls, {hits:,} hits"
        columns, _ = terminal_size(sys.stderr)
        sys.stderr.write(f"\r\x1b[K{text[: columns - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Make room for a line."""
        if self._shown:
            self._shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
