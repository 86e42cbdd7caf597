/* observed_object.h -- kolo_c._kolo.Observed: a function that is watched from outside.
 *
 * What drivers written in C do gives no frames. A subclass of theirs has these for its
 * methods: begin() before and end() after the function, and no frame of ours between it
 * and its caller, who would see one in tracebacks and in what warnings name.
 *
 * With `fetches` the function is a cursor's, and `slot` may have a Fetched: what it
 * gives is counted there, begin() and end() are for whatever else stands in the slot,
 * which is emptied when there are no more rows.
 *
 * With `makes` (classes, keyword, class, most) the function makes an object, of the
 * class that it is given under this keyword, or else of this one. What `classes` has
 * for its address is made instead, and the token is that of `instead`; begin() is for
 * other classes, and for calls with more positional arguments than `most`.
 *
 * Most calls of a driver are not for begin() to tell of, and asking it each is dear:
 * with `told` it is not called where the code of a caller is in there, by address, nor
 * with `slot` where the first argument has nothing, or None, in its slot of that name.
 *
 * Threads: any, under the GIL.
 * Owns:    the functions, `told`, `slot` and `makes`.
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
