/* tracer.h -- what becomes of an event: guard, verdict, scope, record.
 *
 * The hooks tell it what kept code does: a call starts, goes on, returns, yields, is
 * left by an exception. The tracer keeps the thread's stack, and has capture.c write
 * the records.
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    values, mask, the table of kept code objects, the filter's callables.
 * Fails:   never towards the hook: what cannot be recorded is counted as lost.
 */

#ifndef KC_TRACER_H
#define KC_TRACER_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "session/session.h"
#include "trace/code.h"
#include "trace/value.h"

struct kc_hook; /* trace/hook.h */

/* What is set of Python's objects (boundary_simple.c). */
enum kc_simple_name {
    KC_SIMPLE_PLUGIN,
    KC_SIMPLE_FIELDS,
    KC_SIMPLE_HELD,
    KC_SIMPLE_ATTRIBUTES,
    KC_SIMPLE_HOLDERS,
    KC_SIMPLE_ENDED,
    KC_SIMPLE_LOCKS,
    KC_SIMPLE_ID,
    KC_SIMPLE_NAME,
    KC_SIMPLE_NAMES,
};

/* What kolo_c/plugins/boundaries.py and facts.py have of boundaries. */
struct kc_simple {
    PyObject *open;  /* dict: number -> Boundary; NULL: nothing is simple */
    PyObject *facts; /* dict: number -> TraceFacts */
    PyObject *ended; /* dict: number -> (id, name) */
    PyObject *tasks; /* dict: empty where none runs late */
    PyObject *boundary_type;
    PyObject *facts_type;
    PyObject *parent; /* str: the id of the trace that they are children of; or None */
    PyObject *names[KC_SIMPLE_NAMES]; /* interned */
    uint32_t ended_most;
};

struct kc_tracer {
    struct kc_session *session; /* borrowed */
    const struct kc_hook *hook;
    struct kc_values *values;
    const struct kc_value_counters *counters; /* of `values` */
    struct kc_mask *mask;
    struct kc_code_rules default_rules;

    uint64_t first_generation; /* what is older is another session's */
    uint64_t generation;       /* as it stands in a code's word */
    struct kc_code **codes;
    uint32_t code_count;
    uint32_t code_capacity;

    PyObject *decide;      /* (code, path, module, qualname) -> None, True or a dict */
    PyObject *decide_file; /* (path) -> True, False, or None: ask decide */
    PyObject *open_boundary;  /* (code, plugin's index or None, what start() gave) ->
                                 number of the trace it begins */
    PyObject *close_boundary; /* (number, what finish() gave, or None, failed) */
    PyObject *load_plugin;    /* (index): has it defined */
    PyObject *late_scope;     /* (number of an ended trace) -> that for what is late */
    PyObject *thread_begins;  /* (): the profile function's first event in a thread */
    PyObject *carriers;      /* dict, Python's: number of a boundary -> how many threads
                                and work items run in its scope */
    PyObject *late_traces;   /* dict, Python's: … that has ended -> late_scope's */
    PyObject *leave;         /* (number): one of them has ended; for the last */
    PyObject *carried_name;  /* of a work item's attribute that has the number */
    PyObject *files;         /* dict: path -> what decide_file said */
    PyObject *kept_codes;    /* dict: code object -> source text or None */
    PyObject *skipped_codes; /* dict, Python's: address of a code object -> … */
    struct kc_simple simple;
    uint32_t serial; /* of our session, among the process's: on work items */
    struct kc_plugin **plugins;
    uint32_t plugin_count;
    struct kc_watch_rule *watch_rules; /* plugin_match.c */
    uint32_t watch_rule_count;
    PyObject *watch_names; /* dict: name of a function -> its first rule */
    uint64_t skipped_count;
    uint64_t kept_count;
    uint64_t filter_error_count;
    char filter_error[256];

    bool sees_exceptions; /* the hook tells which exception leaves a call */
    bool wants_caught;    /* and is to tell which ones are handled, if it can */
    int tool_id;          /* of sys.monitoring; -1 for none */
};

/* A call begins. */
void kc_tracer_start(struct kc_thread *thread, kc_frame *frame, struct kc_code *code);

/* A generator or coroutine goes on; `throws` by an exception, which is NULL where it is
 * not known. */
void kc_tracer_resume(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                      bool throws, PyObject *exception);

/* A call ends with a value; a generator suspends with one; an exception (NULL: of
 * unknown type) leaves a call. What was not seen to begin is passed over. */
void kc_tracer_return(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                      PyObject *value);
void kc_tracer_yield(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                     PyObject *value);
void kc_tracer_raise(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                     PyObject *exception);

/* `exception` comes to the part of its code at instruction `at` that is there for
 * exceptions: to a handler, or on its way out of one. */
void kc_tracer_catch(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                     PyObject *exception, int at);

/* How a generator goes on: from where, and whether it was thrown at, by an exception
 * that may not be known. */
struct kc_resumption {
    PyObject *exception; /* borrowed, or NULL */
    uint64_t offset;
    bool throws;
};

/* The same for what happened at `now_ns`, with the guard up; a generator stood at
 * `offset` then. */
void kc_tracer_resume_at(struct kc_thread *thread, kc_frame *frame,
                         struct kc_code *code, const struct kc_resumption *how,
                         uint64_t now_ns);
/* A generator that yielded before goes on, or a call of another greenlet; in the
 * thread's trace. `waiting`, which is not freed, may be NULL. */
KC_COLD void kc_tracer_go_on(struct kc_thread *thread, kc_frame *frame,
                             struct kc_code *code, const struct kc_waiting *waiting,
                             const struct kc_resumption *how, uint64_t now_ns);

/* The top of the stack waits: a generator that yields `value`, or, `switched`, a call
 * of a greenlet while another one runs. */
void kc_tracer_suspend(struct kc_thread *thread, struct kc_entry *entry,
                       PyObject *value, uint64_t offset, bool switched,
                       uint64_t now_ns);

void kc_tracer_yield_at(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                        PyObject *value, uint64_t offset, uint64_t now_ns);
void kc_tracer_raise_at(struct kc_thread *thread, kc_frame *frame, struct kc_code *code,
                        PyObject *exception, uint64_t now_ns);

/* Whether the call in `frame` was seen to begin. What stands above it has ended. */
bool kc_tracer_has(struct kc_thread *thread, kc_frame *frame, struct kc_code *code);

/* The frame of such a call is in another place now: its frame object took it over. */
void kc_tracer_moved(struct kc_thread *thread, const kc_frame *from, kc_frame *to,
                     const struct kc_code *code);

/* Write what stands before the next record of `stream`: marks, the task. */
void kc_tracer_prepare(struct kc_thread *thread, struct kc_thread_stream *stream,
                       uint64_t now_ns);

/* Entries above `keep` ended without an event of theirs: the next record says so. */
KC_COLD void kc_tracer_cut(struct kc_thread *thread, uint32_t keep);

#endif
