/* session_register.c -- attaching a session's tracer to the threads, and detaching it.
 * See session_object.h. */

#include "compat.h"

#include "plain/clock.h"
#include "session/interrupt.h"
#include "session_object.h"
#include "state.h"
#include "trace/hook_setprofile.h"
#include "trace/profile_event.h"

#define QUIESCE_NS 5000000000u

PyObject *
kc_session_other_profiler(PyThreadState *tstate)
{
    if (tstate->c_profilefunc == NULL || tstate->c_profilefunc == kc_hook_profile) {
        return NULL;
    }
    PyObject *object = tstate->c_profileobj;
    if (tstate->c_profilefunc == kc_hook_noop) {
        return PyUnicode_FromString("kolo_c's no-op profiler");
    }
    if (object == NULL) {
        return PyUnicode_FromString("a C profiler");
    }
    if (PyFunction_Check(object)) {
        PyFunctionObject *function = (PyFunctionObject *)object;
        return PyUnicode_FromFormat(
            "%S (%U)", function->func_module != NULL ? function->func_module : Py_None,
            function->func_qualname);
    }
    PyTypeObject *type = Py_TYPE(object);
    PyObject *module = type->tp_dict != NULL
                           ? PyDict_GetItemString(type->tp_dict, "__module__")
                           : NULL;
    if (module != NULL && PyUnicode_Check(module) &&
        (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0)
    {
        return PyUnicode_FromFormat("%U.%s", module, type->tp_name);
    }
    return PyUnicode_FromFormat("%s", type->tp_name);
}

int
kc_session_register(PyObject *op, int replace)
{
    SessionObject *self = (SessionObject *)op;
    if (op != kc_session_borrow_active() || !self->session.open || self->session.dead) {
        PyErr_SetString(PyExc_RuntimeError, "the session is not active");
        return -1;
    }
    PyInterpreterState *interpreter = PyInterpreterState_Main();
    PyThreadState *tstate = PyInterpreterState_ThreadHead(interpreter);
    bool displaces = self->session.hook != NULL && !replace;
    for (; tstate != NULL && displaces; tstate = PyThreadState_Next(tstate)) {
        PyObject *name = kc_session_other_profiler(tstate);
        if (name != NULL) {
            PyErr_Format(PyExc_RuntimeError, "another profiler is installed: %U", name);
            Py_DECREF(name);
        }
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    if (self->tracer.hook->begin(&self->tracer) < 0) {
        return -1;
    }
    self->registered = true;
    self->session.attaching = self->session.hook != NULL;
    /* This thread first: it is the trace's first. */
    int result = kc_session_attach(&self->session, PyThreadState_Get());
    tstate = PyInterpreterState_ThreadHead(interpreter);
    for (; tstate != NULL && result == 0; tstate = PyThreadState_Next(tstate)) {
        result = kc_session_attach(&self->session, tstate);
    }
    if (result < 0) {
        struct kc_exc error = kc_exc_save();
        (void)kc_session_unregister(op);
        kc_exc_restore(error);
    }
    return result;
}

int
kc_session_unregister(PyObject *op)
{
    SessionObject *self = (SessionObject *)op;
    if (op != kc_session_borrow_active()) {
        PyErr_SetString(PyExc_RuntimeError, "the session is not active");
        return -1;
    }
    if (self->registered) {
        self->registered = false;
        self->session.attaching = false;
        kc_session_detach_all(&self->session);
        self->tracer.hook->end(&self->tracer);
        kc_session_quiesce(&self->session, NULL,
                           self->session.wait_max_ns + QUIESCE_NS);
        for (struct kc_thread *thread = self->session.threads; thread != NULL;
             thread = thread->next)
        {
            if (thread->pending != KC_PENDING_NONE && !self->session.dead &&
                thread->guard == KC_GUARD_FREE)
            {
                thread->guard = kc_thread_guard_for_flush(thread);
                kc_profile_settle(thread);
                thread->guard = KC_GUARD_FREE;
            }
        }
    }
    return 0;
}

/* Tell Python that a thread begins: it may belong to a trace. */
static void
register_tell(SessionObject *self)
{
    PyObject *tell = self->tracer.thread_begins;
    PyObject *told = tell != NULL ? PyObject_CallNoArgs(tell) : NULL;
    if (told == NULL && tell != NULL && !kc_interrupt_give_back()) {
        PyErr_Clear();
        kc_session_error(&self->session, "the trace of a new thread is not known");
    }
    Py_XDECREF(told);
}

/* For threading.setprofile(): the first event of a new thread attaches it. */
PyObject *
kc_session_attach_thread(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    SessionObject *self = (SessionObject *)op;
    PyThreadState *tstate = PyThreadState_Get();
    if (!self->registered || self->session.dead) {
        kc_eval_set_profile(tstate, NULL, NULL);
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    register_tell(self);
    if (kc_session_attach(&self->session, tstate) < 0) {
        PyErr_Clear();
        kc_session_error(&self->session, "a new thread could not be attached");
        Py_RETURN_NONE;
    }
    /* Whose place we took is this very method: it is nobody's to be put back, and it
     * holds us. */
    struct kc_thread *thread = ((ThreadObject *)tstate->c_profileobj)->thread;
    if (thread != NULL && thread->previous_object != NULL &&
        PyCFunction_Check(thread->previous_object) &&
        PyCFunction_GET_SELF(thread->previous_object) == op)
    {
        thread->previous_func = NULL;
        Py_CLEAR(thread->previous_object);
    }
    /* The event that brought us here may be a call of the program's. */
    if (count == 3 && PyFrame_Check(args[0]) && PyUnicode_Check(args[1]) &&
        PyUnicode_CompareWithASCIIString(args[1], "call") == 0)
    {
        PyObject *object = Py_XNewRef(tstate->c_profileobj);
        if (object != NULL) {
            (void)kc_hook_profile(object, (PyFrameObject *)args[0], PyTrace_CALL,
                                  Py_None);
            Py_DECREF(object);
        }
    }
    Py_RETURN_NONE;
}
