/* session.h -- the live act of tracing: one a process.
 *
 * Holds what tracer and collectors share: mapping and pool, queue, writer, definitions,
 * threads, traces. The writer thread is started by the first block that is handed over,
 * stopped before a fork and at the end.
 *
 * Threads: GIL or lock, but for what the plain part guards itself.
 * Owns:    all of it, from kc_session_open() to kc_session_close().
 * Fails:   -1 with a Python exception set.
 */

#ifndef KC_SESSION_H
#define KC_SESSION_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "plain/mapping.h"
#include "plain/queue.h"
#include "plain/writer.h"
#include "session/definitions.h"
#include "session/thread.h"

#define KC_TRACES_MOST 256u   /* open at the same time */
#define KC_FILTER_SETS_MOST 8 /* a bit of the verdict for each */

struct kc_trace {
    bool open;
    bool announced;   /* its row's definition is written */
    bool held;        /* whether it is stored is decided at its end */
    bool named;       /* it is held, and the mapping knows its name (held.c) */
    bool dropped;     /* it is not to be stored: its blocks go nowhere */
    bool handed_over; /* a block of it, to the writer … */
    uint64_t handed_over_segment; /* … which filled this segment then */
    bool limited;                 /* near max_trace_bytes: values stop */
    uint64_t count_above;  /* past it: functions with more calls are counted; 0: none */
    uint32_t limit_marked; /* the level that the last LIMIT mark told */
    uint8_t keep_bit;      /* of its filter set */
    uint32_t number;       /* 0: the slot is free */
    uint32_t opener;       /* 0, or a plugin's index and 1 (boundary_simple.h) */
    uint64_t generation;
    char id[40];
    char kind[24];
    PyObject *name;
    PyObject *parent;     /* str or NULL */
    PyObject *attributes; /* JSON text */
    uint64_t started_ns;
    uint64_t started_utc_ns;
    uint64_t ended_ns; /* 0: it runs, or ends when it is decided */
    uint64_t call_count;
    uint64_t record_count;
    uint64_t byte_count;
    uint64_t lost_count;
    uint64_t error_count;
    uint64_t own_ns;           /* our time in its calls */
    uint64_t masked_count;     /* of values: those that are settled with it … */
    uint64_t truncated_count;  /* … (kc_values_settle()) */
    uint64_t waited_before_ns; /* the session's, when it began */
    uint64_t errors_before;
    uint64_t blind_before;
    uint64_t writer_before_ns;
    const struct kc_thread *last_thread;  /* that asked for its stream … */
    struct kc_thread_stream *last_stream; /* … which is this; NULL: unknown */
};

/* What stood on a stack and has ended unseen, where no Python may run. */
struct kc_aside {
    PyObject *started; /* or NULL */
    uint32_t boundary; /* a trace that is to be ended; 0: none */
};

struct kc_session_options {
    const char *directory; /* of the segments */
    const char *process_id;
    const char *schema;
    const char *info; /* JSON of the process row */
    int schema_version;
    int compress;
    uint64_t segment_max_bytes;
    uint64_t free_disk_min_bytes;
    uint64_t max_trace_bytes;
    uint64_t wait_max_ns;
    bool drop;  /* overflow = "drop" */
    bool later; /* make no file before something is kept */
};

struct kc_session {
    struct kc_mapping mapping;
    struct kc_queue queue;
    struct kc_writer writer;
    struct kc_definitions *definitions;
    bool mapping_ready;
    bool queue_ready;
    bool writer_ready;
    bool writer_started;
    bool open;
    bool opened;  /* its process row is in the store */
    bool refused; /* it was to be put there when something was kept, and could not … */
    uint64_t retry_ns; /* … so it is not tried again before */
    bool saved;     /* all that there was has been saved: nothing is to be recovered */
    bool attaching; /* threads without a profile function get ours */
    bool new_threads; /* those that begin later are recorded too */
    bool forking;     /* until the fork is over no writer is started */
    bool dead;        /* in the child of a fork: nothing of it may be touched */
    bool drop;

    char *strings[4]; /* copies of directory, process id, schema, info */
    uint64_t started_ns;
    uint64_t started_utc_ns;
    uint64_t forked_ns; /* when it last forked */
    uint64_t max_trace_bytes;
    uint64_t wait_max_ns;
    uint64_t wait_left_ns; /* budget of overflow = "wait" */
    uint64_t waited_ns;
    uint64_t own_ns; /* estimate of our time in the program's threads */
    uint64_t lost_count;
    uint64_t error_count;
    uint64_t blind_count;
    int mapping_reason; /* errno: why the mapping is not a shared file */
    char error_text[256];

    struct kc_thread *threads;
    uint32_t thread_count; /* numbers given so far */
    struct kc_trace traces[KC_TRACES_MOST];
    uint32_t trace_numbers[KC_TRACES_MOST]; /* theirs, close together for a search */
    uint32_t trace_count;                   /* numbers given so far */
    struct kc_trace ended;   /* of streams that could not be let go with their trace */
    struct kc_trace dropped; /* the same, where the trace is not to be stored */
    struct kc_block *held;   /* names of the held traces; NULL where none has one */
    struct kc_trace *process_trace; /* scope of everything that has no other; or NULL */
    struct kc_trace *default_trace; /* instead of it, for a time: a test's; or NULL */
    uint64_t scope_generation;
    PyObject *scope_variable; /* ContextVar: number of the slot in `traces` */
    PyObject *when_forked;    /* (): in the child of a fork, once Python runs */
    PyObject *current_task;   /* asyncio.current_task, once asyncio is loaded */
    PyObject *running_loop;   /* asyncio._get_running_loop */
    PyObject *tasks;          /* dict: address of a task -> (weakref, number) */
    PyObject *last_task;      /* the value in it that was looked up last, or NULL */
    PyObject *asyncio_name;   /* of the modules that are looked for at each switch */
    PyObject *greenlet_name;
    PyObject *current_greenlet; /* greenlet.getcurrent, once greenlet is loaded */
    PyObject *greenlet_type;
    PyObject *greenlet_parent; /* the descriptor: the first of a thread has none */
    uint32_t greenlet_count;   /* defined so far */
    struct kc_waiting_table waiting;
    struct kc_aside *aside; /* see kc_session_put_aside() */
    uint32_t aside_count;
    uint32_t aside_capacity;
    void (*end_boundary)(struct kc_session *session, uint32_t number);
    /* The trace for what comes after the end of trace `number`; 0: the process's. */
    uint32_t (*find_late)(struct kc_session *session, uint32_t number);
    /* Another greenlet is about to run on the thread (the calls on the stack wait), or
     * does (its own go on). */
    void (*leave_greenlet)(struct kc_thread *thread);
    void (*enter_greenlet)(struct kc_thread *thread);
    PyTypeObject *thread_type;
    Py_tracefunc hook; /* the profile function; NULL with another hook */
    struct kc_tracer *tracer;
};

int kc_session_open(struct kc_session *session,
                    const struct kc_session_options *options);

/* End everything: hand over all blocks, save them until `deadline_ns`, close the files.
 */
int kc_session_close(struct kc_session *session, const char *cause,
                     uint64_t deadline_ns);

/* Release what close left (also after a failed open). */
void kc_session_destroy(struct kc_session *session);

/* Start a trace; NULL with an exception set. `name` and `attributes` are borrowed. */
struct kc_trace *kc_session_begin_trace(struct kc_session *session, const char *id,
                                        const char *kind, PyObject *name,
                                        PyObject *parent, PyObject *attributes);

/* The one with this number, which has not ended; NULL where there is none. */
struct kc_trace *kc_session_find_trace(struct kc_session *session,
                                       unsigned long number);

/* Write the trace's definition, if that has not been done. False when it cannot be. */
bool kc_session_announce(struct kc_session *session, struct kc_trace *trace);

/* The facts of `trace` as its definitions have them, borrowed. */
struct kc_trace_facts kc_session_trace_facts(const struct kc_trace *trace);

/* Let the mapping know the names of the held traces as they are now. False where one
 * that was announced could not be written there. */
bool kc_session_name_held(struct kc_session *session);

/* `trace` is to be stored: it is not held any more. */
void kc_session_keep_held(struct kc_session *session, struct kc_trace *trace);

/* Delete, or keep from being written, what the writer has got of trace `number`.
 * `segment` is the first that may have blocks of it. */
void kc_session_drop_blocks(struct kc_session *session, uint32_t number,
                            uint64_t segment);

/* From now on `trace` has this name and these attributes, after a death too. False
 * where no block is to be had for it. */
bool kc_session_set_trace(struct kc_session *session, struct kc_trace *trace,
                          PyObject *name, PyObject *attributes);

/* `trace` is over, though whether it is stored is not decided: nothing more comes to
 * it, and kc_session_end_trace() will say that it ended now. */
void kc_session_close_trace(struct kc_session *session, struct kc_trace *trace);

/* End `trace`, whose streams were flushed and which is not held: write its TRACE_END.
 * `counters` is JSON. */
void kc_session_end_trace(struct kc_session *session, struct kc_trace *trace,
                          const char *cause, const char *counters);

/* End `trace`, which is held, and store nothing of it. What other traces use stays. */
void kc_session_drop_trace(struct kc_session *session, struct kc_trace *trace);

/* Attach the threads that have no profile function; tell those that were displaced from
 * those that ended. */
void kc_session_adopt_threads(struct kc_session *session);

/* Attach `tstate`; -1 with an exception set. */
int kc_session_attach(struct kc_session *session, PyThreadState *tstate);

/* A thread's object was let go of: another profiler took our place, or the thread
 * ended. Where it was a profiler, its leaving will be noticed (an audit hook), and the
 * thread be attached again. Called without anything that may be waited for. */
KC_COLD void kc_session_watch_displaced(void);

/* Ends of calls were missed on the running thread, which could not wait for its blocks:
 * drop from its stack what does not run any more, before a frame is read. */
KC_COLD void kc_session_cut_missed(struct kc_thread *thread);

/* This thread's profile function has been put back by the program, by way of our
 * object: attach it as before. `event` of `frame` is the first that it sees. */
KC_COLD void kc_session_attach_again(PyFrameObject *frame, const char *event);

/* An entry leaves its stack without the end of its call having been seen: keep what
 * takes Python to be let go of, until the next look at a scope. */
KC_COLD void kc_session_put_aside(struct kc_session *session,
                                  const struct kc_entry *entry);

/* Let go of it: Python runs. */
KC_COLD void kc_session_reap(struct kc_session *session);

/* Detach every thread of ours, and put back what was there. */
void kc_session_detach_all(struct kc_session *session);

/* Where `trace` stands against max_trace_bytes: sets `limited` and `count_above`. */
KC_COLD void kc_session_check_limit(struct kc_session *session, struct kc_trace *trace);

/* Wait, `most_ns` at the most, until no other thread is in the middle of a record or a
 * handler (for that not beyond the budget of overflow = "wait"); with `trace` only of
 * those that have a stream of it. Lets go of the GIL. */
void kc_session_quiesce(struct kc_session *session, const struct kc_trace *trace,
                        uint64_t most_ns);

/* Hand over the blocks that `trace` has in threads that are not busy, or soon are not:
 * a worker may be in its last step when who waited for it ends the trace. Lets go of
 * the GIL: false where another thread has closed the session meanwhile. */
KC_MUST_CHECK bool kc_session_flush_trace(struct kc_session *session,
                                          const struct kc_trace *trace);

/* The same for every trace. */
void kc_session_flush_threads(struct kc_session *session);

/* Whether any thread is in one of our functions: then memory that it uses must stay. */
bool kc_session_is_busy(const struct kc_session *session);

/* Save everything handed over so far; false on time-out. Lets go of the GIL. */
bool kc_session_flush(struct kc_session *session, uint64_t deadline_ns);

/* A block for whoever needs one: from the pool or, where that is empty, from the stream
 * used longest ago. NULL where the policy's patience is over. Lets go of the GIL. */
KC_COLD struct kc_block *kc_session_take_block(struct kc_session *session);

/* Hand a block to the writer, as the overflow policy says. False: it was dropped. */
KC_COLD bool kc_session_hand_over(struct kc_session *session, struct kc_block *block);

/* The session that a fork must know of; NULL for none. */
void kc_session_guard_forks(struct kc_session *session);

/* Have what ends the process at once noted in the mapping (last_word.h), until the
 * session is closed. */
void kc_session_watch_leaving(struct kc_session *session);

/* Put back the functions that note it. */
void kc_session_unwatch_leaving(void);

/* That session, borrowed; NULL for none. */
struct kc_session *kc_session_borrow_current(void);

/* Have a writer before there is a block for it, if there is a store. */
void kc_session_want_writer(struct kc_session *session);

/* The program was held for `ns`: it counts against the budget of overflow = "wait". */
void kc_session_count_wait(struct kc_session *session, uint64_t ns);

/* Whether the disk has not let go of the writer's thread: its memory must stay. */
bool kc_session_is_stuck(const struct kc_session *session);

/* Note what went wrong inside, once per text. */
void kc_session_error(struct kc_session *session, const char *text);

#endif
