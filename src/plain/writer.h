/* writer.h -- the thread that takes full blocks from the queue to SQLite.
 *
 * Started at the first block, stopped before a fork and at the end; never takes the GIL
 * and knows no Python. It batches what it finds into transactions, renews the clock
 * anchor with each, rotates the segment when it has grown past `segment_max_bytes`, and
 * gives blocks back to the pool after the commit. On an error it keeps the batch and
 * tries again, less and less often, until it works or the writer is told to stop.
 *
 * Threads: start, stop, abandon from one at a time; the statistics are atomic.
 * Owns:    thread and store, between start and stop.
 * Fails:   KC_IO (no thread), KC_TIMEOUT, what store.h says.
 */

#ifndef KC_WRITER_H
#define KC_WRITER_H

#include <pthread.h>
#include <stdatomic.h>

#include "plain/mapping.h"
#include "plain/queue.h"
#include "plain/store.h"

struct kc_writer {
    struct kc_mapping *mapping; /* borrowed, as all until `store` */
    struct kc_queue *queue;
    const char *directory; /* segments are <directory>/<process id>-<n>.db */
    const char *process_id;
    const char *schema;
    const char *info;
    int schema_version;
    int compress;
    uint64_t segment_max_bytes;
    uint64_t
        free_disk_min_bytes; /* less free space than this counts as a write error */

    struct kc_store store;
    uint64_t segment;
    pthread_t thread;
    int running;
    pthread_mutex_t lock; /* guards `error_text` */
    char error_text[256]; /* of the last failure */

    _Atomic int failing; /* 1 while the last transaction has not succeeded */
    _Atomic uint64_t failed_count;
    _Atomic uint64_t block_count;
    _Atomic uint64_t raw_bytes;
    _Atomic uint64_t stored_bytes;
    _Atomic uint64_t cpu_ns; /* of the writer thread, renewed with each transaction */
    _Atomic uint64_t dropped_blocks; /* given up when told to stop while failing */
};

/* Open the first segment and save the process's row; no thread yet. The fields above
 * `store` are set by the caller before. */
KC_MUST_CHECK enum kc_status
kc_writer_open(struct kc_writer *writer, uint64_t started_ns, uint64_t started_utc_ns);

KC_MUST_CHECK enum kc_status kc_writer_start(struct kc_writer *writer);

/* Save what is queued and end the thread; while failing, give up at `deadline_ns`. The
 * store stays open (start may follow, as around a fork). Call without the GIL. */
enum kc_status kc_writer_stop(struct kc_writer *writer, uint64_t deadline_ns);

/* After stop: how the process ended, and close the segment. */
enum kc_status kc_writer_close(struct kc_writer *writer, uint64_t ended_ns,
                               const char *cause);

/* In the child of a fork: forget thread and store without touching the files (the
 * parent's SQLite connection must not even be closed here). */
void kc_writer_abandon(struct kc_writer *writer);

#endif
