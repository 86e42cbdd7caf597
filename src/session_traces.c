/* session_traces.c -- the traces of a session, for Python: begin, name, end.
 * See session_object.h. */

#include "compat.h"

#include "session_object.h"
#include "trace/ending.h"
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
    kc_ending_count_from_now(&self->tracer, trace);
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
    struct kc_trace *trace = kc_session_find_trace(&self->session, number);
    if (trace == NULL) {
        PyErr_Format(PyExc_LookupError, "no trace has number %lu", number);
    }
    return trace;
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
    struct kc_ending ending;
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
    if (!kc_ending_end(&self->tracer, trace, cause, stored != 0, &ending)) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(Os)", stored && ending.announced ? Py_True : Py_False,
                         ending.counters);
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
