/* greenlet.h -- the calls of greenlets, of which a thread has many and runs one.
 *
 * A greenlet is switched to in the middle of any call. When the next event comes from
 * another one than the last, the calls of the stack wait as those of a generator do
 * (YIELD), and those of the one that runs go on (RESUME): found by its frames, so that
 * nothing is kept of a greenlet, and nothing is left of one that is gone. What has no
 * frame, a region or what a driver says, is cut: its end is not recorded.
 *
 * Threads: the traced thread, with the GIL and its guard up.
 * Owns:    nothing.
 * Fails:   never; a call whose record cannot be written is counted as lost.
 */

#ifndef KC_GREENLET_H
#define KC_GREENLET_H

#include "trace/tracer.h"

/* For kc_session: another greenlet runs, the stack's calls wait; it is known which, and
 * its own go on. */
KC_COLD void kc_greenlet_leave(struct kc_thread *thread);
KC_COLD void kc_greenlet_enter(struct kc_thread *thread);

/* The call of `frame` ends, or yields, and is not the top of the stack: it may be that
 * another greenlet runs now. Some hooks come when no frame leads to `frame` any more.
 */
KC_COLD void kc_greenlet_check(struct kc_thread *thread, kc_frame *frame,
                               struct kc_code *code);

#endif
