/* value_path.c -- see value_state.h. Paths of pathlib, read from what they have stored.
 *
 * Nothing of pathlib runs, so that a path that was never asked for its text is put
 * together here, as pathlib would.
 */

#include "trace/value_state.h"

#define SUBCLASS_BYTES 18u /* array, ext, type, address */
#define CUT_TEXT_BYTES 34u /* the least that a beginning of a text takes */

struct path_text {
    char *bytes;
    size_t len;
    size_t size;
};

/* Append the exact str `text`; false where it is none or there is no room. */
static bool
path_append(struct path_text *path, PyObject *text)
{
    Py_ssize_t at = 0;
    if (text == NULL || !PyUnicode_CheckExact(text) || !kc_unicode_is_ready(text)) {
        return false;
    }
    path->len +=
        kc_value_transcode(text, &at, path->bytes + path->len, path->size - path->len);
    return at == PyUnicode_GET_LENGTH(text);
}

/* Append the strings of `list` from `from` on with `/` before each but the first. */
static bool
path_join(struct path_text *path, PyObject *list, Py_ssize_t from)
{
    for (Py_ssize_t i = from; i < PyList_GET_SIZE(list); i++) {
        if (path->len > 0 && path->bytes[path->len - 1] != '/' &&
            path->len < path->size) {
            path->bytes[path->len++] = '/';
        }
        if (!path_append(path, PyList_GET_ITEM(list, i))) {
            return false;
        }
    }
    return true;
}

/* What pathlib makes of a POSIX path: no `.`, no empty part, two leading slashes kept.
 */
static void
path_normalize(struct path_text *path)
{
    char *bytes = path->bytes;
    size_t roots = 0;
    while (roots < path->len && bytes[roots] == '/') {
        roots++;
    }
    size_t used = roots == 2 ? 2 : roots > 0;
    size_t at = roots;
    while (at < path->len) {
        size_t start = at;
        while (at < path->len && bytes[at] != '/') {
            at++;
        }
        size_t len = at - start;
        if (len > 1 || (len == 1 && bytes[start] != '.')) {
            if (used > 0 && bytes[used - 1] != '/') {
                bytes[used++] = '/';
            }
            memmove(bytes + used, bytes + start, len);
            used += len;
        }
        while (at < path->len && bytes[at] == '/') {
            at++;
        }
    }
    if (used == 0) {
        bytes[used++] = '.';
    }
    path->len = used;
}

/* The parts that were given, of which the last absolute one counts (3.12 and newer). */
static bool
path_from_raw(struct path_text *path, PyObject *raw)
{
    Py_ssize_t first = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(raw); i++) {
        PyObject *part = PyList_GET_ITEM(raw, i);
        if (!PyUnicode_CheckExact(part) || !kc_unicode_is_ready(part)) {
            return false;
        }
        if (PyUnicode_GET_LENGTH(part) > 0 && PyUnicode_READ_CHAR(part, 0) == '/') {
            first = i;
        }
    }
    if (!path_join(path, raw, first)) {
        return false;
    }
    path_normalize(path);
    return true;
}

/* As str(path) has it, from what the path has stored: the string itself once it was
 * asked for, else drive, root and parts (3.10, 3.11), else the parts as they were
 * given. */
static bool
path_read(struct path_text *path, PyObject *value, const struct kc_slots *slots)
{
    PyObject *text = kc_fields_borrow(value, slots, "_str");
    if (text != NULL) {
        return path_append(path, text);
    }
    PyObject *parts = kc_fields_borrow(value, slots, "_parts");
    if (parts != NULL && PyList_CheckExact(parts)) {
        /* The first part is drive and root, if there are any. */
        if (!path_join(path, parts, 0)) {
            return false;
        }
        if (path->len == 0) {
            path->bytes[path->len++] = '.';
        }
        return true;
    }
    PyObject *raw = kc_fields_borrow(value, slots, "_raw_paths");
    return raw != NULL && PyList_CheckExact(raw) && path_from_raw(path, raw);
}

bool
kc_value_path(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
              const struct value_shape *shape)
{
    struct path_text path = {values->scratch, 0, values->scratch_bytes - 1};
    if (!path_read(&path, value, &shape->slots)) {
        return false;
    }
    size_t room = kc_value_room(values, cursor);
    if (path.len <= values->record.text_limit && path.len + 14 <= room) {
        kc_wire_tag(cursor, KC_TAG_PATH, 2);
        kc_value_type(values, cursor, Py_TYPE(value));
    }
    else if (room >= SUBCLASS_BYTES + CUT_TEXT_BYTES) {
        /* PATH holds a whole path; the beginning of one stands as its text. */
        kc_wire_tag(cursor, KC_TAG_SUBCLASS, 3);
        kc_value_type(values, cursor, Py_TYPE(value));
        kc_value_address(cursor, value);
    }
    else {
        kc_value_cut(values, cursor, value, (Py_ssize_t)path.len);
        return true;
    }
    kc_value_utf8(values, cursor, value, path.bytes, path.len, path.len);
    return true;
}
