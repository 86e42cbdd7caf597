"""A session of the same shape as the real one, which records nothing.

``python standin.py run script.py`` is ``kolo-c run script.py`` with it: what the runner
does to a program is then tested alone. With KOLO_C_STANDIN=PATH what the session was
told is appended to that file, a line each.
"""

from __future__ import annotations

import os
import sys
import types
from dataclasses import dataclass
from pathlib import Path

LOG = os.environ.pop("KOLO_C_STANDIN", "")


def _log(*words: object) -> None:
    if LOG:
        with open(LOG, "a", encoding="utf-8") as file:
            print(*words, file=file)


@dataclass(frozen=True)
class Summary:
    trace_id: str = "trc_01JD0000000000000000000000"
    path: Path = Path("/nowhere/.kolo_c")
    calls: int = 3
    records: int = 6
    bytes: int = 4096
    skipped: int = 0
    masked: int = 0
    truncated: int = 0
    lost: int = 0
    waited_ns: int = 0
    errors: int = 0
    own_ns: int = 0
    duration_ns: int = 1_500_000_000
    problems: tuple[str, ...] = ()


class Session:
    def __init__(
        self,
        config,
        project,
        filter,
        *,
        name,
        kind="process",
        argv,
        problems=(),
        always=False,
        line=(),
        first_pid=0,
    ) -> None:
        _log("session", name, kind, *argv)
        self.regions: list[str] = []
        self.process_id = "01JD0000000000000000000001"

    def start(self) -> None:
        _log("start")

    def keep_code(self, code: types.CodeType, source: str | None = None) -> None:
        _log("keep_code", code.co_filename, repr(source))

    def ended_by(self, error: BaseException) -> None:
        _log("ended_by", type(error).__name__)

    def stop(self, cause: str = "exit", exception: BaseException | None = None):
        _log("stop", cause, type(exception).__name__)
        return Summary(calls=int(os.environ.get("STANDIN_CALLS", "3")))


def install() -> None:
    module = types.ModuleType("kolo_c.session")
    module.Session, module.Summary = Session, Summary
    module.current = lambda: None
    sys.modules["kolo_c.session"] = module


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))
    install()
    from kolo_c.cli.main import main

    sys.exit(main())
