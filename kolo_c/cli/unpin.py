"""``kolo-c unpin``: the opposite of ``kolo-c pin``.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError, before anything is
unpinned.
"""

from __future__ import annotations

import argparse

from kolo_c.cli.pin import add_traces, change, remove_pin


class UnpinCommand:
    """Take the pins off traces.

    Their age, their size and kolo-c delete may take them again.
    """

    name = "unpin"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        add_traces(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Unpin them."""
        return change(args, "unpinned", remove_pin)


COMMAND = UnpinCommand()
