/* boundary_simple.h -- the beginning and the end of a boundary's trace, where they are
 * simple: as of most requests, which wait for them.
 *
 * A boundary is simple where its plugin has no filters of its own, joins no other
 * trace, takes nothing but its calls, and its name and attributes are simple (facts.h).
 * Each of it is done by Python otherwise (kolo_c/plugins/boundaries.py), of which this
 * is a twin: what stands in the dicts there is the same, so that what begins here may
 * end there.
 *
 * Threads: the traced thread, with the GIL. Python runs where the plugin decides
 * whether the trace is held. Owns:    nothing; what a tracer has of it is given back by
 * kc_simple_clear(). Fails:   by leaving it to Python.
 */

#ifndef KC_BOUNDARY_SIMPLE_H
#define KC_BOUNDARY_SIMPLE_H

#include "trace/plugin.h"

/* Read what kolo_c/plugins/boundaries.py gives (Boundaries.handlers); None: nothing is
 * simple. -1 with an exception set. */
int kc_simple_use(struct kc_tracer *tracer, PyObject *given);

void kc_simple_clear(struct kc_tracer *tracer);

/* Begin a trace for `plugin`, whose start() gave `started`: its number; 0 where that is
 * not simple. */
KC_COLD uint32_t kc_simple_begin(struct kc_tracer *tracer,
                                 const struct kc_plugin *plugin, PyObject *started);

/* The call of trace `number` has ended, whose finish() gave `finished` or NULL; false
 * where that is not simple. */
KC_COLD bool kc_simple_end(struct kc_tracer *tracer, uint32_t number,
                           PyObject *finished, bool failed);

#endif
