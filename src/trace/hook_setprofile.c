/* hook_setprofile.c -- see hook_setprofile.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/hook_setprofile.h"

#include <time.h>

#include "plain/clock.h"
#include "session/scope.h"
#include "trace/pause.h"
#include "trace/verdict.h"

#define TOOL_NAME "kolo_c"

int
kc_hook_noop(PyObject *op, PyFrameObject *frame, int what, PyObject *arg)
{
    (void)op;
    (void)frame;
    (void)what;
    (void)arg;
    return 0;
}

/* Another thread hands over this one's blocks, and waits for the writer without the
 * GIL. So does the program, as with overflow = "wait" for a block of its own: false
 * where that takes longer than it may, and the event is lost. */
KC_COLD static bool
hook_wait(struct kc_thread *thread)
{
    uint64_t began_ns = kc_clock_system_ns();
    uint64_t deadline_ns = began_ns + thread->session->wait_max_ns;
    thread->waiting = true;
    while (thread->guard == KC_GUARD_FLUSH && kc_clock_system_ns() < deadline_ns) {
        struct timespec pause = {0, 200000};
        Py_BEGIN_ALLOW_THREADS(void)
        nanosleep(&pause, NULL);
        Py_END_ALLOW_THREADS
    }
    thread->waiting = false;
    thread->session->waited_ns += kc_clock_system_ns() - began_ns;
    if (thread->guard == KC_GUARD_FLUSH && thread->stream != NULL) {
        kc_thread_lose(thread, thread->stream);
    }
    return thread->guard == KC_GUARD_FREE;
}

/* An event of kept code. Apart from the hook itself, so that skipped code leaves that
 * without having saved a register. */
static __attribute__((noinline)) int
hook_keep(struct kc_thread *thread, PyFrameObject *frame, int what, PyObject *arg,
          uint64_t word)
{
    if (KC_UNLIKELY(thread->guard != KC_GUARD_FREE) &&
        (thread->guard != KC_GUARD_FLUSH || !hook_wait(thread)))
    {
        return 0;
    }
    struct kc_code *about = kc_verdict_code(thread->tracer, word);
    if (what == PyTrace_RETURN) {
        kc_tracer_leave(thread, frame, about, arg);
        return 0;
    }
    thread->guard = KC_GUARD_RECORD;
    if (KC_UNLIKELY(thread->pending != KC_PENDING_NONE)) {
        kc_tracer_settle(thread); /* it belongs to the scope as it was */
    }
    kc_scope_check(thread);
    thread->guard = KC_GUARD_FREE;
    if ((word & thread->keep_bits) != 0) {
        kc_tracer_enter(thread, frame, about);
    }
    else if (KC_UNLIKELY(thread->paused) && about->suspends) {
        kc_pause_go_on(thread, frame, about);
    }
    return 0;
}

/* Ask the filter, with the guard up: the filter is Python. */
KC_COLD static uint64_t
hook_decide(struct kc_thread *thread, PyFrameObject *frame, PyCodeObject *code)
{
    if (thread->guard != KC_GUARD_FREE &&
        (thread->guard != KC_GUARD_FLUSH || !hook_wait(thread)))
    {
        return 0;
    }
    uint64_t began_ns = kc_clock_ns();
    thread->guard = KC_GUARD_RECORD;
    uint64_t word = kc_verdict_decide(thread->tracer, frame, code);
    thread->guard = KC_GUARD_FREE;
    thread->session->own_ns += kc_clock_ns() - began_ns;
    return word;
}

/* Code that was not decided yet, or under other filters. */
KC_COLD static int
hook_first(struct kc_thread *thread, PyFrameObject *frame, int what, PyObject *arg,
           PyCodeObject *code)
{
    uint64_t word = hook_decide(thread, frame, code);
    if ((word & KC_VERDICT_KEEP_MASK) == 0) {
        return 0;
    }
    return hook_keep(thread, frame, what, arg, word);
}

/* Every event of every thread comes through here: C functions leave in the first line,
 * skipped code after one look at its code object. It returns 0 whatever happens,
 * because a non-zero return would raise our error inside the program. No allocation, no
 * Python. */
int
kc_hook_setprofile(PyObject *op, PyFrameObject *frame, int what, PyObject *arg)
{
    if (what != PyTrace_CALL && what != PyTrace_RETURN) {
        return 0;
    }
    PyCodeObject *code = kc_frame_borrow_code(frame);
    uint64_t word = kc_verdict_probe(code);
    if (KC_LIKELY(kc_verdict_skips(word))) {
        return 0;
    }
    struct kc_thread *thread = ((ThreadObject *)op)->thread;
    if (KC_UNLIKELY(thread == NULL)) {
        return 0;
    }
    if (KC_UNLIKELY(!kc_verdict_is_current(thread->tracer, word))) {
        return hook_first(thread, frame, what, arg, code);
    }
    return hook_keep(thread, frame, what, arg, word);
}

#if KC_HAS_MONITORING

/* The thread's state, if the running thread is traced by us. */
static struct kc_thread *
hook_borrow_thread(void)
{
    PyThreadState *tstate = PyThreadState_Get();
    if (tstate->c_profilefunc != kc_hook_setprofile || tstate->c_profileobj == NULL) {
        return NULL;
    }
    return ((ThreadObject *)tstate->c_profileobj)->thread;
}

/* PY_UNWIND and PY_THROW: (code, offset, exception). Comes after the profile event,
 * which waits for it. */
static PyObject *
hook_on_exception(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    struct kc_thread *thread = hook_borrow_thread();
    if (thread != NULL && thread->pending != KC_PENDING_NONE && count == 3 &&
        thread->guard == KC_GUARD_FREE &&
        args[0] == (PyObject *)kc_frame_borrow_code(thread->pending_frame))
    {
        kc_tracer_exception(thread, args[2]);
    }
    Py_RETURN_NONE;
}

static PyMethodDef hook_exception_method = {
    "on_exception", (PyCFunction)(void (*)(void))hook_on_exception, METH_FASTCALL,
    "The exception that leaves a frame, or is thrown into it."};

/* Use tool id 4, then 3; -1 where both are taken. */
static int
hook_use_tool(PyObject *monitoring)
{
    for (int id = 4; id >= 3; id--) {
        PyObject *used =
            PyObject_CallMethod(monitoring, "use_tool_id", "is", id, TOOL_NAME);
        if (used != NULL) {
            Py_DECREF(used);
            return id;
        }
        PyErr_Clear();
    }
    return -1;
}

/* The number of event `name`, or -1 with an exception set. */
static long
hook_event(PyObject *monitoring, const char *name)
{
    PyObject *events = PyObject_GetAttrString(monitoring, "events");
    PyObject *event = events != NULL ? PyObject_GetAttrString(events, name) : NULL;
    long number = event != NULL ? PyLong_AsLong(event) : -1;
    Py_XDECREF(event);
    Py_XDECREF(events);
    return number;
}

/* Register `callback` (NULL: none) for both events, and set them for tool `id`. */
static int
hook_register(PyObject *monitoring, int id, PyObject *callback)
{
    const char *names[2] = {"PY_UNWIND", "PY_THROW"};
    long set = 0;
    for (int i = 0; i < 2; i++) {
        long event = hook_event(monitoring, names[i]);
        PyObject *old =
            event >= 0
                ? PyObject_CallMethod(monitoring, "register_callback", "ilO", id, event,
                                      callback != NULL ? callback : Py_None)
                : NULL;
        if (old == NULL) {
            return -1;
        }
        Py_DECREF(old);
        set |= event;
    }
    PyObject *done = PyObject_CallMethod(monitoring, "set_events", "il", id,
                                         callback != NULL ? set : 0L);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

int
kc_hook_subscribe(struct kc_tracer *tracer)
{
    int result = -1;
    PyObject *callback = NULL;
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    if (monitoring == NULL) {
        return 0;
    }
    Py_INCREF(monitoring);
    tracer->tool_id = hook_use_tool(monitoring);
    if (tracer->tool_id < 0) {
        result = 0;
        goto done;
    }
    callback = PyCFunction_New(&hook_exception_method, NULL);
    tracer->sees_exceptions = true;
    if (callback == NULL || hook_register(monitoring, tracer->tool_id, callback) < 0) {
        struct kc_exc error = kc_exc_save();
        kc_hook_unsubscribe(tracer);
        kc_exc_restore(error);
        goto done;
    }
    result = 1;

done:
    Py_XDECREF(callback);
    Py_DECREF(monitoring);
    return result;
}

void
kc_hook_unsubscribe(struct kc_tracer *tracer)
{
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    if (!tracer->sees_exceptions || monitoring == NULL) {
        return;
    }
    tracer->sees_exceptions = false;
    Py_INCREF(monitoring);
    (void)hook_register(monitoring, tracer->tool_id, NULL);
    PyErr_Clear();
    PyObject *freed =
        PyObject_CallMethod(monitoring, "free_tool_id", "i", tracer->tool_id);
    Py_XDECREF(freed);
    PyErr_Clear();
    Py_DECREF(monitoring);
}

#else

int
kc_hook_subscribe(struct kc_tracer *tracer)
{
    tracer->tool_id = -1;
    return 0;
}

void
kc_hook_unsubscribe(struct kc_tracer *tracer)
{
    (void)tracer;
}

#endif
