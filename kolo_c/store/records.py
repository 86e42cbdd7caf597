"""Records as typed objects; record_decoding.py makes them from a block's bytes.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.store.slotted import Slotted
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.values import Value


class Record(Slotted):
    """What every record has: its kind, its time, and its number if it is a node."""

    __slots__ = ("ns", "node")
    kind = Kind.MARK

    def __init__(self, ns: int, node: int) -> None:
        self.ns = ns
        self.node = node


class Call(Record):
    """A function begins. ``site`` is an offset in the nearest kept caller's code."""

    __slots__ = ("code", "site", "arguments")
    kind = Kind.CALL

    def __init__(
        self, ns: int, node: int, code: int, site: int | None, arguments: list[Value]
    ) -> None:
        self.ns = ns
        self.node = node
        self.code = code
        self.site = site
        self.arguments = arguments


class Return(Record):
    """The call on top ends with a value."""

    __slots__ = ("value", "locals")
    kind = Kind.RETURN

    def __init__(self, ns: int, node: int, value: Value, locals: list[Value]) -> None:
        self.ns = ns
        self.node = node
        self.value = value
        self.locals = locals


class Raise(Record):
    """An exception leaves the call on top; None: its type is not known."""

    __slots__ = ("exception", "offset", "locals")
    kind = Kind.RAISE

    def __init__(
        self,
        ns: int,
        node: int,
        exception: Value,
        offset: int | None,
        locals: list[Value],
    ) -> None:
        self.ns = ns
        self.node = node
        self.exception = exception
        self.offset = offset
        self.locals = locals


class Yield(Record):
    """The call on top is suspended."""

    __slots__ = ("value", "offset")
    kind = Kind.YIELD

    def __init__(self, ns: int, node: int, value: Value, offset: int | None) -> None:
        self.ns = ns
        self.node = node
        self.value = value
        self.offset = offset


class Resume(Record):
    """What was suspended goes on; ``thread`` None: it is of this stream. Of what a
    plugin saw ``code`` is the kind's definition."""

    __slots__ = ("thread", "resumed", "code", "site")
    kind = Kind.RESUME

    def __init__(
        self,
        ns: int,
        node: int,
        thread: int | None,
        resumed: int,
        code: int,
        site: int | None,
    ) -> None:
        self.ns = ns
        self.node = node
        self.thread = thread
        self.resumed = resumed
        self.code = code
        self.site = site


class Throw(Record):
    """A suspended call goes on with an exception."""

    __slots__ = ("thread", "resumed", "code", "site", "exception")
    kind = Kind.THROW

    def __init__(
        self,
        ns: int,
        node: int,
        thread: int | None,
        resumed: int,
        code: int,
        site: int | None,
        exception: Value,
    ) -> None:
        self.ns = ns
        self.node = node
        self.thread = thread
        self.resumed = resumed
        self.code = code
        self.site = site
        self.exception = exception


class Entered(Record):
    """A call that was running when tracing began."""

    __slots__ = ("code", "offset")
    kind = Kind.ENTERED

    def __init__(self, ns: int, node: int, code: int, offset: int | None) -> None:
        self.ns = ns
        self.node = node
        self.code = code
        self.offset = offset


class Handled(Record):
    """What an earlier RAISE of unknown type had raised."""

    __slots__ = ("thread", "raised", "exception")
    kind = Kind.HANDLED

    def __init__(
        self, ns: int, node: int, thread: int | None, raised: int, exception: Value
    ) -> None:
        self.ns = ns
        self.node = node
        self.thread = thread
        self.raised = raised
        self.exception = exception


class Caught(Record):
    """An exception came to an ``except``, ``finally`` or ``with`` of a running call;
    ``offset`` None: it went on from there."""

    __slots__ = ("thread", "caught_in", "raised", "offset", "exception")
    kind = Kind.CAUGHT

    def __init__(
        self,
        ns: int,
        node: int,
        thread: int | None,
        caught_in: int,
        raised: int | None,
        offset: int | None,
        exception: Value,
    ) -> None:
        self.ns = ns
        self.node = node
        self.thread = thread
        self.caught_in = caught_in
        self.raised = raised
        self.offset = offset
        self.exception = exception


class TaskSwitch(Record):
    """From here on the thread runs this task; 0 is none."""

    __slots__ = ("task",)
    kind = Kind.TASK

    def __init__(self, ns: int, node: int, task: int) -> None:
        self.ns = ns
        self.node = node
        self.task = task


class Region(Record):
    """A named part of the program begins."""

    __slots__ = ("name", "values")
    kind = Kind.REGION

    def __init__(self, ns: int, node: int, name: str, values: Value) -> None:
        self.ns = ns
        self.node = node
        self.name = name
        self.values = values


class RegionEnd(Record):
    """The region on top ends."""

    __slots__ = ("exception",)
    kind = Kind.REGION_END

    def __init__(self, ns: int, node: int, exception: Value) -> None:
        self.ns = ns
        self.node = node
        self.exception = exception


class Note(Record):
    """Something the program wanted to have noted."""

    __slots__ = ("text", "values")
    kind = Kind.NOTE

    def __init__(self, ns: int, node: int, text: str, values: Value) -> None:
        self.ns = ns
        self.node = node
        self.text = text
        self.values = values


class Log(Record):
    """A line of the program's log. ``site`` is as in a call; None also where it was
    written by a version that did not know it."""

    __slots__ = ("level", "logger", "site", "text")
    kind = Kind.LOG

    def __init__(
        self,
        ns: int,
        node: int,
        level: Value,
        logger: Value,
        text: str,
        site: int | None = None,
    ) -> None:
        self.ns = ns
        self.node = node
        self.level = level
        self.logger = logger
        self.text = text
        self.site = site


class Plugin(Record):
    """What a plugin saw begin. ``site`` is as in a call."""

    __slots__ = ("plugin", "values", "site")
    kind = Kind.PLUGIN

    def __init__(
        self, ns: int, node: int, plugin: int, values: Value, site: int | None
    ) -> None:
        self.ns = ns
        self.node = node
        self.plugin = plugin
        self.values = values
        self.site = site


class PluginEnd(Record):
    """What a plugin saw end; ``exception`` True: left by one of unknown type."""

    __slots__ = ("values", "exception")
    kind = Kind.PLUGIN_END

    def __init__(self, ns: int, node: int, values: Value, exception: Value) -> None:
        self.ns = ns
        self.node = node
        self.values = values
        self.exception = exception


class MarkRecord(Record):
    """Something about the recording itself."""

    __slots__ = ("mark", "value", "depth")
    kind = Kind.MARK

    def __init__(
        self, ns: int, node: int, mark: int, value: Value, depth: int | None
    ) -> None:
        self.ns = ns
        self.node = node
        self.mark = mark
        self.value = value
        self.depth = depth
