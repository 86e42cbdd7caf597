/* rig.c -- see rig.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "rig.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "check.h"
#include "plain/clock.h"

#define WAIT_NS UINT64_C(20000000000)

static struct stat schema_about; /* a look at it while nothing is refused */

const char *
rig_schema(void)
{
    static char schema[16384];
    if (schema[0] == '\0') {
        FILE *file = fopen(SCHEMA_PATH, "r");
        CHECK(file != NULL);
        if (file != NULL) {
            size_t len = fread(schema, 1, sizeof schema - 1, file);
            CHECK(len > 0 && len < sizeof schema - 1);
            CHECK_EQUAL(0, stat(SCHEMA_PATH, &schema_about));
            (void)fclose(file);
        }
    }
    return schema;
}

void
rig_make_folder(char *folder, size_t room)
{
    (void)snprintf(folder, room, "/tmp/kolo-c-test-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
}

void
rig_remove_folder(const char *folder)
{
    char name[512];
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (unlink(name) != 0) {
            rig_remove_folder(name);
        }
    }
    (void)closedir(directory);
    (void)rmdir(folder);
}

void
rig_init(struct rig *rig, const char *folder)
{
    int reason = 0;
    memset(rig, 0, sizeof *rig);
    (void)snprintf(rig->folder, sizeof rig->folder, "%s", folder);
    (void)snprintf(rig->map_path, sizeof rig->map_path, "%s/" RIG_PROCESS ".map",
                   folder);
    CHECK_EQUAL(KC_OK, kc_mapping_create(&rig->mapping, rig->map_path,
                                         KC_MAPPING_BLOCKS, RIG_PROCESS, &reason));
    CHECK_EQUAL(0, reason);
    CHECK_EQUAL(KC_OK, kc_queue_init(&rig->queue, KC_QUEUE_BLOCKS));
    kc_stream_init(&rig->log, 0, 0);
    kc_stream_init(&rig->stream, 1, 1);
    rig->writer.mapping = &rig->mapping;
    rig->writer.queue = &rig->queue;
    rig->writer.directory = rig->folder;
    rig->writer.process_id = RIG_PROCESS;
    rig->writer.schema = rig_schema();
    rig->writer.info = "{\"argv\": []}";
    rig->writer.schema_version = RIG_SCHEMA_VERSION;
    rig->writer.compress = 1;
    rig->payload = 30;
}

void
rig_start(struct rig *rig)
{
    CHECK_EQUAL(KC_OK, kc_writer_open(&rig->writer, kc_clock_ns(), kc_clock_utc_ns()));
    rig_define_thread(rig, 1, "MainThread");
    rig_define_trace(rig, 1, "trc_01J00000000000000000000001");
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig->writer));
}

static struct kc_block *
rig_take(struct rig *rig)
{
    struct kc_block *block =
        kc_mapping_take_wait(&rig->mapping, kc_clock_system_ns() + WAIT_NS);
    CHECK(block != NULL);
    if (block == NULL) {
        abort();
    }
    return block;
}

void
rig_define(struct rig *rig, enum kc_definition kind, uint64_t number,
           void (*fields)(struct kc_cursor *cursor, const void *context), size_t count,
           const void *context)
{
    for (;;) {
        struct kc_cursor cursor = kc_stream_begin_plain(&rig->log);
        kc_wire_array(&cursor, count + 2);
        kc_wire_uint(&cursor, kind);
        kc_wire_uint(&cursor, number);
        fields(&cursor, context);
        if (cursor.status == KC_OK) {
            kc_stream_commit(&rig->log, &cursor, kc_clock_ns());
            break;
        }
        struct kc_block *full = kc_stream_take_block(&rig->log, NULL, 0);
        struct kc_block *next = rig_take(rig);
        kc_stream_give_block(&rig->log, next, KC_BLOCK_DEFINITIONS, kc_clock_ns());
        while (kc_queue_set_definitions(&rig->queue, next, full) == KC_FULL) {
            (void)usleep(1000);
        }
    }
    if (number > rig->definition) {
        rig->definition = number;
    }
}

static void
thread_fields(struct kc_cursor *cursor, const void *context)
{
    kc_wire_uint(cursor, 1);
    kc_wire_text(cursor, context);
    kc_wire_uint(cursor, 140000);
    kc_wire_uint(cursor, 4711);
}

void
rig_define_thread(struct rig *rig, uint64_t thread, const char *name)
{
    CHECK_EQUAL(1, thread);
    rig_define(rig, KC_DEF_THREAD, rig->definition + 1, thread_fields, 4, name);
}

struct trace_text {
    uint64_t trace;
    const char *id;
};

static void
trace_fields(struct kc_cursor *cursor, const void *context)
{
    const struct trace_text *text = context;
    kc_wire_uint(cursor, text->trace);
    kc_wire_text(cursor, text->id);
    kc_wire_text(cursor, "process");
    kc_wire_text(cursor, "script.py");
    kc_wire_text(cursor, NULL);
    kc_wire_uint(cursor, kc_clock_ns());
    kc_wire_uint(cursor, kc_clock_utc_ns());
    kc_wire_text(cursor, "{\"a\": 1}");
}

void
rig_define_trace(struct rig *rig, uint64_t trace, const char *id)
{
    struct trace_text text = {trace, id};
    rig_define(rig, KC_DEF_TRACE, rig->definition + 1, trace_fields, 8, &text);
}

static void
trace_end_fields(struct kc_cursor *cursor, const void *context)
{
    const uint64_t *trace = context;
    kc_wire_uint(cursor, *trace);
    kc_wire_uint(cursor, kc_clock_ns());
    kc_wire_text(cursor, "exit");
    kc_wire_text(cursor, "{\"records\": 3}");
    kc_wire_text(cursor, "the script");
    kc_wire_text(cursor, "{\"b\": 2}");
}

void
rig_end_trace(struct rig *rig, uint64_t trace)
{
    rig_define(rig, KC_DEF_TRACE_END, rig->definition + 1, trace_end_fields, 6, &trace);
}

static void
file_fields(struct kc_cursor *cursor, const void *context)
{
    const struct stat *about = context;
    kc_wire_text(cursor, SCHEMA_PATH);
    kc_wire_uint(cursor, (uint64_t)about->st_size);
    kc_wire_uint(cursor, (uint64_t)about->st_mtim.tv_sec * 1000000000u +
                             (uint64_t)about->st_mtim.tv_nsec);
    kc_wire_nil(cursor);
}

static void
trace_set_fields(struct kc_cursor *cursor, const void *context)
{
    (void)context;
    kc_wire_uint(cursor, 1);
    kc_wire_text(cursor, "another name");
    kc_wire_text(cursor, NULL);
}

static void
trace_drop_fields(struct kc_cursor *cursor, const void *context)
{
    (void)context;
    kc_wire_uint(cursor, 2);
    kc_wire_uint(cursor, 0);
}

void
rig_define_more(struct rig *rig)
{
    rig_define(rig, KC_DEF_FILE, rig->definition + 1, file_fields, 4, &schema_about);
    rig_define(rig, KC_DEF_TRACE_SET, rig->definition + 1, trace_set_fields, 3, NULL);
    rig_define_trace(rig, 2, "trc_2");
    rig_end_trace(rig, 2);
    rig_define(rig, KC_DEF_TRACE_DROP, rig->definition + 1, trace_drop_fields, 2, NULL);
}

static void
string_fields(struct kc_cursor *cursor, const void *context)
{
    (void)context;
    /* Long enough that the log goes through blocks of its own. */
    kc_wire_text(cursor, "a definition that is as long as a qualname with its module");
}

void
rig_hand_over(struct rig *rig)
{
    struct kc_block *block = kc_stream_take_block(&rig->stream, NULL, rig->definition);
    if (block == NULL) {
        return;
    }
    for (;;) {
        enum kc_status status = kc_queue_push(&rig->queue, block);
        if (status == KC_OK) {
            return;
        }
        CHECK_EQUAL(KC_FULL, status);
        CHECK_EQUAL(KC_OK,
                    kc_queue_wait_room(&rig->queue, kc_clock_system_ns() + WAIT_NS));
    }
}

void
rig_write(struct rig *rig)
{
    static const uint8_t zeros[KC_RECORD_MAX_BYTES];
    uint64_t needed = (rig->record + 1) / RIG_RECORDS_A_DEFINITION + 1;
    while (rig->definition < needed) {
        rig_define(rig, KC_DEF_STRING, rig->definition + 1, string_fields, 1, NULL);
    }
    for (;;) {
        uint64_t now_ns = kc_clock_ns();
        struct kc_cursor cursor =
            kc_stream_begin(&rig->stream, now_ns, KC_KIND_NOTE, 2);
        kc_wire_uint(&cursor, rig->record + 1);
        kc_wire_bin(&cursor, zeros, rig->payload);
        if (cursor.status == KC_OK) {
            (void)kc_stream_commit_node(&rig->stream, &cursor, now_ns);
            rig->record++;
            return;
        }
        rig_hand_over(rig);
        kc_stream_give_block(&rig->stream, rig_take(rig), KC_BLOCK_RECORDS, now_ns);
    }
}

void
rig_finish(struct rig *rig)
{
    rig_hand_over(rig);
    rig_end_trace(rig, 1);
    CHECK_EQUAL(KC_OK, kc_writer_stop(&rig->writer, kc_clock_system_ns() + WAIT_NS));
    CHECK_EQUAL(KC_OK, kc_writer_close(&rig->writer, kc_clock_ns(), "exit"));
    rig_destroy(rig, true);
}

void
rig_destroy(struct rig *rig, bool unlink_mapping)
{
    kc_queue_destroy(&rig->queue);
    kc_mapping_destroy(&rig->mapping, unlink_mapping);
}

/* ---- reading back ---- */

static sqlite3 *
segment_open(const char *folder, uint64_t segment)
{
    sqlite3 *db = NULL;
    char *path = kc_store_path(folder, RIG_PROCESS, segment);
    CHECK(path != NULL);
    CHECK_EQUAL(SQLITE_OK, sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL));
    free(path);
    return db;
}

static sqlite3_stmt *
segment_query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) {
        (void)fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
    }
    CHECK_EQUAL(SQLITE_OK, code);
    return statement;
}

void
rig_ask_text(const char *folder, uint64_t segment, const char *sql, char *text,
             size_t room)
{
    sqlite3 *db = segment_open(folder, segment);
    sqlite3_stmt *statement = segment_query(db, sql);
    text[0] = '\0';
    if (sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL)
    {
        (void)snprintf(text, room, "%s",
                       (const char *)sqlite3_column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
}

uint64_t
rig_ask(const char *folder, uint64_t segment, const char *sql)
{
    char text[64];
    rig_ask_text(folder, segment, sql, text, sizeof text);
    return strtoull(text, NULL, 10);
}

/* The numbers in the records of one block, on from `record`; the last one. */
static uint64_t
block_check(const uint8_t *data, size_t len, uint64_t record)
{
    struct kc_walk walk = {data, data + len};
    while (walk.at < walk.end) {
        struct kc_walk inside = walk;
        struct kc_token token;
        CHECK_EQUAL(KC_OK, kc_walk_skip(&walk));
        for (int i = 0; i < 4; i++) {
            CHECK_EQUAL(KC_OK,
                        kc_walk_next(&inside, &token)); /* the last is the number */
        }
        CHECK_EQUAL(++record, token.uint);
    }
    CHECK(walk.at == walk.end);
    return record;
}

static uint64_t
block_row_check(sqlite3_stmt *row, uint64_t record)
{
    static uint8_t data[KC_BLOCK_DATA_BYTES];
    size_t bytes = (size_t)sqlite3_column_int64(row, 0);
    const void *stored = sqlite3_column_blob(row, 2);
    size_t stored_len = (size_t)sqlite3_column_bytes(row, 2);
    CHECK(bytes <= sizeof data);
    if (sqlite3_column_int(row, 1) == 1) {
        CHECK_EQUAL(bytes, ZSTD_decompress(data, sizeof data, stored, stored_len));
    }
    else {
        CHECK_EQUAL(bytes, stored_len);
        memcpy(data, stored, stored_len);
    }
    CHECK_EQUAL(record + 1, sqlite3_column_int64(row, 3)); /* nodes are records here */
    uint64_t last = block_check(data, bytes, record);
    CHECK_EQUAL(last - record, sqlite3_column_int64(row, 4));
    CHECK(last / RIG_RECORDS_A_DEFINITION + 1 <=
          (uint64_t)sqlite3_column_int64(row, 5));
    return last;
}

/* Every definition from 1 to the highest that a block needs is in the log, once. */
static void
segment_check_definitions(sqlite3 *db)
{
    uint64_t number = 0;
    sqlite3_stmt *row = segment_query(
        db, "SELECT data, (SELECT max(definition) FROM block), first, last "
            "FROM definition ORDER BY sequence, start");
    uint64_t needed = 0;
    while (sqlite3_step(row) == SQLITE_ROW) {
        const uint8_t *data = sqlite3_column_blob(row, 0);
        struct kc_walk walk = {data, data + sqlite3_column_bytes(row, 0)};
        needed = (uint64_t)sqlite3_column_int64(row, 1);
        while (walk.at < walk.end) {
            struct kc_walk inside = walk;
            struct kc_token token;
            CHECK_EQUAL(KC_OK, kc_walk_skip(&walk));
            for (int i = 0; i < 3; i++) {
                CHECK_EQUAL(KC_OK, kc_walk_next(&inside, &token));
            }
            CHECK(token.uint > number);
            CHECK(token.uint >= (uint64_t)sqlite3_column_int64(row, 2));
            CHECK(token.uint <= (uint64_t)sqlite3_column_int64(row, 3));
            number = token.uint;
        }
    }
    CHECK(number >= needed);
    (void)sqlite3_finalize(row);
}

uint64_t
rig_check_records(const char *folder, uint64_t last_segment)
{
    uint64_t record = 0;
    for (uint64_t segment = 0; segment <= last_segment; segment++) {
        sqlite3 *db = segment_open(folder, segment);
        sqlite3_stmt *row = segment_query(
            db,
            "SELECT bytes, encoding, data, first_node, records, definition "
            "FROM block JOIN block_data USING (id) WHERE trace = 1 ORDER BY sequence");
        while (sqlite3_step(row) == SQLITE_ROW) {
            record = block_row_check(row, record);
        }
        (void)sqlite3_finalize(row);
        segment_check_definitions(db);
        (void)sqlite3_close(db);
    }
    return record;
}
