/* thread.c -- see thread.h. */

#include "session/thread.h"

#include <frameobject.h> /* PyFrame_Type, on 3.10 */
#include <string.h>

#include "plain/clock.h"
#include "session/scope.h"
#include "session/session.h"

#define KC_THREAD_KEY "kolo_c.thread" /* in a thread state's dict */

static void thread_clear(struct kc_thread *thread);

/* Whether the state of a thread that has ended is nobody's any more: the interpreter
 * has let go of the thread's, and all that was recorded late is handed over. */
static bool
thread_is_free(const struct kc_thread *thread)
{
    if (!thread->ended || thread->guard != KC_GUARD_FREE) {
        return false;
    }
    for (const struct kc_thread_stream *stream = thread->streams; stream != NULL;
         stream = stream->next)
    {
        if (stream->stream.block != NULL) {
            return false;
        }
    }
    PyThreadState *tstate = PyInterpreterState_ThreadHead(PyInterpreterState_Main());
    while (tstate != NULL && PyThreadState_GetID(tstate) != thread->tstate_id) {
        tstate = PyThreadState_Next(tstate);
    }
    return tstate == NULL;
}

struct kc_thread *
kc_thread_new(struct kc_session *session, PyThreadState *tstate)
{
    /* Append: the first thread stays the first. */
    struct kc_thread **end = &session->threads;
    while (*end != NULL && !thread_is_free(*end)) {
        end = &(*end)->next;
    }
    struct kc_thread *thread = *end;
    if (thread != NULL) {
        struct kc_thread *next = thread->next;
        thread_clear(thread);
        memset(thread, 0, sizeof *thread);
        thread->next = next;
    }
    else {
        thread = PyMem_RawCalloc(1, sizeof *thread);
        if (thread == NULL) {
            return NULL;
        }
        *end = thread;
    }
    thread->session = session;
    thread->tracer = session->tracer;
    thread->tstate = tstate;
    thread->tstate_id = PyThreadState_GetID(tstate);
    thread->number = ++session->thread_count;
    thread->depth_limit = UINT32_MAX;
    return thread;
}

/* Whose states were asked for, by the states' numbers: of a server's threads each asks
 * many times before others do, and then goes on. */
#define THREADS_KNOWN 64u
static struct thread_known {
    const struct kc_session *session;
    PyThreadState *tstate;
    uint64_t id; /* of the state: its place is used again for another */
    struct kc_thread *thread;
} threads_known[THREADS_KNOWN]; /* guarded by the GIL */

struct kc_thread *
kc_thread_find(struct kc_session *session, PyThreadState *tstate)
{
    uint64_t id = PyThreadState_GetID(tstate);
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        if (thread->tstate_id == id) {
            return thread;
        }
    }
    return NULL;
}

/* An object in the thread state's dict, whose deallocation tells of the thread's end.
 */
static bool
thread_watch(struct kc_thread *thread)
{
    PyObject *dict = PyThreadState_GetDict(); /* borrowed */
    if (dict == NULL) {
        return false;
    }
    ThreadObject *object = PyObject_New(ThreadObject, thread->session->thread_type);
    if (object == NULL) {
        return false;
    }
    object->thread = NULL; /* until it is in its place */
    bool placed = PyDict_SetItemString(dict, KC_THREAD_KEY, (PyObject *)object) == 0;
    if (placed) {
        object->thread = thread;
        thread->object = (PyObject *)object;
        thread->attached = true;
    }
    Py_DECREF(object); /* the dict has it */
    return placed;
}

/* The state of a thread that has not asked yet, or long ago. */
KC_COLD static struct kc_thread *
thread_look_up(struct kc_session *session, PyThreadState *tstate)
{
    struct kc_thread *thread = kc_thread_find(session, tstate);
    if (thread == NULL && !session->new_threads) {
        return NULL;
    }
    struct kc_exc pending = kc_exc_save();
    if (thread == NULL) {
        thread = kc_thread_new(session, tstate);
    }
    if (thread != NULL && thread->object == NULL && !thread->ended &&
        !thread_watch(thread)) {
        PyErr_Clear();
        kc_session_error(session, "a thread's end will not be noticed");
    }
    kc_exc_restore(pending);
    if (thread != NULL) {
        struct thread_known *known = &threads_known[thread->tstate_id % THREADS_KNOWN];
        known->session = session;
        known->tstate = tstate;
        known->id = thread->tstate_id;
        known->thread = thread;
    }
    return thread;
}

struct kc_thread *
kc_thread_borrow_own(struct kc_session *session, PyThreadState *tstate)
{
    if (session->hook != NULL) {
        return tstate->c_profilefunc == session->hook
                   ? ((ThreadObject *)tstate->c_profileobj)->thread
                   : NULL;
    }
    const struct thread_known *known = &threads_known[tstate->id % THREADS_KNOWN];
    if (KC_LIKELY(known->tstate == tstate && known->session == session &&
                  known->id == tstate->id))
    {
        return known->thread;
    }
    return thread_look_up(session, tstate);
}

void
kc_thread_detach(struct kc_thread *thread, PyThreadState *tstate)
{
    if (thread->object != NULL) { /* its end is not the thread's */
        ((ThreadObject *)thread->object)->thread = NULL;
        thread->object = NULL;
    }
    thread->attached = false;
    if (tstate->dict != NULL &&
        PyDict_GetItemString(tstate->dict, KC_THREAD_KEY) != NULL &&
        PyDict_DelItemString(tstate->dict, KC_THREAD_KEY) < 0)
    {
        PyErr_Clear();
    }
}

void
kc_thread_free_stream(struct kc_thread_stream *stream)
{
    if (stream->trace->last_stream == stream) {
        stream->trace->last_stream = NULL;
    }
    PyMem_RawFree(stream);
}

/* Everything that the thread owns. */
static void
thread_clear(struct kc_thread *thread)
{
    struct thread_known *known = &threads_known[thread->tstate_id % THREADS_KNOWN];
    if (known->thread == thread) {
        known->tstate = NULL;
    }
    thread->stream = NULL;
    thread->keep_bits = 0;
    thread->wanted_bits = 0;
    thread->unknown_count = 0;
    while (thread->streams != NULL) {
        struct kc_thread_stream *stream = thread->streams;
        thread->streams = stream->next;
        kc_thread_free_stream(stream);
    }
    kc_stack_destroy(&thread->stack);
    kc_thread_clear_pending(thread);
    Py_CLEAR(thread->previous_object);
}

void
kc_thread_free(struct kc_thread *thread)
{
    if (thread->object != NULL) { /* somebody keeps it, from sys.getprofile() */
        ((ThreadObject *)thread->object)->thread = NULL;
    }
    thread_clear(thread);
    PyMem_RawFree(thread);
}

bool
kc_thread_is_busy(const struct kc_thread *thread)
{
    return thread->writing || thread->guard == KC_GUARD_FLUSH ||
           (thread->guard == KC_GUARD_RECORD && thread->tstate != PyThreadState_Get());
}

void
kc_thread_clear_pending(struct kc_thread *thread)
{
    thread->pending = KC_PENDING_NONE;
    Py_CLEAR(thread->pending_frame);
}

struct kc_thread_stream *
kc_thread_stream_of(struct kc_thread *thread, struct kc_trace *trace)
{
    if (trace->last_stream != NULL && trace->last_thread == thread) {
        return trace->last_stream;
    }
    struct kc_thread_stream *stream = thread->streams;
    while (stream != NULL && stream->stream.trace_number != trace->number) {
        stream = stream->next;
    }
    if (stream == NULL) {
        stream = PyMem_RawCalloc(1, sizeof *stream);
        if (stream == NULL) {
            return NULL;
        }
        kc_stream_init(&stream->stream, trace->number, thread->number);
        stream->trace = trace;
        stream->next = thread->streams;
        thread->streams = stream;
    }
    trace->last_thread = thread;
    trace->last_stream = stream;
    return stream;
}

/* Take the block away from `stream`, with the calls of its stack that stay open. */
static struct kc_block *
thread_take_block(struct kc_thread *thread, struct kc_thread_stream *stream)
{
    struct kc_open fixed[256];
    struct kc_open *opens = fixed;
    uint32_t depth = stream->stream.depth;
    if (depth > 256) {
        opens = PyMem_RawMalloc(depth * sizeof *opens);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; opens != NULL && i < thread->stack.depth && count < depth; i++)
    {
        const struct kc_entry *entry = &thread->stack.entries[i];
        if (entry->stream == stream && !entry->unwritten) {
            opens[count++] = entry->open;
        }
    }
    struct kc_block *block = kc_stream_take_block(
        &stream->stream, count == depth ? opens : NULL, /* or it cannot be said */
        kc_definitions_last(thread->session->definitions));
    if (opens != fixed) {
        PyMem_RawFree(opens);
    }
    return block;
}

/* A whole block was dropped: what began in it is unknown to any reader. */
KC_COLD static void
thread_lose_block(struct kc_thread *thread, struct kc_thread_stream *stream,
                  uint64_t sequence, uint32_t records)
{
    for (uint32_t i = 0; i < thread->stack.depth; i++) {
        struct kc_entry *entry = &thread->stack.entries[i];
        if (entry->stream == stream && !entry->unwritten &&
            entry->open.sequence == sequence) {
            entry->unwritten = true;
            kc_stream_drop(&stream->stream, &entry->open);
        }
    }
    /* What its LOST marks told is to be told again; the marks are no loss of their own.
     */
    stream->lost_pending += records + stream->lost_told;
    stream->trace->lost_count += records;
    thread->session->lost_count += records;
}

void
kc_thread_flush_stream(struct kc_thread *thread, struct kc_thread_stream *stream)
{
    struct kc_block *block = thread_take_block(thread, stream);
    if (block == NULL) {
        return;
    }
    struct kc_session *session = thread->session;
    if (kc_block_bytes(block) == 0 || stream->trace->dropped) {
        kc_mapping_give(&session->mapping, block);
        return;
    }
    uint64_t segment = atomic_load(&session->mapping.header->segment);
    uint32_t records = block->record_count;
    uint32_t calls = block->node_count - stream->other_nodes;
    uint32_t bytes = kc_block_bytes(block);
    uint64_t sequence = block->sequence;
    if (!kc_session_hand_over(session, block)) {
        thread_lose_block(thread, stream, sequence, records);
        return;
    }
    struct kc_trace *trace = stream->trace; /* it may have ended meanwhile */
    if (trace->dropped) {
        kc_session_drop_blocks(session, stream->stream.trace_number, segment);
        return;
    }
    if (!trace->handed_over) {
        trace->handed_over = true;
        trace->handed_over_segment = segment;
    }
    trace->record_count += records;
    trace->call_count += calls;
    trace->byte_count += bytes;
}

void
kc_thread_count_own(struct kc_thread *thread, uint64_t cost_ns)
{
    thread->session->own_ns += cost_ns;
    if (thread->stream != NULL) {
        thread->stream->trace->own_ns += cost_ns;
    }
}

bool
kc_thread_next_block(struct kc_thread *thread, struct kc_thread_stream *stream,
                     uint64_t now_ns)
{
    struct kc_session *session = thread->session;
    uint64_t began_ns = kc_clock_ns();
    kc_thread_flush_stream(thread, stream);
    kc_session_check_limit(session, stream->trace);
    struct kc_block *block = kc_scope_announce(thread, stream->trace)
                                 ? kc_session_take_block(session)
                                 : NULL;
    if (block != NULL) {
        kc_stream_give_block(&stream->stream, block, KC_BLOCK_RECORDS, now_ns);
        stream->lost_told = 0;
        stream->other_nodes = 0;
        stream->task = 0; /* each block decodes alone: it says its task again */
        kc_session_adopt_threads(session);
    }
    uint64_t cost_ns = kc_clock_ns() - began_ns;
    thread->cold_ns += cost_ns;
    kc_thread_count_own(thread, cost_ns);
    return block != NULL;
}

void
kc_thread_flush(struct kc_thread *thread)
{
    for (struct kc_thread_stream *stream = thread->streams; stream != NULL;
         stream = stream->next)
    {
        kc_thread_flush_stream(thread, stream);
    }
}

void
kc_thread_lose(struct kc_thread *thread, struct kc_thread_stream *stream)
{
    stream->lost_pending++;
    stream->trace->lost_count++;
    thread->session->lost_count++;
    atomic_fetch_add_explicit(&thread->session->mapping.header->lost_records, 1,
                              memory_order_relaxed);
}

/* The thread state is being cleared. What that destroys may be recorded still: the
 * streams stay until the thread state is gone. */
static void
thread_end(struct kc_thread *thread)
{
    thread->ended = true;
    if (thread->guard == KC_GUARD_FREE) {
        kc_session_cut_missed(thread);
        kc_stack_destroy(&thread->stack);
        thread->previous_func = NULL;
        Py_CLEAR(thread->previous_object);
    }
}

/* The thread ends, or another profiler took our place: its records go out now. */
static void
thread_let_go(struct kc_thread *thread)
{
    if (thread->session->dead || !thread->session->open) {
        return;
    }
    thread->attached = false;
    thread->detached_ns = kc_clock_ns();
    if (thread->guard == KC_GUARD_FREE) {
        thread->guard = KC_GUARD_FLUSH;
        kc_thread_flush(thread);
        thread->guard = KC_GUARD_FREE;
    }
    /* A thread state without a frame is one that is being cleared. */
    if (thread->tstate == PyThreadState_Get() && PyEval_GetFrame() == NULL) {
        thread_end(thread);
    }
    else if (thread->session->hook != NULL) {
        kc_session_watch_displaced();
    }
}

/* A program that has taken our object from sys.getprofile() put it back: called with
 * (frame, event, arg), it takes its place again. */
static PyObject *
thread_call(PyObject *op, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    PyObject *frame = NULL;
    const char *event = NULL;
    PyObject *arg = NULL;
    if (!PyArg_ParseTuple(args, "O!sO", &PyFrame_Type, &frame, &event, &arg)) {
        return NULL;
    }
    Py_INCREF(op); /* the place that is taken held it */
    kc_session_attach_again((PyFrameObject *)frame, event);
    Py_DECREF(op);
    Py_RETURN_NONE;
}

static void
thread_dealloc(PyObject *op)
{
    ThreadObject *self = (ThreadObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    struct kc_thread *thread = self->thread;
    if (thread != NULL) {
        thread->object = NULL;
        thread_let_go(thread);
    }
    type->tp_free(op);
    Py_DECREF(type); /* heap types are owned by their instances */
}

static PyType_Slot thread_slots[] = {
    {Py_tp_dealloc, thread_dealloc}, /* life */
    {Py_tp_call, thread_call},       /* use */
    {Py_tp_doc, "The state of one traced thread; the object of our profile function."},
    {0, NULL},
};

PyType_Spec kc_thread_type_spec = {
    .name = "kolo_c._kolo.Thread",
    .basicsize = sizeof(ThreadObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = thread_slots,
};
