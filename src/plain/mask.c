/* mask.c -- see mask.h. Names here; shapes in mask_shapes.c, what stands behind a
 * name in a text in mask_pairs.c. */

#include "plain/mask.h"

#include <stdlib.h>
#include <string.h>

/* A longer name is no name; what it holds is searched for shapes like any text. */
#define NAME_MAX_BYTES 256u

/* A word is kept twice in one allocation: `_word_`, so that a match is a match of whole
 * parts, and behind its NUL the word itself, for the rule that is shown. */
struct mask_words {
    char **words;
    uint64_t *marks; /* of each: one bit, by its first letters */
    size_t count;
};

#define BEGINNINGS 4096u /* a bit for each, by its number */

struct kc_mask {
    struct mask_words secret;
    struct mask_words exceptions;
    bool any; /* a word's first part is shorter than that: every name may be secret */
    uint64_t beginnings[BEGINNINGS / 64];
};

static void
mask_words_destroy(struct mask_words *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->words[i]);
    }
    free(list->words);
    free(list->marks);
}

/* Letters that a word begins with, and that are looked at first. */
#define BEGINNING 3u

/* They as one number, whatever their case. */
static unsigned
mask_beginning(const char *letters)
{
    unsigned number = 0;
    for (size_t i = 0; i < BEGINNING; i++) {
        number = number * 31 + ((unsigned char)letters[i] | 0x20u);
    }
    return number;
}

static uint64_t
mask_mark(const char *letters)
{
    return UINT64_C(1) << (mask_beginning(letters) * 0x9e3779b1u >> 26);
}

static enum kc_status
mask_words_init(struct mask_words *list, const char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL) {
        count++;
    }
    list->count = 0;
    list->words = calloc(count + 1, sizeof *list->words);
    list->marks = calloc(count + 1, sizeof *list->marks);
    if (list->words == NULL || list->marks == NULL) {
        return KC_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(words[i]);
        char *word = malloc(2 * len + 4);
        if (word == NULL) {
            return KC_NO_MEMORY;
        }
        word[0] = '_';
        memcpy(word + 1, words[i], len);
        memcpy(word + 1 + len, "_", 2);
        memcpy(word + len + 3, words[i], len + 1);
        /* "_", word, "_" and a NUL: three bytes there are, if the word is empty too. */
        list->marks[list->count] = mask_mark(word + (len > 1));
        list->words[list->count++] = word;
    }
    return KC_OK;
}

static void
mask_note_beginnings(struct kc_mask *mask)
{
    for (size_t i = 0; i < mask->secret.count; i++) {
        const char *word = mask->secret.words[i] + 1;
        if (strcspn(word, "_") < BEGINNING) {
            mask->any = true;
            return;
        }
        unsigned number = mask_beginning(word) % BEGINNINGS;
        mask->beginnings[number / 64] |= UINT64_C(1) << (number % 64);
    }
}

bool
kc_mask_may_be_name(const struct kc_mask *mask, const char *name, size_t len)
{
    for (size_t at = 0; !mask->any && at + BEGINNING <= len; at++) {
        unsigned number = mask_beginning(name + at) % BEGINNINGS;
        if ((mask->beginnings[number / 64] >> (number % 64)) & 1) {
            return true;
        }
    }
    return mask->any;
}

enum kc_status
kc_mask_new(struct kc_mask **mask, const char *const *words,
            const char *const *exceptions)
{
    struct kc_mask *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return KC_NO_MEMORY;
    }
    enum kc_status status = mask_words_init(&made->secret, words);
    if (status == KC_OK) {
        status = mask_words_init(&made->exceptions, exceptions);
    }
    if (status != KC_OK) {
        kc_mask_free(made);
        return status;
    }
    mask_note_beginnings(made);
    *mask = made;
    return KC_OK;
}

void
kc_mask_free(struct kc_mask *mask)
{
    if (mask == NULL) {
        return;
    }
    mask_words_destroy(&mask->secret);
    mask_words_destroy(&mask->exceptions);
    free(mask);
}

/* The word as it was given, of its padded form. */
static const char *
mask_plain(const char *word)
{
    return word + strlen(word) + 1;
}

enum letter { LETTER_NONE, LETTER_LOWER, LETTER_UPPER, LETTER_DIGIT };

static enum letter
mask_letter(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || c >= 0x80) {
        return LETTER_LOWER;
    }
    if (c >= 'A' && c <= 'Z') {
        return LETTER_UPPER;
    }
    return c >= '0' && c <= '9' ? LETTER_DIGIT : LETTER_NONE;
}

/* Whether a new part begins between `before` and `now`: `apiKey`, `APIKey`, `key2`. */
static bool
mask_parts_here(enum letter before, enum letter now, enum letter next)
{
    if (before == LETTER_NONE || now == LETTER_NONE) {
        return true;
    }
    if ((before == LETTER_DIGIT) != (now == LETTER_DIGIT)) {
        return true;
    }
    return now == LETTER_UPPER && (before == LETTER_LOWER || next == LETTER_LOWER);
}

/* Write `name` as `_part_part_`, lower case, NUL-terminated; `parts` has room for two
 * bytes a byte of name and three more. */
static void
mask_split(const char *name, size_t len, char *parts)
{
    size_t used = 0;
    enum letter before = LETTER_NONE;
    parts[used++] = '_';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        enum letter now = mask_letter(c);
        enum letter next = LETTER_NONE;
        if (i + 1 < len) {
            next = mask_letter((unsigned char)name[i + 1]);
        }
        if (mask_parts_here(before, now, next) && parts[used - 1] != '_') {
            parts[used++] = '_';
        }
        if (now != LETTER_NONE) {
            parts[used++] = (char)(now == LETTER_UPPER ? c + ('a' - 'A') : c);
        }
        before = now;
    }
    if (parts[used - 1] != '_') {
        parts[used++] = '_';
    }
    parts[used] = '\0';
}

/* The exception that covers the run of parts [start, end) of `parts`, or NULL. */
static const char *
mask_excuse(const struct kc_mask *mask, const char *parts, uint64_t marks,
            const char *start, const char *end)
{
    for (size_t i = 0; i < mask->exceptions.count; i++) {
        if ((mask->exceptions.marks[i] & marks) == 0) {
            continue;
        }
        const char *exception = mask->exceptions.words[i];
        size_t len = strlen(exception);
        const char *at = strstr(parts, exception);
        while (at != NULL && at <= start) {
            if (end <= at + len) {
                return exception;
            }
            at = strstr(at + 1, exception);
        }
    }
    return NULL;
}

bool
kc_mask_name(const struct kc_mask *mask, const char *name, size_t len,
             const char **rule)
{
    char parts[2 * NAME_MAX_BYTES + 4];
    const char *excuse = NULL;
    if (rule != NULL) {
        *rule = NULL;
    }
    if (len == 0 || len > NAME_MAX_BYTES) {
        return false;
    }
    mask_split(name, len, parts);
    uint64_t marks = 0;
    for (size_t i = 0; parts[i] != '\0' && parts[i + 1] != '\0'; i++) {
        marks |= mask_mark(parts + i);
    }
    for (size_t i = 0; i < mask->secret.count; i++) {
        if ((mask->secret.marks[i] & marks) == 0) {
            continue;
        }
        const char *word = mask->secret.words[i];
        size_t word_len = strlen(word);
        const char *at = strstr(parts, word);
        for (; at != NULL; at = strstr(at + 1, word)) {
            const char *found = mask_excuse(mask, parts, marks, at, at + word_len);
            if (found == NULL) {
                if (rule != NULL) {
                    *rule = mask_plain(word);
                }
                return true;
            }
            excuse = found;
        }
    }
    if (rule != NULL) {
        *rule = excuse == NULL ? NULL : mask_plain(excuse);
    }
    return false;
}
