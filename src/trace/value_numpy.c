/* value_numpy.c -- see value_state.h. NumPy's arrays and scalars, without NumPy.
 *
 * The structs below are the beginnings of those in
 * numpy/core/include/numpy/ndarraytypes.h (PyArrayObject_fields, PyArray_Descr) and
 * arrayscalars.h, which are part of NumPy's binary interface and the same in 1.x
 * and 2.x. Types are known by their names, and by being static types, which no `class`
 * statement makes.
 */

#include "trace/value_state.h"

#define DIMENSIONS_MAX 64 /* NPY_MAXDIMS of 2.x */

struct numpy_array {
    PyObject_HEAD
    char *data;
    int dimension_count;
    Py_ssize_t *dimensions;
    Py_ssize_t *strides;
    PyObject *base;
    PyObject *descr;
};

struct numpy_descr {
    PyObject_HEAD
    PyTypeObject *scalar_type;
    char kind;
    char type;
    char byte_order;
    char flags;
    int type_number;
};

/* By type number: enum NPY_TYPES. Those of C's long have their name by its size. */
static const char *const DTYPE_NAMES[] = {
    "bool",    "int8",       "uint8",     "int16",      "uint16",      "int32",
    "uint32",  NULL,         NULL,        "int64",      "uint64",      "float32",
    "float64", "longdouble", "complex64", "complex128", "clongdouble", "object",
    "bytes",   "str",        "void",      "datetime64", "timedelta64", "float16",
};

#define TYPE_LONG 7
#define TYPE_ULONG 8

struct numpy_scalar {
    const char *name;
    char kind; /* b i u f */
    uint8_t size;
};

static const struct numpy_scalar SCALARS[] = {
    {"numpy.bool", 'b', 1},    {"numpy.bool_", 'b', 1},    {"numpy.int8", 'i', 1},
    {"numpy.uint8", 'u', 1},   {"numpy.int16", 'i', 2},    {"numpy.uint16", 'u', 2},
    {"numpy.int32", 'i', 4},   {"numpy.uint32", 'u', 4},   {"numpy.int64", 'i', 8},
    {"numpy.uint64", 'u', 8},  {"numpy.longlong", 'i', 8}, {"numpy.ulonglong", 'u', 8},
    {"numpy.float32", 'f', 4},
};

enum value_kind
kc_value_numpy_kind(PyTypeObject *type, uint16_t *detail)
{
    if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
        return VALUE_OBJECT;
    }
    if (strcmp(type->tp_name, "numpy.ndarray") == 0) {
        return type->tp_basicsize >= (Py_ssize_t)sizeof(struct numpy_array)
                   ? VALUE_NDARRAY
                   : VALUE_OBJECT;
    }
    for (size_t i = 0; i < sizeof SCALARS / sizeof SCALARS[0]; i++) {
        if (strcmp(type->tp_name, SCALARS[i].name) == 0 &&
            type->tp_basicsize >= (Py_ssize_t)sizeof(PyObject) + SCALARS[i].size)
        {
            *detail = (uint16_t)i;
            return VALUE_NUMPY_SCALAR;
        }
    }
    return VALUE_OBJECT;
}

static const char *
numpy_dtype(const PyObject *object)
{
    const struct numpy_descr *descr = (const struct numpy_descr *)object;
    size_t number = (size_t)descr->type_number;
    if (number == TYPE_LONG || number == TYPE_ULONG) {
        number += sizeof(long) == 8 ? 2 : (size_t)-2;
    }
    if (descr->type_number < 0 || number >= sizeof DTYPE_NAMES / sizeof DTYPE_NAMES[0])
    {
        return "user-defined";
    }
    return DTYPE_NAMES[number];
}

bool
kc_value_numpy_array(struct kc_values *values, struct kc_cursor *cursor,
                     PyObject *value)
{
    const struct numpy_array *array = (const struct numpy_array *)value;
    if (array->descr == NULL || array->dimension_count < 0 ||
        array->dimension_count > DIMENSIONS_MAX)
    {
        return false;
    }
    size_t count = (size_t)array->dimension_count;
    if (kc_value_room(values, cursor) < 32 + count * 9) {
        kc_value_cut(values, cursor, value, count > 0 ? array->dimensions[0] : -1);
        return true;
    }
    kc_wire_tag(cursor, KC_TAG_NDARRAY, 3);
    kc_value_type(values, cursor, Py_TYPE(value));
    kc_wire_array(cursor, count);
    for (size_t i = 0; i < count; i++) {
        kc_wire_int(cursor, array->dimensions[i]);
    }
    kc_wire_text(cursor, numpy_dtype(array->descr));
    return true;
}

void
kc_value_numpy_scalar(struct kc_cursor *cursor, PyObject *value, uint16_t detail)
{
    const struct numpy_scalar *scalar = &SCALARS[detail];
    const char *at = (const char *)value + sizeof(PyObject);
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint64_t u64; /* little-endian or not: read below by size */
        uint32_t u32;
        uint16_t u16;
        uint8_t u8;
        float f32;
    } cell;
    memcpy(&cell, at, scalar->size);
    switch (scalar->kind) {
    case 'b':
        kc_wire_bool(cursor, cell.u8 != 0);
        break;
    case 'f':
        kc_wire_double(cursor, (double)cell.f32);
        break;
    case 'i':
        kc_wire_int(cursor, scalar->size == 1   ? cell.i8
                            : scalar->size == 2 ? cell.i16
                            : scalar->size == 4 ? cell.i32
                                                : cell.i64);
        break;
    default:
        kc_wire_uint(cursor, scalar->size == 1   ? cell.u8
                             : scalar->size == 2 ? cell.u16
                             : scalar->size == 4 ? cell.u32
                                                 : cell.u64);
        break;
    }
}
