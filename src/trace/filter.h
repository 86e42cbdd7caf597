/* filter.h -- asks the filter, which is Python, about a code object. Cold.
 *
 * Most files are decided as a whole, so the answer for a file is kept; the filter is
 * asked about single functions where rules, modules or names matter.
 *
 * Threads: GIL.
 * Owns:    nothing but the references in a decision.
 * Fails:   a filter that raises keeps nothing and is reported once. A KeyboardInterrupt
 *          or SystemExit that struck in it is raised in the program.
 */

#ifndef KC_FILTER_H
#define KC_FILTER_H

#include "trace/tracer.h"

struct kc_decision {
    uint8_t keep_bits; /* one for each filter set that keeps it */
    struct kc_code_rules rules;
    struct kc_code_watch watch; /* the caller's: kc_decision_clear() leaves it alone */
    PyObject *module;           /* new reference or NULL */
    PyObject *qualname;         /* new reference */
    PyObject *source;           /* new reference or NULL: text that is in no file */
};

void kc_filter_decide(struct kc_tracer *tracer, kc_frame *frame, PyCodeObject *code,
                      struct kc_decision *decision);
void kc_decision_clear(struct kc_decision *decision);

/* All filter sets keep it. */
#define KC_KEEP_ALL UINT8_MAX

/* Read function options from the dict that the filter gave: -1 with an exception set.
 */
int kc_filter_read_rules(PyObject *dict, struct kc_code_rules *rules);

#endif
