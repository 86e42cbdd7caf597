/* connection_object.c -- see connection_object.h. */

#include "compat.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connection_object.h"
#include "plain/clock.h"
#include "plain/query.h"
#include "state.h"

#define CONNECTION_TICK_STEPS 2000         /* of SQLite's machine: 0.1 ms or so */
#define CONNECTION_SIGNALS_NS 100000000u   /* between two looks for a signal */
#define CONNECTION_BUSY_PAUSE_NS 10000000u /* between two tries at a locked file */
#define CONNECTION_VALUES_MOST 32766       /* SQLite's own limit */

/* A wheel is built with the headers of an old system and carries a newer library; one
 * of before 3.31 refuses it, which does no harm. */
#ifndef SQLITE_DBCONFIG_TRUSTED_SCHEMA
#define SQLITE_DBCONFIG_TRUSTED_SCHEMA 1017
#endif

#define CONNECTION_ROW_BYTES (64 << 20) /* no block and no source is as large */

typedef struct {
    PyObject_HEAD
    sqlite3 *db;           /* NULL: closed */
    atomic_bool in_use;    /* guards everything below, and db */
    pid_t pid;             /* who opened it */
    PyThreadState *tstate; /* who works, without the GIL */
    uint64_t looked_ns;    /* for signals */
    uint64_t timeout_ns;
    uint64_t busy_since_ns;
} ConnectionObject;

/* ---- failure ---- */

PyObject *
kc_connection_new_error(void)
{
    PyObject *error = NULL;
    PyObject *attributes = Py_BuildValue("{si}", "code", SQLITE_ERROR);
    if (attributes != NULL) {
        error = PyErr_NewExceptionWithDoc(
            "kolo_c._kolo.DatabaseError",
            "SQLite refused; `code` is its primary result code.", NULL, attributes);
    }
    Py_XDECREF(attributes);
    return error;
}

/* Raise DatabaseError; always NULL. `message` may quote names from a damaged file. */
static PyObject *
connection_raise(PyTypeObject *type, int code, const char *message)
{
    struct kc_module_state *state = PyType_GetModuleState(type);
    PyObject *number = PyLong_FromLong(code);
    PyObject *text =
        PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
    PyObject *error =
        text != NULL ? PyObject_CallOneArg(state->database_error, text) : NULL;
    if (number != NULL && error != NULL &&
        PyObject_SetAttrString(error, "code", number) == 0)
    {
        PyErr_SetObject(state->database_error, error);
    }
    Py_XDECREF(error);
    Py_XDECREF(text);
    Py_XDECREF(number);
    return NULL;
}

/* ---- while SQLite works: no GIL ---- */

/* Whether a signal handler raised. Looks every now and then, as it takes the GIL. */
static bool
connection_interrupted(ConnectionObject *self)
{
    uint64_t now_ns = kc_clock_system_ns();
    if (now_ns - self->looked_ns < CONNECTION_SIGNALS_NS) {
        return false;
    }
    PyEval_RestoreThread(self->tstate);
    bool raised = PyErr_CheckSignals() != 0;
    self->tstate = PyEval_SaveThread();
    self->looked_ns = kc_clock_system_ns();
    return raised;
}

static int
connection_on_progress(void *op)
{
    return connection_interrupted(op) ? 1 : 0;
}

/* Somebody has locked the file: non-zero to try again. */
static int
connection_on_busy(void *op, int tries)
{
    ConnectionObject *self = op;
    uint64_t now_ns = kc_clock_system_ns();
    if (tries == 0) {
        self->busy_since_ns = now_ns;
    }
    if (now_ns - self->busy_since_ns >= self->timeout_ns) {
        return 0;
    }
    struct timespec pause = {0, tries < 10 ? CONNECTION_BUSY_PAUSE_NS / 10
                                           : CONNECTION_BUSY_PAUSE_NS};
    (void)nanosleep(&pause, NULL); /* a signal ends it early, to be seen at once */
    return connection_interrupted(self) ? 0 : 1;
}

/* ---- who may use it ---- */

/* Take the connection for one call; false with an exception set where it cannot be. */
static bool
connection_enter(ConnectionObject *self)
{
    if (atomic_exchange(&self->in_use, true)) {
        connection_raise(Py_TYPE((PyObject *)self), SQLITE_MISUSE,
                         "the connection is in use, by another thread or by a signal "
                         "handler's caller");
        return false;
    }
    const char *why = self->db == NULL ? "the connection is closed"
                      : self->pid != getpid()
                          ? "the connection was opened before a fork: open another"
                          : NULL;
    if (why != NULL) {
        atomic_store(&self->in_use, false);
        connection_raise(Py_TYPE((PyObject *)self), SQLITE_MISUSE, why);
        return false;
    }
    return true;
}

static void
connection_leave(ConnectionObject *self)
{
    atomic_store(&self->in_use, false);
}

/* ---- life ---- */

static void
connection_configure(ConnectionObject *self)
{
    sqlite3_progress_handler(self->db, CONNECTION_TICK_STEPS, connection_on_progress,
                             self);
    (void)sqlite3_busy_handler(self->db, connection_on_busy, self);
    /* Files come from other people too: nothing in their schema gets to run. */
    (void)sqlite3_db_config(self->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(self->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* Nor may a column that is computed become as large as it likes. */
    (void)sqlite3_limit(self->db, SQLITE_LIMIT_LENGTH, CONNECTION_ROW_BYTES);
    /* What does not fit into memory would go to a folder that is none of ours. */
    (void)sqlite3_exec(self->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
}

static PyObject *
connection_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"filename_or_uri", "timeout_ms", NULL};
    PyObject *filename = NULL;
    int timeout_ms = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&i", names, PyUnicode_FSConverter,
                                     &filename, &timeout_ms))
    {
        return NULL;
    }
    ConnectionObject *self = (ConnectionObject *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(filename);
        return NULL;
    }
    atomic_init(&self->in_use, false);
    self->pid = getpid();
    self->timeout_ns = timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000u : 0;
    const char *path = PyBytes_AS_STRING(filename);
    sqlite3 *db = NULL;
    int code;
    Py_BEGIN_ALLOW_THREADS
    code = sqlite3_open_v2(path, &db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                               SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                           NULL);
    Py_END_ALLOW_THREADS
    self->db = db;
    Py_DECREF(filename);
    if (code != SQLITE_OK) {
        if (db == NULL || (code & 0xff) == SQLITE_NOMEM) {
            PyErr_NoMemory();
        }
        else {
            connection_raise(type, code & 0xff, sqlite3_errmsg(db));
        }
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    connection_configure(self);
    return (PyObject *)self;
}

static void
connection_shut(ConnectionObject *self)
{
    sqlite3 *db = self->db;
    self->db = NULL;
    /* In a fork's child it is given up: closing would touch what the parent uses. */
    if (db != NULL && self->pid == getpid()) {
        /* Our callbacks belong to execute(), which has said where the GIL goes back. */
        sqlite3_progress_handler(db, 0, NULL, NULL);
        (void)sqlite3_busy_handler(db, NULL, NULL);
        Py_BEGIN_ALLOW_THREADS(void)
        sqlite3_close(db); /* no statement outlives its execute() */
        Py_END_ALLOW_THREADS
    }
}

static void
connection_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    connection_shut((ConnectionObject *)op);
    type->tp_free(op);
    Py_DECREF(type); /* heap types are owned by their instances */
}

static PyObject *
connection_close(PyObject *op, PyObject *none)
{
    (void)none;
    ConnectionObject *self = (ConnectionObject *)op;
    if (self->db == NULL || self->pid != getpid()) {
        Py_RETURN_NONE;
    }
    if (!connection_enter(self)) {
        return NULL;
    }
    connection_shut(self);
    connection_leave(self);
    Py_RETURN_NONE;
}

static PyObject *
connection_enter_context(PyObject *op, PyObject *none)
{
    (void)none;
    return Py_NewRef(op);
}

static PyObject *
connection_exit_context(PyObject *op, PyObject *args)
{
    (void)args;
    return connection_close(op, NULL);
}

/* ---- values in ---- */

/* One value as a cell. A text's bytes are kept in `keep`, a list. */
static int
connection_read_value(PyTypeObject *type, PyObject *value, PyObject *keep,
                      struct kc_cell *cell)
{
    if (value == Py_None) {
        cell->kind = KC_CELL_NULL;
        return 0;
    }
    if (PyLong_Check(value)) {
        int overflow = 0;
        cell->kind = KC_CELL_INT;
        cell->integer = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow != 0) {
            connection_raise(type, SQLITE_TOOBIG, "an integer of more than 64 bits");
        }
        return overflow != 0 || PyErr_Occurred() ? -1 : 0;
    }
    if (PyFloat_Check(value)) {
        cell->kind = KC_CELL_FLOAT;
        cell->real = PyFloat_AS_DOUBLE(value);
        return 0;
    }
    PyObject *bytes = NULL;
    if (PyUnicode_Check(value)) {
        cell->kind = KC_CELL_TEXT;
        bytes = PyUnicode_AsEncodedString(value, "utf-8", "surrogatepass");
    }
    else if (PyBytes_Check(value)) {
        cell->kind = KC_CELL_BYTES;
        bytes = Py_NewRef(value);
    }
    else {
        char message[200];
        PyOS_snprintf(message, sizeof message, "a value of type %.100s",
                      Py_TYPE(value)->tp_name);
        connection_raise(type, SQLITE_MISMATCH, message);
    }
    if (bytes == NULL) {
        return -1;
    }
    cell->bytes = PyBytes_AS_STRING(bytes);
    cell->len = (size_t)PyBytes_GET_SIZE(bytes);
    int result = PyList_Append(keep, bytes);
    Py_DECREF(bytes);
    return result;
}

/* The cells of `values`, a list or tuple; PyMem_Free() them. NULL with an exception. */
static struct kc_cell *
connection_read_values(PyTypeObject *type, PyObject *values, PyObject *keep)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(values);
    if (count > CONNECTION_VALUES_MOST) {
        connection_raise(type, SQLITE_TOOBIG, "too many values");
        return NULL;
    }
    struct kc_cell *cells = PyMem_Calloc((size_t)count + 1, sizeof *cells);
    if (cells == NULL) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; cells != NULL && i < count; i++) {
        PyObject *value = PySequence_Fast_GET_ITEM(values, i);
        if (connection_read_value(type, value, keep, &cells[i]) < 0) {
            PyMem_Free(cells);
            cells = NULL;
        }
    }
    return cells;
}

/* ---- rows out ---- */

static PyObject *
connection_make_value(const struct kc_cell *cell)
{
    switch (cell->kind) {
    case KC_CELL_INT:
        return PyLong_FromLongLong(cell->integer);
    case KC_CELL_FLOAT:
        return PyFloat_FromDouble(cell->real);
    case KC_CELL_BYTES:
        return PyBytes_FromStringAndSize(cell->bytes, (Py_ssize_t)cell->len);
    case KC_CELL_TEXT:
        break;
    case KC_CELL_NULL:
        Py_RETURN_NONE;
    }
    PyObject *text =
        PyUnicode_DecodeUTF8(cell->bytes, (Py_ssize_t)cell->len, "surrogatepass");
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        text = PyUnicode_DecodeUTF8(cell->bytes, (Py_ssize_t)cell->len, "replace");
    }
    return text;
}

/* Append the rows of the batch to `rows`. */
static int
connection_take_rows(const struct kc_query *query, PyObject *rows)
{
    const struct kc_cell *cell = query->cells;
    for (size_t i = 0; i < query->row_count; i++) {
        PyObject *row = PyTuple_New((Py_ssize_t)query->columns);
        for (uint32_t j = 0; row != NULL && j < query->columns; j++) {
            PyObject *value = connection_make_value(cell++);
            if (value == NULL) {
                Py_CLEAR(row);
                break;
            }
            PyTuple_SET_ITEM(row, (Py_ssize_t)j, value);
        }
        int appended = row != NULL ? PyList_Append(rows, row) : -1;
        Py_XDECREF(row);
        if (appended < 0) {
            return -1;
        }
    }
    return 0;
}

/* All rows of a statement, as a list; the connection has been entered. */
static PyObject *
connection_run(ConnectionObject *self, const char *sql, const struct kc_cell *values,
               size_t count)
{
    struct kc_query query;
    enum kc_status status;
    PyObject *rows = PyList_New(0);
    if (rows == NULL) {
        return NULL;
    }
    self->looked_ns = kc_clock_system_ns();
    self->tstate = PyEval_SaveThread();
    status = kc_query_begin(&query, self->db, sql, values, count);
    bool failed = false; /* in Python */
    while (status == KC_OK && !failed && !query.done) {
        status = kc_query_fetch(&query);
        PyEval_RestoreThread(self->tstate);
        failed = status == KC_OK &&
                 (connection_take_rows(&query, rows) < 0 || PyErr_CheckSignals() < 0);
        self->tstate = PyEval_SaveThread();
    }
    kc_query_end(&query);
    PyEval_RestoreThread(self->tstate);
    if (status != KC_OK && !PyErr_Occurred()) {
        if (status == KC_NO_MEMORY) {
            PyErr_NoMemory();
        }
        else {
            connection_raise(Py_TYPE((PyObject *)self), query.code, query.error);
        }
    }
    if (status != KC_OK || failed) {
        Py_CLEAR(rows);
    }
    return rows;
}

static PyObject *
connection_execute(PyObject *op, PyObject *args)
{
    ConnectionObject *self = (ConnectionObject *)op;
    const char *sql = NULL;
    PyObject *values = NULL;
    if (!PyArg_ParseTuple(args, "s|O", &sql, &values)) {
        return NULL;
    }
    PyObject *result = NULL; /* set last, and only on success */
    struct kc_cell *cells = NULL;
    PyObject *sequence = NULL;
    PyObject *keep = PyList_New(0);
    if (keep == NULL) {
        return NULL;
    }
    /* A tuple of our own: no other thread can change it meanwhile. */
    sequence = values == NULL ? PyTuple_New(0) : PySequence_Tuple(values);
    if (sequence != NULL) {
        cells = connection_read_values(Py_TYPE(op), sequence, keep);
    }
    if (cells == NULL || !connection_enter(self)) {
        goto done;
    }
    result =
        connection_run(self, sql, cells, (size_t)PySequence_Fast_GET_SIZE(sequence));
    connection_leave(self);

done:
    PyMem_Free(cells);
    Py_XDECREF(sequence);
    Py_DECREF(keep);
    return result;
}

static PyMethodDef connection_methods[] = {
    {"execute", connection_execute, METH_VARARGS,
     "execute(sql, values=(), /)\n\nRun one statement; its rows, a list of tuples."},
    {"close", connection_close, METH_NOARGS, "Let go of the file."},
    {"__enter__", connection_enter_context, METH_NOARGS, "The connection."},
    {"__exit__", connection_exit_context, METH_VARARGS, "Close it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot connection_slots[] = {
    {Py_tp_new, connection_new},         /* life */
    {Py_tp_dealloc, connection_dealloc}, /* … */
    {Py_tp_methods, connection_methods}, /* use */
    {Py_tp_doc, "Connection(filename_or_uri, timeout_ms)\n\nA database, through the "
                "copy of SQLite that the writer uses."},
    {0, NULL},
};

PyType_Spec kc_connection_type_spec = {
    .name = "kolo_c._kolo.Connection",
    .basicsize = sizeof(ConnectionObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = connection_slots,
};
