"""Whether a process without a mapping may still write to its segments.

One that has a mapping has it for as long as it lives, and after a violent death until
it is recovered. One that could not have any says in its row that it ended.

Threads: any; processes too. Owns: nothing. Fails: DatabaseError.
"""

from __future__ import annotations

from kolo_c.store.connection import connect
from kolo_c.store.liveness import pid_lives
from kolo_c.store.opening import reading_mode
from kolo_c.store.trace_info import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def may_have_writer(last: Path) -> bool:
    """Of a process without a mapping; ``last`` is its last segment."""
    with connect(last, reading_mode(last)) as db:
        rows = db.execute("SELECT pid, ended_ns, info FROM process")
    return any(ended is None and may_live(pid, info) for pid, ended, info in rows)


def may_live(pid: object, info: object) -> bool:
    """Whether the process of this number lives, or may: ``info`` says on which host."""
    host = read_json(str(info)).get("host")
    if host is not None:
        import socket  # noqa: PLC0415 - hardly ever needed

        if host != socket.gethostname():
            return True  # on another machine: there is no telling
    return isinstance(pid, int) and pid_lives(pid, None)
