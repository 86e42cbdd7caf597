/* hook_frame_eval.h -- the hook of PEP 523, on 3.10 and 3.11: we stand around every
 * evaluation of a frame.
 *
 * The interpreter calls us instead of the function that runs frames; we call that, or
 * whoever stood there before us. Code that makes no calls pays nothing, skipped code
 * one look at its code object; arguments are there before, result or exception after.
 * C functions are not seen at all. It is private to CPython and there is one such place
 * for each interpreter: debuggers use it too. Newer versions have sys.monitoring.
 *
 * Threads: each thread calls it, with the GIL.
 * Owns:    the place, between begin and end.
 * Fails:   begin with an exception set; the rest never: what the frame gives is given.
 */

#ifndef KC_HOOK_FRAME_EVAL_H
#define KC_HOOK_FRAME_EVAL_H

#include "trace/hook.h"

#if KC_HAS_FRAME_EVAL
extern const struct kc_hook kc_hook_frame_eval;

/* Whether nobody but the interpreter, or this hook, is in the place. */
bool kc_hook_may_evaluate(void);
#endif

#endif
