/* capture.c -- see capture.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/capture.h"

#include "trace/plugin.h"

/* A record about to be written: what its fields are made of. */
struct capture {
    struct kc_thread *thread;
    struct kc_thread_stream *stream;
    const struct kc_entry *entry; /* NULL where no call is concerned */
    enum kc_kind kind;
    size_t fields;
    uint64_t now_ns;
    PyObject *value;  /* result, exception, text; may be NULL */
    PyObject *values; /* dict, may be NULL */
    const struct kc_waiting *waiting;
    const struct kc_code *code;
    uint64_t node;   /* of HANDLED; the level of LIMIT */
    size_t locals;   /* how many are written behind the fields */
    uint64_t offset; /* of YIELD and ENTERED: where the frame stood */
    int at;          /* of CAUGHT: where the handler is; -1: it goes on */
};

#define ALWAYS_INLINE inline __attribute__((always_inline))

typedef void (*write_fields)(struct kc_cursor *cursor, const struct capture *capture);

/* Write the record, in the next block where it does not fit into this one. Inlined, so
 * that `write` is too: one call and return costs about as much as three calls of C. */
static ALWAYS_INLINE struct kc_cursor
capture_write(const struct capture *capture, write_fields write)
{
    struct kc_thread_stream *stream = capture->stream;
    struct kc_cursor cursor;
    for (int attempt = 0; attempt < 2; attempt++) {
        cursor = kc_stream_begin(&stream->stream, capture->now_ns, capture->kind,
                                 capture->fields + capture->locals);
        if (KC_LIKELY(cursor.status == KC_OK)) {
            capture->thread->writing = true;
            write(&cursor, capture);
            capture->thread->writing = false;
        }
        if (KC_LIKELY(cursor.status == KC_OK)) {
            break;
        }
        if (attempt != 0 ||
            !kc_thread_next_block(capture->thread, stream, capture->now_ns)) {
            break;
        }
        if (capture->entry != NULL && capture->entry->unwritten) {
            break; /* the call's block was lost: so is its end */
        }
    }
    return cursor;
}

static ALWAYS_INLINE struct capture
capture_of(struct kc_thread *thread, const struct kc_entry *entry, enum kc_kind kind,
           size_t fields, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = entry->stream,
                              .entry = entry,
                              .kind = kind,
                              .fields = fields,
                              .now_ns = now_ns};
    return capture;
}

/* Budgets are set up when the first value comes that needs one. */
static struct kc_values *
capture_begin_values(const struct kc_cursor *cursor, const struct capture *capture)
{
    struct kc_values *values = capture->thread->tracer->values;
    const struct kc_entry *entry = capture->entry;
    const struct kc_code *code = entry != NULL ? entry->code : NULL;
    kc_values_begin_record(values, cursor, code != NULL ? code->options : NULL);
    return values;
}

/* Where the nearest kept caller of the same trace stands, or nil. Regions have no
 * frame: who called from within one stands below it. */
static void
write_site(struct kc_cursor *cursor, const struct kc_thread *thread,
           const struct kc_entry *entry)
{
    const struct kc_entry *caller = entry;
    while (caller != thread->stack.entries) {
        caller--;
        if (caller->stream != entry->stream) {
            break;
        }
        if (caller->frame != NULL) {
            kc_wire_uint(cursor, kc_frame_offset(caller->frame));
            return;
        }
    }
    kc_wire_nil(cursor);
}

static PyObject *
slot_borrow_value(kc_frame *frame, const struct kc_slot *slot)
{
    if (KC_UNLIKELY((slot->flags & KC_ARGUMENT_OUTER) != 0)) {
        return NULL; /* Python has no way to it */
    }
    PyObject *value = kc_frame_borrow_slot(frame, slot->index);
    if ((slot->flags & KC_ARGUMENT_CELL) != 0 && value != NULL && PyCell_Check(value)) {
        value = PyCell_GET(value);
    }
    return value;
}

/* A value of a function whose every value is masked. */
static void
write_masked(struct kc_values *values, struct kc_cursor *cursor)
{
    kc_wire_tag(cursor, KC_TAG_MASKED, 1);
    kc_wire_nil(cursor);
    kc_values_borrow_counters(values)->masked_count++;
}

static void
write_slot(struct kc_values *values, struct kc_cursor *cursor, kc_frame *frame,
           const struct kc_code *code, const struct kc_slot *slot)
{
    PyObject *value = slot_borrow_value(frame, slot);
    if (KC_UNLIKELY(code->secret)) {
        write_masked(values, cursor);
        return;
    }
    if (KC_LIKELY((slot->flags & (KC_ARGUMENT_SECRET | KC_ARGUMENT_SELF)) == 0)) {
        kc_value_write(values, cursor, value);
    }
    else if ((slot->flags & KC_ARGUMENT_SECRET) != 0) {
        kc_value_write_secret(values, cursor, value);
    }
    else if (value != NULL) {
        kc_value_write_ref(values, cursor, value);
    }
    else {
        kc_value_write(values, cursor, NULL);
    }
}

/* The arguments behind `from` simple ones, which are written and count too. */
static void
write_slots(struct kc_cursor *cursor, const struct capture *capture, int from,
            const struct kc_cursor *first)
{
    const struct kc_entry *entry = capture->entry;
    struct kc_values *values = capture_begin_values(first, capture);
    for (int i = from; i < entry->code->argument_count; i++) {
        write_slot(values, cursor, entry->frame, entry->code, &entry->code->slots[i]);
    }
}

static ALWAYS_INLINE void
write_arguments(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_entry *entry = capture->entry;
    const struct kc_code *code = entry->code;
    const struct kc_cursor first = {.at = cursor->at};
    int count = code->argument_count;
    int i = 0;
    while (i < count && code->slots[i].flags == KC_ARGUMENT_PLAIN &&
           kc_value_write_simple(cursor, kc_frame_borrow_slot(entry->frame, i)))
    {
        i++;
    }
    if (i < count) {
        write_slots(cursor, capture, i, &first);
    }
}

/* All slots that are not arguments, then nothing: their names are in the code row. */
static void
write_locals(struct kc_values *values, struct kc_cursor *cursor, kc_frame *frame,
             const struct kc_code *code)
{
    for (int i = code->argument_count; i < code->slot_count; i++) {
        write_slot(values, cursor, frame, code, &code->slots[i]);
    }
}

static bool
capture_has_values(const struct kc_entry *entry)
{
    return entry->code->values && !entry->stream->trace->limited;
}

/* A value that was not asked for. */
static void
write_withheld(struct kc_cursor *cursor)
{
    kc_wire_tag(cursor, KC_TAG_CUT, 2);
    kc_wire_nil(cursor);
    kc_wire_nil(cursor);
}

/* An exception, or nil where there is none or its type is unknown. */
static void
write_exception(struct kc_values *values, struct kc_cursor *cursor, PyObject *exception)
{
    if (exception == NULL) {
        kc_wire_nil(cursor);
        return;
    }
    kc_value_write_exception(values, cursor, exception);
}

/* A foreign node must not come to the closes: pretend that this block began it. */
static uint64_t
capture_began(const struct kc_entry *entry)
{
    return entry->foreign ? entry->stream->stream.block->sequence : entry->began;
}

/* A function whose values keep hitting the budget gets less of it: half the items and
 * bytes after every 64 cut records in a row, down to an eighth. */
KC_COLD static void
capture_spend_less(struct kc_code *code, const struct kc_value_limits *session)
{
    if (code->options == NULL) {
        code->own_options = (struct kc_value_options){.limits = *session};
        code->options = &code->own_options;
    }
    struct kc_value_limits *limits = &code->own_options.limits;
    if (limits->record_bytes * 8 > session->record_bytes) {
        limits->items = limits->items > 4 ? limits->items / 2 : limits->items;
        limits->text_bytes =
            limits->text_bytes > 64 ? limits->text_bytes / 2 : limits->text_bytes;
        limits->record_bytes /= 2;
    }
    code->truncated_run = 0;
}

static void
capture_watch_budget(struct kc_thread *thread, struct kc_code *code, uint64_t before)
{
    uint64_t after = thread->tracer->counters->truncated_count;
    if (KC_LIKELY(after == before)) {
        code->truncated_run = 0;
    }
    else if (++code->truncated_run >= 64) {
        capture_spend_less(code, &thread->tracer->default_rules.options.limits);
    }
}

static ALWAYS_INLINE void
write_call(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_entry *entry = capture->entry;
    kc_wire_uint(cursor, entry->code->number);
    write_site(cursor, capture->thread, entry);
    if (capture->locals != 0) {
        write_arguments(cursor, capture);
    }
}

bool
kc_capture_call(struct kc_thread *thread, struct kc_entry *entry, uint64_t now_ns)
{
    uint64_t truncated = thread->tracer->counters->truncated_count;
    struct capture capture = capture_of(thread, entry, KC_KIND_CALL, 2, now_ns);
    capture.locals =
        capture_has_values(entry) ? (size_t)entry->code->argument_count : 0;
    struct kc_cursor cursor = capture_write(&capture, write_call);
    if (KC_UNLIKELY(cursor.status != KC_OK)) {
        return false;
    }
    entry->open = kc_stream_commit_push(&entry->stream->stream, &cursor, now_ns);
    entry->began = entry->open.sequence;
    capture_watch_budget(thread, entry->code, truncated);
    return true;
}

static void
write_entered(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_uint(cursor, capture->entry->code->number);
    kc_wire_uint(cursor, capture->offset);
}

bool
kc_capture_entered(struct kc_thread *thread, struct kc_entry *entry, uint64_t offset,
                   uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_ENTERED, 2, now_ns);
    capture.offset = offset;
    struct kc_cursor cursor = capture_write(&capture, write_entered);
    if (cursor.status != KC_OK) {
        return false;
    }
    entry->open = kc_stream_commit_push(&entry->stream->stream, &cursor, now_ns);
    entry->began = entry->open.sequence;
    return true;
}

static void
write_resume(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_waiting *waiting = capture->waiting;
    if (waiting->thread_number == capture->thread->number) {
        kc_wire_nil(cursor);
    }
    else {
        kc_wire_uint(cursor, waiting->thread_number);
    }
    kc_wire_uint(cursor, waiting->node);
    kc_wire_uint(cursor, capture->entry->plugin != NULL
                             ? capture->entry->plugin->kind_number
                             : capture->entry->code->number);
    write_site(cursor, capture->thread, capture->entry);
    if (capture->kind == KC_KIND_THROW) {
        write_exception(capture_begin_values(cursor, capture), cursor, capture->value);
    }
}

/* RESUME and THROW: the node is on the stack again. */
static bool
capture_push_again(const struct capture *capture, struct kc_entry *entry)
{
    struct kc_cursor cursor = capture_write(capture, write_resume);
    if (cursor.status != KC_OK) {
        return false;
    }
    const struct kc_waiting *waiting = capture->waiting;
    entry->open = kc_stream_commit_push_again(&entry->stream->stream, &cursor,
                                              waiting->node, capture->now_ns);
    entry->foreign = waiting->thread_number != capture->thread->number;
    entry->foreign_thread = waiting->thread_number;
    entry->began = waiting->began;
    return true;
}

bool
kc_capture_resume(struct kc_thread *thread, struct kc_entry *entry,
                  const struct kc_waiting *waiting, uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_RESUME, 4, now_ns);
    capture.waiting = waiting;
    return capture_push_again(&capture, entry);
}

bool
kc_capture_throw(struct kc_thread *thread, struct kc_entry *entry,
                 const struct kc_waiting *waiting, PyObject *exception, uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_THROW, 5, now_ns);
    capture.waiting = waiting;
    capture.value = exception;
    return capture_push_again(&capture, entry);
}

/* A result, and what stands behind it. */
static void
write_result(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_entry *entry = capture->entry;
    struct kc_values *values = capture_begin_values(cursor, capture);
    if (!capture_has_values(entry)) {
        write_withheld(cursor);
    }
    else if (entry->code->secret) {
        write_masked(values, cursor);
    }
    else {
        kc_value_write(values, cursor, capture->value);
    }
    if (capture->locals != 0) {
        write_locals(values, cursor, entry->frame, entry->code);
    }
}

static ALWAYS_INLINE void
write_return(struct kc_cursor *cursor, const struct capture *capture)
{
    if (!capture->entry->code->simple_result || !capture_has_values(capture->entry) ||
        !kc_value_write_simple(cursor, capture->value))
    {
        write_result(cursor, capture);
    }
}

static void
write_yield(struct kc_cursor *cursor, const struct capture *capture)
{
    write_result(cursor, capture);
    kc_wire_uint(cursor, capture->offset);
}

static size_t
capture_local_count(const struct kc_entry *entry, enum kc_locals least)
{
    const struct kc_code *code = entry->code;
    if (code->locals < least || !capture_has_values(entry)) {
        return 0;
    }
    return (size_t)(code->slot_count - code->argument_count);
}

bool
kc_capture_return(struct kc_thread *thread, struct kc_entry *entry, PyObject *value,
                  uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_RETURN, 1, now_ns);
    capture.value = value;
    capture.locals = capture_local_count(entry, KC_LOCALS_ALL);
    struct kc_cursor cursor = capture_write(&capture, write_return);
    if (KC_UNLIKELY(cursor.status != KC_OK)) {
        return false;
    }
    kc_stream_commit_pop(&entry->stream->stream, &cursor, &entry->open,
                         capture_began(entry), KC_KIND_RETURN, now_ns);
    return true;
}

bool
kc_capture_yield(struct kc_thread *thread, struct kc_entry *entry, PyObject *value,
                 uint64_t offset, uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_YIELD, 2, now_ns);
    capture.offset = offset;
    bool wraps = (entry->code->code->co_flags & CO_ASYNC_GENERATOR) != 0;
    capture.value = wraps ? kc_async_borrow_yielded(value) : value;
    struct kc_cursor cursor = capture_write(&capture, write_yield);
    if (cursor.status != KC_OK) {
        return false;
    }
    kc_stream_commit_pop(&entry->stream->stream, &cursor, &entry->open,
                         capture_began(entry), KC_KIND_YIELD, now_ns);
    return true;
}

/* self with its fields: what it was like explains the exception. */
static void
write_self(struct kc_values *values, struct kc_cursor *cursor,
           const struct kc_entry *entry)
{
    if (entry->code->secret) {
        write_masked(values, cursor);
        return;
    }
    kc_value_write(values, cursor,
                   slot_borrow_value(entry->frame, &entry->code->slots[0]));
}

static void
write_raise(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_entry *entry = capture->entry;
    struct kc_values *values = capture_begin_values(cursor, capture);
    write_exception(values, cursor, capture->value);
    kc_wire_uint(cursor, kc_frame_offset(entry->frame));
    if (capture->locals == 0) {
        return;
    }
    if (entry->code->self_kind == 1) {
        write_self(values, cursor, entry);
    }
    write_locals(values, cursor, entry->frame, entry->code);
}

bool
kc_capture_raise(struct kc_thread *thread, struct kc_entry *entry, PyObject *exception,
                 uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_RAISE, 2, now_ns);
    capture.value = exception;
    capture.locals = capture_local_count(entry, KC_LOCALS_RAISE);
    if (entry->code->self_kind == 1 && entry->code->locals != KC_LOCALS_NONE &&
        capture_has_values(entry))
    {
        capture.locals++;
    }
    struct kc_cursor cursor = capture_write(&capture, write_raise);
    if (cursor.status != KC_OK) {
        return false;
    }
    kc_stream_commit_pop(&entry->stream->stream, &cursor, &entry->open,
                         capture_began(entry), KC_KIND_RAISE, now_ns);
    return true;
}

/* A record that neither pushes nor pops: publish it as it is. */
static bool
capture_plain(const struct capture *capture, write_fields write)
{
    struct kc_cursor cursor = capture_write(capture, write);
    if (cursor.status != KC_OK) {
        return false;
    }
    kc_stream_commit(&capture->stream->stream, &cursor, capture->now_ns);
    return true;
}

static void
write_handled(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_nil(cursor);
    kc_wire_uint(cursor, capture->node);
    write_exception(capture_begin_values(cursor, capture), cursor, capture->value);
}

bool
kc_capture_handled(struct kc_thread *thread, const struct kc_unknown *unknown,
                   PyObject *exception, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = unknown->stream,
                              .kind = KC_KIND_HANDLED,
                              .fields = 3,
                              .now_ns = now_ns,
                              .value = exception,
                              .node = unknown->node};
    return capture_plain(&capture, write_handled);
}

/* Where `frame` stood when `exception` came to it, which its traceback says. */
static void
write_raised_at(struct kc_cursor *cursor, PyObject *exception, const kc_frame *frame)
{
    PyObject *traceback = ((PyBaseExceptionObject *)exception)->traceback;
    PyTracebackObject *at = (PyTracebackObject *)traceback;
    if (traceback != NULL && PyTraceBack_Check(traceback) && at->tb_lasti >= 0 &&
        kc_frame_of(at->tb_frame) == frame)
    {
        kc_wire_uint(cursor, kc_traceback_offset(at));
        return;
    }
    kc_wire_nil(cursor);
}

static void
write_caught(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_entry *entry = capture->entry;
    if (entry->foreign) {
        kc_wire_uint(cursor, entry->foreign_thread);
    }
    else {
        kc_wire_nil(cursor);
    }
    kc_wire_uint(cursor, entry->open.node);
    write_raised_at(cursor, capture->value, entry->frame);
    if (capture->at >= 0) {
        kc_wire_uint(cursor, (uint64_t)capture->at);
    }
    else {
        kc_wire_nil(cursor);
    }
    write_exception(capture_begin_values(cursor, capture), cursor, capture->value);
}

bool
kc_capture_caught(struct kc_thread *thread, const struct kc_entry *entry,
                  PyObject *exception, int at, uint64_t now_ns)
{
    struct capture capture = capture_of(thread, entry, KC_KIND_CAUGHT, 5, now_ns);
    capture.value = exception;
    capture.at = at;
    return capture_plain(&capture, write_caught);
}

static void
write_task(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_uint(cursor, capture->thread->task);
}

bool
kc_capture_task(struct kc_thread *thread, struct kc_thread_stream *stream,
                uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_TASK,
                              .fields = 1,
                              .now_ns = now_ns};
    if (!capture_plain(&capture, write_task)) {
        return false;
    }
    stream->task = thread->task;
    return true;
}

static void
write_lost(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_uint(cursor, KC_MARK_LOST);
    kc_wire_uint(cursor, capture->stream->lost_pending);
    kc_wire_uint(cursor, capture->stream->stream.depth);
}

bool
kc_capture_lost(struct kc_thread *thread, struct kc_thread_stream *stream,
                uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_MARK,
                              .fields = 3,
                              .now_ns = now_ns};
    if (!capture_plain(&capture, write_lost)) {
        return false;
    }
    stream->lost_told += stream->lost_pending;
    stream->lost_pending = 0;
    return true;
}

static void
write_counted(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_code *code = capture->code;
    kc_wire_uint(cursor, KC_MARK_COUNTED);
    kc_wire_array(cursor, 3);
    kc_wire_uint(cursor, code->number);
    kc_wire_uint(cursor, code->counted_calls);
    kc_wire_uint(cursor, code->counted_ns);
    kc_wire_nil(cursor);
}

bool
kc_capture_counted(struct kc_thread *thread, struct kc_thread_stream *stream,
                   const struct kc_code *code, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_MARK,
                              .fields = 3,
                              .now_ns = now_ns,
                              .code = code};
    return capture_plain(&capture, write_counted);
}

static void
write_limit(struct kc_cursor *cursor, const struct capture *capture)
{
    kc_wire_uint(cursor, KC_MARK_LIMIT);
    kc_wire_uint(cursor, capture->node);
    kc_wire_nil(cursor);
}

bool
kc_capture_limit(struct kc_thread *thread, struct kc_thread_stream *stream,
                 uint32_t level, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_MARK,
                              .fields = 3,
                              .now_ns = now_ns,
                              .node = level};
    return capture_plain(&capture, write_limit);
}

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
    kc_values_begin_record(values, cursor, &capture->entry->plugin->options);
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
    kc_values_begin_record(values, cursor, NULL);
    kc_wire_uint(cursor, capture->offset);
    kc_value_write(values, cursor, capture->value);
    kc_value_write(values, cursor, capture->values);
}

bool
kc_capture_log(struct kc_thread *thread, struct kc_thread_stream *stream,
               uint64_t level, PyObject *logger, PyObject *text, uint64_t now_ns)
{
    struct capture capture = {.thread = thread,
                              .stream = stream,
                              .kind = KC_KIND_LOG,
                              .fields = 3,
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
