"""What one side recorded, read back from its store: traces, threads, records, facts.

Threads: one at a time. Owns: nothing; whoever opened the store closes it.
Fails: KoloError where there is no store.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kolo_c.failure import ATTRIBUTE
from kolo_c.process_info import PLUGIN_COSTS
from kolo_c.store.definitions import SourceFile
from kolo_c.store.reader import Store
from kolo_c.validate.resolve import Record, Resolver

if TYPE_CHECKING:
    from collections.abc import Collection

    from kolo_c.store.blocks import Block
    from kolo_c.store.process import Process
    from kolo_c.store.reader import Stream, Trace
    from kolo_c.store.trace_info import TraceInfo

Facts = dict[str, Any]
TraceKey = tuple[str, str, str, int]
"""Program, kind, name, and which of the traces of all three."""
# The same whatever core and hook: the rest are times, or belong to the whole process.
_TRACE_COUNTERS = ("calls", "records", "lost", "values_off")
_PROCESS_COUNTERS = ("masked", "truncated", "errors", "blind")


@dataclass
class Numbers:
    """What the system gave a process: the comparison names them instead."""

    pid: int
    threads: dict[int, str]
    """By ident and native id, the names."""


@dataclass
class RecordedStream:
    """The records of one thread in one trace."""

    key: tuple[str, int]
    """The thread's name, and which of the threads of that name."""
    records: list[Record]
    headers: list[Facts]
    """Of its blocks."""
    source: Stream

    @property
    def name(self) -> str:
        """For a person."""
        name, number = self.key
        return name if number == 1 else f"{name} ({number})"


@dataclass
class RecordedTrace:
    """One trace."""

    key: TraceKey
    program: str
    """Of a batch; empty for what is none of its programs'."""
    facts: Facts
    streams: dict[tuple[str, int], RecordedStream]
    numbers: Numbers
    source: Trace

    @property
    def name(self) -> str:
        """For a person."""
        _, kind, name, number = self.key
        return f"{kind} {name}" if number == 1 else f"{kind} {name} ({number})"


@dataclass
class Recorded:
    """All that one side stored."""

    traces: dict[TraceKey, RecordedTrace] = field(default_factory=dict)
    files: Facts = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """What is wrong with it by itself."""
    addresses: int = 0
    """How many were numbered."""


def load(store: Store, programs: Collection[str] = ()) -> Recorded:
    """Read everything.

    ``programs`` are those of a batch: a trace of such a name begins one, and what
    follows is its too.
    """
    recorded = Recorded()
    seen: Counter[tuple[str, str, str]] = Counter()
    program = ""
    processes: dict[str, Process] = {}
    ids: dict[str, str] = {}
    for info in reversed(store.traces()):  # the first one first
        program = info.row.name if info.row.name in programs else program
        same = (program, info.row.kind, info.row.name)
        seen[same] += 1
        trace = store.trace(info.id)
        key = (*same, seen[same])
        ids[info.id] = " ".join(map(str, key))
        processes[trace.process.files.id] = trace.process
        recorded.traces[key] = _load_trace(trace, key, ids, recorded)
    for process in processes.values():
        _load_files(process, recorded)
        recorded.problems += process.problems
    recorded.problems += [error.message for error in store.catalogue.errors]
    return recorded


def _load_trace(
    trace: Trace, key: TraceKey, ids: dict[str, str], recorded: Recorded
) -> RecordedTrace:
    info = trace.info
    row = info.row
    names = _COUNTERS_OF_KIND.get(row.kind, _TRACE_COUNTERS)
    facts: Facts = {
        "id": info.id,
        "parent": row.parent and ids.get(row.parent, row.parent),
        "status": info.status,
        "cause": row.cause,
        "started_ns": row.started_ns,
        "ended_ns": row.ended_ns,
        "attributes": _attributes(info, recorded),
        "counters": {name: info.counters.get(name) for name in names},
    }
    threads = trace.threads
    # An ident is used again for later threads: it is no thread's name.
    named = {each.ident: "a thread" for each in threads.values() if each.ident}
    named |= {
        each.native_id: each.name or "?" for each in threads.values() if each.native_id
    }
    resolver = Resolver(trace.definitions, threads)
    streams: dict[tuple[str, int], RecordedStream] = {}
    seen: Counter[str] = Counter()
    for stream in trace.streams:
        seen[stream.name] += 1
        stream_key = (stream.name, seen[stream.name])
        streams[stream_key] = _load_stream(stream, stream_key, resolver, recorded)
    return RecordedTrace(
        key, key[0], facts, streams, Numbers(trace.process.pid, named), trace
    )


def _attributes(info: TraceInfo, recorded: Recorded) -> Facts:
    """Those of a trace; what it failed with has addresses in it.

    What plugins took is of one run, as other costs are.
    """
    given = {**info.attributes, **info.own}
    given.pop(PLUGIN_COSTS, None)
    if ATTRIBUTE not in given:
        return given
    failure = json.loads(given[ATTRIBUTE])
    seen: dict[int, str] = {}
    for link in failure["chain"]:
        link["address"] = seen.setdefault(link["address"], f"@{len(seen) + 1}")
        recorded.addresses += 1
    return {**given, ATTRIBUTE: failure}


_COUNTERS_OF_KIND = {"process": (*_TRACE_COUNTERS, *_PROCESS_COUNTERS)}


def _load_stream(
    stream: Stream, key: tuple[str, int], resolver: Resolver, recorded: Recorded
) -> RecordedStream:
    records: list[Record] = []
    headers = []
    for block in stream.blocks:
        where = f"{stream.trace.info.row.name}, {key[0]}, block {block.sequence}"
        resolved = resolver.resolve_block(block.fetch_data(), block.definition)
        if resolved.damage:
            recorded.problems.append(f"{where}: {resolved.damage}")
        elif len(resolved.records) != block.records:
            recorded.problems.append(
                f"{where}: its header has {block.records} records, it has "
                f"{len(resolved.records)}"
            )
        recorded.addresses += resolved.addresses
        records += resolved.records
        headers.append(_header(block))
    return RecordedStream(key, records, headers, stream)


def _header(block: Block) -> Facts:
    """What a block's header says, the numbers of trace, thread and definition aside."""
    return {
        "sequence": block.sequence,
        "base_ns": block.base_ns,
        "last_ns": block.last_ns,
        "first_node": block.first_node,
        "nodes": block.nodes,
        "records": block.records,
        "start_depth": block.start_depth,
        "least_depth": block.least_depth,
        "closes": [[close.node, close.end_ns, close.kind] for close in block.closes()],
        "opens": block.opens(),
    }


def _load_files(process: Process, recorded: Recorded) -> None:
    """The files of kept code, and the text that was kept of each."""
    for _, file in process.definitions().all(SourceFile):
        text = process.source(file.path)
        recorded.files[file.path] = {
            "size": file.size,
            "mtime_ns": file.mtime_ns,
            "text": file.text,
            "source": None if text is None else hashlib.sha256(text).hexdigest(),
        }
