/* row.c -- see row.h. */

#include "plain/row.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static const char *const row_sql[KC_STATEMENT_COUNT] = {
    [KC_STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [KC_STATEMENT_COMMIT] = "COMMIT",
    [KC_STATEMENT_PROCESS] = "INSERT OR REPLACE INTO process "
                             "(id, segment, pid, started_ns, started_utc_ns, info) "
                             "VALUES (?, ?, ?, ?, ?, ?)",
    [KC_STATEMENT_PROCESS_END] =
        "UPDATE process SET ended_ns = ?, cause = ? WHERE ended_ns IS NULL",
    [KC_STATEMENT_ANCHOR] = "UPDATE process SET anchor_ns = ?, anchor_utc_ns = ?",
    [KC_STATEMENT_INTERRUPT] = "UPDATE trace SET status = 'interrupted', ended_ns = ?, "
                               "cause = ? WHERE status = 'running'",
    [KC_STATEMENT_DEFINITION] =
        "INSERT OR REPLACE INTO definition (sequence, start, first, last, data) "
        "VALUES (?, ?, ?, ?, ?)",
    /* A piece that is saved again must not open a trace that has ended. */
    [KC_STATEMENT_TRACE] =
        "INSERT OR IGNORE INTO trace (number, id, kind, name, parent, started_ns, "
        "started_utc_ns, attributes, status, counters) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, coalesce(?, '{}'), 'running', '{}')",
    [KC_STATEMENT_TRACE_END] =
        "UPDATE OR IGNORE trace SET ended_ns = ?2, cause = ?3, "
        "counters = coalesce(?4, '{}'), name = coalesce(?5, name), "
        "attributes = coalesce(?6, attributes), status = 'complete' WHERE number = ?1",
    [KC_STATEMENT_TRACE_SET] =
        "UPDATE OR IGNORE trace SET name = coalesce(?2, name), "
        "attributes = coalesce(?3, attributes) WHERE number = ?1 "
        "AND status = 'running'",
    [KC_STATEMENT_THREAD] =
        "INSERT OR REPLACE INTO thread (number, name, ident, native_id) "
        "VALUES (?, ?, ?, ?)",
    /* The first look at a file was nearest to its being read by the program. */
    [KC_STATEMENT_FILE] =
        "INSERT OR IGNORE INTO file (number, path, hash, note) VALUES (?, ?, ?, ?)",
    [KC_STATEMENT_HAS_SOURCE] = "SELECT 1 FROM source WHERE hash = ?",
    [KC_STATEMENT_SOURCE] =
        "INSERT OR IGNORE INTO source (hash, bytes, masked, encoding, data) "
        "VALUES (?, ?, ?, ?, ?)",
    [KC_STATEMENT_BLOCK] =
        "INSERT OR IGNORE INTO block (trace, thread, sequence, base_ns, last_ns, "
        "first_node, nodes, records, start_depth, least_depth, definition, bytes, "
        "closes, opens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [KC_STATEMENT_BLOCK_DATA] =
        "INSERT OR REPLACE INTO block_data (id, encoding, data) VALUES (?, ?, ?)",
    [KC_STATEMENT_DROP_DATA] = "DELETE FROM block_data WHERE id IN "
                               "(SELECT id FROM block WHERE trace = ?)",
    [KC_STATEMENT_DROP_BLOCKS] = "DELETE FROM block WHERE trace = ?",
    [KC_STATEMENT_DROP_TRACE] = "DELETE FROM trace WHERE number = ?",
};

enum kc_status
kc_row_fail(struct kc_store *store, int code)
{
    store->error_code = store->db == NULL ? code : sqlite3_extended_errcode(store->db);
    const char *why =
        store->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(store->db);
    (void)snprintf(store->error, sizeof store->error, "%s: %s",
                   store->path == NULL ? "" : store->path, why);
    return KC_STORE;
}

enum kc_status
kc_row_fail_memory(struct kc_store *store)
{
    store->error_code = SQLITE_NOMEM;
    (void)snprintf(store->error, sizeof store->error, "%s: out of memory", store->path);
    return KC_NO_MEMORY;
}

struct kc_row
kc_row_begin(struct kc_store *store, enum kc_statement which)
{
    struct kc_row row = {store, NULL, 0, SQLITE_OK};
    if (store->statements[which] == NULL) {
        row.code =
            sqlite3_prepare_v3(store->db, row_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statements[which], NULL);
    }
    row.statement = store->statements[which];
    return row;
}

void
kc_row_null(struct kc_row *row)
{
    row->at++; /* kc_row_run() leaves every parameter NULL */
}

void
kc_row_uint(struct kc_row *row, uint64_t value)
{
    row->at++;
    if (row->code == SQLITE_OK) {
        row->code = sqlite3_bind_int64(row->statement, row->at, (sqlite3_int64)value);
    }
}

void
kc_row_blob(struct kc_row *row, const void *bytes, size_t len)
{
    row->at++;
    if (row->code == SQLITE_OK && bytes != NULL) {
        row->code =
            sqlite3_bind_blob64(row->statement, row->at, bytes, len, SQLITE_STATIC);
    }
}

/* The length of the UTF-8 character at `at`, 0 where there is none. */
static size_t
row_character_bytes(const uint8_t *at, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = at[0] < 0x80             ? 1
                 : (at[0] & 0xe0) == 0xc0 ? 2
                 : (at[0] & 0xf0) == 0xe0 ? 3
                 : (at[0] & 0xf8) == 0xf0 ? 4
                                          : 0;
    if (len <= 1 || len > left) {
        return len <= left ? len : 0;
    }
    uint32_t code = at[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (at[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[len] || code > 0x10ffff || surrogate ? 0 : len;
}

/* How many bytes from the start of `text` are UTF-8. */
static size_t
row_sound_bytes(const uint8_t *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t step = row_character_bytes(text + at, len - at);
        if (step == 0) {
            break;
        }
        at += step;
    }
    return at;
}

/* Put U+FFFD for each surrogate and '?' for each other stray byte: no length changes.
 */
static void
row_mend_text(uint8_t *text, size_t len)
{
    for (size_t at = row_sound_bytes(text, len); at < len;
         at += row_sound_bytes(text + at, len - at))
    {
        bool surrogate = len - at >= 3 && text[at] == 0xed && text[at + 1] >= 0xa0 &&
                         text[at + 1] <= 0xbf && (text[at + 2] & 0xc0) == 0x80;
        if (surrogate) {
            memcpy(text + at, "\xef\xbf\xbd", 3);
        }
        else {
            text[at] = '?';
        }
    }
}

void
kc_row_text(struct kc_row *row, const char *text, size_t len)
{
    row->at++;
    if (row->code != SQLITE_OK) {
        return;
    }
    if (row_sound_bytes((const uint8_t *)text, len) == len) {
        row->code = sqlite3_bind_text64(row->statement, row->at, text, len,
                                        SQLITE_STATIC, SQLITE_UTF8);
        return;
    }
    char *mended = sqlite3_malloc64(len);
    if (mended == NULL) {
        row->code = SQLITE_NOMEM;
        return;
    }
    memcpy(mended, text, len);
    row_mend_text((uint8_t *)mended, len);
    row->code = sqlite3_bind_text64(row->statement, row->at, mended, len, sqlite3_free,
                                    SQLITE_UTF8);
}

void
kc_row_text_token(struct kc_row *row, const struct kc_token *token)
{
    if (token->type == KC_TOKEN_STR) {
        kc_row_text(row, (const char *)token->bytes, token->count);
    }
    else {
        kc_row_null(row);
    }
}

void
kc_row_uint_token(struct kc_row *row, const struct kc_token *token)
{
    if (token->type == KC_TOKEN_UINT) {
        kc_row_uint(row, token->uint);
    }
    else if (token->type == KC_TOKEN_INT) {
        kc_row_uint(row, (uint64_t)token->sint);
    }
    else {
        kc_row_null(row);
    }
}

enum kc_status
kc_row_run(struct kc_row *row, bool *found)
{
    bool any = false;
    enum kc_status status = KC_OK;
    int code = row->code;
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(row->statement);
        any = any || code == SQLITE_ROW;
    }
    if (code != SQLITE_DONE) {
        status = kc_row_fail(row->store, code);
    }
    if (row->statement != NULL) {
        (void)sqlite3_reset(row->statement);
        (void)sqlite3_clear_bindings(row->statement);
    }
    if (found != NULL) {
        *found = any;
    }
    return status;
}
