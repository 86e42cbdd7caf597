/* interrupt.h -- what struck in a call of ours, but was meant for the program.
 *
 * Where we call Python (filter, boundaries), the program's signal handlers may run, and
 * so may an exception that another thread sends. What they raise is not ours to
 * swallow: it is raised again, in the same thread, as soon as our callback is over.
 *
 * Threads: GIL.
 * Owns:    the exception, until it is raised again.
 * Fails:   never; without memory the exception is lost.
 */

#ifndef KC_INTERRUPT_H
#define KC_INTERRUPT_H

#include <Python.h>
#include <stdbool.h>

/* If the exception that is set is no error (KeyboardInterrupt, SystemExit, …): clear
 * it, have it raised in the program, and return true. */
bool kc_interrupt_give_back(void);

#endif
