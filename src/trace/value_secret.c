/* value_secret.c -- see value_state.h. Which names are secret, and which strings were
 * under one: both by hash, so that no secret and no object of the program is kept.
 *
 * The hashes are those that Python keeps in str and bytes anyway; the slots are called
 * on str and bytes themselves, so that no __hash__ of a subclass runs.
 */

#include "trace/value_state.h"

#define NAME_LEN_MAX 128   /* a longer key is no name */
#define SECRET_LEN_LEAST 6 /* shorter ones would mask half of the program's words */
#define SECRET_ITEMS_MAX 32
#define SECRET_WIDE_MAX 1024u /* bytes of one that is not ASCII */

static const char PART_ENDS[] = " ,;=&\"'";

enum { NAME_EMPTY = 0, NAME_PLAIN = 1, NAME_SECRET = 2 };

/* Length and hash of a str or bytes; false for anything else. */
static bool
secret_measure(PyObject *text, Py_ssize_t *len, Py_hash_t *hash)
{
    if (text == NULL) { /* in a tuple that is being made */
        return false;
    }
    if (PyUnicode_Check(text)) {
        if (!kc_unicode_is_ready(text)) {
            return false;
        }
        *len = PyUnicode_GET_LENGTH(text);
        *hash = ((const PyASCIIObject *)text)->hash; /* of a name it is mostly there */
        if (KC_UNLIKELY(*hash == -1)) {
            *hash = PyUnicode_Type.tp_hash(text);
        }
        return true;
    }
    if (PyBytes_Check(text)) {
        *len = PyBytes_GET_SIZE(text);
        *hash = PyBytes_Type.tp_hash(text);
        return true;
    }
    return false;
}

static KC_COLD bool
secret_decide_name(const struct kc_values *values, PyObject *name)
{
    char buffer[NAME_LEN_MAX * 4];
    if (PyBytes_Check(name)) {
        return kc_mask_name(values->mask, PyBytes_AS_STRING(name),
                            (size_t)PyBytes_GET_SIZE(name), NULL);
    }
    size_t len = kc_value_copy_text(name, buffer, sizeof buffer);
    return kc_mask_name(values->mask, buffer, len, NULL);
}

/* Decide about a name that the cache does not have, in place of one of its set. */
static KC_COLD bool
secret_learn_name(struct kc_values *values, struct value_name_entry *set,
                  PyObject *name, Py_hash_t hash, uint32_t len)
{
    size_t way = values->name_turn++ % VALUE_NAME_WAYS;
    for (size_t i = 0; i < VALUE_NAME_WAYS; i++) {
        if (set[i].state == NAME_EMPTY) {
            way = i;
            break;
        }
    }
    bool secret = secret_decide_name(values, name);
    set[way].hash = hash;
    set[way].len = len;
    set[way].state = secret ? NAME_SECRET : NAME_PLAIN;
    return secret;
}

bool
kc_value_is_secret_name(struct kc_values *values, PyObject *name)
{
    Py_ssize_t len;
    Py_hash_t hash;
    if (name == NULL) {
        return false;
    }
    if (PyUnicode_Check(name)) {
        if (!kc_unicode_is_ready(name)) {
            return false;
        }
        len = PyUnicode_GET_LENGTH(name);
    }
    else if (PyBytes_Check(name)) {
        len = PyBytes_GET_SIZE(name);
    }
    else {
        return false;
    }
    /* Before the hash is made: a long text is no name. */
    if (len == 0 || len > NAME_LEN_MAX || !secret_measure(name, &len, &hash)) {
        return false;
    }
    struct value_name_entry *set =
        values->names[((size_t)hash ^ (size_t)hash >> 17) % VALUE_NAME_SETS];
    for (size_t i = 0; i < VALUE_NAME_WAYS; i++) {
        if (set[i].hash == hash && set[i].len == (uint32_t)len) {
            return set[i].state == NAME_SECRET;
        }
    }
    return secret_learn_name(values, set, name, hash, (uint32_t)len);
}

bool
kc_value_is_secret_option(struct kc_values *values, PyObject *option)
{
    size_t len = (size_t)PyUnicode_GET_LENGTH(option);
    return memchr(PyUnicode_DATA(option), '=', len) == NULL &&
           kc_value_is_secret_name(values, option);
}

bool
kc_value_is_known_secret(struct kc_values *values, PyObject *text, Py_ssize_t len)
{
    Py_hash_t hash;
    if (KC_LIKELY(!kc_value_may_be_secret(values, len)) || len < SECRET_LEN_LEAST ||
        !secret_measure(text, &len, &hash))
    {
        return false;
    }
    const struct value_secret_entry *set =
        values->secrets[(size_t)hash % VALUE_SECRET_SETS];
    for (size_t i = 0; i < VALUE_SECRET_WAYS; i++) {
        if (set[i].hash == hash && set[i].len == len) {
            return true;
        }
    }
    return false;
}

/* To be found in longer texts too. */
static void
secret_make_known(struct kc_values *values, PyObject *text, Py_ssize_t len)
{
    char buffer[SECRET_WIDE_MAX];
    Py_ssize_t at = 0;
    if (PyBytes_Check(text)) {
        kc_known_add(&values->known, PyBytes_AS_STRING(text), (size_t)len);
    }
    else if (PyUnicode_IS_ASCII(text)) {
        kc_known_add(&values->known, PyUnicode_DATA(text), (size_t)len);
    }
    else {
        size_t used = kc_value_transcode(text, &at, buffer, sizeof buffer);
        kc_known_add(&values->known, buffer, at == len ? used : 0);
    }
}

/* Whether it was new. */
static bool
secret_remember(struct kc_values *values, PyObject *text)
{
    Py_ssize_t len;
    Py_hash_t hash;
    if (!secret_measure(text, &len, &hash) || len < SECRET_LEN_LEAST) {
        return false;
    }
    if (len <= (Py_ssize_t)KC_VALUE_TEXT_MAX) {
        secret_make_known(values, text, len);
    }
    if (kc_value_is_known_secret(values, text, len)) {
        return false;
    }
    struct value_secret_entry *set = values->secrets[(size_t)hash % VALUE_SECRET_SETS];
    /* The newest first: of too many in a set the oldest is forgotten. */
    memmove(set + 1, set, (VALUE_SECRET_WAYS - 1) * sizeof *set);
    set[0].hash = hash;
    set[0].len = len;
    values->secret_lengths[(size_t)len >> 6 & 3] |= UINT64_C(1) << ((size_t)len & 63);
    return true;
}

/* The parts of `sid=x; theme=y`, of `Bearer x`: those that tell. */
static KC_COLD void
secret_remember_parts(struct kc_values *values, const char *bytes, size_t len,
                      bool is_text)
{
    int count = 0;
    for (size_t at = 0; at < len && count < SECRET_ITEMS_MAX; at++) {
        size_t start = at;
        while (at < len && memchr(PART_ENDS, bytes[at], sizeof PART_ENDS - 1) == NULL) {
            at++;
        }
        if (at - start == len || !kc_known_tells(bytes + start, at - start)) {
            continue;
        }
        Py_ssize_t part_len = (Py_ssize_t)(at - start);
        PyObject *part = is_text ? PyUnicode_FromStringAndSize(bytes + start, part_len)
                                 : PyBytes_FromStringAndSize(bytes + start, part_len);
        if (part == NULL) {
            PyErr_Clear();
            return;
        }
        (void)secret_remember(values, part);
        Py_DECREF(part);
        count++;
    }
}

void
kc_value_remember(struct kc_values *values, PyObject *text)
{
    if (!secret_remember(values, text)) {
        return;
    }
    if (PyBytes_Check(text)) {
        size_t len = (size_t)PyBytes_GET_SIZE(text);
        if (len <= KC_VALUE_TEXT_MAX) {
            secret_remember_parts(values, PyBytes_AS_STRING(text), len, false);
        }
    }
    else if (PyUnicode_IS_ASCII(text)) {
        size_t len = (size_t)PyUnicode_GET_LENGTH(text);
        if (len <= KC_VALUE_TEXT_MAX) {
            secret_remember_parts(values, PyUnicode_DATA(text), len, true);
        }
    }
}

void
kc_value_masked(struct kc_values *values, struct kc_cursor *cursor, Py_ssize_t length)
{
    kc_wire_tag(cursor, KC_TAG_MASKED, 1);
    if (length >= 0 && (uint64_t)length <= UINT32_MAX) {
        kc_wire_uint(cursor, (uint64_t)length);
    }
    else {
        kc_wire_nil(cursor);
    }
    values->counters.masked_count++;
}

/* Remember the strings in a container that stands under a secret name. */
static void
secret_remember_items(struct kc_values *values, PyObject *value)
{
    Py_ssize_t at = 0;
    PyObject *key;
    PyObject *item;
    if (PyDict_Check(value)) {
        for (int i = 0; i < SECRET_ITEMS_MAX && PyDict_Next(value, &at, &key, &item);
             i++) {
            kc_value_remember(values, item);
        }
    }
    else if (PyList_Check(value)) {
        for (; at < SECRET_ITEMS_MAX && at < PyList_GET_SIZE(value); at++) {
            kc_value_remember(values, PyList_GET_ITEM(value, at));
        }
    }
    else if (PyTuple_Check(value)) {
        for (; at < SECRET_ITEMS_MAX && at < PyTuple_GET_SIZE(value); at++) {
            kc_value_remember(values, PyTuple_GET_ITEM(value, at));
        }
    }
    else if (PyAnySet_Check(value)) {
        for (int i = 0; i < SECRET_ITEMS_MAX; i++) {
            item = kc_value_borrow_member(value, &at);
            if (item == NULL) {
                break;
            }
            kc_value_remember(values, item);
        }
    }
}

/* Whether `value` says nothing: None, bools, the empty string. */
static bool
secret_is_harmless(PyObject *value)
{
    if (PyUnicode_Check(value)) {
        return kc_unicode_is_ready(value) && PyUnicode_GET_LENGTH(value) == 0;
    }
    if (PyBytes_Check(value)) {
        return PyBytes_GET_SIZE(value) == 0;
    }
    return value == Py_None || PyBool_Check(value);
}

/* Its length, where it is a string; or -1. */
static Py_ssize_t
secret_remember_any(struct kc_values *values, PyObject *value)
{
    Py_ssize_t len = -1;
    Py_hash_t hash;
    if (secret_measure(value, &len, &hash)) {
        kc_value_remember(values, value);
    }
    else {
        secret_remember_items(values, value);
    }
    return len;
}

void
kc_value_learn(struct kc_values *values, PyObject *value)
{
    if (value != NULL) {
        (void)secret_remember_any(values, value);
    }
}

void
kc_value_write_secret(struct kc_values *values, struct kc_cursor *cursor,
                      PyObject *value)
{
    if (value == NULL || secret_is_harmless(value)) {
        kc_value_write(values, cursor, value);
        return;
    }
    Py_ssize_t len = secret_remember_any(values, value);
    kc_value_masked(values, cursor, len);
    if (KC_UNLIKELY(cursor->status != KC_OK)) {
        values->counters = values->record.before;
    }
}

bool
kc_values_would_hide(struct kc_values *values, PyObject *name, PyObject *value)
{
    if (kc_value_is_secret_name(values, name)) {
        return !secret_is_harmless(value);
    }
    return PyUnicode_Check(value) && kc_unicode_is_ready(value) &&
           kc_value_is_known_secret(values, value, PyUnicode_GET_LENGTH(value));
}

bool
kc_values_hide(struct kc_values *values, PyObject *name, PyObject *value)
{
    bool hidden = kc_values_would_hide(values, name, value);
    if (hidden) {
        kc_value_remember(values, value);
    }
    values->counters.masked_count += hidden;
    return hidden;
}
