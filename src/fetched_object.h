/* fetched_object.h -- kolo_c._kolo.Fetched: what a cursor has fetched of a statement.
 *
 * A loop fetches its rows one by one, so they are counted here, with the time that they
 * took; kolo_c/plugins/builtin/sql.py derives the statement from this, and looks at
 * rows only until it says that they are to be counted and no more (`quiet`).
 *
 * Threads: any, under the GIL.
 * Owns:    what a statement is described by.
 * Fails:   with an exception set, which the caller drops.
 */

#ifndef KC_FETCHED_OBJECT_H
#define KC_FETCHED_OBJECT_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

extern PyType_Spec kc_fetched_type_spec;

/* How many rows a function gives. */
enum kc_fetches {
    KC_FETCHES_NOTHING,
    KC_FETCHES_ONE,  /* a row, or None */
    KC_FETCHES_SOME, /* a list */
    KC_FETCHES_ALL,  /* a list, after which there are no more */
};

/* `cursor` was asked for `wanted` rows (-1: for as many as it likes), which took so
 * long, and has given `result` (NULL: it raised). False where there are no more. */
bool kc_fetched_add(PyObject *op, PyObject *cursor, enum kc_fetches fetches,
                    PyObject *result, Py_ssize_t wanted, uint64_t took_ns);

#endif
