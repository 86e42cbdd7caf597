/* instance.c -- see instance.h. */

#include "compat_instance.h"

#include <structmember.h>

#include "compat_value.h"
#include "trace/instance.h"

/* More slots than any class has; the rest is not read. */
#define SLOTS_MAX 256u

/* Whether `name` is a str that Python keeps for itself: __name__. */
static bool
instance_is_dunder(PyObject *name)
{
    Py_ssize_t len = PyUnicode_GET_LENGTH(name);
    return len > 4 && PyUnicode_READ_CHAR(name, 0) == '_' &&
           PyUnicode_READ_CHAR(name, 1) == '_' &&
           PyUnicode_READ_CHAR(name, len - 1) == '_' &&
           PyUnicode_READ_CHAR(name, len - 2) == '_';
}

/* Whether `entry` of the dict of `base` is a slot of it that may be read: a class may
 * hold a descriptor of a type with another layout. */
static bool
instance_is_slot(PyTypeObject *base, PyObject *entry)
{
    if (!Py_IS_TYPE(entry, &PyMemberDescr_Type) || PyDescr_TYPE(entry) != base) {
        return false;
    }
    const PyMemberDef *member = ((PyMemberDescrObject *)entry)->d_member;
    PyObject *name = PyDescr_NAME(entry);
    return (member->type == T_OBJECT || member->type == T_OBJECT_EX) &&
           (member->flags & ~READONLY) == 0 && member->offset > 0 &&
           member->offset + (Py_ssize_t)sizeof(PyObject *) <= base->tp_basicsize &&
           name != NULL && PyUnicode_CheckExact(name) && !instance_is_dunder(name);
}

static bool
instance_has_slot(const struct kc_slots *slots, Py_ssize_t offset)
{
    for (uint32_t i = 0; i < slots->count; i++) {
        if (slots->list[i].offset == offset) {
            return true;
        }
    }
    return false;
}

/* Whether `base` has under `__dict__` what Python or C made for it. From 3.15 on all
 * classes have the same one, of object. A dict that no class gives Python cannot see
 * (asyncio.Future has one): neither core reads it, as one of them has no way to it. */
static bool
instance_gives_dict(PyTypeObject *base, PyObject *key, PyObject *entry)
{
    return PyUnicode_CheckExact(key) &&
           PyUnicode_CompareWithASCIIString(key, "__dict__") == 0 &&
           (Py_IS_TYPE(entry, &PyGetSetDescr_Type) ||
            Py_IS_TYPE(entry, &PyMemberDescr_Type)) &&
           (PyDescr_TYPE(entry) == base || PyDescr_TYPE(entry) == &PyBaseObject_Type);
}

static bool
instance_add_slots(struct kc_slots *slots, PyTypeObject *base, PyObject *dict)
{
    PyObject *key;
    PyObject *entry;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &entry)) {
        slots->gives_dict = slots->gives_dict || instance_gives_dict(base, key, entry);
        if (!instance_is_slot(base, entry) || slots->count == SLOTS_MAX) {
            continue;
        }
        const PyMemberDef *member = ((PyMemberDescrObject *)entry)->d_member;
        if (instance_has_slot(slots, member->offset)) {
            continue;
        }
        struct kc_slot *list =
            PyMem_Realloc(slots->list, (slots->count + 1) * sizeof *list);
        if (list == NULL) {
            return false;
        }
        slots->list = list;
        list[slots->count].name = PyDescr_NAME(entry);
        Py_INCREF(list[slots->count].name);
        list[slots->count++].offset = member->offset;
    }
    return true;
}

bool
kc_slots_init(struct kc_slots *slots, PyTypeObject *type)
{
    slots->list = NULL;
    slots->count = 0;
    slots->has_dict = kc_type_has_instance_dict(type);
    slots->gives_dict = false;
    if (type->tp_mro == NULL) {
        return true;
    }
    for (Py_ssize_t i = PyTuple_GET_SIZE(type->tp_mro) - 1; i >= 0; i--) {
        PyObject *base = PyTuple_GET_ITEM(type->tp_mro, i);
        if (!PyType_Check(base)) {
            continue;
        }
        PyObject *dict = kc_type_dict((PyTypeObject *)base);
        bool added =
            dict == NULL || instance_add_slots(slots, (PyTypeObject *)base, dict);
        Py_XDECREF(dict); /* the type has it still */
        if (!added) {
            kc_slots_destroy(slots);
            return false;
        }
    }
    return true;
}

void
kc_slots_destroy(struct kc_slots *slots)
{
    for (uint32_t i = 0; i < slots->count; i++) {
        Py_DECREF(slots->list[i].name);
    }
    PyMem_Free(slots->list);
    slots->list = NULL;
    slots->count = 0;
}

void
kc_fields_begin(struct kc_fields *fields, PyObject *object,
                const struct kc_slots *slots)
{
    fields->object = object;
    fields->slots = slots;
    fields->slot = 0;
    fields->at = 0;
}

bool
kc_fields_next(struct kc_fields *fields, PyObject **name, PyObject **value)
{
    while (fields->slot < fields->slots->count) {
        const struct kc_slot *slot = &fields->slots->list[fields->slot++];
        *name = slot->name;
        *value = *(PyObject **)((char *)fields->object + slot->offset);
        if (*value != NULL) {
            return true;
        }
    }
    while (fields->slots->has_dict && fields->slots->gives_dict &&
           kc_instance_next(fields->object, &fields->at, name, value))
    {
        if (PyUnicode_CheckExact(*name) && !instance_is_dunder(*name)) {
            return true;
        }
    }
    return false;
}

PyObject *
kc_fields_borrow(PyObject *object, const struct kc_slots *slots, const char *wanted)
{
    struct kc_fields fields;
    PyObject *name;
    PyObject *value;
    kc_fields_begin(&fields, object, slots);
    while (kc_fields_next(&fields, &name, &value)) {
        if (PyUnicode_CompareWithASCIIString(name, wanted) == 0) {
            return value;
        }
    }
    return NULL;
}
