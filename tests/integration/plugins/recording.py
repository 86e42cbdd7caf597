"""Programs that are run alone and recorded, and what the plugins made of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kolo_c
from kolo_c.reading import Trace
from tests.spec.tracing import Traced, environment, trace_program, write_program


class Recorded:
    """What one run recorded."""

    def __init__(self, traced: Traced) -> None:
        self.traced = traced
        self._store = kolo_c.open(traced.store)

    def traces(self, kind: str = "") -> list[Trace]:
        """Its traces, or those of a kind, the first one first."""
        found = sorted(self._store.traces(), key=lambda trace: trace.started_at)
        return [trace for trace in found if kind in ("", trace.kind)]

    def events(self, kind: str, index: int = 0) -> list[Any]:
        """What plugins saw, in the trace that began as number ``index``."""
        return list(self.traces()[index].events(kind))

    def fields(self, kind: str, index: int = 0) -> list[dict[str, Any]]:
        """The fields of those, as JSON has them."""
        return [event.to_dict()["fields"] for event in self.events(kind, index)]

    def summaries(self, kind: str, index: int = 0) -> list[str]:
        return [event.summary for event in self.events(kind, index)]

    def holds(self, text: str) -> bool:
        """Whether the text stands anywhere in the store, packed or not."""
        shown = str([trace.to_dict() for trace in self.traces()])
        shown += str(
            [
                [event.to_dict() for event in trace.events()]
                + [call.to_dict() for call in trace.calls()]
                for trace in self.traces()
            ]
        )
        raw = text.encode()
        return text in shown or any(
            raw in path.read_bytes() for path in self.traced.files()
        )


def record(
    project: Path,
    source: str,
    *arguments: str,
    core: str = "c",
    hook: str = "auto",
    same: bool = True,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> Recorded:
    """Run it recorded. First alone, if what it does is to be the ``same``.

    That no plugin had an error is always asked for.
    """
    if same:
        write_program(project, source, None, options.get("files"))
        alone = subprocess.run(
            [sys.executable, "program.py", *arguments],
            cwd=project,
            env=environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    traced = trace_program(
        project, core, hook, source, *arguments, env=env, **options
    )  # fmt: skip
    if same:
        seen = (traced.stdout, traced.stderr, traced.code)
        assert seen == (alone.stdout, alone.stderr, alone.returncode)
    log = traced.store / "kolo_c.log"
    assert not log.exists(), log.read_text(encoding="utf-8")
    return Recorded(traced)
