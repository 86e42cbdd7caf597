/* writer.h -- the thread that takes full blocks from the queue to SQLite.
 *
 * Started at the first block, stopped before a fork and at the end; never takes the GIL
 * and knows no Python. It batches what it finds into transactions, renews the clock
 * anchor with each, rotates the segment when it has grown past `segment_max_bytes`, and
 * gives blocks back to the pool after the commit. A segment that somebody has removed
 * is written anew. On an error it keeps the batch and tries again, less and less often,
 * until it works or the writer is told to stop. What it gives up then stays where it
 * is, in batch, queue and mapping: the next start goes on with it, or a recovery finds
 * it. A thread that the disk does not let go of is left behind by stop: it goes on when
 * it can, and nothing of the writer's may be freed.
 *
 * Threads: start, stop, abandon from one at a time; the statistics are atomic.
 * Owns:    thread and store, between start and stop.
 * Fails:   KC_IO (no thread), KC_TIMEOUT, what store.h says.
 */

#ifndef KC_WRITER_H
#define KC_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "plain/mapping.h"
#include "plain/queue.h"
#include "plain/retention.h"
#include "plain/store.h"

#define KC_WRITER_BATCH_BLOCKS 64u /* 4 MiB a transaction, before compression */
/* Stop waits so much longer than told, for the thread to see it: SQLite waits 250 ms
 * for another connection's lock. */
#define KC_WRITER_GRACE_NS UINT64_C(300000000)

struct kc_writer {
    struct kc_mapping *mapping; /* borrowed, as all until `store` */
    struct kc_queue *queue;
    const char *directory; /* segments are <directory>/<process id>-<n>.db */
    const char *process_id;
    const char *schema;
    const char *info; /* JSON */
    int schema_version;
    int compress;
    uint64_t segment_max_bytes;
    uint64_t
        free_disk_min_bytes; /* less free space than this counts as a write error */
    uint64_t patience_ns;    /* stop waits no longer for one transaction; 0: it does */

    struct kc_retention retention; /* asked for by the caller, at any time */

    struct kc_store store;
    uint64_t segment;
    pthread_t thread;
    int running;
    pthread_mutex_t
        lock; /* guards `error_text`; with `wake`, the pause after an error */
    pthread_cond_t wake;
    bool stopping; /* under `lock`, as what follows */
    bool resumed;  /* since the thread looked last */
    bool finished; /* it will touch nothing any more */
    uint64_t stop_deadline_ns;
    uint64_t stop_began_ns;
    uint64_t ended_ns; /* what close tells */
    char cause[128];
    enum kc_status closed; /* and what came of it */

    /* The thread's own, or nobody's while it does not run. */
    struct kc_block *batch[KC_WRITER_BATCH_BLOCKS];
    uint32_t batch_count;
    struct kc_block *definitions; /* the log's next block; borrowed */
    uint32_t definitions_to;      /* its bytes that the transaction takes */
    uint64_t flush;               /* ticket to report when the batch is saved */
    bool pending;                 /* there is a batch to save */
    uint64_t rotate_bytes;        /* size of the segment that lets it rotate */
    uint64_t disk_checked_ns;
    uint64_t kills_noted_ns;
    uint64_t anchor_saved_ns;
    uint64_t cpu_base_ns; /* of earlier runs of the thread */

    char error_text[256]; /* of the last failure */

    _Atomic int failing; /* 1 while the last transaction has not succeeded */
    _Atomic uint64_t failed_count;
    _Atomic uint64_t block_count;
    _Atomic uint64_t raw_bytes;
    _Atomic uint64_t stored_bytes;
    _Atomic uint64_t cpu_ns; /* of the writer thread, renewed with each transaction */
    _Atomic uint64_t mask_count;     /* secrets masked in sources */
    _Atomic uint64_t dropped_blocks; /* unsaved when the thread was last stopped */
    _Atomic uint32_t restored_count; /* segments that were removed under it */
};

/* Open the first segment and save the process's row; no thread yet. The fields above
 * `store` are set by the caller before. */
KC_MUST_CHECK enum kc_status
kc_writer_open(struct kc_writer *writer, uint64_t started_ns, uint64_t started_utc_ns);

/* Start the thread, or let the one that a stop left behind go on; the queue is open
 * from now on. */
KC_MUST_CHECK enum kc_status kc_writer_start(struct kc_writer *writer);

/* Save what is queued and end the thread; at `deadline_ns` give up with KC_TIMEOUT and
 * the rest counted in `dropped_blocks`. The queue is closed, the store stays open
 * (start may follow, as around a fork). Where the thread is in the middle of a
 * transaction that does not end, it is left behind: `running` says so. Call without the
 * GIL. */
enum kc_status kc_writer_stop(struct kc_writer *writer, uint64_t deadline_ns);

/* After stop: how the process ended, and close the segment. Where blocks are unsaved
 * but a recovery can find them in the mapping (which must stay, then), KC_TIMEOUT, and
 * the end is left for the recovery to tell. With a thread that was left behind nothing
 * is closed: mapping and queue must stay too. */
enum kc_status kc_writer_close(struct kc_writer *writer, uint64_t ended_ns,
                               const char *cause);

/* Copy the reason of the last failure into `text` of `size` bytes, cut to it; empty:
 * there was none. While the writer is open, from any thread. */
void kc_writer_failure(struct kc_writer *writer, char *text, size_t size);

/* In the child of a fork: forget thread and store without touching the files (the
 * parent's SQLite connection must not even be closed here). */
void kc_writer_abandon(struct kc_writer *writer);

#endif
