/* traces.c -- the traces of a session: their beginning, their limit, their end.
 * See session.h. */

#include "session/session.h"

#include <stdio.h>
#include <string.h>

#include "plain/clock.h"

static struct kc_trace *
session_free_slot(struct kc_session *session)
{
    for (uint32_t i = 0; i < KC_TRACES_MOST; i++) {
        if (session->trace_numbers[i] == 0) {
            return &session->traces[i];
        }
    }
    return NULL;
}

struct kc_trace *
kc_session_begin_trace(struct kc_session *session, const char *id, const char *kind,
                       PyObject *name, PyObject *parent, PyObject *attributes)
{
    struct kc_trace *trace = session_free_slot(session);
    if (trace == NULL) {
        PyErr_Format(PyExc_RuntimeError, "more than %u traces are open at once",
                     KC_TRACES_MOST);
        return NULL;
    }
    memset(trace, 0, sizeof *trace);
    trace->number = ++session->trace_count;
    session->trace_numbers[trace - session->traces] = trace->number;
    trace->open = true;
    trace->keep_bit = 1;
    (void)snprintf(trace->id, sizeof trace->id, "%s", id);
    (void)snprintf(trace->kind, sizeof trace->kind, "%s", kind);
    trace->name = Py_NewRef(name);
    trace->parent = Py_XNewRef(parent);
    trace->attributes = Py_NewRef(attributes);
    trace->started_ns = kc_clock_ns();
    trace->started_utc_ns = kc_clock_utc_ns();
    trace->waited_before_ns = session->waited_ns;
    trace->blind_before = session->blind_count;
    trace->writer_before_ns = atomic_load(&session->writer.cpu_ns);
    session->scope_generation++;
    return trace;
}

struct kc_trace *
kc_session_find_trace(struct kc_session *session, unsigned long number)
{
    for (uint32_t i = 0; number != 0 && i < KC_TRACES_MOST; i++) {
        if (session->trace_numbers[i] == number) {
            return &session->traces[i];
        }
    }
    return NULL;
}

struct kc_trace_facts
kc_session_trace_facts(const struct kc_trace *trace)
{
    struct kc_trace_facts facts = {
        .number = trace->number,
        .id = trace->id,
        .kind = trace->kind,
        .name = trace->name,
        .parent = trace->parent,
        .attributes = trace->attributes,
        .started_ns = trace->started_ns,
        .started_utc_ns = trace->started_utc_ns,
    };
    return facts;
}

bool
kc_session_announce(struct kc_session *session, struct kc_trace *trace)
{
    if (trace->announced || trace->named) {
        return true;
    }
    if (trace->held) {
        trace->named = true;
        if (kc_session_name_held(session)) {
            return true;
        }
        trace->named = false; /* then as any: dropping it will undo that */
    }
    struct kc_trace_facts facts = kc_session_trace_facts(trace);
    trace->announced = kc_definitions_trace(session->definitions, &facts) != 0;
    return trace->announced;
}

bool
kc_session_set_trace(struct kc_session *session, struct kc_trace *trace, PyObject *name,
                     PyObject *attributes)
{
    Py_SETREF(trace->name, Py_NewRef(name));
    Py_SETREF(trace->attributes, Py_NewRef(attributes));
    if (trace->named) {
        return kc_session_name_held(session);
    }
    if (!trace->announced) {
        return true; /* its definition will have them */
    }
    struct kc_trace_facts facts = kc_session_trace_facts(trace);
    return kc_definitions_trace_set(session->definitions, &facts) != 0;
}

/* From this many calls on a function is a hot one, when the limit is reached; half of
 * it for each 64th that the trace grows beyond. */
#define HOT_CALLS 1024u

void
kc_session_check_limit(struct kc_session *session, struct kc_trace *trace)
{
    uint64_t raw = atomic_load(&session->writer.raw_bytes);
    uint64_t stored = atomic_load(&session->writer.stored_bytes);
    if (session->max_trace_bytes == 0) {
        return;
    }
    if (raw == 0) { /* nothing is stored yet: take what is written as it is */
        raw = stored = 1;
    }
    /* What the trace takes on disk, by the ratio that compression has reached so far.
     */
    double bytes = (double)trace->byte_count * ((double)stored / (double)raw);
    double share = bytes / (double)session->max_trace_bytes;
    if (share >= 0.75) {
        trace->limited = true;
    }
    if (share >= 1.0) {
        unsigned halvings = share < 1.25 ? (unsigned)((share - 1.0) * 64.0) : 16;
        trace->count_above = HOT_CALLS >> (halvings < 10 ? halvings : 10);
    }
}

/* Take the calls of `stream` off the thread's stack. */
static void
session_forget_calls(struct kc_thread *thread, const struct kc_thread_stream *stream)
{
    struct kc_stack *stack = &thread->stack;
    bool forgotten = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < stack->depth; i++) {
        struct kc_entry *entry = &stack->entries[i];
        if (entry->stream != stream) {
            stack->entries[kept++] = *entry;
            continue;
        }
        if (!forgotten) {
            thread->depth_limit = entry->depth_limit; /* as it was outside */
        }
        kc_session_put_aside(thread->session, entry);
        forgotten = true;
    }
    stack->depth = kept;
    thread->unknown_count = 0;
    kc_thread_clear_pending(thread);
}

/* Unlink the stream of `trace`, or one that was left of an earlier trace, from
 * `thread`; false where it has none. */
static bool
session_forget_stream(struct kc_thread *thread, const struct kc_trace *trace)
{
    const struct kc_session *session = thread->session;
    struct kc_thread_stream *stream = thread->streams;
    while (stream != NULL && stream->trace != trace &&
           stream->trace != &session->ended && stream->trace != &session->dropped)
    {
        stream = stream->next;
    }
    if (stream == NULL) {
        return false;
    }
    uint8_t guard = thread->guard;
    thread->guard = KC_GUARD_FLUSH;
    kc_thread_flush_stream(thread, stream);
    thread->guard = guard;
    struct kc_thread_stream **link = &thread->streams;
    while (*link != stream) {
        link = &(*link)->next;
    }
    *link = stream->next;
    if (thread->stream == stream) {
        thread->stream = NULL;
    }
    session_forget_calls(thread, stream);
    kc_thread_free_stream(stream);
    return true;
}

/* Unlink the trace's streams from their threads: the slot is used again. A thread that
 * is in the middle of a record keeps its stream until a later trace ends. */
static void
session_forget_streams(struct kc_session *session, const struct kc_trace *trace)
{
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        while (!kc_thread_is_busy(thread) && session_forget_stream(thread, trace)) {
        }
        for (struct kc_thread_stream *stream = thread->streams; stream != NULL;
             stream = stream->next)
        {
            if (stream->trace == trace) {
                stream->trace = trace->dropped ? &session->dropped : &session->ended;
            }
        }
    }
}

/* Nothing of the session points to `trace` any more: its slot is free. */
static void
session_free_trace(struct kc_session *session, struct kc_trace *trace)
{
    session_forget_streams(session, trace);
    if (session->process_trace == trace) {
        session->process_trace = NULL;
    }
    if (session->default_trace == trace) {
        session->default_trace = NULL;
    }
    session->scope_generation++;
    Py_CLEAR(trace->name);
    Py_CLEAR(trace->parent);
    Py_CLEAR(trace->attributes);
    trace->last_stream = NULL;
    trace->open = false;
    trace->number = 0;
    session->trace_numbers[trace - session->traces] = 0;
}

void
kc_session_close_trace(struct kc_session *session, struct kc_trace *trace)
{
    trace->ended_ns = kc_clock_ns();
    trace->open = false;
    if (session->default_trace == trace) {
        session->default_trace = NULL;
    }
    session->scope_generation++;
}

void
kc_session_end_trace(struct kc_session *session, struct kc_trace *trace,
                     const char *cause, const char *counters)
{
    if (trace->announced) {
        struct kc_trace_facts facts = kc_session_trace_facts(trace);
        uint64_t ended_ns = trace->ended_ns != 0 ? trace->ended_ns : kc_clock_ns();
        if (kc_definitions_trace_end(session->definitions, &facts, ended_ns, cause,
                                     counters) == 0)
        {
            kc_session_error(session, "the end of a trace could not be written");
        }
    }
    session_free_trace(session, trace);
}

void
kc_session_drop_trace(struct kc_session *session, struct kc_trace *trace)
{
    bool was_named = trace->named;
    bool was_told = trace->handed_over || trace->announced;
    uint32_t number = trace->number;
    uint64_t segment = trace->handed_over_segment;
    trace->dropped = true;
    trace->named = false;
    session_free_trace(session, trace);
    if (was_told) {
        kc_session_drop_blocks(session, number, segment);
    }
    if (was_named) {
        (void)kc_session_name_held(session);
    }
}
