/* session_says.c -- what the program itself tells: regions, notes, an exception.
 * See session_object.h. */

#include "compat.h"

#include "plain/clock.h"
#include "session/scope.h"
#include "session_object.h"
#include "trace/capture.h"
#include "trace/profile_event.h"
#include "trace/unknown.h"

/* This thread's state, borrowed, if it is traced. */
static struct kc_thread *
session_borrow_thread(SessionObject *self)
{
    PyThreadState *tstate = PyThreadState_Get();
    if (!self->registered || self->session.dead) {
        return NULL;
    }
    return kc_thread_borrow_own(&self->session, tstate);
}

struct kc_thread *
kc_session_own_thread(SessionObject *self)
{
    struct kc_thread *thread = session_borrow_thread(self);
    if (thread == NULL || thread->guard != KC_GUARD_FREE) {
        return NULL;
    }
    thread->guard = KC_GUARD_RECORD;
    if (thread->pending != KC_PENDING_NONE) {
        kc_profile_settle(thread); /* it belongs to the scope as it was */
    }
    kc_scope_check(thread);
    if (thread->stream != NULL) {
        kc_tracer_prepare(thread, thread->stream, kc_clock_ns());
    }
    thread->guard = KC_GUARD_FREE;
    return thread->stream != NULL ? thread : NULL;
}

struct kc_thread *
kc_session_telling_thread(SessionObject *self)
{
    struct kc_thread *thread = session_borrow_thread(self);
    if (thread == NULL || !thread->handling) {
        return kc_session_own_thread(self);
    }
    kc_scope_check(thread); /* the handler may have moved it */
    if (thread->stream != NULL) {
        kc_tracer_prepare(thread, thread->stream, kc_clock_ns());
    }
    return thread->stream != NULL ? thread : NULL;
}

/* The scope variable is looked up when the context changes; it was set within one. */
PyObject *
kc_session_scope_changed(PyObject *op, PyObject *none)
{
    SessionObject *self = (SessionObject *)op;
    (void)none;
    struct kc_thread *thread = session_borrow_thread(self);
    if (thread != NULL) { /* whatever its guard: it is looked up with the next call */
        thread->scope_generation = self->session.scope_generation - 1;
    }
    Py_RETURN_NONE;
}

PyObject *
kc_session_region_begin(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    PyObject *name = NULL;
    PyObject *values = NULL;
    if (!PyArg_ParseTuple(args, "UO!", &name, &PyDict_Type, &values)) {
        return NULL;
    }
    struct kc_thread *thread = kc_session_own_thread(self);
    struct kc_entry *entry = thread != NULL ? kc_stack_push(&thread->stack) : NULL;
    if (entry == NULL) {
        return PyLong_FromLong(0);
    }
    kc_entry_init(entry, thread->stream, thread->depth_limit);
    thread->guard = KC_GUARD_RECORD;
    if (!kc_capture_region(thread, entry, name, values, kc_clock_ns())) {
        entry->unwritten = true;
        kc_thread_lose(thread, entry->stream);
    }
    thread->guard = KC_GUARD_FREE;
    return PyLong_FromUnsignedLongLong(entry->unwritten ? 0 : entry->open.node);
}

/* The region with this node on the thread's stack; NULL where there is none. */
static struct kc_entry *
region_find(const struct kc_thread *thread, uint64_t node)
{
    for (uint32_t i = thread->stack.depth; i-- > 0;) {
        struct kc_entry *entry = &thread->stack.entries[i];
        if (entry->frame == NULL && entry->open.node == node && !entry->unwritten) {
            return entry;
        }
    }
    return NULL;
}

/* End region `node` of this thread; what is above it and still open is cut. A region
 * that is not on the stack (its coroutine was suspended in it) has been cut already. */
PyObject *
kc_session_region_end(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long long node = 0;
    PyObject *exception = NULL;
    if (!PyArg_ParseTuple(args, "KO", &node, &exception)) {
        return NULL;
    }
    struct kc_thread *thread = kc_session_own_thread(self);
    struct kc_entry *entry = thread != NULL ? region_find(thread, node) : NULL;
    if (entry == NULL) {
        Py_RETURN_FALSE;
    }
    thread->guard = KC_GUARD_RECORD;
    kc_tracer_cut(thread, (uint32_t)(entry - thread->stack.entries) + 1);
    if (!kc_capture_region_end(thread, entry, exception == Py_None ? NULL : exception,
                               kc_clock_ns()))
    {
        if (!entry->unwritten) { /* its block may have been lost meanwhile */
            kc_stream_drop(&entry->stream->stream, &entry->open);
        }
        kc_thread_lose(thread, entry->stream);
    }
    thread->depth_limit = entry->depth_limit;
    thread->stack.depth--;
    thread->guard = KC_GUARD_FREE;
    Py_RETURN_TRUE;
}

PyObject *
kc_session_note(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    PyObject *text = NULL;
    PyObject *values = NULL;
    if (!PyArg_ParseTuple(args, "UO!", &text, &PyDict_Type, &values)) {
        return NULL;
    }
    struct kc_thread *thread = kc_session_own_thread(self);
    if (thread == NULL) {
        Py_RETURN_FALSE;
    }
    thread->guard = KC_GUARD_RECORD;
    bool written = kc_capture_note(thread, thread->stream, text, values, kc_clock_ns());
    if (!written) {
        kc_thread_lose(thread, thread->stream);
    }
    thread->guard = KC_GUARD_FREE;
    return PyBool_FromLong(written);
}

/* An exception that reached the runner: tell the calls that it left. */
PyObject *
kc_session_resolve(PyObject *op, PyObject *exception)
{
    SessionObject *self = (SessionObject *)op;
    if (!self->session.opened) {
        Py_RETURN_NONE; /* nothing was kept: it left no call of ours */
    }
    struct kc_thread *thread = kc_session_own_thread(self);
    if (thread != NULL && PyExceptionInstance_Check(exception)) {
        thread->guard = KC_GUARD_RECORD;
        kc_unknown_resolve(thread, exception);
        thread->guard = KC_GUARD_FREE;
    }
    Py_RETURN_NONE;
}
