/* boundary.h -- calls that open a trace of their own, because a rule or a plugin says
 * so.
 *
 * The trace is begun and ended by Python (kolo_c/session.py); here the scope is moved
 * into it and back, also around each suspension of a generator or coroutine, so that
 * what its caller does meanwhile stays in the caller's trace.
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    nothing.
 * Fails:   by staying in the trace that is: the call is recorded as any other.
 */

#ifndef KC_BOUNDARY_H
#define KC_BOUNDARY_H

#include "trace/plugin.h"

/* Begin a trace for a call of `code`, which `plugin` asks for or (NULL) a rule, and
 * move the thread's scope into it: its number, or 0 where the call joins the trace that
 * is. *outer is the scope to go back to. */
KC_COLD uint32_t kc_boundary_open(struct kc_thread *thread, const struct kc_code *code,
                                  const struct kc_plugin_call *plugin, uint32_t *outer);

/* The number that the scope variable has in this context; 0 for none. */
uint32_t kc_boundary_current(const struct kc_session *session);

/* Move the scope to trace `number` (0: the process's). */
KC_COLD void kc_boundary_scope(struct kc_thread *thread, uint32_t number);

/* The call has ended, perhaps by an exception: end its trace. Its stream is gone
 * afterwards. `finished` is what the plugin's finish() gave, or NULL. */
KC_COLD void kc_boundary_close(struct kc_thread *thread, uint32_t number,
                               uint32_t outer, PyObject *finished, bool failed);

/* The trace for what comes after the end of trace `number`; 0 for none. */
KC_COLD uint32_t kc_boundary_find_late(struct kc_session *session, uint32_t number);

/* The call of trace `number` has ended unseen. */
KC_COLD void kc_boundary_end(struct kc_session *session, uint32_t number);

#endif
