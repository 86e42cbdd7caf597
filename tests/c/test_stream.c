/* test_stream.c -- block headers say what a simple model says, whatever the calls do.
 *
 * The model remembers every record and works each header out from the start; the
 * stream may only look at what it has at hand. Random programs of calls, generators,
 * notes and lost frames run on both.
 */

#include "plain/stream.h"

#include <stdlib.h>

#include "check.h"

#define STACK_MOST 20000u
#define SUSPENDED_MOST 64u
#define RECORDS_MOST 65536u /* in one block */

/* A record, and the depth after it. */
struct step {
    enum kc_kind kind;
    uint64_t node;  /* it begins, ends, suspends or resumes; 0: none */
    uint64_t began; /* sequence of the block with the node's first record */
    uint64_t time_ns;
    uint32_t depth;
};

struct call {
    uint64_t node;
    uint64_t began;
};

struct rig {
    struct kc_stream stream;
    struct kc_block *block;
    struct kc_open opens[STACK_MOST];
    struct call calls[STACK_MOST];
    uint32_t depth;
    struct call suspended[SUSPENDED_MOST];
    uint32_t suspended_count;
    uint64_t next_node;
    uint64_t now_ns;
    /* Of the block being filled. */
    struct step *steps;
    uint32_t step_count;
    uint32_t start_depth;
    uint32_t least_depth; /* drops included */
    uint64_t first_node;
    /* The stack as a reader works it out from the headers so far. */
    uint64_t reader[STACK_MOST];
    uint32_t reader_depth;
    uint64_t at_start[STACK_MOST];
    uint32_t block_count;
    unsigned int seed;
};

static unsigned int
rig_random(struct rig *rig, unsigned int below)
{
    rig->seed = rig->seed * 1103515245u + 12345u;
    return (rig->seed >> 12) % below;
}

static void
rig_begin_block(struct rig *rig)
{
    rig->now_ns += 3;
    kc_stream_give_block(&rig->stream, rig->block, KC_BLOCK_RECORDS, rig->now_ns);
    rig->step_count = 0;
    rig->start_depth = rig->depth;
    rig->least_depth = rig->depth;
    rig->first_node = rig->next_node;
    for (uint32_t i = 0; i < rig->depth; i++) {
        rig->at_start[i] = rig->calls[i].node;
    }
    /* What the headers of the blocks before say is open now is what is open now. */
    CHECK_EQUAL(rig->depth, rig->reader_depth);
    CHECK(memcmp(rig->reader, rig->at_start, rig->depth * sizeof rig->reader[0]) == 0);
}

/* The nth close or open from the block's end, of `size` bytes each. */
static const uint8_t *
tail_at(const struct kc_block *block, uint64_t skipped, uint64_t n, size_t size)
{
    return block->data + KC_BLOCK_DATA_BYTES - skipped - (n + 1) * size;
}

static void
rig_check_closes(const struct rig *rig, const struct kc_block *block)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < rig->step_count; i++) {
        const struct step *step = &rig->steps[i];
        bool ends = step->kind == KC_KIND_RETURN || step->kind == KC_KIND_RAISE;
        if (!ends || step->began == block->sequence) {
            continue;
        }
        struct kc_close close;
        memcpy(&close, tail_at(block, 0, count, sizeof close), sizeof close);
        CHECK_EQUAL(step->node, close.node);
        CHECK_EQUAL(step->time_ns, close.end_ns);
        CHECK_EQUAL(step->kind, close.kind);
        count++;
    }
    CHECK_EQUAL(count, kc_block_close_count(block));
}

static void
rig_check_opens(struct rig *rig, const struct kc_block *block)
{
    uint64_t skipped = kc_block_close_count(block) * sizeof(struct kc_close);
    uint32_t kept = block->least_depth;
    CHECK_EQUAL(rig->depth - kept, block->open_count);
    for (uint32_t i = 0; i < block->open_count && kept + i < rig->depth; i++) {
        uint64_t node = 0;
        memcpy(&node, tail_at(block, skipped, i, sizeof node), sizeof node);
        CHECK_EQUAL(rig->calls[kept + i].node, node);
        rig->reader[kept + i] = node;
    }
    rig->reader_depth = kept + block->open_count;
}

static void
rig_check_records(const struct rig *rig, const struct kc_block *block)
{
    struct kc_walk walk = {block->data, block->data + kc_block_bytes(block)};
    uint64_t time_ns = block->base_ns;
    uint32_t count = 0;
    while (walk.at < walk.end && count < rig->step_count) {
        struct kc_walk inside = walk;
        struct kc_token array;
        struct kc_token kind;
        struct kc_token dt;
        CHECK_EQUAL(KC_OK, kc_walk_skip(&walk));
        CHECK_EQUAL(KC_OK, kc_walk_next(&inside, &array));
        CHECK_EQUAL(KC_OK, kc_walk_next(&inside, &kind));
        CHECK_EQUAL(KC_OK, kc_walk_next(&inside, &dt));
        time_ns += dt.uint;
        CHECK_EQUAL(rig->steps[count].kind, kind.uint);
        CHECK_EQUAL(rig->steps[count].time_ns, time_ns);
        count++;
    }
    CHECK(walk.at == walk.end);
    CHECK_EQUAL(rig->step_count, count);
    CHECK_EQUAL(time_ns, block->last_ns);
}

static void
rig_end_block(struct rig *rig)
{
    struct kc_block *block = kc_stream_take_block(&rig->stream, rig->opens, 77);
    CHECK(block == rig->block);
    CHECK_EQUAL(rig->block_count++, block->sequence);
    CHECK_EQUAL(77, block->definition);
    CHECK_EQUAL(rig->start_depth, block->start_depth);
    CHECK_EQUAL(rig->least_depth, block->least_depth);
    CHECK_EQUAL(rig->first_node, block->first_node);
    CHECK_EQUAL(rig->next_node - rig->first_node, block->node_count);
    CHECK_EQUAL(rig->step_count, block->record_count);
    CHECK(kc_block_bytes(block) +
              kc_block_close_count(block) * sizeof(struct kc_close) +
              block->open_count * sizeof(uint64_t) <=
          KC_BLOCK_DATA_BYTES);
    rig_check_closes(rig, block);
    rig_check_opens(rig, block);
    rig_check_records(rig, block);
}

/* A cursor with the record written, in the next block where this one is full. */
static struct kc_cursor
rig_write(struct rig *rig, enum kc_kind kind, size_t payload)
{
    static const uint8_t zeros[KC_RECORD_MAX_BYTES];
    rig->now_ns += rig_random(rig, 300);
    for (int i = 0;; i++) {
        struct kc_cursor cursor =
            kc_stream_begin(&rig->stream, rig->now_ns, kind, payload == 0 ? 0 : 1);
        if (payload != 0) {
            kc_wire_bin(&cursor, zeros, payload);
        }
        if (cursor.status == KC_OK) {
            return cursor;
        }
        CHECK(i == 0); /* it fits in an empty block */
        rig_end_block(rig);
        rig_begin_block(rig);
    }
}

static void
rig_note_step(struct rig *rig, enum kc_kind kind, const struct call *call)
{
    struct step step = {kind, 0, 0, rig->now_ns, rig->depth};
    if (call != NULL) {
        step.node = call->node;
        step.began = call->began;
    }
    rig->steps[rig->step_count++] = step;
    if (rig->depth < rig->least_depth) {
        rig->least_depth = rig->depth;
    }
}

static void
rig_call(struct rig *rig, size_t payload)
{
    struct kc_cursor cursor = rig_write(rig, KC_KIND_CALL, payload);
    struct kc_open open = kc_stream_commit_push(&rig->stream, &cursor, rig->now_ns);
    CHECK_EQUAL(rig->next_node, open.node);
    struct call call = {rig->next_node++, open.sequence};
    rig->opens[rig->depth] = open;
    rig->calls[rig->depth++] = call;
    rig_note_step(rig, KC_KIND_CALL, &call);
}

static void
rig_pop(struct rig *rig, enum kc_kind kind, size_t payload)
{
    struct kc_cursor cursor = rig_write(rig, kind, payload);
    struct call call = rig->calls[rig->depth - 1];
    kc_stream_commit_pop(&rig->stream, &cursor, &rig->opens[rig->depth - 1], call.began,
                         kind, rig->now_ns);
    rig->depth--;
    if (kind == KC_KIND_YIELD) {
        rig->suspended[rig->suspended_count++] = call;
    }
    rig_note_step(rig, kind, &call);
}

static void
rig_resume(struct rig *rig, enum kc_kind kind, size_t payload)
{
    struct kc_cursor cursor = rig_write(rig, kind, payload);
    uint32_t which = rig_random(rig, rig->suspended_count);
    struct call call = rig->suspended[which];
    rig->suspended[which] = rig->suspended[--rig->suspended_count];
    rig->opens[rig->depth] =
        kc_stream_commit_push_again(&rig->stream, &cursor, call.node, rig->now_ns);
    rig->calls[rig->depth++] = call;
    rig_note_step(rig, kind, &call);
}

static void
rig_note(struct rig *rig, size_t payload)
{
    struct kc_cursor cursor = rig_write(rig, KC_KIND_NOTE, payload);
    CHECK_EQUAL(rig->next_node,
                kc_stream_commit_node(&rig->stream, &cursor, rig->now_ns));
    rig->next_node++;
    rig_note_step(rig, KC_KIND_NOTE, NULL);
}

/* Up to three frames went without a record; a mark says so. */
static void
rig_drop(struct rig *rig)
{
    uint32_t count = 1 + rig_random(rig, 3);
    for (uint32_t i = 0; i < count && rig->depth > 0; i++) {
        kc_stream_drop(&rig->stream, &rig->opens[rig->depth - 1]);
        rig->depth--;
        if (rig->depth < rig->least_depth) {
            rig->least_depth = rig->depth;
        }
    }
    struct kc_cursor cursor = rig_write(rig, KC_KIND_MARK, 4);
    kc_stream_commit(&rig->stream, &cursor, rig->now_ns);
    rig_note_step(rig, KC_KIND_MARK, NULL);
}

static struct rig *
rig_new(unsigned int seed)
{
    struct rig *rig = calloc(1, sizeof *rig);
    rig->block = calloc(1, sizeof *rig->block);
    rig->steps = calloc(RECORDS_MOST, sizeof *rig->steps);
    rig->next_node = 1;
    rig->now_ns = 1000;
    rig->seed = seed;
    kc_stream_init(&rig->stream, 1, 2);
    CHECK_EQUAL(KC_FULL, kc_stream_begin_plain(&rig->stream).status);
    CHECK(kc_stream_take_block(&rig->stream, NULL, 0) == NULL);
    rig_begin_block(rig);
    return rig;
}

static void
rig_free(struct rig *rig)
{
    rig_end_block(rig);
    free(rig->steps);
    free(rig->block);
    free(rig);
}

static void
test_deep_recursion_unwinds_over_many_blocks(void)
{
    for (size_t payload = 0; payload < 60; payload += 7) {
        struct rig *rig = rig_new(1);
        for (uint32_t i = 0; i < STACK_MOST; i++) {
            rig_call(rig, payload);
        }
        while (rig->depth > 0) {
            rig_pop(rig, rig->depth % 5 == 0 ? KC_KIND_RAISE : KC_KIND_RETURN, 0);
        }
        CHECK(rig->block_count >= 8);
        rig_free(rig);
    }
}

/* The tightest case: a record of three bytes costs a close of 24. */
static void
test_closes_never_meet_the_records(void)
{
    struct rig *rig = rig_new(2);
    for (int round = 0; round < 3; round++) {
        while (rig->depth < STACK_MOST) {
            rig_call(rig, 0);
        }
        while (rig->depth > 0) {
            rig_pop(rig, KC_KIND_RETURN, 0);
        }
    }
    rig_free(rig);
}

/* A generator begun in an earlier block, resumed and ended in this one: its open goes
 * and its close comes. */
static void
test_resumed_generators_end_in_later_blocks(void)
{
    struct rig *rig = rig_new(3);
    for (int round = 0; round < 3000; round++) {
        while (rig->suspended_count < SUSPENDED_MOST) {
            rig_call(rig, 3);
            rig_pop(rig, KC_KIND_YIELD, 0);
        }
        for (int i = 0; i < 60; i++) {
            rig_resume(rig, KC_KIND_RESUME, 0);
        }
        while (rig->depth > 0) {
            rig_pop(rig, rig_random(rig, 9) == 0 ? KC_KIND_YIELD : KC_KIND_RETURN, 0);
        }
    }
    rig_free(rig);
}

static size_t
random_payload(struct rig *rig)
{
    unsigned int kind = rig_random(rig, 1000);
    return kind == 0 ? 30000 : kind < 50 ? rig_random(rig, 3000) : rig_random(rig, 40);
}

static void
rig_random_step(struct rig *rig, unsigned int climb)
{
    unsigned int choice = rig_random(rig, 100);
    size_t payload = random_payload(rig);
    if (choice < climb && rig->depth < STACK_MOST - 1) {
        rig_call(rig, payload);
    }
    else if (choice < 90 && rig->depth > 0) {
        bool suspend = rig_random(rig, 4) == 0 && rig->suspended_count < SUSPENDED_MOST;
        rig_pop(rig, suspend ? KC_KIND_YIELD : KC_KIND_RETURN, payload);
    }
    else if (choice < 96 && rig->suspended_count > 0 && rig->depth < STACK_MOST - 1) {
        rig_resume(rig, choice < 93 ? KC_KIND_RESUME : KC_KIND_THROW, payload);
    }
    else if (choice == 99 && rig_random(rig, 20) == 0) {
        rig_drop(rig);
    }
    else {
        rig_note(rig, payload);
    }
}

static void
test_random_programs_agree_with_the_model(void)
{
    for (unsigned int seed = 10; seed < 40; seed++) {
        struct rig *rig = rig_new(seed);
        unsigned int climb = 45;
        for (int i = 0; i < 20000; i++) {
            if (i % 2000 == 0) {
                climb = 30 + rig_random(rig, 35);
            }
            rig_random_step(rig, climb);
        }
        CHECK(rig->block_count > 3);
        rig_free(rig);
    }
}

static void
test_a_clock_that_steps_back_gives_no_negative_time(void)
{
    struct kc_stream stream;
    struct kc_block *block = calloc(1, sizeof *block);
    kc_stream_init(&stream, 1, 1);
    kc_stream_give_block(&stream, block, KC_BLOCK_RECORDS, 500);
    struct kc_cursor cursor = kc_stream_begin(&stream, 400, KC_KIND_NOTE, 0);
    CHECK_EQUAL(KC_OK, cursor.status);
    (void)kc_stream_commit_node(&stream, &cursor, 400);
    CHECK_EQUAL(500, block->last_ns);
    CHECK(memcmp(block->data, "\x92\x0b\x00", 3) == 0);
    (void)kc_stream_take_block(&stream, NULL, 0);
    kc_stream_give_block(&stream, block, KC_BLOCK_RECORDS, 450);
    CHECK_EQUAL(500, block->base_ns);
    free(block);
}

/* Fields may be written without a look at the cursor, empty ones too. */
static void
test_without_a_block_nothing_is_written(void)
{
    struct kc_stream stream;
    kc_stream_init(&stream, 1, 1);
    struct kc_cursor cursor = kc_stream_begin(&stream, 1, KC_KIND_NOTE, 2);
    kc_wire_bin(&cursor, "", 0);
    kc_wire_text(&cursor, "x");
    CHECK_EQUAL(KC_FULL, cursor.status);
    CHECK(cursor.at == cursor.start);
}

static void
test_a_record_that_does_not_fit_is_never_seen(void)
{
    static const uint8_t zeros[KC_RECORD_MAX_BYTES];
    struct kc_stream stream;
    struct kc_block *block = calloc(1, sizeof *block);
    kc_stream_init(&stream, 1, 1);
    kc_stream_give_block(&stream, block, KC_BLOCK_RECORDS, 1);
    struct kc_cursor cursor = kc_stream_begin(&stream, 2, KC_KIND_NOTE, 1);
    kc_wire_bin(&cursor, zeros, sizeof zeros); /* 32 KiB and its head: too long */
    CHECK_EQUAL(KC_FULL, cursor.status);
    CHECK_EQUAL(0, kc_block_bytes(block));
    CHECK_EQUAL(0, block->record_count);
    free(block);
}

int
main(void)
{
    test_deep_recursion_unwinds_over_many_blocks();
    test_closes_never_meet_the_records();
    test_resumed_generators_end_in_later_blocks();
    test_random_programs_agree_with_the_model();
    test_a_clock_that_steps_back_gives_no_negative_time();
    test_without_a_block_nothing_is_written();
    test_a_record_that_does_not_fit_is_never_seen();
    return check_result("stream");
}
