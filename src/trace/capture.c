/* capture.c -- see capture.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/capture_record.h"
#include "trace/plugin.h"

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

/* What stands under secret names in the first `count` slots is known before the rest of
 * the record is written: an exception, a result, another argument may quote it. */
KC_COLD static void
learn_slots(struct kc_values *values, kc_frame *frame, const struct kc_code *code,
            int count)
{
    for (int i = 0; i < count; i++) {
        const struct kc_slot *slot = &code->slots[i];
        if ((slot->flags & KC_ARGUMENT_SECRET) != 0) {
            kc_value_learn(values, slot_borrow_value(frame, slot));
        }
    }
}

/* The arguments behind `from` simple ones, which are written and count too. */
static void
write_slots(struct kc_cursor *cursor, const struct capture *capture, int from,
            const struct kc_cursor *first)
{
    const struct kc_entry *entry = capture->entry;
    const struct kc_code *code = entry->code;
    struct kc_values *values = capture_begin_values(first, capture);
    if (KC_UNLIKELY(code->secret_slots)) {
        learn_slots(values, entry->frame, code, code->argument_count);
    }
    for (int i = from; i < code->argument_count; i++) {
        write_slot(values, cursor, entry->frame, code, &code->slots[i]);
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

/* The result of a function whose name says that it is a secret, such as get_password:
 * a text is one, or several in a container; an object is not. */
static void
write_secret_result(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    bool is_text = PyUnicode_Check(value) || PyBytes_Check(value);
    if (is_text || PyTuple_CheckExact(value) || PyList_CheckExact(value) ||
        PyDict_CheckExact(value) || PyAnySet_CheckExact(value))
    {
        kc_value_write_secret(values, cursor, value);
    }
    else {
        kc_value_write(values, cursor, value);
    }
}

/* A result, and what stands behind it. */
static void
write_result(struct kc_cursor *cursor, const struct capture *capture)
{
    const struct kc_entry *entry = capture->entry;
    struct kc_values *values = capture_begin_values(cursor, capture);
    if (capture->locals != 0 && KC_UNLIKELY(entry->code->secret_slots)) {
        learn_slots(values, entry->frame, entry->code, entry->code->slot_count);
    }
    if (!capture_has_values(entry)) {
        write_withheld(cursor);
    }
    else if (entry->code->secret) {
        write_masked(values, cursor);
    }
    else if (entry->code->secret_result) {
        write_secret_result(values, cursor, capture->value);
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
    if (KC_UNLIKELY(entry->code->secret_slots)) {
        learn_slots(values, entry->frame, entry->code, entry->code->slot_count);
    }
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
    struct kc_values *values = capture_begin_values(cursor, capture);
    if (KC_UNLIKELY(entry->code->secret_slots)) {
        learn_slots(values, entry->frame, entry->code, entry->code->slot_count);
    }
    write_exception(values, cursor, capture->value);
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
