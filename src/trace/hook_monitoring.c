/* hook_monitoring.c -- see hook_monitoring.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/hook_monitoring.h"

#if KC_HAS_MONITORING

#include "trace/monitoring.h"
#include "trace/pause.h"

#define BEGINNINGS (KC_EVENT_BIT(KC_EVENT_START) | KC_EVENT_BIT(KC_EVENT_RESUME))
#define ENDS (KC_EVENT_BIT(KC_EVENT_RETURN) | KC_EVENT_BIT(KC_EVENT_YIELD))
#define THROWS KC_EVENT_BIT(KC_EVENT_THROW)
#define UNWINDS KC_EVENT_BIT(KC_EVENT_UNWIND)
#define HANDLINGS KC_EVENT_BIT(KC_EVENT_HANDLED)

/* A throw is always told of all code, since it may begin a generator whose code was not
 * decided yet. */
static inline unsigned
events_of_all(const struct kc_tracer *tracer)
{
#if KC_EXCEPTIONS_ARE_LOCAL
    (void)tracer;
    return BEGINNINGS | THROWS;
#else
    return BEGINNINGS | THROWS | UNWINDS | (tracer->wants_caught ? HANDLINGS : 0u);
#endif
}

static inline unsigned
events_of_kept(const struct kc_tracer *tracer)
{
#if KC_EXCEPTIONS_ARE_LOCAL
    return ENDS | UNWINDS | (tracer->wants_caught ? HANDLINGS : 0u);
#else
    (void)tracer;
    return ENDS;
#endif
}

static struct kc_tracer *monitored; /* borrowed, guarded by the GIL; NULL: none */

/* What an event is about. */
struct place {
    struct kc_thread *thread;
    kc_frame *frame;
    struct kc_code *code; /* NULL: nothing is to be recorded */
    uint64_t word;
};

/* Code that was not decided yet, or under other filters. Its verdict, which is 0 where
 * it cannot be had now. The session may end meanwhile: then the tool is not ours. */
KC_COLD static uint64_t
monitoring_decide(const struct place *place, PyCodeObject *code)
{
    const struct kc_tracer *tracer = place->thread->tracer;
    uint64_t word = kc_hook_decide(place->thread, place->frame, code);
    bool sees = (word & KC_VERDICT_SEEN) != 0;
    bool kept = (word >> KC_VERDICT_INDEX_SHIFT) != 0; /* under earlier filters too */
    if (kept && monitored == tracer && !kc_code_is_shim(code) &&
        kc_monitoring_set_local(code, sees ? events_of_kept(tracer) : 0) < 0)
    {
        PyErr_Clear();
        kc_session_error(tracer->session, "a function's ends will not be seen");
    }
    return word;
}

/* The place of an event of `code` that is not skipped. The running frame is that of the
 * event, unless something else than the interpreter has fired it. */
static inline struct place
monitoring_place(PyCodeObject *code, uint64_t word)
{
    PyThreadState *tstate = PyThreadState_Get();
    struct place place = {.frame = kc_frame_current(tstate), .word = word};
    if (KC_UNLIKELY(monitored == NULL || place.frame == NULL ||
                    kc_frame_borrow_code(place.frame) != code))
    {
        return place;
    }
    place.thread = kc_thread_borrow_own(monitored->session, tstate);
    if (KC_UNLIKELY(place.thread == NULL)) {
        return place;
    }
    if (KC_UNLIKELY(!kc_verdict_is_current(monitored, word))) {
        place.word = monitoring_decide(&place, code);
    }
    if ((place.word & KC_VERDICT_SEEN) != 0 && kc_hook_admits(place.thread)) {
        place.code = kc_verdict_code(place.thread->tracer, place.word);
    }
    return place;
}

/* What the callbacks of events that can be disabled return. */
static inline PyObject *
monitoring_answer(uint64_t word)
{
    return kc_verdict_skips(word) ? kc_monitoring_disable() : Py_NewRef(Py_None);
}

/* The same for throwing, where the interpreter refused DISABLE until 3.14. */
static inline PyObject *
monitoring_answer_throw(uint64_t word)
{
#if KC_EXCEPTIONS_ARE_LOCAL
    return monitoring_answer(word);
#else
    (void)word;
    Py_RETURN_NONE;
#endif
}

static PyObject *
on_start(PyObject *listener, PyObject *const *args, size_t count, PyObject *names)
{
    (void)listener;
    (void)count;
    (void)names;
    PyCodeObject *code = (PyCodeObject *)args[0];
    uint64_t word = kc_verdict_probe(code);
    if (kc_verdict_skips(word)) {
        return kc_monitoring_disable();
    }
    struct place place = monitoring_place(code, word);
    if (place.code != NULL && kc_hook_wants(place.thread, place.word)) {
        kc_tracer_start(place.thread, place.frame, place.code);
    }
    return monitoring_answer(place.word);
}

static void
monitoring_resume(const struct place *place, bool throws, PyObject *exception)
{
    struct kc_thread *thread = place->thread;
    if (kc_hook_wants(thread, place->word)) {
        kc_tracer_resume(thread, place->frame, place->code, throws, exception);
    }
    else if (thread->paused && kc_pause_follow(thread, place->frame, place->code)) {
        kc_tracer_resume(thread, place->frame, place->code, throws, exception);
        kc_pause_leave(thread);
    }
}

static PyObject *
on_resume(PyObject *listener, PyObject *const *args, size_t count, PyObject *names)
{
    (void)listener;
    (void)count;
    (void)names;
    PyCodeObject *code = (PyCodeObject *)args[0];
    uint64_t word = kc_verdict_probe(code);
    if (kc_verdict_skips(word)) {
        return kc_monitoring_disable();
    }
    struct place place = monitoring_place(code, word);
    if (place.code != NULL) {
        monitoring_resume(&place, false, NULL);
    }
    return monitoring_answer(place.word);
}

/* throw() begins a generator, where that has not begun, and ends it. */
static void
monitoring_throw(const struct place *place, PyObject *exception)
{
    if (!kc_code_is_fresh(place->code, kc_frame_lasti(place->frame))) {
        monitoring_resume(place, true, exception);
    }
    else if (kc_hook_wants(place->thread, place->word)) {
        kc_tracer_start(place->thread, place->frame, place->code);
    }
}

static PyObject *
on_throw(PyObject *listener, PyObject *const *args, size_t count, PyObject *names)
{
    (void)listener;
    (void)count;
    (void)names;
    PyCodeObject *code = (PyCodeObject *)args[0];
    uint64_t word = kc_verdict_probe(code);
    if (kc_verdict_skips(word)) {
        return monitoring_answer_throw(word);
    }
    struct place place = monitoring_place(code, word);
    if (place.code != NULL) {
        monitoring_throw(&place, args[2]);
    }
    return monitoring_answer_throw(place.word);
}

static PyObject *
on_return(PyObject *listener, PyObject *const *args, size_t count, PyObject *names)
{
    (void)listener;
    (void)count;
    (void)names;
    PyCodeObject *code = (PyCodeObject *)args[0];
    uint64_t word = kc_verdict_probe(code);
    if (kc_verdict_skips(word)) {
        return kc_monitoring_disable();
    }
    struct place place = monitoring_place(code, word);
    if (place.code != NULL) {
        kc_tracer_return(place.thread, place.frame, place.code, args[2]);
    }
    return monitoring_answer(place.word);
}

static PyObject *
on_yield(PyObject *listener, PyObject *const *args, size_t count, PyObject *names)
{
    (void)listener;
    (void)count;
    (void)names;
    PyCodeObject *code = (PyCodeObject *)args[0];
    uint64_t word = kc_verdict_probe(code);
    if (kc_verdict_skips(word)) {
        return kc_monitoring_disable();
    }
    struct place place = monitoring_place(code, word);
    if (place.code != NULL) {
        kc_tracer_yield(place.thread, place.frame, place.code, args[2]);
    }
    return monitoring_answer(place.word);
}

/* An exception leaves kept code, most likely. */
KC_COLD static PyObject *
monitoring_unwind(PyCodeObject *code, PyObject *exception)
{
    uint64_t word = kc_verdict_probe(code);
    if (!kc_verdict_skips(word)) {
        struct place place = monitoring_place(code, word);
        if (place.code != NULL) {
            kc_tracer_raise(place.thread, place.frame, place.code, exception);
        }
    }
    Py_RETURN_NONE;
}

/* What was never kept has nothing that could end, and most exceptions leave that. */
static PyObject *
on_unwind(PyObject *listener, PyObject *const *args, size_t count, PyObject *names)
{
    (void)listener;
    (void)count;
    (void)names;
    PyCodeObject *code = (PyCodeObject *)args[0];
    if (KC_LIKELY(!kc_verdict_may_be_kept(code))) {
        Py_RETURN_NONE;
    }
    return monitoring_unwind(code, args[2]);
}

/* An exception comes to a part of the code that is there for exceptions. */
KC_COLD static PyObject *
monitoring_handled(PyCodeObject *code, PyObject *offset, PyObject *exception)
{
    uint64_t word = kc_verdict_probe(code);
    if (!kc_verdict_skips(word)) {
        struct place place = monitoring_place(code, word);
        if (place.code != NULL) {
            int at = (int)(PyLong_AsLong(offset) / 2);
            kc_tracer_catch(place.thread, place.frame, place.code, exception, at);
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
on_handled(PyObject *listener, PyObject *const *args, size_t count, PyObject *names)
{
    (void)listener;
    (void)count;
    (void)names;
    PyCodeObject *code = (PyCodeObject *)args[0];
    if (KC_LIKELY(!kc_verdict_may_be_kept(code))) {
        Py_RETURN_NONE;
    }
    return monitoring_handled(code, args[1], args[2]);
}

static const vectorcallfunc monitoring_callbacks[KC_EVENT_COUNT] = {
    [KC_EVENT_START] = on_start,     [KC_EVENT_RESUME] = on_resume,
    [KC_EVENT_RETURN] = on_return,   [KC_EVENT_YIELD] = on_yield,
    [KC_EVENT_THROW] = on_throw,     [KC_EVENT_UNWIND] = on_unwind,
    [KC_EVENT_HANDLED] = on_handled,
};

/* Give what is kept already these events of its own. */
static void
monitoring_set_kept(const struct kc_tracer *tracer, unsigned events)
{
    for (uint32_t i = 0; i < tracer->code_count; i++) {
        if (tracer->codes[i] != NULL &&
            kc_monitoring_set_local(tracer->codes[i]->code, events) < 0)
        {
            PyErr_Clear();
        }
    }
}

static void
monitoring_end(struct kc_tracer *tracer)
{
    if (monitored != tracer) {
        return;
    }
    monitored = NULL;
    struct kc_exc pending = kc_exc_save();
    monitoring_set_kept(tracer, 0);
    kc_exc_restore(pending);
    kc_monitoring_release();
    tracer->sees_exceptions = false;
}

static int
monitoring_begin(struct kc_tracer *tracer)
{
    int acquired = kc_monitoring_acquire();
    if (acquired <= 0) {
        PyObject *holders = acquired == 0 ? kc_monitoring_describe_holders() : NULL;
        if (holders != NULL) {
            PyErr_Format(PyExc_RuntimeError, "no tool id of sys.monitoring is free: %U",
                         holders);
            Py_DECREF(holders);
        }
        return -1;
    }
    monitored = tracer;
    tracer->tool_id = kc_monitoring_tool();
    tracer->sees_exceptions = true;
    int result = 0;
    for (int i = 0; i < KC_EVENT_COUNT && result == 0; i++) {
        result = kc_monitoring_listen((enum kc_event)i, monitoring_callbacks[i]);
    }
    /* What an earlier session has disabled is to be told again. */
    if (result < 0 || kc_monitoring_restart() < 0 ||
        kc_monitoring_set(events_of_all(tracer)) < 0)
    {
        monitoring_end(tracer);
        return -1;
    }
    monitoring_set_kept(tracer, events_of_kept(tracer));
    return 0;
}

static void
monitoring_forget(struct kc_tracer *tracer)
{
    struct kc_exc pending = kc_exc_save();
    if (monitored == tracer && kc_monitoring_restart() < 0) {
        PyErr_Clear();
        kc_session_error(tracer->session, "skipped functions could not be asked again");
    }
    kc_exc_restore(pending);
}

const struct kc_hook kc_hook_monitoring = {
    .name = "monitoring",
    .begin = monitoring_begin,
    .end = monitoring_end,
    .forget = monitoring_forget,
};

#endif
