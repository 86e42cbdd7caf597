/* query.c -- see query.h. */

#include "plain/query.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A batch ends with the row that passes one of these. */
#define QUERY_BATCH_CELLS 8192
#define QUERY_BATCH_BYTES (1 << 20)

static enum kc_status
query_refuse(struct kc_query *query, const char *why)
{
    query->code = SQLITE_MISUSE;
    (void)snprintf(query->error, sizeof query->error, "%s", why);
    return KC_STORE;
}

static enum kc_status
query_fail(struct kc_query *query, int code)
{
    query->code = code & 0xff; /* the primary code */
    (void)snprintf(query->error, sizeof query->error, "%s", sqlite3_errmsg(query->db));
    return query->code == SQLITE_NOMEM ? KC_NO_MEMORY : KC_STORE;
}

static int
query_bind(sqlite3_stmt *statement, int place, const struct kc_cell *value)
{
    switch (value->kind) {
    case KC_CELL_INT:
        return sqlite3_bind_int64(statement, place, value->integer);
    case KC_CELL_FLOAT:
        return sqlite3_bind_double(statement, place, value->real);
    case KC_CELL_TEXT:
        return sqlite3_bind_text64(statement, place, value->bytes, value->len,
                                   SQLITE_STATIC, SQLITE_UTF8);
    case KC_CELL_BYTES:
        return sqlite3_bind_blob64(statement, place, value->bytes, value->len,
                                   SQLITE_STATIC);
    case KC_CELL_NULL:
        break;
    }
    return sqlite3_bind_null(statement, place);
}

/* Refuse a `rest` in which SQLite finds more than space and comments. */
static enum kc_status
query_refuse_more(struct kc_query *query, const char *rest)
{
    sqlite3_stmt *next = NULL;
    int code = SQLITE_OK;
    if (*rest != '\0') {
        code = sqlite3_prepare_v2(query->db, rest, -1, &next, NULL);
    }
    bool more = next != NULL;
    (void)sqlite3_finalize(next);
    if (code == SQLITE_NOMEM) {
        return query_fail(query, code);
    }
    return more || code != SQLITE_OK
               ? query_refuse(query, "one statement at a time can be executed")
               : KC_OK;
}

enum kc_status
kc_query_begin(struct kc_query *query, sqlite3 *db, const char *sql,
               const struct kc_cell *values, size_t count)
{
    memset(query, 0, sizeof *query);
    query->db = db;
    const char *rest = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &query->statement, &rest);
    if (code != SQLITE_OK) {
        return query_fail(query, code);
    }
    enum kc_status status = query_refuse_more(query, rest);
    if (status != KC_OK) {
        return status;
    }
    if (count != (size_t)sqlite3_bind_parameter_count(query->statement)) {
        return query_refuse(query, "another number of values than the statement takes");
    }
    for (size_t i = 0; i < count; i++) {
        code = query_bind(query->statement, (int)i + 1, &values[i]);
        if (code != SQLITE_OK) {
            return query_fail(query, code);
        }
    }
    query->done = query->statement == NULL;
    return KC_OK;
}

/* Room for `more` bytes and a zero behind them; the address, NULL without memory. */
static uint8_t *
query_reserve(struct kc_query *query, size_t more)
{
    if (more >= query->byte_capacity - query->byte_count) {
        size_t capacity = (query->byte_count + more + 1) * 2;
        uint8_t *bytes = realloc(query->bytes, capacity);
        if (bytes == NULL) {
            return NULL;
        }
        query->bytes = bytes;
        query->byte_capacity = capacity;
    }
    return query->bytes + query->byte_count;
}

/* Copy column `index` of the current row. Until the batch is full its bytes may move:
 * `integer` has their place. */
static enum kc_status
query_copy_cell(struct kc_query *query, int index, struct kc_cell *cell)
{
    sqlite3_stmt *statement = query->statement;
    const void *bytes = NULL;
    memset(cell, 0, sizeof *cell);
    switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
        cell->kind = KC_CELL_INT;
        cell->integer = sqlite3_column_int64(statement, index);
        return KC_OK;
    case SQLITE_FLOAT:
        cell->kind = KC_CELL_FLOAT;
        cell->real = sqlite3_column_double(statement, index);
        return KC_OK;
    case SQLITE_NULL:
        return KC_OK;
    case SQLITE_TEXT:
        cell->kind = KC_CELL_TEXT;
        bytes = sqlite3_column_text(statement, index);
        break;
    default:
        cell->kind = KC_CELL_BYTES;
        bytes = sqlite3_column_blob(statement, index);
        break;
    }
    cell->len = (size_t)sqlite3_column_bytes(statement, index);
    if (bytes == NULL && (cell->len != 0 || sqlite3_errcode(query->db) == SQLITE_NOMEM))
    {
        return KC_NO_MEMORY;
    }
    uint8_t *to = query_reserve(query, cell->len);
    if (to == NULL) {
        return KC_NO_MEMORY;
    }
    if (cell->len != 0) {
        memcpy(to, bytes, cell->len);
    }
    cell->integer = (int64_t)query->byte_count;
    query->byte_count += cell->len;
    return KC_OK;
}

static enum kc_status
query_copy_row(struct kc_query *query)
{
    if (query->columns == 0) {
        query->columns = (uint32_t)sqlite3_data_count(query->statement);
    }
    size_t used = query->row_count * query->columns;
    if (query->columns > query->cell_capacity - used) {
        size_t capacity = (used + query->columns) * 2;
        struct kc_cell *cells = realloc(query->cells, capacity * sizeof *cells);
        if (cells == NULL) {
            return KC_NO_MEMORY;
        }
        query->cells = cells;
        query->cell_capacity = capacity;
    }
    enum kc_status status = KC_OK;
    for (uint32_t i = 0; status == KC_OK && i < query->columns; i++) {
        status = query_copy_cell(query, (int)i, &query->cells[used + i]);
    }
    query->row_count++;
    return status;
}

enum kc_status
kc_query_fetch(struct kc_query *query)
{
    query->row_count = 0;
    query->byte_count = 0;
    while (!query->done && query->byte_count < QUERY_BATCH_BYTES &&
           query->row_count * query->columns < QUERY_BATCH_CELLS)
    {
        int code = sqlite3_step(query->statement);
        if (code == SQLITE_DONE) {
            query->done = true;
        }
        else if (code != SQLITE_ROW) {
            return query_fail(query, code);
        }
        else if (query_copy_row(query) != KC_OK) {
            query->code = SQLITE_NOMEM;
            return KC_NO_MEMORY;
        }
    }
    for (size_t i = 0; i < query->row_count * query->columns; i++) {
        struct kc_cell *cell = &query->cells[i];
        if (cell->kind == KC_CELL_TEXT || cell->kind == KC_CELL_BYTES) {
            cell->bytes = query->bytes + cell->integer;
        }
    }
    return KC_OK;
}

void
kc_query_end(struct kc_query *query)
{
    (void)sqlite3_finalize(query->statement); /* its error was kc_query_fetch()'s */
    free(query->cells);
    free(query->bytes);
    query->statement = NULL;
    query->cells = NULL;
    query->bytes = NULL;
}
