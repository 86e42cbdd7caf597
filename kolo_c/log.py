"""``kolo_c.log``: what went wrong inside goes to one file beside the segments, bounded.

Threads: any; processes too, whose lines do not mix. Owns: nothing. Fails: never; the
problems are in the trace as well.
"""

from __future__ import annotations

import os
import time

from kolo_c.store.private import open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_BYTES = 1 << 20


def write_log(store: str, process_id: str, problems: Sequence[str]) -> None:
    """Append a line for each problem; the file before goes to ``kolo_c.log.1``."""
    if not problems:
        return
    path = os.path.join(store, "kolo_c.log")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    lines = [f"{stamp} {process_id} {problem}\n" for problem in problems]
    try:
        if os.path.exists(path) and os.stat(path).st_size > _MOST_BYTES:
            os.replace(path, f"{path}.1")
        fd = open_file(path, os.O_WRONLY | os.O_APPEND)
        with open(fd, "w", encoding="utf-8") as log:
            log.writelines(lines)
    except OSError:
        pass
