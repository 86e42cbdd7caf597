/* mask.c -- see mask.h. Names here; shapes in mask_shapes.c. */

#include "plain/mask.h"

#include <stdlib.h>
#include <string.h>

/* A longer name is no name; what it holds is searched for shapes like any text. */
#define NAME_MAX_BYTES 256u

/* A word is kept twice in one allocation: `_word_`, so that a match is a match of whole
 * parts, and behind its NUL the word itself, for the rule that is shown. */
struct mask_words {
    char **words;
    size_t count;
};

struct kc_mask {
    struct mask_words secret;
    struct mask_words exceptions;
};

static void
mask_words_destroy(struct mask_words *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->words[i]);
    }
    free(list->words);
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
    if (list->words == NULL) {
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
        list->words[list->count++] = word;
    }
    return KC_OK;
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
mask_excuse(const struct kc_mask *mask, const char *parts, const char *start,
            const char *end)
{
    for (size_t i = 0; i < mask->exceptions.count; i++) {
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
    for (size_t i = 0; i < mask->secret.count; i++) {
        const char *word = mask->secret.words[i];
        size_t word_len = strlen(word);
        const char *at = strstr(parts, word);
        for (; at != NULL; at = strstr(at + 1, word)) {
            const char *found = mask_excuse(mask, parts, at, at + word_len);
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
