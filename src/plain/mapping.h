/* mapping.h -- the shared file that holds blocks until SQLite has them, and their pool.
 *
 * The file is allocated in full before it is used (posix_fallocate): touching a hole on
 * a full disk would kill the program with SIGBUS. It is made under a name of its own
 * (`path` and ".new") and takes its real one when lock and header are in place: who
 * finds a mapping, finds a whole one. The creator holds an exclusive flock on it for
 * life; who gets that lock knows that the owner is dead. Where no file can be had, the
 * same memory is taken anonymously: everything works but the recovery, and `shared`
 * says so.
 *
 * Threads: take and give from any thread (they lock); the rest from one at a time.
 * Owns:    the memory, the file descriptor with the lock, the free list (outside the
 *          mapping: it dies with the process).
 * Fails:   KC_IO with errno, KC_NO_MEMORY, KC_BUSY, KC_CORRUPT.
 */

#ifndef KC_MAPPING_H
#define KC_MAPPING_H

#include <pthread.h>
#include <stdbool.h>

#include "plain/block.h"
#include "plain/descriptor.h"
#include "plain/status.h"

#define KC_MAPPING_HEADER_BYTES 4096u
#define KC_MAPPING_BLOCKS 256u /* 16 MiB */

#define KC_MAPPING_DEAD 4u /* a writer_state */

/* The header page, as in docs/reference/wire-format.md. */
struct kc_mapping_header {
    char magic[8];
    uint32_t version;
    uint32_t block_bytes;
    uint32_t block_count;
    uint32_t pid;
    char process_id[32];
    uint64_t started_ns;
    uint64_t started_utc_ns;
    _Atomic uint64_t anchor_ns;
    _Atomic uint64_t anchor_utc_ns;
    _Atomic uint64_t lost_records;
    _Atomic uint64_t segment;
    /* 0 never started, 1 running, 2 stopped, 3 failed, 4 dead: it is being recovered */
    _Atomic uint32_t writer_state;
    _Atomic uint32_t writer_error;
    _Atomic uint64_t last_word; /* what ended it, and a number (last_word.h) */
    _Atomic uint64_t kills;     /* of the system's for want of memory, and 1 */
    char boot[40];              /* which start of the system it was; "" unknown */
    char host[64];
};

struct kc_mapping {
    struct kc_mapping_header *header;
    struct kc_block *blocks;
    uint32_t block_count;
    int fd;                          /* -1: anonymous */
    struct kc_descriptor descriptor; /* what it is */
    int shared;
    char *path;
    pthread_mutex_t lock;    /* guards the free list */
    bool (*prepare)(void *); /* asked before the first block is given, until NULL */
    void *prepare_argument;
    pthread_cond_t freed;
    uint32_t free_count;
    uint32_t *free_list;
};

/* Create `path` (it must not exist) with `block_count` blocks, or fall back to
 * anonymous memory and leave the reason in *reason (an errno; 0 when shared). Start and
 * anchor are set to now. */
KC_MUST_CHECK enum kc_status kc_mapping_create(struct kc_mapping *mapping,
                                               const char *path, uint32_t block_count,
                                               const char *process_id, int *reason);

/* As above, in anonymous memory and without a file. The first kc_mapping_take() asks
 * `prepare`, with the GIL: it is to set `prepare` to NULL and give true, or no block is
 * to be had. */
KC_MUST_CHECK enum kc_status
kc_mapping_create_later(struct kc_mapping *mapping, const char *path,
                        uint32_t block_count, const char *process_id,
                        bool (*prepare)(void *), void *argument);

/* The file for a mapping that was created without one, before any block of it is taken:
 * it comes to stand where the memory is. 0, or the errno why all stays as it was. */
int kc_mapping_share(struct kc_mapping *mapping);

/* Whether there is a file, and its descriptor is that still: a program may have closed
 * it, or have a file of its own there. (What is mapped keeps the lock.) */
KC_MUST_CHECK bool kc_mapping_has_file(const struct kc_mapping *mapping);

/* Open a dead process's mapping for recovery, read only: takes its lock, KC_BUSY where
 * the owner lives (or another recovery runs, or just ended), KC_CORRUPT where it is
 * none of ours. The header is checked as far as it is needed; the blocks are not. */
KC_MUST_CHECK enum kc_status kc_mapping_open_dead(struct kc_mapping *mapping,
                                                  const char *path);

/* A free block, state FILLING, generation raised; NULL where there is none. */
struct kc_block *kc_mapping_take(struct kc_mapping *mapping);

/* As above, but wait until `deadline_ns` (CLOCK_MONOTONIC). Call without the GIL. */
struct kc_block *kc_mapping_take_wait(struct kc_mapping *mapping, uint64_t deadline_ns);

/* Give a block back: state FREE, whoever waits is woken. */
void kc_mapping_give(struct kc_mapping *mapping, struct kc_block *block);

/* Unmap and close, and with `unlink_file` remove it. */
void kc_mapping_destroy(struct kc_mapping *mapping, int unlink_file);

/* In the child of a fork: let go of lock and memory without touching the file. */
void kc_mapping_abandon(struct kc_mapping *mapping);

#endif
