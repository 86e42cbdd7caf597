/* session_facts.c -- what is said of a trace as it is stored, for Python: its name and
 * attributes without secrets. See session_object.h. */

#include "compat.h"

#include "session_object.h"
#include "trace/facts.h"

PyObject *
kc_session_simple_facts(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    struct kc_values *values = ((SessionObject *)op)->tracer.values;
    if (count != 5 || !PyDict_Check(args[2]) ||
        (args[3] != Py_None && !PyTuple_Check(args[3])))
    {
        PyErr_SetString(PyExc_TypeError,
                        "simple_facts(template, name, known, names, fields)");
        return NULL;
    }
    struct kc_facts_wanted wanted = {
        .summary = args[0] != Py_None ? args[0] : NULL,
        .name = args[1],
        .known = args[2],
        .names = args[3] != Py_None ? args[3] : NULL,
        .fields = args[4],
    };
    struct kc_facts facts;
    if (!kc_facts_describe(values, &wanted, &facts)) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(NNN)", facts.name, facts.attributes, facts.text);
}

/* What the program says of a trace is masked as values are. */
PyObject *
kc_session_hides(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    PyObject *name = NULL;
    PyObject *value = NULL;
    if (!PyArg_ParseTuple(args, "UO", &name, &value)) {
        return NULL;
    }
    return PyBool_FromLong(kc_values_hide(self->tracer.values, name, value));
}

/* The same of a column: of each row that is a tuple. Whether all are. */
PyObject *
kc_session_hide_cells(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    PyObject *name = NULL;
    PyObject *rows = NULL;
    Py_ssize_t at = 0;
    if (!PyArg_ParseTuple(args, "UOn", &name, &rows, &at)) {
        return NULL;
    }
    PyObject *fast = PySequence_Fast(rows, "rows are a list or a tuple");
    if (fast == NULL) {
        return NULL;
    }
    bool all = true;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast); i++) {
        PyObject *row = PySequence_Fast_GET_ITEM(fast, i);
        all = all && PyTuple_Check(row);
        if (PyTuple_Check(row) && at >= 0 && at < PyTuple_GET_SIZE(row)) {
            (void)kc_values_hide(self->tracer.values, name, PyTuple_GET_ITEM(row, at));
        }
    }
    Py_DECREF(fast);
    return PyBool_FromLong(all);
}

PyObject *
kc_session_masked(PyObject *op, PyObject *text)
{
    SessionObject *self = (SessionObject *)op;
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "no text");
        return NULL;
    }
    return kc_values_masked(self->tracer.values, text);
}
