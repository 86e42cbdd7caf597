/* row.h -- one statement of the store: its values bound in order, then run.
 *
 * Errors stick to the row, as they do to a cursor: bind all, look once. Private to the
 * store's files.
 *
 * Threads: the store's.
 * Owns:    nothing; the statements are the store's. Bound bytes are borrowed until
 *          kc_row_run() returns.
 * Fails:   kc_row_run() with KC_STORE; the store's error says why.
 */

#ifndef KC_ROW_H
#define KC_ROW_H

#include <stddef.h>

#include "plain/store.h"
#include "plain/wire.h"

enum kc_statement {
    KC_STATEMENT_BEGIN,
    KC_STATEMENT_COMMIT,
    KC_STATEMENT_PROCESS,
    KC_STATEMENT_PROCESS_END,
    KC_STATEMENT_ANCHOR,
    KC_STATEMENT_INTERRUPT,
    KC_STATEMENT_DEFINITION,
    KC_STATEMENT_TRACE,
    KC_STATEMENT_TRACE_END,
    KC_STATEMENT_TRACE_SET,
    KC_STATEMENT_THREAD,
    KC_STATEMENT_FILE,
    KC_STATEMENT_HAS_SOURCE,
    KC_STATEMENT_SOURCE,
    KC_STATEMENT_BLOCK,
    KC_STATEMENT_BLOCK_DATA,
    KC_STATEMENT_DROP_DATA,
    KC_STATEMENT_DROP_BLOCKS,
    KC_STATEMENT_DROP_TRACE,
    KC_STATEMENT_COUNT
};

_Static_assert(KC_STATEMENT_COUNT <= KC_STORE_STATEMENTS, "store.h has room for them");

struct kc_row {
    struct kc_store *store;
    struct sqlite3_stmt *statement;
    int at; /* parameters bound so far */
    int code;
};

struct kc_row kc_row_begin(struct kc_store *store, enum kc_statement which);

void kc_row_null(struct kc_row *row);
void kc_row_uint(struct kc_row *row, uint64_t value);
void kc_row_blob(struct kc_row *row, const void *bytes, size_t len); /* NULL: no blob */

/* What is no UTF-8 (lone surrogates) becomes U+FFFD or '?': readers refuse it
 * otherwise. */
void kc_row_text(struct kc_row *row, const char *text, size_t len);

/* The token as text or as a number; NULL where it is none. */
void kc_row_text_token(struct kc_row *row, const struct kc_token *token);
void kc_row_uint_token(struct kc_row *row, const struct kc_token *token);

/* Run it to its end. *found (may be NULL) says whether it gave a row. */
KC_MUST_CHECK enum kc_status kc_row_run(struct kc_row *row, bool *found);

/* Keep what SQLite says of its last failure; always KC_STORE. */
enum kc_status kc_row_fail(struct kc_store *store, int code);

/* The same where memory of our own was refused; always KC_NO_MEMORY. */
enum kc_status kc_row_fail_memory(struct kc_store *store);

#endif
