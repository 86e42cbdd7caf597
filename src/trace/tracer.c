/* tracer.c -- see tracer.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/tracer.h"

#include "plain/clock.h"
#include "session/scope.h"
#include "trace/boundary.h"
#include "trace/capture.h"
#include "trace/capture_fast.h"
#include "trace/pause.h"

#define COST_SAMPLE 16u /* one event in so many is timed itself */

/* ---- the stack ---- */

/* The top leaves. */
static inline void
stack_pop(struct kc_thread *thread)
{
    thread->depth_limit = kc_stack_top(&thread->stack)->depth_limit;
    thread->stack.depth--;
}

void
kc_tracer_cut(struct kc_thread *thread, uint32_t keep)
{
    while (thread->stack.depth > keep) {
        struct kc_entry *entry = kc_stack_top(&thread->stack);
        if (!entry->unwritten) {
            kc_stream_drop(&entry->stream->stream, &entry->open);
            entry->stream->lost_pending++;
        }
        stack_pop(thread);
    }
}

/* The entry of `frame` as the top of the stack; NULL where its beginning was not seen.
 */
static inline struct kc_entry *
stack_expect(struct kc_thread *thread, const kc_frame *frame,
             const struct kc_code *code)
{
    struct kc_entry *top = kc_stack_top(&thread->stack);
    if (KC_LIKELY(top != NULL && top->frame == frame && top->code_object == code->code))
    {
        return top;
    }
    for (uint32_t i = thread->stack.depth; i-- > 0;) {
        if (thread->stack.entries[i].frame == frame &&
            thread->stack.entries[i].code_object == code->code)
        {
            kc_tracer_cut(thread, i + 1);
            return &thread->stack.entries[i];
        }
    }
    return NULL;
}

/* A new top for `frame`; NULL without memory. */
static inline struct kc_entry *
stack_enter(struct kc_thread *thread, kc_frame *frame, struct kc_code *code)
{
    struct kc_entry *entry = kc_stack_push(&thread->stack);
    if (KC_UNLIKELY(entry == NULL)) {
        return NULL;
    }
    *entry = (struct kc_entry){.frame = frame,
                               .code_object = code->code,
                               .code = code,
                               .stream = thread->stream,
                               .open = {0, KC_OPEN_NOWHERE},
                               .depth_limit = thread->depth_limit};
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

/* The record of the top's end is written, or it is lost and the stack cut. */
static inline void
tracer_left(struct kc_thread *thread, struct kc_entry *entry, bool written)
{
    if (KC_UNLIKELY(!written)) {
        if (!entry->unwritten) { /* its block may have been lost meanwhile */
            kc_stream_drop(&entry->stream->stream, &entry->open);
        }
        kc_thread_lose(thread, entry->stream);
    }
    stack_pop(thread);
}

/* ---- past the trace's limit ---- */

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
kc_tracer_tell_counts(struct kc_thread *thread, struct kc_thread_stream *stream)
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

/* Whether this call of `code` is counted instead of recorded. */
KC_COLD static bool
limit_counts(struct kc_thread *thread, struct kc_code *code, uint64_t now_ns)
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

static void
counted_leave(struct kc_thread *thread, struct kc_entry *entry, uint64_t now_ns)
{
    struct kc_code *code = entry->code;
    code->counted_calls++;
    code->counted_ns += now_ns - entry->began;
    if (code->counted_calls >= COUNTED_MOST) {
        counted_tell(thread, entry->stream, code);
    }
    stack_pop(thread);
}

/* ---- exceptions that CPython tells late ---- */

#define CHAIN_MOST 16 /* of an exception's causes and contexts are looked at */

/* The call left by an exception of unknown type; it may be seen later. */
static void
unknown_add(struct kc_thread *thread, const struct kc_entry *entry)
{
    if (thread->unknown_count == KC_UNKNOWN_MOST || entry->foreign) {
        return;
    }
    thread->unknown[thread->unknown_count++] =
        (struct kc_unknown){kc_frame_borrow_object(entry->frame), entry->code->code,
                            entry->stream, entry->open.node};
}

static void
unknown_tell(struct kc_thread *thread, PyObject *exception, const PyFrameObject *frame)
{
    for (uint32_t i = 0; i < thread->unknown_count; i++) {
        struct kc_unknown *unknown = &thread->unknown[i];
        if (unknown->frame == frame &&
            kc_frame_borrow_code(kc_frame_of(unknown->frame)) == unknown->code)
        {
            (void)kc_capture_handled(thread, unknown, exception, kc_clock_ns());
            *unknown = thread->unknown[--thread->unknown_count];
            return;
        }
    }
}

/* Name the calls that `exception` left, as far as its traceback goes. Where it `led` to
 * another one, the first was most likely left by that, elsewhere. */
static void
unknown_tell_all(struct kc_thread *thread, PyObject *exception, bool led)
{
    PyObject *traceback = PyException_GetTraceback(exception);
    if (traceback != NULL && led) {
        PyTracebackObject *first = (PyTracebackObject *)traceback;
        int lasti = kc_frame_lasti(kc_frame_of(first->tb_frame));
        if (first->tb_lasti != 2 * lasti) {
            Py_SETREF(traceback, Py_XNewRef((PyObject *)first->tb_next));
        }
    }
    while (traceback != NULL && thread->unknown_count != 0) {
        PyTracebackObject *at = (PyTracebackObject *)traceback;
        /* The traceback holds the frame, so its address is nobody else's. */
        unknown_tell(thread, exception, at->tb_frame);
        PyObject *next = Py_XNewRef((PyObject *)at->tb_next);
        Py_DECREF(traceback);
        traceback = next;
    }
    Py_XDECREF(traceback);
}

void
kc_tracer_resolve(struct kc_thread *thread, PyObject *exception)
{
    /* Those that led to it were handled without a call being made: nothing but the
     * chain has them any more. It may be a circle. */
    PyObject *at = Py_NewRef(exception);
    for (int i = 0; i < CHAIN_MOST && at != NULL && thread->unknown_count != 0; i++) {
        unknown_tell_all(thread, at, i != 0);
        PyObject *before = PyException_GetCause(at);
        if (before == NULL) {
            before = PyException_GetContext(at);
        }
        Py_SETREF(at, before);
    }
    Py_XDECREF(at);
    thread->unknown_count = 0; /* what they do not name was never seen again */
}

/* A frame is entered: whatever had its place before is gone, and was never seen. */
static void
unknown_forget(struct kc_thread *thread, const PyFrameObject *frame)
{
    for (uint32_t i = 0; i < thread->unknown_count; i++) {
        if (thread->unknown[i].frame == frame) {
            thread->unknown[i] = thread->unknown[--thread->unknown_count];
            return;
        }
    }
}

/* A kept call begins while exceptions are unknown: is one of them being handled? If
 * not, they were swallowed, unless this is a generator that throw() brings one of them
 * to. */
KC_COLD static void
tracer_look_for_handled(struct kc_thread *thread, kc_frame *frame, bool may_be_thrown)
{
    unknown_forget(thread, kc_frame_borrow_object(frame));
    PyObject *handled = kc_exc_handled();
    if (handled != NULL) {
        kc_tracer_resolve(thread, handled);
        Py_DECREF(handled);
    }
    else if (!may_be_thrown) {
        thread->unknown_count = 0;
    }
}

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
        thread->session->own_ns +=
            COST_SAMPLE * (cost_ns > cold_ns ? cost_ns - cold_ns : 0);
    }
    thread->cold_ns = 0;
    thread->guard = KC_GUARD_FREE;
}

/* ---- entering ---- */

static void
tracer_begin(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
             uint64_t now_ns)
{
    struct kc_entry *entry = stack_enter(thread, frame, code);
    if (entry == NULL) {
        kc_thread_lose(thread, thread->stream);
        return;
    }
    if (KC_UNLIKELY(entry->stream->trace->limited) &&
        limit_counts(thread, code, now_ns)) {
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

/* A call that opens a trace of its own, or joins the one that is. */
KC_COLD static void
tracer_begin_boundary(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                      uint64_t now_ns)
{
    uint32_t outer = 0;
    uint32_t number = code->boundary ? kc_boundary_open(thread, code, &outer) : 0;
    if (thread->stream == NULL) {
        if (number != 0) {
            kc_boundary_close(thread, number, outer);
        }
        return;
    }
    if (number != 0) {
        tracer_prepare(thread, thread->stream, now_ns);
    }
    uint32_t depth = thread->stack.depth;
    tracer_begin(thread, frame, code, now_ns);
    if (thread->stack.depth != depth) {
        struct kc_entry *entry = kc_stack_top(&thread->stack);
        entry->boundary = number;
        entry->outer = outer;
    }
    else if (number != 0) {
        kc_boundary_close(thread, number, outer);
    }
}

/* A generator that yielded before goes on; `throws` by an exception. */
KC_COLD static void
tracer_go_on_in_trace(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                      const struct kc_waiting *waiting, const struct kc_resumption *how,
                      uint64_t now_ns)
{
    if (waiting != NULL && waiting->boundary != 0) {
        kc_boundary_scope(thread, waiting->boundary);
    }
    struct kc_entry *entry = stack_enter(thread, frame, code);
    if (entry == NULL) {
        kc_thread_lose(thread, thread->stream);
        return;
    }
    entry->boundary = waiting != NULL ? waiting->boundary : 0;
    entry->outer = waiting != NULL ? waiting->outer : 0;
    bool same_trace = waiting != NULL && !waiting->unwritten &&
                      waiting->trace_number == entry->stream->trace->number;
    bool written;
    if (!same_trace) {
        written = kc_capture_entered(thread, entry, how->offset, now_ns);
    }
    else if (how->throws) {
        written = kc_capture_throw(thread, entry, waiting, how->exception, now_ns);
    }
    else {
        written = kc_capture_resume(thread, entry, waiting, now_ns);
    }
    tracer_entered(thread, entry, written);
    stack_limit(thread, code);
    if (waiting != NULL && waiting->paused) {
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
        tracer_go_on_in_trace(thread, frame, code, waiting, how, now_ns);
        return;
    }
    thread->stream =
        waiting != NULL ? kc_pause_stream(thread, waiting->trace_number) : NULL;
    if (thread->stream != NULL) {
        tracer_go_on_in_trace(thread, frame, code, waiting, how, now_ns);
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
        tracer_look_for_handled(thread, frame, code->suspends);
    }
    tracer_prepare(thread, thread->stream, now_ns);
    if (KC_LIKELY(!code->special)) {
        tracer_begin(thread, frame, code, now_ns);
    }
    else if (!code->skipped) {
        if (code->suspends) { /* what waited in this place has ended unseen */
            struct kc_waiting gone;
            (void)kc_waiting_take(&thread->session->waiting, frame, code->code, &gone);
        }
        tracer_begin_boundary(thread, frame, code, now_ns);
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
    if (KC_UNLIKELY(code->skipped) && !known) {
        return; /* only what was running goes on */
    }
    if (KC_LIKELY(thread->stream != NULL)) {
        tracer_prepare(thread, thread->stream, now_ns);
    }
    tracer_go_on(thread, frame, code, known ? &waiting : NULL, how, now_ns);
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
        tracer_look_for_handled(thread, frame, true);
    }
    struct kc_resumption how = {exception, kc_frame_offset(frame), throws};
    kc_tracer_resume_at(thread, frame, code, &how, now_ns);
    tracer_shut(thread, now_ns);
}

/* ---- leaving ---- */

static void
tracer_suspend(struct kc_thread *thread, struct kc_entry *entry, PyObject *value,
               uint64_t offset, uint64_t now_ns)
{
    if (entry->boundary != 0) {
        kc_scope_check(thread);
    }
    struct kc_waiting waiting = {
        .frame = entry->frame,
        .code = entry->code->code,
        .trace_number = entry->stream->trace->number,
        .thread_number = thread->number,
        .node = entry->open.node,
        .began = entry->began,
        .boundary = entry->boundary,
        .outer = entry->outer,
        .unwritten = entry->unwritten,
        .paused = entry->boundary != 0 && thread->paused,
    };
    if (entry->foreign) {
        waiting.thread_number = entry->foreign_thread;
    }
    (void)kc_waiting_add(&thread->session->waiting, &waiting);
    if (entry->unwritten) {
        stack_pop(thread);
    }
    else {
        bool written = kc_capture_yield(thread, entry, value, offset, now_ns);
        tracer_left(thread, entry, written);
    }
    if (waiting.boundary != 0) {
        kc_boundary_scope(thread, waiting.outer);
    }
}

static void
tracer_raise(struct kc_thread *thread, struct kc_entry *entry, PyObject *exception,
             uint64_t now_ns)
{
    uint32_t boundary = entry->boundary;
    uint32_t outer = entry->outer;
    if (entry->unwritten) {
        stack_pop(thread);
    }
    else {
        bool written = kc_capture_raise(thread, entry, exception, now_ns);
        if (written && exception == NULL && boundary == 0) {
            unknown_add(thread, entry);
        }
        tracer_left(thread, entry, written);
    }
    if (KC_UNLIKELY(boundary != 0)) {
        kc_boundary_close(thread, boundary, outer);
    }
}

/* A boundary's call returns: the trace ends with it. */
KC_COLD static void
tracer_return_boundary(struct kc_thread *thread, struct kc_entry *entry,
                       PyObject *value, uint64_t now_ns)
{
    uint32_t boundary = entry->boundary;
    uint32_t outer = entry->outer;
    if (entry->unwritten) {
        stack_pop(thread);
    }
    else {
        tracer_left(thread, entry, kc_capture_return(thread, entry, value, now_ns));
    }
    kc_boundary_close(thread, boundary, outer);
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
        counted_leave(thread, entry, now_ns);
        thread->guard = KC_GUARD_FREE;
        return;
    }
    tracer_prepare(thread, entry->stream, now_ns);
    if (KC_UNLIKELY(entry->boundary != 0)) {
        tracer_return_boundary(thread, entry, value, now_ns);
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
        tracer_suspend(thread, entry, value, offset, now_ns);
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
        counted_leave(thread, entry, now_ns);
        return;
    }
    tracer_prepare(thread, entry->stream, now_ns);
    tracer_raise(thread, entry, exception, now_ns);
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
    struct kc_entry *entry = from != to ? stack_expect(thread, from, code) : NULL;
    if (entry != NULL) {
        entry->frame = to;
    }
}

bool
kc_tracer_has(struct kc_thread *thread, const kc_frame *frame,
              const struct kc_code *code)
{
    return stack_expect(thread, frame, code) != NULL;
}
