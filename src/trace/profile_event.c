/* profile_event.c -- see profile_event.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/profile_event.h"

#include "plain/clock.h"
#include "trace/hook.h"

/* ---- events that wait for their exception ---- */

static void
profile_wait(struct kc_thread *thread, enum kc_pending pending, PyFrameObject *frame,
             struct kc_code *code)
{
    thread->pending = (uint8_t)pending;
    thread->pending_ns = kc_clock_ns();
    thread->pending_at = kc_frame_of(frame);
    thread->pending_offset = kc_frame_offset(kc_frame_of(frame));
    thread->pending_code = code;
    Py_XSETREF(thread->pending_frame, (PyFrameObject *)Py_NewRef((PyObject *)frame));
}

static void
profile_finish(struct kc_thread *thread, PyObject *exception)
{
    uint8_t pending = thread->pending;
    PyFrameObject *object = thread->pending_frame;
    struct kc_code *code = thread->pending_code;
    uint64_t now_ns = thread->pending_ns;
    kc_frame *frame = kc_frame_of(object);
    thread->pending = KC_PENDING_NONE;
    thread->pending_frame = NULL;
    if (pending == KC_PENDING_THROW || pending == KC_PENDING_RESUME) {
        struct kc_resumption how = {exception, thread->pending_offset,
                                    pending == KC_PENDING_THROW || exception != NULL};
        kc_tracer_resume_at(thread, frame, code, &how, now_ns);
    }
    else {
        /* The call has ended: its object may have its locals now. */
        kc_tracer_moved(thread, thread->pending_at, frame, code);
        if (pending == KC_PENDING_YIELD && exception == NULL) {
            kc_tracer_yield_at(thread, frame, code, Py_None, thread->pending_offset,
                               now_ns);
        }
        else {
            kc_tracer_raise_at(thread, frame, code, exception, now_ns);
        }
    }
    Py_DECREF(object);
}

void
kc_profile_settle(struct kc_thread *thread)
{
    profile_finish(thread, NULL);
}

void
kc_profile_exception(struct kc_thread *thread, PyObject *exception)
{
    thread->guard = KC_GUARD_RECORD;
    profile_finish(thread, exception);
    thread->guard = KC_GUARD_FREE;
}

/* ---- entering ---- */

static void
profile_enter_suspending(struct kc_thread *thread, PyFrameObject *object,
                         struct kc_code *code)
{
    kc_frame *frame = kc_frame_of(object);
    int lasti = kc_frame_lasti(frame);
    bool fresh = lasti < 0 || (kc_code_exit_at(code, lasti) & KC_EXIT_START) != 0 ||
                 (!KC_REPORTS_UNSTARTED && lasti < code->start_at);
    if (fresh) {
        kc_tracer_start(thread, frame, code);
        return;
    }
    if (KC_REPORTS_UNSTARTED && lasti < code->start_at &&
        kc_waiting_borrow(&thread->session->waiting, frame, code->code) == NULL)
    {
        return;
    }
    bool resumes = !KC_POSITION_TELLS_THROW ||
                   (kc_code_exit_at(code, lasti) & KC_EXIT_RESUME) != 0;
    bool certain = resumes && KC_POSITION_TELLS_THROW;
    if (certain || !thread->tracer->sees_exceptions) {
        kc_tracer_resume(thread, frame, code, !resumes, NULL);
        return;
    }
    /* PY_THROW follows at once, if it was throw(). */
    profile_wait(thread, resumes ? KC_PENDING_RESUME : KC_PENDING_THROW, object, code);
}

void
kc_profile_enter(struct kc_thread *thread, PyFrameObject *frame, struct kc_code *code)
{
    if (KC_LIKELY(!code->suspends)) {
        kc_tracer_start(thread, kc_frame_of(frame), code);
    }
    else if (thread->stack.depth < thread->depth_limit) {
        profile_enter_suspending(thread, frame, code);
    }
}

/* ---- going on unseen ---- */

#define UNSEEN_MOST 64 /* frames of skipped code are looked through */

/* The outermost that waits for us though it runs, of `frame`, if that is `leaving`, and
 * its callers up to the call that we know to run. A caller that still delegates stands
 * at its yield. */
static kc_frame *
profile_find_unseen(const struct kc_thread *thread, kc_frame *frame, bool leaving)
{
    const struct kc_stack *stack = &thread->stack;
    uint32_t depth = stack->depth;
    while (depth != 0 && stack->entries[depth - 1].frame == NULL) {
        depth--; /* a region */
    }
    const kc_frame *known = depth != 0 ? stack->entries[depth - 1].frame : NULL;
    kc_frame *found = NULL;
    kc_frame *at = leaving ? frame : kc_frame_previous(frame);
    for (int i = 0; i < UNSEEN_MOST && at != NULL && at != known; i++) {
        PyCodeObject *code = kc_frame_borrow_code(at);
        const struct kc_waiting *waiting =
            kc_waiting_borrow(&thread->session->waiting, at, code);
        if (waiting != NULL && !waiting->switched) {
            uint64_t word = kc_verdict_probe(code);
            struct kc_code *about = kc_verdict_code(thread->tracer, word);
            unsigned exit = kc_code_exit_at(about, kc_frame_lasti(at));
            if (at == frame || (exit & KC_EXIT_YIELD) == 0) {
                found = at;
            }
        }
        at = kc_frame_previous(at);
    }
    return found;
}

void
kc_profile_catch_up(struct kc_thread *thread, kc_frame *frame, bool leaving)
{
    kc_frame *unseen;
    while ((unseen = profile_find_unseen(thread, frame, leaving)) != NULL) {
        uint64_t word = kc_verdict_probe(kc_frame_borrow_code(unseen));
        struct kc_code *about = kc_verdict_code(thread->tracer, word);
        uint32_t depth = thread->stack.depth;
        if (kc_hook_wants(thread, word)) {
            kc_tracer_resume(thread, unseen, about, false, NULL);
        }
        if (thread->stack.depth == depth) {
            return; /* it is outside of every trace, or below a limit */
        }
    }
}

/* ---- leaving ---- */

static inline bool
profile_is_exception(const struct kc_code *code, kc_frame *frame, const PyObject *value)
{
    if (KC_LIKELY(value != NULL)) {
#if KC_NONE_MAY_BE_EXCEPTION
        if (KC_UNLIKELY(value == Py_None && code->exits != NULL)) {
            return kc_code_exit_at(code, kc_frame_lasti(frame)) == KC_EXIT_OTHER;
        }
#else
        (void)code;
        (void)frame;
#endif
        return false;
    }
    return true;
}

/* An exception leaves the call, or on 3.12 something that looks like a yield of None
 * does. */
KC_COLD static void
profile_leave_later(struct kc_thread *thread, enum kc_pending pending,
                    PyFrameObject *object, struct kc_code *code)
{
    kc_frame *frame = kc_frame_of(object);
    if (!kc_tracer_has(thread, frame, code)) {
        return; /* it was running before tracing began, or is below a limit */
    }
    if (thread->tracer->sees_exceptions) {
        profile_wait(thread, pending, object, code);
    }
    else {
        kc_tracer_raise(thread, frame, code, NULL);
    }
}

void
kc_profile_leave(struct kc_thread *thread, PyFrameObject *object, struct kc_code *code,
                 PyObject *value)
{
    if (KC_UNLIKELY(thread->pending != KC_PENDING_NONE)) {
        thread->guard = KC_GUARD_RECORD;
        kc_profile_settle(thread);
        thread->guard = KC_GUARD_FREE;
    }
    kc_frame *frame = kc_frame_of(object);
    if (KC_UNLIKELY(profile_is_exception(code, frame, value))) {
        profile_leave_later(thread, KC_PENDING_UNWIND, object, code);
    }
    else if (!code->suspends ||
             (kc_code_exit_at(code, kc_frame_lasti(frame)) & KC_EXIT_YIELD) == 0)
    {
        kc_tracer_return(thread, frame, code, value);
    }
    else if (KC_NONE_MAY_BE_EXCEPTION && value == Py_None &&
             thread->tracer->sees_exceptions)
    {
        profile_leave_later(thread, KC_PENDING_YIELD, object, code);
    }
    else {
        kc_tracer_yield(thread, frame, code, value);
    }
}
