/* session_facts.c -- what is said of a trace as it is stored, for Python: its name and
 * attributes without secrets. See session_object.h. */

#include "compat.h"

#include <stdio.h>

#include "session_object.h"
#include "trace/value.h"

#define FACTS_NAME_MAX 250 /* as kolo_c/facts.py has them */
#define FACTS_KEY_MAX 100
#define FACTS_TEXT_MAX 1000
#define FACTS_JSON_MAX 4096

struct facts_json {
    size_t used;
    char bytes[FACTS_JSON_MAX];
};

/* Whether `text` is a str that is stored as it is: short, of printable ASCII that JSON
 * does not escape, and without a secret of a known shape. */
static bool
facts_text_is_simple(const struct kc_values *values, PyObject *text, Py_ssize_t most)
{
    if (!PyUnicode_CheckExact(text) || !kc_unicode_is_ready(text) ||
        !PyUnicode_IS_ASCII(text) || PyUnicode_GET_LENGTH(text) > most)
    {
        return false;
    }
    const char *bytes = PyUnicode_DATA(text);
    size_t len = (size_t)PyUnicode_GET_LENGTH(text);
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~' || bytes[i] == '"' || bytes[i] == '\\') {
            return false;
        }
    }
    return !kc_values_has_secret(values, bytes, len);
}

/* The same of a name, which may have any characters. */
static bool
facts_name_is_simple(const struct kc_values *values, PyObject *name)
{
    Py_ssize_t len = 0;
    if (!PyUnicode_CheckExact(name) || !kc_unicode_is_ready(name) ||
        PyUnicode_GET_LENGTH(name) > FACTS_NAME_MAX)
    {
        return false;
    }
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &len);
    if (utf8 == NULL) {
        PyErr_Clear(); /* a lone surrogate */
        return false;
    }
    return !kc_values_has_secret(values, utf8, (size_t)len);
}

static bool
facts_add(struct facts_json *json, const char *bytes, size_t len)
{
    if (len > sizeof json->bytes - json->used) {
        return false;
    }
    memcpy(json->bytes + json->used, bytes, len);
    json->used += len;
    return true;
}

static bool
facts_add_text(struct facts_json *json, PyObject *text)
{
    return facts_add(json, "\"", 1) &&
           facts_add(json, PyUnicode_DATA(text), (size_t)PyUnicode_GET_LENGTH(text)) &&
           facts_add(json, "\"", 1);
}

/* Add a value as JSON; false where it is none of the simple ones. */
static bool
facts_add_value(const struct kc_values *values, struct facts_json *json,
                PyObject *value)
{
    char digits[24];
    if (value == Py_None) {
        return facts_add(json, "null", 4);
    }
    if (PyBool_Check(value)) {
        return value == Py_True ? facts_add(json, "true", 4)
                                : facts_add(json, "false", 5);
    }
    if (PyLong_CheckExact(value)) {
        int overflow = 0;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        int len = snprintf(digits, sizeof digits, "%lld", number);
        return overflow == 0 && facts_add(json, digits, (size_t)len);
    }
    return facts_text_is_simple(values, value, FACTS_TEXT_MAX) &&
           facts_add_text(json, value);
}

/* Add one attribute: to `all`, which has it not yet, and to the JSON. */
static bool
facts_add_pair(struct kc_values *values, struct facts_json *json, PyObject *all,
               PyObject *key, PyObject *value)
{
    return facts_text_is_simple(values, key, FACTS_KEY_MAX) &&
           PyDict_GetItemWithError(all, key) == NULL &&
           !kc_values_would_hide(values, key, value) &&
           (json->used == 1 || facts_add(json, ", ", 2)) && facts_add_text(json, key) &&
           facts_add(json, ": ", 2) && facts_add_value(values, json, value) &&
           PyDict_SetItem(all, key, value) == 0;
}

PyObject *
kc_session_simple_facts(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    SessionObject *self = (SessionObject *)op;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "simple_facts(name, known, more)");
        return NULL;
    }
    bool may = PyDict_CheckExact(args[1]) && PyDict_CheckExact(args[2]) &&
               facts_name_is_simple(self->tracer.values, args[0]);
    PyObject *all = may ? PyDict_New() : NULL;
    struct facts_json json = {.used = 1, .bytes = "{"};
    bool simple = all != NULL;
    for (int i = 1; simple && i < 3; i++) {
        PyObject *key = NULL;
        PyObject *value = NULL;
        Py_ssize_t at = 0;
        while (simple && PyDict_Next(args[i], &at, &key, &value)) {
            simple = facts_add_pair(self->tracer.values, &json, all, key, value);
        }
    }
    simple = simple && facts_add(&json, "}", 1);
    if (!simple) {
        Py_XDECREF(all);
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    PyObject *text = PyUnicode_DecodeASCII(json.bytes, (Py_ssize_t)json.used, NULL);
    return Py_BuildValue("(NN)", all, text);
}

/* What the program says of a trace is masked as values are. */
PyObject *
kc_session_hides(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    PyObject *name = NULL;
    PyObject *value = NULL;
    if (!PyArg_ParseTuple(args, "UO", &name, &value)) {
        return NULL;
    }
    return PyBool_FromLong(kc_values_hide(self->tracer.values, name, value));
}

PyObject *
kc_session_masked(PyObject *op, PyObject *text)
{
    SessionObject *self = (SessionObject *)op;
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "no text");
        return NULL;
    }
    return kc_values_masked(self->tracer.values, text);
}
