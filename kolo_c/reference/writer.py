"""Takes full blocks from the queue to SQLite. Twin of src/plain/writer.c.

The C core has a thread for it that never takes the GIL. A thread in Python would have
to take it for every statement, and get it 5 ms later each time a program computes: such
a writer saves some thousand rows a second, and the queue is full at once. So there is
no thread here: when BATCH_LEAST blocks wait, the thread that hands over the last of
them saves them all, in one transaction, before its program goes on. That is some
milliseconds now and then; nothing is left over for later, nothing stands in the way of
a fork, and the order of what happens is the same in each run. What a program has not
handed over yet stands in the mapping, where readers and recovery find it. The anchor is
renewed with each batch, not each second as in C.

A try that fails is repeated when a block is handed over later, not before a pause that
doubles from 10 ms to 1 s. Where the queue or the pool is full, the thread that needs
room tries and waits here (``save``) as long as the overflow policy lets it: `drop` does
not call it. Segments are rotated by size as in C.

A signal's handler and an object's finalizer may run between any two lines, and may come
here again: then the blocks stay for whoever is at work. They may also raise: the
transaction is rolled back, the batch stays, and their exception goes on.

Threads: any; one works, the others leave their blocks to it.
Owns: the store, between open and close.
Fails: by Status TIMEOUT and what store.py says.
"""

from __future__ import annotations

from threading import RLock
from time import CLOCK_THREAD_CPUTIME_ID, clock_gettime_ns, sleep

from kolo_c.reference import batch, clock, system
from kolo_c.reference.status import Status
from kolo_c.reference.store import Store, store_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.block import Block
    from kolo_c.reference.mapping import Mapping
    from kolo_c.reference.queue import Queue

BATCH_BLOCKS = 64
"""4 MiB a transaction, before compression."""
BATCH_LEAST = 4
"""So many blocks are worth a transaction."""
PAUSE_LEAST_NS = 10_000_000
PAUSE_MOST_NS = 1_000_000_000
LAST_TRIES_NS = 1_000_000_000
SLICE_NS = 50_000_000

_abandoned: list[object] = []  # connections of a parent, which must not be closed


class Writer:
    """See the module."""

    def __init__(
        self,
        mapping: Mapping,
        queue: Queue,
        *,
        directory: str,
        process_id: str,
        schema: str,
        schema_version: int,
        info: str,
        compress: int = 1,
        segment_max_bytes: int = 0,
        free_disk_min_bytes: int = 0,
        patience_ns: int = 0,
    ) -> None:
        """Segments are ``<directory>/<process id>-<n>.db``; ``info`` is JSON.

        Less free space than ``free_disk_min_bytes`` counts as a write error. ``stop``
        waits no longer than ``patience_ns`` for one transaction; 0: it does.
        """
        self.mapping = mapping
        self.queue = queue
        self.directory = directory
        self.process_id = process_id
        self.schema = schema
        self.schema_version = schema_version
        self.info = info
        self.compress = compress
        self.segment_max_bytes = segment_max_bytes
        self.free_disk_min_bytes = free_disk_min_bytes
        self.patience_ns = patience_ns

        self.store = Store()
        self.segment = 0
        self.running = False
        # Guards what follows, and the store. Whoever has it is at work: a thread that
        # finds itself to have it already comes from a signal's handler.
        self.lock = RLock()
        self.batch: list[Block] = []
        self.definitions: Block | None = None  # the log's next block; borrowed
        self.definitions_to = 0  # its bytes that the transaction takes
        self.pending = False  # there is a batch to save
        self.rotate_bytes = 0
        self.disk_checked_ns = 0
        self.kills_noted_ns = 0
        self.anchor_saved_ns = 0
        self.retry_ns = 0  # no try before
        self.pause_ns = PAUSE_LEAST_NS

        self.error_text = ""  # of the last failure
        self.failing = False  # while the last transaction has not succeeded
        self.failed_count = 0
        self.block_count = 0
        self.raw_bytes = 0
        self.stored_bytes = 0
        self.cpu_ns = 0  # spent here, in the program's threads
        self.mask_count = 0  # secrets masked in sources
        self.dropped_blocks = 0  # unsaved when it was last stopped
        self.restored_count = 0  # segments that were removed under it

    # ---- life ----

    def open(self, started_ns: int, started_utc_ns: int) -> Status:
        """Open the first segment and save the process's row."""
        path = store_path(self.directory, self.process_id, self.segment)
        status = self.store.open(path, self.schema, self.schema_version)
        if status is Status.OK:
            self.store.compress = self.compress
            batch.set_rotate_bytes(self, 0)
            status = self._save_process(started_ns, started_utc_ns)
        if status is not Status.OK:
            batch.note_failure(self, self.store.error)
            self.store.close()
        return status

    def _save_process(self, started_ns: int, started_utc_ns: int) -> Status:
        store = self.store
        status = store.begin()
        if status is Status.OK:
            status = store.process(
                self.process_id, self.segment, system.getpid(), started_ns,
                started_utc_ns, self.info,
            )  # fmt: skip
        if status is Status.OK:
            status = store.anchor(*batch.renew_anchor(self))
        if status is Status.OK:
            status = store.commit()
        if status is not Status.OK:
            store.rollback()
        return status

    def start(self) -> Status:
        """From now on what is pushed is saved; the queue is open."""
        self.dropped_blocks = 0
        self.queue.reopen()
        self.queue.filled = self.filled
        self.queue.save = self.mapping.save = self.save
        batch.set_state(self, batch.RUNNING, 0)
        self.running = True
        return Status.OK

    def stop(self, deadline_ns: int) -> Status:
        """Save what is queued; while failing, give up at ``deadline_ns`` with TIMEOUT.

        The rest is counted in ``dropped_blocks``. The queue is closed, and so is the
        connection until it is needed again: start may follow, as around a fork.
        """
        self.queue.close()
        if self.running:
            self._save_last(deadline_ns)
            self.running = False
        self.queue.filled = self.queue.save = self.mapping.save = None
        if not self._is_at_work():  # not called in the middle of a statement
            with self.lock:
                self.store.suspend()
        self.dropped_blocks = self.queue.count + len(self.batch)
        if self.dropped_blocks or self.pending:
            return Status.TIMEOUT
        batch.set_state(self, batch.STOPPED, 0)
        return Status.OK

    def _save_last(self, deadline_ns: int) -> None:
        """Until all is saved.

        While nothing can be written the mapping keeps what there is, so the program's
        end does not wait long for a disk that is full.
        """
        now_ns = clock.system_ns()
        hopeless_ns = now_ns + LAST_TRIES_NS
        saved, moved_ns = self.block_count, now_ns
        patience_ns = self.patience_ns if self.mapping.shared else 0
        self.retry_ns = 0  # told to stop in the middle of a long pause: try at once
        while not self._is_at_work():
            if self.save(min(deadline_ns, now_ns + SLICE_NS)) and not self.queue.count:
                return
            now_ns = clock.system_ns()
            if self.block_count != saved:
                saved, moved_ns = self.block_count, now_ns
            if (
                now_ns >= deadline_ns
                or (self.failing and now_ns >= hopeless_ns)
                or (patience_ns and now_ns - moved_ns >= patience_ns)
            ):
                return

    def close(self, ended_ns: int, cause: str) -> Status:
        """After stop: how the process ended, and close the segment.

        Where blocks are unsaved but a recovery can find them in the mapping (which must
        stay, then), TIMEOUT, and the end is left for the recovery to tell.
        """
        status = Status.TIMEOUT
        unsaved = self.pending or self.dropped_blocks != 0
        if not unsaved or not self.mapping.shared:
            batch.restore_removed(self)  # or there is nothing to be done
            if self.store.has_files():
                status = self._save_end(ended_ns, cause)
            else:
                batch.note_failure(self, self.store.error)
        self.store.close()
        return status

    def _save_end(self, ended_ns: int, cause: str) -> Status:
        store = self.store
        status = store.begin()
        if status is Status.OK:
            status = store.anchor(*batch.renew_anchor(self))
        if status is Status.OK:
            status = store.interrupt(ended_ns, cause)
        if status is Status.OK:
            status = store.process_end(ended_ns, cause)
        if status is Status.OK:
            status = store.commit()
        if status is not Status.OK:
            batch.note_failure(self, store.error)
            store.rollback()
        return status

    def abandon(self) -> None:
        """In the child of a fork: forget the store without touching the files.

        ``stop`` has closed the connection before; where it could not, it must not be
        closed here either.
        """
        _abandoned.append(self.store.abandon())
        self.queue.filled = self.queue.save = self.mapping.save = None
        self.batch = []
        self.definitions = None
        self.pending = self.running = False
        self.lock = RLock()

    # ---- work ----

    def filled(self) -> None:
        """Blocks wait: save them, if they are worth it and it is not too early."""
        while self.queue.count >= BATCH_LEAST and clock.system_ns() >= self.retry_ns:
            if self._is_at_work() or not self._work_alone():
                break

    def save(self, deadline_ns: int) -> bool:
        """Save a batch, waiting for a next try until ``deadline_ns``.

        False where nothing came of it: the time is over, or this thread is saving
        already, below.
        """
        while self.running and not self._is_at_work():
            if clock.system_ns() >= self.retry_ns and self._work_alone():
                return True
            now_ns = clock.system_ns()
            if now_ns >= deadline_ns:
                break
            sleep(max(0, min(self.retry_ns, deadline_ns) - now_ns) / 1e9)
        return False

    def _is_at_work(self) -> bool:
        """Whether this thread is: then this is called from a signal's handler."""
        return self.lock._is_owned()  # type: ignore[attr-defined,no-any-return]

    def _work_alone(self) -> bool:
        """One try to save one batch, while nobody else does."""
        began_ns = clock_gettime_ns(CLOCK_THREAD_CPUTIME_ID)
        with self.lock:
            done = self.running and self._work()
        self.cpu_ns += clock_gettime_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns
        return done

    def _work(self) -> bool:
        if not self.pending:
            self.batch, self.definitions = self.queue.next_batch(BATCH_BLOCKS)
            self.pending = True
        self.queue.remove(self.batch)
        saves = batch.has_work(self)
        if not batch.try_save(self):
            self.retry_ns = clock.system_ns() + self.pause_ns
            self.pause_ns = min(self.pause_ns * 2, PAUSE_MOST_NS)
            return False
        self.retry_ns = 0
        self.pause_ns = PAUSE_LEAST_NS
        if saves:
            batch.rotate_if_due(self)
        return True
