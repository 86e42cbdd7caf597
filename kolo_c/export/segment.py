"""One trace, and perhaps its children, as a segment of their own in one file.

The file has the schema of a segment, so that every command that reads a store reads it
too (``--db``). Of the process's definitions everything goes along but what they say of
other traces; sources as they were stored, secrets masked. Of a running trace it holds
what there was when it was opened.

Threads: one at a time. Owns: the unfinished file while it writes. Fails: StoreError;
nothing is left then, and nothing has been overwritten.
"""

from __future__ import annotations

from kolo_c.errors import KoloError
from kolo_c.store.record_decoding import decode_records
from kolo_c.store.rewrite import NewSegment
from kolo_c.store.trace_info import CUT_CAUSE, INTERRUPTED, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from kolo_c.store.blocks import Block
    from kolo_c.store.mapping import MappingCopy
    from kolo_c.store.process import Process
    from kolo_c.store.reader import Store
    from kolo_c.store.rows import TraceRow
    from kolo_c.store.trace_info import TraceInfo

# Above the offsets in a block, which the pieces that SQLite has begin with.
_UNSAVED_START = 1 << 32


def family(store: Store, info: TraceInfo) -> tuple[list[TraceInfo], list[TraceInfo]]:
    """The traces below ``info``: those of its process, and those of others."""
    below: dict[str | None, list[TraceInfo]] = {}
    for trace in store.traces():
        below.setdefault(trace.row.parent, []).append(trace)
    own: list[TraceInfo] = []
    others: list[TraceInfo] = []
    seen = {info.id}
    pending = [info.id]
    while pending:
        for child in below.get(pending.pop(), ()):
            if child.id not in seen:
                seen.add(child.id)
                pending.append(child.id)
                (own if child.files.id == info.files.id else others).append(child)
    return own, others


def export_segment(infos: list[TraceInfo], target: Path, *, overwrite: bool) -> None:
    """Write traces of one process to ``target``."""
    process = infos[0].process
    if any(info.files.id != infos[0].files.id for info in infos):
        raise KoloError("one file holds traces of one process")
    numbers = {info.row.number for info in infos}
    with NewSegment(target) as new:
        # The last segment first: it has the latest state of what several have.
        for segment in reversed(process.segments):
            new.copy(segment.path, numbers, keep=True)
        if process.copy is not None:
            _add_unsaved(new, process.copy, numbers)
        _set_traces(new, infos)
        _set_threads(new, process)
        _set_process(new, process)
        new.finish(overwrite=overwrite)


def _set_traces(new: NewSegment, infos: list[TraceInfo]) -> None:
    new.execute("DELETE FROM trace")
    for info in infos:
        row: TraceRow = info.row
        running = info.status == RUNNING
        new.insert(
            "trace",
            (
                row.number, row.id, row.kind, row.name, row.parent, row.started_ns,
                row.started_utc_ns, info.last_ns if running else row.ended_ns,
                INTERRUPTED if running else info.status,
                CUT_CAUSE if running else row.cause, row.attributes, row.counters,
            ),
        )  # fmt: skip


def _set_threads(new: NewSegment, process: Process) -> None:
    """Those of these traces alone."""
    for thread in process.threads().values():
        row = (thread.number, thread.name, thread.ident, thread.native_id)
        new.insert("thread", row)
    new.execute("DELETE FROM thread WHERE number NOT IN (SELECT thread FROM block)")


def _set_process(new: NewSegment, process: Process) -> None:
    if process.copy is not None:  # it may have died before its row was written
        header = process.copy.header
        if not new.execute("SELECT 1 FROM process"):
            new.insert(
                "process",
                (header.process, 0, header.pid, header.started_ns,
                 header.started_utc_ns, header.anchor_ns, header.anchor_utc_ns, None,
                 None, "{}"),
            )  # fmt: skip
    # Who reads the file must not take its process for a living one.
    new.execute(
        "UPDATE process SET segment = 0, cause = COALESCE(cause, ?), "
        "ended_ns = COALESCE(ended_ns, (SELECT MAX(last_ns) FROM block), started_ns)",
        (CUT_CAUSE if process.alive else INTERRUPTED,),
    )


def _add_unsaved(new: NewSegment, copy: MappingCopy, numbers: set[int]) -> None:
    """What only the mapping had: a block that SQLite has is the same, or has more."""
    for piece in copy.definitions:
        saved = piece.saved if piece.saved <= len(piece.data) else 0
        start = _UNSAVED_START + saved
        new.add_definitions(piece.sequence, start, piece.data[saved:], numbers)
    highest = new.execute("SELECT COALESCE(MAX(last), 0) FROM definition")[0][0]
    for block in copy.blocks:
        if block.trace in numbers:
            _add_block(new, block, highest)


def _add_block(new: NewSegment, block: Block, highest: int) -> None:
    data = block.fetch_data()
    nodes, records, last_ns = block.nodes, block.records, block.last_ns
    if not block.full:  # its header runs ahead of its records, or behind
        decoded = decode_records(data, block.base_ns, block.first_node).records
        nodes = sum(record.node > 0 for record in decoded)
        records = len(decoded)
        last_ns = decoded[-1].ns if decoded else block.base_ns
    if not records:
        return
    key = new.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM block")[0][0]
    closes, opens = block.fetch_tail()
    new.insert(
        "block",
        (
            key, block.trace, block.thread, block.sequence, block.base_ns, last_ns,
            block.first_node, nodes, records, block.start_depth, block.least_depth,
            block.definition or highest, len(data), closes, opens,
        ),
    )  # fmt: skip
    if new.execute("SELECT 1 FROM block WHERE id = ?", (key,)):
        new.insert("block_data", (key, 0, data))
