/* test_store.c -- what is saved is what the rows say, and bad files are refused. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "check.h"
#include "plain/clock.h"
#include "rig.h"

static char folder[64];

/* A definitions block outside any queue, its cursor open for one definition. */
struct log {
    struct kc_stream stream;
    struct kc_block *block;
};

static void
log_init(struct log *log)
{
    log->block = calloc(1, sizeof *log->block);
    kc_stream_init(&log->stream, 0, 0);
    kc_stream_give_block(&log->stream, log->block, KC_BLOCK_DEFINITIONS, 0);
}

static struct kc_cursor
log_begin(struct log *log, enum kc_definition kind, uint64_t number, size_t fields)
{
    struct kc_cursor cursor = kc_stream_begin_plain(&log->stream);
    kc_wire_array(&cursor, fields + 2);
    kc_wire_uint(&cursor, kind);
    kc_wire_uint(&cursor, number);
    return cursor;
}

static void
log_commit(struct log *log, const struct kc_cursor *cursor)
{
    CHECK_EQUAL(KC_OK, cursor->status);
    kc_stream_commit(&log->stream, cursor, 0);
}

static void
log_trace(struct log *log, uint64_t number, uint64_t trace, const char *id)
{
    struct kc_cursor cursor = log_begin(log, KC_DEF_TRACE, number, 8);
    kc_wire_uint(&cursor, trace);
    kc_wire_text(&cursor, id);
    kc_wire_text(&cursor, "request");
    kc_wire_text(&cursor, "GET /");
    kc_wire_text(&cursor, trace == 1 ? NULL : "trc_parent");
    kc_wire_uint(&cursor, 1000 + trace);
    kc_wire_uint(&cursor, 2000 + trace);
    kc_wire_text(&cursor, "{\"a\": 1}");
    log_commit(log, &cursor);
}

static void
log_trace_set(struct log *log, uint64_t number, uint64_t trace, const char *name,
              const char *attributes)
{
    struct kc_cursor cursor = log_begin(log, KC_DEF_TRACE_SET, number, 3);
    kc_wire_uint(&cursor, trace);
    kc_wire_text(&cursor, name);
    kc_wire_text(&cursor, attributes);
    log_commit(log, &cursor);
}

static void
log_trace_drop(struct log *log, uint64_t number, uint64_t trace, uint64_t segment)
{
    struct kc_cursor cursor = log_begin(log, KC_DEF_TRACE_DROP, number, 2);
    kc_wire_uint(&cursor, trace);
    kc_wire_uint(&cursor, segment);
    log_commit(log, &cursor);
}

static void
log_trace_end(struct log *log, uint64_t number, uint64_t trace, uint64_t ended_ns)
{
    struct kc_cursor cursor = log_begin(log, KC_DEF_TRACE_END, number, 6);
    kc_wire_uint(&cursor, trace);
    kc_wire_uint(&cursor, ended_ns);
    kc_wire_text(&cursor, "exit");
    kc_wire_text(&cursor, "{\"records\": 3}");
    kc_wire_text(&cursor, NULL);
    kc_wire_text(&cursor, "{\"b\": 2}");
    log_commit(log, &cursor);
}

static void
log_thread(struct log *log, uint64_t number, uint64_t thread)
{
    struct kc_cursor cursor = log_begin(log, KC_DEF_THREAD, number, 4);
    kc_wire_uint(&cursor, thread);
    kc_wire_text(&cursor, "of a request");
    kc_wire_uint(&cursor, 140000);
    kc_wire_uint(&cursor, 4711);
    log_commit(log, &cursor);
}

static void
log_file(struct log *log, uint64_t number, const char *path, uint64_t size,
         uint64_t mtime_ns, const char *text)
{
    struct kc_cursor cursor = log_begin(log, KC_DEF_FILE, number, 4);
    kc_wire_text(&cursor, path);
    kc_wire_uint(&cursor, size);
    if (mtime_ns == 0) {
        kc_wire_nil(&cursor);
    }
    else {
        kc_wire_uint(&cursor, mtime_ns);
    }
    kc_wire_text(&cursor, text);
    log_commit(log, &cursor);
}

/* Save all of the log and start it anew. */
static void
log_save(struct log *log, struct kc_store *store)
{
    CHECK_EQUAL(KC_OK, kc_store_begin(store));
    CHECK_EQUAL(KC_OK,
                kc_store_definitions(store, log->block, 0, kc_block_bytes(log->block)));
    CHECK_EQUAL(KC_OK, kc_store_commit(store));
    (void)kc_stream_take_block(&log->stream, NULL, 0);
    kc_stream_give_block(&log->stream, log->block, KC_BLOCK_DEFINITIONS, 0);
}

static void
store_make(struct kc_store *store, uint64_t segment)
{
    char *path = kc_store_path(folder, RIG_PROCESS, segment);
    CHECK(path != NULL);
    kc_store_remove(path);
    CHECK_EQUAL(KC_OK, kc_store_open(store, path, rig_schema(), RIG_SCHEMA_VERSION));
    free(path);
}

static uint64_t
ask(uint64_t segment, const char *sql)
{
    return rig_ask(folder, segment, sql);
}

static void
check_text(const char *expected, uint64_t segment, const char *sql)
{
    char text[512];
    rig_ask_text(folder, segment, sql, text, sizeof text);
    CHECK(strcmp(expected, text) == 0);
    if (strcmp(expected, text) != 0) {
        (void)fprintf(stderr, "  %s: %s, not %s\n", sql, text, expected);
    }
}

static void
test_a_new_segment_has_schema_version_and_wal(void)
{
    struct kc_store store;
    uint64_t start_ns = kc_clock_system_ns();
    store_make(&store, 0);
    CHECK(kc_clock_system_ns() - start_ns < UINT64_C(2000000000));
    check_text("wal", 0, "PRAGMA journal_mode");
    CHECK_EQUAL(RIG_SCHEMA_VERSION, ask(0, "PRAGMA user_version"));
    CHECK_EQUAL(8, ask(0, "SELECT count(*) FROM sqlite_master WHERE type = 'table'"));
    CHECK(kc_store_size(&store) > 0);
    kc_store_close(&store);
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    CHECK_EQUAL(KC_OK, kc_store_open(&store, path, rig_schema(), RIG_SCHEMA_VERSION));
    kc_store_close(&store);
    CHECK_EQUAL(KC_STORE,
                kc_store_open(&store, path, rig_schema(), RIG_SCHEMA_VERSION + 1));
    CHECK(strstr(kc_store_error(&store), path) != NULL);
    CHECK(strstr(kc_store_error(&store), "version 1") != NULL);
    free(path);
}

static void
test_a_file_that_is_no_segment_is_refused(void)
{
    struct kc_store store;
    char *path = kc_store_path(folder, RIG_PROCESS, 1);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) {
        (void)fputs("this is no database\n", file);
    }
    (void)fclose(file);
    CHECK_EQUAL(KC_STORE,
                kc_store_open(&store, path, rig_schema(), RIG_SCHEMA_VERSION));
    CHECK(strstr(kc_store_error(&store), "not a database") != NULL);
    CHECK_EQUAL(SQLITE_NOTADB, store.error_code);
    kc_store_remove(path);
    free(path);
    CHECK_EQUAL(KC_STORE,
                kc_store_open(&store, "/proc/nonexistent/x.db", rig_schema(), 1));
    CHECK(strstr(kc_store_error(&store), "/proc/nonexistent/x.db") != NULL);
}

static unsigned
mode_of(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? (unsigned)about.st_mode & 0777u : 0;
}

static void
test_files_are_their_owner_s_alone_and_links_are_not_followed(void)
{
    char path[160];
    char link[200];
    struct kc_store store;
    mode_t before = umask(0);
    (void)snprintf(path, sizeof path, "%s/new/.kolo_c/segments", folder);
    CHECK_EQUAL(KC_OK, kc_store_make_directory(path));
    CHECK_EQUAL(0700, mode_of(path));
    (void)snprintf(path, sizeof path, "%s/new", folder);
    CHECK_EQUAL(0700, mode_of(path));
    (void)snprintf(path, sizeof path, "%s/new/.kolo_c/.gitignore", folder);
    CHECK_EQUAL(0600, mode_of(path));
    (void)snprintf(path, sizeof path, "%s/new/a.db", folder);
    CHECK_EQUAL(KC_OK, kc_store_open(&store, path, rig_schema(), RIG_SCHEMA_VERSION));
    CHECK_EQUAL(0600, mode_of(path));
    (void)snprintf(link, sizeof link, "%s-wal", path);
    CHECK_EQUAL(0600, mode_of(link));
    kc_store_close(&store);
    umask(before);

    (void)snprintf(link, sizeof link, "%s/new/link.db", folder);
    CHECK_EQUAL(0, symlink("a.db", link));
    CHECK_EQUAL(KC_STORE,
                kc_store_open(&store, link, rig_schema(), RIG_SCHEMA_VERSION));
    CHECK(strstr(kc_store_error(&store), "link.db: is a symbolic link") != NULL);
    (void)snprintf(link, sizeof link, "%s/new/linked", folder);
    CHECK_EQUAL(0, symlink(".kolo_c", link));
    (void)snprintf(path, sizeof path, "%s/new/linked/segments", folder);
    CHECK(kc_store_make_directory(path) == KC_IO && errno == ELOOP);
    (void)snprintf(link, sizeof link, "%s/new/.kolo_c/other", folder);
    CHECK_EQUAL(0, symlink("segments", link));
    CHECK(kc_store_make_directory(link) == KC_IO && errno == ELOOP);
}

static void
test_process_rows(void)
{
    struct kc_store store;
    store_make(&store, 0);
    CHECK_EQUAL(KC_OK, kc_store_process(&store, RIG_PROCESS, 0, 42, 7, 8, "{}"));
    CHECK_EQUAL(KC_OK, kc_store_anchor(&store, 70, 80));
    CHECK_EQUAL(42, ask(0, "SELECT pid FROM process WHERE id = '" RIG_PROCESS "'"));
    CHECK_EQUAL(80, ask(0, "SELECT anchor_utc_ns FROM process"));
    CHECK_EQUAL(1, ask(0, "SELECT ended_ns IS NULL FROM process"));
    CHECK_EQUAL(KC_OK, kc_store_process_end(&store, 99, "exit"));
    CHECK_EQUAL(KC_OK, kc_store_process_end(&store, 100, "interrupted"));
    CHECK_EQUAL(99, ask(0, "SELECT ended_ns FROM process"));
    check_text("exit", 0, "SELECT cause FROM process");
    kc_store_close(&store);
}

static void
test_traces_and_threads_become_rows(void)
{
    struct kc_store store;
    struct log log;
    store_make(&store, 0);
    log_init(&log);
    struct kc_cursor cursor = log_begin(&log, KC_DEF_THREAD, 1, 4);
    kc_wire_uint(&cursor, 3);
    kc_wire_str(&cursor, "worker \xed\xb2\x80\xff", 11); /* a surrogate, a stray byte */
    kc_wire_uint(&cursor, 140);
    kc_wire_nil(&cursor);
    log_commit(&log, &cursor);
    log_trace(&log, 2, 1, "trc_a");
    log_trace(&log, 3, 2, "trc_b");
    log_trace_end(&log, 4, 1, 5000);
    log_save(&log, &store);
    check_text("worker \xef\xbf\xbd?", 0, "SELECT name FROM thread WHERE number = 3");
    CHECK_EQUAL(1, ask(0, "SELECT native_id IS NULL FROM thread"));
    check_text("complete", 0, "SELECT status FROM trace WHERE id = 'trc_a'");
    check_text("{\"records\": 3}", 0, "SELECT counters FROM trace WHERE number = 1");
    check_text("{\"b\": 2}", 0, "SELECT attributes FROM trace WHERE number = 1");
    check_text("GET /", 0, "SELECT name FROM trace WHERE number = 1");
    CHECK_EQUAL(5000, ask(0, "SELECT ended_ns FROM trace WHERE number = 1"));
    check_text("running", 0, "SELECT status FROM trace WHERE number = 2");
    check_text("trc_parent", 0, "SELECT parent FROM trace WHERE number = 2");
    CHECK_EQUAL(1,
                ask(0, "SELECT count(*) FROM definition WHERE first = 1 AND last = 4"));
    /* Saved again, as after a crash between commit and `saved`: nothing comes undone.
     */
    log_trace(&log, 2, 1, "trc_a");
    log_save(&log, &store);
    check_text("complete", 0, "SELECT status FROM trace WHERE number = 1");
    CHECK_EQUAL(KC_OK, kc_store_interrupt(&store, 6000, "interrupted"));
    check_text("complete", 0, "SELECT status FROM trace WHERE number = 1");
    check_text("interrupted", 0, "SELECT status FROM trace WHERE number = 2");
    CHECK_EQUAL(6000, ask(0, "SELECT ended_ns FROM trace WHERE number = 2"));
    kc_store_close(&store);
    free(log.block);
}

static void
test_the_last_that_is_said_of_a_trace_holds(void)
{
    struct kc_store store;
    struct log log;
    store_make(&store, 0);
    log_init(&log);
    log_trace(&log, 1, 1, "trc_a");
    log_trace_set(&log, 2, 1, "named", "{\"c\": 3}");
    log_trace_set(&log, 3, 1, NULL, "{\"c\": 4}");
    log_trace_set(&log, 4, 9, "no such trace", NULL);
    log_save(&log, &store);
    check_text("named", 0, "SELECT name FROM trace WHERE number = 1");
    check_text("{\"c\": 4}", 0, "SELECT attributes FROM trace WHERE number = 1");
    check_text("running", 0, "SELECT status FROM trace WHERE number = 1");
    CHECK_EQUAL(1, ask(0, "SELECT count(*) FROM trace"));
    log_trace_end(&log, 5, 1, 5000);
    log_save(&log, &store);
    /* After its end nothing changes, whatever is saved again. */
    log_trace_set(&log, 6, 1, "late", "{}");
    log_save(&log, &store);
    check_text("named", 0, "SELECT name FROM trace WHERE number = 1");
    check_text("{\"b\": 2}", 0, "SELECT attributes FROM trace WHERE number = 1");
    kc_store_close(&store);
    free(log.block);
}

static void
test_hostile_definitions_harm_nobody(void)
{
    struct kc_store store;
    struct log log;
    unsigned int seed = 5;
    store_make(&store, 0);
    log_init(&log);
    log_trace(&log, 1, 1, "trc_a");
    log_trace(&log, 2, 9, "trc_a"); /* the id of another: left out */
    struct kc_cursor cursor =
        log_begin(&log, KC_DEF_TRACE, 3, 1); /* fields are missing */
    kc_wire_array(&cursor, 0);
    log_commit(&log, &cursor);
    cursor = log_begin(&log, KC_DEF_FILE, 4, 0);
    log_commit(&log, &cursor);
    log_save(&log, &store);
    CHECK_EQUAL(1, ask(0, "SELECT count(*) FROM trace WHERE id = 'trc_a'"));
    CHECK_EQUAL(KC_CORRUPT, kc_store_definitions(&store, log.block, 5, 4));
    CHECK_EQUAL(KC_CORRUPT,
                kc_store_definitions(&store, log.block, 0, KC_BLOCK_DATA_BYTES + 1));
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < 4096; i++) {
            seed = seed * 1103515245u + 12345u;
            log.block->data[i] = (uint8_t)(seed >> 16);
        }
        /* A head that is sound, so that the fields are looked at. */
        memcpy(log.block->data, (const uint8_t[]){0x9a, (uint8_t)(round % 10), 1}, 3);
        log.block->sequence = (uint64_t)round + 10;
        CHECK_EQUAL(KC_OK, kc_store_definitions(&store, log.block, 0, 4096));
    }
    CHECK_EQUAL(200, ask(0, "SELECT count(*) FROM definition WHERE sequence >= 10"));
    kc_store_close(&store);
    free(log.block);
}

static void
write_source(const char *path, const char *text, uint64_t *size, uint64_t *mtime_ns)
{
    struct stat about;
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    (void)fputs(text, file);
    (void)fclose(file);
    CHECK_EQUAL(0, stat(path, &about));
    *size = (uint64_t)about.st_size;
    *mtime_ns =
        (uint64_t)about.st_mtim.tv_sec * 1000000000u + (uint64_t)about.st_mtim.tv_nsec;
}

static void
test_sources_are_kept_once_per_content(void)
{
    struct kc_store store;
    struct log log;
    char path[128];
    char undecodable[160];
    uint64_t size = 0;
    uint64_t mtime_ns = 0;
    store_make(&store, 0);
    log_init(&log);
    (void)snprintf(path, sizeof path, "%s/a.py", folder);
    write_source(path, "a", &size, &mtime_ns);
    log_file(&log, 1, path, size, mtime_ns, NULL);
    log_file(&log, 2, path, size, mtime_ns + 1, NULL);
    log_file(&log, 3, path, size + 1, mtime_ns, NULL);
    log_file(&log, 4, "<string>", 0, 0, "a");
    log_file(&log, 5, "<frozen x>", 0, 0, NULL);
    log_file(&log, 6, "/proc/nonexistent.py", 1, 1, NULL);
    log_file(&log, 7, path, (uint64_t)5 << 20, mtime_ns, NULL);
    log_file(&log, 8, folder, 4096, 1, NULL);
    log_file(&log, 9, "<empty>", 0, 0, "");
    (void)snprintf(path, sizeof path, "%s/\xff.py", folder);
    (void)snprintf(undecodable, sizeof undecodable, "%s/\xed\xb3\xbf.py", folder);
    write_source(path, "b", &size, &mtime_ns);
    log_file(&log, 10, undecodable, size, mtime_ns, NULL);
    log_save(&log, &store);
    /* The published values of FNV-1a with 128 bits for "a" and "". */
    check_text("d228cb696f1a8caf78912b704e4a8964", 0,
               "SELECT hash FROM file WHERE number = 1");
    check_text("d228cb696f1a8caf78912b704e4a8964", 0,
               "SELECT hash FROM file WHERE number = 4");
    check_text("6c62272e07bb014262b821756295c58d", 0,
               "SELECT hash FROM file WHERE number = 9");
    CHECK_EQUAL(3, ask(0, "SELECT count(*) FROM source"));
    CHECK_EQUAL(1,
                ask(0, "SELECT count(*) FROM source WHERE data = CAST('b' AS BLOB)"));
    check_text("changed since the program read it", 0,
               "SELECT note FROM file WHERE number = 2");
    check_text("changed since the program read it", 0,
               "SELECT note FROM file WHERE number = 3");
    check_text("no such file", 0, "SELECT note FROM file WHERE number = 5");
    check_text("not readable (errno 2)", 0, "SELECT note FROM file WHERE number = 6");
    check_text("larger than 4194304 bytes", 0,
               "SELECT note FROM file WHERE number = 7");
    CHECK_EQUAL(6, ask(0, "SELECT count(*) FROM file WHERE hash IS NULL"));
    kc_store_close(&store);
    free(log.block);
}

static void
test_secrets_in_sources_are_masked(void)
{
    static const char before[] =
        "url = 'https://bob:hunter2hunter2@example.com/'\nx = 1\n";
    char data[256];
    struct kc_store store;
    struct log log;
    store_make(&store, 0);
    log_init(&log);
    store.compress = 0;
    log_file(&log, 1, "<string>", 0, 0, before);
    log_save(&log, &store);
    CHECK_EQUAL(1, store.mask_count);
    CHECK_EQUAL(1, ask(0, "SELECT masked FROM source"));
    CHECK_EQUAL(sizeof before - 1, ask(0, "SELECT bytes FROM source"));
    rig_ask_text(folder, 0, "SELECT CAST(data AS TEXT) FROM source", data, sizeof data);
    CHECK_EQUAL(sizeof before - 1, strlen(data));
    CHECK(strstr(data, "hunter2") == NULL);
    CHECK(strstr(data, "****") != NULL);
    CHECK(strstr(data, "\nx = 1\n") != NULL);
    kc_store_close(&store);
    free(log.block);
}

static void
fill_block(struct kc_block *block, uint64_t sequence, bool random)
{
    struct kc_stream stream;
    struct kc_open opens[3];
    struct kc_open early = {5, 0};
    unsigned int seed = (unsigned int)sequence + 1;
    uint8_t bytes[100];
    memset(bytes, 7, sizeof bytes);
    kc_stream_init(&stream, 1, 2);
    stream.next_sequence = sequence;
    stream.depth = 2;
    stream.next_node = 10;
    kc_stream_give_block(&stream, block, KC_BLOCK_RECORDS, 100);
    struct kc_cursor cursor = kc_stream_begin(&stream, 110, KC_KIND_RETURN, 0);
    kc_stream_commit_pop(&stream, &cursor, &early, UINT64_MAX, KC_KIND_RETURN, 110);
    early.node = 4;
    cursor = kc_stream_begin(&stream, 120, KC_KIND_RAISE, 0);
    kc_stream_commit_pop(&stream, &cursor, &early, UINT64_MAX, KC_KIND_RAISE, 120);
    for (uint32_t i = 0; i < 400; i++) {
        for (size_t j = 0; random && j < sizeof bytes; j++) {
            seed = seed * 1103515245u + 12345u;
            bytes[j] = (uint8_t)(seed >> 16);
        }
        cursor = kc_stream_begin(&stream, 130 + i, KC_KIND_CALL, 1);
        kc_wire_bin(&cursor, bytes, sizeof bytes);
        if (i < 3) {
            opens[i] = kc_stream_commit_push(&stream, &cursor, 130 + i);
        }
        else {
            (void)kc_stream_commit_node(&stream, &cursor, 130 + i);
        }
    }
    CHECK(kc_stream_take_block(&stream, opens, 33) == block);
}

static void
test_a_block_is_a_header_and_its_bytes(void)
{
    struct kc_store store;
    struct kc_block *block = calloc(1, sizeof *block);
    char text[256];
    store_make(&store, 0);
    fill_block(block, 3, false);
    CHECK_EQUAL(KC_OK, kc_store_block(&store, block));
    CHECK_EQUAL(KC_OK, kc_store_block(&store, block)); /* there already: left */
    CHECK_EQUAL(1, store.block_count);
    fill_block(block, 4, true);
    CHECK_EQUAL(KC_OK, kc_store_block(&store, block));
    CHECK_EQUAL(2, ask(0, "SELECT count(*) FROM block_data"));
    rig_ask_text(
        folder, 0,
        "SELECT trace || ' ' || thread || ' ' || base_ns || ' ' || last_ns || ' '"
        " || first_node || ' ' || nodes || ' ' || records || ' ' || start_depth"
        " || ' ' || least_depth || ' ' || definition FROM block"
        " WHERE sequence = 3",
        text, sizeof text);
    CHECK(strcmp(text, "1 2 100 529 10 400 402 2 0 33") == 0);
    /* The first close first: node 5, then 4; opens from the outermost: 10, 11, 12. */
    check_text("05000000000000006E000000000000000100000000000000"
               "040000000000000078000000000000000200000000000000",
               0, "SELECT hex(closes) FROM block WHERE sequence = 3");
    check_text("0A000000000000000B000000000000000C00000000000000", 0,
               "SELECT hex(opens) FROM block WHERE sequence = 3");
    CHECK_EQUAL(1, ask(0, "SELECT encoding FROM block_data WHERE id = 1"));
    CHECK_EQUAL(1, ask(0, "SELECT length(data) < bytes / 10 FROM block JOIN block_data"
                          " USING (id) WHERE sequence = 3"));
    /* What does not get shorter is stored as it is. */
    CHECK_EQUAL(kc_block_bytes(block),
                ask(0, "SELECT length(data) FROM block JOIN "
                       "block_data USING (id) WHERE sequence = 4 "
                       "AND encoding = 0"));
    atomic_store(&block->committed, KC_BLOCK_DATA_BYTES + 1);
    CHECK_EQUAL(KC_CORRUPT, kc_store_block(&store, block));
    atomic_store(&block->committed, (uint64_t)UINT32_MAX << 32);
    CHECK_EQUAL(KC_CORRUPT, kc_store_block(&store, block));
    kc_store_close(&store);
    free(block);
}

/* Its definition comes first in a transaction, its blocks after that: none may stay. */
static void
test_a_trace_that_is_dropped_leaves_nothing_in_any_segment(void)
{
    struct kc_store stores[2];
    struct kc_block *block = calloc(1, sizeof *block);
    struct log log;
    log_init(&log);
    log_trace(&log, 1, 1, "trc_one");
    log_trace_drop(&log, 2, 1, 0);
    log_trace(&log, 3, 2, "trc_two");
    for (uint64_t segment = 0; segment < 2; segment++) {
        struct kc_store *store = &stores[segment];
        store_make(store, segment);
        CHECK_EQUAL(KC_OK, kc_store_begin(store));
        CHECK_EQUAL(KC_OK, segment == 0
                               ? KC_OK
                               : kc_store_definitions(store, log.block, 0,
                                                      kc_block_bytes(log.block)));
        for (uint64_t i = 0; i < 60; i++) {
            fill_block(block, 60 * segment + i, true);
            block->trace_number = i == 0 ? 2 : 1;
            CHECK_EQUAL(KC_OK, kc_store_block(store, block));
        }
        CHECK_EQUAL(KC_OK, kc_store_drop(store));
        CHECK_EQUAL(KC_OK, kc_store_commit(store));
    }
    kc_store_close(&stores[0]);
    CHECK_EQUAL(60, ask(0, "SELECT count(*) FROM block"));
    CHECK_EQUAL(1, ask(1, "SELECT count(*) FROM block WHERE trace = 2"));
    CHECK_EQUAL(1, ask(1, "SELECT count(*) FROM block_data"));
    CHECK_EQUAL(2, ask(1, "SELECT sum(number) FROM trace"));
    uint64_t pages = ask(0, "SELECT page_count FROM pragma_page_count");
    kc_store_drop_before(&stores[1], folder, RIG_PROCESS, 1, rig_schema(),
                         RIG_SCHEMA_VERSION);
    CHECK_EQUAL(1, ask(0, "SELECT count(*) FROM block_data"));
    CHECK(ask(0, "SELECT page_count FROM pragma_page_count") < pages / 2);
    kc_store_close(&stores[1]);
    free(log.block);
    free(block);
}

static void
test_what_is_rolled_back_is_not_there(void)
{
    struct kc_store store;
    struct kc_block *block = calloc(1, sizeof *block);
    store_make(&store, 0);
    fill_block(block, 0, false);
    CHECK_EQUAL(KC_OK, kc_store_begin(&store));
    CHECK_EQUAL(KC_OK, kc_store_block(&store, block));
    kc_store_rollback(&store);
    kc_store_rollback(&store);
    CHECK_EQUAL(0, ask(0, "SELECT count(*) FROM block"));
    CHECK_EQUAL(KC_OK, kc_store_block(&store, block));
    CHECK_EQUAL(1, ask(0, "SELECT count(*) FROM block"));
    kc_store_close(&store);
    free(block);
}

static void
test_a_new_segment_takes_over_what_it_needs(void)
{
    struct kc_store old;
    struct kc_store next;
    struct log log;
    store_make(&old, 0);
    store_make(&next, 1);
    log_init(&log);
    CHECK_EQUAL(KC_OK, kc_store_process(&old, RIG_PROCESS, 0, 42, 7, 8, "{}"));
    struct kc_cursor cursor = log_begin(&log, KC_DEF_STRING, 1, 1);
    kc_wire_text(&cursor, "kept");
    log_commit(&log, &cursor);
    log_trace(&log, 2, 1, "trc_runs");
    for (uint64_t i = 0; i < 1100; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "trc_%llu", (unsigned long long)i);
        log_trace(&log, 3 + 2 * i, 2 + i, id);
        if (i == 500) { /* said of a trace: as its row, it goes along in that */
            log_trace_set(&log, 2500, 1, "said", NULL);
        }
        log_trace_end(&log, 4 + 2 * i, 2 + i, 9000 + i);
        if (i % 100 == 99) {
            log_save(&log, &old);
        }
    }
    log_file(&log, 3000, "<string>", 0, 0, "text");
    log_save(&log, &old);
    for (uint64_t thread = 1; thread <= 2500; thread++) {
        log_thread(&log, 3000 + thread, thread);
        if (thread % 100 == 0) {
            log_save(&log, &old);
        }
    }
    struct kc_block *block = calloc(1, sizeof *block);
    fill_block(block, 0, true);
    block->thread_number = 1200;
    CHECK_EQUAL(KC_OK, kc_store_block(&old, block));
    free(block);
    CHECK_EQUAL(1101, ask(0, "SELECT count(*) FROM trace"));
    CHECK_EQUAL(KC_OK, kc_store_carry(&next, &old));
    CHECK_EQUAL(1, ask(1, "SELECT segment FROM process"));
    CHECK_EQUAL(1001, ask(1, "SELECT count(*) FROM trace"));
    CHECK_EQUAL(1, ask(1, "SELECT count(*) FROM trace WHERE id = 'trc_runs'"));
    check_text("said", 1, "SELECT name FROM trace WHERE id = 'trc_runs'");
    CHECK_EQUAL(1, ask(1, "SELECT count(*) FROM trace WHERE id = 'trc_1099'"));
    CHECK_EQUAL(0, ask(1, "SELECT count(*) FROM trace WHERE id = 'trc_0'"));
    CHECK_EQUAL(2500, ask(0, "SELECT count(*) FROM thread"));
    CHECK_EQUAL(2001, ask(1, "SELECT count(*) FROM thread"));
    CHECK_EQUAL(0, ask(1, "SELECT count(*) FROM thread WHERE number IN (1001, 1500)"));
    CHECK_EQUAL(1, ask(1, "SELECT count(*) FROM thread WHERE number = 1200"));
    CHECK_EQUAL(1, ask(1, "SELECT count(*) FROM source"));
    CHECK_EQUAL(1, ask(1, "SELECT count(*) FROM file"));
    /* Of all those pieces two had a definition that is no trace and no thread. */
    CHECK_EQUAL(2, ask(1, "SELECT count(*) FROM definition"));
    check_text("930101A46B657074", 1,
               "SELECT hex(data) FROM definition WHERE first = 1");
    CHECK_EQUAL(KC_OK, kc_store_begin(&next)); /* the old segment is let go */
    kc_store_rollback(&next);
    kc_store_close(&next);
    kc_store_close(&old);
    free(log.block);
}

/* Whether a segment has a definition with this name. */
static uint64_t
has_task(uint64_t segment, uint64_t number)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM definition WHERE instr(data, 'Task-%llu.')",
                   (unsigned long long)number);
    return ask(segment, sql);
}

static void
test_a_new_segment_takes_over_no_task_that_ended_long_ago(void)
{
    struct kc_store old;
    struct kc_store next;
    struct log log;
    store_make(&old, 0);
    store_make(&next, 1);
    log_init(&log);
    for (uint64_t number = 1; number <= 25000; number++) {
        char name[32];
        struct kc_cursor cursor = log_begin(&log, KC_DEF_TASK, number, 2);
        (void)snprintf(name, sizeof name, "Task-%llu.", (unsigned long long)number);
        kc_wire_text(&cursor, name);
        kc_wire_nil(&cursor);
        log_commit(&log, &cursor);
        if (number % 1000 == 0) {
            log_save(&log, &old);
        }
    }
    CHECK_EQUAL(KC_OK, kc_store_carry(&next, &old));
    CHECK_EQUAL(1, has_task(0, 10001));
    CHECK_EQUAL(1,
                has_task(1, 10000)); /* that may run on as long as the process does */
    CHECK_EQUAL(0, has_task(1, 10001));
    CHECK_EQUAL(0, has_task(1, 15000));
    CHECK_EQUAL(1, has_task(1, 15001));
    CHECK_EQUAL(1, has_task(1, 25000));
    kc_store_close(&next);
    kc_store_close(&old);
    free(log.block);
}

int
main(void)
{
    rig_make_folder(folder, sizeof folder);
    test_a_new_segment_has_schema_version_and_wal();
    test_a_file_that_is_no_segment_is_refused();
    test_files_are_their_owner_s_alone_and_links_are_not_followed();
    test_process_rows();
    test_traces_and_threads_become_rows();
    test_the_last_that_is_said_of_a_trace_holds();
    test_hostile_definitions_harm_nobody();
    test_sources_are_kept_once_per_content();
    test_secrets_in_sources_are_masked();
    test_a_block_is_a_header_and_its_bytes();
    test_a_trace_that_is_dropped_leaves_nothing_in_any_segment();
    test_what_is_rolled_back_is_not_there();
    test_a_new_segment_takes_over_what_it_needs();
    test_a_new_segment_takes_over_no_task_that_ended_long_ago();
    rig_remove_folder(folder);
    return check_result("store");
}
