/* hook.h -- what the hooks share: which there are, and the way to the tracer.
 *
 * A hook is how the interpreter reaches us. Each turns what it is told into the calls
 * of tracer.h, for kept code only; skipped code leaves after one look at its code
 * object (verdict.h).
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    nothing.
 * Fails:   begin with an exception set; what runs per event never.
 */

#ifndef KC_HOOK_H
#define KC_HOOK_H

#include "session/scope.h"
#include "trace/tracer.h"
#include "trace/verdict.h"

struct kc_hook {
    const char *name;
    Py_tracefunc profile; /* the profile function, where it is one; else NULL */
    /* Have the interpreter tell us of every thread; -1 with an exception set. */
    int (*begin)(struct kc_tracer *tracer);
    void (*end)(struct kc_tracer *tracer);
    /* Filters have changed: skipped code must be asked about again. NULL: it is. */
    void (*forget)(struct kc_tracer *tracer);
};

/* The hook of that name; NULL with an exception where this Python has none. */
const struct kc_hook *kc_hook_find(const char *name);

/* Another thread hands over this one's blocks: wait for it without the GIL. False where
 * that takes longer than it may, and the event is lost; the first event after it drops
 * from the stack what has ended meanwhile. */
KC_COLD bool kc_hook_admits_late(struct kc_thread *thread);

/* Whether the thread may record this event now. */
static inline bool
kc_hook_admits(struct kc_thread *thread)
{
    return KC_LIKELY((thread->guard | thread->missed) == KC_GUARD_FREE) ||
           kc_hook_admits_late(thread);
}

/* Ask the filter, with the guard up: the filter is Python. 0 where it cannot be asked
 * now. */
KC_COLD uint64_t kc_hook_decide(struct kc_thread *thread, kc_frame *frame,
                                PyCodeObject *code);

/* Whether a call that begins or goes on here is to be recorded, or shown to a plugin;
 * the scope is looked up where it has changed. */
static inline bool
kc_hook_wants(struct kc_thread *thread, uint64_t word)
{
    thread->guard = KC_GUARD_RECORD;
    kc_scope_check(thread);
    thread->guard = KC_GUARD_FREE;
    return (word & thread->wanted_bits) != 0;
}

#endif
