/* store_drop.c -- see store.h: what is deleted of traces that are not to be stored. */

#include "plain/store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "plain/row.h"

static enum kc_status
drop_run(struct kc_store *store, enum kc_statement which, uint64_t trace)
{
    struct kc_row row = kc_row_begin(store, which);
    kc_row_uint(&row, trace);
    return kc_row_run(&row, NULL);
}

static enum kc_status
drop_trace(struct kc_store *store, uint64_t trace)
{
    enum kc_status status = drop_run(store, KC_STATEMENT_DROP_DATA, trace);
    if (status == KC_OK) {
        status = drop_run(store, KC_STATEMENT_DROP_BLOCKS, trace);
    }
    if (status == KC_OK) {
        status = drop_run(store, KC_STATEMENT_DROP_TRACE, trace);
    }
    return status;
}

enum kc_status
kc_store_drop(struct kc_store *store)
{
    enum kc_status status = KC_OK;
    for (uint32_t i = 0; i < store->drop_count && status == KC_OK; i++) {
        status = drop_trace(store, store->drops[i].trace);
    }
    return status;
}

/* Nobody writes to an earlier segment again: what is free in it stays so. Written anew
 * where that is more than half of it, so the work is never more than what it gives. */
static void
drop_shrink(struct kc_store *store)
{
    uint64_t pages = 0;
    uint64_t unused = 0;
    if (kc_store_ask(store, "PRAGMA page_count", &pages) == KC_OK &&
        kc_store_ask(store, "PRAGMA freelist_count", &unused) == KC_OK &&
        unused > pages / 2)
    {
        (void)sqlite3_exec(store->db, "VACUUM", NULL, NULL, NULL);
    }
}

/* Delete from segment number `segment` at `path` the traces of `drops`. */
static void
drop_in_segment(const char *path, uint64_t segment, const struct kc_store *drops,
                const char *schema, int version)
{
    struct kc_store store;
    if (access(path, F_OK) != 0 ||
        kc_store_open(&store, path, schema, version) != KC_OK) {
        return;
    }
    enum kc_status status = kc_store_begin(&store);
    for (uint32_t i = 0; i < drops->drop_count && status == KC_OK; i++) {
        if (drops->drops[i].segment <= segment) {
            status = drop_trace(&store, drops->drops[i].trace);
        }
    }
    if (status == KC_OK) {
        status = kc_store_commit(&store);
    }
    if (status == KC_OK) {
        drop_shrink(&store);
    }
    else {
        kc_store_rollback(&store);
    }
    kc_store_close(&store);
}

void
kc_store_drop_before(struct kc_store *store, const char *directory,
                     const char *process_id, uint64_t segment, const char *schema,
                     int version)
{
    uint64_t first = segment;
    for (uint32_t i = 0; i < store->drop_count; i++) {
        if (store->drops[i].segment < first) {
            first = store->drops[i].segment;
        }
    }
    for (uint64_t earlier = first; earlier < segment; earlier++) {
        char *path = kc_store_path(directory, process_id, earlier);
        if (path != NULL) {
            drop_in_segment(path, earlier, store, schema, version);
        }
        free(path);
    }
}
