/* definitions.h -- numbered strings, code objects, types, files, threads, tasks,
 * traces.
 *
 * A definition is written to the log once, before the first record that needs it, and
 * is never dropped; its number is the process's. A definition that cannot be kept (the
 * table is full, no block is to be had) is number 0, and the record that needed it is
 * lost and counted.
 *
 * The log's blocks come from the pool; the queue always knows the one being filled, so
 * that the writer saves definitions before the records that need them.
 *
 * Threads: GIL or lock.
 * Owns:    the log's stream, the tables, references to the names in them.
 * Fails:   by number 0, with no Python exception set.
 */

#ifndef KC_DEFINITIONS_H
#define KC_DEFINITIONS_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "plain/mapping.h"
#include "plain/queue.h"
#include "plain/stream.h"

struct kc_definitions;

/* NULL with an exception set. Borrows mapping and queue, which must outlive it. */
struct kc_definitions *kc_definitions_new(struct kc_mapping *mapping,
                                          struct kc_queue *queue);
void kc_definitions_free(struct kc_definitions *definitions);

/* The highest number so far: what a block handed over now may need. */
uint64_t kc_definitions_last(const struct kc_definitions *definitions);

/* The number of `type`, defining it first where it is new. Runs no user code. */
uint64_t kc_definitions_type(struct kc_definitions *definitions, PyTypeObject *type);

/* The number of the string `text` (exact str that a code object or type owns). */
uint64_t kc_definitions_string(struct kc_definitions *definitions, PyObject *text);

/* The number of the file `path`; `source` (may be NULL) is its text where it is in no
 * file. */
uint64_t kc_definitions_file(struct kc_definitions *definitions, PyObject *path,
                             PyObject *source);

/* What a CODE definition says, borrowed. `argument_count` slots are arguments. */
struct kc_code_facts {
    uint64_t file;
    PyCodeObject *code;
    PyObject *qualname;
    PyObject *module; /* may be NULL */
    int argument_count;
    int self_kind; /* 0 none, 1 self, 2 cls */
    bool brief;    /* without lines and names of locals: the record would be too long */
};

uint64_t kc_definitions_code(struct kc_definitions *definitions,
                             const struct kc_code_facts *facts);

uint64_t kc_definitions_thread(struct kc_definitions *definitions,
                               uint32_t thread_number, PyObject *name, uint64_t ident,
                               uint64_t native_id);

uint64_t kc_definitions_task(struct kc_definitions *definitions, PyObject *name,
                             PyObject *qualname);

/* `kind` is the tuple of a plugin's kind: name, label, colour, summary. */
uint64_t kc_definitions_plugin_kind(struct kc_definitions *definitions, PyObject *kind);

struct kc_trace_facts {
    uint32_t number;
    const char *id;
    const char *kind;
    PyObject *name;
    PyObject *parent;     /* str or NULL */
    PyObject *attributes; /* JSON text */
    uint64_t started_ns;
    uint64_t started_utc_ns;
};

uint64_t kc_definitions_trace(struct kc_definitions *definitions,
                              const struct kc_trace_facts *facts);

/* The same into `stream`, which is none of the log's: as a definition without a number,
 * behind what it has. False where there is no room. */
bool kc_definitions_trace_into(struct kc_stream *stream,
                               const struct kc_trace_facts *facts);

/* Trace `number` is not to be stored; `segment` is the first that may have blocks of
 * it.
 */
uint64_t kc_definitions_trace_drop(struct kc_definitions *definitions, uint32_t number,
                                   uint64_t segment);

/* What the program says of the trace while it runs: name and attributes. */
uint64_t kc_definitions_trace_set(struct kc_definitions *definitions,
                                  const struct kc_trace_facts *facts);

uint64_t kc_definitions_trace_end(struct kc_definitions *definitions,
                                  const struct kc_trace_facts *facts, uint64_t ended_ns,
                                  const char *cause, const char *counters);

#endif
