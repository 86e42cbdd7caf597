/* carry.c -- see carry.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/carry.h"

#include "session/scope.h"
#include "trace/boundary.h"

/* Of what stands on a work item; above them the session's serial. */
#define NUMBER_BITS 32

int
kc_carry_use(struct kc_tracer *tracer, PyObject *carrying)
{
    PyObject *carriers = NULL;
    PyObject *late = NULL;
    PyObject *leave = NULL;
    unsigned int serial = 0;
    if (!PyArg_ParseTuple(carrying, "O!O!OI", &PyDict_Type, &carriers, &PyDict_Type,
                          &late, &leave, &serial))
    {
        return -1;
    }
    tracer->carried_name = PyUnicode_InternFromString("_kolo_c_scope");
    if (tracer->carried_name == NULL) {
        return -1;
    }
    tracer->carriers = Py_NewRef(carriers);
    tracer->late_traces = Py_NewRef(late);
    tracer->leave = Py_NewRef(leave);
    tracer->serial = serial;
    return 0;
}

void
kc_carry_clear(struct kc_tracer *tracer)
{
    Py_CLEAR(tracer->carriers);
    Py_CLEAR(tracer->late_traces);
    Py_CLEAR(tracer->leave);
    Py_CLEAR(tracer->carried_name);
}

/* ---- how many there are ---- */

/* How many run in the scope `key`; 0 where that cannot be had. */
static long
carry_count(const struct kc_tracer *tracer, PyObject *key)
{
    PyObject *count = PyDict_GetItemWithError(tracer->carriers, key);
    return count != NULL ? PyLong_AsLong(count) : 0;
}

static void
carry_set_count(const struct kc_tracer *tracer, PyObject *key, long count)
{
    PyObject *value = PyLong_FromLong(count);
    if (value != NULL) {
        (void)PyDict_SetItem(tracer->carriers, key, value);
        Py_DECREF(value);
    }
}

/* One less. The last one of a boundary that has a late trace is Python's to count. */
static bool
carry_leave(const struct kc_tracer *tracer, PyObject *key)
{
    long count = carry_count(tracer, key);
    if (count > 1) {
        carry_set_count(tracer, key, count - 1);
        return false;
    }
    if (PyDict_GET_SIZE(tracer->late_traces) != 0 &&
        PyDict_Contains(tracer->late_traces, key) == 1)
    {
        return true;
    }
    if (count == 1) {
        (void)PyDict_DelItem(tracer->carriers, key);
    }
    return false;
}

/* ---- the two plugins ---- */

/* The object whose method runs in `frame`, borrowed; NULL where there is none. */
static PyObject *
carry_borrow_self(kc_frame *frame)
{
    PyCodeObject *code = kc_frame_borrow_code(frame);
    if (code->co_argcount == 0) {
        return NULL;
    }
    int slot = kc_code_argument_slot(code, 0);
    PyObject *value = kc_frame_borrow_slot(frame, slot);
    if (value != NULL && PyCell_Check(value) && kc_code_slot_is_cell(code, slot)) {
        value = PyCell_GET(value);
    }
    return value;
}

static void
carry_submit(const struct kc_tracer *tracer, PyObject *item)
{
    uint64_t number = kc_boundary_current(tracer->session);
    PyObject *value =
        PyLong_FromUnsignedLongLong(((uint64_t)tracer->serial << NUMBER_BITS) | number);
    if (value != NULL) {
        (void)PyObject_GenericSetAttr(item, tracer->carried_name, value);
        Py_DECREF(value);
    }
}

/* Read the number of the scope that `item` was made in. False for one that was made
 * while nothing was recorded, or another session did that. */
static bool
carry_read(const struct kc_tracer *tracer, PyObject *item, uint32_t *number)
{
    PyObject *value = PyObject_GenericGetAttr(item, tracer->carried_name);
    if (value == NULL || !PyLong_CheckExact(value)) {
        Py_XDECREF(value);
        PyErr_Clear();
        return false;
    }
    uint64_t both = PyLong_AsUnsignedLongLong(value);
    Py_DECREF(value);
    PyErr_Clear();
    *number = (uint32_t)both;
    return both >> NUMBER_BITS == tracer->serial;
}

/* The scope variable was set: it is looked up with the next event. */
static void
carry_moved(struct kc_thread *thread)
{
    thread->scope_generation = thread->session->scope_generation - 1;
}

/* Move the context to the scope of `item`: (token, number). */
static PyObject *
carry_run(struct kc_thread *thread, PyObject *item)
{
    struct kc_tracer *tracer = thread->tracer;
    PyObject *begun = NULL;
    PyObject *token = NULL;
    PyObject *key = NULL;
    uint32_t number = 0;
    if (!carry_read(tracer, item, &number)) {
        return NULL;
    }
    key = PyLong_FromUnsignedLong(number);
    if (key == NULL) {
        goto done;
    }
    token = PyContextVar_Set(thread->session->scope_variable, key);
    if (token == NULL) {
        goto done;
    }
    carry_moved(thread);
    begun = PyTuple_Pack(2, token, key);
    if (begun == NULL) {
        (void)PyContextVar_Reset(thread->session->scope_variable, token);
        goto done;
    }
    if (number != 0 && number != KC_SCOPE_PAUSED) {
        carry_set_count(tracer, key, carry_count(tracer, key) + 1);
    }

done:
    Py_XDECREF(token);
    Py_XDECREF(key);
    return begun;
}

PyObject *
kc_carry_begin(struct kc_thread *thread, kc_frame *frame, enum kc_carry what)
{
    PyObject *item = carry_borrow_self(frame);
    if (item == NULL || thread->tracer->carriers == NULL) {
        return NULL;
    }
    if (what == KC_CARRY_SUBMITTED) {
        carry_submit(thread->tracer, item);
        return NULL;
    }
    return carry_run(thread, item);
}

bool
kc_carry_end(struct kc_thread *thread, PyObject *begun)
{
    struct kc_session *session = thread->session;
    if (thread->tracer->carriers == NULL) {
        return false; /* the session has ended meanwhile */
    }
    bool last = carry_leave(thread->tracer, PyTuple_GET_ITEM(begun, 1));
    (void)PyContextVar_Reset(session->scope_variable, PyTuple_GET_ITEM(begun, 0));
    carry_moved(thread);
    return last;
}

void
kc_carry_last(const struct kc_tracer *tracer, PyObject *begun)
{
    PyObject *result = PyObject_CallOneArg(tracer->leave, PyTuple_GET_ITEM(begun, 1));
    Py_XDECREF(result);
}
