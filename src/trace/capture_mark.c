/* capture_mark.c -- see capture.h: what stands between the records of calls. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/capture_record.h"

static void
write_task(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_uint(cursor, capture->thread->task);
}

bool
kc_capture_task(struct kc_thread *thread, struct kc_thread_stream *stream,
                uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_TASK,
                              .fields = 1,
                              .now_ns = now_ns};
    if (!capture_plain(&capture, write_task)) {
        return false;
    }
    stream->task = thread->task;
    return true;
}

static void
write_lost(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_uint(cursor, KC_MARK_LOST);
    kc_wire_uint(cursor, capture->stream->lost_pending);
    kc_wire_uint(cursor, capture->stream->stream.depth);
}

bool
kc_capture_lost(struct kc_thread *thread, struct kc_thread_stream *stream,
                uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_MARK,
                              .fields = 3,
                              .now_ns = now_ns};
    if (!capture_plain(&capture, write_lost)) {
        return false;
    }
    stream->lost_told += stream->lost_pending;
    stream->lost_pending = 0;
    return true;
}

static void
write_counted(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_code *code = capture->code;
    kc_wire_uint(cursor, KC_MARK_COUNTED);
    kc_wire_array(cursor, 3);
    kc_wire_uint(cursor, code->number);
    kc_wire_uint(cursor, code->counted_calls);
    kc_wire_uint(cursor, code->counted_ns);
    kc_wire_nil(cursor);
}

bool
kc_capture_counted(struct kc_thread *thread, struct kc_thread_stream *stream,
                   const struct kc_code *code, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_MARK,
                              .fields = 3,
                              .now_ns = now_ns,
                              .code = code};
    return capture_plain(&capture, write_counted);
}

static void
write_limit(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_uint(cursor, KC_MARK_LIMIT);
    kc_wire_uint(cursor, capture->node);
    kc_wire_nil(cursor);
}

bool
kc_capture_limit(struct kc_thread *thread, struct kc_thread_stream *stream,
                 uint32_t level, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_MARK,
                              .fields = 3,
                              .now_ns = now_ns,
                              .node = level};
    return capture_plain(&capture, write_limit);
}
