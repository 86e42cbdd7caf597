/* test_fault.c -- fail the first allocation, then the second, ... until none fails.
 *
 * The linker puts the functions below before the real ones (--wrap), for our objects;
 * SQLite is given them by sqlite3_config(). Each round must end with nothing held,
 * whichever allocation was refused, and what was not refused must have worked.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "check.h"
#include "plain/clock.h"
#include "plain/query.h"
#include "plain/recover.h"
#include "plain/scan.h"
#include "rig.h"

/* Under a sanitizer a round takes longer: every seventh refusal must do there. */
#ifndef FAULT_STRIDE
#define FAULT_STRIDE 1
#endif

static atomic_long fail_at; /* 0: none */
static atomic_long seen;
static atomic_long held;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void __real_free(void *memory);
ZSTD_CCtx *__real_ZSTD_createCCtx(void);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
void __wrap_free(void *memory);
ZSTD_CCtx *__wrap_ZSTD_createCCtx(void);

static bool
refused(void)
{
    return atomic_fetch_add(&seen, 1) + 1 == atomic_load(&fail_at);
}

static void *
count_held(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_add(&held, 1);
    }
    return memory;
}

void *
__wrap_malloc(size_t size)
{
    return refused() ? NULL : count_held(__real_malloc(size));
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : count_held(__real_calloc(count, size));
}

void *
__wrap_realloc(void *memory, size_t size)
{
    if (refused()) {
        return NULL;
    }
    void *moved = __real_realloc(memory, size);
    return memory == NULL ? count_held(moved) : moved;
}

char *
__wrap_strdup(const char *text)
{
    return refused() ? NULL : count_held(__real_strdup(text));
}

char *
__wrap_strndup(const char *text, size_t len)
{
    return refused() ? NULL : count_held(__real_strndup(text, len));
}

void
__wrap_free(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub(&held, 1);
    }
    __real_free(memory);
}

ZSTD_CCtx *
__wrap_ZSTD_createCCtx(void)
{
    return refused() ? NULL : __real_ZSTD_createCCtx();
}

/* ---- the same for SQLite, which has its own copy of malloc ---- */

static sqlite3_mem_methods sqlite_memory;

static void *
sqlite_malloc(int size)
{
    return refused() ? NULL : count_held(sqlite_memory.xMalloc(size));
}

static void
sqlite_free(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub(&held, 1);
    }
    sqlite_memory.xFree(memory);
}

static void *
sqlite_realloc(void *memory, int size)
{
    return refused() ? NULL : sqlite_memory.xRealloc(memory, size);
}

static void
sqlite_refuse(void)
{
    sqlite3_mem_methods wrapped;
    CHECK_EQUAL(SQLITE_OK, sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory));
    wrapped = sqlite_memory;
    wrapped.xMalloc = sqlite_malloc;
    wrapped.xFree = sqlite_free;
    wrapped.xRealloc = sqlite_realloc;
    CHECK_EQUAL(SQLITE_OK, sqlite3_config(SQLITE_CONFIG_MALLOC, &wrapped));
    CHECK_EQUAL(SQLITE_OK, sqlite3_initialize());
}

/* Run `round` with each allocation refused in turn; it says whether it was complete. */
static void
refuse_each(bool (*round)(void), const char *name)
{
    long refusals = 0;
    for (bool complete = false; !complete; refusals += FAULT_STRIDE) {
        CHECK(refusals < 20000);
        if (refusals >= 20000) {
            break;
        }
        atomic_store(&seen, 0);
        long before = atomic_load(&held);
        atomic_store(&fail_at, refusals + 1);
        complete = round() && atomic_load(&seen) <= refusals;
        atomic_store(&fail_at, 0);
        if (atomic_load(&held) != before) {
            (void)fprintf(stderr, "%s: %ld held after refusal %ld\n", name,
                          atomic_load(&held) - before, refusals + 1);
        }
        CHECK_EQUAL(before, atomic_load(&held));
    }
    (void)printf("%-14s %ld allocations refused in turn\n", name,
                 refusals / FAULT_STRIDE - 1);
}

/* ---- rounds ---- */

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
    for (int i = 0; i < 500; i++) {
        rig_write(&rig);
    }
    log_block = __real_malloc(sizeof *log_block);
    record_block = __real_malloc(sizeof *record_block);
    memcpy(log_block, rig.log.block, sizeof *log_block);
    memcpy(record_block, rig.stream.block, sizeof *record_block);
    rig_destroy(&rig, false);
}

static bool
save(struct kc_store *store)
{
    bool saved =
        kc_store_begin(store) == KC_OK &&
        kc_store_process(store, RIG_PROCESS, 0, 1, 2, 3, "{}") == KC_OK &&
        kc_store_anchor(store, 4, 5) == KC_OK &&
        kc_store_definitions(store, log_block, 0, kc_block_bytes(log_block)) == KC_OK &&
        kc_store_block(store, record_block) == KC_OK && kc_store_commit(store) == KC_OK;
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
    long wanted = atomic_exchange(&fail_at, 0);
    rig_init(&rig, folder);
    atomic_store(&seen, 0);
    bool complete = kc_writer_open(&rig.writer, 1, 2) == KC_OK;
    if (complete) {
        rig_define_thread(&rig, 1, "MainThread");
        rig_define_trace(&rig, 1, "trc_1");
        CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
        atomic_store(&seen, 0);
        atomic_store(&fail_at, wanted);
        for (int i = 0; i < 600; i++) {
            rig_write(&rig);
        }
        rig_hand_over(&rig);
        CHECK_EQUAL(KC_OK, kc_writer_stop(&rig.writer, UINT64_MAX));
        atomic_store(&fail_at, 0);
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
    sqlite_refuse();
    (void)rig_schema();
    rig_make_folder(folder, sizeof folder);
    (void)snprintf(map_path, sizeof map_path, "%s/" RIG_PROCESS ".map", folder);
    refuse_each(queue_round, "queue");
    refuse_each(mapping_round, "mapping");
    make_blocks();
    (void)snprintf(saved, sizeof saved, "%s/saved", folder);
    CHECK(rename(map_path, saved) == 0);
    refuse_each(store_round, "store");
    refuse_each(recover_round, "recover");
    refuse_each(query_round, "query");
    refuse_each(scan_round, "scan");
    rig_remove_folder(folder);
    rig_make_folder(folder, sizeof folder);
    refuse_each(writer_round, "writer");
    rig_remove_folder(folder);
    __real_free(log_block);
    __real_free(record_block);
    return check_result("fault");
}
