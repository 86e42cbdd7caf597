/* scan_object.c -- see scan_object.h. kolo_c/store/scan.py is the only user. */

#include "compat.h"

#include <string.h>

#include "plain/scan.h"
#include "scan_object.h"

typedef struct {
    PyObject_HEAD
    struct kc_scan *scan;
    bool functions;
} ScanObject;

/* ---- life ---- */

static size_t
scan_write_double(double value, char *out, size_t room)
{
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        PyErr_Clear(); /* no memory: it has no text, which is the least harm */
        return 0;
    }
    size_t len = strlen(text);
    len = len < room ? len : room;
    memcpy(out, text, len);
    PyMem_Free(text);
    return len;
}

static PyObject *
scan_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"kinds", "numbers", "functions", NULL};
    unsigned int kinds = 0;
    int numbers = 0;
    int functions = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$Ipp", names, &kinds, &numbers,
                                     &functions))
    {
        return NULL;
    }
    struct kc_scan_options options = {
        .kinds = kinds,
        .numbers = numbers != 0,
        .functions = functions != 0,
        .write_double = scan_write_double,
    };
    allocfunc alloc = PyType_GetSlot(type, Py_tp_alloc);
    ScanObject *self = (ScanObject *)alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->functions = functions != 0;
    if (kc_scan_new(&self->scan, &options) != KC_OK) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void
scan_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    kc_scan_free(((ScanObject *)op)->scan);
    freefunc free_slot = PyType_GetSlot(type, Py_tp_free);
    free_slot(op);
    Py_DECREF(type); /* heap types are owned by their instances */
}

/* ---- before a block ---- */

static PyObject *
scan_forget_definitions(PyObject *op, PyObject *none)
{
    (void)none;
    kc_scan_forget_definitions(((ScanObject *)op)->scan);
    Py_RETURN_NONE;
}

static PyObject *
scan_set_stack(PyObject *op, PyObject *list)
{
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "set_stack: a list is needed");
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(list);
    struct kc_scan_open *opens = PyMem_Calloc((size_t)count + 1, sizeof *opens);
    if (opens == NULL) {
        return PyErr_NoMemory();
    }
    enum kc_status status = KC_OK;
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned long long node = 0;
        unsigned long long code = 0;
        PyObject *item = PyList_GET_ITEM(list, i);
        if (!PyTuple_Check(item) || !PyArg_ParseTuple(item, "KK", &node, &code)) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_TypeError, "set_stack: pairs are needed");
            }
            PyMem_Free(opens);
            return NULL;
        }
        opens[i] = (struct kc_scan_open){node, code, 0};
    }
    status = kc_scan_set_stack(((ScanObject *)op)->scan, opens, (size_t)count);
    PyMem_Free(opens);
    if (status != KC_OK) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

/* ---- a block ---- */

static PyObject *
scan_raws(const struct kc_scan *scan, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        size_t len = 0;
        const uint8_t *bytes = kc_scan_borrow_raw(scan, i, &len);
        PyObject *raw = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)len);
        if (raw == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, raw);
    }
    return list;
}

static PyObject *
scan_references(const struct kc_scan_reference *references, size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *pair = Py_BuildValue("KO", (unsigned long long)references[i].number,
                                       references[i].locals ? Py_True : Py_False);
        if (pair == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
    }
    return list;
}

static PyObject *
scan_walk(PyObject *op, PyObject *args)
{
    struct kc_scan *scan = ((ScanObject *)op)->scan;
    Py_buffer data;
    unsigned long long first_node = 0;
    if (!PyArg_ParseTuple(args, "y*K", &data, &first_node)) {
        return NULL;
    }
    struct kc_scan_news news;
    enum kc_status status =
        kc_scan_walk(scan, data.buf, (size_t)data.len, first_node, &news);
    PyBuffer_Release(&data);
    if (status == KC_FULL) {
        PyErr_SetString(PyExc_ValueError, "more bytes than a block can have");
        return NULL;
    }
    PyObject *result = NULL; /* set last, and only on success */
    PyObject *starts = NULL;
    PyObject *raws = NULL;
    PyObject *references = NULL;
    PyObject *text =
        PyUnicode_DecodeUTF8(news.text, (Py_ssize_t)news.text_bytes, "surrogatepass");
    if (text == NULL) {
        goto done;
    }
    starts = PyBytes_FromStringAndSize(
        (const char *)news.starts,
        (Py_ssize_t)((news.text_count + 1) * sizeof *news.starts));
    raws = scan_raws(scan, news.raw_count);
    references = scan_references(news.references, news.reference_count);
    if (starts == NULL || raws == NULL || references == NULL) {
        goto done;
    }
    result = Py_BuildValue("OOOOnnn", text, starts, raws, references,
                           (Py_ssize_t)news.call_count, (Py_ssize_t)news.read_bytes,
                           (Py_ssize_t)news.depth);

done:
    Py_XDECREF(references);
    Py_XDECREF(raws);
    Py_XDECREF(starts);
    Py_XDECREF(text);
    return result;
}

/* Match the items of `list` that `indexes`, a list of ints, names. */
static int
scan_match(struct kc_scan *scan, enum kc_scan_list list, PyObject *indexes)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(indexes); i++) {
        size_t index = PyLong_AsSize_t(PyList_GET_ITEM(indexes, i));
        if (index == (size_t)-1 && PyErr_Occurred()) {
            return -1;
        }
        kc_scan_match(scan, list, index);
    }
    return 0;
}

static int
scan_append_hit(PyObject *list, const struct kc_scan_hit *hit)
{
    PyObject *item =
        Py_BuildValue("IBKIK", hit->record, hit->kind, (unsigned long long)hit->node,
                      hit->thread, (unsigned long long)hit->code);
    int result = item != NULL ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return result;
}

static PyObject *
scan_settle(PyObject *op, PyObject *args)
{
    ScanObject *self = (ScanObject *)op;
    PyObject *lists[4] = {NULL};
    Py_ssize_t limit = 0;
    if (!PyArg_ParseTuple(args, "O!O!O!O!n", &PyList_Type, &lists[KC_SCAN_TEXTS],
                          &PyList_Type, &lists[KC_SCAN_RAWS], &PyList_Type,
                          &lists[KC_SCAN_REFERENCES], &PyList_Type,
                          &lists[KC_SCAN_WANTED], &limit))
    {
        return NULL;
    }
    for (int i = 0; i < 4; i++) {
        if (scan_match(self->scan, (enum kc_scan_list)i, lists[i]) < 0) {
            return NULL;
        }
    }
    size_t count = 0;
    Py_ssize_t sure = 0;
    const struct kc_scan_hit *hits = kc_scan_settle(self->scan, &count);
    PyObject *shown = PyList_New(0);
    PyObject *unsure = PyList_New(0);
    int failed = shown == NULL || unsure == NULL;
    for (size_t i = 0; i < count && !failed; i++) {
        if (self->functions && hits[i].code == 0) {
            failed = scan_append_hit(unsure, &hits[i]) < 0;
            continue;
        }
        failed = sure < limit && scan_append_hit(shown, &hits[i]) < 0;
        sure++;
    }
    PyObject *result = failed ? NULL : Py_BuildValue("nOO", sure, shown, unsure);
    Py_XDECREF(unsure);
    Py_XDECREF(shown);
    return result;
}

static PyMethodDef scan_methods[] = {
    {"forget_definitions", scan_forget_definitions, METH_NOARGS,
     "forget_definitions()\n\nWhat comes next is of another process."},
    {"set_stack", scan_set_stack, METH_O,
     "set_stack(calls)\n\nThe (node, code) that are open where the next block starts, "
     "outermost first; 0 for what is not known."},
    {"walk", scan_walk, METH_VARARGS,
     "walk(data, first_node)\n\nGo over the records of a block. Of what was not met "
     "before: (texts, starts, raws, references, calls, bytes read, depth)."},
    {"settle", scan_settle, METH_VARARGS,
     "settle(texts, raws, references, wanted, limit)\n\nWhat matches, by its place in "
     "what walk() gave: (count, the first `limit` hits, hits of unknown functions)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot scan_slots[] = {
    {Py_tp_new, scan_new},         /* life */
    {Py_tp_dealloc, scan_dealloc}, /* … */
    {Py_tp_methods, scan_methods}, /* use */
    {Py_tp_doc, "A search through the records of blocks; see kolo_c/store/scan.py."},
    {0, NULL},
};

PyType_Spec kc_scan_type_spec = {
    .name = "kolo_c._kolo.Scan",
    .basicsize = sizeof(ScanObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = scan_slots,
};
