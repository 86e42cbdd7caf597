"""Run many generated programs in one process, with and without kolo_c.

A process for each would take an hour for a thousand; here they follow one another as
``__main__``, so that a tracer also shows whether one leaves something behind for the
next.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack

from kolo_c.store.reader import Store, Trace
from kolo_c.validate.generate import Program
from kolo_c.wire import TAG_EXTENSION, Kind, Tag
from tests.spec.tracing import environment
from tests.spec.wellformed import check_trace

DRIVER = """
import gc
import sys


def run(path):
    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec")
    module = type(sys)("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
for path in sys.argv[1:]:
    print("==", path, flush=True)
    run(path)
    gc.collect()
"""


class Batch:
    """Programs in a project of their own."""

    def __init__(self, project: Path, programs: Sequence[Program]) -> None:
        self.project = project
        self.names = [f"seed{program.seed}.py" for program in programs]
        project.mkdir(parents=True, exist_ok=True)
        (project / "pyproject.toml").write_text("")
        (project / "driver.py").write_text(DRIVER)
        for name, program in zip(self.names, programs, strict=True):
            (project / name).write_text(program.source, encoding="utf-8")

    def run(self, *under: str) -> dict[str, str]:
        """The transcript of each program, run by python and the words given."""
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", *under, "driver.py", *self.names],
            cwd=self.project,
            env=environment(PYTHONHASHSEED="1"),
            capture_output=True,
            encoding="utf-8",
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        assert done.stderr == ""
        return self._parted(done.stdout)

    def trace(self, core: str, hook: str) -> dict[str, str]:
        """The same, recorded."""
        settings = (f"--core={core}", "--set", f"hook={hook}")
        return self.run("-m", "kolo_c", "run", "--quiet", *settings)

    def check(self) -> tuple[Counter[Kind], Counter[Tag]]:
        """Fail where a trace contradicts itself; how often each kind and tag is met."""
        kinds: Counter[Kind] = Counter()
        tags: Counter[Tag] = Counter()
        with Store(self.project / ".kolo_c") as store:
            for info in store.traces():
                trace = Trace(info)
                check_trace(trace)
                for stream in trace.streams:
                    for block in stream.blocks:
                        _count(block.fetch_data(), kinds, tags)
        return kinds, tags

    def _parted(self, text: str) -> dict[str, str]:
        parts: dict[str, str] = {}
        for part in text.split("== ")[1:]:
            name, _, transcript = part.partition("\n")
            parts[name] = transcript
        assert list(parts) == self.names
        return parts


def _count(data: bytes, kinds: Counter[Kind], tags: Counter[Tag]) -> None:
    """Kinds of records and tags of values in a block's records."""

    def extension(code: int, payload: bytes) -> Any:
        assert code == TAG_EXTENSION
        tags[Tag(payload[0])] += 1
        return None

    unpacker = msgpack.Unpacker(
        ext_hook=extension,
        object_pairs_hook=list,
        strict_map_key=False,
        unicode_errors="surrogatepass",
    )
    unpacker.feed(data)
    kinds.update(Kind(record[0]) for record in unpacker)


def differences(plain: dict[str, str], traced: dict[str, str]) -> list[str]:
    """The first line that differs, for each program that could tell."""
    found = []
    for name, transcript in plain.items():
        if transcript != traced[name]:
            pairs = zip(
                transcript.splitlines(), traced[name].splitlines(), strict=False
            )
            first = next((pair for pair in pairs if pair[0] != pair[1]), "its end")
            found.append(f"{name}: {first}")
    return found
