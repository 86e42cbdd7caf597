"""The shared file that holds blocks until SQLite has them, and their pool.

Twin of src/plain/mapping.c. The file is allocated in full before it is used: touching a
hole on a full disk would kill the program with SIGBUS. It is made under a name of its
own (``path`` and ".new") and takes its real one when lock and header are in place: who
finds a mapping, finds a whole one. The creator holds an exclusive flock on it for life;
who gets that lock knows that the owner is dead. Where no file can be had, the same
memory is taken anonymously: everything works but the recovery, and ``shared`` says so.

Python keeps a descriptor of its own for what it has mapped: the lock goes with the last
of the two.

Threads: take and give from any thread; the rest from one at a time.
Owns: the memory, the descriptor with the lock, the free list.
Fails: by Status IO with an errno, NO_MEMORY, BUSY, CORRUPT.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import sys
from stat import S_ISREG
from struct import Struct

from kolo_c.reference import clock, system
from kolo_c.reference.block import (
    BLOCK_BYTES,
    BLOCK_FILLING,
    BLOCK_FREE,
    BLOCK_MAGIC,
    Block,
)
from kolo_c.reference.descriptor import (
    Descriptor,
    find_descriptor,
    keep_for_ever,
    note_descriptor,
    out_of_the_way,
)
from kolo_c.reference.last_word import BOOT_BYTES, HOST_BYTES
from kolo_c.reference.last_word import system as about_system
from kolo_c.reference.status import Status
from kolo_c.wire import MAPPING_HEADER_BYTES, MAPPING_MAGIC, WIRE_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAPPING_BLOCKS = 256
"""16 MiB."""
BLOCKS_MOST = 65536  # 4 GiB: no header of ours asks for more
SINGLE = 4  # blocks that come in page by page
ID_BYTES = 32

_HEAD = Struct(f"=8sIIII32sQQQQQQIIQQ{BOOT_BYTES}s{HOST_BYTES}s")
_DEAD, _STATE_AT = 4, 104  # a writer_state, and where it stands
_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-")


def _word(index: int, says: str) -> property:
    def read(header: MappingHeader) -> int:
        return header.words[index]

    def write(header: MappingHeader, value: int) -> None:
        header.words[index] = value

    return property(read, write, None, says)


def _long(index: int, says: str) -> property:
    def read(header: MappingHeader) -> int:
        return header.longs[index]

    def write(header: MappingHeader, value: int) -> None:
        header.longs[index] = value

    return property(read, write, None, says)


class MappingHeader:
    """The header page, as in docs/reference/wire-format.md."""

    __slots__ = ("longs", "memory", "words")

    version = _word(2, "Of the wire format.")
    block_bytes = _word(3, "")
    block_count = _word(4, "")
    pid = _word(5, "")
    started_ns = _long(7, "")
    started_utc_ns = _long(8, "")
    anchor_ns = _long(9, "Both clocks read together, at the last transaction.")
    anchor_utc_ns = _long(10, "")
    lost_records = _long(11, "")
    segment = _long(12, "That the process writes to now.")
    writer_state = _word(26, "0 never started, 1 running, 2 stopped, 3 failed, 4 dead.")
    writer_error = _word(27, "SQLite's code, when failed.")
    last_word = _long(14, "What ended it, and a number: see last_word.py.")
    kills = _long(15, "Of the system's for want of memory, and 1.")

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory
        self.words = memory.cast("I")
        self.longs = memory.cast("Q")

    @property
    def process_id(self) -> str:
        """As the file's name has it."""
        return bytes(self.memory[24 : 24 + ID_BYTES]).split(b"\0")[0].decode("ascii")

    @property
    def system(self) -> tuple[int, bytes, bytes]:
        """As last_word.system gave it."""
        _, _, boot, host = _HEAD.unpack_from(self.memory)[-4:]
        return self.kills, boot.split(b"\0")[0], host.split(b"\0")[0]

    def fill(self, block_count: int, process_id: str) -> None:
        """All of it, with start and anchor at now."""
        now = clock.anchor()
        name = process_id.encode("ascii")[: ID_BYTES - 1]
        self.memory[: _HEAD.size] = _HEAD.pack(
            MAPPING_MAGIC, WIRE_VERSION, BLOCK_BYTES, block_count, system.getpid(),
            name, *now, *now, 0, 0, 0, 0, 0, *about_system(),
        )  # fmt: skip

    def release(self) -> None:
        """Let go of the memory."""
        for view in (self.words, self.longs, self.memory):
            view.release()


def mapping_size(block_count: int) -> int:
    """Bytes of a file with so many blocks."""
    return MAPPING_HEADER_BYTES + block_count * BLOCK_BYTES


class Mapping:
    """See the module."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.fd = -1  # -1: anonymous
        self._descriptor: Descriptor | None = None  # what it is
        self._mapped: Descriptor | None = None  # Python's own descriptor
        self.shared = False
        self.block_count = 0
        self.free_list: list[int] = []
        self.save: Callable[[int], bool] | None = None
        """How blocks come back: saves a batch until a time (ns); the writer sets it."""
        self.prepare: Callable[[], bool] | None = None
        """Asked before the first block is given, until it has set this to None."""
        self.memory: mmap.mmap | None = None
        self._header: MappingHeader | None = None
        self._view: memoryview | None = None
        self._blocks: dict[int, Block] = {}

    @property
    def header(self) -> MappingHeader:
        """The first page."""
        assert self._header is not None, "the mapping is closed"
        return self._header

    # ---- opening ----

    def create(
        self, path: str, block_count: int, process_id: str
    ) -> tuple[Status, int]:
        """Create ``path`` (it must not exist), or fall back to anonymous memory.

        The number is the errno that says why it is not shared, 0 where it is.
        """
        self.path = path
        reason = 0
        try:
            self._create_file(path, block_count, process_id)
        except OSError as error:
            reason = error.errno or errno.EIO
            try:
                self._create_anonymous(block_count, process_id)
            except OSError:
                self.destroy(False)
                return Status.NO_MEMORY, reason
        self._fill_pool(block_count)
        return Status.OK, reason

    def create_later(
        self, path: str, block_count: int, process_id: str, prepare: Callable[[], bool]
    ) -> Status:
        """As above, in anonymous memory and without a file.

        The first ``take`` asks ``prepare``: where it does not give True, no block is to
        be had.
        """
        self.path = path
        try:
            self._create_anonymous(block_count, process_id)
        except OSError:
            self.destroy(False)
            return Status.NO_MEMORY
        self._fill_pool(block_count)
        self.prepare = prepare
        return Status.OK

    def share(self, process_id: str) -> int:
        """The file for a mapping without one, before any block of it is taken.

        0, or the errno why all stays as it was.
        """
        assert self.path is not None and self._view is not None
        head = bytes(self._view[: _HEAD.size])
        block_count = self.block_count
        self._release_memory()
        try:
            self._create_file(self.path, block_count, process_id)
            reason = 0
        except OSError as error:
            reason = error.errno or errno.EIO
            self._create_anonymous(block_count, process_id)
        self.header.memory[: _HEAD.size] = head
        return reason

    def _fill_pool(self, block_count: int) -> None:
        # Last in, first out: the blocks in front are taken again and again, so that a
        # process that needs few touches few.
        self.free_list = list(range(block_count - 1, -1, -1))

    def _create_file(self, path: str, block_count: int, process_id: str) -> None:
        """The steps that need a file; where one fails nothing is left behind."""
        name = f"{path}.new"
        if os.path.exists(path):
            raise FileExistsError(errno.EEXIST, "the mapping exists", path)
        fd = system.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        memory = None
        try:
            size = mapping_size(block_count)
            _allocate(fd, size)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            memory = _map(fd, size)
            # mmap keeps a descriptor of its own: with both of them in front, the files
            # that the program opens would have other numbers than beside the C core.
            fd = out_of_the_way(fd)
            _advise(memory, block_count)
            lowest = find_descriptor(name)
            self._set_memory(memory, block_count)
            self.header.fill(block_count, process_id)
            os.rename(name, path)
        except BaseException:
            system.unlink(name)
            self._release_memory()
            system.close(fd)
            raise
        self._set_fd(fd)
        self._mapped = lowest if lowest is not None and lowest.fd != fd else None

    def _set_fd(self, fd: int) -> None:
        self.fd = fd
        self._descriptor = note_descriptor(fd)
        self.shared = True

    def has_file(self) -> bool:
        """Whether there is a file, and its descriptor is that still: a program may have
        closed it, or have a file of its own there. (What is mapped keeps the lock.)"""
        return self.fd >= 0 and (self._descriptor is None or self._descriptor.is_ours())

    def _create_anonymous(self, block_count: int, process_id: str) -> None:
        memory = mmap.mmap(
            -1, mapping_size(block_count), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        self._set_memory(memory, block_count)
        self.header.fill(block_count, process_id)

    def _set_memory(self, memory: mmap.mmap, block_count: int) -> None:
        self.memory = memory
        self._view = memoryview(memory)
        self._header = MappingHeader(self._view[:MAPPING_HEADER_BYTES])
        self.block_count = block_count

    def open_dead(self, path: str) -> tuple[Status, int]:
        """Open a dead process's mapping for recovery, read only: takes its lock.

        BUSY where the owner lives (or another recovery runs, or just ended), CORRUPT
        where it is none of ours; with IO its errno. The header is checked as far as it
        is needed; the blocks are not.
        """
        self.path = path
        try:
            fd = system.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError as error:
            return Status.IO, error.errno or errno.EIO
        try:
            status, number = self._open_locked(fd, path), 0
        except BlockingIOError:
            status, number = Status.BUSY, 0
        except OSError as error:
            status, number = Status.IO, error.errno or errno.EIO
        if status is not Status.OK:
            system.close(fd)
        return status, number

    def _open_locked(self, fd: int, path: str) -> Status:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        about = system.fstat(fd)
        try:
            named = system.stat(path)
        except OSError:
            return Status.BUSY
        # A recovery that ended just now has removed it.
        if (about.st_ino, about.st_dev) != (named.st_ino, named.st_dev):
            return Status.BUSY
        if not S_ISREG(about.st_mode):
            return Status.CORRUPT
        head = os.pread(fd, _HEAD.size, 0)
        if about.st_size < MAPPING_HEADER_BYTES or len(head) < _HEAD.size:
            return Status.CORRUPT
        if not _header_is_sound(head, about.st_size):
            return Status.CORRUPT
        block_count = _HEAD.unpack(head)[3]
        _note_dead(fd)
        # Nobody writes to it any more; and not every file system shares memory.
        memory = mmap.mmap(
            fd, mapping_size(block_count), flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ
        )
        self._set_memory(memory, block_count)
        self._set_fd(fd)
        return Status.OK

    # ---- the pool ----

    def block(self, index: int) -> Block:
        """The block at ``index``."""
        block = self._blocks.get(index)
        if block is None:
            assert self._view is not None, "the mapping is closed"
            at = mapping_size(index)
            memory = self._view[at : at + BLOCK_BYTES]
            block = self._blocks[index] = Block(memory, index)
        return block

    def take(self) -> Block | None:
        """A free block, state FILLING, generation raised; None where there is none."""
        if self.prepare is not None and not self.prepare():
            return None
        try:
            block = self.block(self.free_list.pop())
        except IndexError:
            return None
        # A reader beside us, or a recovery after us, must not take what the block held
        # for its new contents: empty it first, then let it be seen.
        block.generation = block.generation + 1 & 0xFFFFFFFF
        block.committed = 0
        block.saved = 0
        block.open_count = 0
        block.magic = BLOCK_MAGIC
        block.state = BLOCK_FILLING
        return block

    def take_wait(self, deadline_ns: int) -> Block | None:
        """As above, but try until ``deadline_ns`` to get one back from the writer."""
        block = self.take()
        while block is None and self.save is not None:
            in_time = self.save(deadline_ns)
            block = self.take()
            if not in_time:
                break
        return block

    def give(self, block: Block) -> None:
        """Give a block back."""
        block.state = BLOCK_FREE
        self.free_list.append(block.index)

    # ---- the end ----

    def destroy(self, unlink_file: bool) -> None:
        """Unmap and close, and with ``unlink_file`` remove it."""
        # Remove it while the lock is held: whoever gets the lock later sees that it is
        # gone.
        if unlink_file and self.shared and self.path is not None:
            try:
                system.unlink(self.path)
            except OSError:
                pass
        self.abandon()

    def abandon(self) -> None:
        """In the child of a fork: let go of lock and memory without the file.

        The lock belongs to the open file: as long as the parent has it, it stays.
        """
        self._release_memory()
        if self.has_file():
            system.close(self.fd)
        self.fd = -1
        self.free_list = []
        self.path = None
        self.shared = False

    def _release_memory(self) -> None:
        for block in self._blocks.values():
            block.release()
        self._blocks = {}
        if self._header is not None:
            self._header.release()
        if self._view is not None:
            self._view.release()
        memory, self.memory = self.memory, None
        self._header = self._view = None
        self.block_count = 0
        if memory is not None:
            if self._mapped is not None and not self._mapped.is_ours():
                keep_for_ever(memory)
                return
            try:
                memory.close()
            except BufferError:  # somebody looks at it still: it goes with the last
                pass


def _allocate(fd: int, size: int) -> None:
    """Take ``size`` bytes of the disk now."""
    try:
        os.posix_fallocate(fd, 0, size)
        return
    except AttributeError:  # macOS
        pass
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
    zeros = bytes(MAPPING_HEADER_BYTES)
    at = 0
    while at < size:
        written = os.pwrite(fd, zeros[: size - at], at)
        if written == 0:
            raise OSError(errno.ENOSPC, "no space left")
        at += written


def _map(fd: int, size: int) -> mmap.mmap:
    """The file in memory. PyPy keeps a descriptor of it, which children would inherit:
    it is the lowest that is free."""
    lowest = os.dup(fd)
    system.close(lowest)
    memory = mmap.mmap(fd, size)
    try:
        if os.path.samestat(system.fstat(lowest), system.fstat(fd)):
            os.set_inheritable(lowest, False)
    except OSError:
        pass  # CPython has one that nobody inherits, or another thread was faster
    return memory


def _advise(memory: mmap.mmap, block_count: int) -> None:
    """Let a touch of the first pages bring in that page alone.

    The kernel would read ahead up to 2 MiB, which takes 3 ms here and at the end.
    """
    if hasattr(mmap, "MADV_RANDOM"):
        memory.madvise(mmap.MADV_RANDOM, 0, mapping_size(min(block_count, SINGLE)))


def _note_dead(fd: int) -> None:
    """The lock is a recovery's now: a reader is not to take it for the owner's."""
    try:
        os.pwrite(fd, _DEAD.to_bytes(4, sys.byteorder), _STATE_AT)
    except OSError:
        pass


def _header_is_sound(head: bytes, file_bytes: int) -> bool:
    """Whether the header says nothing that would lead outside the file.

    The process id goes into file names: it must be a plain word.
    """
    magic, version, block_bytes, block_count, _, process_id = _HEAD.unpack(head)[:6]
    name, nul, _ = process_id.partition(b"\0")
    return (
        magic == MAPPING_MAGIC
        and version == WIRE_VERSION
        and block_bytes == BLOCK_BYTES
        and 0 < block_count <= BLOCKS_MOST
        and mapping_size(block_count) <= file_bytes
        and bool(name and nul)
        and _WORD.issuperset(name)
    )
