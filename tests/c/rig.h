/* rig.h -- a small process in a test: streams, queue, mapping and writer put together.
 *
 * Records are NOTEs that carry a number, 1, 2, 3 …; each needs the definition with the
 * number record / RIG_RECORDS_A_DEFINITION + 1, which the rig writes to the log first,
 * as a tracer would. Reading back counts what a segment has of them.
 *
 * Threads: one, but for the writer's own.
 * Owns:    all of it, and a folder under /tmp until rig_remove_folder().
 * Fails:   by a CHECK that does not hold.
 */

#ifndef RIG_H
#define RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plain/mapping.h"
#include "plain/queue.h"
#include "plain/stream.h"
#include "plain/writer.h"

#define RIG_RECORDS_A_DEFINITION 50u
#define RIG_PROCESS "01J0000000000000000000TEST"
#define RIG_SCHEMA_VERSION 1

struct rig {
    char folder[64];
    char map_path[160];
    struct kc_mapping mapping;
    struct kc_queue queue;
    struct kc_writer writer;
    struct kc_stream log;
    struct kc_stream stream;
    uint64_t definition; /* highest in the log */
    uint64_t record;     /* last written */
    size_t payload;      /* bytes besides the number */
};

/* The text of schema.sql; lives to the end. */
const char *rig_schema(void);

void rig_make_folder(char *folder, size_t room);
void rig_remove_folder(const char *folder);

/* Mapping, queue and writer's fields, nothing opened but the mapping. */
void rig_init(struct rig *rig, const char *folder);
/* And the segment, the log's first definitions (a thread, a trace) and the thread. */
void rig_start(struct rig *rig);

/* Append a definition; the log goes to its next block where this one is full. */
void rig_define(struct rig *rig, enum kc_definition kind, uint64_t number,
                void (*fields)(struct kc_cursor *cursor, const void *context),
                size_t count, const void *context);
void rig_define_thread(struct rig *rig, uint64_t thread, const char *name);
void rig_define_trace(struct rig *rig, uint64_t trace, const char *id);
void rig_end_trace(struct rig *rig, uint64_t trace);
/* One of each that the store makes a row of: a file whose text is read from the disk, a
 * new name for trace 1, and trace 2, which ended and is not to be stored. */
void rig_define_more(struct rig *rig);

/* One record, waiting for room where there is none. */
void rig_write(struct rig *rig);
/* Hand the record block over as it is. */
void rig_hand_over(struct rig *rig);
/* Hand over, stop, close, destroy: the normal end. */
void rig_finish(struct rig *rig);
void rig_destroy(struct rig *rig, bool unlink_mapping);

/* One number from the segment <folder>/<process>-<segment>.db by SQL. */
uint64_t rig_ask(const char *folder, uint64_t segment, const char *sql);
/* One text, into `text`; "" for NULL. */
void rig_ask_text(const char *folder, uint64_t segment, const char *sql, char *text,
                  size_t room);

/* Run over all blocks of trace 1 in segments 0 to `last_segment`: every record from 1
 * on must be there once, in order, and its definition with it. Returns how many. */
uint64_t rig_check_records(const char *folder, uint64_t last_segment);

#endif
