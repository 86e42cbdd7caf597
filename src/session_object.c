/* session_object.c -- kolo_c._kolo.Session: a session and its tracer, for Python.
 * See session_object.h.
 *
 * kolo_c/session.py is the only user; it decides when what happens.
 *
 * Threads: GIL.
 * Owns:    struct kc_session and struct kc_tracer.
 * Fails:   NULL or -1 with an exception set.
 */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include <stdio.h>
#include <string.h>

#include "plain/clock.h"
#include "session_object.h"
#include "state.h"
#include "trace/boundary.h"
#include "trace/boundary_simple.h"
#include "trace/carry.h"
#include "trace/filter.h"
#include "trace/greenlet.h"
#include "trace/hook.h"
#include "trace/verdict.h"

static SessionObject *active; /* borrowed; one a process, guarded by the GIL */

PyObject *
kc_session_borrow_active(void)
{
    return (PyObject *)active;
}

/* ---- construction ---- */

/* The items of `list` as a NULL-terminated array of borrowed UTF-8; PyMem_Free() it. */
static const char **
session_read_words(PyObject *list)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(list);
    const char **words = PyMem_Calloc((size_t)count + 1, sizeof *words);
    if (words == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        words[i] = PyUnicode_AsUTF8(PySequence_Fast_GET_ITEM(list, i));
        if (words[i] == NULL) {
            PyMem_Free(words);
            return NULL;
        }
    }
    return words;
}

static int
session_open_mask(SessionObject *self, PyObject *words, PyObject *exceptions)
{
    int result = -1;
    const char **word_list = session_read_words(words);
    const char **exception_list =
        word_list != NULL ? session_read_words(exceptions) : NULL;
    if (exception_list != NULL) {
        if (kc_mask_new(&self->tracer.mask, word_list, exception_list) == KC_OK) {
            result = 0;
        }
        else {
            PyErr_NoMemory();
        }
    }
    PyMem_Free(word_list);
    PyMem_Free(exception_list);
    return result;
}

static int
session_open_tracer(SessionObject *self, PyObject *rules, const char *hook)
{
    struct kc_tracer *tracer = &self->tracer;
    tracer->session = &self->session;
    tracer->tool_id = -1;
    self->session.tracer = tracer;
    tracer->hook = kc_hook_find(hook);
    if (tracer->hook == NULL) {
        return -1;
    }
    self->session.hook = tracer->hook->profile;
    tracer->default_rules = (struct kc_code_rules){
        .values = true,
        .locals = KC_LOCALS_RAISE,
        .max_depth = UINT32_MAX,
        .options = {.limits = {4, 32, 1024, 8192}},
    };
    if (kc_filter_read_rules(rules, &tracer->default_rules) < 0) {
        return -1;
    }
    tracer->values = kc_values_new(&tracer->default_rules.options.limits, tracer->mask,
                                   self->session.definitions);
    if (tracer->values == NULL) {
        return -1;
    }
    tracer->counters = kc_values_borrow_counters(tracer->values);
    tracer->files = PyDict_New();
    tracer->kept_codes = PyDict_New();
    tracer->watch_names = PyDict_New();
    tracer->generation = kc_verdict_next_generation();
    tracer->first_generation = tracer->generation;
    if (tracer->files == NULL || tracer->kept_codes == NULL ||
        tracer->watch_names == NULL) {
        return -1;
    }
    return kc_verdict_begin();
}

/* What Session() is given, borrowed. */
struct arguments {
    struct kc_session_options options;
    PyObject *decide;
    PyObject *decide_file;
    PyObject *rules;
    PyObject *words;
    PyObject *exceptions;
    PyObject *variable;
    PyObject *open_boundary;
    PyObject *close_boundary;
    PyObject *load_plugin;
    PyObject *late_scope;
    PyObject *thread_begins;
    PyObject *carrying;
    PyObject *simple;
    PyObject *skipped;
    const char *hook;
    int new_threads;
    int caught;
};

static int
session_read_arguments(PyObject *args, PyObject *kwargs, struct arguments *given)
{
    static char *names[] = {"directory",
                            "process_id",
                            "schema",
                            "schema_version",
                            "info",
                            "compress",
                            "segment_bytes",
                            "free_disk_bytes",
                            "max_trace_bytes",
                            "wait_max_ns",
                            "drop",
                            "decide",
                            "decide_file",
                            "rules",
                            "mask_words",
                            "mask_exceptions",
                            "scope_variable",
                            "open_boundary",
                            "close_boundary",
                            "skipped",
                            "hook",
                            "new_threads",
                            "caught",
                            "later",
                            "load_plugin",
                            "late_scope",
                            "thread_begins",
                            "carrying",
                            "simple",
                            NULL};
    struct kc_session_options *options = &given->options;
    unsigned long long segment_bytes = 0;
    unsigned long long free_disk_bytes = 0;
    unsigned long long max_trace_bytes = 0;
    unsigned long long wait_max_ns = 0;
    int drop = 0;
    int later = 0;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$sssisiKKKKpOOO!O!O!OOOO!spppOOOO!O", names,
            &options->directory, &options->process_id, &options->schema,
            &options->schema_version, &options->info, &options->compress,
            &segment_bytes, &free_disk_bytes, &max_trace_bytes, &wait_max_ns, &drop,
            &given->decide, &given->decide_file, &PyDict_Type, &given->rules,
            &PyTuple_Type, &given->words, &PyTuple_Type, &given->exceptions,
            &given->variable, &given->open_boundary, &given->close_boundary,
            &PyDict_Type, &given->skipped, &given->hook, &given->new_threads,
            &given->caught, &later, &given->load_plugin, &given->late_scope,
            &given->thread_begins, &PyTuple_Type, &given->carrying, &given->simple))
    {
        return -1;
    }
    options->segment_max_bytes = segment_bytes;
    options->free_disk_min_bytes = free_disk_bytes;
    options->max_trace_bytes = max_trace_bytes;
    options->wait_max_ns = wait_max_ns;
    options->drop = drop != 0;
    options->later = later != 0;
    return 0;
}

/* Whether there can be a session now: -1 with an exception where not. */
static int
session_check(const SessionObject *self)
{
    if (self->session.tracer != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a Session is opened once");
        return -1;
    }
    /* What is static here is guarded by the main interpreter's GIL. */
    if (PyThreadState_GetInterpreter(PyThreadState_Get()) != PyInterpreterState_Main())
    {
        PyErr_SetString(PyExc_RuntimeError, "kolo_c traces the main interpreter only");
        return -1;
    }
    if (active != NULL && !active->session.dead) {
        PyErr_SetString(PyExc_RuntimeError, "a session is active in this process");
        return -1;
    }
    return 0;
}

static int
session_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    SessionObject *self = (SessionObject *)op;
    struct arguments given = {0};
    if (session_read_arguments(args, kwargs, &given) < 0 || session_check(self) < 0) {
        return -1;
    }
    struct kc_module_state *state = PyType_GetModuleState(Py_TYPE(op));
    self->session.new_threads = given.new_threads != 0;
    self->session.thread_type =
        (PyTypeObject *)Py_NewRef((PyObject *)state->thread_type);
    self->session.scope_variable = Py_NewRef(given.variable);
    self->session.end_boundary = kc_boundary_end;
    self->session.find_late = kc_boundary_find_late;
    self->session.leave_greenlet = kc_greenlet_leave;
    self->session.enter_greenlet = kc_greenlet_enter;
    self->tracer.wants_caught = given.caught != 0;
    self->tracer.decide = Py_NewRef(given.decide);
    self->tracer.decide_file = Py_NewRef(given.decide_file);
    self->tracer.open_boundary = Py_NewRef(given.open_boundary);
    self->tracer.close_boundary = Py_NewRef(given.close_boundary);
    self->tracer.load_plugin = Py_NewRef(given.load_plugin);
    self->tracer.late_scope = Py_NewRef(given.late_scope);
    self->tracer.thread_begins = Py_NewRef(given.thread_begins);
    self->tracer.skipped_codes = Py_NewRef(given.skipped);
    if (kc_carry_use(&self->tracer, given.carrying) < 0 ||
        kc_simple_use(&self->tracer, given.simple) < 0 ||
        session_open_mask(self, given.words, given.exceptions) < 0 ||
        kc_session_open(&self->session, &given.options) < 0 ||
        session_open_tracer(self, given.rules, given.hook) < 0)
    {
        return -1;
    }
    active = self;
    kc_verdict_use(&self->tracer);
    kc_session_guard_forks(&self->session);
    kc_session_watch_leaving(&self->session);
    return 0;
}

static void
session_dealloc(PyObject *op)
{
    SessionObject *self = (SessionObject *)op;
    PyTypeObject *type = Py_TYPE(op);
    struct kc_tracer *tracer = &self->tracer;
    if (active == self) {
        active = NULL;
        kc_verdict_use(NULL);
        kc_session_guard_forks(NULL);
        kc_session_unwatch_leaving();
    }
    if ((self->session.dead || !self->session.open) &&
        kc_session_is_busy(&self->session)) {
        return; /* within a handler, which has forked or stopped it: its memory stays */
    }
    if (kc_session_is_stuck(&self->session)) {
        return; /* the writer's thread has it */
    }
    for (uint32_t i = 0; i < tracer->code_count; i++) {
        kc_code_free(tracer->codes[i]);
    }
    PyMem_RawFree(tracer->codes);
    kc_values_free(tracer->values);
    kc_session_destroy(&self->session);
    kc_plugins_free(tracer);
    kc_mask_free(tracer->mask);
    Py_CLEAR(tracer->decide);
    Py_CLEAR(tracer->decide_file);
    Py_CLEAR(tracer->open_boundary);
    Py_CLEAR(tracer->close_boundary);
    Py_CLEAR(tracer->late_scope);
    Py_CLEAR(tracer->thread_begins);
    kc_carry_clear(tracer);
    kc_simple_clear(tracer);
    Py_CLEAR(tracer->files);
    Py_CLEAR(tracer->kept_codes);
    Py_CLEAR(tracer->skipped_codes);
    Py_CLEAR(tracer->default_rules.secret_names);
    Py_CLEAR(self->session.thread_type);
    type->tp_free(op);
    Py_DECREF(type); /* heap types are owned by their instances */
}

/* ---- methods ---- */

static PyObject *
session_keep_code(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    PyObject *code = NULL;
    PyObject *source = NULL;
    if (!PyArg_ParseTuple(args, "O!O", &PyCode_Type, &code, &source)) {
        return NULL;
    }
    PyObject *key = PyLong_FromVoidPtr(code);
    if (key == NULL || PyDict_SetItem(self->tracer.kept_codes, key, source) < 0) {
        Py_XDECREF(key);
        return NULL;
    }
    Py_DECREF(key);
    Py_RETURN_NONE;
}

static PyObject *
session_keep_bounds(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long long max_bytes = 0;
    unsigned long long keep_ns = 0;
    int now = 0;
    if (!PyArg_ParseTuple(args, "KKp", &max_bytes, &keep_ns, &now)) {
        return NULL;
    }
    kc_retention_ask(&self->session.writer.retention, max_bytes, keep_ns, now != 0);
    if (now) {
        kc_session_want_writer(&self->session);
    }
    Py_RETURN_NONE;
}

static PyObject *
session_skip_code(PyObject *op, PyObject *code)
{
    SessionObject *self = (SessionObject *)op;
    if (!PyCode_Check(code)) {
        PyErr_SetString(PyExc_TypeError, "a code object was expected");
        return NULL;
    }
    if (self->session.open && !self->session.dead) {
        kc_verdict_skip(&self->tracer, (PyCodeObject *)code);
    }
    Py_RETURN_NONE;
}

static PyObject *
session_when_forked(PyObject *op, PyObject *tell)
{
    SessionObject *self = (SessionObject *)op;
    Py_XSETREF(self->session.when_forked, Py_NewRef(tell));
    Py_RETURN_NONE;
}

static PyObject *
session_flush(PyObject *op, PyObject *timeout)
{
    SessionObject *self = (SessionObject *)op;
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    uint64_t deadline_ns = kc_clock_system_ns() + (uint64_t)(seconds * 1e9);
    if (self->session.dead || !self->session.open) {
        Py_RETURN_FALSE;
    }
    return PyBool_FromLong(kc_session_flush(&self->session, deadline_ns));
}

static PyObject *
session_close(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    const char *cause = NULL;
    double seconds = 0;
    if (!PyArg_ParseTuple(args, "sd", &cause, &seconds)) {
        return NULL;
    }
    uint64_t deadline_ns = kc_clock_system_ns() + (uint64_t)(seconds * 1e9);
    int result = kc_session_close(&self->session, cause, deadline_ns);
    struct kc_exc error = kc_exc_save(); /* what is let go of below runs Python */
    if (active == self) {
        active = NULL;
        kc_verdict_use(NULL);
        kc_session_guard_forks(NULL);
        kc_session_unwatch_leaving();
    }
    /* They are methods of the object that has us: let go, or neither is ever freed. */
    if (!kc_session_is_busy(&self->session)) {
        Py_CLEAR(self->tracer.decide);
        Py_CLEAR(self->tracer.decide_file);
        Py_CLEAR(self->tracer.open_boundary);
        Py_CLEAR(self->tracer.close_boundary);
        Py_CLEAR(self->tracer.late_scope);
        Py_CLEAR(self->tracer.thread_begins);
        kc_carry_clear(&self->tracer);
        kc_simple_clear(&self->tracer);
        kc_plugins_clear(&self->tracer);
    }
    kc_exc_restore(error);
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Filters have changed: every code object is decided again at its next event. */
static PyObject *
session_forget_verdicts(PyObject *op, PyObject *none)
{
    SessionObject *self = (SessionObject *)op;
    (void)none;
    self->tracer.generation = kc_verdict_next_generation();
    PyDict_Clear(self->tracer.files);
    if (self->registered && self->tracer.hook->forget != NULL) {
        self->tracer.hook->forget(&self->tracer);
    }
    Py_RETURN_NONE;
}

static PyObject *
session_stats(PyObject *op, PyObject *none)
{
    SessionObject *self = (SessionObject *)op;
    (void)none;
    struct kc_session *session = &self->session;
    const struct kc_value_counters *values =
        self->tracer.values != NULL ? kc_values_borrow_counters(self->tracer.values)
                                    : NULL;
    char writer_error[sizeof session->writer.error_text] = "";
    if (!session->dead && (session->writer_ready || kc_session_is_stuck(session))) {
        /* Its thread may be writing it. */
        kc_writer_failure(&session->writer, writer_error, sizeof writer_error);
    }
    else {
        memcpy(writer_error, session->writer.error_text, sizeof writer_error);
    }
    return Py_BuildValue(
        "{sKsKsKsKsKsKsKsKsKsKsIsIsissszsisOsO}", "lost",
        (unsigned long long)session->lost_count, "waited_ns",
        (unsigned long long)session->waited_ns, "errors",
        (unsigned long long)session->error_count, "skipped",
        (unsigned long long)self->tracer.skipped_count, "kept",
        (unsigned long long)self->tracer.kept_count, "stored_bytes",
        (unsigned long long)atomic_load(&session->writer.stored_bytes), "raw_bytes",
        (unsigned long long)atomic_load(&session->writer.raw_bytes), "writer_ns",
        (unsigned long long)atomic_load(&session->writer.cpu_ns), "blind",
        (unsigned long long)session->blind_count, "frames",
        (unsigned long long)(values != NULL ? values->frame_count : 0), "restored",
        (unsigned)atomic_load(&session->writer.restored_count), "bounds_kept",
        (unsigned)atomic_load(&session->writer.retention.kept_count), "mapping_errno",
        session->mapping_reason, "error", session->error_text, "writer_error",
        writer_error, "tool_id", self->tracer.tool_id, "dead",
        session->dead ? Py_True : Py_False, "open", session->open ? Py_True : Py_False);
}

static PyMethodDef session_methods[] = {
    {"attach_thread", (PyCFunction)(void (*)(void))kc_session_attach_thread,
     METH_FASTCALL,
     "attach_thread(frame, event, arg)\n\nFor threading.setprofile(): attach the "
     "thread "
     "that calls it."},
    {"begin_trace", (PyCFunction)(void (*)(void))kc_session_begin,
     METH_VARARGS | METH_KEYWORDS,
     "begin_trace(id, kind, name, parent, attributes, *, of_process=False, "
     "always=False, filter_set=0, held=False)\n\nStart a trace; its number. "
     "`attributes` is JSON text."},
    {"end_trace", (PyCFunction)(void (*)(void))kc_session_end,
     METH_VARARGS | METH_KEYWORDS,
     "end_trace(number, cause, name, attributes, *, stored=True)\n\nEnd it; (stored, "
     "counters as JSON)."},
    {"close_trace", kc_session_close_boundary, METH_O,
     "close_trace(number)\n\nNothing more comes to a held trace; end_trace decides "
     "later "
     "whether it is stored."},
    {"default_trace", kc_session_set_default, METH_O,
     "default_trace(number)\n\nFrom now on what has no trace of its own belongs to "
     "this "
     "one; 0: to the process's again."},
    {"set_trace", kc_session_set, METH_VARARGS,
     "set_trace(number, name, attributes)\n\nFrom now on the trace has this name, and "
     "these attributes (JSON text); False where that cannot be written."},
    {"simple_facts", (PyCFunction)(void (*)(void))kc_session_simple_facts,
     METH_FASTCALL,
     "simple_facts(template, name, known, names, fields)\n\nA trace's name, by the "
     "template or else `name`; the attributes that are `known`,\nand of these `names` "
     "(or all) in `fields`, in one dict, and as JSON text.\nNone where one of them is "
     "not stored as it is."},
    {"hides", kc_session_hides, METH_VARARGS,
     "hides(name, value)\n\nWhether the value, under this name, is a secret."},
    {"hide_cells", kc_session_hide_cells, METH_VARARGS,
     "hide_cells(name, rows, at)\n\nThe same of a column of those rows that are "
     "tuples; "
     "whether all are."},
    {"masked", kc_session_masked, METH_O,
     "masked(text)\n\nThe text without its secrets, as a value is written."},
    {"skip_code", session_skip_code, METH_O,
     "skip_code(code)\n\nIt has come to `skipped`: record no further call of it."},
    {"keep_bounds", session_keep_bounds, METH_VARARGS,
     "keep_bounds(max_bytes, keep_ns, now)\n\nKeep the store within these bounds, from "
     "now on or when the process begins another segment."},
    {"keep_code", session_keep_code, METH_VARARGS,
     "keep_code(code, source)\n\nKeep this code object by identity."},
    {"region_begin", kc_session_region_begin, METH_VARARGS,
     "region_begin(name, values)\n\nIts number; 0 where this thread is outside every "
     "trace."},
    {"region_end", kc_session_region_end, METH_VARARGS,
     "region_end(region, exception or None)\n\nFalse where it is not open here."},
    {"scope_changed", kc_session_scope_changed, METH_NOARGS,
     "scope_changed()\n\nThe scope variable was set in this thread's context."},
    {"note", kc_session_note, METH_VARARGS, "note(text, values)"},
    {"add_plugin", kc_session_add_plugin, METH_O,
     "add_plugin(name)\n\nIts number; it is defined by the time it is used."},
    {"define_plugin", (PyCFunction)(void (*)(void))kc_session_define_plugin,
     METH_VARARGS | METH_KEYWORDS,
     "define_plugin(index, kind, when, start, finish, boundary, limits, "
     "carry=0)\n\nWhat "
     "plugin "
     "number `index` does, if nobody has said so yet. `kind` is (name, label, colour, "
     "summary), `limits` (depth, items, text bytes, record bytes). With `carry` it has "
     "handlers in C: 1 a work item is made, 2 it is run."},
    {"watch", kc_session_watch, METH_VARARGS,
     "watch(index, module, qualname, path)\n\nIt watches code that fits these "
     "patterns; "
     "None: any."},
    {"plugin_stats", kc_session_plugin_stats, METH_NOARGS,
     "[(name, calls, nanoseconds, errors, first error)] of the plugins."},
    {"plugin_begin", kc_session_plugin_begin, METH_VARARGS,
     "plugin_begin(index, fields)\n\nBegin a record of its kind: the node; 0 outside "
     "every trace."},
    {"plugin_end", kc_session_plugin_end, METH_VARARGS,
     "plugin_end(node, fields or None, exception or None)\n\nFalse where it is not "
     "open "
     "here."},
    {"plugin_point", kc_session_plugin_point, METH_VARARGS,
     "plugin_point(index, fields)\n\nBegin and end at once; False outside every "
     "trace."},
    {"log", kc_session_log, METH_VARARGS,
     "log(level, logger, text)\n\nA log line; False outside every trace."},
    {"resolve", kc_session_resolve, METH_O,
     "resolve(exception)\n\nName the exception to the calls that it left."},
    {"when_forked", session_when_forked, METH_O,
     "when_forked(tell)\n\nCall `tell` in the child of a fork, once Python runs "
     "there."},
    {"flush", session_flush, METH_O,
     "flush(timeout)\n\nSave everything recorded so far; False on time-out (seconds)."},
    {"close", session_close, METH_VARARGS,
     "close(cause, timeout)\n\nSave everything, until `timeout` seconds have passed."},
    {"forget_verdicts", session_forget_verdicts, METH_NOARGS,
     "Decide every code object again."},
    {"stats", session_stats, METH_NOARGS, "The session's counters, as a dict."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot session_slots[] = {
    {Py_tp_init, session_init},       /* life */
    {Py_tp_dealloc, session_dealloc}, /* … */
    {Py_tp_new, PyType_GenericNew},   /* zeroed memory */
    {Py_tp_methods, session_methods}, /* use */
    {Py_tp_doc, "A recording session of the C core."},
    {0, NULL},
};

PyType_Spec kc_session_type_spec = {
    .name = "kolo_c._kolo.Session",
    .basicsize = sizeof(SessionObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = session_slots,
};
