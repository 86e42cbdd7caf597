/* monitoring.h -- our tool of sys.monitoring (3.12 and newer).
 *
 * There is no C API to listen with: callbacks are Python callables. Ours are of a type
 * of our own, which has the interpreter call the C function at once: as a builtin
 * function it would be checked and counted as a level of recursion first, at each
 * event. The tool id is 4, else 3; never taken from another tool, never 0, 1, 2 or 5,
 * which programs use. The numbers of events shift between versions and are read at run
 * time. The tool is the process's: a forked child goes on with its parent's.
 *
 * Threads: GIL.
 * Owns:    the tool id, between acquire and release.
 * Fails:   -1 with an exception set, or as each function says.
 */

#ifndef KC_MONITORING_H
#define KC_MONITORING_H

#include "compat.h"

#if KC_HAS_MONITORING

enum kc_event {
    KC_EVENT_START,
    KC_EVENT_RESUME,
    KC_EVENT_RETURN,
    KC_EVENT_YIELD,
    KC_EVENT_THROW,
    KC_EVENT_UNWIND,
    KC_EVENT_HANDLED,
    KC_EVENT_COUNT
};

#define KC_EVENT_BIT(event) (1u << (event))

/* Take a tool id. 1 done, 0 where both are taken, -1 with an exception set. */
int kc_monitoring_acquire(void);

/* The id that is ours; -1 for none. */
int kc_monitoring_tool(void);

/* Who has both ids, for a message: a new str; NULL with an exception set. */
PyObject *kc_monitoring_describe_holders(void);

/* Give the id back, with all callbacks and events. No exception. */
void kc_monitoring_release(void);

/* Have `event` call the function. */
int kc_monitoring_listen(enum kc_event event, vectorcallfunc callback);

/* Have these events (KC_EVENT_BIT) everywhere, or in `code` as well. */
int kc_monitoring_set(unsigned events);
int kc_monitoring_set_local(PyCodeObject *code, unsigned events);

/* What was disabled by a callback, of any tool, is told again. */
int kc_monitoring_restart(void);

/* What a callback returns to hear no more of this place: a new reference. */
PyObject *kc_monitoring_disable(void);

#endif

#endif
