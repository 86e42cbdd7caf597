/* hook.c -- see hook.h. */

#include "compat.h"

#include "trace/hook.h"

#include <string.h>
#include <time.h>

#include "plain/clock.h"
#include "trace/hook_frame_eval.h"
#include "trace/hook_monitoring.h"
#include "trace/hook_setprofile.h"

#define FILTER_DEPTH 128 /* calls deep, which the import of a filter takes */

const struct kc_hook *
kc_hook_find(const char *name)
{
    static const struct kc_hook *const hooks[] = {
        &kc_hook_setprofile,
#if KC_HAS_MONITORING
        &kc_hook_monitoring,
#endif
#if KC_HAS_FRAME_EVAL
        &kc_hook_frame_eval,
#endif
    };
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        if (strcmp(hooks[i]->name, name) == 0) {
            return hooks[i];
        }
    }
    PyErr_Format(PyExc_ValueError, "this Python has no hook \"%s\"", name);
    return NULL;
}

static bool
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
    thread->missed = thread->missed || thread->guard == KC_GUARD_FLUSH;
    if (thread->guard == KC_GUARD_FLUSH && thread->stream != NULL) {
        kc_thread_lose(thread, thread->stream);
    }
    return thread->guard == KC_GUARD_FREE;
}

bool
kc_hook_admits_late(struct kc_thread *thread)
{
    if (thread->guard == KC_GUARD_FLUSH && !hook_wait(thread)) {
        return false;
    }
    if (thread->guard != KC_GUARD_FREE) {
        return false;
    }
    if (thread->missed) {
        thread->missed = false;
        thread->guard = KC_GUARD_RECORD;
        kc_session_cut_missed(thread);
        thread->guard = KC_GUARD_FREE;
    }
    return true;
}

uint64_t
kc_hook_decide(struct kc_thread *thread, kc_frame *frame, PyCodeObject *code)
{
    if (!kc_hook_admits(thread)) {
        return 0;
    }
    uint64_t began_ns = kc_clock_ns();
    thread->guard = KC_GUARD_RECORD;
    PyThreadState *tstate = PyThreadState_Get();
    kc_recursion_lend(tstate, FILTER_DEPTH);
    uint64_t word = kc_verdict_decide(thread->tracer, frame, code);
    kc_recursion_lend(tstate, -FILTER_DEPTH);
    thread->guard = KC_GUARD_FREE;
    kc_thread_count_own(thread, kc_clock_ns() - began_ns);
    return word;
}
