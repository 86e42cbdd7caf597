/* verdict.h -- keep or skip, once per code object, which has it until it dies.
 *
 * The code's word (code_word.h):
 *
 *     bits 0-7    a keep bit per filter set
 *     bit  8      plugins watch it
 *     bits 12-31  generation of the filter sets; another one: decide again
 *     bits 32-63  index of the kept code's struct kc_code, 0 for none
 *
 * Threads: GIL or lock.
 * Owns:    the word, and through it the struct kc_code, freed with the code object.
 * Fails:   a code object for which nothing can be decided is skipped.
 */

#ifndef KC_VERDICT_H
#define KC_VERDICT_H

#include "compat.h"

#include "trace/code_word.h"
#include "trace/tracer.h"

#define KC_VERDICT_KEEP_MASK UINT64_C(0xff)
#define KC_VERDICT_WATCHED ((uint64_t)KC_WATCHED_BIT)
#define KC_VERDICT_SEEN (KC_VERDICT_KEEP_MASK | KC_VERDICT_WATCHED)
#define KC_VERDICT_GENERATION_MASK UINT64_C(0xfffff000)
#define KC_VERDICT_GENERATION_STEP UINT64_C(0x1000)
#define KC_VERDICT_INDEX_SHIFT 32

/* The generation of the active tracer, for the hook: it asks at every event, and finds
 * it without going through the thread. */
extern uint64_t kc_verdict_generation;

/* Which code objects have had a struct kc_code in this session, by their addresses: a
 * bit for each, which others may share. Small enough to stay in the processor's cache,
 * which the table of words is not. */
#define KC_VERDICT_KEPT_SHIFT 12
extern uint64_t kc_verdict_kept[(1u << KC_VERDICT_KEPT_SHIFT) / 64];

static inline uint32_t
kc_verdict_kept_bit(const PyCodeObject *code)
{
    uint64_t spread = (uint64_t)(uintptr_t)code * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(spread >> (64 - KC_VERDICT_KEPT_SHIFT));
}

/* False: no call of `code` can be on a stack of ours, or wait. */
static inline bool
kc_verdict_may_be_kept(const PyCodeObject *code)
{
    uint32_t bit = kc_verdict_kept_bit(code);
    return ((kc_verdict_kept[bit / 64] >> bit % 64) & 1) != 0;
}

/* Look the word up. No allocation, no Python, no lock. */
static inline uint64_t
kc_verdict_probe(PyCodeObject *code)
{
    return kc_code_word_get(code);
}

/* Whether the word says, for the active tracer, that no filter set keeps the code, and
 * no plugin watches it. */
static inline bool
kc_verdict_skips(uint64_t word)
{
    return (word & (KC_VERDICT_GENERATION_MASK | KC_VERDICT_SEEN)) ==
           kc_verdict_generation;
}

static inline bool
kc_verdict_is_current(const struct kc_tracer *tracer, uint64_t word)
{
    return (word & KC_VERDICT_GENERATION_MASK) == tracer->generation;
}

static inline struct kc_code *
kc_verdict_code(const struct kc_tracer *tracer, uint64_t word)
{
    return tracer->codes[word >> KC_VERDICT_INDEX_SHIFT];
}

/* Ask the filter, remember the answer. Runs once per code object, and Python in it. */
KC_COLD uint64_t kc_verdict_decide(struct kc_tracer *tracer, kc_frame *frame,
                                   PyCodeObject *code);

/* The program wants no further call of `code` recorded. Calls that run end as they
 * would have. */
void kc_verdict_skip(struct kc_tracer *tracer, PyCodeObject *code);

/* Before the first session, and any number of times; -1 with an exception. */
int kc_verdict_begin(void);

/* The tracer whose code objects are freed with theirs; NULL when it is over. */
void kc_verdict_use(struct kc_tracer *tracer);

/* A generation that no word has yet: that of the active tracer from now on. */
uint64_t kc_verdict_next_generation(void);

#endif
