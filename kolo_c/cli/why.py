"""``kolo-c why``: how a program ended, or where it stands, and what led there.

Threads: the main one. Owns: the store while it runs. Fails: KoloError.
"""

from __future__ import annotations

import gc
import json
import sys

from kolo_c.cli.reading import add_store_option, open_store, warn_of_errors
from kolo_c.cli.screen import Screen
from kolo_c.cli.story import StoryText, address, source_of
from kolo_c.cli.story_json import story_json
from kolo_c.cli.units import offered, short_id
from kolo_c.errors import harmless
from kolo_c.model.story import ENDED, MOST_BLOCKS, tell
from kolo_c.store.trace_info import RUNNING, has_failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kolo_c.model.story import Story
    from kolo_c.store.reader import Store, Trace

_ALL_BLOCKS = 1 << 40
_NARROW = 60


class Why:
    """Tell how a program failed, or where it stands.

    For a program that raised: the exception and those that it came from, each call on
    its way with arguments and locals, the last calls before it, and exceptions that
    were handled on the way. For one that was killed: the calls that were open, of each
    thread and task. For Ctrl-C: where each thread and task stood. For one that runs or
    hangs now: the same as of this moment, and for how long nothing has happened.

    Without TRACE it is the latest, if that runs or has failed, else the latest that has
    failed, where there is one.
    """

    name = "why"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "trace", metavar="TRACE", nargs="?", help="the ending of a trace's id"
        )
        parser.add_argument(
            "--all", action="store_true", help="read the whole trace, not its end alone"
        )
        parser.add_argument("--json", action="store_true", help="for programs")
        add_store_option(parser)

    def run(self, args: argparse.Namespace) -> int:
        gc.disable()  # many objects that all stay: half of the time
        with open_store(db=args.db) as store:
            trace = store.trace(args.trace or _to_explain(store))
            story = tell(trace, _ALL_BLOCKS if args.all else MOST_BLOCKS)
            if args.json:
                json.dump(story_json(story), sys.stdout)
                sys.stdout.write("\n")
            else:
                _write(story, _parent_name(store, trace), Screen(sys.stdout))
            warn_of_errors(store)
        return 0


def _to_explain(store: Store) -> str | None:
    """The trace that somebody means who names none; None: the latest."""
    latest = True
    for info in store.traces():
        if has_failed(info) or (latest and info.status == RUNNING):
            return info.id
        latest = False
    return None


def _write(story: Story, parent: str, screen: Screen) -> None:
    narrow = screen.width is not None and screen.width < _NARROW
    text = StoryText(
        story, frames=40, calls=5, swallowed=10, value_width=24 if narrow else 60
    )
    for line in text.lines():
        screen.line(line)
    if parent:
        screen.text(f"  it was started by {parent}", "dim")
    short = short_id(story.trace.id)
    source = source_of(story)
    if source is not None and source.number:
        place = address(story.trace.id, source)
        screen.text(f"  {offered('show', story.trace)} {place} has all of it", "dim")
    elif story.how == ENDED or story.stacks:
        screen.text(f"  {offered('show', story.trace)} {short} has all calls", "dim")


def _parent_name(store: Store, trace: Trace) -> str:
    """The name of the trace whose program started this one's."""
    from kolo_c.errors import KoloError  # noqa: PLC0415

    parent = trace.info.row.parent
    if not parent:
        return ""
    try:
        found = store.catalogue.find(parent)
    except KoloError:
        return f"{harmless(parent)}, which is not here any more"
    return f"{harmless(found.row.name)} ({harmless(parent)})"


COMMAND = Why()
