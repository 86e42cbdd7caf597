/* observed_object.c -- see observed_object.h. */

#include "compat.h"

#include "fetched_object.h"
#include "observed_object.h"

#include <stdbool.h>
#include <stddef.h>
#include <structmember.h>

#include "plain/clock.h"
#include "session/interrupt.h"
#include "state.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function;
    PyObject *begin;   /* (*arguments) -> token; None: end() is not called */
    PyObject *end;     /* (token, result, exception), or None */
    PyObject *instead; /* or NULL; else called with what begin gives as its token:
                        * (arguments, keywords) */
    PyObject *told;    /* or NULL: by address, codes whose callees begin() is not for */
    PyObject *slot;    /* or NULL: the attribute without which it is not, either */
    enum kc_fetches fetches;
    PyObject *makes; /* or NULL: (classes, keyword, class, most) */
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

/* What the first argument has in its slot, or NULL. No code of the program is asked. */
static PyObject *
observed_slot(const ObservedObject *self, PyObject *owner)
{
    PyObject *held = PyObject_GenericGetAttr(owner, self->slot);
    if (held == NULL) {
        PyErr_Clear();
    }
    else if (held == Py_None) {
        Py_CLEAR(held);
    }
    return held;
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

/* ---- fetches ---- */

/* How many rows are asked for; -1 where that is not said. */
static Py_ssize_t
observed_wanted(PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t wanted =
        count > 1 && PyLong_CheckExact(args[1]) ? PyLong_AsSsize_t(args[1]) : -1;
    PyErr_Clear();
    return wanted;
}

/* There are no more rows: what `owner` has in its slot tells of them. */
static void
observed_flush(const ObservedObject *self, PyObject *owner)
{
    PyObject *held = observed_slot(self, owner);
    if (held == NULL) {
        return;
    }
    PyObject *flushed = NULL;
    if (PyObject_GenericSetAttr(owner, self->slot, Py_None) == 0) {
        flushed = PyObject_CallMethod(held, "flush", NULL);
    }
    if (flushed == NULL) {
        observed_drop_error();
    }
    Py_XDECREF(flushed);
    Py_DECREF(held);
}

/* The function gives rows, which `fetched` counts. */
static PyObject *
observed_fetch(const ObservedObject *self, PyObject *fetched, PyObject *const *args,
               size_t nargsf, PyObject *names)
{
    Py_ssize_t wanted = observed_wanted(args, PyVectorcall_NARGS(nargsf));
    uint64_t began_ns = kc_clock_system_ns();
    PyObject *result = PyObject_Vectorcall(self->function, args, nargsf, names);
    uint64_t took_ns = kc_clock_system_ns() - began_ns;
    struct kc_exc raised = kc_exc_save_value();
    bool more =
        kc_fetched_add(fetched, args[0], self->fetches, result, wanted, took_ns);
    if (PyErr_Occurred()) {
        observed_drop_error();
    }
    if (!more) {
        observed_flush(self, args[0]);
    }
    kc_exc_restore(raised);
    return result;
}

static bool
observed_is_fetch(const ObservedObject *self, PyObject *held)
{
    if (self->fetches == KC_FETCHES_NOTHING) {
        return false;
    }
    const struct kc_module_state *state = PyType_GetModuleState(Py_TYPE(self));
    return PyObject_TypeCheck(held, state->fetched_type);
}

/* ---- what makes an object ---- */

/* The keywords of a call with our class in place of the one that is given there; NULL,
 * perhaps with an exception, where there is none of ours. */
static PyObject *
observed_choose(const ObservedObject *self, PyObject *const *named, PyObject *names)
{
    PyObject *keyword = PyTuple_GET_ITEM(self->makes, 1);
    PyObject *given = PyTuple_GET_ITEM(self->makes, 2);
    PyObject *keywords = PyDict_New();
    Py_ssize_t count = names != NULL ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; keywords != NULL && i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (PyUnicode_Compare(name, keyword) == 0) {
            given = named[i];
        }
        if (PyDict_SetItem(keywords, name, named[i]) < 0) {
            Py_CLEAR(keywords);
        }
    }
    PyObject *address = keywords != NULL ? PyLong_FromVoidPtr(given) : NULL;
    PyObject *ours =
        address != NULL
            ? PyDict_GetItemWithError(PyTuple_GET_ITEM(self->makes, 0), address)
            : NULL;
    if (ours == NULL || PyDict_SetItem(keywords, keyword, ours) < 0) {
        Py_CLEAR(keywords);
    }
    Py_XDECREF(address);
    return keywords;
}

/* The token of a call that makes an object of a class of ours; NULL for another. */
static PyObject *
observed_make(const ObservedObject *self, PyObject *const *args, Py_ssize_t count,
              PyObject *names)
{
    PyObject *classes = PyTuple_GET_ITEM(self->makes, 0);
    Py_ssize_t most = PyLong_AsSsize_t(PyTuple_GET_ITEM(self->makes, 3));
    if (count > most || PyDict_GET_SIZE(classes) == 0) {
        return NULL;
    }
    PyObject *token = NULL;
    PyObject *keywords = observed_choose(self, args + count, names);
    PyObject *arguments = keywords != NULL ? PyTuple_New(count) : NULL;
    if (arguments != NULL) {
        for (Py_ssize_t i = 0; i < count; i++) {
            PyTuple_SET_ITEM(arguments, i, Py_NewRef(args[i]));
        }
        token = PyTuple_Pack(2, arguments, keywords);
    }
    Py_XDECREF(arguments);
    Py_XDECREF(keywords);
    PyErr_Clear();
    return token;
}

/* ---- a call ---- */

/* begin() is asked, if that must be. */
static PyObject *
observed_watch(const ObservedObject *self, PyObject *const *args, size_t nargsf,
               PyObject *names)
{
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject *token =
        self->makes != NULL ? observed_make(self, args, count, names) : NULL;
    if (token == NULL) {
        token = PyObject_Vectorcall(self->begin, args, (size_t)count, names);
    }
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
    if (self->end != Py_None) {
        observed_end(self, token, result);
    }
    Py_DECREF(token);
    return result;
}

static PyObject *
observed_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *names)
{
    const ObservedObject *self = (const ObservedObject *)op;
    if (self->slot != NULL && PyVectorcall_NARGS(nargsf) != 0) {
        PyObject *held = observed_slot(self, args[0]);
        if (held == NULL) {
            return PyObject_Vectorcall(self->function, args, nargsf, names);
        }
        bool fetches = observed_is_fetch(self, held);
        PyObject *result =
            fetches ? observed_fetch(self, held, args, nargsf, names) : NULL;
        Py_DECREF(held);
        if (fetches) {
            return result;
        }
    }
    if (observed_is_told(self)) {
        return PyObject_Vectorcall(self->function, args, nargsf, names);
    }
    return observed_watch(self, args, nargsf, names);
}

static PyObject *
observed_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"function", "begin",   "end",   "instead", "told",
                               "slot",     "fetches", "makes", NULL};
    PyObject *function = NULL;
    PyObject *begin = NULL;
    PyObject *end = NULL;
    PyObject *instead = NULL;
    PyObject *told = NULL;
    PyObject *slot = NULL;
    PyObject *makes = NULL;
    int fetches = KC_FETCHES_NOTHING;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$OO!UiO!", keywords, &function,
                                     &begin, &end, &instead, &PyDict_Type, &told, &slot,
                                     &fetches, &PyTuple_Type, &makes))
    {
        return NULL;
    }
    if (makes != NULL &&
        (PyTuple_GET_SIZE(makes) != 4 || !PyDict_Check(PyTuple_GET_ITEM(makes, 0)) ||
         !PyUnicode_Check(PyTuple_GET_ITEM(makes, 1)) ||
         !PyLong_Check(PyTuple_GET_ITEM(makes, 3))))
    {
        PyErr_SetString(PyExc_TypeError, "makes is (dict, keyword, class, most)");
        return NULL;
    }
    if (fetches < KC_FETCHES_NOTHING || fetches > KC_FETCHES_ALL) {
        PyErr_SetString(PyExc_ValueError, "a function fetches nothing (0), 1, 2 or 3");
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
        self->fetches = (enum kc_fetches)fetches;
        self->makes = Py_XNewRef(makes);
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
    Py_VISIT(self->makes);
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
    Py_CLEAR(self->makes);
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
