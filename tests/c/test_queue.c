/* test_queue.c -- nothing is lost, nothing overtakes, and no record its definitions. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/queue.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "plain/clock.h"

#define BLOCKS 300u
#define FOREVER_NS UINT64_C(20000000000)

static struct kc_block
    *blocks; /* their data is not touched: BLOCKS x 64 KiB, unbacked */

static struct kc_block *
block_of_kind(uint32_t index, enum kc_block_kind kind)
{
    blocks[index].kind = kind;
    atomic_store(&blocks[index].state, KC_BLOCK_FILLING);
    return &blocks[index];
}

static uint64_t
soon(void)
{
    return kc_clock_system_ns() + 5000000;
}

/* The consumer is on its way, not there yet: that it must hurry was forgotten, and it
 * gathered for 40 ms while the program waited for a block. */
static void
test_who_must_hurry_does_not_gather(void)
{
    struct kc_queue queue;
    struct kc_block *got[8];
    struct kc_block *definitions = NULL;
    uint64_t flush = 0;
    bool closed = true;
    CHECK_EQUAL(KC_OK, kc_queue_init(&queue, 4));
    uint64_t least_ns = UINT64_MAX;
    for (uint32_t round = 0; round < 20; round++) {
        CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(0, KC_BLOCK_RECORDS)));
        kc_queue_hurry(&queue);
        uint64_t began_ns = kc_clock_system_ns();
        CHECK_EQUAL(
            1, kc_queue_pop(&queue, got, 8, &definitions, &flush, &closed, soon()));
        uint64_t took_ns = kc_clock_system_ns() - began_ns;
        least_ns = took_ns < least_ns ? took_ns : least_ns;
    }
    CHECK(least_ns < KC_QUEUE_GATHER_NS); /* the least: the machine may be busy */
    kc_queue_destroy(&queue);
}

static void
test_first_in_first_out(void)
{
    struct kc_queue queue;
    struct kc_block *got[8];
    struct kc_block *definitions = NULL;
    uint64_t flush = 0;
    bool closed = true;
    CHECK_EQUAL(KC_OK, kc_queue_init(&queue, 4));
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            struct kc_block *block = block_of_kind(i, KC_BLOCK_RECORDS);
            CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block));
            CHECK_EQUAL(KC_BLOCK_FULL, block->state);
        }
        CHECK_EQUAL(KC_FULL, kc_queue_push(&queue, block_of_kind(4, KC_BLOCK_RECORDS)));
        CHECK_EQUAL(KC_BLOCK_FILLING, blocks[4].state);
        CHECK_EQUAL(KC_TIMEOUT, kc_queue_wait_room(&queue, soon()));
        CHECK_EQUAL(
            3, kc_queue_pop(&queue, got, 3, &definitions, &flush, &closed, soon()));
        CHECK(got[0] == &blocks[0] && got[1] == &blocks[1] && got[2] == &blocks[2]);
        CHECK_EQUAL(KC_OK, kc_queue_wait_room(&queue, soon()));
        CHECK_EQUAL(
            1, kc_queue_pop(&queue, got, 8, &definitions, &flush, &closed, soon()));
        CHECK(got[0] == &blocks[3] && !closed && flush == 0 && definitions == NULL);
    }
    CHECK_EQUAL(0, kc_queue_pop(&queue, got, 8, &definitions, &flush, &closed, soon()));
    kc_queue_destroy(&queue);
}

/* The log's block is pushed behind records that need it. A batch that ends between them
 * must get it, not the block that the log fills by now. */
static void
test_the_log_block_behind_a_batch_comes_with_it(void)
{
    struct kc_queue queue;
    struct kc_block *got[8];
    struct kc_block *definitions = NULL;
    uint64_t flush = 0;
    bool closed = false;
    CHECK_EQUAL(KC_OK, kc_queue_init(&queue, 4));
    struct kc_block *log1 = block_of_kind(0, KC_BLOCK_DEFINITIONS);
    struct kc_block *log2 = block_of_kind(1, KC_BLOCK_DEFINITIONS);
    struct kc_block *log3 = block_of_kind(2, KC_BLOCK_DEFINITIONS);
    CHECK_EQUAL(KC_OK, kc_queue_set_definitions(&queue, log1, NULL));
    CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(3, KC_BLOCK_RECORDS)));
    CHECK_EQUAL(KC_OK, kc_queue_set_definitions(&queue, log2, log1));
    CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(4, KC_BLOCK_RECORDS)));
    CHECK_EQUAL(KC_OK, kc_queue_set_definitions(&queue, log3, log2));

    CHECK_EQUAL(1, kc_queue_pop(&queue, got, 1, &definitions, &flush, &closed, soon()));
    CHECK(definitions == log1);
    CHECK_EQUAL(1, kc_queue_pop(&queue, got, 1, &definitions, &flush, &closed, soon()));
    CHECK(got[0] == log1 && definitions == log2);
    CHECK_EQUAL(1, kc_queue_pop(&queue, got, 1, &definitions, &flush, &closed, soon()));
    CHECK(got[0] == &blocks[4] && definitions == log2);
    CHECK_EQUAL(1, kc_queue_pop(&queue, got, 1, &definitions, &flush, &closed, soon()));
    CHECK(got[0] == log2 && definitions == log3);
    kc_queue_destroy(&queue);
}

static void
test_the_log_has_a_place_of_its_own(void)
{
    struct kc_queue queue;
    CHECK_EQUAL(KC_OK, kc_queue_init(&queue, 2));
    struct kc_block *log1 = block_of_kind(0, KC_BLOCK_DEFINITIONS);
    struct kc_block *log2 = block_of_kind(1, KC_BLOCK_DEFINITIONS);
    struct kc_block *log3 = block_of_kind(2, KC_BLOCK_DEFINITIONS);
    CHECK_EQUAL(KC_OK, kc_queue_set_definitions(&queue, log1, NULL));
    CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(3, KC_BLOCK_RECORDS)));
    CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(4, KC_BLOCK_RECORDS)));
    CHECK_EQUAL(KC_OK, kc_queue_set_definitions(&queue, log2, log1));
    CHECK_EQUAL(KC_FULL, kc_queue_set_definitions(&queue, log3, log2));
    CHECK(queue.definitions == log2);
    CHECK_EQUAL(3, kc_queue_count(&queue));
    kc_queue_close(&queue);
    CHECK_EQUAL(KC_CLOSED, kc_queue_set_definitions(&queue, log3, log2));
    CHECK_EQUAL(KC_CLOSED, kc_queue_push(&queue, block_of_kind(5, KC_BLOCK_RECORDS)));
    CHECK_EQUAL(KC_CLOSED, kc_queue_wait_room(&queue, soon()));
    CHECK_EQUAL(KC_CLOSED, kc_queue_flush(&queue, soon()));
    kc_queue_destroy(&queue);
}

static void
test_a_closed_queue_is_drained(void)
{
    struct kc_queue queue;
    struct kc_block *got[2];
    struct kc_block *definitions = NULL;
    uint64_t flush = 0;
    bool closed = false;
    CHECK_EQUAL(KC_OK, kc_queue_init(&queue, 4));
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(i, KC_BLOCK_RECORDS)));
    }
    kc_queue_close(&queue);
    CHECK_EQUAL(2, kc_queue_pop(&queue, got, 2, &definitions, &flush, &closed, 0));
    CHECK(!closed);
    CHECK_EQUAL(1, kc_queue_pop(&queue, got, 2, &definitions, &flush, &closed, 0));
    CHECK(closed);
    kc_queue_reopen(&queue);
    CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(0, KC_BLOCK_RECORDS)));
    CHECK_EQUAL(1, kc_queue_pop(&queue, got, 2, &definitions, &flush, &closed, 0));
    CHECK(!closed);
    kc_queue_destroy(&queue);
}

static void
test_a_flush_is_done_when_all_before_it_is_saved(void)
{
    struct kc_queue queue;
    struct kc_block *got[2];
    struct kc_block *definitions = NULL;
    uint64_t flush = 0;
    bool closed = false;
    CHECK_EQUAL(KC_OK, kc_queue_init(&queue, 4));
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(i, KC_BLOCK_RECORDS)));
    }
    CHECK_EQUAL(KC_TIMEOUT, kc_queue_flush(&queue, soon())); /* asked for, not done */
    CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block_of_kind(3, KC_BLOCK_RECORDS)));
    CHECK_EQUAL(2, kc_queue_pop(&queue, got, 2, &definitions, &flush, &closed, soon()));
    CHECK_EQUAL(0, flush);
    CHECK_EQUAL(1, kc_queue_pop(&queue, got, 1, &definitions, &flush, &closed, soon()));
    CHECK_EQUAL(1, flush); /* the fourth came later */
    kc_queue_flushed(&queue, flush);
    CHECK_EQUAL(1, kc_queue_pop(&queue, got, 2, &definitions, &flush, &closed, soon()));
    uint64_t start_ns = kc_clock_system_ns();
    CHECK_EQUAL(0, kc_queue_pop(&queue, got, 2, &definitions, &flush, &closed,
                                start_ns + 5000000));
    CHECK(kc_clock_system_ns() >= start_ns + 5000000); /* nothing asked for is left */
    kc_queue_destroy(&queue);
}

/* ---- many producers at once ---- */

struct crowd {
    struct kc_queue queue;
    pthread_mutex_t gil; /* guards the log, as in a process */
    uint64_t defined;    /* highest definition in the log */
    struct kc_block *log;
    uint32_t free_count;
    uint32_t free_list[BLOCKS];
    pthread_mutex_t pool;
    uint32_t pushed[4];
    unsigned int turns;
};

static struct kc_block *
crowd_take(struct crowd *crowd, enum kc_block_kind kind)
{
    struct kc_block *block = NULL;
    while (block == NULL) {
        (void)pthread_mutex_lock(&crowd->pool);
        if (crowd->free_count > 0) {
            block = &blocks[crowd->free_list[--crowd->free_count]];
        }
        (void)pthread_mutex_unlock(&crowd->pool);
        if (block == NULL) {
            (void)usleep(50);
        }
    }
    block->kind = kind;
    block->definition = 0;
    atomic_store(&block->committed, 0);
    atomic_store(&block->saved, 0);
    return block;
}

static void
crowd_give(struct crowd *crowd, struct kc_block *block)
{
    (void)pthread_mutex_lock(&crowd->pool);
    crowd->free_list[crowd->free_count++] = (uint32_t)(block - blocks);
    (void)pthread_mutex_unlock(&crowd->pool);
}

/* `committed` of a log block is the highest definition in it. Every third definition
 * fills the block. */
static void
crowd_define(struct crowd *crowd)
{
    if (crowd->defined % 3 == 0) {
        struct kc_block *next = crowd_take(crowd, KC_BLOCK_DEFINITIONS);
        while (kc_queue_set_definitions(&crowd->queue, next, crowd->log) != KC_OK) {
            (void)usleep(50);
        }
        crowd->log = next;
    }
    crowd->defined++;
    atomic_store_explicit(&crowd->log->committed, crowd->defined, memory_order_release);
}

struct producer {
    struct crowd *crowd;
    uint32_t number;
};

static void *
produce(void *argument)
{
    struct producer *producer = argument;
    struct crowd *crowd = producer->crowd;
    for (uint32_t i = 0; i < crowd->turns; i++) {
        struct kc_block *block = crowd_take(crowd, KC_BLOCK_RECORDS);
        (void)pthread_mutex_lock(&crowd->gil);
        crowd_define(crowd);
        block->definition = crowd->defined;
        (void)pthread_mutex_unlock(&crowd->gil);
        block->thread_number = producer->number;
        block->sequence = i;
        while (kc_queue_push(&crowd->queue, block) == KC_FULL) {
            CHECK_EQUAL(KC_OK, kc_queue_wait_room(&crowd->queue,
                                                  kc_clock_system_ns() + FOREVER_NS));
        }
    }
    return NULL;
}

/* Save what one pop gave, as the writer would; the highest definition saved so far. */
static uint64_t
consume(struct crowd *crowd, struct kc_block *const *got, uint32_t count,
        const struct kc_block *definitions, uint64_t saved)
{
    for (uint32_t i = 0; i < count; i++) {
        if (got[i]->kind == KC_BLOCK_DEFINITIONS) {
            uint64_t last =
                atomic_load_explicit(&got[i]->committed, memory_order_acquire);
            saved = last > saved ? last : saved;
        }
    }
    if (definitions != NULL) {
        uint64_t last =
            atomic_load_explicit(&definitions->committed, memory_order_acquire);
        saved = last > saved ? last : saved;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (got[i]->kind == KC_BLOCK_RECORDS) {
            CHECK(got[i]->definition <= saved);
            CHECK_EQUAL(crowd->pushed[got[i]->thread_number], got[i]->sequence);
            crowd->pushed[got[i]->thread_number]++;
        }
        crowd_give(crowd, got[i]);
    }
    return saved;
}

static void *
close_when_done(void *argument)
{
    struct producer *producers = argument;
    pthread_t threads[4];
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_EQUAL(0, pthread_create(&threads[i], NULL, produce, &producers[i]));
    }
    for (uint32_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    kc_queue_close(&producers[0].crowd->queue);
    return NULL;
}

static void
test_no_record_is_saved_before_its_definitions(void)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    struct producer producers[4];
    struct kc_block *got[16];
    pthread_t closer;
    uint64_t saved = 0;
    uint32_t most = 0;
    bool closed = false;
    CHECK_EQUAL(KC_OK, kc_queue_init(&crowd->queue, 16));
    (void)pthread_mutex_init(&crowd->gil, NULL);
    (void)pthread_mutex_init(&crowd->pool, NULL);
    crowd->turns = 2000;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        crowd->free_list[crowd->free_count++] = i;
    }
    for (uint32_t i = 0; i < 4; i++) {
        producers[i] = (struct producer){crowd, i};
    }
    CHECK_EQUAL(0, pthread_create(&closer, NULL, close_when_done, producers));
    while (!closed) {
        struct kc_block *definitions = NULL;
        uint64_t flush = 0;
        most = most % 16 + 1;
        uint32_t count = kc_queue_pop(&crowd->queue, got, most, &definitions, &flush,
                                      &closed, kc_clock_system_ns() + FOREVER_NS);
        saved = consume(crowd, got, count, definitions, saved);
    }
    (void)pthread_join(closer, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_EQUAL(crowd->turns, crowd->pushed[i]);
    }
    CHECK_EQUAL(crowd->defined, saved);
    kc_queue_destroy(&crowd->queue);
    free(crowd);
}

/* They are given back by the consumer, so a flush counts them as any. */
static void
test_what_is_discarded_is_empty_but_in_its_place(void)
{
    struct kc_queue queue;
    struct kc_block *got[8];
    struct kc_block *definitions = NULL;
    uint64_t flush = 0;
    bool closed = false;
    CHECK_EQUAL(KC_OK, kc_queue_init(&queue, 4));
    for (uint32_t i = 0; i < 4; i++) {
        struct kc_block *block =
            block_of_kind(i, i == 2 ? KC_BLOCK_DEFINITIONS : KC_BLOCK_RECORDS);
        block->trace_number = i == 3 ? 6 : 5;
        atomic_store(&block->committed, 10);
        CHECK_EQUAL(KC_OK, kc_queue_push(&queue, block));
    }
    kc_queue_discard(&queue, 5);
    CHECK_EQUAL(4, kc_queue_pop(&queue, got, 8, &definitions, &flush, &closed, soon()));
    CHECK(kc_block_bytes(got[0]) == 0 && kc_block_bytes(got[1]) == 0);
    CHECK(kc_block_bytes(got[2]) == 10 && kc_block_bytes(got[3]) == 10);
    kc_queue_destroy(&queue);
}

int
main(void)
{
    blocks = calloc(BLOCKS, sizeof *blocks);
    if (blocks == NULL) {
        return 1;
    }
    test_first_in_first_out();
    test_who_must_hurry_does_not_gather();
    test_the_log_block_behind_a_batch_comes_with_it();
    test_the_log_has_a_place_of_its_own();
    test_a_closed_queue_is_drained();
    test_a_flush_is_done_when_all_before_it_is_saved();
    test_no_record_is_saved_before_its_definitions();
    test_what_is_discarded_is_empty_but_in_its_place();
    free(blocks);
    return check_result("queue");
}
