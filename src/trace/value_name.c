/* value_name.c -- see value_state.h. Functions and modules: written as their names. */

#include "trace/value_state.h"

#define NAME_TEXT_BYTES 400u /* module.qualname */
#define METHOD_LEVELS 8      /* a method of a method of …: no program's own */

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
name_write(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
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
name_borrow_module(PyObject *module)
{
    return kc_value_borrow_entry(PyModule_GetDict(module), "__name__");
}

static void
name_add_cfunction(struct name_text *name, PyObject *value)
{
    const PyCFunctionObject *function = (const PyCFunctionObject *)value;
    PyObject *self = function->m_self;
    if (self != NULL && PyModule_Check(self)) {
        name_add(name, name_borrow_module(self));
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

bool
kc_value_function(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
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
    name_write(values, cursor, value, KC_TAG_FUNCTION, &name);
    return true;
}

void
kc_value_module(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    struct name_text name = {{0}, 0};
    name_add(&name, name_borrow_module(value));
    name_write(values, cursor, value, KC_TAG_MODULE, &name);
}
