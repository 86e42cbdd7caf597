"""The plugins of a session: what there are, what they watch, and records of theirs that
no frame stands for. Twin of src/session_plugins.c.

Threads: any. Owns: nothing. Fails: LookupError, RuntimeError, TypeError as said.
"""

from __future__ import annotations

from kolo_c.reference import capture_said, clock
from kolo_c.reference import tracer as tracers
from kolo_c.reference.plugin_match import Plugin, Rule
from kolo_c.reference.session_says import check, tell, tell_handling
from kolo_c.reference.stack import Entry
from kolo_c.reference.value_state import Limits, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from kolo_c.reference.session_object import Session
    from kolo_c.reference.thread import Thread


def add(session: Session, name: str) -> int:
    """Its number; it is defined by the time it is used."""
    if not isinstance(name, str):
        raise TypeError("a plugin's name is a str")
    plugins = session.tracer.plugins.all
    plugins.append(Plugin(len(plugins), name))
    return len(plugins) - 1


def _find(session: Session, index: int) -> Plugin:
    plugins = session.tracer.plugins.all
    if not 0 <= index < len(plugins):
        raise LookupError(f"no plugin has number {index}")
    return plugins[index]


def define(
    session: Session,
    index: int,
    kind: tuple[str, str, str, str] | None,
    handlers: tuple[Callable[..., Any] | None, ...],
    boundary: int,
    limits: tuple[int, int, int, int],
    ignored: set[Any] | None,
) -> None:
    """What plugin number ``index`` does."""
    plugin = _find(session, index)
    if plugin.loaded:
        return  # by another thread, while this one imported its module
    plugin.kind = kind
    plugin.when, plugin.start, plugin.finish, plugin.meets = handlers
    plugin.ignored = ignored
    plugin.boundary = bool(boundary)
    plugin.apart = boundary > 1
    chosen = Limits()
    chosen.depth, chosen.items, chosen.text_bytes, chosen.record_bytes = limits
    plugin.options = Options(chosen)
    plugin.loaded = True


def watch(
    session: Session,
    index: int,
    module: str | None,
    qualname: str | None,
    path: str | None,
) -> None:
    """It watches code that fits these patterns; None: any."""
    rule = Rule(_find(session, index), module, qualname, path)
    session.tracer.plugins.watch(rule)


def stats(session: Session) -> list[tuple[str, int, int, int, str]]:
    """(name, calls, nanoseconds, errors, first error) of those that were called."""
    return [
        (
            plugin.name,
            plugin.call_count,
            plugin.handler_ns,
            plugin.error_count,
            plugin.error_text,
        )
        for plugin in session.tracer.plugins.all
        if plugin.call_count or plugin.error_count
    ]


# ---- records without a frame ----


def _emit(thread: Thread, plugin: Plugin, fields: dict[str, Any]) -> Entry | None:
    if plugin.kind is None:
        return None
    assert thread.stream is not None
    entry = Entry(thread.stream, thread.depth_limit)
    entry.plugin = plugin
    thread.stack.append(entry)
    plugin.call_count += 1
    if not capture_said.plugin(thread, entry, fields, clock.ns()):
        entry.unwritten = True
        thread.lose(entry.stream)
    return entry


def _emit_end(
    thread: Thread,
    entry: Entry,
    fields: dict[str, Any] | None,
    exception: BaseException | None,
) -> None:
    if not entry.unwritten and not capture_said.plugin_end(
        thread, entry, fields, exception is not None, exception, clock.ns()
    ):
        if not entry.unwritten:  # its block may have been lost meanwhile
            entry.stream.stream.drop(entry.open)
        thread.lose(entry.stream)
    thread.depth_limit = entry.depth_limit
    thread.stack.pop()


def begin(session: Session, index: int, fields: dict[str, Any]) -> int:
    """Begin a record of its kind: the node; 0 outside every trace."""
    _check(fields)
    return int(tell(session, 0, _begin, _find(session, index), fields))


def _begin(thread: Thread, plugin: Plugin, fields: dict[str, Any]) -> int:
    entry = _emit(thread, plugin, fields)
    if entry is None:
        return 0
    if entry.unwritten:
        thread.stack.pop()
        return 0
    return entry.open.node


def end(
    session: Session,
    node: int,
    fields: dict[str, Any] | None,
    exception: BaseException | None,
) -> bool:
    """False where it is not open here."""
    if fields is not None:
        _check(fields)
    return bool(tell(session, False, _end, node, fields, exception))


def _end(
    thread: Thread,
    node: int,
    fields: dict[str, Any] | None,
    exception: BaseException | None,
) -> bool:
    for at in range(len(thread.stack) - 1, -1, -1):
        entry: Entry = thread.stack[at]
        if (
            entry.plugin is not None
            and entry.code is None
            and entry.open.node == node
            and entry.stream is thread.stream
            and not entry.unwritten
        ):
            tracers.cut(thread, at + 1)
            _emit_end(thread, entry, fields, exception)
            return True
    return False


def point(session: Session, index: int, fields: dict[str, Any]) -> bool:
    """Begin and end at once; False outside every trace."""
    _check(fields)
    return bool(tell_handling(session, False, _point, _find(session, index), fields))


def _point(thread: Thread, plugin: Plugin, fields: dict[str, Any]) -> bool:
    entry = _emit(thread, plugin, fields)
    if entry is None:
        return False
    written = not entry.unwritten
    _emit_end(thread, entry, None, None)
    return written


def log(session: Session, level: int, logger: str, text: str) -> bool:
    """A log line; False outside every trace."""
    check(logger, {})
    check(text, {})
    return bool(tell_handling(session, False, _log, level, logger, text))


def _log(thread: Thread, level: int, logger: str, text: str) -> bool:
    assert thread.stream is not None
    if capture_said.log(thread, thread.stream, level, logger, text, clock.ns()):
        return True
    thread.lose(thread.stream)
    return False


def _check(fields: object) -> None:
    if not isinstance(fields, dict):
        raise TypeError(f"fields are a dict, not {type(fields).__name__}")


def frame_local(frame: FrameType, name: str, default: Any) -> Any:
    """A local of the frame, or ``default``."""
    return frame.f_locals.get(name, default)
