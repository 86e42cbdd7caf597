/* mentions.c -- see mentions.h. */

#include "compat_value.h"

#include "mentions.h"

#define MENTIONS_WORDS 64
#define MENTIONS_LEAST 3 /* characters of a word */
#define MENTIONS_BITS 4096u

/* Words that are looked for, and what is looked at before a word is: bits, by numbers
 * of letters without their case. */
struct mentions {
    const char *words[MENTIONS_WORDS];
    Py_ssize_t count;
    uint32_t pairs[32]; /* two that follow each other among a word's first three */
    uint64_t begins[MENTIONS_BITS / 64]; /* the first three; others may have the same */
};

static inline uint32_t
mentions_letter(Py_UCS4 letter)
{
    return letter & 0x1f;
}

static inline uint32_t
mentions_bit(Py_UCS4 first, Py_UCS4 second, Py_UCS4 third)
{
    uint32_t three = mentions_letter(first) << 10 | mentions_letter(second) << 5 |
                     mentions_letter(third);
    return three * 2654435761u >> 20;
}

static void
mentions_add(struct mentions *mentions, const char *word)
{
    const unsigned char *letters = (const unsigned char *)word;
    uint32_t bit = mentions_bit(letters[0], letters[1], letters[2]);
    mentions->begins[bit / 64] |= (uint64_t)1 << bit % 64;
    for (int i = 0; i < MENTIONS_LEAST - 1; i++) {
        mentions->pairs[mentions_letter(letters[i])] |=
            (uint32_t)1 << mentions_letter(letters[i + 1]);
    }
    mentions->words[mentions->count++] = word;
}

static bool
mentions_is_at(int kind, const void *data, Py_ssize_t length, Py_ssize_t at,
               const char *word)
{
    for (; *word != '\0' && at < length; word++, at++) {
        Py_UCS4 letter = PyUnicode_READ(kind, data, at);
        if ((letter | 0x20) != (Py_UCS4)(*word | 0x20)) {
            return false;
        }
    }
    return *word == '\0';
}

/* Whether one of them begins at `at`. */
static bool
mentions_any_at(int kind, const void *data, Py_ssize_t length, Py_ssize_t at,
                const struct mentions *mentions)
{
    if (at < 0 || at > length - MENTIONS_LEAST) {
        return false;
    }
    uint32_t bit =
        mentions_bit(PyUnicode_READ(kind, data, at), PyUnicode_READ(kind, data, at + 1),
                     PyUnicode_READ(kind, data, at + 2));
    if ((mentions->begins[bit / 64] >> bit % 64 & 1) == 0) {
        return false;
    }
    for (Py_ssize_t i = 0; i < mentions->count; i++) {
        if (mentions_is_at(kind, data, length, at, mentions->words[i])) {
            return true;
        }
    }
    return false;
}

/* Made for each kind of text: this goes over all of it, by twos. Wherever a word
 * begins, two of its first three letters are such. */
static inline bool
mentions_find_in(int kind, const void *data, Py_ssize_t length,
                 const struct mentions *mentions)
{
    for (Py_ssize_t at = 0; at < length - 1; at += 2) {
        uint32_t first = mentions_letter(PyUnicode_READ(kind, data, at));
        uint32_t second = mentions_letter(PyUnicode_READ(kind, data, at + 1));
        if ((mentions->pairs[first] >> second & 1) != 0 &&
            (mentions_any_at(kind, data, length, at, mentions) ||
             mentions_any_at(kind, data, length, at - 1, mentions)))
        {
            return true;
        }
    }
    return false;
}

static bool
mentions_find(PyObject *text, const struct mentions *mentions)
{
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    switch ((int)PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND:
        return mentions_find_in(PyUnicode_1BYTE_KIND, data, length, mentions);
    case PyUnicode_2BYTE_KIND:
        return mentions_find_in(PyUnicode_2BYTE_KIND, data, length, mentions);
    default:
        return mentions_find_in(PyUnicode_4BYTE_KIND, data, length, mentions);
    }
}

PyObject *
kc_mentions(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    struct mentions mentions = {.count = 0};
    if (count != 2 || !PyUnicode_Check(args[0]) || !PyTuple_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "mentions(text, words)");
        return NULL;
    }
    Py_ssize_t word_count = PyTuple_GET_SIZE(args[1]);
    if (word_count > MENTIONS_WORDS || !kc_unicode_is_ready(args[0])) {
        Py_RETURN_TRUE;
    }
    for (Py_ssize_t i = 0; i < word_count; i++) {
        Py_ssize_t length = 0;
        PyObject *item = PyTuple_GET_ITEM(args[1], i);
        const char *word = PyUnicode_AsUTF8AndSize(item, &length);
        if (word == NULL) {
            return NULL;
        }
        if (length < MENTIONS_LEAST || !PyUnicode_IS_ASCII(item)) {
            Py_RETURN_TRUE;
        }
        mentions_add(&mentions, word);
    }
    return PyBool_FromLong(mentions_find(args[0], &mentions));
}
