/* mentions.h -- whether one of a few words stands in a text.
 *
 * Threads: any, under the GIL. Owns: nothing. Fails: with a Python exception.
 */

#ifndef KC_MENTIONS_H
#define KC_MENTIONS_H

#include <Python.h>

/* The function of the module: (text, words), a bool. Whatever the letters' case, and
 * anywhere in it. Where that takes more than a look, it may: true. */
PyObject *kc_mentions(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
