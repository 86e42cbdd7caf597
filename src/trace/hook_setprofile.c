/* hook_setprofile.c -- see hook_setprofile.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/hook_setprofile.h"

#include "trace/monitoring.h"
#include "trace/pause.h"
#include "trace/profile_event.h"

int
kc_hook_noop(PyObject *op, PyFrameObject *frame, int what, PyObject *arg)
{
    (void)op;
    (void)frame;
    (void)what;
    (void)arg;
    return 0;
}

/* An event of kept code. Apart from the hook itself, so that skipped code leaves that
 * without having saved a register. */
static __attribute__((noinline)) int
hook_keep(struct kc_thread *thread, PyFrameObject *frame, int what, PyObject *arg,
          uint64_t word)
{
    if (KC_UNLIKELY(!kc_hook_admits(thread))) {
        return 0;
    }
    struct kc_code *about = kc_verdict_code(thread->tracer, word);
    if (KC_HIDES_RESUMPTION && thread->session->waiting.count != 0) {
        kc_profile_catch_up(thread, kc_frame_of(frame), what == PyTrace_RETURN);
    }
    if (what == PyTrace_RETURN) {
        kc_profile_leave(thread, frame, about, arg);
        return 0;
    }
    if (KC_UNLIKELY(thread->pending != KC_PENDING_NONE)) {
        thread->guard = KC_GUARD_RECORD;
        kc_profile_settle(thread); /* it belongs to the scope as it was */
        thread->guard = KC_GUARD_FREE;
    }
    if (kc_hook_wants(thread, word)) {
        kc_profile_enter(thread, frame, about);
    }
    else if (KC_UNLIKELY(thread->paused) && about->suspends &&
             kc_pause_follow(thread, kc_frame_of(frame), about))
    {
        kc_profile_enter(thread, frame, about);
        kc_pause_leave(thread);
    }
    return 0;
}

/* Code that was not decided yet, or under other filters. */
KC_COLD static int
hook_first(struct kc_thread *thread, PyFrameObject *frame, int what, PyObject *arg,
           PyCodeObject *code)
{
    uint64_t word = kc_hook_decide(thread, kc_frame_of(frame), code);
    if ((word & KC_VERDICT_SEEN) == 0) {
        return 0;
    }
    return hook_keep(thread, frame, what, arg, word);
}

/* Every event of every thread comes through here: C functions leave in the first line,
 * skipped code after one look at its code object. It returns 0 whatever happens,
 * because a non-zero return would raise our error inside the program. No allocation, no
 * Python. */
int
kc_hook_profile(PyObject *op, PyFrameObject *frame, int what, PyObject *arg)
{
    if (what != PyTrace_CALL && what != PyTrace_RETURN) {
        return 0;
    }
    PyCodeObject *code = kc_frame_borrow_code(kc_frame_of(frame));
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
    if (tstate->c_profilefunc != kc_hook_profile || tstate->c_profileobj == NULL) {
        return NULL;
    }
    return ((ThreadObject *)tstate->c_profileobj)->thread;
}

/* PY_UNWIND and PY_THROW: (code, offset, exception). Comes after the profile event,
 * which waits for it. */
static PyObject *
hook_on_exception(PyObject *listener, PyObject *const *args, size_t count,
                  PyObject *names)
{
    (void)listener;
    (void)count;
    (void)names;
    if (KC_LIKELY(!kc_verdict_may_be_kept((PyCodeObject *)args[0]))) {
        Py_RETURN_NONE;
    }
    struct kc_thread *thread = hook_borrow_thread();
    if (thread != NULL && thread->pending != KC_PENDING_NONE &&
        thread->guard == KC_GUARD_FREE &&
        args[0] == (PyObject *)thread->pending_code->code)
    {
        kc_profile_exception(thread, args[2]);
    }
    Py_RETURN_NONE;
}

static void
hook_end(struct kc_tracer *tracer)
{
    if (tracer->sees_exceptions) {
        tracer->sees_exceptions = false;
        kc_monitoring_release();
    }
}

static int
hook_begin(struct kc_tracer *tracer)
{
    int acquired = kc_monitoring_acquire();
    if (acquired <= 0) {
        return acquired;
    }
    tracer->tool_id = kc_monitoring_tool();
    tracer->sees_exceptions = true;
    if (kc_monitoring_listen(KC_EVENT_UNWIND, hook_on_exception) < 0 ||
        kc_monitoring_listen(KC_EVENT_THROW, hook_on_exception) < 0 ||
        kc_monitoring_set(KC_EVENT_BIT(KC_EVENT_UNWIND) |
                          KC_EVENT_BIT(KC_EVENT_THROW)) < 0)
    {
        struct kc_exc error = kc_exc_save();
        hook_end(tracer);
        kc_exc_restore(error);
        return -1;
    }
    return 0;
}

#else

static int
hook_begin(struct kc_tracer *tracer)
{
    (void)tracer;
    return 0;
}

static void
hook_end(struct kc_tracer *tracer)
{
    (void)tracer;
}

#endif

const struct kc_hook kc_hook_setprofile = {
    .name = "setprofile",
    .profile = kc_hook_profile,
    .begin = hook_begin,
    .end = hook_end,
};
