/* capture_fast.h -- the records of most calls: small arguments, a small result.
 *
 * Where every value is a small int, a float, None or a bool, and the block has room for
 * the longest record that such values make, a record is written without a check between
 * its fields and without a function call. Everything else is capture.c's, which writes
 * the same bytes: a record that turns out not to be simple has not been published.
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    nothing.
 * Fails:   false: let capture.c do it.
 */

#ifndef KC_CAPTURE_FAST_H
#define KC_CAPTURE_FAST_H

#include "compat.h"

#include "compat_value.h"
#include "trace/tracer.h"

/* Kind and length; dt, code, site; the values: 9 bytes each at most. */
#define KC_FAST_BYTES (2 + 9 * (3 + KC_SIMPLE_ARGUMENTS))

#define KC_FAST_INLINE static inline __attribute__((always_inline))

KC_FAST_INLINE bool
kc_fast_put_value(uint8_t **at, PyObject *value)
{
    if (KC_UNLIKELY(value == NULL)) {
        return false;
    }
    if (PyLong_CheckExact(value) && kc_long_is_compact(value)) {
        kc_put_int64(at, kc_long_compact(value));
    }
    else if (value == Py_None) {
        kc_put_nil(at);
    }
    else if (PyFloat_CheckExact(value)) {
        kc_put_double(at, PyFloat_AS_DOUBLE(value));
    }
    else if (value == Py_True) {
        kc_put_true(at);
    }
    else if (value == Py_False) {
        kc_put_false(at);
    }
    else {
        return false;
    }
    return true;
}

/* The beginning of a record of `count` elements in all, below 16. */
KC_FAST_INLINE uint8_t *
kc_fast_begin(const struct kc_stream *stream, enum kc_kind kind, size_t count,
              uint64_t now_ns)
{
    uint8_t *at = stream->at;
    at[0] = (uint8_t)(0x90 | count);
    at[1] = (uint8_t)kind;
    at += 2;
    kc_put_uint64(&at, kc_clock_after(stream->last_ns, now_ns) - stream->last_ns);
    return at;
}

KC_FAST_INLINE bool
kc_capture_call_fast(struct kc_entry *entry, const struct kc_entry *caller,
                     uint64_t now_ns)
{
    const struct kc_code *code = entry->code;
    struct kc_stream *stream = &entry->stream->stream;
    if (!code->simple || entry->stream->trace->limited ||
        stream->end - stream->at < KC_FAST_BYTES)
    {
        return false;
    }
    int count = code->argument_count;
    uint8_t *at = kc_fast_begin(stream, KC_KIND_CALL, (size_t)count + 4, now_ns);
    kc_put_uint64(&at, code->number);
    if (KC_LIKELY(caller != NULL && caller->stream == entry->stream)) {
        if (KC_UNLIKELY(caller->frame == NULL)) {
            return false; /* a region: the caller stands below it */
        }
        kc_put_uint64(&at, kc_frame_offset(caller->frame));
    }
    else {
        kc_put_nil(&at);
    }
    for (int i = 0; i < count; i++) {
        if (!kc_fast_put_value(&at, kc_frame_borrow_slot(entry->frame, i))) {
            return false;
        }
    }
    stream->block->node_count++;
    kc_stream_publish(stream, at, now_ns);
    entry->open = kc_stream_pushed(stream, stream->next_node++);
    entry->began = entry->open.sequence;
    return true;
}

KC_FAST_INLINE bool
kc_capture_return_fast(const struct kc_entry *entry, PyObject *value, uint64_t now_ns)
{
    struct kc_stream *stream = &entry->stream->stream;
    if (!entry->code->simple_result || entry->stream->trace->limited ||
        stream->end - stream->at < KC_FAST_BYTES ||
        entry->began != stream->block->sequence)
    {
        return false;
    }
    uint8_t *at = kc_fast_begin(stream, KC_KIND_RETURN, 3, now_ns);
    if (!kc_fast_put_value(&at, value)) {
        return false;
    }
    kc_stream_popped(stream, &entry->open);
    kc_stream_publish(stream, at, now_ns);
    return true;
}

#endif
