/* value.h -- a Python object becomes msgpack, within a budget, without user code.
 *
 * Exact builtin types are written natively; containers to a budget of depth, items and
 * bytes; common library types from their fields through C slots and field tables;
 * anything else as type, address and the plain fields of its instance, read without
 * materialising its dict (docs/reference/wire-format.md, "Values"). No `__repr__`,
 * property, `__class__`, descriptor or iteration protocol of the program runs, and no
 * Python frame at all, unless `repr = "user"` asked for it.
 *
 * The budget of bytes is kept strictly: room for a CUT is set aside for each element
 * before a container's count is written. A record ends within `record_bytes`, and
 * KC_VALUE_CUT_BYTES for each value written after they were used up; 16 bytes come to
 * that at most where stars are longer than the short passwords they stand for.
 *
 * Threads: GIL or lock. The state in struct kc_values is shared by all threads, which
 *          is safe because nothing here lets go of the GIL; around a user's `__repr__`,
 *          which may, the record's part of it is put aside.
 * Owns:    its tables, all bounded. No object is kept alive: secrets are remembered by
 *          hash, types known by address and version.
 * Fails:   by the cursor's status, KC_FULL: the record does not fit, or a type in it
 * could not be defined. Never by a Python exception: none is set on return, and a
 *          pending one must have been saved by the caller.
 */

#ifndef KC_VALUE_H
#define KC_VALUE_H

#include <Python.h>

#include "compat_value.h"
#include "plain/mask.h"
#include "plain/wire.h"

struct kc_definitions; /* session/definitions.h */
struct kc_trace;       /* session/session.h */

/* The longest CUT without a length, and the longest scalar. */
#define KC_VALUE_CUT_BYTES 10u

/* Limits above these are taken as these. */
#define KC_VALUE_DEPTH_MAX 32u
#define KC_VALUE_TEXT_MAX 16384u
#define KC_VALUE_RECORD_MAX 24576u

struct kc_value_limits {
    uint32_t depth;        /* 4 */
    uint32_t items;        /* 32 a container */
    uint32_t text_bytes;   /* 1024 a string or bytes */
    uint32_t record_bytes; /* 8192 a record */
};

struct kc_value_counters {
    uint64_t masked_count;
    uint64_t truncated_count;
    uint64_t error_count; /* a __repr__ of the program raised: no error of ours */
    uint64_t frame_count; /* debug builds: Python frames run while encoding: 0 */
};

struct kc_values; /* tables and scratch space; one a session */

/* NULL with an exception set. Borrows mask and definitions, which must outlive it. */
struct kc_values *kc_values_new(const struct kc_value_limits *limits,
                                const struct kc_mask *mask,
                                struct kc_definitions *definitions);
void kc_values_free(struct kc_values *values);

/* What a record that did not fit would have counted is taken back. */
struct kc_value_counters *kc_values_borrow_counters(struct kc_values *values);

/* How one function's values are written; from its rules. */
struct kc_value_options {
    struct kc_value_limits limits;
    int user_repr;   /* call __repr__ of unknown types, guarded */
    int self_fields; /* write the fields of self and cls too */
};

/* A record of `trace` begins at cursor->at: its budget of bytes counts from here.
 * `options` may be NULL for the session's; they are borrowed until the next record
 * begins. */
void kc_values_begin_record(struct kc_values *values, const struct kc_cursor *cursor,
                            const struct kc_value_options *options,
                            struct kc_trace *trace);

/* What was counted since a record of another trace began goes to the trace of the last
 * one. */
void kc_values_settle(struct kc_values *values);

/* kc_value_write() past its fast path. */
void kc_value_write_any(struct kc_values *values, struct kc_cursor *cursor,
                        PyObject *value);

/* Write `value` if it is a small int or None, which need no budget: true if it was. */
static inline bool
kc_value_write_simple(struct kc_cursor *cursor, PyObject *value)
{
    if (KC_LIKELY(value != NULL)) {
        if (PyLong_CheckExact(value) && kc_long_is_compact(value)) {
            kc_wire_int(cursor, kc_long_compact(value));
            return true;
        }
        if (value == Py_None) {
            kc_wire_nil(cursor);
            return true;
        }
    }
    return false;
}

/* Write `value` (borrowed; NULL is UNBOUND), behind kc_values_begin_record(). */
static inline void
kc_value_write(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    if (!kc_value_write_simple(cursor, value)) {
        kc_value_write_any(values, cursor, value);
    }
}

/* Write `value` as type and address only (self, cls), or with its fields where the
 * options say so. A class is written as CLASS; None, bools, numbers, strings and bytes
 * as they are. */
void kc_value_write_ref(struct kc_values *values, struct kc_cursor *cursor,
                        PyObject *value);

/* Write `value`, which stands under a secret name: MASKED, and if it is a string or
 * bytes of 6 or more characters (or a list, tuple, set or dict of such) it is masked
 * from now on wherever it is met. None, bools, numbers and empty strings say nothing
 * and are written as they are. */
void kc_value_write_secret(struct kc_values *values, struct kc_cursor *cursor,
                           PyObject *value);

/* What kc_value_write_secret() of `value` (borrowed; NULL is UNBOUND) would remember:
 * for what is written before it and may quote it. */
void kc_value_learn(struct kc_values *values, PyObject *value);

/* Whether `value`, under `name`, is a secret (and, if it is a string, is one from now
 * on): what is written elsewhere than in a record is to be masked then. */
bool kc_values_hide(struct kc_values *values, PyObject *name, PyObject *value);

/* Str `text` without its secrets, for what is written elsewhere than in a record; NULL
 * with an exception set. */
PyObject *kc_values_masked(struct kc_values *values, PyObject *text);
/* As kc_values_hide(), for who only asks: nothing is remembered or counted. */
bool kc_values_would_hide(struct kc_values *values, PyObject *name, PyObject *value);

/* Whether there is a secret in a text; nothing is remembered or counted here either. */
bool kc_values_has_secret(const struct kc_values *values, const char *utf8, size_t len);

/* Write `exc` as EXCEPTION. */
void kc_value_write_exception(struct kc_values *values, struct kc_cursor *cursor,
                              PyObject *exc);

/* Write str `text` as a msgpack str without caching UTF-8 in it (lone surrogates as
 * three bytes each), cut at `most` bytes with no mark. For names and paths. */
void kc_value_write_name(struct kc_cursor *cursor, PyObject *text, size_t most);

/* The same into `buffer`, not as msgpack: the bytes written, at most `size`. */
size_t kc_value_copy_text(PyObject *text, char *buffer, size_t size);

/* The entry `name` of a dict, borrowed; NULL for none. No key but exact strings is
 * compared: others may have an __eq__() of their own. */
PyObject *kc_value_borrow_entry(PyObject *dict, const char *name);

#endif
