/* session_object.h -- kolo_c._kolo.Session, as its files share it.
 *
 * session_object.c makes, opens and closes it, session_register.c attaches its tracer,
 * session_traces.c begins, names and ends its traces, session_facts.c has what is said
 * of them as it is stored, session_says.c what the program itself tells: regions,
 * notes, an exception; session_plugins.c its plugins.
 *
 * Threads: GIL.
 * Owns:    struct kc_session and struct kc_tracer.
 * Fails:   NULL or -1 with an exception set.
 */

#ifndef KC_SESSION_OBJECT_H
#define KC_SESSION_OBJECT_H

#include <Python.h>
#include <stdbool.h>

#include "session/session.h"
#include "trace/tracer.h"

typedef struct {
    PyObject_HEAD
    struct kc_session session;
    struct kc_tracer tracer;
    bool registered;
} SessionObject;

/* Methods of the type. */
PyObject *kc_session_attach_thread(PyObject *op, PyObject *const *args,
                                   Py_ssize_t count);
PyObject *kc_session_begin(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *kc_session_end(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *kc_session_close_boundary(PyObject *op, PyObject *number);
PyObject *kc_session_set_default(PyObject *op, PyObject *number);
PyObject *kc_session_set(PyObject *op, PyObject *args);
PyObject *kc_session_hides(PyObject *op, PyObject *args);
PyObject *kc_session_hide_cells(PyObject *op, PyObject *args);
PyObject *kc_session_masked(PyObject *op, PyObject *text);
PyObject *kc_session_simple_facts(PyObject *op, PyObject *const *args,
                                  Py_ssize_t count);
PyObject *kc_session_region_begin(PyObject *op, PyObject *args);
PyObject *kc_session_region_end(PyObject *op, PyObject *args);
PyObject *kc_session_scope_changed(PyObject *op, PyObject *none);
PyObject *kc_session_note(PyObject *op, PyObject *args);
PyObject *kc_session_resolve(PyObject *op, PyObject *exception);
PyObject *kc_session_add_plugin(PyObject *op, PyObject *name);
PyObject *kc_session_define_plugin(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *kc_session_watch(PyObject *op, PyObject *args);
PyObject *kc_session_plugin_stats(PyObject *op, PyObject *none);
PyObject *kc_session_plugin_begin(PyObject *op, PyObject *args);
PyObject *kc_session_plugin_end(PyObject *op, PyObject *args);
PyObject *kc_session_plugin_point(PyObject *op, PyObject *args);
PyObject *kc_session_log(PyObject *op, PyObject *args);

/* This thread's state and its stream, if it is traced, inside a trace, and free. */
struct kc_thread *kc_session_own_thread(SessionObject *self);

/* The same, also from within a plugin's handler, whose guard is up and stays so: for
 * records that are whole at once. */
struct kc_thread *kc_session_telling_thread(SessionObject *self);

/* A function of the module: what handlers of plugins ask. */
PyObject *kc_frame_local(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
