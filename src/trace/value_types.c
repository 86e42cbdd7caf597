/* value_types.c -- see value_state.h. Types of the library, read from their fields.
 *
 * Made in C: through the layout that datetime.h publishes, or a struct declared here
 * with its source named. Made in Python (UUID, Path, Enum): through their own slots.
 */

#include "trace/value_state.h"

#include <datetime.h>
#include <stddef.h>

#define FIXED_BYTES 64u    /* more than any value without text or items takes */
#define SUBCLASS_BYTES 18u /* array, ext, type, address */

/* The types of `_datetime`, once somebody has imported it; before, nothing is of them.
 * Not PyDateTime_IMPORT: it imports `datetime`, and a script's folder may hold one of
 * its own. What a program has put in the place of either is left alone. */
static bool
types_find_datetime(void)
{
    if (PyDateTimeAPI != NULL) {
        return true;
    }
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "_datetime");
    if (module == NULL || !PyModule_CheckExact(module)) {
        return false;
    }
    PyObject *capsule = PyDict_GetItemString(PyModule_GetDict(module), "datetime_CAPI");
    if (capsule != NULL && PyCapsule_IsValid(capsule, PyDateTime_CAPSULE_NAME)) {
        PyDateTimeAPI = PyCapsule_GetPointer(capsule, PyDateTime_CAPSULE_NAME);
    }
    return PyDateTimeAPI != NULL;
}

/* ---- datetime ---- */

enum value_kind
kc_value_datetime_kind(PyTypeObject *type)
{
    if (!types_find_datetime()) {
        return VALUE_OBJECT;
    }
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

/* The utcoffset() of zoneinfo.ZoneInfo where that is made in C, borrowed; or NULL. A
 * method that is its own type's no `class` statement made. */
static PyObject *
types_borrow_utcoffset(PyTypeObject *type)
{
    if (strcmp(type->tp_name, "zoneinfo.ZoneInfo") != 0) {
        return NULL;
    }
    PyObject *method = kc_value_borrow_entry(type->tp_dict, "utcoffset");
    bool own = method != NULL && Py_IS_TYPE(method, &PyMethodDescr_Type) &&
               PyDescr_TYPE(method) == type;
    return own ? method : NULL;
}

/* The offset of `zone` at `moment`: a new reference, or NULL where there is none, or
 * code of the program's would have to be called. ZoneInfo's looks at no attribute of a
 * datetime that is no subclass's. */
static PyObject *
types_offset(PyObject *moment, PyObject *zone)
{
    if (Py_IS_TYPE(zone, Py_TYPE(PyDateTimeAPI->TimeZone_UTC))) {
        return Py_XNewRef(((const struct timezone_object *)zone)->offset);
    }
    PyObject *method = Py_IS_TYPE(moment, PyDateTimeAPI->DateTimeType)
                           ? types_borrow_utcoffset(Py_TYPE(zone))
                           : NULL;
    if (method == NULL) {
        return NULL;
    }
    PyObject *offset = PyObject_CallFunctionObjArgs(method, zone, moment, NULL);
    if (offset == NULL) {
        PyErr_Clear();
    }
    return offset;
}

static void
types_write_offset(struct kc_cursor *cursor, PyObject *moment)
{
    PyObject *zone = PyDateTime_DATE_GET_TZINFO(moment);
    if (zone == PyDateTimeAPI->TimeZone_UTC) {
        kc_wire_int(cursor, 0);
        return;
    }
    PyObject *offset = types_offset(moment, zone);
    if (offset == NULL || !Py_IS_TYPE(offset, PyDateTimeAPI->DeltaType)) {
        Py_XDECREF(offset);
        kc_wire_nil(cursor);
        return;
    }
    kc_wire_int(cursor, (int64_t)PyDateTime_DELTA_GET_DAYS(offset) * 86400 +
                            PyDateTime_DELTA_GET_SECONDS(offset));
    Py_DECREF(offset);
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
    types_write_offset(cursor, value);
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

/* ---- UUID ---- */

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
        return kc_value_path(values, cursor, value, shape);
    case VALUE_FUNCTION:
    case VALUE_CFUNCTION:
    case VALUE_METHOD:
    case VALUE_DESCRIPTOR:
        return kc_value_function(values, cursor, value);
    case VALUE_MODULE:
        kc_value_module(values, cursor, value);
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
