/* greenlet.c -- see greenlet.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/greenlet.h"

#include "plain/clock.h"
#include "session/scope.h"
#include "trace/limit.h"
#include "trace/pause.h"
#include "trace/verdict.h"

void
kc_greenlet_leave(struct kc_thread *thread)
{
    uint64_t now_ns = kc_clock_ns();
    struct kc_entry *entry;
    while ((entry = kc_stack_top(&thread->stack)) != NULL) {
        kc_frame *frame = kc_entry_frame(entry);
        if (frame == NULL) {
            kc_tracer_cut(thread, thread->stack.depth - 1);
        }
        else if (entry->counted && !entry->special) {
            kc_limit_leave(thread, entry, now_ns);
            kc_tracer_cut(thread, thread->stack.depth - 1);
        }
        else {
            kc_tracer_prepare(thread, entry->stream, now_ns);
            kc_tracer_suspend(thread, entry, Py_None, kc_frame_offset(frame), true,
                              now_ns);
        }
    }
}

/* The call of `frame`, which waited for its greenlet, goes on in its own trace. */
static void
greenlet_go_on(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
               uint64_t now_ns)
{
    struct kc_waiting waiting;
    if (!kc_waiting_take(&thread->session->waiting, frame, code->code, &waiting)) {
        return;
    }
    struct kc_thread_stream *scope = thread->stream;
    thread->stream = kc_pause_stream(thread, waiting.trace_number);
    if (thread->stream != NULL) {
        struct kc_resumption how = {NULL, kc_frame_offset(frame), false};
        kc_tracer_prepare(thread, thread->stream, now_ns);
        kc_tracer_go_on(thread, frame, code, &waiting, &how, now_ns);
    }
    thread->stream = scope;
    kc_waiting_plugins_free(waiting.plugins);
}

static bool
greenlet_waits(const struct kc_thread *thread, const kc_frame *frame,
               const PyCodeObject *code)
{
    const struct kc_waiting *waiting =
        kc_waiting_borrow(&thread->session->waiting, frame, code);
    return waiting != NULL && waiting->switched;
}

/* The outermost running frame whose call still waits, and what is kept of its code;
 * NULL where there is none. */
static kc_frame *
greenlet_find(const struct kc_thread *thread, struct kc_code **code)
{
    kc_frame *found = NULL;
    kc_frame *at = kc_frame_current(thread->tstate);
    for (; at != NULL; at = kc_frame_previous(at)) {
        PyCodeObject *running = kc_frame_is_shim(at) ? NULL : kc_frame_borrow_code(at);
        if (running == NULL || !greenlet_waits(thread, at, running)) {
            continue;
        }
        struct kc_code *known =
            kc_verdict_code(thread->tracer, kc_verdict_probe(running));
        if (known != NULL) { /* else both are in the places of what ended unseen */
            *code = known;
            found = at;
        }
    }
    return found;
}

void
kc_greenlet_enter(struct kc_thread *thread)
{
    uint64_t now_ns = kc_clock_ns();
    kc_frame *frame;
    struct kc_code *code = NULL;
    while (thread->session->waiting.count != 0 &&
           (frame = greenlet_find(thread, &code)) != NULL)
    {
        greenlet_go_on(thread, frame, code, now_ns);
    }
}

void
kc_greenlet_check(struct kc_thread *thread, kc_frame *frame, struct kc_code *code)
{
    uint8_t guard = thread->guard;
    thread->guard = KC_GUARD_RECORD;
    kc_scope_check(thread);
    if (greenlet_waits(thread, frame, code->code)) {
        greenlet_go_on(thread, frame, code, kc_clock_ns());
    }
    thread->guard = guard;
}
