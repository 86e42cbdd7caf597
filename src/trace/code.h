/* code.h -- what the tracer knows of a kept code object.
 *
 * Made once, when the verdict is KEEP; found by the index in the code's word;
 * freed with the code object.
 *
 * Threads: GIL or lock.
 * Owns:    its tables; the code object is borrowed (it owns us, by its word).
 * Fails:   NULL, with no exception set: the code is skipped and counted.
 */

#ifndef KC_CODE_H
#define KC_CODE_H

#include "compat.h"

#include <stdbool.h>
#include <stdint.h>

#include "trace/value.h"

/* What an instruction is, for the question how a call ended or began. */
enum kc_exit {
    KC_EXIT_OTHER = 0,
    KC_EXIT_YIELD = 1,    /* leaving here suspends */
    KC_EXIT_RETURN = 2,   /* leaving here returns */
    KC_EXIT_START = 4,    /* entering here is a fresh start */
    KC_EXIT_RESUME = 8,   /* entering here goes on; leaving here suspends (3.13) */
    KC_EXIT_HANDLER = 16, /* an except, finally or with takes an exception up here */
    KC_EXIT_CLEANUP = 32  /* one that leaves such a part comes by here */
};

enum kc_argument {
    KC_ARGUMENT_PLAIN = 0,
    KC_ARGUMENT_SECRET = 1,
    KC_ARGUMENT_SELF = 2,
    KC_ARGUMENT_CELL = 4, /* the slot holds a cell: captured by a closure */
    KC_ARGUMENT_OUTER = 8 /* a name of the function around a class body */
};

enum kc_locals { KC_LOCALS_NONE = 0, KC_LOCALS_RAISE = 1, KC_LOCALS_ALL = 2 };

struct kc_slot {
    int index;
    uint8_t flags; /* enum kc_argument */
};

struct kc_code {
    uint64_t number; /* of its definition */
    PyCodeObject *code;
    bool suspends;      /* generator, coroutine, async generator */
    bool values;        /* false: arguments, results and locals are not written */
    bool secret;        /* a rule masks every value of it */
    bool secret_result; /* the function's name says that its result is one */
    bool secret_slots;  /* one of `slots` has a secret name */
    bool simple;        /* no argument asks for more than its value */
    bool simple_result; /* nor does the result, and no local goes with it */
    uint8_t self_kind;  /* 1: the first argument is self, 2: cls */
    uint8_t locals;
    bool shallow;         /* nothing below it is recorded */
    bool boundary;        /* each call is a trace of its own */
    bool skipped;         /* the program asked for it while calls of it were running */
    bool special;         /* suspends, is a boundary, watched, or skipped */
    uint8_t plugin_count; /* that watch it */
    struct kc_plugin **plugins; /* borrowed, in an array of its own */
    uint32_t max_depth;
    int argument_count;
    int slot_count;
    struct kc_slot *slots; /* arguments first, then locals */
    uint8_t *exits;        /* enum kc_exit by instruction; NULL where not needed yet */
    int exit_count;
    int start_at;                     /* the first instruction that is a start */
    struct kc_value_options *options; /* NULL: the session's */
    struct kc_value_options own_options;
    uint32_t truncated_run; /* records in a row that hit the budget */
    uint64_t call_count;    /* recorded so far */
    bool counted;           /* past the trace's limit: counts instead of records */
    uint64_t counted_calls; /* since the last COUNTED mark */
    uint64_t counted_ns;
    struct kc_code *before; /* the same under earlier filters: calls may still run */
};

/* What the rules say of one function; from the filter's decision. */
struct kc_code_rules {
    bool values;
    bool shallow;
    bool boundary;
    uint8_t locals;
    uint32_t max_depth;
    bool has_options;
    struct kc_value_options options;
    PyObject *secret_names; /* tuple of str or NULL: masked in this function too */
};

/* The plugins that watch a code object. */
struct kc_code_watch {
    uint8_t count;
    struct kc_plugin **plugins; /* PyMem_Raw; kc_code_new() takes it, or frees it */
};

/* `frame` is a running frame of `code`; `number` its definition, 0 where its calls are
 * shown to plugins alone. */
struct kc_code *kc_code_new(PyCodeObject *code, kc_frame *frame, uint64_t number,
                            const struct kc_code_rules *rules,
                            const struct kc_mask *mask,
                            const struct kc_code_watch *watch);
void kc_code_free(struct kc_code *code);

/* Module and qualified name of the function that `frame` runs: new references (module
 * may be NULL). On 3.10, where code has no qualified name, methods are found through
 * the type of their first argument. Runs no user code. */
void kc_code_names(PyCodeObject *code, kc_frame *frame, PyObject **module,
                   PyObject **qualname);

/* The most arguments that a simple call has. */
#define KC_SIMPLE_ARGUMENTS 8

int kc_code_argument_count(const PyCodeObject *code);

/* 0: no self; 1: self; 2: cls. By the first argument's name and the function's place.
 */
int kc_code_self_kind(const PyCodeObject *code, PyObject *qualname);

/* Whether a generator that stands at `lasti` has yet to run its first instruction. */
static inline bool
kc_code_is_fresh(const struct kc_code *code, int lasti)
{
    return lasti < 0 || lasti < code->start_at;
}

/* The same bits where `exits` was not needed until now. */
KC_COLD unsigned kc_code_handler_at(struct kc_code *code, int at);

/* The bits of enum kc_exit for the instruction at `lasti`. */
static inline unsigned
kc_code_exit_at(const struct kc_code *code, int lasti)
{
    if (code->exits == NULL || lasti < 0 || lasti >= code->exit_count) {
        return KC_EXIT_OTHER;
    }
    return code->exits[lasti];
}

#endif
