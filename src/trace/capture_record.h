/* capture_record.h -- how one record gets into its stream; for capture*.c alone.
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    nothing.
 * Fails:   capture_write() by the cursor's status, capture_plain() by false.
 */

#ifndef KC_CAPTURE_RECORD_H
#define KC_CAPTURE_RECORD_H

#include "trace/capture.h"

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
static inline struct kc_values *
capture_begin_values(const struct kc_cursor *cursor, const struct capture *capture)
{
    struct kc_values *values = capture->thread->tracer->values;
    const struct kc_entry *entry = capture->entry;
    const struct kc_code *code = entry != NULL ? entry->code : NULL;
    kc_values_begin_record(values, cursor, code != NULL ? code->options : NULL,
                           capture->stream->trace);
    return values;
}

/* Where the nearest kept caller of the same trace stands, or nil; `depth` entries are
 * below what came from it. Regions have no frame: who called from within one stands
 * below it. */
static inline void
write_site_below(struct kc_cursor *cursor, const struct kc_thread *thread,
                 const struct kc_thread_stream *stream, size_t depth)
{
    const struct kc_entry *caller = thread->stack.entries + depth;
    while (caller != thread->stack.entries) {
        caller--;
        if (caller->stream != stream) {
            break;
        }
        if (caller->frame != NULL) {
            kc_wire_uint(cursor, kc_frame_offset(caller->frame));
            return;
        }
    }
    kc_wire_nil(cursor);
}

static inline void
write_site(struct kc_cursor *cursor, const struct kc_thread *thread,
           const struct kc_entry *entry)
{
    write_site_below(cursor, thread, entry->stream,
                     (size_t)(entry - thread->stack.entries));
}

/* An exception, or nil where there is none or its type is unknown. */
static inline void
write_exception(struct kc_values *values, struct kc_cursor *cursor, PyObject *exception)
{
    if (exception == NULL) {
        kc_wire_nil(cursor);
        return;
    }
    kc_value_write_exception(values, cursor, exception);
}

/* A foreign node must not come to the closes: pretend that this block began it. */
static inline uint64_t
capture_began(const struct kc_entry *entry)
{
    return entry->foreign ? entry->stream->stream.block->sequence : entry->began;
}

/* A record that neither pushes nor pops: publish it as it is. */
static inline bool
capture_plain(const struct capture *capture, write_fields write)
{
    struct kc_cursor cursor = capture_write(capture, write);
    if (cursor.status != KC_OK) {
        return false;
    }
    kc_stream_commit(&capture->stream->stream, &cursor, capture->now_ns);
    return true;
}

#endif
