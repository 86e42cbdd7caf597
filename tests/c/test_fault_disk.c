/* test_fault_disk.c -- fail each write, read, sync, mmap, lock and thread in turn.
 *
 * Once: it costs a try, a text of a source or the file behind the mapping, and no
 * record. For good, as a disk does that is full or gone: what SQLite does not have is
 * in the mapping, and once the disk works again a recovery finds it. No file stays
 * open, no block is torn, every database is sound.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "faulty.h"
#include "plain/clock.h"
#include "plain/query.h"
#include "plain/recover.h"
#include "plain/source.h"
#include "plain/ulid.h"
#include "rig.h"

#define RECORDS 240u
#define RECORDS_AT_ONCE 80u
#define KILLED_BLOCKS 16
#define DISK (FAULT_DISK | FAULT_THREAD)

static char folder[64];
static char map_path[160];
static char saved_path[200]; /* a mapping as a killed program leaves it */

static bool
file_is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The folder with nothing in it. */
static void
empty_folder(void)
{
    rig_remove_folder(folder);
    CHECK_EQUAL(0, mkdir(folder, 0700));
}

static void
check_no_mapping(void)
{
    char name[200];
    (void)snprintf(name, sizeof name, "%s.new", map_path);
    CHECK(!file_is_there(map_path));
    CHECK(!file_is_there(name));
}

static void
use_block(struct kc_mapping *mapping)
{
    struct kc_block *block = kc_mapping_take(mapping);
    CHECK(block != NULL);
    if (block != NULL) {
        memset(block->data, 1, sizeof block->data);
    }
}

/* Without the file the memory does, and says why. A signal in the middle of taking the
 * disk's space is no reason to do without. */
static bool
mapping_round(void)
{
    struct kc_mapping mapping;
    int reason = 0;
    enum kc_status status =
        kc_mapping_create(&mapping, map_path, 4, RIG_PROCESS, &reason);
    bool shared = status == KC_OK && mapping.shared;
    if (status == KC_OK) {
        CHECK(shared || (reason != 0 && reason != EINTR));
        use_block(&mapping);
        kc_mapping_destroy(&mapping, 1);
    }
    check_no_mapping();
    return shared && reason == 0;
}

/* The memory gets its file later: whether it does or not, what it held stays. */
static bool
share_round(void)
{
    struct kc_mapping mapping;
    if (kc_mapping_create_later(&mapping, map_path, 4, RIG_PROCESS, NULL, NULL) !=
        KC_OK) {
        return false;
    }
    int error = kc_mapping_share(&mapping);
    CHECK_EQUAL(error == 0, mapping.shared);
    CHECK_EQUAL(error == 0, file_is_there(map_path));
    CHECK(strcmp(mapping.header->process_id, RIG_PROCESS) == 0);
    use_block(&mapping);
    kc_mapping_destroy(&mapping, 1);
    check_no_mapping();
    return error == 0;
}

/* What keeps the store out of git is whole, or comes with the next process. */
static bool
directory_round(void)
{
    char inner[128];
    char ignore[128];
    char text[8] = "";
    (void)snprintf(inner, sizeof inner, "%s/store/segments", folder);
    (void)snprintf(ignore, sizeof ignore, "%s/store/.gitignore", folder);
    enum kc_status status = kc_store_make_directory(inner);
    CHECK_EQUAL(status == KC_OK, file_is_there(inner));
    bool whole = file_is_there(ignore);
    long wanted = fault_suspend();
    CHECK_EQUAL(KC_OK, kc_store_make_directory(inner));
    int fd = open(ignore, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQUAL(2, read(fd, text, sizeof text));
    CHECK(strcmp(text, "*\n") == 0);
    (void)close(fd);
    (void)unlink(ignore);
    (void)rmdir(inner);
    *strrchr(inner, '/') = '\0';
    (void)rmdir(inner);
    fault_resume(wanted, false);
    return status == KC_OK && whole;
}

/* A text is the file's, or is not there and says why. */
static bool
source_round(void)
{
    struct stat about;
    struct kc_source source;
    long wanted = fault_suspend();
    CHECK_EQUAL(0, stat(SCHEMA_PATH, &about));
    fault_resume(wanted, false);
    uint64_t mtime_ns =
        (uint64_t)about.st_mtim.tv_sec * 1000000000u + (uint64_t)about.st_mtim.tv_nsec;
    enum kc_status status = kc_source_read(&source, SCHEMA_PATH, strlen(SCHEMA_PATH),
                                           (uint64_t)about.st_size, mtime_ns);
    bool kept = source.text != NULL;
    CHECK(kept || status == KC_NO_MEMORY || source.note[0] != '\0');
    CHECK(!kept || memcmp(source.text, rig_schema(), source.len) == 0);
    kc_source_destroy(&source);
    return kept;
}

/* An identifier of each millisecond takes random bytes, of which some are kept. */
static bool
ulid_round(void)
{
    static uint64_t after_ms = UINT64_C(1) << 42; /* later than now, for decades */
    char text[KC_ULID_CHARACTERS];
    bool complete = true;
    for (int i = 0; i < 30; i++) {
        complete = kc_ulid_next(++after_ms, text) && complete;
    }
    return complete;
}

/* ---- the segments ---- */

static uint64_t
last_segment(void)
{
    uint64_t segment = 0;
    for (;; segment++) {
        char *path = kc_store_path(folder, RIG_PROCESS, segment + 1);
        bool there = file_is_there(path);
        free(path);
        if (!there) {
            return segment;
        }
    }
}

/* Every record once and whole, its definitions with it, every database sound. */
static void
check_segments(uint64_t records)
{
    char text[64];
    uint64_t last = last_segment();
    CHECK_EQUAL(0,
                rig_ask(folder, last, "SELECT count(*) FROM trace WHERE number = 2"));
    for (uint64_t segment = 0; segment <= last; segment++) {
        rig_ask_text(folder, segment, "PRAGMA integrity_check", text, sizeof text);
        CHECK(strcmp(text, "ok") == 0);
    }
    CHECK_EQUAL(records, rig_check_records(folder, last));
}

static void
write_batch(struct rig *rig, uint64_t until_ns)
{
    for (uint32_t i = 0; i < RECORDS_AT_ONCE; i++) {
        rig_write(rig);
    }
    rig_hand_over(rig);
    (void)!kc_queue_flush(&rig->queue, until_ns);
}

/* Several transactions, and a rotation; in the first segment are blocks of a trace that
 * is not to be stored in the end. */
static void
write_all(struct rig *rig, uint64_t wait_ns)
{
    struct kc_stream other;
    kc_stream_init(&other, 2, 1);
    kc_stream_give_block(&other, kc_mapping_take(&rig->mapping), KC_BLOCK_RECORDS, 1);
    struct kc_cursor cursor = kc_stream_begin(&other, 2, KC_KIND_NOTE, 1);
    kc_wire_uint(&cursor, 1);
    (void)kc_stream_commit_node(&other, &cursor, 2);
    CHECK_EQUAL(KC_OK, kc_queue_push(&rig->queue, kc_stream_take_block(
                                                      &other, NULL, rig->definition)));
    for (uint32_t i = 0; i < RECORDS; i += RECORDS_AT_ONCE) {
        write_batch(rig, kc_clock_system_ns() + wait_ns);
    }
    kc_queue_discard(&rig->queue, 2);
    rig_define_more(rig);
}

/* Whether there was a rotation, and the trace not to be stored has left no block. */
static bool
rotated_and_dropped(void)
{
    const char *sql = "SELECT count(*) FROM block WHERE trace = 2";
    return last_segment() >= 1 && rig_ask(folder, 0, sql) == 0;
}

static void
writer_init(struct rig *rig)
{
    empty_folder();
    rig_init(rig, folder);
    rig->writer.segment_max_bytes = 120 * 1024;
    rig->writer.free_disk_min_bytes = 1;
    rig->writer.compress = 0;
    rig->payload = 800;
}

/* A folder or a disk where the store cannot be opened is told, and nothing is left. */
static bool
opening_round(void)
{
    struct rig rig;
    long wanted = fault_suspend();
    writer_init(&rig);
    fault_resume(wanted, true);
    bool opened = kc_writer_open(&rig.writer, 1, 2) == KC_OK;
    (void)fault_suspend();
    if (opened) {
        CHECK_EQUAL(KC_OK, kc_writer_close(&rig.writer, 3, "exit"));
    }
    else {
        CHECK_EQUAL(KC_OK, kc_writer_open(&rig.writer, 1, 2));
        CHECK_EQUAL(KC_OK, kc_writer_close(&rig.writer, 3, "exit"));
    }
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT count(*) FROM process"));
    rig_destroy(&rig, true);
    return opened;
}

/* One refusal costs a try: all is there in the end, by the writer itself. */
static bool
writer_round(void)
{
    struct rig rig;
    long wanted = fault_suspend();
    writer_init(&rig);
    CHECK_EQUAL(KC_OK, kc_writer_open(&rig.writer, 1, 2));
    rig_define_thread(&rig, 1, "MainThread");
    rig_define_trace(&rig, 1, "trc_1");
    fault_resume(wanted, true);
    bool started = kc_writer_start(&rig.writer) == KC_OK;
    if (!started) {
        CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    }
    write_all(&rig, 100000000);
    CHECK_EQUAL(KC_OK, kc_writer_stop(&rig.writer, UINT64_MAX));
    bool complete = started && atomic_load(&rig.writer.failed_count) == 0;
    /* The end may be refused, too: then the mapping has all that it would have said. */
    enum kc_status closed = kc_writer_close(&rig.writer, 3, "exit");
    (void)fault_suspend();
    check_segments(RECORDS);
    rig_destroy(&rig, true);
    return complete && closed == KC_OK && rotated_and_dropped();
}

/* From some call on nothing can be written any more: a recovery finds the rest. */
static bool
lasting_round(void)
{
    struct rig rig;
    struct kc_recovered recovered;
    long wanted = fault_suspend();
    writer_init(&rig);
    CHECK_EQUAL(KC_OK, kc_writer_open(&rig.writer, 1, 2));
    rig_define_thread(&rig, 1, "MainThread");
    rig_define_trace(&rig, 1, "trc_1");
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    fault_resume(wanted, true);
    write_all(&rig, 2000000);
    /* A slow machine is no disk that fails. */
    uint64_t until_ns = fault_was_met() ? kc_clock_system_ns() : UINT64_MAX;
    bool stopped = kc_writer_stop(&rig.writer, until_ns) == KC_OK;
    bool closed = kc_writer_close(&rig.writer, 3, "exit") == KC_OK;
    (void)fault_suspend();
    rig_destroy(&rig, stopped && closed);
    if (!stopped || !closed) {
        CHECK_EQUAL(KC_OK, kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION, 1,
                                      &recovered));
        CHECK_EQUAL(0, recovered.damaged);
    }
    check_segments(RECORDS);
    check_no_mapping();
    return stopped && closed && rotated_and_dropped();
}

/* A segment that was removed is written anew: where not at this try, at the next. */
static bool
restore_round(void)
{
    struct rig rig;
    long wanted = fault_suspend();
    writer_init(&rig);
    rig.writer.segment_max_bytes = 0;
    CHECK_EQUAL(KC_OK, kc_writer_open(&rig.writer, 1, 2));
    rig_define_thread(&rig, 1, "MainThread");
    rig_define_trace(&rig, 1, "trc_1");
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    write_batch(&rig, UINT64_MAX);
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    kc_store_remove(path);
    free(path);
    rig.writer.disk_checked_ns = 0; /* it looks once a second */
    fault_resume(wanted, true);
    write_batch(&rig, UINT64_MAX);
    (void)fault_suspend();
    bool complete = atomic_load(&rig.writer.failed_count) == 0;
    CHECK_EQUAL(KC_OK, kc_writer_stop(&rig.writer, UINT64_MAX));
    CHECK_EQUAL(KC_OK, kc_writer_close(&rig.writer, 3, "exit"));
    CHECK_EQUAL(1, atomic_load(&rig.writer.restored_count));
    check_segments((uint64_t)2 * RECORDS_AT_ONCE);
    rig_destroy(&rig, true);
    return complete;
}

static void
make_killed(void)
{
    struct rig rig;
    (void)snprintf(saved_path, sizeof saved_path, "%s.saved", folder);
    rig_init(&rig, folder);
    rig.payload = 800;
    rig_define_thread(&rig, 1, "MainThread");
    rig_define_trace(&rig, 1, "trc_1");
    for (uint32_t i = 0; i < RECORDS; i++) {
        rig_write(&rig);
    }
    /* What is beyond the blocks in use is not copied for each round. */
    rig.mapping.header->block_count = KILLED_BLOCKS;
    CHECK_EQUAL(0, truncate(map_path, KC_MAPPING_HEADER_BYTES +
                                          KILLED_BLOCKS * (off_t)KC_BLOCK_BYTES));
    CHECK_EQUAL(0, rename(map_path, saved_path));
    rig_destroy(&rig, false);
}

/* A recovery that is refused something leaves the mapping, and the next one has all. */
static bool
recover_round(void)
{
    char command[600];
    struct kc_recovered recovered;
    long wanted = fault_suspend();
    empty_folder();
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", saved_path, map_path);
    CHECK_EQUAL(0, system(command)); /* NOLINT: a test's own names */
    fault_resume(wanted, true);
    enum kc_status status =
        kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION, 1, &recovered);
    (void)fault_suspend();
    if (status != KC_OK) {
        CHECK(recovered.error[0] != '\0');
        CHECK(file_is_there(map_path));
        CHECK_EQUAL(KC_OK, kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION, 1,
                                      &recovered));
    }
    check_segments(RECORDS);
    check_no_mapping();
    return status == KC_OK;
}

/* A reader has all rows, or a status: never some of them as if they were all. */
static bool
query_round(void)
{
    int64_t row = 0;
    struct kc_query query;
    sqlite3 *db = NULL;
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    if (code == SQLITE_OK) {
        enum kc_status status = kc_query_begin(
            &query, db, "SELECT id, data FROM block_data ORDER BY id", NULL, 0);
        while (status == KC_OK && !query.done) {
            status = kc_query_fetch(&query);
            row += status == KC_OK ? (int64_t)query.row_count : 0;
        }
        long wanted = fault_suspend();
        uint64_t rows = rig_ask(folder, 0, "SELECT count(*) FROM block_data");
        CHECK(status != KC_OK || (uint64_t)row == rows);
        fault_resume(wanted, false);
        code = status == KC_OK ? SQLITE_OK : SQLITE_ERROR;
        kc_query_end(&query);
    }
    (void)sqlite3_close(db);
    free(path);
    return code == SQLITE_OK;
}

int
main(void)
{
    fault_init();
    (void)rig_schema();
    rig_make_folder(folder, sizeof folder);
    (void)snprintf(map_path, sizeof map_path, "%s/" RIG_PROCESS ".map", folder);
    make_killed();
    for (int lasting = 0; lasting < 2; lasting++) {
        fault_each(mapping_round, "mapping", DISK, lasting);
        fault_each(share_round, "share", DISK, lasting);
        fault_each(directory_round, "directory", DISK, lasting);
        fault_each(source_round, "source", DISK, lasting);
        fault_each(ulid_round, "ulid", DISK, lasting);
        fault_each(opening_round, "opening", DISK, lasting);
        fault_each(recover_round, "recover", DISK, lasting);
        fault_each(query_round, "query", DISK, lasting);
    }
    fault_each(share_round, "share", FAULT_MEMORY, false);
    fault_each(source_round, "source", FAULT_MEMORY, false);
    fault_each(directory_round, "directory", FAULT_MEMORY, false);
    fault_each(writer_round, "writer", DISK, false);
    fault_each(lasting_round, "writer", DISK, true);
    fault_each(restore_round, "restore", DISK, false);
    fault_each(restore_round, "restore", FAULT_MEMORY, false);
    fault_each(writer_round, "writer", FAULT_MEMORY, false);
    fault_each(lasting_round, "writer", FAULT_MEMORY, true);
    rig_remove_folder(folder);
    (void)unlink(saved_path);
    return check_result("fault_disk");
}
