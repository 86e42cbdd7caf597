/* profile_event.h -- what a profile function is not told: how a call began, how it
 * ended.
 *
 * A profile function sees "call" and "return" alone. Whether a generator starts, goes
 * on or is thrown at, whether a call returns, yields or is left by an exception, is
 * read from the instruction where its frame stands. From 3.12 on the exception itself
 * comes a moment later, by a callback of sys.monitoring: the event waits for it. What
 * is known then goes to the tracer.
 *
 * Threads: the traced thread, with the GIL; settle also by whoever ends the session.
 * Owns:    the frame object of the event that waits (in struct kc_thread).
 * Fails:   never towards the hook.
 */

#ifndef KC_PROFILE_EVENT_H
#define KC_PROFILE_EVENT_H

#include "trace/tracer.h"

/* "call" of kept code. */
void kc_profile_enter(struct kc_thread *thread, PyFrameObject *frame,
                      struct kc_code *code);

/* Before an event of kept code in `frame`, which is `leaving` or enters: those of it
 * and its callers that went on unseen go on now (3.11). */
void kc_profile_catch_up(struct kc_thread *thread, kc_frame *frame, bool leaving);

/* "return" of kept code; `value` is NULL where an exception leaves it. */
void kc_profile_leave(struct kc_thread *thread, PyFrameObject *frame,
                      struct kc_code *code, PyObject *value);

/* The exception of the event that waits for it. */
void kc_profile_exception(struct kc_thread *thread, PyObject *exception);

/* The event that waits for its exception will not get it. The guard is up. */
KC_COLD void kc_profile_settle(struct kc_thread *thread);

#endif
