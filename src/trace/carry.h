/* carry.h -- work of an executor belongs to the trace that submits it.
 *
 * Two of the built-in plugins (kolo_c/plugins/builtin/carry.py has them in Python, for
 * the Python core): a request of an asynchronous server goes through an executor some
 * sixteen times. The scope's number stands on the work item, from where it is made to
 * where it is run; how many run in a boundary's scope is in Python's dict, as threads
 * and tasks count there, too.
 *
 * Threads: the traced thread, with the GIL, the guard up.
 * Owns:    nothing; what a tracer has of it is given back by kc_carry_clear().
 * Fails:   with an exception set, which the caller counts against the plugin.
 */

#ifndef KC_CARRY_H
#define KC_CARRY_H

#include "trace/tracer.h"

/* Which of the two a plugin is. */
enum kc_carry {
    KC_CARRY_NOTHING,
    KC_CARRY_SUBMITTED, /* a work item is made */
    KC_CARRY_RUN,       /* it is run */
};

/* Read what kolo_c/plugins/boundaries.py gives (Boundaries.carrying); -1 with an
 * exception set. */
int kc_carry_use(struct kc_tracer *tracer, PyObject *carrying);

void kc_carry_clear(struct kc_tracer *tracer);

/* The call in `frame` begins: what kc_carry_end() wants, a new reference; NULL where
 * nothing is to be done at its end. */
PyObject *kc_carry_begin(struct kc_thread *thread, kc_frame *frame, enum kc_carry what);

/* It has ended. True where it was the last in the scope of a boundary that has a trace
 * for what came late: kc_carry_last() is to be called then, which runs Python. */
bool kc_carry_end(struct kc_thread *thread, PyObject *begun);
void kc_carry_last(const struct kc_tracer *tracer, PyObject *begun);

#endif
