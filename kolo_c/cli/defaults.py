"""What a command's arguments are where none are given, found without argparse.

Parsing is argparse's. It costs 11 ms a command with what it imports, as long as python
takes to start, and most of the time, above all for ``kolo-c run script.py``, there is
nothing to parse.

Threads: any. Owns: nothing. Fails: never; ``defaults_of`` returns None where an
argument is required, for argparse to say so.
"""

from __future__ import annotations

from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Defaults:
    """Takes the place of ``argparse.ArgumentParser`` in ``Command.configure``."""

    usage: str | None = None
    epilog: str | None = None

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.complete = True

    def add_argument(
        self,
        *flags: str,
        dest: str = "",
        action: str = "store",
        nargs: str | None = None,
        default: Any = None,
        required: bool = False,
        **_others: Any,
    ) -> None:
        """As argparse's."""
        long = next((flag for flag in flags if flag.startswith("--")), flags[0])
        if action in ("store_true", "store_false"):
            default = action == "store_false"
        if nargs == "*" and not long.startswith("-"):
            default = [] if default is None else default
        self.found[dest or long.lstrip("-").replace("-", "_")] = default
        positional = not flags[0].startswith("-")
        if required or (positional and nargs not in ("?", "*")):
            self.complete = False

    def add_argument_group(self, *_words: str) -> _Defaults:
        """Groups matter in the help alone."""
        return self

    def add_mutually_exclusive_group(self, *, required: bool = False) -> _Defaults:
        """Nothing is given, so that nothing excludes anything."""
        self.complete = self.complete and not required
        return self


def defaults_of(configure: Callable[[Any], None]) -> SimpleNamespace | None:
    """What ``parse_args([])`` returns; None where it would complain."""
    parser = _Defaults()
    configure(parser)
    return SimpleNamespace(**parser.found) if parser.complete else None
