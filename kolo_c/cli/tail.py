"""``kolo-c tail``: a line for each request, test, task or command that ends.

Threads: the main one. Owns: the mappings it watches, while it runs. Fails: KoloError.
"""

from __future__ import annotations

import sys
import time

from kolo_c.cli.screen import Screen
from kolo_c.errors import StoreError, StoreNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kolo_c.store.following import Following

_PAUSE_SECONDS = 0.02


class TailCommand:
    """Print a line for each request, test, task or command as it ends.

    With how long it took, how many SQL statements it sent, the line that sends the same
    one again and again (N+1), and the name that kolo-c show takes. Of every process
    that records here, also of those that start later. Ctrl-C ends it.
    """

    name = "tail"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--errors",
            action="store_true",
            help="only those that failed: an exception, a status from 500, a test",
        )
        parser.add_argument(
            "-n",
            "--count",
            type=_positive,
            metavar="N",
            help="end after N lines",
        )
        parser.add_argument("--json", action="store_true", help="print JSON lines")

    def run(self, args: argparse.Namespace) -> int:
        """Print them until Ctrl-C."""
        try:
            following = _following()
            try:
                _follow(following, args.errors, args.count, args.json)
            finally:
                following.close()
        except KeyboardInterrupt:
            return 0
        return 0


COMMAND = TailCommand()


def _following() -> Following:
    """Begin to watch the project's store, once there is one."""
    # What is needed later, too: the first trace to end is told of as soon as others.
    import json  # noqa: F401, PLC0415
    import os  # noqa: PLC0415 - with the rest

    from kolo_c.cli import trace_line  # noqa: F401, PLC0415
    from kolo_c.model import statement  # noqa: F401, PLC0415
    from kolo_c.store import lines, trace  # noqa: F401, PLC0415
    from kolo_c.store.following import Following  # noqa: PLC0415
    from kolo_c.store.locate import locate_store  # noqa: PLC0415
    from kolo_c.store.path_map import load_path_map  # noqa: PLC0415

    said = False
    while True:
        try:
            path = os.fspath(locate_store(None))
        except StoreNotFound:
            if not said:
                print("kolo-c: nothing was recorded yet; waiting", file=sys.stderr)
                said = True
            time.sleep(_PAUSE_SECONDS)
            continue
        return Following(path, load_path_map(os.path.dirname(path)), from_begin=said)


def _follow(following: Following, errors: bool, most: int | None, json: bool) -> None:
    from kolo_c.cli.trace_line import Finished  # noqa: PLC0415 - it reads blocks
    from kolo_c.store.trace import Trace  # noqa: PLC0415

    screen = Screen(sys.stdout)
    written = 0
    while True:
        began = time.thread_time()
        ended = following.poll()
        spent = time.thread_time() - began
        for info in ended:
            try:
                finished = Finished(Trace(info))
            except StoreError:
                continue  # it was deleted since
            if errors and not finished.failed:
                continue
            if json:
                _write_json(finished.as_json())
            else:
                screen.line(finished.line())
            sys.stdout.flush()
            written += 1
            if written == most:
                return
        following.rest()
        # To look at very many processes takes a while: never more than half of it. What
        # other programs took of the processor meanwhile is no reason to be later still.
        time.sleep(max(_PAUSE_SECONDS, spent))


def _write_json(found: dict[str, object]) -> None:
    import json  # noqa: PLC0415 - for programs

    sys.stdout.write(json.dumps(found) + "\n")


def _positive(text: str) -> int:
    from kolo_c.cli.reading import positive  # noqa: PLC0415 - opens stores

    return positive(text)
