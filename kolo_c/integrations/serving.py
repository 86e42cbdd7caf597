"""What the middleware of every web framework does: a session for a process that
serves, and the trace's id where others look for it.

Threads: any; ``record_requests`` one at a time. Owns: the session that it started, to
the end of the process.
Fails: ``record_requests`` raises KoloError; the rest never.
"""

from __future__ import annotations

import atexit
import os
import sys
from time import perf_counter_ns

from kolo_c import switch
from kolo_c.errors import TracerError
from kolo_c.scope import SCOPE
from kolo_c.within import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ATTRIBUTE = "kolo_c.trace"
"""What sentry-sdk's tag and OpenTelemetry's attribute are called."""
HEADER = "X-Kolo-C-Trace"


def record_requests(
    start: str | None = None, settings: Mapping[str, Any] | None = None
) -> None:
    """Have a session in this process: the one that runs, or one that records nothing
    outside requests.

    The project is that of the folder ``start``. ``settings`` are the program's own for
    the recorder: the environment overrides them. Raises KoloError where it cannot be.
    """
    if SCOPE.session is not None:
        return
    if switch.is_off():
        raise TracerError("nothing is recorded", switch.OFF_HINT)
    from kolo_c.config import ENVIRONMENT_PREFIX, load  # noqa: PLC0415 - not when off
    from kolo_c.lenient import lenient_filter  # noqa: PLC0415
    from kolo_c.project import find_project, require_writable  # noqa: PLC0415
    from kolo_c.session import Session  # noqa: PLC0415

    project = find_project(start)
    require_writable(project.store)
    own = {
        name: value
        for name, value in (settings or {}).items()
        if ENVIRONMENT_PREFIX + name.upper() not in os.environ
    }
    loaded = load(project.root, arguments=own)
    problems = [f"{problem}; the default holds" for problem in loaded.problems]
    chosen = lenient_filter(loaded, project, problems)
    argv = [str(word) for word in sys.argv]
    session = Session(
        chosen.config,
        project,
        chosen,
        name=os.path.basename(argv[0]) if argv else "",
        argv=argv,
        problems=problems,
        later=True,
        whole=False,
    )
    session.start()
    atexit.register(session.stop)


def tell_others(trace_id: str) -> None:
    """Give the trace's id to sentry-sdk and OpenTelemetry, where the program uses
    them."""
    sentry = sys.modules.get("sentry_sdk")
    if sentry is not None:
        try:
            if sentry.get_client().is_active():
                sentry.set_tag(ATTRIBUTE, trace_id)
        except Exception:
            pass  # another version's, or half imported: the request goes on
    telemetry = sys.modules.get("opentelemetry.trace")
    if telemetry is not None:
        try:
            span = telemetry.get_current_span()
            if span.is_recording():
                span.set_attribute(ATTRIBUTE, trace_id)
        except Exception:
            pass  # as above


def timing(began_ns: int) -> str:
    """For the header Server-Timing, which the developer tools of browsers show: what
    has passed since ``perf_counter_ns`` said ``began_ns``."""
    return f"app;dur={(perf_counter_ns() - began_ns) / 1e6:.1f}"


class TraceFilter:
    """A logging filter: ``%(kolo_c_trace)s`` is the id of the trace that a record
    belongs to, ``-`` where it belongs to none.

        "filters": {"trace": {"()": "kolo_c.integrations.serving.TraceFilter"}},
    """

    def filter(self, record: Any) -> bool:
        """Add the id; every record passes."""
        record.kolo_c_trace = current().id or "-"
        return True
