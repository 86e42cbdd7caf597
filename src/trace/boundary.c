/* boundary.c -- see boundary.h. */

#include "compat.h"

#include "trace/boundary.h"

#include "session/interrupt.h"
#include "session/scope.h"

/* A call of ours raised: say so, or give the program what was meant for it. */
static void
boundary_failed(struct kc_session *session, const char *text)
{
    if (!kc_interrupt_give_back()) {
        PyErr_Clear();
        kc_session_error(session, text);
    }
}

void
kc_boundary_scope(struct kc_thread *thread, uint32_t number)
{
    PyObject *value = PyLong_FromUnsignedLong(number);
    PyObject *token =
        value != NULL ? PyContextVar_Set(thread->session->scope_variable, value) : NULL;
    Py_XDECREF(value);
    Py_XDECREF(token);
    PyErr_Clear();
    kc_scope_refresh(thread);
}

/* The number that the scope variable has in this context; 0 for none. */
static uint32_t
boundary_current(const struct kc_session *session)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(session->scope_variable, NULL, &value) < 0 || value == NULL) {
        PyErr_Clear();
        return 0;
    }
    unsigned long number = PyLong_AsUnsignedLong(value);
    Py_DECREF(value);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return (uint32_t)number;
}

uint32_t
kc_boundary_open(struct kc_thread *thread, const struct kc_code *code, uint32_t *outer)
{
    struct kc_session *session = thread->session;
    const struct kc_tracer *tracer = thread->tracer;
    *outer = boundary_current(session);
    if (tracer->open_boundary == NULL ||
        (thread->stream != NULL && thread->stream->trace != session->process_trace))
    {
        return 0; /* what is in a boundary's trace already joins it */
    }
    struct kc_exc pending = kc_exc_save();
    PyObject *opened =
        PyObject_CallOneArg(tracer->open_boundary, (PyObject *)code->code);
    unsigned long number = opened != NULL ? PyLong_AsUnsignedLong(opened) : 0;
    if (PyErr_Occurred()) {
        boundary_failed(session, "a boundary's trace could not be begun");
        number = 0;
    }
    Py_XDECREF(opened);
    kc_exc_restore(pending);
    if (number != 0) {
        kc_boundary_scope(thread, (uint32_t)number);
    }
    return (uint32_t)number;
}

void
kc_boundary_close(struct kc_thread *thread, uint32_t number, uint32_t outer)
{
    struct kc_exc pending = kc_exc_save();
    PyObject *value = PyLong_FromUnsignedLong(number);
    PyObject *closed = value != NULL
                           ? PyObject_CallOneArg(thread->tracer->close_boundary, value)
                           : NULL;
    if (closed == NULL) {
        boundary_failed(thread->session, "a boundary's trace could not be ended");
    }
    Py_XDECREF(closed);
    Py_XDECREF(value);
    kc_boundary_scope(thread, outer);
    kc_exc_restore(pending);
}
