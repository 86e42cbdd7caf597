"""Records of a plugin's kind that no frame stands for: subclassed cursors, handlers.

    emitted = emit.begin(SQL, {"text": text})
    ...
    emit.finish(emitted, {"rows": 3})

Where nothing is recorded in this context each does nothing. What is begun must end on
the same thread, with no suspension of a coroutine between: a frame that is watched has
no such limit. From within a plugin's handler ``point`` and ``log`` can be used.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.extension import extension_for_reading
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

    from kolo_c.plugins.spec import Kind
    from kolo_c.session import Session

    Emitted = tuple[Session, int]


def begin(kind: Kind, fields: Mapping[str, Any]) -> Emitted | None:
    """Begin a record; None where nothing is recorded."""
    session = SCOPE.session
    if session is None:
        return None
    try:
        node = session.native.plugin_begin(session.plugins.index_of(kind), dict(fields))
    except Exception:  # the program goes on, whatever it is
        return None
    return (session, node) if node else None


def finish(
    emitted: Emitted | None,
    fields: Mapping[str, Any] | None = None,
    exception: BaseException | None = None,
) -> None:
    """End it, with further fields, or by an exception."""
    if emitted is None:
        return
    session, node = emitted
    try:
        session.native.plugin_end(
            node, None if fields is None else dict(fields), exception
        )
    except Exception:
        pass  # as above


def point(kind: Kind, fields: Mapping[str, Any]) -> bool:
    """Begin and end one at once; whether it was recorded."""
    session = SCOPE.session
    if session is None:
        return False
    try:
        plugins = session.plugins
        index = plugins.kinds.get(kind.name) or plugins.index_of(kind)
        given = fields if type(fields) is dict else dict(fields)
        return session.native.plugin_point(index, given)  # type: ignore[no-any-return]
    except Exception:
        return False  # as above


def log(level: int, logger: str, text: str) -> bool:
    """Leave a line of a log; ``level`` as in ``logging``."""
    session = SCOPE.session
    if session is None:
        return False
    try:
        return bool(session.native.log(level, logger, text))
    except Exception:
        return False  # as above


def local(frame: FrameType, name: str, default: Any = None) -> Any:
    """A local of ``frame``, without what ``frame.f_locals`` leaves until 3.12."""
    return frame.f_locals.get(name, default)


local = getattr(extension_for_reading(), "frame_local", local)
