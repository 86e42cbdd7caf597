/* verdict.c -- see verdict.h. */

#include "trace/verdict.h"

#include <string.h>

#include "trace/filter.h"
#include "trace/plugin.h"

#define CODES_INITIAL 256u
#define CODES_MOST (1u << 20) /* a program that makes code without end is cut off */

uint64_t kc_verdict_generation;
uint64_t kc_verdict_kept[(1u << KC_VERDICT_KEPT_SHIFT) / 64];
static struct kc_tracer *verdict_tracer;

/* Whether the word was made in this session, under these filters or earlier ones. */
static bool
verdict_is_of(const struct kc_tracer *tracer, uint64_t word)
{
    uint64_t age = (word & KC_VERDICT_GENERATION_MASK) - tracer->first_generation;
    uint64_t oldest = tracer->generation - tracer->first_generation;
    return (age & KC_VERDICT_GENERATION_MASK) <= (oldest & KC_VERDICT_GENERATION_MASK);
}

/* A code object dies: so does what we know of it. Its index is not used again, so that
 * no record can mean another function; the table grows by eight bytes. */
static void
verdict_forget(uint64_t word)
{
    struct kc_tracer *tracer = verdict_tracer;
    uint64_t index = word >> KC_VERDICT_INDEX_SHIFT;
    if (tracer == NULL || index == 0 || index >= tracer->code_count ||
        !verdict_is_of(tracer, word))
    {
        return;
    }
    kc_code_free(tracer->codes[index]);
    tracer->codes[index] = NULL;
}

/* Write the word; false, without an exception, where that fails. */
static bool
verdict_write(PyCodeObject *code, uint64_t word)
{
    if (kc_code_word_set(code, word) < 0) {
        PyErr_Clear();
        return false;
    }
    if (word >> KC_VERDICT_INDEX_SHIFT != 0) {
        uint32_t bit = kc_verdict_kept_bit(code);
        kc_verdict_kept[bit / 64] |= UINT64_C(1) << bit % 64;
    }
    return true;
}

int
kc_verdict_begin(void)
{
    return kc_code_word_begin(verdict_forget);
}

void
kc_verdict_use(struct kc_tracer *tracer)
{
    verdict_tracer = tracer;
    memset(kc_verdict_kept, 0, sizeof kc_verdict_kept);
}

uint64_t
kc_verdict_next_generation(void)
{
    do {
        kc_verdict_generation = (kc_verdict_generation + KC_VERDICT_GENERATION_STEP) &
                                KC_VERDICT_GENERATION_MASK;
    } while (kc_verdict_generation == 0); /* 0 is a code object never seen */
    return kc_verdict_generation;
}

/* An index for `about`; 0 without memory. */
static uint64_t
verdict_add_code(struct kc_tracer *tracer, struct kc_code *about)
{
    if (tracer->code_count >= CODES_MOST) {
        return 0;
    }
    if (tracer->code_count == tracer->code_capacity) {
        uint32_t capacity =
            tracer->code_capacity == 0 ? CODES_INITIAL : tracer->code_capacity * 2;
        struct kc_code **codes =
            PyMem_RawRealloc(tracer->codes, capacity * sizeof *codes);
        if (codes == NULL) {
            return 0;
        }
        tracer->codes = codes;
        tracer->code_capacity = capacity;
    }
    if (tracer->code_count == 0) {
        tracer->codes[tracer->code_count++] = NULL; /* index 0 is none */
    }
    tracer->codes[tracer->code_count] = about;
    return tracer->code_count++;
}

/* The index that `code` had under earlier filters of this session; 0 for none. */
static uint64_t
verdict_index_before(const struct kc_tracer *tracer, const PyCodeObject *code,
                     uint64_t word)
{
    uint64_t index = word >> KC_VERDICT_INDEX_SHIFT;
    bool known = index != 0 && index < tracer->code_count &&
                 verdict_is_of(tracer, word) && tracer->codes[index] != NULL &&
                 tracer->codes[index]->code == code;
    return known ? index : 0;
}

/* The definition of kept `code`; 0 where that fails. */
static uint64_t
verdict_define(struct kc_tracer *tracer, PyCodeObject *code,
               const struct kc_decision *decision)
{
    struct kc_definitions *definitions = tracer->session->definitions;
    struct kc_code_facts facts = {
        .file = kc_definitions_file(definitions, code->co_filename, decision->source),
        .code = code,
        .qualname = decision->qualname,
        .module = decision->module,
        .argument_count = kc_code_argument_count(code),
        .self_kind = kc_code_self_kind(code, decision->qualname),
    };
    return kc_definitions_code(definitions, &facts);
}

/* File what is known of `code`, which is kept or watched, in the place of what was
 * known under earlier filters (`before`, 0 for none); 0 where that fails. */
static uint64_t
verdict_file(struct kc_tracer *tracer, kc_frame *frame, PyCodeObject *code,
             const struct kc_decision *decision, uint64_t before)
{
    uint64_t number = 0;
    if (decision->keep_bits != 0) {
        number = verdict_define(tracer, code, decision);
        if (number == 0) {
            PyMem_RawFree(decision->watch.plugins);
            return 0;
        }
    }
    struct kc_code *about = kc_code_new(code, frame, number, &decision->rules,
                                        tracer->mask, &decision->watch);
    if (about != NULL && before != 0) {
        about->before = tracer->codes[before];
        tracer->codes[before] = about;
        return before;
    }
    uint64_t index = about != NULL ? verdict_add_code(tracer, about) : 0;
    if (index == 0) {
        kc_code_free(about);
    }
    return index;
}

/* Whether a call of `about` may be running, or waiting as a generator. */
static bool
verdict_is_running(const struct kc_session *session, const struct kc_code *about)
{
    for (const struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next)
    {
        if (kc_thread_is_busy(thread) || thread->pending_code == about) {
            return true;
        }
        for (uint32_t i = 0; i < thread->stack.depth; i++) {
            if (thread->stack.entries[i].code_object == about->code) {
                return true;
            }
        }
    }
    const struct kc_waiting_table *waiting = &session->waiting;
    for (uint32_t i = 0; i < waiting->capacity; i++) {
        if (waiting->slots[i].frame != NULL && waiting->slots[i].code == about->code) {
            return true;
        }
    }
    return false;
}

/* Code at `index` was kept under the filters before, and is not under these: the index
 * stays, and while calls of it run, their ends must be seen. Its part of the word. */
static uint64_t
verdict_end_running(const struct kc_tracer *tracer, uint64_t index)
{
    if (index == 0) {
        return 0;
    }
    uint64_t part = index << KC_VERDICT_INDEX_SHIFT;
    struct kc_code *about = tracer->codes[index];
    if (verdict_is_running(tracer->session, about)) {
        about->skipped = true;
        about->special = true;
        part |= KC_VERDICT_KEEP_MASK;
    }
    return part;
}

uint64_t
kc_verdict_decide(struct kc_tracer *tracer, kc_frame *frame, PyCodeObject *code)
{
    struct kc_exc pending = kc_exc_save();
    struct kc_decision decision;
    uint64_t word = tracer->generation;
    bool remember = true;
    kc_filter_decide(tracer, frame, code, &decision);
    /* The filter is Python: while it ran, another thread may have decided about the
     * same code, and be in a call of it. Its answer stays, or what it uses would be
     * freed. */
    uint64_t known = kc_verdict_probe(code);
    if (kc_verdict_is_current(tracer, known)) {
        PyMem_RawFree(decision.watch.plugins);
        kc_decision_clear(&decision);
        kc_exc_restore(pending);
        return known;
    }
    uint64_t before = verdict_index_before(tracer, code, known);
    bool watched = decision.watch.count != 0;
    if ((decision.keep_bits != 0 || watched) && tracer->session->open) {
        uint64_t index = verdict_file(tracer, frame, code, &decision, before);
        if (index != 0) {
            word |= decision.keep_bits | (watched ? KC_VERDICT_WATCHED : 0) |
                    index << KC_VERDICT_INDEX_SHIFT;
            tracer->kept_count += decision.keep_bits != 0;
            tracer->skipped_count += decision.keep_bits == 0;
        }
        else {
            kc_session_error(tracer->session, "a function could not be defined");
            remember = tracer->code_count >= CODES_MOST;
            tracer->session->lost_count++;
        }
    }
    else {
        PyMem_RawFree(decision.watch.plugins); /* the session has been closed */
        word |= verdict_end_running(tracer, before);
        tracer->skipped_count++;
    }
    kc_decision_clear(&decision);
    /* Without a block for the definition this call is lost, but not those to come. */
    if (remember && !verdict_write(code, word)) {
        word = tracer->generation; /* it cannot be remembered: leave it */
    }
    kc_exc_restore(pending);
    return word;
}

void
kc_verdict_skip(struct kc_tracer *tracer, PyCodeObject *code)
{
    uint64_t word = kc_verdict_probe(code);
    if (!kc_verdict_is_current(tracer, word) || (word & KC_VERDICT_KEEP_MASK) == 0) {
        return; /* not decided yet: the filter will say so */
    }
    struct kc_code *about = kc_verdict_code(tracer, word);
    if (about == NULL) {
        return;
    }
    /* Ends must still be seen where a call is running; else the hook need not look. */
    about->skipped = true;
    about->special = true;
    word &= ~KC_VERDICT_KEEP_MASK;
    if (!verdict_is_running(tracer->session, about)) {
        (void)verdict_write(code, word);
    }
}
