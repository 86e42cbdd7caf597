/* session_plugins.c -- the plugins of a session, for Python: what there are, what they
 * watch, and records of theirs that no frame stands for. See session_object.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "plain/clock.h"
#include "session_object.h"
#include "trace/capture.h"
#include "trace/plugin.h"

/* ---- which there are ---- */

PyObject *
kc_session_add_plugin(PyObject *op, PyObject *name)
{
    SessionObject *self = (SessionObject *)op;
    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "a plugin's name is a str");
        return NULL;
    }
    const struct kc_plugin *plugin = kc_plugins_add(&self->tracer, name);
    return plugin != NULL ? PyLong_FromUnsignedLong(plugin->index) : NULL;
}

static struct kc_plugin *
plugins_find(SessionObject *self, unsigned long index)
{
    if (index < self->tracer.plugin_count) {
        return self->tracer.plugins[index];
    }
    PyErr_Format(PyExc_LookupError, "no plugin has number %lu", index);
    return NULL;
}

static PyObject *
plugins_optional(PyObject *value)
{
    return value != Py_None ? Py_NewRef(value) : NULL;
}

PyObject *
kc_session_define_plugin(PyObject *op, PyObject *args, PyObject *kwargs)
{
    SessionObject *self = (SessionObject *)op;
    static char *names[] = {"index",  "kind",  "when",  "start",   "finish", "boundary",
                            "limits", "carry", "meets", "ignored", "simple", NULL};
    unsigned long index = 0;
    PyObject *kind = NULL;
    PyObject *when = NULL;
    PyObject *start = NULL;
    PyObject *finish = NULL;
    PyObject *meets = Py_None;
    PyObject *ignored = Py_None;
    PyObject *simple = Py_None;
    int boundary = 0;
    int carry = KC_CARRY_NOTHING;
    struct kc_value_limits limits;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "kOOOOi(IIII)|iOOO", names, &index, &kind, &when, &start,
            &finish, &boundary, &limits.depth, &limits.items, &limits.text_bytes,
            &limits.record_bytes, &carry, &meets, &ignored, &simple))
    {
        return NULL;
    }
    struct kc_plugin *plugin = plugins_find(self, index);
    if (plugin == NULL) {
        return NULL;
    }
    if (kind != Py_None && (!PyTuple_Check(kind) || PyTuple_GET_SIZE(kind) != 4)) {
        PyErr_SetString(PyExc_TypeError, "a kind has a name, label, colour, summary");
        return NULL;
    }
    if (carry < KC_CARRY_NOTHING || carry > KC_CARRY_RUN) {
        PyErr_SetString(PyExc_ValueError, "a plugin carries nothing (0), 1 or 2");
        return NULL;
    }
    if (ignored != Py_None && !PySet_Check(ignored)) {
        PyErr_SetString(PyExc_TypeError, "what a plugin ignores is a set");
        return NULL;
    }
    if (simple != Py_None &&
        (kind == Py_None || !PyTuple_Check(simple) || PyTuple_GET_SIZE(simple) != 3 ||
         !PyTuple_Check(PyTuple_GET_ITEM(simple, 1))))
    {
        PyErr_SetString(PyExc_TypeError, "simple is (plugin, attributes, holds)");
        return NULL;
    }
    if (plugin->loaded) {
        Py_RETURN_NONE; /* by another thread, while this one imported its module */
    }
    plugin->kind = plugins_optional(kind);
    plugin->when = plugins_optional(when);
    plugin->start = plugins_optional(start);
    plugin->finish = plugins_optional(finish);
    plugin->meets = plugins_optional(meets);
    plugin->ignored = plugins_optional(ignored);
    plugin->simple = plugins_optional(simple);
    plugin->boundary = boundary != 0;
    plugin->apart = boundary > 1;
    plugin->carry = (enum kc_carry)carry;
    plugin->options.limits = limits;
    plugin->loaded = true;
    Py_RETURN_NONE;
}

PyObject *
kc_session_watch(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long index = 0;
    const char *module = NULL;
    const char *qualname = NULL;
    const char *path = NULL;
    if (!PyArg_ParseTuple(args, "kzzz", &index, &module, &qualname, &path)) {
        return NULL;
    }
    struct kc_plugin *plugin = plugins_find(self, index);
    if (plugin == NULL ||
        kc_plugins_watch(&self->tracer, plugin, module, qualname, path) < 0)
    {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Calls, time and errors of those that were called:
 * [(name, calls, ns, errors, first error)]. */
PyObject *
kc_session_plugin_stats(PyObject *op, PyObject *none)
{
    SessionObject *self = (SessionObject *)op;
    (void)none;
    PyObject *result = PyList_New(0);
    for (uint32_t i = 0; result != NULL && i < self->tracer.plugin_count; i++) {
        const struct kc_plugin *plugin = self->tracer.plugins[i];
        if (plugin->call_count == 0 && plugin->error_count == 0) {
            continue;
        }
        PyObject *words = PyUnicode_DecodeUTF8(
            plugin->error_text, (Py_ssize_t)strlen(plugin->error_text), "replace");
        PyObject *row =
            words != NULL
                ? Py_BuildValue("(OKKKN)", plugin->name,
                                (unsigned long long)plugin->call_count,
                                (unsigned long long)plugin->handler_ns,
                                (unsigned long long)plugin->error_count, words)
                : NULL;
        if (row == NULL || PyList_Append(result, row) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(row);
    }
    return result;
}

/* ---- records without a frame ---- */

/* An entry of `plugin` on the running thread, with its record; NULL where nothing is
 * recorded (`thread` is NULL then, too). */
static struct kc_entry *
plugins_emit(struct kc_thread *thread, struct kc_plugin *plugin, PyObject *fields)
{
    struct kc_entry *entry =
        thread != NULL && plugin->kind != NULL ? kc_stack_push(&thread->stack) : NULL;
    if (entry == NULL) {
        return NULL;
    }
    kc_entry_init(entry, thread->stream, thread->depth_limit);
    entry->plugin = plugin;
    uint8_t guard = thread->guard; /* up in a handler, which may have called */
    thread->guard = KC_GUARD_RECORD;
    plugin->call_count++;
    if (!kc_capture_plugin(thread, entry, fields, kc_clock_ns())) {
        entry->unwritten = true;
        kc_thread_lose(thread, entry->stream);
    }
    thread->guard = guard;
    return entry;
}

/* End the node of `entry`, on whose top nothing stands. */
static void
plugins_emit_end(struct kc_thread *thread, struct kc_entry *entry, PyObject *fields,
                 PyObject *exception)
{
    uint8_t guard = thread->guard;
    thread->guard = KC_GUARD_RECORD;
    if (!entry->unwritten &&
        !kc_capture_plugin_end(thread, entry, fields, exception != NULL, exception,
                               kc_clock_ns()))
    {
        if (!entry->unwritten) { /* its block may have been lost meanwhile */
            kc_stream_drop(&entry->stream->stream, &entry->open);
        }
        kc_thread_lose(thread, entry->stream);
    }
    thread->depth_limit = entry->depth_limit;
    thread->stack.depth--;
    thread->guard = guard;
}

PyObject *
kc_session_plugin_begin(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long index = 0;
    PyObject *fields = NULL;
    if (!PyArg_ParseTuple(args, "kO!", &index, &PyDict_Type, &fields)) {
        return NULL;
    }
    struct kc_plugin *plugin = plugins_find(self, index);
    if (plugin == NULL) {
        return NULL;
    }
    struct kc_thread *thread = kc_session_own_thread(self);
    const struct kc_entry *entry = plugins_emit(thread, plugin, fields);
    if (entry == NULL) {
        return PyLong_FromLong(0);
    }
    if (entry->unwritten) {
        thread->stack.depth--;
        return PyLong_FromLong(0);
    }
    return PyLong_FromUnsignedLongLong(entry->open.node);
}

static struct kc_entry *
plugins_emitted(const struct kc_thread *thread, uint64_t node)
{
    for (uint32_t i = thread->stack.depth; i-- > 0;) {
        struct kc_entry *entry = &thread->stack.entries[i];
        if (entry->plugin != NULL && entry->code_object == NULL &&
            entry->open.node == node && entry->stream == thread->stream &&
            !entry->unwritten)
        {
            return entry;
        }
    }
    return NULL;
}

PyObject *
kc_session_plugin_end(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long long node = 0;
    PyObject *fields = NULL;
    PyObject *exception = NULL;
    if (!PyArg_ParseTuple(args, "KOO", &node, &fields, &exception)) {
        return NULL;
    }
    if (fields != Py_None && !PyDict_Check(fields)) {
        PyErr_SetString(PyExc_TypeError, "fields are a dict or None");
        return NULL;
    }
    struct kc_thread *thread = kc_session_own_thread(self);
    struct kc_entry *entry = thread != NULL ? plugins_emitted(thread, node) : NULL;
    if (entry == NULL) {
        Py_RETURN_FALSE;
    }
    thread->guard = KC_GUARD_RECORD;
    kc_tracer_cut(thread, (uint32_t)(entry - thread->stack.entries) + 1);
    thread->guard = KC_GUARD_FREE;
    plugins_emit_end(thread, entry, fields != Py_None ? fields : NULL,
                     exception != Py_None ? exception : NULL);
    Py_RETURN_TRUE;
}

PyObject *
kc_session_plugin_point(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long index = 0;
    PyObject *fields = NULL;
    if (!PyArg_ParseTuple(args, "kO!", &index, &PyDict_Type, &fields)) {
        return NULL;
    }
    struct kc_plugin *plugin = plugins_find(self, index);
    if (plugin == NULL) {
        return NULL;
    }
    struct kc_thread *thread = kc_session_telling_thread(self);
    struct kc_entry *entry = plugins_emit(thread, plugin, fields);
    if (entry == NULL) {
        Py_RETURN_FALSE;
    }
    bool written = !entry->unwritten;
    plugins_emit_end(thread, entry, NULL, NULL);
    return PyBool_FromLong(written);
}

PyObject *
kc_session_log(PyObject *op, PyObject *args)
{
    SessionObject *self = (SessionObject *)op;
    unsigned long level = 0;
    PyObject *logger = NULL;
    PyObject *text = NULL;
    if (!PyArg_ParseTuple(args, "kUU", &level, &logger, &text)) {
        return NULL;
    }
    struct kc_thread *thread = kc_session_telling_thread(self);
    if (thread == NULL) {
        Py_RETURN_FALSE;
    }
    uint8_t guard = thread->guard;
    thread->guard = KC_GUARD_RECORD;
    bool written =
        kc_capture_log(thread, thread->stream, level, logger, text, kc_clock_ns());
    if (!written) {
        kc_thread_lose(thread, thread->stream);
    }
    thread->guard = guard;
    return PyBool_FromLong(written);
}

/* ---- what handlers ask ---- */

/* A local of a frame, without frame.f_locals: that one keeps a dict of all of them with
 * the frame until 3.12. */
PyObject *
kc_frame_local(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if ((count != 2 && count != 3) || !PyFrame_Check(args[0]) ||
        !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "frame_local(frame, name, default=None)");
        return NULL;
    }
    kc_frame *frame = kc_frame_of((PyFrameObject *)args[0]);
    PyCodeObject *code = kc_frame_borrow_code(frame);
    for (int i = 0; i < kc_code_slot_count(code); i++) {
        PyObject *name = kc_code_borrow_slot_name(code, i);
        if (name != args[1] && PyUnicode_Compare(name, args[1]) != 0) {
            continue;
        }
        PyObject *value = kc_frame_borrow_slot(frame, i);
        if (value == NULL) {
            value = kc_frame_borrow_closure(frame, code, i);
        }
        if (value != NULL && PyCell_Check(value) && kc_code_slot_is_cell(code, i)) {
            value = PyCell_GET(value);
        }
        if (value != NULL) { /* on 3.10 the name may stand a second time, as a cell */
            return Py_NewRef(value);
        }
    }
    PyErr_Clear();
    return Py_NewRef(count == 3 ? args[2] : Py_None);
}
