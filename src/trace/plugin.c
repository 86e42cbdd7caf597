/* plugin.c -- see plugin.h. Matching is in plugin_match.c. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/plugin.h"

#include <stdio.h>

#include "plain/clock.h"
#include "session/interrupt.h"
#include "trace/capture.h"

#define HANDLER_DEPTH 128 /* calls deep, which a handler may take */

/* ---- calling handlers ---- */

void
kc_plugin_failed(struct kc_plugin *plugin, const char *where)
{
    plugin->error_count++;
    if (kc_interrupt_give_back()) {
        return;
    }
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    if (plugin->error_text[0] == '\0') {
        char words[100];
        PyObject *text = value != NULL ? PyObject_Str(value) : NULL;
        size_t length = text != NULL && PyUnicode_Check(text)
                            ? kc_value_copy_text(text, words, sizeof words - 1)
                            : 0;
        words[length] = '\0';
        (void)snprintf(
            plugin->error_text, sizeof plugin->error_text, "%s: %.40s: %s", where,
            type != NULL && PyType_Check(type) ? ((PyTypeObject *)type)->tp_name
                                               : "an error",
            words);
        Py_XDECREF(text);
    }
    PyErr_Clear();
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

/* The handlers of one event, of which those in Python need all this. */
struct handlers {
    struct kc_thread *thread;
    kc_frame *frame;
    PyThreadState *tstate; /* NULL: none of them has run yet */
    PyObject *object;      /* the frame's; NULL where there is none */
    uint64_t began_ns;
};

/* One in Python runs next. Their time is ours, and is not that of the record. */
static void
handlers_begin(struct handlers *handlers)
{
    if (handlers->tstate != NULL) {
        return;
    }
    handlers->tstate = PyThreadState_Get();
    kc_recursion_lend(handlers->tstate, HANDLER_DEPTH);
    handlers->thread->handling = true;
    handlers->began_ns = kc_clock_system_ns();
    handlers->object = (PyObject *)kc_frame_object(handlers->tstate, handlers->frame);
    PyErr_Clear();
}

static void
handlers_end(struct handlers *handlers)
{
    if (handlers->tstate == NULL) {
        return;
    }
    struct kc_thread *thread = handlers->thread;
    Py_CLEAR(handlers->object);
    uint64_t cost_ns = kc_clock_system_ns() - handlers->began_ns;
    kc_recursion_lend(handlers->tstate, -HANDLER_DEPTH);
    thread->handling = false;
    thread->cold_ns += cost_ns;
    kc_thread_count_own(thread, cost_ns);
}

/* Whether when() lets the call pass. */
static bool
plugin_wants(struct kc_plugin *plugin, PyObject *frame)
{
    if (plugin->when == NULL) {
        return true;
    }
    PyObject *answer = PyObject_CallOneArg(plugin->when, frame);
    int wants = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (wants < 0) {
        kc_plugin_failed(plugin, "when()");
    }
    return wants > 0;
}

/* The same for one whose handlers are in C: what the end wants, or NULL. */
static PyObject *
plugin_carry(struct kc_thread *thread, struct kc_plugin *plugin, kc_frame *frame)
{
    PyObject *started = kc_carry_begin(thread, frame, plugin->carry);
    if (PyErr_Occurred()) {
        kc_plugin_failed(plugin, "start()");
    }
    plugin->call_count++;
    return started;
}

/* The same for one that has neither when() nor start(). */
static PyObject *
plugin_start_plainly(struct kc_plugin *plugin)
{
    PyObject *started = PyDict_New();
    if (started == NULL) {
        kc_plugin_failed(plugin, "start()");
    }
    plugin->call_count++;
    return started;
}

/* What start() gives: a new reference to a dict, or NULL where nothing is recorded. */
static PyObject *
plugin_start(struct handlers *handlers, struct kc_plugin *plugin)
{
    if (plugin->carry != KC_CARRY_NOTHING) {
        return plugin_carry(handlers->thread, plugin, handlers->frame);
    }
    if (plugin->when == NULL && plugin->start == NULL) {
        return plugin_start_plainly(plugin);
    }
    handlers_begin(handlers);
    PyObject *frame = handlers->object;
    if (frame == NULL) {
        return NULL;
    }
    uint64_t began_ns = kc_clock_system_ns();
    PyObject *started = NULL;
    if (plugin_wants(plugin, frame)) {
        started = plugin->start != NULL ? PyObject_CallOneArg(plugin->start, frame)
                                        : PyDict_New();
        if (started != NULL && started != Py_None && !PyDict_Check(started)) {
            PyErr_Format(PyExc_TypeError, "a dict or None was expected, not %.60s",
                         Py_TYPE(started)->tp_name);
            Py_CLEAR(started);
        }
        if (started == NULL) {
            kc_plugin_failed(plugin, "start()");
        }
        plugin->call_count++;
    }
    if (started == Py_None) {
        Py_CLEAR(started);
    }
    plugin->handler_ns += kc_clock_system_ns() - began_ns;
    return started;
}

/* The same for one whose handlers are in C. */
static void
plugin_carry_end(struct handlers *handlers, struct kc_plugin *plugin, PyObject *started)
{
    struct kc_thread *thread = handlers->thread;
    if (started != NULL && kc_carry_end(thread, started)) {
        handlers_begin(handlers);
        kc_carry_last(thread->tracer, started);
    }
    if (PyErr_Occurred()) {
        kc_plugin_failed(plugin, "finish()");
    }
}

static bool
plugin_ignores_all(PyObject *ignored, PyObject *list)
{
    if (!PyList_CheckExact(list)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *item = PyList_GET_ITEM(list, i);
        /* Functions are compared by address: no code of the program runs. */
        if (!PyFunction_Check(item) || PySet_Contains(ignored, item) != 1) {
            return false;
        }
    }
    return true;
}

/* Whether `value` is a list, or a tuple of such, with nothing but ignored functions. */
static bool
plugin_ignores(const struct kc_plugin *plugin, PyObject *value)
{
    if (plugin->ignored == NULL || value == NULL) {
        return false;
    }
    if (!PyTuple_CheckExact(value)) {
        return plugin_ignores_all(plugin->ignored, value);
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); i++) {
        if (!plugin_ignores_all(plugin->ignored, PyTuple_GET_ITEM(value, i))) {
            return false;
        }
    }
    return true;
}

/* What finish() gives: a new reference to a dict, or NULL. */
static PyObject *
plugin_finish(struct handlers *handlers, struct kc_plugin *plugin, PyObject *started,
              const struct kc_plugin_end *end)
{
    if (plugin->carry != KC_CARRY_NOTHING) {
        plugin_carry_end(handlers, plugin, started);
        return NULL;
    }
    if (plugin->finish == NULL || plugin_ignores(plugin, end->value)) {
        return NULL;
    }
    handlers_begin(handlers);
    PyObject *frame = handlers->object;
    if (frame == NULL) {
        return NULL;
    }
    uint64_t began_ns = kc_clock_system_ns();
    PyObject *failed = end->exception != NULL ? end->exception : Py_True;
    PyObject *arguments[] = {frame, end->value != NULL ? end->value : Py_None,
                             end->value != NULL ? Py_None : failed, started};
    PyObject *finished = PyObject_Vectorcall(plugin->finish, arguments, 4, NULL);
    if (finished != NULL && finished != Py_None && !PyDict_Check(finished)) {
        PyErr_Format(PyExc_TypeError, "a dict or None was expected, not %.60s",
                     Py_TYPE(finished)->tp_name);
        Py_CLEAR(finished);
    }
    if (finished == NULL) {
        kc_plugin_failed(plugin, "finish()");
    }
    if (finished == Py_None) {
        Py_CLEAR(finished);
    }
    plugin->handler_ns += kc_clock_system_ns() - began_ns;
    return finished;
}

/* ---- a call begins ---- */

void
kc_plugins_start(struct kc_thread *thread, kc_frame *frame, const struct kc_code *code,
                 struct kc_plugin_calls *calls)
{
    bool outside = thread->stream == NULL;
    bool asked = false;
    calls->count = 0;
    for (uint32_t i = 0; i < code->plugin_count; i++) {
        const struct kc_plugin *plugin = code->plugins[i];
        asked = asked || !outside || plugin->boundary || plugin->kind == NULL;
    }
    if (!asked) {
        return;
    }
    struct kc_exc pending = kc_exc_save();
    struct handlers handlers = {.thread = thread, .frame = frame};
    bool opens = false; /* one that comes later is inside the trace of an earlier one */
    for (uint32_t i = 0; i < code->plugin_count; i++) {
        struct kc_plugin *plugin = code->plugins[i];
        if (outside && !opens && !plugin->boundary && plugin->kind != NULL) {
            continue;
        }
        PyObject *started = plugin_start(&handlers, plugin);
        if (started != NULL) {
            opens = opens || plugin->boundary;
            calls->calls[calls->count++] = (struct kc_plugin_call){plugin, started};
        }
    }
    handlers_end(&handlers);
    kc_exc_restore(pending);
}

const struct kc_plugin_call *
kc_plugins_boundary(const struct kc_plugin_calls *calls)
{
    for (uint32_t i = 0; i < calls->count; i++) {
        if (calls->calls[i].plugin->boundary) {
            return &calls->calls[i];
        }
    }
    return NULL;
}

uint64_t
kc_plugin_kind(struct kc_session *session, struct kc_plugin *plugin)
{
    if (plugin->kind_number == 0 && plugin->kind != NULL) {
        plugin->kind_number =
            kc_definitions_plugin_kind(session->definitions, plugin->kind);
    }
    return plugin->kind_number;
}

/* An entry for a node of `plugin`; NULL without memory. It owns `started`. */
static struct kc_entry *
plugin_enter(struct kc_thread *thread, const struct kc_code *code,
             struct kc_plugin *plugin, PyObject *started)
{
    struct kc_entry *entry = kc_stack_push(&thread->stack);
    if (entry != NULL) {
        kc_entry_init(entry, thread->stream, thread->depth_limit);
        entry->code_object = code->code;
        entry->plugin = plugin;
        entry->started = started;
    }
    return entry;
}

uint8_t
kc_plugins_push(struct kc_thread *thread, const struct kc_code *code,
                struct kc_plugin_calls *calls, uint64_t now_ns)
{
    uint8_t count = 0;
    for (uint32_t i = 0; i < calls->count; i++) {
        struct kc_plugin *plugin = calls->calls[i].plugin;
        PyObject *started = calls->calls[i].started;
        struct kc_entry *entry = plugin_enter(thread, code, plugin, started);
        if (entry == NULL) {
            Py_DECREF(started);
            kc_thread_lose(thread, thread->stream);
            continue;
        }
        count++;
        if (plugin->kind == NULL) {
            entry->unwritten = true; /* it makes no records */
        }
        else if (!kc_capture_plugin(thread, entry, started, now_ns)) {
            entry->unwritten = true;
            kc_thread_lose(thread, entry->stream);
        }
    }
    calls->count = 0;
    return count;
}

void
kc_plugins_drop(struct kc_plugin_calls *calls)
{
    for (uint32_t i = 0; i < calls->count; i++) {
        Py_CLEAR(calls->calls[i].started);
    }
    calls->count = 0;
}

/* ---- it ends ---- */

/* Write the end of the node of the topmost entry but `above`, and let go of it. */
static void
plugin_leave(struct kc_thread *thread, struct kc_entry *entry, PyObject *finished,
             const struct kc_plugin_end *end, uint64_t now_ns)
{
    if (!entry->unwritten &&
        !kc_capture_plugin_end(thread, entry, finished, end->value == NULL,
                               end->exception, now_ns))
    {
        if (!entry->unwritten) { /* its block may have been lost meanwhile */
            kc_stream_drop(&entry->stream->stream, &entry->open);
        }
        kc_thread_lose(thread, entry->stream);
    }
    entry->unwritten = true;
    Py_CLEAR(entry->started);
}

/* Whether the topmost entry is that of `frame`: a handler may have ended the trace that
 * it stands in, and taken it off the stack with that. Or it has forked, and this is the
 * child. */
static bool
plugins_are_there(const struct kc_thread *thread, const kc_frame *frame)
{
    return !thread->session->dead && thread->stack.depth != 0 &&
           kc_entry_frame(&thread->stack.entries[thread->stack.depth - 1]) == frame;
}

bool
kc_plugins_finish(struct kc_thread *thread, kc_frame *frame,
                  const struct kc_plugin_end *end, uint64_t now_ns, PyObject **opened)
{
    uint32_t count = kc_stack_top(&thread->stack)->plugin_count;
    struct kc_exc pending = kc_exc_save();
    struct handlers handlers = {.thread = thread, .frame = frame};
    bool there = true;
    for (uint32_t i = 1; there && i <= count && i < thread->stack.depth; i++) {
        struct kc_entry *entry = kc_stack_top(&thread->stack) - i;
        struct kc_plugin *plugin = entry->plugin;
        PyObject *started = Py_XNewRef(entry->started);
        PyObject *finished = plugin_finish(&handlers, plugin, started, end);
        Py_XDECREF(started);
        there = plugins_are_there(thread, frame);
        if (there) {
            entry = kc_stack_top(&thread->stack) - i;
            plugin_leave(thread, entry, finished, end, now_ns);
        }
        if (plugin->boundary) {
            Py_XSETREF(*opened, Py_XNewRef(finished));
        }
        Py_XDECREF(finished);
    }
    handlers_end(&handlers);
    kc_exc_restore(pending);
    return there;
}

/* ---- suspension ---- */

struct kc_waiting_plugins *
kc_plugins_suspend(struct kc_thread *thread, uint64_t offset, uint64_t now_ns)
{
    uint32_t top = thread->stack.depth - 1;
    uint32_t count = thread->stack.entries[top].plugin_count;
    if (count == 0) {
        return NULL;
    }
    struct kc_waiting_plugins *waiting =
        PyMem_RawCalloc(1, sizeof *waiting + count * sizeof waiting->nodes[0]);
    for (uint32_t i = 1; i <= count && i <= top; i++) {
        struct kc_entry *entry = &thread->stack.entries[top - i];
        uint64_t node = entry->open.node;
        if (!entry->unwritten &&
            !kc_capture_plugin_yield(thread, entry, offset, now_ns)) {
            if (!entry->unwritten) {
                kc_stream_drop(&entry->stream->stream, &entry->open);
            }
            kc_thread_lose(thread, entry->stream);
            entry->unwritten = true;
        }
        if (waiting == NULL) {
            Py_CLEAR(entry->started);
            continue;
        }
        waiting->count = count;
        waiting->nodes[count - i] = (struct kc_waiting_plugin){
            .plugin = entry->plugin,
            .started = entry->started,
            .node = node,
            .began = entry->began,
            .thread_number = entry->foreign ? entry->foreign_thread : thread->number,
            .unwritten = entry->unwritten,
        };
        entry->started = NULL;
        entry->unwritten = true;
    }
    return waiting;
}

uint8_t
kc_plugins_resume(struct kc_thread *thread, const struct kc_code *code,
                  const struct kc_waiting *waiting, uint64_t now_ns)
{
    uint8_t count = 0;
    bool same_trace = waiting->trace_number == thread->stream->trace->number;
    struct kc_waiting_plugins *plugins = waiting->plugins;
    for (uint32_t i = 0; plugins != NULL && i < plugins->count; i++) {
        struct kc_waiting_plugin *node = &plugins->nodes[i];
        struct kc_entry *entry =
            plugin_enter(thread, code, node->plugin, node->started);
        if (entry == NULL) {
            kc_thread_lose(thread, thread->stream);
            continue; /* it stays with `plugins`, which are freed */
        }
        node->started = NULL;
        count++;
        entry->unwritten = true;
        if (!node->unwritten && same_trace) {
            struct kc_waiting of_node = {.thread_number = node->thread_number,
                                         .node = node->node,
                                         .began = node->began};
            entry->unwritten = false;
            if (!kc_capture_resume(thread, entry, &of_node, now_ns)) {
                entry->unwritten = true;
                kc_thread_lose(thread, entry->stream);
            }
        }
    }
    return count;
}
