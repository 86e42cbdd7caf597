/* query.h -- one SQL statement: values in, rows out, a batch at a time.
 *
 * The rows of a batch are copied out of SQLite, so that a caller who holds a lock of
 * its own (Python's GIL) takes it once for many rows, and not once for each.
 *
 * Threads: one at a time; the connection's.
 * Owns:    the statement and the copied rows, from kc_query_begin() to kc_query_end().
 *          Values are borrowed for as long.
 * Fails:   KC_STORE, whose reason is in `code` and `error`, and KC_NO_MEMORY. After any
 *          failure, kc_query_end() alone may follow.
 */

#ifndef KC_QUERY_H
#define KC_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plain/status.h"

#define KC_QUERY_ERROR_BYTES 512

enum kc_cell_kind {
    KC_CELL_NULL = 0,
    KC_CELL_INT,
    KC_CELL_FLOAT,
    KC_CELL_TEXT,
    KC_CELL_BYTES
};

/* A value on its way into SQLite or out of it. */
struct kc_cell {
    enum kc_cell_kind kind;
    int64_t integer;
    double real;
    const void *bytes; /* of a text or of bytes; never NULL there */
    size_t len;
};

struct kc_query {
    struct sqlite3 *db;
    struct sqlite3_stmt *statement; /* NULL: the text was empty */
    bool done;                      /* the last batch has been fetched */
    uint32_t columns;               /* cells of one row */
    struct kc_cell *cells;          /* the batch: `row_count` rows of `columns` each */
    size_t row_count;
    size_t cell_capacity;
    uint8_t *bytes; /* what the batch's cells point to */
    size_t byte_count;
    size_t byte_capacity;
    int code; /* SQLite's primary result code; SQLITE_MISUSE for what is ours */
    char error[KC_QUERY_ERROR_BYTES];
};

/* Prepare the one statement that `sql` is, and bind `count` values to it. `sql` ends
 * with a zero. More than one statement, and another number of values than it has
 * places for, is refused. */
KC_MUST_CHECK enum kc_status kc_query_begin(struct kc_query *query, struct sqlite3 *db,
                                            const char *sql,
                                            const struct kc_cell *values, size_t count);

/* Run it on until a batch is full or it has ended (`done`). The rows of the batch
 * before are gone. */
KC_MUST_CHECK enum kc_status kc_query_fetch(struct kc_query *query);

/* Let go of statement and rows. Harmless on a query that has not begun (all zero). */
void kc_query_end(struct kc_query *query);

#endif
