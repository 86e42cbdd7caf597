/* hook_setprofile.h -- the hook that works on every version: PyEval_SetProfile().
 *
 * The profile function's object is a ThreadObject. From 3.12 on a PY_UNWIND and a
 * PY_THROW callback of sys.monitoring stand beside it, since setprofile hides the
 * exception that leaves a frame; they come after the profile event, which waits
 * (profile_event.h). Where no tool id is free, exceptions are of unknown type.
 *
 * Threads: each traced thread calls the profile function, with the GIL.
 * Owns:    the tool of sys.monitoring, between begin and end.
 * Fails:   the profile function returns 0 whatever happens; begin -1 with an exception.
 */

#ifndef KC_HOOK_SETPROFILE_H
#define KC_HOOK_SETPROFILE_H

#include "trace/hook.h"

extern const struct kc_hook kc_hook_setprofile;

/* Its profile function; `op` is a ThreadObject. */
int kc_hook_profile(PyObject *op, PyFrameObject *frame, int what, PyObject *arg);

/* A profile function that does nothing: the floor of every measurement. */
int kc_hook_noop(PyObject *op, PyFrameObject *frame, int what, PyObject *arg);

#endif
