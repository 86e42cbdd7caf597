/* value.c -- see value.h. Life cycle, budget, dispatch and the builtin containers. */

#include "trace/value_state.h"

#include "session/definitions.h"
#include "session/session.h"

static uint32_t
value_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A number that another process does not know: Python's own secret is in it. */
static uint64_t
value_key(const struct kc_values *values)
{
    PyObject *text = PyUnicode_FromString("kolo_c's key");
    if (text == NULL) {
        PyErr_Clear();
        return (uint64_t)(uintptr_t)values;
    }
    uint64_t key = (uint64_t)PyUnicode_Type.tp_hash(text);
    Py_DECREF(text);
    return key ^ (uint64_t)(uintptr_t)values << 20;
}

struct kc_values *
kc_values_new(const struct kc_value_limits *limits, const struct kc_mask *mask,
              struct kc_definitions *definitions)
{
    struct kc_values *values = PyMem_Calloc(1, sizeof *values);
    if (values == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    values->scratch_bytes = KC_VALUE_TEXT_MAX + VALUE_TEXT_BEYOND;
    values->scratch = PyMem_Malloc(values->scratch_bytes);
    if (values->scratch == NULL) {
        kc_values_free(values);
        if (!PyErr_Occurred()) {
            PyErr_NoMemory();
        }
        return NULL;
    }
    values->mask = mask;
    kc_known_init(&values->known, value_key(values));
    values->definitions = definitions;
    values->defaults.limits = *limits;
    return values;
}

void
kc_values_free(struct kc_values *values)
{
    if (values == NULL) {
        return;
    }
    for (size_t i = 0; i < VALUE_SHAPE_ENTRIES; i++) {
        kc_value_shape_release(values->shapes[i].shape);
    }
    PyMem_Free(values->scratch);
    PyMem_Free(values);
}

struct kc_value_counters *
kc_values_borrow_counters(struct kc_values *values)
{
    return &values->counters;
}

void
kc_values_settle(struct kc_values *values)
{
    const struct kc_value_counters *now = &values->counters;
    struct kc_trace *trace = values->trace;
    if (trace != NULL) {
        trace->masked_count += now->masked_count - values->settled.masked_count;
        trace->truncated_count +=
            now->truncated_count - values->settled.truncated_count;
    }
    values->settled = *now;
    values->trace = NULL;
}

void
kc_values_begin_record(struct kc_values *values, const struct kc_cursor *cursor,
                       const struct kc_value_options *options, struct kc_trace *trace)
{
    struct value_record *record = &values->record;
    if (KC_UNLIKELY(trace != values->trace)) {
        kc_values_settle(values);
        values->trace = trace;
    }
    if (options == NULL) {
        options = &values->defaults;
    }
    record->start = cursor->at;
    record->limit_bytes =
        value_least(options->limits.record_bytes, KC_VALUE_RECORD_MAX);
    record->reserved_bytes = 0;
    record->depth = 0;
    record->depth_limit = value_least(options->limits.depth, KC_VALUE_DEPTH_MAX);
    record->item_limit = options->limits.items;
    record->text_limit = value_least(options->limits.text_bytes, KC_VALUE_TEXT_MAX);
    record->user_repr = options->user_repr;
    record->self_fields = options->self_fields;
    record->top = NULL;
    record->before = values->counters;
}

/* ---- budget ---- */

void
kc_value_type(struct kc_values *values, struct kc_cursor *cursor, PyTypeObject *type)
{
    uint64_t number = kc_definitions_type(values->definitions, type);
    if (KC_UNLIKELY(number == 0)) {
        cursor->status = KC_FULL;
        cursor->end = cursor->at; /* nothing may follow in a lost record */
    }
    kc_wire_uint(cursor, number);
}

void
kc_value_address(struct kc_cursor *cursor, PyObject *object)
{
    kc_wire_uint(cursor, (uint64_t)(uintptr_t)object);
}

void
kc_value_cut(struct kc_values *values, struct kc_cursor *cursor, PyObject *object,
             Py_ssize_t length)
{
    kc_wire_tag(cursor, KC_TAG_CUT, 2);
    kc_value_type(values, cursor, Py_TYPE(object));
    if (length >= 0 && kc_value_room(values, cursor) >= sizeof(uint64_t) + 1) {
        kc_wire_uint(cursor, (uint64_t)length);
    }
    else {
        kc_wire_nil(cursor);
    }
    values->counters.truncated_count++;
}

void
kc_value_fill(struct kc_values *values, struct kc_cursor *cursor, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values->record.reserved_bytes -= KC_VALUE_CUT_BYTES;
        kc_value_cut(values, cursor, Py_None, -1);
    }
}

bool
kc_value_cycle(const struct kc_values *values, struct kc_cursor *cursor,
               const PyObject *object)
{
    uint64_t levels = 1;
    const struct value_frame *at = values->record.top;
    for (; at != NULL; at = at->above, levels++) {
        if (at->object == object) {
            kc_wire_tag(cursor, KC_TAG_CYCLE, 1);
            kc_wire_uint(cursor, levels);
            return true;
        }
    }
    return false;
}

void
kc_value_push(struct kc_values *values, struct value_frame *frame, PyObject *object)
{
    struct value_record *record = &values->record;
    frame->object = object;
    frame->above = record->top;
    record->top = frame;
    record->depth++;
    if (record->user_repr) {
        Py_INCREF(object); /* a __repr__ below may let go of it */
    }
}

void
kc_value_pop(struct kc_values *values, const struct value_frame *frame)
{
    values->record.top = frame->above;
    values->record.depth--;
    if (values->record.user_repr) {
        Py_DECREF(frame->object);
    }
}

bool
kc_value_enter(struct kc_values *values, struct kc_cursor *cursor,
               struct value_frame *frame, struct value_plan *plan, PyObject *object)
{
    struct value_record *record = &values->record;
    if (kc_value_cycle(values, cursor, object)) {
        return false;
    }
    size_t room = kc_value_room(values, cursor);
    size_t cost = plan->width * KC_VALUE_CUT_BYTES;
    size_t fits = room > plan->head_bytes ? (room - plan->head_bytes) / cost : 0;
    plan->count = plan->total < record->item_limit ? plan->total : record->item_limit;
    plan->count = plan->count < fits ? plan->count : fits;
    if (plan->total > 0) {
        if (record->depth >= record->depth_limit || plan->count == 0) {
            kc_value_cut(values, cursor, object, (Py_ssize_t)plan->total);
            return false;
        }
    }
    else if (plan->head_bytes > VALUE_HEAD_BYTES && room < plan->head_bytes) {
        kc_value_cut(values, cursor, object, 0);
        return false;
    }
    if (plan->count < plan->total) {
        values->counters.truncated_count++;
    }
    record->reserved_bytes += plan->count * cost;
    kc_value_push(values, frame, object);
    return true;
}

/* ---- containers ---- */

/* Open the array of a sequence, or of what is left of it; `tag` 0 is a list. */
static void
value_open(struct kc_cursor *cursor, const struct value_plan *plan, unsigned tag)
{
    size_t elements = plan->count * plan->width;
    if (plan->count < plan->total) {
        kc_wire_tag(cursor, KC_TAG_CUT_ITEMS, elements + 2);
        kc_wire_uint(cursor, tag);
        kc_wire_uint(cursor, plan->total);
    }
    else if (tag == 0) {
        kc_wire_array(cursor, elements);
    }
    else if (tag == KC_TAG_DICT) {
        kc_wire_map(cursor, plan->count);
    }
    else {
        kc_wire_tag(cursor, (enum kc_tag)tag, elements);
    }
}

/* An element behind `before` (NULL for none): the value of a secret option is masked.
 * Returns what stands before the next, borrowed; NULL where that does not matter. */
static inline PyObject *
value_word(struct kc_values *values, struct kc_cursor *cursor, PyObject *before,
           PyObject *word)
{
    /* NULL: in a tuple that is being made, which the collector knows of. */
    if (KC_LIKELY(word == NULL || !PyUnicode_CheckExact(word))) {
        kc_value_element(values, cursor, word);
        return NULL;
    }
    bool option = PyUnicode_IS_COMPACT_ASCII(word) && PyUnicode_GET_LENGTH(word) > 1 &&
                  *(const char *)PyUnicode_DATA(word) == '-';
    if (KC_UNLIKELY(before != NULL) && !option &&
        kc_value_is_secret_option(values, before)) {
        values->record.reserved_bytes -= KC_VALUE_CUT_BYTES;
        kc_value_write_secret(values, cursor, word);
    }
    else {
        kc_value_element(values, cursor, word);
    }
    return option ? word : NULL;
}

void
kc_value_list(struct kc_values *values, struct kc_cursor *cursor, PyObject *list)
{
    struct value_frame frame;
    struct value_plan plan = {(size_t)PyList_GET_SIZE(list), 0, 1, VALUE_HEAD_BYTES};
    if (!kc_value_enter(values, cursor, &frame, &plan, list)) {
        return;
    }
    value_open(cursor, &plan, 0);
    size_t i = 0;
    /* The size is read again each time: a user's __repr__ may shorten the list. */
    PyObject *before = NULL;
    for (; i < plan.count && (Py_ssize_t)i < PyList_GET_SIZE(list); i++) {
        before =
            value_word(values, cursor, before, PyList_GET_ITEM(list, (Py_ssize_t)i));
    }
    kc_value_fill(values, cursor, plan.count - i);
    kc_value_pop(values, &frame);
}

void
kc_value_tuple(struct kc_values *values, struct kc_cursor *cursor, PyObject *tuple)
{
    struct value_frame frame;
    struct value_plan plan = {(size_t)PyTuple_GET_SIZE(tuple), 0, 1, VALUE_HEAD_BYTES};
    if (!kc_value_enter(values, cursor, &frame, &plan, tuple)) {
        return;
    }
    value_open(cursor, &plan, KC_TAG_TUPLE);
    if (plan.total == 2 && plan.count == 2) {
        /* A pair may be a name and its value, as in a list of headers. */
        PyObject *name = PyTuple_GET_ITEM(tuple, 0);
        kc_value_element(values, cursor, name);
        kc_value_named_element(values, cursor, name, PyTuple_GET_ITEM(tuple, 1));
    }
    else {
        PyObject *before = NULL;
        for (size_t i = 0; i < plan.count; i++) {
            before = value_word(values, cursor, before,
                                PyTuple_GET_ITEM(tuple, (Py_ssize_t)i));
        }
    }
    kc_value_pop(values, &frame);
}

/* The next member from *at on; read from the table itself, whose layout is public:
 * _PySet_NextEntry() is private, and an iterator would be an object of the program's.
 */
PyObject *
kc_value_borrow_member(PyObject *set, Py_ssize_t *at)
{
    const PySetObject *table = (const PySetObject *)set;
    while (*at <= table->mask) {
        const setentry *entry = &table->table[(*at)++];
        if (entry->key != NULL && entry->hash != -1) { /* -1: deleted */
            return entry->key;
        }
    }
    return NULL;
}

void
kc_value_set(struct kc_values *values, struct kc_cursor *cursor, PyObject *set,
             bool frozen)
{
    struct value_frame frame;
    struct value_plan plan = {(size_t)PySet_GET_SIZE(set), 0, 1, VALUE_HEAD_BYTES};
    if (!kc_value_enter(values, cursor, &frame, &plan, set)) {
        return;
    }
    value_open(cursor, &plan, frozen ? KC_TAG_FROZENSET : KC_TAG_SET);
    Py_ssize_t at = 0;
    size_t i = 0;
    PyObject *member;
    while (i < plan.count && (member = kc_value_borrow_member(set, &at)) != NULL) {
        kc_value_element(values, cursor, member);
        i++;
    }
    kc_value_fill(values, cursor, plan.count - i);
    kc_value_pop(values, &frame);
}

void
kc_value_dict(struct kc_values *values, struct kc_cursor *cursor, PyObject *dict,
              bool exact)
{
    struct value_frame frame;
    struct value_plan plan = {(size_t)kc_dict_size(dict), 0, 2, VALUE_HEAD_BYTES};
    if (!exact) {
        plan.head_bytes = VALUE_TYPED_HEAD_BYTES;
    }
    if (!kc_value_enter(values, cursor, &frame, &plan, dict)) {
        return;
    }
    if (exact) {
        value_open(cursor, &plan, KC_TAG_DICT);
    }
    else {
        kc_wire_tag(cursor, KC_TAG_DICT, plan.count * 2 + 3);
        kc_value_type(values, cursor, Py_TYPE(dict));
        kc_value_address(cursor, dict);
        kc_wire_uint(cursor, plan.total);
    }
    PyObject *key;
    PyObject *value;
    Py_ssize_t at = 0;
    size_t i = 0;
    while (i < plan.count && PyDict_Next(dict, &at, &key, &value)) {
        if (values->record.user_repr) {
            Py_INCREF(value);
        }
        kc_value_element(values, cursor, key);
        kc_value_named_element(values, cursor, key, value);
        if (values->record.user_repr) {
            Py_DECREF(value);
        }
        i++;
    }
    kc_value_fill(values, cursor, (plan.count - i) * 2);
    kc_value_pop(values, &frame);
}

/* ---- dispatch ---- */

void
kc_value_write_any(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    if (value == NULL) {
        kc_wire_tag(cursor, KC_TAG_UNBOUND, 0);
        return;
    }
    bool watched = kc_value_watch_frames(values);
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type) {
        kc_value_str(values, cursor, value);
    }
    else if (type == &PyBool_Type) {
        kc_wire_bool(cursor, value == Py_True);
    }
    else if (type == &PyFloat_Type) {
        kc_wire_double(cursor, PyFloat_AS_DOUBLE(value));
    }
    else if (type == &PyDict_Type) {
        kc_value_dict(values, cursor, value, true);
    }
    else if (type == &PyList_Type) {
        kc_value_list(values, cursor, value);
    }
    else if (type == &PyTuple_Type) {
        kc_value_tuple(values, cursor, value);
    }
    else if (type == &PyLong_Type) {
        kc_value_int(values, cursor, value);
    }
    else if (value == Py_None) {
        kc_wire_nil(cursor);
    }
    else if (type == &PyBytes_Type) {
        kc_value_binary(values, cursor, value, false);
    }
    else {
        kc_value_by_shape(values, cursor, value);
    }
    kc_value_unwatch_frames(watched);
    if (KC_UNLIKELY(cursor->status != KC_OK)) {
        /* The record will not be seen; what it counted is counted when it is written.
         */
        values->counters = values->record.before;
    }
}

void
kc_value_named_element(struct kc_values *values, struct kc_cursor *cursor,
                       PyObject *name, PyObject *value)
{
    values->record.reserved_bytes -= KC_VALUE_CUT_BYTES;
    if (KC_UNLIKELY(kc_value_is_secret_name(values, name))) {
        kc_value_write_secret(values, cursor, value);
    }
    else {
        kc_value_write(values, cursor, value);
    }
}
