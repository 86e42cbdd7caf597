/* wire.h -- msgpack, appended straight into a block; and the numbers of the wire
 * format.
 *
 * The encoding itself is msgpack-c's public pack_template.h with an append that the
 * compiler inlines: a callback per token costs five times as much. Errors stick to the
 * cursor, so that a record is written without a check between its fields.
 *
 * Threads: a cursor belongs to the function that made it.
 * Owns:    nothing; a cursor points into somebody's buffer.
 * Fails:   by cursor->status = KC_FULL, once and for the rest of the record.
 */

#ifndef KC_WIRE_H
#define KC_WIRE_H

#include <limits.h> /* pack_template.h asks for CHAR_MIN */
#include <stdint.h>
#include <string.h>

#include "plain/status.h"

enum kc_kind {
    KC_KIND_CALL = 0,
    KC_KIND_RETURN = 1,
    KC_KIND_RAISE = 2,
    KC_KIND_YIELD = 3,
    KC_KIND_RESUME = 4,
    KC_KIND_THROW = 5,
    KC_KIND_ENTERED = 6,
    KC_KIND_HANDLED = 7,
    KC_KIND_TASK = 8,
    KC_KIND_REGION = 9,
    KC_KIND_REGION_END = 10,
    KC_KIND_NOTE = 11,
    KC_KIND_LOG = 12,
    KC_KIND_PLUGIN = 13,
    KC_KIND_PLUGIN_END = 14,
    KC_KIND_MARK = 15,
    KC_KIND_CAUGHT = 16
};

enum kc_mark {
    KC_MARK_LOST = 1,
    KC_MARK_BLIND = 2,
    KC_MARK_LIMIT = 3,
    KC_MARK_COUNTED = 4,
    KC_MARK_CLOCK = 5
};

enum kc_tag {
    KC_TAG_TUPLE = 1,
    KC_TAG_SET = 2,
    KC_TAG_FROZENSET = 3,
    KC_TAG_CUT_STR = 4,
    KC_TAG_CUT_BYTES = 5,
    KC_TAG_CUT_ITEMS = 6,
    KC_TAG_CUT = 7,
    KC_TAG_BIGINT = 8,
    KC_TAG_COMPLEX = 9,
    KC_TAG_RANGE = 10,
    KC_TAG_DATETIME = 11,
    KC_TAG_DATE = 12,
    KC_TAG_TIME = 13,
    KC_TAG_TIMEDELTA = 14,
    KC_TAG_DECIMAL = 15,
    KC_TAG_UUID = 16,
    KC_TAG_PATH = 17,
    KC_TAG_ENUM = 18,
    KC_TAG_BYTEARRAY = 19,
    KC_TAG_DICT = 20,
    KC_TAG_OBJECT = 21,
    KC_TAG_REF = 22,
    KC_TAG_NAMEDTUPLE = 23,
    KC_TAG_EXCEPTION = 24,
    KC_TAG_FUNCTION = 25,
    KC_TAG_CLASS = 26,
    KC_TAG_MODULE = 27,
    KC_TAG_NDARRAY = 28,
    KC_TAG_CYCLE = 29,
    KC_TAG_MASKED = 30,
    KC_TAG_UNBOUND = 31,
    KC_TAG_SUBCLASS = 32,
    KC_TAG_REPR = 33,
    KC_TAG_VIEW = 34,
    KC_TAG_ERROR = 35
};

enum kc_definition {
    KC_DEF_STRING = 1,
    KC_DEF_CODE = 2,
    KC_DEF_TYPE = 3,
    KC_DEF_FILE = 4,
    KC_DEF_THREAD = 5,
    KC_DEF_TASK = 6,
    KC_DEF_TRACE = 7,
    KC_DEF_TRACE_END = 8,
    KC_DEF_PLUGIN_KIND = 9,
    KC_DEF_TRACE_SET = 10,
    KC_DEF_TRACE_DROP = 11
};

#define KC_WIRE_TAG_EXTENSION 1

struct kc_cursor {
    uint8_t *at;
    uint8_t *end;
    uint8_t *start;
    enum kc_status status;
};

/* Room for `len` bytes, or NULL and a sticky KC_FULL. */
static inline uint8_t *
kc_wire_reserve(struct kc_cursor *cursor, size_t len)
{
    /* Compare against what is left, never `at + len`: len may be huge. */
    if (KC_UNLIKELY(len > (size_t)(cursor->end - cursor->at))) {
        cursor->status = KC_FULL;
        cursor->end = cursor->at; /* nothing shorter may slip in behind it */
        return NULL;
    }
    uint8_t *room = cursor->at;
    cursor->at += len;
    return room;
}

static inline void
kc_wire_append(struct kc_cursor *cursor, const void *bytes, size_t len)
{
    uint8_t *room = kc_wire_reserve(cursor, len);
    if (KC_LIKELY(room != NULL) && len != 0) { /* an empty text may have no bytes */
        memcpy(room, bytes, len);
    }
}

static inline __attribute__((always_inline)) void
kc_put_bytes(uint8_t **at, const void *bytes, size_t len)
{
    memcpy(*at, bytes, len);
    *at += len;
}

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <msgpack/sysdep.h>
#include <msgpack/timestamp.h> /* a type that pack_template.h needs */
#define msgpack_pack_inline_func(name) static inline void kc_pack##name
#define msgpack_pack_inline_func_cint(name) static inline void kc_pack##name
#define msgpack_pack_user struct kc_cursor *
#define msgpack_pack_append_buffer(user, buf, len) kc_wire_append((user), (buf), (len))
#define msgpack_pack_ext kc_pack_ext /* the template calls it by its usual name */
#include <msgpack/pack_template.h>
#undef msgpack_pack_ext
/* Once more without checks, for who has made sure of the room: at most 9 bytes a
 * scalar. kc_put_*() append at *at and move it on. */
#undef msgpack_pack_inline_func
#undef msgpack_pack_inline_func_cint
#undef msgpack_pack_user
#undef msgpack_pack_append_buffer
#define msgpack_pack_inline_func(name)                                                 \
    static inline __attribute__((always_inline)) void kc_put##name
#define msgpack_pack_inline_func_cint(name)                                            \
    static inline __attribute__((always_inline)) void kc_put##name
#define msgpack_pack_user uint8_t **
#define msgpack_pack_append_buffer(user, buf, len) kc_put_bytes((user), (buf), (len))
#define msgpack_pack_ext kc_put_ext
#include <msgpack/pack_template.h>
#undef msgpack_pack_ext
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

static inline void
kc_wire_nil(struct kc_cursor *cursor)
{
    kc_pack_nil(cursor);
}

static inline void
kc_wire_bool(struct kc_cursor *cursor, int value)
{
    value ? kc_pack_true(cursor) : kc_pack_false(cursor);
}

static inline void
kc_wire_uint(struct kc_cursor *cursor, uint64_t value)
{
    kc_pack_uint64(cursor, value);
}

static inline void
kc_wire_int(struct kc_cursor *cursor, int64_t value)
{
    kc_pack_int64(cursor, value);
}

static inline void
kc_wire_double(struct kc_cursor *cursor, double value)
{
    kc_pack_double(cursor, value);
}

static inline void
kc_wire_array(struct kc_cursor *cursor, size_t count)
{
    kc_pack_array(cursor, count);
}

static inline void
kc_wire_map(struct kc_cursor *cursor, size_t count)
{
    kc_pack_map(cursor, count);
}

static inline void
kc_wire_str(struct kc_cursor *cursor, const char *bytes, size_t len)
{
    kc_pack_str(cursor, len);
    kc_pack_str_body(cursor, bytes, len);
}

/* The NUL-terminated `text`, or nil for NULL. */
static inline void
kc_wire_text(struct kc_cursor *cursor, const char *text)
{
    if (text == NULL) {
        kc_wire_nil(cursor);
        return;
    }
    kc_wire_str(cursor, text, strlen(text));
}

static inline void
kc_wire_bin(struct kc_cursor *cursor, const void *bytes, size_t len)
{
    kc_pack_bin(cursor, len);
    kc_pack_bin_body(cursor, bytes, len);
}

/* An array of `count` elements whose first is `kind`, below 128: for all but long
 * arrays two known bytes, written with one check. */
static inline void
kc_wire_open_record(struct kc_cursor *cursor, uint8_t kind, size_t count)
{
    if (KC_LIKELY(count < 16)) {
        uint8_t bytes[2] = {(uint8_t)(0x90 | count), kind};
        kc_wire_append(cursor, bytes, sizeof bytes);
        return;
    }
    kc_wire_array(cursor, count);
    kc_wire_uint(cursor, kind);
}

/* Open a tagged array of `count` elements after the tag. */
static inline void
kc_wire_tag(struct kc_cursor *cursor, enum kc_tag tag, size_t count)
{
    uint8_t mark[3] = {0xd4, KC_WIRE_TAG_EXTENSION, (uint8_t)tag};
    kc_wire_array(cursor, count + 1);
    kc_wire_append(cursor, mark, sizeof mark);
}

/* ---- reading: a validated walk over bytes that may be hostile ---- */

struct kc_walk {
    const uint8_t *at;
    const uint8_t *end;
};

enum kc_token_type {
    KC_TOKEN_NIL,
    KC_TOKEN_BOOL,
    KC_TOKEN_UINT,
    KC_TOKEN_INT, /* negative */
    KC_TOKEN_DOUBLE,
    KC_TOKEN_STR,
    KC_TOKEN_BIN,
    KC_TOKEN_ARRAY,
    KC_TOKEN_MAP,
    KC_TOKEN_EXT
};

struct kc_token {
    enum kc_token_type type;
    uint32_t count; /* elements, pairs, or bytes */
    uint64_t uint;  /* UINT, BOOL; the ext type for EXT */
    int64_t sint;
    double real;
    const uint8_t *bytes; /* STR, BIN, EXT: borrowed from the input */
};

/* The next token; KC_CORRUPT where the input ends inside it or is no msgpack. */
KC_MUST_CHECK enum kc_status kc_walk_next(struct kc_walk *walk, struct kc_token *token);

/* Step over one whole object, whatever it holds, without recursion. */
KC_MUST_CHECK enum kc_status kc_walk_skip(struct kc_walk *walk);

#endif
