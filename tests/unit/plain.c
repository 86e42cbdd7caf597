/* plain.c -- src/plain for tests in Python: a stream that is driven by a list of steps,
 * and the rig of tests/c.
 *
 * Threads: one at a time.
 * Owns:    nothing between calls but a rig, until plain_rig_finish().
 * Fails:   by a number that is not 0.
 */

#include <stdlib.h>

#include "check.h"
#include "plain/clock.h"
#include "plain/stream.h"
#include "rig.h"

#define STACK_MOST 4096u

/* One step: what is done, with which kind, how many bytes of payload, when. */
struct plain_step {
    uint64_t what;
    uint64_t kind;
    uint64_t bytes;
    uint64_t now_ns;
};

enum { STEP_COMMIT, STEP_NODE, STEP_PUSH, STEP_AGAIN, STEP_POP, STEP_DROP, STEP_OVER };

struct plain_run {
    struct kc_stream stream;
    struct kc_block *block;
    struct kc_open opens[STACK_MOST];
    uint64_t began[STACK_MOST];
    uint32_t depth;
    struct kc_open suspended;
    uint64_t suspended_began;
    uint8_t *out;
    size_t blocks;
};

static void
run_give(struct plain_run *run, uint64_t now_ns)
{
    memset(run->block, 0, sizeof *run->block);
    kc_stream_give_block(&run->stream, run->block, KC_BLOCK_RECORDS, now_ns);
}

static void
run_over(struct plain_run *run)
{
    struct kc_block *block = kc_stream_take_block(&run->stream, run->opens, 77);
    if (block != NULL) {
        memcpy(run->out + run->blocks * KC_BLOCK_BYTES, block, KC_BLOCK_BYTES);
        run->blocks++;
    }
}

static void
run_commit(struct plain_run *run, const struct plain_step *step,
           const struct kc_cursor *cursor)
{
    struct kc_stream *stream = &run->stream;
    struct kc_open *top = &run->opens[run->depth];
    switch (step->what) {
    case STEP_COMMIT:
        kc_stream_commit(stream, cursor, step->now_ns);
        break;
    case STEP_NODE:
        (void)kc_stream_commit_node(stream, cursor, step->now_ns);
        break;
    case STEP_PUSH:
        run->began[run->depth++] = stream->block->sequence;
        *top = kc_stream_commit_push(stream, cursor, step->now_ns);
        break;
    case STEP_AGAIN:
        run->began[run->depth++] = run->suspended_began;
        *top = kc_stream_commit_push_again(stream, cursor, run->suspended.node,
                                           step->now_ns);
        break;
    case STEP_POP:
        run->depth--;
        run->suspended = run->opens[run->depth];
        run->suspended_began = run->began[run->depth];
        kc_stream_commit_pop(stream, cursor, &run->suspended, run->suspended_began,
                             (enum kc_kind)step->kind, step->now_ns);
        break;
    default:
        break;
    }
}

/* Run the steps; the blocks that were handed over go to `out`, one after the other. */
size_t plain_stream_run(const struct plain_step *steps, size_t count, uint8_t *out);

size_t
plain_stream_run(const struct plain_step *steps, size_t count, uint8_t *out)
{
    static const uint8_t zeros[KC_RECORD_MAX_BYTES + 64];
    struct plain_run *run = calloc(1, sizeof *run);
    run->block = calloc(1, sizeof *run->block);
    run->out = out;
    kc_stream_init(&run->stream, 3, 5);
    for (size_t i = 0; i < count; i++) {
        const struct plain_step *step = &steps[i];
        if (step->what == STEP_DROP) {
            run->depth--;
            kc_stream_drop(&run->stream, &run->opens[run->depth]);
            continue;
        }
        if (step->what == STEP_OVER) {
            run_over(run);
            continue;
        }
        for (int attempt = 0; attempt < 2; attempt++) {
            struct kc_cursor cursor = kc_stream_begin(&run->stream, step->now_ns,
                                                      (enum kc_kind)step->kind, 1);
            kc_wire_bin(&cursor, zeros, step->bytes);
            if (cursor.status == KC_OK) {
                run_commit(run, step, &cursor);
                break;
            }
            if (attempt == 0) {
                run_over(run);
                run_give(run, step->now_ns);
            }
        }
    }
    run_over(run);
    size_t blocks = run->blocks;
    free(run->block);
    free(run);
    return blocks;
}

struct rig *plain_rig_start(const char *folder, uint64_t segment_max_bytes,
                            uint64_t payload);
void plain_rig_write(struct rig *rig, uint64_t count);
int plain_rig_finish(struct rig *rig);

struct rig *
plain_rig_start(const char *folder, uint64_t segment_max_bytes, uint64_t payload)
{
    struct rig *rig = calloc(1, sizeof *rig);
    if (rig != NULL) {
        rig_init(rig, folder);
        rig->writer.segment_max_bytes = segment_max_bytes;
        rig->payload = payload;
        rig_start(rig);
    }
    return rig;
}

void
plain_rig_write(struct rig *rig, uint64_t count)
{
    while (count-- > 0) {
        rig_write(rig);
    }
}

int
plain_rig_finish(struct rig *rig)
{
    rig_finish(rig);
    free(rig);
    return check_failed_count;
}
