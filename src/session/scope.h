/* scope.h -- which trace and which task the calls of a thread belong to.
 *
 * Looked up when the thread state's context changed (each step of a task runs in its
 * own contextvars context, and so does a greenlet) or a trace began or ended; never per
 * event. A task is asyncio's, or a greenlet.
 *
 * Threads: the thread itself, with the GIL.
 * Owns:    the table of tasks: weak references and numbers.
 * Fails:   by leaving the thread outside every trace, or without a task.
 */

#ifndef KC_SCOPE_H
#define KC_SCOPE_H

#include "session/session.h"
#include "session/thread.h"

/* What the scope variable has where nothing is recorded (kolo_c/scope.py). */
#define KC_SCOPE_PAUSED UINT32_MAX

/* Look the scope up again. */
KC_COLD void kc_scope_refresh(struct kc_thread *thread);

/* Define the trace and the running thread, which is about to write its first record in
 * it, if that has not been done. False where no block is to be had for it. */
KC_COLD bool kc_scope_announce(struct kc_thread *thread, struct kc_trace *trace);

static inline void
kc_scope_check(struct kc_thread *thread)
{
    if (KC_UNLIKELY(thread->context_ver != thread->tstate->context_ver ||
                    thread->scope_generation != thread->session->scope_generation))
    {
        kc_scope_refresh(thread);
    }
}

/* asyncio has been imported: tasks are looked up from now on. Borrows both functions'
 * references. */
void kc_scope_use_asyncio(struct kc_session *session, PyObject *running_loop,
                          PyObject *current_task);

#endif
