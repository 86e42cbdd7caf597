/* value_shape.c -- see value_state.h. Which kind of value a type's instances are.
 *
 * Decided once per type and version of it, from type flags, the order of its bases, and
 * the names of library classes. What is read by a C struct's layout is recognised by
 * identity or as a type made in C; a class of the program can only pretend to be a
 * library class whose fields are read through its own slots.
 */

#include "trace/value_state.h"

#include <frameobject.h> /* PyFrame_Type: part of Python.h from 3.11 on */
#include <stddef.h>

static struct value_shape SHAPE_OPAQUE = {
    .references = 1, .kind = VALUE_OPAQUE, .exact = true};

PyObject *
kc_value_borrow_entry(PyObject *dict, const char *name)
{
    PyObject *key;
    PyObject *entry;
    Py_ssize_t at = 0;
    while (dict != NULL && PyDict_Next(dict, &at, &key, &entry)) {
        if (kc_value_text_is(key, name)) {
            return entry;
        }
    }
    return NULL;
}

/* Whether `type` was made by a `class` statement: a heap type that no C module owns. */
static bool
shape_is_python(PyTypeObject *type)
{
    return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) &&
           ((PyHeapTypeObject *)type)->ht_module == NULL;
}

/* Whether the class `name` was defined in module `module`, by its own account. */
bool
kc_value_is_class(PyTypeObject *type, const char *module, const char *name)
{
    if (strcmp(type->tp_name, name) != 0 || !shape_is_python(type)) {
        return false;
    }
    PyObject *dict = kc_type_dict(type);
    PyObject *defined = kc_value_borrow_entry(dict, "__module__");
    bool same = defined != NULL && kc_value_text_is(defined, module);
    Py_XDECREF(dict);
    return same;
}

/* Whether `type` says itself which slots its instances have: a class without a dict
 * does, a type made in C does not. */
static bool
shape_declares_slots(PyTypeObject *type)
{
    PyObject *dict = kc_type_dict(type);
    bool declared = kc_value_borrow_entry(dict, "__slots__") != NULL;
    Py_XDECREF(dict);
    return declared;
}

struct builtin_kind {
    PyTypeObject *type;
    enum value_kind kind;
};

/* Types that are looked at by identity alone. */
static enum value_kind
shape_of_exact(PyTypeObject *type)
{
    const struct builtin_kind exact[] = {
        {&PyLong_Type, VALUE_INT},
        {&PyUnicode_Type, VALUE_STR},
        {&PyFloat_Type, VALUE_FLOAT},
        {&PyRange_Type, VALUE_RANGE},
        {&PyMemoryView_Type, VALUE_VIEW},
        {&PyFunction_Type, VALUE_FUNCTION},
        {&PyCFunction_Type, VALUE_CFUNCTION},
        {&PyCMethod_Type, VALUE_CFUNCTION},
        {&PyMethod_Type, VALUE_METHOD},
        {&PyMethodDescr_Type, VALUE_DESCRIPTOR},
        {&PyClassMethodDescr_Type, VALUE_DESCRIPTOR},
        {&PyWrapperDescr_Type, VALUE_DESCRIPTOR},
        {&PyCode_Type, VALUE_REF_ONLY},
        {&PyFrame_Type, VALUE_REF_ONLY},
        {&PyTraceBack_Type, VALUE_REF_ONLY},
        {&PyGen_Type, VALUE_REF_ONLY},
        {&PyCoro_Type, VALUE_REF_ONLY},
        {&PyAsyncGen_Type, VALUE_REF_ONLY},
        {&PyCell_Type, VALUE_REF_ONLY},
        {&PyProperty_Type, VALUE_REF_ONLY},
        {&PyGetSetDescr_Type, VALUE_REF_ONLY},
        {&PyMemberDescr_Type, VALUE_REF_ONLY},
    };
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
        if (exact[i].type == type) {
            return exact[i].kind;
        }
    }
    return VALUE_OBJECT;
}

/* Builtin types that are also looked at through their subclasses. */
static enum value_kind
shape_of_builtin(PyTypeObject *base)
{
    const struct builtin_kind builtin[] = {
        {&PyLong_Type, VALUE_INT},
        {&PyUnicode_Type, VALUE_STR},
        {&PyFloat_Type, VALUE_FLOAT},
        {&PyBytes_Type, VALUE_BYTES},
        {&PyByteArray_Type, VALUE_BYTEARRAY},
        {&PyList_Type, VALUE_LIST},
        {&PyTuple_Type, VALUE_TUPLE},
        {&PyDict_Type, VALUE_DICT},
        {&PySet_Type, VALUE_SET},
        {&PyFrozenSet_Type, VALUE_FROZENSET},
        {&PyComplex_Type, VALUE_COMPLEX},
        {&PyType_Type, VALUE_CLASS},
        {&PyModule_Type, VALUE_MODULE},
    };
    for (size_t i = 0; i < sizeof builtin / sizeof builtin[0]; i++) {
        if (builtin[i].type == base) {
            return builtin[i].kind;
        }
    }
    return VALUE_OBJECT;
}

/* A class of the library, by name: those made in Python are read through their slots,
 * those made in C by layouts that value_types.c and value_number.c declare. */
static enum value_kind
shape_of_library(PyTypeObject *base, uint16_t *detail)
{
    enum value_kind kind = kc_value_datetime_kind(base);
    if (kind != VALUE_OBJECT) {
        return kind;
    }
    if (shape_is_python(base)) {
        if (kc_value_is_class(base, "uuid", "UUID")) {
            return VALUE_UUID;
        }
        if (kc_value_is_class(base, "pathlib", "PurePath") ||
            kc_value_is_class(base, "pathlib._local", "PurePath"))
        {
            return VALUE_PATH;
        }
        return VALUE_OBJECT;
    }
    if (kc_value_is_decimal(base)) {
        return VALUE_DECIMAL;
    }
    if (strcmp(base->tp_name, "array.array") == 0 ||
        strcmp(base->tp_name, "mmap.mmap") == 0)
    {
        return VALUE_BUFFER;
    }
    if (strncmp(base->tp_name, "numpy.", 6) == 0) {
        return kc_value_numpy_kind(base, detail);
    }
    return VALUE_OBJECT;
}

/* Whether `type` is an Enum: its metaclass says so. */
static bool
shape_is_enum(PyTypeObject *type)
{
    PyObject *bases = Py_TYPE(type)->tp_mro;
    if (Py_TYPE(type) == &PyType_Type || bases == NULL) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        if (PyType_Check(base) && (kc_value_is_class(base, "enum", "EnumType") ||
                                   kc_value_is_class(base, "enum", "EnumMeta")))
        {
            return true;
        }
    }
    return false;
}

static bool
shape_are_names(PyObject *names)
{
    if (!PyTuple_CheckExact(names)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (!PyUnicode_CheckExact(name) || !kc_unicode_is_ready(name)) {
            return false;
        }
    }
    return true;
}

/* The `_fields` of a tuple's subclass: a tuple of strings, or NULL. */
static PyObject *
shape_find_names(PyTypeObject *type)
{
    PyObject *names = NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro) && names == NULL; i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i);
        if (!PyType_Check(base)) {
            continue;
        }
        PyObject *dict = kc_type_dict(base);
        names = kc_value_borrow_entry(dict, "_fields");
        Py_XINCREF(names);
        Py_XDECREF(dict);
    }
    if (names != NULL && !shape_are_names(names)) {
        Py_CLEAR(names);
    }
    return names;
}

/* What a tuple's subclass is: a namedtuple, a struct sequence (os.stat_result),
 * neither. */
static void
shape_of_tuple(struct value_shape *shape, PyTypeObject *type)
{
    shape->kind = VALUE_TUPLE;
    shape->names = shape_find_names(type);
    if (shape->names != NULL) {
        shape->kind = VALUE_NAMEDTUPLE;
        return;
    }
    if (type->tp_members == NULL) {
        return;
    }
    PyObject *dict = kc_type_dict(type);
    if (kc_value_borrow_entry(dict, "n_sequence_fields") != NULL) {
        shape->kind = VALUE_STRUCTSEQ;
    }
    Py_XDECREF(dict);
}

static void
shape_by_bases(struct value_shape *shape, PyTypeObject *type)
{
    Py_ssize_t count = type->tp_mro == NULL ? 0 : PyTuple_GET_SIZE(type->tp_mro);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i);
        if (!PyType_Check(base) || base == &PyBaseObject_Type) {
            continue;
        }
        enum value_kind kind = shape_of_builtin(base);
        if (kind == VALUE_OBJECT) {
            kind = shape_of_library(base, &shape->detail);
        }
        if (kind != VALUE_OBJECT) {
            shape->kind = (uint8_t)kind;
            shape->exact = base == type;
            break;
        }
    }
    if (shape->kind == VALUE_TUPLE && !shape->exact) {
        shape_of_tuple(shape, type);
    }
}

static void
shape_decide(struct value_shape *shape, PyTypeObject *type)
{
    shape->exact = true;
    shape->field_most = SIZE_MAX;
    shape->kind = (uint8_t)shape_of_exact(type);
    if (shape->kind != VALUE_OBJECT) {
        return;
    }
    if (PyType_HasFeature(type, Py_TPFLAGS_BASE_EXC_SUBCLASS)) {
        shape->kind = VALUE_EXCEPTION;
        return;
    }
    if (shape_is_enum(type)) {
        shape->kind = VALUE_ENUM;
        return;
    }
    if (kc_type_is_dict(type)) {
        shape->kind = VALUE_DICT;
        shape->exact = type == &PyDict_Type;
        return;
    }
    shape_by_bases(shape, type);
    if (shape->kind == VALUE_OBJECT && shape->slots.count == 0 &&
        !shape->slots.has_dict && !shape_declares_slots(type))
    {
        shape->kind = VALUE_OPAQUE;
    }
    if (shape->kind == VALUE_OBJECT) {
        shape->chosen = kc_value_chosen_fields(type);
        shape->field_most = kc_value_chosen_count(shape->chosen);
    }
}

static KC_COLD struct value_shape *
shape_new(PyTypeObject *type)
{
    struct value_shape *shape = PyMem_Calloc(1, sizeof *shape);
    if (shape == NULL) {
        return NULL;
    }
    if (!kc_slots_init(&shape->slots, type)) {
        PyMem_Free(shape);
        return NULL;
    }
    shape->references = 1;
    shape_decide(shape, type);
    return shape;
}

void
kc_value_shape_release(struct value_shape *shape)
{
    if (shape != NULL && --shape->references == 0) {
        kc_slots_destroy(&shape->slots);
        Py_XDECREF(shape->names); /* strings: nothing of the program runs */
        PyMem_Free(shape);
    }
}

struct value_shape *
kc_value_shape(struct kc_values *values, PyTypeObject *type)
{
    size_t hash = (size_t)(((uintptr_t)type >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    struct value_shape_entry *entry = &values->shapes[hash % VALUE_SHAPE_ENTRIES];
    unsigned version = kc_type_version(type);
    bool lasts = version != 0 || !PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE);
    if (KC_LIKELY(entry->type == type && entry->version == version && lasts)) {
        entry->shape->references++;
        return entry->shape;
    }
    /* Two types that come to one place: the other one's is the next. */
    struct value_shape_entry *other =
        &values->shapes[(hash % VALUE_SHAPE_ENTRIES) ^ 1u];
    if (other->type == type && other->version == version && lasts) {
        other->shape->references++;
        return other->shape;
    }
    struct value_shape *shape = shape_new(type);
    if (shape == NULL) {
        SHAPE_OPAQUE.references++;
        return &SHAPE_OPAQUE;
    }
    if (lasts) {
        if (entry->shape != NULL && entry->type != type) {
            kc_value_shape_release(other->shape);
            *other = *entry;
        }
        else {
            kc_value_shape_release(entry->shape);
        }
        entry->type = type;
        entry->version = version;
        entry->shape = shape;
        shape->references++;
    }
    return shape;
}
