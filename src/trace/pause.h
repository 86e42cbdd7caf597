/* pause.h -- where the program has paused its recording (kolo_c.pause).
 *
 * A pause is a value of the scope variable: the thread has no stream, and calls leave
 * at the hook. Calls that were entered before are on the stack and end as always. A
 * coroutine that was entered before and is suspended within the pause is followed from
 * step to step all the same: what it calls after the pause has it as its caller, and
 * its end is seen.
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    nothing.
 * Fails:   by not recording.
 */

#ifndef KC_PAUSE_H
#define KC_PAUSE_H

#include "trace/tracer.h"

/* Whether what goes on in `frame` within a pause is to be followed: then the thread is
 * in its trace, until kc_pause_leave(). */
KC_COLD bool kc_pause_follow(struct kc_thread *thread, kc_frame *frame,
                             const struct kc_code *code);

/* The thread's stream of the open trace `number`, borrowed; NULL where there is none.
 */
struct kc_thread_stream *kc_pause_stream(struct kc_thread *thread, uint32_t number);

/* Out of it again; the scope is looked up with the next call. */
void kc_pause_leave(struct kc_thread *thread);

#endif
