/* value_object.c -- see value_state.h. Instances with their fields, and what is left
 * when they cannot be read: type and address.
 */

#include "trace/value_state.h"

#include <stddef.h>
#include <structmember.h>

#define REF_BYTES 18u            /* array, ext, type, address */
#define EXCEPTION_BYTES 18u      /* the same, and the args */
#define REPR_MARK "\xe2\x80\xa6" /* … */

static bool
object_at_limit(const struct kc_values *values)
{
    return values->record.depth >= values->record.depth_limit;
}

void
kc_value_ref(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    if (kc_value_room(values, cursor) < REF_BYTES) {
        kc_value_cut(values, cursor, value, -1);
        return;
    }
    kc_wire_tag(cursor, KC_TAG_REF, 2);
    kc_value_type(values, cursor, Py_TYPE(value));
    kc_value_address(cursor, value);
}

/* ---- fields ---- */

/* Plan for fields: `names_bytes` are set aside beside the values. */
struct object_plan {
    size_t total;
    size_t count;
    size_t names_bytes;
};

/* Count one more field, and have it written where it fits. */
static void
object_plan_field(const struct kc_values *values, struct object_plan *plan,
                  PyObject *name, size_t room)
{
    size_t need = plan->names_bytes + kc_value_name_bytes(name);
    if (plan->count == plan->total && plan->count < values->record.item_limit &&
        need + (plan->count + 1) * KC_VALUE_CUT_BYTES <= room)
    {
        plan->names_bytes = need;
        plan->count++;
    }
    plan->total++;
}

/* Open an array of fields, `head` elements before them. */
static void
object_open(struct kc_values *values, struct kc_cursor *cursor, enum kc_tag tag,
            const struct object_plan *plan, size_t head)
{
    size_t elements = head + plan->count * 2;
    if (plan->count < plan->total) {
        kc_wire_tag(cursor, KC_TAG_CUT_ITEMS, elements + 2);
        kc_wire_uint(cursor, tag);
        kc_wire_uint(cursor, plan->total);
        values->counters.truncated_count++;
    }
    else {
        kc_wire_tag(cursor, tag, elements);
    }
    values->record.reserved_bytes +=
        plan->names_bytes + plan->count * KC_VALUE_CUT_BYTES;
}

static void
object_write_field(struct kc_values *values, struct kc_cursor *cursor, PyObject *name,
                   PyObject *value)
{
    values->record.reserved_bytes -= kc_value_name_bytes(name);
    kc_value_write_name(cursor, name, VALUE_NAME_MAX_BYTES);
    kc_value_named_element(values, cursor, name, value);
}

/* Room for fields here, behind their head; 0 for none. */
static size_t
object_room(const struct kc_values *values, const struct kc_cursor *cursor)
{
    size_t room = kc_value_room(values, cursor);
    return room > VALUE_TYPED_HEAD_BYTES ? room - VALUE_TYPED_HEAD_BYTES : 0;
}

/* The next field that is written. */
static bool
object_next_field(struct kc_fields *fields, const struct value_shape *shape,
                  PyObject **name, PyObject **field)
{
    while (kc_fields_next(fields, name, field)) {
        if (KC_LIKELY(shape->chosen == NULL) || kc_value_is_chosen(shape, *name)) {
            return true;
        }
    }
    return false;
}

void
kc_value_object(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
                const struct value_shape *shape)
{
    struct value_frame frame;
    struct object_plan plan = {0, 0, 0};
    struct kc_fields fields;
    PyObject *name;
    PyObject *field;
    size_t room = object_room(values, cursor);
    if (kc_value_cycle(values, cursor, value)) {
        return;
    }
    kc_fields_begin(&fields, value, &shape->slots);
    bool none = room == 0; /* of its fields can be written */
    while (!none && plan.total < shape->field_most &&
           object_next_field(&fields, shape, &name, &field))
    {
        object_plan_field(values, &plan, name, room);
        none = plan.count == 0 || object_at_limit(values);
    }
    if (none) {
        values->counters.truncated_count++;
        kc_value_ref(values, cursor, value);
        return;
    }
    kc_value_push(values, &frame, value);
    object_open(values, cursor, KC_TAG_OBJECT, &plan, 2);
    kc_value_type(values, cursor, Py_TYPE(value));
    kc_value_address(cursor, value);
    size_t written = 0;
    kc_fields_begin(&fields, value, &shape->slots);
    while (written < plan.count && object_next_field(&fields, shape, &name, &field)) {
        plan.names_bytes -= kc_value_name_bytes(name);
        object_write_field(values, cursor, name, field);
        written++;
    }
    values->record.reserved_bytes -= plan.names_bytes;
    for (; written < plan.count; written++) { /* a user's __repr__ deleted some */
        kc_wire_str(cursor, "", 0);
        kc_value_fill(values, cursor, 1);
    }
    kc_value_pop(values, &frame);
}

/* ---- namedtuples and struct sequences ---- */

/* The name of item `i` of a struct sequence made in C, NULL where it has none. */
static const char *
object_member_name(PyTypeObject *type, Py_ssize_t i)
{
    Py_ssize_t offset = (Py_ssize_t)offsetof(PyTupleObject, ob_item) +
                        i * (Py_ssize_t)sizeof(PyObject *);
    for (const PyMemberDef *member = type->tp_members;
         member != NULL && member->name != NULL; member++)
    {
        if (member->offset == offset) {
            return member->name;
        }
    }
    return NULL;
}

static void
object_structseq(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    struct value_frame frame;
    size_t room = object_room(values, cursor);
    size_t total = (size_t)PyTuple_GET_SIZE(value);
    size_t cost = VALUE_NAME_MAX_BYTES / 4 + KC_VALUE_CUT_BYTES;
    struct object_plan plan = {total, room / cost, 0};
    plan.count = plan.count < total ? plan.count : total;
    if (plan.count > values->record.item_limit) {
        plan.count = values->record.item_limit;
    }
    if (room == 0 || (total > 0 && (object_at_limit(values) || plan.count == 0))) {
        kc_value_cut(values, cursor, value, (Py_ssize_t)total);
        return;
    }
    plan.names_bytes = plan.count * (VALUE_NAME_MAX_BYTES / 4);
    kc_value_push(values, &frame, value);
    object_open(values, cursor, KC_TAG_NAMEDTUPLE, &plan, 1);
    kc_value_type(values, cursor, Py_TYPE(value));
    for (size_t i = 0; i < plan.count; i++) {
        const char *name = object_member_name(Py_TYPE(value), (Py_ssize_t)i);
        size_t len = name == NULL ? 0 : strlen(name);
        values->record.reserved_bytes -= VALUE_NAME_MAX_BYTES / 4;
        kc_wire_str(cursor, name, len < 40 ? len : 40);
        kc_value_element(values, cursor, PyTuple_GET_ITEM(value, (Py_ssize_t)i));
    }
    kc_value_pop(values, &frame);
}

static void
object_namedtuple(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
                  PyObject *names)
{
    struct value_frame frame;
    struct object_plan plan = {0, 0, 0};
    size_t room = object_room(values, cursor);
    if (kc_value_cycle(values, cursor, value)) {
        return;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        object_plan_field(values, &plan, PyTuple_GET_ITEM(names, i), room);
    }
    if (room == 0 || (plan.total > 0 && (object_at_limit(values) || plan.count == 0))) {
        kc_value_cut(values, cursor, value, (Py_ssize_t)plan.total);
        return;
    }
    kc_value_push(values, &frame, value);
    object_open(values, cursor, KC_TAG_NAMEDTUPLE, &plan, 1);
    kc_value_type(values, cursor, Py_TYPE(value));
    for (size_t i = 0; i < plan.count; i++) {
        object_write_field(values, cursor, PyTuple_GET_ITEM(names, (Py_ssize_t)i),
                           PyTuple_GET_ITEM(value, (Py_ssize_t)i));
    }
    kc_value_pop(values, &frame);
}

/* ---- enums and exceptions ---- */

void
kc_value_enum(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
              const struct value_shape *shape)
{
    struct value_frame frame;
    PyObject *name = kc_fields_borrow(value, &shape->slots, "_name_");
    PyObject *member = kc_fields_borrow(value, &shape->slots, "_value_");
    bool has_name = name != NULL && PyUnicode_CheckExact(name);
    size_t need = REF_BYTES + KC_VALUE_CUT_BYTES;
    need += has_name ? kc_value_name_bytes(name) : 1;
    if (member == NULL || kc_value_room(values, cursor) < need) {
        kc_value_ref(values, cursor, value);
        return;
    }
    if (kc_value_cycle(values, cursor, value)) {
        return;
    }
    kc_value_push(values, &frame, value);
    values->record.reserved_bytes += KC_VALUE_CUT_BYTES;
    kc_wire_tag(cursor, KC_TAG_ENUM, 3);
    kc_value_type(values, cursor, Py_TYPE(value));
    if (has_name) {
        kc_value_write_name(cursor, name, VALUE_NAME_MAX_BYTES);
    }
    else {
        kc_wire_str(cursor, "", 0); /* a combination of flags may have none */
    }
    kc_value_element(values, cursor, member);
    kc_value_pop(values, &frame);
}

static void
object_exception(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    struct value_frame frame;
    PyObject *args = ((const PyBaseExceptionObject *)value)->args;
    if (kc_value_cycle(values, cursor, value)) {
        return;
    }
    if (kc_value_room(values, cursor) < EXCEPTION_BYTES + KC_VALUE_CUT_BYTES) {
        kc_value_ref(values, cursor, value);
        return;
    }
    kc_value_push(values, &frame, value);
    values->record.reserved_bytes += KC_VALUE_CUT_BYTES;
    kc_wire_tag(cursor, KC_TAG_EXCEPTION, 3);
    kc_value_type(values, cursor, Py_TYPE(value));
    kc_value_address(cursor, value);
    /* The args are no level that anyone sees: a group's members have their messages.
     * Once: what is below them is at the limit, or beyond it. */
    uint32_t limit = values->record.depth_limit;
    values->record.depth_limit = limit + (values->record.depth == limit);
    kc_value_element(values, cursor, args == NULL ? Py_None : args);
    values->record.depth_limit = limit;
    kc_value_pop(values, &frame);
}

void
kc_value_write_exception(struct kc_values *values, struct kc_cursor *cursor,
                         PyObject *exc)
{
    if (exc == NULL) {
        kc_wire_nil(cursor);
    }
    else if (PyExceptionInstance_Check(exc)) {
        object_exception(values, cursor, exc);
    }
    else {
        kc_value_write(values, cursor, exc);
    }
    if (KC_UNLIKELY(cursor->status != KC_OK)) {
        values->counters = values->record.before;
    }
}

/* ---- the program's own __repr__, asked for ---- */

/* repr(value), or NULL; the exception it raised is gone, but a signal's is raised again
 * where the program goes on. Another thread may write a record meanwhile. */
static PyObject *
object_call_repr(struct kc_values *values, PyObject *value)
{
    struct value_record record = values->record;
    Py_INCREF(value);
    PyObject *text = PyObject_Repr(value);
    Py_DECREF(value);
    values->record = record;
    if (text == NULL) {
        if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
            PyErr_SetInterrupt();
        }
        PyErr_Clear();
        values->counters.error_count++;
    }
    return text;
}

void
kc_value_repr(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    static const char failed[] = "__repr__ raised an exception";
    PyTypeObject *type = Py_TYPE(value);
    size_t room = kc_value_room(values, cursor);
    if (room < REF_BYTES + sizeof failed + KC_VALUE_CUT_BYTES) {
        kc_value_ref(values, cursor, value);
        return;
    }
    PyObject *text = object_call_repr(values, value);
    if (text == NULL || !kc_unicode_is_ready(text)) {
        Py_XDECREF(text);
        kc_wire_tag(cursor, KC_TAG_ERROR, 1);
        kc_wire_str(cursor, failed, sizeof failed - 1);
        return;
    }
    Py_ssize_t at = 0;
    size_t limit = room - REF_BYTES - 8;
    limit = limit < values->record.text_limit ? limit : values->record.text_limit;
    size_t len = kc_value_transcode(text, &at, values->scratch, limit);
    if (at < PyUnicode_GET_LENGTH(text)) {
        memcpy(values->scratch + len, REPR_MARK, sizeof REPR_MARK - 1);
        len += sizeof REPR_MARK - 1;
        values->counters.truncated_count++;
    }
    kc_wire_tag(cursor, KC_TAG_REPR, 3);
    kc_value_type(values, cursor, type);
    kc_value_address(cursor, value);
    kc_value_whole_utf8(values, cursor, values->scratch, len);
    Py_DECREF(text);
}

/* ---- dispatch ---- */

void
kc_value_by_shape(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    struct value_shape *shape = kc_value_shape(values, Py_TYPE(value));
    switch ((enum value_kind)shape->kind) {
    case VALUE_ENUM:
        kc_value_enum(values, cursor, value, shape);
        break;
    case VALUE_EXCEPTION:
        object_exception(values, cursor, value);
        break;
    case VALUE_NAMEDTUPLE:
        if (PyTuple_GET_SIZE(shape->names) == PyTuple_GET_SIZE(value)) {
            object_namedtuple(values, cursor, value, shape->names);
        }
        else {
            kc_value_tuple(values, cursor, value);
        }
        break;
    case VALUE_STRUCTSEQ:
        object_structseq(values, cursor, value);
        break;
    case VALUE_REF_ONLY:
        kc_value_ref(values, cursor, value);
        break;
    default:
        if (kc_value_library(values, cursor, value, shape)) {
            break;
        }
        if (values->record.user_repr) {
            kc_value_repr(values, cursor, value);
        }
        else if (shape->kind != VALUE_OBJECT && shape->slots.count == 0 &&
                 !shape->slots.has_dict)
        {
            kc_value_ref(values, cursor, value);
        }
        else {
            kc_value_object(values, cursor, value, shape);
        }
        break;
    }
    kc_value_shape_release(shape);
}

/* Values that are plain however they are asked for. */
static bool
object_is_plain(PyObject *value)
{
    return value == NULL || value == Py_None || PyLong_CheckExact(value) ||
           PyBool_Check(value) || PyFloat_CheckExact(value) ||
           PyUnicode_CheckExact(value) || PyBytes_CheckExact(value) ||
           PyType_Check(value);
}

void
kc_value_write_ref(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    if (values->record.self_fields || object_is_plain(value)) {
        kc_value_write(values, cursor, value);
        return;
    }
    kc_value_ref(values, cursor, value);
}
