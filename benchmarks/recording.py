"""Record in this process, and read back what was recorded.

Threads: the main one. Owns: the session, between ``start`` and ``finish``.
Fails: TracerError, where recording cannot start.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgpack

from benchmarks.results import Proof
from kolo_c.config import Config
from kolo_c.core import choose_core
from kolo_c.filter import Filter
from kolo_c.hook import NAMES, choose_hook
from kolo_c.project import Project, standard_library
from kolo_c.session import Session
from kolo_c.store.reader import Store, Trace
from kolo_c.summary import Summary
from kolo_c.wire import Kind

WORKLOADS = Path(__file__).with_name("workloads")
FLUSH_SECONDS = 60.0


def hooks() -> list[str]:
    """Those of the C core that this Python has."""
    return [name for name in NAMES if choose_hook(name).name]


def sides() -> list[tuple[str, str]]:
    """Each core with each of its hooks."""
    found = [("c", name) for name in hooks()]
    if choose_core("python").name:
        found += [
            ("python", name) for name in NAMES if choose_hook(name, "python").name
        ]
    return found


def label(name: str, core: str, hook: str) -> str:
    """A row's name: the C core under setprofile, the oldest, has no addition."""
    if core == "python":
        return f"{name}, Python core, {hook}"
    return name if hook == "setprofile" else f"{name}, {hook}"


class Recording:
    """A session whose tracer is attached and detached at will.

    A session has no such switch for its users; between rounds a benchmark needs one, so
    it calls what ``Session.start`` and ``stop`` call.
    """

    def __init__(
        self,
        store: Path,
        *,
        keep: bool,
        config: Config | None = None,
        root: Path = WORKLOADS,
    ) -> None:
        """With ``keep`` what is in ``root`` is the project, else nothing of it is."""
        config = config or Config()
        project = Project(
            root=str(root if keep else store.parent),
            reason="benchmark",
            cwd=str(store.parent),
            sources=(),
            stdlib=standard_library(),
            store=str(store),
        )
        self.session = Session(
            config, project, Filter(config, project), name="benchmark", argv=()
        )
        self._core: Any = None
        self._native: Any = None

    def start(self) -> None:
        """Open the store; nothing is attached yet."""
        self.session.start()
        self._core = self.session._core
        self._native = self.session._native
        self.detach()

    def attach(self) -> None:
        """From here on this thread, and those started later, are recorded."""
        self._core.register_profiler(self._native)

    def detach(self) -> None:
        """Until here."""
        self._core.unregister_profiler(self._native)

    def settle(self) -> None:
        """Let the writer save everything, so that it is idle in what comes next."""
        if not self.session.flush(FLUSH_SECONDS):
            raise TimeoutError(f"the writer is not done after {FLUSH_SECONDS:g} s")

    def stats(self) -> dict[str, Any]:
        """The core's counters."""
        return dict(self._native.stats())

    def finish(self) -> tuple[Summary, dict[str, Any]]:
        """Close the store; what was recorded, and the core's counters."""
        summary = self.session.stop()
        return summary, self.stats()


def read_back(store: Path) -> dict[str, int]:
    """Every record in the store, decoded and counted by kind."""
    kinds: Counter[int] = Counter()
    with Store(store) as opened:
        for info in opened.traces():
            for stream in Trace(info).streams:
                for block in stream.blocks:
                    kinds.update(_count(block.fetch_data()))
    return {Kind(kind).name: count for kind, count in kinds.items()}


def prove(
    made: dict[str, int], store: Path, summary: Summary | dict[str, int]
) -> Proof:
    """The proof of a row: ``made`` against what the store has."""
    if isinstance(summary, Summary):
        summary = {"lost": summary.lost, "waited_ns": summary.waited_ns}
    return Proof(made, read_back(store), summary["lost"], summary["waited_ns"])


def counters(store: Path) -> dict[str, int]:
    """What the traces in the store say of themselves, summed."""
    names = ("lost", "waited_ns", "writer_ns", "records", "bytes")
    with Store(store) as opened:
        infos = opened.traces()
        return {name: sum(info.count(name) for info in infos) for name in names}


def _count(data: bytes) -> Counter[int]:
    # Records are arrays that begin with their kind; what else is in them is skipped
    # over by msgpack's own reader, without ours for values.
    unpacker = msgpack.Unpacker(
        max_buffer_size=max(len(data), 1),
        raw=True,
        use_list=False,
        strict_map_key=False,
    )
    unpacker.feed(data)
    return Counter(record[0] for record in unpacker)
