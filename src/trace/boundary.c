/* boundary.c -- see boundary.h. */

#include "compat.h"

#include "trace/boundary.h"

#include "plain/clock.h"
#include "session/interrupt.h"
#include "session/scope.h"
#include "trace/boundary_simple.h"

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

/* Traces are begun and ended by Python code: its time is measured each time. That of a
 * beginning is the new trace's. */
static void
boundary_count(struct kc_thread *thread, uint64_t began_ns)
{
    uint64_t cost_ns = kc_clock_ns() - began_ns;
    thread->cold_ns += cost_ns;
    kc_thread_count_own(thread, cost_ns);
}

uint32_t
kc_boundary_current(const struct kc_session *session)
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

/* Ask Python for the trace: its number, or 0. */
static uint32_t
boundary_ask(struct kc_session *session, const struct kc_tracer *tracer,
             const struct kc_code *code, const struct kc_plugin_call *plugin)
{
    PyObject *opened =
        plugin == NULL ? PyObject_CallFunction(tracer->open_boundary, "OOO", code->code,
                                               Py_None, Py_None)
                       : PyObject_CallFunction(tracer->open_boundary, "OIO", code->code,
                                               plugin->plugin->index, plugin->started);
    unsigned long number = opened != NULL ? PyLong_AsUnsignedLong(opened) : 0;
    if (PyErr_Occurred()) {
        boundary_failed(session, "a boundary's trace could not be begun");
        number = 0;
    }
    Py_XDECREF(opened);
    return (uint32_t)number;
}

uint32_t
kc_boundary_open(struct kc_thread *thread, const struct kc_code *code,
                 const struct kc_plugin_call *plugin, uint32_t *outer)
{
    struct kc_session *session = thread->session;
    struct kc_tracer *tracer = thread->tracer;
    *outer = kc_boundary_current(session);
    bool apart = plugin != NULL && plugin->plugin->apart;
    if (tracer->open_boundary == NULL || session->dead ||
        (!apart && thread->stream != NULL &&
         thread->stream->trace != session->process_trace))
    {
        return 0; /* what is in a boundary's trace already joins it */
    }
    uint64_t began_ns = kc_clock_ns();
    struct kc_exc pending = kc_exc_save();
    uint32_t number =
        plugin != NULL ? kc_simple_begin(tracer, plugin->plugin, plugin->started) : 0;
    if (number == 0 && tracer->open_boundary != NULL) {
        number = boundary_ask(session, tracer, code, plugin);
    }
    kc_exc_restore(pending);
    if (number != 0) {
        kc_boundary_scope(thread, number);
    }
    boundary_count(thread, began_ns);
    return number;
}

/* `finished` is NULL or what the plugin's finish() gave. */
static void
boundary_end(struct kc_session *session, uint32_t number, PyObject *finished,
             bool failed)
{
    struct kc_tracer *tracer = session->tracer;
    if (tracer->close_boundary == NULL || session->dead ||
        kc_simple_end(tracer, number, finished, failed))
    {
        return; /* with its session, or so */
    }
    PyObject *closed = PyObject_CallFunction(tracer->close_boundary, "IOO", number,
                                             finished != NULL ? finished : Py_None,
                                             failed ? Py_True : Py_False);
    if (closed == NULL) {
        boundary_failed(session, "a boundary's trace could not be ended");
    }
    Py_XDECREF(closed);
}

void
kc_boundary_close(struct kc_thread *thread, uint32_t number, uint32_t outer,
                  PyObject *finished, bool failed)
{
    uint64_t began_ns = kc_clock_ns();
    struct kc_exc pending = kc_exc_save();
    boundary_end(thread->session, number, finished, failed);
    kc_boundary_scope(thread, outer);
    kc_exc_restore(pending);
    boundary_count(thread, began_ns);
}

void
kc_boundary_end(struct kc_session *session, uint32_t number)
{
    boundary_end(session, number, NULL, false);
}

uint32_t
kc_boundary_find_late(struct kc_session *session, uint32_t number)
{
    PyObject *ask = session->tracer->late_scope;
    if (ask == NULL || session->dead) {
        return 0;
    }
    struct kc_exc pending = kc_exc_save();
    PyObject *answer = PyObject_CallFunction(ask, "I", number);
    unsigned long late = answer != NULL ? PyLong_AsUnsignedLong(answer) : 0;
    if (PyErr_Occurred()) {
        boundary_failed(session, "a trace for what came late could not be begun");
        late = 0;
    }
    Py_XDECREF(answer);
    kc_exc_restore(pending);
    return (uint32_t)late;
}
