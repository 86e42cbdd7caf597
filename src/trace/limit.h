/* limit.h -- past a trace's limit: calls that are counted instead of recorded.
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    nothing.
 * Fails:   never: what cannot be told now is told later.
 */

#ifndef KC_LIMIT_H
#define KC_LIMIT_H

#include "trace/tracer.h"

/* Whether this call of `code` is counted instead of recorded. */
KC_COLD bool kc_limit_counts(struct kc_thread *thread, struct kc_code *code,
                             uint64_t now_ns);

/* A call that is counted has ended; its entry is still the top. */
void kc_limit_leave(struct kc_thread *thread, struct kc_entry *entry, uint64_t now_ns);

/* The trace ends: write what was counted instead of recorded. */
KC_COLD void kc_limit_tell_counts(struct kc_thread *thread,
                                  struct kc_thread_stream *stream);

#endif
