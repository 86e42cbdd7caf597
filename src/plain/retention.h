/* retention.h -- keep the folder of segments within its bounds, a little at a time.
 *
 * The writer's thread does it between its batches: a folder may have a million files.
 * The oldest segments of processes that ended well go first, then, for a process that
 * records for weeks, its own but the one it writes to. What takes SQLite to be judged
 * (a process with pinned traces, or without a mapping and perhaps alive) is left to
 * kolo_c/store/retention.py.
 *
 * Threads: ask from any, before or while the writer runs; the rest from the writer's.
 * Owns:    an open folder and the names of some thousand segments, during a pass.
 * Fails:   never: what cannot be removed stays.
 */

#ifndef KC_RETENTION_H
#define KC_RETENTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kc_retention {
    _Atomic uint64_t max_bytes; /* 0: no bound has been asked for */
    _Atomic uint64_t keep_ns;
    _Atomic bool asked;
    _Atomic uint64_t removed_count;
    _Atomic uint32_t kept_count; /* passes that came to their end */

    const char *directory; /* borrowed, as the next; set with each turn */
    const char *process_id;
    uint64_t segment; /* that the process writes to */
    void *folder;     /* DIR *: a pass is on */
    bool counted;     /* an earlier pass has added up the bytes */
    bool chosen;      /* the names are complete: they go now */
    bool full;        /* there were more names than have room */
    uint64_t total_bytes;
    uint64_t oldest_utc_ns; /* what was changed before goes in any case */
    struct kc_old_segment *names;
    uint32_t count;
    uint32_t next;
    uint32_t removed;   /* of these names */
    char (*pinned)[40]; /* ids of processes with pinned traces, sorted */
    uint32_t pinned_count;
};

/* Apply these bounds whenever the process begins another segment, and also `now`. */
void kc_retention_ask(struct kc_retention *retention, uint64_t max_bytes,
                      uint64_t keep_ns, bool now);

/* Whether there is something to be done. */
bool kc_retention_is_due(const struct kc_retention *retention);

/* Do some milliseconds of it. */
void kc_retention_turn(struct kc_retention *retention, const char *directory,
                       const char *process_id, uint64_t segment);

/* Let go of what a pass has. */
void kc_retention_destroy(struct kc_retention *retention);

#endif
