/* code_word.c -- see code_word.h. */

#include "trace/code_word.h"

static kc_code_word_forget forget_word;

#if KC_HAS_CODE_WATCHERS

#define SLOTS_INITIAL 1024u

static struct kc_code_word nothing[1]; /* one free slot: nobody is in it */
struct kc_code_words kc_code_words = {.slots = nothing};
static bool watching;

/* Take `code` out, and move back what was pushed on by it. */
static void
code_word_remove(size_t at)
{
    struct kc_code_word *slots = kc_code_words.slots;
    size_t mask = kc_code_words.mask;
    size_t hole = at;
    for (at = (at + 1) & mask; slots[at].code != NULL; at = (at + 1) & mask) {
        size_t home = kc_code_word_home(slots[at].code);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            slots[hole] = slots[at];
            hole = at;
        }
    }
    slots[hole] = (struct kc_code_word){NULL, 0};
    kc_code_words.count--;
}

static int
code_word_on_event(PyCodeEvent event, PyCodeObject *code)
{
    const struct kc_code_word *found = kc_code_word_find(code);
    if (event == PY_CODE_EVENT_DESTROY && found->code != NULL) {
        uint64_t word = found->word;
        code_word_remove((size_t)(found - kc_code_words.slots));
        forget_word(word);
    }
    return 0;
}

static int
code_word_grow(void)
{
    struct kc_code_words old = kc_code_words;
    size_t capacity = old.mask == 0 ? SLOTS_INITIAL : (old.mask + 1) * 2;
    struct kc_code_word *slots = PyMem_RawCalloc(capacity, sizeof *slots);
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    kc_code_words = (struct kc_code_words){slots, capacity - 1, old.count};
    for (size_t i = 0; i <= old.mask; i++) {
        if (old.slots[i].code != NULL) {
            size_t at = (size_t)(kc_code_word_find(old.slots[i].code) - slots);
            slots[at] = old.slots[i];
        }
    }
    if (old.slots != nothing) {
        PyMem_RawFree(old.slots);
    }
    return 0;
}

int
kc_code_word_begin(kc_code_word_forget forget)
{
    forget_word = forget;
    if (!watching && PyCode_AddWatcher(code_word_on_event) < 0) {
        return -1;
    }
    watching = true;
    return 0;
}

int
kc_code_word_set(PyCodeObject *code, uint64_t word)
{
    if (kc_code_word_find(code)->code == NULL) {
        if ((kc_code_words.count + 1) * 2 > kc_code_words.mask + 1 &&
            code_word_grow() < 0) {
            return -1;
        }
        kc_code_words.count++;
    }
    size_t at = (size_t)(kc_code_word_find(code) - kc_code_words.slots);
    kc_code_words.slots[at] = (struct kc_code_word){code, word};
    return 0;
}

#else

Py_ssize_t kc_code_word_index = -1;
static bool writing; /* that frees the word before, as the object's death does */

static void
code_word_on_death(void *extra)
{
    if (!writing) {
        forget_word((uint64_t)(uintptr_t)extra);
    }
}

int
kc_code_word_begin(kc_code_word_forget forget)
{
    forget_word = forget;
    if (kc_code_word_index < 0) {
        kc_code_word_index = kc_code_extra_request(code_word_on_death);
    }
    if (kc_code_word_index < 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "no code extra slot is left: too many tools use them");
        return -1;
    }
    return 0;
}

int
kc_code_word_set(PyCodeObject *code, uint64_t word)
{
    writing = true;
    int result = kc_code_extra_set(code, kc_code_word_index, (uintptr_t)word);
    writing = false;
    return result;
}

#endif
