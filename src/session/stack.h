/* stack.h -- the kept calls that are open on a thread, and the generators that wait.
 *
 * An entry knows its frame, so that the frame of the nearest kept caller can be asked
 * where it stands without walking the interpreter's frames. It is the interpreter's own
 * frame, borrowed: it stays in its place until the call's end, which the hook reports
 * before the frame is cleared. After a blind time, in which ends were not reported, the
 * stack is cut to what still runs before anything is read (kc_session_adopt_threads()).
 *
 * A generator that yields leaves the stack and waits in a table keyed by its frame. So
 * does every call of a greenlet while another one runs.
 *
 * Threads: the stack by its own thread; the table under the GIL or `lock`.
 * Owns:    no reference to a frame. Those of waiting generators are compared, never
 *          read. What plugins' handlers gave; where that is let go of, their code may
 *          run: where that must not be, kc_thread_drop() puts it aside.
 * Fails:   by false, when memory is refused.
 */

#ifndef KC_STACK_H
#define KC_STACK_H

#include "compat.h"

#include <stdbool.h>
#include <stdint.h>

#include "plain/stream.h"

struct kc_code;          /* trace/code.h */
struct kc_plugin;        /* trace/plugin.h */
struct kc_thread_stream; /* session/thread.h */

/* The sequence of a call that is in no block yet. */
#define KC_OPEN_NOWHERE UINT64_MAX

struct kc_entry {
    kc_frame *frame; /* borrowed; NULL where it is no caller: a region, a plugin's
                        node, a silent call */
    PyCodeObject *code_object;       /* borrowed: the frame holds it … */
    struct kc_code *code;            /* … and this lives as long as it does */
    struct kc_thread_stream *stream; /* whose stream has the call */
    struct kc_open open;
    uint64_t began; /* sequence of the block with its first record */
    union {
        uint64_t flags; /* all of them */
        struct {
            bool unwritten; /* the record of its beginning was lost: so is its end */
            bool counted;   /* past the trace's limit: no record, `began` is its start
                               in ns */
            bool foreign;   /* its node belongs to another stream, `foreign_thread`'s */
            bool found;     /* its frame still runs, after a blind time */
            bool special; /* its end is more than one record: a boundary, or watched */
            uint8_t plugin_count; /* so many entries below it are its plugins' nodes */
        };
    };
    uint32_t foreign_thread;
    uint32_t depth_limit;     /* the thread's, before this call set its own */
    uint32_t boundary;        /* number of the trace that this call opened; 0: none */
    uint32_t outer;           /* the scope around it */
    struct kc_plugin *plugin; /* of a plugin's node: borrowed */
    union {
        PyObject *started;      /* of a plugin's node: what its handler gave, or NULL */
        kc_frame *silent_frame; /* of a call that is watched, and not recorded itself */
    };
};

/* One of `stream`, with no frame yet. Field by field: clearing it as a whole takes a
 * call that is kept longer than all else here. */
static inline void
kc_entry_init(struct kc_entry *entry, struct kc_thread_stream *stream,
              uint32_t depth_limit)
{
    entry->frame = NULL;
    entry->code_object = NULL;
    entry->code = NULL;
    entry->stream = stream;
    entry->open.node = 0;
    entry->open.sequence = KC_OPEN_NOWHERE;
    entry->began = 0;
    entry->flags = 0;
    entry->foreign_thread = 0;
    entry->depth_limit = depth_limit;
    entry->boundary = 0;
    entry->outer = 0;
    entry->plugin = NULL;
    entry->started = NULL;
}

/* The frame of a call, recorded or silent; NULL for all others. */
static inline kc_frame *
kc_entry_frame(const struct kc_entry *entry)
{
    return entry->frame != NULL || entry->plugin != NULL ? entry->frame
                                                         : entry->silent_frame;
}

static inline bool
kc_entry_is_silent(const struct kc_entry *entry)
{
    return entry->frame == NULL && entry->plugin == NULL && entry->silent_frame != NULL;
}

struct kc_stack {
    struct kc_entry *entries;
    uint32_t depth;
    uint32_t capacity;
};

void kc_stack_destroy(struct kc_stack *stack);

KC_COLD bool kc_stack_grow(struct kc_stack *stack);

/* Room for one more entry, which the caller fills; NULL without memory. */
static inline struct kc_entry *
kc_stack_push(struct kc_stack *stack)
{
    if (KC_UNLIKELY(stack->depth == stack->capacity) && !kc_stack_grow(stack)) {
        return NULL;
    }
    return &stack->entries[stack->depth++];
}

static inline struct kc_entry *
kc_stack_top(struct kc_stack *stack)
{
    return stack->depth != 0 ? &stack->entries[stack->depth - 1] : NULL;
}

/* A plugin's node of a generator that has yielded. */
struct kc_waiting_plugin {
    struct kc_plugin *plugin; /* borrowed */
    PyObject *started;        /* or NULL */
    uint64_t node;
    uint64_t began;
    uint32_t thread_number;
    bool unwritten;
};

/* Those of one generator; made by kc_plugin_suspend(), freed by whoever takes it out.
 */
struct kc_waiting_plugins {
    uint32_t count;
    struct kc_waiting_plugin nodes[];
};

void kc_waiting_plugins_free(struct kc_waiting_plugins *plugins);

/* A generator that has yielded. */
struct kc_waiting {
    kc_frame *frame;    /* borrowed, compared only */
    PyCodeObject *code; /* borrowed, compared only */
    uint32_t trace_number;
    uint32_t thread_number;
    uint64_t node;
    uint64_t began;
    uint32_t boundary;
    uint32_t outer;
    bool unwritten;
    bool paused;   /* a boundary that was suspended within a pause */
    bool silent;   /* it is watched, and not recorded itself */
    bool switched; /* any call: another greenlet runs */
    struct kc_waiting_plugins *plugins; /* or NULL */
};

struct kc_waiting_table {
    struct kc_waiting *slots; /* open addressing, a power of two */
    uint32_t capacity;
    uint32_t count;
};

void kc_waiting_destroy(struct kc_waiting_table *table);

/* Remember `waiting`; one with the same frame is replaced. False without memory, or
 * with KC_WAITING_MOST generators waiting. The table owns its plugins if true. */
bool kc_waiting_add(struct kc_waiting_table *table, const struct kc_waiting *waiting);

/* Take the generator of `frame` out into *waiting; false where there is none. Its
 * plugins are the caller's then. */
bool kc_waiting_take(struct kc_waiting_table *table, kc_frame *frame,
                     PyCodeObject *code, struct kc_waiting *waiting);

/* The generator of `frame`, borrowed until the table changes; NULL where there is none.
 */
const struct kc_waiting *kc_waiting_borrow(const struct kc_waiting_table *table,
                                           const kc_frame *frame,
                                           const PyCodeObject *code);

#define KC_WAITING_MOST (1u << 20)

#endif
