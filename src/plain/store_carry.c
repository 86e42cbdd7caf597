/* store_carry.c -- see store.h: what a new segment takes over from the one before. */

#include "plain/store.h"

#include <sqlite3.h>
#include <string.h>

#include "plain/row.h"

#define CARRY_TASKS 10000u /* of the first numbers, and of the last */

static const char carry_rows[] =
    "INSERT OR REPLACE INTO main.process "
    "SELECT id, segment + 1, pid, started_ns, started_utc_ns, anchor_ns, "
    "anchor_utc_ns, "
    "ended_ns, cause, info FROM old.process;"
    "INSERT OR REPLACE INTO main.trace SELECT * FROM old.trace "
    "WHERE status = 'running' OR number IN "
    "(SELECT number FROM old.trace WHERE status <> 'running' "
    "ORDER BY ended_ns DESC LIMIT 1000);"
    "INSERT OR REPLACE INTO main.thread SELECT * FROM old.thread "
    "WHERE number <= 1000 "
    "OR number > (SELECT max(number) FROM old.thread) - 1000 "
    "OR number IN (SELECT thread FROM old.block);"
    "INSERT OR REPLACE INTO main.file SELECT * FROM old.file;"
    "INSERT OR REPLACE INTO main.source SELECT * FROM old.source";

/* Whether the definition at `walk`, which steps over it, goes along; `last` is the
 * highest number. */
static enum kc_status
carry_judge(struct kc_walk *walk, uint64_t last, bool *keep)
{
    struct kc_walk inside = *walk;
    struct kc_token array;
    struct kc_token kind;
    struct kc_token number;
    enum kc_status status = kc_walk_skip(walk);
    if (status == KC_OK) {
        status = kc_walk_next(&inside, &array);
    }
    if (status == KC_OK) {
        status = kc_walk_next(&inside, &kind);
    }
    if (status == KC_OK && kind.type == KC_TOKEN_UINT && kind.uint == KC_DEF_TASK &&
        kc_walk_next(&inside, &number) == KC_OK && number.type == KC_TOKEN_UINT)
    {
        *keep = number.uint <= CARRY_TASKS || number.uint > last ||
                last - number.uint < CARRY_TASKS;
        return KC_OK;
    }
    /* Traces and threads are rows. */
    *keep = status != KC_OK || kind.type != KC_TOKEN_UINT ||
            (kind.uint != KC_DEF_TRACE && kind.uint != KC_DEF_TRACE_END &&
             kind.uint != KC_DEF_TRACE_SET && kind.uint != KC_DEF_TRACE_DROP &&
             kind.uint != KC_DEF_THREAD);
    return status;
}

/* The definitions of one piece that go along, into the store's buffer; their length. */
static size_t
carry_sift(struct kc_store *store, const uint8_t *data, size_t len, uint64_t last)
{
    struct kc_walk walk = {data, data + len};
    uint8_t *at = store->buffer;
    while (walk.at < walk.end) {
        bool keep = true;
        const uint8_t *start = walk.at;
        if (carry_judge(&walk, last, &keep) != KC_OK) {
            walk.at = walk.end; /* not to be read, but not ours to throw away */
        }
        if (keep) {
            memcpy(at, start, (size_t)(walk.at - start));
            at += walk.at - start;
        }
    }
    return (size_t)(at - store->buffer);
}

static enum kc_status
carry_piece(struct kc_store *store, sqlite3_stmt *piece, uint64_t last)
{
    const uint8_t *data = sqlite3_column_blob(piece, 4);
    size_t len = (size_t)sqlite3_column_bytes(piece, 4);
    if (data == NULL || len > store->buffer_bytes) {
        return KC_OK; /* none of ours is longer than a block */
    }
    size_t kept = carry_sift(store, data, len, last);
    if (kept == 0) {
        return KC_OK;
    }
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_DEFINITION);
    for (int column = 0; column < 4; column++) {
        kc_row_uint(&row, (uint64_t)sqlite3_column_int64(piece, column));
    }
    kc_row_blob(&row, store->buffer, kept);
    return kc_row_run(&row, NULL);
}

static enum kc_status
carry_definitions(struct kc_store *store)
{
    sqlite3_stmt *pieces = NULL;
    uint64_t last = 0;
    enum kc_status status =
        kc_store_ask(store, "SELECT max(last) FROM old.definition", &last);
    if (status != KC_OK) {
        return status;
    }
    int code = sqlite3_prepare_v2(
        store->db, "SELECT sequence, start, first, last, data FROM old.definition", -1,
        &pieces, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(pieces);
        if (code == SQLITE_ROW) {
            status = carry_piece(store, pieces, last);
        }
        if (status != KC_OK) {
            break;
        }
    }
    if (status == KC_OK && code != SQLITE_DONE) {
        status = kc_row_fail(store, code);
    }
    (void)sqlite3_finalize(pieces);
    return status;
}

static enum kc_status
carry_attach(struct kc_store *store, const char *path)
{
    sqlite3_stmt *attach = NULL;
    int code = sqlite3_prepare_v2(store->db, "ATTACH ? AS old", -1, &attach, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(attach, 1, path, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(attach);
    }
    enum kc_status status = code == SQLITE_DONE ? KC_OK : kc_row_fail(store, code);
    (void)sqlite3_finalize(attach);
    return status;
}

enum kc_status
kc_store_carry(struct kc_store *store, const struct kc_store *from)
{
    enum kc_status status = carry_attach(store, from->path);
    if (status != KC_OK) {
        return status;
    }
    status = kc_store_begin(store);
    if (status == KC_OK) {
        int code = sqlite3_exec(store->db, carry_rows, NULL, NULL, NULL);
        status = code == SQLITE_OK ? KC_OK : kc_row_fail(store, code);
    }
    if (status == KC_OK) {
        status = carry_definitions(store);
    }
    if (status == KC_OK) {
        status = kc_store_commit(store);
    }
    if (status != KC_OK) {
        kc_store_rollback(store);
    }
    (void)sqlite3_exec(store->db, "DETACH old", NULL, NULL, NULL);
    return status;
}
