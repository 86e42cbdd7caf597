/* test_fault.c -- fail the first allocation, then the second, ... until none fails.
 *
 * Each round must end with nothing held, whichever allocation was refused, and what was
 * not refused must have worked. The disk has test_fault_disk.c.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "faulty.h"
#include "plain/mask.h"
#include "plain/query.h"
#include "plain/recover.h"
#include "plain/scan.h"
#include "rig.h"

#define ALLOCATIONS (FAULT_MEMORY | FAULT_SQLITE)

static char folder[64];
static char map_path[160];

static bool
queue_round(void)
{
    struct kc_queue queue;
    if (kc_queue_init(&queue, 4) != KC_OK) {
        return false;
    }
    kc_queue_destroy(&queue);
    return true;
}

static bool
mask_round(void)
{
    static const char *const words[] = {"password", "api_key", NULL};
    static const char *const exceptions[] = {"token_count", NULL};
    struct kc_mask *mask = NULL;
    if (kc_mask_new(&mask, words, exceptions) != KC_OK) {
        return false;
    }
    kc_mask_free(mask);
    return true;
}

static bool
mapping_round(void)
{
    struct kc_mapping mapping;
    int reason = 0;
    if (kc_mapping_create(&mapping, map_path, 4, RIG_PROCESS, &reason) != KC_OK) {
        return false;
    }
    bool shared = mapping.shared;
    CHECK(shared || reason != 0);
    CHECK(kc_mapping_take(&mapping) != NULL);
    kc_mapping_destroy(&mapping, 1);
    CHECK(access(map_path, F_OK) != 0);
    return shared;
}

static struct kc_block *log_block;    /* a trace, a thread, a file with text */
static struct kc_block *record_block; /* some records */

static void
fields_of_file(struct kc_cursor *cursor, const void *context)
{
    kc_wire_str(cursor, "<str\xff>", 6); /* to be mended: an allocation more */
    kc_wire_uint(cursor, 0);
    kc_wire_nil(cursor);
    kc_wire_text(cursor, context);
}

static void
make_blocks(void)
{
    struct rig rig;
    rig_init(&rig, folder);
    rig_define_thread(&rig, 1, "MainThread");
    rig_define_trace(&rig, 1, "trc_1");
    rig_define(&rig, KC_DEF_FILE, 3, fields_of_file, 4, "print('hello')\n");
    rig_define_more(&rig);
    for (int i = 0; i < 500; i++) {
        rig_write(&rig);
    }
    log_block = malloc(sizeof *log_block);
    record_block = malloc(sizeof *record_block);
    memcpy(log_block, rig.log.block, sizeof *log_block);
    memcpy(record_block, rig.stream.block, sizeof *record_block);
    rig_destroy(&rig, false);
}

/* The same in two traces; the second is not to be stored. */
static bool
save_blocks(struct kc_store *store)
{
    bool saved = true;
    for (uint32_t trace = 1; trace <= 2; trace++) {
        record_block->trace_number = trace;
        saved = saved && kc_store_block(store, record_block) == KC_OK;
    }
    return saved;
}

static bool
save(struct kc_store *store)
{
    bool saved =
        kc_store_begin(store) == KC_OK &&
        kc_store_process(store, RIG_PROCESS, 0, 1, 2, 3, "{}") == KC_OK &&
        kc_store_anchor(store, 4, 5) == KC_OK &&
        kc_store_definitions(store, log_block, 0, kc_block_bytes(log_block)) == KC_OK &&
        save_blocks(store) && kc_store_drop(store) == KC_OK &&
        kc_store_commit(store) == KC_OK;
    if (!saved) {
        kc_store_rollback(store);
    }
    return saved;
}

static bool
store_round(void)
{
    struct kc_store store;
    struct kc_store next;
    bool complete = false;
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    char *next_path = kc_store_path(folder, RIG_PROCESS, 1);
    if (path == NULL || next_path == NULL) {
        free(next_path);
        free(path);
        return false;
    }
    kc_store_remove(path);
    kc_store_remove(next_path);
    if (kc_store_open(&store, path, rig_schema(), RIG_SCHEMA_VERSION) != KC_OK) {
        CHECK(kc_store_error(&store)[0] != '\0');
        goto done;
    }
    bool saved = save(&store);
    if (!saved) {
        /* Once refused, it works the second time: nothing of the first try is left. */
        CHECK(kc_store_error(&store)[0] != '\0');
        CHECK(save(&store));
    }
    complete = saved && kc_store_interrupt(&store, 9, "x") == KC_OK &&
               kc_store_process_end(&store, 9, "x") == KC_OK;
    if (kc_store_open(&next, next_path, rig_schema(), RIG_SCHEMA_VERSION) == KC_OK) {
        complete = kc_store_carry(&next, &store) == KC_OK && complete;
        next.drops = store.drops; /* as if they had been told of in this one */
        next.drop_count = store.drop_count;
        kc_store_drop_before(&next, folder, RIG_PROCESS, 1, rig_schema(),
                             RIG_SCHEMA_VERSION);
        next.drops = NULL;
        kc_store_close(&next);
    }
    else {
        complete = false;
    }
    kc_store_close(&store);

done:
    free(next_path);
    free(path);
    return complete;
}

static bool
recover_round(void)
{
    struct kc_recovered recovered;
    char saved[200];
    char command[512];
    (void)snprintf(saved, sizeof saved, "%s/saved", folder);
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", saved, map_path);
    if (access(map_path, F_OK) != 0) {
        CHECK_EQUAL(0, system(command)); /* NOLINT: a test's own names */
    }
    enum kc_status status =
        kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION, 1, &recovered);
    if (status != KC_OK) {
        CHECK(recovered.error[0] != '\0');
        CHECK_EQUAL(0, access(map_path, F_OK));
    }
    return status == KC_OK;
}

/* Rows of several batches, each value of the right kind and content. */
static bool
query_round(void)
{
    static const char sql[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "SELECT i, i || ' text', zeroblob(8000 + i) FROM n -- no more";
    struct kc_cell value = {.kind = KC_CELL_INT, .integer = 200};
    struct kc_query query;
    sqlite3 *db = NULL;
    int64_t row = 0;
    int code = sqlite3_open(":memory:", &db);
    if (code == SQLITE_OK) {
        enum kc_status status = kc_query_begin(&query, db, sql, &value, 1);
        while (status == KC_OK && !query.done) {
            status = kc_query_fetch(&query);
            for (size_t i = 0; status == KC_OK && i < query.row_count; i++) {
                const struct kc_cell *cell = &query.cells[i * query.columns];
                row++;
                CHECK(cell[0].integer == row && cell[1].len > 5 &&
                      cell[2].len == 8000 + (size_t)row);
            }
        }
        CHECK(status == KC_OK || status == KC_NO_MEMORY);
        kc_query_end(&query);
    }
    (void)sqlite3_close(db);
    CHECK(row <= 200);
    return row == 200;
}

/* The writer's thread allocates too: a refused allocation there costs a try, no record.
 */
static bool
writer_round(void)
{
    struct rig rig;
    long wanted = fault_suspend();
    rig_init(&rig, folder);
    fault_resume(0, true);
    bool complete = kc_writer_open(&rig.writer, 1, 2) == KC_OK;
    if (complete) {
        rig_define_thread(&rig, 1, "MainThread");
        rig_define_trace(&rig, 1, "trc_1");
        CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
        fault_resume(wanted, true);
        for (int i = 0; i < 600; i++) {
            rig_write(&rig);
        }
        rig_hand_over(&rig);
        CHECK_EQUAL(KC_OK, kc_writer_stop(&rig.writer, UINT64_MAX));
        (void)fault_suspend();
        complete = atomic_load(&rig.writer.failed_count) == 0;
        CHECK_EQUAL(KC_OK, kc_writer_close(&rig.writer, 3, "exit"));
        CHECK_EQUAL(600, rig_check_records(folder, 0));
    }
    rig_destroy(&rig, true);
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    kc_store_remove(path);
    free(path);
    return complete;
}

static size_t
write_no_double(double value, char *out, size_t room)
{
    (void)value;
    (void)out;
    (void)room;
    return 0;
}

/* A block with a text, a definition and a stack: all that a scan allocates for. */
static bool
scan_round(void)
{
    static const uint8_t bytes[] = "\x95\x00\x00\xcd\x20\x00\xc0\xa1x";
    struct kc_scan_options options = {1, true, false, write_no_double};
    struct kc_scan *scan = NULL;
    struct kc_scan_news news;
    size_t count = 0;
    if (kc_scan_new(&scan, &options) != KC_OK) {
        return false;
    }
    bool complete = kc_scan_walk(scan, bytes, sizeof bytes - 1, 1, &news) == KC_OK;
    CHECK(!complete || (news.text_count == 1 && news.reference_count == 1));
    (void)kc_scan_settle(scan, &count);
    CHECK_EQUAL(0, count);
    kc_scan_free(scan);
    return complete;
}

int
main(void)
{
    char saved[200];
    fault_init();
    (void)rig_schema();
    rig_make_folder(folder, sizeof folder);
    (void)snprintf(map_path, sizeof map_path, "%s/" RIG_PROCESS ".map", folder);
    fault_each(queue_round, "queue", ALLOCATIONS | FAULT_THREAD, false);
    fault_each(mask_round, "mask", ALLOCATIONS, false);
    fault_each(mapping_round, "mapping", ALLOCATIONS, false);
    make_blocks();
    (void)snprintf(saved, sizeof saved, "%s/saved", folder);
    CHECK(rename(map_path, saved) == 0);
    fault_each(store_round, "store", ALLOCATIONS, false);
    fault_each(recover_round, "recover", ALLOCATIONS, false);
    fault_each(query_round, "query", ALLOCATIONS, false);
    fault_each(scan_round, "scan", ALLOCATIONS, false);
    rig_remove_folder(folder);
    rig_make_folder(folder, sizeof folder);
    fault_each(writer_round, "writer", ALLOCATIONS, false);
    rig_remove_folder(folder);
    free(log_block);
    free(record_block);
    return check_result("fault");
}
