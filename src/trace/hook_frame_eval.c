/* hook_frame_eval.c -- see hook_frame_eval.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/hook_frame_eval.h"

#if KC_HAS_FRAME_EVAL

#include "session/c_stack.h"
#include "trace/pause.h"

static struct kc_tracer *evaluated; /* borrowed, guarded by the GIL; NULL: none */
static kc_frame_eval eval_before;   /* what stood in the place; stays after the end, for
                                       the frames that run then */

/* ---- entering ---- */

/* The state of the running thread, if it may record something now. While a profile or
 * trace function of the program runs, nobody is told of anything. */
static struct kc_thread *
eval_borrow_thread(PyThreadState *tstate)
{
    if (evaluated == NULL || kc_thread_is_tracing(tstate)) {
        return NULL;
    }
    struct kc_thread *thread = kc_thread_borrow_own(evaluated->session, tstate);
    return thread != NULL && kc_hook_admits(thread) ? thread : NULL;
}

/* What is known of kept `code`; NULL for skipped code. The session may have ended while
 * the thread waited, or end while the filter is asked. */
static struct kc_code *
eval_about(struct kc_thread *thread, kc_frame *frame, PyCodeObject *code,
           uint64_t *word)
{
    const struct kc_tracer *tracer = thread->tracer;
    if (KC_UNLIKELY(!kc_verdict_is_current(tracer, *word))) {
        *word = kc_hook_decide(thread, frame, code);
    }
    return (*word & KC_VERDICT_SEEN) != 0 ? kc_verdict_code(tracer, *word) : NULL;
}

/* A generator goes on, by throw() with an exception. */
static void
eval_resume(struct kc_thread *thread, kc_frame *frame, struct kc_code *about,
            uint64_t word, bool throws, PyObject *exception)
{
    if (kc_hook_wants(thread, word)) {
        kc_tracer_resume(thread, frame, about, throws, exception);
    }
    else if (thread->paused && kc_pause_follow(thread, frame, about)) {
        kc_tracer_resume(thread, frame, about, throws, exception);
        kc_pause_leave(thread);
    }
}

static void
eval_enter(struct kc_thread *thread, kc_frame *frame, struct kc_code *about,
           uint64_t word, bool throws, PyObject *exception)
{
    if (about->suspends && !kc_code_is_fresh(about, kc_frame_lasti(frame))) {
        eval_resume(thread, frame, about, word, throws, exception);
    }
    else if (throws && KC_REPORTS_UNSTARTED) {
        return; /* it is closed before it ran: setprofile is not told either */
    }
    else if (kc_hook_wants(thread, word)) {
        kc_tracer_start(thread, frame, about);
    }
}

/* ---- leaving ---- */

/* Whether making the exception that is set into an object runs no code of the program:
 * nothing written in Python makes it. */
static bool
eval_may_normalize(PyObject *type)
{
    if (!PyExceptionClass_Check(type)) {
        return false;
    }
    const PyTypeObject *base = (PyTypeObject *)type;
    while ((base->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0) {
        base = base->tp_base;
    }
    return ((PyTypeObject *)type)->tp_new == base->tp_new &&
           ((PyTypeObject *)type)->tp_init == base->tp_init;
}

/* The exception object that is set aside in `error`, borrowed; NULL where it would have
 * to be made by code of the program: its type is then told when it is handled. */
static PyObject *
eval_borrow_exception(struct kc_exc *error)
{
    if (error->type == NULL) {
        return NULL;
    }
    if ((error->value == NULL || !PyExceptionInstance_Check(error->value)) &&
        eval_may_normalize(error->type))
    {
        PyErr_NormalizeException(&error->type, &error->value, &error->traceback);
    }
    return error->value != NULL && PyExceptionInstance_Check(error->value)
               ? error->value
               : NULL;
}

/* ---- the hook ---- */

/* A kept frame has ended, with `result`. */
static void
eval_leave(struct kc_thread *thread, kc_frame *frame, struct kc_code *about,
           PyObject *result)
{
    if (result == NULL) {
        struct kc_exc error = kc_exc_save();
        kc_tracer_raise(thread, frame, about, eval_borrow_exception(&error));
        kc_exc_restore(error);
    }
    else if (about->suspends && kc_frame_is_suspended(frame)) {
        kc_tracer_yield(thread, frame, about, result);
    }
    else {
        kc_tracer_return(thread, frame, about, result);
    }
}

/* Kept code, or code that was not decided yet. Some of what we do is Python: the filter
 * and boundaries. No tracer of the program's is told of that. */
static __attribute__((noinline)) PyObject *
eval_keep(PyThreadState *tstate, kc_frame *frame, int throws, uint64_t word)
{
    PyCodeObject *code = kc_frame_borrow_code(frame);
    struct kc_thread *thread = eval_borrow_thread(tstate);
    if (thread == NULL || kc_frame_makes_generator(frame) ||
        !kc_thread_may_recurse(tstate)) {
        return eval_before(tstate, frame, throws);
    }
    struct kc_exc thrown = throws ? kc_exc_save() : (struct kc_exc){NULL, NULL, NULL};
    bool suspended = kc_tracing_suspend(tstate);
    struct kc_code *about = eval_about(thread, frame, code, &word);
    if (about != NULL) {
        eval_enter(thread, frame, about, word, throws != 0,
                   throws ? eval_borrow_exception(&thrown) : NULL);
    }
    if (KC_UNLIKELY(suspended)) {
        kc_tracing_resume(tstate);
    }
    if (throws) {
        kc_exc_restore(thrown);
    }
    PyObject *result = eval_before(tstate, frame, throws);
    /* Much may have happened: the session has ended, filters have changed. */
    word = kc_verdict_probe(code);
    thread = kc_verdict_skips(word) ? NULL : eval_borrow_thread(tstate);
    if (thread == NULL) {
        return result;
    }
    suspended = kc_tracing_suspend(tstate);
    about = eval_about(thread, frame, code, &word);
    if (about != NULL) {
        eval_leave(thread, frame, about, result);
    }
    if (KC_UNLIKELY(suspended)) {
        kc_tracing_resume(tstate);
    }
    return result;
}

#if KC_CALLS_ARE_INLINE

static PyObject *eval_frame(PyThreadState *tstate, kc_frame *frame, int throws);

/* The C stack is nearly used up, by calls that would take nothing of it without us: get
 * out of the way until this frame has ended. Whatever runs meanwhile is not seen. */
KC_COLD static PyObject *
eval_deep(PyThreadState *tstate, kc_frame *frame, int throws)
{
    if (evaluated == NULL || kc_frame_eval_get() != eval_frame) {
        return eval_before(tstate, frame, throws);
    }
    kc_session_error(evaluated->session,
                     "calls nested deeper than the C stack has room for the "
                     "hook frame_eval were not recorded; hook = \"setprofile\" "
                     "records them");
    (void)kc_frame_eval_replace(eval_before);
    PyObject *result = eval_before(tstate, frame, throws);
    if (evaluated != NULL && kc_frame_eval_get() == eval_before) {
        (void)kc_frame_eval_replace(eval_frame);
    }
    return result;
}

#endif

/* Every frame of every thread runs below this. */
static PyObject *
eval_frame(PyThreadState *tstate, kc_frame *frame, int throws)
{
#if KC_CALLS_ARE_INLINE
    if (KC_UNLIKELY(kc_c_stack_is_low())) {
        return eval_deep(tstate, frame, throws);
    }
#endif
    uint64_t word = kc_verdict_probe(kc_frame_borrow_code(frame));
    if (KC_LIKELY(kc_verdict_skips(word))) {
        return eval_before(tstate, frame, throws);
    }
    return eval_keep(tstate, frame, throws, word);
}

bool
kc_hook_may_evaluate(void)
{
    kc_frame_eval current = kc_frame_eval_get();
    return kc_frame_eval_is_default(current) || current == eval_frame;
}

static int
eval_begin(struct kc_tracer *tracer)
{
    if (kc_frame_eval_get() != eval_frame) { /* else in the child of a fork */
        eval_before = kc_frame_eval_replace(eval_frame);
    }
    evaluated = tracer;
    tracer->sees_exceptions = true;
    return 0;
}

/* Somebody who came after us calls us still: then we stay, and pass everything on. */
static void
eval_end(struct kc_tracer *tracer)
{
    if (evaluated != tracer) {
        return;
    }
    evaluated = NULL;
    tracer->sees_exceptions = false;
    if (kc_frame_eval_get() == eval_frame) {
        (void)kc_frame_eval_replace(eval_before);
    }
    else {
        tracer->session->blind_count++;
    }
}

const struct kc_hook kc_hook_frame_eval = {
    .name = "frame_eval",
    .begin = eval_begin,
    .end = eval_end,
};

#endif
