/* compat_instance.h -- where CPython keeps the attributes of an instance, per version.
 *
 * Reading `__dict__`, by whatever public way, makes a dict where there was none:
 * on 3.11 and 3.12 that adds 64 bytes to the object for good and makes the program's
 * attribute reads 2.7 times slower. There is no public way to read attributes without
 * it, so this header includes CPython's internal ones, and it alone does. Include it
 * before anything else: Py_BUILD_CORE must be set when Python.h is read.
 *
 *   3.10    a dict at tp_dictoffset, or none yet
 *   3.11    before the object: a dict, or an array of values beside it
 *   3.12    before the object: a dict, or (lowest bit set) an array of values
 *   3.13+   before the object: a dict; the values follow the object's struct
 *
 * The names of such values are in the type's shared keys (ht_cached_keys); the order of
 * insertion lies beside the values.
 *
 * Threads: GIL or lock.
 * Owns:    nothing; all results are borrowed from the instance.
 * Fails:   never.
 */

#ifndef KC_COMPAT_INSTANCE_H
#define KC_COMPAT_INSTANCE_H

#ifdef Py_PYTHON_H
#error "compat_instance.h must come before Python.h"
#endif
#define Py_BUILD_CORE 1

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#if PY_VERSION_HEX >= 0x030B0000
#include <internal/pycore_dict.h>   /* struct _dictkeysobject, struct _dictvalues */
#include <internal/pycore_object.h> /* where a managed dict lies */
#endif

/* A dict at tp_dictoffset, as _PyObject_GetDictPtr() finds it; that function makes the
 * dict on 3.11 and 3.12. */
static inline PyObject *
kc_instance_borrow_plain_dict(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    Py_ssize_t offset = type->tp_dictoffset;
    if (offset == 0) {
        return NULL;
    }
    if (offset < 0) { /* from the end of an object of variable size */
#if PY_VERSION_HEX >= 0x030C0000
        if (PyType_HasFeature(type, Py_TPFLAGS_LONG_SUBCLASS)) {
            return NULL; /* its size is no ob_size, and its dict is a managed one */
        }
#endif
        Py_ssize_t count = ((PyVarObject *)object)->ob_size;
        size_t size = (size_t)(count < 0 ? -count : count) * (size_t)type->tp_itemsize +
                      (size_t)type->tp_basicsize;
        offset += (Py_ssize_t)((size + sizeof(void *) - 1) & ~(sizeof(void *) - 1));
    }
    return *(PyObject **)((char *)object + offset);
}

#if PY_VERSION_HEX >= 0x030B0000

/* The dict of an instance, or NULL and in *values its array of values (or NULL). */
static inline PyObject *
kc_instance_borrow_dict(PyObject *object, PyDictValues **values)
{
    *values = NULL;
    if (!PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_MANAGED_DICT)) {
        return kc_instance_borrow_plain_dict(object);
    }
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *dict = (PyObject *)_PyObject_GetManagedDict(object);
    if (dict == NULL && PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_INLINE_VALUES) &&
        _PyObject_InlineValues(object)->valid)
    {
        *values = _PyObject_InlineValues(object);
    }
    return dict;
#elif PY_VERSION_HEX >= 0x030C0000
    PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
    if (_PyDictOrValues_IsValues(either)) {
        *values = _PyDictOrValues_GetValues(either);
        return NULL;
    }
    return _PyDictOrValues_GetDict(either);
#else
    *values = *_PyObject_ValuesPointer(object);
    return *values == NULL ? *_PyObject_ManagedDictPointer(object) : NULL;
#endif
}

/* The number of values, and the place of the `at`th in the order of insertion. */
static inline Py_ssize_t
kc_instance_count(PyDictValues *values)
{
#if PY_VERSION_HEX >= 0x030D0000
    return values->size;
#else
    return ((uint8_t *)values)[-2];
#endif
}

static inline Py_ssize_t
kc_instance_place(PyDictValues *values, Py_ssize_t at)
{
#if PY_VERSION_HEX >= 0x030D0000
    return ((uint8_t *)&values->values[values->capacity])[at];
#else
    return ((uint8_t *)values)[-3 - at];
#endif
}

#endif

/* The next attribute of `object` from *at (0 at first) on; false at the end. Both
 * results are borrowed; *name may be anything that can be a key. */
static inline bool
kc_instance_next(PyObject *object, Py_ssize_t *at, PyObject **name, PyObject **value)
{
#if PY_VERSION_HEX >= 0x030B0000
    PyDictValues *values;
    PyObject *dict = kc_instance_borrow_dict(object, &values);
    if (values != NULL) {
        PyDictKeysObject *keys = ((PyHeapTypeObject *)Py_TYPE(object))->ht_cached_keys;
        while (keys != NULL && *at < kc_instance_count(values)) {
            Py_ssize_t place = kc_instance_place(values, (*at)++);
            *name = DK_UNICODE_ENTRIES(keys)[place].me_key;
            *value = values->values[place];
            if (*name != NULL && *value != NULL) {
                return true;
            }
        }
        return false;
    }
#else
    PyObject *dict = kc_instance_borrow_plain_dict(object);
#endif
    return dict != NULL && PyDict_Next(dict, at, name, value) != 0;
}

static inline bool
kc_type_has_instance_dict(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030B0000
    if (PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)) {
        return true;
    }
#endif
    return type->tp_dictoffset != 0;
}

#endif
