/* hook_setprofile.h -- the hook that works on every version: PyEval_SetProfile().
 *
 * The profile function's object is a ThreadObject. From 3.12 on a PY_UNWIND and a
 * PY_THROW callback of sys.monitoring stand beside it, since setprofile hides the
 * exception that leaves a frame; they come after the profile event, which waits.
 *
 * Threads: each traced thread calls the profile function, with the GIL.
 * Owns:    the monitoring tool id, between subscribe and unsubscribe.
 * Fails:   the profile function returns 0 whatever happens; the rest -1 with an
 * exception.
 */

#ifndef KC_HOOK_SETPROFILE_H
#define KC_HOOK_SETPROFILE_H

#include <Python.h>

struct kc_tracer;

int kc_hook_setprofile(PyObject *op, PyFrameObject *frame, int what, PyObject *arg);

/* A profile function that does nothing: the floor of every measurement. */
int kc_hook_noop(PyObject *op, PyFrameObject *frame, int what, PyObject *arg);

/* Subscribe to exceptions with tool id 4, or 3; 0 where neither is free (exceptions are
 * then of unknown type), 1 when done, -1 with an exception set. */
int kc_hook_subscribe(struct kc_tracer *tracer);
void kc_hook_unsubscribe(struct kc_tracer *tracer);

#endif
