/* held.c -- traces of which it is decided at the end whether they are stored: held
 * ones. See session.h, and docs/adr/0024-held-traces.md.
 *
 * Their blocks go the way of all blocks. Their definitions do not go into the log, or
 * it would be full of traces that nobody stored: a block of definitions that the writer
 * never gets has their names, for readers and for a recovery. It is small and written
 * anew, in another block, whenever a name is to be added, changed or taken out. */

#include "session/session.h"

#include "plain/clock.h"

/* Behind the log's blocks, where a reader puts blocks in order. */
#define HELD_SEQUENCE (UINT64_C(1) << 62)

/* The names of the held traces into `block`; false where there was no room for one. */
static bool
held_fill(const struct kc_session *session, struct kc_block *block)
{
    struct kc_stream stream;
    bool whole = true;
    kc_stream_init(&stream, 0, 0);
    stream.next_sequence = HELD_SEQUENCE;
    stream.next_node = 0;
    kc_stream_give_block(&stream, block, KC_BLOCK_DEFINITIONS, kc_clock_ns());
    for (uint32_t i = 0; i < KC_TRACES_MOST; i++) {
        const struct kc_trace *trace = &session->traces[i];
        if (trace->number != 0 && trace->named) {
            struct kc_trace_facts facts = kc_session_trace_facts(trace);
            whole = kc_definitions_trace_into(&stream, &facts) && whole;
        }
    }
    return whole;
}

static bool
held_has_names(const struct kc_session *session)
{
    for (uint32_t i = 0; i < KC_TRACES_MOST; i++) {
        if (session->traces[i].number != 0 && session->traces[i].named) {
            return true;
        }
    }
    return false;
}

bool
kc_session_name_held(struct kc_session *session)
{
    struct kc_block *before = session->held;
    bool whole = true;
    session->held = NULL;
    if (held_has_names(session)) {
        session->held = kc_mapping_take(&session->mapping);
        if (session->held == NULL) {
            session->held = before;
            return false; /* what stood there still does */
        }
        whole = held_fill(session, session->held);
    }
    if (before != NULL) {
        kc_mapping_give(&session->mapping, before);
    }
    return whole;
}

void
kc_session_keep_held(struct kc_session *session, struct kc_trace *trace)
{
    bool was_named = trace->named;
    trace->held = false;
    trace->named = false;
    if (!was_named) {
        return;
    }
    if (!kc_session_announce(session, trace)) {
        kc_session_error(session, "a trace could not be announced");
    }
    (void)kc_session_name_held(session);
}

void
kc_session_drop_blocks(struct kc_session *session, uint32_t number, uint64_t segment)
{
    /* In this order: once the log tells of it, no block of it is to come. */
    kc_queue_discard(&session->queue, number);
    if (kc_definitions_trace_drop(session->definitions, number, segment) == 0) {
        kc_session_error(session, "what was saved of a trace could not be dropped");
    }
}
