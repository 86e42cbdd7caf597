/* state.h -- what the extension module keeps, and what its files share.
 *
 * Threads: GIL.
 * Owns:    the module's types.
 * Fails:   as each function says.
 */

#ifndef KC_STATE_H
#define KC_STATE_H

#include <Python.h>

struct kc_module_state {
    PyTypeObject *session_type;
    PyTypeObject *thread_type;
    PyTypeObject *connection_type;
    PyTypeObject *fetched_type;
    PyObject *database_error;
};

extern struct PyModuleDef kc_module;
extern PyType_Spec kc_session_type_spec;

/* The one session that is active in this process, borrowed; NULL for none. */
PyObject *kc_session_borrow_active(void);

/* register_profiler() and unregister_profiler() for `op`, a Session. */
int kc_session_register(PyObject *op, int replace);
int kc_session_unregister(PyObject *op);

/* Who has the profile function of a thread, if it is not ours: a new str, or NULL
 * without an exception where nobody has. */
PyObject *kc_session_other_profiler(PyThreadState *tstate);

#endif
