"""What a program is measured under: nothing, the floor, kolo_c, and others.

Threads: ``attach`` and ``detach`` on the thread that is measured. Owns: nothing.
Fails: never.
"""

from __future__ import annotations

import cProfile
import importlib
import importlib.util
import sys
from typing import Any, Protocol

from benchmarks.recording import Recording
from kolo_c import _kolo


class Variant(Protocol):
    """A way to run."""

    name: str

    def attach(self) -> None:
        """Before a window, not timed."""

    def detach(self) -> None:
        """After it, not timed."""


class Untraced:
    """Nothing is attached."""

    name = "untraced"

    def attach(self) -> None:
        pass

    def detach(self) -> None:
        pass


class Noop:
    """A profile function in C that does nothing: the floor."""

    name = "noop"

    def attach(self) -> None:
        _kolo.register_noop_profiler()

    def detach(self) -> None:
        _kolo.unregister_noop_profiler()


class Disabling:
    """A ``sys.monitoring`` tool whose one callback disables each place: the floor."""

    name = "disabling"
    _tool = 1

    def attach(self) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        events = monitoring.events
        wanted = events.PY_START | events.PY_RESUME | events.PY_RETURN | events.PY_YIELD
        disable = monitoring.DISABLE

        def callback(*_: object) -> object:
            return disable

        monitoring.use_tool_id(self._tool, "floor")
        for bit in range(wanted.bit_length()):
            if wanted >> bit & 1:
                monitoring.register_callback(self._tool, 1 << bit, callback)
        monitoring.restart_events()
        monitoring.set_events(self._tool, wanted)

    def detach(self) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        monitoring.set_events(self._tool, 0)
        monitoring.free_tool_id(self._tool)


class Recorded:
    """kolo_c."""

    name = "kolo_c"

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def attach(self) -> None:
        self._recording.attach()

    def detach(self) -> None:
        self._recording.detach()
        self._recording.settle()


class PythonProfile:
    """``sys.setprofile`` with a Python function that does nothing."""

    name = "setprofile"

    def attach(self) -> None:
        sys.setprofile(_ignore)

    def detach(self) -> None:
        sys.setprofile(None)


class CProfile:
    """The standard library's cProfile."""

    name = "cProfile"

    def __init__(self) -> None:
        self._profile: cProfile.Profile | None = None

    def attach(self) -> None:
        self._profile = cProfile.Profile()
        self._profile.enable()

    def detach(self) -> None:
        if self._profile is not None:
            self._profile.disable()


class VizTracer:
    """viztracer with arguments and return values, where it is installed."""

    name = "viztracer"

    def __init__(self) -> None:
        self._tracer: Any = None

    def attach(self) -> None:
        viztracer: Any = importlib.import_module("viztracer")
        self._tracer = viztracer.VizTracer(
            verbose=0, log_func_args=True, log_func_retval=True, tracer_entries=100_000
        )
        self._tracer.start()

    def detach(self) -> None:
        self._tracer.stop()
        self._tracer.clear()


def references() -> list[Variant]:
    """What stands beside, as far as it is there."""
    found: list[Variant] = [PythonProfile(), CProfile()]
    if importlib.util.find_spec("viztracer") is not None:
        found.append(VizTracer())
    return found


def _ignore(frame: Any, event: str, arg: Any) -> None:
    pass
