"""The definitions log, and the rows made from it. Twin of store_definitions.c.

Threads: the store's. Owns: nothing. Fails: as store.py says.
"""

from __future__ import annotations

from kolo_c.reference import row
from kolo_c.reference.block import BLOCK_DATA_BYTES
from kolo_c.reference.source import Source, source_copy, source_read
from kolo_c.reference.status import Status
from kolo_c.reference.wire import Token, Walk
from kolo_c.wire import Definition as Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.reference.block import Block
    from kolo_c.reference.store import Store

    Field = tuple[Token, Any]

FIELDS = 10
"""Of the longest that becomes a row, kind and number too."""
_NIL: Field = (Token.NIL, None)


def save_definitions(store: Store, block: Block, start: int, end: int) -> Status:
    """Save bytes [start, end) of a definitions block.

    Raises nothing in the block itself: ``saved`` is set by the caller after the commit.
    Bytes that cannot be read as definitions are saved as they are; CORRUPT only where
    the range lies outside the block.
    """
    if not 0 <= start <= end <= BLOCK_DATA_BYTES:
        store.error = f"{store.path}: a definitions block's counts are wrong"
        return Status.CORRUPT
    if start == end:
        return Status.OK
    data = bytes(block.data[start:end])
    first = last = 0
    walk = Walk(data)
    while walk.at < walk.end:
        fields = _read(walk)
        if fields is None:
            break
        status = _save(store, fields)
        if status is not Status.OK:
            return status
        number: int = fields[1][1]
        first = first or number
        last = max(last, number)
    status = store.run(
        row.DEFINITION, row.signed(block.sequence), start, row.signed(first),
        row.signed(last), data,
    )  # fmt: skip
    if status is Status.OK:
        store.stored_bytes += len(data)
    return status


def _read(walk: Walk) -> list[Field] | None:
    """One definition: its plain fields; a container counts as nil here."""
    array = walk.next()
    if array is None or array[0] is not Token.ARRAY or array[1] < 2:
        return None
    fields = [_NIL] * FIELDS
    for index in range(array[1]):
        at = walk.at
        field = walk.next()
        if field is not None and field[0] in (Token.ARRAY, Token.MAP):
            walk.at = at
            field = _NIL if walk.skip() else None
        if field is None:
            return None
        if index < FIELDS:
            fields[index] = field
    sound = fields[0][0] is Token.UINT and fields[1][0] is Token.UINT
    return fields if sound else None


def _number(field: Field) -> int | None:
    """The field as a number; None where it is none."""
    token, value = field
    return row.signed(value) if token in (Token.UINT, Token.INT) else None


def _text(field: Field) -> str | None:
    """The field as a text; None where it is none."""
    token, value = field
    return row.mend_text(value) if token is Token.STR else None


def _save(store: Store, fields: list[Field]) -> Status:
    kind = fields[0][1]
    number, text = _number, _text
    if kind == Kind.TRACE:
        # number, trace number, id, kind, name, parent, start_ns, start_utc_ns,
        # attributes
        return store.run(
            row.TRACE, number(fields[2]), text(fields[3]) or "", text(fields[4]) or "",
            text(fields[5]) or "", text(fields[6]), number(fields[7]),
            number(fields[8]), text(fields[9]),
        )  # fmt: skip
    if kind == Kind.TRACE_END:
        # number, trace number, end_ns, cause, counters, name, attributes
        return store.run(
            row.TRACE_END, number(fields[3]), text(fields[4]), text(fields[5]),
            text(fields[6]), text(fields[7]), number(fields[2]),
        )  # fmt: skip
    if kind == Kind.TRACE_SET:
        # number, trace number, name, attributes
        return store.run(
            row.TRACE_SET, text(fields[3]), text(fields[4]), number(fields[2])
        )
    if kind == Kind.TRACE_DROP:
        # number, trace number, first segment; for store_drop.py
        if fields[2][0] is fields[3][0] is Token.UINT:
            store.drops.append((fields[2][1], fields[3][1]))
        return Status.OK
    if kind == Kind.THREAD:
        # number, thread number, name, ident, native id
        return store.run(
            row.THREAD, number(fields[2]), text(fields[3]), number(fields[4]),
            number(fields[5]),
        )  # fmt: skip
    if kind == Kind.FILE:
        return _save_file(store, fields)
    return Status.OK  # readers take it from the log


def _save_file(store: Store, fields: list[Field]) -> Status:
    """Number, path, size, mtime_ns or nil, text or nil."""
    path, size, mtime_ns, text = fields[2:6]
    if text[0] is Token.STR:
        source = source_copy(text[1])
    elif path[0] is Token.STR and size[0] is mtime_ns[0] is Token.UINT:
        source = source_read(path[1], size[1], mtime_ns[1])
    else:
        source = Source(None, "no such file")
    if source.text is not None:
        status = _save_source(store, source, source.text)
        if status is not Status.OK:
            return status
    return store.run(
        row.FILE, _number(fields[1]), _text(path) or "", source.hash or None,
        source.note or None,
    )  # fmt: skip


def _save_source(store: Store, source: Source, text: bytes) -> Status:
    """The text once, compressed where that is shorter."""
    status, found = store.ask_row(row.HAS_SOURCE, source.hash)
    if status is not Status.OK or found:
        return status
    encoding, data = store.pack(text)
    status = store.run(
        row.SOURCE, source.hash, len(text), source.mask_count, encoding, data
    )
    if status is Status.OK:
        store.stored_bytes += len(data)
        store.mask_count += source.mask_count
    return status
