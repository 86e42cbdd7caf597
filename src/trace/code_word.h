/* code_word.h -- one word for a code object, gone when that dies.
 *
 * On 3.10 and 3.11 it is an extra of the code object. A program can tell those: by the
 * object's size, and from 3.14 on by what another interpreter refuses to be sent. From
 * 3.12 on a watcher tells of deaths, and the words are in a table of ours instead, by
 * address: open addressing, at most half full, nothing in it that is dead.
 *
 * Threads: GIL or lock.
 * Owns:    the table, which stays until the process ends, as the words do.
 * Fails:   kc_code_word_begin() with an exception; kc_code_word_set() likewise.
 */

#ifndef KC_CODE_WORD_H
#define KC_CODE_WORD_H

#include "compat.h"

/* Told of the word of a code object that dies. */
typedef void (*kc_code_word_forget)(uint64_t word);

/* Before all else, and any number of times; -1 with an exception. */
int kc_code_word_begin(kc_code_word_forget forget);

/* Write the word of `code`, which is not 0; -1 with an exception. */
int kc_code_word_set(PyCodeObject *code, uint64_t word);

#if KC_HAS_CODE_WATCHERS

struct kc_code_word {
    const PyCodeObject *code; /* borrowed while it lives; NULL: free */
    uint64_t word;
};

/* The slots, as many as `mask` and one, a power of two. */
struct kc_code_words {
    struct kc_code_word *slots;
    size_t mask;
    size_t count;
};

extern struct kc_code_words kc_code_words;

/* Where `code` is, or the next one free if nobody is there. */
static inline size_t
kc_code_word_home(const PyCodeObject *code)
{
    uint64_t spread = (uint64_t)(uintptr_t)code * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(spread >> 32) & kc_code_words.mask;
}

static inline const struct kc_code_word *
kc_code_word_find(const PyCodeObject *code)
{
    size_t at = kc_code_word_home(code);
    while (kc_code_words.slots[at].code != code && kc_code_words.slots[at].code != NULL)
    {
        at = (at + 1) & kc_code_words.mask;
    }
    return &kc_code_words.slots[at];
}

/* The word of `code`; 0 for none. No allocation, no Python, no lock. */
static inline uint64_t
kc_code_word_get(const PyCodeObject *code)
{
    return kc_code_word_find(code)->word; /* a free slot has 0 */
}

#else

extern Py_ssize_t kc_code_word_index;

static inline uint64_t
kc_code_word_get(PyCodeObject *code)
{
    return (uint64_t)kc_code_extra_get(code, kc_code_word_index);
}

#endif

#endif
