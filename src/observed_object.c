/* observed_object.c -- see observed_object.h. */

#include "compat.h"

#include "observed_object.h"

#include <stdbool.h>
#include <stddef.h>
#include <structmember.h>

#include "session/interrupt.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function;
    PyObject *begin;   /* (*arguments) -> token; None: end() is not called */
    PyObject *end;     /* (token, result, exception) */
    PyObject *instead; /* or NULL; else called with what begin gives as its token:
                        * (arguments, keywords) */
    PyObject *told;    /* or NULL: by address, codes whose callees begin() is not for */
    PyObject *slot;    /* or NULL: the attribute without which it is not, either */
} ObservedObject;

#define TOLD_CALLERS_MAX 12

/* Whether one of the callers is in `told`; false where nobody can say. */
static bool
observed_is_told(const ObservedObject *self)
{
    if (self->told == NULL || PyDict_GET_SIZE(self->told) == 0) {
        return false;
    }
    bool found = false;
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    for (int i = 0; frame != NULL && !found && i < TOLD_CALLERS_MAX; i++) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        PyObject *address = PyLong_FromVoidPtr(code);
        found = address != NULL && PyDict_GetItemWithError(self->told, address) != NULL;
        Py_XDECREF(address);
        Py_DECREF(code);
        PyFrameObject *caller = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = caller;
    }
    Py_XDECREF(frame);
    PyErr_Clear();
    return found;
}

/* Whether the slot of the first argument is empty. No code of the program is asked. */
static bool
observed_is_empty(const ObservedObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (self->slot == NULL || count == 0) {
        return false;
    }
    PyObject *held = PyObject_GenericGetAttr(args[0], self->slot);
    bool empty = held == NULL || held == Py_None;
    Py_XDECREF(held);
    PyErr_Clear();
    return empty;
}

PyObject *
kc_observed_held(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (count != 2 || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "held(owner, name)");
        return NULL;
    }
    PyObject *held = PyObject_GenericGetAttr(args[0], args[1]);
    if (held == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return held;
}

/* An error of a handler is nobody's. */
static void
observed_drop_error(void)
{
    if (!kc_interrupt_give_back()) {
        PyErr_Clear();
    }
}

static void
observed_end(const ObservedObject *self, PyObject *token, PyObject *result)
{
    struct kc_exc raised = kc_exc_save_value();
    PyObject *arguments[] = {token, result != NULL ? result : Py_None,
                             raised.value != NULL ? raised.value : Py_None};
    PyObject *ended = PyObject_Vectorcall(self->end, arguments, 3, NULL);
    if (ended == NULL) {
        observed_drop_error();
    }
    Py_XDECREF(ended);
    kc_exc_restore(raised);
}

static PyObject *
observed_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *names)
{
    const ObservedObject *self = (const ObservedObject *)op;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    if (observed_is_empty(self, args, count) || observed_is_told(self)) {
        return PyObject_Vectorcall(self->function, args, nargsf, names);
    }
    PyObject *token = PyObject_Vectorcall(self->begin, args, (size_t)count, names);
    if (token == NULL) {
        observed_drop_error();
    }
    if (token == NULL || token == Py_None) {
        Py_XDECREF(token);
        return PyObject_Vectorcall(self->function, args, nargsf, names);
    }
    PyObject *result = NULL;
    if (self->instead != NULL && PyTuple_Check(token) && PyTuple_GET_SIZE(token) == 2) {
        result = PyObject_Call(self->instead, PyTuple_GET_ITEM(token, 0),
                               PyTuple_GET_ITEM(token, 1));
    }
    else {
        result = PyObject_Vectorcall(self->function, args, nargsf, names);
    }
    observed_end(self, token, result);
    Py_DECREF(token);
    return result;
}

static PyObject *
observed_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"function", "begin", "end", "instead",
                               "told",     "slot",  NULL};
    PyObject *function = NULL;
    PyObject *begin = NULL;
    PyObject *end = NULL;
    PyObject *instead = NULL;
    PyObject *told = NULL;
    PyObject *slot = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$OO!U", keywords, &function,
                                     &begin, &end, &instead, &PyDict_Type, &told,
                                     &slot))
    {
        return NULL;
    }
    ObservedObject *self = (ObservedObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->vectorcall = observed_call;
        self->function = Py_NewRef(function);
        self->begin = Py_NewRef(begin);
        self->end = Py_NewRef(end);
        self->instead = instead != Py_None ? Py_XNewRef(instead) : NULL;
        self->told = Py_XNewRef(told);
        self->slot = Py_XNewRef(slot);
    }
    return (PyObject *)self;
}

/* Found on an instance it is a method of that. */
static PyObject *
observed_get(PyObject *op, PyObject *instance, PyObject *type)
{
    (void)type;
    return instance != NULL && instance != Py_None ? PyMethod_New(op, instance)
                                                   : Py_NewRef(op);
}

/* Its name, its documentation and the like are the function's. */
static PyObject *
observed_getattro(PyObject *op, PyObject *name)
{
    return PyObject_GetAttr(((ObservedObject *)op)->function, name);
}

static PyObject *
observed_repr(PyObject *op)
{
    return PyObject_Repr(((ObservedObject *)op)->function);
}

static int
observed_traverse(PyObject *op, visitproc visit, void *arg)
{
    ObservedObject *self = (ObservedObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->function);
    Py_VISIT(self->begin);
    Py_VISIT(self->end);
    Py_VISIT(self->instead);
    Py_VISIT(self->told);
    return 0;
}

static int
observed_clear(PyObject *op)
{
    ObservedObject *self = (ObservedObject *)op;
    Py_CLEAR(self->function);
    Py_CLEAR(self->begin);
    Py_CLEAR(self->end);
    Py_CLEAR(self->instead);
    Py_CLEAR(self->told);
    Py_CLEAR(self->slot);
    return 0;
}

static void
observed_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)observed_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef observed_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ObservedObject, vectorcall), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot observed_slots[] = {
    {Py_tp_new, observed_new},           {Py_tp_dealloc, observed_dealloc},
    {Py_tp_traverse, observed_traverse}, {Py_tp_clear, observed_clear},
    {Py_tp_call, PyVectorcall_Call},     {Py_tp_descr_get, observed_get},
    {Py_tp_getattro, observed_getattro}, {Py_tp_repr, observed_repr},
    {Py_tp_members, observed_members},   {0, NULL},
};

PyType_Spec kc_observed_type_spec = {
    .name = "kolo_c._kolo.Observed",
    .basicsize = sizeof(ObservedObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = observed_slots,
};
