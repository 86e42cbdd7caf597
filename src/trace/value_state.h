/* value_state.h -- what the files of the value encoder share; nobody else includes it.
 *
 * value.c        life cycle, dispatch, containers
 * value_text.c   strings and bytes: transcoding, cutting, masking by content
 * value_secret.c secret names, secrets met before
 * value_number.c ints of any size, Decimal
 * value_shape.c  which kind of value a type's instances are, once per type
 * value_types.c  library types, and which file writes a kind
 * value_path.c   pathlib's paths
 * value_name.c   functions and modules
 * value_frames.c debug builds: frames that run meanwhile
 * value_numpy.c  NumPy's arrays and scalars
 * value_object.c instances with their fields
 *
 * Threads: GIL or lock, as value.h.
 * Owns:    the tables in struct kc_values; a shape while it is held.
 * Fails:   as value.h.
 */

#ifndef KC_VALUE_STATE_H
#define KC_VALUE_STATE_H

#include <Python.h>
#include <stdbool.h>

#include "plain/known.h"
#include "trace/instance.h"
#include "trace/value.h"

/* A container that is being written; lives on the C stack. */
struct value_frame {
    PyObject *object; /* borrowed */
    struct value_frame *above;
};

/* All that belongs to the record being written: put aside around a user's __repr__. */
struct value_record {
    const uint8_t *start;
    size_t limit_bytes;
    size_t reserved_bytes; /* for elements whose container's count is written */
    uint32_t depth;
    uint32_t depth_limit;
    uint32_t item_limit;
    uint32_t text_limit;
    int user_repr;
    int self_fields;
    struct value_frame *top;
    struct kc_value_counters before;
};

/* What the instances of a type are. */
enum value_kind {
    VALUE_OPAQUE, /* nothing of it can be read: REF */
    VALUE_OBJECT,
    VALUE_REF_ONLY, /* fields there are, but of the interpreter, not the program */
    VALUE_INT,
    VALUE_STR,
    VALUE_FLOAT,
    VALUE_BYTES,
    VALUE_BYTEARRAY,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_SET,
    VALUE_FROZENSET,
    VALUE_COMPLEX,
    VALUE_RANGE,
    VALUE_NAMEDTUPLE,
    VALUE_STRUCTSEQ,
    VALUE_DATETIME,
    VALUE_DATE,
    VALUE_TIME,
    VALUE_TIMEDELTA,
    VALUE_DECIMAL,
    VALUE_UUID,
    VALUE_PATH,
    VALUE_ENUM,
    VALUE_EXCEPTION,
    VALUE_FUNCTION,
    VALUE_CFUNCTION,
    VALUE_METHOD,
    VALUE_DESCRIPTOR, /* of a C method: list.append */
    VALUE_CLASS,
    VALUE_MODULE,
    VALUE_VIEW,
    VALUE_BUFFER, /* array.array, mmap: length through the C buffer slot */
    VALUE_NDARRAY,
    VALUE_NUMPY_SCALAR
};

/* One per type, and per version of it. Whoever got it holds a reference: the table may
 * drop it while nested values are written. */
struct value_shape {
    uint32_t references;
    uint8_t kind;              /* enum value_kind */
    bool exact;                /* the type itself, no subclass: no SUBCLASS around it */
    uint16_t detail;           /* of the kind: see value_shape.c */
    PyObject *names;           /* NAMEDTUPLE: its `_fields`, a tuple of strings */
    const char *const *chosen; /* the fields that are written alone; NULL: all are */
    size_t field_most; /* so many are written: of chosen ones all, or no limit */
    struct kc_slots slots;
};

struct value_shape_entry {
    PyTypeObject *type; /* by address only */
    unsigned version;
    struct value_shape *shape;
};

#define VALUE_SHAPE_ENTRIES 512u
#define VALUE_NAME_SETS 512u
#define VALUE_NAME_WAYS 4u
#define VALUE_SECRET_SETS 4096u
#define VALUE_SECRET_WAYS 4u

struct value_name_entry {
    Py_hash_t hash;
    uint32_t len;
    uint8_t state; /* 0 empty, 1 plain, 2 secret */
};

struct value_secret_entry {
    Py_hash_t hash;
    Py_ssize_t len; /* 0: empty */
};

struct kc_values {
    const struct kc_mask *mask;
    struct kc_definitions *definitions;
    struct kc_value_options defaults;
    struct kc_value_counters counters;
    struct kc_value_counters settled; /* what of them the traces have */
    struct kc_trace *trace;           /* of the last record; or NULL */
    struct value_record record;
    uint64_t secret_lengths[4]; /* a bit for each length (modulo 256) of a secret */
    char *scratch;              /* one text, transcoded */
    size_t scratch_bytes;
    struct value_shape_entry shapes[VALUE_SHAPE_ENTRIES];
    struct value_name_entry names[VALUE_NAME_SETS][VALUE_NAME_WAYS];
    uint32_t name_turn;
    struct value_secret_entry secrets[VALUE_SECRET_SETS][VALUE_SECRET_WAYS];
    struct kc_known known; /* the newest of them, for longer texts */
};

/* ---- budget (value.c) ---- */

/* Bytes that may still be written here, beside what is set aside for others. */
static inline size_t
kc_value_room(const struct kc_values *values, const struct kc_cursor *cursor)
{
    const struct value_record *record = &values->record;
    size_t used = (size_t)(cursor->at - record->start) + record->reserved_bytes;
    return used < record->limit_bytes ? record->limit_bytes - used : 0;
}

/* CUT: `object` was not written; `length` of the whole, -1 where there is none. */
void kc_value_cut(struct kc_values *values, struct kc_cursor *cursor, PyObject *object,
                  Py_ssize_t length);

/* Elements that were promised but have gone away (a user's __repr__ may do that). */
void kc_value_fill(struct kc_values *values, struct kc_cursor *cursor, size_t count);

/* Write the number of `type`, or make the record lost. */
void kc_value_type(struct kc_values *values, struct kc_cursor *cursor,
                   PyTypeObject *type);
void kc_value_address(struct kc_cursor *cursor, PyObject *object);

/* How much of a container is written. */
struct value_plan {
    size_t total; /* items in it */
    size_t count; /* items that will be written: kc_value_enter() decides */
    size_t width; /* elements an item */
    size_t head_bytes;
};

#define VALUE_HEAD_BYTES 18u /* array, ext, tag, length */
#define VALUE_TYPED_HEAD_BYTES                                                         \
    40u /* array, ext, tag, length, type, address, length                              \
         */

/* Enter `object` as a container and set room for its items aside. False where CYCLE or
 * CUT was written instead. */
bool kc_value_enter(struct kc_values *values, struct kc_cursor *cursor,
                    struct value_frame *frame, struct value_plan *plan,
                    PyObject *object);

/* Whether `object` is in progress: then CYCLE was written. */
bool kc_value_cycle(const struct kc_values *values, struct kc_cursor *cursor,
                    const PyObject *object);
void kc_value_push(struct kc_values *values, struct value_frame *frame,
                   PyObject *object);
void kc_value_pop(struct kc_values *values, const struct value_frame *frame);

/* An element for which KC_VALUE_CUT_BYTES were set aside. */
static inline void
kc_value_element(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    values->record.reserved_bytes -= KC_VALUE_CUT_BYTES;
    kc_value_write(values, cursor, value);
}

/* The same under a name: masked where the name is secret. */
void kc_value_named_element(struct kc_values *values, struct kc_cursor *cursor,
                            PyObject *name, PyObject *value);

/* The builtin containers, and what subclasses of them hold of them. */
void kc_value_list(struct kc_values *values, struct kc_cursor *cursor, PyObject *list);
void kc_value_tuple(struct kc_values *values, struct kc_cursor *cursor,
                    PyObject *tuple);
void kc_value_set(struct kc_values *values, struct kc_cursor *cursor, PyObject *set,
                  bool frozen);
/* The next member of a set from *at (0 at first) on, borrowed; NULL at the end. */
PyObject *kc_value_borrow_member(PyObject *set, Py_ssize_t *at);

/* A dict's storage: as map where the type is dict, else DICT. */
void kc_value_dict(struct kc_values *values, struct kc_cursor *cursor, PyObject *dict,
                   bool exact);

/* ---- frames that run meanwhile (value_frames.c) ---- */

#ifdef KOLO_C_DEBUG
/* Whether it was this call that began to count: hand that to unwatch. */
bool kc_value_watch_frames(struct kc_values *values);
void kc_value_unwatch_frames(bool watched);
#else
static inline bool
kc_value_watch_frames(struct kc_values *values)
{
    (void)values;
    return false;
}
static inline void
kc_value_unwatch_frames(bool watched)
{
    (void)watched;
}
#endif

/* ---- text (value_text.c) ---- */

/* A str (or the str in an instance of a subclass) as str, CUT_STR, MASKED or CUT. */
void kc_value_str(struct kc_values *values, struct kc_cursor *cursor, PyObject *text);
/* UTF-8 that is no Python object, `characters` long as a whole. */
void kc_value_utf8(struct kc_values *values, struct kc_cursor *cursor, PyObject *owner,
                   const char *bytes, size_t len, size_t characters);
/* As kc_value_utf8(), for what was cut to fit before. */
void kc_value_whole_utf8(struct kc_values *values, struct kc_cursor *cursor,
                         const char *bytes, size_t len);
/* A bytes or bytearray. */
void kc_value_binary(struct kc_values *values, struct kc_cursor *cursor,
                     PyObject *value, bool mutable);
/* The most bytes that kc_value_write_name() of `name` takes. */
size_t kc_value_name_bytes(PyObject *name);
#define VALUE_NAME_MAX_BYTES 200u
/* A secret that begins before a text is cut is looked for so far behind the cut. */
#define VALUE_TEXT_BEYOND 256u

/* Characters [*at, …) of `text` as UTF-8 into `out`, as many as fit whole; *at is
 * moved. */
size_t kc_value_transcode(PyObject *text, Py_ssize_t *at, char *out, size_t size);

/* Whether `text` is an exact str that equals the ASCII `with`. */
bool kc_value_text_is(PyObject *text, const char *with);

/* ---- classes whose instances are written in part (value_chosen.c) ---- */

/* The fields that are written alone of instances of `type`; NULL: all of them are. */
const char *const *kc_value_chosen_fields(PyTypeObject *type);

/* How many these are; SIZE_MAX for all. */
size_t kc_value_chosen_count(const char *const *fields);

/* Whether the field `name` is written. */
bool kc_value_is_chosen(const struct value_shape *shape, PyObject *name);

/* ---- secrets (value_secret.c) ---- */

/* Whether `name` (any object) is a str or bytes that is a secret name. */
bool kc_value_is_secret_name(struct kc_values *values, PyObject *name);
void kc_value_remember(struct kc_values *values, PyObject *text);
/* Whether any secret has that length: without it there is no need for a hash. */
static inline bool
kc_value_may_be_secret(const struct kc_values *values, Py_ssize_t len)
{
    return (values->secret_lengths[(size_t)len >> 6 & 3] >> ((size_t)len & 63)) & 1;
}
/* Whether `text`, str or bytes of `len` characters, was masked before. */
bool kc_value_is_known_secret(struct kc_values *values, PyObject *text, Py_ssize_t len);
void kc_value_masked(struct kc_values *values, struct kc_cursor *cursor,
                     Py_ssize_t length);
/* Whether `option`, ASCII, has a secret name and its value in the next word. */
bool kc_value_is_secret_option(struct kc_values *values, PyObject *option);

/* ---- numbers (value_number.c) ---- */

/* An int of any size, instances of subclasses too. */
void kc_value_int(struct kc_values *values, struct kc_cursor *cursor, PyObject *number);
/* `size` bytes, least first, of a non-negative int; false where it does not fit. */
bool kc_value_as_bytes(PyObject *number, uint8_t *bytes, size_t size);
bool kc_value_is_decimal(PyTypeObject *type);
void kc_value_decimal(struct kc_values *values, struct kc_cursor *cursor,
                      PyObject *decimal);

/* ---- shapes (value_shape.c) ---- */

struct value_shape *kc_value_shape(struct kc_values *values, PyTypeObject *type);

/* Whether a `class` statement in module `module` made the class `name`, by its own
 * account. */
bool kc_value_is_class(PyTypeObject *type, const char *module, const char *name);
void kc_value_shape_release(struct value_shape *shape);

/* VALUE_OBJECT where `type` is none of theirs (value_types.c). */
enum value_kind kc_value_datetime_kind(PyTypeObject *type);
enum value_kind kc_value_numpy_kind(PyTypeObject *type, uint16_t *detail);
bool kc_value_numpy_array(struct kc_values *values, struct kc_cursor *cursor,
                          PyObject *value);
void kc_value_numpy_scalar(struct kc_cursor *cursor, PyObject *value, uint16_t detail);

/* ---- everything else (value_types.c, value_object.c) ---- */

void kc_value_by_shape(struct kc_values *values, struct kc_cursor *cursor,
                       PyObject *value);
/* One of the library's kinds; false where the object cannot be read as such. */
bool kc_value_path(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
                   const struct value_shape *shape);
bool kc_value_function(struct kc_values *values, struct kc_cursor *cursor,
                       PyObject *value);
void kc_value_module(struct kc_values *values, struct kc_cursor *cursor,
                     PyObject *value);
bool kc_value_library(struct kc_values *values, struct kc_cursor *cursor,
                      PyObject *value, const struct value_shape *shape);
void kc_value_ref(struct kc_values *values, struct kc_cursor *cursor, PyObject *value);
void kc_value_object(struct kc_values *values, struct kc_cursor *cursor,
                     PyObject *value, const struct value_shape *shape);
void kc_value_enum(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
                   const struct value_shape *shape);
void kc_value_repr(struct kc_values *values, struct kc_cursor *cursor, PyObject *value);

#endif
