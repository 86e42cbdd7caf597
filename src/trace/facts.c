/* facts.c -- see facts.h. */

#include "compat.h"

#include <stdio.h>

#include "trace/facts.h"

#define FACTS_NAME_MAX 250 /* as kolo_c/facts.py has them */
#define FACTS_KEY_MAX 100
#define FACTS_TEXT_MAX 1000
#define FACTS_JSON_MAX 4096
#define FACTS_FIELD_MAX 200 /* as kolo_c/plugins/summary.py has it */

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

static bool
facts_add_number(struct facts_json *json, PyObject *value)
{
    char digits[24];
    int overflow = 0;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    int len = snprintf(digits, sizeof digits, "%lld", number);
    return overflow == 0 && facts_add(json, digits, (size_t)len);
}

/* Add a value as JSON; false where it is none of the simple ones. */
static bool
facts_add_value(const struct kc_values *values, struct facts_json *json,
                PyObject *value)
{
    if (value == Py_None) {
        return facts_add(json, "null", 4);
    }
    if (PyBool_Check(value)) {
        return value == Py_True ? facts_add(json, "true", 4)
                                : facts_add(json, "false", 5);
    }
    if (PyLong_CheckExact(value)) {
        return facts_add_number(json, value);
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

/* Add the text of a field, which is on one line; false where it is none of the simple
 * ones. */
static bool
facts_add_field(struct facts_json *line, PyObject *value)
{
    if (PyLong_CheckExact(value)) {
        return facts_add_number(line, value);
    }
    if (!PyUnicode_CheckExact(value) || !kc_unicode_is_ready(value) ||
        !PyUnicode_IS_ASCII(value) || PyUnicode_GET_LENGTH(value) > FACTS_FIELD_MAX)
    {
        return false;
    }
    const char *bytes = PyUnicode_DATA(value);
    size_t len = (size_t)PyUnicode_GET_LENGTH(value);
    char before = ' ';
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~' || (bytes[i] == ' ' && before == ' ')) {
            return false;
        }
        before = bytes[i];
    }
    return (len == 0 || before != ' ') && facts_add(line, bytes, len);
}

/* Add a part of a summary; an optional one is left out where a field is missing. */
static bool
facts_add_part(struct facts_json *line, const char *part, size_t len, bool optional,
               PyObject *fields)
{
    size_t began = line->used;
    for (;;) {
        const char *open = memchr(part, '{', len);
        const char *close =
            open != NULL ? memchr(open, '}', len - (size_t)(open - part)) : NULL;
        if (close == NULL) {
            return facts_add(line, part, len);
        }
        PyObject *name = PyUnicode_FromStringAndSize(open + 1, close - open - 1);
        PyObject *value = name != NULL ? PyDict_GetItemWithError(fields, name) : NULL;
        Py_XDECREF(name);
        bool missing = value == NULL || value == Py_None;
        if (PyErr_Occurred() || !facts_add(line, part, (size_t)(open - part)) ||
            (!missing && !facts_add_field(line, value)))
        {
            return false;
        }
        if (missing && optional) {
            line->used = began;
            return true;
        }
        len -= (size_t)(close + 1 - part);
        part = close + 1;
    }
}

/* The summary of `fields`, as kolo_c/plugins/summary.py makes it: a new reference, NULL
 * where that is not simple. */
static PyObject *
facts_summary(struct facts_json *line, PyObject *template, PyObject *fields)
{
    Py_ssize_t size = 0;
    const char *at = PyUnicode_AsUTF8AndSize(template, &size);
    const char *end = at != NULL ? at + size : NULL;
    while (at < end) {
        const char *open = memchr(at, '[', (size_t)(end - at));
        const char *close =
            open != NULL ? memchr(open, ']', (size_t)(end - open)) : NULL;
        if (close == NULL) {
            open = close = end;
        }
        if (!facts_add_part(line, at, (size_t)(open - at), false, fields)) {
            return NULL;
        }
        if (close < end &&
            !facts_add_part(line, open + 1, (size_t)(close - open - 1), true, fields))
        {
            return NULL;
        }
        at = close < end ? close + 1 : end;
    }
    return end != NULL ? PyUnicode_DecodeUTF8(line->bytes, (Py_ssize_t)line->used, NULL)
                       : NULL;
}

/* The name of a trace: from the template, where it says something. */
static PyObject *
facts_name(const struct kc_values *values, const struct kc_facts_wanted *wanted)
{
    struct facts_json line = {.used = 0};
    PyObject *name = wanted->summary == NULL
                         ? Py_NewRef(wanted->name)
                         : facts_summary(&line, wanted->summary, wanted->fields);
    if (name != NULL && PyUnicode_GET_LENGTH(name) == 0) {
        Py_SETREF(name, Py_NewRef(wanted->name));
    }
    if (name != NULL && !facts_name_is_simple(values, name)) {
        Py_CLEAR(name);
    }
    return name;
}

/* Add the fields that are attributes and that `known` has not. */
static bool
facts_add_chosen(struct kc_values *values, struct facts_json *json, PyObject *all,
                 const struct kc_facts_wanted *wanted)
{
    bool simple = true;
    for (Py_ssize_t i = 0; simple && i < PyTuple_GET_SIZE(wanted->names); i++) {
        PyObject *key = PyTuple_GET_ITEM(wanted->names, i);
        PyObject *value = PyDict_GetItemWithError(wanted->fields, key);
        if (value != NULL && value != Py_None &&
            value != PyDict_GetItemWithError(wanted->known, key))
        {
            simple = facts_add_pair(values, json, all, key, value);
        }
        simple = simple && !PyErr_Occurred();
    }
    return simple;
}

static bool
facts_add_all(struct kc_values *values, struct facts_json *json, PyObject *all,
              PyObject *more)
{
    PyObject *key = NULL;
    PyObject *value = NULL;
    Py_ssize_t at = 0;
    bool simple = true;
    while (simple && PyDict_Next(more, &at, &key, &value)) {
        simple = facts_add_pair(values, json, all, key, value);
    }
    return simple;
}

void
kc_facts_clear(struct kc_facts *facts)
{
    Py_CLEAR(facts->name);
    Py_CLEAR(facts->attributes);
    Py_CLEAR(facts->text);
}

bool
kc_facts_describe(struct kc_values *values, const struct kc_facts_wanted *wanted,
                  struct kc_facts *facts)
{
    bool may = PyDict_CheckExact(wanted->known) && PyDict_CheckExact(wanted->fields) &&
               (wanted->summary == NULL || PyUnicode_CheckExact(wanted->summary)) &&
               (wanted->names == NULL || PyTuple_Check(wanted->names));
    struct facts_json json = {.used = 1, .bytes = "{"};
    *facts = (struct kc_facts){NULL, NULL, NULL};
    facts->name = may ? facts_name(values, wanted) : NULL;
    facts->attributes = facts->name != NULL ? PyDict_New() : NULL;
    PyObject *all = facts->attributes;
    bool simple =
        all != NULL && facts_add_all(values, &json, all, wanted->known) &&
        (wanted->names == NULL ? facts_add_all(values, &json, all, wanted->fields)
                               : facts_add_chosen(values, &json, all, wanted)) &&
        facts_add(&json, "}", 1);
    if (simple) {
        facts->text = PyUnicode_DecodeASCII(json.bytes, (Py_ssize_t)json.used, NULL);
    }
    if (facts->text == NULL) {
        kc_facts_clear(facts);
        PyErr_Clear();
        return false;
    }
    return true;
}
