/* ending.c -- see ending.h. */

#include "compat.h"

#include <stdio.h>

#include "trace/ending.h"

#include "trace/limit.h"

/* The counters of `trace` as JSON text: what happened in it; of the time in threads
 * that all use, what passed meanwhile. That of the process has all of our own time. */
static int
ending_format_counters(const struct kc_tracer *tracer, const struct kc_trace *trace,
                       char *text, size_t size)
{
    const struct kc_session *session = tracer->session;
    bool whole = trace == session->process_trace;
    kc_values_settle(tracer->values);
    uint64_t calls = trace->call_count;
    return snprintf(
        text, size,
        "{\"calls\": %llu, \"records\": %llu, \"bytes\": %llu, \"skipped\": %llu, "
        "\"kept\": %llu, \"masked\": %llu, \"truncated\": %llu, \"lost\": %llu, "
        "\"waited_ns\": %llu, \"errors\": %llu, \"own_ns\": %llu, \"writer_ns\": %llu, "
        "\"blind\": %llu, \"values_off\": %s}",
        (unsigned long long)calls, (unsigned long long)trace->record_count,
        (unsigned long long)trace->byte_count,
        (unsigned long long)tracer->skipped_count,
        (unsigned long long)tracer->kept_count, (unsigned long long)trace->masked_count,
        (unsigned long long)trace->truncated_count,
        (unsigned long long)trace->lost_count,
        (unsigned long long)(session->waited_ns - trace->waited_before_ns),
        (unsigned long long)(session->error_count - trace->errors_before),
        (unsigned long long)(whole ? session->own_ns : trace->own_ns),
        (unsigned long long)(atomic_load(&session->writer.cpu_ns) -
                             trace->writer_before_ns),
        (unsigned long long)(session->blind_count - trace->blind_before),
        trace->limited ? "true" : "false");
}

/* What was counted instead of recorded goes to the trace's first stream. */
static void
ending_tell_counts(struct kc_session *session, const struct kc_trace *trace)
{
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        for (struct kc_thread_stream *stream = thread->streams; stream != NULL;
             stream = stream->next)
        {
            if (stream->trace == trace && !kc_thread_is_busy(thread)) {
                uint8_t guard = thread->guard;
                thread->guard = KC_GUARD_FLUSH;
                kc_limit_tell_counts(thread, stream);
                thread->guard = guard;
                return;
            }
        }
    }
}

void
kc_ending_count_from_now(const struct kc_tracer *tracer, struct kc_trace *trace)
{
    if (trace->number > 1) { /* what went wrong before the first is told with it */
        trace->errors_before = tracer->session->error_count;
    }
}

bool
kc_ending_end(struct kc_tracer *tracer, struct kc_trace *trace, const char *cause,
              bool stored, struct kc_ending *ending)
{
    struct kc_session *session = tracer->session;
    if (stored) {
        ending_tell_counts(session, trace);
        kc_session_keep_held(session, trace);
        if (!kc_session_flush_trace(session, trace)) {
            return false;
        }
    }
    ending->announced = trace->announced;
    (void)ending_format_counters(tracer, trace, ending->counters,
                                 sizeof ending->counters);
    if (stored) {
        kc_session_end_trace(session, trace, cause, ending->counters);
    }
    else {
        kc_session_drop_trace(session, trace);
    }
    return true;
}
