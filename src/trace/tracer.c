/* tracer.c -- see tracer.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/tracer.h"

#include "plain/clock.h"
#include "session/scope.h"
#include "trace/boundary.h"
#include "trace/capture.h"
#include "trace/capture_fast.h"
#include "trace/greenlet.h"
#include "trace/limit.h"
#include "trace/pause.h"
#include "trace/plugin.h"
#include "trace/unknown.h"
#include "trace/verdict.h"

#define COST_SAMPLE 16u /* one event in so many is timed itself */

/* ---- the stack ---- */

/* The top leaves. */
static inline void
stack_pop(struct kc_thread *thread)
{
    thread->depth_limit = kc_stack_top(&thread->stack)->depth_limit;
    thread->stack.depth--;
}

/* The top leaves with its plugins' nodes, whose ends are written, or which wait. */
static void
stack_pop_watched(struct kc_thread *thread)
{
    uint32_t count = kc_stack_top(&thread->stack)->plugin_count;
    stack_pop(thread);
    while (count-- != 0) {
        stack_pop(thread);
    }
}

void
kc_tracer_cut(struct kc_thread *thread, uint32_t keep)
{
    while (thread->stack.depth > keep) {
        struct kc_entry *entry = kc_stack_top(&thread->stack);
        kc_session_put_aside(thread->session, entry);
        if (!entry->unwritten) {
            kc_stream_drop(&entry->stream->stream, &entry->open);
            entry->stream->lost_pending++;
        }
        stack_pop(thread);
    }
}

/* The entry of `frame`, which becomes the top of the stack; NULL where it has none. */
static struct kc_entry *
stack_search(struct kc_thread *thread, const kc_frame *frame,
             const struct kc_code *code)
{
    for (uint32_t i = thread->stack.depth; i-- > 0;) {
        if (kc_entry_frame(&thread->stack.entries[i]) == frame &&
            thread->stack.entries[i].code_object == code->code)
        {
            kc_tracer_cut(thread, i + 1);
            return &thread->stack.entries[i];
        }
    }
    return NULL;
}

/* The same, where it mostly is the top. */
static inline struct kc_entry *
stack_expect(struct kc_thread *thread, kc_frame *frame, struct kc_code *code)
{
    struct kc_entry *top = kc_stack_top(&thread->stack);
    if (KC_LIKELY(top != NULL && top->frame == frame && top->code_object == code->code))
    {
        return top;
    }
    if (thread->session->current_greenlet != NULL) {
        kc_greenlet_check(thread, frame, code);
    }
    return stack_search(thread, frame, code);
}

/* A new top for `frame`; NULL without memory. */
static inline struct kc_entry *
stack_enter(struct kc_thread *thread, kc_frame *frame, struct kc_code *code)
{
    struct kc_entry *entry = kc_stack_push(&thread->stack);
    if (KC_UNLIKELY(entry == NULL)) {
        return NULL;
    }
    kc_entry_init(entry, thread->stream, thread->depth_limit);
    entry->frame = frame;
    entry->code_object = code->code;
    entry->code = code;
    return entry;
}

/* What a call says of those below it. */
static inline void
stack_limit(struct kc_thread *thread, const struct kc_code *code)
{
    if (KC_UNLIKELY(code->max_depth != UINT32_MAX)) {
        uint64_t limit = (uint64_t)thread->stack.depth + code->max_depth;
        if (limit < thread->depth_limit) {
            thread->depth_limit = (uint32_t)limit;
        }
    }
}

/* ---- what stands before a record ---- */

/* Marks and the task, where they changed: rare. */
KC_COLD static void
tracer_catch_up(struct kc_thread *thread, struct kc_thread_stream *stream,
                uint64_t now_ns)
{
    if (stream->lost_pending != 0) {
        (void)kc_capture_lost(thread, stream, now_ns);
    }
    if (stream->task != thread->task && stream == thread->stream) {
        (void)kc_capture_task(thread, stream, now_ns);
    }
}

static inline void
tracer_prepare(struct kc_thread *thread, struct kc_thread_stream *stream,
               uint64_t now_ns)
{
    if (KC_UNLIKELY(stream->lost_pending != 0 ||
                    (stream->task != thread->task && stream == thread->stream)))
    {
        tracer_catch_up(thread, stream, now_ns);
    }
}

void
kc_tracer_prepare(struct kc_thread *thread, struct kc_thread_stream *stream,
                  uint64_t now_ns)
{
    tracer_prepare(thread, stream, now_ns);
}

/* The record of the top's beginning is written, or the top is unknown to readers. */
static inline void
tracer_entered(struct kc_thread *thread, struct kc_entry *entry, bool written)
{
    if (KC_UNLIKELY(!written)) {
        entry->unwritten = true;
        kc_thread_lose(thread, entry->stream);
    }
}

/* The record of the top's end could not be written. */
KC_COLD static void
tracer_lose_end(struct kc_thread *thread, struct kc_entry *entry)
{
    if (!entry->unwritten) { /* its block may have been lost meanwhile */
        kc_stream_drop(&entry->stream->stream, &entry->open);
    }
    kc_thread_lose(thread, entry->stream);
}

/* The record of the top's end is written, or it is lost and the stack cut. */
static inline void
tracer_left(struct kc_thread *thread, struct kc_entry *entry, bool written)
{
    if (KC_UNLIKELY(!written)) {
        tracer_lose_end(thread, entry);
    }
    stack_pop(thread);
}

/* ---- our own time ---- */

/* Our own work begins; its time. */
static inline uint64_t
tracer_open(struct kc_thread *thread)
{
    thread->guard = KC_GUARD_RECORD;
    return kc_clock_ns();
}

/* It is done. Estimate our own time from one event in sixteen. Blocks handed over and
 * decisions are rare and long: they are measured each, elsewhere, and left out here. */
static inline void
tracer_shut(struct kc_thread *thread, uint64_t began_ns)
{
    if (KC_UNLIKELY(++thread->sample % COST_SAMPLE == 0)) {
        uint64_t cost_ns = kc_clock_ns() - began_ns;
        uint64_t cold_ns = thread->cold_ns;
        kc_thread_count_own(thread,
                            COST_SAMPLE * (cost_ns > cold_ns ? cost_ns - cold_ns : 0));
    }
    thread->cold_ns = 0;
    thread->guard = KC_GUARD_FREE;
}

/* ---- entering ---- */

/* The record of a call whose entry is the top. */
static inline void
tracer_write_begin(struct kc_thread *thread, struct kc_entry *entry,
                   struct kc_code *code, uint64_t now_ns)
{
    if (KC_UNLIKELY(entry->stream->trace->limited) &&
        kc_limit_counts(thread, code, now_ns)) {
        entry->unwritten = true;
        entry->counted = true;
        entry->began = now_ns;
        return;
    }
    code->call_count++;
    const struct kc_entry *caller = entry != thread->stack.entries ? entry - 1 : NULL;
    if (KC_UNLIKELY(!kc_capture_call_fast(entry, caller, now_ns))) {
        tracer_entered(thread, entry, kc_capture_call(thread, entry, now_ns));
    }
    stack_limit(thread, code);
}

static inline void
tracer_begin(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
             uint64_t now_ns)
{
    struct kc_entry *entry = stack_enter(thread, frame, code);
    if (entry == NULL) {
        kc_thread_lose(thread, thread->stream);
        return;
    }
    tracer_write_begin(thread, entry, code, now_ns);
}

/* Whether calls of `code` are recorded in the thread's trace: plugins may watch what
 * filters skip. */
static bool
tracer_keeps(const struct kc_thread *thread, const struct kc_code *code)
{
    return !code->skipped && (kc_verdict_probe(code->code) & thread->keep_bits) != 0;
}

/* The entry of a call that is watched, and not recorded. */
static void
entry_be_silent(struct kc_entry *entry)
{
    entry->silent_frame = entry->frame;
    entry->frame = NULL;
    entry->unwritten = true;
    entry->special = true;
}

/* A call that opens a trace of its own or joins the one that is, or that plugins watch:
 * what their handlers said is in `calls`. False where nothing of it is recorded. */
static bool
tracer_begin_special(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                     struct kc_plugin_calls *calls, uint32_t number, uint32_t outer)
{
    bool kept = tracer_keeps(thread, code);
    if (thread->stream == NULL || (!kept && calls->count == 0)) {
        return false;
    }
    uint64_t now_ns = kc_clock_ns();
    tracer_prepare(thread, thread->stream, now_ns);
    uint8_t count = kc_plugins_push(thread, code, calls, now_ns);
    struct kc_entry *entry = stack_enter(thread, frame, code);
    if (entry == NULL) {
        kc_tracer_cut(thread, thread->stack.depth - count);
        kc_thread_lose(thread, thread->stream);
        return false;
    }
    entry->plugin_count = count;
    entry->boundary = number;
    entry->outer = outer;
    entry->special = number != 0 || count != 0;
    if (kept) {
        tracer_write_begin(thread, entry, code, now_ns);
    }
    else {
        entry_be_silent(entry);
    }
    return true;
}

/* A generator or coroutine begins that is like most. */
static void
tracer_start_suspending(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                        uint64_t now_ns)
{
    if (KC_UNLIKELY(code->skipped)) {
        return;
    }
    struct kc_waiting gone; /* what waited in this place has ended unseen */
    if (kc_waiting_take(&thread->session->waiting, frame, code->code, &gone)) {
        kc_waiting_plugins_free(gone.plugins);
    }
    tracer_prepare(thread, thread->stream, now_ns);
    tracer_begin(thread, frame, code, now_ns);
}

/* The beginning of a call that is not like most. */
KC_COLD static void
tracer_start_special(struct kc_thread *thread, kc_frame *frame, struct kc_code *code)
{
    struct kc_waiting gone;
    if (code->suspends && /* what waited in this place has ended unseen */
        kc_waiting_take(&thread->session->waiting, frame, code->code, &gone))
    {
        kc_waiting_plugins_free(gone.plugins);
    }
    struct kc_plugin_calls calls = {.count = 0};
    if (code->plugin_count != 0) {
        kc_plugins_start(thread, frame, code, &calls);
        if (thread->stream == NULL && calls.count != 0 &&
            thread->scope_generation != thread->session->scope_generation)
        {
            kc_scope_refresh(
                thread); /* a handler has moved this context into a trace */
        }
    }
    const struct kc_plugin_call *plugin = kc_plugins_boundary(&calls);
    uint32_t outer = 0;
    uint32_t number = 0;
    if (plugin != NULL || (code->boundary && tracer_keeps(thread, code))) {
        number = kc_boundary_open(thread, code, plugin, &outer);
    }
    bool begun = tracer_begin_special(thread, frame, code, &calls, number, outer);
    kc_plugins_drop(&calls);
    if (!begun && number != 0) {
        kc_boundary_close(thread, number, outer, NULL, false);
    }
}

static bool
tracer_write_going_on(struct kc_thread *thread, struct kc_entry *entry,
                      const struct kc_waiting *waiting, const struct kc_resumption *how,
                      uint64_t now_ns)
{
    bool same_trace = waiting != NULL && !waiting->unwritten &&
                      waiting->trace_number == entry->stream->trace->number;
    if (!same_trace) {
        return kc_capture_entered(thread, entry, how->offset, now_ns);
    }
    if (how->throws) {
        return kc_capture_throw(thread, entry, waiting, how->exception, now_ns);
    }
    return kc_capture_resume(thread, entry, waiting, now_ns);
}

void
kc_tracer_go_on(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                const struct kc_waiting *waiting, const struct kc_resumption *how,
                uint64_t now_ns)
{
    bool switched = waiting != NULL && waiting->switched; /* its context has all that */
    if (waiting != NULL && waiting->boundary != 0 && !switched) {
        kc_boundary_scope(thread, waiting->boundary);
        if (thread->stream == NULL) {
            return; /* it has ended, or no block is to be had */
        }
    }
    uint8_t count = 0;
    if (KC_UNLIKELY(waiting != NULL && waiting->plugins != NULL)) {
        count = kc_plugins_resume(thread, code, waiting, now_ns);
    }
    struct kc_entry *entry = stack_enter(thread, frame, code);
    if (entry == NULL) {
        kc_tracer_cut(thread, thread->stack.depth - count);
        kc_thread_lose(thread, thread->stream);
        return;
    }
    entry->boundary = waiting != NULL ? waiting->boundary : 0;
    entry->outer = waiting != NULL ? waiting->outer : 0;
    entry->plugin_count = count;
    entry->special = entry->boundary != 0 || count != 0;
    if (waiting != NULL && waiting->silent) {
        entry_be_silent(entry);
    }
    else {
        tracer_entered(thread, entry,
                       tracer_write_going_on(thread, entry, waiting, how, now_ns));
    }
    stack_limit(thread, code);
    if (waiting != NULL && waiting->paused && !switched) {
        kc_boundary_scope(thread, KC_SCOPE_PAUSED);
    }
}

/* The same where the program may have paused: a coroutine of a trace is followed. */
KC_COLD static void
tracer_go_on(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
             const struct kc_waiting *waiting, const struct kc_resumption *how,
             uint64_t now_ns)
{
    struct kc_thread_stream *scope = thread->stream;
    if (KC_LIKELY(scope != NULL)) {
        kc_tracer_go_on(thread, frame, code, waiting, how, now_ns);
        return;
    }
    thread->stream =
        waiting != NULL ? kc_pause_stream(thread, waiting->trace_number) : NULL;
    if (thread->stream != NULL) {
        kc_tracer_go_on(thread, frame, code, waiting, how, now_ns);
        kc_pause_leave(thread);
    }
}

void
kc_tracer_start(struct kc_thread *thread, kc_frame *frame, struct kc_code *code)
{
    if (KC_UNLIKELY(thread->stack.depth >= thread->depth_limit)) {
        return;
    }
    uint64_t now_ns = tracer_open(thread);
    if (KC_UNLIKELY(thread->unknown_count != 0)) {
        kc_unknown_look(thread, frame, code->suspends);
    }
    if (KC_LIKELY(!code->special)) {
        tracer_prepare(thread, thread->stream, now_ns);
        tracer_begin(thread, frame, code, now_ns);
    }
    else if (code->suspends && code->plugin_count == 0 && !code->boundary) {
        tracer_start_suspending(thread, frame, code, now_ns);
    }
    else {
        tracer_start_special(thread, frame, code);
    }
    tracer_shut(thread, now_ns);
}

void
kc_tracer_resume_at(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                    const struct kc_resumption *how, uint64_t now_ns)
{
    struct kc_waiting waiting;
    bool known =
        kc_waiting_take(&thread->session->waiting, frame, code->code, &waiting);
    if (KC_UNLIKELY(code->special) && !known && !tracer_keeps(thread, code)) {
        return; /* only what was running goes on */
    }
    if (KC_LIKELY(thread->stream != NULL)) {
        tracer_prepare(thread, thread->stream, now_ns);
    }
    tracer_go_on(thread, frame, code, known ? &waiting : NULL, how, now_ns);
    if (known) {
        kc_waiting_plugins_free(waiting.plugins);
    }
}

void
kc_tracer_resume(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                 bool throws, PyObject *exception)
{
    if (KC_UNLIKELY(thread->stack.depth >= thread->depth_limit)) {
        return;
    }
    uint64_t now_ns = tracer_open(thread);
    if (KC_UNLIKELY(thread->unknown_count != 0)) {
        kc_unknown_look(thread, frame, true);
    }
    struct kc_resumption how = {exception, kc_frame_offset(frame), throws};
    kc_tracer_resume_at(thread, frame, code, &how, now_ns);
    tracer_shut(thread, now_ns);
}

/* ---- leaving ---- */

void
kc_tracer_suspend(struct kc_thread *thread, struct kc_entry *entry, PyObject *value,
                  uint64_t offset, bool switched, uint64_t now_ns)
{
    struct kc_waiting waiting = {
        .frame = kc_entry_frame(entry),
        .code = entry->code->code,
        .trace_number = entry->stream->trace->number,
        .thread_number = thread->number,
        .node = entry->open.node,
        .began = entry->began,
        .boundary = entry->boundary,
        .outer = entry->outer,
        .unwritten = entry->unwritten,
        .silent = kc_entry_is_silent(entry),
        .paused = entry->boundary != 0 && thread->paused,
        .switched = switched,
    };
    if (entry->foreign) {
        waiting.thread_number = entry->foreign_thread;
    }
    if (!entry->unwritten && !kc_capture_yield(thread, entry, value, offset, now_ns)) {
        tracer_lose_end(thread, entry);
    }
    if (KC_UNLIKELY(entry->plugin_count != 0)) {
        entry->unwritten = true;
        waiting.plugins = kc_plugins_suspend(thread, offset, now_ns);
    }
    stack_pop_watched(thread);
    if (!kc_waiting_add(&thread->session->waiting, &waiting)) {
        kc_waiting_plugins_free(waiting.plugins);
    }
    if (waiting.boundary != 0 && !switched) {
        kc_boundary_scope(thread, waiting.outer);
    }
}

/* What ends with the call of the top, whose own record is written: its plugins' nodes,
 * the trace that it opened. */
KC_COLD static void
tracer_end_special(struct kc_thread *thread, kc_frame *frame,
                   const struct kc_plugin_end *end, uint64_t now_ns)
{
    struct kc_entry *entry = kc_stack_top(&thread->stack);
    uint32_t boundary = entry->boundary;
    uint32_t outer = entry->outer;
    PyObject *finished = NULL;
    entry->unwritten = true;
    entry->boundary = 0; /* it is ended here, and only here */
    if (entry->plugin_count == 0 ||
        kc_plugins_finish(thread, frame, end, now_ns, &finished))
    {
        stack_pop_watched(thread);
    }
    if (boundary != 0) {
        kc_boundary_close(thread, boundary, outer, finished, end->value == NULL);
    }
    Py_XDECREF(finished);
}

static void
tracer_raise(struct kc_thread *thread, kc_frame *frame, struct kc_entry *entry,
             PyObject *exception, uint64_t now_ns)
{
    if (!entry->unwritten) {
        if (!kc_capture_raise(thread, entry, exception, now_ns)) {
            tracer_lose_end(thread, entry);
        }
        else if (exception == NULL && entry->boundary == 0) {
            kc_unknown_add(thread, entry);
        }
    }
    if (KC_LIKELY(!entry->special)) {
        stack_pop(thread);
        return;
    }
    struct kc_plugin_end end = {NULL, exception};
    tracer_end_special(thread, frame, &end, now_ns);
}

/* A boundary's call returns, or one that is watched. */
KC_COLD static void
tracer_return_special(struct kc_thread *thread, kc_frame *frame, struct kc_entry *entry,
                      PyObject *value, uint64_t now_ns)
{
    if (!entry->unwritten && !kc_capture_return(thread, entry, value, now_ns)) {
        tracer_lose_end(thread, entry);
    }
    struct kc_plugin_end end = {value, NULL};
    tracer_end_special(thread, frame, &end, now_ns);
}

void
kc_tracer_return(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                 PyObject *value)
{
    struct kc_entry *entry = stack_expect(thread, frame, code);
    if (KC_UNLIKELY(entry == NULL)) {
        return; /* it was running before tracing began, or is below a limit */
    }
    uint64_t now_ns = tracer_open(thread);
    if (KC_UNLIKELY(entry->counted)) {
        kc_limit_leave(thread, entry, now_ns);
        if (!entry->special) {
            stack_pop(thread);
            thread->guard = KC_GUARD_FREE;
            return;
        }
    }
    tracer_prepare(thread, entry->stream, now_ns);
    if (KC_UNLIKELY(entry->special)) {
        tracer_return_special(thread, frame, entry, value, now_ns);
    }
    else if (KC_UNLIKELY(entry->unwritten)) {
        stack_pop(thread);
    }
    else if (KC_LIKELY(kc_capture_return_fast(entry, value, now_ns))) {
        stack_pop(thread);
    }
    else {
        tracer_left(thread, entry, kc_capture_return(thread, entry, value, now_ns));
    }
    tracer_shut(thread, now_ns);
}

void
kc_tracer_yield_at(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                   PyObject *value, uint64_t offset, uint64_t now_ns)
{
    struct kc_entry *entry = stack_expect(thread, frame, code);
    if (entry != NULL) {
        tracer_prepare(thread, entry->stream, now_ns);
        if (entry->boundary != 0) { /* Python may run, and end traces of the stack */
            kc_scope_check(thread);
            entry = stack_expect(thread, frame, code);
        }
    }
    if (entry != NULL) {
        kc_tracer_suspend(thread, entry, value, offset, false, now_ns);
    }
}

void
kc_tracer_yield(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                PyObject *value)
{
    uint64_t now_ns = tracer_open(thread);
    kc_tracer_yield_at(thread, frame, code, value, kc_frame_offset(frame), now_ns);
    tracer_shut(thread, now_ns);
}

void
kc_tracer_raise_at(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                   PyObject *exception, uint64_t now_ns)
{
    struct kc_entry *entry = stack_expect(thread, frame, code);
    if (entry == NULL) {
        return;
    }
    if (KC_UNLIKELY(entry->counted)) {
        kc_limit_leave(thread, entry, now_ns);
        if (!entry->special) {
            stack_pop(thread);
            return;
        }
    }
    tracer_prepare(thread, entry->stream, now_ns);
    tracer_raise(thread, frame, entry, exception, now_ns);
}

void
kc_tracer_raise(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                PyObject *exception)
{
    uint64_t now_ns = tracer_open(thread);
    kc_tracer_raise_at(thread, frame, code, exception, now_ns);
    tracer_shut(thread, now_ns);
}

/* ---- handling ---- */

/* The entry of `frame` below whatever stands on it, such as a region. */
static struct kc_entry *
stack_find(struct kc_thread *thread, const kc_frame *frame, const struct kc_code *code)
{
    for (uint32_t i = thread->stack.depth; i-- > 0;) {
        struct kc_entry *entry = &thread->stack.entries[i];
        if (entry->frame == frame && entry->code_object == code->code) {
            return entry;
        }
    }
    return NULL;
}

/* Whether `exception` leaves the handler that handles it, and not a later one. */
static bool
leaves_its_handler(PyObject *exception)
{
    PyObject *handled = kc_exc_handled();
    Py_XDECREF(handled); /* the interpreter has it */
    return handled == exception;
}

void
kc_tracer_catch(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                PyObject *exception, int at)
{
    unsigned part = kc_code_handler_at(code, at);
    bool goes_on = (part & KC_EXIT_CLEANUP) != 0 && leaves_its_handler(exception);
    if ((part & KC_EXIT_HANDLER) == 0 && !goes_on) {
        return; /* the compiler's own: loops, generators, comprehensions */
    }
    struct kc_entry *entry = stack_find(thread, frame, code);
    if (entry == NULL || entry->unwritten) {
        return;
    }
    uint64_t now_ns = tracer_open(thread);
    tracer_prepare(thread, entry->stream, now_ns);
    if (!kc_capture_caught(thread, entry, exception, goes_on ? -1 : at, now_ns)) {
        kc_thread_lose(thread, entry->stream);
    }
    tracer_shut(thread, now_ns);
}

void
kc_tracer_moved(struct kc_thread *thread, const kc_frame *from, kc_frame *to,
                const struct kc_code *code)
{
    struct kc_entry *entry = from != to ? stack_search(thread, from, code) : NULL;
    if (entry == NULL) {
        return;
    }
    if (kc_entry_is_silent(entry)) {
        entry->silent_frame = to;
    }
    else {
        entry->frame = to;
    }
}

bool
kc_tracer_has(struct kc_thread *thread, kc_frame *frame, struct kc_code *code)
{
    return stack_expect(thread, frame, code) != NULL;
}
