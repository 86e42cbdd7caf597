/* session_traces.c -- the traces of a session, for Python: begin, name, end.
 * See session_object.h. */

#include "compat.h"

#include <stdio.h>

#include "session_object.h"
#include "trace/limit.h"
#include "trace/value.h"

PyObject *
kc_session_begin(PyObject *op, PyObject *args, PyObject *kwargs)
{
    SessionObject *self = (SessionObject *)op;
    static char *names[] = {"id",         "kind",       "name",   "parent",
                            "attributes", "of_process", "always", "filter_set",
                            "held",       NULL};
    const char *id = NULL;
    const char *kind = NULL;
    PyObject *name = NULL;
    PyObject *parent = NULL;
    PyObject *attributes = NULL;
    int of_process = 0;
    int always = 0;
    int filter_set = 0;
    int held = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ssUOU|$ppip", names, &id, &kind,
                                     &name, &parent, &attributes, &of_process, &always,
                                     &filter_set, &held))
    {
        return NULL;
    }
    if (self->session.dead || !self->session.open) {
        PyErr_SetString(PyExc_RuntimeError, "the session is not active");
        return NULL;
    }
    if (filter_set < 0 || filter_set >= KC_FILTER_SETS_MOST) {
        PyErr_Format(PyExc_ValueError, "there is no filter set %d", filter_set);
        return NULL;
    }
    struct kc_trace *trace = kc_session_begin_trace(
        &self->session, id, kind, name, parent == Py_None ? NULL : parent, attributes);
    if (trace == NULL) {
        return NULL;
    }
    trace->keep_bit = (uint8_t)(1u << filter_set);
    trace->held = held;
    if (trace->number > 1) { /* what went wrong before the first is told with it */
        trace->errors_before =
            self->session.error_count +
            kc_values_borrow_counters(self->tracer.values)->error_count;
    }
    if (of_process) {
        self->session.process_trace = trace;
    }
    if (always && !kc_session_announce(&self->session, trace)) {
        kc_session_error(&self->session, "a trace could not be announced");
    }
    return PyLong_FromUnsignedLong(trace->number);
}

static struct kc_trace *
session_find_trace(SessionObject *self, unsigned long number)
{
    for (uint32_t i = 0; number != 0 && i < KC_TRACES_MOST; i++) {
        if (self->session.traces[i].number == number) {
            return &self->session.traces[i];
        }
    }
    PyErr_Format(PyExc_LookupError, "no trace has number %lu", number);
    return NULL;
}

/* The counters of `trace` as JSON text: what happened in it; of the time in threads
 * that all use, what passed meanwhile. That of the process has all of our own time. */
static int
session_format_counters(SessionObject *self, const struct kc_trace *trace, char *text,
                        size_t size)
{
    const struct kc_session *session = &self->session;
    const struct kc_value_counters *values =
        kc_values_borrow_counters(self->tracer.values);
    bool whole = trace == session->process_trace;
    kc_values_settle(self->tracer.values);
    uint64_t calls = trace->call_count;
    return snprintf(
        text, size,
        "{\"calls\": %llu, \"records\": %llu, \"bytes\": %llu, \"skipped\": %llu, "
        "\"kept\": %llu, \"masked\": %llu, \"truncated\": %llu, \"lost\": %llu, "
        "\"waited_ns\": %llu, \"errors\": %llu, \"own_ns\": %llu, \"writer_ns\": %llu, "
        "\"blind\": %llu, \"values_off\": %s}",
        (unsigned long long)calls, (unsigned long long)trace->record_count,
        (unsigned long long)trace->byte_count,
        (unsigned long long)self->tracer.skipped_count,
        (unsigned long long)self->tracer.kept_count,
        (unsigned long long)trace->masked_count,
        (unsigned long long)trace->truncated_count,
        (unsigned long long)trace->lost_count,
        (unsigned long long)(session->waited_ns - trace->waited_before_ns),
        (unsigned long long)(session->error_count + values->error_count -
                             trace->errors_before),
        (unsigned long long)(whole ? session->own_ns : trace->own_ns),
        (unsigned long long)(atomic_load(&session->writer.cpu_ns) -
                             trace->writer_before_ns),
        (unsigned long long)(session->blind_count - trace->blind_before),
        trace->limited ? "true" : "false");
}

/* What was counted instead of recorded goes to the trace's first stream. */
static void
session_tell_counts(SessionObject *self, const struct kc_trace *trace)
{
    for (struct kc_thread *thread = self->session.threads; thread != NULL;
         thread = thread->next)
    {
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

PyObject *
kc_session_end(PyObject *op, PyObject *args, PyObject *kwargs)
{
    SessionObject *self = (SessionObject *)op;
    static char *names[] = {"number", "cause", "name", "attributes", "stored", NULL};
    unsigned long number = 0;
    const char *cause = NULL;
    PyObject *name = NULL;
    PyObject *attributes = NULL;
    int stored = 1;
    char counters[1024];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ksUU|$p", names, &number, &cause,
                                     &name, &attributes, &stored))
    {
        return NULL;
    }
    struct kc_trace *trace = session_find_trace(self, number);
    if (trace == NULL) {
        return NULL;
    }
    if (!stored && !trace->held) {
        PyErr_SetString(PyExc_ValueError, "only a held trace may go unstored");
        return NULL;
    }
    if (self->session.dead || !self->session.open) {
        Py_RETURN_NONE; /* it ended with the session */
    }
    Py_SETREF(trace->name, Py_NewRef(name));
    Py_SETREF(trace->attributes, Py_NewRef(attributes));
    if (stored) {
        session_tell_counts(self, trace);
        kc_session_keep_held(&self->session, trace);
        if (!kc_session_flush_trace(&self->session, trace)) {
            Py_RETURN_NONE;
        }
    }
    (void)session_format_counters(self, trace, counters, sizeof counters);
    PyObject *result = Py_BuildValue(
        "(Os)", stored && trace->announced ? Py_True : Py_False, counters);
    if (stored) {
        kc_session_end_trace(&self->session, trace, cause, counters);
    }
    else {
        kc_session_drop_trace(&self->session, trace);
    }
    return result;
}

PyObject *
kc_session_close_boundary(PyObject *op, PyObject *number)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long wanted = PyLong_AsUnsignedLong(number);
    if (PyErr_Occurred()) {
        return NULL;
    }
    struct kc_trace *trace = session_find_trace(self, wanted);
    if (trace == NULL) {
        return NULL;
    }
    if (!self->session.dead && self->session.open) {
        kc_session_close_trace(&self->session, trace);
    }
    Py_RETURN_NONE;
}

PyObject *
kc_session_set_default(PyObject *op, PyObject *number)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long wanted = PyLong_AsUnsignedLong(number);
    if (PyErr_Occurred()) {
        return NULL;
    }
    struct kc_trace *trace = NULL;
    if (wanted != 0) {
        trace = session_find_trace(self, wanted);
        if (trace == NULL) {
            return NULL;
        }
    }
    self->session.default_trace = trace;
    self->session.scope_generation++;
    Py_RETURN_NONE;
}

PyObject *
kc_session_set(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long number = 0;
    PyObject *name = NULL;
    PyObject *attributes = NULL;
    if (!PyArg_ParseTuple(args, "kUU", &number, &name, &attributes)) {
        return NULL;
    }
    struct kc_trace *trace = session_find_trace(self, number);
    if (trace == NULL) {
        return NULL;
    }
    if (self->session.dead || !self->session.open) {
        Py_RETURN_FALSE;
    }
    return PyBool_FromLong(
        kc_session_set_trace(&self->session, trace, name, attributes));
}
