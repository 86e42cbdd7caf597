/* definitions_traces.c -- see definitions.h: threads, tasks and traces. */

#include "compat.h"

#include "session/definitions.h"
#include "session/definitions_write.h"

#define ATTRIBUTES_MAX_BYTES 16384u /* half a record; Python sees to it (within.py) */

struct thread_facts {
    uint32_t number;
    PyObject *name;
    uint64_t ident;
    uint64_t native_id;
};

static void
write_thread(struct kc_cursor *cursor, const void *facts)
{
    const struct thread_facts *thread = facts;
    kc_wire_uint(cursor, thread->number);
    kc_definitions_write_name(cursor, thread->name, KC_NAME_MAX_BYTES);
    kc_wire_uint(cursor, thread->ident);
    kc_wire_uint(cursor, thread->native_id);
}

uint64_t
kc_definitions_thread(struct kc_definitions *definitions, uint32_t thread_number,
                      PyObject *name, uint64_t ident, uint64_t native_id)
{
    struct thread_facts facts = {thread_number, name, ident, native_id};
    return kc_definitions_write(definitions, KC_DEF_THREAD, 4, write_thread, &facts);
}

struct task_facts {
    PyObject *name;
    PyObject *qualname;
};

static void
write_task(struct kc_cursor *cursor, const void *facts)
{
    const struct task_facts *task = facts;
    kc_definitions_write_name(cursor, task->name, KC_NAME_MAX_BYTES);
    kc_definitions_write_name(cursor, task->qualname, KC_NAME_MAX_BYTES);
}

uint64_t
kc_definitions_task(struct kc_definitions *definitions, PyObject *name,
                    PyObject *qualname)
{
    struct task_facts facts = {name, qualname};
    return kc_definitions_write(definitions, KC_DEF_TASK, 2, write_task, &facts);
}

static void
write_plugin_kind(struct kc_cursor *cursor, const void *facts)
{
    PyObject *kind = *(PyObject *const *)facts;
    for (Py_ssize_t i = 0; i < 4; i++) {
        kc_definitions_write_name(cursor, PyTuple_GET_ITEM(kind, i), KC_NAME_MAX_BYTES);
    }
}

uint64_t
kc_definitions_plugin_kind(struct kc_definitions *definitions, PyObject *kind)
{
    return kc_definitions_write(definitions, KC_DEF_PLUGIN_KIND, 4, write_plugin_kind,
                                &kind);
}

static void
write_trace(struct kc_cursor *cursor, const void *facts)
{
    const struct kc_trace_facts *trace = facts;
    kc_wire_uint(cursor, trace->number);
    kc_wire_text(cursor, trace->id);
    kc_wire_text(cursor, trace->kind);
    kc_definitions_write_name(cursor, trace->name, KC_NAME_MAX_BYTES);
    kc_definitions_write_name(cursor, trace->parent, KC_NAME_MAX_BYTES);
    kc_wire_uint(cursor, trace->started_ns);
    kc_wire_uint(cursor, trace->started_utc_ns);
    kc_definitions_write_name(cursor, trace->attributes, ATTRIBUTES_MAX_BYTES);
}

uint64_t
kc_definitions_trace(struct kc_definitions *definitions,
                     const struct kc_trace_facts *facts)
{
    return kc_definitions_write(definitions, KC_DEF_TRACE, 8, write_trace, facts);
}

bool
kc_definitions_trace_into(struct kc_stream *stream, const struct kc_trace_facts *facts)
{
    struct kc_cursor cursor = kc_stream_begin_plain(stream);
    if (cursor.status == KC_OK) {
        kc_wire_array(&cursor, 10);
        kc_wire_uint(&cursor, KC_DEF_TRACE);
        kc_wire_uint(&cursor, 0);
        write_trace(&cursor, facts);
    }
    if (cursor.status == KC_OK) {
        kc_stream_commit(stream, &cursor, stream->last_ns);
    }
    return cursor.status == KC_OK;
}

struct trace_drop_facts {
    uint32_t number;
    uint64_t segment;
};

static void
write_trace_drop(struct kc_cursor *cursor, const void *facts)
{
    const struct trace_drop_facts *drop = facts;
    kc_wire_uint(cursor, drop->number);
    kc_wire_uint(cursor, drop->segment);
}

uint64_t
kc_definitions_trace_drop(struct kc_definitions *definitions, uint32_t number,
                          uint64_t segment)
{
    struct trace_drop_facts facts = {number, segment};
    return kc_definitions_write(definitions, KC_DEF_TRACE_DROP, 2, write_trace_drop,
                                &facts);
}

static void
write_trace_set(struct kc_cursor *cursor, const void *facts)
{
    const struct kc_trace_facts *trace = facts;
    kc_wire_uint(cursor, trace->number);
    kc_definitions_write_name(cursor, trace->name, KC_NAME_MAX_BYTES);
    kc_definitions_write_name(cursor, trace->attributes, ATTRIBUTES_MAX_BYTES);
}

uint64_t
kc_definitions_trace_set(struct kc_definitions *definitions,
                         const struct kc_trace_facts *facts)
{
    return kc_definitions_write(definitions, KC_DEF_TRACE_SET, 3, write_trace_set,
                                facts);
}

struct trace_end_facts {
    const struct kc_trace_facts *trace;
    uint64_t ended_ns;
    const char *cause;
    const char *counters;
};

static void
write_trace_end(struct kc_cursor *cursor, const void *facts)
{
    const struct trace_end_facts *end = facts;
    kc_wire_uint(cursor, end->trace->number);
    kc_wire_uint(cursor, end->ended_ns);
    kc_wire_text(cursor, end->cause);
    kc_wire_text(cursor, end->counters);
    kc_definitions_write_name(cursor, end->trace->name, KC_NAME_MAX_BYTES);
    kc_definitions_write_name(cursor, end->trace->attributes, ATTRIBUTES_MAX_BYTES);
}

uint64_t
kc_definitions_trace_end(struct kc_definitions *definitions,
                         const struct kc_trace_facts *facts, uint64_t ended_ns,
                         const char *cause, const char *counters)
{
    struct trace_end_facts end = {facts, ended_ns, cause, counters};
    return kc_definitions_write(definitions, KC_DEF_TRACE_END, 6, write_trace_end,
                                &end);
}
