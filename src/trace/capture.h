/* capture.h -- the fields of each record, in wire order.
 *
 * Each function writes one record, in a new block where it does not fit in the old one,
 * and returns false where it could not: the caller counts it.
 *
 * Threads: the traced thread, with the GIL.
 * Owns:    nothing.
 * Fails:   false.
 */

#ifndef KC_CAPTURE_H
#define KC_CAPTURE_H

#include "trace/tracer.h"

/* CALL, with the arguments of `frame`; fills entry->open and entry->began. */
bool kc_capture_call(struct kc_thread *thread, struct kc_entry *entry, uint64_t now_ns);

/* ENTERED: a call met in its middle. */
bool kc_capture_entered(struct kc_thread *thread, struct kc_entry *entry,
                        uint64_t offset, uint64_t now_ns);

/* RESUME, or THROW with the exception (NULL: unknown). */
bool kc_capture_resume(struct kc_thread *thread, struct kc_entry *entry,
                       const struct kc_waiting *waiting, uint64_t now_ns);
bool kc_capture_throw(struct kc_thread *thread, struct kc_entry *entry,
                      const struct kc_waiting *waiting, PyObject *exception,
                      uint64_t now_ns);

/* RETURN, YIELD, RAISE: the top of the stack leaves. */
bool kc_capture_return(struct kc_thread *thread, struct kc_entry *entry,
                       PyObject *value, uint64_t now_ns);
bool kc_capture_yield(struct kc_thread *thread, struct kc_entry *entry, PyObject *value,
                      uint64_t offset, uint64_t now_ns);
bool kc_capture_raise(struct kc_thread *thread, struct kc_entry *entry,
                      PyObject *exception, uint64_t now_ns);

bool kc_capture_handled(struct kc_thread *thread, const struct kc_unknown *unknown,
                        PyObject *exception, uint64_t now_ns);
/* CAUGHT: `exception` comes to the handler at `at`; -1: it goes on from one. */
bool kc_capture_caught(struct kc_thread *thread, const struct kc_entry *entry,
                       PyObject *exception, int at, uint64_t now_ns);
bool kc_capture_task(struct kc_thread *thread, struct kc_thread_stream *stream,
                     uint64_t now_ns);
bool kc_capture_lost(struct kc_thread *thread, struct kc_thread_stream *stream,
                     uint64_t now_ns);

/* MARK with what a function did since its last such mark. */
bool kc_capture_counted(struct kc_thread *thread, struct kc_thread_stream *stream,
                        const struct kc_code *code, uint64_t now_ns);
bool kc_capture_limit(struct kc_thread *thread, struct kc_thread_stream *stream,
                      uint32_t level, uint64_t now_ns);

/* PLUGIN, with what start() gave, and PLUGIN_END, with what finish() gave (or NULL).
 * `failed`: left by `exception`, or by one of unknown type (NULL). Fields whose names
 * begin with "_" are left out. */
bool kc_capture_plugin(struct kc_thread *thread, struct kc_entry *entry,
                       PyObject *started, uint64_t now_ns);
bool kc_capture_plugin_end(struct kc_thread *thread, struct kc_entry *entry,
                           PyObject *finished, bool failed, PyObject *exception,
                           uint64_t now_ns);

/* YIELD of such a node, with its generator's. */
bool kc_capture_plugin_yield(struct kc_thread *thread, struct kc_entry *entry,
                             uint64_t offset, uint64_t now_ns);

/* LOG: a leaf. */
bool kc_capture_log(struct kc_thread *thread, struct kc_thread_stream *stream,
                    uint64_t level, PyObject *logger, PyObject *text, uint64_t now_ns);

/* REGION and REGION_END, NOTE: what the program says itself. */
bool kc_capture_region(struct kc_thread *thread, struct kc_entry *entry, PyObject *name,
                       PyObject *values, uint64_t now_ns);
bool kc_capture_region_end(struct kc_thread *thread, struct kc_entry *entry,
                           PyObject *exception, uint64_t now_ns);
bool kc_capture_note(struct kc_thread *thread, struct kc_thread_stream *stream,
                     PyObject *text, PyObject *values, uint64_t now_ns);

#endif
