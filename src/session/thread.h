/* thread.h -- what one thread of the program has while it is traced.
 *
 * A ThreadObject leads to the thread's state. With setprofile it is the profile
 * function's object, so that no look-up is needed; other hooks keep it in the thread
 * state's dict, and find the running thread's state by kc_thread_borrow_own(). Its
 * deallocation tells that the thread has ended, or that another profiler took our
 * place; the state stays with the session until it is known which
 * (kc_session_adopt_threads()).
 *
 * Threads: a kc_thread is used by its own thread, or by any that holds the GIL while
 *          `guard` is free.
 * Owns:    the streams with the blocks they fill, the stack.
 * Fails:   as each function says.
 */

#ifndef KC_THREAD_H
#define KC_THREAD_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "plain/stream.h"
#include "session/stack.h"

struct kc_session;
struct kc_trace;
struct kc_tracer; /* trace/tracer.h */

enum kc_guard {
    KC_GUARD_FREE = 0,
    KC_GUARD_RECORD = 1, /* the thread itself is in one of our functions */
    KC_GUARD_COLLECTOR = 2,
    KC_GUARD_FLUSH = 3 /* any thread hands over its blocks, perhaps without the GIL */
};

/* A stream, and what the tracer knows of it beside what the wire needs. */
struct kc_thread_stream {
    struct kc_stream stream;
    struct kc_trace *trace;
    uint64_t task;         /* the last TASK record's */
    uint64_t lost_pending; /* records lost since the last LOST mark */
    uint32_t other_nodes;  /* in the block that is being filled: nodes but no calls */
    uint64_t lost_told;    /* by the LOST marks in the block that is being filled */
    struct kc_thread_stream *next;
};

/* A call that was left by an exception whose type CPython did not tell (3.10, 3.11). */
struct kc_unknown {
    PyFrameObject *frame; /* borrowed, compared only */
    PyCodeObject *code;   /* borrowed, compared only */
    struct kc_thread_stream *stream;
    uint64_t node;
};

#define KC_UNKNOWN_MOST 64u

/* In wanted_bits and in a code object's word (trace/verdict.h): plugins watch it. */
#define KC_WATCHED_BIT 0x100u

/* What waits for an exception that may follow, and what it is when none does. */
enum kc_pending {
    KC_PENDING_NONE = 0,
    KC_PENDING_UNWIND = 1, /* an exit by exception: of unknown type */
    KC_PENDING_THROW = 2,  /* an entry by throw(): of unknown type */
    KC_PENDING_RESUME = 3, /* an entry: not by throw() */
    KC_PENDING_YIELD = 4   /* a suspension with None (3.12): not an exception */
};

struct kc_thread {
    struct kc_session *session;
    struct kc_tracer *tracer;
    PyThreadState *tstate; /* compared when `attached` is false: it may be gone */
    uint64_t tstate_id;
    uint32_t number;
    uint8_t guard;        /* enum kc_guard */
    uint8_t keep_bits;    /* the filter set of the current trace, 0 outside */
    uint32_t wanted_bits; /* the same and, unless paused, that of watched code */
    bool attached;
    bool displaced; /* the blind time that has just ended is to be told */
    bool ended;     /* its state is being cleared, or gone: then this is used again */
    bool waiting;   /* for another thread that hands over our blocks */
    bool missed;    /* waited in vain: ends of calls may not have been seen */
    bool writing;   /* a record is being written: its block must stay where it is */
    bool handling;  /* a plugin's handler runs: it may leave records without a frame */
    bool announced; /* its definition is written */
    uint64_t detached_ns;

    uint64_t context_ver; /* of the thread state, when scope was last looked up */
    uint64_t scope_generation;
    struct kc_thread_stream *stream; /* of the current trace; NULL outside */
    bool paused;                     /* outside, because the program said so */
    uint64_t task;
    uint64_t greenlet; /* that the calls of the stack are of; 0: the thread's first */

    struct kc_stack stack;
    uint32_t depth_limit; /* calls are not recorded at this depth of the stack */
    struct kc_thread_stream *streams;

    uint8_t
        pending; /* enum kc_pending: an exit or entry that waits for its exception */
    uint64_t pending_ns;
    uint64_t pending_offset;      /* where the code stood: a generator may go on */
    PyFrameObject *pending_frame; /* strong: its end may come unseen */
    const kc_frame *pending_at;   /* where it was then */
    struct kc_code *pending_code;

    struct kc_unknown unknown[KC_UNKNOWN_MOST];
    uint32_t unknown_count;

    PyObject *object; /* its ThreadObject, borrowed; NULL where there is none */
    Py_tracefunc previous_func; /* what was there before us, to be put back */
    PyObject *previous_object;
    uint32_t sample;  /* of events, for the estimate of our own cost */
    uint64_t cold_ns; /* spent in this event on what is measured each time */
    struct kc_thread *next;
};

typedef struct {
    PyObject_HEAD
    struct kc_thread *thread; /* NULL once the session is over */
} ThreadObject;

extern PyType_Spec kc_thread_type_spec;

/* `cost_ns` of our own time has passed on `thread`. */
void kc_thread_count_own(struct kc_thread *thread, uint64_t cost_ns);

/* The state of a thread, in the session's list (that of a thread that is gone is used
 * again); NULL without memory. */
struct kc_thread *kc_thread_new(struct kc_session *session, PyThreadState *tstate);

/* The state that `tstate` has in `session`; NULL where it has none. */
struct kc_thread *kc_thread_find(struct kc_session *session, PyThreadState *tstate);

/* The running thread's state, borrowed; NULL where it is not recorded. With a hook that
 * has no object of ours at hand a new thread gets its state here. */
struct kc_thread *kc_thread_borrow_own(struct kc_session *session,
                                       PyThreadState *tstate);

/* Take our object out of the thread state's dict. */
void kc_thread_detach(struct kc_thread *thread, PyThreadState *tstate);

/* Give back the blocks to the pool without saving, and all memory. */
void kc_thread_free(struct kc_thread *thread);

/* Its block is gone, and nothing of its thread points to it. */
void kc_thread_free_stream(struct kc_thread_stream *stream);

/* The stream of `trace` on this thread, made if need be; NULL without memory. */
struct kc_thread_stream *kc_thread_stream_of(struct kc_thread *thread,
                                             struct kc_trace *trace);

/* Hand over the stream's block, if it has one, and give it another. False where none is
 * to be had (the overflow policy waited as long as it may): the record is lost. Lets go
 * of the GIL while it waits.
 * `now_ns` is the time of the record that it is for: waiting does not make it later. */
KC_COLD bool kc_thread_next_block(struct kc_thread *thread,
                                  struct kc_thread_stream *stream, uint64_t now_ns);

/* The guard for handing over the thread's blocks, or writing in its stead. */
static inline uint8_t
kc_thread_guard_for_flush(const struct kc_thread *thread)
{
    return thread->tstate == PyThreadState_Get() ? KC_GUARD_RECORD : KC_GUARD_FLUSH;
}

/* Nothing waits for its exception any more. */
void kc_thread_clear_pending(struct kc_thread *thread);

/* Hand over the blocks of all streams of the thread, full or not. Lets go of the GIL:
 * `guard` must be up, so that the streams stay. */
void kc_thread_flush(struct kc_thread *thread);
void kc_thread_flush_stream(struct kc_thread *thread, struct kc_thread_stream *stream);

/* Whether the thread is in the middle of something that may hold its streams and its
 * stack: other than the running one, while its guard is up. */
bool kc_thread_is_busy(const struct kc_thread *thread);

/* Count a lost record of `stream`. */
void kc_thread_lose(struct kc_thread *thread, struct kc_thread_stream *stream);

#endif
