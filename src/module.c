/* module.c -- the extension module kolo_c._kolo.
 *
 * Threads: GIL.
 * Owns:    the module state.
 * Fails:   NULL with an exception set.
 */

#include "compat.h"

#include <sqlite3.h>
#include <zstd.h>

#include "connection_object.h"
#include "fetched_object.h"
#include "mentions.h"
#include "observed_object.h"
#include "plain/clock.h"
#include "plain/mask.h"
#include "plain/recover.h"
#include "plain/ulid.h"
#include "scan_object.h"
#include "session/session.h"
#include "session_object.h"
#include "state.h"
#include "trace/code.h"
#include "trace/hook_frame_eval.h"
#include "trace/hook_setprofile.h"

#define DECOMPRESS_MAX_BYTES (64 << 20)

static PyObject *
module_register_profiler(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    static char *names[] = {"session", "replace", NULL};
    PyObject *session = NULL;
    int replace = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$p", names, &session, &replace)) {
        return NULL;
    }
    if (kc_session_register(session, replace) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
module_unregister_profiler(PyObject *module, PyObject *session)
{
    (void)module;
    if (kc_session_unregister(session) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
module_register_noop_profiler(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    PyEval_SetProfile(kc_hook_noop, NULL);
    Py_RETURN_NONE;
}

static PyObject *
module_unregister_noop_profiler(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    if (PyThreadState_Get()->c_profilefunc == kc_hook_noop) {
        PyEval_SetProfile(NULL, NULL);
    }
    Py_RETURN_NONE;
}

static PyObject *
module_active_profiler(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    PyObject *name = kc_session_other_profiler(PyThreadState_Get());
    if (name == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return name;
}

/* Whether nothing but the interpreter itself, or ours, runs the frames (PEP 523). */
static PyObject *
module_frame_eval_is_free(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
#if KC_HAS_FRAME_EVAL
    return PyBool_FromLong(kc_hook_may_evaluate());
#else
    Py_RETURN_FALSE;
#endif
}

static PyObject *
module_zstd_decompress(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer data;
    Py_ssize_t size = 0;
    if (!PyArg_ParseTuple(args, "y*n", &data, &size)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (size < 0 || size > DECOMPRESS_MAX_BYTES) {
        PyErr_SetString(PyExc_ValueError, "zstd: the stated size is out of range");
        goto done;
    }
    result = PyBytes_FromStringAndSize(NULL, size);
    if (result == NULL) {
        goto done;
    }
    size_t written = ZSTD_decompress(PyBytes_AS_STRING(result), (size_t)size, data.buf,
                                     (size_t)data.len);
    if (ZSTD_isError(written) || written != (size_t)size) {
        Py_CLEAR(result);
        PyErr_Format(PyExc_ValueError, "zstd: %s",
                     ZSTD_isError(written) ? ZSTD_getErrorName(written)
                                           : "the size is not the stated one");
    }

done:
    PyBuffer_Release(&data);
    return result;
}

static PyObject *
module_recover(PyObject *module, PyObject *args)
{
    (void)module;
    const char *path = NULL;
    const char *schema = NULL;
    int version = 0;
    int compress = 0;
    if (!PyArg_ParseTuple(args, "ssii", &path, &schema, &version, &compress)) {
        return NULL;
    }
    struct kc_recovered recovered = {0};
    enum kc_status status;
    Py_BEGIN_ALLOW_THREADS
    status = kc_recover(path, schema, version, compress, &recovered);
    Py_END_ALLOW_THREADS
    if (status == KC_BUSY) {
        PyErr_Format(PyExc_BlockingIOError, "%s: its process is running", path);
        return NULL;
    }
    if (status != KC_OK) {
        PyErr_Format(PyExc_OSError, "%s: %s", path, recovered.error);
        return NULL;
    }
    return Py_BuildValue("{sIsIsIsIsK}", "blocks", recovered.blocks, "records",
                         recovered.records, "definitions", recovered.definitions,
                         "damaged", recovered.damaged, "lost",
                         (unsigned long long)recovered.lost_records);
}

/* Replace every secret that has a known shape. */
static PyObject *
module_mask_text(PyObject *module, PyObject *text)
{
    (void)module;
    Py_ssize_t len = 0;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &len);
    if (utf8 == NULL) {
        return NULL;
    }
    struct kc_mask_span span;
    size_t from = 0;
    bool found = kc_mask_find(utf8, (size_t)len, from, &span);
    if (!found && PyUnicode_CheckExact(text)) {
        return Py_NewRef(text);
    }
    PyObject *result = PyUnicode_FromString("");
    while (result != NULL && found) {
        PyObject *part =
            PyUnicode_FromStringAndSize(utf8 + from, (Py_ssize_t)(span.start - from));
        PyObject *joined =
            part != NULL ? PyUnicode_FromFormat("%U%U***", result, part) : NULL;
        Py_XDECREF(part);
        Py_SETREF(result, joined);
        from = span.end;
        found = kc_mask_find(utf8, (size_t)len, from, &span);
    }
    if (result != NULL) {
        PyObject *rest =
            PyUnicode_FromStringAndSize(utf8 + from, len - (Py_ssize_t)from);
        PyUnicode_Append(&result, rest);
        Py_XDECREF(rest);
    }
    return result;
}

static PyObject *
module_ulid(PyObject *module, PyObject *after_ms)
{
    (void)module;
    char text[KC_ULID_CHARACTERS];
    uint64_t after = PyLong_AsUnsignedLongLong(after_ms);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (!kc_ulid_next(after, text)) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyUnicode_FromStringAndSize(text, KC_ULID_CHARACTERS);
}

static PyObject *
module_clock(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    const char *sources[] = {"clock_gettime", "tsc", "ticking"};
    return Py_BuildValue("{sssKsK}", "source", sources[kc_clock.source], "now_ns",
                         (unsigned long long)kc_clock_ns(), "system_ns",
                         (unsigned long long)kc_clock_system_ns());
}

static PyObject *
module_tick(PyObject *module, PyObject *ticking)
{
    (void)module;
    int truth = PyObject_IsTrue(ticking);
    if (truth < 0) {
        return NULL;
    }
    kc_clock_set_ticking(truth);
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"register_profiler", (PyCFunction)(void (*)(void))module_register_profiler,
     METH_VARARGS | METH_KEYWORDS,
     "register_profiler(session, *, replace=False)\n\nAttach the tracer of `session` "
     "to "
     "the running threads, and to those started later.\nRaises RuntimeError naming a "
     "profiler that is installed already, unless told to replace it."},
    {"unregister_profiler", module_unregister_profiler, METH_O,
     "unregister_profiler(session)\n\nDetach the tracer and put back what was there."},
    {"register_noop_profiler", module_register_noop_profiler, METH_NOARGS,
     "Attach a profile function that does nothing to this thread: the floor that every "
     "overhead is measured against."},
    {"unregister_noop_profiler", module_unregister_noop_profiler, METH_NOARGS,
     "Detach the profile function that does nothing."},
    {"active_profiler", module_active_profiler, METH_NOARGS,
     "The name of another profiler on this thread (C ones too), or None."},
    {"frame_eval_is_free", module_frame_eval_is_free, METH_NOARGS,
     "Whether no other tool runs the frames of this process (PEP 523)."},
    {"zstd_decompress", module_zstd_decompress, METH_VARARGS,
     "zstd_decompress(data, size)\n\nThe `size` bytes that `data` was compressed "
     "from.\n"
     "Raises ValueError where it was not."},
    {"recover", module_recover, METH_VARARGS,
     "recover(map_path, schema, schema_version, compress)\n\nCopy what a dead process "
     "left in its mapping into its segment; a dict of counts.\nRaises BlockingIOError "
     "where the process lives, OSError otherwise."},
    {"mask_text", module_mask_text, METH_O,
     "mask_text(text)\n\nThe text with *** in place of each secret of a known shape."},
    {"ulid", module_ulid, METH_O,
     "ulid(after_ms)\n\nA new identifier, greater than all before and than those of "
     "this\nmillisecond since 1970."},
    {"frame_local", (PyCFunction)(void (*)(void))kc_frame_local, METH_FASTCALL,
     "frame_local(frame, name, default=None)\n\nA local of the frame, or `default`."},
    {"held", (PyCFunction)(void (*)(void))kc_observed_held, METH_FASTCALL,
     "held(owner, name)\n\nWhat an object has there, or None; no __getattr__ is "
     "asked."},
    {"mentions", (PyCFunction)(void (*)(void))kc_mentions, METH_FASTCALL,
     "mentions(text, words)\n\nWhether one of the words (ASCII) may stand in the text, "
     "in "
     "either case."},
    {"clock", module_clock, METH_NOARGS, "The clock's source and reading, as a dict."},
    {"tick", module_tick, METH_O,
     "tick(ticking)\n\nLet the clock of sessions to come count each stream's records "
     "instead\nof time, or time again: for the comparison of cores and hooks."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject *
module_add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddObjectRef(module, name, (PyObject *)type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

static int
module_exec(PyObject *module)
{
    struct kc_module_state *state = PyModule_GetState(module);
    kc_clock_init(0);
    state->thread_type = module_add_type(module, &kc_thread_type_spec, "Thread");
    state->session_type = module_add_type(module, &kc_session_type_spec, "Session");
    state->connection_type =
        module_add_type(module, &kc_connection_type_spec, "Connection");
    Py_XDECREF(module_add_type(module, &kc_scan_type_spec, "Scan"));
    Py_XDECREF(module_add_type(module, &kc_observed_type_spec, "Observed"));
    state->fetched_type = module_add_type(module, &kc_fetched_type_spec, "Fetched");
    state->database_error = kc_connection_new_error();
    if (state->thread_type == NULL || state->session_type == NULL ||
        state->connection_type == NULL || state->fetched_type == NULL ||
        state->database_error == NULL || PyErr_Occurred() != NULL ||
        PyModule_AddObjectRef(module, "DatabaseError", state->database_error) < 0 ||
        PyModule_AddObjectRef(module, "ContextVar", (PyObject *)&PyContextVar_Type) < 0)
    {
        return -1;
    }
    if (PyModule_AddStringConstant(module, "sqlite_version", sqlite3_libversion()) <
            0 ||
        PyModule_AddStringConstant(module, "zstd_version", ZSTD_versionString()) < 0)
    {
        return -1;
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct kc_module_state *state = PyModule_GetState(module);
    Py_VISIT(state->session_type);
    Py_VISIT(state->connection_type);
    Py_VISIT(state->fetched_type);
    Py_VISIT(state->database_error);
    Py_VISIT(state->thread_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    struct kc_module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->session_type);
    Py_CLEAR(state->connection_type);
    Py_CLEAR(state->fetched_type);
    Py_CLEAR(state->database_error);
    Py_CLEAR(state->thread_type);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

struct PyModuleDef kc_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "kolo_c._kolo",
    .m_doc = "The C core of kolo_c: tracer, encoder, writer.",
    .m_size = sizeof(struct kc_module_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__kolo(void);

PyMODINIT_FUNC
PyInit__kolo(void)
{
    return PyModuleDef_Init(&kc_module);
}
