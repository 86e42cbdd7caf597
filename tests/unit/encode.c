/* encode.c -- the value encoder alone, as the extension module `_encode` of the tests.
 *
 * Links src/trace/value*.c and src/plain/mask*.c with a fake of session/definitions.h
 * that numbers types from 1 and keeps them in a list.
 *
 * Threads: GIL.
 * Owns:    one struct kc_values and one struct kc_mask, replaced by reset().
 * Fails:   with an exception.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <time.h>

#include "session/definitions.h"
#include "trace/value.h"

#define BUFFER_BYTES 65536

static PyObject *encode_types; /* list: number - 1 is the index */
static struct kc_values *encode_values;
static struct kc_mask *encode_mask;
static int encode_refuses; /* number 0 for every type */

uint64_t
kc_definitions_type(struct kc_definitions *definitions, PyTypeObject *type)
{
    (void)definitions;
    if (encode_refuses) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(encode_types); i++) {
        if (PyList_GET_ITEM(encode_types, i) == (PyObject *)type) {
            return (uint64_t)i + 1;
        }
    }
    if (PyList_Append(encode_types, (PyObject *)type) < 0) {
        PyErr_Clear();
        return 0;
    }
    return (uint64_t)PyList_GET_SIZE(encode_types);
}

/* The strings of a tuple, NULL at the end; malloc'ed, the strings borrowed. */
static const char **
encode_words(PyObject *tuple)
{
    Py_ssize_t count = PyTuple_GET_SIZE(tuple);
    const char **words = calloc((size_t)count + 1, sizeof *words);
    if (words == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        words[i] = PyUnicode_AsUTF8(PyTuple_GET_ITEM(tuple, i));
        if (words[i] == NULL) {
            free(words);
            return NULL;
        }
    }
    return words;
}

static PyObject *
encode_reset(PyObject *module, PyObject *args)
{
    PyObject *words = NULL;
    PyObject *exceptions = NULL;
    struct kc_value_limits limits = {4, 32, 1024, 8192};
    (void)module;
    if (!PyArg_ParseTuple(args, "O!O!", &PyTuple_Type, &words, &PyTuple_Type,
                          &exceptions)) {
        return NULL;
    }
    const char **word_list = encode_words(words);
    const char **exception_list = word_list == NULL ? NULL : encode_words(exceptions);
    if (exception_list == NULL) {
        free(word_list);
        return NULL;
    }
    kc_values_free(encode_values);
    kc_mask_free(encode_mask);
    encode_values = NULL;
    encode_mask = NULL;
    enum kc_status status = kc_mask_new(&encode_mask, word_list, exception_list);
    free(word_list);
    free(exception_list);
    if (status != KC_OK) {
        return PyErr_NoMemory();
    }
    encode_values = kc_values_new(&limits, encode_mask, NULL);
    if (encode_values == NULL) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Write each of `objects` as `how` says. */
static void
encode_write(struct kc_cursor *cursor, PyObject *objects, const char *how)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(objects); i++) {
        PyObject *object = PyTuple_GET_ITEM(objects, i);
        if (strcmp(how, "ref") == 0) {
            kc_value_write_ref(encode_values, cursor, object);
        }
        else if (strcmp(how, "secret") == 0) {
            kc_value_write_secret(encode_values, cursor, object);
        }
        else if (strcmp(how, "exception") == 0) {
            kc_value_write_exception(encode_values, cursor, object);
        }
        else if (strcmp(how, "name") == 0) {
            kc_value_write_name(cursor, object, 64);
        }
        else if (strcmp(how, "unbound") == 0) {
            kc_value_write(encode_values, cursor, NULL);
        }
        else {
            kc_value_write(encode_values, cursor, object);
        }
    }
}

static PyObject *
encode_encode(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"objects",    "how",          "depth", "items",
                            "text_bytes", "record_bytes", "repr",  "self_fields",
                            "room",       "refuse",       NULL};
    static uint8_t buffer[BUFFER_BYTES];
    PyObject *objects = NULL;
    const char *how = "value";
    int room = BUFFER_BYTES;
    struct kc_value_options options = {{4, 32, 1024, 8192}, 0, 0};
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|sIIIIppip", names, &PyTuple_Type,
                                     &objects, &how, &options.limits.depth,
                                     &options.limits.items, &options.limits.text_bytes,
                                     &options.limits.record_bytes, &options.user_repr,
                                     &options.self_fields, &room, &encode_refuses))
    {
        return NULL;
    }
    struct kc_cursor cursor = {buffer, buffer + room, buffer, KC_OK};
    kc_values_begin_record(encode_values, &cursor, &options, NULL);
    encode_write(&cursor, objects, how);
    encode_refuses = 0;
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (cursor.status != KC_OK) {
        return PyLong_FromLong(cursor.status);
    }
    return PyBytes_FromStringAndSize((const char *)buffer, cursor.at - buffer);
}

static PyObject *
encode_counters(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    const struct kc_value_counters *counters = kc_values_borrow_counters(encode_values);
    return Py_BuildValue("(KKKK)", counters->masked_count, counters->truncated_count,
                         counters->error_count, counters->frame_count);
}

/* Nanoseconds to write `object` once, of `count` times. */
static PyObject *
encode_measure(PyObject *module, PyObject *args)
{
    static uint8_t buffer[BUFFER_BYTES];
    PyObject *object = NULL;
    int count = 0;
    struct timespec start;
    struct timespec end;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oi", &object, &count)) {
        return NULL;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < count; i++) {
        struct kc_cursor cursor = {buffer, buffer + BUFFER_BYTES, buffer, KC_OK};
        kc_values_begin_record(encode_values, &cursor, NULL, NULL);
        kc_value_write(encode_values, &cursor, object);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    double elapsed = (double)(end.tv_sec - start.tv_sec) * 1e9 +
                     (double)(end.tv_nsec - start.tv_nsec);
    return PyFloat_FromDouble(elapsed / count);
}

static PyObject *
encode_mask_name(PyObject *module, PyObject *args)
{
    const char *name = NULL;
    Py_ssize_t len = 0;
    const char *rule = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "y#", &name, &len)) {
        return NULL;
    }
    bool secret = kc_mask_name(encode_mask, name, (size_t)len, &rule);
    return Py_BuildValue("(Nz)", PyBool_FromLong(secret), rule);
}

static PyObject *
encode_mask_find(PyObject *module, PyObject *args)
{
    const char *text = NULL;
    Py_ssize_t len = 0;
    Py_ssize_t from = 0;
    struct kc_mask_span span;
    (void)module;
    if (!PyArg_ParseTuple(args, "y#|n", &text, &len, &from)) {
        return NULL;
    }
    if (!kc_mask_find(text, (size_t)len, (size_t)from, &span)) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(nns)", (Py_ssize_t)span.start, (Py_ssize_t)span.end,
                         span.shape);
}

static PyObject *
encode_hide(PyObject *module, PyObject *args)
{
    PyObject *name = NULL;
    PyObject *value = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &name, &value)) {
        return NULL;
    }
    return PyBool_FromLong(kc_values_hide(encode_values, name, value));
}

static PyMethodDef METHODS[] = {
    {"reset", encode_reset, METH_VARARGS, "reset(words, exceptions)"},
    {"encode", (PyCFunction)(void (*)(void))encode_encode, METH_VARARGS | METH_KEYWORDS,
     "The bytes of one record's values, or the cursor's status."},
    {"hide", encode_hide, METH_VARARGS, "Whether the value under a name is a secret."},
    {"counters", encode_counters, METH_NOARGS, "(masked, truncated, errors, frames)"},
    {"measure", encode_measure, METH_VARARGS, "Nanoseconds to write an object."},
    {"mask_name", encode_mask_name, METH_VARARGS, "(secret, rule)"},
    {"mask_find", encode_mask_find, METH_VARARGS, "(start, end, shape) or None"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_encode", NULL, -1, METHODS, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__encode(void);

PyMODINIT_FUNC
PyInit__encode(void)
{
    PyObject *module = PyModule_Create(&MODULE);
    encode_types = PyList_New(0);
    if (module == NULL || encode_types == NULL) {
        return NULL;
    }
    Py_INCREF(encode_types);
    if (PyModule_AddObject(module, "types", encode_types) < 0) {
        return NULL;
    }
    return module;
}
