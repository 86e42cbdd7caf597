/* compat_value.h -- what the value encoder must ask of the Python version, public API.
 *
 * The layout of ints and of type dicts; the layout of instances, which needs CPython's
 * internal headers, is in compat_instance.h.
 *
 * Threads: GIL or lock.
 * Owns:    nothing; kc_type_dict() gives a reference.
 * Fails:   never.
 */

#ifndef KC_COMPAT_VALUE_H
#define KC_COMPAT_VALUE_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#if PY_VERSION_HEX < 0x030B0000
#include <longintrepr.h> /* part of Python.h from 3.11 on */
#endif

/* Whether the exact int `number` is one digit, and its value then. */
static inline bool
kc_long_is_compact(PyObject *number)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyUnstable_Long_IsCompact((PyLongObject *)number);
#else
    Py_ssize_t size = Py_SIZE(number);
    return size >= -1 && size <= 1;
#endif
}

static inline int64_t
kc_long_compact(PyObject *number)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyUnstable_Long_CompactValue((PyLongObject *)number);
#else
    /* A zero has no digit, but always room for one. */
    return (int64_t)Py_SIZE(number) * (int64_t)((PyLongObject *)number)->ob_digit[0];
#endif
}

/* Sign (-1, 0, 1) and magnitude of an int: `count` digits of PyLong_SHIFT bits, least
 * first, borrowed. PyLong_Export() is 3.14's; the struct is public on every version. */
static inline const digit *
kc_long_borrow_digits(PyObject *number, size_t *count, int *sign)
{
#if PY_VERSION_HEX >= 0x030C0000
    uintptr_t tag = ((PyLongObject *)number)->long_value.lv_tag;
    *count = (size_t)(tag >> _PyLong_NON_SIZE_BITS);
    *sign = 1 - (int)(tag & _PyLong_SIGN_MASK);
    return ((PyLongObject *)number)->long_value.ob_digit;
#else
    Py_ssize_t size = Py_SIZE(number);
    *count = (size_t)(size < 0 ? -size : size);
    *sign = size < 0 ? -1 : size > 0;
    return ((PyLongObject *)number)->ob_digit;
#endif
}

/* Whether the characters of `text` may be read: until 3.11 a str may wait for its first
 * use, and making it ready would change the program's object. */
static inline bool
kc_unicode_is_ready(PyObject *text)
{
#if PY_VERSION_HEX >= 0x030C0000
    (void)text;
    return true;
#else
    return PyUnicode_IS_READY(text) != 0;
#endif
}

/* The dict of `type`, NULL for none. From 3.12 on that of a static type of the
 * interpreter does not lie in the struct. */
static inline PyObject *
kc_type_dict(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyType_GetDict(type);
#else
    Py_XINCREF(type->tp_dict);
    return type->tp_dict;
#endif
}

/* A number that changes when `type` does and is never given to another one, 0 for none:
 * with the address it names a type without keeping it alive. */
static inline unsigned
kc_type_version(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (type->tp_version_tag == 0) {
        (void)PyUnstable_Type_AssignVersionTag(type);
    }
    return type->tp_version_tag;
#else
    return PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG) ? type->tp_version_tag
                                                                 : 0;
#endif
}

/* Whether PyDict_Next() reads instances of `type`. 3.15 has frozendict, no dict. */
static inline bool
kc_type_is_dict(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030F0000
    if (PyType_IsSubtype(type, &PyFrozenDict_Type)) {
        return true;
    }
#endif
    return PyType_HasFeature(type, Py_TPFLAGS_DICT_SUBCLASS);
}

/* Dicts of 3.15 count their items in PyAnyDict; the macro asserts a dict before. */
static inline Py_ssize_t
kc_dict_size(PyObject *dict)
{
    return ((PyDictObject *)dict)->ma_used;
}

#endif
