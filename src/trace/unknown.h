/* unknown.h -- exceptions that CPython tells late (3.10, 3.11): calls that were left by
 * one of unknown type, until it is seen with its traceback.
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    thread->unknown, in which frames are compared only.
 * Fails:   never: what is not seen again stays unknown.
 */

#ifndef KC_UNKNOWN_H
#define KC_UNKNOWN_H

#include "trace/tracer.h"

/* The call of `entry` was left by an exception of unknown type; it may be seen later.
 */
void kc_unknown_add(struct kc_thread *thread, const struct kc_entry *entry);

/* `exception` was seen with its traceback: tell the calls that it left. */
KC_COLD void kc_unknown_resolve(struct kc_thread *thread, PyObject *exception);

/* A kept call begins in `frame` while exceptions are unknown: is one of them being
 * handled? If not, they were swallowed, unless this is a generator that throw() brings
 * one of them to. */
KC_COLD void kc_unknown_look(struct kc_thread *thread, kc_frame *frame,
                             bool may_be_thrown);

#endif
