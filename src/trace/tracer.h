/* tracer.h -- what becomes of an event: guard, verdict, scope, record.
 *
 * The hooks call kc_tracer_enter(), kc_tracer_leave() and kc_tracer_exception() with
 * events of kept code only; the tracer keeps the thread's stack, and has capture.c
 * write the records.
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

struct kc_tracer {
    struct kc_session *session; /* borrowed */
    struct kc_values *values;
    const struct kc_value_counters *counters; /* of `values` */
    struct kc_mask *mask;
    struct kc_code_rules default_rules;

    Py_ssize_t extra_index;
    uint64_t generation; /* as it stands in a code's extra word */
    struct kc_code **codes;
    uint32_t code_count;
    uint32_t code_capacity;

    PyObject *decide;      /* (code, path, module, qualname) -> None, True or a dict */
    PyObject *decide_file; /* (path) -> True, False, or None: ask decide */
    PyObject *open_boundary;  /* (code) -> number of the trace it begins; or NULL */
    PyObject *close_boundary; /* (number) */
    PyObject *files;          /* dict: path -> what decide_file said */
    PyObject *kept_codes;     /* dict: code object -> source text or None */
    PyObject *skipped_codes;  /* dict, Python's: address of a code object -> … */
    uint64_t skipped_count;
    uint64_t kept_count;
    uint64_t filter_error_count;
    char filter_error[256];

    bool sees_exceptions; /* PY_UNWIND and PY_THROW are subscribed */
    int tool_id;
};

/* A kept call begins, or a kept generator goes on. */
void kc_tracer_enter(struct kc_thread *thread, PyFrameObject *frame,
                     struct kc_code *code);

/* A kept call ends or suspends. `value` is NULL where an exception leaves it. */
void kc_tracer_leave(struct kc_thread *thread, PyFrameObject *frame,
                     struct kc_code *code, PyObject *value);

/* The exception of the entry or exit that waits for it. */
void kc_tracer_exception(struct kc_thread *thread, PyObject *exception);

/* Write what stands before the next record of `stream`: marks, the task. */
void kc_tracer_prepare(struct kc_thread *thread, struct kc_thread_stream *stream,
                       uint64_t now_ns);

/* The exit or entry that waits for its exception will not get it. */
KC_COLD void kc_tracer_settle(struct kc_thread *thread);

/* `exception` was seen with its traceback: tell the calls that it left (3.10, 3.11). */
KC_COLD void kc_tracer_resolve(struct kc_thread *thread, PyObject *exception);

/* The trace ends: write what was counted instead of recorded. */
KC_COLD void kc_tracer_tell_counts(struct kc_thread *thread,
                                   struct kc_thread_stream *stream);

/* Entries above `keep` ended without an event of theirs: the next record says so. */
KC_COLD void kc_tracer_cut(struct kc_thread *thread, uint32_t keep);

#endif
