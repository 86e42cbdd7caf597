/* queue.h -- bounded hand-off of full blocks from traced threads to the writer.
 *
 * Many producers, one consumer, first in first out. The queue also knows the block that
 * the definitions log fills at the moment: a batch and the log's next block are taken
 * under one lock, so that no record is saved before the definitions it needs.
 *
 * Threads: kc_queue_push() and kc_queue_set_definitions() from any thread;
 *          kc_queue_wait_room() from any, without the GIL; kc_queue_pop() from the
 *          writer only, and never with the GIL.
 * Owns:    a block between a successful push and the matching pop.
 * Fails:   KC_FULL, KC_CLOSED, KC_TIMEOUT. Allocates nothing after kc_queue_init().
 */

#ifndef KC_QUEUE_H
#define KC_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

#include "plain/block.h"
#include "plain/status.h"

#define KC_QUEUE_BLOCKS 128u /* 8 MiB */
/* A transaction costs more than a small block: where requests and tests hand over such,
 * the consumer waits this long for company, or for so many blocks. */
#define KC_QUEUE_GATHER_NS UINT64_C(40000000)
#define KC_QUEUE_GATHER_BLOCKS 16u

struct kc_queue {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t filled;
    pthread_cond_t room;
    struct kc_block **ring;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
    struct kc_block *definitions; /* being filled; borrowed */
    bool closed;
    bool gathering; /* the consumer waits for company: a single block wakes nobody */
    bool hurried;   /* somebody waits for blocks to be given back */
    uint64_t pushed_count;
    uint64_t popped_count;
    uint64_t flush_asked;  /* tickets of kc_queue_flush(): asked for … */
    uint64_t flush_done;   /* … and done */
    uint64_t flush_target; /* pushed_count when the last ticket was asked for */
    pthread_cond_t flushed;
};

KC_MUST_CHECK enum kc_status kc_queue_init(struct kc_queue *queue, uint32_t capacity);
void kc_queue_destroy(struct kc_queue *queue);

/* Hand `block` over (its state becomes FULL). On KC_OK the queue owns it; otherwise the
 * caller still does: KC_FULL, KC_CLOSED. */
KC_MUST_CHECK enum kc_status kc_queue_push(struct kc_queue *queue,
                                           struct kc_block *block);

/* Wait for room until `deadline_ns` (CLOCK_MONOTONIC): KC_OK, KC_TIMEOUT, KC_CLOSED. */
KC_MUST_CHECK enum kc_status kc_queue_wait_room(struct kc_queue *queue,
                                                uint64_t deadline_ns);

/* The definitions log fills `block` from now on; the block before it, if any, must be
 * pushed in the same call (`full`, or NULL), whatever the capacity: the log is never
 * dropped, and the ring has one place more for it. KC_FULL where even that is taken,
 * KC_CLOSED when nothing can be pushed; then nothing has changed. */
KC_MUST_CHECK enum kc_status kc_queue_set_definitions(struct kc_queue *queue,
                                                      struct kc_block *block,
                                                      struct kc_block *full);

/* Take up to `most` blocks, and borrow the log's next block: the oldest definitions
 * block that is not among them, be it in the ring or being filled (NULL: none). What
 * the taken blocks need is in earlier log blocks, among them, or in that one. Only the
 * consumer gives definitions blocks back, so the borrowed one stays.
 *
 * Waits until there is a block, and a little longer for more, a flush is asked for, the
 * queue is closed, or `deadline_ns`. Returns the number taken; *flush is the ticket to
 * report afterwards with kc_queue_flushed() (0: none yet), *closed is true when nothing
 * will come any more. */
uint32_t kc_queue_pop(struct kc_queue *queue, struct kc_block **blocks, uint32_t most,
                      struct kc_block **definitions, uint64_t *flush, bool *closed,
                      uint64_t deadline_ns);

/* Everything pushed before ticket `flush` was asked for is saved. */
void kc_queue_flushed(struct kc_queue *queue, uint64_t flush);

/* Ask that everything pushed so far, and the definitions, be saved; wait for it until
 * `deadline_ns`: KC_OK, KC_TIMEOUT, KC_CLOSED. Call without the GIL. */
KC_MUST_CHECK enum kc_status kc_queue_flush(struct kc_queue *queue,
                                            uint64_t deadline_ns);

/* Of trace number `trace` nothing is to be saved any more: its blocks that wait are
 * empty from now on. What the consumer has taken already is its own. */
void kc_queue_discard(struct kc_queue *queue, uint32_t trace);

uint32_t kc_queue_count(struct kc_queue *queue);

/* What there is must be taken now: the pool of blocks is empty. */
void kc_queue_hurry(struct kc_queue *queue);

/* No more pushes; the writer ends when it has saved what is there. */
void kc_queue_close(struct kc_queue *queue);
void kc_queue_reopen(struct kc_queue *queue);

#endif
