"""Streams of the Python core: the same blocks as C's, byte for byte."""

from __future__ import annotations

import ctypes
import random

import pytest

from kolo_c.reference.block import (
    BLOCK_BYTES,
    BLOCK_DATA_BYTES,
    BLOCK_RECORDS,
    CLOSE_BYTES,
    OPEN_BYTES,
    Block,
)
from kolo_c.reference.status import Status
from kolo_c.reference.stream import Open, Stream
from kolo_c.wire import Kind

COMMIT, NODE, PUSH, AGAIN, POP, DROP, OVER = range(7)
ENDS = (Kind.RETURN, Kind.RAISE, Kind.YIELD)


def random_steps(seed: int, count: int) -> list[tuple[int, int, int, int]]:
    """(what, kind, bytes, now) of calls, generators, notes and lost frames."""
    choose = random.Random(seed)
    steps = []
    depth = now_ns = 0
    suspended = False
    slope = 0.5
    for _ in range(count):
        now_ns = max(0, now_ns + choose.choice((0, 1, 7, 300, 70_000, -5)))
        size = choose.choice(
            (0, 3, 40, 200, 300, 32_700 if choose.random() < 0.02 else 9)
        )
        if choose.random() < 0.01:
            slope = choose.random()
        what = choose.random()
        if what < 0.1:
            steps.append((NODE, Kind.NOTE, size, now_ns))
        elif what < 0.15:
            steps.append((COMMIT, Kind.HANDLED, size, now_ns))
        elif what < 0.16:
            steps.append((OVER, 0, 0, now_ns))
        elif depth and what < 0.17:
            depth -= 1
            steps.append((DROP, 0, 0, now_ns))
        elif depth and (depth >= 4000 or choose.random() < slope):
            depth -= 1
            kind = choose.choice(ENDS)
            suspended = kind == Kind.YIELD
            steps.append((POP, kind, size, now_ns))
        elif suspended and choose.random() < 0.5:
            depth += 1
            suspended = False
            steps.append((AGAIN, Kind.RESUME, size, now_ns))
        else:
            depth += 1
            steps.append((PUSH, Kind.CALL, size, now_ns))
    return steps


class Run:
    """The twin of what plain.c does."""

    def __init__(self) -> None:
        self.stream = Stream(3, 5)
        self.opens: list[Open] = []
        self.began: list[int] = []
        self.suspended = (Open(0, 0), 0)
        self.blocks: list[bytes] = []

    def over(self) -> None:
        block = self.stream.take_block(self.opens, 77)
        if block is not None:
            self.blocks.append(bytes(block.memory))

    def step(self, what: int, kind: int, size: int, now_ns: int) -> None:
        stream = self.stream
        if what == DROP:
            self.began.pop()
            stream.drop(self.opens.pop())
            return
        if what == OVER:
            self.over()
            return
        for attempt in range(2):
            cursor = stream.begin(now_ns, kind, 1)
            cursor.bin(bytes(size))
            if cursor.status is Status.OK:
                self.commit(what, kind, now_ns, cursor)
                return
            if attempt == 0:
                self.over()
                block = Block(memoryview(bytearray(BLOCK_BYTES)))
                stream.give_block(block, BLOCK_RECORDS, now_ns)

    def commit(self, what, kind, now_ns, cursor) -> None:
        stream = self.stream
        if what == COMMIT:
            stream.commit(cursor, now_ns)
        elif what == NODE:
            stream.commit_node(cursor, now_ns)
        elif what == PUSH:
            assert stream.block is not None
            self.began.append(stream.block.sequence)
            self.opens.append(stream.commit_push(cursor, now_ns))
        elif what == AGAIN:
            opened, began = self.suspended
            self.began.append(began)
            self.opens.append(stream.commit_push_again(cursor, opened.node, now_ns))
        else:
            opened, began = self.suspended = self.opens.pop(), self.began.pop()
            stream.commit_pop(cursor, opened, began, kind, now_ns)


def blocks_of_c(steps: list[tuple[int, int, int, int]]) -> list[bytes]:
    """What the C stream makes of them."""
    build_plain = pytest.importorskip("tests.unit.build_plain")
    try:
        library = build_plain.load()
    except RuntimeError as error:
        pytest.skip(str(error))
    flat = [int(number) for step in steps for number in step]
    numbers = (ctypes.c_uint64 * len(flat))(*flat)
    out = ctypes.create_string_buffer(BLOCK_BYTES * 400)
    count = library.plain_stream_run(numbers, ctypes.c_size_t(len(steps)), out)
    assert count < 400
    return [out.raw[i * BLOCK_BYTES : (i + 1) * BLOCK_BYTES] for i in range(count)]


def without_gap(raw: bytes) -> bytes:
    """Between records and closes C has what it began to write and did not commit."""
    block = Block(memoryview(bytearray(raw)))
    tail = block.close_count() * CLOSE_BYTES + block.open_count * OPEN_BYTES
    size = BLOCK_DATA_BYTES - tail - block.bytes()
    block.data[block.bytes() : block.bytes() + size] = bytes(size)
    return bytes(block.memory)


@pytest.mark.parametrize("seed", range(12))
def test_blocks_are_those_of_c_whatever_is_written(seed):
    steps = random_steps(seed, 12_000)
    run = Run()
    for step in steps:
        run.step(*step)
    run.over()
    expected = blocks_of_c(steps)
    assert len(run.blocks) == len(expected) > 10
    for ours, theirs in zip(run.blocks, expected, strict=True):
        assert without_gap(ours) == without_gap(theirs)


def test_nothing_of_a_record_is_seen_before_it_is_committed():
    block = Block(memoryview(bytearray(BLOCK_BYTES)))
    stream = Stream(1, 1)
    stream.give_block(block, BLOCK_RECORDS, 100)
    cursor = stream.begin(120, Kind.CALL, 1)
    cursor.uint(7)
    assert (block.bytes(), block.record_count, bytes(block.data[:4])) == (
        0,
        0,
        bytes(4),
    )
    stream.commit_push(cursor, 120)
    assert (block.bytes(), block.record_count, block.node_count) == (4, 1, 1)
    assert bytes(block.data[:4]) == b"\x93\x00\x14\x07"


def test_a_record_that_does_not_fit_leaves_the_block_as_it_was():
    block = Block(memoryview(bytearray(BLOCK_BYTES)))
    stream = Stream(1, 1)
    assert stream.begin(1, Kind.CALL, 0).status is Status.FULL
    stream.give_block(block, BLOCK_RECORDS, 1)
    before = bytes(block.memory)
    cursor = stream.begin(2, Kind.CALL, 1)
    cursor.bin(bytes(33_000))
    cursor.uint(1)
    assert cursor.status is Status.FULL
    assert bytes(block.memory) == before
