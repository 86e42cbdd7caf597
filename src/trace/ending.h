/* ending.h -- the end of a trace: what was counted in it, and whether it is stored.
 *
 * Threads: any, with the GIL, which it may let go of.
 * Owns:    nothing.
 * Fails:   kc_ending_end() with false: the session was closed meanwhile.
 */

#ifndef KC_ENDING_H
#define KC_ENDING_H

#include "trace/tracer.h"

/* How one ended. */
struct kc_ending {
    bool announced;      /* something of it was written */
    char counters[1024]; /* JSON */
};

/* What is counted for `trace`, which has begun, begins now. */
void kc_ending_count_from_now(const struct kc_tracer *tracer, struct kc_trace *trace);

/* End `trace`, which is held if it is not `stored`. */
KC_MUST_CHECK bool kc_ending_end(struct kc_tracer *tracer, struct kc_trace *trace,
                                 const char *cause, bool stored,
                                 struct kc_ending *ending);

#endif
