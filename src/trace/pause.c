/* pause.c -- see pause.h. */

#include "compat.h"

#include "trace/pause.h"

#define COROUTINE_FLAGS (CO_COROUTINE | CO_ITERABLE_COROUTINE)

struct kc_thread_stream *
kc_pause_stream(struct kc_thread *thread, uint32_t number)
{
    struct kc_trace *trace =
        thread->announced ? kc_session_find_trace(thread->session, number) : NULL;
    return trace != NULL && trace->open ? kc_thread_stream_of(thread, trace) : NULL;
}

void
kc_pause_leave(struct kc_thread *thread)
{
    thread->stream = NULL;
    thread->scope_generation = thread->session->scope_generation - 1;
}

bool
kc_pause_follow(struct kc_thread *thread, kc_frame *frame, const struct kc_code *code)
{
    /* A generator's values are not for the record now, and it has no end of its own. */
    if ((code->code->co_flags & COROUTINE_FLAGS) == 0) {
        return false;
    }
    const struct kc_waiting *waiting =
        kc_waiting_borrow(&thread->session->waiting, frame, code->code);
    struct kc_thread_stream *stream =
        waiting != NULL ? kc_pause_stream(thread, waiting->trace_number) : NULL;
    if (stream != NULL) {
        thread->stream = stream;
    }
    return stream != NULL;
}
