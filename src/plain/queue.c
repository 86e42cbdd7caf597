/* queue.c -- see queue.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/queue.h"

#include <stdlib.h>
#include <string.h>

#include "plain/wait.h"

enum kc_status
kc_queue_init(struct kc_queue *queue, uint32_t capacity)
{
    memset(queue, 0, sizeof *queue);
    /* One place more than `capacity`, for the definitions log. */
    queue->ring = calloc((size_t)capacity + 1, sizeof *queue->ring);
    if (queue->ring == NULL) {
        return KC_NO_MEMORY;
    }
    queue->capacity = capacity;
    if (pthread_mutex_init(&queue->lock, NULL) != 0) {
        goto no_lock;
    }
    if (!kc_wait_init(&queue->filled)) {
        goto no_filled;
    }
    if (!kc_wait_init(&queue->room)) {
        goto no_room;
    }
    if (!kc_wait_init(&queue->flushed)) {
        goto no_flushed;
    }
    return KC_OK;

no_flushed:
    (void)pthread_cond_destroy(&queue->room);
no_room:
    (void)pthread_cond_destroy(&queue->filled);
no_filled:
    (void)pthread_mutex_destroy(&queue->lock);
no_lock:
    free(queue->ring);
    queue->ring = NULL;
    return KC_NO_MEMORY;
}

void
kc_queue_destroy(struct kc_queue *queue)
{
    if (queue->ring == NULL) {
        return;
    }
    (void)pthread_cond_destroy(&queue->flushed);
    (void)pthread_cond_destroy(&queue->room);
    (void)pthread_cond_destroy(&queue->filled);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue->ring);
    queue->ring = NULL;
}

static struct kc_block **
queue_borrow_slot(struct kc_queue *queue, uint32_t index)
{
    return &queue->ring[(queue->head + index) % (queue->capacity + 1)];
}

static void
queue_append(struct kc_queue *queue, struct kc_block *block)
{
    atomic_store_explicit(&block->state, KC_BLOCK_FULL, memory_order_release);
    *queue_borrow_slot(queue, queue->count) = block;
    queue->count++;
    queue->pushed_count++;
    if (!queue->gathering || queue->count >= KC_QUEUE_GATHER_BLOCKS) {
        (void)pthread_cond_signal(&queue->filled);
    }
}

enum kc_status
kc_queue_push(struct kc_queue *queue, struct kc_block *block)
{
    enum kc_status status = KC_OK;
    (void)pthread_mutex_lock(&queue->lock);
    if (queue->closed) {
        status = KC_CLOSED;
    }
    else if (queue->count >= queue->capacity) {
        status = KC_FULL;
    }
    else {
        queue_append(queue, block);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return status;
}

enum kc_status
kc_queue_wait_room(struct kc_queue *queue, uint64_t deadline_ns)
{
    enum kc_status status = KC_OK;
    (void)pthread_mutex_lock(&queue->lock);
    while (!queue->closed && queue->count >= queue->capacity) {
        if (!kc_wait_until(&queue->room, &queue->lock, deadline_ns)) {
            break;
        }
    }
    if (queue->closed) {
        status = KC_CLOSED;
    }
    else if (queue->count >= queue->capacity) {
        status = KC_TIMEOUT;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return status;
}

enum kc_status
kc_queue_set_definitions(struct kc_queue *queue, struct kc_block *block,
                         struct kc_block *full)
{
    enum kc_status status = KC_OK;
    (void)pthread_mutex_lock(&queue->lock);
    if (full != NULL && queue->closed) {
        status = KC_CLOSED;
    }
    else if (full != NULL && queue->count > queue->capacity) {
        status = KC_FULL;
    }
    else {
        if (full != NULL) {
            queue_append(queue, full);
        }
        queue->definitions = block;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return status;
}

/* A record's definitions were in the log before its block was pushed. So they are in a
 * log block that was pushed before it, or in the one that was being filled then: that
 * one is the first log block behind it in the ring, or still being filled. */
static struct kc_block *
queue_borrow_next_definitions(struct kc_queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++) {
        struct kc_block *block = *queue_borrow_slot(queue, i);
        if (block->kind == KC_BLOCK_DEFINITIONS) {
            return block;
        }
    }
    return queue->definitions;
}

/* With the first block: wait for more of them. */
static void
queue_gather(struct kc_queue *queue)
{
    uint64_t until_ns = kc_clock_system_ns() + KC_QUEUE_GATHER_NS;
    queue->gathering = true;
    while (queue->count < KC_QUEUE_GATHER_BLOCKS && !queue->closed && !queue->hurried &&
           queue->flush_asked == queue->flush_done)
    {
        if (!kc_wait_until(&queue->filled, &queue->lock, until_ns)) {
            break;
        }
    }
    queue->gathering = false;
    queue->hurried = false;
}

uint32_t
kc_queue_pop(struct kc_queue *queue, struct kc_block **blocks, uint32_t most,
             struct kc_block **definitions, uint64_t *flush, bool *closed,
             uint64_t deadline_ns)
{
    (void)pthread_mutex_lock(&queue->lock);
    while (queue->count == 0 && !queue->closed &&
           queue->flush_asked == queue->flush_done) {
        if (!kc_wait_until(&queue->filled, &queue->lock, deadline_ns)) {
            break;
        }
    }
    if (queue->count != 0) {
        queue_gather(queue);
    }
    uint32_t count = queue->count < most ? queue->count : most;
    for (uint32_t i = 0; i < count; i++) {
        blocks[i] = *queue_borrow_slot(queue, i);
    }
    queue->head = (queue->head + count) % (queue->capacity + 1);
    queue->count -= count;
    queue->popped_count += count;
    if (count > 0) {
        (void)pthread_cond_broadcast(&queue->room);
    }
    *definitions = queue_borrow_next_definitions(queue);
    *flush = queue->popped_count >= queue->flush_target ? queue->flush_asked : 0;
    *closed = queue->closed && queue->count == 0;
    (void)pthread_mutex_unlock(&queue->lock);
    return count;
}

void
kc_queue_hurry(struct kc_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->hurried = true; /* the consumer may be on its way to what was pushed */
    (void)pthread_cond_signal(&queue->filled);
    (void)pthread_mutex_unlock(&queue->lock);
}

void
kc_queue_flushed(struct kc_queue *queue, uint64_t flush)
{
    (void)pthread_mutex_lock(&queue->lock);
    if (flush > queue->flush_done) {
        queue->flush_done = flush;
        (void)pthread_cond_broadcast(&queue->flushed);
    }
    (void)pthread_mutex_unlock(&queue->lock);
}

enum kc_status
kc_queue_flush(struct kc_queue *queue, uint64_t deadline_ns)
{
    enum kc_status status = KC_OK;
    (void)pthread_mutex_lock(&queue->lock);
    if (queue->closed) {
        (void)pthread_mutex_unlock(&queue->lock);
        return KC_CLOSED;
    }
    uint64_t ticket = ++queue->flush_asked;
    queue->flush_target = queue->pushed_count;
    (void)pthread_cond_signal(&queue->filled);
    while (queue->flush_done < ticket && !queue->closed) {
        if (!kc_wait_until(&queue->flushed, &queue->lock, deadline_ns)) {
            break;
        }
    }
    if (queue->flush_done < ticket) {
        status = queue->closed ? KC_CLOSED : KC_TIMEOUT;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return status;
}

void
kc_queue_discard(struct kc_queue *queue, uint32_t trace)
{
    (void)pthread_mutex_lock(&queue->lock);
    for (uint32_t i = 0; i < queue->count; i++) {
        struct kc_block *block = *queue_borrow_slot(queue, i);
        if (block->kind == KC_BLOCK_RECORDS && block->trace_number == trace) {
            atomic_store_explicit(&block->committed, 0, memory_order_release);
        }
    }
    (void)pthread_mutex_unlock(&queue->lock);
}

uint32_t
kc_queue_count(struct kc_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    uint32_t count = queue->count;
    (void)pthread_mutex_unlock(&queue->lock);
    return count;
}

void
kc_queue_close(struct kc_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    (void)pthread_cond_broadcast(&queue->filled);
    (void)pthread_cond_broadcast(&queue->room);
    (void)pthread_cond_broadcast(&queue->flushed);
    (void)pthread_mutex_unlock(&queue->lock);
}

void
kc_queue_reopen(struct kc_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->closed = false;
    (void)pthread_mutex_unlock(&queue->lock);
}
