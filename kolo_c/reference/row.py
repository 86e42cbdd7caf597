"""The statements of the store, and what goes into their parameters. Twin of row.c.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

BEGIN = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"
PROCESS = (
    "INSERT OR REPLACE INTO process "
    "(id, segment, pid, started_ns, started_utc_ns, info) VALUES (?, ?, ?, ?, ?, ?)"
)
PROCESS_END = "UPDATE process SET ended_ns = ?, cause = ? WHERE ended_ns IS NULL"
ANCHOR = "UPDATE process SET anchor_ns = ?, anchor_utc_ns = ?"
INTERRUPT = (
    "UPDATE trace SET status = 'interrupted', ended_ns = ?, cause = ? "
    "WHERE status = 'running'"
)
DEFINITION = (
    "INSERT OR REPLACE INTO definition (sequence, start, first, last, data) "
    "VALUES (?, ?, ?, ?, ?)"
)
# A piece that is saved again must not open a trace that has ended.
TRACE = (
    "INSERT OR IGNORE INTO trace (number, id, kind, name, parent, started_ns, "
    "started_utc_ns, attributes, status, counters) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, coalesce(?, '{}'), 'running', '{}')"
)
TRACE_END = (
    "UPDATE OR IGNORE trace SET ended_ns = ?, cause = ?, "
    "counters = coalesce(?, '{}'), name = coalesce(?, name), "
    "attributes = coalesce(?, attributes), status = 'complete' WHERE number = ?"
)
TRACE_SET = (
    "UPDATE OR IGNORE trace SET name = coalesce(?, name), "
    "attributes = coalesce(?, attributes) WHERE number = ? AND status = 'running'"
)
THREAD = (
    "INSERT OR REPLACE INTO thread (number, name, ident, native_id) VALUES (?, ?, ?, ?)"
)
# The first look at a file was nearest to its being read by the program.
FILE = "INSERT OR IGNORE INTO file (number, path, hash, note) VALUES (?, ?, ?, ?)"
HAS_SOURCE = "SELECT 1 FROM source WHERE hash = ?"
SOURCE = (
    "INSERT OR IGNORE INTO source (hash, bytes, masked, encoding, data) "
    "VALUES (?, ?, ?, ?, ?)"
)
BLOCK = (
    "INSERT OR IGNORE INTO block (trace, thread, sequence, base_ns, last_ns, "
    "first_node, nodes, records, start_depth, least_depth, definition, bytes, "
    "closes, opens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
BLOCK_DATA = "INSERT OR REPLACE INTO block_data (id, encoding, data) VALUES (?, ?, ?)"
DROP_DATA = "DELETE FROM block_data WHERE id IN (SELECT id FROM block WHERE trace = ?)"
DROP_BLOCKS = "DELETE FROM block WHERE trace = ?"
DROP_TRACE = "DELETE FROM trace WHERE number = ?"


def signed(value: int) -> int:
    """A number of 64 bits as SQLite has it, whose numbers have a sign."""
    return value if value < 1 << 63 else value - (1 << 64)


def mend_text(utf8: bytes) -> str:
    """The text; U+FFFD for each lone surrogate and "?" for each other stray byte.

    Readers refuse what is no UTF-8 otherwise.
    """
    parts = []
    at = 0
    while True:
        try:
            parts.append(utf8[at:].decode("utf-8"))
            return "".join(parts)
        except UnicodeDecodeError as error:
            parts.append(utf8[at : at + error.start].decode("utf-8"))
            at += error.start
        stray = utf8[at : at + 3]
        if len(stray) == 3 and stray[0] == 0xED and _is_second_half(stray):
            parts.append("\ufffd")
            at += 3
        else:
            parts.append("?")
            at += 1


def _is_second_half(stray: bytes) -> bool:
    return 0xA0 <= stray[1] <= 0xBF and stray[2] & 0xC0 == 0x80
