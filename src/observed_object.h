/* observed_object.h -- kolo_c._kolo.Observed: a function that is watched from outside.
 *
 * What drivers written in C do gives no frames. A subclass of theirs has these for its
 * methods: begin() before and end() after the function, and no frame of ours between it
 * and its caller, who would see one in tracebacks and in what warnings name.
 *
 * Most calls of a driver are not for begin() to tell of, and asking it each is dear:
 * with `told` it is not called where the code of a caller is in there, by address, nor
 * with `slot` where the first argument has nothing, or None, in its slot of that name.
 *
 * Threads: any, under the GIL.
 * Owns:    the functions, `told` and `slot`.
 * Fails:   as the function does; what begin() and end() raise is dropped, but for what
 *          is no error (KeyboardInterrupt), which is the program's.
 */

#ifndef KC_OBSERVED_OBJECT_H
#define KC_OBSERVED_OBJECT_H

#include <Python.h>

extern PyType_Spec kc_observed_type_spec;

/* held(owner, name): what an object has there, or None, past what its class has of its
 * own for that. */
PyObject *kc_observed_held(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
