/* facts.h -- what is said of a trace as it is stored: its name and its attributes,
 * without secrets, where that is simple.
 *
 * Of most requests it is: short names and values of plain types, in which nothing looks
 * like a secret. What is not so simple, kolo_c/facts.py describes.
 *
 * Threads: any, with the GIL; runs no Python.
 * Owns:    nothing; what it makes is the caller's.
 * Fails:   with false, and no exception set, where it is not simple.
 */

#ifndef KC_FACTS_H
#define KC_FACTS_H

#include "trace/value.h"

struct kc_facts_wanted {
    PyObject *summary; /* str: a template of the name (kolo_c/plugins/summary.py); or
                          NULL */
    PyObject *name;    /* where the summary says nothing */
    PyObject *known;   /* dict: the attributes that it has */
    PyObject *names;   /* tuple: of those among the fields; NULL: all of them are */
    PyObject *fields;  /* dict */
};

/* New references. */
struct kc_facts {
    PyObject *name;
    PyObject *attributes; /* dict: those it had, and the others */
    PyObject *text;       /* these as JSON */
};

bool kc_facts_describe(struct kc_values *values, const struct kc_facts_wanted *wanted,
                       struct kc_facts *facts);

void kc_facts_clear(struct kc_facts *facts);

#endif
