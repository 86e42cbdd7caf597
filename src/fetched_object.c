/* fetched_object.c -- see fetched_object.h. */

#include "compat.h"

#include "fetched_object.h"

#include <stddef.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *number; /* of the statement … */
    PyObject *scope;  /* … where it was sent */
    PyObject *text;
    PyObject *columns;
    PyObject *hidden;
    PyObject *said;   /* the first rows; NULL: None */
    PyObject *cursor; /* … or NULL */
    long long rows;
    long long fetch_ns;
    Py_ssize_t sampled;
    Py_ssize_t bytes;
    char fetching; /* bool, as Python has them */
    char quiet;
    char told;
} FetchedObject;

/* How many rows `result` has; false where there are no more. */
static bool
fetched_count(enum kc_fetches fetches, PyObject *result, Py_ssize_t wanted,
              Py_ssize_t *count)
{
    *count = 0;
    if (fetches == KC_FETCHES_ONE) {
        *count = result != NULL && result != Py_None;
        return *count != 0;
    }
    if (result == NULL || !PyList_Check(result)) {
        return false;
    }
    *count = PyList_GET_SIZE(result);
    return fetches != KC_FETCHES_ALL && *count != 0 && *count >= wanted;
}

bool
kc_fetched_add(PyObject *op, PyObject *cursor, enum kc_fetches fetches,
               PyObject *result, Py_ssize_t wanted, uint64_t took_ns)
{
    FetchedObject *self = (FetchedObject *)op;
    Py_ssize_t count = 0;
    bool more = fetched_count(fetches, result, wanted, &count);
    self->fetch_ns += (long long)took_ns;
    self->rows += count;
    if (count == 0 || self->quiet) {
        return more;
    }
    PyObject *rows =
        fetches == KC_FETCHES_ONE ? PyTuple_Pack(1, result) : Py_NewRef(result);
    PyObject *looked =
        rows != NULL ? PyObject_CallMethod(op, "look_at", "OO", rows, cursor) : NULL;
    Py_XDECREF(looked);
    Py_XDECREF(rows);
    return more;
}

static PyObject *
fetched_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *number = NULL;
    PyObject *scope = NULL;
    PyObject *text = NULL;
    PyObject *columns = NULL;
    PyObject *hidden = NULL;
    (void)kwargs;
    if (!PyArg_UnpackTuple(args, "Fetched", 5, 5, &number, &scope, &text, &columns,
                           &hidden))
    {
        return NULL;
    }
    FetchedObject *self = (FetchedObject *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->number = Py_NewRef(number);
        self->scope = Py_NewRef(scope);
        self->text = Py_NewRef(text);
        self->columns = Py_NewRef(columns);
        self->hidden = Py_NewRef(hidden);
    }
    return (PyObject *)self;
}

static int
fetched_traverse(PyObject *op, visitproc visit, void *arg)
{
    FetchedObject *self = (FetchedObject *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->number);
    Py_VISIT(self->scope);
    Py_VISIT(self->text);
    Py_VISIT(self->columns);
    Py_VISIT(self->hidden);
    Py_VISIT(self->said);
    Py_VISIT(self->cursor);
    return 0;
}

static int
fetched_clear(PyObject *op)
{
    FetchedObject *self = (FetchedObject *)op;
    Py_CLEAR(self->number);
    Py_CLEAR(self->scope);
    Py_CLEAR(self->text);
    Py_CLEAR(self->columns);
    Py_CLEAR(self->hidden);
    Py_CLEAR(self->said);
    Py_CLEAR(self->cursor);
    return 0;
}

static void
fetched_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)fetched_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

#define FETCHED_AT(member) offsetof(FetchedObject, member)

static PyMemberDef fetched_members[] = {
    {"number", T_OBJECT, FETCHED_AT(number), 0, NULL}, /* as in observed.py */
    {"scope", T_OBJECT, FETCHED_AT(scope), 0, NULL},
    {"text", T_OBJECT, FETCHED_AT(text), 0, NULL},
    {"columns", T_OBJECT, FETCHED_AT(columns), 0, NULL},
    {"hidden", T_OBJECT, FETCHED_AT(hidden), 0, NULL},
    {"said", T_OBJECT, FETCHED_AT(said), 0, NULL},
    {"cursor", T_OBJECT, FETCHED_AT(cursor), 0, NULL},
    {"rows", T_LONGLONG, FETCHED_AT(rows), 0, NULL},
    {"fetch_ns", T_LONGLONG, FETCHED_AT(fetch_ns), 0, NULL},
    {"sampled", T_PYSSIZET, FETCHED_AT(sampled), 0, NULL},
    {"bytes", T_PYSSIZET, FETCHED_AT(bytes), 0, NULL},
    {"fetching", T_BOOL, FETCHED_AT(fetching), 0, NULL},
    {"quiet", T_BOOL, FETCHED_AT(quiet), 0, NULL},
    {"told", T_BOOL, FETCHED_AT(told), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot fetched_slots[] = {
    {Py_tp_new, fetched_new},           {Py_tp_dealloc, fetched_dealloc},
    {Py_tp_traverse, fetched_traverse}, {Py_tp_clear, fetched_clear},
    {Py_tp_members, fetched_members},   {0, NULL},
};

PyType_Spec kc_fetched_type_spec = {
    .name = "kolo_c._kolo.Fetched",
    .basicsize = sizeof(FetchedObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = fetched_slots,
};
