/* value_chosen.c -- see value_state.h. Classes of frameworks and drivers of which some
 * fields alone are written.
 *
 * A request has what a client sent as it came: cookies, a query, a body, in texts and
 * in dicts that no name masks. Most of that stands in the request's own record, masked;
 * and it is an argument of nearly every call, where it would take most of the trace.
 *
 * A queryset is a tree of how to make its SQL, which stands in the statement's record;
 * a connection has the settings of its database, and the classes of its exceptions.
 */

#include "trace/value_state.h"

#define CHOSEN_MOST 3

struct chosen_class {
    const char *module;
    const char *name;
    const char *fields[CHOSEN_MOST + 1]; /* NULL after the last one */
};

static const struct chosen_class CHOSEN[] = {
    {"django.http.request", "HttpRequest", {"method", "path", NULL}},
    {"django.http.response", "HttpResponseBase", {"status_code", NULL, NULL}},
    {"rest_framework.request", "Request", {"_request", NULL, NULL}},
    {"starlette.requests", "HTTPConnection", {NULL, NULL, NULL}},
    {"starlette.responses", "Response", {"status_code", NULL, NULL}},
    {"werkzeug.sansio.request", "Request", {"method", "path", NULL}},
    {"werkzeug.sansio.response", "Response", {"_status_code", NULL, NULL}},
    {"django.db.models.query", "QuerySet", {"model", "_db", "_result_cache", NULL}},
    {"django.db.models.manager", "BaseManager", {"model", "_db", NULL}},
    {"django.db.backends.base.base", "BaseDatabaseWrapper", {"alias", NULL, NULL}},
    {"django.db.backends.utils", "CursorWrapper", {"cursor", "db", NULL}},
    {"django.dispatch.dispatcher", "Signal", {NULL, NULL, NULL}},
    {"sqlite3", "Connection", {NULL, NULL, NULL}},
    {"sqlite3", "Cursor", {"connection", "lastrowid", "rowcount", NULL}},
};

const char *const *
kc_value_chosen_fields(PyTypeObject *type)
{
    Py_ssize_t count = type->tp_mro == NULL ? 0 : PyTuple_GET_SIZE(type->tp_mro);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i);
        for (size_t at = 0; at < sizeof CHOSEN / sizeof CHOSEN[0]; at++) {
            if (PyType_Check(base) &&
                kc_value_is_class(base, CHOSEN[at].module, CHOSEN[at].name)) {
                return CHOSEN[at].fields;
            }
        }
    }
    return NULL;
}

size_t
kc_value_chosen_count(const char *const *fields)
{
    size_t count = 0;
    if (fields == NULL) {
        return SIZE_MAX;
    }
    while (fields[count] != NULL) {
        count++;
    }
    return count;
}

bool
kc_value_is_chosen(const struct value_shape *shape, PyObject *name)
{
    if (shape->chosen == NULL) {
        return true;
    }
    if (!kc_unicode_is_ready(name) || !PyUnicode_IS_COMPACT_ASCII(name)) {
        return false;
    }
    char first = *(const char *)PyUnicode_DATA(name); /* an empty name has a NUL */
    for (size_t i = 0; shape->chosen[i] != NULL; i++) {
        if (first == shape->chosen[i][0] && kc_value_text_is(name, shape->chosen[i])) {
            return true;
        }
    }
    return false;
}
