"""The Python core: what ``kolo_c._kolo`` is for the C core. Twin of src/module.c.

kolo_c/_kolo.pyi tells the names; ``Connection`` and ``Scan``, which only readers need,
are the extension's alone.

Threads, Owns, Fails: as each function says.
"""

from __future__ import annotations

from kolo_c.reference import clock as clocks
from kolo_c.reference import fork, interrupt, mask_shapes, session_register, system
from kolo_c.reference.hook_setprofile import noop
from kolo_c.reference.recover import recover_file as recover
from kolo_c.reference.session_object import Session
from kolo_c.reference.session_plugins import frame_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Session",
    "active_profiler",
    "clock",
    "frame_local",
    "mask_text",
    "recover",
    "register_noop_profiler",
    "register_profiler",
    "tick",
    "unregister_noop_profiler",
    "unregister_profiler",
]


def register_profiler(session: Session, replace: bool = False) -> None:
    """Attach the tracer of ``session`` to the threads, as far as Python can.

    RuntimeError naming a profiler that is installed already, unless told to replace it.
    """
    session_register.register(session, replace)


def unregister_profiler(session: Session) -> None:
    """Detach the tracer and put back what was there."""
    session_register.unregister(session)


def register_noop_profiler() -> None:
    """Attach a profile function that does nothing to this thread.

    The floor that every overhead of this core is measured against.
    """
    system.setprofile(noop)


def unregister_noop_profiler() -> None:
    """Detach the profile function that does nothing."""
    if system.getprofile() is noop:
        system.setprofile(None)


def active_profiler() -> str | None:
    """The name of another profiler on this thread, or None."""
    return session_register.other_profiler()


def mask_text(text: str) -> str:
    """The text with *** in place of each secret of a known shape."""
    try:
        return _mask_text(text)
    except Exception as error:
        session = fork.current()
        if session is None or not interrupt.swallow(session, error):
            raise
        return "***"  # it may be one


def _mask_text(text: str) -> str:
    data = text.encode("utf-8")
    parts = []
    start = 0
    while (span := mask_shapes.find(data, start)) is not None:
        parts += [data[start : span[0]], b"***"]
        start = span[1]
    return b"".join([*parts, data[start:]]).decode("utf-8")


def clock() -> dict[str, Any]:
    """The clock's source and reading."""
    ticking = clocks.source == clocks.TICKING
    return {
        "source": "ticking" if ticking else "clock_gettime",
        "now_ns": clocks.ns(),
        "system_ns": clocks.system_ns(),
    }


def tick(ticking: bool, /) -> None:
    """Let the clock of sessions to come count each stream's records, or time again."""
    clocks.set_ticking(ticking)
