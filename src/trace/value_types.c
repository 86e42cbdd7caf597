/* value_types.c -- see value_state.h. Types of the library, read from their fields.
 *
 * Made in C: through the layout that datetime.h publishes, or a struct declared here
 * with its source named. Made in Python (UUID, Path, Enum): through their own slots.
 */

#include "trace/value_state.h"

#include <datetime.h>
#include <stddef.h>

#define FIXED_BYTES 64u      /* more than any value without text or items takes */
#define SUBCLASS_BYTES 18u   /* array, ext, type, address */
#define NAME_TEXT_BYTES 400u /* module.qualname */
#define METHOD_LEVELS 8      /* a method of a method of …: no program's own */

int
kc_value_types_init(void)
{
    /* Not PyDateTime_IMPORT: it imports `datetime`, and a script's folder may hold a
     * datetime.py of its own. */
    PyObject *module = PyImport_ImportModule("_datetime");
    if (module == NULL) {
        return -1;
    }
    PyObject *capsule = PyObject_GetAttrString(module, "datetime_CAPI");
    Py_DECREF(module); /* sys.modules keeps it */
    if (capsule == NULL) {
        return -1;
    }
    PyDateTimeAPI = PyCapsule_GetPointer(capsule, PyDateTime_CAPSULE_NAME);
    Py_DECREF(capsule);
    return PyDateTimeAPI == NULL ? -1 : 0;
}

/* ---- datetime ---- */

enum value_kind
kc_value_datetime_kind(PyTypeObject *type)
{
    if (type == PyDateTimeAPI->DateTimeType) {
        return VALUE_DATETIME;
    }
    if (type == PyDateTimeAPI->DateType) {
        return VALUE_DATE;
    }
    if (type == PyDateTimeAPI->TimeType) {
        return VALUE_TIME;
    }
    return type == PyDateTimeAPI->DeltaType ? VALUE_TIMEDELTA : VALUE_OBJECT;
}

/* PyDateTime_TimeZone of CPython's Modules/_datetimemodule.c, the same from 3.10
 * to 3.15. The offset's type is compared before it is used. */
struct timezone_object {
    PyObject_HEAD
    PyObject *offset;
    PyObject *name;
};

static void
types_write_offset(struct kc_cursor *cursor, PyObject *zone)
{
    PyObject *utc = PyDateTimeAPI->TimeZone_UTC;
    if (zone == utc) {
        kc_wire_int(cursor, 0);
        return;
    }
    if (Py_TYPE(zone) != Py_TYPE(utc)) {
        kc_wire_nil(cursor); /* none, or its utcoffset() would have to be called */
        return;
    }
    PyObject *offset = ((const struct timezone_object *)zone)->offset;
    if (offset == NULL || Py_TYPE(offset) != PyDateTimeAPI->DeltaType) {
        kc_wire_nil(cursor);
        return;
    }
    kc_wire_int(cursor, (int64_t)PyDateTime_DELTA_GET_DAYS(offset) * 86400 +
                            PyDateTime_DELTA_GET_SECONDS(offset));
}

static void
types_datetime(struct kc_cursor *cursor, PyObject *value)
{
    kc_wire_tag(cursor, KC_TAG_DATETIME, 9);
    kc_wire_int(cursor, PyDateTime_GET_YEAR(value));
    kc_wire_int(cursor, PyDateTime_GET_MONTH(value));
    kc_wire_int(cursor, PyDateTime_GET_DAY(value));
    kc_wire_int(cursor, PyDateTime_DATE_GET_HOUR(value));
    kc_wire_int(cursor, PyDateTime_DATE_GET_MINUTE(value));
    kc_wire_int(cursor, PyDateTime_DATE_GET_SECOND(value));
    kc_wire_int(cursor, PyDateTime_DATE_GET_MICROSECOND(value));
    kc_wire_int(cursor, PyDateTime_DATE_GET_FOLD(value));
    types_write_offset(cursor, PyDateTime_DATE_GET_TZINFO(value));
}

static void
types_date(struct kc_cursor *cursor, PyObject *value)
{
    kc_wire_tag(cursor, KC_TAG_DATE, 3);
    kc_wire_int(cursor, PyDateTime_GET_YEAR(value));
    kc_wire_int(cursor, PyDateTime_GET_MONTH(value));
    kc_wire_int(cursor, PyDateTime_GET_DAY(value));
}

static void
types_time(struct kc_cursor *cursor, PyObject *value)
{
    kc_wire_tag(cursor, KC_TAG_TIME, 5);
    kc_wire_int(cursor, PyDateTime_TIME_GET_HOUR(value));
    kc_wire_int(cursor, PyDateTime_TIME_GET_MINUTE(value));
    kc_wire_int(cursor, PyDateTime_TIME_GET_SECOND(value));
    kc_wire_int(cursor, PyDateTime_TIME_GET_MICROSECOND(value));
    kc_wire_int(cursor, PyDateTime_TIME_GET_FOLD(value));
}

static void
types_timedelta(struct kc_cursor *cursor, PyObject *value)
{
    kc_wire_tag(cursor, KC_TAG_TIMEDELTA, 3);
    kc_wire_int(cursor, PyDateTime_DELTA_GET_DAYS(value));
    kc_wire_int(cursor, PyDateTime_DELTA_GET_SECONDS(value));
    kc_wire_int(cursor, PyDateTime_DELTA_GET_MICROSECONDS(value));
}

/* ---- builtins without a budget of their own ---- */

static void
types_complex(struct kc_cursor *cursor, PyObject *value)
{
    const Py_complex *number = &((const PyComplexObject *)value)->cval;
    kc_wire_tag(cursor, KC_TAG_COMPLEX, 2);
    kc_wire_double(cursor, number->real);
    kc_wire_double(cursor, number->imag);
}

/* Start, stop and step are slots of range: its struct is private. */
static bool
types_range(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
            const struct value_shape *shape)
{
    PyObject *start = kc_fields_borrow(value, &shape->slots, "start");
    PyObject *stop = kc_fields_borrow(value, &shape->slots, "stop");
    PyObject *step = kc_fields_borrow(value, &shape->slots, "step");
    if (start == NULL || stop == NULL || step == NULL) {
        return false;
    }
    values->record.reserved_bytes += 3 * KC_VALUE_CUT_BYTES;
    kc_wire_tag(cursor, KC_TAG_RANGE, 3);
    kc_value_element(values, cursor, start);
    kc_value_element(values, cursor, stop);
    kc_value_element(values, cursor, step);
    return true;
}

static void
types_view(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
           Py_ssize_t len)
{
    kc_wire_tag(cursor, KC_TAG_VIEW, 2);
    kc_value_type(values, cursor, Py_TYPE(value));
    kc_wire_uint(cursor, (uint64_t)len);
}

/* array.array and mmap: their buffer slot is C, but a subclass may have a __buffer__ of
 * its own; a closed mmap has none. */
static bool
types_buffer(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
             const struct value_shape *shape)
{
    Py_buffer view;
    if (!shape->exact) {
        return false;
    }
    if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return false;
    }
    Py_ssize_t len = view.len;
    PyBuffer_Release(&view);
    types_view(values, cursor, value, len);
    return true;
}

/* ---- UUID, Path ---- */

static bool
types_uuid(struct kc_cursor *cursor, PyObject *value, const struct value_shape *shape)
{
    uint8_t least_first[16];
    uint8_t bytes[16];
    PyObject *number = kc_fields_borrow(value, &shape->slots, "int");
    if (number == NULL || !PyLong_CheckExact(number) ||
        !kc_value_as_bytes(number, least_first, sizeof least_first))
    {
        return false;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = least_first[sizeof bytes - 1 - i];
    }
    kc_wire_tag(cursor, KC_TAG_UUID, 1);
    kc_wire_bin(cursor, bytes, sizeof bytes);
    return true;
}

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

static bool
types_path(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
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
    else if (room >= SUBCLASS_BYTES + FIXED_BYTES) {
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

/* ---- functions, modules ---- */

struct name_text {
    char bytes[NAME_TEXT_BYTES + 1];
    size_t len;
};

static void
name_add(struct name_text *name, PyObject *text)
{
    if (text != NULL && PyUnicode_CheckExact(text)) {
        if (name->len > 0) {
            name->bytes[name->len++] = '.';
        }
        size_t half = (NAME_TEXT_BYTES - name->len) / (name->len == 0 ? 2 : 1);
        name->len += kc_value_copy_text(text, name->bytes + name->len, half);
    }
}

static void
name_add_utf8(struct name_text *name, const char *text)
{
    size_t len = strlen(text);
    if (name->len > 0) {
        name->bytes[name->len++] = '.';
    }
    size_t half = (NAME_TEXT_BYTES - name->len) / (name->len == 0 ? 2 : 1);
    len = len < half ? len : half;
    memcpy(name->bytes + name->len, text, len);
    name->len += len;
}

static void
types_write_name(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
                 enum kc_tag tag, const struct name_text *name)
{
    if (name->len + 8 > kc_value_room(values, cursor)) {
        kc_value_cut(values, cursor, value, -1);
        return;
    }
    kc_wire_tag(cursor, tag, 1);
    kc_wire_str(cursor, name->bytes, name->len);
}

/* The name of a module, borrowed: from its dict, not by __getattr__. */
static PyObject *
types_borrow_module_name(PyObject *module)
{
    return kc_value_borrow_entry(PyModule_GetDict(module), "__name__");
}

static void
name_add_cfunction(struct name_text *name, PyObject *value)
{
    const PyCFunctionObject *function = (const PyCFunctionObject *)value;
    PyObject *self = function->m_self;
    if (self != NULL && PyModule_Check(self)) {
        name_add(name, types_borrow_module_name(self));
    }
    else if (self != NULL) {
        PyTypeObject *type = PyType_Check(self) ? (PyTypeObject *)self : Py_TYPE(self);
        name_add_utf8(name, type->tp_name);
    }
    else {
        name_add(name, function->m_module);
    }
    name_add_utf8(name, function->m_ml->ml_name);
}

static bool
types_function(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    struct name_text name = {{0}, 0};
    for (int i = 0; i < METHOD_LEVELS && Py_IS_TYPE(value, &PyMethod_Type); i++) {
        value = PyMethod_GET_FUNCTION(value);
    }
    if (PyFunction_Check(value)) {
        name_add(&name, ((PyFunctionObject *)value)->func_module);
        name_add(&name, ((PyFunctionObject *)value)->func_qualname);
    }
    else if (PyCFunction_Check(value)) {
        name_add_cfunction(&name, value);
    }
    else if (Py_IS_TYPE(value, &PyMethodDescr_Type) ||
             Py_IS_TYPE(value, &PyClassMethodDescr_Type) ||
             Py_IS_TYPE(value, &PyWrapperDescr_Type))
    {
        name_add_utf8(&name, PyDescr_TYPE(value)->tp_name);
        name_add(&name, PyDescr_NAME(value));
    }
    else {
        return false; /* a method of a callable object: the object is what matters */
    }
    types_write_name(values, cursor, value, KC_TAG_FUNCTION, &name);
    return true;
}

static void
types_module(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    struct name_text name = {{0}, 0};
    name_add(&name, types_borrow_module_name(value));
    types_write_name(values, cursor, value, KC_TAG_MODULE, &name);
}

/* ---- dispatch ---- */

/* Values that take FIXED_BYTES at most; the caller made sure of them. */
static bool
types_fixed(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
            const struct value_shape *shape)
{
    switch ((enum value_kind)shape->kind) {
    case VALUE_FLOAT:
        kc_wire_double(cursor, PyFloat_AS_DOUBLE(value));
        return true;
    case VALUE_COMPLEX:
        types_complex(cursor, value);
        return true;
    case VALUE_RANGE:
        return types_range(values, cursor, value, shape);
    case VALUE_DATETIME:
        types_datetime(cursor, value);
        return true;
    case VALUE_DATE:
        types_date(cursor, value);
        return true;
    case VALUE_TIME:
        types_time(cursor, value);
        return true;
    case VALUE_TIMEDELTA:
        types_timedelta(cursor, value);
        return true;
    case VALUE_UUID:
        return types_uuid(cursor, value, shape);
    case VALUE_VIEW:
        types_view(values, cursor, value, PyMemoryView_GET_BUFFER(value)->len);
        return true;
    case VALUE_BUFFER:
        return types_buffer(values, cursor, value, shape);
    case VALUE_NUMPY_SCALAR:
        kc_value_numpy_scalar(cursor, value, shape->detail);
        return true;
    default:
        return false;
    }
}

/* Values of the builtins' own layouts, subclasses included. */
static bool
types_builtin(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
              enum value_kind kind)
{
    switch (kind) {
    case VALUE_INT:
        kc_value_int(values, cursor, value);
        return true;
    case VALUE_STR:
        kc_value_str(values, cursor, value);
        return true;
    case VALUE_BYTES:
    case VALUE_BYTEARRAY:
        kc_value_binary(values, cursor, value, kind == VALUE_BYTEARRAY);
        return true;
    case VALUE_LIST:
        kc_value_list(values, cursor, value);
        return true;
    case VALUE_TUPLE:
        kc_value_tuple(values, cursor, value);
        return true;
    case VALUE_SET:
    case VALUE_FROZENSET:
        kc_value_set(values, cursor, value, kind == VALUE_FROZENSET);
        return true;
    case VALUE_DECIMAL:
        kc_value_decimal(values, cursor, value);
        return true;
    default:
        return false;
    }
}

static bool
types_named(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
            const struct value_shape *shape)
{
    switch ((enum value_kind)shape->kind) {
    case VALUE_PATH:
        return types_path(values, cursor, value, shape);
    case VALUE_FUNCTION:
    case VALUE_CFUNCTION:
    case VALUE_METHOD:
    case VALUE_DESCRIPTOR:
        return types_function(values, cursor, value);
    case VALUE_MODULE:
        types_module(values, cursor, value);
        return true;
    case VALUE_CLASS:
        kc_wire_tag(cursor, KC_TAG_CLASS, 1);
        kc_value_type(values, cursor, (PyTypeObject *)value);
        return true;
    case VALUE_DICT:
        kc_value_dict(values, cursor, value, shape->exact);
        return true;
    case VALUE_NDARRAY:
        return kc_value_numpy_array(values, cursor, value);
    default:
        return false;
    }
}

bool
kc_value_library(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
                 const struct value_shape *shape)
{
    enum value_kind kind = (enum value_kind)shape->kind;
    if (types_named(values, cursor, value, shape)) {
        return true;
    }
    if (kind == VALUE_OBJECT || kind == VALUE_OPAQUE || kind == VALUE_REF_ONLY ||
        kind == VALUE_METHOD)
    {
        return false;
    }
    size_t need = kind == VALUE_FLOAT || kind >= VALUE_COMPLEX ? FIXED_BYTES : 0;
    if (!shape->exact || kind == VALUE_NUMPY_SCALAR) {
        need += SUBCLASS_BYTES + KC_VALUE_CUT_BYTES;
    }
    if (need > kc_value_room(values, cursor)) {
        kc_value_cut(values, cursor, value, -1);
        return true;
    }
    uint8_t *before = cursor->at;
    if (!shape->exact || kind == VALUE_NUMPY_SCALAR) {
        kc_wire_tag(cursor, KC_TAG_SUBCLASS, 3);
        kc_value_type(values, cursor, Py_TYPE(value));
        kc_value_address(cursor, value);
    }
    if (types_fixed(values, cursor, value, shape) ||
        types_builtin(values, cursor, value, kind))
    {
        return true;
    }
    if (cursor->status == KC_OK) {
        cursor->at = before; /* it cannot be read as what its class claims to be */
    }
    return false;
}
