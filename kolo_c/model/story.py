"""How a trace ended, and what led there: from the last blocks of its streams.

    story = tell(trace)
    story.how       # RAISED, EXITED, STOPPED, KILLED, RUNNING, ENDED, FAILED
    story.paths     # exceptions on their way, the one that ended the program first
    story.stacks    # calls that were open, or are

Threads: one at a time. Owns: the nodes. Fails: StoreError from the reader.
"""

from __future__ import annotations

from itertools import islice

from kolo_c.model.boundary import boundary_of
from kolo_c.model.exceptions import flight, is_source, own_caught, read_failure
from kolo_c.model.failed import find_failed
from kolo_c.model.route import Traceback, is_raised_at, route
from kolo_c.model.stacks import Stack, open_stacks, stopped_tasks
from kolo_c.model.tail import (
    FIRST_BLOCKS,
    Tail,
    find_failure,
    read_tail,
    same_exception,
)
from kolo_c.store import trace_info
from kolo_c.store.values import Raised
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.model.boundary import Boundary
    from kolo_c.model.node import Node
    from kolo_c.store.reader import Stream, Trace

RAISED, EXITED, STOPPED = "raised", "exited", "stopped"
KILLED, RUNNING, ENDED = "killed", "running", "ended"
FAILED = "failed"
"""A request, a test or a part of a program that failed: nothing says that an exception
ended it."""

MOST_BLOCKS = 48
"""Of each stream, unless told otherwise."""
_MOST_STREAMS = 64
_BEFORE = 5
_SWALLOWED = 10
# They end loops and close generators: nothing went wrong.
_ORDINARY = frozenset({"StopIteration", "StopAsyncIteration", "GeneratorExit"})
_CO_LOCALS = 0x2  # CO_NEWLOCALS: a function's
_STOPS = frozenset({"KeyboardInterrupt", "asyncio.exceptions.CancelledError"})


class Path:
    """The way of one exception through recorded calls."""

    __slots__ = ("frames", "link", "relation", "thread")

    def __init__(
        self,
        frames: list[Node],
        link: dict[str, Any],
        relation: str = "",
        thread: str = "",
    ) -> None:
        self.frames = frames
        """The outermost first, as in a traceback."""
        self.link = link
        """What the program said of it (failure.py); empty where it said nothing."""
        self.relation = relation
        """What it is to the exception before it: cause, context, member; empty: it is
        the first, or has nothing to do with it."""
        self.thread = thread
        """The thread that it ended; empty: not one of its own."""

    @property
    def exception(self) -> Any:
        """The exception as it was recorded; None where its type is not known."""
        seen = (node.exception() for node in reversed(self.frames))
        return next((value for value in seen if value is not None), None)


class Story:
    """How a trace ended."""

    def __init__(self, trace: Trace, how: str, failure: dict[str, Any]) -> None:
        self.trace = trace
        self.how = how
        self.failure = failure
        self.boundary: Boundary | None = None
        """The request, test or task that the trace is about."""
        self.paths: list[Path] = []
        self.before: list[Node] = []
        """The last calls that ended before it, in order."""
        self.swallowed: list[Node] = []
        """Where exceptions came from that were handled on the way, in order: calls
        that they left, and calls that handled them without having called any."""
        self.stacks: list[Stack] = []
        self.complete = True
        """Whether the call that the exception came from was found, if it is kept; or
        all tasks that waited."""
        self.whole = True
        """Whether the streams were read from their beginning."""

    @property
    def exit_code(self) -> int | None:
        """What the program asked to end with; None where it did not ask."""
        code = self.failure.get("exit_code")
        return code if isinstance(code, int) else None

    def is_kept(self, link: dict[str, Any]) -> bool:
        """Whether the code that raised was the project's own, from what it looks."""
        config = self.trace.process.info.get("config")
        root = config.get("root") if isinstance(config, dict) else None
        path = link.get("file")
        if not isinstance(root, str) or not isinstance(path, str):
            return False
        return path.startswith(root.rstrip("/") + "/") and "site-packages" not in path

    @property
    def last_ns(self) -> int:
        """When something was recorded last."""
        times = [s.blocks[-1].last_ns for s in self.trace.streams if s.blocks]
        return max(times, default=self.trace.info.row.started_ns)


def tell(trace: Trace, most: int = MOST_BLOCKS) -> Story:
    """Read the ends of the trace's streams, ``most`` blocks of each at most."""
    failure = read_failure(trace)
    story = Story(trace, _how(trace, failure), failure)
    if story.how in (KILLED, RUNNING):
        share = max(most // max(len(trace.streams), 1), FIRST_BLOCKS)
        for stream in trace.streams[:_MOST_STREAMS]:
            tail = read_tail(stream, share, _has_no_tasks)
            story.whole = story.whole and tail.whole
            story.complete = story.complete and (tail.whole or _has_no_tasks(tail))
            story.stacks.extend(open_stacks(tail))
        return story
    story.boundary = boundary_of(trace)
    failed = story.boundary is not None and story.boundary.failed
    if failed and not failure["chain"]:
        story.how = FAILED
        _follow_failed(story, most)
    else:
        _follow_exceptions(story, most)
        if failure["chain"] and not story.paths:
            _follow_taken_up(story, most)
            story.how = FAILED if failed and story.how == RAISED else story.how
        if story.how == ENDED and not story.paths and trace_info.has_failed(trace.info):
            story.how = FAILED  # with what its own code raised, or nobody knows
    if story.how == STOPPED:
        _add_where_others_stood(story, most)
    if not any(path.frames for path in story.paths):
        _add_swallowed_of_all(story, most)
    return story


def _has_no_tasks(tail: Tail) -> bool:
    """Whether no task ran: none waits that began farther back, as far as one sees."""
    return not any(node.task for node in tail.nodes())


def _how(trace: Trace, failure: dict[str, Any]) -> str:
    if trace.info.status == trace_info.RUNNING:
        return RUNNING
    if trace.info.status == trace_info.INTERRUPTED:
        return KILLED
    if isinstance(failure.get("exit_code"), int):
        return EXITED
    if not failure["chain"]:
        return ENDED
    stopped = failure["chain"][0].get("type") == "KeyboardInterrupt"
    return STOPPED if stopped else RAISED


def _follow_exceptions(story: Story, most: int) -> None:
    """The exception that ended the program with those that led to it; or else those
    that ended threads."""
    chain = story.failure["chain"]
    traceback = Traceback(story.trace, chain[0]) if chain else None

    def wanted(node: Node) -> bool:
        if traceback is not None:
            return traceback.may_have(node)
        return _is_news(story.trace, node)

    def enough(node: Node) -> bool:
        # With a `finally` that calls much, what raised is far before the end.
        link = chain[0] if chain else {}
        source = flight(node).raised_in
        return not story.is_kept(link) or is_raised_at(story.trace, source, link)

    for stream in _main_first(story.trace)[:_MOST_STREAMS]:
        found = find_failure(stream, wanted, most, enough)
        if found is None:
            continue
        tail, node = found
        story.whole = story.whole and tail.whole
        if chain:
            link = chain[0]
            is_kept = story.is_kept(link)
            frames = route(story.trace, tail, node, link, is_kept=is_kept)
            story.paths.append(Path(frames, link))
            story.complete = tail.whole or enough(story.paths[0].frames[-1])
            _add_chain(story, tail)
            _add_surroundings(story, tail)
            return
        thread = "" if story.trace.info.row.kind != "process" else stream.name
        frames = list(reversed(flight(node).through))
        story.paths.append(Path(frames, {}, thread=thread))
        _add_surroundings(story, tail)
    if not chain and story.paths and story.how == ENDED and not story.paths[0].thread:
        story.how = RAISED


def _follow_taken_up(story: Story, most: int) -> None:
    """The exception that the program has named where it left no outermost call: a
    framework took it up, or it came from code that is not recorded."""
    link = story.failure["chain"][0]
    traceback = Traceback(story.trace, link)

    def wanted(node: Node) -> bool:
        if node.exception() is None:
            return bool(link.get("traceback")) and traceback.may_have(node)
        return _is_of(story.trace, node, link) and traceback.has_passed(node)

    found = find_failed(story.trace, wanted, most)
    if found is not None:
        tail, node = found
        story.whole = tail.whole
        through = reversed(flight(node).through)
        frames = [n for n in through if n.kept and traceback.may_have(n)]
        story.paths.append(Path(frames, link))
        _add_chain(story, tail)
        _add_surroundings(story, tail)
        return
    story.paths.append(Path([], link))
    if len(story.failure["chain"]) > 1:
        stream = next(iter(_main_first(story.trace)), None)
        if stream is not None:
            _add_chain(story, read_tail(stream, FIRST_BLOCKS, lambda _: False))


def _follow_failed(story: Story, most: int) -> None:
    """The exception that a request or test failed with, as far as one can tell."""

    def wanted(node: Node) -> bool:
        return _is_news(story.trace, node)

    found = find_failed(story.trace, wanted, most)
    if found is None:
        return
    tail, node = found
    story.whole = tail.whole
    frames = [call for call in reversed(flight(node).through) if call.kept]
    story.paths.append(Path(frames, {}))
    _add_surroundings(story, tail)


def exception_of_failed(trace: Trace, most: int = FIRST_BLOCKS) -> Any:
    """The exception that a request or test failed with; None where it is not seen in
    the last blocks."""
    found = find_failed(trace, lambda node: _is_news(trace, node), most)
    return None if found is None else flight(found[1]).exception


def _main_first(trace: Trace) -> list[Stream]:
    return sorted(trace.streams, key=lambda stream: stream.name != "MainThread")


def _is_news(trace: Trace, node: Node) -> bool:
    return _type_of(trace, node) not in (*_ORDINARY, *_STOPS, "SystemExit")


def _type_of(trace: Trace, node: Node) -> str:
    found = node.exception()
    if not isinstance(found, Raised):
        return ""
    return trace.definitions.type_name(found.type).full


def _add_chain(story: Story, tail: Tail) -> None:
    """The exceptions that the first one came from, as far as they are in the tail."""
    links = story.failure["chain"][1:]
    if not links:
        return
    known = {id(node) for node in story.paths[0].frames}
    sources = [n for n in tail.calls() if is_source(n) and id(n) not in known]
    for link in links:
        node = next(
            (node for node in reversed(sources) if _is_of(story.trace, node, link)),
            None,
        ) or _only_one_at(story.trace, sources, links, link)
        frames: list[Node] = []
        if node is not None:
            sources.remove(node)
            calls = reversed(flight(node).through)
            frames = [call for call in calls if id(call) not in known]
        story.paths.append(Path(frames, link, str(link.get("relation", ""))))


def _is_of(trace: Trace, node: Node, link: dict[str, Any]) -> bool:
    return (
        node.exception() is not None
        and same_exception(node, None, link["address"])
        and _type_of(trace, node).endswith(str(link.get("type")))
    )


def _only_one_at(
    trace: Trace, sources: list[Node], links: list[dict[str, Any]], link: dict[str, Any]
) -> Node | None:
    """The call that ``link`` came from where types are not known: from its place, if
    as many exceptions came from there as are to be found."""
    unknown = [
        node
        for node in sources
        if node.exception() is None and is_raised_at(trace, node, link)
    ]
    place = (link.get("file"), link.get("line"))
    left = links[links.index(link) :]
    alike = [one for one in left if (one.get("file"), one.get("line")) == place]
    return unknown[0] if unknown and len(unknown) == len(alike) else None


def _add_surroundings(story: Story, tail: Tail) -> None:
    """What was called before the exception, and what was handled on the way."""
    frames = [node for path in story.paths for node in path.frames]
    known = {id(node) for node in frames}
    source = story.paths[0].frames[-1]
    until = source.end_ns or 0
    ended = [
        node
        for node in tail.calls()
        if (node.end_ns or 0) <= until and id(node) not in known
    ]
    if story.how == STOPPED:  # what it cancelled stands with the tasks
        ended = [node for node in ended if not _is_stopped(story.trace, node)]
    below = {id(child) for node in frames for child in node.children}
    before = [node for node in ended if id(node) in below]
    before += _seen_by_plugins(frames, until, known)
    before.sort(key=lambda node: (node.end_ns or 0, -node.level), reverse=True)
    calls = (node for node in before if not _is_body(story.trace, node))
    story.before = list(islice(calls, _BEFORE))[::-1]
    swallowed = _swallowed(story.trace, ended, known)
    swallowed += [node for node in frames if _caught_news(story.trace, node)]
    story.swallowed = swallowed[-_SWALLOWED:]


def _seen_by_plugins(frames: list[Node], until: int, known: set[int]) -> list[Node]:
    """Requests, statements and the like that the calls among ``frames`` made."""
    return [
        child
        for node in frames
        if node.end_kind == Kind.RAISE
        for child in node.children
        if (child.plugin is not None or child.end_kind == Kind.PLUGIN_END)
        and child.end_ns is not None
        and child.end_ns <= until
        and id(child) not in known
    ]


def _is_stopped(trace: Trace, node: Node) -> bool:
    return node.left_by_exception and _type_of(trace, node) in ("", *_STOPS)


def _is_body(trace: Trace, node: Node) -> bool:
    """Whether it is the body of a class, which says little."""
    code = None if node.code is None else trace.definitions.code(node.code)
    return code is not None and code.name != "<module>" and not code.flags & _CO_LOCALS


def _swallowed(trace: Trace, calls: list[Node], known: set[int]) -> list[Node]:
    found = [
        node
        for node in calls
        if _caught_news(trace, node)
        or (
            is_source(node)
            and _type_of(trace, node) not in _ORDINARY
            and flight(node).handled_by is not None
            and not any(id(seen) in known for seen in flight(node).through)
        )
    ]
    return found[-_SWALLOWED:]


def _caught_news(trace: Trace, node: Node) -> bool:
    """Whether it handled an exception that left no recorded call."""
    return any(
        isinstance(exception := caught.record.exception, Raised)
        and trace.definitions.type_name(exception.type).full not in _ORDINARY
        for caught in own_caught(node)
    )


def _add_swallowed_of_all(story: Story, most: int) -> None:
    found: list[Node] = []
    for stream in story.trace.streams[:_MOST_STREAMS]:
        tail = read_tail(
            stream,
            most,
            lambda tail: any(is_source(n) or own_caught(n) for n in tail.nodes()),
        )
        story.whole = story.whole and tail.whole
        found.extend(_swallowed(story.trace, tail.calls(), set()))
    found.sort(key=lambda node: node.end_ns or 0)
    story.swallowed = found[-_SWALLOWED:]


def _add_where_others_stood(story: Story, most: int) -> None:
    """The other threads and the tasks, as they were when Ctrl-C came."""
    frames = [node for path in story.paths for node in path.frames]
    known = {id(node) for node in frames}
    since = min((node.end_ns for node in frames if node.end_ns), default=0)
    for stream in story.trace.streams[:_MOST_STREAMS]:
        tail = read_tail(stream, FIRST_BLOCKS, lambda _: False)
        tasks = stopped_tasks(tail, since, lambda n: _is_stopped(story.trace, n))
        story.stacks.extend(tasks)
        story.stacks.extend(open_stacks(tail))
    ends = {(node.thread, node.number) for node in frames if id(node) in known}
    story.stacks = [
        stack
        for stack in story.stacks
        if {(node.thread, node.number) for node in stack.frames} - ends
    ]
