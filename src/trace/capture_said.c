/* capture_said.c -- see capture.h: what plugins and the program itself say. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/capture_record.h"
#include "trace/plugin.h"

/* What a handler gave without what is its own: a new reference; NULL without memory. */
static PyObject *
plugin_fields(PyObject *fields)
{
    PyObject *key = NULL;
    PyObject *value = NULL;
    PyObject *others = NULL;
    for (Py_ssize_t at = 0; PyDict_Next(fields, &at, &key, &value);) {
        bool own = PyUnicode_Check(key) && PyUnicode_GET_LENGTH(key) != 0 &&
                   PyUnicode_READ_CHAR(key, 0) == '_';
        if (own && others == NULL) {
            others = PyDict_Copy(fields);
        }
        if (own && (others == NULL || PyDict_DelItem(others, key) < 0)) {
            Py_CLEAR(others);
            break;
        }
    }
    bool failed = PyErr_Occurred() != NULL;
    PyErr_Clear();
    return failed ? NULL : others != NULL ? others : Py_NewRef(fields);
}

static struct kc_values *
plugin_begin_values(const struct kc_cursor *cursor, const struct capture *capture)
{
    struct kc_values *values = capture->thread->tracer->values;
    kc_values_begin_record(values, cursor, &capture->entry->plugin->options,
                           capture->stream->trace);
    return values;
}

static void
write_plugin(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_uint(cursor, capture->entry->plugin->kind_number);
    kc_value_write(plugin_begin_values(cursor, capture), cursor, capture->values);
    write_site(cursor, capture->thread, capture->entry);
}

bool
kc_capture_plugin(struct kc_thread *thread, struct kc_entry *entry, PyObject *started,
                  uint64_t now_ns)
{
    PyObject *fields = plugin_fields(started);
    if (fields == NULL || kc_plugin_kind(thread->session, entry->plugin) == 0) {
        Py_XDECREF(fields);
        return false;
    }
    struct capture capture = capture_of(thread, entry, KC_KIND_PLUGIN, 3, now_ns);
    capture.values = fields;
    struct kc_cursor cursor = capture_write(&capture, write_plugin);
    Py_DECREF(fields);
    if (cursor.status != KC_OK) {
        return false;
    }
    entry->open = kc_stream_commit_push(&entry->stream->stream, &cursor, now_ns);
    entry->stream->other_nodes++;
    entry->began = entry->open.sequence;
    return true;
}

static void
write_plugin_end(struct kc_cursor *cursor, const struct capture *capture)
{
    struct kc_values *values = plugin_begin_values(cursor, capture);
    if (capture->values != NULL) {
        kc_value_write(values, cursor, capture->values);
    }
    else {
        kc_wire_map(cursor, 0);
    }
    if (capture->at != 0 && capture->value == NULL) {
        kc_wire_bool(cursor, true);
        return;
    }
    write_exception(values, cursor, capture->value);
}

bool
kc_capture_plugin_end(struct kc_thread *thread, struct kc_entry *entry,
                      PyObject *finished, bool failed, PyObject *exception,
                      uint64_t now_ns)
{
    PyObject *fields = finished != NULL ? plugin_fields(finished) : NULL;
    struct capture capture = capture_of(thread, entry, KC_KIND_PLUGIN_END, 2, now_ns);
    capture.values = fields;
    capture.value = exception;
    capture.at = failed;
    struct kc_cursor cursor = capture_write(&capture, write_plugin_end);
    Py_XDECREF(fields);
    if (cursor.status != KC_OK) {
        return false;
    }
    kc_stream_commit_pop(&entry->stream->stream, &cursor, &entry->open,
                         capture_began(entry), KC_KIND_PLUGIN_END, now_ns);
    return true;
}

static void
write_plugin_yield(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_nil(cursor);
    kc_wire_uint(cursor, capture->offset);
}

bool
kc_capture_plugin_yield(struct kc_thread *thread, struct kc_entry *entry,
                        uint64_t offset, uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_YIELD, 2, now_ns);
    capture.offset = offset;
    struct kc_cursor cursor = capture_write(&capture, write_plugin_yield);
    if (cursor.status != KC_OK) {
        return false;
    }
    kc_stream_commit_pop(&entry->stream->stream, &cursor, &entry->open,
                         capture_began(entry), KC_KIND_YIELD, now_ns);
    return true;
}

static void
write_log(struct kc_cursor *cursor, const struct capture *capture)
{
    struct kc_values *values = capture->thread->tracer->values;
    kc_values_begin_record(values, cursor, NULL, capture->stream->trace);
    kc_wire_uint(cursor, capture->offset);
    kc_value_write(values, cursor, capture->value);
    kc_value_write(values, cursor, capture->values);
    write_site_below(cursor, capture->thread, capture->stream,
                     capture->thread->stack.depth);
}

bool
kc_capture_log(struct kc_thread *thread, struct kc_thread_stream *stream,
               uint64_t level, PyObject *logger, PyObject *text, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_LOG,
                              .fields = 4,
                              .now_ns = now_ns,
                              .offset = level,
                              .value = logger,
                              .values = text};
    struct kc_cursor cursor = capture_write(&capture, write_log);
    if (cursor.status != KC_OK) {
        return false;
    }
    stream->other_nodes++;
    (void)kc_stream_commit_node(&stream->stream, &cursor, now_ns);
    return true;
}

/* REGION and NOTE: a text and what the program gave with it. */
static void
write_note(struct kc_cursor *cursor, const struct capture *capture)
{
    struct kc_values *values = capture_begin_values(cursor, capture);
    kc_value_write(values, cursor, capture->value);
    if (capture->values == NULL) {
        kc_wire_map(cursor, 0);
        return;
    }
    kc_value_write(values, cursor, capture->values);
}

bool
kc_capture_region(struct kc_thread *thread, struct kc_entry *entry, PyObject *name,
                  PyObject *values, uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_REGION, 2, now_ns);
    capture.value = name;
    capture.values = values;
    struct kc_cursor cursor = capture_write(&capture, write_note);
    if (cursor.status != KC_OK) {
        return false;
    }
    entry->open = kc_stream_commit_push(&entry->stream->stream, &cursor, now_ns);
    entry->stream->other_nodes++;
    entry->began = entry->open.sequence;
    return true;
}

static void
write_region_end(struct kc_cursor *cursor, const struct capture *capture)
{
    write_exception(capture_begin_values(cursor, capture), cursor, capture->value);
}

bool
kc_capture_region_end(struct kc_thread *thread, struct kc_entry *entry,
                      PyObject *exception, uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_REGION_END, 1, now_ns);
    capture.value = exception;
    struct kc_cursor cursor = capture_write(&capture, write_region_end);
    if (cursor.status != KC_OK) {
        return false;
    }
    kc_stream_commit_pop(&entry->stream->stream, &cursor, &entry->open, entry->began,
                         KC_KIND_REGION_END, now_ns);
    return true;
}

bool
kc_capture_note(struct kc_thread *thread, struct kc_thread_stream *stream,
                PyObject *text, PyObject *values, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_NOTE,
                              .fields = 2,
                              .now_ns = now_ns,
                              .value = text,
                              .values = values};
    struct kc_cursor cursor = capture_write(&capture, write_note);
    if (cursor.status != KC_OK) {
        return false;
    }
    stream->other_nodes++;
    (void)kc_stream_commit_node(&stream->stream, &cursor, now_ns);
    return true;
}
