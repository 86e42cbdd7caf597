/* limit.c -- see limit.h. */

#include "compat.h"

#include "trace/limit.h"

#include "plain/clock.h"
#include "trace/capture.h"

#define COUNTED_MOST 65536u /* a crash loses no more than this many counted calls */

/* The limit has been reached: say so once per level. */
KC_COLD static void
limit_tell(struct kc_thread *thread, struct kc_thread_stream *stream, uint64_t now_ns)
{
    struct kc_trace *trace = stream->trace;
    uint32_t level = trace->count_above != 0 ? 2 : 1;
    if (trace->limit_marked < level && kc_capture_limit(thread, stream, level, now_ns))
    {
        trace->limit_marked = level;
    }
}

static void
counted_tell(struct kc_thread *thread, struct kc_thread_stream *stream,
             struct kc_code *code)
{
    if (kc_capture_counted(thread, stream, code, kc_clock_ns())) {
        code->counted_calls = 0;
        code->counted_ns = 0;
    }
}

void
kc_limit_tell_counts(struct kc_thread *thread, struct kc_thread_stream *stream)
{
    struct kc_tracer *tracer = thread->tracer;
    for (uint32_t i = 0; i < tracer->code_count; i++) {
        struct kc_code *code = tracer->codes[i];
        for (; code != NULL; code = code->before) {
            if (code->counted_calls != 0) {
                counted_tell(thread, stream, code);
            }
        }
    }
}

bool
kc_limit_counts(struct kc_thread *thread, struct kc_code *code, uint64_t now_ns)
{
    const struct kc_trace *trace = thread->stream->trace;
    limit_tell(thread, thread->stream, now_ns);
    if (trace->count_above != 0 && code->call_count >= trace->count_above &&
        !code->suspends)
    {
        code->counted = true;
    }
    return code->counted;
}

void
kc_limit_leave(struct kc_thread *thread, struct kc_entry *entry, uint64_t now_ns)
{
    struct kc_code *code = entry->code;
    code->counted_calls++;
    code->counted_ns += now_ns - entry->began;
    if (code->counted_calls >= COUNTED_MOST) {
        counted_tell(thread, entry->stream, code);
    }
}
